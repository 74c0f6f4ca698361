"""Coordinate ascent on the dual of a risk whose loss is piecewise linear, one row at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from descender.kernels import rows
from descender.kernels.rows import score_dense as score
from descender.kernels.rows import spread_dense as spread


def ascend(X, order, t, low, high, share, squares, constant, w, theta, b, slack, d):
    """One epoch over the rows of `order`, each theta moved to its best value; `w` follows in place.

    ``share`` is the weight of each row over l2, ``constant`` the square of a constant column that carries part of the
    intercept, ``b[0]`` the other part and ``b[1]`` what the constant column adds.  Rows that rest at an end of their
    interval by more than `slack` are dropped: the others are gathered at the front of `order`.  Returns how many they
    are, and the largest slope along which a theta could move.
    """
    kept = 0
    largest = 0.0
    for k in range(order.shape[0]):
        i = order[k]
        slope = t[i] - score(X, i, w, 0, d) - b[0] - b[1]
        if (theta[i] <= low[i] and slope < 0.0) or (theta[i] >= high[i] and slope > 0.0):
            if abs(slope) <= slack:
                order[k], order[kept] = order[kept], i
                kept += 1
            continue
        largest = max(largest, abs(slope))
        order[k], order[kept] = order[kept], i
        kept += 1
        curvature = share[i] * (squares[i] + constant)
        if curvature > 0.0:
            new = min(max(theta[i] + slope / curvature, low[i]), high[i])
        else:
            new = high[i] if slope > 0.0 else low[i]
        change = share[i] * (new - theta[i])
        if change != 0.0:
            spread(X, i, change, w, 0, d)
            b[1] += change * constant
        theta[i] = new
    return kept, largest


@cache
def compiled(kind: str) -> Callable:
    """:func:`ascend` for dense or sparse rows."""
    from descender.kernels.assemble import HEADER, JIT, JIT_ENTRY, load, text_of

    helpers = [text_of(getattr(rows, f"{name}_{kind}"), name) for name in ("score", "spread")]
    parts = "\n\n".join(f"{JIT}{part}" for part in helpers)
    return load(f"{HEADER}\n\n{parts}\n\n\n{JIT_ENTRY}{text_of(ascend, 'ascend')}\n").ascend
