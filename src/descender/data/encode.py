"""Columns to numbers: learnt on training rows, applied to any rows, and undone for the reader."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.data.columns import BadCellError, Boolean, Feature, Number
from descender.data.levels import Category, Column, Moment, kind_of
from descender.errors import ColumnError, DataError, RecordError, ShapeError, suggest

if TYPE_CHECKING:
    import pyarrow as pa

KINDS: dict[str, type[Number] | type[Boolean] | type[Category] | type[Moment]] = {
    "number": Number,
    "boolean": Boolean,
    "category": Category,
    "timestamp": Moment,
}
HOW = {"number": "standardised", "boolean": "as 0 and 1", "category": "one-hot", "timestamp": "in parts"}
WHY = {
    "constant": "is constant in the training rows",
    "no value": "has no value in the training rows",
    "identifier": "has a different value in nearly every row, as an identifier has",
    "rare values only": "has no value that enough training rows share",
}


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
            kind = kind_of(table.schema.field(name).type)
            if kind is None:
                dropped.append((name, "not usable"))
                told.append(f"{name} holds {table.schema.field(name).type}, which is no feature: left out")
                continue
            cells = table.column(name) if chosen is None else table.column(name).take(chosen)
            with _located(name, row_numbers):
                column = kind.learn(name, cells)
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

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features, in the order of the design matrix."""
        return tuple(feature.name for feature in self.details)

    def transform(
        self, table: pa.Table, dtype: Any = np.float64, row_numbers: NDArray[np.integer] | None = None
    ) -> NDArray[np.floating]:
        """The design matrix, rows x features, C-contiguous; columns are found by name, others are ignored.

        A row's features depend on that row only.  Raises :class:`~descender.errors.ColumnError` for columns that
        are not there and :class:`~descender.errors.DataError` for cells that are not of the kind that was learnt.
        """
        known = table.column_names
        absent = [column.name for column in self.columns if column.name not in known]
        if absent:
            hints = "; ".join(f"{name}: {suggest(name, known)}" for name in absent[:5])
            raise ColumnError(
                f"the data lack {len(absent)} column(s) that the model reads: {', '.join(absent)} ({hints})"
            )
        X = np.zeros((table.num_rows, len(self.details)), dtype=dtype)
        at = 0
        for column in self.columns:
            out = X[:, at : at + len(column.features)]
            with _located(column.name, row_numbers):
                column.write(table.column(column.name), out)
            at += len(column.features)
        return X

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
        kept = Counter(_name(column) for column in self.columns if column.name not in lost)
        pieces = [f"{_count(kept[kind], kind)} {HOW[kind]}" for kind in KINDS if kept[kind]]
        pieces += [f"{times} dropped ({why})" for why, times in Counter(lost.values()).items()]
        names = {column.name for column in self.columns} | set(lost)
        return f"{_count(len(names), 'column')} as {_count(len(self.details), 'feature')}: {', '.join(pieces)}"

    def to_json(self) -> dict[str, Any]:
        """The encoder as plain values that JSON holds without loss."""
        columns = [{"kind": _name(column)} | dataclasses.asdict(column) for column in self.columns]
        return {"columns": columns, "dropped": [list(pair) for pair in self.dropped], "told": list(self.told)}

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Encoder:
        """The encoder that :meth:`to_json` wrote, or :class:`~descender.errors.RecordError`."""
        try:
            columns = tuple(_column(dict(values)) for values in plain["columns"])
            return cls(columns, tuple((name, why) for name, why in plain["dropped"]), tuple(plain["told"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RecordError(f"the model's encoding is damaged ({error!r}): fit it again") from None


def _column(values: dict[str, Any]) -> Column:
    kind = KINDS[values.pop("kind")]
    if kind is Category:
        values |= {"levels": tuple(values["levels"]), "shares": tuple(values["shares"])}
    if kind is Moment:
        parts = {part: {int(value): share for value, share in seen.items()} for part, seen in values["parts"].items()}
        values |= {"year": Number(**values["year"]), "parts": parts}
    return kind(**values)


def _name(column: Column) -> str:
    return next(name for name, kind in KINDS.items() if type(column) is kind)


def _count(number: int, word: str) -> str:
    plural = word.removesuffix("y") + "ies" if word.endswith("y") else word + "s"
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
