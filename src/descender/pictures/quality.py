"""How good predictions are, in numbers to draw: precision and recall, thresholds, histograms, classes, residuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.pictures.evaluation import POINTS, binary_pair, describe_confusion, found_so_far, number_pair
from descender.pictures.paths import thin

BINS = 40
"""Bins of a histogram, at most; fewer rows have about twice the root of their number."""


@dataclass(frozen=True)
class PrecisionRecall:
    """The share of those called positive that are, against the share of positives found; ``share`` by guessing."""

    recall: NDArray[np.float64]
    precision: NDArray[np.float64]
    average: float
    share: float


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
class Histogram:
    """Counts of values between ``edges``, (groups, bins); ``outside`` values lie beyond the edges, and are counted."""

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    names: tuple[str, ...]
    label: str
    outside: int = 0


@dataclass(frozen=True)
class Residuals:
    """What was less what was predicted, against what was predicted: points, or counts in ``cells`` (ny, nx)."""

    predicted: NDArray[np.float64]
    residual: NDArray[np.float64]
    cells: NDArray[np.int64]
    x_edges: NDArray[np.float64]
    y_edges: NDArray[np.float64]


@dataclass(frozen=True)
class ClassQuality:
    """Precision, recall and F1 of each class, and how many rows it has."""

    names: tuple[str, ...]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    rows: NDArray[np.int64]


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


def _bins(rows: int) -> int:
    return int(np.clip(2.0 * np.sqrt(rows), 5, BINS))


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
