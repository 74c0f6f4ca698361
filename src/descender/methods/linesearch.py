"""A step length along a direction, by the strong Wolfe conditions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from descender.costs.cost import Cost, Vector
from descender.methods.bounds import Bounds

SUFFICIENT, CURVATURE = 1e-4, 0.9
"""Share of the promised decrease that is asked for, share of the slope that may remain (quasi-Newton: 0.9)."""
ROUNDING = 2e-15
"""Changes of J below this share of it are not trusted; the slopes are."""
LIMIT = 40
STEEPER = 100.0
"""A slope that has grown so many times just before the cost is no longer defined is no valley's."""
FAR = 1e12
"""A direction that still falls this many first steps away has no bottom within reach."""
SHORTEST, STEADY, LONGEST = 1.1, 2.0, 10.0
"""How long the next stretch may be, in lengths of the last one: at least, where J falls no less steeply, at most."""


class Trial(NamedTuple):
    """A point of the line: step length, cost, slope along the direction, gradient."""

    step: float
    value: float
    slope: float
    gradient: Vector


class Found(NamedTuple):
    """``trial`` is None if no lower point was found; ``endless`` tells that the cost fell without end.

    ``edge`` is the step at which the cost is no longer defined, where it fell ever more steeply towards that.
    """

    trial: Trial | None
    evaluations: int
    endless: bool = False
    edge: float | None = None


def search(
    cost: Cost,
    w: Vector,
    direction: Vector,
    value: float,
    gradient: Vector,
    first: float = 1.0,
    *,
    sufficient: float = SUFFICIENT,
    curvature: float = CURVATURE,
    box: Bounds | None = None,
) -> Found:
    r"""A step a > 0 that satisfies the strong Wolfe conditions.

    .. math:: J(w+ap) \le J(w) + c_1 a\,g\cdot p, \qquad |g(w+ap)\cdot p| \le c_2 |g\cdot p|

    with :math:`c_1` `sufficient` and :math:`c_2` `curvature`.  Goes on to where the slopes point, by at least 1.1 and
    at most 10 times the last stretch, until it has a bracket; then interpolates by cubics, safeguarded by bisection;
    a point that is not finite is too far.  Of a cost with kinks only :math:`g(w+ap)\cdot p \ge c_2\, g\cdot p` is asked
    (the weak condition), since across a kink the slope jumps.  Where the change of J drowns in rounding the slopes
    decide (Hager and Zhang's approximate condition).  Within a box the last step inside it needs only the first
    condition, if J still falls there.

    J. Nocedal and S. Wright, *Numerical Optimization*, 2006, algorithms 3.5 and 3.6; W. Hager and H. Zhang, *A new
    conjugate gradient method with guaranteed descent and an efficient line search*, 2005; A. Lewis and M. Overton,
    *Nonsmooth optimization via quasi-Newton methods*, 2013.
    """
    origin = Trial(0.0, value, float(gradient @ direction), gradient)
    longest = np.inf if box is None else box.room(w, direction)
    evaluations = 0

    def at(step: float) -> Trial:
        nonlocal evaluations
        evaluations += 1
        with np.errstate(all="ignore"):
            point = w + step * direction
            f, g = cost.value_and_gradient(point if box is None else box.project(point))
            return Trial(step, f, float(g @ direction), g)

    def noise(t: Trial) -> float:
        return ROUNDING * max(abs(origin.value), abs(t.value))

    def low_enough(t: Trial) -> bool:
        if t.value <= origin.value + sufficient * t.step * origin.slope:
            return True
        drowned = abs(t.value - origin.value) <= 1e3 * noise(t)
        return drowned and t.value <= origin.value + noise(t) and t.slope <= (2 * sufficient - 1) * origin.slope

    low, high, step = origin, None, min(first, longest)
    while evaluations < LIMIT:
        t, before = at(step), low
        if not (np.isfinite(t.value) and np.isfinite(t.slope)):
            high = None if high is None and low is origin and evaluations > LIMIT - 2 else t
            step = low.step + 0.1 * (t.step - low.step)
            if step <= low.step or step < 1e-30 * first:
                break
            continue
        if not low_enough(t) or (low is not origin and t.value >= low.value + noise(t)):
            high = t
        elif (abs(t.slope) if cost.smooth else -t.slope) <= curvature * abs(origin.slope):
            return Found(t, evaluations)
        elif t.slope * (1.0 if high is None else high.step - low.step) >= 0:
            high, low = low, t
        else:
            low = t
        if high is None:
            if step > FAR * first:
                return Found(low, evaluations, endless=True)
            if step >= longest:
                return Found(low, evaluations)
            step = min(extrapolate(before, low), longest)
            continue
        if abs(high.step - low.step) <= 1e-15 * max(abs(high.step), abs(low.step)):
            break
        step = interpolate(low, high)
    if low is origin:
        return Found(None, evaluations)
    if high is not None and not np.isfinite(high.value) and abs(low.slope) > STEEPER * abs(origin.slope):
        return Found(low, evaluations, endless=True, edge=high.step)
    return Found(low, evaluations)


def extrapolate(before: Trial, t: Trial) -> float:
    """Where the slopes of two trials would reach zero, beyond the second, within bounds."""
    stretch, rise = t.step - before.step, t.slope - before.slope
    ahead = -t.slope * stretch / rise if rise > 0 else STEADY * stretch
    return t.step + min(max(ahead, SHORTEST * stretch), LONGEST * stretch)


def interpolate(low: Trial, high: Trial) -> float:
    """The minimum of the cubic through two trials, kept away from both; the middle where there is none."""
    width = high.step - low.step
    middle = low.step + 0.5 * width
    if not (np.isfinite(high.value) and np.isfinite(high.slope)):
        return middle
    if abs(low.value - high.value) <= 100.0 * ROUNDING * abs(low.value) and low.slope * high.slope < 0:
        step = low.step + width * low.slope / (low.slope - high.slope)  # the values tell no more: where the slope is 0
        return step if step not in (low.step, high.step) else middle
    with np.errstate(all="ignore"):
        d1 = low.slope + high.slope - 3.0 * (low.value - high.value) / (low.step - high.step)
        square = d1 * d1 - low.slope * high.slope
        d2 = np.copysign(np.sqrt(square), width) if square >= 0 else np.nan
        step = high.step - width * (high.slope + d2 - d1) / (high.slope - low.slope + 2.0 * d2)
    if not np.isfinite(step):
        return middle
    nearest = low.step + 0.05 * width
    farthest = low.step + 0.95 * width
    return float(np.clip(step, min(nearest, farthest), max(nearest, farthest)))
