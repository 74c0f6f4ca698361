r"""Softmax: L-BFGS in a Kronecker metric while it contracts, Newton's method with conjugate gradients where not.

The curvature of softmax over K classes and d columns is too large a matrix to form; its product with a vector costs one
reading of the rows.  The metric is the Kronecker product :math:`A \otimes S` of the classes' mean covariance
:math:`A = \mathrm{mean}(\mathrm{diag}\,p - pp^\top)` and the columns' weighted second moments
:math:`S = \sum_i h_i x_i x_i^\top / \sum_i h_i` with :math:`h_i = 1 - |p_i|^2`, both diagonalised.  A step is about as
long as lowers the cost most: Newton's method in one dimension, by the scores at both of its ends.

The walk is in single precision until that hides what is left.

C.-J. Lin, R. Weng, S. Keerthi, *Trust region Newton method for large-scale logistic regression*, JMLR 2008.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Cost, Vector
from descender.costs.risk import Risk
from descender.methods.class_blocks import ClassBlocks
from descender.methods.class_moves import PART, worth_moving
from descender.methods.class_proof import Proof, prove
from descender.methods.class_walk import descend_classes
from descender.methods.classes import Classes, fits_single
from descender.methods.kronecker import PRECISE, WIDE, Metric, product_metric
from descender.methods.lbfgs import Pairs
from descender.methods.method import Block, Budget

MEMORY = 15
AFFORDED, MOST_NUMBERS = 2.0, 1 << 22
"""What the classes' own curvatures may cost in readings, a step; and the most numbers that they may be."""
REFRESH, FORGET = (1, 2, 4, 8, 16), 4
"""Steps before which the metric is learnt anew, and until when the pairs are forgotten with it: they are of curvatures
that are gone.  Digits to 1e-6: 48 steps, 57 with a metric of steps 0 and 4 alone."""
COSTLY = 4
"""The one of them at which the columns' part is learnt anew where columns are many, or the classes' own curvatures too
dear by then: its decomposition is dear, too."""
SLOW, PATIENCE = 0.9, 10
"""The contraction of the decrement, a step in the mean over some, above which L-BFGS makes way for a Newton step."""
ROUGH, SHARP = 1e-2, 1e-24
"""The shares of the residuals' square at which conjugate gradients end: far away, and for the last digits."""
LAG = 1e-3
"""The share of the requested gap that a step may promise while the gap is still larger, before a sharp Newton step."""
MAX_INNER, ENOUGH = 500, 0.3
"""Steps of conjugate gradients, at most; and the share of what may be left at which they end."""
SHORTEST, LONGEST, HALVINGS = 0.1, 10.0, 40
"""The shares of a step that Newton's method in one dimension may ask for; and how often they are halved, at most."""
TRIALS, LEVEL, LONGER = 3, 0.3, 4.0
"""Shares that are tried, unless none was lower; the share of the first slope that ends it, and how many times as long
the next may be.  A trial costs a tenth of a reading or less: a hundred classes to 1e-2 took 9 steps with one, 6 so."""
NOISE, STALLED = {4: 4e-7, 8: 4e-15}, 5
"""By the bytes of a number, the share of a cost that its summation may lose; and the steps without half of what was
left that tell of rounding there."""
STANDS = 40
"""So many steps without half of it tell of rounding in single precision whatever the next step promises."""
POLISHES = 2
"""Newton steps that are tried where L-BFGS comes no further: its pairs are then differences of rounding."""
GOAL = 0.9
"""The share of the requested gap that the walk may leave; of the decrement, which only estimates it, a third."""
HOPE, FINE, ENOUGH_PROVED = 3.0, 1e-9, 0.95
"""What a proof by one row in so many shows, as so many times that multiple of the decrement, until one was tried; the
share of the cost below which nothing is hoped for; and the share of what is asked at which a proof is content."""
FORMER = 0.25
"""The share of the last decrement that the next may be far off by."""
TIGHTER, TIGHTER_ESTIMATE = 0.3, 0.03
"""What the goal is multiplied by where the proof was not content, with a gap and with an estimate."""

Point = tuple[float, NDArray, NDArray, float, NDArray]
"""A share of a step, and there the parameters, the scores, the cost and the probabilities."""


class Descent:
    """A point of a softmax risk that walks down."""

    def __init__(self, risk: Risk, w: Vector):
        self.problem = Classes(risk, np.float32 if fits_single(risk) else np.float64)
        self.V = self.problem.enter(w)
        self.pairs, self.number, self.polishes = Pairs(MEMORY), 0, POLISHES
        self.decrements: list[float] = []
        self.best, self.idle, self.spent = np.inf, 0, False
        self.hoped, self.inflation = False, HOPE * PART if worth_moving(risk) else np.inf
        self._stand()
        self.metric: Metric = product_metric(self.problem.moments(self.P))

    def _stand(self) -> None:
        """Read what the rows tell here."""
        self.Z = self.problem.scores(self.V)
        self.value, self.P = self.problem.look(self.Z, self.V)
        self.G = self.problem.gradient(self.P, self.V)
        self.step: NDArray | None = None

    def gap(self, gradient: NDArray) -> float:
        """What a gradient proves under an l2 penalty: the duality gap of the natural point."""
        G, l2 = gradient[:, : self.problem.d], self.problem.risk.l2
        return float(np.vdot(G, G)) / (2.0 * l2) if l2 > 0 else np.nan

    def arrived(self, target: float) -> bool:
        """Whether the gap is as small as that, or may be proved to be; without l2 the decrement a third of it."""
        self.hoped = False
        if self.problem.risk.l2 > 0 and self.gap(self.G) <= target:
            return True
        if self.step is None:
            self._aim(target)
        if self.problem.risk.l2 == 0:
            return self.decrement <= target / 3.0
        self.hoped = self.inflation * self._promise() <= target and target > FINE * abs(self.value)
        return self.hoped

    def _promise(self) -> float:
        """The decrement, or a share of the one before, as good and bad steps alternate."""
        return max([self.decrement, *(FORMER * before for before in self.decrements[-2:])])

    def prove(self, risk: Risk, scale: float, tol: float) -> Proof:
        """The certificate, by rows that are moved where that was hoped for."""
        w = self.problem.leave(self.V)
        if not self.hoped:
            return prove(risk, w, scale)
        enough = ENOUGH_PROVED * tol * max(abs(self.value), scale / 1000.0)
        proof = prove(risk, w, scale, self.metric, enough)
        if proof.found.relative > tol:
            seen = proof.found.gap / max(self._promise(), 1e-300)
            self.inflation = max(1.5 * self.inflation, min(1.2 * seen, 10.0 * self.inflation))
        return proof

    def move(self, goal: float, target: float) -> tuple[float, float]:
        """Take the next step; where rounding allows none, in double precision, then a Newton step."""
        if self.step is None:
            self._aim(target)
        if not (self._at_rounding() or (self._lags(target) and self.problem.kind == np.float32)):
            share, length = self._take()
            if share > 0.0:
                return share, length
        if self.problem.kind == np.float32:
            reads, self.problem = self.problem.reads, Classes(self.problem.risk)
            self.problem.reads, self.best, self.idle = reads, np.inf, 0
            self.pairs.pairs.clear()
            self._stand()
        elif self.polishes:
            self.polishes -= 1
            self.pairs.pairs.clear()
            self.metric = self._metric()
            self._newton(0.0, SHARP)
            self.best, self.idle = np.inf, 0
        else:
            self.spent = True
        return 0.0, 0.0

    def _lags(self, target: float) -> bool:
        """Whether the gradient proves far more than what a step promises, as in columns of wild units."""
        return self.problem.risk.l2 > 0 and self.decrement <= LAG * target

    def _at_rounding(self) -> bool:
        """Whether steps have not brought down what is left, which is of the size of rounding."""
        left = self.decrement if self.problem.risk.l2 == 0 else self.gap(self.G)
        self.best, self.idle = (left, 0) if left < 0.5 * self.best else (self.best, self.idle + 1)
        if self.idle >= STANDS and self.problem.kind == np.float32:
            return True
        return self.idle >= STALLED and self.decrement <= 8.0 * NOISE[self.problem.kind.itemsize] * abs(self.value)

    def _aim(self, target: float) -> None:
        """The next step, and half of the decrease that its model promises."""
        if self.number in REFRESH and not (self.decrements and self.decrements[-1] <= target):
            self._learn()
        self._quasi_newton()
        if not self.decrement > 0.0:
            self.pairs.pairs.clear()
            self._quasi_newton()
        self.decrements.append(self.decrement)
        recent = self.decrements[-PATIENCE - 1 :]
        lags = self._lags(target)
        if lags or (len(recent) > PATIENCE and recent[-1] > SLOW**PATIENCE * recent[0]):
            self.metric = self._metric()
            self._newton(target, SHARP if lags else ROUGH)
            self.decrements = []

    def _learn(self) -> None:
        """Take the metric from the probabilities here."""
        if (self._affords_own() and self.problem.d <= WIDE) or self.number == COSTLY:
            self.metric = self._metric()
        else:
            self.metric.turn(self.problem.covariance(self.P))
        if self.number <= FORGET:
            self.pairs.pairs.clear()

    def _affords_own(self) -> bool:
        """Whether a walk of so many steps can afford the classes' own curvatures."""
        problem = self.problem
        few = problem.d > WIDE or (problem.d <= PRECISE and problem.K * problem.d**2 <= MOST_NUMBERS)
        return few and problem.own_price() <= AFFORDED * self.number

    def _metric(self) -> Metric:
        """The metric of the probabilities here."""
        if self._affords_own():
            return ClassBlocks(*self.problem.own_moments(self.P), self.problem.kind.itemsize)
        return product_metric(self.problem.moments(self.P))

    def _quasi_newton(self) -> None:
        """The step of L-BFGS, in the precision of the scores."""
        size, kind = float(np.linalg.norm(self.G)) or 1.0, self.problem.kind
        unit = (self.G / size).astype(kind).ravel()
        step = self.pairs.solve(unit, lambda q: self.metric.solve(q.reshape(self.G.shape)).astype(kind).ravel())
        self.step = (-size * step.astype(np.float64)).reshape(self.G.shape)
        self.decrement = -0.5 * float(np.vdot(self.G, self.step))

    def _take(self) -> tuple[float, float]:
        """Take about the share of the step where the cost is least along it; the share, the length."""
        problem, step = self.problem, self.step
        assert step is not None
        found = self._search(problem.scores(step), step)
        if found is None:
            return 0.0, 0.0
        t, V, Z, value, P = found
        G = problem.gradient(P, V)
        length, kind = t * float(np.linalg.norm(step)), problem.kind
        self.pairs.add((t / length * step).astype(kind).ravel(), ((G - self.G) / length).astype(kind).ravel())
        self.V, self.Z, self.value, self.P, self.G, self.number = V, Z, value, P, G, self.number + 1
        self.step = None
        return t, length

    def _search(self, dZ: NDArray, step: NDArray) -> Point | None:
        """Newton's method in one dimension, by scores known at both ends of a step; None where no share is lower."""
        problem, slope = self.problem, -2.0 * self.decrement
        noise = NOISE[problem.kind.itemsize] * abs(self.value)
        curvature = problem.along(self.P, dZ, self.V, step)[1]
        t = min(max(-slope / curvature, SHORTEST), LONGEST) if curvature > 0.0 else 1.0
        found: Point | None = None
        low, high = 0.0, np.inf
        for trial in range(HALVINGS):
            V, Z = self.V + t * step, self.Z + t * dZ
            value, P = problem.look(Z, V)
            lower = np.isfinite(value) and value <= self.value + 1e-4 * t * slope + noise
            if found is not None and not (lower and value <= found[3]):
                break
            if not lower:
                high, t = t, 0.5 * t
                continue
            found = t, V, Z, value, P
            cubic = value - self.value - t * slope - 0.5 * t**2 * curvature
            level = abs(slope + t * curvature + 3.0 * cubic / t) <= LEVEL * abs(slope)  # as of a cubic
            if trial >= TRIALS - 1 or (trial == 0 and level):
                break
            here, curvature = problem.along(P, dZ, V, step)
            if not (abs(here) > LEVEL * abs(slope) and curvature > 0.0):
                break
            low, high = (t, high) if here < 0.0 else (low, t)
            t = min(t - here / curvature, LONGER * t)
            if not low < t < high:
                t = 0.5 * (low + high)
        return found

    def _newton(self, target: float, share: float) -> None:
        """The Newton step by conjugate gradients, and half of what it promises.

        They end at a `share` of the first residual, or where what is left of the gradient would prove the target.
        """
        step, r = np.zeros_like(self.G), -self.G
        y = self.metric.solve(r)
        p, ry = y, float(np.vdot(r, y))
        first = ry
        for _ in range(MAX_INNER):
            if ry <= 0.0:
                break
            Hp = self.problem.curve(self.P, p)
            curvature = float(np.vdot(p, Hp))
            if curvature <= 0.0:
                break
            a = ry / curvature
            step = step + a * p
            r = r - a * Hp
            y = self.metric.solve(r)
            ry, previous = float(np.vdot(r, y)), ry
            if ry <= share * first or self.gap(r) <= ENOUGH * target:
                break
            p = y + (ry / previous) * p
        self.step = step if step.any() else y
        self.decrement = -0.5 * float(np.vdot(self.G, self.step))


@dataclass(frozen=True)
class NewtonCG:
    """Descent of a softmax risk with l2 or no penalty; no rate to choose, and a certificate."""

    tol: float = 1e-6
    max_reads: int = 20_000
    name: str = "L-BFGS in a Kronecker metric"
    draws = False

    def blocks(self, cost: Cost, w: Vector, rng: np.random.Generator, budget: Budget) -> Iterator[Block]:
        """Walk from `w`."""
        assert isinstance(cost, Risk)
        tighter = TIGHTER if cost.l2 > 0 else TIGHTER_ESTIMATE
        yield from descend_classes(cost, self.tol, Descent(cost, w), GOAL * self.tol, tighter, self.max_reads, budget)
