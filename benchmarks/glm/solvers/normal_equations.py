"""Ten lines of NumPy: the normal equations of centred columns, the Gram matrix in the dtype of the rows."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..problem import Problem
from ..solver import Setting, Solver, contender


@contender
class NormalEquations(Solver):
    """One product with X, and a Cholesky factor."""

    name, package, module = "numpy normal equations", "numpy", "numpy"
    losses = ("squared_error",)
    penalties = ("none", "l2")
    forms = ("dense",)
    ladder: ClassVar = [{}]

    def fit(self, data: Any, problem: Problem, setting: Setting) -> Any:
        """The mean is taken out of the Gram matrix, not of the rows, which would be a copy."""
        from scipy.linalg import cho_factor, cho_solve

        X, y = data
        n, d = X.shape
        mean, middle = X.mean(axis=0, dtype=np.float64), y.mean()
        G = (X.T @ X).astype(np.float64) / n - np.outer(mean, mean)
        G[np.arange(d), np.arange(d)] += problem.objective.l2
        g = (X.T @ (y - middle).astype(X.dtype)).astype(np.float64) / n
        w = cho_solve(cho_factor(G), g)
        return w, middle - mean @ w

    def point(self, model: Any, problem: Problem) -> Any:
        """W and b."""
        return model
