"""Many starts: which minimum each fell into, and at what cost each ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.costs.cost import Cost
from descender.costs.minima import distinct
from descender.errors import OptionError, ShapeError
from descender.pictures.paths import read_limits, values_at
from descender.pictures.plotly import DEPTHS, Spec, escaped, figure, plain, rounded, titled
from descender.pictures.style import BLACK, COLOURS, GREY, MARKERS, axes, head, legend, short, styled, words
from descender.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x")
SHOWN = 6
"""Minima with a colour of their own; the rest share one."""


@dataclass(frozen=True)
class Basins:
    """Starts (n, d) with the minimum each reached: ``labels`` into ``minima`` (k, d), lowest first, -1 for none.

    Over one or two variables also the cost ``z`` on a grid; over two the ``region``: the label of the nearest start.
    """

    names: tuple[str, ...]
    starts: NDArray[np.float64]
    start_costs: NDArray[np.float64]
    labels: NDArray[np.int64]
    minima: NDArray[np.float64]
    costs: NDArray[np.float64]
    counts: NDArray[np.int64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    z: NDArray[np.float64]
    region: NDArray[np.int64]

    @property
    def one_is_lowest(self) -> bool:
        """Whether one minimum is lower than all others, by more than rounding of the costs seen."""
        return len(self.costs) > 1 and bool(self.costs[1] - self.costs[0] > 1e-9 * np.nanmax(np.abs(self.start_costs)))


def describe_basins(
    cost: Cost,
    starts: ArrayLike,
    ends: ArrayLike,
    limits: Any = None,
    tolerance: float = 1e-3,
    resolution: int | None = None,
    labels: ArrayLike | None = None,
) -> Basins:
    """Sort the `starts` by where they ended.

    Ends within `tolerance` of the extent of all starts and ends are one minimum, if the cost does not rise between
    them.  An end that is not finite is no minimum.  `labels` tell instead which minimum each start reached, -1 for
    none.  `limits` are those of the picture, for one or two variables.

    >>> from descender.costs.formula import Formula
    >>> picture = describe_basins(Formula("(x**2 - 1)**2 + 0.1*x"), [-2, -0.5, 0.5, 2], [-1.012, -1.012, 0.987, 0.987])
    >>> picture.labels, picture.counts
    (array([0, 0, 1, 1]), array([2, 2]))
    """
    d = cost.n_parameters
    S, E = (np.asarray(a, dtype=np.float64) for a in (starts, ends))
    S, E = (a[:, None] if a.ndim == 1 and d == 1 else a for a in (S, E))
    if S.ndim != 2 or S.shape != E.shape or S.shape[1] != d or not len(S):
        raise ShapeError(f"starts have shape {S.shape} and ends {E.shape}; expected (n, {d}) for both")
    if not tolerance > 0:
        raise OptionError(f"tolerance={tolerance}: a share of the extent, above 0")
    ended = values_at(cost, E)
    if labels is None:
        labels, which = distinct(cost.value, E, ended, _extent(S, E), tolerance=tolerance)
    else:
        labels = np.asarray(labels, dtype=np.int64)
        members = [np.flatnonzero(labels == k) for k in range(int(labels.max(initial=-1)) + 1)]
        which = [int(m[np.argmin(ended[m])]) for m in members]
    minima = E[which]
    counts = np.bincount(labels[labels >= 0], minlength=len(which))
    x, y, z, region = _ground(cost, S, minima, labels, limits, resolution)
    return Basins(
        cost.names, S, values_at(cost, S), labels, minima, values_at(cost, minima), counts, x, y, z, region
    )  # fmt: skip


def _extent(S: NDArray, E: NDArray) -> NDArray:
    both = np.concatenate([S, E[np.isfinite(E).all(axis=1)]])
    width = both.max(axis=0) - both.min(axis=0)
    return np.where(width > 0, width, np.maximum(np.abs(both[0]), 1.0))


def _ground(
    cost: Cost, S: NDArray, minima: NDArray, labels: NDArray, limits: Any, resolution: int | None
) -> tuple[NDArray, NDArray, NDArray, NDArray[np.int64]]:
    d = cost.n_parameters
    nothing = np.empty(0)
    if d > 2:
        return nothing, nothing, nothing, np.empty((0, 0), dtype=np.int64)
    if limits is None:
        seen = np.concatenate([S, minima])
        low, high = seen.min(axis=0), seen.max(axis=0)
        pad = np.where(high > low, 0.04 * (high - low), 1.0)
        low, high = low - pad, high + pad
    else:
        low, high = read_limits(limits, cost.names)
    per_side = resolution or (400 if d == 1 else 101)
    x = np.linspace(low[0], high[0], per_side)
    if d == 1:
        return x, nothing, values_at(cost, x[:, None]), np.empty((0, 0), dtype=np.int64)
    from scipy.spatial import KDTree

    y = np.linspace(low[1], high[1], per_side)
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    nearest = KDTree(S / (high - low)).query(grid / (high - low))[1]
    return x, y, values_at(cost, grid).reshape(per_side, per_side), labels[nearest].reshape(per_side, per_side)


@styled
def draw_basins(data: Basins, ax: Any = None) -> Axes:
    """Draw each start in the colour of its minimum: on the curve or the map; bars for more than two variables."""
    d = len(data.names)
    ax = axes(ax, (7.4, 4.6) if d == 2 else (6.4, 4.2))
    if d > 2:
        return _bars(data, ax)
    if d == 1:
        ax.plot(data.x, data.z, color=GREY, lw=1.2, zorder=1)
    else:
        _map(data, ax)
    for label, chosen in _groups(data):
        look = {"marker": "x", "color": BLACK} if label < 0 else _look(label)
        edge = {} if label < 0 else {"edgecolor": "white", "linewidth": 0.5}
        ax.scatter(*_at(data, chosen), s=26, zorder=3, label=_words(data, label, chosen), **look, **edge)
    for k, place in enumerate(zip(*_bottoms(data), strict=True)):
        ax.plot(*place, "*", ms=17, color=COLOURS[k], mec="white", mew=1.2, zorder=5)
    ax.set_xlabel(words(data.names[0]))
    ax.set_ylabel("cost J" if d == 1 else words(data.names[1]))
    head(ax, _title(data))
    legend(ax, beside=d == 2)
    return ax


def plotly_basins(data: Basins) -> Spec:
    """Each start over one or two variables in the colour of its minimum, and the minima as stars."""
    d = len(data.names)
    if d == 1:
        ground: Spec = {"type": "scatter", "mode": "lines", "x": plain(data.x), "y": rounded(data.z, 7),
                        "line": {"color": GREY, "width": 1.5}, "hoverinfo": "skip", "showlegend": False}  # fmt: skip
    else:
        height = np.sqrt(data.z - np.nanmin(data.z))
        ground = {
            "type": "contour", "x": plain(data.x), "y": plain(data.y), "z": rounded(height),
            "colorscale": DEPTHS["Greys"], "ncontours": 14, "showscale": False, "hoverinfo": "skip",
            "opacity": 0.5,
        }  # fmt: skip
    traces = [ground]
    for label, chosen in _groups(data):
        (x, y), colour = _at(data, chosen), BLACK if label < 0 else _look(label)["color"]
        mark = {"color": colour, "size": 8, "symbol": "x" if label < 0 else SYMBOLS[label % 7],
                "line": {"color": "#FFFFFF", "width": 1}}  # fmt: skip
        traces.append(
            {"type": "scatter", "mode": "markers", "name": escaped(_words(data, label, chosen)), "x": plain(x),
             "y": plain(y), "marker": mark, "text": [f"J = {short(v, 5)}" for v in data.start_costs[chosen]]}
        )  # fmt: skip
    x, y = _bottoms(data)
    stars = {"symbol": "star", "size": 17, "color": list(COLOURS[: len(x)]), "line": {"color": "#FFFFFF", "width": 1.5}}
    traces.append({"type": "scatter", "mode": "markers", "x": plain(x), "y": plain(y), "marker": stars,
                   "showlegend": False, "hoverinfo": "skip"})  # fmt: skip
    across = titled(data.names[0], range=[float(data.x[0]), float(data.x[-1])])
    up = titled("cost J") if d == 1 else titled(data.names[1], range=[float(data.y[0]), float(data.y[-1])])
    return figure(traces, _title(data), across, up, height=460)


def _groups(data: Basins) -> list[tuple[int, NDArray[np.bool_]]]:
    """Which starts fell into each minimum with a colour of its own, into any other (``SHOWN``), and into none (-1)."""
    labels = (*range(min(len(data.minima), SHOWN)), SHOWN, -1)
    groups = [(label, data.labels == label if label < SHOWN else data.labels >= SHOWN) for label in labels]
    return [(label, chosen) for label, chosen in groups if chosen.any()]


def _at(data: Basins, chosen: NDArray[np.bool_]) -> tuple[NDArray, NDArray]:
    one = len(data.names) == 1
    return data.starts[chosen, 0], data.start_costs[chosen] if one else data.starts[chosen, 1]


def _bottoms(data: Basins) -> tuple[NDArray, NDArray]:
    """Where the minima are that have a colour of their own."""
    return data.minima[:SHOWN, 0], data.costs[:SHOWN] if len(data.names) == 1 else data.minima[:SHOWN, 1]


def _look(label: int) -> dict[str, Any]:
    return {"marker": MARKERS[label], "color": COLOURS[label] if label < SHOWN else GREY}


def _title(data: Basins) -> str:
    k = len(data.minima)
    return f"{len(data.labels):,} starts, {k} {'minimum' if k == 1 else 'minima'}"


def _words(data: Basins, label: int, chosen: NDArray) -> str:
    count = int(chosen.sum())
    if label < 0:
        return f"{count:,}: no minimum"
    if label >= SHOWN:
        return f"{count:,}: {len(data.minima) - SHOWN} other minima"
    at = ", ".join(short(v, 3) for v in data.minima[label])
    return (
        f"{count:,} to {at if len(data.names) == 1 else f'({at})'}, J = {short(data.costs[label], 3)}"
        + " (lowest)" * (label == 0 and data.one_is_lowest)
    )


def _map(data: Basins, ax: Any) -> None:
    from matplotlib.colors import ListedColormap

    shade = ListedColormap(["white", *COLOURS[:SHOWN], GREY])
    index = np.clip(data.region, -1, SHOWN) + 1
    extent = (data.x[0], data.x[-1], data.y[0], data.y[-1])
    ax.imshow(
        index, origin="lower", extent=extent, aspect="auto", cmap=shade, vmin=-0.5, vmax=SHOWN + 1.5,
        alpha=0.28, interpolation="nearest",
    )  # fmt: skip
    z = np.ma.masked_invalid(data.z)
    excess = np.sqrt(z - z.min())
    ax.contour(data.x, data.y, excess, 12, colors="#555555", linewidths=0.5)


def _bars(data: Basins, ax: Any) -> Axes:
    shown = min(len(data.minima), 12)
    ax.barh(np.arange(shown), data.counts[:shown], color=COLOURS[0], height=0.7)
    ax.set_yticks(np.arange(shown), [f"J = {short(v)}" for v in data.costs[:shown]])
    ax.invert_yaxis()
    ax.set_xlabel("starts")
    ax.set_ylabel("minimum")
    rest = (f"the {shown} lowest of {len(data.minima)} minima",) if shown < len(data.minima) else ()
    head(ax, _title(data), rest)
    return ax


@dataclass(frozen=True)
class Ends:
    """The costs at which many starts ended, ascending, and each one's share of starts at or below it."""

    costs: NDArray[np.float64]
    share: NDArray[np.float64]
    log: bool
    not_finite: int
    marks: tuple[tuple[str, float, float], ...]


def describe_ends(costs: ArrayLike | Sequence[Record], marks: Sequence[float] = ()) -> Ends:
    """The end costs of many starts in order; for each of `marks` the share of starts that ended at or below it.

    >>> describe_ends([4.0, 1.0, 1.0, np.nan], marks=[2.0]).marks
    (('2', 2.0, 0.5),)
    """
    J = np.array([c["cost"][-1] if isinstance(c, Record) else c for c in costs], dtype=np.float64)  # type: ignore[union-attr]
    if J.ndim != 1 or not np.isfinite(J).any():
        raise OptionError("costs: expected one number for each start, some of them finite")
    known = np.sort(J[np.isfinite(J)])
    log = bool(known[0] > 0 and known[-1] > 100.0 * known[0])
    shares = tuple((short(m), float(m), float(np.sum(known <= m)) / len(J)) for m in marks)
    return Ends(known, np.arange(1, len(known) + 1) / len(J), log, len(J) - len(known), shares)


@styled
def draw_ends(data: Ends, ax: Any = None) -> Axes:
    """Draw the end costs in order: a stair for each group of starts that ended alike."""
    ax = axes(ax)
    ax.plot(100.0 * data.share, data.costs, color=COLOURS[0], marker="." if len(data.costs) <= 300 else None)
    for text, value, share in data.marks:
        ax.axhline(value, color=COLOURS[1], lw=1.0, ls="--")
        ax.annotate(
            f"{share:.0%} at {text} or below", (1, value), xycoords=("axes fraction", "data"), xytext=(-4, 3),
            textcoords="offset points", ha="right", va="bottom", fontsize=9, color=COLOURS[1],
        )  # fmt: skip
    if data.log:
        ax.set_yscale("log")
    ax.grid(True, axis="y")
    ax.set_xlabel("starts, from the best to the worst (%)")
    ax.set_ylabel("cost at the end")
    lost = (f"{data.not_finite:,} of them ended at no finite cost",) if data.not_finite else ()
    head(ax, f"Where {len(data.costs) + data.not_finite:,} starts ended", lost)
    return ax
