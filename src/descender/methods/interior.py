r"""An interior point method for losses whose slope jumps: hinge and quantile, with any penalty.

Such a loss is :math:`\ell_i(z) = \max_{l_i \le \theta \le h_i} \theta\,(t_i - z)`, so that the risk is

.. math:: \min_w \max_{l \le \theta \le h} \sum_i \sigma_i\theta_i (t_i - x_i\cdot w) + \tfrac{\lambda_2}{2} |w|^2,

and an l1 penalty is a row more for each column, with x = e_j, t = 0 and :math:`|\theta| \le \lambda_1`.  With
:math:`t - x\cdot w = s^+ - s^-`, the method keeps all slacks positive and drives their products with the distances of
theta to its ends to zero together.  Each step costs one Hessian of all rows; a few dozen steps suffice, whatever the
scales of the columns.

S. Portnoy, R. Koenker, *The Gaussian hare and the Laplacian tortoise*, Statistical Science 1997; S. Mehrotra, *On the
implementation of a primal-dual interior point method*, SIAM J. Optimization 1992; S. Fine, K. Scheinberg, *Efficient
SVM training using low-rank kernel representations*, JMLR 2001.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from descender.costs.certificate import Certificate, certificate, cost_scale
from descender.costs.cost import Cost, Vector
from descender.costs.risk import Risk
from descender.methods.centred import Centred
from descender.methods.ending import ending
from descender.methods.method import Block, Budget, one_step
from descender.methods.metrics import Dense

INTO = 0.995
"""The share of the way to the boundary that a step may go."""
SMALLEST_GOAL = 1e-14
"""Of the gap, relative to the cost: below it is rounding."""
SMALL, LARGEST_CORNER = 60_000, 1000
"""Numbers in X up to which the equations of the corner are solved, and their count."""
UPRIGHT = 4_000_000
"""Numbers in dense rows up to which a copy of the columns in lines, centred in float64, is made for all products."""
STUCK = 1e-6
"""A step shorter than this share of a Newton step leads nowhere any more."""


class Rows:
    """The rows of a risk that weigh something, and a row more for each column that has an l1 penalty."""

    def __init__(self, risk: Risk):
        everything, _ = Centred.of(risk)
        self.kept = np.flatnonzero(everything.sigma > 0)
        whole = len(self.kept) == everything.n
        self.problem = problem = everything if whole else everything.part(self.kept)
        self.n, self.d, self.l1 = problem.n, problem.d, risk.l1
        low, high = risk.loss.dual_range(problem.y)
        extra = np.full(self.d if risk.l1 > 0 else 0, risk.l1)
        self.low, self.high = np.append(low, -extra), np.append(high, extra)
        self.t = np.append(risk.loss.dual(np.ones(self.n), problem.y), 0.0 * extra)
        self.weight = np.append(problem.sigma, np.ones(len(extra)))
        self.ridge = np.append(np.full(self.d, risk.l2), np.zeros(problem.size - self.d))

        self.lines: NDArray | None = None
        if not sparse.issparse(problem.X) and self.n * self.d <= UPRIGHT:
            self.lines = np.ones((problem.size, self.n))
            np.subtract(problem.X.T, problem.mean[:, None], out=self.lines[: self.d])

    def times(self, v: Vector) -> NDArray:
        """Each row's product with v."""
        z = self.problem.scores(v) if self.lines is None else v @ self.lines
        return np.append(z, v[: self.d]) if self.l1 > 0 else z

    def spread(self, r: NDArray) -> Vector:
        """The sum over rows of r x."""
        out = self.problem.spread(r[: self.n]) if self.lines is None else self.lines @ r[: self.n]
        out[: self.d] += r[self.n :] if self.l1 > 0 else 0.0
        return out

    def moment(self, h: NDArray) -> NDArray:
        """The sum over rows of h x x'."""
        if self.lines is None:
            H = self.problem.moment(h[: self.n])
        else:
            scaled = self.lines * np.sqrt(h[: self.n])
            H = scaled @ scaled.T
        H[np.arange(self.d), np.arange(self.d)] += h[self.n :] if self.l1 > 0 else 0.0
        return H


class Move(NamedTuple):
    """A change of everything."""

    v: Vector
    z: NDArray
    theta: NDArray
    above: NDArray
    below: NDArray


class Inside:
    """A point within: v and each row's product with it, theta, and the slacks `above` and `below`."""

    def __init__(self, rows: Rows, v: Vector):
        self.rows, self.v = rows, v
        self.z = rows.times(v)
        residual = rows.t - self.z
        size = np.where(np.arange(len(residual)) < rows.n, np.abs(residual[: rows.n]).mean(), 0.0)
        if rows.l1 > 0:  # a cost of the same size as that of the rows
            size[rows.n :] = size[0] / (rows.l1 * rows.d)
        room = np.maximum(0.1 * size, 1e-3 * max(float(size.max()), 1e-300)) if size.max() > 0 else size + 1.0
        self.theta = 0.5 * (rows.low + rows.high)
        self.above, self.below = np.maximum(residual, 0.0) + room, np.maximum(-residual, 0.0) + room

    def cost(self) -> tuple[float, NDArray]:
        """The cost and its gradient in v; of l1 by the signs."""
        rows, problem = self.rows, self.rows.problem
        z, w = self.z[: rows.n], self.v[: rows.d]
        value = problem.value_at(z, self.v) + rows.l1 * float(np.abs(w).sum())
        gradient = problem.spread(problem.sigma * problem.loss.slope(z, problem.y)) + rows.ridge * self.v
        gradient[: rows.d] += rows.l1 * np.sign(w)
        return value, gradient

    def products(self) -> float:
        """The sum of slacks times distances: the gap, where theta is feasible."""
        rows = self.rows
        return float(rows.weight @ (self.above * (rows.high - self.theta) + self.below * (self.theta - rows.low)))

    def steps(self, move: Move) -> tuple[float, float]:
        """How far slacks and theta may go along a move."""
        rows = self.rows
        primal = min(_room(self.above, move.above), _room(self.below, move.below))
        return primal, min(_room(rows.high - self.theta, -move.theta), _room(self.theta - rows.low, move.theta))

    def newton(self) -> Move:
        """Mehrotra's step: where the products would vanish, corrected for their curvature and kept centred."""
        rows = self.rows
        to_high, to_low = rows.high - self.theta, self.theta - rows.low
        D = self.above / to_high + self.below / to_low
        metric = Dense(rows.moment(rows.weight / D) + np.diag(rows.ridge))
        off = rows.ridge * self.v - rows.spread(rows.weight * self.theta)

        def solve(up: NDArray, down: NDArray) -> Move:
            lean = up / to_high - down / to_low
            dv = metric.solve(-off - rows.spread(rows.weight * lean / D))
            dz = rows.times(dv)
            dtheta = -(dz + lean) / D
            return Move(dv, dz, dtheta, (up + self.above * dtheta) / to_high, (down - self.below * dtheta) / to_low)

        up, down = -self.above * to_high, -self.below * to_low
        first = solve(up, down)
        p, q = (min(1.0, step) for step in self.steps(first))
        now = self.products()
        ahead = float(
            rows.weight @ ((self.above + p * first.above) * (to_high - q * first.theta))
            + rows.weight @ ((self.below + p * first.below) * (to_low + q * first.theta))
        )
        centre = min(max(ahead / now, 0.0), 1.0) ** 3 * now / (2.0 * len(rows.t)) / rows.weight
        bent = first.above * first.theta, first.below * first.theta
        return solve(up + centre + bent[0], down + centre - bent[1])

    def go(self, move: Move) -> float:
        """Take a move, short of the boundary; how far it went.  One length for all where l2 ties v and theta."""
        primal, dual = (min(1.0, INTO * step) for step in self.steps(move))
        if self.rows.ridge.any():
            primal = dual = min(primal, dual)
        self.v, self.z = self.v + primal * move.v, self.z + primal * move.z
        self.above, self.below = self.above + primal * move.above, self.below + primal * move.below
        self.theta = self.theta + dual * move.theta
        return min(primal, dual)

    def corner(self) -> Inside | None:
        r"""Where products vanish, for an l2 penalty: theta at an end, or the row at its kink.

        :math:`\lambda_2 w = \sum_i \sigma_i \theta_i x_i`, and :math:`x_i\cdot w = t_i` at the kinks, the rows whose
        slacks are smaller than their distances from both ends.
        """
        rows = self.rows
        high, low = self.above > rows.high - self.theta, self.below > self.theta - rows.low
        kink = np.flatnonzero(~high & ~low)
        size = len(self.v)
        if len(kink) + size > LARGEST_CORNER:
            return None
        theta = np.where(high, rows.high, np.where(low, rows.low, 0.0))
        X = rows.problem.X[kink]
        X = (X.toarray() if sparse.issparse(X) else X).astype(np.float64) - rows.problem.mean
        A = np.column_stack([X, np.ones(len(kink))])[:, :size]
        upper = np.column_stack([np.diag(rows.ridge), -(A * rows.weight[kink, None]).T])
        lower = np.column_stack([A, np.zeros((len(kink), len(kink)))])
        right = np.append(rows.spread(rows.weight * theta), rows.t[kink])
        solution = np.linalg.lstsq(np.vstack([upper, lower]), right, rcond=1e-13)[0]
        theta[kink] = np.clip(solution[size:], rows.low[kink], rows.high[kink])
        corner = copy.copy(self)
        corner.v, corner.theta = solution[:size], theta
        return corner


def _room(distance: NDArray, change: NDArray) -> float:
    """How many times a change goes into a distance."""
    share = float((change / distance).min(initial=0.0))
    return -1.0 / share if share < 0.0 else np.inf


@dataclass(frozen=True)
class InteriorPoint:
    """Mehrotra's method for a risk of a loss whose slope jumps; no rate to choose, and a certificate."""

    tol: float = 1e-6
    max_steps: int = 200
    name: str = "an interior point method"
    draws = False

    def blocks(self, cost: Cost, w: Vector, rng: np.random.Generator, budget: Budget) -> Iterator[Block]:
        """Walk from `w`."""
        assert isinstance(cost, Risk)
        start = certificate(cost, w)
        if start is not None and start.relative <= self.tol:  # nothing to do, such as with targets that are all 0
            yield ending(cost, self.tol, w, start)
            return
        rows = Rows(cost)
        problem, n = rows.problem, cost.n_samples or 0
        inside = Inside(rows, problem.enter(w))
        unit, goal = cost_scale(cost) / 1000.0, 0.3 * self.tol
        best: tuple[Vector, Certificate] | None = None
        stuck = 0
        for number in range(self.max_steps + 1):
            point = problem.leave(inside.v)
            value, gradient = inside.cost()
            gap = inside.products()
            last = stuck >= 3 or number == self.max_steps
            if last or gap <= max(goal, SMALLEST_GOAL) * max(abs(value), unit):
                found = certificate(cost, point, self._theta(rows, inside, n))
                assert found is not None
                better = best is None or found.gap < best[1].gap
                best = (point, found) if better or best is None else best
                if last or not better or best[1].relative <= self.tol or goal < SMALLEST_GOAL:
                    if rows.l1 == 0 and cost.l2 > 0 and n * rows.d <= SMALL:
                        best = self._cornered(cost, rows, inside, best)
                    yield ending(cost, self.tol, *best)
                    return
                goal *= 0.1
            with np.errstate(all="ignore"):
                move = inside.newton()
                sound = all(np.isfinite(part).all() for part in move)
                went = inside.go(move) if sound else 0.0
            stuck = stuck + 1 if went < STUCK else 0
            there = problem.leave(inside.v)
            log = one_step(
                value,
                float(np.linalg.norm(problem.leave_gradient(gradient))),
                float(np.linalg.norm(there - point)),
                went,
                5,
            )
            yield Block(log, there, 5 * n, point[None, :])

    def _cornered(
        self, cost: Risk, rows: Rows, inside: Inside, best: tuple[Vector, Certificate]
    ) -> tuple[Vector, Certificate]:
        """The minimum to rounding, if the rows at the kink are those that seem so: linear equations say where it is."""
        corner = inside.corner()
        if corner is None:
            return best
        point = rows.problem.leave(corner.v)
        found = certificate(cost, point, self._theta(rows, corner, cost.n_samples or 0))
        return (point, found) if found is not None and found.gap <= best[1].gap else best

    def _theta(self, rows: Rows, inside: Inside, n: int) -> NDArray:
        theta = np.zeros(n)
        theta[rows.kept] = inside.theta[: rows.n]
        return theta
