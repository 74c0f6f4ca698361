"""Nonlinear conjugate gradient: a memory of one direction, for when even a few pairs of vectors are too many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from descender.costs.cost import Cost, Vector
from descender.methods.advance import length
from descender.methods.arrival import Arrival, arrive, endless
from descender.methods.linesearch import search
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

    W. Hager and H. Zhang, *A new conjugate gradient method with guaranteed descent and an efficient line search*, SIAM
    J. Optim. 16 (2005) 170-192, and *The limited memory conjugate gradient method*, 2013, for the bound.

    Wrong choice where L-BFGS fits into memory: it needs about half of the evaluations.
    """

    tol: float = 1e-16
    escapes: int = 20
    name: str = "conjugate gradient"

    def blocks(self, cost: Cost, w: Vector, rng: np.random.Generator, budget: Budget) -> Iterator[Block]:
        """Walk from `w`."""
        value, gradient = cost.value_and_gradient(w)
        rows, evaluations, idle, since = cost.n_samples or 0, 1, 0, 0
        story = Arrival(w, value, self.escapes, 1, None, False)
        direction, first = -gradient, max(1.0, 0.1 * length(w)) / max(length(gradient), 1e-300)
        curvature = 0.0
        while True:
            norm = length(gradient)
            promise = 0.5 * norm**2 / curvature if curvature > 0 else np.inf
            scale = story.gained(value)
            found, content = None, norm == 0.0 or promise <= self.tol * scale
            if not content:
                found = search(cost, w, direction, value, gradient, first, curvature=SLOPE_LEFT)
                evaluations += found.evaluations
                if found.endless:
                    yield endless(cost, w, direction, value, norm, found, evaluations, rows)
                    return
            if found is None or found.trial is None or idle > MAX_IDLE:
                if since and found is not None and found.trial is None:  # the direction is bad: along the gradient
                    direction, since = -gradient, 0
                    continue
                still = found is not None and np.isfinite(promise) and promise > 1e-8 * scale
                newton = -gradient / curvature if curvature > 0 else np.zeros_like(gradient)
                block, point = arrive(cost, w, value, gradient, newton, story, still)
                yield block._replace(evaluations=block.evaluations + evaluations)
                if point is None:
                    return
                w, evaluations, idle, since, curvature = point, 1, 0, 0, 0.0
                value, gradient = cost.value_and_gradient(w)
                direction = -gradient
                first = max(1.0, 0.1 * length(w)) / max(length(gradient), 1e-300)
                continue
            t = found.trial
            step, y = t.step * direction, t.gradient - gradient
            log = one_step(value, norm, length(step), t.step, evaluations)
            path, w = w[None, :], w + step
            idle = idle + 1 if value - t.value <= 1e-15 * max(abs(value), 1e-3 * scale) else 0
            story.walked(step, value - t.value, evaluations)
            curvature = float(step @ y) / float(step @ step)
            slope = float(direction @ gradient)
            ahead = _next(direction, gradient, t.gradient, y)
            since = 0 if ahead is None else since + 1
            direction = -t.gradient if ahead is None else ahead
            first = t.step * slope / float(direction @ t.gradient)  # the change of J to first order, as in this step
            value, gradient, evaluations = t.value, t.gradient, 0
            yield Block(log, w, rows * int(log[0, 5]), path)


def _next(direction: Vector, gradient: Vector, new: Vector, y: Vector) -> Vector | None:
    """The next direction; None where it would not be one of descent, and the walk begins anew along the gradient."""
    along = float(direction @ y)
    if not along > 0.0:
        return None
    beta = float((y - 2.0 * direction * (float(y @ y) / along)) @ new) / along
    least = LEAST_SHARE * float(direction @ gradient) / float(direction @ direction)
    ahead = -new + max(beta, least) * direction
    return ahead if np.isfinite(ahead).all() and float(ahead @ new) < 0.0 else None
