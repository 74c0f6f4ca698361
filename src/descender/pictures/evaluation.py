"""How good a fit is: coefficients as bars, ROC, calibration, predicted against actual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.errors import DataError, OptionError, ShapeError
from descender.pictures.paths import thin
from descender.pictures.style import BLACK, BLUE, GREY, VERMILLION, axes, head, legend, short, styled, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 2_000
"""Points above which predictions are counted in cells."""


@dataclass(frozen=True)
class Bars:
    """Names with values, the largest first; ``left_out`` smaller ones are not shown."""

    names: tuple[str, ...]
    values: NDArray[np.float64]
    label: str
    left_out: int


@dataclass(frozen=True)
class Roc:
    """The share of positives found against the share of negatives taken for them, and the area below."""

    false_positive: NDArray[np.float64]
    true_positive: NDArray[np.float64]
    area: float


@dataclass(frozen=True)
class Calibration:
    """In bins of equal count: the mean probability predicted, the share that was positive, its standard error."""

    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]
    error: NDArray[np.float64]
    counts: NDArray[np.int64]

    @property
    def reach(self) -> NDArray[np.float64]:
        """Two standard errors below and above what was observed, (2, bins), as far as a share can lie."""
        return np.minimum(2.0 * self.error, [self.observed, 1.0 - self.observed])


@dataclass(frozen=True)
class Confusion:
    """How many rows of each class, ``counts`` (actual, predicted), were taken for each."""

    names: tuple[str, ...]
    counts: NDArray[np.int64]


@dataclass(frozen=True)
class Predicted:
    """Predictions against what was; of many rows, ``cells`` (ny, nx) count them between the edges."""

    actual: NDArray[np.float64]
    predicted: NDArray[np.float64]
    cells: NDArray[np.int64]
    edges: NDArray[np.float64]
    r2: float
    notes: tuple[str, ...] = ()


def describe_bars(names: Sequence[str], values: ArrayLike, label: str = "coefficient", most: int = 20) -> Bars:
    """The `most` largest values by size, with their names.

    >>> describe_bars(["a", "b", "c"], [1.0, -3.0, 0.5], most=2).names
    ('b', 'a')
    """
    V = np.asarray(values, dtype=np.float64)
    if V.ndim != 1 or len(names) != len(V) or not len(V):
        raise ShapeError(f"{len(names)} names and values of shape {V.shape}; expected one value for each name")
    if most < 1:
        raise OptionError(f"most={most}: show at least one bar")
    order = np.argsort(-np.abs(np.nan_to_num(V)), kind="stable")[:most]
    return Bars(tuple(str(names[i]) for i in order), V[order], label, len(V) - len(order))


def describe_roc(y: ArrayLike, score: ArrayLike, sample_weight: ArrayLike | None = None) -> Roc:
    """The ROC curve of scores for targets 0 and 1, thinned to at most 2,000 points.

    >>> describe_roc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).area
    0.75
    """
    Y, S = binary_pair(y, score)
    false, true = found_so_far(Y, S, sample_weight)
    false, true = false / false[-1], true / true[-1]
    kept = thin(true - false)
    return Roc(false[kept], true[kept], float(np.trapezoid(true, false)))


def found_so_far(Y: NDArray, S: NDArray, weight: ArrayLike | None = None) -> tuple[NDArray, NDArray]:
    """Rows of class 0 and of class 1 that score at least as high as each distinct score, from none to all."""
    w = np.ones(len(Y)) if weight is None else np.asarray(weight, dtype=np.float64)
    order = np.argsort(-S, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(S[order])), len(S) - 1)
    false, true = (np.append(0.0, np.cumsum((w * side)[order])[ends]) for side in (1.0 - Y, Y))
    return false, true


def describe_calibration(y: ArrayLike, probability: ArrayLike, bins: int = 10) -> Calibration:
    """Whether probabilities mean what they say, for targets 0 and 1, in up to `bins` bins of about equal count."""
    Y, p = binary_pair(y, probability)
    if p.min() < 0 or p.max() > 1:
        raise OptionError(f"probability has {p.min() if p.min() < 0 else p.max():g}: expected numbers from 0 to 1")
    if bins < 1:
        raise OptionError(f"bins={bins}: at least 1")
    edges = np.unique(np.quantile(p, np.linspace(0, 1, bins + 1)))
    place = np.clip(np.searchsorted(edges, p, side="right") - 1, 0, max(len(edges) - 2, 0))
    counts = np.bincount(place)
    used = counts > 0
    n = counts[used]
    predicted, observed = (np.bincount(place, weights=v)[used] / n for v in (p, Y))
    return Calibration(predicted, observed, np.sqrt(observed * (1 - observed) / n), n)


def describe_confusion(names: Sequence[str], actual: ArrayLike, predicted: ArrayLike) -> Confusion:
    """The confusion matrix of class indices.

    >>> describe_confusion(["no", "yes"], [0, 1, 1], [0, 0, 1]).counts.tolist()
    [[1, 0], [1, 1]]
    """
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (np.asarray(actual, dtype=np.intp), np.asarray(predicted, dtype=np.intp)), 1)
    return Confusion(tuple(str(name) for name in names), counts)


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
    counted = np.histogram2d(P, Y, bins=(edges, edges))[0].astype(np.int64)
    none = np.empty(0)
    return Predicted(none, none, counted, edges, r2, (f"{len(Y):,} rows, counted in cells",))


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
def draw_bars(data: Bars, ax: Any = None) -> Axes:
    """Draw the values as bars, the largest on top."""
    ax = axes(ax, (6.4, 0.9 + 0.27 * len(data.names)))
    place = np.arange(len(data.names))
    colours = [BLUE if v >= 0 else VERMILLION for v in data.values]
    ax.barh(place, np.nan_to_num(data.values), color=colours, height=0.72)
    ax.set_yticks(place, [words(n if len(n) <= 32 else n[:30] + "…") for n in data.names])
    ax.invert_yaxis()
    ax.axvline(0, color=BLACK, lw=0.8)
    ax.tick_params(axis="y", length=0)
    ax.grid(True, axis="x")
    ax.set_xlabel(words(data.label))
    head(ax, "", (f"and {data.left_out:,} smaller",) if data.left_out else ())
    return ax


def _diagonal(ax: Any, low: float, high: float, label: str | None = None) -> None:
    ax.plot([low, high], [low, high], color=GREY, lw=1.0, ls="--", zorder=1, label=label)


@styled
def draw_roc(data: Roc, ax: Any = None) -> Axes:
    """Draw the ROC curve above the line of guessing."""
    ax = axes(ax, (5.0, 4.6))
    ax.plot(data.false_positive, data.true_positive, color=BLUE, label=f"area {short(data.area)}")
    _diagonal(ax, 0, 1, "guessing")
    ax.set_aspect("equal")
    ax.set_xlabel("share of negatives taken for positive")
    ax.set_ylabel("share of positives found")
    legend(ax, loc="lower right")
    return ax


@styled
def draw_calibration(data: Calibration, ax: Any = None) -> Axes:
    """Draw what happened against what was predicted, with two standard errors."""
    ax = axes(ax, (5.0, 4.6))
    ax.errorbar(data.predicted, data.observed, data.reach, fmt="o-", color=BLUE, lw=1.2, capsize=2, label="bins")
    _diagonal(ax, 0, 1, "perfect")
    ax.set_xlabel("probability predicted")
    ax.set_ylabel("share that was positive")
    legend(ax, loc="upper left")
    return ax


@styled
def draw_predicted(data: Predicted, ax: Any = None) -> Axes:
    """Draw predictions against what was: as points, or as counts where there are many."""
    ax = axes(ax, (5.4, 4.6))
    if data.cells.size:
        from matplotlib.colors import LogNorm

        cells = np.ma.masked_equal(data.cells, 0)
        top = max(int(data.cells.max()), 2)
        shaded = ax.pcolormesh(data.edges, data.edges, cells, cmap="Blues", norm=LogNorm(0.5, top))
        bar = ax.figure.colorbar(shaded, ax=ax, pad=0.02)
        bar.set_label("rows")
        bar.outline.set_visible(False)
    else:
        ax.plot(data.actual, data.predicted, "o", color=BLUE, ms=4, alpha=0.6, mec="white", mew=0.4)
    _diagonal(ax, data.edges[0], data.edges[-1])
    ax.set_aspect("equal")
    ax.set_xlabel("actual")
    ax.set_ylabel("predicted")
    head(ax, "" if np.isnan(data.r2) else f"R² = {short(data.r2)}", data.notes)
    return ax
