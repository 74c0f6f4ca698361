"""A sparse matrix as one column of a table: each cell holds the entries of a row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descender.data.columns import LARGEST, BadCellError, Feature, Odd
from descender.data.design import Bag, Piece
from descender.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

WIDTH = "features of a row: "
"""Before the number of features, in the name of the field of Arrow's list that holds a row."""


@dataclass(frozen=True)
class Entries:
    """The rows of a sparse matrix: features x0, x1, ..., divided by their deviation and not centred, to stay sparse."""

    name: str
    scales: tuple[float, ...]
    shares: tuple[float, ...]

    told = dropped = None

    @classmethod
    def learn(cls, name: str, cells: pa.ChunkedArray) -> Entries:
        """The deviation of each feature over the training rows; 1 for one that is constant."""
        n, width = len(cells), width_of(cells.type)
        bag = _bag(cells, width)
        times, total = (np.bincount(bag.indices, weights=w, minlength=width) for w in (None, bag.values))
        mean = total / n
        square = np.bincount(bag.indices, weights=(bag.values - mean[bag.indices]) ** 2, minlength=width)
        deviation = np.sqrt((square + (n - times) * mean**2) / n)
        scales = np.where(deviation > 0, deviation, 1.0)
        return cls(name, tuple(scales.tolist()), tuple((times / n).tolist()))

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """The features by their places; `mean` is the share of the training rows that have an entry."""
        pairs = zip(self.shares, self.scales, strict=True)
        return tuple(Feature(f"x{j}", self.name, "entry", share, scale) for j, (share, scale) in enumerate(pairs))

    def encode(self, cells: pa.ChunkedArray, dtype: Any = np.float64, odd: Odd | None = None) -> Iterator[Piece]:
        """The entries over their deviations."""
        bag = _bag(cells, len(self.scales))
        yield bag._replace(values=bag.values / np.array(self.scales)[bag.indices])


def is_entries(kind: pa.DataType) -> bool:
    """Whether an Arrow type is one of rows of a sparse matrix."""
    import pyarrow as pa

    return bool(pa.types.is_large_list(kind)) and kind.value_field.name.startswith(WIDTH)


def dense(cells: pa.ChunkedArray) -> NDArray[np.float64]:
    """The matrix in full, one row a cell; its zeros are zeros."""
    bag = _bag(cells, width_of(cells.type))
    out = np.zeros((len(cells), bag.width))
    out[np.repeat(np.arange(len(cells)), np.diff(bag.indptr)), bag.indices] = bag.values
    return out


def width_of(kind: pa.DataType) -> int:
    """The columns of the matrix whose rows an Arrow type holds."""
    return int(kind.value_field.name.removeprefix(WIDTH))


def from_sparse(matrix: Any, shown: str) -> pa.Table:
    """A SciPy sparse matrix as a table of one column, x.

    >>> from scipy import sparse
    >>> from_sparse(sparse.csr_array(np.eye(2)), "a matrix")["x"].to_pylist()[0]
    [{'at': 0, 'value': 1.0}]
    """
    import pyarrow as pa

    if matrix.ndim != 2 or matrix.dtype.kind not in "biuf":
        raise DataError(
            f"{shown} has shape {matrix.shape} and holds {matrix.dtype}: expected two dimensions and numbers"
        )
    matrix = matrix.tocsr()
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    pair = pa.StructArray.from_arrays(
        [pa.array(matrix.indices.astype(np.int32, copy=False)), pa.array(matrix.data.astype(np.float64, copy=False))],
        ["at", "value"],
    )
    kind = pa.large_list(pa.field(f"{WIDTH}{matrix.shape[1]}", pair.type))
    return pa.table({"x": pa.LargeListArray.from_arrays(pa.array(matrix.indptr.astype(np.int64)), pair, type=kind)})


def _bag(cells: pa.ChunkedArray, width: int) -> Bag:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not is_entries(cells.type):
        raise BadCellError(0, f"is a {cells.type}: expected the rows of a sparse matrix, as in training")
    lengths = pc.fill_null(pc.list_value_length(cells), 0).to_numpy()
    flat = pc.list_flatten(cells)
    flat = flat.combine_chunks() if isinstance(flat, pa.ChunkedArray) else flat
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    indices, values = flat.field(0).to_numpy(), flat.field(1).to_numpy()
    wrong = ~(np.abs(values) <= LARGEST) | (indices >= width)
    if wrong.any():
        first = int(wrong.argmax())
        row = int(np.searchsorted(indptr, first, side="right")) - 1
        raise BadCellError(
            row, f"has {values[first]:g} in place {indices[first]:,}: expected finite numbers in {width:,} places"
        )
    return Bag(0, width, indptr, indices, values)
