"""Columns of numbers and of truth values, and the features that each becomes; ``levels`` has the other kinds.

Each kind learns from the cells of the training rows and then writes the features of any cells down as pieces of
``design``.  A kind is a frozen dataclass of plain values, so that it survives JSON.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender.data.design import Marks, Piece, Values
from descender.data.spelling import spelt_numbers, spelt_times, spelt_truths

if TYPE_CHECKING:
    import pyarrow as pa

LARGEST = 1e300
EXACT = 2.0**53
"""Up to here float64 holds every whole number."""
SMALLEST_DEVIATION = 1e-290
LEAST_CELLS, FAR = 20, 100.0
"""Of as many cells or more one is odd that is as many times farther from the mean than the others are from another."""
COUNTERS = re.compile(r"index|idx|row|rows?_?(id|index|number|num|no|nr)|unnamed(: ?\d+)?|column\d+|no\.?|nr\.?|#|key|")
"""Names, in small letters, of columns that may do nothing but count the rows."""
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


Odd = Counter[str]
"""How many cells of a column were "missing", and how many were of a category "rare" or unseen in training."""


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
    ``scale`` is 0 for a column that is constant where it is present, which has no feature of its own, and for an
    ``identifier``.  A column that is ``spelt`` came as text: what spells no number there counts as missing.
    """

    name: str
    mean: float
    scale: float
    missing: float
    identifier: bool = False
    spelt: bool = False
    told: str | None = None

    @classmethod
    def learn(cls, name: str, cells: pa.ChunkedArray, spelt: bool = False, told: str | None = None) -> Number:
        """Mean and standard deviation in float64, in two passes, so that a large offset does no harm."""
        x = numbers(cells, spelt)
        present = x[~np.isnan(x)]
        missing = 1.0 - len(present) / len(x)
        if len(present) == 0:
            return cls(name, 0.0, 0.0, missing)
        whole = is_integer(cells.type) or bool((present == np.floor(present)).all())
        if whole and is_identifier(name, present):
            return cls(name, float(present[0]), 0.0, missing, identifier=True)
        if np.abs(present).max() > EXACT and (present == np.floor(present)).all():
            told = told or f"{name} has whole numbers beyond 2**53, of which 16 digits are kept: is it an identifier?"
        mean, scale = mean_and_deviation(present)
        told = told or _alone(name, present, mean, scale)
        return cls(name, mean, scale, missing, spelt=spelt, told=told)

    @property
    def dropped(self) -> str | None:
        """Why the column itself is no feature, if so."""
        if self.missing == 1:
            return "no value"
        if self.identifier:
            return "identifier"
        return "constant" if self.scale == 0 else None

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """The number, and whether it is missing."""
        number = (Feature(self.name, self.name, "number", self.mean, self.scale),) if self.scale else ()
        return number + missing_feature(self.name, self.missing)

    def encode(self, cells: pa.ChunkedArray, dtype: Any = np.float64, odd: Odd | None = None) -> Iterator[Piece]:
        """The standardised cells, and where they are missing."""
        x = numbers(cells, self.spelt)
        unknown = np.isnan(x)
        count(odd, "missing", unknown)
        if self.scale:
            peak = float(np.fmax.reduce(np.abs(x), initial=0.0))
            if (peak + abs(self.mean)) / self.scale > float(np.finfo(dtype).max) / 2:
                worst = int(np.nanargmax(np.abs(x)))
                raise BadCellError(worst, f"is {x[worst]:g}, too far from the training rows for {np.dtype(dtype)}")
            x -= self.mean
            x /= self.scale
            x[unknown] = 0.0
            yield Values(0, x)
        yield from missing_piece(self, unknown)


def missing_feature(name: str, share: float) -> tuple[Feature, ...]:
    """The feature that is 1 where a column has no value, if a share of the training rows has none."""
    return (Feature(f"{name} is missing", name, "missing", share, 1.0),) if 0 < share < 1 else ()


def missing_piece(column: Any, unknown: NDArray[np.bool_]) -> Iterator[Piece]:
    """The last feature of a column, if it tells where cells are missing."""
    if 0 < column.missing < 1:
        yield Marks(len(column.features) - 1, 1, unknown.astype(np.intp) - 1)


def count(odd: Odd | None, what: str, where: NDArray[np.bool_]) -> None:
    """Count cells that are out of the ordinary, if anybody asks."""
    if odd is not None and (times := int(np.count_nonzero(where))):
        odd[what] += times


def _alone(name: str, x: NDArray[np.float64], mean: float, scale: float) -> str | None:
    """A word on one cell that is so far away that nothing is left of the differences between the others."""
    if len(x) < LEAST_CELLS or scale == 0:
        return None
    far = max(float(x.max()) - mean, mean - float(x.min()), key=abs)
    if far < 0.99 * scale * math.sqrt(len(x)):
        return None
    at = int(np.argmax(np.abs(x - mean)))
    others = np.delete(x, at)
    low, high = float(others.min()), float(others.max())
    if not 0 < (high - low) * FAR < abs(x[at] - mean):
        return None
    return f"{name} is {x[at]:.6g} in one row and from {low:.6g} to {high:.6g} in all others: is that right?"


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


def numbers(cells: pa.ChunkedArray, spelt: bool = False) -> NDArray[np.float64]:
    """The cells as float64 that may be written to, NaN where missing; times of day and durations in seconds.

    Text must spell numbers, unless it is `spelt`: then what does not is missing.

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
        cells = spelt_numbers(as_text(cells)) if spelt else _parsed(as_text(cells))
    elif pa.types.is_boolean(kind):
        cells = cells.cast(pa.uint8())
    elif not (pa.types.is_null(kind) or timed or is_number(kind)):
        raise BadCellError(0, f"is a {kind}: expected numbers, as in training")
    x = np.array(pc.cast(cells, pa.float64(), safe=False).to_numpy())
    if factor != 1.0:
        x *= factor
    peak = float(np.fmax.reduce(np.abs(x), initial=0.0))
    if peak > LARGEST:
        first = int((np.abs(x) > LARGEST).argmax())
        wrong = (
            "is infinite" if np.isinf(x[first]) else f"is {x[first]:g}: magnitudes above {LARGEST:g} cannot be scaled"
        )
        raise BadCellError(first, wrong)
    return x


def is_identifier(name: str, present: NDArray[np.float64]) -> bool:
    """Whether whole numbers only tell rows apart: nearly all differ under such a name, or they just count on.

    >>> is_identifier("customerId", np.array([7.0, 3, 9])), is_identifier("age", np.array([7.0, 3, 9]))
    (True, False)
    """
    n = len(present)
    if n < 3:
        return False
    if names_rows(name):
        return len(np.unique(present)) >= 0.95 * n
    counts_on = bool((np.diff(present) > 0).all()) and present[-1] - present[0] < 3 * n
    return bool(COUNTERS.fullmatch(name.strip().lower())) and counts_on


def names_rows(name: str) -> bool:
    """Whether a column is called as identifiers are.

    >>> [names_rows(name) for name in ("id", "order_id", "PassengerId", "paid", "humid", "user ID")]
    [True, True, True, False, False, True]
    """
    last = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)[-1:]
    return bool(last) and last[0].lower() in ("id", "ids", "uid", "uuid", "guid")


def is_number(kind: pa.DataType) -> bool:
    """Whether an Arrow type is one of integers, floating-point numbers or decimals."""
    import pyarrow as pa

    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def is_integer(kind: pa.DataType) -> bool:
    """Whether an Arrow type is one of integers."""
    import pyarrow as pa

    return bool(pa.types.is_integer(kind))


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
    if pa.types.is_floating(cells.type):  # whole numbers with missing ones among them, as pandas has them
        with contextlib.suppress(pa.ArrowInvalid):
            cells = cells.cast(pa.int64())
    return cells.cast(pa.string())


def _parsed(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text that spells numbers, or times of the day in seconds, or the first cell that does not."""
    import pyarrow.compute as pc

    read = spelt_numbers(cells)
    if not pc.any(read.is_valid()).as_py():
        read = spelt_times(cells)
    refuse_strays(cells, read, "a number")
    return read


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

    told = None

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """Whether it is true, and whether it is missing."""
        truth = () if self.dropped else (Feature(self.name, self.name, "boolean", self.mean, 1.0),)
        return truth + missing_feature(self.name, self.missing)

    def encode(self, cells: pa.ChunkedArray, dtype: Any = np.float64, odd: Odd | None = None) -> Iterator[Piece]:
        """Where the cells are true, and where they are missing."""
        x = _truths(cells)
        unknown = np.isnan(x)
        count(odd, "missing", unknown)
        if not self.dropped:
            yield Marks(0, 1, np.where(x == 1, 0, -1))
        yield from missing_piece(self, unknown)


def _truths(cells: pa.ChunkedArray) -> NDArray[np.float64]:
    if is_text(cells.type):
        text = as_text(cells)
        cells = spelt_truths(text)
        refuse_strays(text, cells, "true or false")
    x = numbers(cells)
    strange = (x != 0) & (x != 1) & ~np.isnan(x)
    if strange.any():
        first = int(strange.argmax())
        raise BadCellError(first, f"is {x[first]:g}: expected true or false, as in training")
    return x


def refuse_strays(text: pa.ChunkedArray, read: pa.ChunkedArray, expected: str) -> None:
    """See that all cells of text could be read, or raise :class:`BadCellError` for the first that could not."""
    import pyarrow.compute as pc

    blank = pc.equal(pc.utf8_trim_whitespace(text), "")
    strays = pc.and_(pc.and_(text.is_valid(), pc.invert(pc.fill_null(blank, True))), read.is_null())
    if (first := pc.index(strays, True).as_py()) >= 0:
        raise BadCellError(first, f'is "{text[first].as_py()[:40]}": expected {expected}, as in training')
