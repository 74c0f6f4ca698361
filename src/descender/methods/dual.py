r"""Dual coordinate ascent: hinge and quantile with l2 on rows of many columns.

With :math:`\ell_i(z) = \max_{l_i \le \theta \le h_i} \theta\,(t_i - z)` the dual problem is a quadratic in a box,

.. math::

    \max_{l \le \theta \le h} \sum_i \sigma_i\theta_i t_i
    - \frac{1}{2\lambda_2} \Bigl|\sum_i \sigma_i\theta_i x_i\Bigr|^2,
    \qquad w = \frac{1}{\lambda_2} \sum_i \sigma_i\theta_i x_i,

and one theta at a time is moved to its best value, which needs one row.  Rows that rest at an end of their interval
are left out until the others have settled.  A free intercept asks for :math:`\sum_i \sigma_i\theta_i = 0`: a constant
column with a small square holds part of the intercept and a multiplier the rest, which takes a secant step each time
the rows have settled.

C.-J. Hsieh, K.-W. Chang, C.-J. Lin, S. S. Keerthi, S. Sundararajan, *A dual coordinate descent method for large-scale
linear SVM*, ICML 2008; M. Hestenes, *Multiplier and gradient methods*, 1969.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from descender.costs.certificate import best_shift, certificate, cost_scale, relative_gap
from descender.costs.cost import Cost, Vector
from descender.costs.risk import Risk
from descender.kernels.dual import compiled
from descender.methods.ending import ending
from descender.methods.method import Block, Budget, one_step

CONSTANT, FARTHEST = 0.1, 30.0
"""The square of the constant column, as a share of the mean square of a row; and how many times what it holds one
step of the multiplier may be."""
SHORT, LONGEST, SETTLED = 3, 50, 0.1
"""Epochs before rows are left out; epochs without them, at most; they come back when the largest slope of the others
has fallen by this factor."""
PATIENCE = 60
"""Looks at the whole without progress after which the arithmetic, or the problem, allows no more."""


class Ascent:
    """A point theta of the dual and the weights that belong to it."""

    def __init__(self, risk: Risk):
        self.risk, X = risk, risk.X
        self.sigma = (np.ones(len(risk.y)) if risk.sample_weight is None else risk.sample_weight) / risk.denominator
        self.low, self.high = risk.loss.dual_range(risk.y)
        self.t = risk.loss.dual(np.ones(len(risk.y)), risk.y)
        self.squares = np.asarray(X.multiply(X).sum(axis=1)).ravel() if risk.sparse else np.einsum("ij,ij->i", X, X)
        self.squares = self.squares.astype(np.float64)
        self.constant = CONSTANT * float(self.squares.mean()) if risk.intercept else 0.0
        self.before = (0.0, 0.0)
        self.rows = (X.indptr, X.indices, X.data) if risk.sparse else X
        self.ascend = compiled("sparse" if risk.sparse else "dense")
        self.theta, self.b = np.clip(np.zeros(len(risk.y)), self.low, self.high), np.zeros(2)
        self.w = np.zeros(risk.n_features)
        self.weighing = np.flatnonzero(self.sigma > 0)

    def epoch(self, order: NDArray, slack: float) -> tuple[int, float]:
        """One pass over some rows; how many of them still move, and the largest slope among them."""
        share, d = self.sigma / self.risk.l2, self.risk.n_features
        return self.ascend(
            self.rows, order, self.t, self.low, self.high, share, self.squares, self.constant,
            self.w, self.theta, self.b, slack, d,
        )  # fmt: skip

    def balance(self) -> None:
        """A step of the multiplier: by what the constant column holds, or as a secant of the last two says."""
        if self.constant > 0.0:
            here, held = float(self.b[0]), float(self.b[1])
            fall = self.before[1] - held
            factor = (here - self.before[0]) / fall if fall != 0.0 else 1.0
            self.before = (here, held)
            self.b[0] += held * min(max(factor, 1.0), FARTHEST)

    def refresh(self) -> None:
        """The weights anew from theta: rounding does not add up."""
        self.w = np.asarray(self.risk.X.T @ (self.sigma * self.theta), dtype=np.float64) / self.risk.l2
        self.b[1] = self.constant * float(self.sigma @ self.theta) / self.risk.l2

    def look(self) -> tuple[Vector, float, float]:
        """The parameters with their best intercept, their cost, and its distance from the dual objective."""
        risk, scores = self.risk, np.asarray(self.risk.X @ self.w, dtype=np.float64)
        shift = best_shift(risk, scores) if risk.intercept else 0.0
        size = risk.l2 * float(self.w @ self.w)
        value = float(self.sigma @ risk.loss.value(scores + shift, risk.y)) + 0.5 * size
        gap = value - float(self.sigma @ risk.loss.dual(self.theta, risk.y)) + 0.5 * size
        return risk.join(self.w, shift), value, gap


@dataclass(frozen=True)
class DualAscent:
    """Dual coordinate ascent with l2; no rate to choose, and a certificate."""

    tol: float = 1e-6
    max_epochs: int = 20_000
    name: str = "dual coordinate ascent"

    def blocks(self, cost: Cost, w: Vector, rng: np.random.Generator, budget: Budget) -> Iterator[Block]:
        """Walk to the bottom; from theta = 0, wherever `w` is."""
        assert isinstance(cost, Risk)
        ascent, n, scale = Ascent(cost), cost.n_samples or 0, cost_scale(cost)
        value, before, epochs = cost.value(w), w, 0.0
        lowest, waiting, goal = np.inf, 0, 0.5 * self.tol
        while True:
            reads = self._round(ascent, rng, short=epochs < SHORT)
            epochs += reads
            point, there, gap = ascent.look()
            step = float(np.linalg.norm(point - before))
            # the slope of such a cost does not vanish at the bottom: it is not worth a reading
            yield Block(one_step(value, np.nan, step, np.nan, 1), point, int((reads + 1) * n), before[None, :])
            value, before = there, point
            waiting = 0 if gap < 0.9 * lowest else waiting + 1
            lowest = min(gap, lowest)
            last = waiting >= PATIENCE or epochs >= self.max_epochs
            if relative_gap(gap, there, scale) <= goal or last:
                ascent.refresh()
                before, value, _ = ascent.look()
                found = certificate(cost, before, ascent.theta)
                assert found is not None
                if found.relative <= self.tol or last:
                    yield ending(cost, self.tol, before, found)
                    return
                goal *= 0.3

    def _round(self, ascent: Ascent, rng: np.random.Generator, short: bool) -> float:
        """An epoch over all rows, then epochs over those that still move until they settle; how many rows were read."""
        order, slack, first, reads = ascent.weighing, np.inf, np.inf, 0.0
        for number in range(LONGEST):
            order = rng.permutation(order)
            moving, largest = ascent.epoch(order, slack)
            reads += len(order) / len(ascent.weighing)
            order, slack = order[:moving], largest
            first = largest if number == 0 else first
            if short or moving == 0 or (number > 0 and largest <= SETTLED * first):
                break
        ascent.balance()
        return reads
