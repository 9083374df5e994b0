"""The NLI head: which column of the logits says what, found by the names of the model's classes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from zerostart.errors import InvalidArtefact


@dataclass(frozen=True)
class NLIHead:
    """Columns of the logits; `contradiction` is the class that entailment is weighed against in multi-label scoring."""

    classes: tuple[str, ...]
    entailment: int
    contradiction: int


def find_nli_head(classes: Sequence[str]) -> NLIHead:
    """The head of a model whose `id2label`, in order, is `classes`.

    Takes entailment / neutral / contradiction or entailment / not_entailment, in any order and case.
    Raises InvalidArtefact for any other head, saying what the classes are.
    """
    names = [re.sub(r"[\s_-]+", "_", name.strip().lower()) for name in classes]
    against = "not_entailment" if sorted(names) == ["entailment", "not_entailment"] else "contradiction"
    known = {"entailment", "neutral", against}
    if len(set(names)) != len(names) or not {"entailment", against} <= set(names) <= known:
        raise InvalidArtefact(
            f"This model cannot judge entailment: its classes are {', '.join(map(repr, classes)) or 'none'}. "
            "Zero-shot classification needs a model whose id2label is entailment, neutral and contradiction "
            "(or entailment and not_entailment), in any order. If the names were lost, put them into its config.json."
        )
    return NLIHead(tuple(classes), names.index("entailment"), names.index(against))
