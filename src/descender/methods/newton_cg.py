r"""Softmax: L-BFGS in a Kronecker metric while it contracts, Newton's method with conjugate gradients where not.

The curvature of softmax over K classes and d columns is too large a matrix to form; its product with a vector costs one
reading of the rows.  The metric is the Kronecker product :math:`A \otimes S` of the classes' mean covariance
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
from descender.methods.classes import Classes, Kronecker
from descender.methods.ending import ending
from descender.methods.lbfgs import Pairs
from descender.methods.method import Block, Budget, one_step

MEMORY = 15
REFRESH = (4,)
"""Steps before which the metric is learnt anew."""
SLOW, PATIENCE = 0.8, 8
"""The contraction of the decrement, a step in the mean over some, above which L-BFGS makes way for a Newton step."""
MAX_INNER = 100
STALLED = 3
"""Steps without a smaller promise than half the best, where promises are of the size of rounding, that end a walk."""
POLISHES = 2
"""Newton steps that are tried where L-BFGS comes no further: its pairs are then differences of rounding."""
GOAL = 0.3
"""The share of the requested gap that a decrement may have at the end."""


class Descent:
    """A point of a softmax risk that walks down."""

    def __init__(self, problem: Classes, V: NDArray):
        self.problem, self.V = problem, V
        self.Z = problem.scores(V)
        self.value, self.P = problem.look(self.Z, V)
        self.G = problem.gradient(self.P, V)
        self.pairs, self.number = Pairs(MEMORY), 0
        self.decrements: list[float] = []
        self.step, self.decrement = np.zeros_like(V), np.inf
        self.learn()

    def learn(self) -> None:
        """Take the metric from the probabilities here."""
        self.metric = Kronecker(self.problem.moments(self.P))

    def _solve(self, g: Vector) -> Vector:
        return self.metric.solve(g.reshape(self.V.shape)).ravel()

    def look(self, target: float) -> float:
        """The next step, and half of the decrease that its model promises."""
        if self.number in REFRESH:
            self.learn()
        step = -self.pairs.solve(self.G.ravel(), self._solve).reshape(self.V.shape)
        decrement = -0.5 * float(np.sum(self.G * step))
        if not decrement > 0:
            self.pairs.pairs.clear()
            step = -self.metric.solve(self.G)
            decrement = -0.5 * float(np.sum(self.G * step))
        self.decrements.append(decrement)
        recent = self.decrements[-PATIENCE - 1 :]
        if decrement > target and len(recent) > PATIENCE and recent[-1] > SLOW**PATIENCE * recent[0]:
            self.learn()
            step, decrement = self._newton(target)
            self.decrements = []
        self.step, self.decrement = step, decrement
        return decrement

    def polish(self) -> None:
        """A Newton step as the next one, solved to the last digits, and no pairs."""
        self.learn()
        self.pairs.pairs.clear()
        self.step, self.decrement = self._newton(0.0, 1e-12)

    def move(self) -> float:
        """Take the step or a share of it that lowers the cost, by scores known at both of its ends; the share or 0."""
        dZ = self.problem.scores(self.step)
        slope, t = float(np.sum(self.G * self.step)), 1.0
        if not slope < 0:
            return 0.0
        for _ in range(40):
            V = self.V + t * self.step
            Z = self.Z + t * dZ
            value, P = self.problem.look(Z, V)
            if np.isfinite(value) and value <= self.value + 1e-4 * t * slope + 1e-15 * abs(self.value):
                break
            t *= 0.5
        else:
            return 0.0
        G = self.problem.gradient(P, V)
        self.pairs.add((t * self.step).ravel(), (G - self.G).ravel())
        self.V, self.Z, self.value, self.P, self.G, self.number = V, Z, value, P, G, self.number + 1
        return t

    def _newton(self, target: float, share: float = 0.01) -> tuple[NDArray, float]:
        """The Newton step by conjugate gradients to a `share` of its first residual, and half of what it promises."""
        step, r = np.zeros_like(self.G), -self.G
        y = self.metric.solve(r)
        p, ry = y, float(np.sum(r * y))
        first = ry
        for _ in range(MAX_INNER):
            if ry <= 0.0:
                break
            Hp = self.problem.curve(self.P, p)
            curvature = float(np.sum(p * Hp))
            if curvature <= 0.0:
                break
            a = ry / curvature
            step = step + a * p
            r = r - a * Hp
            y = self.metric.solve(r)
            ry, previous = float(np.sum(r * y)), ry
            if ry <= share * first or ry <= 0.1 * target:
                break
            p = y + (ry / previous) * p
        if not step.any():
            step = y
        return step, -0.5 * float(np.sum(self.G * step))

    def gap(self) -> float:
        """The duality gap of the natural point under an l2 penalty: what the gradient proves."""
        G, l2 = self.G[:, : self.problem.d], self.problem.risk.l2
        return float(np.sum(G * G)) / (2.0 * l2) if l2 > 0 else 0.0


@dataclass(frozen=True)
class NewtonCG:
    """Descent of a softmax risk with l2 or no penalty; no rate to choose, and a certificate."""

    tol: float = 1e-6
    max_reads: int = 20_000
    name: str = "L-BFGS in a Kronecker metric"

    def blocks(self, cost: Cost, w: Vector, rng: np.random.Generator, budget: Budget) -> Iterator[Block]:
        """Walk from `w`."""
        assert isinstance(cost, Risk)
        problem = Classes(cost)
        walk = Descent(problem, problem.enter(w))
        unit, goal = cost_scale(cost) / 1000.0, self.tol * GOAL
        noise = 8 * float(np.finfo(cost.X.dtype).eps)
        best, stalled, counted, polishes = np.inf, 0, 0.0, POLISHES
        while True:
            target = goal * max(abs(walk.value), unit)
            decrement = walk.look(target)
            done = decrement <= target and walk.gap() <= 3.0 * target
            stalled = stalled + 1 if 0.5 * best < decrement <= noise * abs(walk.value) else 0
            best = min(best, decrement)
            still = done or stalled >= STALLED or problem.reads >= self.max_reads
            before, value, norm = walk.V, walk.value, float(np.linalg.norm(walk.G))
            t = 0.0 if still else walk.move()
            if t == 0.0 and not done and polishes and problem.reads < self.max_reads:
                polishes -= 1
                walk.polish()
                t, stalled = walk.move(), 0
            if t > 0:
                reads, counted = problem.reads - counted, problem.reads
                log = one_step(value, norm, t * float(np.linalg.norm(walk.step)), t, max(1, round(reads)))
                yield Block(log, problem.leave(walk.V), int(reads * problem.n), problem.leave(before)[None, :])
                continue
            point = problem.leave(walk.V)
            found = certificate(cost, point)
            assert found is not None
            if found.relative <= self.tol or not done or goal < 1e-16:
                yield ending(cost, self.tol, point, found, round(problem.reads - counted))
                return
            goal *= 0.03
