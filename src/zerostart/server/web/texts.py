"""Many texts to one endpoint, within the limits of a page; more is a batch job's work."""

import csv
import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from zerostart.errors import InvalidInput, ZerostartError
from zerostart.metrics import ControlPlaneMetrics
from zerostart.server.web.asking import Asked, ask
from zerostart.server.web.endpoint_contexts import Playground
from zerostart.server.web.errors import error_page
from zerostart.server.web.formats import duration_shown
from zerostart.server.web.playground import MOST_LABELS
from zerostart.server.web.texts_contexts import TextRow, TextsResult
from zerostart.services.invocation import InvocationService

MOST_TEXTS = 500
_MOST_PAIRS = 5000
_AT_ONCE = 32  # pairs of an invocation, or a text with more
_LONGEST_S = 40.0
_ROWS_SHOWN = 100
_LABELS_SHOWN = 10
_TEXT_SHOWN = 300


@dataclass(frozen=True)
class Scored:
    """The answers to the first texts of those that were given, each `{"labels": ..., "scores": ...}`."""

    texts: Sequence[str]
    documents: Sequence[Mapping[str, Any]]
    latency_s: float
    error: str | None


def texts_of(text: str) -> list[str]:
    """One a line."""
    return [line.strip() for line in text.splitlines() if line.strip()]


async def scored(
    request: Request, asked: Playground, service: InvocationService, metrics: ControlPlaneMetrics
) -> Scored:
    """Every text's scores, as far as there is time. Raises InvalidInput, saying a limit that is passed."""
    texts = texts_of(asked.text)
    _check(texts, asked.chips)
    documents: list[Mapping[str, Any]] = []
    started_s = time.monotonic()
    step = max(1, _AT_ONCE // len(asked.chips))
    error: str | None = None
    while len(documents) < len(texts) and time.monotonic() - started_s < _LONGEST_S:
        part = texts[len(documents) : len(documents) + step]
        question = Asked(asked.name, part, asked.chips, asked.hypothesis, asked.multi_label, asked.scorer)
        try:
            documents += (await ask(request, question, service, metrics)).document
        except ZerostartError as failure:
            error = error_page(failure).message
            break
    return Scored(texts, documents, time.monotonic() - started_s, error)


def _check(texts: Sequence[str], labels: Sequence[str]) -> None:
    more = "For more, run a batch job (zerostart transform) or zerostart classify --input FILE."
    if not texts or not labels:
        raise InvalidInput("Give at least one text and one label.")
    if len(texts) > MOST_TEXTS:
        raise InvalidInput(f"{len(texts):,} texts are too many for a page: give at most {MOST_TEXTS}. {more}")
    if len(labels) > MOST_LABELS:
        raise InvalidInput(f"{len(labels)} labels are too many for a page: give at most {MOST_LABELS}.")
    if len(texts) * len(labels) > _MOST_PAIRS:
        raise InvalidInput(
            f"{len(texts):,} texts with {len(labels)} labels are {len(texts) * len(labels):,} pairs, and a page takes "
            f"{_MOST_PAIRS:,}: give fewer of either. {more}"
        )


def texts_result(found: Scored) -> TextsResult:
    """The answers as the page shows them."""
    rows = [_row(text, document) for text, document in zip(found.texts, found.documents, strict=False)]
    return TextsResult(
        rows=rows[:_ROWS_SHOWN],
        count=len(rows),
        left=len(found.texts) - len(rows),
        hidden=max(0, len(rows) - _ROWS_SHOWN),
        latency=duration_shown(found.latency_s),
        error=found.error,
    )


def _row(text: str, document: Mapping[str, Any]) -> TextRow:
    best = list(zip(document["labels"], document["scores"], strict=True))
    return TextRow(
        text=text if len(text) <= _TEXT_SHOWN else f"{text[:_TEXT_SHOWN]} …",
        label=best[0][0],
        score=f"{best[0][1]:.1%}",
        width=f"{100 * best[0][1]:.1f}",
        others=[f"{label} {score:.1%}" for label, score in best[:_LABELS_SHOWN]],
        more_labels=max(0, len(best) - _LABELS_SHOWN),
    )


def as_csv(found: Scored, labels: Sequence[str]) -> str:
    """A row a text: the best label, its score, then every label's. Raises InvalidInput where some texts have none."""
    if len(found.documents) < len(found.texts):
        raise InvalidInput(found.error or "There was not enough time for all texts: give fewer.")
    file = io.StringIO()
    rows = csv.writer(file)
    rows.writerow(["text", "label", "score", *(defused(label) for label in labels)])
    for text, document in zip(found.texts, found.documents, strict=True):
        scores = dict(zip(document["labels"], document["scores"], strict=True))
        best = document["labels"][0]
        values = [f"{scores[label]:.6f}" if label in scores else "" for label in labels]
        rows.writerow([defused(text), defused(best), f"{scores[best]:.6f}", *values])
    return file.getvalue()


def defused(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
