r"""Dual coordinate ascent: risks with l2 on sparse rows of many columns, one row and one number at a time.

For weights :math:`\sigma_i` of the rows in the mean, the dual problem

.. math::

    \max_\theta \; -\sum_i \sigma_i \ell_i^*(-\theta_i) - \frac{\lambda_2}{2} |w|^2,
    \qquad w = \frac{1}{\lambda_2} \sum_i \sigma_i\theta_i x_i,

has one number for each row, and one of them at a time is moved to its best value, which needs one row.  Rows are packed
once in random order, and read in buckets, themselves in random order.  What an epoch meets tells the gap: each row adds
:math:`\ell(z) + \ell^*(-\theta) + \theta z` as it is visited; a point is certified only where the fall of that sum says
that it will do.  Where the loss is piecewise linear, rows that rest at an end of their interval are left out until the
others have settled.

A free intercept asks for :math:`\sum_i \sigma_i\theta_i = 0`: a constant column with a small square holds part of the
intercept and a multiplier the rest, which takes over what the column holds after each epoch.

C.-J. Hsieh, K.-W. Chang, C.-J. Lin, S. S. Keerthi, S. Sundararajan, *A dual coordinate descent method for large-scale
linear SVM*, ICML 2008; H.-F. Yu, F.-L. Huang, C.-J. Lin, *Dual coordinate descent methods for logistic regression and
maximum entropy models*, 2011; S. Shalev-Shwartz, T. Zhang, *Stochastic dual coordinate ascent methods for regularized
loss minimization*, JMLR 2013; T. Parnell and others, *Snap ML* (buckets), 2018; M. Hestenes, *Multiplier and gradient
methods*, 1969.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender.costs.certificate import Certificate, balanced, best_shift, cost_scale, proved
from descender.costs.cost import Cost, Vector
from descender.costs.losses import parameters
from descender.costs.risk import Risk
from descender.kernels import dual as kernel
from descender.kernels.dual import ascend_box, ascend_smooth, compiled
from descender.methods.ending import ending
from descender.methods.method import Block, Budget, Method, one_step
from descender.methods.packed import Packed, bucketed, canonical, needs_double

CONSTANT = 0.03
"""The square of the constant column, as a share of the mean square of a row.  On text the gap after seven epochs was
5e-6, 5e-7, 3e-6 and 1e-4 with 0.01, 0.03, 0.1 and 0.3."""
SOME, MANY = 16, 20_000
"""One row in so many tells the gap of an epoch, where rows are many."""
LONGEST, SETTLED, SOON, EARLY = 50, 0.1, 0.4, 5
"""Epochs without the rows at rest, at most; they come back when the largest slope of the others has fallen by this
factor: by the second in the first few rounds, which takes a third of the time off a gap of 1e-2 or 1e-4 on text; later
the multiplier of the intercept wants rounds that settle."""
PATIENCE = 50
"""Epochs without a visible fall of the gap after which it is put to the proof, whatever is expected."""
OPTIMISM = 2.0
"""The gap after an epoch over that before it times its share of the one before: 1.3 to 2.5 on text, whatever l2."""
MOST_AHEAD, SURE = 60.0, 5
"""Epochs ahead at which another method is taken, and the epochs after which they can be told.  Text with kappa 25 takes
0.9 s in 79 epochs, and with kappa 250 2.0 s to 1e-6 if L-BFGS goes on after 15 epochs, 4.7 s if it begins."""
DOUBT = 30.0
"""The most that a failed proof makes the next one wait for."""
FARTHEST = 30.0
"""How many times what the constant column holds one step of the multiplier may be."""
SINGLE = 1e-7
"""What is asked for may be below this only in double precision."""


def conditioning(risk: Risk) -> float:
    r"""How much one row bends the dual against all of l2: :math:`\kappa = R^2 L / (n \lambda_2)`.

    R^2 is the mean square of a row and L the largest curvature of the loss, infinite for one that is not bounded or
    whose dual is no coordinate ascent here.
    """
    if risk.l2 == 0 or (risk.loss.dual_curvature is None and not np.isfinite(risk.loss.curvature_bound)):
        return np.inf
    values = risk.X.data if risk.sparse else risk.X.ravel()
    with np.errstate(over="ignore"):
        square = float(np.dot(values, values)) / len(risk.y)
    return square * risk.loss.curvature_bound / (risk.denominator * risk.l2)


class Met(NamedTuple):
    """What an epoch met: the gap and the cost before it, as some of the rows tell, and how often rows were read."""

    gap: float
    cost: float
    reads: float


class Ascent:
    """A point theta of the dual and the weights that belong to it, over the rows that weigh, in random order."""

    def __init__(self, risk: Risk, start: Vector, rng: np.random.Generator, double: bool):
        self.rng, self.X = rng, canonical(risk.X)
        s = np.ones(len(risk.y)) if risk.sample_weight is None else risk.sample_weight
        self.order = rng.permutation(np.flatnonzero(s > 0)).astype(np.uint32)
        self.risk = risk.for_rows(self.order)
        self.y, self.sigma, self.loss = self.risk.y, s[self.order] / risk.denominator, risk.loss
        self.kinks = self.loss.dual_curvature == 0.0
        self.share, (self.low, self.high) = self.sigma / risk.l2, risk.loss.dual_range(self.y)
        self.pack(double)
        self.table = self.tabulate()
        self.theta, self.visited = self.table[:, kernel.THETA], self.table[:, kernel.SCORE]
        self.constant = CONSTANT * float(self.packed.squares.mean()) if risk.intercept else 0.0
        self.b = np.zeros(2)
        if risk.intercept:
            self.b[0] = start[-1] or risk.loss.trivial(self.y, self.sigma)
        self.theta[:] = self.begin(start)
        self.rounds, self.before = 0, (float(self.b[0]), 0.0)
        self.refresh()

    def pack(self, double: bool) -> None:
        """Pack the rows, in single precision unless `double` and they have more."""
        kind = np.float64 if double else np.float32
        self.exact = double or self.X.dtype == np.float32
        self.packed = Packed(self.X, self.order, self.X.dtype if self.exact else kind)
        # where thetas rest at their ends, rounding of the weights is all that is left of a round
        self.w = np.zeros(self.risk.n_features, np.float64 if self.kinks else kind)

    def tabulate(self) -> NDArray:
        """What the loops keep of each row."""
        table = np.zeros((len(self.y), 8))
        c = self.loss.dual_curvature
        table[:, kernel.TARGET] = self.y if c is None else self.loss.dual(np.ones_like(self.y), self.y) + 0.5 * float(c)
        table[:, kernel.LOW], table[:, kernel.HIGH], table[:, kernel.SHARE] = self.low, self.high, self.share
        table[:, kernel.SQUARE], table[:, kernel.KNOWN] = self.packed.squares, np.nan
        return table

    def sharpen(self) -> bool:
        """Go on in double precision; False if that is so already."""
        if self.packed.rows[2].dtype == self.X.dtype and self.w.dtype == np.float64:
            return False
        self.pack(double=True)
        self.table[:, kernel.SQUARE] = self.packed.squares
        self.refresh()
        return True

    def refresh(self) -> None:
        """The weights, and what the constant column holds, anew from theta: rounding does not add up."""
        self.w[:] = self.weights(self.theta) if self.theta.any() else 0.0
        self.b[1] = self.constant * float(self.share @ self.theta)

    def begin(self, start: Vector) -> NDArray:
        """Where theta begins: at zero, or for a start that is not zero at the best multiple of minus its slopes."""
        if not start[: self.risk.n_features].any():
            return np.clip(np.zeros(len(self.y)), self.low, self.high)
        w, b = self.risk.split(start)
        natural = np.clip(-self.loss.slope(self.scores(w) + b, self.y), self.low, self.high)
        size = 0.5 * self.risk.l2 * float(np.sum(self.weights(natural) ** 2))
        heights = [(self.height(t * natural) - t * t * size, t) for t in (1.0, 0.5, 0.2, 0.05, 0.0)]
        return max(heights)[1] * natural

    def scores(self, w: NDArray) -> NDArray:
        """x·w of the rows, in float64."""
        return self.packed.scores(w) if self.exact else (self.X @ w)[self.order]

    def spread(self, factors: NDArray) -> NDArray:
        """The sum of the rows times their factors, in float64."""
        if self.exact:
            return self.packed.spread(factors)
        of_all = np.zeros(self.X.shape[0])
        of_all[self.order] = factors
        return self.X.T @ of_all

    def weights(self, theta: NDArray) -> NDArray:
        """The weights that belong to a theta."""
        return self.spread(self.share * theta)

    def height(self, theta: NDArray) -> float:
        """The dual objective without its penalty."""
        return float(self.sigma @ self.loss.dual(theta, self.y))

    @property
    def point(self) -> Vector:
        """The parameters."""
        return self.risk.join(self.w, self.b.sum())

    def round(self) -> Met:
        """An epoch over all rows, then epochs over those that still move until they settle; what the first met."""
        some = slice(None, None, SOME if len(self.y) >= MANY else 1)
        before, size = self.theta[some].copy(), 0.5 * self.risk.l2 * float(self.w @ self.w)
        self.rounds += 1
        moving, largest = self.epoch(np.arange(len(self.y), dtype=np.uint32), np.inf)
        z, y, sigma = self.visited[some], self.y[some], self.sigma[some]
        values, reads, first = self.loss.value(z, y), 1.0, largest
        gap = float(sigma @ (values - self.loss.dual(before, y) + before * z))
        if self.kinks:
            settled = (SOON if self.rounds <= EARLY else SETTLED) * first
            for _ in range(LONGEST):
                if self.rounds == 1 or not len(moving) or largest <= settled:
                    break
                reads += len(moving) / len(self.y)
                moving, largest = self.epoch(np.sort(moving), largest)
        off = self.risk.l2 * self.b[1] ** 2 / self.constant if self.constant > 0.0 else 0.0
        self.balance()
        whole = float(self.sigma.sum() / sigma.sum())
        return Met(whole * gap + off, whole * float(sigma @ values) + size, reads)

    def balance(self) -> None:
        """A step of the multiplier, from the second round: by what the constant column holds.

        Where rounds settle, as with kinks, by as much as a secant of the last two says.
        """
        here, held = float(self.b[0]), float(self.b[1])
        factor = 0.0 if self.rounds == 1 else 1.0
        if self.kinks:
            fall = self.before[1] - held
            factor = min(max((here - self.before[0]) / fall if fall != 0.0 else 1.0, 1.0), FARTHEST)
            self.before = (here, held)
        self.b[0] += factor * held

    def epoch(self, rows: NDArray, slack: float) -> tuple[NDArray, float]:
        """One pass over some rows in random order; those that still move, and the largest slope among them."""
        order, loss = bucketed(rows, self.rng), self.loss
        given = (self.packed.rows, order, self.table)
        if loss.dual_curvature is None:
            compiled(ascend_smooth, loss)(*given, parameters(loss), self.constant, self.w, self.b)
            return rows, np.inf
        c = float(loss.dual_curvature)
        kept, largest = compiled(ascend_box)(*given, c, self.constant, self.w, self.b, slack)
        return order[:kept], largest

    def look(self, scale: float) -> Look:
        """The point with its best intercept, and the proof of its distance from the bottom.

        A smooth walk goes on from there: rounding does not add up, and the multiplier has what the column held.
        """
        risk, loss, sigma = self.risk, self.loss, self.sigma
        theta = balanced(self.theta, sigma) if risk.intercept else self.theta
        shift, w = float(self.b.sum()), self.weights(theta)
        if not self.kinks:  # which want their thetas at the ends of their intervals
            self.theta[:], self.b[:], self.w[:] = theta, (shift, 0.0), w
        z, size = self.scores(w), 0.5 * risk.l2 * float(w @ w)
        if risk.intercept:
            shift = best_shift(risk, z, shift, steps=100 if self.kinks else 1)
        z += shift
        value = float(sigma @ loss.value(z, self.y)) + size
        found = proved(value, value - (self.height(theta) - size), scale)
        return Look(risk.join(w, shift), found, z)

    def gradient(self, seen: Look) -> Vector:
        """The gradient at a point that was looked at."""
        r, (w, _) = self.sigma * self.loss.slope(seen.scores, self.y), self.risk.split(seen.point)
        return self.risk.join(self.spread(r) + self.risk.l2 * w, float(r.sum()))


class Look(NamedTuple):
    """A point, its certificate, and its scores."""

    point: Vector
    found: Certificate
    scores: NDArray


@dataclass(frozen=True)
class DualAscent:
    """Dual coordinate ascent with l2; no rate to choose, and a certificate.

    Where the epochs that lie ahead, as the fall of the gap foretells them, are too many, `otherwise` goes on.
    """

    tol: float = 1e-6
    max_epochs: int = 20_000
    otherwise: Method | None = None
    name: str = "dual coordinate ascent"

    def blocks(self, cost: Cost, w: Vector, rng: np.random.Generator, budget: Budget) -> Iterator[Block]:
        """Walk to the bottom."""
        assert isinstance(cost, Risk)
        ascent = Ascent(cost, w, rng, needs_double(cost.X) or self.tol < SINGLE)
        scale, n, start = cost_scale(cost), cost.n_samples or 0, w
        gaps: list[float] = []
        waiting, epochs, optimism = 0, 0.0, OPTIMISM
        while True:
            met = ascent.round()
            epochs += met.reads
            point = ascent.point
            # the slope of a cost with kinks does not vanish at the bottom, and a gradient is another reading
            log = one_step(met.cost, np.nan, float(np.linalg.norm(point - w)), np.nan, 1)
            yield Block(log, point, int((met.reads + 1) * n), w[None, :])
            w, target = point, self.tol * max(abs(met.cost), scale / 1000.0)
            waiting = 0 if met.gap < 0.9 * min(gaps, default=np.inf) else waiting + 1
            gaps.append(met.gap)
            expected = optimism * gaps[-1] * min(gaps[-1] / max(gaps[-2:][0], 1e-300), 1.0)
            tired = waiting >= PATIENCE or epochs >= self.max_epochs
            if self.otherwise is not None and epochs_ahead(gaps, target) > MOST_AHEAD:
                seen = ascent.look(scale)
                better = seen.found.value <= cost.value(start)
                yield from self.otherwise.blocks(cost, seen.point if better else start, rng, budget)
                return
            if expected > target and not tired:
                continue
            seen = ascent.look(scale)
            w, found = seen.point, seen.found
            if found.relative <= self.tol or epochs >= self.max_epochs or (tired and not ascent.sharpen()):
                yield ending(cost, self.tol, w, found, final=(found.value, ascent.gradient(seen)))
                return
            waiting = 0
            optimism *= min(max(1.0, found.gap / max(expected, 1e-300)), DOUBT)


def epochs_ahead(gaps: list[float], target: float) -> float:
    """How many more epochs it takes to a gap, as the last few have fallen; 0 before that is known."""
    if len(gaps) < SURE or gaps[-1] <= target:
        return 0.0
    fall = (gaps[-1] / gaps[-SURE]) ** (1.0 / (SURE - 1))
    return float(np.log(gaps[-1] / target) / -np.log(fall)) if fall < 1.0 else np.inf
