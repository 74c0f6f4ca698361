"""Coordinate ascent on the dual of a risk with l2, one row at a time, over sparse rows.

Rows are (starts, columns, values, uniform): the columns unsigned, so that no index is checked for being negative, and
if `uniform` one value a row, which all of its entries have.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

slope: Any = None
"""It and the next stand for the formulas of a loss, which the assembled module defines."""
curvature: Any = None

NEAR, MOST = 0.1, 40
"""A Newton step on a score that is so short ends the search, as the linear model of the slope is then good; and the
most steps."""


def score(rows, i, w):
    """The inner product of row i and the weights."""
    starts, columns, values, uniform = rows
    total = w[0] * 0
    if uniform:
        for k in range(starts[i], starts[i + 1]):
            total += w[columns[k]]
        return total * values[i]
    for k in range(starts[i], starts[i + 1]):
        total += values[k] * w[columns[k]]
    return total


def spread(rows, i, factor, w):
    """Add `factor` times row i to the weights."""
    starts, columns, values, uniform = rows
    if uniform:
        step = w.dtype.type(factor * values[i])
        for k in range(starts[i], starts[i + 1]):
            w[columns[k]] += step
    else:
        step = w.dtype.type(factor)
        for k in range(starts[i], starts[i + 1]):
            w[columns[k]] += step * values[k]


def pack(rows, order, starts, columns, values, uniform, squares):
    """Copy rows in a new order, next to each other, with their squares; whether each has one value, if `uniform`."""
    old_starts, old_columns, old_values = rows
    end = 0
    for k in range(order.shape[0]):
        first, last = old_starts[order[k]], old_starts[order[k] + 1]
        size = last - first
        taken, put = old_columns[first:last], columns[end : end + size]
        for j in range(size):
            put[j] = taken[j]
        value = old_values[first:last]
        total = 0.0
        if uniform:
            one = value[0] if size > 0 else value.dtype.type(0)
            others = 0
            for j in range(size):
                others += value[j] != one
            if others > 0:
                return False
            values[k] = one
            total = size * float(one) * float(one)
        else:
            place = values[end : end + size]
            for j in range(size):
                place[j] = value[j]
                total += float(value[j]) * float(value[j])
        squares[k] = total
        end += size
        starts[k + 1] = end
    return True


def ascend_box(rows, order, t, c, low, high, share, squares, constant, w, theta, b, scores, slack):
    """One epoch for a dual that is a parabola, theta t - c theta^2 / 2, on an interval: each theta to its best value.

    ``share`` is the weight of each row over l2, ``constant`` the square of a constant column that carries part of the
    intercept, ``b[0]`` the other part and ``b[1]`` what the constant column adds.  The weights `w` follow in place;
    `scores` keeps those that were met.  Rows that rest at an end of their interval by more than `slack` are dropped:
    the others are gathered at the front of `order`.  Returns how many they are, and the largest slope along which a
    theta could move.
    """
    kept = 0
    largest = 0.0
    for k in range(order.shape[0]):
        i = order[k]
        old = theta[i]
        z = score(rows, i, w) + b[0] + b[1]
        scores[i] = z
        rise = t[i] - c * old - z
        if (old <= low[i] and rise < 0.0) or (old >= high[i] and rise > 0.0):
            if abs(rise) <= slack:
                order[k], order[kept] = order[kept], i
                kept += 1
            continue
        largest = max(largest, abs(rise))
        order[k], order[kept] = order[kept], i
        kept += 1
        curved = share[i] * (squares[i] + constant) + c
        end = high[i] if rise > 0.0 else low[i]
        new = min(max(old + rise / curved, low[i]), high[i]) if curved > 0.0 else end
        change = share[i] * (new - old)
        if change != 0.0:
            spread(rows, i, change, w)
            b[1] += change * constant
        theta[i] = new
    return kept, largest


def ascend_smooth(rows, order, y, p, low, high, share, squares, constant, w, theta, b, scores, known):
    """One epoch for a smooth loss with the numbers `p`, each theta moved to where it is minus the slope at its score.

    With q the square of the row times its share, the new score u solves u + q l'(u) = z - q theta: Newton's method
    within a bracket, which is halved where two steps are about as long.  ``known`` has the u of the last visit, from
    where one step needs no slope, as minus theta is it; NaN where there was none.  The rest is as in ascend_box.
    """
    for k in range(order.shape[0]):
        i = order[k]
        old = theta[i]
        z = score(rows, i, w) + b[0] + b[1]
        scores[i] = z
        q = share[i] * (squares[i] + constant)
        goal = z - q * old
        lower, upper = goal + q * low[i], goal + q * high[i]
        u = known[i]
        if u == u:
            u += (z - u) / (1.0 + q * curvature(p, u, y[i]))
        else:
            u = z
        u = min(max(u, lower), upper)
        step = upper - lower
        for _ in range(MOST):
            r, h = slope(p, u, y[i]), curvature(p, u, y[i])
            off = u + q * r - goal
            if off > 0.0:
                upper = u
            else:
                lower = u
            before, step = abs(step), -off / (1.0 + q * h)
            if abs(step) <= NEAR:
                break
            if abs(step) > 0.5 * before or not lower < u + step < upper:
                step = 0.5 * (lower + upper) - u
            u += step
        u += step
        new = min(max(-(r + h * step), low[i]), high[i])
        known[i], theta[i] = u, new
        change = share[i] * (new - old)
        if change != 0.0:
            spread(rows, i, change, w)
            b[1] += change * constant


def read_scores(rows, w, z):
    """The inner products of all rows and the weights."""
    for i in range(z.shape[0]):
        z[i] = score(rows, i, w)


def read_spread(rows, factors, w):
    """Add each row times its factor to the weights."""
    for i in range(factors.shape[0]):
        if factors[i] != 0.0:
            spread(rows, i, factors[i], w)


@cache
def compiled(function: Callable, loss: Any = None) -> Callable:
    """One of the functions above; :func:`ascend_smooth` with the formulas of a loss."""
    from descender.kernels.assemble import HEADER, JIT, JIT_ENTRY, load, method_text, text_of

    parts = [text_of(score, "score"), text_of(spread, "spread")]
    if loss is not None:
        fields = tuple(getattr(loss, "__dataclass_fields__", ()))
        parts += [method_text(loss.slope, "slope", fields), method_text(loss.curvature, "curvature", fields)]
    name = function.__name__
    parts = [part for part in parts if function is not pack]
    numbers = f"NEAR, MOST = {NEAR}, {MOST}"
    entry = f"{JIT_ENTRY}{text_of(function, name)}\n"
    return getattr(load("\n\n\n".join([HEADER, numbers, *(f"{JIT}{part}" for part in parts), entry])), name)
