"""What is done to the rows of a task: ``(X, y, rng)`` to ``(X, y)``."""

from __future__ import annotations

import numpy as np


def scaled(
    X: np.ndarray, y: np.ndarray, rng: np.random.Generator, largest: float = 1e4
) -> tuple[np.ndarray, np.ndarray]:
    """Columns in units of their own, from 1 to `largest`."""
    return X * np.geomspace(1.0, largest, X.shape[1]).astype(np.float32)[rng.permutation(X.shape[1])], y


def outlier(X: np.ndarray, y: np.ndarray, rng: np.random.Generator, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """One row is far away from all others."""
    X[17] *= factor
    return X, y


def far_target(X: np.ndarray, y: np.ndarray, rng: np.random.Generator, value: float) -> tuple[np.ndarray, np.ndarray]:
    """One target is a typing error."""
    y[23] = value
    return X, y


def missing(X: np.ndarray, y: np.ndarray, rng: np.random.Generator, row: int) -> tuple[np.ndarray, np.ndarray]:
    """One entry is NaN."""
    X[row, 1] = np.nan
    return X, y


def shuffled(X: np.ndarray, y: np.ndarray, rng: np.random.Generator, share: float) -> tuple[np.ndarray, np.ndarray]:
    """The targets of a share of the rows are those of other rows."""
    rows = np.flatnonzero(rng.random(len(y)) < share)
    y[rows] = y[rng.permutation(rows)]
    return X, y


def constant(X: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """All targets are the same."""
    return X, np.full_like(y, y[0])


def leaked(X: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A column is the target."""
    X[:, 0] = y
    return X, y


def large(X: np.ndarray, y: np.ndarray, rng: np.random.Generator, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """All columns in a unit that makes them large."""
    return X * np.float32(factor), y
