r"""Newton's method for softmax, its equations solved by preconditioned conjugate gradients.

The curvature of softmax over K classes and d columns is too large a matrix to form; its product with a vector costs one
reading of the rows.  The preconditioner is the Kronecker product :math:`A \otimes S` of the classes' mean covariance
:math:`A = \mathrm{mean}(\mathrm{diag}\,p - pp^\top)` and the columns' weighted second moments
:math:`S = \sum_i h_i x_i x_i^\top / \sum_i h_i` with :math:`h_i = 1 - |p_i|^2`, both diagonalised.

C.-J. Lin, R. Weng, S. Keerthi, *Trust region Newton method for large-scale logistic regression*, JMLR 2008.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from descender.costs.certificate import certificate, cost_scale
from descender.costs.cost import Cost, Vector
from descender.costs.risk import Risk
from descender.methods.centred import column_facts
from descender.methods.ending import ending
from descender.methods.method import Block, Budget, one_step

MAX_INNER = 100
STALLED = 3
"""Steps without a smaller promise than half the best, where promises are of the size of rounding, that end a walk."""


class Kronecker:
    """The inverse of A x S + l2, applied to one (K, d + 1) matrix of weights and intercepts."""

    def __init__(self, A: NDArray, S: NDArray, ridge: NDArray):
        self.a, self.U = np.linalg.eigh(A)
        self.s, self.V = np.linalg.eigh(S)
        self.free = ridge == 0.0
        # the ridge does not touch intercepts, so it is not a multiple of the identity: its mean over S's vectors
        self.ridge = np.einsum("ji,j,ji->i", self.V, ridge, self.V)
        self.floor = 1e-10 * max(float(self.a[-1] * self.s[-1]), 1e-300)

    def solve(self, G: NDArray) -> NDArray:
        """The inverse times G; what is added to all classes alike changes no loss, and without a ridge it stays 0."""
        spectrum = np.outer(np.maximum(self.a, 0.0), np.maximum(self.s, 0.0)) + self.ridge
        Y = self.U @ ((self.U.T @ G @ self.V) / np.maximum(spectrum, self.floor)) @ self.V.T
        return np.where(self.free, Y - Y.mean(axis=0), Y)


class Classes:
    """The rows of a softmax risk with centred columns and a column of ones: parameters are (K, d + 1)."""

    def __init__(self, risk: Risk):
        self.risk, self.K, self.d = risk, risk.n_classes, risk.n_features
        ones = np.ones(len(risk.y)) if risk.sample_weight is None else risk.sample_weight
        self.sigma = ones / risk.denominator
        self.mean = column_facts(risk.X, self.sigma, centre=risk.intercept and not risk.sparse).mean
        self.reads = 1
        self.ridge = np.append(np.full(self.d, risk.l2), 0.0)
        self.heights = [slice(b.start, b.stop) for b in self._grid()]

    def _grid(self) -> Iterator[slice]:
        start = 0
        for _, y, _ in self.risk.blocks():
            yield slice(start, start + len(y))
            start += len(y)

    def enter(self, w: Vector) -> NDArray:
        """(K, d + 1) from a parameter vector of the risk."""
        W, b = self.risk.split(w)
        return np.column_stack([W, b + W @ self.mean])

    def leave(self, V: NDArray) -> Vector:
        """The parameter vector of the risk."""
        return self.risk.join(V[:, : self.d], V[:, self.d] - V[:, : self.d] @ self.mean)

    def scores(self, V: NDArray) -> NDArray:
        """(K, n)."""
        X = self.risk.X
        W = V[:, : self.d].astype(X.dtype)
        Z = np.ascontiguousarray((X @ W.T).T) if self.risk.sparse else W @ X.T
        return Z + (V[:, self.d] - V[:, : self.d] @ self.mean)[:, None]

    def spread(self, R: NDArray) -> NDArray:
        """The sum over rows of R (K, n) times (x - mean, 1)."""
        X, G = self.risk.X, np.zeros((self.K, self.d + 1))
        for part in self.heights:
            r = R[:, part].astype(X.dtype, copy=False)
            G[:, : self.d] += (X[part].T @ r.T).T if self.risk.sparse else r @ X[part]
        G[:, self.d] = R.sum(axis=1)
        G[:, : self.d] -= np.outer(G[:, self.d], self.mean)
        if not self.risk.intercept:
            G[:, self.d] = 0.0
        return G

    def value(self, Z: NDArray, V: NDArray) -> float:
        """The cost at known scores."""
        return float(self.sigma @ self.risk.loss.value(Z, self.risk.y)) + 0.5 * float(np.sum(self.ridge * V * V))

    def gradient(self, Z: NDArray, V: NDArray) -> NDArray:
        """Its gradient."""
        self.reads += 1
        return self.spread(self.sigma * self.risk.loss.slope(Z, self.risk.y)) + self.ridge * V

    def curve(self, P: NDArray, V: NDArray) -> NDArray:
        """The Hessian at probabilities P times V."""
        self.reads += 1
        Q = self.scores(V)
        R = P * (Q - (P * Q).sum(axis=0))
        return self.spread(self.sigma * R) + self.ridge * V

    def preconditioner(self, P: NDArray) -> Kronecker:
        """The Kronecker metric at probabilities P, from at most 20 rows a column."""
        n = P.shape[1]
        rows = np.arange(0, n, max(1, n // max(20 * self.d, 2000)))
        h = self.sigma[rows] * (1.0 - (P[:, rows] ** 2).sum(axis=0))
        A = np.diag((self.sigma * P).sum(axis=1)) - (self.sigma * P) @ P.T
        X = self.risk.X[rows]
        X = np.asarray(X.todense() if self.risk.sparse else X, dtype=np.float64) - self.mean
        X = np.column_stack([X, np.ones(len(rows))])
        S = (X * h[:, None]).T @ X / max(float(h.sum()), 1e-300)
        if not self.risk.intercept:
            S[self.d], S[:, self.d] = 0.0, 0.0
            S[self.d, self.d] = 1.0
        return Kronecker(A, S, self.ridge)


@dataclass(frozen=True)
class NewtonCG:
    """Newton's method for softmax with l2 or no penalty; no rate to choose, and a certificate."""

    tol: float = 1e-6
    max_reads: int = 20_000
    name: str = "Newton's method with conjugate gradients"

    def blocks(self, cost: Cost, w: Vector, rng: np.random.Generator, budget: Budget) -> Iterator[Block]:
        """Walk from `w`."""
        assert isinstance(cost, Risk)
        problem = Classes(cost)
        V = problem.enter(w)
        Z = problem.scores(V)
        value, G = problem.value(Z, V), problem.gradient(Z, V)
        unit, goal = cost_scale(cost) / 1000.0, self.tol * 0.2
        noise = 8 * float(np.finfo(cost.X.dtype).eps)
        best, stalled, counted = np.inf, 0, 0
        while True:
            P = cost.loss.predict(Z)
            step, decrement = self._direction(problem, P, G, goal * max(abs(value), unit))
            done = decrement <= goal * max(abs(value), unit)
            stalled = stalled + 1 if 0.5 * best < decrement <= noise * abs(value) else 0
            best = min(best, decrement)
            still = done or stalled >= STALLED or problem.reads >= self.max_reads
            t = 0.0 if still else self._length(problem, value, V, step, Z, G)
            if t > 0:
                before, norm = problem.leave(V), float(np.linalg.norm(G))
                log = one_step(value, norm, t * float(np.linalg.norm(step)), t, problem.reads - counted)
                rows, counted = (problem.reads - counted) * (cost.n_samples or 0), problem.reads
                V = V + t * step
                Z = problem.scores(V)
                value, G = problem.value(Z, V), problem.gradient(Z, V)
                yield Block(log, problem.leave(V), rows, before[None, :])
                continue
            point = problem.leave(V)
            found = certificate(cost, point)
            assert found is not None
            content = found.relative <= self.tol
            if content or not done or goal < 1e-16:
                yield ending(cost, self.tol, point, found, problem.reads - counted)
                return
            goal *= 0.03

    def _direction(self, problem: Classes, P: NDArray, G: NDArray, target: float) -> tuple[NDArray, float]:
        """The Newton step by conjugate gradients, and half of the decrease that it promises."""
        metric = problem.preconditioner(P)
        step, r = np.zeros_like(G), -G
        y = metric.solve(r)
        p, ry = y, float(np.sum(r * y))
        first = ry
        for _ in range(MAX_INNER):
            if ry <= 0.0:
                break
            Hp = problem.curve(P, p)
            curvature = float(np.sum(p * Hp))
            if curvature <= 0.0:
                break
            a = ry / curvature
            step = step + a * p
            r = r - a * Hp
            y = metric.solve(r)
            ry, previous = float(np.sum(r * y)), ry
            if ry <= 0.01 * first or ry <= 0.1 * target:
                break
            p = y + (ry / previous) * p
        if not step.any():
            step = y
        return step, -0.5 * float(np.sum(G * step))

    def _length(self, problem: Classes, value: float, V: NDArray, step: NDArray, Z: NDArray, G: NDArray) -> float:
        """A share of the step that lowers the cost: by scores known at both of its ends."""
        dZ = problem.scores(step)
        slope, t = float(np.sum(G * step)), 1.0
        if not slope < 0:
            return 0.0
        for _ in range(40):
            trial = problem.value(Z + t * dZ, V + t * step)
            if np.isfinite(trial) and trial <= value + 1e-4 * t * slope + 1e-15 * abs(value):
                return t
            t *= 0.5
        return 0.0
