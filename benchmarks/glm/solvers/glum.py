"""glum: its cost is half the mean deviance, which is ours; alpha = l1 + l2, l1_ratio = l1 / alpha; a free intercept."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from ..problem import Data, Problem
from ..solver import Setting, Solver, contender

FAMILIES = {"log_loss": "binomial", "squared_error": "normal", "poisson": "poisson"}


@contender
class Glum(Solver):
    """Iterated least squares, by Cholesky or coordinate descent."""

    name, package, module = "glum", "glum", "glum"
    losses = tuple(FAMILIES)
    penalties = ("none", "l2", "l1", "both")
    order = "F"
    ladder = [{"max_iter": k} for k in (2, 3, 4, 5, 6, 8, 10, 13, 18, 30, 60)]

    def unsuited(self, problem: Problem) -> str | None:
        """Its Hessian is (d, d)."""
        d = problem.data.X.shape[1]
        return f"a Hessian of {d:,} x {d:,}" if d > 5_000 else None

    def convert(self, data: Data, problem: Problem) -> Any:
        """Columns in one piece."""
        X = np.asfortranarray(data.X) if data.dense else sparse.csc_matrix(data.X)
        return X, data.y.astype(X.dtype)

    def fit(self, data: Any, problem: Problem, setting: Setting) -> Any:
        """To rounding, or so many iterations."""
        from glum import GeneralizedLinearRegressor

        objective = problem.objective
        total = objective.l1 + objective.l2
        return GeneralizedLinearRegressor(
            family=FAMILIES[objective.loss], alpha=total, l1_ratio=objective.l1 / total if total else 0.0,
            gradient_tol=1e-12, **setting,
        ).fit(*data)  # fmt: skip
