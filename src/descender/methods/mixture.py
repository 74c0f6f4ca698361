r"""A dual point mixed from those of the last readings: a proof that reads no row.

Minus the slopes of reading k, :math:`\theta_k`, has the products :math:`u_k = \sum_i \sigma_i \theta_{ki} x_i` with the
columns, which its gradient tells.  Those of a mixture :math:`\sum_k c_k \theta_k`, :math:`\sum_k c_k = 1`, are
:math:`\sum_k c_k u_k`.  The mixture that misses the conditions of the dual at w by least,

.. math::

    \min_c \Bigl| \sum_k c_k u_k - \lambda_2 w \Bigr|^2,

costs products of a few vectors; it is often as good a dual point as the natural one of ten readings later.  The rows
say what else it costs: :math:`\sum_i \sigma_i (\ell(z_i) + \ell^*(-\theta_i) + \theta_i z_i)`.  Where it leaves the
interval of a theta, it is only followed as far as that goes.

M. Massias, S. Vaiter, A. Gramfort, J. Salmon, *Dual extrapolation for sparse generalized linear models*, JMLR 21
(2020); D. Scieur, A. d'Aspremont, F. Bach, *Regularized nonlinear acceleration*, 2016.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Vector
from descender.costs.dual_rows import room
from descender.methods.centred import Centred
from descender.methods.proof import UNSEEN, Proof
from descender.methods.reads import RUN, SINGLE, Reading

SIZES = (8, 3)
"""How many of the last readings are mixed."""
RIDGE = 1e-10
"""What the diagonal of the squared lengths gains, as a share of their mean: readings near each other nearly depend."""


class Past(NamedTuple):
    """A dual point: minus the slopes, their products with the columns and 1, and what rounding did to these."""

    slopes: NDArray
    products: Vector
    noise: float


class Mixture(Proof):
    """Proves the gap of a point by its reading and those before it; for an l2 penalty alone."""

    def __init__(self, problem: Centred):
        super().__init__(problem, problem, None)
        self.past: deque[Past] = deque(maxlen=SIZES[0])

    def add(self, v: Vector, reading: Reading) -> None:
        """Remember the dual point of a reading at v."""
        assert reading.slopes is not None
        products = -reading.gradient
        products[: self.problem.d] += self.problem.l2 * v[: self.problem.d]
        self.past.append(Past(reading.slopes, products, reading.noise))

    def foretold(self, v: Vector) -> float:
        """About the gap that :meth:`proved` will find at v: what the best mixture misses, but not what it moves."""
        missed = self._missing(v)
        shares = self._mixtures(missed)[0]
        length = float(np.linalg.norm(shares @ missed[-len(shares) :])) + self._noise(shares)
        return length**2 / (2.0 * self.problem.l2)

    def _noise(self, shares: NDArray) -> float:
        """What rounding may have done to the products of a mixture."""
        return float(np.abs(shares) @ np.array([past.noise for past in list(self.past)[-len(shares) :]]))

    def _missing(self, v: Vector) -> NDArray:
        """What the products of each point with the columns miss the penalty's slopes by."""
        d = self.problem.d
        return np.array([past.products[:d] for past in self.past]) - self.problem.l2 * v[:d]

    def _mixtures(self, missed: NDArray) -> list[NDArray]:
        """The shares of the best mixtures of the last few points; the last is the last point alone."""
        squares, found = missed @ missed.T, []
        squares.flat[:: len(missed) + 1] += np.square([past.noise for past in self.past])
        for size in SIZES:
            if size <= len(missed):
                some = squares[-size:, -size:].copy()
                some.flat[:: size + 1] += RIDGE * float(np.trace(some)) / size + 1e-300
                shares = np.linalg.solve(some, np.ones(size))
                found.append(shares / float(shares.sum()))
        return [*found, np.ones(1)]

    def shown(self, reading: Reading, asked: float) -> bool:
        """Whether a gap as small as `asked` can be seen through the rounding of sums in float32."""
        return reading.noise**2 / (2.0 * self.problem.l2) <= UNSEEN * asked

    def reach(self, v: Vector) -> float:
        """What the products of the rows with v are at most made of, as one vector."""
        problem, d = self.problem, self.problem.d
        level = float(np.abs(v[d:]).sum()) + float(np.abs(problem.mean) @ np.abs(v[:d]))
        return problem.length * float(np.linalg.norm(v[:d])) + level * float(np.sqrt(self.sigma.sum()))

    def blurred(self, travelled: float) -> float:
        """The length of what rounding may have done to scores that are sums of products with such a :meth:`reach`."""
        return travelled * max(1.0, self.problem.d / RUN) * SINGLE

    @np.errstate(all="ignore")
    def proved(self, v: Vector, scores: NDArray, enough: float, travelled: float = 0.0) -> float:
        """A bound on the distance to the minimum at v, whose reading was the last to be added; `enough` is enough.

        The `scores` are exact, or sums of products in float32 with steps whose :meth:`reach` adds up to `travelled`.
        """
        best, missed = np.inf, self._missing(v)
        for shares in self._mixtures(missed):
            theta, shares, cut = self._within(shares)
            left = shares @ missed[-len(shares) :]
            if float(left @ left) / (2.0 * self.problem.l2) < enough:
                best = min(best, self._gap(v, scores, theta, shares, cut, travelled))
            if best <= enough:
                break
        return best

    def _within(self, shares: NDArray) -> tuple[NDArray, NDArray, float]:
        """The theta of a mixture, or of one between it and the last point that is in the domain of the dual.

        Also the shares that it is made of, and what rounding had taken out of the domain.
        """
        points = np.array([past.slopes for past in list(self.past)[-len(shares) :]], dtype=np.float64)
        weights = self.sigma if self.problem.even is None else 1.0
        last, whole = -points[-1] / weights, -(shares @ points) / weights
        low, high = self.problem.loss.dual_range(self.y)
        ends = np.where(whole > last, high - last, last - low) / np.abs(whole - last)
        share = min(1.0, max(float(ends[whole != last].min(initial=1.0)), 0.0))
        between = share * shares
        between[-1] += 1.0 - share
        theta = last + share * (whole - last)
        inside = np.clip(theta, low, high)
        return inside, between, float(np.sqrt(self.sigma @ np.square(inside - theta)))

    def _gap(self, v: Vector, z: NDArray, theta: NDArray, shares: NDArray, cut: float, travelled: float) -> float:
        """What a mixture proves, whose sum is taken to 0 where the intercept is free."""
        problem, dtype = self.problem, self.problem.X.dtype
        past = list(self.past)[-len(shares) :]
        gradient = -(shares @ np.array([one.products for one in past]))
        gradient[: problem.d] += problem.l2 * v[: problem.d]
        moves, left, off = np.zeros(problem.n), -gradient, 0.0
        if problem.intercept:
            rooms = room(problem.loss, theta, self.y)
            moves = self._moves(moves, rooms, rooms, gradient)
            left = problem.spread(self.sigma * moves, dtype) - gradient
        if dtype != np.float64:
            size = cut + SINGLE * float(np.sqrt(self.sigma @ (moves * moves)))
            off = self._noise(shares) + size * problem.length
        moved, rounding = self._moved(z, theta + moves)
        if travelled > 0.0:
            away, lost = theta + moves + problem.loss.slope(z, self.y), self.blurred(travelled)
            moved += lost * float(np.sqrt(self.sigma @ (away * away))) + problem.loss.curvature_bound * lost**2
        return max(moved + self._missed(v, left, self.sigma * theta, off), 0.0) + rounding
