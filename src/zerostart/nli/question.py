"""Questions about a text: a choice of options, how likely a statement is true of it, a place on a scale."""

from dataclasses import dataclass
from typing import Literal

QuestionKind = Literal["choice", "predicate", "score"]


@dataclass(frozen=True)
class Option:
    """A choice or a level as it is answered, and what it means where that was described."""

    name: str
    description: str | None = None


@dataclass(frozen=True)
class Question:
    """What is asked of a text. `options` are the choices, or the levels in order; a predicate has none.

    `instructions` of a predicate are the statement, or the question that it answers; they may be empty where the
    options speak for themselves.
    """

    kind: QuestionKind
    instructions: str
    options: tuple[Option, ...] = ()
