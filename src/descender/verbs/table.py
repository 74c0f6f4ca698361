"""From a table and a target to numbers: what is read, which rows are held out, how columns are encoded."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.data.columns import Number
from descender.data.encode import Encoder
from descender.data.examples import example
from descender.data.source import Source, add_target, open_source
from descender.data.split import hashed, holdout
from descender.data.target import TargetCoding, code_target
from descender.errors import OptionError, ShapeError, TargetError, suggest

Progress = Callable[[str, str, float], None]


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


@dataclass(frozen=True)
class Table:
    """The rows that have a target, and their targets as numbers."""

    source: Source
    name: str
    excluded: list[str]
    coding: TargetCoding
    y: NDArray

    @property
    def inputs(self) -> Any:
        """The columns to learn from."""
        return self.source.table.select([c for c in self.source.inputs if c not in self.excluded])

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


def read_table(data: Any, target: Any, excluded: list[str], sql: str | None, task: str | None, say: Teller) -> Table:
    """The rows of `data` that have a target, whose `task` the values decide where it is None."""
    preset_exclude: tuple[str, ...] = ()
    if target is not None and not isinstance(target, str):
        data, target = _with_targets(data, target), "y"
    if target is None:
        if not (isinstance(data, str) and data.startswith("example:")):
            raise TargetError("no target was given: name the column to predict, such as target='price'")
        known = example(data.removeprefix("example:"))
        target, preset_exclude = known.target, known.exclude
    opened = open_source(data, sql=sql)
    columns = opened.table.num_columns
    source, name = add_target(opened, target)
    for column in excluded:
        if column not in source.table.column_names:
            raise OptionError(f"exclude: {column!r} is no column; {suggest(column, source.table.column_names)}")
        if column == name:
            raise OptionError(f"exclude: {column!r} is the target, which is never learnt from")
    source = dataclasses.replace(source, read=(*source.read, *preset_exclude))
    rows, left_out = source.table.num_rows, source.left_out
    if rows < 2:
        raise TargetError(f"{rows} row has a value of {name}: nothing to learn from")
    lost = f"; {left_out:,} rows without a target left out" if left_out else ""
    say("read", f"{rows + left_out:,} rows, {columns} columns{lost}", "read")
    coding, y = code_target(source.table[name], task, name, source.row_numbers)
    return Table(source, name, excluded, coding, y)


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


def hold_out(n: int, share: float, seed: int) -> NDArray[np.bool_]:
    """Which of `n` rows are kept for judging."""
    if not 0 <= share < 1:
        raise OptionError(f"holdout={share}: expected a share of at least 0 and below 1")
    if share == 0.5:  # exactly half, as the fifth tutorial has it
        mask = np.zeros(n, dtype=np.bool_)
        mask[np.argsort(hashed(np.arange(n), seed), kind="stable")[: n // 2]] = n >= 20
        return mask
    return holdout(n, share, seed)


def encode(table: Table, held: NDArray[np.bool_], scale: bool, say: Teller) -> Design:
    """The design matrices, encoded as training rows teach; numbers as they are unless `scale`."""
    import pyarrow as pa

    inputs = table.inputs
    encoder = Encoder.learn(inputs, rows=~held, row_numbers=table.source.row_numbers)
    if not scale:
        columns = [
            dataclasses.replace(c, mean=0.0, scale=1.0) if isinstance(c, Number) and c.scale else c
            for c in encoder.columns
        ]
        encoder = dataclasses.replace(encoder, columns=tuple(columns))
    X, X_held = (
        encoder.transform(inputs.filter(pa.array(mask)), row_numbers=table.numbers(mask)) for mask in (~held, held)
    )
    say("encoded", encoder.summary() if scale else encoder.summary().replace("standardised", "as they are"), "encode")
    y = table.y.astype(np.float64)
    classes = table.coding.classes
    if classes and len(np.unique(y[~held])) < len(classes):
        raise TargetError(
            f"{table.name}: a class has no training row; give more rows, or another seed or holdout share"
        )
    return Design(encoder, held, X, y[~held], X_held, y[held])
