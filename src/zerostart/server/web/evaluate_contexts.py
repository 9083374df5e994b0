"""The contexts of the pages that evaluate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from markupsafe import Markup

from zerostart.server.web.batch_contexts import JobProgress
from zerostart.server.web.bucket_contexts import Preview
from zerostart.server.web.contexts import Choice
from zerostart.server.web.rendering import Page


@dataclass(frozen=True)
class EvaluationRow:
    """An evaluation in the list; `link` leads on, of a draft to its next step. Figures are shown as they are read."""

    id: str
    name: str
    status: str
    is_running: bool
    link: str
    who: str
    progress: JobProgress
    accuracy: str
    macro_f1: str
    created: str


@dataclass(frozen=True)
class EvaluatePage(Page):
    """The list, which follows what happens while something does. `missing` is what has to be installed first."""

    template: ClassVar[str] = "evaluate.html"
    rows: Sequence[EvaluationRow]
    follows: bool
    missing: str
    has_example: bool


@dataclass(frozen=True)
class NewEvaluationPage(Page):
    """The first step: the file. `who` is carried on."""

    template: ClassVar[str] = "new_evaluation.html"
    who: str
    most_bytes: int
    most: str
    has_example: bool
    missing: str
    error: str | None = None


@dataclass(frozen=True)
class LabelField:
    """A label of the file, how many rows have it, and what is typed as its description."""

    number: int
    name: str
    count: str
    wording: str


@dataclass(frozen=True)
class EvaluationForm:
    """What the second step's form was sent with, or is filled with."""

    who: str
    text_column: str = ""
    label_column: str = ""
    separator: str = ""
    multi_label: bool = False
    descriptions: Mapping[str, str] = field(default_factory=dict)
    more_labels: str = ""
    template: str = ""
    scorer: str = ""
    limit: str = ""
    tunes: bool = False
    templates: str = ""
    wordings: str = ""
    precision: str = ""
    accuracy: str = ""
    other: str = ""
    other_template: str = ""


@dataclass(frozen=True)
class SetUpEvaluationPage(Page):
    """The second step: which column is what, who answers, the labels, tuning.

    `problems` says of fields what is wrong, `error` of the whole, `look_problem` of the columns. `label_fields` is
    empty where the labels are too many to be described here.
    """

    template: ClassVar[str] = "set_up_evaluation.html"
    id: str
    name: str
    preview: Preview
    counts: str
    columns: Sequence[Choice]
    answerers: Sequence[Choice]
    scorers: Sequence[Choice]
    templates: Sequence[str]
    label_fields: Sequence[LabelField]
    label_count: int
    several: bool
    look_problem: str
    form: EvaluationForm
    error: str | None = None
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TriedRow:
    """A row that was tried: its right labels, and the answers with their scores."""

    text: str
    right: Sequence[str]
    answers: Sequence[tuple[str, str]]
    is_right: bool


@dataclass(frozen=True)
class TriedEvaluationPage(Page):
    """The last step: what will be asked, the first rows, the time, and Run. `fields` are the form's, carried on."""

    template: ClassVar[str] = "tried_evaluation.html"
    id: str
    name: str
    fields: Mapping[str, str]
    facts: Mapping[str, str]
    tiles: Mapping[str, str]
    tried: Sequence[TriedRow]
    notes: Sequence[str]
    notice: str | None = None


@dataclass(frozen=True)
class EvaluationPage(Page):
    """An evaluation: how far it is, or why it ended, or its report. Links are empty where nothing is led to."""

    template: ClassVar[str] = "evaluation.html"
    row: EvaluationRow
    reason: str
    facts: Mapping[str, str]
    report: Markup
    profile_link: str
    deploy_link: str
    classify_command: str
    deploy_command: str


@dataclass(frozen=True)
class DeleteEvaluationPage(Page):
    """Asks before an evaluation is deleted."""

    template: ClassVar[str] = "delete_evaluation.html"
    id: str
    name: str
    has_report: bool
    has_profile: bool
    is_running: bool
