"""A profile: how the user's own labels are best asked and answered by a model, as it was measured on their texts.

It words the hypotheses, corrects labels whose scores are always high, brings scores to probabilities, and says below
which score an answer is not to be relied on. Pure numpy; a profile is a JSON document of which `format` is 1.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from zerostart.errors import InvalidInput, shortened
from zerostart.nli.classification import Classification, ClassificationRequest, ScorerName
from zerostart.nli.hybrid import scorer_choice
from zerostart.nli.labels import CandidateLabel, CandidateLabels, check_text, describe
from zerostart.nli.scoring import Scores, ranking
from zerostart.nli.shortlist import needs_ranking
from zerostart.nli.template import DEFAULT_HYPOTHESIS_TEMPLATE, HypothesisTemplate

FORMAT = 1
LARGEST_PROFILE_BYTES = 1024 * 1024
# A threshold that no score reaches: what this label wants, it never has.
NEVER = 2.0
_LEAST = 1e-12
_LARGEST_POWER = 700.0
_KEYS = {
    *("format", "labels", "hypothesis_template", "multi_label", "scorer", "temperature", "unsure_below"),
    *("model_id", "model_revision", "figures"),
}
_LABEL_KEYS = {"wording", "correction", "threshold"}


@dataclass(frozen=True)
class ProfileLabel:
    """A label of the user's, the wording that goes into the hypothesis, and what is done with its score.

    `correction` is added to the logarithm of a single-label score, or to the log-odds of a multi-label one. A label is
    relied on from `threshold` on; None is always, and over 1 is never.
    """

    name: str
    wording: str
    correction: float = 0.0
    threshold: float | None = None


@dataclass(frozen=True)
class Profile:
    """What was tuned. `model_id` and `model_revision` are the model it was tuned with, None where that is not known.

    A single-label answer whose top score is under `unsure_below`, or under its label's threshold, is unsure. `figures`
    are what was measured of it, for people.
    """

    labels: tuple[ProfileLabel, ...]
    template: HypothesisTemplate = field(default_factory=HypothesisTemplate)
    multi_label: bool = False
    scorer: ScorerName | None = None
    temperature: float = 1.0
    unsure_below: float | None = None
    model_id: str | None = None
    model_revision: str | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def candidate_labels(self) -> CandidateLabels:
        """The labels as a request names them that leaves their wordings to the profile."""
        return tuple(CandidateLabel(label.name, label.name) for label in self.labels)

    def is_about(self, labels: CandidateLabels) -> bool:
        """Whether these are the profile's labels, in any order, and state no wording of their own."""
        known = {label.name: label.wording for label in self.labels}
        return len(labels) == len(known) and all(
            label.name in known and label.description in {label.name, known[label.name]} for label in labels
        )

    def asked(self, request: ClassificationRequest) -> ClassificationRequest | None:
        """The request in the profile's words; None for one that the profile is not for.

        That is one with other labels, in the other mode, with a template, wording or scorer of its own, or of which
        not every label is scored.
        """
        default = {DEFAULT_HYPOTHESIS_TEMPLATE, self.template.text}
        if request.multi_label != self.multi_label or request.template.text not in default:
            return None
        if request.scorer not in {None, self.scorer} or needs_ranking(request):
            return None
        worded: dict[CandidateLabels, CandidateLabels] = {}
        for labels in request.labels:
            if labels not in worded:
                if not self.is_about(labels):
                    return None
                worded[labels] = self._worded(labels)
        own = tuple(worded[labels] for labels in request.labels)
        return replace(request, labels=own, template=self.template, scorer=self.scorer)

    def answered(self, scored: Classification) -> Classification:
        """The answer to a request that `asked` worded: scores put right, labels in their order, and what of it holds.

        Single-label answers say whether they are `unsure`, multi-label ones which labels are `chosen`.
        """
        place = {label.name: number for number, label in enumerate(self.labels)}
        own = [self.labels[place[name]] for name in scored.labels]
        scores = self.adjusted(np.array(scored.scores), np.array([label.correction for label in own]))
        order = ranking(scores)
        names = tuple(own[i].name for i in order)
        ranked = replace(scored, labels=names, scores=tuple(float(scores[i]) for i in order))
        holds = [float(scores[i]) >= (own[i].threshold or 0.0) for i in order]
        if self.multi_label:
            chosen = [scores[i] >= (0.5 if own[i].threshold is None else own[i].threshold) for i in order]
            return replace(ranked, chosen=tuple(name for name, is_it in zip(names, chosen, strict=True) if is_it))
        return replace(ranked, unsure=not holds[0] or ranked.scores[0] < (self.unsure_below or 0.0))

    def adjusted(self, scores: Scores, corrections: Scores | None = None) -> Scores:
        """Corrected scores at the profile's temperature, of scores of shape (..., labels) in the order of `labels`."""
        if corrections is None:
            corrections = np.array([label.correction for label in self.labels])
        return adjusted(scores, corrections, self.temperature, multi_label=self.multi_label)

    def check_model(self, model_id: str) -> None:
        """Raise InvalidInput if the profile was tuned with another model."""
        if self.model_id not in {None, model_id}:
            raise InvalidInput(
                f"The profile was tuned with {self.model_id}, and says nothing of {model_id}: use it with that model, "
                "or tune one for this model: zerostart evaluate FILE --save-profile PROFILE"
            )

    def document(self, *, figures: bool = True) -> dict[str, Any]:
        """The profile as JSON; without figures it is short, and answers the same."""
        return {
            "format": FORMAT,
            "model_id": self.model_id,
            "model_revision": self.model_revision,
            "hypothesis_template": self.template.text,
            "multi_label": self.multi_label,
            "scorer": self.scorer,
            "labels": {label.name: _label_document(label) for label in self.labels},
            "temperature": self.temperature,
            "unsure_below": self.unsure_below,
            **({"figures": dict(self.figures)} if figures and self.figures else {}),
        }

    def compact(self) -> str:
        """The shortest JSON of it."""
        kept = {key: value for key, value in self.document(figures=False).items() if value is not None}
        return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))

    def _worded(self, labels: CandidateLabels) -> CandidateLabels:
        wordings = {label.name: label.wording for label in self.labels}
        return tuple(CandidateLabel(label.name, wordings[label.name]) for label in labels)


def adjusted(scores: Scores, corrections: Scores, temperature: float, *, multi_label: bool) -> Scores:
    """Scores whose logarithms (in multi-label: log-odds) were corrected and divided by the temperature."""
    logs = np.log(np.maximum(scores, _LEAST))
    if multi_label:
        odds = logs - np.log(np.maximum(1 - scores, _LEAST))
        powers = np.clip(-(odds + corrections) / temperature, -_LARGEST_POWER, _LARGEST_POWER)
        return np.asarray(1 / (1 + np.exp(powers)), dtype=np.float64)
    powers = (logs + corrections) / temperature
    weights = np.exp(powers - powers.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True), dtype=np.float64)


def parse_profile(content: bytes | str, source: str = "The profile") -> Profile:
    """The profile in a JSON document. Raises InvalidInput naming `source`, the key, the value and the remedy."""
    if len(content) > LARGEST_PROFILE_BYTES:
        raise InvalidInput(f"{source} has over {LARGEST_PROFILE_BYTES} bytes, which no profile has.")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{source} is not JSON ({error}): zerostart evaluate --save-profile writes one.") from error
    try:
        return _profile(document)
    except InvalidInput as error:
        raise InvalidInput(f"{source} is not a profile: {error}") from error


def read_profile(path: Path) -> Profile:
    """The profile in a file. Raises InvalidInput."""
    try:
        return parse_profile(path.read_bytes(), str(path))
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error


def _profile(document: Any) -> Profile:
    if not isinstance(document, Mapping):
        raise InvalidInput(f"it is {describe(document)}, not an object.")
    if document.get("format") != FORMAT:
        raise InvalidInput(f"'format' is {describe(document.get('format'))}; this version reads {FORMAT}.")
    _refuse_unknown(document, _KEYS, "")
    labels, multi_label = document.get("labels"), document.get("multi_label", False)
    if not isinstance(multi_label, bool):
        raise InvalidInput(f"'multi_label' is {describe(multi_label)}: write true or false.")
    if not isinstance(labels, Mapping) or len(labels) < (1 if multi_label else 2):
        raise InvalidInput("'labels' must be an object of two labels or more.")
    template = document.get("hypothesis_template", DEFAULT_HYPOTHESIS_TEMPLATE)
    temperature = _number(document, "temperature", 1.0)
    if temperature is None or temperature <= 0:
        raise InvalidInput("'temperature' must be over 0.")
    figures = document.get("figures", {})
    if not isinstance(figures, Mapping):
        raise InvalidInput(f"'figures' is {describe(figures)}: write an object.")
    return Profile(
        labels=tuple(_label(name, each) for name, each in labels.items()),
        template=HypothesisTemplate(check_text(template, "hypothesis_template", what="template")),
        multi_label=multi_label,
        scorer=scorer_choice(document.get("scorer"), "scorer"),
        temperature=temperature,
        unsure_below=_number(document, "unsure_below", None),
        model_id=_optional_text(document, "model_id"),
        model_revision=_optional_text(document, "model_revision"),
        figures=figures,
    )


def _label(name: Any, document: Any) -> ProfileLabel:
    key = f"labels[{shortened(name)}]"
    if not isinstance(document, Mapping):
        raise InvalidInput(f"'{key}' is {describe(document)}: write an object, which may be empty.")
    _refuse_unknown(document, _LABEL_KEYS, f"{key}.")
    wording = check_text(document.get("wording", name), f"{key}.wording", what="wording")
    correction = _number(document, "correction", 0.0, f"{key}.")
    threshold = _number(document, "threshold", None, f"{key}.")
    return ProfileLabel(check_text(name, key, what="label"), wording, correction or 0.0, threshold)


def _label_document(label: ProfileLabel) -> dict[str, Any]:
    """What differs from the label's own name, no correction and no threshold."""
    return {
        **({"wording": label.wording} if label.wording != label.name else {}),
        **({"correction": label.correction} if label.correction else {}),
        **({"threshold": label.threshold} if label.threshold is not None else {}),
    }


def _refuse_unknown(document: Mapping[str, Any], known: set[str], prefix: str) -> None:
    for key in document:
        if key not in known:
            raise InvalidInput(f"unknown key {shortened(prefix + key)}: known are {', '.join(sorted(known))}.")


def _number(document: Mapping[str, Any], key: str, default: float | None, prefix: str = "") -> float | None:
    value = document.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or abs(value) > 1e6:
        raise InvalidInput(f"'{prefix}{key}' is {describe(value)}: write a number.")
    return float(value)


def _optional_text(document: Mapping[str, Any], key: str) -> str | None:
    value = document.get(key)
    return None if value is None else check_text(value, key)
