"""A point that walks down by Newton's steps on a small risk: when its curvatures are taken anew, how far a step goes.

The model of a step is a quadratic, solved by a factor of its matrix; :mod:`descender.methods.proximal_newton` adds the
l1 penalty to it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotrs

from descender.costs.losses import SquaredError
from descender.methods.method import Block, Later, Log
from descender.methods.metrics import Dense
from descender.methods.row_curvatures import FLAT
from descender.methods.standard import Point, Standard, Trail, diagonal

KEPT = 0.03
"""What share of a decrement a step with the last Hessian may leave for it to be kept: another costs four looks."""
QUICK = 1_000_000
"""Products in a Hessian up to which the calls cost most of it, and it is taken at every step but the last."""
FIRST = 0.1
"""A relative decrement above which a step leaves too much for its Hessian to be kept."""
SETTLED, SETTLED_JUMPS, AT_REST = 1e-6, 1e-9, 1e-3
"""A relative decrement from which on, the second where curvatures jump, a Hessian that leaves more than this share of
it is renewed, once: the next one leads to rounding."""
AHEAD = 3
"""Steps with the same Hessian that may lie ahead; of more, two or three with a new one take the place."""
ROUGH, ROUNDED, ROWS_A_COLUMN, FEW = 1e-6, 1e-7, 2, 10_000
"""A relative decrement above which the Hessian is summed in float32, in two thirds of the time; what that may lose of
its diagonal; the rows a column from which on it is more than the penalty and rounding; numbers up to which nothing is
gained."""
NOISE, MOST_IDLE, MOST_HUSHED = 1e-15, 3, 20
"""The share of a cost that its summation may lose; steps within it that do not halve the decrement end a walk, and so
many cautious ones within it."""
FALLEN, LEAST_SHARE, LARGEST_SHARE = 0.1, 0.1, 4.0
"""The share of the slope along a step that may be left at its end, or have turned; how far it is followed where more
is."""
TURNED = 0.8
"""The share of the slope along a step up to which it may have turned at the end of one whose gain rounding hides."""
TOLD = 1e-12
"""A decrement, as a share of the cost, below which rounding hides how much lower a step led."""
MOST_STEPS = 1000


class NewtonWalk:
    """A point that walks down, and what the log says of its steps."""

    sees_curvature = True
    """Whether a gap that is far larger than what a model promises tells that it sees too little curvature."""
    noise = NOISE
    """The share of a cost below which what a model promises may be rounding."""

    @np.errstate(all="ignore")
    def __init__(self, problem: Standard, scale: float, V: NDArray, far: float):
        self.problem, self.scale, self.quadratic = problem, scale, problem.loss is SquaredError
        self.log: list[tuple[Point, float]] = []
        self.steps = self.told = self.idle = self.hushed = 0
        self.decrement = self.best = self.renewed = np.inf
        self.metric: Any = None
        self.bend = 0.0
        self.aimed = self.near = False
        self.goal = 0.0
        self.step = np.zeros_like(V)
        # where curvatures jump from row to row each step has another Hessian
        self.jumps = problem.loss.dual_curvature is not None
        self.settled = SETTLED_JUMPS if self.jumps else SETTLED
        tall = problem.n >= ROWS_A_COLUMN * len(problem.X) and problem.X.size > FEW
        self.rough, self.fits_rough = False, tall and not self.jumps
        self.quick = problem.X.size * len(problem.X) <= QUICK and not (problem.several or self.quadratic)
        self._stand(problem.look(V))
        self._start_better(far)

    def _stand(self, here: Point) -> None:
        """Where the walk is, and what gaps are relative to."""
        self.here, self.unit, self.aimed = here, max(abs(here.value), self.scale / 1000.0), False

    def block(self) -> Block:
        """The steps since the last block."""
        units, costs = self.problem.units, [point.value for point, _ in self.log]
        trail = Trail(units, [(point.V, point.G, point.value, t) for point, t in self.log], self.here.V)
        self.log, self.told, w = [], self.steps, units.leave(self.here.V)
        return Block(Log(costs, trail.log), w, self.problem.n, Later((len(costs), len(w)), trail.path))

    def done(self, goal: float) -> bool:
        """Whether no more than the share `goal` of the cost is promised."""
        return self.decrement <= goal * self.unit

    @property
    def lost(self) -> bool:
        """Whether what is promised is within rounding and grows no less."""
        return self.idle >= MOST_IDLE and self.decrement < self.noise * self.unit

    def foretold(self) -> float:
        """The gap that a proof will find here, as far as that is known without it."""
        return self.problem.foretold(self.here, self.bend)

    @np.errstate(all="ignore")
    def descend(self, goal: float, near: float, most: float) -> None:
        """Take steps until :meth:`done`, :meth:`lost`, none that lowers the cost is found, or the log holds `most`.

        Or until a proof will show a gap of at most the share `near` of the cost, which is seen without another step.
        """
        self.goal = goal
        while len(self.log) < most and self.steps < MOST_STEPS:
            self.near = self.metric is not None and near > NOISE and self.foretold() <= near * self.unit
            if self.near:
                return
            if not self.aimed:
                self._aim()
            if self.done(goal) or self.lost or not self._move():
                return

    @np.errstate(all="ignore")
    def move_cautiously(self) -> bool:
        """Take a step by the largest curvatures that the loss can have; the one after it has its own Hessian.

        Few of them may promise no more than rounding.
        """
        self._aim(cautious=True)
        self.metric = None
        self.hushed += not self.decrement > NOISE * self.unit
        return self.hushed <= MOST_HUSHED and self._move()

    def _move(self) -> bool:
        """Take the step, as far as the slope falls along it and the cost is lower."""
        here, t = self.here, 1.0
        there = self.problem.look(here.V + self.step)
        slope = float(self.problem.inner(there.G, self.step))
        if self._lower(there, t, slope):
            if not self.quadratic:
                t, there = self._further(there, slope)
        else:
            t = self._share(there)
            there = self.problem.look(here.V + t * self.step)
            if t == 0.0 or not self._lower(there, t, float(self.problem.inner(there.G, self.step))):
                return self._exactly()
        self.log.append((here, t))
        self._stand(there)
        self.steps += 1
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
        if self.here.value > far * self.scale and not problem.several and problem.risk.intercept:
            V[-1] = problem.loss.trivial(problem.y, problem.sigma)
            if not self.here.value <= far * problem.value(V[-1:], V):
                self.log.append((self.here, 1.0))
                self._stand(problem.look(V))
                self.steps += 1

    def _aim(self, cautious: bool = False) -> None:
        """The next step, and half of what its model promises."""
        before = self.decrement
        far = before > (self.settled if self.quick else FIRST) * self.unit and not self.quadratic
        fresh = self.metric is None or cautious or far
        if fresh:
            self._renew(cautious)
        self._promise()
        if not (fresh or self.quadratic) and self._stale(before):
            self._renew()
            self._promise()
        self.best, self.idle = (self.decrement, 0) if self.decrement < 0.5 * self.best else (self.best, self.idle + 1)
        self.aimed = True

    def _relative(self) -> float:
        return self.decrement / self.unit if self.unit > 0 else 0.0

    def _renew(self, cautious: bool = False) -> None:
        """Take the curvatures here."""
        relative = self._relative()
        self.rough = self.fits_rough and relative > ROUGH and not cautious
        H = self.problem.hessian(self.here, FLAT * min(1.0, relative), cautious, self.rough)
        self.bend, self.renewed = float(H[-1, -1]), self.decrement
        self._learn(H, ROUNDED if self.rough else 1e-14)

    def _learn(self, H: NDArray, jitter: float) -> None:
        """Take a matrix of curvatures, of which the share `jitter` of the diagonal is rounding."""
        self.metric = Factor.of(H, jitter) or Dense(H, jitter)

    def _promise(self) -> None:
        """The step to the minimum of the model, and half of what that promises."""
        G = self.here.G
        towards = self.metric.solve(G.ravel())
        self.decrement = 0.5 * float(towards.dot(G.ravel()))
        self.step = -towards.reshape(G.shape)

    def _stale(self, before: float) -> bool:
        """Whether the last step left so much of the decrement `before` it that another Hessian pays."""
        if self._relative() > self.settled:
            return self.jumps or self.decrement > KEPT * before
        if self.done(self.goal) or not self._relative() > NOISE:
            return False
        known = self.renewed <= self.settled * self.unit and self.decrement < 0.5 * self.best
        if self.decrement > AT_REST * before and not known:
            return True
        kept = min(self.decrement / max(before, 1e-300), 1.0)
        return self.decrement * kept**AHEAD > self.goal * self.unit

    def _lower(self, there: Point, t: float, slope: float) -> bool:
        """Whether the cost is lower: for sure where the slope along the step has not turned, as the cost is convex.

        Where rounding hides that, a slope that has turned to a part of what it was tells it: the approximate condition
        of Wolfe (W. Hager, H. Zhang, *A new conjugate gradient method with guaranteed descent*, 2005, eq. 4.1).
        """
        if not math.isfinite(there.value):
            return False
        rise = there.value - self.here.value
        promised = 2e-4 * t * self.decrement - NOISE * abs(self.here.value)
        hidden = rise <= NOISE * self.scale and slope <= TURNED * 2.0 * self.decrement
        return slope <= 0.0 or rise <= -promised or hidden

    def _further(self, there: Point, slope: float) -> tuple[float, Point]:
        """From the end of a whole step, if its slope has not fallen to about zero, to where a cubic is lowest."""
        first = -2.0 * self.decrement
        if not abs(slope) > -FALLEN * first or self.decrement < TOLD * abs(self.here.value):
            return 1.0, there
        t = min(max(cubic_minimum(there.value - self.here.value, first, slope), LEAST_SHARE), LARGEST_SHARE)
        further = self.problem.look(self.here.V + t * self.step)
        return (t, further) if further.value < there.value else (1.0, there)

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


def cubic_minimum(rise: float, first: float, last: float) -> float:
    """Where a cubic that begins with the slope `first`, below 0, and at 1 has risen by `rise` to `last`, is lowest.

    Infinite where it goes down for ever.

    >>> cubic_minimum(-0.5, -1.0, 0.0), cubic_minimum(-0.75, -1.0, -0.5), cubic_minimum(-1.0, -1.0, -1.0)
    (1.0, 2.0, inf)
    """
    cubed = 3.0 * (first + last - 2.0 * rise)
    squared = last - first - cubed
    bend = squared * squared - 4.0 * cubed * first
    below = squared + math.sqrt(bend) if bend >= 0.0 else 0.0
    return -2.0 * first / below if below > 0.0 else math.inf


class Factor(NamedTuple):
    """A matrix of curvatures by its Cholesky factor as it is, which no scale of a column makes less exact."""

    lower: NDArray

    @classmethod
    def of(cls, H: NDArray, jitter: float) -> Factor | None:
        """With the share `jitter` of each diagonal added to it; None where it is singular to rounding."""
        diagonal(H)[:] *= 1.0 + jitter
        lower, failed = dpotrf(H.T, lower=1, clean=0)  # without a turned copy, as H is its own transpose
        return None if failed else cls(lower)

    def solve(self, g: NDArray) -> NDArray:
        """The inverse times g."""
        return dpotrs(self.lower, g, lower=1)[0]
