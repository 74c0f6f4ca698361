"""scikit-learn's LogisticRegression by each of its solvers.

C = 1 / (n (l2 + l1)) and l1_ratio = l1 / (l2 + l1); the intercept is free, except with liblinear, which penalises it as
the weight of a column that is `intercept_scaling`: at 30 that costs 1/900 of a coefficient's penalty.
"""

from __future__ import annotations

import numpy as np

from ..objective import Array
from ..problem import Problem
from ..solver import Setting, Solver, contender, iterations, tolerances

FEW = (2, 3, 4, 5, 6, 8, 10, 13, 18, 30)
STEPS = (5, 8, 12, 18, 25, 35, 50, 70, 100, 140, 200, 300, 450, 700, 1000, 1500, 2500, 4000, 8000)
EPOCHS = (2, 3, 5, 8, 12, 20, 30, 50, 80, 130, 200, 400, 800, 1600)


class Logistic(Solver):
    """What they share."""

    package, module = "scikit-learn", "sklearn"
    losses = ("log_loss", "softmax")
    solver: str
    tight = 0.0

    def targets(self, y: Array, problem: Problem) -> Array:
        """Classes as whole numbers."""
        return y.astype(np.int64)

    def fit(self, data, problem: Problem, setting: Setting):
        """A fit of so many iterations, or to such a tolerance."""
        from sklearn.linear_model import LogisticRegression

        objective, (X, y) = problem.objective, data
        total = objective.l2 + objective.l1
        C = 1.0 / (len(y) * total) if total else np.inf
        return LogisticRegression(
            C=C, l1_ratio=objective.l1 / total if total else 0.0, solver=self.solver, random_state=0,
            **{"tol": self.tight, "max_iter": 100_000, **self.more(), **setting},
        ).fit(X, y)  # fmt: skip

    def more(self) -> Setting:
        """What else is set."""
        return {}


@contender
class LBFGS(Logistic):
    """The default; SciPy's L-BFGS in the dtype of the rows."""

    name, solver = "sklearn lbfgs", "lbfgs"
    penalties = ("none", "l2")
    ladder = iterations(*STEPS)
    tight = 1e-12


class NewtonCholesky(Logistic):
    """Newton's method with a Hessian of all rows."""

    solver = "newton-cholesky"
    penalties = ("none", "l2")
    forms = ("dense",)
    ladder = iterations(*FEW)
    tight = 1e-12

    def unsuited(self, problem: Problem) -> str | None:
        """Its Hessian is (d K, d K)."""
        size = problem.data.X.shape[1] * problem.classes
        return f"a Hessian of {size:,} x {size:,}" if size > 10_000 else None


@contender
class NewtonCholesky32(NewtonCholesky):
    """On float32 rows: the fastest of them to 1e-4."""

    name = "sklearn newton-cholesky float32"
    dtype = np.float32


@contender
class NewtonCholesky64(NewtonCholesky):
    """On float64 rows."""

    name = "sklearn newton-cholesky float64"
    dtype = np.float64


@contender
class NewtonCG(Logistic):
    """Newton's method by conjugate gradients."""

    name, solver = "sklearn newton-cg", "newton-cg"
    penalties = ("none", "l2")
    ladder = iterations(*FEW, 45, 70, 100, 200)
    tight = 1e-12


@contender
class SAGA(Logistic):
    """Stochastic gradients with a memory."""

    name, solver = "sklearn saga", "saga"
    penalties = ("none", "l2", "l1", "both")
    ladder = iterations(*EPOCHS)
    tight = 1e-12


@contender
class Liblinear(Logistic):
    """LIBLINEAR as scikit-learn carries it: the primal with a trust region, coordinate descent for l1."""

    name, solver = "sklearn liblinear", "liblinear"
    losses = ("log_loss",)
    penalties = ("l2", "l1")
    dtype = np.float64
    ladder = tolerances(1, 0.3, 0.1, 3e-2, 1e-2, 3e-3, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8)
    ends_within = 1e-5
    note = "the intercept is penalised at 1/900 of a coefficient"

    def more(self) -> Setting:
        """A constant column so large that the penalty hardly meets it."""
        return {"intercept_scaling": 30.0}


@contender
class LiblinearDual(Liblinear):
    """The same by dual coordinate ascent."""

    name = "sklearn liblinear dual"
    penalties = ("l2",)
    ends_within = 3e-4
    note = "the intercept is penalised at 1/9 of a coefficient"

    def more(self) -> Setting:
        """The dual wants a smaller column: its square is in every step."""
        return {"intercept_scaling": 3.0, "dual": True}
