"""celer: working sets with dual extrapolation for the lasso.  Its logistic regression has no intercept: left out."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from ..problem import Data, Problem
from ..solver import Setting, Solver, contender, tolerances


@contender
class Celer(Solver):
    """Lasso and ElasticNet; the intercept is free."""

    name, package, module = "celer", "celer", "celer"
    losses = ("squared_error",)
    penalties = ("l1", "both")
    ladder = tolerances(1e-1, 3e-2, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8)

    def convert(self, data: Data, problem: Problem) -> Any:
        """Columns in one piece."""
        X = np.asfortranarray(data.X) if data.dense else sparse.csc_matrix(data.X)
        return X, data.y.astype(X.dtype)

    def fit(self, data: Any, problem: Problem, setting: Setting) -> Any:
        """From 0."""
        from celer import ElasticNet

        total = problem.objective.l1 + problem.objective.l2
        return ElasticNet(alpha=total, l1_ratio=problem.objective.l1 / total, **setting).fit(*data)
