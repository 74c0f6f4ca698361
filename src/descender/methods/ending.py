"""How a certified walk ends: the last block, the same for every method."""

from __future__ import annotations

import numpy as np

from descender.costs.certificate import Certificate
from descender.costs.cost import Vector
from descender.costs.risk import Risk
from descender.methods.advance import COLUMNS
from descender.methods.method import Block, Log, Outcome

NOTHING = Log((), lambda: np.empty((0, len(COLUMNS))))
"""The log of no steps."""

PROVED = 1e-12
"""The relative gap that is proof enough, however little is asked: less than rounding may hide is never proved."""


def ending(
    risk: Risk,
    tol: float,
    point: Vector,
    found: Certificate,
    reads: int = 0,
    final: tuple[float, Vector] | None = None,
    steps: Block | None = None,
) -> Block:
    """The last block at a point with its certificate, after `reads` of the rows that no step of the log counted.

    The last `steps` are its own, where they were not told.

    Its outcome is "converged" where the certificate is within `tol`, or rounding, else "floor".  ``final`` is the cost
    and the gradient there, where they are known.
    """
    told = str(found)
    outcome = Outcome("converged", told)
    if found.relative > max(tol, PROVED):
        outcome = Outcome("floor", f"no further descent in this arithmetic: {told}, {tol:.0e} was asked")
    if final is None:
        final, reads = risk.value_and_gradient(point), reads + 2
    own = (NOTHING, point, 0, None) if steps is None else steps[:4]
    return Block(*own, outcome=outcome, final=final, certificate=found, evaluations=reads)
