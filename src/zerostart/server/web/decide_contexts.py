"""The contexts of the playground's questions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from zerostart.server.web.contexts import Label, Snippet
from zerostart.server.web.endpoint_contexts import Example
from zerostart.server.web.rendering import Page


@dataclass(frozen=True)
class QuestionField:
    """A question as it was typed. The names of its fields end in `number`, which it keeps when another one goes."""

    number: int
    kind: str = "choice"
    instructions: str = ""
    options: str = ""


@dataclass(frozen=True)
class AnswerShown:
    """An answer: bars, a choice's likeliest first, and what else it says."""

    question: str
    bars: Sequence[Label]
    note: str


@dataclass(frozen=True)
class DecideForm:
    """The form as it was typed, and what came of it; `problems` says of fields what is wrong, `error` of the whole.

    `focus` is the field that is gone on with, and `focus_by` the attribute that says so: browsers heed their own in a
    page, and the page's script the other one in what is replaced.
    """

    name: str
    text: str
    questions: Sequence[QuestionField]
    answers: Sequence[AnswerShown] = ()
    latency: str = ""
    tokens: int = 0
    link: str = ""
    error: str | None = None
    problems: Mapping[str, str] = field(default_factory=dict)
    focus: str = ""
    focus_by: str = "autofocus"


@dataclass(frozen=True)
class DecidePage(Page):
    """Questions about a text, to one endpoint."""

    template: ClassVar[str] = "decide.html"
    name: str
    form: DecideForm
    examples: Sequence[Example]
    snippets: Sequence[Snippet]


@dataclass(frozen=True)
class DecideFragment(Page):
    """What changes of it when it is sent."""

    template: ClassVar[str] = "decide_card.html"
    form: DecideForm
    examples: Sequence[Example]
    snippets: Sequence[Snippet]
