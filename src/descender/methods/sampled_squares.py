r"""A squared error by conjugate gradients in the metric of some rows: few readings, and none of its Gram matrix.

Of m rows S, drawn so that :math:`P = \sum_{i \in S} \sigma_i q_i^{-1} x_i x_i' + \lambda_2 I` estimates the Hessian H,
the minimum on S alone costs about d/m too much, and each reading of all rows leaves about d/m of that.  The same matrix
proves the end, since what S leaves out only adds curvature: with :math:`c = \max q_i^{-1}`

.. math::

    H \succeq P / c, \qquad F(w) - \min F = \tfrac12\, g' H^{-1} g \le \tfrac c2\, g' P^{-1} g

M. Pilanci, M. J. Wainwright, *Iterative Hessian Sketch*, 2016; C. R. Vogel, *Computational Methods for Inverse
Problems*, 2002, §3.2.
"""

from __future__ import annotations

from collections.abc import Generator
from functools import cached_property
from typing import NamedTuple

import numpy as np

from descender.costs.certificate import ROUNDING, proved
from descender.costs.cost import Vector
from descender.costs.risk import BLOCK_ROWS, Risk
from descender.methods.centred import ROUGH_JITTER, Centred
from descender.methods.ending import ending
from descender.methods.method import Block, one_step
from descender.methods.metrics import Dense, gram_readings
from descender.methods.moments import NOISE

DOUBLE = {4: 1.7, 8: 1.0}
"""What a reading in float64 costs, in readings in the dtype of X, by the bytes of its numbers."""
GROWTH, SAFE = 1.1, 0.75
"""From one number of rows to the next that is thought of; and the share of what is asked that is aimed at."""
HOPEFUL = 1.3
"""How many times what is asked a proof may be expected to show for the next reading to be one in float64."""
SLOW, MOST_SLOW = 0.7, 2
"""A step that leaves more than this share of the decrement is slow; and how many of these there may be."""
SURE = 0.1
"""What rounding may change the least curvature by, as a share of it, for a factor to be as good as the matrix."""
PRODUCTS, NEAR = 4, 0.02
"""How often the equations of a proof are solved for what is left; and the share of the whole that need not be."""
TINY = 1e-24
"""The share of the cost of a score of 0 below which that of the best constant is rounding."""
FEW = 300
"""Columns up to which an inverse costs next to nothing."""
TALLER = 4
"""Of so many blocks one is made: a squared error keeps nothing of them but sums."""


class Plan(NamedTuple):
    """How many rows to draw, and about how many readings of all rows the walk costs."""

    rows: int
    readings: float


def plan(n: int, d: int, tol: float, itemsize: int) -> Plan:
    """The number of rows with which a walk to `tol` costs the least."""
    best, rows = Plan(0, np.inf), 2.0 * d
    while rows <= n / 2:
        share = d / rows
        start = share / (1.0 - share) * (1.0 - rows / n)
        enough = SAFE * tol * rows / n * (1.0 - share)
        steps = max(0.0, np.ceil(np.log(enough / start) / np.log(share)))
        own = gram_readings(rows, n, d)
        best = min(best, Plan(int(rows), float(own + steps + DOUBLE[itemsize])), key=lambda one: one.readings)
        rows *= GROWTH
    return best


class Place(NamedTuple):
    """A point with the cost and the gradient there; whether they are those of float64."""

    v: Vector
    value: float
    gradient: Vector
    exact: bool


class SampledSquares:
    """The walk on a risk, of which so many rows make the metric; it gives up where more than `most` steps are ahead."""

    def __init__(self, cost: Risk, rows: int, tol: float, rng: np.random.Generator, most: float = np.inf):
        self.most = most
        self.cost, self.tol, self.reads, self.counted = cost, max(tol, 2.0 * ROUNDING), 0, 0
        self.problem, columns = Centred.of(cost, whole=False)
        n, d = self.problem.n, self.problem.d
        self.heights = min(TALLER * self.problem.height, BLOCK_ROWS), self.problem.height
        drawn = ((np.arange(rows) + rng.random(rows)) * (n / rows)).astype(np.intp)
        self.rows, self.inflation, self.share = np.minimum(drawn, n - 1), n / rows, d / rows
        part = self.problem.standardised(self.rows, np.full(rows, self.inflation), columns.squares)
        self.ridge = np.where(np.arange(self.problem.size) < d, cost.l2, 0.0)
        H = part.moment(part.sigma)
        still = np.zeros(d, dtype=bool) if self.problem.moving is None else ~self.problem.moving
        self.sound = bool(np.isfinite(H).all() and np.all((H.diagonal()[:d] > 0.0) | still))
        if not self.sound:
            return
        self.mean = float(np.linalg.norm(H[d:, :d])) / float(part.sigma.sum())
        H.flat[:: len(H) + 1] += self.ridge
        self.metric = Dense(H, ROUGH_JITTER)
        self.sound = cost.l2 > 0.0 or self.bend < 1.0
        zero, level = self._constant(0.0), cost.loss.trivial(self.problem.y, self.problem.sigma)
        self.spread = self._constant(level) if cost.intercept else zero
        self.spread *= self.spread > TINY * zero
        self.scale = max(self.spread, 1e-6 * zero)  # that of `cost_scale`
        start = np.zeros(self.problem.size)
        start[d:] = np.average(part.y, weights=part.sigma)
        reading = part.read(start)
        self.v = start - self.metric.solve(reading.gradient)

    def blocks(self, w: Vector) -> Generator[Block, None, Vector | None]:
        """Walk until the gap is proved, and return None; or where it stopped, as it cannot be proved there."""
        problem = self.problem
        if not self.sound:
            return w
        here = self._read(self.v, exact=self.inflation * self.share <= HOPEFUL * self.tol)
        yield self._block(w, self._cost_of_start(w), np.nan, here.v)
        length, falls, last, slow = (1.0 - self.share) ** 2, self.share, np.inf, 0
        step = before = np.zeros(problem.size)
        while np.isfinite(here.gradient).all():
            z = self.metric.solve(here.gradient)
            rho = float(here.gradient @ z)
            if 0.5 * self.inflation * rho <= self._asked(here) and not here.exact:
                here = self._read(here.v, exact=True)
                continue
            end = self._end(here) if here.exact else None
            slow += rho > SLOW * last
            if end is not None or slow > MOST_SLOW:
                yield from [] if end is None else [end]
                return None if end is not None else problem.leave(here.v)
            if last < np.inf:
                falls = min(np.sqrt(falls * rho / last), SLOW)
                if np.log(self._asked(here) / (0.5 * self.inflation * rho)) / np.log(falls) > self.most:
                    break
                step = step * max(float(here.gradient @ (z - before)) / last, 0.0)
            step, last, before = step - z, rho, z
            exact = bool(slow > 0 or 0.5 * self.inflation * rho * falls <= HOPEFUL * self._asked(here))
            there = self._read(here.v + length * step, exact)
            yield self._block(problem.leave(here.v), here.value, self._norm(here), there.v)
            end = self._end(there) if there.exact and not here.exact else None
            if end is not None:
                yield end
                return None
            change = there.gradient - here.gradient
            along, bend = float(here.gradient @ step), float(change @ step) / length
            if not (along < 0.0 < bend):
                break
            gradient, length = here.gradient - along / bend / length * change, -along / bend
            value = here.value + 0.5 * length * along
            here = Place(here.v + length * step, value, gradient, here.exact and there.exact)
        return problem.leave(here.v) if np.isfinite(here.v).all() else w

    def _read(self, v: Vector, exact: bool) -> Place:
        self.reads += 1
        self.problem.height = self.heights[int(exact)]
        reading = self.problem.read(v, exact)
        return Place(v, reading.value, reading.gradient, reading.exact)

    def _cost_of_start(self, w: Vector) -> float:
        """The cost where the walk began; read only where its scores are not all the same."""
        d = self.problem.d
        if w[:d].any():
            return self._read(self.problem.enter(w), exact=False).value
        return self._constant(float(w[d:].sum()))

    def _constant(self, level: float) -> float:
        """The cost of a constant score."""
        off = self.problem.y - level
        return 0.5 * float(self.problem.sigma @ (off * off))

    def _asked(self, place: Place) -> float:
        """What the gap is to be at most: targets far from zero ask for no less than those around it."""
        return self.tol * max(abs(place.value), (self.spread or self.scale) / 1000.0)

    def _norm(self, place: Place) -> float:
        return float(np.linalg.norm(self.problem.leave_gradient(place.gradient)))

    def gap(self, gradient: Vector) -> float:
        r"""A bound on the distance to the minimum where the gradient is this.

        Where the factor is not sure to be as good as the matrix, :math:`P p = g` is solved in float64 by the rows as
        they are; what is left is so little that it may count as if little more than l2 bent the cost.
        """
        length, rest = 0.0, gradient
        if self.cost.l2 == 0.0 or len(gradient) <= FEW:
            length = self._length(rest)
        if 0.0 < length < np.inf and self.bend <= SURE:
            return 0.5 * self.inflation * length**2
        length = 0.0
        for _ in range(PRODUCTS):
            p = self.metric.solve(rest)
            product = self.true.spread(self.true.sigma * self.true.scores(p)) + self.ridge * p
            length, rest = length + np.sqrt(max(float(p @ product), 0.0)), rest - product
            left = self._length(rest) if self.cost.l2 == 0.0 else self._length_by_ridge(rest)
            if left <= NEAR * length:
                break
        return 0.5 * self.inflation * (length + left) ** 2

    @cached_property
    def bend(self) -> float:
        """What rounding may have changed the least curvature of the matrix by, as a share of it."""
        return self.metric.largest_inverse() * (NOISE[4] * self.problem.size + self.metric.added)

    @cached_property
    def true(self) -> Centred:
        """The rows that were drawn, as they are."""
        return self.problem.part(self.rows, self.inflation)

    def _length(self, g: Vector) -> float:
        r"""A bound on :math:`\sqrt{g' P^{-1} g}`, as far as the factor is known to be that of P."""
        known = max(float(g @ self.metric.solve(g)), 0.0)
        return float(np.sqrt(known / (1.0 - self.bend))) if self.bend < 1.0 else np.inf

    def _length_by_ridge(self, g: Vector) -> float:
        r"""Another, by :math:`P \succeq \lambda_2 I` but for the intercept, whose part is solved for first."""
        d, free = self.problem.d, float(np.abs(g[self.problem.d :]).sum())
        length = float(np.linalg.norm(g[:d])) + 2.0 * self.mean * free
        return free / np.sqrt(float(self.true.sigma.sum())) + length / np.sqrt(self.cost.l2)

    def _block(self, w: Vector, value: float, norm: float, v: Vector) -> Block:
        """What the log says of the step from w to v."""
        there, reads = self.problem.leave(v), self.reads - self.counted
        self.counted = self.reads
        log = one_step(value, norm, float(np.linalg.norm(there - w)), 1.0, reads)
        return Block(log, there, reads * self.problem.n, w[None, :])

    def _end(self, place: Place) -> Block | None:
        """The end at a point that was read in float64, if the gap there is proved to be as small as asked."""
        problem, d = self.problem, self.problem.d
        decrement = 0.5 * float(place.gradient @ self.metric.solve(place.gradient))
        if not self.inflation * decrement <= self._asked(place):
            return None  # no proof shows less
        # far from zero the intercept is a difference of numbers that are larger than itself
        lost = ROUNDING * float(np.abs(problem.mean) @ np.abs(place.v[:d]))
        gap = self.gap(place.gradient) + 0.5 * float(problem.sigma.sum()) * lost * lost
        if gap > self._asked(place):
            return None
        found = proved(place.value, gap, self.scale)
        final = None if problem.far else (place.value, problem.leave_gradient(place.gradient))
        return ending(self.cost, self.tol, problem.leave(place.v), found, self.reads - self.counted, final)
