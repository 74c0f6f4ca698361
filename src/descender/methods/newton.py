r"""Newton's method for small problems: the curvature of all rows at every step, on their columns in one unit.

Where the rows are few, all second derivatives cost about what a dozen readings do, and five to ten steps end at
rounding.  A step that does not lower the cost is shortened by the scores that are known at both of its
ends.

S. Boyd, L. Vandenberghe, *Convex Optimization*, 2004, §9.5.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender.costs.certificate import Certificate, certificate, cost_scale, proved
from descender.costs.cost import Cost, Vector
from descender.costs.dual_rows import room
from descender.costs.losses import Softmax, SquaredError
from descender.costs.risk import Risk
from descender.methods.advance import COLUMNS
from descender.methods.centred import FLAT, row_curvatures
from descender.methods.ending import ending
from descender.methods.method import Block, Budget
from descender.methods.metrics import Dense

SMALL = 60_000
"""Numbers in X up to which all curvatures cost next to nothing, so that walks go down to rounding."""
LARGEST = 120_000
"""Numbers in dense rows up to which this is quicker than descent in a learnt metric."""
BLOCK = 32_000
"""Numbers of a block that is scaled and multiplied by itself."""
SAMPLE, ROWS_OF_SAMPLE, SAMPLED = 4, 12, 30_000
"""The walk begins at the bottom of one row in so many, where that leaves so many rows a column, of so many numbers."""
FEW_PARAMETERS = 300
"""Weights of all classes together up to which softmax has a Hessian of its own."""
KEPT = 0.03
"""What share of a decrement a step with the last Hessian may leave for it to be kept: another costs four looks."""
FIRST = 0.1
"""A relative decrement above which a step leaves too much for its Hessian to be kept."""
SETTLED, AT_REST = 1e-9, 1e-3
"""A relative decrement from which on a Hessian that leaves more than this share of it is renewed, once: the next one
leads to rounding."""
ROUGH, ROUNDED, ROWS_A_COLUMN = 1e-6, 1e-7, 2
"""A relative decrement above which the Hessian is summed in float32, in half of the time; what that may lose of its
diagonal; and the rows a column from which on it is more than the penalty and rounding."""
SMALLEST_GOAL = 1e-24
"""Of the decrement, which is of second order where a gap is of first."""
NOISE, MOST_IDLE = 1e-15, 3
"""The share of a cost that its summation may lose; steps within it that do not halve the decrement end a walk."""
BLIND = 1e4
"""How many times what a metric promises the gap may be before it is taken to see too little curvature."""
FAR_START = 10.0
"""How many times the cost of the best constant a start may cost; from a worse one the walk begins at the constant."""
FAR = 1e3
"""Sizes of a column from zero beyond which scores lose digits that those of centred rows keep."""
MOST_STEPS, A_BLOCK = 1000, 16


def is_small(risk: Risk) -> bool:
    """Whether a Hessian of all rows at every step costs less than a longer walk."""
    return risk.X.shape[0] * risk.n_features <= SMALL


def has_newton(risk: Risk) -> bool:
    """Whether :class:`Newton` is for this risk: small and smooth, softmax with few weights and an l2 penalty."""
    most = SMALL if risk.sparse else LARGEST
    if risk.X.shape[0] * risk.n_features > most or not risk.smooth or risk.n_features > 1000:
        return False
    if risk.loss is Softmax:
        return risk.l2 > 0 and risk.n_parameters <= FEW_PARAMETERS
    return not risk.loss.scores_per_class


class Point(NamedTuple):
    """Where a walk stands: parameters, scores, cost, slopes of the rows, gradient."""

    V: NDArray
    Z: NDArray
    value: float
    slopes: NDArray
    G: NDArray


class Standard:
    r"""The rows of a small risk in float64, each column from its mean and over its largest size, and a column of ones.

    The parameters V are (scores a row, columns), :math:`v_j = w_j\, \mathrm{size}_j`, the last :math:`b + \mu\cdot w`.
    """

    def __init__(self, risk: Risk):
        X = risk.X.toarray() if risk.sparse else risk.X
        (n, d), self.risk, self.loss, self.y = X.shape, risk, risk.loss, risk.y
        self.n, self.d, self.several = n, d, risk.loss.scores_per_class
        self.sigma = np.full(n, 1.0) if risk.sample_weight is None else risk.sample_weight
        self.sigma = self.sigma / risk.denominator
        self.mean = (self.sigma @ X) / self.sigma.sum() if risk.intercept else np.zeros(d)
        self.X = np.ones((n, d + risk.intercept))
        rows = np.subtract(X, self.mean, out=self.X[:, :d])
        low, high = (X.min(axis=0), X.max(axis=0)) if risk.sparse else risk.extremes
        size = np.maximum(high - self.mean, self.mean - low)
        if risk.intercept and not (low < high).all():
            rows[:, low == high] = 0.0  # what is constant adds nothing to the intercept
            size[low == high] = 1.0
        self.size = np.where(size > 0.0, size, 1.0)
        rows *= 1.0 / self.size
        self.rough = self.X.astype(np.float32)
        self.far = bool((np.abs(self.mean) > FAR * self.size).any())
        self.ridge = np.zeros(self.X.shape[1])
        self.ridge[:d] = risk.l2 / self.size**2
        self.fused = risk.loss.fused if risk.loss.fuses(risk.y) else None

    def enter(self, w: Vector) -> NDArray:
        """The coordinates of a parameter vector of the risk."""
        W, b = self.risk.split(w)
        W = np.atleast_2d(W)
        return np.column_stack([W * self.size, b + W @ self.mean][: 1 + self.risk.intercept])

    def leave(self, V: NDArray) -> Vector:
        """The parameter vector of the risk with coordinates V (..., K, p), or those of several points."""
        W = V[..., : self.d] / self.size
        return self._flat(W, V[..., self.d] - W @ self.mean) if self.risk.intercept else self._flat(W)

    def leave_gradient(self, G: NDArray) -> Vector:
        """The gradient by the risk's own parameters, or those at several points."""
        if not self.risk.intercept:
            return self._flat(G * self.size)
        b = G[..., self.d]
        return self._flat(G[..., : self.d] * self.size + b[..., None] * self.mean, b)

    def _flat(self, W: NDArray, *b: NDArray) -> Vector:
        return np.concatenate([W.reshape(*W.shape[:-2], -1), *b], axis=-1)

    def look(self, V: NDArray) -> Point:
        """What one reading of the rows tells at V."""
        Z = V @ self.X.T if self.several else self.X @ V[0]
        losses, slopes = (self.fused or self._separate)(Z, self.y)
        loss = float(self.sigma @ losses)
        if self.fused is not None and not math.isfinite(loss):
            losses, slopes = self._separate(Z, self.y)
            loss = float(self.sigma @ losses)
        pull = self.ridge * V
        G = (self.sigma * slopes) @ self.X + pull
        return Point(V, Z, loss + 0.5 * float(np.vdot(pull, V)), slopes, G)

    def _separate(self, Z: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
        return self.loss.value(Z, y), self.loss.slope(Z, y)

    def part(self, step: int) -> Standard:
        """One row in `step`, which stand for all."""
        some = copy.copy(self)
        some.X, some.rough, some.y = self.X[::step].copy(), self.rough[::step].copy(), self.y[::step]
        some.n, some.sigma = len(some.X), self.sigma[::step]
        some.sigma = some.sigma * (self.sigma.sum() / some.sigma.sum())
        return some

    def value(self, Z: NDArray, V: NDArray) -> float:
        """The cost at known scores."""
        return float(self.sigma @ self.loss.value(Z, self.y)) + self._penalty(V)

    def _penalty(self, V: NDArray) -> float:
        return 0.5 * float(np.vdot(self.ridge * V, V))

    def hessian(self, at: Point, flat: float, cautious: bool, rough: bool = False) -> NDArray:
        """The second derivatives; rows on a straight part of their loss count for the share `flat`.

        With `rough` summed in float32, where they fit into it.
        """
        if self.several:
            return self._of_classes(at.Z, cautious)
        root = np.sqrt(self.sigma * self._curvatures(at, flat, cautious))[:, None]
        H = _moment(self.rough if rough else self.X, root)
        if rough and not math.isfinite(H.trace()):
            H = _moment(self.X, root)
        H.flat[:: len(H) + 1] += self.ridge
        return H

    def _curvatures(self, at: Point, flat: float, cautious: bool) -> NDArray:
        if self.fused is not None and self.loss.bend is not None and not cautious:
            known = self.loss.bend(at.slopes)
            if known.all():
                return known
        return row_curvatures(self.loss, at.Z, self.y, flat, cautious)

    def _of_classes(self, Z: NDArray, cautious: bool) -> NDArray:
        r"""Of softmax, :math:`\sum_i \sigma_i (\mathrm{diag}\,p_i - p_i p_i') \otimes x_i x_i'`.

        What is added to all classes alike changes no loss: along that, it has the curvature of one class.
        """
        (n, p), K = self.X.shape, len(Z)
        P = np.full_like(Z, 1.0 / K) if cautious else Softmax.predict(Z)
        scaled = ((P * np.sqrt(self.sigma)).T[:, :, None] * self.X[:, None, :]).reshape(n, K * p)
        H = -(scaled.T @ scaled)
        for k in range(K):
            part, rows = slice(k * p, (k + 1) * p), self.X * np.sqrt(self.sigma * P[k])[:, None]
            H[part, part] += rows.T @ rows
        H.flat[:: K * p + 1] += np.tile(self.ridge, K)
        alike = np.arange(K * p).reshape(K, p)[:, self.ridge == 0.0]
        for places in alike.T:
            H[np.ix_(places, places)] += float(self.sigma.sum()) / K**2
        return H

    def foretold(self, at: Point) -> float:
        """The gap that a proof would find, where l2 is the penalty of one score a row; else 0."""
        if self.several or self.risk.l2 == 0:
            return 0.0
        g = at.G[0, : self.d] * self.size
        return float(g @ g) / (2.0 * self.risk.l2)

    def proof(self, at: Point, scale: float) -> Certificate:
        """The certificate: with l2 and one score a row by minus the slopes, moved as a free intercept asks."""
        risk = self.risk
        if self.several or risk.l2 == 0 or risk.l1 > 0:
            found = certificate(risk, self.leave(at.V))
            assert found is not None
            return found
        theta, total = -at.slopes, float(self.sigma @ at.slopes)
        if risk.intercept and total != 0.0:
            rooms = room(self.loss, theta, self.y)
            free = float(self.sigma @ rooms)
            share = total / free if free > 0.0 else np.inf
            if not abs(share) <= 1.0:
                return proved(at.value, np.inf, scale)
            theta = theta + share * rooms
        u = ((self.sigma * theta) @ self.X)[: self.d] * self.size
        bound = float(self.sigma @ self.loss.dual(theta, self.y)) - float(u @ u) / (2.0 * risk.l2)
        if self.loss.bend is not None:
            # y - theta, a probability near 1, is known to an absolute rounding, which the score multiplies
            bound -= np.finfo(np.float64).eps * float((self.sigma * np.abs(self.y)) @ np.abs(at.Z))
            bound = max(bound, float(self.sigma @ self.loss.lowest(self.y)))
        return proved(at.value, at.value - bound, scale)


def _moment(X: NDArray, root: NDArray) -> NDArray:
    """The sum over rows of (root x)(root x)', by blocks that stay in the cache."""
    height = max(BLOCK // X.shape[1], 1)
    root = root.astype(X.dtype, copy=False)
    buffer, H = np.empty((min(height, len(X)), X.shape[1]), X.dtype), np.zeros((X.shape[1], X.shape[1]))
    for start in range(0, len(X), height):
        rows = X[start : start + height]
        scaled = np.multiply(rows, root[start : start + height], out=buffer[: len(rows)])
        H += scaled.T @ scaled
    return H


@dataclass(frozen=True)
class Newton:
    """Newton's method on a small smooth convex risk; no rate to choose, and a certificate.

    It ends when a certificate shows a gap of at most ``tol * max(|F|, scale/1000)``, or where rounding allows no
    further descent.
    """

    tol: float = 1e-6
    name: str = "Newton's method"

    def blocks(self, cost: Cost, w: Vector, rng: np.random.Generator, budget: Budget) -> Iterator[Block]:
        """Walk from `w`."""
        assert isinstance(cost, Risk)
        problem, scale, sampled = Standard(cost), cost_scale(cost), False
        V, goal, blind = problem.enter(w), 0.2 * self.tol, False
        (n, p), cold = problem.X.shape, not (problem.several or w.any())
        if cold and n * p >= SAMPLED and n >= SAMPLE * ROWS_OF_SAMPLE * p:
            V, sampled = _bottom_of_sample(problem, scale, V), True
        walk = _Descent(problem, scale, V, 1.0 if sampled else FAR_START)
        most = min(A_BLOCK, budget.watch)
        while True:
            walk.descend(goal, min(most, budget.steps - walk.told))
            if len(walk.log) >= min(most, budget.steps - walk.told):
                yield walk.block()
                continue
            done = walk.done(goal)
            if (blind if done else not walk.lost) and walk.move_cautiously():
                blind = False
                continue
            gap = problem.foretold(walk.here)
            if gap <= self.tol * walk.unit or not done or goal < SMALLEST_GOAL:
                found = problem.proof(walk.here, scale)
                if found.relative <= self.tol or not done or goal < SMALLEST_GOAL:
                    break
                gap = found.gap
            blind = gap > BLIND * max(walk.decrement, 1e-3 * goal * walk.unit)
            goal *= 0.03
        if walk.log:
            yield walk.block()
        final = None if problem.far else (walk.here.value, problem.leave_gradient(walk.here.G))
        yield ending(cost, self.tol, problem.leave(walk.here.V), found, 1, final)


def _bottom_of_sample(problem: Standard, scale: float, V: NDArray) -> NDArray:
    """Where some of the rows have their bottom, as far as they tell of that of all."""
    some = problem.part(SAMPLE)
    walk = _Descent(some, scale, V)
    walk.descend(0.15 * some.X.shape[1] / some.n, A_BLOCK)
    return walk.here.V


class _Descent:
    """A point that walks down, and what the log says of its steps."""

    @np.errstate(all="ignore")
    def __init__(self, problem: Standard, scale: float, V: NDArray, far: float = FAR_START):
        self.problem, self.scale, self.quadratic = problem, scale, problem.loss is SquaredError
        self.log: list[tuple[Point, float]] = []
        self.steps = self.told = self.idle = 0
        self.decrement = self.best = self.renewed = np.inf
        self.metric: Dense | None = None
        # where curvatures jump from row to row each step has another Hessian
        self.jumps = problem.loss.dual_curvature is not None
        self.rough, self.fits_rough = False, not self.jumps and problem.n >= ROWS_A_COLUMN * problem.X.shape[1]
        self._stand(problem.look(V))
        self._start_better(far)
        self._aim()

    def _stand(self, here: Point) -> None:
        """Where the walk is, and what gaps are relative to."""
        self.here, self.unit = here, max(abs(here.value), self.scale / 1000.0)

    def block(self) -> Block:
        """The steps since the last block."""
        problem, (points, shares) = self.problem, zip(*self.log, strict=True)
        path = problem.leave(np.array([point.V for point in points] + [self.here.V]))
        log = np.zeros((len(points), len(COLUMNS)))
        log[:, 0], log[:, 3], log[:, 5] = [point.value for point in points], shares, 1.0
        gradients = problem.leave_gradient(np.array([point.G for point in points]))
        with np.errstate(all="ignore"):
            log[:, 1], log[:, 2] = np.linalg.norm(gradients, axis=1), np.linalg.norm(np.diff(path, axis=0), axis=1)
        self.log, self.told = [], self.steps
        return Block(log, path[-1], problem.n, path[:-1])

    def done(self, goal: float) -> bool:
        """Whether no more than the share `goal` of the cost is promised."""
        return self.decrement <= goal * self.unit

    @property
    def lost(self) -> bool:
        """Whether what is promised is within rounding and grows no less."""
        return self.idle >= MOST_IDLE and self.decrement < NOISE * self.unit

    @np.errstate(all="ignore")
    def descend(self, goal: float, most: float) -> None:
        """Take steps until :meth:`done`, :meth:`lost`, none that lowers the cost is found, or the log holds `most`."""
        while len(self.log) < most and self.steps < MOST_STEPS and not (self.done(goal) or self.lost):
            if not self._move():
                break

    @np.errstate(all="ignore")
    def move_cautiously(self) -> bool:
        """Take a step by the largest curvatures that the loss can have; the one after it has its own Hessian."""
        self._aim(cautious=True)
        self.metric = None
        return self._move()

    def _move(self) -> bool:
        """Take the step, shortened where it does not lower the cost."""
        t, there = 1.0, self.problem.look(self.here.V + self.step)
        if not self._lower(there, 1.0):
            t = self._share(there)
            there = self.problem.look(self.here.V + t * self.step)
            if t == 0.0 or not self._lower(there, t):
                return self._exactly()
        self._go(there, t)
        self._aim()
        return True

    def _exactly(self) -> bool:
        """Where no step by a Hessian in float32 lowers the cost, take one by another in float64."""
        if not self.rough:
            return False
        self.fits_rough = False
        self._renew()
        self._promise()
        return self._move()

    def _start_better(self, far: float) -> None:
        """Begin at the best constant where the start costs `far` times as much."""
        problem, V = self.problem, np.zeros_like(self.here.V)
        if not problem.several and problem.risk.intercept:
            V[0, -1] = problem.loss.trivial(problem.y, problem.sigma)
            if not self.here.value <= far * problem.value(V[0, -1:], V):
                self._go(problem.look(V), 1.0)

    def _aim(self, cautious: bool = False) -> None:
        """The next step, and half of what its model promises."""
        before = self.decrement
        fresh = self.metric is None or cautious or (before > FIRST * self.unit and not self.quadratic)
        if fresh:
            self._renew(cautious)
        self._promise()
        if not (fresh or self.quadratic) and self._stale(before):
            self._renew()
            self._promise()
        self.best, self.idle = (self.decrement, 0) if self.decrement < 0.5 * self.best else (self.best, self.idle + 1)

    def _relative(self) -> float:
        return self.decrement / self.unit if self.unit > 0 else 0.0

    def _renew(self, cautious: bool = False) -> None:
        relative = self._relative()
        self.rough = self.fits_rough and relative > ROUGH and not cautious
        H = self.problem.hessian(self.here, FLAT * min(1.0, relative), cautious, self.rough)
        self.metric, self.renewed = Dense(H, ROUNDED if self.rough else 1e-14), self.decrement

    def _promise(self) -> None:
        assert self.metric is not None
        G = self.here.G
        self.step = -self.metric.solve(G.ravel()).reshape(G.shape)
        self.decrement = -0.5 * float(np.vdot(G, self.step))

    def _stale(self, before: float) -> bool:
        """Whether the last step left so much of the decrement `before` it that another Hessian pays."""
        if self._relative() > SETTLED:
            return self.jumps or self.decrement > KEPT * before
        known = self.renewed <= SETTLED * self.unit and self.decrement < 0.5 * self.best
        return self.decrement > AT_REST * before and not known

    def _lower(self, there: Point, t: float) -> bool:
        """Whether the cost is lower: for sure where the slope along the step has not turned, as the cost is convex."""
        if not math.isfinite(there.value):
            return False
        promised = 2e-4 * t * self.decrement - NOISE * abs(self.here.value)
        return float(np.vdot(there.G, self.step)) <= 0.0 or there.value <= self.here.value - promised

    def _share(self, there: Point) -> float:
        """The best share of the step, by the scores that are known at both of its ends: no reading is needed."""
        (V, Z, lowest, *_), dZ, problem = self.here, there.Z - self.here.Z, self.problem
        if not np.isfinite(dZ).all():
            return 1e-3
        best, t = 0.0, min(0.5, problem.loss.largest_move / max(float(np.abs(dZ).max(initial=0.0)), 1e-300))
        for _ in range(40):
            value = problem.value(Z + t * dZ, V + t * self.step)
            if value < lowest:
                best, lowest = t, value
            elif best > 0.0:
                break
            t *= 0.6
        return best

    def _go(self, there: Point, t: float) -> None:
        """Stand there, and note the step."""
        self.log.append((self.here, t))
        self._stand(there)
        self.steps += 1
