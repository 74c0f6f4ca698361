"""skglm: working sets and coordinate descent for l1; its costs are ours, the intercept is free."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from ..objective import Array
from ..problem import Data, Problem
from ..solver import Setting, Solver, contender, tolerances


@contender
class Skglm(Solver):
    """SparseLogisticRegression, Lasso and ElasticNet, and the general estimator for both penalties of a log loss."""

    name, package, module = "skglm", "skglm", "skglm"
    losses = ("log_loss", "squared_error")
    penalties = ("l1", "both")
    ladder = tolerances(1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 1e-6, 1e-7)

    def convert(self, data: Data, problem: Problem) -> Any:
        """Columns in one piece."""
        X = np.asfortranarray(data.X) if data.dense else sparse.csc_matrix(data.X)
        return X, self.targets(data.y, problem).astype(X.dtype)

    def targets(self, y: Array, problem: Problem) -> Array:
        """Two classes are -1 and 1."""
        return 2.0 * y - 1.0 if problem.objective.loss == "log_loss" else y

    def fit(self, data: Any, problem: Problem, setting: Setting) -> Any:
        """From 0."""
        from skglm import GeneralizedLinearEstimator
        from skglm.datafits import Logistic, Quadratic
        from skglm.penalties import L1, L1_plus_L2
        from skglm.solvers import AndersonCD, ProxNewton

        l1, total = problem.objective.l1, problem.objective.l1 + problem.objective.l2
        penalty = L1_plus_L2(total, l1 / total) if problem.objective.l2 else L1(l1)
        logistic = problem.objective.loss == "log_loss"
        solver = (ProxNewton if logistic else AndersonCD)(fit_intercept=True, max_iter=500, tol=setting["tol"])
        return GeneralizedLinearEstimator(Logistic() if logistic else Quadratic(), penalty, solver).fit(*data)
