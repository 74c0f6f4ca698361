"""Numbers drawn at random, over rows, columns, conditioning, sparsity and correlation."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from ..objective import Objective
from ..problem import Problem
from . import add


def _rows(n: int, d: int, seed: int, correlation: float = 0.5, condition: float = 1.0):
    """Columns whose neighbours correlate, their squared scales from 1 to 1 / condition, and scores of deviation 2."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d), dtype=np.float32)
    step = np.float32(np.sqrt(1 - correlation**2))
    for j in range(1, d):
        X[:, j] = np.float32(correlation) * X[:, j - 1] + step * X[:, j]
    z = X @ rng.standard_normal(d).astype(np.float32)
    X *= np.float32(condition) ** (-0.5 * rng.permutation(d) / max(d - 1, 1)).astype(np.float32)
    return X, 2.0 * z / z.std(), rng


def _labels(z, rng):
    return (z + rng.logistic(size=len(z)) > 0).astype(float)


def table():
    """200,000 x 100, mildly correlated."""
    X, z, rng = _rows(200_000, 100, seed=1)
    return X, _labels(z, rng)


def table_numbers():
    """The same rows with numbers as targets, their noise heavy-tailed."""
    X, z, rng = _rows(200_000, 100, seed=1)
    return X, z + rng.standard_t(3, len(z))


def narrow_numbers():
    """500,000 x 30 with numbers as targets."""
    X, z, rng = _rows(500_000, 30, seed=5)
    return X, z + rng.standard_normal(len(z))


def counts():
    """100,000 x 50 with counts as targets."""
    X, z, rng = _rows(100_000, 50, seed=6)
    return X, rng.poisson(np.exp(0.5 * z - 0.5))


def ill_conditioned():
    """100,000 x 200: correlated, and scales whose squares span 1e6."""
    X, z, rng = _rows(100_000, 200, seed=2, correlation=0.9, condition=1e6)
    return X, _labels(z, rng)


def thousand():
    """50,000 x 1,000."""
    X, z, rng = _rows(50_000, 1_000, seed=3)
    return X, _labels(z, rng)


def thousand_numbers():
    """The same with numbers as targets."""
    X, z, rng = _rows(50_000, 1_000, seed=3)
    return X, z + rng.standard_normal(len(z))


def separable():
    """6,400 x 800 with hardly any noise: eight rows a column."""
    X, z, rng = _rows(6_400, 800, seed=4)
    return X, _labels(10 * z, rng)


def small_table():
    """5,000 x 20 in float64."""
    X, z, rng = _rows(5_000, 20, seed=7)
    return X.astype(np.float64), _labels(z, rng)


def hundred_classes():
    """20,000 x 40, a hundred classes."""
    X, _, rng = _rows(20_000, 40, seed=8)
    return X, np.argmax(X @ rng.standard_normal((40, 100)) * 0.5 + rng.gumbel(size=(20_000, 100)), axis=1)


def few_sparse_columns():
    """200,000 x 1,000, some 20 numbers a row; columns from common to rare."""
    rng = np.random.default_rng(9)
    n, d, each = 200_000, 1_000, 20
    columns = np.minimum((d ** rng.random((n, each))).astype(np.int32), d - 1)
    values = rng.exponential(size=n * each).astype(np.float32)
    X = sparse.csr_matrix((values, columns.ravel(), np.arange(0, n * each + 1, each)), shape=(n, d))
    X.sum_duplicates()
    z = X @ rng.standard_normal(d).astype(np.float32)
    return X, _labels(2 * z / z.std() - 1, rng)


def wide_numbers():
    """1,000 x 5,000 with twenty columns that matter."""
    rng = np.random.default_rng(10)
    X = rng.standard_normal((1_000, 5_000))
    return X, X[:, ::250] @ rng.standard_normal(20) + rng.standard_normal(1_000)


WORDS = {
    "synthetic 200k x 100": ("dense logistic, d of 100-200", table, Objective("log_loss", l2=1e-5)),
    "synthetic condition 1e6": ("ill-conditioned dense", ill_conditioned, Objective("log_loss", l2=1e-6)),
    "synthetic 50k x 1,000": ("dense logistic, d = 1,000", thousand, Objective("log_loss", l2=1e-5)),
    "synthetic separable": ("near-separable", separable, Objective("log_loss", l2=1e-4)),
    "synthetic ridge 30": ("dense ridge, d < 50", narrow_numbers, Objective("squared_error", l2=1e-5)),
    "synthetic ridge 100": ("dense ridge, d of 100-200", table_numbers, Objective("squared_error", l2=1e-5)),
    "synthetic ridge 1,000": ("dense ridge, d >= 1,000", thousand_numbers, Objective("squared_error", l2=1e-5)),
    "synthetic sparse": ("sparse, few columns, logistic", few_sparse_columns, Objective("log_loss", l2=5e-6)),
    "synthetic sparse l1": ("l1 logistic, few sparse columns", few_sparse_columns, Objective("log_loss", l1=1e-4)),
    "synthetic l1": ("l1 logistic, dense", table, Objective("log_loss", l1=1e-3)),
    "synthetic l1 and l2": ("logistic with l1 and l2", table, Objective("log_loss", l1=1e-3, l2=1e-3)),
    "synthetic poisson": ("poisson", counts, Objective("poisson", l2=1e-5)),
    "synthetic huber": ("huber", table_numbers, Objective("huber 1.5", l2=1e-5)),
}
add(*(Problem(name, regime, make, objective, real=False) for name, (regime, make, objective) in WORDS.items()))
add(
    Problem("synthetic small", "small", small_table, Objective("log_loss", l2=1 / 5_000), real=False, quick=True),
    Problem("synthetic hundred", "softmax", hundred_classes, Objective("softmax", l2=1e-4), real=False),
    Problem("synthetic lasso", "squared error with l1", wide_numbers, Objective("squared_error", l1=0.1), real=False),
    Problem("synthetic hinge", "hinge", small_table, Objective("hinge", l2=1 / 5_000), real=False, quick=True),
    Problem("synthetic squared hinge", "hinge", table, Objective("squared_hinge", l2=1e-5), real=False),
)
