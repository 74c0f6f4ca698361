"""SciPy's L-BFGS on a cost and gradient of a few lines, in the dtype of the rows: what one writes oneself."""

from __future__ import annotations

import numpy as np

from ..objective import Array, read_loss
from ..problem import Problem
from ..solver import Setting, Solver, contender, iterations
from .sklearn_logistic import STEPS


@contender
class SciPyLBFGS(Solver):
    """Two products with X for each evaluation, in float32."""

    name, package, module = "scipy L-BFGS float32", "scipy", "scipy"
    losses = ("log_loss", "softmax", "squared_error", "huber", "poisson", "squared_hinge")
    penalties = ("none", "l2")
    dtype = np.float32
    ladder = iterations(*STEPS)

    def fit(self, data, problem: Problem, setting: Setting):
        """From 0."""
        from scipy.optimize import minimize

        X, y = data
        n, d = X.shape
        K, l2, loss = problem.classes, problem.objective.l2, read_loss(problem.objective.loss)
        shape, at_b = ((d, K), (K,)) if problem.objective.loss == "softmax" else ((d,), ())

        def cost(v: Array) -> tuple[float, Array]:
            W, b = v[: d * K].reshape(shape), v[d * K :].reshape(at_b)
            z = (X @ W.astype(X.dtype)).astype(np.float64) + b
            with np.errstate(over="ignore"):
                r = loss.slope(z, y) / n
                value = float(np.mean(loss.value(z, y))) + 0.5 * l2 * float(np.vdot(W, W))
            g = (X.T @ r.astype(X.dtype)).astype(np.float64) + l2 * W
            return value, np.append(g.ravel(), r.sum(axis=0))

        most = {"maxiter": setting["max_iter"], "maxfun": 10**9, "ftol": 0.0, "gtol": 0.0}
        found = minimize(cost, np.zeros(d * K + K), jac=True, method="L-BFGS-B", options=most)
        return found.x[: d * K].reshape(shape), found.x[d * K :].reshape(at_b)

    def point(self, model, problem: Problem):
        """W and b."""
        return model
