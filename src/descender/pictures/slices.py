"""The cost over one weight: the descent with its tangents, and the sweep that tries every weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.costs.cost import Cost
from descender.errors import OptionError, ShapeError
from descender.pictures.paths import DRAWN, box_around, drawable, read_limits, spread_steps, thin, trail_of, values_at
from descender.pictures.plotly import DASHED, Spec, figure, plain, rounded, titled
from descender.pictures.style import (
    BLACK,
    BLUE,
    COLOURS,
    GREY,
    VERMILLION,
    axes,
    head,
    in_order,
    legend,
    short,
    styled,
    words,
)
from descender.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Tangents:
    """Straight pieces that touch the curve: where, how steep, after how many steps, and how far they reach."""

    at: NDArray[np.float64]
    value: NDArray[np.float64]
    slope: NDArray[np.float64]
    step: NDArray[np.int64]
    reach: NDArray[np.float64]


@dataclass(frozen=True)
class Slice:
    """The cost over one weight (``w``, ``value``) and the points of a walk on it."""

    name: str
    w: NDArray[np.float64]
    value: NDArray[np.float64]
    path: NDArray[np.float64]
    path_value: NDArray[np.float64]
    path_step: NDArray[np.int64]
    tangents: Tangents
    lowest: tuple[float, float]


def describe_slice(
    cost: Cost,
    walk: Record | ArrayLike,
    steps: Sequence[int] | None = None,
    limits: tuple[float, float] | None = None,
    points: int = 400,
) -> Slice:
    """The cost of one weight, the walk on it, and tangents after the chosen `steps` (by default about five).

    >>> from descender.costs.formula import Formula
    >>> picture = describe_slice(Formula("w**2"), [2.0, 1.0, 0.5], steps=[0, 2])
    >>> picture.tangents.slope
    array([4., 1.])
    """
    if cost.n_parameters != 1:
        raise ShapeError(f"a slice shows one weight, and this cost has {cost.n_parameters}: path and surface show two")
    trail = trail_of(walk, 1)
    kept = thin(np.nan_to_num(trail.points))
    path, numbers = trail.points[kept], trail.steps[kept]
    values = values_at(cost, path)
    box = box_around(path, values, cost.value, 0.15) if limits is None else read_limits(limits, cost.names)
    grid = np.linspace(box.low[0], box.high[0], points)
    heights = values_at(cost, grid[:, None])
    if np.isnan(heights).all():
        raise OptionError(f"J is not finite for any {cost.names[0]} from {box.low[0]:g} to {box.high[0]:g}")
    inside = (path[:, 0] >= box.low[0]) & (path[:, 0] <= box.high[0]) & np.isfinite(values)
    tangents = _tangents(cost, path[inside, 0], values[inside], numbers[inside], steps, grid, heights)
    best = int(np.nanargmin(values)) if (np.isfinite(values)).any() else 0
    return Slice(
        name=cost.names[0],
        w=grid,
        value=heights,
        path=drawable(path, box)[:, 0],
        path_value=values,
        path_step=numbers,
        tangents=tangents,
        lowest=(float(path[best, 0]), float(values[best])),
    )


def _tangents(
    cost: Cost,
    w: NDArray,
    values: NDArray,
    numbers: NDArray,
    steps: Sequence[int] | None,
    grid: NDArray,
    heights: NDArray,
) -> Tangents:
    if steps is not None:
        absent = [s for s in steps if s not in numbers]
        if absent:
            raise OptionError(f"steps={list(steps)}: the picture has no point after step {absent[0]}")
        chosen = [int(np.flatnonzero(numbers == s)[0]) for s in steps]
    else:
        chosen = spread_steps(w[:, None], 5) if len(w) else []
    at, value = w[chosen], values[chosen]
    slope = np.array([cost.gradient(np.array([x]))[0] for x in at])
    return Tangents(at, value, slope, numbers[chosen], tangent_reach(slope, grid, heights, 0.16))


def tangent_reach(slope: Any, grid: NDArray, heights: NDArray, share: float) -> Any:
    """How far to either side a piece of each slope reaches, if each is as long on the page, that `share` of it."""
    with np.errstate(over="ignore"):
        tall = np.ptp(heights[np.isfinite(heights)]) or 1.0
        return share / np.hypot(1.0 / np.ptp(grid), slope / tall)


@styled
def draw_slice(data: Slice, ax: Any = None) -> Axes:
    """Draw the cost over one weight, the steps on it, and the tangents with their slopes."""
    ax = axes(ax)
    draw_ground(data, ax)
    ax.plot(data.path, data.path_value, "o", color=BLACK, ms=4, zorder=4, label="steps")
    t = data.tangents
    for k, (w, value, slope, reach) in enumerate(zip(t.at, t.value, t.slope, t.reach, strict=True)):
        ends = np.array([w - reach, w + reach])
        label = f"step {t.step[k]:,}: slope {short(slope, 3)}"
        ax.plot(ends, value + slope * (ends - w), lw=2.2, zorder=3, label=label, **in_order(k, len(t.at)))
    head(ax, f"Lowest J = {short(data.lowest[1])} at {data.name} = {short(data.lowest[0])}")
    legend(ax)
    return ax


def plotly_slice(data: Slice) -> Spec:
    """The cost over one weight, the steps on it, and the tangents."""
    hover = [f"step {s:,}: J = {short(v, 6)}" for s, v in zip(data.path_step, data.path_value, strict=True)]
    traces: list[Spec] = [
        {
            "type": "scatter", "mode": "lines", "name": "cost J", "x": plain(data.w), "y": rounded(data.value, 7),
            "line": {"color": GREY, "width": 2},
        },
        {
            "type": "scatter", "mode": "markers", "name": "steps", "x": plain(data.path), "y": plain(data.path_value),
            "marker": {"color": BLACK, "size": 6}, "text": hover, "hoverinfo": "text",
        },
    ]  # fmt: skip
    t = data.tangents
    for k, (w, value, slope, reach) in enumerate(zip(t.at, t.value, t.slope, t.reach, strict=True)):
        traces.append(
            {
                "type": "scatter", "mode": "lines", "name": f"step {t.step[k]:,}: slope {short(slope, 3)}",
                "x": [w - reach, w + reach], "y": [value - slope * reach, value + slope * reach],
                "line": {"color": COLOURS[k % 6], "width": 3, "dash": DASHED[k % 7]},
            }
        )  # fmt: skip
    low, high = _heights(data)
    x, y = titled(data.name, range=[float(data.w[0]), float(data.w[-1])]), titled("cost J", range=[low, high])
    return figure(traces, f"Lowest J = {short(data.lowest[1])} at {data.name} = {short(data.lowest[0])}", x, y)


def draw_ground(data: Slice, ax: Any) -> None:
    """Draw the cost over the weight, without any walk."""
    ax.plot(data.w, data.value, color=GREY, lw=1.5, label="cost J")
    ax.set_ylim(*_heights(data))
    ax.set_xlim(data.w[0], data.w[-1])
    ax.set_xlabel(words(data.name))
    ax.set_ylabel("cost J")


def _heights(data: Slice) -> tuple[float, float]:
    low, high = float(np.nanmin(data.value)), float(np.nanmax(data.value))
    pad = 0.08 * (high - low) or 1.0
    return low - pad, high + pad


@dataclass(frozen=True)
class Sweep:
    """Weights (n, d), d being 1 or 2, tried one after another; and the points of a descent beside them."""

    names: tuple[str, ...]
    weights: NDArray[np.float64]
    costs: NDArray[np.float64]
    best: int
    evaluations: int
    path: NDArray[np.float64]
    path_costs: NDArray[np.float64]
    descent_evaluations: int | None


def describe_sweep(
    weights: ArrayLike, costs: ArrayLike, record: Record | None = None, names: Sequence[str] | None = None
) -> Sweep:
    """The cost at each of many `weights`, (n,) or (n, 1) or (n, 2), and a descent with both counts of evaluations.

    >>> describe_sweep([0.0, 1.0, 2.0], [4.0, 1.0, 0.5]).best
    2
    """
    W = np.asarray(weights, dtype=np.float64)
    W = W[:, None] if W.ndim == 1 else W
    J = np.asarray(costs, dtype=np.float64)
    if W.ndim != 2 or W.shape[1] not in (1, 2) or J.shape != (len(W),) or not len(W):
        raise ShapeError(f"weights have shape {W.shape} and costs {J.shape}; expected (n, 1) or (n, 2), and (n,)")
    J = np.where(np.isfinite(J), J, np.nan)
    if np.isnan(J).all():
        raise OptionError("no cost of the sweep is a finite number: there is nothing to draw")
    d = W.shape[1]
    path, path_costs, used = np.empty((0, d)), np.empty(0), None
    record = getattr(record, "record", record)
    if record is not None:
        trail = trail_of(record, d)
        kept = thin(np.nan_to_num(trail.points), DRAWN)
        path, path_costs = trail.points[kept], record["cost"].astype(np.float64)[kept]
        names = names or record.names or None
        used = int(record["evaluations"].max()) if "evaluations" in record.columns else None
    chosen = tuple(names) if names is not None else ("w",) if d == 1 else ("w1", "w2")
    if len(chosen) != d:
        raise ShapeError(f"names={chosen}: expected {d}")
    return Sweep(chosen, W, J, int(np.nanargmin(J)), len(J), path, path_costs, used)


@styled
def draw_sweep(data: Sweep, ax: Any = None) -> Axes:
    """Draw the sweep's costs and the descent on the same curve; in two dimensions from above."""
    ax = axes(ax)
    best = ", ".join(f"{n} = {short(w)}" for n, w in zip(data.names, data.weights[data.best], strict=True))
    swept = words(f"sweep, {data.evaluations:,} evaluations: J = {short(data.costs[data.best])} at {best}")
    walked = ""
    if len(data.path):
        end = ", ".join(f"{n} = {short(w)}" for n, w in zip(data.names, data.path[-1], strict=True))
        count = "" if data.descent_evaluations is None else f", {data.descent_evaluations:,} evaluations"
        walked = words(f"descent{count}: J = {short(data.path_costs[-1])} at {end}")
    if len(data.names) == 1:
        order = np.argsort(data.weights[:, 0])
        dots = "." if len(order) <= 300 else ""
        ax.plot(data.weights[order, 0], data.costs[order], color=BLUE, marker=dots, lw=1.2, ms=4, label=swept)
        bottom, top = ax.get_ylim()
        if walked:
            ax.plot(data.path[:, 0], data.path_costs, "o", color=VERMILLION, mfc="white", ms=5.5, label=walked)
            ax.set_ylim(bottom, top)
            ax.set_xlim(
                data.weights.min() - 0.03 * np.ptp(data.weights), data.weights.max() + 0.03 * np.ptp(data.weights)
            )
        ax.set_ylabel("cost J")
    else:
        _from_above(ax, data, swept, walked)
    ax.set_xlabel(words(data.names[0]))
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.01), borderaxespad=0.0)
    return ax


def _from_above(ax: Any, data: Sweep, swept: str, walked: str) -> None:
    x, y = data.weights.T
    excess = data.costs - data.costs[data.best]
    rank = np.argsort(np.argsort(np.nan_to_num(excess, nan=np.inf)))
    shade = np.where(np.isnan(excess), np.nan, rank / max(len(rank) - 1, 1))
    across, column = np.unique(x, return_inverse=True)
    up, row = np.unique(y, return_inverse=True)
    if len(across) * len(up) == len(x) and min(len(across), len(up)) > 1:  # a grid is one image, not so many squares
        image = np.full((len(up), len(across)), np.nan)
        image[row, column] = shade
        ax.pcolormesh(across, up, image, cmap="Blues_r", vmin=0.0, vmax=1.0, shading="nearest", rasterized=True)
    else:
        ax.scatter(x, y, c=shade, cmap="Blues_r", s=14, marker="s", edgecolor=GREY, linewidth=0.2)
    ax.plot([], [], "s", color=BLUE, ms=4, label=swept)
    if walked:
        limits = ax.get_xlim(), ax.get_ylim()
        ax.plot(*data.path.T, "o-", color=VERMILLION, mfc="white", lw=1.2, ms=4.5, label=walked)
        ax.set_xlim(limits[0])
        ax.set_ylim(limits[1])
    ax.set_ylabel(words(data.names[1]))
