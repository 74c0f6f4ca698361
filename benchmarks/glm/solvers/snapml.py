"""snapml: the sum of the losses + regularizer |w|^2 / 2, so regularizer = n l2; dual coordinate ascent in float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..objective import Array
from ..problem import Problem
from ..solver import Setting, Solver, contender, iterations


class Snap(Solver):
    """The intercept is the weight of a column that is `intercept_scaling`."""

    package, module = "snapml", "snapml"
    dtype = np.float32
    ends_within = 1e-3
    ladder = iterations(2, 3, 5, 8, 12, 20, 30, 50, 80, 130, 200, 400, 1000)
    scaling = 3.0
    note = "the intercept is penalised at 1/9 of a coefficient"


@contender
class SnapLogistic(Snap):
    """Logistic regression."""

    name = "snapml"
    losses = ("log_loss", "hinge")

    def targets(self, y: Array, problem: Problem) -> Array:
        """Two classes."""
        return y.astype(np.float32)

    def fit(self, data: Any, problem: Problem, setting: Setting) -> Any:
        """From 0."""
        from snapml import LogisticRegression, SupportVectorMachine

        X, y = data
        kind = LogisticRegression if problem.objective.loss == "log_loss" else SupportVectorMachine
        return kind(
            regularizer=problem.objective.l2 * len(y), fit_intercept=True, intercept_scaling=self.scaling, tol=1e-9,
            n_jobs=1, random_state=0, **setting,
        ).fit(X, y)  # fmt: skip

    def point(self, model: Any, problem: Problem) -> tuple[Array, Any]:
        """W and b: what it calls the intercept is the weight of the constant column."""
        return np.asarray(model.coef_, dtype=np.float64).ravel(), self.scaling * float(np.ravel(model.intercept_)[0])
