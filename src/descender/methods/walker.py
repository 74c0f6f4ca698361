"""A point of a problem that walks down in a metric, and what is known where it stands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Vector
from descender.costs.losses import SquaredError
from descender.methods.centred import Centred
from descender.methods.lbfgs import Pairs
from descender.methods.metrics import Corrected, Dense, Diagonal, Metric, Products
from descender.methods.proximal import proximal_step
from descender.methods.reads import Reading

DAMPING = 0.02
"""What is added to the diagonal of a proximal model, as a share of it, after a step that was too long."""
MEMORY = 15
"""Steps that correct a metric."""
NOISE = {4: 1e-7, 8: 1e-15}
"""The share of a cost that its summation may lose, by the bytes of a number."""


class Walker:
    """A point of a problem that walks down in a metric with L-BFGS corrections, or proximally with an l1 penalty."""

    def __init__(self, problem: Centred, v: Vector, l1: float):
        self.problem, self.v, self.l1 = problem, v, l1
        self.quadratic = problem.loss is SquaredError and l1 == 0
        self.reads = 0
        self.reading = self._read(v)
        self.pairs = Pairs(MEMORY)
        self.metric: Metric = Diagonal(np.ones(len(v)))
        self.hessian: NDArray | None = None
        self.damping = 0.0
        self.decrement = np.inf
        self.step: Vector | None = None

    @property
    def value(self) -> float:
        """The cost with its l1 part."""
        return self.reading.value + self.rough(self.v)

    def rough(self, v: Vector) -> float:
        """The l1 penalty."""
        return self.l1 * float(np.abs(v[: self.problem.d]).sum())

    def learn(self, H: NDArray, jitter: float = 1e-14) -> None:
        """Take the metric from a Hessian."""
        self.hessian, self.metric = H, Dense(H, jitter)
        self.pairs.pairs.clear()

    def learn_products(self, metric: Products) -> None:
        """Take the metric from products with some rows."""
        self.hessian, self.metric = None, metric
        self.pairs = Pairs(MEMORY)

    def learn_diagonal(self, curvatures: Vector, pairs: Pairs | None = None) -> None:
        """Take the metric from one curvature for each coordinate, of whatever scale, and `pairs` of another walk."""
        self.hessian, self.metric = None, Diagonal(curvatures, least=0.0)
        self.pairs = Pairs(MEMORY) if pairs is None else pairs

    def solve(self, g: Vector) -> Vector:
        """The inverse of the metric times g, with what the walk has taught; a diagonal is scaled by the last step."""
        if isinstance(self.metric, Diagonal):
            return Corrected(self.metric, self.pairs).solve(g)
        return self.pairs.solve(g, self.metric.solve)

    def look(self) -> float:
        """The next step, and half of what its model promises: the decrement."""
        if self.l1 > 0:
            assert self.hessian is not None
            strengths = np.where(np.arange(len(self.v)) < self.problem.d, self.l1, 0.0)
            gradient = self.reading.gradient
            self.step, self.decrement = proximal_step(self.v, gradient, self.hessian, strengths, self.damping)
        else:
            g = self.reading.gradient
            self.step = -self.solve(g)
            self.decrement = -0.5 * float(g @ self.step)
            if self.decrement < 0:
                self.pairs.pairs.clear()
                self.step = -self.metric.solve(g)
                self.decrement = -0.5 * float(g @ self.step)
        return self.decrement

    def prove(self) -> None:
        """Read the rows again where it stands, exactly."""
        self.reading = self._read(self.v, exact=True)

    def move(self, exact: bool = False) -> bool:
        """Take the step that :meth:`look` found, shortened where it does not lower the cost; False if none does."""
        assert self.step is not None
        with np.errstate(all="ignore"):
            t, trial = 1.0, self._read(self.v + self.step, exact)
            if self.quadratic and not exact:
                t, trial = self._lowest(trial)
            if not self._lower(trial, self.v + t * self.step, t):
                t = self._shorten(trial)
                if t == 0.0:
                    return False
                trial = self._read(self.v + t * self.step, exact)
                if not self._lower(trial, self.v + t * self.step, t):
                    return False
        self.damping = self.damping / 3.0 if t == 1.0 else max(3.0 * self.damping, DAMPING)
        s = t * self.step
        self.pairs.add(s, trial.gradient - self.reading.gradient)
        self.v, self.reading, self.step = self.v + s, trial, s
        return True

    def _read(self, v: Vector, exact: bool = False) -> Reading:
        self.reads += 1
        return self.problem.read(v, exact)

    def _lowest(self, trial: Reading) -> tuple[float, Reading]:
        """The lowest point of a quadratic on the line between two readings, which tell all about it."""
        here, step = self.reading, self.step
        assert step is not None
        falls, at_end = float(here.gradient @ step), float(trial.gradient @ step)
        t = falls / (falls - at_end) if at_end != falls else 1.0
        if not 0.2 < t < 5.0:
            return 1.0, trial
        gradient = here.gradient + t * (trial.gradient - here.gradient)
        value = here.value + t * falls + 0.5 * t * t * (at_end - falls)
        return t, Reading(value, gradient, here.scores + t * (trial.scores - here.scores))

    def _lower(self, trial: Reading, v: Vector, t: float) -> bool:
        """Whether the cost is lower: for sure where the slope along the step has not turned, as the cost is convex."""
        assert self.step is not None
        if self.l1 == 0 and float(trial.gradient @ self.step) <= 0.0 and np.isfinite(trial.value):
            return True
        exact = trial.scores.dtype == self.reading.scores.dtype == np.float64
        noise = NOISE[8 if exact else 4] * abs(self.value)
        return trial.value + self.rough(v) <= self.value - 2e-4 * t * self.decrement + noise

    def _shorten(self, trial: Reading) -> float:
        """The best share of the step, by the scores that are known at both of its ends: no reading is needed."""
        z, dz = self.reading.scores, trial.scores - self.reading.scores
        assert self.step is not None
        if not np.isfinite(dz).all():
            return 1e-3
        best, lowest = 0.0, self.problem.value_at(z, self.v) + self.rough(self.v)
        t = min(0.5, self.problem.loss.largest_move / max(float(np.abs(dz).max(initial=0.0)), 1e-300))
        for _ in range(40):
            v = self.v + t * self.step
            value = self.problem.value_at(z + t * dz, v) + self.rough(v)
            if np.isfinite(value) and value < lowest:
                best, lowest = t, value
            elif best > 0.0:
                break
            t *= 0.6
        return best
