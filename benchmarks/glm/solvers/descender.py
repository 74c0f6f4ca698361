"""descender by its public estimators, with nothing set but the objective and `tol`."""

from __future__ import annotations

from ..objective import Array
from ..problem import Problem
from ..solver import OURS, Setting, Solver, contender, tolerances


@contender
class Descender(Solver):
    """Only the fit whose `tol` is the target counts for it: nobody tells a user which looser one would have done."""

    name = package = module = OURS
    losses = ("log_loss", "softmax", "squared_error", "huber", "poisson", "hinge", "squared_hinge")
    penalties = ("none", "l2", "l1", "both")
    ladder = tolerances(1e-2, 1e-4, 1e-6)

    def targets(self, y: Array, problem: Problem) -> Array:
        """As they are."""
        return y

    def fit(self, data, problem, setting: Setting):
        """As a user would."""
        from descender import LinearClassifier, LinearRegressor

        objective = problem.objective
        kind = LinearRegressor if objective.kind in ("squared_error", "huber", "poisson") else LinearClassifier
        loss = "log_loss" if objective.loss == "softmax" else objective.loss
        return kind(loss, l2=objective.l2, l1=objective.l1, tol=setting["tol"]).fit(*data)

    def counts(self, setting: Setting, target: float) -> bool:
        """The tolerance that was asked for."""
        return setting["tol"] == target
