r"""Newton's method for small problems: the curvature of all rows at every step, on their columns in one unit.

Where the rows are few, all second derivatives cost about what a dozen readings do, and five to ten steps end at
rounding.  Where the slope along a step has hardly fallen at its end, the step goes on to where it has; one that does
not lower the cost is shortened.  Both by the scores that are known at its two ends.

S. Boyd, L. Vandenberghe, *Convex Optimization*, 2004, §9.5.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np

from descender.costs.certificate import ROUNDING, Certificate, cost_scale
from descender.costs.cost import Cost, Vector
from descender.costs.counted import uncounted
from descender.costs.losses import Softmax
from descender.costs.risk import Risk
from descender.methods.ending import PROVED, ending
from descender.methods.method import Block, Budget
from descender.methods.newton_walk import NewtonWalk
from descender.methods.standard import Standard

SMALL = 60_000
"""Numbers in X up to which all curvatures cost next to nothing, so that walks go down to rounding."""
LARGEST = 200_000
"""Numbers in dense rows up to which this is quicker than descent in a learnt metric."""
FEW_PARAMETERS = 300
"""Weights of all classes together up to which softmax has a Hessian of its own."""
SMALLEST_GOAL = 1e-24
"""Of the decrement, which is of second order where a gap is of first."""
TIGHTER = 0.03
"""What goals are multiplied by where a certificate was not content."""
BLIND = 1e4
"""How many times what a metric promises the gap may be before it is taken to see too little curvature."""
FAR_START = 10.0
"""How many times the cost of the best constant a start may cost; from a worse one the walk begins at the constant."""
A_BLOCK = 16


def is_small(risk: Risk) -> bool:
    """Whether a Hessian of all rows at every step costs less than a longer walk."""
    return risk.X.shape[0] * risk.n_features <= SMALL


def has_newton(risk: Risk) -> bool:
    """Whether :class:`Newton` is for this risk: small and smooth, softmax with few weights and an l2 penalty."""
    most = SMALL if risk.sparse else LARGEST
    if risk.X.shape[0] * risk.n_features > most or not risk.smooth or risk.n_features > 1000:
        return False
    if risk.loss is Softmax:
        return risk.l2 > 0 and risk.n_parameters <= FEW_PARAMETERS
    return not risk.loss.scores_per_class


@dataclass(frozen=True)
class Newton:
    """Newton's method on a small smooth convex risk; no rate to choose, and a certificate.

    It ends when a certificate shows a gap of at most ``tol * max(|F|, scale/1000)``, or where rounding allows no
    further descent.
    """

    tol: float = 1e-6
    name: str = "Newton's method"
    draws = False

    def blocks(self, cost: Cost, w: Vector, rng: np.random.Generator, budget: Budget) -> Iterator[Block]:
        """Walk from `w`."""
        risk = uncounted(cost)
        assert isinstance(risk, Risk)
        problem, scale = Standard(risk), cost_scale(risk)
        walk = NewtonWalk(problem, scale, problem.enter(w), FAR_START)
        found = yield from walked(walk, self.tol, scale, budget)
        yield end_of(walk, self.tol, found)


def walked(walk: NewtonWalk, tol: float, scale: float, budget: Budget) -> Generator[Block, None, Certificate]:
    """Its steps but the last, until a certificate is content or none lowers the cost; returns the certificate."""
    problem, near, blind = walk.problem, tol, False
    goal, enough = (0.2 * tol, tol) if tol > 2.0 * ROUNDING else (tol, PROVED)
    most = min(A_BLOCK, budget.watch)
    while True:
        walk.descend(goal, near, min(most, budget.steps - walk.told))
        if len(walk.log) >= min(most, budget.steps - walk.told):
            yield walk.block()
            continue
        done = walk.near or walk.done(goal)
        if (blind if done else not walk.lost) and walk.move_cautiously():
            blind = False
            continue
        gap, at_last = walk.foretold(), not done or goal < SMALLEST_GOAL
        if at_last or not enough * walk.unit < gap < np.inf:
            found: Certificate = problem.proof(walk.here, scale, enough, walk.step)
            if at_last or found.relative <= enough:
                break
            gap = found.gap
        blind = walk.sees_curvature and gap > BLIND * max(walk.decrement, 1e-3 * goal * walk.unit)
        goal, near = TIGHTER * goal, TIGHTER * near
    return found


def end_of(walk: NewtonWalk, tol: float, found: Certificate) -> Block:
    """The last block; cost and gradient are known but where columns are so far from zero that digits are lost."""
    problem, here, steps = walk.problem, walk.here, walk.block() if walk.log else None
    final = None if problem.far else (here.value, problem.gradient(here))
    point = problem.leave(here.V) if steps is None else steps.w
    return ending(problem.risk, tol, point, found, 1, final, steps)
