r"""The proximal Newton method for small problems with l1: the exact minimum of each quadratic model.

A step leads towards :math:`\arg\min_v g\cdot(v-v_0) + \tfrac12 (v-v_0)'H(v-v_0) + \sum_j \lambda_j |v_j|`, which the
exchanges of :func:`~descender.methods.lasso.lasso` find on H alone; five to ten of them end at rounding.

J. Lee, Y. Sun, M. Saunders, *Proximal Newton-type methods for minimizing composite functions*, 2014.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from descender.costs.certificate import cost_scale
from descender.costs.cost import Cost, Vector
from descender.costs.counted import uncounted
from descender.costs.risk import Risk
from descender.methods.lasso import lasso, part, solve
from descender.methods.method import Block, Budget
from descender.methods.metric import LearntMetric
from descender.methods.newton import end_of, is_small, walked
from descender.methods.newton_walk import FIRST, NewtonWalk
from descender.methods.standard import Point, Standard

FEW = 300
"""Columns up to which the minimum of a model costs less than a walk in a learnt metric."""
MOST = 4
"""Exchanges of a support that a step takes at most which has another far step behind it: the next one goes on."""
LOST = 1e-9
"""A relative gap above which an end in rounding is none, and descent in a learnt metric goes on."""


def has_proximal_newton(risk: Risk) -> bool:
    """Whether :class:`ProximalNewton` is for this risk: small, with l1, and one score a row."""
    smooth = risk.loss.differentiable and not risk.loss.scores_per_class
    return risk.l1 > 0 and smooth and is_small(risk) and risk.n_features <= FEW


@dataclass(frozen=True)
class ProximalNewton:
    """The proximal Newton method on a small convex risk with l1; no rate to choose, and a certificate.

    It ends when a certificate shows a gap of at most ``tol * max(|F|, scale/1000)``, or where rounding allows no
    further descent.
    """

    tol: float = 1e-6
    name: str = "proximal Newton's method"

    def blocks(self, cost: Cost, w: Vector, rng: np.random.Generator, budget: Budget) -> Iterator[Block]:
        """Walk from `w`."""
        risk = uncounted(cost)
        assert isinstance(risk, Risk)
        problem, scale = Standard(risk), cost_scale(risk)
        walk = ProximalWalk(problem, scale, problem.enter(w), 1.0)
        found = yield from walked(walk, self.tol, scale, budget)
        if found.relative > max(self.tol, LOST):
            if walk.log:
                yield walk.block()
            yield from LearntMetric(self.tol).blocks(cost, problem.leave(walk.here.V), rng, budget)
            return
        yield end_of(walk, self.tol, found)


class ProximalWalk(NewtonWalk):
    """A walk whose models have the l1 penalty."""

    sees_curvature = False
    noise = LOST

    def _learn(self, H: NDArray, jitter: float) -> None:
        H.flat[:: len(H) + 1] *= 1.0 + jitter
        self.metric = H

    def _promise(self) -> None:
        H, l1, (V, *_, G) = self.metric, self.problem.l1, self.here
        far = self.decrement > FIRST * self.unit
        if not far and self._keeps_support():
            return
        U = lasso(H, H @ V - G, V, l1, most=MOST if far else np.inf)
        self.step = U - V
        self.decrement = -0.5 * float(G @ self.step + l1 @ (np.abs(U) - np.abs(V)))

    def _keeps_support(self) -> bool:
        """Whether the model's minimum has the signs that are here: then it is solved for by the distance to it.

        That keeps the digits which a difference of weights loses.
        """
        H, l1, (V, *_, G) = self.metric, self.problem.l1, self.here
        on = V.nonzero()[0]
        left = (G + l1 * np.sign(V)).take(on)
        towards = solve(part(H, on), left)
        here, step = V.take(on), np.zeros(len(V))
        step[on] = -towards
        slopes = np.abs(G + H.dot(step))
        slopes[on] = 0.0
        if np.count_nonzero((here - towards) * here * l1.take(on) < 0.0) or np.count_nonzero(slopes > l1):
            return False
        self.step, self.decrement = step, 0.5 * float(towards.dot(left))
        return True

    def _lower(self, there: Point, t: float, slope: float) -> bool:
        """Whether the cost is lower by a share of what is promised."""
        return there.value <= self.here.value - 2e-4 * t * self.decrement + 1e-15 * abs(self.here.value)

    def _further(self, there: Point, slope: float) -> tuple[float, Point]:
        """A whole step is the end: weights that came to zero leave it again beyond."""
        return 1.0, there
