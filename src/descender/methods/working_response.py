r"""Where a sample's descent begins: the least squares that a step of Newton's method from each row's own target is.

A row alone would have the score of its own target, or about that.  There each loss is nearly a parabola, and the sum of
these parabolas is least squares, with the *working response* as targets and the curvatures as weights: it ends near the
minimum where a walk from a constant has most of the way to go, as curvatures that grow with the score do not let it
take long steps.

P. McCullagh, J. Nelder, *Generalized Linear Models*, 1989, §2.5.
"""

from __future__ import annotations

import numpy as np

from descender.costs.cost import Vector
from descender.methods.centred import Centred
from descender.methods.metrics import Dense, Diagonal, Products

MOST_PRODUCTS, LEFT = 8, 1e-3
"""The products that the solution may take where columns are too many for a matrix; what it may leave, squared."""


@np.errstate(all="ignore")
def working_start(part: Centred, dear: bool) -> Vector | None:
    """The minimum of the rows' parabolas, or about that where a matrix is too `dear`; None where a loss has none."""
    loss = part.loss
    if loss.working_weights is None:
        return None
    h = loss.working_weights(part.y, part.sigma)
    weights, response = part.sigma * h, loss.working_response(part.y, h)
    ridge = np.where(np.arange(part.size) < part.d, part.l2, 0.0)
    wanted = part.spread(weights * response, part.X.dtype)
    if dear:
        diagonal = Diagonal(part.diagonal(weights) + ridge, least=0.0)
        v = Products(lambda p: part.product(weights, p) + ridge * p, diagonal.solve, MOST_PRODUCTS, LEFT).solve(wanted)
    else:
        v = Dense(part.moment(weights) + np.diag(ridge), part.jitter).solve(wanted)
    return v if np.isfinite(v).all() else None
