r"""Descent in a learnt metric: the curvature of a subsample replaces the learning rate.

A gradient step in the metric of the Hessian, :math:`w \leftarrow w - H^{-1} g`, is Newton's.  Here H is that of some
of the rows, nearly for free, and L-BFGS corrects it along the way, so that each step reads the rows once and few steps
are needed, whatever the scales of the columns.  The walk starts at the bottom of the sample.

Erdogdu and Montanari, *Convergence rates of sub-sampled Newton methods*, 2015; Mokhtari and others, *Adaptive Newton
method for empirical risk minimization to statistical accuracy*, 2016.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from descender.costs.certificate import ROUNDING, Certificate, certificate, relative_gap
from descender.costs.cost import Cost, Vector
from descender.costs.risk import Risk
from descender.methods.centred import Centred
from descender.methods.column_facts import Columns, glance
from descender.methods.curvature import PART, PRODUCTS, Curvature, Learnt
from descender.methods.ending import ending
from descender.methods.method import Block, Budget, one_step
from descender.methods.newton import BLIND, FAR_START, SMALLEST_GOAL, is_small
from descender.methods.proof import MOST_PRODUCTS, Proof, SparseProof
from descender.methods.sampling import Draw, draw, has_rare, is_even, sample_size, sparse_sample_size
from descender.methods.score_walk import ScoreDescent, suits
from descender.methods.unit import Unit
from descender.methods.walker import NOISE, Walker
from descender.methods.working_response import working_start

FEW_TARGETS = 5000
"""Targets that show well enough that the best constant is no far better start."""
WIDE = 4000
"""Columns (sparse: half as many) from which there is no matrix of curvatures."""
SETTLED = 1e-5
"""A relative decrement from which on a small problem keeps its Hessian: the next step is the last but one anyway."""
MOST_IDLE = 12
"""Steps of which none halves a decrement within rounding, after which rounding has the walk."""
FIRST_SHRINK, STALE_SHRINK = 2.5, 0.03
"""What a reading leaves of the decrement, until it is measured: in the metric of a sample, as a multiple of the columns
over its rows; and in one of all rows."""
SLOWEST = 0.2
"""What a reading leaves of the decrement at least in a diagonal metric, whatever was measured."""
STALE = 3.0
"""How many times the decrement in a metric that was learnt elsewhere the distance to the minimum may well be."""
ROUGHER = 1.5
"""How many times what a matrix would foretell of a proof products with its rows do, as a few of them solve roughly."""
BEND = 30.0
"""How a proof grows with the square of what it shows of the distance: 1 to 3 times for shares of 0.004 to 0.04."""
MOST_FAILED = 3
"""How often a proof may fail where the decrement is as small as asked before another dual point is looked for."""
LIKELY, HOPEFUL = 0.9, 1.2
"""The share of what is asked at which a proof is expected to succeed: where the reading is there, and before it is."""
FIRST_ROWS = 3
"""Rows a column of the first Hessian, which the walk will soon leave behind."""
STAGE, SPARSE_STAGE = 8, 30
"""Rows a column of the first sample; a Hessian of sparse rows costs little beside its factor, whatever their number."""
STAGE_SHARE = 0.3
"""A sample of k rows knows the minimum to about d/(2k) of the cost; its descent stops at this share of that."""
HELD_OUT = 2000
"""Rows beside a part of the sample, about, that tell when a descent learns the part by heart."""


def is_wide(risk: Risk) -> bool:
    """Whether there are too many columns for a matrix of curvatures."""
    return risk.n_features > (WIDE // 2 if risk.sparse else WIDE)


@dataclass(frozen=True)
class LearntMetric:
    """Newton-like descent of a convex risk with one score a row; no rate to choose, and a certificate.

    It ends when a certificate shows a gap of at most ``tol * max(|F|, scale/1000)``, or where rounding allows no
    further descent.  Each reading tells about what it would prove, and the last one is made in float64 and proves it:
    the certificate costs no reading of its own.
    """

    tol: float = 1e-6
    max_reads: int = 1000
    name: str = "descent in a learnt metric"

    def blocks(self, cost: Cost, w: Vector, rng: np.random.Generator, budget: Budget) -> Iterator[Block]:
        """Walk from `w`."""
        assert isinstance(cost, Risk)
        n, d = cost.X.shape
        m = n
        if not is_small(cost):
            m = sparse_sample_size(cost.X) if cost.sparse else sample_size(n, d)
        problem, columns = _seen(cost, m)
        v, start_value = better_start(cost, problem, w)
        moved, used = v is not None, 0
        v = problem.enter(w) if v is None else v
        part, rows, learnt = problem, None, None
        unit = Unit(cost, np.inf if w.any() else start_value)
        if m == n and not (cost.sparse or is_small(cost)) and suits(problem, cost.l1):
            if moved:
                yield self._moved(problem, v, start_value, 1.0, w)
            direct = ScoreDescent(cost, problem, columns, v, self.tol, self.max_reads, unit)
            learnt = yield from direct.blocks()
            if learnt is None:
                return
            v, moved = direct.walk.v, False
        if m < n or not (cost.sparse or is_small(cost)):
            sample = draw(problem, columns, m, rng)
            part, rows = sample.part(problem, 1.0)
            if not (cost.looked or is_even(part, n)):
                sample = draw(problem, glance(cost, problem.sigma, cost.intercept), m, rng)
                part, rows = sample.part(problem, 1.0)
            if learnt is None:
                v, used, learnt = descend_sample(problem, sample, part, v, m, cost.l1)
        if moved or used:
            yield self._moved(problem, v, start_value, 1.0 + used / n, w)
        yield from _Descent(cost, problem, part, rows, v, self.tol, self.max_reads, unit, learnt).blocks()

    def _moved(self, problem: Centred, v: Vector, value: float, reads: float, w: Vector) -> Block:
        """The step from w to where the walk begins."""
        log = one_step(value, np.nan, np.nan, np.nan, 1)
        return Block(log, problem.leave(v), int(reads * problem.n), w[None, :])


def _seen(cost: Risk, m: int) -> tuple[Centred, Columns]:
    """The rows of a risk, and its columns as some of them show them, unless these show one that is constant or rare.

    Nobody looks at all numbers before the walk does: it sees by its first reading if one is not finite.
    """
    if not (cost.looked or cost.sparse or is_small(cost)):
        problem, columns = Centred.of(cost, whole=False, tie=True)
        if not cost.looked and (m == problem.n or not has_rare(columns, m, problem.n, float(problem.sigma.sum()))):
            return problem, columns
    return Centred.of(cost, tie=True)


def descend_from(cost: Risk, w: Vector, tol: float, max_reads: int = 1000) -> Iterator[Block]:
    """The same descent from a point that is near already: the metric is that of all rows, and no sample is drawn."""
    problem, _ = Centred.of(cost, tie=True)
    yield from _Descent(cost, problem, problem, None, problem.enter(w), tol, max_reads).blocks()


class _Descent:
    """A walk on all rows, in the metric of a `part` of them: those numbered `rows`, or all.

    What was `learnt` of curvatures on a sample is taken over.
    """

    def __init__(
        self,
        cost: Risk,
        problem: Centred,
        part: Centred,
        rows: NDArray | None,
        v: Vector,
        tol: float,
        max_reads: int,
        unit: Unit | None = None,
        learnt: Learnt | None = None,
    ):
        self.cost, self.problem, self.part, self.rows = cost, problem, part, rows
        self.tol, self.max_reads = tol, max_reads
        self.unit = unit or Unit(cost)
        self.walker = Walker(problem, v, cost.l1)
        if not (cost.looked or cost.sparse or self.walker.reading.finite):
            cost.extremes  # noqa: B018 - it raises where a number is not finite
        self.goal = tol * (0.2 if part.n >= problem.n else 0.4)
        self.proof: Proof = Proof(problem, part, rows)
        if cost.l1 > 0:
            self.proof = SparseProof(problem, part, rows, cost.l1)
        self.inflation = max(self.proof.inflation, STALE)
        self.previous = self.best = self.decrement = np.inf
        self.shrinks = FIRST_SHRINK * problem.d / part.n if part.n < problem.n else STALE_SHRINK
        self.iteration = self.counted = self.idle = self.failed = 0
        self.stale = self.blind = False
        self.values: deque[float] = deque(maxlen=2)
        self.curvature = Curvature(self.walker, part, rows, learnt)
        self.inflation *= ROUGHER if self.curvature.kind == PRODUCTS else 1.0
        far = part.n >= problem.n and learnt is None
        self.curvature.learn(share=min(1.0, FIRST_ROWS * problem.d / part.n) if far else 1.0)

    def blocks(self) -> Iterator[Block]:
        """Walk until the gap is proved to be as small as asked, or rounding has the walk."""
        walker = self.walker
        while True:
            self._look()
            asked = max(self.tol, 2.0 * ROUNDING) * self._unit()
            arrived = self.tol > ROUNDING or self.decrement <= self.goal * self._unit()
            expected = self._expected(self.decrement) if arrived else np.inf
            tells = self.proof.tells(walker.reading, asked)
            if expected <= LIKELY * asked and tells:
                seen, gap = self.curvature.exact, self._prove(asked)
                if gap <= asked:
                    yield self._end(self._proved(gap), known=self.problem.tied or not self.problem.far)
                    return
                if self.curvature.exact > seen:
                    continue
            provable = self.tol > ROUNDING and self.failed < MOST_FAILED
            used_up = walker.reads >= self.max_reads
            done = (self.decrement <= self.goal * self._unit() and not provable) or used_up
            near = self.decrement <= NOISE[self.problem.X.dtype.itemsize] * self._unit()  # where quick readings differ
            likely = self._expected(self.decrement * self.shrinks) <= HOPEFUL * asked or expected <= asked
            exact = near or (likely and not tells)
            block = None if done else self._step(exact)
            if block is not None:
                yield block
                continue
            if self.blind and done:
                self.blind = False
                block = self._cautious_step()
                if block is not None:
                    yield block
                    continue
            found = certificate(self.cost, self.problem.leave(walker.v))
            assert found is not None
            if found.relative <= self.tol or not done or self.goal < SMALLEST_GOAL or used_up:
                yield self._end(found, known=False)
                return
            self.blind = found.gap > BLIND * max(self.decrement, 1e-3 * self.goal * self._unit())
            self.goal *= 0.03

    def _expected(self, decrement: float) -> float:
        """About what a proof would show where the decrement is this: more where rows would have to move far."""
        far = self.proof.inflation**2 * decrement / self._unit()
        return self.inflation * decrement * (1.0 + BEND * far)

    def _prove(self, enough: float) -> float:
        """What the last reading proves, and how many times the decrement that is."""
        walker = self.walker
        exact = self.curvature.exact
        products = MOST_PRODUCTS if exact else max(self.curvature.price(self.part.n), 2.0 * MOST_PRODUCTS)
        gap = self.proof.gap(walker.v, walker.reading, self.curvature.inner(), LIKELY * enough, products)
        if (
            gap > enough and not self.curvature.sound
        ):  # a matrix is worth it now, for the proof and for the steps that are left
            self.curvature.refine()
            return gap
        self.inflation = min(gap / max(self.decrement, 1e-300), 4.0 * self.inflation)
        self.failed += 1
        return gap

    def _unit(self) -> float:
        """What `tol` is relative to."""
        return self.unit.of(self.walker.value)

    def _look(self) -> None:
        """The decrement, in a new metric where that pays, and how fast it falls."""
        walker, target = self.walker, self.goal * self._unit()
        small = is_small(self.cost) and self.iteration > 0 and not walker.quadratic
        small = small and self.decrement > SETTLED * self._unit()
        self.values.append(walker.value)
        if self.stale or (small and not walker.reading.exact):
            self.curvature.learn()
        decrement = self._decrement()
        if not (self.stale or small) and self.curvature.improve(decrement, target):
            decrement = self._decrement()
        if 0.0 < self.previous < np.inf:  # good and bad steps alternate
            least = 1e-4 if self.curvature.sound else SLOWEST
            self.shrinks = min(max(np.sqrt(self.shrinks * max(decrement, 0.0) / self.previous), least), 1.0)
        self.best, self.idle = (decrement, 0) if decrement < 0.5 * self.best else (self.best, self.idle + 1)
        self.stale, self.iteration = False, self.iteration + 1
        self.previous = self.decrement = decrement

    def _decrement(self) -> float:
        """What the metric promises; where that is a diagonal, which sees too little, a share of the last step."""
        promised = self.walker.look()
        if self.curvature.sound or len(self.values) < 2:
            return promised
        return max(promised, self.shrinks * (self.values[0] - self.values[-1]))

    def _step(self, exact: bool) -> Block | None:
        """A step, or one in a cautious metric where none lowers the cost; None where rounding allows neither."""
        walker, noise = self.walker, NOISE[self.problem.X.dtype.itemsize]
        if self.idle >= MOST_IDLE and self.decrement < noise * abs(walker.value):
            return None
        before, value, gradient = walker.v, walker.value, walker.reading.gradient
        return self._block(before, value, gradient) if walker.move(exact) else self._cautious_step()

    def _cautious_step(self) -> Block | None:
        """A step in the metric of the largest curvature a loss can have, for points where the own one vanishes."""
        walker = self.walker
        before, value, gradient = walker.v, walker.value, walker.reading.gradient
        self.curvature.refine(cautious=True)
        self.previous = np.inf
        self.stale = walker.look() > 0.0 and walker.move()
        return self._block(before, value, gradient) if self.stale else None

    def _block(self, before: Vector, value: float, gradient: Vector) -> Block:
        """What the log says of the step that was taken."""
        here, there = self.problem.leave(self.walker.v), self.problem.leave(before)
        norm = float(np.linalg.norm(self.problem.leave_gradient(gradient)))
        reads, self.counted = self.walker.reads - self.counted, self.walker.reads
        log = one_step(value, norm, float(np.linalg.norm(here - there)), 1.0, reads)
        return Block(log, here, reads * self.problem.n, there[None, :])

    def _proved(self, gap: float) -> Certificate:
        value = self.walker.value
        return Certificate("duality gap", True, gap, float(relative_gap(gap, value, 1000.0 * self._unit())), value)

    def _end(self, found: Certificate, known: bool) -> Block:
        walker, problem = self.walker, self.problem
        final = (walker.value, problem.leave_gradient(walker.reading.gradient)) if known else None
        return ending(self.cost, self.tol, problem.leave(walker.v), found, walker.reads - self.counted, final)


def better_start(cost: Risk, problem: Centred, w: Vector) -> tuple[Vector | None, float]:
    """The best constant where the start costs far more, else None; and the cost of the start."""
    d = problem.d
    with np.errstate(all="ignore"):
        scores: NDArray = np.full(1, w[d] if cost.intercept else 0.0)  # those of all rows, where w is 0
        if w[:d].any():
            scores = problem.X @ w[:d].astype(problem.X.dtype) + scores
        value = problem.quick_value(scores, w) + cost.l1 * float(np.abs(w[:d]).sum())
        v = np.zeros(problem.size)
        for rows in (slice(None, None, max(problem.n // FEW_TARGETS, 1)), slice(None)):
            y, sigma = problem.y[rows], problem.sigma[rows]
            v[d:] = cost.loss.trivial(y, sigma)
            level = v[d] if cost.intercept else np.float64(0.0)
            constant = float(sigma @ cost.loss.value(level, y)) * float(problem.sigma.sum() / sigma.sum())
            if value <= FAR_START * constant:
                return None, value
    return v, value


def descend_sample(
    problem: Centred, sample: Draw, part: Centred, v: Vector, m: int, l1: float
) -> tuple[Vector, int, Learnt | None]:
    """The bottom of growing parts of the sample, to what each can know; how many rows were read; what was learnt."""
    d, used, learnt = problem.d, 0, None
    sizes = [max((SPARSE_STAGE if problem.quick is not None else STAGE) * d, 2000)]
    if m > 30 * sizes[0]:
        sizes.append(int(np.sqrt(sizes[0] * m)))
    sizes = [k for k in sizes if 2 * k <= m] + ([m] if m < problem.n else [])
    if not sizes:
        return v, used, learnt
    H, others = None, Others(problem, sample.rows[sample.ratio < sizes[-1] / m], v, l1)
    for k in sizes:
        stage = part if k == m else sample.part(problem, k / m)[0]
        walker = Walker(stage, v, l1)
        curvature, enough = Curvature(walker, stage, None, learnt), STAGE_SHARE * d / (2 * k)
        if H is None:
            first = working_start(stage, curvature.kind < PART)
            trial = walker if first is None else Walker(stage, first, l1)
            if trial.value < walker.value and not others.worse(trial):
                walker = curvature.walker = trial
            curvature.learn(share=min(1.0, max(FIRST_ROWS * d, 2000) / stage.n))
        else:
            walker.learn(H, stage.jitter)
        for _ in range(50):
            decrement, target = walker.look(), enough * walker.value
            if decrement >= target and curvature.improve(decrement, target):
                decrement = walker.look()
            before = walker.v, walker.reading
            if decrement < target or not walker.move():
                break
            if others.worse(walker):
                walker.v, walker.reading = before
                break
        v, H = walker.v, None if k == sizes[-1] or not curvature.exact else stage.hessian(walker.reading.scores)
        used, learnt = used + walker.reads * (stage.n + len(others.rows)), curvature.learnt
    return v, used, learnt


class Others:
    """Rows beside those that a descent knows, on which it has to lower the cost, too."""

    def __init__(self, problem: Centred, known: NDArray, v: Vector, l1: float):
        self.rows = np.setdiff1d(np.arange(0, problem.n, max(problem.n // HELD_OUT, 1)), known, assume_unique=True)
        weight = float(problem.sigma[self.rows].sum())
        self.part = problem.part(self.rows, float(problem.sigma.sum()) / weight) if weight > 0 else None
        self.l1 = l1
        self.lowest = self._value(v)

    def _value(self, v: Vector) -> float:
        if self.part is None:
            return 0.0
        return self.part.read(v).value + self.l1 * float(np.abs(v[: self.part.d]).sum())

    def worse(self, walker: Walker) -> bool:
        """Whether the walker's last step raised their cost."""
        value = self._value(walker.v)
        risen, self.lowest = value > self.lowest, min(value, self.lowest)
        return risen
