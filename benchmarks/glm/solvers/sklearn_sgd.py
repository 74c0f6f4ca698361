"""scikit-learn's SGDClassifier and SGDRegressor, as they come and tuned: alpha = l1 + l2, l1_ratio the share of l1.

The intercept is free.  As they come they have one setting, which stops by itself; tuned means the fewest epochs
at which the best of four rates reaches the target, with averaging where that is better: more than a user can know.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ..problem import Problem
from ..solver import Setting, Solver, contender

EPOCHS = (1, 2, 3, 5, 8, 15, 30, 60, 120)
RATES = (
    {"learning_rate": "adaptive", "eta0": 0.03},
    {"learning_rate": "invscaling", "eta0": 0.1, "average": True},
    {"average": True},
    {},
)


class SGD(Solver):
    """What they share."""

    package, module = "scikit-learn", "sklearn"
    losses = ("log_loss", "hinge", "squared_error", "huber")
    penalties = ("l2", "l1", "both")

    def fit(self, data: Any, problem: Problem, setting: Setting) -> Any:
        """From 0, in an order drawn anew each epoch."""
        from sklearn.linear_model import SGDClassifier, SGDRegressor

        objective, (X, y) = problem.objective, data
        total = objective.l1 + objective.l2
        kind = SGDRegressor if objective.kind in ("squared_error", "huber") else SGDClassifier
        more = {"epsilon": objective.delta} if objective.kind == "huber" else {}
        penalty = {"l2": "l2", "l1": "l1", "both": "elasticnet"}[objective.penalty]
        share = objective.l1 / total
        return kind(
            objective.kind, penalty=penalty, alpha=total, l1_ratio=share, random_state=0, **more, **setting
        ).fit(X, y)


@contender
class SGDDefault(SGD):
    """As it comes."""

    name = "sklearn SGD default"
    ladder: ClassVar = [{}]
    ends_within = 1.0
    note = "stops where it likes: no setting leads to the bottom"


@contender
class SGDTuned(SGD):
    """Its best rate and number of epochs."""

    name = "sklearn SGD tuned"
    ladder: ClassVar = [{"max_iter": epochs, "tol": None, **rate} for epochs in EPOCHS for rate in RATES]
    ends_within = 0.05
    tightest = len(RATES)
    note = "a rate that falls like 1/t ends near the bottom, not at it"
