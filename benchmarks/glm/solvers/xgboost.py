"""xgboost's gblinear: lambda = l2 and alpha = l1, which it multiplies by n itself; the bias is free."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ..objective import Array
from ..problem import Data, Problem
from ..solver import Setting, Solver, contender

WORDS = {"log_loss": "binary:logistic", "squared_error": "reg:squarederror", "poisson": "count:poisson",
         "softmax": "multi:softprob"}  # fmt: skip
ROUNDS = (1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 130, 200, 400, 800)


@contender
class Shotgun(Solver):
    """Coordinate descent; with one thread nothing is done at the same time."""

    name, package, module = "xgboost gblinear", "xgboost", "xgboost"
    losses = tuple(WORDS)
    penalties = ("none", "l2", "l1", "both")
    dtype = np.float32
    ladder = [{"rounds": rounds} for rounds in ROUNDS]
    ends_within = 1e-4

    def convert(self, data: Data, problem: Problem) -> Any:
        """A DMatrix."""
        import xgboost

        return xgboost.DMatrix(data.X, label=data.y, nthread=1)

    def fit(self, data: Any, problem: Problem, setting: Setting) -> Any:
        """So many rounds at rate 1."""
        import xgboost

        objective = problem.objective
        more = {"num_class": problem.classes} if objective.loss == "softmax" else {}
        options = {
            "booster": "gblinear", "updater": "shotgun", "objective": WORDS[objective.loss], "lambda": objective.l2,
            "alpha": objective.l1, "eta": 1.0, "nthread": 1, "base_score": 0.5, "verbosity": 0, "seed": 0, **more,
        }  # fmt: skip
        if objective.loss == "poisson":
            options |= {"base_score": 1.0, "max_delta_step": 0.0}
        return xgboost.train(options, data, num_boost_round=setting["rounds"])

    def point(self, model: Any, problem: Problem) -> tuple[Array, Any]:
        """The weights of the model file, the bias last."""
        told = json.loads(bytes(model.save_raw("json")))
        K = problem.classes
        weights = np.array(told["learner"]["gradient_booster"]["model"]["weights"]).reshape(-1, K)
        b = weights[-1] + (0.5 if problem.objective.loss in ("squared_error", "softmax") else 0.0)
        return (weights[:-1], b) if problem.objective.loss == "softmax" else (weights[:-1, 0], float(b[0]))
