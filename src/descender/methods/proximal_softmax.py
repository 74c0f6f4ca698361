r"""Softmax with an l1 penalty: proximal steps in a Kronecker metric, and Newton steps where the support stands.

A step minimises the model :math:`\langle G, P\rangle + \tfrac12\langle P, A P S\rangle + \lambda_1 |W + P|_1`, with the
metric :math:`A \otimes S` of :mod:`descender.methods.classes` on the columns that may have weights, by coordinate
descent.  It finds which weights are zero.  Once a step leaves them as they are, the equations on the others are solved
by conjugate gradients with the whole curvature, whose contraction does not hang on the metric.

J. Lee, Y. Sun, M. Saunders, *Proximal Newton-type methods for minimizing composite functions*, 2014.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Cost, Vector
from descender.costs.risk import Risk
from descender.kernels.coordinates import minimise_kronecker
from descender.methods.class_proof import Proof, prove
from descender.methods.class_walk import descend_classes
from descender.methods.classes import Classes
from descender.methods.kronecker import WIDE, Moments
from descender.methods.method import Block, Budget

NEAR = 0.9
"""The share of l1 from which a gradient makes its column one that may have weights."""
SWEEPS, REST = 50, 1e-3
"""Sweeps on a model, at most; the share of its decrease below which one ends it."""
REFRESH = 5
"""Steps after which the metric is learnt anew."""
SETTLED = 0.02
"""The share of the support that a step may change for it to count as standing."""
PATIENCE = 5
"""Proximal steps after which a Newton step is tried all the same: what adds to all classes alike costs only l1, so that
a weight or two may come and go for ever."""
CONJUGATE, SHARPER, SHARPEST = 60, 1e-6, 1e-12
"""Steps of conjugate gradients for a Newton step; the share of the residuals' square at which they end: far from the
minimum, and where as much is left of the cost."""
NOISE = 4e-15
"""The share of a cost that its summation may lose."""
INFLATE = 4.0
"""What the metric is multiplied by after a step that was too long."""
MOST_STILL = 3
"""Steps that change nothing after which none will."""
TIGHTER = 0.1
"""What the goal is multiplied by where the proof was not content."""


class Descent:
    """A point of a softmax risk with an l1 penalty that walks down."""

    def __init__(self, problem: Classes, V: NDArray):
        self.problem, self.l1 = problem, problem.risk.l1
        self.V, self.Z = V, problem.scores(V)
        smooth, self.P = problem.look(self.Z, V)
        self.value, self.G = smooth + self.absolute(V), problem.gradient(self.P, V)
        self.columns, self.age = np.empty(0, np.int64), 0
        self.moments: Moments | None = None
        self.inflation, self.promise, self.stands = 1.0, np.inf, False
        self.still, self.waited, self.spent, self.hoped = 0, 0, False, False

    def absolute(self, V: NDArray) -> float:
        """The l1 penalty."""
        return self.l1 * float(np.abs(V[:, : self.problem.d]).sum())

    def _learnt(self) -> Moments:
        """The metric on the columns that may have weights: the support, and where the gradient is about l1 or more."""
        d = self.problem.d
        W, G = self.V[:, :d], self.G[:, :d]
        steep = np.abs(G).max(axis=0)
        wanted = W.any(axis=0) | (steep > NEAR * self.l1)
        if wanted.sum() > WIDE:
            wanted &= W.any(axis=0) | (steep >= np.partition(steep, d - WIDE // 2)[d - WIDE // 2])
        columns = np.flatnonzero(wanted)
        new = np.setdiff1d(columns, self.columns, assume_unique=True)
        if self.moments is None or len(new) or self.age >= REFRESH:
            self.columns, self.age = columns, 0
            self.moments = self.problem.moments(self.P, columns)
        self.age += 1
        return self.moments

    def proximal(self, slack: float) -> NDArray:
        """The step to the minimum of the model with the penalty."""
        A, S, ridge, *_ = self._learnt()
        places = np.append(self.columns, self.problem.d)
        strengths = np.append(np.full(len(self.columns), self.l1), 0.0)
        G, V = self.G[:, places], self.V[:, places]
        if S.ndim == 1:
            S = np.diag(S)
        step = np.zeros_like(self.V)
        step[:, places] = minimise_kronecker(
            self.inflation * A, S, self.inflation * ridge, G, V, strengths, SWEEPS, REST, slack
        )
        if not self.problem.risk.intercept:
            step[:, self.problem.d] = 0.0
        return step

    def newton(self) -> NDArray:
        """The Newton step on the support, signs kept: weights that would cross zero end there."""
        problem, d = self.problem, self.problem.d
        on = self.V != 0
        on[:, d] = problem.risk.intercept
        sign = np.sign(self.V)
        sign[:, d] = 0.0
        assert self.moments is not None
        A, S, ridge, *_ = self.moments
        diagonal = np.ones_like(self.V)
        places = np.append(self.columns, d)
        diagonal[:, places] = np.outer(np.diag(A), S if S.ndim == 1 else np.diag(S)) + ridge
        diagonal = np.maximum(diagonal, 1e-300)
        r = np.where(on, -(self.G + self.l1 * sign), 0.0)
        step, direction, past, first = np.zeros_like(r), np.zeros_like(r), np.inf, np.inf
        for _ in range(CONJUGATE):
            y = r / diagonal
            size = float(np.sum(r * y))
            first = min(first, size)
            if size <= max(min(SHARPER, first / max(abs(self.value), 1e-300)), SHARPEST) * first or size == 0.0:
                break
            direction, past = y + (size / past) * direction, size
            Hd = np.where(on, problem.curve(self.P, direction), 0.0)
            curvature = float(np.sum(direction * Hd))
            if not curvature > 0.0:
                break
            step, r = step + (size / curvature) * direction, r - (size / curvature) * Hd
        step[:, d] -= step[:, d].mean()  # a number added to all intercepts changes nothing but their digits
        crossed = on & (sign * (self.V + step) < 0)
        return np.where(crossed, -self.V, step)

    def arrived(self, target: float) -> bool:
        """Whether what the natural dual point lacks and what the last step gained are as small."""
        return self.off() <= target and self.promise <= target

    def move(self, goal: float, target: float) -> tuple[float, float]:
        """A step: Newton's where the support stands, and where that fails, or not, a proximal one."""
        value, off = self.value, self.off()
        share, step = self._step(goal)
        rests = share == 0.0 or (self.value >= value and self.off() > 0.5 * off)
        self.still, self.stands = self.still + 1 if rests else 0, self.stands or rests
        self.spent = self.still >= MOST_STILL
        return share, share * float(np.linalg.norm(step))

    def _step(self, goal: float) -> tuple[float, NDArray]:
        """The share that was taken, and the step."""
        self.waited += 1
        if (self.stands or self.waited > PATIENCE) and self.V[:, : self.problem.d].any():
            self.waited = 0
            before, step = self.value, self.newton()
            t = self.take(step)
            if t > 0.0:
                self.stands, self.promise = False, before - self.value
                return t, step
        step = self.proximal(0.1 * goal * self.l1)
        before = self.value
        t = self.take(step)
        self.promise = before - self.value if t > 0.0 else 0.0
        self.inflation = min(self.inflation * INFLATE, 1e6) if t < 1.0 else max(1.0, self.inflation / INFLATE)
        return t, step

    def take(self, step: NDArray) -> float:
        """Take the step or a share of it that lowers the cost, by scores known at both of its ends; the share or 0."""
        problem = self.problem
        dZ = problem.scores(step)
        V, d = self.V, problem.d
        stays = V * (V + step) > 0  # where what a small step changes is known to all of its digits
        change = np.where(stays, np.sign(V) * step, np.abs(V + step) - np.abs(V))
        slope, t = float(np.sum(self.G * step)) + self.l1 * float(change[:, :d].sum()), 1.0
        if not slope < 0:
            return 0.0
        for _ in range(30):
            V, Z = self.V + t * step, self.Z + t * dZ
            smooth, P = problem.look(Z, V)
            value = smooth + self.absolute(V)
            if np.isfinite(value) and value <= self.value + 1e-4 * t * slope + NOISE * abs(self.value):
                break
            t *= 0.5
        else:
            return 0.0
        support = self.V != 0
        changed = np.count_nonzero(support != (V != 0))
        self.stands = bool(changed <= SETTLED * np.count_nonzero(support))
        self.V, self.Z, self.value, self.P = V, Z, value, P
        self.G = problem.gradient(P, V)
        return t

    def prove(self, risk: Risk, scale: float, tol: float) -> Proof:
        """The certificate of the point where it stands."""
        return prove(risk, self.problem.leave(self.V), scale)

    def off(self) -> float:
        """What the natural dual point lacks, in units of the cost."""
        d, l2 = self.problem.d, self.problem.risk.l2
        u = self.problem.ridge[:d] * self.V[:, :d] - self.G[:, :d]
        over = np.maximum(np.abs(u) - self.l1, 0.0)
        if l2 > 0:
            wanted = l2 * np.abs(self.V[:, :d])
            return float(np.sum((over - wanted) ** 2)) / (2.0 * l2)
        return float(over.max(initial=0.0)) * float(np.abs(self.V[:, :d]).sum())


@dataclass(frozen=True)
class ProximalSoftmax:
    """Proximal Newton steps for softmax with an l1 penalty; no rate to choose, and a certificate."""

    tol: float = 1e-6
    max_reads: int = 20_000
    name: str = "proximal steps in a Kronecker metric"
    draws = False

    def blocks(self, cost: Cost, w: Vector, rng: np.random.Generator, budget: Budget) -> Iterator[Block]:
        """Walk from `w`."""
        assert isinstance(cost, Risk)
        problem = Classes(cost, rows=cost.X.dtype)
        walk = Descent(problem, problem.enter(w))
        yield from descend_classes(cost, self.tol, walk, self.tol, TIGHTER, self.max_reads, budget)
