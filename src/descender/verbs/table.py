"""From a table and a target to numbers: what is read, which rows are held out, how columns are encoded."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender import live
from descender.costs.losses import read_loss
from descender.data.columns import Number, is_text
from descender.data.encode import Encoder
from descender.data.examples import example
from descender.data.source import Source, add_target, open_source
from descender.data.split import SMALLEST, hashed, holdout, latest, some_groups
from descender.data.target import TargetCoding, code_target
from descender.errors import DataError, OptionError, ShapeError, TargetError, suggest

Progress = Callable[[str, str, float], None]
BLOCK, SHARE = 8_192, 16
"""Rows that are encoded at a time: this many, and no larger part of all, so that little stands beside the matrix."""


class Teller:
    """Says what was done as it is done, and how long it took."""

    def __init__(self, progress: Progress | None):
        self.progress = progress
        self.lines: list[tuple[str, str, float | None]] = []
        self.seconds: dict[str, float] = {}
        self.last = time.perf_counter()

    def __call__(self, word: str, text: str, stage: str | None = None) -> None:
        """A line; with a `stage` the time since the last one is that stage's."""
        now = time.perf_counter()
        spent = now - self.last if stage else None
        if stage:
            self.seconds[stage] = now - self.last
            self.last = now
        self.lines.append((word, text, spent))
        if self.progress:
            self.progress(word, text, spent or 0.0)
        if told := live.current():
            told(f"{word} {text}")


class Roles(NamedTuple):
    """Columns that are there for another purpose than to be learnt from; a time is learnt from, too."""

    weight: str | None = None
    time: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class Table:
    """The rows that have a target, and their targets as numbers."""

    source: Source
    name: str
    excluded: list[str]
    coding: TargetCoding
    y: NDArray
    roles: Roles
    weight: NDArray | None = None
    times: NDArray | None = None
    groups: NDArray | None = None

    @property
    def inputs(self) -> Any:
        """The columns to learn from."""
        out = (*self.excluded, self.roles.weight, self.roles.group)
        return self.source.table.select([c for c in self.source.inputs if c not in out])

    def numbers(self, mask: NDArray[np.bool_]) -> NDArray:
        """The numbers by which errors call some rows."""
        numbers = self.source.row_numbers
        return (np.arange(1, len(mask) + 1) if numbers is None else numbers)[mask]


@dataclass(frozen=True)
class Design:
    """A table as numbers: the design matrices and targets of training and held-out rows."""

    encoder: Encoder
    held: NDArray[np.bool_]
    X: NDArray
    y: NDArray
    X_held: NDArray
    y_held: NDArray
    weight: NDArray | None = None
    weight_held: NDArray | None = None


def read_table(
    data: Any,
    target: Any,
    excluded: list[str],
    sql: str | None,
    task: str | None,
    roles: Roles,
    say: Teller,
    loss: str | None = None,
) -> Table:
    """The rows of `data` that have a target, whose `task` the values decide where it is None, or a `loss` of numbers.

    Counts of few distinct values look like classes; who asks for poisson says that they are numbers.
    """
    preset_exclude: tuple[str, ...] = ()
    named = target is not None
    if target is not None and not isinstance(target, str):
        data, target = _with_targets(data, target), "y"
    if target is None:
        if not (isinstance(data, str) and data.startswith("example:")):
            names = open_source(data, sql=sql).table.column_names
            listed = f"{', '.join(names[:20])}{' ...' if len(names) > 20 else ''}"
            raise TargetError(f"no target was given: name the column to predict, one of {listed}")
        known = example(data.removeprefix("example:"))
        target, preset_exclude = known.target, known.exclude
    opened = open_source(data, sql=sql)
    columns = opened.table.num_columns
    source, name = add_target(opened, target)
    _check_columns(source, name, excluded, roles)
    source = dataclasses.replace(source, read=(*source.read, *preset_exclude))
    rows, left_out = source.table.num_rows, source.left_out
    if rows < 2:
        raise TargetError(f"{rows} row has a value of {name}: nothing to learn from")
    lost = f"; {left_out:,} row{'s' * (left_out > 1)} without a target left out" if left_out else ""
    say("read", f"{rows + left_out:,} rows, {columns} columns{lost}", "read")
    coding, y = _coded(source, name, task, loss)
    if named and task is None and coding.task == "multiclass" and not is_text(source.table[name].type):
        count = len(coding.classes)
        say("target", f"{name} has {count} whole numbers, taken as classes; if they are quantities: task regression")
    return Table(
        source, name, excluded, coding, y, roles,
        weight=None if roles.weight is None else _weights(source, roles.weight),
        times=None if roles.time is None else _ranks(source, roles.time),
        groups=None if roles.group is None else _codes(source, roles.group),
    )  # fmt: skip


def _check_columns(source: Source, target: str, excluded: list[str], roles: Roles) -> None:
    """See that the columns that are named are there, and are not the target."""
    known = source.table.column_names
    for column in excluded:
        if column not in known:
            raise OptionError(f"exclude: {column!r} is no column; {suggest(column, known)}")
        if column == target:
            raise OptionError(f"exclude: {column!r} is the target, which is never learnt from")
    for role, column in roles._asdict().items():
        if column is not None and column not in known:
            raise OptionError(f"{role}: {column!r} is no column; {suggest(str(column), known)}")
        if column == target:
            raise OptionError(f"{role}: {column!r} is the target; name another column")


def _coded(source: Source, name: str, task: str | None, loss: str | None) -> tuple[TargetCoding, NDArray]:
    """The targets as numbers; a loss of numbers says that they are none of classes."""
    column = source.table[name]
    coding, y = code_target(column, task, name, source.row_numbers)
    if task is None and loss is not None and not is_text(column.type):
        suited = read_loss(loss).tasks
        if coding.task not in suited and "regression" in suited:
            return code_target(column, "regression", name, source.row_numbers)
    return coding, y


def _weights(source: Source, name: str) -> NDArray[np.float64]:
    """The weights of the rows: numbers of at least 0."""
    import pyarrow as pa

    column = source.table.column(name)
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_boolean(column.type)):
        raise DataError(f"the weight {name} holds {column.type}: expected numbers of at least 0")
    weight = column.cast(pa.float64()).to_numpy().astype(np.float64)
    bad = ~(np.isfinite(weight) & (weight >= 0))
    if bad.any():
        at = int(bad.argmax())
        row = at + 1 if source.row_numbers is None else int(source.row_numbers[at])
        raise DataError(
            f"the weight {name} in row {row:,} is {weight[at]:g}: a weight is a number of at least 0; "
            "correct the cell or leave the row out"
        )
    if not weight.any():
        raise DataError(f"the weight {name} is 0 in every row: nothing to learn from")
    return weight


def _codes(source: Source, name: str) -> NDArray[np.int64]:
    """A number for each group; rows without one are a group of their own."""
    import pyarrow as pa

    column = source.table.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)


def _ranks(source: Source, name: str) -> NDArray[np.float64]:
    """The rank of each row in time, dense; a row without a time comes first, so that it never judges."""
    import pyarrow.compute as pc

    codes, column = _codes(source, name), source.table.column(name)
    if is_text(column.type):
        texts = pc.drop_null(pc.unique(column.cast("string")))
        sorts = pc.match_substring_regex(texts, r"^\d{4}\b")  # the year first: such times sort as text
        if not pc.all(sorts).as_py():
            odd = texts[pc.index(sorts, False).as_py()].as_py()
            raise DataError(
                f"the time {name} holds text such as {odd[:40]!r}, which has no order in time: "
                "expected dates, times or numbers, or text with the year first"
            )
    values = pc.unique(column)
    order = pc.array_sort_indices(values.combine_chunks() if hasattr(values, "combine_chunks") else values).to_numpy()
    rank = np.empty(len(order))
    rank[order] = np.arange(1.0, len(order) + 1)
    known = ~pc.is_null(values, nan_is_null=True).to_numpy(zero_copy_only=False)
    return np.where(known, rank, 0.0)[codes]


def _with_targets(data: Any, target: ArrayLike) -> Any:
    """One table of features and the targets beside them."""
    import pyarrow as pa

    y = np.asarray(target)
    table = open_source(np.asarray(data) if isinstance(data, list | tuple) else data, least_rows=1).table
    if y.ndim != 1 or len(y) != table.num_rows:
        raise ShapeError(f"the features have {table.num_rows} rows and the target shape {y.shape}; expected one a row")
    if "y" in table.column_names:
        raise OptionError("a column is called y already: rename it, or name the target by its column")
    return table.append_column("y", pa.array(y))


def hold_out(table: Table, share: float, seed: int, say: Teller | None = None) -> NDArray[np.bool_]:
    """Which rows are kept for judging: by a hash of their index, or the latest, or whole groups.

    Where neither times nor groups divide the rows, a class has at least one row to be learnt from: its first.
    """
    n = len(table.y)
    if not 0 <= share < 1:
        raise OptionError(f"holdout={share}: expected a share of at least 0 and below 1")
    if n < SMALLEST or share == 0:
        return np.zeros(n, dtype=np.bool_)
    if table.times is not None:
        return latest(table.times, share)
    if table.groups is not None:
        return some_groups(table.groups, share, seed)
    mask = holdout(n, share, seed)
    if share == 0.5:  # exactly half, as the fifth tutorial has it
        mask = np.zeros(n, dtype=np.bool_)
        mask[np.argsort(hashed(np.arange(n), seed), kind="stable")[: n // 2]] = True
    absent = _never_learnt(table, mask)
    for index in absent:
        mask[int(np.argmax(table.y == index))] = False
    if say is not None and len(absent):
        names = ", ".join(str(table.coding.classes[index]) for index in absent[:5]) + ", ..." * (len(absent) > 5)
        say("target", f"all rows of {table.name} = {names} were to judge: the first of each teaches instead")
    return mask


def _never_learnt(table: Table, held: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The classes of which no row teaches."""
    count = len(table.coding.classes)
    return np.flatnonzero(np.bincount(table.y[~held].astype(np.intp), minlength=count) == 0) if count else np.arange(0)


def class_weights(given: str | Mapping[Any, float] | None, coding: TargetCoding, y: NDArray, weight: Any) -> Any:
    """The weight of each class: "balanced" gives all classes the same total; a mapping names classes (others: 1)."""
    if given is None:
        return None
    classes = coding.classes
    if not classes:
        raise OptionError(f"class_weight={given!r}: {coding.name} has no classes, it is a number")
    if isinstance(given, str):
        if given != "balanced":
            raise OptionError(f"class_weight={given!r}: expected 'balanced' or a weight for each class")
        total = np.bincount(y.astype(np.intp), weights=weight, minlength=len(classes))
        if not (total > 0).all():
            raise TargetError(f"{coding.name}: a class has no training row of positive weight: it cannot be balanced")
        return total.sum() / (len(classes) * total)
    by_name = {str(key): value for key, value in given.items()}
    names = [str(label) for label in classes]
    unknown = [key for key in by_name if key not in names]
    if unknown:
        raise OptionError(f"class_weight: {unknown[0]!r} is no class of {coding.name}; {suggest(unknown[0], names)}")
    out = np.array([float(by_name.get(label, 1.0)) for label in names])
    if not (np.isfinite(out).all() and (out >= 0).all() and out.any()):
        raise OptionError(f"class_weight={dict(given)!r}: expected numbers of at least 0, and not all 0")
    return out


def _transformed(encoder: Encoder, inputs: Any, mask: NDArray[np.bool_], numbers: NDArray) -> Any:
    """The design matrix of some rows, made block by block: no second copy of the table stands beside it."""
    import pyarrow as pa

    if encoder.sparse:
        return encoder.transform(inputs.filter(pa.array(mask)), row_numbers=numbers)
    X, at = np.empty((int(mask.sum()), len(encoder.details))), 0
    height = min(BLOCK, len(mask) // SHARE + 1)
    for start in range(0, len(mask), height):
        part = mask[start : start + height]
        rows = int(part.sum())
        cells = inputs.slice(start, height).filter(pa.array(part))
        encoder.transform(cells, row_numbers=numbers[at : at + rows], out=X[at : at + rows])
        at += rows
    return X


def encode(table: Table, held: NDArray[np.bool_], scale: bool, say: Teller) -> Design:
    """The design matrices, encoded as training rows teach; numbers as they are unless `scale`."""
    inputs = table.inputs
    encoder = Encoder.learn(inputs, rows=~held, row_numbers=table.source.row_numbers)
    if not scale:
        columns = [
            dataclasses.replace(c, mean=0.0, scale=1.0) if isinstance(c, Number) and c.scale else c
            for c in encoder.columns
        ]
        encoder = dataclasses.replace(encoder, columns=tuple(columns))
    X, X_held = (_transformed(encoder, inputs, mask, table.numbers(mask)) for mask in (~held, held))
    say("encoded", encoder.summary() if scale else encoder.summary().replace("standardised", "as they are"), "encode")
    y = table.y.astype(np.float64)
    if len(absent := _never_learnt(table, held)):
        by = "time" if table.times is not None else "group"
        raise TargetError(
            f"{table.name} = {table.coding.classes[absent[0]]} has no training row, as rows are divided by {by}; leave "
            "the class out, or give another seed or holdout share"
        )
    weight = None if table.weight is None else (table.weight[~held], table.weight[held])
    return Design(encoder, held, X, y[~held], X_held, y[held], *(weight or (None, None)))
