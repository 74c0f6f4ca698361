"""The walk itself: evaluate, clip, step, note.  One loop for every rule, rate and way of reading a gradient.

:func:`advance` is ordinary Python.  It runs as it stands on NumPy arrays, with the few vector operations below; where
a cost can be compiled, :mod:`descender.kernels.assemble` compiles this same text around the cost's own.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

COLUMNS = ("cost", "gradient_norm", "step_norm", "learning_rate", "clipped", "evaluations")
EVALUATIONS = COLUMNS.index("evaluations")
FEW = 32
"""Numbers up to which Python's own norm is faster than NumPy's."""
RAN, SMALL_GRADIENT, SMALL_STEP, NOT_FINITE, NO_CHANGE = 0, 1, 2, 3, 4
LAST_RATE, NEXT_COST, IDLE, OWN = 0, 1, 2, 3
"""Where in `memory` the last rate stands, the cost at `w` that a search has read (else NaN), how many steps of a search
in a row moved no digit of the cost, and the rule's numbers."""


class Options(NamedTuple):
    """What stands around a rule; an infinite bound and a negative tolerance switch a thing off."""

    clip_norm: float = np.inf
    clip_value: float = np.inf
    gradient_tol: float = 0.0
    step_tol: float = 0.0
    whole: float = 1.0
    """Samples that bear an l1 penalty together: all of them where a batch is a part of a sum."""
    coordinates: bool = False
    stop_if_not_finite: bool = True


def new_log(steps: int) -> NDArray[np.float64]:
    """What :func:`advance` writes into: a row for each of `COLUMNS`, so that numbers of one kind lie side by side.

    One evaluation a step is noted beforehand; where a rate is searched for, it is written over.
    """
    log = np.zeros((len(COLUMNS), steps))
    log[EVALUATIONS] = 1.0
    return log


def advance(
    evaluate, rate_at, schedule, ceiling_at, remember, update, settle, answer,
    square, length, free_length, square_between, distance, along, copy, forget, clip, only, project,
    shrink, shrunk_length, penalty_rise, keep, least,
    clips, coordinates, scheduled, searches, bounded, shrinks, carries, looks_back, remembers, settles, extrapolates,
    answers_apart, stop_if_not_finite,
    p, q, options, data, order, starts, stops,
    w, new, gradient, direction, before, direction_before, ahead, origin, lower, upper, thresholds,
    state, new_state, state_before, memory, noise, first, log, path, answers,
):  # fmt: skip
    """Take a step for each column of `log`, fewer if the walk ends; returns how many count, and why it ended.

    The first parameters are operations and what is switched on; the assembler puts them in.  The samples of step i are
    ``order[starts[i]:stops[i]]``.  Column i of `log` describes the point before step i and the step that was taken from
    it; ``path[i]`` is that point, ``answers[i]`` what the rule makes of it.  The vectors are changed in place: the walk
    goes on from `w` and `state`, and from `before` and `state_before` if `w` turned out not to be finite.

    A norm is looked at, and computed without overflow, only where its square is out of the range of ordinary numbers,
    or so small that the walk may end: of all other steps the square says that nothing is to be done.
    """
    if scheduled:
        schedule(log, q, first)
    flat = least(options.gradient_tol)
    still = least(options.step_tol)
    done = log.shape[1]
    why = 0
    for i in range(log.shape[1]):
        t = first + i
        rows = order[starts[i] : stops[i]]
        evaluations = 0.0
        if searches and not math.isnan(memory[1]):
            value = memory[1]
            copy(gradient, ahead)
        else:
            value = evaluate(gradient, w, data, rows)
            evaluations = 1.0
        if shrinks:
            part = min(1.0, rows.shape[0] / options.whole)
            norm = shrunk_length(gradient, w, part, thresholds)
        elif bounded:
            norm = free_length(gradient, w, lower, upper)
        size = norm * norm if shrinks or bounded else square(gradient)
        log[0, i] = value
        log[1, i] = norm if shrinks or bounded else math.sqrt(size)
        if not (flat < size < 1e280 and abs(value) < math.inf):
            if not (shrinks or bounded):
                norm = length(gradient)
            log[1, i] = norm
            if stop_if_not_finite and not math.isfinite(value + norm):
                done = i
                why = 3
                break
            if norm <= options.gradient_tol:
                why = 1
        if i < path.shape[0]:
            keep(path, i, w)
        if answers_apart and i < answers.shape[0]:
            answer(answers, i, p, w, state, t)
        if clips or coordinates:
            copy(direction, gradient)
        if coordinates:
            only(direction, t % direction.shape[0])
        if clips:
            log[4, i] = clip(direction, options.clip_norm, options.clip_value)

        if scheduled:
            rate = float(log[3, i])
        else:
            rate = rate_at(memory, q, t, value, w, direction, before, direction_before, origin)
        if remembers:
            remember(memory, p, w, direction, state, origin, rate, t)
        update(new, new_state, memory, p, w, direction, state, origin, noise, i, rate, t)
        if shrinks:
            shrink(new, rate * part, thresholds)
        if bounded:
            wanted = distance(new, w)
            project(new, lower, upper)
            if carries and distance(new, w) <= options.step_tol < wanted and why == 0:
                forget(state)  # the bounds stop a velocity, not the descent
                update(new, new_state, memory, p, w, direction, state, origin, noise, i, rate, t)
                project(new, lower, upper)
        if searches:
            ceiling = ceiling_at(memory, q, value)
            forgotten = False
            while evaluations < 100.0:
                drop = along(gradient, new, w)
                if shrinks:
                    rise = penalty_rise(new, w, thresholds)
                    drop += rise
                if drop > 0.0 and not forgotten:  # no rate makes a velocity that leads uphill a descent
                    forget(state)
                    forgotten = True
                else:
                    evaluations += 1.0
                    memory[1] = evaluate(ahead, new, data, rows)
                    if extrapolates:  # the parabola of this rate must lie above the cost, but for its rounding
                        promise = drop + 0.5 * square_between(new, w) / rate + 4e-16 * abs(value)
                    else:
                        promise = q.share * drop
                    if memory[1] <= ceiling + promise:
                        break
                    rate = rate * q.shrink
                update(new, new_state, memory, p, w, direction, state, origin, noise, i, rate, t)
                if shrinks:
                    shrink(new, rate * part, thresholds)
                if bounded:
                    project(new, lower, upper)
            memory[2] = memory[2] + 1.0 if abs(memory[1] - value) <= 4.5e-16 * abs(value) else 0.0
        if settles:
            settle(new, new_state, memory, p, w, t)
        if extrapolates and bounded:
            project(new, lower, upper)
        if extrapolates and searches:
            memory[1] = math.nan  # the search did not read the cost there
        memory[0] = rate
        if not scheduled:
            log[3, i] = rate
        if searches:
            log[5, i] = evaluations
        size = square_between(new, w)
        log[2, i] = math.sqrt(size)
        if not still < size < 1e280:
            step = distance(new, w)
            log[2, i] = step
            if stop_if_not_finite and not math.isfinite(step):
                why = 3
            elif step <= options.step_tol and why == 0:
                why = 2

        copy(before, w)
        copy(w, new)
        copy(state_before, state)
        copy(state, new_state)
        if looks_back:
            copy(direction_before, direction)
        if searches and memory[2] >= 50.0 and options.gradient_tol == 0.0 and why == 0:
            why = 4  # an exact search has nothing to go by
        if why > 0:
            done = i + 1
            break
    return done, why


def square(v):
    """The square of the norm, whose root is the norm to the last bit."""
    norm = length(v)
    return norm * norm


def length(v):
    """The Euclidean norm, without overflow."""
    if v.size <= FEW:
        norm = math.hypot(*v.tolist())  # which lets an infinity outweigh a NaN
        return norm if norm < np.inf or not np.isnan(v).any() else np.nan
    with np.errstate(over="ignore"):
        square = float(np.dot(v, v))
    if 1e-25 < square < 1e37:  # neither float32 nor float64 lost anything
        return math.sqrt(square)
    largest = float(np.max(np.abs(v), initial=0.0))
    if largest == 0.0 or not np.isfinite(largest):
        return largest
    return largest * float(np.sqrt(np.sum(np.square(v / largest, dtype=np.float64))))


def free_length(gradient, w, lower, upper):
    """The norm of the projected gradient, w - P(w - g): what points out of the bounds does not count."""
    return length(np.minimum(np.maximum(gradient, w - upper), w - lower))


def square_between(a, b):
    """The square of the norm of a - b."""
    norm = distance(a, b)
    return norm * norm


def distance(a, b):
    """The norm of a - b."""
    return length(a - b)


def along(gradient, new, w):
    """The inner product of the gradient and new - w."""
    return float(np.dot(gradient, new - w))


def copy(to, of):
    """`to` takes the numbers of `of`."""
    to[:] = of


def forget(state):
    """What a rule remembers is as at the start of a walk."""
    state[:] = 0.0


def clip(gradient, max_norm, max_value):
    """Scale the gradient down to `max_norm`, bound each component by `max_value`; 1.0 if that changed it, else 0.0."""
    clipped = 0.0
    norm = length(gradient) if max_norm < np.inf else 0.0
    if norm > max_norm:
        gradient /= norm  # the ratio of the norms could be too small for a number
        gradient *= max_norm
        clipped = 1.0
    if max_value < np.inf and np.any(np.abs(gradient) > max_value):
        np.clip(gradient, -max_value, max_value, out=gradient)
        clipped = 1.0
    return clipped


def only(gradient, j):
    """Set all but component `j` of the gradient to zero."""
    kept = gradient[j]
    gradient[:] = 0.0
    gradient[j] = kept


def project(w, lower, upper):
    """Bring `w` back within its bounds."""
    np.clip(w, lower, upper, out=w)


def shrink(w, rate, thresholds):
    """Bring each component nearer to 0 by the rate times its threshold, and to 0 where it is within that."""
    reach = rate * thresholds
    w -= np.clip(w, -reach, reach)


def shrunk_length(gradient, w, rate, thresholds):
    """The norm of w - S(w - g), where S shrinks by `rate` times the thresholds: at 1 that of the proximal gradient."""
    reach = rate * thresholds
    return length(gradient + np.clip(w - gradient, -reach, reach))


def penalty_rise(new, w, thresholds):
    """By how much the l1 penalty rises from w to new."""
    return float(np.dot(thresholds, np.abs(new) - np.abs(w)))


def keep(path, i, w):
    """Note the point before step i."""
    path[i] = w


def least(tol):
    """Above it a square is that of a norm above `tol`, and lost nothing."""
    tol = max(tol, 0.0)
    return max(tol * tol * (1.0 + 1e-15), 1e-280)


OPERATIONS = (
    square, length, free_length, square_between, distance, along, copy, forget, clip, only, project,
    shrink, shrunk_length, penalty_rise, keep, least,
)  # fmt: skip
"""The vector operations on arrays, in the order of the parameters; their loops stand in `descender.kernels.loops`."""
