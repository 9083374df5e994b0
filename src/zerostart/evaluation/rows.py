"""Texts with the labels that people gave them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from zerostart.nli.labels import CandidateLabels

Flags = NDArray[np.bool_]
Places = NDArray[np.intp]


@dataclass(frozen=True)
class LabelledRows:
    """Rows of a file. `numbers` are their places in it, from 1; `right`, shape (rows, labels), has the labels of each.

    In a single-label file each row has exactly one. `left_out` counts the rows that were not taken, by the reason.
    """

    texts: tuple[str, ...]
    numbers: tuple[int, ...]
    labels: CandidateLabels
    right: Flags
    multi_label: bool = False
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def names(self) -> list[str]:
        """The labels' names."""
        return [label.name for label in self.labels]

    @property
    def truth(self) -> Places:
        """The label of each row of a single-label file, by its place in `labels`."""
        return np.asarray(self.right.argmax(axis=1))

    def taken(self, places: Sequence[int] | Places) -> "LabelledRows":
        """The rows at these places, in this order."""
        texts = tuple(self.texts[place] for place in places)
        numbers = tuple(self.numbers[place] for place in places)
        return replace(self, texts=texts, numbers=numbers, right=self.right[list(places)])


def split(rows: LabelledRows, most: int) -> tuple[Places, Places]:
    """Places to tune on, half of the rows and at most `most`, and places to report on; by a fixed seed.

    Each label has the same share in both: rows are dealt by their label, in multi-label files by their rarest one.
    """
    generator = np.random.default_rng(0)
    frequency = np.where(rows.right, rows.right.sum(axis=0), np.iinfo(np.int64).max)
    group = np.where(rows.right.any(axis=1), frequency.argmin(axis=1), rows.right.shape[1])
    order = generator.permutation(len(rows))
    order = order[np.argsort(group[order], kind="stable")]
    wanted = min(len(rows) // 2, most)
    steps = np.arange(len(rows))
    # Every so many rows of the order by labels, so that each label gives its share.
    is_tuned = (steps + 1) * wanted // len(rows) > steps * wanted // len(rows)
    return np.sort(order[is_tuned]), np.sort(order[~is_tuned])
