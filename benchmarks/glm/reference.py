r"""The bottom of a problem to about 1e-12, computed once and kept.

It begins where descender's own fit with a tight `tol` ends, and does not trust it: Newton's method in float64 with the
formulas of objective.py goes on from there, on all coefficients, or with l1 on those that are not 0 and those that want
to leave it.  What is left is told by the Newton decrement, and where l2 is all the penalty by the proof
|dF/dw|^2 / (2 l2).  A hinge has no Newton step: there the bound is descender's duality gap.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import linalg
from scipy.sparse.linalg import LinearOperator, cg
from scipy.special import softmax

from .objective import Array, Objective, blocks, read_loss, relative, scores
from .problem import CACHE, Data, Problem

LARGEST_HESSIAN = 2_500
STEPS = 60
ENOUGH = 2e-13


@dataclass(frozen=True)
class Bottom:
    """F*, what may be left above the true one (relative), and S, the unit where F* is nearly 0."""

    lowest: float
    left: float
    excess: float

    def relative(self, value: float) -> float:
        """How far a value is above the bottom."""
        return relative(value, self.lowest, self.excess)


def bottom(problem: Problem) -> Bottom:
    """The bottom of a problem, from the cache where it is in it."""
    path = CACHE / "bottoms" / f"{problem.stem}.json"
    if path.exists():
        return Bottom(**json.loads(path.read_text()))
    found, W, b = descend(problem)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path.with_suffix(".npz"), W=W, b=b)
    path.write_text(json.dumps(asdict(found)))
    return found


def minimiser(problem: Problem) -> tuple[Array, Array]:
    """W and b at the bottom."""
    bottom(problem)
    with np.load(CACHE / "bottoms" / f"{problem.stem}.npz") as kept:
        return kept["W"], kept["b"]


def descend(problem: Problem) -> tuple[Bottom, Array, Array]:
    """The bottom with its place."""
    data, objective = problem.data, problem.objective
    W, b, gap = _start(problem)
    excess = objective.trivial_excess(data.y)
    if objective.loss == "hinge":
        value = objective.value(*data, W, b)
        return Bottom(value, gap / max(abs(value), excess / 1000.0), excess), W, b
    walk = Newton(data, objective, W, b)
    left = walk.run()
    value = walk.value
    return Bottom(value, left / max(abs(value), excess / 1000.0), excess), walk.W, walk.b


def _start(problem: Problem) -> tuple[Array, Array, float]:
    """The end of a fit of descender's with a tight tolerance, and its certified gap."""
    from descender import LinearClassifier, LinearRegressor

    data, objective = problem.data, problem.objective
    kind = LinearRegressor if objective.kind in ("squared_error", "huber", "poisson") else LinearClassifier
    name = "log_loss" if objective.loss == "softmax" else objective.loss
    X = data.X.astype(np.float64)
    tol = 1e-10 if objective.loss == "hinge" else 1e-7
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = kind(name, l2=objective.l2, l1=objective.l1, tol=tol).fit(X, data.y)
    W = np.asarray(model.coef_, dtype=np.float64)
    gap = model.certificate_.gap if model.certificate_ else np.inf
    if objective.loss == "softmax":
        return W.T.copy(), np.asarray(model.intercept_, dtype=np.float64), gap
    return W.ravel(), np.asarray(float(np.ravel(model.intercept_)[0])), gap


class Newton:
    """Newton's method with a line search, on the coefficients that are free to move."""

    def __init__(self, data: Data, objective: Objective, W: Array, b: Array):
        self.X, self.y = data
        self.objective, self.loss = objective, read_loss(objective.loss)
        self.W, self.b = W, b
        self.z = scores(self.X, W, b)
        self.value = objective.value_at(self.z, self.y, W)

    def run(self) -> float:
        """Walk until nothing is left; returns the bound on what is."""
        left, stuck = np.inf, 0
        for _ in range(STEPS):
            gw, gb, free = self._gradient()
            step, slope = self._direction(gw, gb, free)
            left = 0.5 * slope
            if self.objective.penalty == "l2" and free.all():
                left = min(left, self._proved(gw, gb))
            if left <= ENOUGH * abs(self.value) or stuck == 2:
                break
            stuck = 0 if self._advance(*step, slope) else stuck + 1
        return left

    def _proved(self, gw: Array, gb: Array) -> float:
        """|dF/dw|^2 / (2 l2), where the intercept is at its best."""
        return float(np.sum(gw * gw)) / (2.0 * self.objective.l2) if np.abs(gb).max() < 1e-11 else np.inf

    def _gradient(self) -> tuple[Array, Array, Array]:
        """dF/dW, dF/db, and which coefficients are free: with l1 those that are not 0 or want to leave it."""
        n = len(self.y)
        r = self.loss.slope(self.z, self.y) / n
        gw = np.zeros_like(self.W)
        for part, rows in blocks(self.X):
            gw += rows.T @ r[part]
        gw += self.objective.l2 * self.W
        l1 = self.objective.l1
        if not l1:
            return gw, r.sum(axis=0), np.ones(self.W.shape, dtype=bool)
        free = (self.W != 0) | (np.abs(gw) > l1 * (1 + 1e-10))
        self.side = np.where(self.W != 0, np.sign(self.W), -np.sign(gw))
        return np.where(free, gw + l1 * self.side, 0.0), r.sum(axis=0), free

    def _direction(self, gw: Array, gb: Array, free: Array) -> tuple[tuple[Array, Array], float]:
        """The Newton step (dW, db), and how steeply F falls along it."""
        g = np.append(gw[free], gb)
        many = len(g) > LARGEST_HESSIAN or self.objective.loss == "softmax"
        p = self._by_products(g, free) if many else self._by_factor(g, free)
        dW = np.zeros_like(self.W)
        dW[free] = p[: -gb.size]
        return (dW, p[-gb.size :].reshape(np.shape(self.b))), -float(g @ p)

    def _by_factor(self, g: Array, free: Array) -> Array:
        """The step by Cholesky, columns brought to one scale."""
        assert self.loss.curvature is not None
        h = self.loss.curvature(self.z, self.y) / len(self.y)
        d = int(free.sum())
        H = np.zeros((d + 1, d + 1))
        for part, rows in blocks(self.X):
            A = rows if free.all() else rows[:, np.flatnonzero(free)]
            A = A if isinstance(A, np.ndarray) else A.tocsc()
            weighted = A * h[part][:, None] if isinstance(A, np.ndarray) else A.multiply(h[part][:, None]).tocsc()
            G = A.T @ weighted
            H[:d, :d] += G if isinstance(G, np.ndarray) else G.toarray()
            H[d, :d] += np.asarray(A.T @ h[part]).ravel()
        H[:d, d], H[d, d] = H[d, :d], h.sum()
        H[np.arange(d), np.arange(d)] += self.objective.l2
        scale = 1.0 / np.sqrt(np.maximum(np.diag(H), 1e-300))
        H *= scale[:, None] * scale
        for jitter in (0.0, 1e-14, 1e-12, 1e-10, 1e-8, 1e-6):
            try:
                factor = linalg.cho_factor(H + jitter * np.eye(d + 1))
            except linalg.LinAlgError:
                continue
            p = linalg.cho_solve(factor, -scale * g)
            p += linalg.cho_solve(factor, -scale * g - H @ p)
            return scale * p
        raise ArithmeticError("no Newton step")

    def _by_products(self, g: Array, free: Array) -> Array:
        """The step by conjugate gradients, preconditioned by the diagonal."""
        n, K = len(self.y), np.size(self.b)
        soft = self.objective.loss == "softmax"
        P = softmax(self.z, axis=1) if soft else None
        h = None if soft else self.loss.curvature(self.z, self.y) / n  # type: ignore[misc]
        pieces = [(part, rows, rows.T) for part, rows in blocks(self.X)] if not isinstance(self.X, np.ndarray) else None

        def read() -> Any:
            return pieces if pieces is not None else ((part, rows, rows.T) for part, rows in blocks(self.X))

        def times(v: Array) -> Array:
            V = np.zeros_like(self.W)
            V[free] = v[:-K]
            c = v[-K:] if soft else v[-1]
            out, at_b = self.objective.l2 * V, np.zeros(K)
            for part, rows, turned in read():
                u = rows @ V + c
                if soft:
                    q = P[part]
                    u = (q * (u - np.sum(q * u, axis=1, keepdims=True))) / n
                else:
                    u = h[part] * u
                out += turned @ u
                at_b += u.sum(axis=0)
            return np.append(out[free], at_b)

        weights = (P * (1 - P) / n) if soft else h
        diagonal, at_b = np.full(self.W.shape, self.objective.l2), np.sum(weights, axis=0)
        for part, _, turned in read():
            square = turned * turned if isinstance(turned, np.ndarray) else turned.multiply(turned)
            diagonal += square @ weights[part]
        M = np.append(diagonal[free], at_b) + 1e-30
        size = len(g)
        sharp = min(1e-2, np.sqrt(np.linalg.norm(g)))
        p, _ = cg(
            LinearOperator((size, size), times), -g, rtol=max(sharp, 1e-6), maxiter=2_000,
            M=LinearOperator((size, size), lambda v: v / M),
        )  # fmt: skip
        return p

    def _advance(self, dW: Array, db: Array, slope: float) -> bool:
        """The longest of the steps 1, 1/2, 1/4 ... that falls; coefficients that would change sign stop at 0."""
        for k in range(30):
            W, b = self.W + 0.5**k * dW, self.b + 0.5**k * db
            if self.objective.l1:
                W = np.where(self.side * W < 0, 0.0, W)
            z = scores(self.X, W, b)
            value = self.objective.value_at(z, self.y, W)
            if value < self.value or (k == 0 and value <= self.value + 1e-15 * abs(self.value)):
                better = value < self.value - 1e-16 * abs(self.value)
                self.W, self.b, self.z, self.value = W, b, z, value
                return better
        return False
