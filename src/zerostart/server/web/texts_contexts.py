"""The contexts of the playground for many texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from zerostart.server.web.endpoint_contexts import Playground
from zerostart.server.web.rendering import Page


@dataclass(frozen=True)
class TextRow:
    """A text and what came of it; `others` has every label with its score, best first."""

    text: str
    label: str
    score: str
    width: str
    others: Sequence[str]
    more_labels: int


@dataclass(frozen=True)
class TextsResult:
    """The answers; `left` texts were not asked, `hidden` ones were and are not shown."""

    rows: Sequence[TextRow] = ()
    count: int = 0
    left: int = 0
    hidden: int = 0
    latency: str = ""
    error: str | None = None


@dataclass(frozen=True)
class TextsPage(Page):
    """Many texts at once, to one endpoint."""

    template: ClassVar[str] = "texts.html"
    name: str
    playground: Playground
    most_texts: int
    result: TextsResult


@dataclass(frozen=True)
class TextsFragment(Page):
    """Its results."""

    template: ClassVar[str] = "texts_result.html"
    result: TextsResult
