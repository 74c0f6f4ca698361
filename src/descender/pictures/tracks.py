"""Several walks on one cost: methods or starts on one surface, each in its colour or in that of its minimum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.costs.cost import Cost
from descender.costs.minima import distinct
from descender.errors import OptionError
from descender.pictures.paths import DRAWN, drawable, thin, trail_of, values_at
from descender.pictures.plotly import DASHED, Spec, escaped, figure, plain, titled
from descender.pictures.style import (
    BLACK,
    COLOURS,
    DASHES,
    GREY,
    MARKERS,
    axes,
    counted,
    head,
    legend,
    short,
    styled,
    words,
)
from descender.pictures.surface import Contour, describe_contour, draw_ground, ground_trace
from descender.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW = 7
"""Walks that are told apart by their own colours; more have those of their minima."""


@dataclass(frozen=True)
class Track:
    """A walk in the plane: its points (n, 2), after how many steps, their costs, and the minimum it fell into."""

    label: str
    path: NDArray[np.float64]
    steps: NDArray[np.int64]
    costs: NDArray[np.float64]
    basin: int


@dataclass(frozen=True)
class Tracks:
    """The ground, the walks on it and the minima (k, 2) they ended in, lowest first; ``by_basin`` tells the colours."""

    ground: Contour
    tracks: tuple[Track, ...]
    minima: NDArray[np.float64]
    costs: NDArray[np.float64]
    by_basin: bool


def describe_tracks(
    cost: Cost,
    walks: Mapping[str, Record | ArrayLike] | Sequence[Record | ArrayLike],
    parameters: Sequence[str] | None = None,
    limits: Any = None,
    resolution: int | None = None,
    tolerance: float = 1e-3,
) -> Tracks:
    """The cost around several walks, by name or in order, in one plane.

    `parameters`, `limits` and `resolution` are those of :func:`~descender.pictures.surface.describe_contour`; of more
    than two parameters the plane is that of all points together.  Ends within `tolerance` of the extent of all
    points, between which the cost does not rise, are one minimum.

    >>> from descender.costs.formula import Formula
    >>> walks = {"left": [[-2, 1], [-1, 0]], "right": [[2, 1], [1, 0]]}
    >>> found = describe_tracks(Formula("(a**2 - 1)**2 + b**2"), walks)
    >>> [(track.label, track.basin) for track in found.tracks], found.minima.tolist()
    ([('left', 0), ('right', 1)], [[-1.0, 0.0], [1.0, 0.0]])
    """
    named = walks if isinstance(walks, Mapping) else {f"start {k + 1}": walk for k, walk in enumerate(walks)}
    if not named:
        raise OptionError("walks: give at least one walk to draw")
    trails = {name: trail_of(walk, cost.n_parameters) for name, walk in named.items()}
    each = max(DRAWN // len(trails), 50)
    kept = {name: thin(np.nan_to_num(trail.points), each) for name, trail in trails.items()}
    points = np.concatenate([trail.points[kept[name]] for name, trail in trails.items()])
    ground = describe_contour(cost, points, parameters, limits, resolution)
    ends = np.array([trail.points[-1] for trail in trails.values()])
    values = values_at(cost, ends)
    sound = points[np.isfinite(points).all(axis=1)]
    labels, which = distinct(cost.value, ends, values, np.ptp(sound, axis=0), tolerance=tolerance)
    tracks = []
    for (name, trail), label in zip(trails.items(), labels.tolist(), strict=True):
        seen = trail.points[kept[name]]
        path = drawable(ground.plane.seen(seen), ground.box)
        tracks.append(Track(name, path, trail.steps[kept[name]], values_at(cost, seen), label))
    return Tracks(ground, tuple(tracks), ground.plane.seen(ends[which]), values[which], len(tracks) > FEW)


@styled
def draw_tracks(data: Tracks, ax: Any = None) -> Axes:
    """Draw the walks over the cost in grey: few in colours of their own, many in those of their minima."""
    ax = axes(ax, (7.4, 4.8))
    draw_ground(data.ground, ax, "Greys_r")
    for k, track in enumerate(data.tracks):
        look = _look(data, k)
        ax.plot(*track.path.T, color="white", lw=3.0, alpha=0.75, zorder=3)
        ax.plot(*track.path.T, lw=1.6, zorder=4, label=None if data.by_basin else words(track.label), **look)
        start = MARKERS[0 if data.by_basin else k % 7]
        ax.plot(*track.path[:1].T, start, color=look["color"], mec="white", ms=6, zorder=5)
    for k, (at, value) in enumerate(zip(data.minima, data.costs, strict=True)):
        label = f"minimum, J = {short(value, 3)}" if data.by_basin else None
        fill = COLOURS[k % 7] if data.by_basin else "white"
        ax.plot(*at[:, None], "*", ms=15, color=fill, mec=BLACK, mew=0.8, zorder=6, label=label)
    head(ax, told(data), data.ground.notes)
    legend(ax, beside=True)
    return ax


def told(data: Tracks) -> str:
    """How many walks fell into how many minima."""
    ends = "1 end" if len(data.minima) == 1 else f"{len(data.minima):,} ends"
    return f"{counted(len(data.tracks), 'walk')}, {ends}"


def _look(data: Tracks, k: int) -> dict[str, Any]:
    """Colour and dashes: of the walk, or of its minimum; grey where it fell into none."""
    if not data.by_basin:
        return {"color": COLOURS[k % 7], "ls": DASHES[k % 7]}
    basin = data.tracks[k].basin
    return {"color": GREY if basin < 0 else COLOURS[basin % 7], "ls": "-"}


def plotly_tracks(data: Tracks) -> Spec:
    """The walks over the cost, as they are drawn on paper."""
    traces = [ground_trace(data.ground, "Greys")]
    for k, track in enumerate(data.tracks):
        look = _look(data, k)
        hover = [f"{track.label}, step {s:,}: J = {short(v, 6)}" for s, v in zip(track.steps, track.costs, strict=True)]
        traces.append(
            {
                "type": "scatter", "mode": "lines+markers", "name": escaped(track.label), "hoverinfo": "text",
                "x": plain(track.path[:, 0]), "y": plain(track.path[:, 1]), "text": [escaped(text) for text in hover],
                "line": {"color": look["color"], "width": 2, "dash": "solid" if data.by_basin else DASHED[k % 7]},
                "marker": {"size": 4}, "showlegend": not data.by_basin,
            }
        )  # fmt: skip
    x = titled(data.ground.names[0], range=[float(data.ground.x[0]), float(data.ground.x[-1])])
    y = titled(data.ground.names[1], range=[float(data.ground.y[0]), float(data.ground.y[-1])])
    return figure(traces, told(data), x, y, data.ground.notes, showlegend=not data.by_basin)
