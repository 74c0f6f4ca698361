"""The points of a walk, made ready for a picture: thinned, bounded, and seen in a plane."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.costs.cost import Cost, Vector
from descender.costs.formula import Formula
from descender.errors import OptionError, ShapeError
from descender.record import Record

DRAWN = 2_000
"""Points of a line that are drawn at most."""


def thin(values: NDArray, limit: int = DRAWN) -> NDArray[np.intp]:
    """The indices of at most `limit` rows: the first, the last, and the extremes of each column in equal stretches.

    >>> heights = np.zeros(1_000_000); heights[123_456] = 1.0
    >>> kept = thin(heights, 100)
    >>> len(kept) <= 100, 123_456 in kept
    (True, True)
    """
    columns = values.reshape(len(values), -1)
    n, k = columns.shape
    if n <= limit:
        return np.arange(n)
    stretches = max((limit - 2) // (2 * k), 1)
    edges = np.linspace(0, n, stretches + 1).astype(np.intp)
    kept = [np.array([0, n - 1])]
    for low, high in pairwise(edges):
        part = columns[low:high]
        kept += [low + part.argmin(axis=0), low + part.argmax(axis=0)]
    return np.unique(np.concatenate(kept))


class Trail(NamedTuple):
    """The points (n, d) of a walk, and after how many steps each was reached."""

    points: NDArray[np.float64]
    steps: NDArray[np.int64]


def trail_of(walk: Record | ArrayLike, d: int) -> Trail:
    """The points of a record, of a walk with a record, or of an array (n, d); (n,) for one parameter."""
    record = getattr(walk, "record", walk)
    if isinstance(record, Record):
        if record.path is None:
            raise OptionError("the record holds no points: the walk had too many parameters or steps to keep them")
        points = np.asarray(record.path, dtype=np.float64)
        steps = np.asarray(record["step"]) if "step" in record.columns else np.arange(len(points))
    else:
        points = np.asarray(record, dtype=np.float64)
        points = points[:, None] if points.ndim == 1 and d == 1 else points
        steps = np.arange(len(points) if points.ndim else 0)
    if points.ndim != 2 or points.shape[1] != d:
        raise ShapeError(f"the path has shape {points.shape}; expected (steps, {d}), a row for each point of this cost")
    if not len(points):
        raise ShapeError("the path has no points")
    if not np.isfinite(points).all(axis=1).any():
        raise ShapeError("no point of the path is finite")
    return Trail(points, steps)


def values_at(cost: Cost, points: NDArray) -> NDArray[np.float64]:
    """J at each row; nan where it is not finite, or the point is not."""
    known = np.isfinite(points).all(axis=1)
    values = np.full(len(points), np.nan)
    with np.errstate(all="ignore"):
        values[known] = (
            cost.values(points[known]) if isinstance(cost, Formula) else [cost.value(w) for w in points[known]]
        )
    return np.where(np.isfinite(values), values, np.nan)


class Box(NamedTuple):
    """What is shown: the lower and upper limit of each coordinate."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]


def near(values: NDArray) -> NDArray[np.bool_]:
    """Which points of a walk a picture is about: those at most ten times as high above the lowest as the start.

    Of a walk that diverges these are the points at which it began.
    """
    finite = np.isfinite(values)
    if not finite.any():
        raise ShapeError("the cost is finite at no point of the path")
    excess = values - np.nanmin(values)
    rises = excess[finite][excess[finite] > 0]
    first = excess[finite][0]
    return finite & (excess <= 10.0 * (first if first > 0 else rises[0] if rises.size else 0.0))


def box_around(
    points: NDArray, values: NDArray, value: Callable[[Vector], float] | None = None, margin: float = 0.12
) -> Box:
    """Limits that hold the walk where it is :func:`near`, its lowest point and the valley around that.

    Where the walk hardly moves along a coordinate, the box is as wide as the valley: so far that the cost rises by
    about half of what the walk fell.
    """
    kept = near(values)
    lowest, height = points[np.nanargmin(values)], float(np.nanmax(values[kept]) - np.nanmin(values))
    low, high = points[kept].min(axis=0), points[kept].max(axis=0)
    width = high - low
    width = np.where(width > 1e-12 * width.max(initial=0.0), width, 0.0)  # less is rounding
    least = np.zeros_like(width)
    if value is not None and height > 0:
        guess = np.where(width > 0, width, 1e-3 * np.maximum(np.abs(lowest), 1.0))
        least = np.array([_reach(value, lowest, j, guess[j], 0.5 * height) for j in range(len(lowest))])
        least = np.where(width > least, 0.0, least)
    least = np.where(width + least > 0, least, 0.1 * np.maximum(np.abs(lowest), 1.0) + 0.5 * width.max(initial=0.0))
    low, high = np.minimum(low, lowest - least), np.maximum(high, lowest + least)
    pad = margin * (high - low)
    return Box(low - pad, high + pad)


def _reach(value: Callable[[Vector], float], w: Vector, j: int, reach: float, rise: float) -> float:
    """How far along coordinate j, either way, J has risen by `rise`: to a factor of two; 0 if it never does."""
    at, direction = value(w), np.eye(len(w))[j]

    def higher(t: float) -> bool:
        with np.errstate(all="ignore"):
            sides = [value(w + t * direction) - at, value(w - t * direction) - at]
        return not max(sides) < rise

    doublings = 0
    while not higher(reach) and doublings < 40:
        reach, doublings = 2.0 * reach, doublings + 1
    if doublings == 40:
        return 0.0
    halvings = 0
    while doublings == 0 and higher(0.5 * reach) and halvings < 40:
        reach, halvings = 0.5 * reach, halvings + 1
    return reach


def read_limits(limits: Any, names: Sequence[str]) -> Box:
    """Limits that were given: (low, high), or such a pair for each coordinate."""
    try:
        pairs = np.asarray(limits, dtype=np.float64).reshape(-1, 2)
    except (TypeError, ValueError):
        pairs = np.empty((0, 2))
    with np.errstate(over="ignore", invalid="ignore"):
        width = pairs[:, 1] - pairs[:, 0]
    if len(pairs) != len(names) or not (np.isfinite(width) & (width > 0)).all():
        expected = "(low, high)" if len(names) == 1 else f"a pair (low, high) for each of {', '.join(names)}"
        raise OptionError(f"limits={limits!r}: expected {expected}, finite and low < high")
    return Box(pairs[:, 0], pairs[:, 1])


def drawable(points: NDArray, box: Box, beyond: float = 4.0) -> NDArray[np.float64]:
    """The points, those far outside the box moved along their segment to just outside it, or nan.

    A walk that leaves to 1e200 is then drawn as the line that leaves the picture.
    """
    centre, half = 0.5 * (box.low + box.high), 0.5 * (box.high - box.low)
    with np.errstate(all="ignore"):
        distance = (np.abs(points - centre) / half).max(axis=1)
    distance = np.where(np.isfinite(distance), distance, np.inf)
    shown = points.copy()
    for i in np.flatnonzero(distance > beyond):
        before = shown[i - 1] if i and distance[i - 1] <= beyond else None
        reach = points[i] - before if before is not None and np.isfinite(distance[i]) else np.nan
        shown[i] = np.nan if before is None else before + reach * (beyond / distance[i])
    return shown


def spread_steps(points: NDArray, count: int) -> list[int]:
    """Up to `count` indices from the first to the last point, as far apart as the points allow."""
    finite = np.flatnonzero(np.isfinite(points).all(axis=1))
    width = np.ptp(points[finite], axis=0)
    scaled = points / np.where(width > 0, width, 1.0)
    last = int(finite[-1])
    apart = 0.02
    while True:
        chosen = [int(finite[0])]
        for i in finite[1:-1].tolist():
            if min(float(np.max(np.abs(scaled[i] - scaled[k]))) for k in [*chosen, last]) >= apart:
                chosen.append(i)
        if len(chosen) < count:
            break
        apart *= 1.25
    chosen.append(last)
    return sorted(set(chosen))
