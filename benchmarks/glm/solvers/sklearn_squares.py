"""scikit-learn's Ridge, Lasso and ElasticNet: alpha = n l2 of Ridge; l1 and l2 of the others are shares of alpha."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..problem import Problem
from ..solver import Setting, Solver, contender, tolerances


class Ridge(Solver):
    """What its solvers share."""

    package, module = "scikit-learn", "sklearn"
    losses = ("squared_error",)
    penalties = ("none", "l2")
    solver: str

    def fit(self, data: Any, problem: Problem, setting: Setting) -> Any:
        """The intercept is free: the columns are centred, sparse ones in thought."""
        from sklearn.linear_model import Ridge

        X, y = data
        return Ridge(problem.objective.l2 * len(y), solver=self.solver, random_state=0, **setting).fit(X, y)


@contender
class RidgeCholesky(Ridge):
    """The normal equations, which is what `auto` takes for dense rows."""

    name, solver = "sklearn Ridge cholesky", "cholesky"
    forms = ("dense",)
    ladder: ClassVar = [{}]


@contender
class RidgeCholesky32(RidgeCholesky):
    """The same on float32 rows."""

    name = "sklearn Ridge cholesky float32"
    dtype = np.float32
    ends_within = 1e-5


@contender
class RidgeLSQR(Ridge):
    """Conjugate gradients on the least squares."""

    name, solver = "sklearn Ridge lsqr", "lsqr"
    ladder = tolerances(1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5, 1e-6, 1e-8)


@contender
class RidgeSparseCG(Ridge):
    """Conjugate gradients on the normal equations, which is what `auto` takes for sparse rows."""

    name, solver = "sklearn Ridge sparse_cg", "sparse_cg"
    ladder = tolerances(1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5, 1e-6, 1e-8)


@contender
class RidgeSAG(Ridge):
    """Stochastic gradients with a memory."""

    name, solver = "sklearn Ridge sag", "sag"
    ladder = tolerances(1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8, max_iter=3000)


@contender
class ElasticNet(Solver):
    """Coordinate descent, on columns."""

    name, package, module = "sklearn ElasticNet", "scikit-learn", "sklearn"
    losses = ("squared_error",)
    penalties = ("l1", "both")
    order = "F"
    ladder = tolerances(1e-1, 3e-2, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8, max_iter=100_000)

    def fit(self, data: Any, problem: Problem, setting: Setting) -> Any:
        """Lasso is the ElasticNet with a share of 1."""
        from sklearn.linear_model import ElasticNet

        total = problem.objective.l1 + problem.objective.l2
        return ElasticNet(total, l1_ratio=problem.objective.l1 / total, **setting).fit(*data)
