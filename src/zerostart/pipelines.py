"""The Python call: Hugging Face's `pipeline("zero-shot-classification")`, in this process, without torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

from zerostart.bootstrap.classifier import build_classifier
from zerostart.errors import InvalidInput
from zerostart.models.local_artefacts import BUILTIN_MODEL_ID
from zerostart.nli.classification import ClassificationRequest, ScorerName
from zerostart.nli.hybrid import scorer_choice
from zerostart.nli.labels import CandidateLabels, check_text, describe, labels_per_text
from zerostart.nli.profile import Profile, read_profile
from zerostart.nli.shortlist import Shortlist, shortlist_choice
from zerostart.nli.template import DEFAULT_HYPOTHESIS_TEMPLATE, HypothesisTemplate
from zerostart.nli.windows import LongText
from zerostart.serving.classifier import Classifier
from zerostart.serving.payload import long_text_choice, result_document
from zerostart.settings import load_settings

TASK = "zero-shot-classification"
PAIRS_AT_A_TIME = 1024
Result = dict[str, Any]


class ZeroShotClassificationPipeline:
    """A loaded model. Call it with a text or texts and candidate labels; close it, or use it in `with`, to free it."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self,
        sequences: str,
        candidate_labels: Any = ...,
        *,
        hypothesis_template: str = ...,
        multi_label: bool | None = ...,
        long_text: LongText = ...,
        shortlist: Shortlist | None = ...,
        scorer: ScorerName | None = ...,
    ) -> Result: ...

    @overload
    def __call__(
        self,
        sequences: Sequence[str],
        candidate_labels: Any = ...,
        *,
        hypothesis_template: str = ...,
        multi_label: bool | None = ...,
        long_text: LongText = ...,
        shortlist: Shortlist | None = ...,
        scorer: ScorerName | None = ...,
    ) -> list[Result]: ...

    def __call__(
        self,
        sequences: str | Sequence[str],
        candidate_labels: Any = None,
        *,
        hypothesis_template: str = DEFAULT_HYPOTHESIS_TEMPLATE,
        multi_label: bool | None = None,
        long_text: LongText = "truncate",
        shortlist: Shortlist | None = None,
        scorer: ScorerName | None = None,
    ) -> Result | list[Result]:
        """`{"sequence", "labels", "scores"}`, highest score first; a list of them for a list of texts.

        `candidate_labels` is a list, a comma-separated string, a mapping of label to description, or a list with one of
        these for each text. With `shortlist`, a number or "auto", only so many labels of a text are scored, the best by
        an embedding. `scorer` is "nli", or "hybrid" where the model has weights for both; left out, it is what suits
        the model. `multi_label` left out is False, or what the profile was tuned for; with a profile the labels may be
        left out too. Raises InvalidInput.
        """
        single = isinstance(sequences, str)
        texts = [sequences] if isinstance(sequences, str) else list(sequences)
        if not texts:
            raise InvalidInput("'sequences' is an empty list: send at least one text.")
        for i, text in enumerate(texts):
            check_text(text, "sequences" if single else f"sequences[{i}]")
        if not isinstance(multi_label, bool | None):
            raise InvalidInput(f"'multi_label' is {describe(multi_label)}: send True or False.")
        long_text_choice(long_text, "long_text")
        shortlist_choice(shortlist, "shortlist")
        scorer_choice(scorer, "scorer")
        template = HypothesisTemplate(check_text(hypothesis_template, "hypothesis_template", what="template"))
        labels = self._labels(candidate_labels, len(texts))
        mode = self._mode(labels) if multi_label is None else multi_label
        request = ClassificationRequest(tuple(texts), labels, template, mode, long_text, shortlist, scorer)
        answers = self._classifier.classify_each(request.chunks(PAIRS_AT_A_TIME))
        results = [result_document(each) for own in answers for each in own]
        return results[0] if single else results

    def _labels(self, candidate_labels: Any, texts: int) -> tuple[CandidateLabels, ...]:
        profile = self._classifier.profile
        if candidate_labels is None and profile is not None:
            return (profile.candidate_labels,) * texts
        return labels_per_text(candidate_labels, texts)

    def _mode(self, labels: tuple[CandidateLabels, ...]) -> bool:
        profile = self._classifier.profile
        return profile is not None and profile.multi_label and all(map(profile.is_about, set(labels)))

    def close(self) -> None:
        """Stop the engine's threads and free the model."""
        self._classifier.close()

    def __enter__(self) -> "ZeroShotClassificationPipeline":
        """For `with`."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close."""
        self.close()


def pipeline(
    task: str = TASK,
    model: str = BUILTIN_MODEL_ID,
    *,
    profile: Profile | str | Path | None = None,
    **settings: Any,
) -> ZeroShotClassificationPipeline:
    """Load `model` in this process. `settings` are those of `zerostart.settings`, such as `engine` or `threads`.

    `profile` is the file that `zerostart evaluate --save-profile` wrote: requests about its labels are answered by it.
    Raises InvalidInput for another task or another model's profile, UnknownModel for a model that is not on this
    machine.
    """
    if task != TASK:
        raise InvalidInput(f"Task {task!r} is not known: Zerostart does {TASK!r}.")
    if isinstance(profile, str | Path):
        profile = read_profile(Path(profile))
    return ZeroShotClassificationPipeline(
        build_classifier(load_settings().with_values(**settings), model, profile=profile)
    )
