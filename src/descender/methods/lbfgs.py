"""L-BFGS: a Newton step whose curvature is learnt from the walk itself, within bounds where there are any."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Cost, Rows, Vector
from descender.methods.advance import length
from descender.methods.arrival import Arrival, arrive, endless
from descender.methods.bounds import Bounds
from descender.methods.linesearch import Trial, search
from descender.methods.method import Block, Budget, one_step

MAX_IDLE = 5
"""Steps without a visible decrease of J that may follow each other: near the bottom only slopes still improve."""
QUICK = 2e-3
"""A promise below this share of the last decrease tells of a superlinear end; a plateau or a valley has none."""
STILL = 1e-2
"""Share of `tol` below which a promise is small beside J itself, however the walk went."""
ROUNDING = 1e-17
"""Of the decrease of the whole walk; less is not worth a step."""


class Pairs:
    r"""The last few steps s and changes of the gradient y, and the inverse Hessian that they imply.

    Pairs without measured positive curvature, :math:`s\cdot y \le 10^{-12} |s||y|`, and those whose squares
    are no numbers are left out.  `unit` are the units
    of the parameters, 1 unless given, and `factor` is what the cost was multiplied by.  `ratio` is how much longer the
    last y is than it was measured: the scale of the first metric is that of the measured one.
    """

    def __init__(self, memory: int, unit: Vector | None = None):
        self.pairs: deque[tuple[Vector, Vector, float]] = deque(maxlen=memory)
        self.unit, self.factor, self.ratio = unit, 1.0, 1.0

    def add(self, s: Vector, y: Vector, ratio: float = 1.0) -> bool:
        """Remember a step and the change of the gradient over it, and how much longer that is than was measured."""
        sy, yy = float(s @ y), float(y @ y)
        if not sy > 1e-12 * float(np.linalg.norm(s)) * float(np.linalg.norm(y)):
            return False
        if not (1e-300 < sy < 1e300 and 1e-300 < yy < 1e300):  # of which no inverse is a number
            return False
        self.pairs.append((s, y, 1.0 / sy))
        self.ratio = ratio
        return True

    def within(self, free: NDArray[np.bool_]) -> Pairs:
        """The same pairs, of the free parameters alone."""
        part = Pairs(self.pairs.maxlen or len(self.pairs), None if self.unit is None else self.unit[free])
        for s, y, _ in self.pairs:
            part.add(s[free], y[free], self.ratio)
        return part

    def metric(self) -> Callable[[Vector], Vector] | None:
        """The first metric in units of the parameters, scaled by the last pair; None, the default, where all are 1."""
        unit = self.unit
        if not self.pairs or unit is None or (unit == 1.0).all():
            return None
        _, y, rho = self.pairs[-1]
        with np.errstate(over="ignore"):
            curvature = rho * float(y @ (unit**2 * y))
        if not 0.0 < curvature < np.inf:
            return None
        square = self.ratio * unit**2 / curvature
        return lambda q: square * q

    def solve(self, g: Vector, metric: Callable[[Vector], Vector] | None = None) -> Vector:
        r"""The product of the implied inverse Hessian and g: the two-loop recursion around a first metric.

        Without a metric, and where all units are 1, it is :math:`(s\cdot y / y\cdot y)\, I` of the last pair.
        J. Nocedal, *Updating quasi-Newton matrices with limited storage*, 1980.
        """
        q, factors, metric = g.copy(), [], metric or self.metric()
        for s, y, rho in reversed(self.pairs):
            a = rho * float(s @ q)
            q -= a * y
            factors.append(a)
        if metric is not None:
            q = metric(q)
        elif self.pairs:
            _, y, rho = self.pairs[-1]
            q *= self.ratio / (rho * float(y @ y))
        for (s, y, rho), a in zip(self.pairs, reversed(factors), strict=True):
            q += (a - rho * float(y @ q)) * s
        return q


class Scaled(Cost):
    """A cost times a power of two."""

    def __init__(self, cost: Cost, factor: float):
        self.cost, self.factor = cost, factor
        self.names, self.n_samples, self.smooth, self.convex = cost.names, cost.n_samples, cost.smooth, cost.convex

    def value_and_gradient(self, w: Vector, rows: Rows | None = None) -> tuple[float, Vector]:
        """Both, times the factor."""
        value, gradient = self.cost.value_and_gradient(w, rows)
        return value * self.factor, gradient * self.factor

    def hessian(self, w: Vector) -> NDArray[np.floating] | None:
        """Times the factor."""
        H = self.cost.hessian(w)
        return None if H is None else H * self.factor


@dataclass(frozen=True)
class LBFGS:
    r"""Quasi-Newton descent with limited memory and a line search by the strong Wolfe conditions.

    .. math:: p = -H g, \qquad w \leftarrow w + a p

    H is the inverse Hessian that the last `memory` steps imply.  The walk is content when the decrease that its model
    still promises, :math:`\tfrac12 g \cdot H g`, is below `tol` of what the walk gained, and either far below the last
    decrease, or the decreases shrink so fast that their sum to come is below it, too, or it is a hundred times as small
    beside J: tests without a scale, which no plateau passes.  There curvature is looked at: all of it, or if `thrifty`
    only what the cost knows or what takes no more than a tenth of the evaluations of the walk.
    From a saddle or a maximum it goes on downhill.

    Within `bounds` the parameters that stand at a bound and press against it are left out of the model, the step is
    cut to the box, and no point outside it is ever evaluated.

    D. C. Liu and J. Nocedal, *On the limited memory BFGS method for large scale optimization*, 1989; D. Bertsekas,
    *Projected Newton methods for optimization problems with simple constraints*, 1982.
    """

    memory: int = 20
    tol: float = 1e-18
    escapes: int = 20
    bounds: Bounds | None = None
    thrifty: bool = False
    name: str = "L-BFGS"
    draws = False

    def blocks(self, cost: Cost, w: Vector, rng: np.random.Generator, budget: Budget) -> Iterator[Block]:
        """Walk from `w`.  A cost so large or small that squares of its slopes overflow is walked on rescaled."""
        if self.bounds is not None:
            w = self.bounds.project(w)
        value, gradient = cost.value_and_gradient(w)
        largest = float(np.abs(gradient).max(initial=0.0))
        if largest == 0.0 or 1e-100 < largest < 1e100:
            yield from self._walk(cost, w, value, gradient)
            return
        scaled = Scaled(cost, 2.0 ** -min(max(int(np.log2(largest)), -1000), 1000))
        for block in self._walk(scaled, w, value * scaled.factor, gradient * scaled.factor):
            log = np.array(block.log)
            log[:, :2] /= scaled.factor
            final = block.final and (block.final[0] / scaled.factor, block.final[1] / scaled.factor)
            if block.pairs is not None:
                block.pairs.factor = scaled.factor
            yield block._replace(log=log, final=final)

    def _walk(self, cost: Cost, w: Vector, value: float, gradient: Vector) -> Iterator[Block]:
        rows, evaluations = cost.n_samples or 0, 1
        pairs, idle, box = Pairs(self.memory, np.ones(len(w))), 0, self.bounds
        story = Arrival(w, value, self.escapes, self.memory, box, self.thrifty)
        while True:
            slope = gradient if box is None else box.projected(w, gradient)
            norm = length(slope)
            direction = self._direction(pairs, w, gradient)
            decrement = -0.5 * float(gradient @ direction)
            scale = story.gained(value)
            found, content = None, norm == 0.0 or (bool(pairs.pairs) and decrement <= self._least(value, scale, story))
            if not content:
                if not decrement > 0.0 and pairs.pairs:
                    pairs.pairs.clear()
                    continue
                found = search(cost, w, direction, value, gradient, box=box)
                evaluations += found.evaluations
                if found.endless:
                    yield endless(cost, w, direction, value, norm, found, evaluations, rows)
                    return
            if found is None or found.trial is None or idle > MAX_IDLE or story.crawls(value):
                idle = 0
                still = found is not None and decrement > 1e-8 * scale
                if found is not None and found.trial is None and pairs.pairs and decrement > 1e-10 * scale:
                    pairs.pairs.clear()  # the model is wrong: once more along the gradient
                    continue
                block, point = arrive(cost, w, value, gradient, direction, story, still)
                yield block._replace(evaluations=block.evaluations + evaluations, pairs=pairs)
                if point is None:
                    return
                w, evaluations = point, 1
                pairs.unit = np.where(w != 0.0, np.abs(w), 1.0)  # what was overlooked may be in another unit
                value, gradient = cost.value_and_gradient(w)
                pairs.pairs.clear()
                continue
            t = found.trial
            idle = idle + 1 if value - t.value <= 1e-15 * max(abs(value), 1e-3 * scale) else 0
            path, after = w[None, :], _ahead(w, direction, t, box)
            step = after - w
            log = one_step(value, norm, length(step), t.step, evaluations)
            self._learn(pairs, step, value, gradient, t)
            story.walked(step, value - t.value, evaluations)
            w, value, gradient, evaluations = after, t.value, t.gradient, 0
            yield Block(log, w, rows * int(log[0, 5]), path, pairs=pairs)

    def _least(self, value: float, scale: float, story: Arrival) -> float:
        """The promise with which the walk is content."""
        least = self.tol * scale
        sure = max(STILL * self.tol * abs(value), QUICK * story.last)
        if story.remaining() <= least:
            sure = least
        return max(min(least, sure), ROUNDING * max(scale, story.first_value - value))

    def _learn(self, pairs: Pairs, step: Vector, value: float, gradient: Vector, t: Trial) -> None:
        """Remember a step; where evaluations are spared whatever the units of the parameters are."""
        y = changed(step, value, gradient, t.value, t.gradient, lengthen=self.thrifty)
        measured = float(step @ (t.gradient - gradient)) if self.thrifty else 0.0
        pairs.add(step, y, float(step @ y) / measured if 1e-300 < measured < np.inf else 1.0)

    def _direction(self, pairs: Pairs, w: Vector, gradient: Vector) -> Vector:
        """The quasi-Newton step; the first is as long as a tenth of w, at least 1, in units of the parameters."""
        box, unit = self.bounds, np.ones(len(w)) if pairs.unit is None else pairs.unit
        free = np.ones(len(w), dtype=bool) if box is None else ~box.held(w, gradient)
        slope = np.where(free, gradient, 0.0)
        size = length(unit * slope)
        first = (
            max(1.0 if (unit == 1.0).all() else 0.0, 0.1 * length(w / unit)) / max(size, 1e-300) if size > 0 else 0.0
        )
        if not pairs.pairs:
            direction = -first * unit**2 * slope
            return direction if box is None else box.project(w + direction) - w
        if box is None:
            return -pairs.solve(gradient)
        direction = np.zeros_like(w)
        part = pairs.within(free)
        direction[free] = -part.solve(gradient[free])
        direction = box.project(w + direction) - w
        if not float(gradient @ direction) < -1e-10 * length(direction) * length(slope):
            pairs.pairs.clear()  # the bounds bend the step uphill: once more along the projected gradient
            return box.project(w - first * unit**2 * slope) - w
        return direction


def changed(
    step: Vector, value: float, gradient: Vector, new_value: float, new_gradient: Vector, lengthen: bool = False
) -> Vector:
    r"""The change y of the gradient over a step s, with what the values of J tell about its third derivative.

    .. math:: y + \frac{\theta}{s\cdot u} u, \qquad \theta = 6 (J - J^+) + 3 (g + g^+)\cdot s

    The curvature along s is then that of the new point and no mean.  The vector u is free: it is s, which changes
    nothing across the step and is quicker along a tail, or to `lengthen` y it is y itself, and the units of the
    parameters do not matter.  Where the difference of the values drowns in rounding, and beyond half and three times
    the mean curvature, y is left as it is or cut.

    J. Zhang, N. Deng, L. Chen, *New quasi-Newton equation and related methods for unconstrained optimization*, JOTA 102
    (1999) 147-167; with u = y M. Biggs, *A note on minimization algorithms which make use of non-quadratic properties
    of the objective function*, IMA J. Appl. Math. 12 (1973) 337-338.
    """
    y = new_gradient - gradient
    mean = float(step @ y)
    if not 1e-12 * max(abs(value), abs(new_value)) < mean < np.inf:
        return y
    theta = 6.0 * (value - new_value) + 3.0 * float((gradient + new_gradient) @ step)
    u = y if lengthen else step
    return y + min(max(theta, -0.5 * mean), 2.0 * mean) / float(step @ u) * u


def _ahead(w: Vector, direction: Vector, t: Trial, box: Bounds | None) -> Vector:
    """The point of a trial, as the line search evaluated it."""
    point = w + t.step * direction
    return point if box is None else box.project(point)
