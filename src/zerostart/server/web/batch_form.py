"""The form of a new batch job: what it is filled with, and the request that it makes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from zerostart.errors import InvalidInput, shortened
from zerostart.server.web.batch_contexts import ColumnBox, SetUpForm
from zerostart.server.web.contexts import Choice
from zerostart.server.web.formats import key_shown
from zerostart.server.web.forms import whole_number
from zerostart.server.web.playground import labels_of
from zerostart.transform.request import BUCKET, TransformRequest, job_name
from zerostart.transform.sample import JSON_LINES, PLAIN, Sample

REQUESTS = "requests"  # of JSON lines: each is a request of its own
_COLUMN = "column:"
_KEEP = "keep:"
_MOST_BOXES = 40
_TEXT_NAMES = ("text", "texts", "sequence", "sentence", "content", "body", "message", "comment", "review", "tweet")
_OF_REQUESTS = {"parameters", "candidate_labels"}


@dataclass(frozen=True)
class Source:
    """The object that is classified and how it begins; the model, its usual hypothesis, whether it has two scorers."""

    uri: str
    sample: Sample
    model_id: str
    template: str
    blends: bool


def filled(source: Source) -> SetUpForm:
    """The form as it is proposed."""
    name = job_name(source.uri.rpartition("/")[2], datetime.now(UTC)).rpartition("-")[0]  # to the second
    return SetUpForm(
        text_column=_proposed_column(source.sample),
        labels="",
        template=source.template,
        multi_label=False,
        strict=False,
        workers="1",
        scorer="",
        output=f"s3://{BUCKET}/{name}/out",
        name=name,
    )


def typed(form: Mapping[str, str]) -> SetUpForm:
    """The form as it was sent."""
    return SetUpForm(
        text_column=form.get("text_column", ""),
        labels=form.get("labels", ""),
        template=form.get("template", ""),
        multi_label="multi_label" in form,
        strict=form.get("errors") == "strict",
        workers=form.get("workers", ""),
        scorer=form.get("scorer", ""),
        output=form.get("output", ""),
        name=form.get("name", ""),
    )


def text_columns(sample: Sample) -> Sequence[Choice]:
    """Where the text may be: none where a line is a text."""
    if sample.content_type == PLAIN:
        return ()
    columns = [Choice(_COLUMN + name, key_shown(name) or "(no name)") for name in sample.columns]
    return [*columns, *([Choice(REQUESTS, "each line is a request")] if sample.content_type == JSON_LINES else [])]


def boxes(sample: Sample, form: Mapping[str, str] | None) -> Sequence[ColumnBox]:
    """A box for each column that may be kept; none if they are too many. All are ticked in a new form."""
    if sample.content_type == PLAIN or len(sample.columns) > _MOST_BOXES:
        return ()
    sent = None if form is None else {_plain(name) for name in form}
    return [
        ColumnBox(_KEEP + name, key_shown(name) or "(no name)", sent is None or _plain(_KEEP + name) in sent)
        for name in sample.columns
    ]


def keeps_all(sample: Sample, form: Mapping[str, str] | None) -> bool | None:
    """Of the one box for all columns, whether it is ticked; None where there is a box for each, or no column."""
    if sample.content_type == PLAIN or len(sample.columns) <= _MOST_BOXES:
        return None
    return form is None or "keep_all" in form


def request_of(form: Mapping[str, str], source: Source) -> TransformRequest:
    """What the form asks for. Raises InvalidInput."""
    asked, sample = typed(form), source.sample
    labels = labels_of(asked.labels)
    column = _chosen_column(asked.text_column, sample)
    if not labels and asked.text_column != REQUESTS:
        raise InvalidInput("There is no label yet: write the labels, separated by commas or one a line.")
    if not asked.output.startswith("s3://"):
        raise InvalidInput(f"The output {shortened(asked.output)} is no place: write it as s3://bucket/folder.")
    return TransformRequest(
        name=asked.name.strip(),
        model_name="",
        input_uri=source.uri,
        content_type=sample.content_type or PLAIN,
        output_uri=asked.output.strip(),
        labels=labels,
        template=asked.template.strip() or source.template,
        multi_label=asked.multi_label,
        text_column=column,
        keep=_kept(form, sample),
        collect_errors=not asked.strict,
        scorer=asked.scorer,
        workers=whole_number(form, "workers", "The number of workers"),
        compressed=sample.compressed,
    )


def _kept(form: Mapping[str, str], sample: Sample) -> Sequence[str] | None:
    if keeps_all(sample, form) is not None:
        return None if keeps_all(sample, form) else ()
    kept = [box.name.removeprefix(_KEEP) for box in boxes(sample, form) if box.is_kept]
    return None if kept and len(kept) == len(sample.columns) else kept


def _chosen_column(value: str, sample: Sample) -> str | None:
    if sample.content_type == PLAIN or (value == REQUESTS and sample.content_type == JSON_LINES):
        return None
    for name in sample.columns:
        if _plain(_COLUMN + name) == _plain(value):
            return name
    raise InvalidInput(f"The file has no column {shortened(value.removeprefix(_COLUMN))}: choose the one of the texts.")


def _proposed_column(sample: Sample) -> str:
    """The column that is named as one of texts, else the one with the longest values."""
    if sample.content_type == JSON_LINES and _OF_REQUESTS & set(sample.columns):
        return REQUESTS
    by_name = {name.strip().lower(): name for name in reversed(sample.columns)}
    for wanted in _TEXT_NAMES:
        if wanted in by_name:
            return _COLUMN + by_name[wanted]
    texts = {name: [row.values.get(name) for row in sample.rows] for name in sample.columns}
    lengths = {name: sum(len(each) for each in own if isinstance(each, str)) for name, own in texts.items()}
    return _COLUMN + max(lengths, key=lambda name: lengths[name]) if lengths else ""


def _plain(text: str) -> str:
    """With line ends as one character: browsers send them as two."""
    return re.sub(r"\r\n?", "\n", text)
