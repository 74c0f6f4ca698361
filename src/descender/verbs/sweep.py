"""The naive way beside the descent: the cost at every point of a grid, the smallest of them, and what that took."""

from __future__ import annotations

import itertools
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.costs.cost import Cost, Vector
from descender.costs.formula import Formula
from descender.errors import OptionError, StartError, suggest
from descender.verbs.minimize import minimize
from descender.verbs.reading import misspelt
from descender.walk import Walk

LIMIT = 10_000_000
"""Evaluations that a sweep may take."""
POINTS = 101
"""Points of a range where their number is not given."""
EVERY = 20_000
"""Evaluations between two reports of progress."""


@dataclass(frozen=True)
class Sweep:
    """The table of a sweep, and the descent beside it.

    ``axes`` holds the values tried of each variable, ``costs`` the cost at each of their combinations, one axis of the
    array for each variable; ``x`` is the best of them and ``fun`` its cost, ``nfev`` how many were evaluated and
    ``seconds`` how long that took.  ``walk`` is the descent.
    """

    names: tuple[str, ...]
    axes: tuple[NDArray[np.float64], ...]
    costs: NDArray[np.float64]
    x: Vector
    fun: float
    nfev: int
    seconds: float
    walk: Walk
    notes: list[str] = field(default_factory=list)

    def points(self) -> NDArray[np.float64]:
        """All points of the grid, one a row, in the order of ``costs.ravel()``."""
        return np.stack(np.meshgrid(*self.axes, indexing="ij"), axis=-1).reshape(-1, len(self.names))

    def rows(self, count: int | None = None) -> NDArray[np.intp]:
        """Which rows to show: all, or about `count` of them, evenly spread, the best one among them.

        >>> sweep("w**2", "w=-5:5:101").rows(6)
        array([  0,  20,  40,  50,  60,  80, 100])
        """
        total = self.costs.size
        if count is None or total <= count:
            return np.arange(total)
        kept = np.linspace(0, total - 1, count).round().astype(np.intp)
        return np.unique(np.append(kept, self.best))

    @property
    def best(self) -> int:
        """The row of the smallest cost."""
        return int(np.nanargmin(np.where(np.isfinite(self.costs), self.costs, np.nan)))

    def growth(self, most: int = 5) -> list[tuple[int, int]]:
        """How many evaluations the same number of points a side takes in 1, 2, ... variables.

        >>> sweep("w**2", "w=-5:5:101").growth(3)
        [(1, 101), (2, 10201), (3, 1030301)]
        """
        side = max(len(axis) for axis in self.axes)
        return [(d, side**d) for d in range(1, most + 1)]


def sweep(
    cost: str | Cost,
    ranges: str | Mapping[str, Any],
    start: Any = None,
    *,
    data: Mapping[str, ArrayLike] | None = None,
    constants: Mapping[str, float] | None = None,
    method: str = "auto",
    learning_rate: Any = "auto",
    seed: int = 0,
    progress: Callable[[int, int], Any] | None = None,
    **options: Any,
) -> Sweep:
    """Evaluate J at every point of a grid, and descend beside it.

    Parameters
    ----------
    cost, data, constants
        a formula, with its columns of data and its constants, or a cost
    ranges
        ``"w=-5:5:101"`` for 101 evenly spaced values from -5 to 5 (101 is also the number if none is given), of several
        variables ``"m=0:2:41 c=-10:10:41"``; or a mapping from names to (low, high), (low, high, count) or values
    start, seed
        where the descent starts; by default at a random point within the ranges, by the seed
    method, learning_rate, options
        of the descent, as in :func:`~descender.verbs.minimize.minimize`
    progress
        called with the number of evaluations done and their total, now and then

    Raises :class:`~descender.errors.OptionError` for ranges that are none, or a grid of more than ten million points.

    >>> result = sweep("(w - 1)**2", "w=-5:5:11", start="w=4")
    >>> result.x, result.nfev, result.walk["w"], result.walk.nfev < 11
    (array([1.]), 11, 1.0, True)

    """
    target = Formula(cost, data=data, constants=constants) if isinstance(cost, str) else cost
    axes = read_ranges(target.names, ranges, getattr(target, "column_names", ()))
    total = math.prod(len(axis) for axis in axes)
    if total > LIMIT:
        raise OptionError(_too_many(axes, total))
    chosen = _random_start(axes, seed) if start is None else start
    began = time.perf_counter()
    costs = _evaluate(target, axes, total, progress)
    seconds = time.perf_counter() - began
    finite = np.where(np.isfinite(costs), costs, np.nan)
    if np.isnan(finite).all():
        raise StartError("J is not a finite number at any point of the grid: try other ranges")
    best = int(np.nanargmin(finite))
    x = np.array([axis[k] for axis, k in zip(axes, np.unravel_index(best, costs.shape), strict=True)])
    walk = minimize(target, chosen, method, learning_rate=learning_rate, seed=seed, **options)
    result = Sweep(target.names, axes, costs, x, float(costs.ravel()[best]), total, seconds, walk)
    result.notes.extend(_notes(result, target))
    return result


def _evaluate(cost: Cost, axes: tuple[NDArray, ...], total: int, progress: Any) -> NDArray[np.float64]:
    costs = np.empty(total)
    with np.errstate(all="ignore"):
        for k, point in enumerate(itertools.product(*(axis.tolist() for axis in axes))):
            costs[k] = cost.value(np.array(point))
            if progress and (k + 1) % EVERY == 0:
                progress(k + 1, total)
    return costs.reshape([len(axis) for axis in axes])


def _random_start(axes: tuple[NDArray, ...], seed: int) -> list[float]:
    random = np.random.default_rng(seed)
    return [float(random.uniform(axis.min(), axis.max())) for axis in axes]


def _notes(found: Sweep, cost: Cost) -> list[str]:
    """Where the two answers do not agree, and why."""
    notes = []
    lost = int((~np.isfinite(found.costs)).sum())
    if lost:
        notes.append(f"J is not a finite number at {lost:,} of the points")
    edge = [
        n for n, axis, v in zip(found.names, found.axes, found.x, strict=True) if len(axis) > 1 and v in axis[[0, -1]]
    ]
    if edge:
        notes.append(f"the best point lies at the end of the range of {', '.join(edge)}: the bottom may lie beyond")
    if found.walk.success and found.walk.fun > found.fun + 1e-9 * max(abs(found.fun), 1e-3 * float(_spread(found))):
        start = " ".join(f"{n}={v:g}" for n, v in zip(found.names, found.x, strict=True))
        notes.append(f"the descent ended in a higher minimum than the sweep found: start it at {start}")
    return notes


def _spread(found: Sweep) -> float:
    finite = found.costs[np.isfinite(found.costs)]
    return float(finite.max() - finite.min())


def read_ranges(names: tuple[str, ...], ranges: Any, columns: Sequence[str] = ()) -> tuple[NDArray[np.float64], ...]:
    """The values to try of each variable; `columns` of the data tell a misspelt column from a variable.

    >>> read_ranges(("m", "c"), "c=0:1:3, m=2")
    (array([2.]), array([0. , 0.5, 1. ]))
    """
    given = _split(ranges) if isinstance(ranges, str) else dict(ranges)
    missing = [name for name in names if name not in given]
    hint = misspelt(missing, tuple(columns))
    for name in given:
        if name not in names:
            what = "a column of the data and no variable" if name in columns else "no variable here"
            near = "" if name in columns else f"; {suggest(str(name), names)}"
            raise OptionError(f"range of {name!r}, which is {what}{near}{hint}")
    if missing:
        example = f"{missing[0]}=-5:5:{POINTS}"
        raise OptionError(f"no range was given for {', '.join(missing)}; give one, such as {example}{hint}")
    return tuple(_axis(name, given[name]) for name in names)


def _split(text: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for word in re.split(r"[\s,]+", text.strip()):
        name, equals, span = word.partition("=")
        if not equals or not name or not span:
            raise OptionError(f"range: {word!r} is not NAME=LOW:HIGH or NAME=LOW:HIGH:COUNT, such as w=-5:5:{POINTS}")
        if name in given:
            raise OptionError(f"range: {name} is given twice")
        given[name] = span
    return given


def _axis(name: str, span: Any) -> NDArray[np.float64]:
    """The values of one variable."""
    shown = f"the range {name}={span}"
    example = f"write LOW:HIGH:COUNT, such as {name}=-5:5:{POINTS}"
    parts: Iterable[Any] = span.split(":") if isinstance(span, str) else np.atleast_1d(span).tolist()
    try:
        numbers = [float(part) for part in parts]
    except (TypeError, ValueError):
        raise OptionError(f"{shown} is not made of numbers; {example}") from None
    if not numbers or not np.isfinite(numbers).all():
        raise OptionError(f"{shown} must be made of finite numbers; {example}")
    if isinstance(span, np.ndarray | list) or len(numbers) == 1:
        return np.array(numbers)
    if len(numbers) > 3:
        raise OptionError(f"{shown} has {len(numbers)} numbers; {example}")
    low, high, count = (*numbers, POINTS)[:3]
    if count != int(count) or count < 1:
        raise OptionError(f"{shown}: the count is {count:g}, expected a whole number of at least 1; {example}")
    if low >= high:
        raise OptionError(f"{shown} goes from {low:g} to {high:g}; expected LOW below HIGH")
    if count > LIMIT:
        raise OptionError(_too_many((np.broadcast_to(0.0, int(count)),), int(count)))
    return np.linspace(low, high, int(count))


def _too_many(axes: tuple[NDArray, ...], total: int) -> str:
    """How many evaluations that would be, and what to do instead."""
    sides = " x ".join(f"{len(axis):,}" for axis in axes)
    product = f"{sides} = {total:,}" if len(axes) > 1 else f"{total:,}"
    fits = int(LIMIT ** (1.0 / len(axes)) + 1e-9)
    advice = f"take at most {fits:,} points a side" if fits > 1 else "this many variables have no affordable grid"
    return (
        f"the sweep would take {product} evaluations, more than {LIMIT:,}: {advice}, "
        "or leave the sweep and descend: descender minimize"
    )
