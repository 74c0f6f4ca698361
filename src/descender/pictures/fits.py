"""Straight lines through points: candidates with their squared errors, and the fitted line at chosen steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.errors import DataError, OptionError, ShapeError, suggest
from descender.pictures.paths import spread_steps, trail_of
from descender.pictures.plotly import DASHED, Spec, escaped, figure, plain, titled
from descender.pictures.style import BLACK, COLOURS, DASHES, GREY, axes, head, in_order, legend, short, styled, words
from descender.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DRAWN = 5_000
"""Points that are drawn at most."""


@dataclass(frozen=True)
class Lines:
    r"""Points (x, y) and lines :math:`y = m x + c` through them.

    ``errors`` (lines, points) are :math:`y_i - (m x_i + c)`, ``sums`` the sums of the squares of all, ``best`` the line
    with the smallest.  ``ordered`` tells that the lines follow each other, as on a walk.  Of more than 5,000 points
    evenly spaced ones are kept, and ``notes`` says so.
    """

    x_name: str
    y_name: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    slopes: NDArray[np.float64]
    intercepts: NDArray[np.float64]
    labels: tuple[str, ...]
    errors: NDArray[np.float64]
    sums: NDArray[np.float64]
    best: int
    ordered: bool = False
    notes: tuple[str, ...] = ()


def describe_lines(
    x: ArrayLike,
    y: ArrayLike,
    lines: Sequence[tuple[float, float, str]],
    x_name: str = "x",
    y_name: str = "y",
    ordered: bool = False,
) -> Lines:
    """Candidate lines (slope, intercept, label) through points, with their squared errors.

    >>> describe_lines([0, 1, 2], [1, 3, 6], [(2, 1, "guess"), (2.5, 0.8, "better")]).sums
    array([1.  , 0.17])
    """
    X, Y = (np.asarray(a, dtype=np.float64) for a in (x, y))
    if X.ndim != 1 or X.shape != Y.shape or not len(X):
        raise ShapeError(f"x has shape {X.shape} and y has {Y.shape}; expected (n,) for both, n at least 1")
    if not (np.isfinite(X).all() and np.isfinite(Y).all()):
        raise DataError("x and y must be finite numbers to be drawn; leave other rows out")
    if not len(lines):
        raise OptionError("lines=[]: give at least one line as (slope, intercept, label)")
    slopes, intercepts = (np.array([line[j] for line in lines], dtype=np.float64) for j in (0, 1))
    if not (np.isfinite(slopes).all() and np.isfinite(intercepts).all()):
        raise OptionError("a line whose slope or intercept is not finite cannot be drawn")
    sums = np.array([np.sum((Y - (m * X + c)) ** 2) for m, c in zip(slopes, intercepts, strict=True)])
    labels = tuple(str(line[2]) for line in lines)
    notes = (f"{DRAWN:,} of {len(X):,} points drawn",) if len(X) > DRAWN else ()
    kept = np.linspace(0, len(X) - 1, min(len(X), DRAWN)).astype(np.intp)
    X, Y = X[kept], Y[kept]
    errors = Y - (slopes[:, None] * X + intercepts[:, None])
    return Lines(x_name, y_name, X, Y, slopes, intercepts, labels, errors, sums, int(sums.argmin()), ordered, notes)


def describe_line_steps(
    x: ArrayLike,
    y: ArrayLike,
    walk: Record | ArrayLike,
    steps: Sequence[int] | None = None,
    slope: str | None = None,
    intercept: str | None = None,
    x_name: str = "x",
    y_name: str = "y",
) -> Lines:
    """The line of a walk over (slope, intercept) after the chosen `steps`, by default six that differ.

    `slope` and `intercept` are names of the record's parameters; by default its first two, in this order.
    """
    trail = trail_of(walk, 2)
    record = getattr(walk, "record", walk)
    names = record.names if isinstance(record, Record) and record.names else ("slope", "intercept")
    places = []
    for k, name in enumerate((slope, intercept)):
        if name is not None and name not in names:
            raise OptionError(
                f"{('slope', 'intercept')[k]}={name!r} is no parameter of the walk; {suggest(name, names)}"
            )
        places.append(k if name is None else names.index(name))
    if slope is not None and intercept is None:
        places[1] = 1 - places[0]
    if intercept is not None and slope is None:
        places[0] = 1 - places[1]
    points = trail.points[:, places]
    if steps is None:
        chosen = spread_steps(points, 6)
    else:
        absent = [s for s in steps if s not in trail.steps]
        if absent:
            raise OptionError(f"steps={list(steps)}: the walk has no point after step {absent[0]}")
        chosen = [int(np.flatnonzero(trail.steps == s)[-1]) for s in steps]
    lines = [(points[i, 0], points[i, 1], f"step {trail.steps[i]:,}") for i in chosen]
    return describe_lines(x, y, lines, x_name, y_name, ordered=True)


@styled
def draw_lines(data: Lines, ax: Any = None, errors_of: int | None = None, squares: bool = False) -> Axes:
    """Draw the points and the lines, the sum of squared errors of each in the legend.

    `errors_of` is the line whose errors are drawn as upright segments, or with `squares` as squares: by default that of
    a single candidate.
    """
    ax = axes(ax, (7.6, 4.4) if data.ordered else (6.6, 4.4))
    if errors_of is None and len(data.labels) == 1:
        errors_of = 0
    if errors_of is not None and not -len(data.labels) <= errors_of < len(data.labels):
        raise OptionError(f"errors_of={errors_of}: there are {len(data.labels)} lines, counted from 0")
    few = len(data.x) <= 300
    look = {"ms": 4.5, "mew": 0.5, "zorder": 4} if few else {"ms": 2.0, "mew": 0.0, "zorder": 1}
    ax.plot(data.x, data.y, "o", color=BLACK, mec="white", **look)
    room = 0.06 * (np.ptp(data.x) or 1.0)
    ends = np.array([data.x.min() - room, data.x.max() + room])
    for k, (m, c) in enumerate(zip(data.slopes, data.intercepts, strict=True)):
        label = words(f"{data.labels[k]}: Σe² = {short(data.sums[k])}")
        ax.plot(ends, m * ends + c, zorder=3, label=label, **_look(data, k))
    ax.set_xlim(*ends)
    _keep_points_in_view(ax, data)
    ax.set_xlabel(words(data.x_name))
    ax.set_ylabel(words(data.y_name))
    head(ax, "", data.notes)
    legend(ax, beside=data.ordered and len(data.labels) > 3)
    if errors_of is not None:
        _errors(ax, data, errors_of % len(data.labels), squares)
    return ax


def _keep_points_in_view(ax: Any, data: Lines) -> None:
    """A wild line may leave the picture, but not squeeze the points into a small part of it."""
    low, high = float(data.y.min()), float(data.y.max())
    tall = (high - low) or max(abs(low), 1.0)
    bottom, top = ax.get_ylim()
    room = (1.3 if data.ordered else 0.5) * tall
    ax.set_ylim(max(bottom, low - room), min(top, high + room))


def _look(data: Lines, k: int) -> dict[str, Any]:
    return in_order(k, len(data.labels)) if data.ordered else {"color": COLOURS[k % 7], "ls": DASHES[k % 7]}


def _errors(ax: Any, data: Lines, k: int, squares: bool) -> None:
    colour = _look(data, k)["color"]
    on_line = data.slopes[k] * data.x + data.intercepts[k]
    ax.vlines(data.x, on_line, data.y, color=colour, lw=1.0, alpha=0.8, zorder=2)
    if not squares:
        return
    from matplotlib.patches import Rectangle

    ax.get_figure(root=True).draw_without_rendering()  # lays the axes out
    page = ax.get_window_extent()
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    # A square on the page is as wide as it is tall in inches, not in units of the data.
    ratio = (right - left) / (top - bottom) * page.height / page.width
    for x, low, error in zip(data.x, on_line, data.errors[k], strict=True):
        side = abs(error) * ratio
        square = Rectangle((x - side, low), side, error, facecolor=colour, alpha=0.13, edgecolor=GREY, lw=0.4, zorder=1)
        ax.add_patch(square)


def plotly_lines(data: Lines) -> Spec:
    """The points and the lines, the sum of squared errors of each in its name."""
    traces: list[Spec] = [
        {
            "type": "scatter", "mode": "markers", "name": "rows", "x": plain(data.x), "y": plain(data.y),
            "marker": {"color": BLACK, "size": 6 if len(data.x) <= 300 else 3}, "showlegend": False,
        }
    ]  # fmt: skip
    ends = np.array([data.x.min(), data.x.max()])
    count = len(data.labels)
    for k, (m, c) in enumerate(zip(data.slopes, data.intercepts, strict=True)):
        last = data.ordered and k == count - 1
        line = {"color": COLOURS[k % 6], "width": 3 if last else 2, "dash": "solid" if last else DASHED[k % 7]}
        name = escaped(f"{data.labels[k]}: Σe² = {short(data.sums[k])}")
        traces.append({"type": "scatter", "mode": "lines", "name": name, "x": plain(ends), "y": plain(m * ends + c),
                       "line": line})  # fmt: skip
    low, high = float(data.y.min()), float(data.y.max())
    room = 0.15 * ((high - low) or max(abs(low), 1.0))
    return figure(traces, "", titled(data.x_name), titled(data.y_name, range=[low - room, high + room]), data.notes)
