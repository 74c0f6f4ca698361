r"""What one reading proves: a dual point that only the rows of the sample move.

Minus the slopes, :math:`\theta_i = -\ell'(z_i)`, is a point of the dual problem, whose products with the columns miss
those that the penalty asks for by the gradient.  Moving the rows S of the sample makes up for it,

.. math::

    \theta_i' = \theta_i - \rho_i\, \tilde x_i \cdot p \quad (i \in S), \qquad
    \Bigl(\sum_{i \in S} \sigma_i \rho_i \tilde x_i \tilde x_i' + \lambda_2 I\Bigr)\, p = -\nabla F

with :math:`\rho_i` the room that each theta has, or the loss's curvature where that is constant.  All other rows keep
their natural theta, at which their loss and its conjugate add up to :math:`-\theta_i z_i`; so they cancel in the gap,
and no row outside of S is read:

.. math::

    F(w) - D(\theta') = \sum_{i \in S} \sigma_i \bigl(\ell(z_i) + \ell^*(-\theta_i') + \theta_i' z_i\bigr)
                        + \frac{|u' - \lambda_2 w|^2}{2 \lambda_2}

Near the minimum this is about n/m times the true distance, where the natural point alone shows the curvature over
:math:`\lambda_2` times it.

A reading in float32 proves as well as one in float64 what is not smaller than its rounding.  Any theta will do, so that
the rounding of scores and slopes costs nothing in the first order; only u' has to be known, and what its sums may have
lost is added to the length of :math:`u' - \lambda_2 w`.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from descender.costs.certificate import FREE, ROUNDING
from descender.costs.cost import Vector
from descender.costs.dual_rows import room
from descender.methods.centred import ROUGH_JITTER, Centred
from descender.methods.metrics import Dense, Metric
from descender.methods.reads import SINGLE, SLACK, Reading

LONGEST, BALANCES = 0.9, 4
"""The largest share of its room by which a theta is moved; and how often their sum is then taken to 0 again."""
SOLVED, MOST_PRODUCTS = 1e-2, 6
"""The share of the equations' right side that is left when they count as solved, and the products that it may take in
a metric that is about theirs."""
ENOUGH = 0.5
"""The share of what is asked at which the equations are solved well enough: the room of theta takes some, too."""
MOST_SOLVES, WORTH = 12, 0.8
"""How often the equations are solved for what is left; and what of the gap a solution has to leave at most for the
next to be tried."""
UNSEEN = 0.25
"""The share of what is asked that the rounding of a reading in float32 may take of a proof by it."""
EPS = {True: ROUNDING, False: 8 * float(np.finfo(np.float32).eps)}
"""The share of its terms that a sum over rows may lose, by whether they are exact."""


class Proof:
    """Proves the gap of points of a `problem` by moving the rows of a `part` of it: those numbered `rows`, or all."""

    def __init__(self, problem: Centred, part: Centred, rows: NDArray | None):
        self.problem, self.part = problem, part
        self.rows = None if rows is None or len(rows) == problem.n else rows
        some = slice(None) if self.rows is None else self.rows
        self.y, self.sigma = problem.y[some], problem.sigma[some]

    @cached_property
    def few(self) -> Centred:
        """The rows that are moved, with their own weights."""
        return self.problem if self.rows is None else self.problem.part(self.rows)

    @property
    def inflation(self) -> float:
        """How many times the distance to the minimum is shown, about, near it."""
        return self.problem.n / max(self.part.n, 1)

    def tells(self, reading: Reading, asked: float) -> bool:
        """Whether a gap as small as `asked` can be seen through the rounding of a reading."""
        return reading.exact or self._lost(reading) <= UNSEEN * asked

    def _lost(self, reading: Reading) -> float:
        """What the rounding of a reading costs at least, where it is known."""
        known = self.problem.l2 > 0 and not self.problem.far
        return max(reading.noise**2 / (2.0 * self.problem.l2), EPS[False] * abs(reading.value)) if known else np.inf

    @np.errstate(all="ignore")
    def gap(self, v: Vector, reading: Reading, metric: Metric, enough: float, products: float = MOST_PRODUCTS) -> float:
        """A bound on the distance to the minimum at v; `enough` is as small as need be.

        `metric` is that of the part, about; where it is only a diagonal more `products` are worth trying.
        """
        few, gradient = self.few if reading.exact else self.part, reading.gradient
        dtype = np.dtype(np.float64 if reading.exact else np.float32)
        l2 = self.problem.l2
        z, theta, rooms, freedom = self._natural(reading)
        ridge = np.where(np.arange(few.size) < few.d, l2, 0.0)
        best, last, rounding, p, rest = np.inf, np.inf, 0.0, np.zeros(few.size), -gradient
        for _ in range(MOST_SOLVES):
            aim = enough if enough > 0.0 and l2 > 0 and not p.any() else None
            solved = self._solved(rest, self.sigma * freedom, ridge, metric, products, aim=aim)
            if solved is None:
                return np.inf
            p = p + solved
            moves = self._moves(few.scores(p, dtype), freedom, rooms, gradient)
            left = few.spread(self.sigma * moves, dtype) - gradient
            moved, rounding = self._moved(z, theta + moves)
            off, tilt = (self._lean(theta), 0.0) if reading.exact else self._rounded(reading, moves, v)
            gap = moved + tilt + self._missed(v, left, self.sigma * theta, off)
            rest = left - ridge * p
            size = float(rest @ metric.solve(rest))
            better = gap < WORTH * best or (np.isinf(best) and size < WORTH**2 * last)
            best, last = min(best, gap), size
            if best <= enough or not better or moved > 2.0 * enough:
                break
        return max(best, 0.0) + rounding + EPS[reading.exact] * abs(reading.value)

    def _natural(self, reading: Reading) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """Of the rows that are moved the scores, theta, the room that it has, and how readily it moves."""
        loss = self.problem.loss
        z = (reading.scores if self.rows is None else reading.scores[self.rows]).astype(np.float64, copy=False)
        theta = -loss.slope(z, self.y)
        rooms = room(loss, theta, self.y)
        curvature = loss.dual_curvature
        return z, theta, rooms, np.where(rooms > 0.0, 1.0 / curvature, 0.0) if curvature else rooms

    def _moved(self, z: NDArray, theta: NDArray) -> tuple[float, float]:
        """What moving the rows costs the dual, and what its summation may have lost."""
        loss = self.problem.loss
        terms = loss.value(z, self.y), -loss.dual(theta, self.y), theta * z
        sizes = sum((np.abs(term) for term in terms), np.abs(self.y))
        return float(self.sigma @ sum(terms, 0.0 * z)), ROUNDING * float(self.sigma @ sizes)

    def _moves(self, shares: NDArray, freedom: NDArray, rooms: NDArray, gradient: Vector) -> NDArray:
        """How far each theta moves, within its room, so that with a free intercept their sum is 0."""
        boundless = np.isinf(self.problem.loss.dual_range(self.y)).all(axis=0)
        limits = np.where(boundless, np.inf, LONGEST * rooms)
        moves = np.clip(-freedom * shares, -limits, limits)
        for _ in range(BALANCES if self.problem.intercept else 0):
            off = float(self.sigma @ moves) - gradient[-1]
            shares += off / max(float((self.sigma * freedom)[np.abs(moves) < limits].sum()), 1e-300)
            moves = np.clip(-freedom * shares, -limits, limits)
        return moves

    def _lean(self, theta: NDArray) -> float:
        """What the sums of an exact reading may be off by where columns are far from zero and no intercept is free."""
        problem = self.problem
        length = float(np.linalg.norm(problem.mean)) if problem.tied else 0.0
        return ROUNDING * float(self.sigma @ np.abs(theta)) * length

    def _rounded(self, reading: Reading, moves: NDArray, v: Vector) -> tuple[float, float]:
        """What the sums over rows of a reading in float32 may be off by, and what its scores cost the gap."""
        size = SINGLE * float(np.sqrt(self.sigma @ (moves * moves)))
        return reading.noise + size * self.problem.length, size * self._reach(v)

    def _reach(self, v: Vector) -> float:
        """What the products of the moved rows with the weights are at most made of, as one vector."""
        problem, d = self.problem, self.problem.d
        w, level = np.abs(v[:d]), float(np.abs(v[d:]).sum())
        if problem.lengths is not None:
            return float(np.sqrt(d) * np.linalg.norm(problem.lengths * w)) + level
        assert self.part.unit is not None
        level = (level + float(np.abs(problem.mean) @ w)) * np.sqrt(float(self.sigma.sum()))
        return float(np.linalg.norm(self.part.unit * w)) * self._moved_length + level

    @cached_property
    def _moved_length(self) -> float:
        """The standardised rows that are moved as one vector."""
        return SLACK * float(np.sqrt(float(np.vdot(self.part.X, self.part.X)) * float(self.sigma.max())))

    def _solved(
        self,
        left: Vector,
        weights: NDArray,
        ridge: Vector,
        metric: Metric,
        products: float,
        active: NDArray | float = 1.0,
        aim: float | None = None,
    ) -> Vector | None:
        """About the solution of the equations, by conjugate gradients in the metric, in the dtype of the part.

        With an `aim` it ends where the gap is about to be a good part of that; None where it cannot become as small.
        """
        x, r = np.zeros(len(left)), left
        s = p = metric.solve(r)
        rs = first = float(r @ s)
        for _ in range(int(products)):
            q = self.part.product(weights, p) * active + ridge * p
            a = rs / max(float(p @ q), 1e-300)
            x, r = x + a * p, r - a * q
            if aim is not None:
                least = 0.5 * float(x @ left)  # rises to what moving the rows costs, if theta had all room
                missed = (r + ridge * x)[: self.problem.d]
                now = 0.5 * float(x @ (left - r - ridge * x)) + float(missed @ missed) / (2.0 * self.problem.l2)
                if now <= max(ENOUGH * aim, 2.0 * least):
                    break
                if least > aim:
                    return None
            s = metric.solve(r)
            rs, before = float(r @ s), rs
            if not SOLVED**2 * first < rs < 1e2 * first:
                break
            p = s + rs / before * p
        return x

    def _missed(self, v: Vector, left: Vector, theta: NDArray, off: float) -> float:
        """What is left of the conditions of the dual, in the cost: those that no penalty softens hold to rounding.

        The sums that they are about may be `off` by that length.
        """
        d, l2 = self.problem.d, self.problem.l2
        free = slice(d, None) if l2 > 0 else slice(None)
        sizes = self.few.sizes(theta) if l2 == 0 else np.array([float(np.abs(theta).sum())])[: len(v) - d]
        if not np.all(np.abs(left[free]) <= FREE * sizes):
            return np.inf
        square = (float(np.linalg.norm(left[:d])) + off) ** 2 / (2.0 * l2) if l2 > 0 else 0.0
        return square + 2.0 * float(np.abs(left[free]) @ np.abs(v[free]))


class SparseProof(Proof):
    r"""The same with an l1 penalty, which asks only :math:`|u_j| \le \lambda_1` where a weight is 0.

    The equations are those of the columns whose weight is not 0, or whose u is too large.  With
    :math:`R^*(u) = \sum_j \max(|u_j| - \lambda_1, 0)^2 / 2 \lambda_2` the gap is

    .. math::

        \sum_{i \in S} \sigma_i \bigl(\ell(z_i) + \ell^*(-\theta_i') + \theta_i' z_i\bigr) + R(w) + R^*(u') - u' \cdot w

    Without l2 all of theta is at last multiplied by a c that makes u' small enough; the dual is concave, and at 0 the
    sum of the lowest losses, which bounds what that costs without looking at a row.
    """

    def __init__(self, problem: Centred, part: Centred, rows: NDArray | None, l1: float):
        super().__init__(problem, part, rows)
        self.l1 = l1
        self.lowest = float(problem.sigma @ np.broadcast_to(problem.loss.lowest(problem.y), problem.n))

    def tells(self, reading: Reading, asked: float) -> bool:
        """Only what was read in float64 does."""
        return reading.exact

    @np.errstate(all="ignore")
    def gap(self, v: Vector, reading: Reading, metric: Metric, enough: float, products: float = MOST_PRODUCTS) -> float:
        """A bound on the distance to the minimum at v, of which `reading` was exact; `metric` is a walker's."""
        few, d = self.few, self.few.d
        z, theta, rooms, freedom = self._natural(reading)
        ridge = np.where(np.arange(few.size) < d, few.l2, 0.0)
        H: NDArray = metric.hessian  # type: ignore[attr-defined]
        signs, inner, p = np.sign(v), ridge * v - reading.gradient, np.zeros(few.size)
        signs[d:] = 0.0
        u, best, rounding, failures = inner, np.inf, 0.0, 0
        for _ in range(MOST_SOLVES):
            signs[:d] = np.where((signs[:d] == 0.0) & (np.abs(u[:d]) > self.l1), np.sign(u[:d]), signs[:d])
            active = signs != 0.0
            active[d:] = True
            rest = np.where(active, u - ridge * v - self.l1 * signs - ridge * p, 0.0)
            solved = self._solved(rest, few.sigma * freedom, ridge * active, Within(H, active), products, active)
            assert solved is not None  # without an aim
            p = p + solved
            moves = self._moves(few.scores(p), freedom, rooms, reading.gradient)
            u = inner + few.spread(few.sigma * moves)
            moved, rounding = self._moved(z, theta + moves)
            gap = self._whole(v, reading, u, moved, few.sigma * theta)
            failures = 0 if gap < WORTH * best else failures + 1
            best = min(best, gap)
            if best <= enough or failures > 1 or moved > 2.0 * enough:
                break
        return max(best, 0.0) + rounding + 2.0 * ROUNDING * (abs(reading.value) + self.l1 * float(np.abs(v[:d]).sum()))

    def _whole(self, v: Vector, reading: Reading, u: Vector, moved: float, theta: NDArray) -> float:
        """The gap, with what the moved rows cost and the penalty's part in it."""
        few, w, slopes = self.few, v[: self.few.d], u[: self.few.d]
        size = float(np.abs(theta).sum())
        left = np.abs(u[few.d :])
        if not np.all(left <= FREE * size):
            return np.inf
        offset = 2.0 * float(left @ np.abs(v[few.d :]))
        rough = self.l1 * float(np.abs(w).sum()) + few.ridge(v)
        if few.l2 > 0:
            conjugate = float(np.sum(np.maximum(np.abs(slopes) - self.l1, 0.0) ** 2)) / (2.0 * few.l2)
            return moved + rough + conjugate - float(slopes @ w) + offset
        c = min(1.0, self.l1 / max(float(np.abs(slopes).max(initial=0.0)), 1e-300))
        return c * (moved - float(slopes @ w)) + (1.0 - c) * (reading.value - self.lowest) + rough + offset


class Within:
    """The metric of some coordinates of a Hessian; the others stay."""

    def __init__(self, H: NDArray, active: NDArray):
        self.active, self.metric = active, Dense(H[np.ix_(active, active)], ROUGH_JITTER)

    def solve(self, g: Vector) -> Vector:
        """The inverse times g."""
        out = np.zeros(len(g))
        out[self.active] = self.metric.solve(g[self.active])
        return out
