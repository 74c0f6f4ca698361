"""A formula, or a table with a target and a model: the cost that is walked on, and what can be drawn of its data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Cost, Vector
from descender.costs.formula import Formula
from descender.costs.risk import Risk
from descender.data.examples import EXAMPLES
from descender.data.files import check_names, read_file
from descender.data.source import Source, open_source
from descender.errors import CapabilityError, DataError, OptionError
from descender.explain import names_in, squared_difference
from descender.lab.asked import PARAMETERS, Asked
from descender.verbs.fit import suitable_loss, with_parameters
from descender.verbs.reading import Columns, misspelt
from descender.verbs.table import Design, Roles, Teller, encode, read_table

LARGE = ("flights",)
"""Examples that are too large to play with."""
ROWS = 10_000
"""Rows of a table that are played with; of more, as many at random."""
NUMBERS = 20_000_000
"""Cells of a table for a model at most."""
DRAWN, ACROSS = 1_500, 60
"""Points of data that are drawn, and places at which a curve through them is known."""
SIDE = 32
"""Places each way at which the probability of a class is known."""


@dataclass(frozen=True)
class Opened:
    """A cost, the columns that its formula reads, and how its data are drawn if they can be."""

    cost: Cost
    data: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()
    drawn: Drawn | None = None

    def start(self, given: Any) -> Vector:
        """The start in the order of the parameters: 1 for a variable of a formula that was not given, else 0."""
        usual = 1.0 if isinstance(self.cost, Formula) else 0.0
        names = self.cost.names
        if given and isinstance(given[0], tuple):
            known = dict(given)
            return np.array([known.get(name, usual) for name in names])
        return np.array(given) if given is not None and len(given) == len(names) else np.full(len(names), usual)


@dataclass(frozen=True)
class Drawn:
    """Points of the data: of one feature and a number ("line"), or of two features and two classes ("boundary")."""

    kind: str
    names: tuple[str, str]
    x: NDArray
    y: NDArray
    classes: tuple[str, ...] = ()
    label: NDArray = field(default_factory=lambda: np.empty(0))
    of: Any = None

    def across(self) -> NDArray:
        """Places along the first axis, a little beyond the points."""
        return _places(self.x, ACROSS if self.kind == "line" else SIDE)

    def up(self) -> NDArray:
        """Places along the second axis."""
        return _places(self.y, SIDE)

    def at(self, w: Vector) -> NDArray:
        """What the model says with weights w: predictions at :meth:`across`, or probabilities on the grid."""
        return np.asarray(self.of(self, w), dtype=np.float64)


def _places(values: NDArray, count: int) -> NDArray:
    low, high = float(values.min()), float(values.max())
    room = 0.06 * (high - low) or 1.0
    return np.linspace(low - room, high + room, count)


def open_cost(asked: Asked, folder: str) -> Opened:
    """The cost that was asked for; `folder` is where dropped files lie."""
    return _open(*asked.ground, folder)


@lru_cache(maxsize=24)
def _open(cost: str, data: str, target: str, model: str, features: tuple[str, ...], scale: bool, folder: str) -> Opened:
    if model:
        return _model(data, target, model, features, scale, folder)
    if not cost:
        raise OptionError("type a cost, such as (x - 3)**2, or open data and choose a target")
    if not data:
        return Opened(Formula(cost))
    source = open_data(data, folder)
    columns = Columns(source.table)
    formula = Formula(cost, columns)
    hint = misspelt(formula.names, formula.column_names)
    return Opened(formula, columns, source.notes + ((hint.removeprefix("; "),) if hint else ()), _line(formula))


@lru_cache(maxsize=6)
def open_data(name: str, folder: str) -> Source:
    """The table of an example or of a dropped file, by its name: a path is none."""
    if name.startswith("example:") and name.removeprefix("example:") in playable():
        return _played(open_source(name, least_rows=1))
    kept = re.fullmatch(r"file:([0-9a-f]{32})\.([a-z]{2,8})", name)
    if kept is None:
        known = ", ".join(f"example:{known}" for known in playable())
        raise DataError(f"data={name[:80]!r}: drop a file on the page, or open one of {known}")
    path = Path(folder) / f"{kept[1]}.{kept[2]}"
    if not path.is_file():
        raise DataError("the file is no longer here: drop it on the page once more")
    table, notes = read_file(path, "the file")
    check_names(table.column_names, "the file")
    if not table.num_rows:
        raise DataError("the file has no rows: expected a header line and rows below it")
    return _played(Source("data", table, "the file", tuple(notes)))


def _played(source: Source) -> Source:
    """The rows that are played with: of many, some at random, in their order."""
    n = source.table.num_rows
    if n <= ROWS:
        return source
    some = np.sort(np.random.default_rng(0).choice(n, ROWS, replace=False))
    told = f"the lab plays with {ROWS:,} of the {n:,} rows, drawn at random; descender fit reads them all"
    return replace(source, table=source.table.take(some), notes=(*source.notes, told))


def playable() -> list[str]:
    """The examples that are small enough."""
    return [name for name in EXAMPLES if name not in LARGE]


def _line(cost: Formula) -> Drawn | None:
    """The points that a formula such as mean((y - (m*x + c))**2) is about, and its prediction."""
    parts = squared_difference(cost.text, cost.columns)
    if parts is None:
        return None
    target, text = parts
    inputs = [name for name in cost.columns if name in names_in(text)]
    if len(inputs) != 1 or target in inputs:
        return None
    x = inputs[0]
    some = _some(cost.n_samples or 0)
    predict = Formula(text, variables=[*(name for name in cost.names if name in names_in(text)), x])
    used = [cost.names.index(name) for name in predict.names[:-1]]

    def of(drawn: Drawn, w: Vector) -> list[float]:
        return [predict.value(np.append(w[used], place)) for place in drawn.across().tolist()]

    return Drawn("line", (x, target), cost.columns[x][some], cost.columns[target][some], of=of)


def _model(data: str, target: str, model: str, features: tuple[str, ...], scale: bool, folder: str) -> Opened:
    """A linear model of a table: the mean loss over its rows."""
    source = open_data(data, folder)
    names = source.table.column_names
    if not target:
        raise OptionError("choose the target: the column that the model is to predict")
    chosen = [name for name in names if name in features] if features else [n for n in names if n != target]
    if target in chosen:
        raise OptionError(f"{target} is the target: it cannot be learnt from as well")
    if not chosen:
        raise OptionError("choose at least one column to learn from")
    if source.table.num_rows * len(chosen) > NUMBERS:
        raise CapabilityError(f"{source.table.num_rows:,} rows of {len(chosen):,} columns are too many for the lab")
    say = Teller(None)
    kept = source.table.select([*chosen, target])
    table = read_table(kept, target, [], None, None, Roles(), say, model)
    loss = suitable_loss(model, table.coding)
    design = encode(table, np.zeros(len(table.y), dtype=np.bool_), scale, say)
    loss = with_parameters(loss, design.y, say)
    risk = Risk(design.X, design.y, loss, features=design.encoder.features, n_classes=len(table.coding.classes) or None)
    if risk.n_parameters > PARAMETERS:
        raise CapabilityError(f"{risk.n_parameters:,} weights are too many for the lab: choose fewer columns")
    told = [text for word, text, _ in say.lines if word in ("read", "encoded", "loss")]
    return Opened(risk, None, (*source.notes, *told), _points(risk, design, table))


def _points(risk: Risk, design: Design, table: Any) -> Drawn | None:
    """The points of one number feature and a number, or of two number features and two classes."""
    columns = design.encoder.details
    if risk.sparse or len(columns) > 2 or any(c.kind != "number" for c in columns):
        return None
    mean, scale = np.array([c.mean for c in columns]), np.array([c.scale for c in columns])
    some = _some(len(design.y))
    raw = np.asarray(design.X)[some] * scale + mean
    names = [c.name for c in columns]
    if len(columns) == 1 and table.coding.task == "regression":

        def curve(drawn: Drawn, w: Vector) -> NDArray:
            weights, free = risk.split(w)
            return risk.loss.predict((drawn.across() - mean) / scale * weights[0] + free)

        return Drawn("line", (names[0], table.name), raw[:, 0], design.y[some], of=curve)
    if len(columns) == 2 and table.coding.task == "binary":

        def probability(drawn: Drawn, w: Vector) -> NDArray:
            weights, free = risk.split(w)
            grid = np.stack(np.meshgrid(drawn.across(), drawn.up()), axis=-1)
            scores = ((grid - mean) / scale) @ weights + free
            return risk.loss.predict(scores) if risk.loss.probability else (scores > risk.loss.threshold) * 1.0

        classes = tuple(map(str, table.coding.classes))
        return Drawn("boundary", (names[0], names[1]), raw[:, 0], raw[:, 1], classes, design.y[some], probability)
    return None


def _some(n: int) -> NDArray[np.intp]:
    return np.unique(np.linspace(0, n - 1, min(n, DRAWN)).astype(np.intp))
