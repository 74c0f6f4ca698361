"""Columns of numbers and of truth values, and the features that each becomes; ``levels`` has the other kinds.

Each kind learns from the cells of the training rows and then writes the features of any cells into a block of the
design matrix, which is zero beforehand.  A kind is a frozen dataclass of plain values, so that it survives JSON.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

LARGEST = 1e300
SMALLEST_DEVIATION = 1e-290
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


class Feature(NamedTuple):
    """One column of the design matrix.

    ``value = (cell - mean) / scale`` for a number; all other features are 0 or 1, with scale 1 and with their
    share in the training rows as `mean`, which is not subtracted.
    """

    name: str
    column: str
    kind: str
    mean: float
    scale: float


class BadCellError(Exception):
    """A cell that cannot be encoded: its index and what is wrong, a phrase that goes on after "column x, row 3"."""

    def __init__(self, index: int, wrong: str):
        super().__init__(wrong)
        self.index = int(index)


@dataclass(frozen=True)
class Number:
    r"""A column of numbers: :math:`z = (x - \mu) / \sigma` with the training rows' mean and standard deviation.

    A missing value is written as the mean, z = 0; where training rows miss values, a second feature says which.
    ``scale`` is 0 for a column that is constant where it is present, which has no feature of its own.
    """

    name: str
    mean: float
    scale: float
    missing: float

    @classmethod
    def learn(cls, name: str, cells: pa.ChunkedArray) -> Number:
        """Mean and standard deviation in float64, in two passes, so that a large offset does no harm."""
        x = numbers(cells)
        present = x[~np.isnan(x)]
        missing = 1.0 - len(present) / len(x)
        if len(present) == 0:
            return cls(name, 0.0, 0.0, missing)
        mean, scale = mean_and_deviation(present)
        return cls(name, mean, scale, missing)

    @property
    def dropped(self) -> str | None:
        """Why the column itself is no feature, if so."""
        if self.missing == 1:
            return "no value"
        return "constant" if self.scale == 0 else None

    @property
    def told(self) -> str | None:
        """What a reader should know about it."""
        return None

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """The number, and whether it is missing."""
        number = (Feature(self.name, self.name, "number", self.mean, self.scale),) if self.scale else ()
        return number + missing_feature(self.name, self.missing)

    def write(self, cells: pa.ChunkedArray, out: NDArray[np.floating]) -> None:
        """Standardise the cells into `out`."""
        x = numbers(cells)
        unknown = np.isnan(x)
        if self.scale:
            peak = float(np.fmax.reduce(np.abs(x), initial=0.0))
            if (peak + abs(self.mean)) / self.scale > float(np.finfo(out.dtype).max) / 2:
                worst = int(np.nanargmax(np.abs(x)))
                raise BadCellError(worst, f"is {x[worst]:g}, too far from the training rows for {out.dtype}")
            x -= self.mean
            x /= self.scale
            x[unknown] = 0.0
            out[:, 0] = x
        if 0 < self.missing < 1:
            out[:, -1] = unknown


def missing_feature(name: str, share: float) -> tuple[Feature, ...]:
    """The feature that is 1 where a column has no value, if a share of the training rows has none."""
    return (Feature(f"{name} is missing", name, "missing", share, 1.0),) if 0 < share < 1 else ()


def mean_and_deviation(x: NDArray[np.float64]) -> tuple[float, float]:
    """The mean and the population standard deviation; the latter is 0 for equal values.

    NumPy's pairwise sums run in one fixed order; squares are taken of differences from the mean, so that a large
    offset does no harm, and are kept inside the range of floating-point numbers.

    >>> mean_and_deviation(np.array([1e9, 1e9 + 2]))
    (1000000001.0, 1.0)
    >>> mean_and_deviation(np.array([3e299, -3e299]))
    (0.0, 3e+299)
    """
    low, mean = float(x.min()), float(x.mean())
    shifted = x - mean
    spread = float(np.abs(shifted).max())
    deviation = spread and spread * math.sqrt(float(np.mean((shifted / spread) ** 2)))
    if low == x.max() or deviation < SMALLEST_DEVIATION:
        return low, 0.0
    return mean, deviation


def numbers(cells: pa.ChunkedArray) -> NDArray[np.float64]:
    """The cells as float64 that may be written to, NaN where missing; times of day and durations in seconds.

    >>> import pyarrow as pa
    >>> numbers(pa.chunked_array([["1", None]]))
    array([ 1., nan])
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind, factor = cells.type, 1.0
    if timed := pa.types.is_time(kind) or pa.types.is_duration(kind):
        factor = SECONDS[kind.unit]
        cells = cells.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    if is_text(kind):
        cells = _parsed(as_text(cells))
    elif pa.types.is_boolean(kind):
        cells = cells.cast(pa.uint8())
    elif not (pa.types.is_null(kind) or timed or is_number(kind)):
        raise BadCellError(0, f"is a {kind}: expected numbers, as in training")
    x = np.array(pc.cast(cells, pa.float64(), safe=False).to_numpy())
    if factor != 1.0:
        x *= factor
    too_large = np.abs(x) > LARGEST
    if too_large.any():
        first = int(too_large.argmax())
        wrong = (
            "is infinite" if np.isinf(x[first]) else f"is {x[first]:g}: magnitudes above {LARGEST:g} cannot be scaled"
        )
        raise BadCellError(first, wrong)
    return x


def is_number(kind: pa.DataType) -> bool:
    """Whether an Arrow type is one of integers, floating-point numbers or decimals."""
    import pyarrow as pa

    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def is_text(kind: pa.DataType) -> bool:
    """Whether an Arrow type is one of text or of categories."""
    import pyarrow as pa

    known = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_dictionary)
    return any(test(kind) for test in known)


def as_text(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Cells of any plain type as text.

    >>> import pyarrow as pa
    >>> as_text(pa.chunked_array([pa.array([7, 7]).dictionary_encode()])).to_pylist()
    ['7', '7']
    """
    import pyarrow as pa

    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    return cells.cast(pa.string())


def _parsed(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text that spells numbers, or the first cell that does not."""
    import pyarrow as pa

    try:
        return cells.cast(pa.float64())
    except pa.ArrowInvalid:
        values: list[float | None] = []
        for index, cell in enumerate(cells.to_pylist()):
            try:
                values.append(None if cell is None or not cell.strip() else float(cell))
            except ValueError:
                raise BadCellError(index, f'is "{cell[:40]}": expected a number, as in training') from None
        return pa.chunked_array([pa.array(values, pa.float64())])


@dataclass(frozen=True)
class Boolean:
    """A column of truth values: 1 for true, else 0; where training rows miss values, a feature says which."""

    name: str
    mean: float
    missing: float

    @classmethod
    def learn(cls, name: str, cells: pa.ChunkedArray) -> Boolean:
        """The shares of true and of missing cells."""
        x = _truths(cells)
        present = x[~np.isnan(x)]
        return cls(name, float(present.mean()) if len(present) else 0.0, 1.0 - len(present) / len(x))

    @property
    def dropped(self) -> str | None:
        """Why the column itself is no feature, if so."""
        if self.missing == 1:
            return "no value"
        return "constant" if self.mean in (0, 1) else None

    @property
    def told(self) -> str | None:
        """What a reader should know about it."""
        return None

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """Whether it is true, and whether it is missing."""
        truth = () if self.dropped else (Feature(self.name, self.name, "boolean", self.mean, 1.0),)
        return truth + missing_feature(self.name, self.missing)

    def write(self, cells: pa.ChunkedArray, out: NDArray[np.floating]) -> None:
        """Write 1 where the cells are true."""
        x = _truths(cells)
        if not self.dropped:
            out[:, 0] = x == 1
        if 0 < self.missing < 1:
            out[:, -1] = np.isnan(x)


def _truths(cells: pa.ChunkedArray) -> NDArray[np.float64]:
    import pyarrow as pa

    if is_text(cells.type):
        try:
            cells = as_text(cells).cast(pa.bool_())
        except pa.ArrowInvalid as error:
            raise BadCellError(0, f"holds text: expected true or false, as in training ({error})") from None
    x = numbers(cells)
    strange = (x != 0) & (x != 1) & ~np.isnan(x)
    if strange.any():
        first = int(strange.argmax())
        raise BadCellError(first, f"is {x[first]:g}: expected true or false, as in training")
    return x
