r"""Descent in a learnt metric: the curvature of a subsample replaces the learning rate.

A gradient step in the metric of the Hessian, :math:`w \leftarrow w - H^{-1} g`, is Newton's.  Here H is that of some
of the rows, nearly for free, and L-BFGS corrects it along the way, so that each step reads the rows once and few steps
are needed, whatever the scales of the columns.  The walk starts at the bottom of the sample.

Erdogdu and Montanari, *Convergence rates of sub-sampled Newton methods*, 2015; Mokhtari and others, *Adaptive Newton
method for empirical risk minimization to statistical accuracy*, 2016.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.costs.certificate import certificate, cost_scale
from descender.costs.cost import Cost, Vector
from descender.costs.risk import Risk
from descender.methods.centred import Centred, Reading
from descender.methods.ending import ending
from descender.methods.lbfgs import Pairs
from descender.methods.method import Block, Budget, one_step
from descender.methods.metrics import Dense, Diagonal, Metric
from descender.methods.proximal import proximal_step
from descender.methods.sampling import Draw, draw, sample_size

SMALL = 60_000
"""Numbers in X up to which a new Hessian at every step is cheaper than a longer walk."""
WIDE = 4000
"""Columns (sparse: half as many) from which the metric is diagonal."""
SMALLEST_GOAL = 1e-24
"""Of the decrement, which is of second order where a gap is of first."""
DAMPING = 0.02
"""What is added to the diagonal of a proximal model, as a share of it, after a step that was too long."""
BLIND = 1e4
"""How many times what a metric promises the gap may be before it is taken to see too little curvature."""
FAR_START = 10.0
"""How many times the cost of the best constant a start may cost; from a worse one the walk begins at the constant."""
STAGE_SHARE = 0.3
"""A sample of k rows knows the minimum to about d/(2k) of the cost; its descent stops at this share of that."""


class Walker:
    """A point of a problem that walks down in a metric with L-BFGS corrections, or proximally with an l1 penalty."""

    def __init__(self, problem: Centred, v: Vector, l1: float):
        self.problem, self.v, self.l1 = problem, v, l1
        self.reading = problem.read(v)
        self.reads = 1
        self.pairs = Pairs(15)
        self.metric: Metric = Diagonal(np.ones(len(v)))
        self.hessian: NDArray | None = None
        self.cautious, self.damping = False, 0.0
        self.decrement = np.inf
        self.step: Vector | None = None

    @property
    def value(self) -> float:
        """The cost with its l1 part."""
        return self.reading.value + self.rough(self.v)

    def rough(self, v: Vector) -> float:
        """The l1 penalty."""
        return self.l1 * float(np.abs(v[: self.problem.d]).sum())

    def learn(self, H: NDArray) -> None:
        """Take the metric from a Hessian."""
        self.hessian, self.metric = H, Dense(H)
        self.pairs.pairs.clear()

    def learn_diagonal(self, cautious: bool = False) -> None:
        """A proximal step takes the curvatures of the columns it moves from the scores."""
        self.cautious = cautious

    def look(self) -> float:
        """The next step, and half of what its model promises: the decrement."""
        if self.l1 > 0:
            self.step, self.decrement = proximal_step(
                self.problem, self.v, self.reading, self.hessian, self.l1, self.cautious, self.damping
            )
        else:
            g = self.reading.gradient
            self.step = -self.pairs.solve(g, self.metric.solve)
            self.decrement = -0.5 * float(g @ self.step)
            if self.decrement < 0:
                self.pairs.pairs.clear()
                self.step = -self.metric.solve(g)
                self.decrement = -0.5 * float(g @ self.step)
        return self.decrement

    def move(self) -> bool:
        """Take the step that :meth:`look` found, shortened where it does not lower the cost; False if none does."""
        assert self.step is not None
        with np.errstate(all="ignore"):
            t, trial = 1.0, self._read(self.v + self.step)
            if not self._lower(trial, self.v + self.step, 1.0):
                t = self._shorten(trial)
                if t == 0.0:
                    return False
                trial = self._read(self.v + t * self.step)
                if not self._lower(trial, self.v + t * self.step, t):
                    return False
        self.damping = self.damping / 3.0 if t == 1.0 else max(3.0 * self.damping, DAMPING)
        s = t * self.step
        self.pairs.add(s, trial.gradient - self.reading.gradient)
        self.v, self.reading, self.step = self.v + s, trial, s
        return True

    def _read(self, v: Vector) -> Reading:
        self.reads += 1
        return self.problem.read(v)

    def _lower(self, trial: Reading, v: Vector, t: float) -> bool:
        noise = 1e-15 * abs(self.value)
        return trial.value + self.rough(v) <= self.value - 2e-4 * t * self.decrement + noise

    def _shorten(self, trial: Reading) -> float:
        """The best share of the step, by the scores that are known at both of its ends: no reading is needed."""
        z, dz = self.reading.scores, trial.scores - self.reading.scores
        assert self.step is not None
        if not np.isfinite(dz).all():
            return 1e-3
        best, lowest = 0.0, self.value
        t = min(0.5, self.problem.loss.largest_move / max(float(np.abs(dz).max(initial=0.0)), 1e-300))
        for _ in range(40):
            v = self.v + t * self.step
            value = self.problem.value_at(z + t * dz, v) + self.rough(v)
            if np.isfinite(value) and value < lowest:
                best, lowest = t, value
            elif best > 0.0:
                break
            t *= 0.6
        return best


def is_wide(risk: Risk) -> bool:
    """Whether there are too many columns for a matrix of curvatures."""
    return risk.n_features > (WIDE // 2 if risk.sparse else WIDE)


def is_small(risk: Risk) -> bool:
    """Whether a Hessian of all rows at every step costs less than a longer walk."""
    return risk.X.shape[0] * risk.n_features <= SMALL


@dataclass(frozen=True)
class LearntMetric:
    """Newton-like descent of a convex risk with one score a row; no rate to choose, and a certificate.

    It ends when the certificate shows a gap of at most ``tol * max(|F|, scale/1000)``, or where rounding allows no
    further descent.
    """

    tol: float = 1e-6
    max_reads: int = 1000
    name: str = "descent in a learnt metric"

    def blocks(self, cost: Cost, w: Vector, rng: np.random.Generator, budget: Budget) -> Iterator[Block]:
        """Walk from `w`."""
        assert isinstance(cost, Risk)
        problem, columns = Centred.of(cost)
        n, d = problem.n, problem.d
        wide = is_wide(cost)
        m = n if wide or is_small(cost) else sample_size(n, d)
        sample = draw(problem, columns, m, rng)
        v, start_value = better_start(cost, problem, w)
        moved, used = v is not None, 0
        v = problem.enter(w) if v is None else v
        if not wide:
            v, used = descend_sample(problem, sample, v, m, cost.l1)
        if moved or used:
            log, reads = one_step(start_value, np.nan, np.nan, np.nan, 1), 1.0 + used / n
            yield Block(log, problem.leave(v), int(reads * n), w[None, :])
        yield from self._descend(cost, problem, sample, v, m, wide)

    def _descend(self, cost: Risk, problem: Centred, sample: Draw, v: Vector, m: int, wide: bool) -> Iterator[Block]:
        n, d = problem.n, problem.d
        walker = Walker(problem, v, cost.l1)
        part, rows = (problem, slice(None)) if m >= n or wide else sample.part(problem, 1.0)
        self._learn(walker, part, rows, wide)
        unit = cost_scale(cost) / 1000.0
        goal = self.tol * (0.2 if m >= n else 0.4)
        previous = np.inf
        iteration = counted = 0
        stale = blind = False
        while True:
            decrement = walker.look()
            target = goal * max(abs(walker.value), unit)
            if stale:
                self._learn(walker, part, rows, wide)
                stale, decrement = False, walker.look()
            elif decrement > target and iteration > 0:
                contraction = min(max(decrement / previous, 1e-3), 0.99)
                ahead = np.log(decrement / target) / -np.log(contraction)
                if not wide and (n * d <= SMALL or ahead > d / 15 * m / n + 3):
                    self._learn(walker, part, rows, wide)
                    decrement = walker.look()
            previous, iteration = decrement, iteration + 1
            value, before = walker.value, walker.v
            norm = float(np.linalg.norm(problem.leave_gradient(walker.reading.gradient)))
            done = decrement <= target or walker.reads >= self.max_reads
            moved = not done and walker.move()
            if not moved and (blind or not done):
                blind = False
                moved, previous = self._cautious(walker, part, rows, wide), np.inf
                stale = moved
            if moved:
                here, there = problem.leave(walker.v), problem.leave(before)
                log = one_step(value, norm, float(np.linalg.norm(here - there)), 1.0, walker.reads - counted)
                reads, counted = walker.reads - counted, walker.reads
                yield Block(log, here, reads * n, there[None, :])
                continue
            point = problem.leave(walker.v)
            found = certificate(cost, point)
            assert found is not None
            content = found.relative <= self.tol
            floor = not done or goal < SMALLEST_GOAL
            if content or floor or walker.reads >= self.max_reads:
                yield ending(cost, self.tol, point, found, walker.reads - counted)
                return
            goal *= 0.03
            blind = found.gap > BLIND * max(decrement, 1e-3 * target)

    def _cautious(self, walker: Walker, part: Centred, rows: Any, wide: bool) -> bool:
        """A step in the metric of the largest curvature a loss can have, for points where the own one vanishes."""
        scores = walker.reading.scores[rows]
        if wide:
            walker.learn_diagonal(cautious=True)
            walker.pairs.pairs.clear()
        else:
            walker.learn(part.hessian(scores, cautious=True))
        return walker.look() > 0.0 and walker.move()

    def _learn(self, walker: Walker, part: Centred, rows: Any, wide: bool) -> None:
        if wide:
            walker.learn_diagonal()
        else:
            walker.learn(part.hessian(walker.reading.scores[rows]))


def better_start(cost: Risk, problem: Centred, w: Vector) -> tuple[Vector | None, float]:
    """The best constant where the start costs far more, else None; and the cost of the start."""
    d = problem.d
    with np.errstate(all="ignore"):
        scores = problem.X @ w[:d].astype(problem.X.dtype) + (w[d] if cost.intercept else 0.0)
        value = problem.value_at(scores, w) + cost.l1 * float(np.abs(w[:d]).sum())
    v = np.zeros(problem.size)
    v[d:] = cost.loss.trivial(cost.y, problem.sigma)
    constant = problem.value_at(np.zeros(problem.n) + (v[d] if cost.intercept else 0.0), v)
    return (None, value) if value <= FAR_START * constant else (v, value)


def descend_sample(problem: Centred, sample: Draw, v: Vector, m: int, l1: float) -> tuple[Vector, int]:
    """The bottom of growing parts of the sample, to what each can know; and how many rows were read for it."""
    d, used = problem.d, 0
    if problem.n * d <= SMALL or (m >= problem.n and m < 4 * max(8 * d, 2000)):
        return v, 0
    sizes = [max(8 * d, 2000)]
    if m > 30 * sizes[0]:
        sizes.append(int(np.sqrt(sizes[0] * m)))
    sizes = [k for k in sizes if 2 * k <= m] + ([m] if m < problem.n else [])
    for k in sizes:
        share = k / m
        part, _ = sample.part(problem, share) if m < problem.n else (problem.sample(*_strided(problem.n, k)), None)
        walker = Walker(part, v, l1)
        walker.learn(part.hessian(walker.reading.scores))
        for _ in range(50):
            if walker.look() < STAGE_SHARE * d / (2 * k) * walker.value or not walker.move():
                break
        v = walker.v
        used += walker.reads * part.n
    return v, used


def _strided(n: int, k: int) -> tuple[NDArray, float]:
    rows = np.arange(0, n, max(n // k, 1))
    return rows, n / len(rows)
