"""How well classes are told apart: ROC, precision and recall, thresholds, calibration, which was taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.errors import OptionError
from descender.pictures.paths import thin
from descender.pictures.plotly import SHADES, Spec, cut, escaped, figure, plain, titled
from descender.pictures.plotly import diagonal as equal
from descender.pictures.predictions import binary_pair
from descender.pictures.style import BLUE, GREY, VERMILLION, axes, diagonal, legend, short, styled, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Roc:
    """The share of positives found against the share of negatives taken for them, and the area below."""

    false_positive: NDArray[np.float64]
    true_positive: NDArray[np.float64]
    area: float


@dataclass(frozen=True)
class PrecisionRecall:
    """The share of those called positive that are, against the share of positives found; ``share`` by guessing."""

    recall: NDArray[np.float64]
    precision: NDArray[np.float64]
    average: float
    share: float


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
class Thresholds:
    """What becomes of the rows when all from a threshold on are called positive: counts at each of ``at``."""

    at: NDArray[np.float64]
    true_positive: NDArray[np.int64]
    false_positive: NDArray[np.int64]
    false_negative: NDArray[np.int64]
    true_negative: NDArray[np.int64]
    start: int
    """The index that a page shows first."""


@dataclass(frozen=True)
class ClassQuality:
    """Precision, recall and F1 of each class, and how many rows it has."""

    names: tuple[str, ...]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    rows: NDArray[np.int64]


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


def describe_precision_recall(y: ArrayLike, score: ArrayLike) -> PrecisionRecall:
    """Precision against recall for targets 0 and 1, thinned to at most 2,000 points.

    >>> round(describe_precision_recall([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).average, 4)
    0.8333
    """
    Y, S = binary_pair(y, score)
    false, true = found_so_far(Y, S)
    recall = true / true[-1]
    precision = np.append(1.0, true[1:] / (true[1:] + false[1:]))
    # no area under a line between points: precision does not go straight from one to the next
    average = float(np.diff(recall) @ precision[1:])
    recall, precision = recall[::-1], precision[::-1]
    kept = thin(precision - recall)
    return PrecisionRecall(recall[kept], precision[kept], average, float(Y.mean()))


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


def describe_thresholds(y: ArrayLike, score: ArrayLike, low: float, high: float, start: float) -> Thresholds:
    """The confusion at 101 thresholds from `low` to `high`; the page begins at the one next to `start`.

    >>> found = describe_thresholds([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.0, 1.0, 0.5)
    >>> k = found.start
    >>> found.true_positive[k], found.false_positive[k], found.false_negative[k], found.true_negative[k]
    (np.int64(1), np.int64(0), np.int64(1), np.int64(2))
    """
    Y, S = binary_pair(y, score)
    at = np.linspace(low, high, 101)
    positives, negatives = np.sort(S[Y == 1]), np.sort(S[Y == 0])
    missed, left = (np.searchsorted(part, at, side="right") for part in (positives, negatives))
    start_at = int(np.abs(at - start).argmin())
    return Thresholds(at, len(positives) - missed, len(negatives) - left, missed, left, start_at)


def describe_classes(names: Sequence[str], actual: ArrayLike, predicted: ArrayLike) -> ClassQuality:
    """Precision, recall and F1 of class indices; 0 where a class is never predicted or absent.

    >>> describe_classes(["no", "yes"], [0, 1, 1], [0, 0, 1]).recall.tolist()
    [1.0, 0.5]
    """
    counts = describe_confusion(names, actual, predicted).counts
    right, rows, said = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    precision, recall = right / np.maximum(said, 1), right / np.maximum(rows, 1)
    f1 = 2.0 * right / np.maximum(said + rows, 1)
    return ClassQuality(tuple(map(str, names)), precision, recall, f1, rows)


@styled
def draw_roc(data: Roc, ax: Any = None) -> Axes:
    """Draw the ROC curve above the line of guessing."""
    ax = axes(ax, (5.0, 4.6))
    ax.plot(data.false_positive, data.true_positive, color=BLUE, label=f"area {short(data.area)}")
    diagonal(ax, 0, 1, "guessing")
    ax.set_aspect("equal")
    return _named(ax, "share of negatives taken for positive", "share of positives found", "lower right")


@styled
def draw_calibration(data: Calibration, ax: Any = None) -> Axes:
    """Draw what happened against what was predicted, with two standard errors."""
    ax = axes(ax, (5.0, 4.6))
    ax.errorbar(data.predicted, data.observed, data.reach, fmt="o-", color=BLUE, lw=1.2, capsize=2, label="bins")
    diagonal(ax, 0, 1, "perfect")
    return _named(ax, "probability predicted", "share that was positive", "upper left")


@styled
def draw_precision_recall(data: PrecisionRecall, ax: Any = None) -> Axes:
    """Draw precision against recall above the line of guessing."""
    ax = axes(ax, (5.0, 4.6))
    ax.plot(data.recall, data.precision, color=BLUE, label=f"average {short(data.average)}")
    ax.axhline(data.share, color=GREY, lw=1.0, ls="--", label="guessing")
    ax.set_xlim(-0.03, 1.03)
    ax.set_ylim(-0.03, 1.03)
    ax.set_aspect("equal")
    return _named(ax, "share of positives found", "share of those called positive that are", "lower left")


@styled
def draw_thresholds(data: Thresholds, ax: Any = None) -> Axes:
    """Draw precision and recall against the threshold."""
    ax = axes(ax)
    with np.errstate(invalid="ignore"):
        precision = data.true_positive / (data.true_positive + data.false_positive)
    recall = data.true_positive / (data.true_positive + data.false_negative)
    ax.plot(data.at, precision, color=BLUE, label="precision")
    ax.plot(data.at, recall, color=VERMILLION, ls="--", label="recall")
    ax.axvline(float(data.at[data.start]), color=GREY, lw=0.9)
    ax.grid(True, axis="y")
    return _named(ax, "rows from this score on are called positive", "share", "best")


@styled
def draw_confusion(data: Confusion, ax: Any = None) -> Axes:
    """Draw how many rows of each class were taken for each; the counts are written in up to 30 x 30 cells."""
    k = len(data.names)
    side = min(2.4 + 0.42 * k, 9.0)
    ax = axes(ax, (side + 0.8, side))
    ax.imshow(data.counts, cmap="Blues", vmin=0, vmax=1.6 * max(int(data.counts.max()), 1))
    for (i, j), count in np.ndenumerate(data.counts if k <= 30 else np.empty((0, 0))):
        ax.text(j, i, f"{count:,}", ha="center", va="center", fontsize=9)
    names = [words(cut(name, 16)) for name in data.names]
    ax.set_xticks(range(k), names, rotation=0 if k <= 4 else 90)
    ax.set_yticks(range(k), names)
    ax.tick_params(length=0)
    ax.set_xlabel("predicted")
    ax.set_ylabel("actual")
    return ax


def _named(ax: Any, x: str, y: str, where: str) -> Axes:
    """The axes with their names and, at a place, what the lines are."""
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    legend(ax, loc=where)
    return ax


def plotly_roc(data: Roc) -> Spec:
    """The ROC curve above the line of guessing."""
    curve = {
        "type": "scatter", "mode": "lines", "name": f"area {short(data.area)}", "line": {"color": BLUE, "width": 2},
        "x": plain(data.false_positive), "y": plain(data.true_positive),
    }  # fmt: skip
    x, y = titled("share of negatives called positive"), titled("share of positives found")
    return figure([curve, equal(0, 1, "guessing")], "", x, y)


def plotly_precision_recall(data: PrecisionRecall) -> Spec:
    """Precision against recall, above the line of guessing."""
    curve = {
        "type": "scatter", "mode": "lines", "name": f"average {short(data.average)}",
        "line": {"color": BLUE, "width": 2}, "x": plain(data.recall), "y": plain(data.precision),
    }  # fmt: skip
    guess = {
        "type": "scatter", "mode": "lines", "name": "guessing", "x": [0, 1], "y": [data.share, data.share],
        "line": {"color": GREY, "width": 1, "dash": "dash"},
    }  # fmt: skip
    y = titled("share of those called positive that are", range=[0, 1.02])
    return figure([curve, guess], "", titled("share of positives found"), y)


def plotly_calibration(data: Calibration) -> Spec:
    """What happened against what was predicted, with two standard errors."""
    below, above = (plain(part) for part in data.reach)
    bars = {"symmetric": False, "arrayminus": below, "array": above, "width": 2}
    bins = {
        "type": "scatter", "mode": "lines+markers", "name": "bins", "line": {"color": BLUE, "width": 1.5},
        "x": plain(data.predicted), "y": plain(data.observed), "error_y": bars,
        "customdata": data.counts.tolist(),
        "hovertemplate": "predicted %{x:.3f}, observed %{y:.3f}, %{customdata} rows<extra></extra>",
    }  # fmt: skip
    x, y = titled("probability predicted"), titled("share that was positive")
    return figure([bins, equal(0, 1, "perfect")], "", x, y)


def plotly_confusion(data: Confusion) -> Spec:
    """How many rows of each class were taken for each, counts written in up to 30 x 30 cells."""
    names = [escaped(name) for name in data.names]
    heat: Spec = {"type": "heatmap", "z": data.counts.tolist(), "x": names, "y": names, "showscale": False}
    heat |= {"colorscale": SHADES, "zmin": 0, "xgap": 1, "ygap": 1, "textfont": {"color": "#1C2430"}}
    heat |= {"text": data.counts.tolist(), "texttemplate": "%{text}"} if len(names) <= 30 else {}
    heat["hovertemplate"] = "%{y} taken for %{x}: %{z} rows<extra></extra>"
    ticks: Spec = {"type": "category", "tickvals": names, "ticktext": [escaped(cut(name, 16)) for name in data.names]}
    ticks |= {"ticks": "", "showgrid": False}
    if len(names) > 30:
        ticks |= {"tickvals": names[:: len(names) // 20], "ticktext": ticks["ticktext"][:: len(names) // 20]}
    x, y = (
        {"title": {"text": text, "standoff": 14, "font": {"size": 12}}, **ticks} for text in ("predicted", "actual")
    )
    return figure([heat], "", x, y | {"autorange": "reversed"})
