"""A walk whose line searches read no row, and whose end is proved by the readings that it took.

Where the rows are few beside their columns, a sample would be all of them, and a matrix of curvatures costs dozens of
readings.  L-BFGS in a diagonal then needs fewer where each step goes to the lowest point of its line: the scores along
it are known from half a reading, the products of the rows with the step; the other half is the gradient there.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

from descender.costs.certificate import Certificate, relative_gap
from descender.costs.cost import Vector
from descender.costs.risk import Risk
from descender.methods.centred import Centred
from descender.methods.column_facts import FEW_ROWS, Columns
from descender.methods.curvature import Learnt
from descender.methods.ending import ending
from descender.methods.lbfgs import Pairs
from descender.methods.method import Block, one_step
from descender.methods.metrics import Corrected, Diagonal, gram_readings
from descender.methods.mixture import Mixture
from descender.methods.reads import Reading
from descender.methods.sampling import has_rare
from descender.methods.unit import Unit
from descender.methods.walker import MEMORY, NOISE

FLUTTER = 10.0
"""How many times the rounding of a cost it may rise in a step: its slopes are known better."""
AWAY = 0.02
"""How far a mixture is from the natural dual point, about: rounding of the scores costs a proof that share of it."""
LIKELY, RETRY, MOST_FAILED = 0.7, 0.5, 3
"""The share of what is asked at which a proof is expected to succeed; that of what failed; and how often one may."""
JUDGED, PACED, SLOWER = 6, 5, 1.5
"""Steps after which the pace is judged, by so many of the last ones; and how many times as long what is ahead takes, as
a pace falls."""
MATRIX, BESIDE = 0.7, 6.0
"""What a matrix of curvatures costs in steps for each reading that it does, as a step is a little more than one; and
the steps of a walk in it."""
FALLEN, TRIALS, FARTHEST = 0.1, 5, 4.0
"""The share of the slope along a line that is nothing; how many points of it are tried, and how many times
as far the next is at most."""


class ScoreWalk:
    """A point of a `problem`, all of whose rows are even enough, that walks down by L-BFGS with known scores."""

    def __init__(self, problem: Centred, columns: Columns, v: Vector):
        self.problem, self.v = problem, v
        self.reading = problem.read(v)
        self.reads = 1
        self.scores = self.reading.scores.astype(np.float64)
        self.metric = Diagonal(self._curvatures(columns), least=0.0)
        self.pairs = Pairs(MEMORY)
        self.mixture = Mixture(problem)
        self.mixture.add(v, self.reading)
        self.travelled = self.mixture.reach(v)  # by sums of products, against which their rounding is measured

    def _curvatures(self, columns: Columns) -> Vector:
        """About the diagonal of the Hessian: where columns are even, the mean curvature of a row does for all."""
        problem, total = self.problem, float(self.problem.sigma.sum())
        if has_rare(columns, FEW_ROWS, problem.n, total) or not columns.squares.all():
            return problem.curvatures(self.scores)
        h = float(problem.weights(self.scores, cautious=False).sum())
        return np.append(h / total * columns.squares + problem.l2, h)[: problem.size]

    @np.errstate(all="ignore")
    def move(self) -> bool:
        """Go to about the lowest point of the next line; False if the slope along it does not fall."""
        problem, gradient = self.problem, self.reading.gradient
        step = -Corrected(self.metric, self.pairs).solve(gradient)
        if not float(gradient @ step) < 0.0:
            self.pairs.pairs.clear()
            step = -self.metric.solve(gradient)
        if not float(gradient @ step) < 0.0:
            return False
        change = problem.scores(step, problem.X.dtype)
        t, scores, values, slopes = self._lowest(step, change)
        v = self.v + t * step
        trial = problem.read_slopes(v, scores, values, slopes)
        self.reads += 1
        noise = FLUTTER * NOISE[problem.X.dtype.itemsize] * abs(self.reading.value)
        if not (trial.finite and trial.value <= self.reading.value + noise):
            return False
        self.pairs.add(t * step, trial.gradient - gradient)
        self.v, self.reading, self.scores = v, trial, scores
        self.mixture.add(v, trial)
        self.travelled += self.mixture.reach(t * step)
        return True

    def _lowest(self, step: Vector, change: NDArray) -> tuple[float, NDArray, NDArray, NDArray]:
        """How far to go, and the scores, losses and slopes there: where the slope along the line is about zero.

        The whole step first, then where the secant of the slopes known on both sides is zero.
        """
        problem, d = self.problem, self.problem.d
        weight = problem.factor
        w, p, dz = self.v[:d], step[:d], change.astype(problem.X.dtype)
        rises, bends = problem.l2 * float(w @ p), problem.l2 * float(p @ p)
        falls = before = float(self.reading.gradient @ step)
        low, high, last, t = 0.0, np.inf, 0.0, 1.0
        if not self.pairs.pairs:  # a diagonal sees too little curvature where columns are correlated
            t = min(t, -falls / (float(problem.weights(self.scores, cautious=False) @ np.square(change)) + bends))
        for trial in range(TRIALS):
            scores = self.scores + t * change
            values, slopes = problem.losses(scores)
            slope = weight * float(slopes @ dz) + rises + t * bends
            if abs(slope) <= -FALLEN * falls or trial == TRIALS - 1:
                break
            low, high = (t, high) if slope < 0.0 else (low, t)
            ahead = t - slope * (t - last) / (slope - before) if slope > before else np.inf
            last, before = t, slope
            widest = 0.9 * high + 0.1 * low if high < np.inf else FARTHEST * t
            t = min(max(ahead, low + 0.1 * (t - low)), widest) if np.isfinite(slope) else 0.1 * t
        return t, scores, values, slopes

    def prove(self, enough: float) -> float:
        """What the readings prove where it stands; where the rounding of the scores hides it, by exact ones."""
        travelled = 0.0 if self.problem.X.dtype == np.float64 else self.travelled
        if AWAY * self.mixture.blurred(travelled) <= enough:
            gap = self.mixture.proved(self.v, self.scores, enough, travelled)
            if gap <= enough or travelled == 0.0:
                return gap
        self.scores, self.travelled = self.problem.scores(self.v), 0.0
        self.reads += 1
        return self.mixture.proved(self.v, self.scores, enough)

    def exactly(self) -> Reading:
        """The last reading with its cost in float64, by the scores of the last proof."""
        return self.reading._replace(value=self.problem.value_at(self.scores, self.v))


def suits(problem: Centred, l1: float) -> bool:
    """Whether the walk is for this problem: a loss of bounded curvature, with an l2 penalty alone, rows that count."""
    loss = problem.loss
    smooth = loss.differentiable and loss.dual_curvature is None and np.isfinite(loss.curvature_bound)
    return bool(smooth and l1 == 0 and problem.l2 > 0 and not problem.far and problem.sigma.min() > 0)


class ScoreDescent:
    """The walk until its end is proved, or a matrix of curvatures is expected to save readings."""

    def __init__(
        self, cost: Risk, problem: Centred, columns: Columns, v: Vector, tol: float, max_reads: int, unit: Unit
    ):
        self.cost, self.problem, self.tol, self.max_reads, self.unit = cost, problem, tol, max_reads, unit
        self.walk = ScoreWalk(problem, columns, v)
        self.trail: list[float] = []

    def blocks(self) -> Generator[Block, None, Learnt | None]:
        """The steps, and the proof; returns what was learnt where another walk is to go on, else None."""
        walk, likely, counted, failed = self.walk, LIKELY, 0, 0
        while walk.reading.finite:
            asked = self.tol * self.unit.of(walk.reading.value)
            foretold = walk.mixture.foretold(walk.v)
            if foretold <= likely * asked and walk.mixture.shown(walk.reading, asked):
                gap = walk.prove(asked)
                reading = walk.exactly()
                if gap <= self.tol * self.unit.of(reading.value):
                    yield self._end(gap, reading, walk.reads - counted)
                    return None
                likely, failed = RETRY * foretold / asked, failed + 1
            before, there = walk.v, walk.reading
            used_up = failed >= MOST_FAILED or walk.reads >= self.max_reads
            if used_up or not self._pays(foretold, asked) or not walk.move():
                break
            yield self._block(before, there, walk.reads - counted)
            counted = walk.reads
        return Learnt(walk.pairs, bool(self.trail) and not self._near())

    def _pays(self, foretold: float, asked: float) -> bool:
        """Whether the walk can prove what is asked, before one in a matrix of curvatures would, as far as is known."""
        self.trail.append(float(np.log(max(foretold / asked, 1e-300))))
        if len(self.trail) <= JUDGED:
            return True
        return self.walk.mixture.shown(self.walk.reading, asked) and self._near()

    def _near(self) -> bool:
        """Whether the walk takes fewer readings than a matrix of curvatures and a walk in it."""
        n, d = self.problem.n, self.problem.d
        before = self.trail[-1 - min(PACED, len(self.trail) - 1)]
        matrix = MATRIX * gram_readings(n, n, d) + BESIDE
        return SLOWER * self.trail[-1] * PACED <= matrix * max(before - self.trail[-1], 0.0)

    def _block(self, before: Vector, reading: Reading, reads: int) -> Block:
        problem = self.problem
        here, there = problem.leave(self.walk.v), problem.leave(before)
        norm = float(np.linalg.norm(problem.leave_gradient(reading.gradient)))
        log = one_step(reading.value, norm, float(np.linalg.norm(here - there)), 1.0, reads)
        return Block(log, here, reads * problem.n, there[None, :])

    def _end(self, gap: float, reading: Reading, reads: int) -> Block:
        value = reading.value
        relative = float(relative_gap(gap, value, 1000.0 * self.unit.of(value)))
        found = Certificate("duality gap", True, gap, relative, value)
        final = value, self.problem.leave_gradient(reading.gradient)
        return ending(self.cost, self.tol, self.problem.leave(self.walk.v), found, reads, final)
