"""The walk itself: evaluate, clip, step, note.  One loop for every rule, rate and way of reading a gradient.

:func:`advance` is ordinary Python.  It runs as it stands on NumPy arrays, with the few vector operations below; where
a cost can be compiled, :mod:`descender.kernels.assemble` compiles this same text around the cost's own.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

COLUMNS = ("cost", "gradient_norm", "step_norm", "learning_rate", "clipped", "evaluations")
FEW = 32
"""Numbers up to which Python's own norm is faster than NumPy's."""
RAN, SMALL_GRADIENT, SMALL_STEP, NOT_FINITE = 0, 1, 2, 3


class Options(NamedTuple):
    """What stands around a rule; an infinite bound, a `shrink` of 0 and a negative tolerance switch a thing off."""

    clip_norm: float = np.inf
    clip_value: float = np.inf
    coordinates: bool = False
    shrink: float = 0.0
    share: float = 0.0
    gradient_tol: float = 0.0
    step_tol: float = 0.0
    stop_if_not_finite: bool = True


def advance(
    evaluate, update, rate_at, length, difference, inner, clip, only, keep,
    p, q, options, data, order, starts, stops, w, state, before, state_before, rate, first, log, path,
):  # fmt: skip
    """Take a step for each row of `log`, fewer if the walk ends.

    Row i describes the point before step i and the step that was taken from it; `path[i]` is that point.  The samples
    of step i are ``order[starts[i]:stops[i]]``.  `before` is the point before `w`: there the walk returns if `w` turns
    out not to be finite.  Returns how many rows count, why it ended, and the points and states.
    """
    for i in range(log.shape[0]):
        t = first + i
        rows = order[starts[i] : stops[i]]
        value, gradient = evaluate(w, data, rows)
        norm = length(gradient)
        log[i, 0] = value
        log[i, 1] = norm
        if options.stop_if_not_finite and not math.isfinite(value + norm):
            return i, 3, w, state, before, state_before, rate
        if i < path.shape[0]:
            keep(path, i, w)
        if options.coordinates:
            gradient = only(gradient, t % w.shape[0])
        direction, clipped = clip(gradient, options.clip_norm, options.clip_value)

        rate = rate / options.shrink if options.shrink > 0 else rate_at(q, t)
        new, new_state = update(p, w, direction, state, rate, t)
        evaluations = 1
        if options.shrink > 0:
            while evaluations < 100:
                evaluations += 1
                trial, _ = evaluate(new, data, rows)
                if trial <= value + options.share * inner(gradient, difference(new, w)):
                    break
                rate = rate * options.shrink
                new, new_state = update(p, w, direction, state, rate, t)
        step = length(difference(new, w))
        log[i, 2] = step
        log[i, 3] = rate
        log[i, 4] = clipped
        log[i, 5] = evaluations

        if options.stop_if_not_finite and not math.isfinite(step):
            return i + 1, 3, new, new_state, w, state, rate
        before, state_before = w, state
        w, state = new, new_state
        if norm <= options.gradient_tol:
            return i + 1, 1, w, state, before, state_before, rate
        if step <= options.step_tol:
            return i + 1, 2, w, state, before, state_before, rate
    return log.shape[0], 0, w, state, before, state_before, rate


def length(v):
    """The Euclidean norm, without overflow."""
    if v.size <= FEW:
        norm = math.hypot(*v.tolist())  # which lets an infinity outweigh a NaN
        return norm if norm < np.inf or not np.isnan(v).any() else np.nan
    largest = float(np.max(np.abs(v), initial=0.0))
    if largest == 0.0 or not np.isfinite(largest):
        return largest
    return largest * float(np.sqrt(np.sum(np.square(v / largest, dtype=np.float64))))


def clip(gradient, max_norm, max_value):
    """The gradient scaled down to `max_norm`, each component bounded by `max_value`; and whether that changed it."""
    clipped = 0.0
    norm = length(gradient) if max_norm < np.inf else 0.0
    if norm > max_norm:
        gradient, clipped = gradient * (max_norm / norm), 1.0
    if max_value < np.inf and np.any(np.abs(gradient) > max_value):
        gradient, clipped = np.clip(gradient, -max_value, max_value), 1.0
    return gradient, clipped


def keep(path, i, w):
    """Note the point before step i."""
    path[i] = w


def only(gradient, j):
    """The gradient with all but its component `j` set to zero."""
    single = np.zeros_like(gradient)
    single[j] = gradient[j]
    return single
