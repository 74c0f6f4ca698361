r"""L-BFGS in a diagonal metric: smooth convex risks of so many columns that their curvatures make no matrix.

The first metric is the curvature along each coordinate, :math:`\sum_i \sigma_i \ell''(z_i) x_{ij}^2 + \lambda_2`, which
costs no more than a reading; the pairs of the walk correct it.  It is taken anew a few times while the walk comes
down, and the pairs are kept: they tell of curvature between coordinates, which a diagonal knows nothing of.

D. C. Liu and J. Nocedal, *On the limited memory BFGS method for large scale optimization*, 1989; J. C. Gilbert and
C. Lemaréchal, *Some numerical experiments with variable-storage quasi-Newton algorithms*, 1989.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from descender.costs.certificate import certificate, cost_scale
from descender.costs.cost import Cost, Vector
from descender.costs.risk import Risk
from descender.methods.centred import Centred
from descender.methods.ending import ending
from descender.methods.lbfgs import Pairs
from descender.methods.method import Block, Budget, one_step
from descender.methods.metric import better_start
from descender.methods.metrics import Diagonal

MEMORY = 15
REFRESH = (4, 12, 30)
"""Steps after which the diagonal is taken anew."""
GOAL, SMALLEST_GOAL = 0.2, 1e-24
"""The share of what is asked for at which the promise of a step, which is an estimate, is put to the proof; and where
rounding hides what is left of it."""


class Descent:
    """A point that walks down."""

    def __init__(self, problem: Centred, v: Vector):
        self.problem, self.v = problem, v
        self.reading, self.reads = problem.read(v), 1
        self.pairs = Pairs(MEMORY)
        self.learn()

    def learn(self, cautious: bool = False) -> None:
        """Take the diagonal anew; with `cautious` by the largest curvature that the loss can have, and forget."""
        self.metric = Diagonal(self.problem.curvatures(self.reading.scores, cautious))
        self.reads += 1
        if cautious:
            self.pairs.pairs.clear()

    def look(self) -> float:
        """Find the next step; half of what it promises, the decrement."""
        g = self.reading.gradient
        self.step = -self.pairs.solve(g, self.metric.solve)
        decrement = -0.5 * float(g @ self.step)
        if decrement < 0.0 and self.pairs.pairs:
            self.pairs.pairs.clear()
            return self.look()
        self.decrement = decrement
        return decrement

    def move(self) -> bool:
        """Take the step, shortened where it does not lower the cost; False if nothing does."""
        with np.errstate(all="ignore"):
            for t in self._lengths():
                v = self.v + t * self.step
                trial, self.reads = self.problem.read(v), self.reads + 1
                if trial.value <= self.reading.value - 2e-4 * t * self.decrement + 1e-15 * abs(self.reading.value):
                    self.pairs.add(v - self.v, trial.gradient - self.reading.gradient)
                    self.v, self.reading = v, trial
                    return True
                self.trial = trial
        return False

    def _lengths(self) -> Iterator[float]:
        """The whole step; then the best share of it, by the scores that are known at both of its ends."""
        yield 1.0
        z, dz = self.reading.scores, self.trial.scores - self.reading.scores
        if not np.isfinite(dz).all():
            yield 1e-3
            return
        best, lowest = 0.0, self.reading.value
        t = min(0.5, self.problem.loss.largest_move / max(float(np.abs(dz).max(initial=0.0)), 1e-300))
        for _ in range(40):
            value = self.problem.value_at(z + t * dz, self.v + t * self.step)
            if np.isfinite(value) and value < lowest:
                best, lowest = t, value
            elif best > 0.0:
                break
            t *= 0.6
        if best > 0.0:
            yield best


@dataclass(frozen=True)
class DiagonalLBFGS:
    """L-BFGS in a diagonal metric, of a smooth convex risk with one score a row; no rate to choose, and a certificate.

    It ends when the certificate shows a gap of at most ``tol * max(|F|, scale/1000)``, or where rounding allows no
    further descent.
    """

    tol: float = 1e-6
    max_reads: int = 1000
    name: str = "L-BFGS in a diagonal metric"

    def blocks(self, cost: Cost, w: Vector, rng: np.random.Generator, budget: Budget) -> Iterator[Block]:
        """Walk from `w`."""
        assert isinstance(cost, Risk)
        problem, _ = Centred.of(cost)
        v, start_value = better_start(cost, problem, w)
        if v is not None:
            yield Block(one_step(start_value, np.nan, np.nan, np.nan, 1), problem.leave(v), problem.n, w[None, :])
        walk = Descent(problem, problem.enter(w) if v is None else v)
        unit, goal = cost_scale(cost) / 1000.0, GOAL * self.tol
        iteration = counted = 0
        while True:
            if iteration in REFRESH:
                walk.learn()
            decrement, iteration = walk.look(), iteration + 1
            value, before = walk.reading.value, walk.v
            norm = float(np.linalg.norm(problem.leave_gradient(walk.reading.gradient)))
            done = decrement <= goal * max(abs(value), unit) or walk.reads >= self.max_reads
            moved = not done and (walk.move() or self._cautious(walk))
            if moved:
                here, there = problem.leave(walk.v), problem.leave(before)
                log = one_step(value, norm, float(np.linalg.norm(here - there)), 1.0, walk.reads - counted)
                reads, counted = walk.reads - counted, walk.reads
                yield Block(log, here, reads * problem.n, there[None, :])
                continue
            point = problem.leave(walk.v)
            found = certificate(cost, point)
            assert found is not None
            floor = not done or goal < SMALLEST_GOAL or walk.reads >= self.max_reads
            if found.relative <= self.tol or floor:
                yield ending(cost, self.tol, point, found, walk.reads - counted)
                return
            goal *= 0.03

    def _cautious(self, walk: Descent) -> bool:
        """A step in the metric of the largest curvature a loss can have, for points where the own one vanishes."""
        walk.learn(cautious=True)
        return walk.look() > 0.0 and walk.move()
