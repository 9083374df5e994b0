"""What both forms of the Decisions API are read to, and the seam that each of them fills."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from zerostart.errors import NotFound
from zerostart.nli.question import Question
from zerostart.services.decision import Decisions


class UnknownAddress(NotFound):
    """Nothing is served at this address."""


@dataclass(frozen=True)
class AskedQuestion:
    """A question and the name that its answer bears; `question` is None where it cannot be answered: it is refused.

    `levels` are those of a score as the caller wrote them, where the answer repeats them.
    """

    name: str | None
    question: Question | None
    levels: tuple[Any, ...] = ()


@dataclass(frozen=True)
class DecisionRequest:
    """A model's or an endpoint's name, the text that a model reads of the input, and what is asked of it."""

    model: str
    text: str
    asked: tuple[AskedQuestion, ...]

    @property
    def questions(self) -> tuple[Question, ...]:
        """Those that can be answered."""
        return tuple(each.question for each in self.asked if each.question is not None)


@dataclass(frozen=True)
class Form:
    """How one dialect reads a request, writes the answers, and tells an error.

    `read` takes the parsed body and raises InvalidInput; `refuse` takes the error, its status and its message, and
    gives status and body. `request_id` is the header that its clients look for.
    """

    operation: str
    request_id: str
    read: Callable[[Any], DecisionRequest]
    write: Callable[[DecisionRequest, Decisions], Mapping[str, Any]]
    refuse: Callable[[Exception, int, str], tuple[int, Mapping[str, Any]]]
