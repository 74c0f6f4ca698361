"""Whether targets can be told from rows at all: simple models, judged on rows that they did not see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST = 1500
"""Rows that are enough to tell."""
CHANCE, STRAIGHT = 2.5, 2.0
"""Standard errors above guessing below which nothing was told: of held-out rows by any model, of all by a plane."""


@dataclass(frozen=True)
class Learnable:
    """How well held-out targets are told: by how many standard errors better than by guessing, and what is explained.

    Of classes also, row by row, whether the best model was right and how sure it was.
    """

    z: float
    explained: float
    right: NDArray | None = None
    sure: NDArray | None = None
    straight: float = -np.inf
    """By how many standard errors least squares explain all rows better than by chance: faint laws show there first."""

    @property
    def by_chance(self) -> bool:
        """Whether the targets are told no better than by guessing."""
        return self.z < CHANCE and self.straight < STRAIGHT


def learnable(X: NDArray, y: NDArray, classes: bool) -> Learnable | None:
    """What neighbours, trees and a linear model make of the rows; None where there are too few to tell."""
    X, y = X[:MOST], y.ravel()[:MOST]
    keep = np.isfinite(X).all(axis=1) & np.isfinite(y)
    X, y = X[keep], y[keep]
    if len(y) < 40 or len(X) != len(y) or np.ptp(y) == 0 or X.shape[1] == 0:
        return None
    return _classes(X, y.astype(np.int64)) if classes else _numbers(X, y)


WORDS = 500
"""Different whole numbers that may be words, and are counted."""


def with_counts(X: NDArray) -> NDArray:
    """Columns of whole numbers, and beside them how often each number is in a row: what a sentence tells by its words.

    >>> with_counts(np.array([[4, 7], [7, 7]])).tolist()
    [[4.0, 7.0, 1.0, 1.0], [7.0, 7.0, 0.0, 2.0]]
    """
    words, places = np.unique(X, return_inverse=True)
    if len(words) > WORDS:
        return X
    places = places.reshape(X.shape)
    counts = np.stack([np.bincount(row, minlength=len(words)) for row in places])
    return np.concatenate([X, counts], axis=1).astype(np.float64)


RARE = 0.75
"""The share of the most frequent class beyond which the others are weighed up: else answering it always is best."""


def _models(classes: bool, weight: str | None = None) -> list:
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
    from sklearn.linear_model import Ridge, RidgeClassifier
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    trees = ExtraTreesClassifier if classes else ExtraTreesRegressor
    neighbours = KNeighborsClassifier if classes else KNeighborsRegressor
    more = {"class_weight": weight} if classes else {}
    return [
        trees(60, min_samples_leaf=3, random_state=0, **more),
        make_pipeline(StandardScaler(), neighbours(10)),
        make_pipeline(StandardScaler(), (RidgeClassifier if classes else Ridge)(1.0, **more)),
    ]


def _classes(X: NDArray, y: NDArray) -> Learnable | None:
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    _, y, counts = np.unique(y, return_inverse=True, return_counts=True)
    if counts.min() < 5:
        kept = np.flatnonzero(counts >= 5)
        rows = np.isin(y, kept)
        X, y = X[rows], y[rows]
        _, y, counts = np.unique(y, return_inverse=True, return_counts=True)
        if len(counts) < 2 or len(y) < 40:
            return None
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    trees, neighbours, linear = _models(True, "balanced" if counts.max() > RARE * len(y) else None)
    weight = 1.0 / counts[y]
    best: tuple[float, NDArray, NDArray] | None = None
    for model in (trees, neighbours):
        chances = cross_val_predict(model, X, y, cv=folds, method="predict_proba")
        best = _better(best, chances.argmax(axis=1), chances.max(axis=1), y, weight)
    best = _better(best, *_by_scores(cross_val_predict(linear, X, y, cv=folds, method="decision_function")), y, weight)
    assert best is not None
    balanced, right, sure = best
    k = len(counts)
    error = np.sqrt(sum((1 / k) * (1 - 1 / k) / c for c in counts)) / k
    straight = _linear(X, np.eye(k)[y])
    return Learnable((balanced - 1 / k) / error, (balanced - 1 / k) / (1 - 1 / k), right, sure, straight)


def _linear(X: NDArray, targets: NDArray) -> float:
    """By how many standard errors least squares explain one of the targets better than by chance: the F test."""
    from scipy.stats import f, norm

    n = len(X)
    Z = X - X.mean(axis=0)
    basis, sizes, _ = np.linalg.svd(Z, full_matrices=False)
    basis = basis[:, sizes > 1e-9 * max(sizes.max(), 1e-300)]
    d = basis.shape[1]
    if not 0 < d < n / 3:
        return -np.inf
    r = targets - targets.mean(axis=0)
    total = (r**2).sum(axis=0)
    told = ((basis.T @ r) ** 2).sum(axis=0)[total > 0]
    left = np.maximum(total[total > 0] - told, 1e-12 * total[total > 0])
    chance = min(1.0, len(told) * float(f.sf(told / d / (left / (n - d - 1)), d, n - d - 1).min()))
    return float(norm.isf(max(chance, 1e-300)))


def _by_scores(scores: NDArray) -> tuple[NDArray, NDArray]:
    """The classes with the highest scores, and by how much these lead."""
    if scores.ndim == 1:
        return (scores > 0).astype(np.int64), np.abs(scores)
    first = np.sort(scores, axis=1)
    return scores.argmax(axis=1), first[:, -1] - first[:, -2]


def _better(best, guess: NDArray, sure: NDArray, y: NDArray, weight: NDArray):  # type: ignore[no-untyped-def]
    right = guess == y
    balanced = float((right * weight).sum() / weight.sum())
    return (balanced, right, sure) if best is None or balanced > best[0] + 0.02 else best


def _numbers(X: NDArray, y: NDArray) -> Learnable:
    from sklearn.model_selection import KFold, cross_val_predict

    folds = KFold(5, shuffle=True, random_state=0)
    ranks = y.argsort().argsort().astype(float)
    z, explained = -np.inf, -np.inf
    for model in _models(False):
        guess = cross_val_predict(model, X, ranks, cv=folds)
        r = float(np.corrcoef(guess, ranks)[0, 1]) if np.ptp(guess) > 0 else 0.0
        z = max(z, r * np.sqrt(len(y)))
        explained = max(explained, 1.0 - float(np.mean((guess - ranks) ** 2) / ranks.var()))
    return Learnable(z, explained, straight=_linear(X, ranks[:, None]))
