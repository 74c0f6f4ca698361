r"""L-BFGS in a diagonal metric: smooth convex risks of so many columns that their curvatures make no matrix.

The first metric is the curvature along each coordinate, :math:`\sum_i \sigma_i \ell''(z_i) x_{ij}^2 + \lambda_2`, which
costs no more than a reading; the pairs of the walk correct it.  It is taken anew a few times while the walk comes
down, and the pairs are kept: they tell of curvature between coordinates, which a diagonal knows nothing of.

A step reads the rows twice: for the scores of its direction, along which the best length is found without them, and
for the gradient there.  With l2 the walk ends where :math:`|\nabla F|^2 / 2\lambda_2` is small enough, which is the
duality gap of minus the slopes.

D. C. Liu and J. Nocedal, *On the limited memory BFGS method for large scale optimization*, 1989; R. Byrd, J. Nocedal,
R. Schnabel, *Representations of quasi-Newton matrices and their use in limited memory methods*, 1994; J. C. Gilbert and
C. Lemaréchal, *Some numerical experiments with variable-storage quasi-Newton algorithms*, 1989.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from descender.costs.certificate import certificate, cost_scale
from descender.costs.cost import Cost, Vector
from descender.costs.risk import Risk
from descender.methods.centred import Centred
from descender.methods.compact import CompactPairs
from descender.methods.ending import ending
from descender.methods.method import Block, Budget, one_step
from descender.methods.metric import better_start
from descender.methods.sparse_rows import SparseRows

MEMORY = 15
REFRESH = (4, 12, 30)
"""Steps after which the diagonal is taken anew."""
FLATTER, TRIALS = 0.25, 30
"""A length of step is good where the slope along it is this share of that at its start; and the most that are tried."""
STRICTER = 0.5
"""What the gap is asked to fall by where the best intercept shows that it was more."""
GOAL, SMALLEST_GOAL = 0.2, 1e-24
"""The share of what is asked for at which the promise of a step, which is an estimate, is put to the proof; and where
rounding hides what is left of it."""


class Descent:
    """A point that walks down, with its scores, its cost and its gradient."""

    def __init__(self, problem: SparseRows | Centred, v: Vector):
        self.problem, self.v, self.reads = problem, v, 2
        self.scores = problem.scores(v)
        self.value = problem.value_at(self.scores, v)
        self.gradient = self.gradient_at(self.scores, v)
        self.pairs = CompactPairs(MEMORY, len(v))
        self.learn()

    def gradient_at(self, scores: Vector, v: Vector) -> Vector:
        """The gradient at v, whose scores are known."""
        problem = self.problem
        g = problem.spread(problem.sigma * problem.loss.slope(scores, problem.y))
        g[: problem.d] += problem.l2 * v[: problem.d]
        return g

    def learn(self, cautious: bool = False) -> None:
        """Take the diagonal anew; with `cautious` by the largest curvature that the loss can have, and forget."""
        curvatures = self.problem.curvatures(self.scores, cautious)
        floor = 1e-12 * float(curvatures.max(initial=0.0))
        self.pairs.scale(np.where(curvatures > floor, 1.0 / np.maximum(curvatures, 1e-300), 0.0))
        self.reads += 1
        if cautious:
            self.pairs.clear()

    def look(self) -> float:
        """Find the next step; half of what it promises, the decrement."""
        self.step = -self.pairs.solve(self.gradient)
        decrement = -0.5 * float(self.gradient @ self.step)
        if not decrement >= 0.0 and self.pairs.count:
            self.pairs.clear()
            return self.look()
        return decrement

    def move(self) -> bool:
        """Take the step, as long as is best; False if no length lowers the cost."""
        problem, v, step = self.problem, self.v, self.step
        with np.errstate(all="ignore"):
            dz = problem.scores(step)
            t = self._length(dz)
            scores, there = self.scores + t * dz, v + t * step
            value = problem.value_at(scores, there)
            noise = 1e-14 * abs(self.value)
            while not value <= self.value + noise and t > 1e-12:
                t *= 0.3
                scores, there = self.scores + t * dz, v + t * step
                value = problem.value_at(scores, there)
            if t <= 1e-12 or not np.isfinite(value):
                return False
            gradient = self.gradient_at(scores, there)
        self.reads += 2
        self.pairs.add(t * step, gradient - self.gradient)
        self.v, self.scores, self.value, self.gradient = there, scores, value, gradient
        return True

    def _length(self, dz: Vector) -> float:
        """Where the cost hardly falls any more along the step, by the scores alone: within a bracket, by secants."""
        problem, step, d = self.problem, self.step, self.problem.d
        along = problem.l2 * float(self.v[:d] @ step[:d])
        bend = problem.l2 * float(step[:d] @ step[:d])
        start = float(self.gradient @ step)
        low, slope_low, high = 0.0, start, np.inf
        t = min(1.0, problem.loss.largest_move / max(float(np.abs(dz).max(initial=0.0)), 1e-300))
        for _ in range(TRIALS):
            slope = along + t * bend
            slope += float((problem.sigma * problem.loss.slope(self.scores + t * dz, problem.y)) @ dz)
            if abs(slope) <= FLATTER * abs(start):
                break
            if slope < 0.0:
                secant = t + (t - low) * slope / (slope_low - slope) if slope_low < slope else np.inf
                low, slope_low = t, slope
                middle = 0.5 * (low + high)
                t = min(secant, 4.0 * t) if high == np.inf else min(max(secant, 0.2 * middle + 0.8 * low), middle)
            else:
                high = t
                share = slope_low / (slope_low - slope) if np.isfinite(slope) else 0.1
                t = low + min(max(share, 0.1), 0.9) * (high - low)
        return t


@dataclass(frozen=True)
class DiagonalLBFGS:
    """L-BFGS in a diagonal metric, of a smooth convex risk with one score a row; no rate to choose, and a certificate.

    It ends when the certificate shows a gap of at most ``tol * max(|F|, scale/1000)``, or where rounding allows no
    further descent.
    """

    tol: float = 1e-6
    max_reads: int = 3000
    name: str = "L-BFGS in a diagonal metric"
    draws = False

    def blocks(self, cost: Cost, w: Vector, rng: np.random.Generator, budget: Budget) -> Iterator[Block]:
        """Walk from `w`."""
        assert isinstance(cost, Risk)
        problem: Any = SparseRows(cost) if cost.sparse else Centred.of(cost)[0]
        v, start_value = better_start(cost, problem, w)
        if v is not None:
            yield Block(one_step(start_value, np.nan, np.nan, np.nan, 1), problem.leave(v), problem.n, w[None, :])
        walk = Descent(problem, problem.enter(w) if v is None else v)
        unit, goal = cost_scale(cost) / 1000.0, GOAL
        iteration = counted = 0
        while True:
            if iteration in REFRESH:
                walk.learn()
            decrement, iteration = walk.look(), iteration + 1
            value, before = walk.value, walk.v
            norm = float(np.linalg.norm(problem.leave_gradient(walk.gradient)))
            left = self._left(walk, decrement, goal)
            done = left <= self.tol * max(abs(value), unit) or walk.reads >= self.max_reads
            moved = not done and (walk.move() or self._cautious(walk))
            if moved:
                here, there = problem.leave(walk.v), problem.leave(before)
                log = one_step(value, norm, float(np.linalg.norm(here - there)), 1.0, walk.reads - counted)
                reads, counted = walk.reads - counted, walk.reads
                yield Block(log, here, reads * problem.n // 2, there[None, :])
                continue
            point = problem.leave(walk.v)
            found = certificate(cost, point)
            assert found is not None
            floor = not done or goal < SMALLEST_GOAL or walk.reads >= self.max_reads
            if found.relative <= self.tol or floor:
                yield ending(cost, self.tol, point, found, walk.reads - counted)
                return
            goal *= STRICTER if problem.l2 > 0.0 else 0.03

    def _left(self, walk: Descent, decrement: float, goal: float) -> float:
        """What may be left above the bottom: with l2 the duality gap, before the share of `goal` it is worth."""
        problem = walk.problem
        if problem.l2 == 0.0:
            return decrement / goal
        g = walk.gradient[: problem.d]
        return max(float(g @ g) / (2.0 * problem.l2), decrement) * (GOAL / goal)

    def _cautious(self, walk: Descent) -> bool:
        """A step in the metric of the largest curvature a loss can have, for points where the own one vanishes."""
        walk.learn(cautious=True)
        return walk.look() > 0.0 and walk.move()
