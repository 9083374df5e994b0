"""Questions about a text: a choice of options, how likely a statement is true of it, a place on a scale."""

from dataclasses import dataclass
from typing import Literal

QuestionKind = Literal["choice", "predicate", "score"]


@dataclass(frozen=True)
class Option:
    """A choice or a level as it is answered, and what it means where that was described.

    A `boolean` is the choice true or false, which is another one than the string of that name.
    """

    name: str
    description: str | None = None
    boolean: bool = False

    @property
    def value(self) -> str | bool:
        """The choice as the caller wrote it."""
        return self.name == "true" if self.boolean else self.name

    @property
    def rank(self) -> tuple[str, bool, str]:
        """What options are put in order by where the caller's order must not count."""
        return self.name, self.boolean, self.description or ""


@dataclass(frozen=True)
class Question:
    """What is asked of a text. `options` are the choices, or the levels in order; a predicate has none.

    `instructions` of a predicate are the statement, or the question that it answers; they may be empty where the
    options speak for themselves.
    """

    kind: QuestionKind
    instructions: str
    options: tuple[Option, ...] = ()

    @property
    def pairs(self) -> int:
        """How many pairs of the text and a hypothesis it makes, before windows."""
        return max(1, len(self.options))


@dataclass(frozen=True)
class Answer:
    """What a model says to `question`.

    `probabilities` has one number in [0, 1] for each option, in their order, and they sum to 1; of a predicate it has
    one, how likely the statement is true.
    """

    question: Question
    probabilities: tuple[float, ...]

    @property
    def likeliest(self) -> Option:
        """The option of the highest probability; of equal ones the first by name, whatever order they were given in."""
        both = zip(self.question.options, self.probabilities, strict=True)
        return min(both, key=lambda each: (-each[1], each[0].rank))[0]

    @property
    def confidence(self) -> float:
        """How far the likeliest option is ahead of the second, 0 to 1: the difference of their probabilities.

        It is 0 where two are equally likely and 1 where one is certain. Where a profile calibrated the probabilities,
        it is calibrated as they are.
        """
        first, *others = sorted(self.probabilities, reverse=True)
        return first - others[0] if others else first

    @property
    def expected_level(self) -> float:
        """The mean of the levels' positions, from 0, each as often as it is likely."""
        return sum(place * probability for place, probability in enumerate(self.probabilities))
