"""Columns to numbers: learnt on training rows, applied to any rows, and undone for the reader."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.data import design
from descender.data.columns import BadCellError, Feature, Odd
from descender.data.kinds import HOW, KINDS, Column, column_of, kind_name, learn_column, plain_column
from descender.errors import ColumnError, DataError, RecordError, ShapeError, suggest

if TYPE_CHECKING:
    import pyarrow as pa

WHY = {
    "constant": "is constant in the training rows",
    "no value": "has no value in the training rows",
    "identifier": "has a different value in nearly every row, as an identifier has",
    "rare values only": "has no value that enough training rows share",
}
SPARSE_FEATURES, SPARSE_SHARE = 100, 0.2
"""A design matrix is sparse from as many features on, if at most this share of it is expected not to be 0."""
BLOCK = 65_536
"""Rows that are encoded at a time where the matrix is sparse."""


@dataclass(frozen=True)
class Encoder:
    """How columns become features, as learnt from the training rows.

    `columns` are those that have features; `dropped` are the names of the others, with the reason; `told` are
    sentences for the reader.  All of it is plain data: ``from_json(to_json())`` is an equal encoder.

    >>> import pyarrow as pa
    >>> table = pa.table({"x": [1.0, 3.0, None, 1.0, 3.0], "colour": ["red", "blue", "red", "red", "blue"]})
    >>> encoder = Encoder.learn(table)
    >>> encoder.features
    ('x', 'x is missing', 'colour = red')
    >>> encoder.transform(table)
    array([[-1., 0., 1.],
           [ 1., 0., 0.],
           [ 0., 1., 1.],
           [-1., 0., 1.],
           [ 1., 0., 0.]])
    """

    columns: tuple[Column, ...]
    dropped: tuple[tuple[str, str], ...] = ()
    told: tuple[str, ...] = ()

    @classmethod
    def learn(
        cls,
        table: pa.Table,
        exclude: Iterable[str] = (),
        rows: ArrayLike | None = None,
        row_numbers: NDArray[np.integer] | None = None,
    ) -> Encoder:
        """Learn from the training `rows` (a mask or indices; default: all) of all columns but those in `exclude`.

        `row_numbers` are the numbers that errors give to the rows, where they are not 1, 2, 3 ...

        Raises :class:`~descender.errors.ColumnError` for an excluded column that is not there, and
        :class:`~descender.errors.DataError` for infinite values and when no column is left to learn from.
        """
        exclude = [exclude] if isinstance(exclude, str) else list(exclude)
        for name in exclude:
            if name not in table.column_names:
                raise ColumnError(f"cannot exclude {name}, which is no column: {suggest(name, table.column_names)}")
        chosen = _chosen(rows, table.num_rows)
        if chosen is not None:
            row_numbers = chosen + 1 if row_numbers is None else np.asarray(row_numbers)[chosen]
        columns: list[Column] = []
        dropped, told = [], []
        for name in table.column_names:
            if name in exclude:
                continue
            cells = table.column(name) if chosen is None else table.column(name).take(chosen)
            with _located(name, row_numbers):
                column = learn_column(name, cells)
            if column is None:
                dropped.append((name, "not usable"))
                told.append(f"{name} holds {table.schema.field(name).type}, which is no feature: left out")
                continue
            if column.features:
                columns.append(column)
            if column.dropped:
                dropped.append((name, column.dropped))
            told.extend(_sentences(column))
        if not columns:
            left_out = "; ".join(told) or "every column is excluded"
            raise DataError(f"no column is left to learn from: {left_out}")
        return cls(tuple(columns), tuple(dropped), tuple(told))

    @cached_property
    def details(self) -> tuple[Feature, ...]:
        """Every feature with its column, kind, mean and scale; no two have the same name."""
        features: list[Feature] = []
        names: Counter[str] = Counter()
        for feature in (feature for column in self.columns for feature in column.features):
            names[feature.name] += 1
            times = names[feature.name]
            features.append(feature if times == 1 else feature._replace(name=f"{feature.name} ({times})"))
        return tuple(features)

    @cached_property
    def features(self) -> tuple[str, ...]:
        """The names of the features, in the order of the design matrix."""
        return tuple(feature.name for feature in self.details)

    @cached_property
    def sparse(self) -> bool:
        """Whether the design matrix is sparse: a matter of the features alone."""
        filled = sum(1.0 if feature.kind == "number" else feature.mean for feature in self.details)
        return len(self.details) >= SPARSE_FEATURES and filled <= SPARSE_SHARE * len(self.details)

    def transform(
        self,
        table: pa.Table,
        dtype: Any = np.float64,
        row_numbers: NDArray[np.integer] | None = None,
        sparse: bool | None = None,
        odd: dict[str, Odd] | None = None,
        out: NDArray | None = None,
    ) -> Any:
        """The design matrix, rows x features; columns are found by name, others are ignored.

        A C-contiguous array, or a CSR matrix where most of it is 0 (:attr:`sparse`, unless it is said here).  A row's
        features depend on that row only.  Raises :class:`~descender.errors.ColumnError` for columns that are not
        there and :class:`~descender.errors.DataError` for cells that are not of the kind that was learnt.  `odd` counts
        as in :meth:`scores`; a dense matrix may be written into `out`.
        """
        rows, width = table.num_rows, len(self.details)
        if not (self.sparse if sparse is None else sparse):
            return design.dense(self.pieces(table, dtype, row_numbers, odd), (rows, width), dtype, out)
        from scipy.sparse import vstack

        blocks = []
        for start in range(0, max(rows, 1), BLOCK):
            part = table.slice(start, BLOCK)
            numbers = np.arange(start + 1, start + part.num_rows + 1) if row_numbers is None else row_numbers[start:]
            blocks.append(design.csr(self.pieces(part, dtype, numbers, odd), (part.num_rows, width), dtype))
        return vstack(blocks, format="csr") if len(blocks) > 1 else blocks[0]

    def scores(
        self,
        table: pa.Table,
        weights: NDArray[np.float64],
        intercept: Any,
        row_numbers: NDArray[np.integer] | None = None,
        odd: dict[str, Odd] | None = None,
    ) -> NDArray[np.float64]:
        """w·x + b of each row, (rows,) or (rows, K), without a design matrix; a row's bits depend on that row only.

        `odd` counts, by column, the cells that are missing and those of a rare or unseen category.
        """
        pieces = self.pieces(table, np.float64, row_numbers, odd)
        return design.scores(pieces, weights, intercept, table.num_rows)

    def pieces(
        self,
        table: pa.Table,
        dtype: Any = np.float64,
        row_numbers: NDArray[np.integer] | None = None,
        odd: dict[str, Odd] | None = None,
    ) -> Iterator[design.Piece]:
        """What the columns of a table become, in the order of the features."""
        self.check(table.column_names)
        at = 0
        for column in self.columns:
            counted = None if odd is None else odd.setdefault(column.name, Counter())
            with _located(column.name, row_numbers):
                made = list(column.encode(table.column(column.name), dtype, counted))
            yield from design.moved(made, at)
            at += len(column.features)

    def check(self, names: Sequence[str]) -> None:
        """See that all columns are there, or raise :class:`~descender.errors.ColumnError`."""
        known = set(names)
        absent = [column.name for column in self.columns if column.name not in known]
        if absent:
            hints = dict.fromkeys(suggest(name, names) for name in absent[:5])
            count = f"{len(absent)} column{'s' * (len(absent) > 1)}"
            raise ColumnError(
                f"the data lack {count} that the model reads: {', '.join(absent[:20])} ({'; '.join(hints)})"
            )

    def raw(self, coefficients: ArrayLike, intercept: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        r"""Coefficients and intercept for the columns as they were: per unit of each number, per level of the others.

        :math:`\beta_j / \sigma_j` and :math:`b - \sum_j \beta_j \mu_j / \sigma_j`, the sum over numbers; a missing
        number counts as :math:`\mu_j`.  `coefficients` is (features,) with a scalar intercept, or
        (features, outputs) with an intercept for each output.
        """
        beta = np.asarray(coefficients, dtype=np.float64)
        if beta.ndim not in (1, 2) or len(beta) != len(self.details):
            raise ShapeError(
                f"coefficients of shape {beta.shape}: expected a row for each of {len(self.details)} features"
            )
        mean = np.array([feature.mean if feature.kind == "number" else 0.0 for feature in self.details])
        scale = np.array([feature.scale for feature in self.details])
        raw = (beta.T / scale).T
        return raw, np.asarray(intercept, dtype=np.float64) - mean @ raw

    def summary(self) -> str:
        """One line: what the columns became.

        >>> import pyarrow as pa
        >>> Encoder.learn(pa.table({"x": [1, 2, 4], "year": [2013] * 3})).summary()
        '2 columns as 1 feature: 1 number standardised, 1 dropped (constant)'
        """
        lost = dict(self.dropped)
        kept = Counter(kind_name(column) for column in self.columns if column.name not in lost)
        pieces = [f"{_count(kept[kind], kind)} {HOW[kind]}" for kind in KINDS if kept[kind]]
        pieces += [f"{times} dropped ({why})" for why, times in Counter(lost.values()).items()]
        names = {column.name for column in self.columns} | set(lost)
        return f"{_count(len(names), 'column')} as {_count(len(self.details), 'feature')}: {', '.join(pieces)}"

    def to_json(self) -> dict[str, Any]:
        """The encoder as plain values that JSON holds without loss."""
        columns = [plain_column(column) for column in self.columns]
        return {"columns": columns, "dropped": [list(pair) for pair in self.dropped], "told": list(self.told)}

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Encoder:
        """The encoder that :meth:`to_json` wrote, or :class:`~descender.errors.RecordError`."""
        try:
            columns = tuple(column_of(dict(values)) for values in plain["columns"])
            return cls(columns, tuple((name, why) for name, why in plain["dropped"]), tuple(plain["told"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RecordError(f"the model's encoding is damaged ({error!r}): fit it again") from None


def _count(number: int, word: str) -> str:
    plural = re.sub("ix$", "ice", re.sub("y$", "ie", word)) + "s"
    return f"{number:,} {word if number == 1 else plural}"


def _sentences(column: Column) -> list[str]:
    """What a reader should know about a column."""
    told = [column.told] if column.told else []
    if column.dropped:
        rest = "only whether it is missing is kept" if column.features else "left out"
        told.append(f"{column.name} {WHY[column.dropped]}: {rest}")
    return told


def _chosen(rows: ArrayLike | None, n: int) -> NDArray[np.intp] | None:
    """The indices of the training rows, or None for all."""
    if n == 0 or (rows is not None and np.size(rows) == 0):
        raise DataError("no rows: nothing to learn from")
    if rows is None:
        return None
    rows = np.asarray(rows)
    if rows.dtype == np.bool_:
        if rows.shape != (n,):
            raise ShapeError(f"a mask of shape {rows.shape} for {n:,} rows: expected one truth value for each row")
        if not rows.any():
            raise DataError("no training row is chosen: nothing to learn from")
        return np.flatnonzero(rows)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= n:
        raise ShapeError(f"training rows must be a mask or indices from 0 to {n - 1:,}")
    return rows.astype(np.intp)


@contextlib.contextmanager
def _located(name: str, row_numbers: NDArray[np.integer] | None) -> Iterator[None]:
    """What is wrong with a cell is said with its column and row."""
    import pyarrow as pa

    try:
        yield
    except BadCellError as bad:
        row = bad.index + 1 if row_numbers is None else int(row_numbers[bad.index])
        raise DataError(
            f"column {name}, row {row:,} {bad}; correct the cell, leave the row out or exclude the column"
        ) from None
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"column {name} cannot be encoded: {error}") from None
