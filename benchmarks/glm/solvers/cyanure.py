"""Cyanure: its cost is ours but for squared hinge, which has a factor 1/2; the intercept is free."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..objective import Array
from ..problem import Problem
from ..solver import Setting, Solver, contender

WORDS = {"log_loss": "logistic", "softmax": "logistic", "squared_hinge": "sqhinge", "squared_error": "square"}
EPOCHS = (2, 3, 5, 8, 12, 20, 30, 50, 80, 130, 200, 400)


@contender
class Cyanure(Solver):
    """`auto`: variance-reduced or incremental methods inside quasi-Newton acceleration."""

    name, package, module = "Cyanure", "cyanure", "cyanure"
    losses = ("log_loss", "softmax", "squared_hinge", "squared_error")
    penalties = ("none", "l2", "l1", "both")
    ladder = [{"max_iter": epochs, "duality_gap_interval": epochs, "tol": 1e-12} for epochs in EPOCHS]

    def targets(self, y: Array, problem: Problem) -> Any:
        """Two classes are -1 and 1."""
        kind = problem.objective.loss
        if kind == "squared_error":
            return y.astype(problem.data.X.dtype)
        return y.astype(np.int64) if kind == "softmax" else np.where(y > 0, 1, -1)

    def fit(self, data: Any, problem: Problem, setting: Setting) -> Any:
        """So many epochs."""
        from cyanure.estimators import Classifier, Regression

        objective = problem.objective
        factor = 0.5 if objective.loss == "squared_hinge" else 1.0
        l1, l2 = factor * objective.l1, factor * objective.l2
        penalty = {"none": "none", "l2": "l2", "l1": "l1", "both": "elasticnet"}[objective.penalty]
        strengths = {"lambda_1": l1 or l2, "lambda_2": l2 if l1 else 0.0}
        more = {} if objective.loss == "squared_error" else {"loss": WORDS[objective.loss]}
        kind = Regression if objective.loss == "squared_error" else Classifier
        return kind(
            penalty=penalty,
            fit_intercept=True,
            verbose=False,
            n_threads=1,
            random_state=0,
            **strengths,
            **more,
            **setting,
        ).fit(*data)

    def point(self, model: Any, problem: Problem) -> tuple[Array, Any]:
        """Its intercept is an array of any shape."""
        W, b = np.asarray(model.coef_, dtype=np.float64), np.asarray(model.intercept_, dtype=np.float64)
        if problem.objective.loss == "softmax":
            K = problem.classes
            return (W if W.shape[1] == K else W.T), b.ravel()
        return W.ravel(), float(b.ravel()[0])
