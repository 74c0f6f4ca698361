"""The lasso's path of one fit from kink to kink: see :mod:`descender.methods.homotopy`, which it does in a loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from descender.kernels.coordinates import add_scaled

DEPENDENT = 1e-10
"""The share of its curvature that a column has to keep beside those whose weights are not zero, or the line is lost."""
LEVEL = 1e-9
"""How much slower than the strength a slope that reaches it falls at least: those of equal columns fall together."""
DOWN, FULL, LOST = range(3)
"""How a fall ends: at the strength asked for, with no room for another weight, or where no line can be told."""


def fall_to(add_scaled, H, size, slope, w, sign, places, inverse, used, level, last, dependent, flat, turns):
    """Follow the minimum from strength `level` down to `last`; returns how many weights are not zero, where it is, how.

    The first `size` of everything are meant.  ``places`` are the `used` weights that are not zero, ``sign`` theirs, and
    ``inverse`` is that of their curvatures.  The arrays follow the fall.
    """
    move, v, along = np.empty(inverse.shape[0]), np.empty(inverse.shape[0]), np.empty(size)
    move[:used] = 0.0
    for a in range(used):
        add_scaled(move[:used], sign[places[a]], inverse[a])
    for _ in range(turns):
        along[:] = 0.0
        for a in range(used):
            add_scaled(along, move[a], H[places[a]])
        step, who, side, leaves = level - last, -1, 0.0, False
        for j in range(size):
            if sign[j] != 0.0:
                continue
            if (1.0 - along[j]) * step > level - slope[j] and 1.0 - along[j] > flat:
                step, who, side = max(level - slope[j], 0.0) / (1.0 - along[j]), j, 1.0
            if (1.0 + along[j]) * step > level + slope[j] and 1.0 + along[j] > flat:
                step, who, side = max(level + slope[j], 0.0) / (1.0 + along[j]), j, -1.0
        for a in range(used):
            j = places[a]
            if sign[j] * move[a] < 0.0 and max(sign[j] * w[j], 0.0) <= step * abs(move[a]):
                step, who, leaves = max(sign[j] * w[j], 0.0) / abs(move[a]), a, True
        for a in range(used):
            w[places[a]] += step * move[a]
        add_scaled(slope[:size], -step, along)
        if who < 0:
            return used, last, 0
        level -= step
        if leaves:
            j, end = places[who], used - 1
            w[j] = sign[j] = 0.0
            v[:used] = inverse[who, :used]
            for a in range(used):
                add_scaled(inverse[a, :used], -v[a] / v[who], v)
            add_scaled(move[:used], -move[who] / v[who], v)
            move[who] = move[end]
            inverse[who, :used] = inverse[end, :used]
            for a in range(used):
                inverse[a, who] = inverse[a, end]
            places[who] = places[end]
            used = end
            continue
        if used == inverse.shape[0]:
            return used, level, 1
        v[:used] = 0.0
        for a in range(used):
            add_scaled(v[:used], H[who, places[a]], inverse[a])
        left, turn = H[who, who], -side
        for a in range(used):
            left -= v[a] * H[who, places[a]]
            turn += v[a] * sign[places[a]]
        if not left > dependent * H[who, who]:
            return used, level, 2
        for a in range(used):
            add_scaled(inverse[a, :used], v[a] / left, v)
            inverse[a, used] = inverse[used, a] = -v[a] / left
        inverse[used, used] = 1.0 / left
        add_scaled(move[:used], turn / left, v)
        move[used] = -turn / left
        places[used], sign[who] = who, side
        used += 1
    return used, level, 2


@cache
def compiled() -> Callable:
    """The loop, compiled."""
    from descender.kernels.assemble import assemble_one

    return assemble_one(fall_to, add_scaled)
