"""Nonlinear conjugate gradient: a memory of one direction, for when even a few pairs of vectors are too many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from descender.costs.cost import Cost, Vector
from descender.methods.advance import length
from descender.methods.arrival import Arrival, arrive, endless
from descender.methods.bounds import Bounds
from descender.methods.linesearch import Trial, search
from descender.methods.method import Block, Budget, one_step

MAX_IDLE = 5
"""Steps without a visible decrease of J that may follow each other."""
SLOPE_LEFT = 0.1
"""Share of the slope that a step may leave: directions stay conjugate only after a nearly exact search."""
LEAST_SHARE = 0.4
"""Of Hager and Zhang's lower bound of beta, which lets the method forget a bad direction."""


@dataclass(frozen=True)
class ConjugateGradient:
    r"""Nonlinear conjugate gradient by Hager and Zhang's formula, with a line search by the strong Wolfe conditions.

    .. math:: p \leftarrow -g^+ + \beta p, \qquad
        \beta = \frac{1}{p\cdot y}\Big(y - 2p\,\frac{|y|^2}{p\cdot y}\Big)\cdot g^+, \qquad y = g^+ - g

    and beta is kept above :math:`0.4\, p\cdot g / |p|^2`; every direction is then one of descent.  The walk is content
    when the decrease that the last curvature along the gradient promises, :math:`|g|^2 / 2c`, is below `tol` of what
    the walk gained; the end is judged as that of L-BFGS is.

    Within `bounds` the parameters that stand at a bound and press against it rest, the others walk; where a bound is
    met or left the memory begins anew.  Directions are projected, and no point outside the box is ever evaluated.

    W. Hager and H. Zhang, *A new conjugate gradient method with guaranteed descent and an efficient line search*, SIAM
    J. Optim. 16 (2005) 170-192, and *The limited memory conjugate gradient method*, 2013, for the bound of beta.

    Wrong choice where L-BFGS fits into memory: it needs about half of the evaluations.
    """

    tol: float = 1e-16
    escapes: int = 20
    bounds: Bounds | None = None
    name: str = "conjugate gradient"
    draws = False

    def blocks(self, cost: Cost, w: Vector, rng: np.random.Generator, budget: Budget) -> Iterator[Block]:
        """Walk from `w`."""
        box = self.bounds
        w = w if box is None else box.project(w)
        value, gradient = cost.value_and_gradient(w)
        rows, evaluations, idle = cost.n_samples or 0, 1, 0
        story = Arrival(w, value, self.escapes, 1, box, False)
        ahead = Course(w, gradient, box)
        while True:
            norm = length(gradient if box is None else box.projected(w, gradient))
            promise = 0.5 * ahead.norm**2 / ahead.curvature if ahead.curvature > 0 else np.inf
            scale = story.gained(value)
            found, content = None, norm == 0.0 or promise <= self.tol * scale
            if not content:
                direction, first = ahead.aim(w)
                found = search(cost, w, direction, value, gradient, first, curvature=SLOPE_LEFT, box=box)
                evaluations += found.evaluations
                if found.endless:
                    yield endless(cost, w, direction, value, norm, found, evaluations, rows)
                    return
            if found is None or found.trial is None or idle > MAX_IDLE:
                if ahead.since and found is not None and found.trial is None:  # the direction is bad
                    ahead.along_gradient()
                    continue
                still = found is not None and np.isfinite(promise) and promise > 1e-8 * scale
                block, point = arrive(cost, w, value, gradient, ahead.newton(), story, still)
                yield block._replace(evaluations=block.evaluations + evaluations)
                if point is None:
                    return
                w, evaluations, idle = point, 1, 0
                value, gradient = cost.value_and_gradient(w)
                ahead = Course(w, gradient, box)
                continue
            t = found.trial
            path, before = w[None, :], w
            w = w + t.step * direction if box is None else box.project(w + t.step * direction)
            log = one_step(value, norm, length(w - before), t.step, evaluations)
            idle = idle + 1 if value - t.value <= 1e-15 * max(abs(value), 1e-3 * scale) else 0
            story.walked(w - before, value - t.value, evaluations)
            ahead.walked(before, w, gradient, t)
            value, gradient, evaluations = t.value, t.gradient, 0
            yield Block(log, w, rows * int(log[0, 5]), path)


class Course:
    """Where the walk is heading: the direction, its first trial step, and the curvature of the last step.

    ``slope`` is the gradient of the free parameters, 0 where one is held, and ``norm`` its length; ``since`` counts the
    steps since the direction was that of the slope.
    """

    def __init__(self, w: Vector, gradient: Vector, box: Bounds | None):
        self.box, self.curvature, self.bent = box, 0.0, False
        self._look(w, gradient)
        self.along_gradient()
        self.first = max(1.0, 0.1 * length(w)) / max(self.norm, 1e-300)

    def _look(self, w: Vector, gradient: Vector) -> None:
        self.free = np.ones(len(w), dtype=bool) if self.box is None else ~self.box.held(w, gradient)
        self.slope = np.where(self.free, gradient, 0.0)
        self.norm = length(self.slope)

    def along_gradient(self) -> None:
        """Forget the directions so far."""
        self.direction, self.since = -self.slope, 0

    def newton(self) -> Vector:
        """The step that the last curvature promises to be the last."""
        return -self.slope / self.curvature if self.curvature > 0 else np.zeros_like(self.slope)

    def aim(self, w: Vector) -> tuple[Vector, float]:
        """The direction of the search and its first trial: bent along the bounds that the first trial would cross."""
        self.bent = self.box is not None and self.box.room(w, self.direction) < self.first
        if self.box is None or not self.bent:
            return self.direction, self.first
        bent = self.box.project(w + self.first * self.direction) - w
        if not float(self.slope @ bent) < -1e-10 * self.norm * length(bent):
            self.along_gradient()
            bent = self.box.project(w + self.first * self.direction) - w
        return bent, 1.0

    def walked(self, before: Vector, w: Vector, gradient: Vector, t: Trial) -> None:
        """The next direction after a step from `before`, where the gradient was `gradient`, to the trial at `w`."""
        step, y, slope, free = w - before, t.gradient - gradient, self.slope, self.free
        square = float(step @ step)
        self.curvature = float(step @ y) / square if square > 0 else self.curvature
        self._look(w, t.gradient)
        same = not self.bent and bool((self.free == free).all())
        ahead = _next(self.direction, slope, self.slope, np.where(free, y, 0.0)) if same else None
        if ahead is None:
            self.along_gradient()
        else:
            self.direction, self.since = ahead, self.since + 1
        # the change of J to first order, as in this step
        self.first = (
            float(slope @ step) / float(self.direction @ self.slope) if self.norm > 0 and square > 0 else t.step
        )


def _next(direction: Vector, gradient: Vector, new: Vector, y: Vector) -> Vector | None:
    """The next direction; None where it would not be one of descent, and the walk begins anew along the gradient."""
    along = float(direction @ y)
    if not along > 0.0:
        return None
    beta = float((y - 2.0 * direction * (float(y @ y) / along)) @ new) / along
    least = LEAST_SHARE * float(direction @ gradient) / float(direction @ direction)
    ahead = -new + max(beta, least) * direction
    return ahead if np.isfinite(ahead).all() and float(ahead @ new) < 0.0 else None
