"""LIBLINEAR itself, from its own package: `-R` leaves the intercept of the primal solvers free.

C = 1 / (n l2), and 1 / (n l1) for l1: the sums of LIBLINEAR are not means.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..objective import Array
from ..problem import Data, Problem
from ..solver import Setting, Solver, contender, tolerances

LARGEST = 16_000_000


class Liblinear(Solver):
    """What they share."""

    package, module = "liblinear-official", "liblinear"
    dtype = np.float64
    kinds: dict[str, int]
    free = True
    bias = 1.0

    def unsuited(self, problem: Problem) -> str | None:
        """A node of 16 bytes for each number."""
        X = problem.data.X
        return f"{X.size:,} numbers as nodes" if problem.data.dense and X.size > LARGEST else None

    def convert(self, data: Data, problem: Problem) -> Any:
        """Its lists of nodes."""
        from liblinear.liblinear import problem as native
        from scipy import sparse

        return native(np.where(data.y > 0, 1.0, -1.0), sparse.csr_matrix(data.X, dtype=np.float64), self.bias), len(
            data.y
        )

    def fit(self, data: Any, problem: Problem, setting: Setting) -> Any:
        """From 0."""
        from liblinear.liblinear import parameter
        from liblinear.liblinearutil import train

        native, n = data
        C = 1.0 / (n * (problem.objective.l1 or problem.objective.l2))
        free = "-R" if self.free else ""
        options = f"-s {self.kinds[problem.objective.loss]} -c {C!r} -e {setting['tol']!r} -B {self.bias} {free} -q"
        return train(native, parameter(options))

    def point(self, model: Any, problem: Problem) -> tuple[Array, Any]:
        """The first label that it met is its positive one."""
        w, b = model.get_decfun()
        side = model.get_labels()[0]
        return side * np.asarray(w), side * float(b)


@contender
class LiblinearPrimal(Liblinear):
    """A trust region with preconditioned conjugate gradients."""

    name = "LIBLINEAR primal"
    losses = ("log_loss", "squared_hinge")
    kinds = {"log_loss": 0, "squared_hinge": 2}
    ladder = tolerances(1, 0.3, 0.1, 3e-2, 1e-2, 3e-3, 1e-3, 1e-4, 1e-5, 1e-7)


@contender
class LiblinearDual(Liblinear):
    """Dual coordinate ascent."""

    name = "LIBLINEAR dual"
    losses = ("log_loss", "hinge", "squared_hinge")
    kinds = {"log_loss": 7, "hinge": 3, "squared_hinge": 1}
    free, bias = False, 3.0
    ends_within = 3e-3
    ladder = tolerances(3, 1, 0.3, 0.1, 3e-2, 1e-2, 1e-3, 1e-4, 1e-6)
    note = "the intercept is penalised at 1/9 of a coefficient"


@contender
class LiblinearL1(Liblinear):
    """Coordinate descent in an improved GLMNET."""

    name = "LIBLINEAR l1"
    penalties = ("l1",)
    kinds = {"log_loss": 6, "squared_hinge": 5}
    losses = ("log_loss", "squared_hinge")
    ladder = tolerances(1, 0.3, 0.1, 3e-2, 1e-2, 3e-3, 1e-3, 1e-4, 1e-5, 1e-7)
