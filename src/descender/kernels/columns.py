"""Loops over some columns of sparse rows: products, their copy, their curvatures, coordinate descent on them.

Rows are in CSR form: those of row i stand from ``start[i]`` to ``start[i + 1]`` in ``index`` and ``value``.  Indices
have no sign: a loop then does not ask whether they count from the end, and takes a third of the time.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType

import numpy as np

ONE_BY_ONE = '@njit(error_model="numpy", cache=True, fastmath={"reassoc", "contract"})\n'
"""Sums may be taken in another order than they are written: they then use all lanes of the processor."""


def multiply(start, index, value, w, shift, out):
    """Put x·w + shift of each row into `out`."""
    for i in range(out.shape[0]):
        total = shift
        for e in range(start[i], start[i + 1]):
            total += value[e] * w[index[e]]
        out[i] = total


def spread(start, index, value, r, out):
    """Add the sum over rows of r x to `out`."""
    for i in range(r.shape[0]):
        for e in range(start[i], start[i + 1]):
            out[index[e]] += r[i] * value[e]


def count(index, place):
    """How many entries stand in columns that have a place."""
    total = 0
    for e in range(index.shape[0]):
        total += place[index[e]] >= 0
    return total


def gather(start, index, value, place, some_start, some_index, some_value):
    """Copy the columns that have a place of at least 0 to it; the copy has room for one entry more than it needs."""
    m = 0
    for i in range(start.shape[0] - 1):
        for e in range(start[i], start[i + 1]):
            k = place[index[e]]
            some_index[m] = k
            some_value[m] = value[e]
            m += k >= 0
        some_start[i + 1] = m


def moment(start, index, value, h, H, edge):
    """Add the sum over rows of h x x' to `H`, each pair in one of its two places, and that of h x to `edge`."""
    for i in range(h.shape[0]):
        for e in range(start[i], start[i + 1]):
            j = index[e]
            scaled = h[i] * value[e]
            edge[j] += scaled
            for f in range(start[i], e):
                H[j, index[f]] += scaled * value[f]
            H[j, j] += scaled * value[e]


def pairs(start):
    """How many pairs of entries stand in the same row."""
    total = np.int64(0)
    for i in range(start.shape[0] - 1):
        size = np.int64(start[i + 1]) - np.int64(start[i])
        total += (size * (size + 1)) >> 1
    return total


def stand_up(start, index, value, top, row, entry):
    """Write the rows column by column: those of column j stand from ``top[j]`` to ``top[j + 1]``; `top` comes as 0."""
    columns = top.shape[0] - 1
    place = np.zeros_like(top)
    for e in range(index.shape[0]):
        place[index[e]] += 1
    for j in range(columns):
        top[j + 1] = top[j] + place[j]
        place[j] = top[j]
    for i in range(start.shape[0] - 1):
        for e in range(start[i], start[i + 1]):
            k = place[index[e]]
            place[index[e]] = k + 1
            row[k] = i
            entry[k] = value[e]


def scale(top, row, entry, h, scaled, squares):
    """Put h x into `scaled` and the sum of h x² of each column into `squares`."""
    for j in range(top.shape[0] - 1):
        total = 0.0
        for e in range(top[j], top[j + 1]):
            v = h[row[e]] * entry[e]
            scaled[e] = v
            total += v * entry[e]
        squares[j] = total


def descend(top, row, entry, scaled, h, curvature, gradient, l2, l1, w, p, t, sweeps, rest, slack):
    """Minimise g·p + p'Hp/2 + sum l1|w + p| from p, with H = X' diag(h) X + l2, one coordinate at a time, in place.

    ``t = h (X p)`` follows p.  A coordinate more than there are columns is an intercept.  A sweep over all is followed
    by sweeps over those that moved, until one lowers the model by less than the share `rest` of what all have, or
    until no slope is off by more than `slack`; a last one looks at all.  Returns the sweeps and the largest slope.
    """
    columns = top.shape[0] - 1
    moving = [True] * columns
    everything, total, largest = True, 0.0, 0.0
    for sweep in range(sweeps):
        fell, largest = 0.0, 0.0
        if w.shape[0] > columns:
            slope = gradient[columns]
            for i in range(h.shape[0]):
                slope += t[i]
            change = -slope / curvature[columns]
            p[columns] += change
            for i in range(h.shape[0]):
                t[i] += change * h[i]
            fell, largest = curvature[columns] * change * change, abs(slope)
        for j in range(columns):
            if not moving[j]:
                continue
            moving[j] = False
            a = curvature[j]
            if a <= 0.0:
                continue
            slope = gradient[j] + l2 * p[j]
            for e in range(top[j], top[j + 1]):
                slope += entry[e] * t[row[e]]
            here = w[j] + p[j]
            target = here - slope / a
            change = target - min(max(target, -l1 / a), l1 / a) - here
            if change != 0.0:
                p[j] += change
                for e in range(top[j], top[j + 1]):
                    t[row[e]] += change * scaled[e]
                fell += a * change * change
                largest = max(largest, a * abs(change))
                moving[j] = True
        total += fell
        if fell <= rest * total or largest <= slack:
            if everything:
                return sweep + 1, largest
            everything = True
            for j in range(columns):
                moving[j] = True
        else:
            everything = False
    return sweeps, largest


@cache
def compiled() -> ModuleType:
    """The loops of this page as one compiled module."""
    from descender.kernels.cached import HEADER, load
    from descender.kernels.texts import text_of

    loops = (multiply, spread, count, gather, moment, pairs, stand_up, scale, descend)
    return load(f"{HEADER}\n\n" + "\n\n".join(f"{ONE_BY_ONE}{text_of(loop, loop.__name__)}\n" for loop in loops))
