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
from numpy.typing import NDArray

from descender.costs.certificate import ROUNDING, proved
from descender.costs.cost import Vector
from descender.costs.risk import Risk
from descender.methods.centred import ROUGH_JITTER, Centred
from descender.methods.ending import ending
from descender.methods.method import Block, one_step
from descender.methods.metrics import Dense
from descender.methods.residuals import FEW, Residuals, Sample

DOUBLE = {4: 2.0, 8: 1.0}
"""What a reading in float64 costs, in readings in the dtype of X, by the bytes of its numbers."""
TAKEN, COLUMNS_A_READ, FACTOR = 4.0, 28.0, 0.02
"""What a matrix of some rows costs in readings of them: so much to take them, and one for so many columns; and its
factor, times the square of the columns over the rows."""
NARROW = 10.0
"""Columns that take as long to read as the row itself, with its target."""
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
SINGLE = 1000
"""Columns up to which a matrix that was summed in float32 is surely regular without l2, where it should be."""
UNSEEN = 0.2
"""The share of what is asked that the rounding of a reading in float32 may take of a proof by it."""


def whole_readings(n: int, d: int) -> float:
    """The readings that the moments of all n rows, and their factor, cost."""
    return (1.0 + d / COLUMNS_A_READ) * d / (d + NARROW) + FACTOR * d * d / n


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
        own = rows / n * (TAKEN + d / COLUMNS_A_READ) + FACTOR * d * d / n
        last = DOUBLE[itemsize] if d > FEW else 1.0
        best = min(best, Plan(int(rows), float(own + steps + last)), key=lambda one: one.readings)
        rows *= GROWTH
    return best


class Place(NamedTuple):
    """A point with the cost and the gradient there; whether they are those of float64, else how well they are known.

    Of the root of twice the distance to the minimum, which the gradient tells, so much is `unseen` for rounding.
    """

    v: Vector
    value: float
    gradient: Vector
    exact: bool
    unseen: float


class SampledSquares:
    """The walk on a risk, of which so many rows make the metric; it gives up where more than `most` steps are ahead."""

    def __init__(self, cost: Risk, rows: int, tol: float, rng: np.random.Generator, most: float = np.inf):
        self.most = most
        self.cost, self.tol, self.reads, self.counted = cost, max(tol, 2.0 * ROUNDING), 0, 0
        self.problem, columns = Residuals.of(cost, whole=False)
        n, d = self.problem.n, self.problem.d
        self.problem.mean = self.problem.mean.astype(cost.X.dtype).astype(np.float64)
        self.sound = not (self.problem.far and np.isfinite(most))  # readings would move them, as the moments do
        if not self.sound:
            return
        self.rows, self.inflation, self.share = strata(n, rows, rng), n / rows, d / rows
        with np.errstate(all="ignore"):
            dtype = np.float64 if cost.l2 == 0.0 and d > SINGLE else np.float32
            sample = Sample(self.problem, self.rows, self.inflation, columns, dtype)
        self.lost = sample.lost
        self.ridge, H = np.where(np.arange(self.problem.size) < d, cost.l2, 0.0), sample.H
        still = np.zeros(d, dtype=bool) if self.problem.moving is None else ~self.problem.moving
        self.sound = bool(np.isfinite(H).all() and np.all((H.diagonal()[:d] > 0.0) | still))
        if not self.sound:
            return
        self.mean = float(np.linalg.norm(H[d:, :d])) / sample.total
        H.flat[:: len(H) + 1] += self.ridge
        self.metric = Dense(H, ROUGH_JITTER)
        self.sound, self.length = cost.l2 > 0.0 or self.bend < 1.0, np.inf
        level = cost.loss.trivial(self.problem.y, self.problem.sigma) if cost.intercept else 0.0
        self.problem.about(level)
        zero = self._constant(0.0)
        self.spread = 0.5 * self.problem.width**2
        self.spread *= self.spread > TINY * zero
        self.scale = max(self.spread, 1e-6 * zero)  # that of `cost_scale`
        self.v = -self.metric.solve(sample.gradient)
        self.v[d:] += sample.level

    def blocks(self, w: Vector) -> Generator[Block, None, Vector | None]:
        """Walk until the gap is proved, and return None; or where it stopped, as it cannot be proved there."""
        problem = self.problem
        if not self.sound:
            return w
        unseen = 0.0 if self._few else np.inf
        here = self._read(self.v, self._is_last(self.inflation * self.share, self.tol, unseen))
        yield self._block(w, self._cost_of_start(w), np.nan, here.v)
        length, falls, last, slow = (1.0 - self.share) ** 2, self.share, np.inf, 0
        step = before = np.zeros(problem.size)
        while np.isfinite(here.gradient).all():
            z = self.metric.solve(here.gradient)
            rho = float(here.gradient @ z)
            end = self._end(here, rho)
            slow += rho > SLOW * last
            if end is not None or slow > MOST_SLOW:
                yield from [] if end is None else [end]
                return None if end is not None else problem.leave(here.v)
            if 0.5 * self.inflation * rho <= self._asked(here) and not here.exact:
                here = self._read(here.v, exact=True)
                continue
            if last < np.inf:
                falls = min(np.sqrt(falls * rho / last), SLOW)
                if np.log(self._asked(here) / (0.5 * self.inflation * rho)) / np.log(falls) > self.most:
                    break
                step = step * max(float(here.gradient @ (z - before)) / last, 0.0)
            step, last, before = step - z, rho, z
            exact = slow > 0 or self._is_last(0.5 * self.inflation * rho * falls, self._asked(here), here.unseen)
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
            gradient, share = here.gradient - along / bend / length * change, -along / bend / length
            unseen = abs(1.0 - share) * here.unseen + share * there.unseen
            value, length = here.value + 0.5 * share * length * along, share * length
            here = Place(here.v + length * step, value, gradient, here.exact and there.exact, unseen)
        return problem.leave(here.v) if np.isfinite(here.v).all() else w

    def _is_last(self, expected: float, asked: float, unseen: float) -> bool:
        """Whether the next reading is to be in float64: it may be the last, and float32 would not see that."""
        return bool(expected <= HOPEFUL * asked and not 0.5 * unseen**2 <= UNSEEN * asked)

    def _read(self, v: Vector, exact: bool) -> Place:
        self.reads += 1
        exact = exact or self.cost.X.dtype == np.float64
        scale, seen = self.metric.scale[: self.problem.d], self._few and not exact and self.bend < 1.0
        measured = seen and self.length == np.inf
        found, unseen = self.problem.sums(v, exact, scale if measured else None), 0.0 if exact else np.inf
        if seen:
            self.length = found.length if measured else self.length
            rows, sums = self.problem.rounding(v, found.size, scale, self.length)
            unseen = rows + float(np.sqrt(self.inflation * self._largest / (1.0 - self.bend))) * sums
        return Place(v, found.value, found.gradient, exact, unseen)

    def _cost_of_start(self, w: Vector) -> float:
        """The cost where the walk began; read only where its scores are not all the same."""
        d = self.problem.d
        if w[:d].any():
            return self._read(self.problem.enter(w), exact=False).value
        return self._constant(float(w[d:].sum()))

    def _constant(self, level: float) -> float:
        """The cost of a constant score, by that of the best."""
        far = (level - self.problem.level) ** 2 * float(self.problem.sigma.sum())
        return 0.5 * (self.problem.width**2 + far)

    def _asked(self, place: Place) -> float:
        """What the gap is to be at most: targets far from zero ask for no less than those around it."""
        return self.tol * max(abs(place.value), (self.spread or self.scale) / 1000.0)

    def _norm(self, place: Place) -> float:
        return float(np.linalg.norm(self.problem.leave_gradient(place.gradient)))

    def gap(self, gradient: Vector, unseen: float = 0.0) -> float:
        r"""A bound on the distance to the minimum where the gradient is this, up to what is `unseen` of it.

        Where the factor is not sure to be as good as the matrix, :math:`P p = g` is solved in float64 by the rows as
        they are; what is left is so little that it may count as if little more than l2 bent the cost.
        """
        length, rest = 0.0, gradient
        if self.cost.l2 == 0.0 or self._few:
            length = self._length(rest)
        if 0.0 < length < np.inf and self.bend <= SURE:
            return 0.5 * (np.sqrt(self.inflation) * length + unseen) ** 2
        length = 0.0
        for _ in range(PRODUCTS):
            p = self.metric.solve(rest)
            product = self.true.spread(self.true.sigma * self.true.scores(p)) + self.ridge * p
            length, rest = length + np.sqrt(max(float(p @ product), 0.0)), rest - product
            left = self._length(rest) if self.cost.l2 == 0.0 else self._length_by_ridge(rest)
            if left <= NEAR * length:
                break
        return 0.5 * (np.sqrt(self.inflation) * (length + left) + unseen) ** 2

    @property
    def _few(self) -> bool:
        return self.problem.size <= FEW

    @cached_property
    def _largest(self) -> float:
        return self.metric.largest_inverse()

    @cached_property
    def bend(self) -> float:
        """What rounding may have changed the least curvature of the matrix by, as a share of it."""
        return self._largest * (self.lost * self.problem.size + self.metric.added)

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

    def _end(self, place: Place, rho: float | None = None) -> Block | None:
        """The end at a point, if the gap there is proved to be as small as asked; `rho` is twice its decrement."""
        problem, d, unseen = self.problem, self.problem.d, place.unseen
        rho = float(place.gradient @ self.metric.solve(place.gradient)) if rho is None else rho
        if not 0.5 * (np.sqrt(self.inflation * max(rho, 0.0)) + unseen) ** 2 <= self._asked(place):
            return None  # no proof shows less
        # far from zero the intercept is a difference of numbers that are larger than itself
        lost = ROUNDING * float(np.abs(problem.mean) @ np.abs(place.v[:d]))
        gap = self.gap(place.gradient, unseen) + 0.5 * float(problem.sigma.sum()) * lost * lost
        off = unseen * (np.sqrt(2.0 * place.value) + 0.5 * unseen)  # of the cost, in whose unit the gap is told
        gap /= max(1.0 - off / max(place.value, self.scale / 1000.0), 1e-300)
        if not gap <= self._asked(place):
            return None
        found = proved(place.value, gap, self.scale)
        final = None if problem.far else (place.value, problem.leave_gradient(place.gradient))
        return ending(self.cost, self.tol, problem.leave(place.v), found, self.reads - self.counted, final)


def strata(n: int, m: int, rng: np.random.Generator) -> NDArray:
    """The numbers of m of n rows, one at random of each m-th part: no row twice."""
    edges = np.arange(m + 1) * n // m
    return edges[:-1] + (rng.random(m) * np.diff(edges)).astype(np.intp)
