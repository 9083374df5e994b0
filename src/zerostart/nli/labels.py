"""Candidate labels: what callers write for them, brought to one form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zerostart.errors import InvalidInput, shortened

FORMS = 'a list of strings, a comma-separated string, or an object of label: description, as in ["travel", "cooking"]'


@dataclass(frozen=True)
class CandidateLabel:
    """A label as it is answered, and the wording that goes into the hypothesis."""

    name: str
    description: str


CandidateLabels = tuple[CandidateLabel, ...]


def parse_labels(value: Any, key: str = "candidate_labels") -> CandidateLabels:
    """The labels in `value`; raises InvalidInput naming `key`, the wrong value and the remedy."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, Mapping):
        labels = tuple(_label(name, text, f"{key}[{shortened(name)}]") for name, text in value.items())
    elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        labels = tuple(_label(name, name, f"{key}[{i}]") for i, name in enumerate(value))
    else:
        raise InvalidInput(f"'{key}' is {describe(value)}: send {FORMS}.")
    if not labels:
        raise InvalidInput(f"'{key}' is empty: send at least one label, as {FORMS}.")
    _refuse_duplicates(labels, key)
    return labels


def labels_per_text(value: Any, texts: int, key: str = "candidate_labels") -> tuple[CandidateLabels, ...]:
    """One tuple of labels for each of `texts` texts: the same for all, or a list with one set of labels a text."""
    own = isinstance(value, Sequence) and not isinstance(value, str | bytes) and len(value) > 0
    if not (own and all(isinstance(v, Mapping | Sequence) and not isinstance(v, str | bytes) for v in value)):
        return (parse_labels(value, key),) * texts
    if len(value) != texts:
        raise InvalidInput(
            f"'{key}' holds {len(value)} lists of labels for {texts} texts: "
            "send one list for all texts, or exactly one list for each."
        )
    return tuple(parse_labels(each, f"{key}[{i}]") for i, each in enumerate(value))


def describe(value: Any) -> str:
    """A value in a message: JSON's words for its type, and its start."""
    if value is None:
        return "null"
    kinds = {
        bool: "the boolean",
        int: "the number",
        float: "the number",
        str: "the string",
        list: "the list",
        dict: "the object",
    }
    return f"{kinds.get(type(value), type(value).__name__)} {shortened(value)}"


def check_text(value: Any, key: str, *, what: str = "text") -> str:
    """`value` if it is a text that can be classified: a string, not blank, valid Unicode."""
    if not isinstance(value, str):
        raise InvalidInput(f"'{key}' is {describe(value)}: send a string.")
    if not value.strip():
        raise InvalidInput(f"'{key}' is {shortened(value)}: send a {what} that is not blank.")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInput(
            f"'{key}' holds half of a surrogate pair at character {error.start}: send valid Unicode."
        ) from None
    return value


def _label(name: Any, description: Any, key: str) -> CandidateLabel:
    return CandidateLabel(check_text(name, key, what="label"), check_text(description, key, what="description"))


def _refuse_duplicates(labels: CandidateLabels, key: str) -> None:
    seen: set[str] = set()
    for label in labels:
        if label.name in seen:
            raise InvalidInput(f"'{key}' names {shortened(label.name)} twice: send each label once.")
        seen.add(label.name)
