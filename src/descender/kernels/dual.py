"""Coordinate ascent on the dual of a risk with l2, one row at a time, over sparse rows.

Rows are (starts, columns, values, uniform): the columns unsigned, so that no index is checked for being negative, and
if `uniform` one value a row, which all of its entries have.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

slope: Any = None
"""It and the next stand for the formulas of a loss, which the assembled module defines."""
curvature: Any = None
fetch: Any = None
"""Asks for an entry of an array before it is needed, without waiting for it; FETCH defines it."""

NEAR, MOST = 0.1, 40
"""A Newton step on a score that is so short ends the search, as the linear model of the slope is then good; and the
most steps."""
TARGET, LOW, HIGH, SHARE, SQUARE, THETA, KNOWN, SCORE = range(8)
"""What is kept of a row, side by side, so that it is one line of the cache: the target, or the slope of the dual at
zero; the ends of the interval of theta; the weight over l2; the square; theta; the score that it is minus the slope at,
NaN where there was none; and the score that was met."""
AHEAD, LINE = 12, 16
"""Rows that are asked for so many visits ahead, as they lie anywhere: an epoch over text takes two thirds of the time.
A line of the cache holds so many columns."""
FETCH = """
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic


@intrinsic
def fetch(context, array, index):
    def code(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, number, number, number])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [place.type], kind)
        builder.call(prefetch, [place, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, index), code
"""


def score(starts, columns, values, uniform, i, w):
    """The inner product of row i and the weights."""
    total = w[0] * 0
    if uniform:
        for k in range(starts[i], starts[i + 1]):
            total += w[columns[k]]
        return total * values[i]
    for k in range(starts[i], starts[i + 1]):
        total += values[k] * w[columns[k]]
    return total


def spread(starts, columns, values, uniform, i, factor, w):
    """Add `factor` times row i to the weights."""
    if uniform:
        step = w.dtype.type(factor * values[i])
        for k in range(starts[i], starts[i + 1]):
            w[columns[k]] += step
    else:
        step = w.dtype.type(factor)
        for k in range(starts[i], starts[i + 1]):
            w[columns[k]] += step * values[k]


def expect(starts, columns, values, uniform, order, k):
    """The row that is visited AHEAD visits after the k-th: ask for it, and for where the one twice as far begins."""
    last = order.shape[0] - 1
    fetch(starts, np.uint64(order[min(k + 2 * AHEAD, last)]))
    i = np.uint64(order[min(k + AHEAD, last)])
    for j in range(starts[i], starts[i + np.uint64(1)], np.uint64(LINE)):
        fetch(columns, j)
        if not uniform:
            fetch(values, j)
    return i


def pack(rows, order, starts, columns, values, uniform, squares):
    """Copy rows in a new order, next to each other, with their squares; whether each has one value, if `uniform`."""
    old_starts, old_columns, old_values = rows
    end = 0
    for k in range(order.shape[0]):
        expect(old_starts, old_columns, old_values, False, order, k)
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


def ascend_box(rows, order, table, c, constant, w, b, slack):
    """One epoch for a dual that is a parabola, theta t - c theta^2 / 2, on an interval: each theta to its best value.

    ``constant`` is the square of a constant column that carries part of the intercept, ``b[0]`` the other part and
    ``b[1]`` what the constant column adds.  The weights `w` follow in place.  Rows that rest at an end of their
    interval by more than `slack` are dropped: the others are gathered at the front of `order`.  Returns how many they
    are, and the largest slope along which a theta could move.
    """
    starts, columns, values, uniform = rows
    kept = 0
    largest = 0.0
    for k in range(order.shape[0]):
        fetch(table, expect(starts, columns, values, uniform, order, k) * np.uint64(8))
        i = order[k]
        row = table[i]
        old, low, high, share = row[THETA], row[LOW], row[HIGH], row[SHARE]
        z = score(starts, columns, values, uniform, i, w) + b[0] + b[1]
        row[SCORE] = z
        rise = row[TARGET] - c * old - z
        if (old <= low and rise < 0.0) or (old >= high and rise > 0.0):
            if abs(rise) <= slack:
                order[k], order[kept] = order[kept], i
                kept += 1
            continue
        largest = max(largest, abs(rise))
        order[k], order[kept] = order[kept], i
        kept += 1
        curved = share * (row[SQUARE] + constant) + c
        end = high if rise > 0.0 else low
        new = min(max(old + rise / curved, low), high) if curved > 0.0 else end
        change = share * (new - old)
        if change != 0.0:
            spread(starts, columns, values, uniform, i, change, w)
            b[1] += change * constant
        row[THETA] = new
    return kept, largest


def ascend_smooth(rows, order, table, p, constant, w, b):
    """One epoch for a smooth loss with the numbers `p`, each theta moved to where it is minus the slope at its score.

    With q the square of the row times its share, the new score u solves u + q l'(u) = z - q theta.  One Newton step
    from the u of the last visit, which needs no slope there, as minus theta is it; where the next one is not short, or
    not a number, the search goes on within a bracket.  The rest is as in ascend_box.
    """
    starts, columns, values, uniform = rows
    for k in range(order.shape[0]):
        fetch(table, expect(starts, columns, values, uniform, order, k) * np.uint64(8))
        i = order[k]
        row = table[i]
        old, share, y = row[THETA], row[SHARE], row[TARGET]
        z = score(starts, columns, values, uniform, i, w) + b[0] + b[1]
        q = share * (row[SQUARE] + constant)
        goal = z - q * old
        u = row[KNOWN]
        u = u + (z - u) / (1.0 + q * curvature(p, u, y)) if u == u else z
        r, h = slope(p, u, y), curvature(p, u, y)
        step = -(u + q * r - goal) / (1.0 + q * h)
        if not abs(step) <= NEAR:
            u, step = search(p, y, u, q, goal, goal + q * row[LOW], goal + q * row[HIGH])
            r, h = slope(p, u, y), curvature(p, u, y)
        new = min(max(-(r + h * step), row[LOW]), row[HIGH])
        row[KNOWN], row[THETA], row[SCORE] = u + step, new, z
        change = share * (new - old)
        if change != 0.0:
            spread(starts, columns, values, uniform, i, change, w)
            b[1] += change * constant


def search(p, y, u, q, goal, lower, upper):
    """Where u + q l'(u) is `goal`, nearly, and the step to it: Newton's method within a bracket.

    The bracket is halved where two steps are about as long.
    """
    u = min(max(u, lower), upper)
    step = upper - lower
    for _ in range(MOST):
        off = u + q * slope(p, u, y) - goal
        if off > 0.0:
            upper = u
        else:
            lower = u
        before, step = abs(step), -off / (1.0 + q * curvature(p, u, y))
        if abs(step) <= NEAR:
            break
        if abs(step) > 0.5 * before or not lower < u + step < upper:
            step = 0.5 * (lower + upper) - u
        u += step
    return u, step


@cache
def compiled(function: Callable, loss: Any = None) -> Callable:
    """One of the functions above; :func:`ascend_smooth` with the formulas of a loss."""
    from descender.kernels.cached import HEADER, JIT, JIT_ENTRY, load
    from descender.kernels.texts import method_text, text_of

    name, parts = function.__name__, []
    if function is not pack:
        parts += [text_of(score, "score"), text_of(spread, "spread")]
    if function in (pack, ascend_box, ascend_smooth):
        parts += [text_of(expect, "expect")]
    if loss is not None:
        fields = tuple(getattr(loss, "__dataclass_fields__", ()))
        parts += [method_text(loss.slope, "slope", fields), method_text(loss.curvature, "curvature", fields)]
        parts += [text_of(search, "search")]
    header = f"{HEADER}{FETCH}\n{numbers_text()}"
    entry = f"{JIT_ENTRY}{text_of(function, name)}\n"
    return getattr(load("\n\n\n".join([header, *(f"{JIT}{part}" for part in parts), entry])), name)


def numbers_text() -> str:
    """The constants above, as the assembled module has them."""
    names = ["NEAR", "MOST", "AHEAD", "LINE", "TARGET", "LOW", "HIGH", "SHARE", "SQUARE", "THETA", "KNOWN", "SCORE"]
    return "\n".join(f"{name} = {globals()[name]}" for name in names)
