r"""Working sets: an l1 penalty on many columns, most of whose weights are zero at the bottom.

Newton steps on some columns, those whose weights are not zero and those whose gradient says that they should not be;
then a reading of all rows for the gradient of all columns, which tells who joins and who leaves.  A step minimises the
quadratic model plus the penalty by coordinate descent, on the matrix of curvatures where the columns are few, else on
the rows themselves.

The model's minimum p knows a good point of the dual problem, :math:`\theta_i = -\ell'(z_i) - \ell''(z_i)\,x_i\cdot p`:
by the model's own conditions it meets those of the dual in every column of the set, where the natural point
:math:`-\ell'(z_i + x_i\cdot p)` meets them up to the square of the step only.  So the certificate does not lag.

J. Lee, Y. Sun, M. Saunders, *Proximal Newton-type methods*, 2014; T. Johnson, C. Guestrin, *Blitz*, ICML 2015;
M. Massias, A. Gramfort, J. Salmon, *Celer*, ICML 2018.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender.costs.certificate import Certificate, certificate, cost_scale, dual_with, feasible, proved
from descender.costs.cost import Cost, Vector
from descender.costs.dual_rows import some_centre
from descender.costs.risk import Risk
from descender.methods.columns import Columns, DenseColumns, SparseColumns
from descender.methods.ending import ending
from descender.methods.method import Block, Budget, one_step
from descender.methods.quadratic import Model, Penalty, model_of

FIRST, FIRST_DENSE, NEAR = 400, 2.0, 0.95
"""Columns of the first set, and of dense rows at most so many times the root of all, whose products then take about a
reading; the share of l1 from which a gradient keeps its column in the set."""
STEPS, ROUND = 40, 0.1
"""Newton steps on one set, at most; it is left when a step promises less than this share of the first."""
NEARLY = 1e-5
"""Where a step promised no more than this share of the cost, or the last left the support, the next is refined."""
MORE = 2
"""How many times as many columns a set may have for it to be taken in place of one that is part of it."""
STALE = 0.3
"""A matrix of curvatures is kept while each promise is below this share of the last."""
DAMPING, BARELY = 0.02, 1e-3
"""What a step that was too long adds to the curvatures, as a share; each good step leaves a third, down to nothing."""
SAMPLE, ENOUGH, DENSE = 8, 2000, 20
"""One row in so many is tried first, where that leaves enough; its bottom says little where the weights that are not
zero are more than one for so many of its rows."""
SAMPLE_TOL = 0.02
TIGHTER, TIGHTER_FREE, TIGHTEST = 0.1, 0.3, 1e-16
"""What the goal is multiplied by where a certificate was not content, and where that cost next to nothing; where
rounding ends that."""
FLAT, FLATTEST, FLATTER = 1e-4, 1e-8, 0.1
"""What a row on a straight part of its loss counts for at least, as a share of the largest curvature: less after each
step that was not too long, as a column that has such rows only would creep else."""
TRIALS = 40
MANY = 300
"""Columns up to which the curvatures of all cost next to nothing."""
SAME = 1e-12
"""What a dual point and minus the slopes may differ by, as a share, for the gradient to be known by it."""


def has_few_rows(risk: Risk) -> bool:
    """Whether dense rows are fewer than their many columns, of which l1 then leaves at most as many."""
    n, d = risk.X.shape
    return not risk.sparse and d > max(n, MANY)


class Problem:
    """Some rows of a risk with one score a row, in coordinates v = (w, b + mean·w)."""

    def __init__(self, risk: Risk, rows: Columns, y: NDArray, sigma: NDArray):
        self.risk, self.whole = risk, rows.n == risk.n_samples
        self.loss, self.l1, self.l2, self.intercept = risk.loss, risk.l1, risk.l2, risk.intercept
        self.penalty = Penalty(risk.l1, risk.l2, risk.intercept)
        self.rows, self.y, self.sigma, self.n, self.d = rows, y, sigma, rows.n, rows.d

    def value(self, z: NDArray, w: Vector) -> float:
        """The cost at known scores, of weights and perhaps the intercept after them."""
        ridge = 0.5 * self.l2 * float(np.sum(self._penalised(w) ** 2)) if self.l2 > 0 else 0.0
        return float(self.sigma @ self.loss.value(z, self.y)) + self.l1 * self.absolute(w) + ridge

    def absolute(self, w: Vector) -> float:
        """The sum of the absolute weights."""
        return float(np.abs(self._penalised(w)).sum())

    def _penalised(self, w: Vector) -> Vector:
        return w[:-1] if self.intercept else w

    def scores(self, v: Vector) -> NDArray:
        """The scores at v."""
        return self.rows.scores(v[: self.d], float(v[self.d]) if self.intercept else 0.0)

    def bends(self, z: NDArray, flat: float, cautious: bool) -> NDArray:
        """The curvatures of the losses, at least the share `flat` of the largest; with `cautious` all of that."""
        curvature, bound = np.maximum(self.loss.curvature(z, self.y), 0.0), self.loss.curvature_bound
        if not np.isfinite(bound):
            bound = np.maximum(curvature, np.maximum(np.abs(self.y), 1.0))
        return bound * np.ones(self.n) if cautious else np.maximum(curvature, flat * bound)


class Proof(NamedTuple):
    """A certificate, and the cost and the gradient where they are known."""

    found: Certificate
    final: tuple[float, Vector] | None = None


Step = tuple[float, float, float, float, Vector]


class Newton:
    """A point of a problem that walks down on working sets."""

    def __init__(self, problem: Problem, v: Vector):
        self.problem, self.v = problem, v
        self.z = problem.scores(v)
        self.value = problem.value(self.z, v)
        self.theta: NDArray | None = None
        self.seen: tuple[NDArray, NDArray] = (np.empty(0), np.empty(0))
        self.damping, self.flat, self.promise, self.past, self.reads = 0.0, FLAT, np.inf, np.inf, 1.0
        self.cautious, self.stands, self.bends = False, False, np.empty(0)
        self.held: tuple[NDArray, Model] | None = None

    def look(self) -> tuple[NDArray, float]:
        """The gradient of all columns at the best dual point that is known, and by how much that is infeasible there.

        In units of the cost: what scaling the dual point down, or the dual's penalty, would cost.
        """
        problem, d = self.problem, self.problem.d
        theta = -problem.loss.slope(self.z, problem.y) if self.theta is None else self.theta
        theta = feasible(problem.risk, theta[None, :])[0] if problem.whole else theta
        u, w = problem.rows.spread(problem.sigma * theta), self.v[:d]
        self.reads, self.seen = self.reads + 0.5, (theta, u)
        over = np.abs(u) - problem.l1
        if problem.l2 > 0:
            return u, float(np.sum(np.maximum(over[w == 0], 0.0) ** 2)) / (2.0 * problem.l2)
        return u, max(float(over.max(initial=0.0)), 0.0) * float(np.abs(w).sum())

    def proof(self, scale: float) -> Proof:
        """The certificate by the dual point that was looked at; it takes the scores anew, and a gradient."""
        problem, d, (theta, u) = self.problem, self.problem.d, self.seen
        z, w = self._scores(), self.v[:d]
        slope = problem.loss.slope(z, problem.y)
        value, r = problem.value(z, self.v), problem.sigma * slope
        gap = value - dual_with(problem.risk, theta[None, :], u[None, :])
        natural = np.abs(slope + theta).max() <= SAME * np.abs(slope).max()  # as it is of squares
        gradient = (-u if natural else problem.rows.spread(r)) + problem.l2 * w + problem.l1 * np.sign(w)
        self.reads += 0.0 if natural else 1.0
        return Proof(proved(value, gap, scale), (value, np.append(gradient, np.full(len(self.v) - d, r.sum()))))

    def _scores(self) -> NDArray:
        """The scores anew, by the copy of the columns whose weights are not zero, where there is one."""
        problem, w = self.problem, self.v[: self.problem.d]
        if self.held is not None and not problem.risk.sparse:
            columns, model = self.held
            if np.count_nonzero(w[columns]) == np.count_nonzero(w):
                return model.rows.scores(w[columns], float(self.v[-1]) if problem.intercept else 0.0)
        return problem.scores(self.v)

    def working_set(self, u: NDArray) -> NDArray:
        """The columns whose weights are not zero, and the worst of those whose gradient is about l1 or more."""
        w = self.v[: self.problem.d]
        support = np.flatnonzero(w)
        excess = np.where(w == 0, np.abs(u) - NEAR * self.problem.l1, -1.0)
        first = FIRST if self.problem.risk.sparse else min(FIRST, int(FIRST_DENSE * np.sqrt(self.problem.d)))
        found, room = np.flatnonzero(excess > 0), max(first, 2 * len(support))
        if len(found) > room:
            found = found[np.argpartition(-excess[found], room)[:room]]
        return np.union1d(support, found)

    def steps(self, columns: NDArray, floor: float, slack: float) -> Iterator[Step]:
        """Newton steps on some columns: cost and gradient norm before, length and share of the step, point before."""
        problem = self.problem
        columns, model = self._model(columns)
        rows = model.rows
        places = np.append(columns, np.arange(problem.d, len(self.v)))
        price = 2.0 * rows.entries / max(problem.rows.entries, 1)
        first = -np.inf
        for _ in range(STEPS):
            w = self.v[places]
            slope = problem.loss.slope(self.z, problem.y)
            g = model.spread(problem.sigma * slope)
            g[: rows.d] += problem.l2 * w[: rows.d]
            p, self.promise = self._promised(model, g, w, slack)
            if not self.promise > 0:
                return
            first, self.reads = max(first, self.promise), self.reads + price
            dz = model.times(p)
            t, value = self._length(w, p, dz)
            if t == 0.0 and self.cautious:
                return
            if t == 0.0:
                self.cautious, model.known = True, False
                continue
            before, cost, norm = self.v, self.value, float(np.linalg.norm(g))
            self.theta = -(slope + self.bends * dz) if t == 1.0 else None
            self.stands = t == 1.0 and np.array_equal(w != 0, w + p != 0)
            self.past = self.promise if t == 1.0 else np.inf
            if t < 1.0 or self.cautious:
                model.known = False
            damping = max(3.0 * self.damping, DAMPING) if t < 1.0 else self.damping / 3.0
            self.damping, self.cautious = damping if damping > BARELY else 0.0, False
            self.flat = FLAT if t < 1.0 else max(FLATTER * self.flat, FLATTEST)
            self.z, self.value, self.v = self.z + t * dz, value, self.v.copy()
            self.v[places] = w + t * p
            yield cost, norm, t * float(np.linalg.norm(p)), t, before
            if 0.5 * self.promise <= max(floor, ROUND * first):
                return

    def _model(self, columns: NDArray) -> tuple[NDArray, Model]:
        """The model on some columns, or the last one on some more: their copy, and their curvatures, are there."""
        if self.held is not None:
            more, _ = self.held
            if len(more) <= MORE * len(columns) and np.isin(columns, more, assume_unique=True).all():
                return self.held
        if len(columns) * MORE >= self.problem.d:
            columns = np.arange(self.problem.d)
        self.past = np.inf
        self.held = columns, model_of(self.problem.rows.some(columns), self.problem.penalty)
        return self.held

    def _promised(self, model: Model, g: Vector, w: Vector, slack: float) -> tuple[Vector, float]:
        """The step that a model asks for, and what it promises: an old model must promise far less than last time."""
        problem = self.problem
        while True:
            fresh = not model.known
            if fresh:
                self.bends = problem.bends(self.z, self.flat, self.cautious)
                model.learn(problem.sigma * self.bends, self.damping)
            p = model.minimise(g, w, slack, self.stands or self.promise <= NEARLY * abs(self.value))
            there, here = problem.absolute(w + p), problem.absolute(w)
            promise = -float(g @ p) - problem.l1 * (there - here)
            if fresh or promise <= STALE * self.past:
                return p, promise
            model.known = False

    def _length(self, w: Vector, p: Vector, dz: NDArray) -> tuple[float, float]:
        """A share of the step that lowers the cost enough, and the cost there; 0 if there is none."""
        problem = self.problem
        t = min(1.0, problem.loss.largest_move / max(float(np.abs(dz).max(initial=0.0)), 1e-300))
        for _ in range(TRIALS):
            with np.errstate(all="ignore"):
                value = problem.value(self.z + t * dz, w + t * p)
            if value <= self.value - 1e-3 * t * self.promise + 1e-15 * abs(self.value):
                return t, value
            t *= 0.5
        return 0.0, self.value


@dataclass(frozen=True)
class WorkingSets:
    """Proximal Newton steps on working sets, for an l1 penalty and one score a row; ends on the certificate."""

    tol: float = 1e-6
    max_rounds: int = 200
    name: str = "proximal Newton steps on working sets"
    draws = False

    def blocks(self, cost: Cost, w: Vector, rng: np.random.Generator, budget: Budget) -> Iterator[Block]:
        """Walk from `w`."""
        assert isinstance(cost, Risk)
        problem, mean = whole(cost)
        d, n, scale = problem.d, problem.n, cost_scale(cost)
        unit = scale / 1000.0
        walk = Newton(problem, _enter(cost, w, mean))
        begun, start = walk.value, best_constant(cost, problem)
        if walk.value > start.value or not w[:d].any():
            walk = start
        if not walk.v[:d].any() and n >= SAMPLE * ENOUGH:
            tried = Newton(problem, on_sample(cost, problem, walk.v, max(self.tol, SAMPLE_TOL), unit))
            walk = tried if tried.value < walk.value else walk
        if not np.array_equal(_leave(cost, walk.v, mean), w):
            yield Block(one_step(begun, np.nan, np.nan, np.nan, 1), _leave(cost, walk.v, mean), n, w[None, :])
        goal, counted, still, known = self.tol, walk.reads, 0, problem.rows.exact
        for number in range(self.max_rounds):
            u, off = walk.look()
            size, free = max(abs(walk.value), unit), known and still <= 2
            target = goal * size
            if still > 2 or (number > 0 and off + walk.promise <= (self.tol * size if free else target)):
                point = _leave(cost, walk.v, mean)
                alone = walk.theta is not None and still <= 2
                proof = walk.proof(scale) if free else _proof(cost, point, walk.theta, alone)
                if proof.found.relative <= self.tol or still > 2 or goal < TIGHTEST:
                    yield ending(cost, self.tol, point, proof.found, final=proof.final)
                    return
                tighter = TIGHTER_FREE if free else TIGHTER
                goal, target = goal * tighter, target * tighter
            before = walk.value
            slack = 0.2 * target / max(float(np.abs(walk.v[:d]).sum()), 1e-300) if problem.l2 == 0 else 0.0
            slack = min(slack, 0.3 * goal * problem.l1 * 10)
            for value, norm, step, t, there in walk.steps(walk.working_set(u), target / 3.0, slack):
                log = one_step(value, norm, step, t, max(1, round(walk.reads - counted)))
                reads, counted = walk.reads - counted, walk.reads
                here = _leave(cost, walk.v, mean)
                yield Block(log, here, int(reads * n), _leave(cost, there, mean)[None, :])
            still = 0 if walk.value < before else still + 1
        point = _leave(cost, walk.v, mean)
        yield ending(cost, self.tol, point, _proof(cost, point, walk.theta).found)


def _proof(cost: Risk, point: Vector, theta: NDArray | None, alone: bool = False) -> Proof:
    """The certificate by the rows as they are, and no gradient."""
    found = certificate(cost, point, theta, alone)
    assert found is not None
    return Proof(found)


def whole(risk: Risk) -> tuple[Problem, Vector]:
    """All rows of a risk as a problem, and the mean that its dense columns are taken from."""
    n = risk.n_samples or 0
    sigma = (np.ones(n) if risk.sample_weight is None else risk.sample_weight) / risk.denominator
    if risk.sparse:
        return Problem(risk, SparseColumns.of(risk.X), risk.y, sigma), np.zeros(risk.n_features)
    mean = sigma @ risk.X / sigma.sum() if risk.intercept else np.zeros(risk.n_features)
    rows = DenseColumns(risk.X, mean)
    rows.exact = risk.X.dtype == np.float64 and not some_centre(risk).any()
    return Problem(risk, rows, risk.y, sigma), mean


def best_constant(risk: Risk, problem: Problem) -> Newton:
    """The walk that begins at the constant with the lowest cost."""
    v = np.zeros(problem.d + problem.intercept)
    v[problem.d :] = risk.loss.trivial(problem.y, problem.sigma)
    return Newton(problem, v)


def on_sample(risk: Risk, problem: Problem, v: Vector, tol: float, unit: float) -> Vector:
    """About the bottom of one row in `SAMPLE`; `v` where the sample is too small to tell."""
    rows = np.arange(0, problem.n, SAMPLE)
    share = float(problem.sigma.sum() / problem.sigma[rows].sum())
    walk = Newton(Problem(risk, problem.rows.part(rows), problem.y[rows], problem.sigma[rows] * share), v)
    for _ in range(20):
        u, _ = walk.look()
        before, target = walk.value, tol * max(abs(walk.value), unit)
        for _ in walk.steps(walk.working_set(u), target / 3.0, 0.1 * tol * problem.l1):
            pass
        if DENSE * np.count_nonzero(walk.v[: problem.d]) > len(rows):
            return v
        if before - walk.value <= target:
            break
    return walk.v


def _enter(risk: Risk, w: Vector, mean: Vector) -> Vector:
    v = w.astype(np.float64, copy=True)
    if risk.intercept:
        v[-1] += mean @ w[:-1]
    return v


def _leave(risk: Risk, v: Vector, mean: Vector) -> Vector:
    w = v.copy()
    if risk.intercept:
        w[-1] -= mean @ v[:-1]
    return w
