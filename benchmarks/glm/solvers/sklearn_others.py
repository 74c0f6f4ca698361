"""scikit-learn's HuberRegressor, PoissonRegressor and LinearSVC.

HuberRegressor finds a scale s besides, and its cost at s is that of a Huber loss with delta = epsilon s and
l2 = alpha s / n.  At a bottom with residuals r the scale is s^2 = mean(min(r^2, delta^2)): so epsilon and alpha for
which its bottom is ours are known from ours, and it is given them.  It solves a slightly harder problem.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..objective import Array, scores
from ..problem import Data, Problem
from ..reference import minimiser
from ..solver import Setting, Solver, contender, iterations, tolerances
from .sklearn_logistic import FEW, STEPS


@contender
class Huber(Solver):
    """L-BFGS on coefficients and scale."""

    name, package, module = "sklearn HuberRegressor", "scikit-learn", "sklearn"
    losses = ("huber",)
    ladder = iterations(*STEPS)
    note = "finds a scale besides; given the epsilon and alpha at which that leads to the same bottom"

    def convert(self, data: Data, problem: Problem) -> Any:
        """Rows and targets, with epsilon and alpha."""
        delta = problem.objective.delta
        r = scores(problem.data.X, *minimiser(problem)) - problem.data.y
        s = float(np.sqrt(np.mean(np.minimum(r * r, delta * delta))))
        return *data, delta / s, problem.objective.l2 * len(data.y) / s

    def fit(self, data: Any, problem: Problem, setting: Setting) -> Any:
        """From 0."""
        from sklearn.linear_model import HuberRegressor

        X, y, epsilon, alpha = data
        return HuberRegressor(epsilon=epsilon, alpha=alpha, tol=1e-12, **setting).fit(X, y)


class Poisson(Solver):
    """alpha = l2; the intercept is free."""

    package, module = "scikit-learn", "sklearn"
    losses = ("poisson",)
    penalties = ("none", "l2")
    solver: str

    def fit(self, data: Any, problem: Problem, setting: Setting) -> Any:
        """From 0."""
        from sklearn.linear_model import PoissonRegressor

        return PoissonRegressor(alpha=problem.objective.l2, solver=self.solver, tol=1e-12, **setting).fit(*data)


@contender
class PoissonLBFGS(Poisson):
    """The default."""

    name, solver = "sklearn Poisson lbfgs", "lbfgs"
    ladder = iterations(*STEPS)


@contender
class PoissonNewton(Poisson):
    """Newton's method with a Hessian of all rows."""

    name, solver = "sklearn Poisson newton-cholesky", "newton-cholesky"
    forms = ("dense",)
    dtype = np.float64
    ladder = iterations(*FEW)


@contender
class PoissonNewton32(PoissonNewton):
    """On float32 rows."""

    name = "sklearn Poisson newton-cholesky float32"
    dtype = np.float32
    ends_within = 1e-5


class SVC(Solver):
    """C = 1 / (n l2); the intercept is the weight of a column that is `intercept_scaling`."""

    package, module = "scikit-learn", "sklearn"
    dtype = np.float64
    scaling: float
    dual: bool
    ends_within = 3e-4

    def targets(self, y: Array, problem: Problem) -> Array:
        """Classes as whole numbers."""
        return y.astype(np.int64)

    def fit(self, data: Any, problem: Problem, setting: Setting) -> Any:
        """LIBLINEAR."""
        from sklearn.svm import LinearSVC

        X, y = data
        C = 1.0 / (problem.objective.l2 * len(y))
        return LinearSVC(
            C=C, loss=problem.objective.loss, dual=self.dual, intercept_scaling=self.scaling, random_state=0,
            **{"max_iter": 100_000, **setting},
        ).fit(X, y)  # fmt: skip


@contender
class SVCDual(SVC):
    """Dual coordinate ascent."""

    name = "sklearn LinearSVC dual"
    losses = ("hinge", "squared_hinge")
    dual, scaling = True, 5.0
    ladder = tolerances(3, 1, 0.3, 0.1, 3e-2, 1e-2, 1e-3, 1e-4, 1e-6)
    note = "the intercept is penalised at 1/25 of a coefficient"


@contender
class SVCPrimal(SVC):
    """The primal with a trust region."""

    name = "sklearn LinearSVC primal"
    losses = ("squared_hinge",)
    dual, scaling = False, 30.0
    ladder = tolerances(1, 0.3, 0.1, 3e-2, 1e-2, 3e-3, 1e-3, 1e-4, 1e-5, 1e-7)
    note = "the intercept is penalised at 1/900 of a coefficient"
