"""How right answers to questions are (the Decisions API's forms), by kind of task: the built-in model, in process.

Questions as plain wording puts them, and as the rules of `zerostart.nli.wording` do, on three sets: the half that the
rules were made with (dev), the half that was held out, and fresh questions by an author who had not seen the rules.
Nothing is tuned on the last two. Beside them the most frequent place of the answer, and words in common.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from zerostart.bootstrap.classifier import build_bulk_classifier
from zerostart.errors import ZerostartError
from zerostart.models.local_artefacts import BUILTIN_MODEL_ID
from zerostart.nli.classification import ClassificationRequest, ScorerName
from zerostart.nli.labels import CandidateLabel
from zerostart.nli.question import Option, Question, QuestionKind
from zerostart.nli.template import HypothesisTemplate
from zerostart.nli.wording import hypotheses
from zerostart.serving.questions import SCORERS
from zerostart.settings import load_settings

_FILE = Path(__file__).with_name("decisions.jsonl")
_RESAMPLES = 1000
_OPTIONS = {"choice": ("choices", "value"), "score": ("levels", "label")}
_SETS = ("dev", "held_out", "fresh")
_KINDS = ("choice", "predicate", "score")
Wording = Callable[[Question], tuple[str, ...]]
Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A text and what is right: the place of the option, or of a predicate 0 for true and 1 for false."""

    half: str
    task: str
    number: int
    question: Question
    text: str
    right: int

    @property
    def options(self) -> int:
        """How many answers there are."""
        return len(self.question.options) or 2


Answered = tuple[Case, Probabilities]


def decisions() -> dict[str, Any]:
    """Accuracy of each way to answer, by set, kind and task: `[figure, low, high]`, resampled by question."""
    cases = _read()
    answers = {"majority": _majority(cases), "words in common": _words_in_common(cases)}
    wordings: dict[str, Wording] = {"plain": _plainly, "rules": hypotheses}
    scorers: dict[str, ScorerName | None] = {"": None, ", scorer=nli": "nli"}
    for wording, worded in wordings.items():
        for scorer, value in scorers.items():
            answers[f"{wording}{scorer}"] = _asked(cases, worded, value)
    figures = {half: {way: _figures(_of(half, cases, own)) for way, own in answers.items()} for half in _SETS}
    return {
        "cases": _counts(cases),
        **figures,
        "rules against plain": _gains(cases, answers["rules"], answers["plain"]),
    }


def _of(half: str, cases: Sequence[Case], answers: Sequence[Probabilities]) -> list[Answered]:
    return [(case, answer) for case, answer in zip(cases, answers, strict=True) if case.half == half]


def _read() -> list[Case]:
    found = []
    for number, line in enumerate(_FILE.read_text("utf-8").splitlines()):
        row = json.loads(line)
        question, values = _question(row["question"])
        for case in row["cases"]:
            right = next(i for i, v in enumerate(values) if v == case["answer"] and type(v) is type(case["answer"]))
            found.append(Case(row["half"], row["task"], number, question, case["input"], right))
    return found


def _question(asked: dict[str, Any]) -> tuple[Question, list[Any]]:
    """A question of the Decisions API, and the values that its answer may have."""
    kind: QuestionKind = asked["type"]
    if kind == "predicate":
        return Question(kind, asked["instructions"]), [True, False]
    listed, key = _OPTIONS[kind]
    values = [each[key] for each in asked[listed]]
    names = [str(v).lower() if isinstance(v, bool) else v for v in values]
    described = [each.get("description") for each in asked[listed]]
    options = tuple(Option(name, text) for name, text in zip(names, described, strict=True))
    return Question(kind, asked["instructions"], options), values


def _plainly(question: Question) -> tuple[str, ...]:
    """The wording of zero-shot classification: the statement as it is, options in the default template."""
    if question.kind == "predicate":
        return (question.instructions,)
    return tuple(HypothesisTemplate().fill(option.description or option.name) for option in question.options)


def _asked(cases: Sequence[Case], wording: Wording, scorer: ScorerName | None) -> list[Probabilities]:
    """The model's probability of each answer, of each case."""
    requests = [_request(case, wording(case.question), scorer) for case in cases]
    classifier = build_bulk_classifier(load_settings(), BUILTIN_MODEL_ID)
    found = []
    for case, answer in zip(cases, classifier.classify_each(requests), strict=True):
        if isinstance(answer, ZerostartError):
            raise answer
        by_place = dict(zip(answer[0].labels, answer[0].scores, strict=True))
        own = [by_place[str(place)] for place in range(len(by_place))]
        found.append(np.array([own[0], 1 - own[0]] if case.question.kind == "predicate" else own))
    classifier.close()
    return found


def _request(case: Case, worded: Sequence[str], scorer: ScorerName | None) -> ClassificationRequest:
    labels = tuple(CandidateLabel(str(place), hypothesis) for place, hypothesis in enumerate(worded))
    multi_label = case.question.kind == "predicate"
    scorer = scorer or SCORERS[case.question.kind]
    return ClassificationRequest((case.text,), (labels,), HypothesisTemplate("{}"), multi_label, scorer=scorer)


def _majority(cases: Sequence[Case]) -> list[Probabilities]:
    """The place that is right most often in the dev half, of questions of the kind with as many options, or of all."""
    return [_one(_most_frequent(cases, case), case.options) for case in cases]


def _most_frequent(cases: Sequence[Case], case: Case) -> int:
    same_kind = [each for each in cases if each.half == "dev" and each.question.kind == case.question.kind]
    as_many = [each.right for each in same_kind if each.options == case.options]
    return int(np.bincount(as_many or [each.right for each in same_kind if each.right < case.options]).argmax())


def _words_in_common(cases: Sequence[Case]) -> list[Probabilities]:
    """TF-IDF cosine of the text and what was written of an option; of a predicate, over a threshold set on dev."""
    asked = [_written(case.question) for case in cases]
    model = TfidfVectorizer(stop_words="english", sublinear_tf=True)
    model.fit([*{case.text for case in cases}, *{text for own in asked for text in own}])
    cosines = [
        np.asarray((model.transform([case.text]) @ model.transform(own).T).todense())[0]
        for case, own in zip(cases, asked, strict=True)
    ]
    dev = [
        (float(own[0]), case.right == 0)
        for case, own in zip(cases, cosines, strict=True)
        if case.half == "dev" and case.question.kind == "predicate"
    ]
    threshold = max(
        sorted({value for value, _ in dev}), key=lambda at: sum((value >= at) == true for value, true in dev)
    )
    found = []
    for case, own in zip(cases, cosines, strict=True):
        if case.question.kind == "predicate":
            found.append(_one(0 if own[0] >= threshold else 1, 2))
        else:
            found.append(_one(int(own.argmax()) if own.any() else _most_frequent(cases, case), case.options))
    return found


def _written(question: Question) -> list[str]:
    if question.kind == "predicate":
        return [question.instructions]
    return [f"{option.name.replace('_', ' ')} {option.description or ''}" for option in question.options]


def _one(place: int, options: int) -> Probabilities:
    found: Probabilities = np.eye(options)[place]
    return found


def _figures(answered: list[Answered]) -> dict[str, Any]:
    groups = {"all": answered}
    for case, answer in answered:
        for name in (case.question.kind, case.task):
            groups.setdefault(name, []).append((case, answer))
    found = {name: _interval(own, _is_right) for name, own in groups.items()}
    return {**found, "levels off (mean)": _interval(groups["score"], _levels_off)}


def _is_right(case: Case, answer: Probabilities) -> float:
    return float(answer.argmax() == case.right)


def _levels_off(case: Case, answer: Probabilities) -> float:
    """How far the expected level is from the right one."""
    return abs(float(answer @ np.arange(case.options)) - case.right)


def _interval(answered: Sequence[Answered], value: Callable[[Case, Probabilities], float]) -> list[float]:
    return _resampled([case.number for case, _ in answered], [value(*each) for each in answered])


def _resampled(numbers: Sequence[int], values: Sequence[float]) -> list[float]:
    """The mean, and the 2.5 and 97.5 % points of its bootstrap; texts of one question are drawn together."""
    questions = sorted(set(numbers))
    sums, counts = np.zeros(len(questions)), np.zeros(len(questions))
    np.add.at(sums, np.searchsorted(questions, numbers), values)
    np.add.at(counts, np.searchsorted(questions, numbers), 1)
    drawn = np.random.default_rng(0).integers(0, len(questions), (_RESAMPLES, len(questions)))
    low, high = np.quantile(sums[drawn].sum(1) / counts[drawn].sum(1), [0.025, 0.975])
    return [round(float(figure), 3) for figure in (sums.sum() / counts.sum(), low, high)]


def _gains(cases: Sequence[Case], ours: Sequence[Probabilities], theirs: Sequence[Probabilities]) -> dict[str, Any]:
    """How much more often the first is right, by set and kind."""
    found = {}
    for half in _SETS:
        rows = [(c, _is_right(c, a) - _is_right(c, b)) for c, a, b in zip(cases, ours, theirs, strict=True)]
        own = [(c, gain) for c, gain in rows if c.half == half]
        kinds = {kind: [(c, gain) for c, gain in own if c.question.kind == kind] for kind in _KINDS}
        found[half] = {
            name: _resampled([c.number for c, _ in group], [gain for _, gain in group])
            for name, group in {"all": own, **kinds}.items()
        }
    return found


def _counts(cases: Sequence[Case]) -> dict[str, Any]:
    return {
        half: {
            "questions": len({case.number for case in cases if case.half == half}),
            "all": sum(case.half == half for case in cases),
            **{task: sum(c.half == half and c.task == task for c in cases) for task in sorted({c.task for c in cases})},
        }
        for half in _SETS
    }
