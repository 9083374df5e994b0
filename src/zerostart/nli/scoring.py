"""From logits to scores (Yin et al. 2019, https://arxiv.org/abs/1909.00161, section 5). Pure numpy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerostart.errors import InvalidLogits
from zerostart.nli.head import NLIHead

Logits = NDArray[np.floating[Any]]
Scores = NDArray[np.float64]
# What sentence-transformers trains its models with (MultipleNegativesRankingLoss, scale=20).
_COSINE_SCALE = 20.0
# The cosine of a label that is as likely right as wrong.
_COSINE_EVEN = 0.3


def label_scores(logits: Logits, head: NLIHead, *, multi_label: bool) -> Scores:
    """Scores in [0, 1], shape (labels,), of logits of shape (labels, classes).

    Single-label: softmax of the entailment logits over the labels, so the scores sum to 1.
    Multi-label, and for one label alone: softmax of entailment against contradiction, each label by itself.
    Raises InvalidLogits where a logit is NaN or infinite.
    """
    values = np.asarray(logits, dtype=np.float64)
    if not np.isfinite(values).all():
        raise InvalidLogits(
            "The model answered NaN or infinity for this text: its weights or its precision are broken."
        )
    if multi_label or len(values) == 1:
        return _softmax(values[:, [head.entailment, head.contradiction]], axis=1)[:, 0]
    return _softmax(values[:, head.entailment], axis=0)


def similarity_scores(cosines: Scores, *, multi_label: bool) -> Scores:
    """Scores in [0, 1], shape (labels,), of cosines of a text's embedding and its labels'.

    Single-label: softmax of the scaled cosines, so the scores sum to 1. Multi-label, and for one label alone: a sigmoid
    for each label by itself. Raises InvalidLogits where one is NaN.
    """
    if not np.isfinite(cosines).all():
        raise InvalidLogits("The model answered NaN for this text: its weights or its precision are broken.")
    if multi_label or len(cosines) == 1:
        scores: Scores = 1 / (1 + np.exp(-_COSINE_SCALE * (cosines - _COSINE_EVEN)))
        return scores
    return _softmax(_COSINE_SCALE * cosines, axis=0)


def best_windows(
    logits: Logits, window_of: NDArray[np.intp], labels: int, head: NLIHead, *, multi_label: bool
) -> Logits:
    """The row of each label's best window, shape (labels, classes).

    `logits` has shape (windows x labels, classes), and `window_of` the label of each row. The best window of a label is
    the one in which it is entailed most: by its entailment logit, or in multi-label by the margin over contradiction.
    """
    margin = logits[:, head.entailment].astype(np.float64)
    if multi_label or labels == 1:
        margin = margin - logits[:, head.contradiction]
    rows = [np.flatnonzero(window_of == label) for label in range(labels)]
    return logits[[own[np.argmax(margin[own])] for own in rows]]


def ranking(scores: Scores) -> NDArray[np.intp]:
    """Positions of the labels, highest score first, ties in the order given."""
    return np.argsort(-scores, kind="stable")


def _softmax(values: Scores, axis: int) -> Scores:
    powers = np.exp(values - values.max(axis=axis, keepdims=True))
    result: Scores = powers / powers.sum(axis=axis, keepdims=True)
    return result
