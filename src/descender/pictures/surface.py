"""The cost over two parameters, or over the plane in which a walk mostly lies: contours, and a surface in 3-D."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.costs.cost import Cost, Vector
from descender.errors import OptionError, ShapeError, suggest
from descender.pictures.curves import LARGEST, SMALLEST
from descender.pictures.paths import DRAWN, Box, box_around, drawable, near, read_limits, thin, trail_of, values_at
from descender.pictures.plotly import DEPTHS, Spec, figure, plain, rounded, titled
from descender.pictures.style import (
    BLACK,
    VERMILLION,
    YELLOW,
    axes,
    colourbar,
    counted,
    head,
    legend,
    short,
    styled,
    words,
)
from descender.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVELS = 14
WORK = 1e9
"""Numbers that the grid may read, unless a resolution is given: samples x parameters x grid points.  A cost that may be
slow, such as a function of a user's, is asked at 51 x 51 points."""


@dataclass(frozen=True)
class Plane:
    r"""The points :math:`w = \text{origin} + a\,d_1 + b\,d_2`; ``explained`` is the share of the walk within it."""

    origin: NDArray[np.float64]
    directions: NDArray[np.float64]
    explained: float

    def seen(self, points: NDArray) -> NDArray[np.float64]:
        """Where points (n, d) are in the plane, (n, 2)."""
        with np.errstate(all="ignore"):
            return (points - self.origin) @ self.directions.T


@dataclass(frozen=True)
class Contour:
    """The cost ``z`` (ny, nx) over a grid, nan where it is not finite, and a walk (n, 2) with its costs.

    ``levels`` are heights of z, evenly spaced or (``log``) ever closer towards the lowest cost known.
    """

    names: tuple[str, str]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    z: NDArray[np.float64]
    levels: NDArray[np.float64]
    log: bool
    path: NDArray[np.float64]
    path_cost: NDArray[np.float64]
    path_step: NDArray[np.int64]
    lowest: tuple[float, float, float]
    plane: Plane
    notes: tuple[str, ...] = ()

    @property
    def box(self) -> Box:
        """What is shown."""
        return Box(np.array([self.x[0], self.y[0]]), np.array([self.x[-1], self.y[-1]]))


def describe_contour(
    cost: Cost,
    walk: Record | ArrayLike,
    parameters: Sequence[str] | None = None,
    limits: Any = None,
    resolution: int | None = None,
) -> Contour:
    """The cost around a walk: a record, or points (n, d).

    Of more than two parameters, either two are named and the others stay as at the lowest point, or the picture shows
    the plane through that point along the two principal directions of the walk.  `limits` are two pairs (low, high); by
    default they hold the walk and the valley around its lowest point.  `resolution` is the number of grid lines each
    way.

    >>> from descender.costs.formula import Formula
    >>> picture = describe_contour(Formula("a**2 + 4*b**2"), [[2.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    >>> picture.names, picture.lowest
    (('a', 'b'), (0.0, 0.0, 0.0))
    """
    d = cost.n_parameters
    if d < 2:
        raise ShapeError("a path and a surface show two parameters, and this cost has one: a slice shows it")
    per_side = _resolution(cost) if resolution is None else int(resolution)
    if per_side < 2:
        raise OptionError(f"resolution={resolution}: at least 2 grid lines are needed")
    trail = trail_of(walk, d)
    most = min(DRAWN, per_side**2)
    kept = thin(np.nan_to_num(trail.points), most) if d == 2 else _evenly(len(trail.points), most)
    points, steps = trail.points[kept], trail.steps[kept]
    values = values_at(cost, points)
    names, plane, notes = _plane(cost, points, values, parameters)
    path = plane.seen(points)

    def value(v: Vector) -> float:
        return cost.value(plane.origin + v @ plane.directions)

    box = box_around(path, values, value) if limits is None else read_limits(limits, names)
    x, y = (np.linspace(low, high, per_side) for low, high in zip(box.low, box.high, strict=True))
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    z = values_at(cost, plane.origin + grid @ plane.directions).reshape(len(y), len(x))
    if np.isnan(z).all():
        raise OptionError("J is not finite anywhere within the limits")
    best = int(np.nanargmin(values)) if np.isfinite(values).any() else 0
    inside = ((path >= box.low) & (path <= box.high)).all(axis=1)
    levels, log = _levels(z, values[inside])
    if np.isnan(z).any():
        notes = (*notes, "white: the cost is not a finite number")
    lowest = (float(path[best, 0]), float(path[best, 1]), float(values[best]))
    return Contour(
        names, x, y, z, levels, log, drawable(path, box), values, steps, lowest, plane, notes
    )  # fmt: skip


def _evenly(n: int, most: int) -> NDArray[np.intp]:
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.intp))


def _resolution(cost: Cost) -> int:
    work = max((cost.n_samples or 1) * cost.n_parameters, 1)
    return int(np.clip(np.sqrt(WORK / work), 25, 51 if cost.slow else 101))


def _plane(
    cost: Cost, points: NDArray, values: NDArray, parameters: Sequence[str] | None
) -> tuple[tuple[str, str], Plane, tuple[str, ...]]:
    d, names = cost.n_parameters, cost.names
    shown = points[near(values)]
    lowest = points[np.nanargmin(values)]
    if parameters is not None or d == 2:
        chosen = tuple(parameters) if parameters is not None else names
        for name in chosen:
            if name not in names:
                raise OptionError(f"parameters={list(chosen)}: {name!r} is none; {suggest(str(name), names)}")
        if len(set(chosen)) != 2:
            raise OptionError(f"parameters={list(chosen)}: name two")
        first, second = names.index(chosen[0]), names.index(chosen[1])
        directions = np.eye(d)[[first, second]]
        origin = lowest * (1.0 - directions.sum(axis=0))
        more = "parameter" if d == 3 else f"{d - 2:,} parameters"
        notes = () if d == 2 else (f"the other {more} as at the lowest point",)
        return (chosen[0], chosen[1]), Plane(origin, directions, 1.0), notes
    moved = shown - lowest
    _, spread, rows = np.linalg.svd(moved / max(float(np.abs(moved).max()), 1e-300), full_matrices=False)
    directions = rows[:2] if len(rows) >= 2 else np.vstack([rows, np.eye(d)[:1]])[:2]
    # A walk along a line has no second direction: any that is orthogonal to the first will do.
    if len(rows) < 2:
        other = np.eye(d)[int(np.argmin(np.abs(directions[0])))]
        other -= (other @ directions[0]) * directions[0]
        directions[1] = other / np.linalg.norm(other)
    total = float(np.sum(spread**2))
    explained = float(np.sum(spread[:2] ** 2)) / total if total > 0 else 1.0
    note = f"the walk's two principal directions among {d:,} parameters hold {explained:.1%} of it"
    return ("first direction", "second direction"), Plane(lowest.copy(), directions, explained), (note,)


def _levels(z: NDArray, along: NDArray) -> tuple[NDArray[np.float64], bool]:
    """Heights at which to draw lines: geometric above the lowest cost where the excess spans two decades."""
    along = along[np.isfinite(along)]
    base = float(min(np.nanmin(z), along.min(initial=np.inf)))
    excess = (z - base)[np.isfinite(z)]
    top = float(excess.max(initial=0.0))
    if len(along) and along.max() > base:
        top = min(top, 100.0 * float(along.max() - base))
    grain = 8.0 * np.spacing(abs(base))
    if not top > LEVELS * grain:
        return base + np.array([0.0, 1.0]) * max(abs(base), 1.0), False
    low = max(float(np.quantile(excess[excess > 0], 0.003)), grain)
    if top > 100.0 * low > 0:
        return base + np.geomspace(low, top, LEVELS), True
    return base + np.linspace(0.0, top, LEVELS), False


@styled
def draw_contour(data: Contour, ax: Any = None) -> Axes:
    """Draw the cost from above, dark where it is low, with the walk on it."""
    ax = axes(ax, (6.6, 4.8))
    draw_ground(data, ax)
    draw_path(data, ax)
    head(ax, walked(data), data.notes)
    legend(ax)
    return ax


def draw_ground(data: Contour, ax: Any, colours: str = "Blues_r") -> None:
    """Draw the cost from above, without any walk."""
    from matplotlib.colors import BoundaryNorm

    data, label = _in_units(data)
    norm = BoundaryNorm(data.levels, 256, extend="both")
    depth = 0.55 if colours.startswith("Greys") else 0.9  # walks in colours stand out from a pale ground
    shaded = ax.contourf(data.x, data.y, data.z, data.levels, cmap=colours, norm=norm, extend="both", alpha=depth)
    ax.contour(data.x, data.y, data.z, data.levels, colors="#33475B", linewidths=0.4)
    bar = colourbar(ax, shaded, label, ticks=data.levels[::2], format=lambda v, _: short(v, 3))
    bar.minorticks_off()
    ax.set_xlim(data.x[0], data.x[-1])
    ax.set_ylim(data.y[0], data.y[-1])
    ax.set_xlabel(words(data.names[0]))
    ax.set_ylabel(words(data.names[1]))


def _in_units(data: Contour) -> tuple[Contour, str]:
    """The picture with heights of a size that Matplotlib can hold, and what they are called."""
    largest = float(np.abs(data.levels).max())
    if SMALLEST < largest < LARGEST:
        return data, "cost J"
    exponent = int(np.clip(np.floor(np.log10(largest)), -300, 300))
    z, levels, along = (values / 10.0**exponent for values in (data.z, data.levels, data.path_cost))
    return replace(data, z=z, levels=levels, path_cost=along), f"cost J / 1e{exponent}"


def draw_path(data: Contour, ax: Any) -> None:
    """Draw the walk, its start and its lowest point."""
    few = np.isfinite(data.path).all(axis=1).sum() <= 60
    ax.plot(*data.path.T, color="white", lw=3.2, alpha=0.7, zorder=3)
    ax.plot(*data.path.T, color=VERMILLION, lw=1.5, marker="o" if few else None, ms=3.5, zorder=4)
    _ends(ax, data)


def walked(data: Contour) -> str:
    """How many steps led from which cost to which."""
    known = data.path_cost[np.isfinite(data.path_cost)]
    return f"{counted(int(data.path_step[-1]), 'step')} from J = {short(known[0])} to {short(known[-1])}"


def _ends(ax: Any, data: Contour, *heights: NDArray) -> None:
    """Mark the start and the lowest point, as one where they are one."""
    marks = [(0, "o", "start", "white", 7.5), (_lowest(data), "*", "lowest point", YELLOW, 13)]
    if marks[0][0] == marks[1][0]:
        marks = [(0, "o", "start, and lowest point", "white", 7.5)]
    for index, marker, label, fill, size in marks:
        at = [np.array([v]) for v in (*data.path[index], *[h[index] for h in heights])]
        ax.plot(*at, marker, color=BLACK, mfc=fill, ms=size, zorder=6, label=label)


def _lowest(data: Contour) -> int:
    return int(np.nanargmin(data.path_cost))


@styled
def draw_surface(data: Contour, ax: Any = None, view: tuple[float, float] = (32.0, -60.0)) -> Axes:
    """Draw the cost as a surface in 3-D with the walk on it; `view` is elevation and azimuth in degrees.

    Heights beyond a hundred times the walk's own are cut off.
    """
    box: Any = axes(ax, (6.6, 5.4), "3d")
    box.computed_zorder = False
    title = walked(data)
    data, label = _in_units(data)
    top = float(np.nanmax(data.z))
    seen = data.path_cost[np.isfinite(data.path_cost) & _inside(data)]
    if len(seen):
        top = min(top, max(100.0 * float(seen.max() - data.levels[0]), 0.0) + float(data.levels[0]) or top)
    shown = np.where(data.z > top, top, data.z)
    X, Y = np.meshgrid(data.x, data.y)
    box.plot_surface(X, Y, shown, cmap="Blues_r", alpha=0.85, rcount=60, ccount=60, linewidth=0.15, edgecolor="#7A8B99")
    path = np.where(_inside(data)[:, None], data.path, np.nan)
    height = np.where(_inside(data), data.path_cost, np.nan)
    few = len(path) <= 60
    box.plot(*path.T, height, color=VERMILLION, lw=2.0, marker="o" if few else None, ms=3.5, zorder=5)
    _ends(box, data, height)
    box.set_xlabel(words(data.names[0]), labelpad=9)
    box.set_ylabel(words(data.names[1]), labelpad=9)
    box.set_zlabel(label, labelpad=11)
    box.view_init(*view)
    box.set_box_aspect(None, zoom=0.88)
    head(box, title, data.notes)
    legend(box, loc="upper right")
    return box


def _inside(data: Contour) -> NDArray[np.bool_]:
    (x, y), finite = data.path.T, np.isfinite(data.path).all(axis=1)
    with np.errstate(invalid="ignore"):
        within = (x >= data.x[0]) & (x <= data.x[-1]) & (y >= data.y[0]) & (y <= data.y[-1])
    return finite & within


def _shades(data: Contour) -> tuple[NDArray, Spec]:
    """Heights as colours: above the lowest level on a logarithmic scale where the levels are."""
    if not data.log:
        return data.z, {"title": {"text": "J"}}
    low, high = data.levels[1] - data.levels[0], data.levels[-1] - data.levels[0]
    shade = np.log10(np.clip(data.z - data.levels[0], low, high))
    ticks = np.log10(np.clip(data.levels[1::3] - data.levels[0], low, high))
    return shade, {
        "title": {"text": "J"},
        "tickvals": plain(ticks),
        "ticktext": [short(v, 3) for v in data.levels[1::3]],
    }


def ground_trace(data: Contour, colours: str = "Blues") -> Spec:
    """The cost from above, without any walk, in numbers of five digits."""
    shade, bar = _shades(data)
    return {
        "type": "contour", "x": plain(data.x), "y": plain(data.y), "z": rounded(shade), "customdata": rounded(data.z),
        "colorscale": DEPTHS[colours], "ncontours": 16, "line": {"width": 0.5}, "colorbar": bar,
        "hovertemplate": "J = %{customdata:.5g}<extra></extra>",
    }  # fmt: skip


def plotly_contour(data: Contour) -> Spec:
    """The cost from above with the walk on it."""
    steps = {
        "type": "scatter", "mode": "lines+markers", "x": plain(data.path[:, 0]), "y": plain(data.path[:, 1]),
        "line": {"color": VERMILLION, "width": 2}, "marker": {"size": 5}, "text": _hover(data), "hoverinfo": "text",
    }  # fmt: skip
    x = titled(data.names[0], range=[float(data.x[0]), float(data.x[-1])])
    y = titled(data.names[1], range=[float(data.y[0]), float(data.y[-1])])
    return figure([ground_trace(data), steps], "", x, y, data.notes, showlegend=False)


def plotly_surface(data: Contour) -> Spec:
    """The cost as a surface that can be turned, with the walk on it."""
    shade, bar = _shades(data)
    top = float(data.levels[-1])
    ground = {
        "type": "surface", "x": plain(data.x), "y": plain(data.y), "z": rounded(np.minimum(data.z, top)),
        "surfacecolor": rounded(shade), "colorscale": DEPTHS["Blues"], "colorbar": bar, "opacity": 0.9,
    }  # fmt: skip
    (x, y), heights = data.path.T, data.path_cost
    with np.errstate(invalid="ignore"):
        seen = (x >= data.x[0]) & (x <= data.x[-1]) & (y >= data.y[0]) & (y <= data.y[-1]) & (heights <= top)
    steps = {
        "type": "scatter3d", "mode": "lines+markers", "text": _hover(data), "hoverinfo": "text",
        "x": plain(np.where(seen, x, np.nan)), "y": plain(np.where(seen, y, np.nan)),
        "z": plain(np.where(seen, heights, np.nan)),
        "line": {"color": VERMILLION, "width": 5}, "marker": {"size": 2.5, "color": BLACK},
    }  # fmt: skip
    scene = {"xaxis": titled(data.names[0]), "yaxis": titled(data.names[1]), "zaxis": titled("J"), "aspectmode": "cube"}
    scene["camera"] = {"eye": {"x": 1.25, "y": -1.45, "z": 0.95}, "center": {"x": 0, "y": 0, "z": -0.15}}
    spec = figure([ground, steps], "", {}, {}, data.notes, showlegend=False, scene=scene)
    return {"data": spec["data"], "layout": {k: v for k, v in spec["layout"].items() if k not in ("xaxis", "yaxis")}}


def _hover(data: Contour) -> list[str]:
    return [f"step {s:,}: J = {short(v, 6)}" for s, v in zip(data.path_step, data.path_cost, strict=True)]
