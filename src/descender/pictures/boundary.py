"""Points of two features by class, and where a model draws the line between the classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.errors import DataError, OptionError, ShapeError
from descender.pictures.plotly import Spec, escaped, figure, plain, rounded, titled
from descender.pictures.style import BLACK, COLOURS, MARKERS, axes, colourbar, head, legend, styled, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DRAWN = 5_000
"""Points that are drawn at most."""
SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x")


@dataclass(frozen=True)
class Scatter:
    """Points (n, 2), the index of each one's class in ``classes``, and how many points there were."""

    names: tuple[str, str]
    X: NDArray[np.float64]
    y: NDArray[np.int64]
    classes: tuple[str, ...]
    counts: NDArray[np.int64]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Boundary:
    """A scatter, and on a grid the ``probability`` (ny, nx, K) of each class and the likeliest one, ``winner``.

    ``accuracy`` is the share of all points, drawn or not, whose likeliest class is their own; a tie goes to the first.
    """

    scatter: Scatter
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    probability: NDArray[np.float64]
    winner: NDArray[np.int64]
    accuracy: float


def describe_scatter(
    X: ArrayLike, y: ArrayLike | None = None, names: Sequence[str] = ("x1", "x2"), classes: Sequence[Any] | None = None
) -> Scatter:
    """Points of two features; `y` holds a class for each, one of `classes` where they are given.

    Of more than 5,000 points evenly spaced ones are kept, and ``notes`` says so.

    >>> describe_scatter([[0, 0], [1, 1], [2, 0]], ["no", "yes", "no"]).counts
    array([2, 1])
    """
    points = np.asarray(X, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ShapeError(f"X has shape {points.shape}; a scatter shows two features, (n, 2)")
    if not np.isfinite(points).all():
        raise DataError("X must hold finite numbers to be drawn; leave other rows out")
    if len(names) != 2:
        raise ShapeError(f"names={list(names)}: expected two")
    labels = np.zeros(len(points), dtype=np.int64) if y is None else np.asarray(y)
    if labels.shape != (len(points),):
        raise ShapeError(f"y has shape {labels.shape}; expected ({len(points)},), a class for each point")
    known = np.unique(labels) if classes is None else np.asarray(list(classes))
    index = np.full(len(labels), -1)
    for k, name in enumerate(known.tolist()):
        index[labels == name] = k
    if (index < 0).any():
        raise OptionError(f"y has {labels[index < 0][0]!r}, which is none of the classes {known.tolist()}")
    kept = np.arange(len(points))
    notes: tuple[str, ...] = ()
    if len(points) > DRAWN:
        kept = np.linspace(0, len(points) - 1, DRAWN).astype(np.intp)
        notes = (f"{DRAWN:,} of {len(points):,} points drawn",)
    shown = tuple(map(str, known.tolist())) if y is not None else ("",)
    counts = np.bincount(index, minlength=len(shown))
    return Scatter((str(names[0]), str(names[1])), points[kept], index[kept], shown, counts, notes)


def describe_boundary(
    probability: Callable[[NDArray[np.float64]], ArrayLike],
    X: ArrayLike,
    y: ArrayLike,
    names: Sequence[str] = ("x1", "x2"),
    classes: Sequence[Any] | None = None,
    resolution: int = 150,
    winners: ArrayLike | None = None,
) -> Boundary:
    """Points by class and a model's probabilities around them.

    `probability` maps points (n, 2) to the probability of the second class, (n,), or of each class, (n, K).  `winners`
    are the indices of the classes that the model gives the points, where it knows more of them than two features.
    """
    scatter = describe_scatter(X, y, names, classes)
    points = np.asarray(X, dtype=np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    pad = np.where(high > low, 0.06 * (high - low), 1.0)
    across, up = (np.linspace(a, b, resolution) for a, b in zip(low - pad, high + pad, strict=True))
    grid = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)
    p = _probabilities(probability, grid, len(scatter.classes)).reshape(resolution, resolution, -1)
    if winners is None:
        winners = _probabilities(probability, points, len(scatter.classes)).argmax(axis=1)
    known = list(np.unique(np.asarray(y)).tolist() if classes is None else classes)
    own = np.array([known.index(label) for label in np.asarray(y).tolist()])
    return Boundary(scatter, across, up, p, p.argmax(axis=-1), float(np.mean(np.asarray(winners) == own)))


def _probabilities(probability: Callable[[NDArray], ArrayLike], points: NDArray, k: int) -> NDArray[np.float64]:
    p = np.asarray(probability(points), dtype=np.float64)
    if p.shape == (len(points),):
        p = np.column_stack([1.0 - p, p])
    if p.shape != (len(points), k):
        raise ShapeError(f"probability gave shape {p.shape} for {len(points)} points; expected (n,) or (n, {k})")
    wrong = ~((p >= -1e-9) & (p <= 1.0 + 1e-9))
    if wrong.any():
        raise OptionError(f"probability gave {p[wrong][0]:g}: give probabilities, from 0 to 1, not scores")
    return p


def _points(ax: Any, data: Scatter) -> None:
    size = 22 if len(data.X) <= 1500 else 8
    for k, name in enumerate(data.classes):
        chosen = data.y == k
        label = words(f"{name} ({data.counts[k]:,})") if name else None
        look = {"color": COLOURS[k % 7], "marker": MARKERS[k % 7], "label": label}
        ax.scatter(*data.X[chosen].T, s=size, edgecolor="white", linewidth=0.4, alpha=0.9, zorder=3, **look)
    ax.set_xlabel(words(data.names[0]))
    ax.set_ylabel(words(data.names[1]))


@styled
def draw_scatter(data: Scatter, ax: Any = None) -> Axes:
    """Draw the points, a colour and a marker for each class."""
    ax = axes(ax, (6.4, 4.6))
    _points(ax, data)
    head(ax, "", data.notes)
    legend(ax)
    return ax


@styled
def draw_boundary(data: Boundary, ax: Any = None) -> Axes:
    """Draw the points over the shaded probability, and the line where the likeliest class changes."""
    ax = axes(ax, (6.8, 4.6))
    if len(data.scatter.classes) == 2:
        _two(ax, data)
    else:
        _many(ax, data)
    _points(ax, data.scatter)
    head(ax, f"{data.accuracy:.1%} of the points on their own side", data.scatter.notes)
    legend(ax)
    return ax


def _two(ax: Any, data: Boundary) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    shade = LinearSegmentedColormap.from_list("sides", ["#A6CBE3", "#F7F7F7", "#F3C6A0"])
    second = data.probability[:, :, 1]
    levels = np.linspace(0.0, 1.0, 21)
    shaded = ax.contourf(data.x, data.y, np.clip(second, 0.0, 1.0), levels, cmap=shade, vmin=0.0, vmax=1.0)
    colourbar(ax, shaded, f"probability of {data.scatter.classes[1]}", ticks=[0, 0.25, 0.5, 0.75, 1])
    for level, width, dash in ((0.1, 0.9, "dashed"), (0.5, 2.0, "solid"), (0.9, 0.9, "dashed")):
        if second.min() < level < second.max():
            ax.contour(data.x, data.y, second, [level], colors=BLACK, linewidths=width, linestyles=dash)


def _many(ax: Any, data: Boundary) -> None:
    from matplotlib.colors import to_rgb

    k = len(data.scatter.classes)
    colours = np.array([to_rgb(COLOURS[j % 7]) for j in range(k)])
    sure = data.probability.max(axis=-1, keepdims=True)
    strength = 0.45 * np.clip((sure - 1.0 / k) / (1.0 - 1.0 / k), 0.0, 1.0)
    image = 1.0 - strength * (1.0 - colours[data.winner])
    extent = (data.x[0], data.x[-1], data.y[0], data.y[-1])
    ax.imshow(image, origin="lower", extent=extent, aspect="auto", interpolation="nearest", zorder=0)
    for j in range(k):
        ahead = data.probability[:, :, j] - np.delete(data.probability, j, axis=2).max(axis=2)
        if ahead.min() < 0.0 < ahead.max():
            ax.contour(data.x, data.y, ahead, [0.0], colors=BLACK, linewidths=1.0)


def plotly_boundary(data: Boundary) -> Spec:
    """The points over the shaded probability of the second class, or of the likeliest one."""
    two = len(data.scatter.classes) == 2
    shade = data.probability[:, :, 1] if two else data.winner.astype(np.float64)
    k = len(data.scatter.classes)
    steps = [[(j + side) / k, COLOURS[j % 7]] for j in range(k) for side in (0, 1)]
    ground: Spec = {
        "type": "contour" if two else "heatmap", "x": rounded(data.x), "y": rounded(data.y), "z": rounded(shade, 3),
        "colorscale": [[0.0, "#A6CBE3"], [0.5, "#F7F7F7"], [1.0, "#F3C6A0"]] if two else steps, "showscale": two,
        "hovertemplate": "probability %{z:.3f}<extra></extra>" if two else "<extra></extra>", "zmin": 0,
        "zmax": 1 if two else k - 1, "opacity": 1.0 if two else 0.35,
    }  # fmt: skip
    if two:
        ground["contours"] = {"start": 0.1, "end": 0.9, "size": 0.4}
        ground["colorbar"] = {"title": {"text": escaped(f"probability of {data.scatter.classes[1]}"), "side": "right"}}
        ground["contours"]["coloring"] = "heatmap"
    points: list[Spec] = []
    for j, name in enumerate(data.scatter.classes):
        x, y = data.scatter.X[data.scatter.y == j].T
        marker = {
            "color": COLOURS[j % 7],
            "symbol": SYMBOLS[j % 7],
            "size": 6,
            "line": {"color": "white", "width": 0.5},
        }
        points.append(
            {
                "type": "scatter", "mode": "markers", "name": escaped(f"{name} ({data.scatter.counts[j]:,})"),
                "x": plain(x), "y": plain(y), "marker": marker,
            }
        )  # fmt: skip
    notes = (f"{data.accuracy:.1%} of the points on their own side", *data.scatter.notes)
    across, up = data.scatter.names
    return figure([ground, *points], "", titled(across), titled(up), notes, height=440)
