"""Weights rounded to integers, with one scale for each group of neighbours."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]


@dataclass(frozen=True)
class Integers:
    """Integers of so many `bits`, and how many neighbours have a scale together."""

    bits: int
    group: int


INT8 = Integers(8, 64)
INT4 = Integers(4, 32)


def rounded(values: Values, form: Integers, *, axis: int) -> tuple[Values, Values]:
    """Scales, which fp16 holds exactly, and integers of a matrix, in groups along `axis`.

    The scales have the shape of `values` with one place along `axis` for each group. The largest number of a group is
    at the lower end of the range, whatever its sign is, so that all of the range is used.
    """
    rows, columns = values.shape
    shape = (rows // form.group, form.group, columns) if axis == 0 else (rows, columns // form.group, form.group)
    within = axis + 1
    groups = values.reshape(shape)
    largest = np.take_along_axis(groups, np.abs(groups).argmax(axis=within, keepdims=True), axis=within)
    least = -(2 ** (form.bits - 1))
    scales = (largest / least).astype(np.float16).astype(np.float32)
    scales[scales == 0] = np.finfo(np.float16).smallest_subnormal
    integers = np.round(groups / scales).clip(least, -least - 1)
    return scales.squeeze(within), integers.reshape(values.shape)
