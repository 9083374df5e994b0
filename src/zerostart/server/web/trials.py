"""What came of trying the first records of a job."""

from collections.abc import Mapping
from typing import Any

from zerostart.server.web.batch_contexts import TriedBatchPage, TriedRecord
from zerostart.server.web.contexts import Label
from zerostart.server.web.formats import cell_shown, exact_bytes_shown, key_shown, rate_shown, time_shown
from zerostart.transform.request import TransformRequest

_LABELS_SHOWN = 5
_LONGEST_TEXT = 600


def tried_page(
    request: TransformRequest,
    model_name: str,
    fields: Mapping[str, str],
    estimate: Mapping[str, Any] | None,
    notice: str | None,
) -> TriedBatchPage:
    """The page. `estimate` is None where nothing could be tried."""
    tried = [_tried(each, request) for each in estimate["first"]] if estimate else []
    return TriedBatchPage(
        fields=fields,
        name=request.name,
        facts=_facts(request, model_name),
        tiles=_tiles(estimate) if estimate else {},
        tried=tried,
        failing=any(each.error is not None for each in tried),
        strict=not request.collect_errors,
        notice=notice,
    )


def expected_of(estimate: Mapping[str, Any]) -> int:
    """How many records the job will have, about."""
    return int(estimate["records"])


def _tiles(estimate: Mapping[str, Any]) -> Mapping[str, str]:
    rate = float(estimate["records_per_s"])
    return {
        "Records, about": f"{estimate['records']:,}",
        "Size": exact_bytes_shown(int(estimate["bytes_total"])),
        "Rate": rate_shown(rate) if rate else "none works",
        "Time, about": time_shown(float(estimate["seconds"])) if rate else "cannot be told",
    }


def _facts(request: TransformRequest, model_name: str) -> Mapping[str, str]:
    column = "" if request.text_column is None else key_shown(request.text_column) or "(no name)"
    return {
        "Model": model_name,
        **({"Text column": column} if request.text_column is not None else {}),
        "Labels": ", ".join(request.labels) if request.labels else "stated by the records",
        "Hypothesis": request.template,
        "Several labels may fit": "yes" if request.multi_label else "no",
        "Output": key_shown(request.output_uri),
    }


def _tried(first: Mapping[str, Any], request: TransformRequest) -> TriedRecord:
    record = first["record"]
    text = record
    if isinstance(record, dict):
        text = record.get(request.text_column or "", record.get("inputs", record))
    if "error" in first:
        return TriedRecord(cell_shown(text, _LONGEST_TEXT), (), str(first["error"]))
    outputs = first["output"] if isinstance(first["output"], list) else [first["output"]]
    best = outputs[0]
    shown = zip(best["labels"][:_LABELS_SHOWN], best["scores"], strict=False)
    labels = [
        Label(label, f"{score:.1%}", f"{100 * score:.2f}", score >= 0.5 if request.multi_label else number == 0)
        for number, (label, score) in enumerate(shown)
    ]
    return TriedRecord(cell_shown(best["sequence"], _LONGEST_TEXT), labels, None)
