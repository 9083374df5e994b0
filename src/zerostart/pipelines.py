"""The Python call: Hugging Face's `pipeline("zero-shot-classification")`, in this process, without torch."""

from collections.abc import Sequence
from typing import Any, overload

from zerostart.bootstrap.classifier import build_classifier
from zerostart.errors import InvalidInput
from zerostart.models.local_artefacts import BUILTIN_MODEL_ID
from zerostart.nli.classification import ClassificationRequest, ScorerName
from zerostart.nli.hybrid import scorer_choice
from zerostart.nli.labels import check_text, describe, labels_per_text
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
    def __call__(
        self,
        sequences: str,
        candidate_labels: Any,
        *,
        hypothesis_template: str = ...,
        multi_label: bool = ...,
        long_text: LongText = ...,
        shortlist: Shortlist | None = ...,
        scorer: ScorerName | None = ...,
    ) -> Result: ...

    @overload
    def __call__(
        self,
        sequences: Sequence[str],
        candidate_labels: Any,
        *,
        hypothesis_template: str = ...,
        multi_label: bool = ...,
        long_text: LongText = ...,
        shortlist: Shortlist | None = ...,
        scorer: ScorerName | None = ...,
    ) -> list[Result]: ...

    def __call__(
        self,
        sequences: str | Sequence[str],
        candidate_labels: Any,
        *,
        hypothesis_template: str = DEFAULT_HYPOTHESIS_TEMPLATE,
        multi_label: bool = False,
        long_text: LongText = "truncate",
        shortlist: Shortlist | None = None,
        scorer: ScorerName | None = None,
    ) -> Result | list[Result]:
        """`{"sequence", "labels", "scores"}`, highest score first; a list of them for a list of texts.

        `candidate_labels` is a list, a comma-separated string, a mapping of label to description, or a list with one of
        these for each text. With `shortlist`, a number or "auto", only so many labels of a text are scored, the best by
        an embedding. `scorer` is "nli", or "hybrid" where the model has weights for both; left out, it is what suits
        the model. Raises InvalidInput.
        """
        single = isinstance(sequences, str)
        texts = [sequences] if isinstance(sequences, str) else list(sequences)
        if not texts:
            raise InvalidInput("'sequences' is an empty list: send at least one text.")
        for i, text in enumerate(texts):
            check_text(text, "sequences" if single else f"sequences[{i}]")
        if not isinstance(multi_label, bool):
            raise InvalidInput(f"'multi_label' is {describe(multi_label)}: send True or False.")
        long_text_choice(long_text, "long_text")
        shortlist_choice(shortlist, "shortlist")
        scorer_choice(scorer, "scorer")
        template = HypothesisTemplate(check_text(hypothesis_template, "hypothesis_template", what="template"))
        labels = labels_per_text(candidate_labels, len(texts))
        request = ClassificationRequest(tuple(texts), labels, template, multi_label, long_text, shortlist, scorer)
        answers = self._classifier.classify_each(request.chunks(PAIRS_AT_A_TIME))
        results = [result_document(each) for own in answers for each in own]
        return results[0] if single else results

    def close(self) -> None:
        """Stop the engine's threads and free the model."""
        self._classifier.close()

    def __enter__(self) -> "ZeroShotClassificationPipeline":
        """For `with`."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close."""
        self.close()


def pipeline(task: str = TASK, model: str = BUILTIN_MODEL_ID, **settings: Any) -> ZeroShotClassificationPipeline:
    """Load `model` in this process. `settings` are those of `zerostart.settings`, such as `engine` or `threads`.

    Raises InvalidInput for another task, UnknownModel for a model that is not on this machine.
    """
    if task != TASK:
        raise InvalidInput(f"Task {task!r} is not known: Zerostart does {TASK!r}.")
    return ZeroShotClassificationPipeline(build_classifier(load_settings().with_values(**settings), model))
