"""Numbers predicted: against what was, what was less what was predicted, and how both are spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.errors import DataError, OptionError, ShapeError
from descender.pictures.plotly import Spec, cut, escaped, figure, plain, titled
from descender.pictures.plotly import diagonal as equal
from descender.pictures.style import (
    BLUE,
    GREY,
    SKY,
    VERMILLION,
    axes,
    colourbar,
    counted,
    diagonal,
    head,
    legend,
    short,
    styled,
    words,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


POINTS = 2_000
"""Points above which predictions are counted in cells."""


BINS = 40
"""Bins of a histogram, at most; fewer rows have about twice the root of their number."""


@dataclass(frozen=True)
class Predicted:
    """Predictions against what was; of many rows, ``cells`` (ny, nx) count them between the edges."""

    actual: NDArray[np.float64]
    predicted: NDArray[np.float64]
    cells: NDArray[np.int64]
    edges: NDArray[np.float64]
    r2: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Residuals:
    """What was less what was predicted, against what was predicted: points, or counts in ``cells`` (ny, nx)."""

    predicted: NDArray[np.float64]
    residual: NDArray[np.float64]
    cells: NDArray[np.int64]
    x_edges: NDArray[np.float64]
    y_edges: NDArray[np.float64]


@dataclass(frozen=True)
class Histogram:
    """Counts of values between ``edges``, (groups, bins); ``outside`` values lie beyond the edges, and are counted."""

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    names: tuple[str, ...]
    label: str
    outside: int = 0


def describe_predicted(y: ArrayLike, predicted: ArrayLike, cells: int = 60) -> Predicted:
    """Predicted against actual numbers: points up to 2,000 of them, beyond that counts in `cells` x `cells` cells."""
    Y, P = number_pair(y, predicted)
    spread = float(np.sum((Y - Y.mean()) ** 2))
    r2 = 1.0 - float(np.sum((Y - P) ** 2)) / spread if spread > 0 else np.nan
    low, high = float(min(Y.min(), P.min())), float(max(Y.max(), P.max()))
    pad = 0.02 * (high - low) or 1.0
    edges = np.linspace(low - pad, high + pad, cells + 1)
    if len(Y) <= POINTS:
        return Predicted(Y, P, np.empty((0, 0), dtype=np.int64), edges, r2)
    cells_of = np.histogram2d(P, Y, bins=(edges, edges))[0].astype(np.int64)
    none = np.empty(0)
    return Predicted(none, none, cells_of, edges, r2, (f"{len(Y):,} rows, counted in cells",))


def describe_residuals(y: ArrayLike, predicted: ArrayLike) -> tuple[Residuals, Histogram]:
    """Residuals against predictions, and how they are spread between their quantiles at 0.5 % and 99.5 %, widened."""
    Y, P = number_pair(y, predicted)
    r = Y - P
    low, high = np.quantile(r, [0.005, 0.995])
    pad = 0.25 * (high - low) or 1.0
    edges = np.linspace(max(low - pad, r.min()), min(high + pad, r.max()) + (r.min() == r.max()), _bins(len(r)) + 1)
    inside = np.histogram(r, edges)[0]
    spread = Histogram(edges, inside[None, :], ("rows",), "actual - predicted", int(len(r) - inside.sum()))
    x_edges, y_edges = (np.linspace(v.min(), v.max() + (v.min() == v.max()), 61) for v in (P, r))
    none = np.empty((0, 0), dtype=np.int64)
    if len(Y) <= POINTS:
        return Residuals(P, r, none, x_edges, y_edges), spread
    cells = np.histogram2d(r, P, bins=(y_edges, x_edges))[0].astype(np.int64)
    return Residuals(np.empty(0), np.empty(0), cells, x_edges, y_edges), spread


def describe_score_histogram(
    y: ArrayLike, score: ArrayLike, names: Sequence[str], label: str, span: tuple[float, float] | None = None
) -> Histogram:
    """How the scores of rows of class 0 and of class 1 are spread, in up to 40 bins over `span` or over all of them.

    >>> describe_score_histogram([0, 1, 1], [0.1, 0.9, 1.0], ["no", "yes"], "p", (0, 1)).counts.sum(axis=1).tolist()
    [1, 2]
    """
    Y, S = number_pair(y, score)
    low, high = span or (float(S.min()), float(S.max()))
    edges = np.linspace(low, high if high > low else low + 1.0, _bins(len(S)) + 1)
    counts = np.array([np.histogram(S[k == Y], edges)[0] for k in range(len(names))])
    return Histogram(edges, counts, tuple(map(str, names)), label)


def _bins(rows: int) -> int:
    return int(np.clip(2.0 * np.sqrt(rows), 5, BINS))


def binary_pair(y: ArrayLike, score: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Targets 0 and 1, both present, and a finite number for each."""
    Y, S = number_pair(y, score)
    _check_binary(Y)
    return Y, S


def number_pair(y: ArrayLike, other: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two series of as many finite numbers, at least one."""
    Y, P = (np.asarray(a, dtype=np.float64) for a in (y, other))
    if Y.ndim != 1 or Y.shape != P.shape or not len(Y):
        raise ShapeError(f"y has shape {Y.shape} and the predictions {P.shape}; expected (n,) for both, n at least 1")
    if not (np.isfinite(Y).all() and np.isfinite(P).all()):
        raise DataError("targets and predictions must be finite numbers")
    return Y, P


def _check_binary(Y: NDArray) -> None:
    if not np.array_equal(np.unique(Y), [0.0, 1.0]):
        raise OptionError(f"targets are {np.unique(Y)[:4].tolist()}...: expected 0 and 1, both present")


@styled
def draw_predicted(data: Predicted, ax: Any = None) -> Axes:
    """Draw predictions against what was: as points, or as counts where there are many."""
    ax = axes(ax, (5.4, 4.6))
    if data.cells.size:
        _counts(ax, data.edges, data.edges, data.cells)
    else:
        ax.plot(data.actual, data.predicted, "o", color=BLUE, ms=4, alpha=0.6, mec="white", mew=0.4)
    diagonal(ax, data.edges[0], data.edges[-1])
    ax.set_aspect("equal")
    ax.set_xlabel("actual")
    ax.set_ylabel("predicted")
    head(ax, "" if np.isnan(data.r2) else f"R² = {short(data.r2)}", data.notes)
    return ax


@styled
def draw_residuals(data: Residuals, ax: Any = None) -> Axes:
    """Draw residuals against predictions, with the line of none; as counts where there are many."""
    ax = axes(ax, (5.8, 4.4))
    if data.cells.size:
        _counts(ax, data.x_edges, data.y_edges, data.cells)
    else:
        ax.plot(data.predicted, data.residual, "o", color=BLUE, ms=4, alpha=0.6, mec="white", mew=0.4)
    ax.axhline(0.0, color=GREY, lw=1.0, ls="--")
    ax.set_xlabel("predicted")
    ax.set_ylabel("actual − predicted")
    return ax


@styled
def draw_histogram(data: Histogram, ax: Any = None) -> Axes:
    """Draw the counts as steps; of two groups on a logarithmic scale, as one may be rare."""
    ax = axes(ax)
    both = len(data.names) > 1
    for counts, name, colour, dash in zip(data.counts, data.names, (BLUE, VERMILLION), ("-", "--"), strict=False):
        ax.stairs(counts, data.edges, color=colour, fill=not both, alpha=1.0 if both else 0.7, ls=dash, lw=1.6,
                  label=words(cut(name, 24)))  # fmt: skip
    if both:
        ax.set_yscale("symlog", linthresh=1.0)
        legend(ax)
    ax.set_ylim(0)
    ax.set_xlabel(words(data.label))
    ax.set_ylabel("rows")
    head(ax, "", (f"{counted(data.outside, 'row')} further out",) if data.outside else ())
    return ax


def _counts(ax: Any, x_edges: NDArray, y_edges: NDArray, cells: NDArray) -> None:
    """Rows counted in cells, on a logarithmic scale of shades."""
    from matplotlib.colors import LogNorm

    shown = np.ma.masked_equal(cells, 0)
    shades = LogNorm(0.5, max(int(cells.max()), 2))
    colourbar(ax, ax.pcolormesh(x_edges, y_edges, shown, cmap="Blues", norm=shades, rasterized=True), "rows")


def plotly_predicted(data: Predicted) -> Spec:
    """Predictions against what was: points, or counts in cells on a logarithmic scale of colour."""
    if data.cells.size:
        middle = 0.5 * (data.edges[1:] + data.edges[:-1])
        counts = data.cells.astype(np.float64)
        with np.errstate(divide="ignore"):
            shade = np.log10(counts)
        top = int(np.ceil(shade.max()))
        bar = {
            "title": {"text": "rows"},
            "tickvals": list(range(top + 1)),
            "ticktext": [f"{10**k:,}" for k in range(top + 1)],
        }
        trace: Spec = {"type": "heatmap", "x": plain(middle), "y": plain(middle), "z": plain(shade), "colorbar": bar}
        trace |= {"colorscale": "Blues", "reversescale": False, "zmin": -0.3, "customdata": data.cells.tolist()}
        trace["hovertemplate"] = "actual %{x:.4g}, predicted %{y:.4g}: %{customdata} rows<extra></extra>"
    else:
        marker = {"color": BLUE, "size": 6, "opacity": 0.6}
        trace = {"type": "scatter", "mode": "markers", "marker": marker, "name": "rows"}
        trace |= {"x": plain(data.actual), "y": plain(data.predicted)}
    traces = [trace, equal(float(data.edges[0]), float(data.edges[-1]), "perfect")]
    title = "" if np.isnan(data.r2) else f"R² = {short(data.r2)}"
    return figure(traces, title, titled("actual"), titled("predicted"), data.notes, showlegend=False)


def plotly_residuals(data: Residuals) -> Spec:
    """Residuals against predictions, with the line of none."""
    if data.cells.size:
        x, y = (0.5 * (edges[1:] + edges[:-1]) for edges in (data.x_edges, data.y_edges))
        with np.errstate(divide="ignore"):
            shade = np.log10(data.cells.astype(np.float64))
        trace: Spec = {"type": "heatmap", "x": plain(x), "y": plain(y), "z": plain(shade), "showscale": False}
        trace |= {"colorscale": "Blues", "reversescale": False, "zmin": -0.3, "customdata": data.cells.tolist()}
        trace["hovertemplate"] = "predicted %{x:.4g}, residual %{y:.4g}: %{customdata} rows<extra></extra>"
    else:
        trace = {"type": "scatter", "mode": "markers", "marker": {"color": BLUE, "size": 6, "opacity": 0.6}}
        trace |= {"x": plain(data.predicted), "y": plain(data.residual), "name": "rows"}
    ends = [float(data.x_edges[0]), float(data.x_edges[-1])]
    line = {"type": "scatter", "mode": "lines", "x": ends, "y": [0, 0], "line": {"color": GREY, "dash": "dash"}}
    return figure([trace, line], "", titled("predicted"), titled("actual - predicted"), showlegend=False)


def plotly_histogram(data: Histogram) -> Spec:
    """Counts as bars, groups in front of one another; two groups on a logarithmic scale, as one may be rare."""
    middle = 0.5 * (data.edges[1:] + data.edges[:-1])
    bars = []
    for counts, name, colour in zip(data.counts, data.names, (SKY, VERMILLION), strict=False):
        bars.append(
            {
                "type": "bar", "x": plain(middle), "y": counts.tolist(), "name": escaped(cut(name, 24)),
                "marker": {"color": colour if len(data.names) > 1 else BLUE}, "opacity": 0.7,
                "width": float(data.edges[1] - data.edges[0]),
                "hovertemplate": "%{x:.4g}: %{y} rows<extra>" + escaped(cut(name, 24)) + "</extra>",
            }
        )  # fmt: skip
    notes = (f"{data.outside:,} rows lie further out",) if data.outside else ()
    y = titled("rows") | ({"type": "log", "exponentformat": "power", "dtick": 1} if len(bars) > 1 else {})
    return figure(bars, "", titled(data.label), y, notes, barmode="overlay", bargap=0)
