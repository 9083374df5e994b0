"""What a person asks to have evaluated, as it is kept and handed to the process that does it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from zerostart.errors import InvalidInput
from zerostart.evaluation.rows import LabelledRows
from zerostart.evaluation.scoring import Question
from zerostart.evaluation.tuning import Wishes
from zerostart.nli.hybrid import scorer_choice
from zerostart.nli.labels import parse_labels
from zerostart.nli.template import DEFAULT_HYPOTHESIS_TEMPLATE, HypothesisTemplate
from zerostart.services.labelled_file import LabelledFile

MODEL, ENDPOINT = "model", "endpoint"


@dataclass(frozen=True)
class EvaluationRequest:
    """`kind` (model or endpoint) and `name` say who answers. `labels` are names with descriptions; none: the file's.

    Where `other_kind` is given, another one is asked the same, with a template of its own, and both are compared. With
    `tunes`, what follows it is offered and wanted: further templates, wordings of labels, and a share of right
    answers, of each label (`precision`) or of all that are not unsure (`accuracy`).
    """

    file_name: str
    kind: str = MODEL
    name: str = ""
    text_column: str = ""
    label_column: str = ""
    separator: str = ""
    multi_label: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    template: str = DEFAULT_HYPOTHESIS_TEMPLATE
    scorer: str = ""
    limit: int | None = None
    tunes: bool = False
    templates: Sequence[str] = ()
    wordings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    precision: float | None = None
    accuracy: float | None = None
    other_kind: str = ""
    other_name: str = ""
    other_template: str = ""

    def document(self) -> dict[str, Any]:
        """The same as JSON."""
        return asdict(self)

    def file(self, content: bytes) -> LabelledFile:
        """The file, which has this content."""
        return LabelledFile(
            Path(self.file_name), self.text_column, self.label_column, self.separator, self.multi_label, content
        )

    def rows(self, content: bytes) -> LabelledRows:
        """The rows that are asked for. Raises InvalidInput, MissingExtra."""
        labels = parse_labels(dict(self.labels)) if self.labels else None
        rows = self.file(content).rows(labels, self.limit)
        if len(rows.labels) < 2 and not rows.multi_label:
            raise InvalidInput(
                f"There is one label alone, {rows.names[0]!r}, so every answer is right: name the others too."
            )
        return rows

    def question(self, rows: LabelledRows) -> Question:
        """What is asked of each text. Raises InvalidInput."""
        scorer = scorer_choice(self.scorer or None, "scorer")
        return Question(rows.labels, HypothesisTemplate(self.template), rows.multi_label, scorer)

    @property
    def compares(self) -> bool:
        """Whether two are asked."""
        return bool(self.other_kind)

    @property
    def other(self) -> "EvaluationRequest":
        """What the other one is asked."""
        return replace(self, kind=self.other_kind, name=self.other_name, template=self.other_template, other_kind="")

    @property
    def asks_endpoint(self) -> bool:
        """Whether an endpoint is asked, which is done over the network."""
        return ENDPOINT in {self.kind, self.other_kind}

    def wishes(self, rows: LabelledRows) -> Wishes | None:
        """What tuning is to try and to reach; None without. Raises InvalidInput."""
        if not self.tunes:
            return None
        if self.accuracy is not None and rows.multi_label:
            raise InvalidInput("Where a text may have several labels, a precision can be wanted, and no accuracy.")
        templates = tuple(HypothesisTemplate(each).text for each in self.templates)
        wordings = {name: tuple(own) for name, own in self.wordings.items()}
        return Wishes(templates, wordings, self.precision, self.accuracy)
