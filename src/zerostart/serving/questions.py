"""Questions about one text: the dialect that the server's Decisions API speaks with an instance.

    {"text": "...", "questions": [{"kind": "choice" | "predicate" | "score", "instructions": "...",
                                   "options": [{"name": "...", "description": "...", "boolean": false}]}]}
    {"model": "...", "answers": [{"probabilities": [0.7, 0.3]}], "input_tokens": 40}

A choice or a score is scored single-label over its options, a predicate by entailment against contradiction. The pairs
of all questions are submitted together, and share batches. An answer follows from the text and its own question alone,
to the bit: neither the order of the questions, nor that of a choice's options, nor other callers change it.

A choice whose options are the labels of the endpoint's profile, and are not described, is asked in the profile's words
and answered with its calibrated scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast, get_args

from zerostart.nli.classification import Classification, ClassificationRequest, ScorerName
from zerostart.nli.labels import CandidateLabel, CandidateLabels, describe
from zerostart.nli.profile import Profile
from zerostart.nli.question import Answer, Option, Question, QuestionKind
from zerostart.nli.template import HypothesisTemplate
from zerostart.nli.wording import hypotheses
from zerostart.serving.strict_json import InvalidMember, Members, Path, named, read_json, written_json

QUESTIONS = "application/vnd.zerostart.questions+json"
MAX_QUESTIONS = 400
MAX_OPTIONS = 255
_AS_IT_IS = HypothesisTemplate("{}")
# Whether an embedding has a say; None leaves it to the model.
SCORERS: dict[QuestionKind, ScorerName | None] = {"choice": None, "score": None, "predicate": "nli"}


@dataclass(frozen=True)
class _Part:
    """Questions that make one request, by their places, and for each the options in the order of its labels."""

    request: ClassificationRequest
    places: tuple[int, ...]
    orders: tuple[tuple[int, ...], ...]


class AskedQuestions:
    """Questions about one text as requests to the classifier, `requests`; and the answers of what came back."""

    def __init__(self, text: str, questions: Sequence[Question], profile: Profile | None = None) -> None:
        self.questions = tuple(questions)
        groups: dict[tuple[bool, ScorerName | None, bool], list[int]] = {}
        for place, question in enumerate(self.questions):
            if len(question.options) != 1:  # of one option alone there is nothing to ask
                predicate, profiled = question.kind == "predicate", _is_profiles(question, profile)
                groups.setdefault((predicate, SCORERS[question.kind], profiled), []).append(place)
        self._parts = [self._part(text, places, *group) for group, places in groups.items()]

    @property
    def requests(self) -> tuple[ClassificationRequest, ...]:
        """What to ask the classifier: at most one request for each way of scoring."""
        return tuple(part.request for part in self._parts)

    def answers(self, results: Sequence[Sequence[Classification]]) -> tuple[Answer, ...]:
        """One answer a question, in their order; `results` has the classifications of each request."""
        found: dict[int, tuple[float, ...]] = {}
        for part, classifications in zip(self._parts, results, strict=True):
            both = zip(part.places, part.orders, part.request.labels, classifications, strict=True)
            for place, order, labels, classification in both:
                scores = dict(zip(classification.labels, classification.scores, strict=True))
                by_option = dict(zip(order, (scores[label.name] for label in labels), strict=True))
                found[place] = tuple(by_option[option] for option in sorted(by_option))
        return tuple(Answer(question, found.get(place, (1.0,))) for place, question in enumerate(self.questions))

    def _part(self, text: str, places: list[int], predicate: bool, scorer: ScorerName | None, profiled: bool) -> _Part:
        orders = tuple(_order(self.questions[place]) for place in places)
        labels = tuple(
            _names(self.questions[place], order) if profiled else _worded(self.questions[place], order, place)
            for place, order in zip(places, orders, strict=True)
        )
        request = ClassificationRequest(
            texts=(text,) * len(places),
            labels=labels,
            template=HypothesisTemplate() if profiled else _AS_IT_IS,
            multi_label=predicate,
            long_text="windows",  # a text is read to its end, since an answer cannot say that it was not
            scorer=scorer,
            reproducible=True,
        )
        return _Part(request, tuple(places), orders)


def decode_questions(body: bytes, profile: Profile | None = None) -> AskedQuestions:
    """What is asked in `body`. Raises InvalidInput naming the member, the value and the remedy."""
    members = Members(read_json(body, "The body"))
    questions = [_question(each, path) for path, each in members.array("questions", 0, MAX_QUESTIONS)]
    text = members.text("text", blank=not questions)
    members.close()
    return AskedQuestions(text, questions, profile)


def encode_questions(text: str, questions: Sequence[Question]) -> bytes:
    """The body that asks them."""
    return written_json({"text": text, "questions": [_question_document(each) for each in questions]})


def encode_answers(model_id: str, answers: Sequence[Answer], input_tokens: int) -> bytes:
    """The body of the reply."""
    documents = [{"probabilities": list(each.probabilities)} for each in answers]
    return written_json({"model": model_id, "answers": documents, "input_tokens": input_tokens})


def decode_answers(body: bytes, questions: Sequence[Question]) -> tuple[str, tuple[Answer, ...], int]:
    """Of a reply the model's id, the answers to `questions`, and the tokens that were read."""
    document = read_json(body, "The reply")
    both = zip(questions, document["answers"], strict=True)
    answers = tuple(Answer(question, tuple(each["probabilities"])) for question, each in both)
    return document["model"], answers, document["input_tokens"]


def _order(question: Question) -> tuple[int, ...]:
    """The places of the options as they are asked: a choice's by name, since the caller's order must not count.

    Sums depend on the order of what is added, in the last digits.
    """
    places = range(question.pairs)
    if question.kind != "choice":
        return tuple(places)
    return tuple(sorted(places, key=lambda place: question.options[place].rank))


def _worded(question: Question, order: Sequence[int], place: int) -> CandidateLabels:
    """A label for each option, named by its place, so that an error tells which one it is."""
    if question.kind == "predicate":
        return (CandidateLabel(f"question {place + 1}", *hypotheses(question)),)
    asked = replace(question, options=tuple(question.options[each] for each in order))
    names = [f"option {each + 1} of question {place + 1}" for each in order]
    return tuple(CandidateLabel(*both) for both in zip(names, hypotheses(asked), strict=True))


def _names(question: Question, order: Sequence[int]) -> CandidateLabels:
    return tuple(CandidateLabel(question.options[each].name, question.options[each].name) for each in order)


def _is_profiles(question: Question, profile: Profile | None) -> bool:
    """Whether a question is answered by the endpoint's profile."""
    if profile is None or profile.multi_label or question.kind != "choice":
        return False
    if any(option.boolean for option in question.options):
        return False
    return profile.is_about(
        tuple(CandidateLabel(option.name, option.description or option.name) for option in question.options)
    )


def _question(value: Any, path: Path) -> Question:
    members = Members(value, path)
    kind = members.one_of("kind", get_args(QuestionKind))
    instructions = members.text("instructions", blank=kind != "predicate")
    given = [] if kind == "predicate" else members.array("options", 1, MAX_OPTIONS)
    members.close()
    options = tuple(_option(each, place) for place, each in given)
    if kind == "choice":
        refuse_repeated([option.value for option in options], (*path, "options"))
    return Question(cast("QuestionKind", kind), instructions, options)


def _option(value: Any, path: Path) -> Option:
    members = Members(value, path)
    name, description = members.text("name"), members.optional_text("description", blank=False)
    boolean = members.take("boolean", False)
    members.close()
    if not isinstance(boolean, bool) or (boolean and name not in {"true", "false"}):
        raise InvalidMember(
            (*path, "boolean"), f"{named((*path, 'boolean'))} is {describe(boolean)} of {describe(name)}: send false."
        )
    return Option(name, description, boolean)


def refuse_repeated(values: Sequence[str | bool], path: Path) -> None:
    """Raise InvalidMember for a value that is there twice; a string and a boolean are never the same."""
    seen: set[tuple[type, str | bool]] = set()
    for place, value in enumerate(values):
        if (type(value), value) in seen:
            raise InvalidMember(
                (*path, place),
                f"{named((*path, place))} is {describe(value)} again: send each choice once.",
                value=value,
            )
        seen.add((type(value), value))


def _question_document(question: Question) -> dict[str, Any]:
    options = [
        {
            "name": option.name,
            **({} if option.description is None else {"description": option.description}),
            **({"boolean": True} if option.boolean else {}),
        }
        for option in question.options
    ]
    asked = {"kind": question.kind, "instructions": question.instructions}
    return {**asked, "options": options} if options else asked
