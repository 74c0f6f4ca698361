"""Numbers drawn at random, over rows, columns, conditioning, sparsity and correlation."""

from __future__ import annotations

import numpy as np

from ..objective import Objective
from ..problem import Problem
from . import add


def _rows(n: int, d: int, seed: int, correlation: float = 0.5, condition: float = 1.0):
    """Columns whose neighbours are correlated, with scales from 1 to 1 / sqrt(condition)."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d), dtype=np.float32)
    step = np.float32(np.sqrt(1 - correlation**2))
    for j in range(1, d):
        X[:, j] = np.float32(correlation) * X[:, j - 1] + step * X[:, j]
    truth = rng.standard_normal(d).astype(np.float32)
    z = X @ (truth / np.float32(np.sqrt(d)))
    X *= np.float32(condition) ** (-0.5 * rng.permutation(d) / max(d - 1, 1)).astype(np.float32)
    return X, 2.0 * z / z.std(), rng


def _labels(z, rng):
    return (z + rng.logistic(size=len(z)) > 0).astype(float)


def wide_table():
    """200,000 x 100, mildly correlated."""
    X, z, rng = _rows(200_000, 100, seed=1)
    return X, _labels(z, rng)


def ill_conditioned():
    """100,000 x 200: correlated, and scales whose squares span 1e6."""
    X, z, rng = _rows(100_000, 200, seed=2, correlation=0.9, condition=1e6)
    return X, _labels(z, rng)


add(
    Problem("synthetic 200k x 100", "dense logistic, d of 100-200", wide_table, Objective("log_loss", l2=1e-5), False),
    Problem("synthetic condition 1e6", "ill-conditioned dense", ill_conditioned, Objective("log_loss", l2=1e-6), False),
)
