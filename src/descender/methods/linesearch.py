"""A step length along a direction, by the strong Wolfe conditions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from descender.costs.cost import Cost, Vector

SUFFICIENT, CURVATURE = 1e-4, 0.9
"""Share of the promised decrease that is asked for, share of the slope that may remain (quasi-Newton: 0.9)."""
ROUNDING = 2e-15
"""Changes of J below this share of it are not trusted; the slopes are."""
LIMIT = 40
FAR = 1e12
"""A direction that still falls this many first steps away has no bottom within reach."""


class Trial(NamedTuple):
    """A point of the line: step length, cost, slope along the direction, gradient."""

    step: float
    value: float
    slope: float
    gradient: Vector


class Found(NamedTuple):
    """``trial`` is None if no lower point was found; ``endless`` tells that the cost fell without end."""

    trial: Trial | None
    evaluations: int
    endless: bool = False


def search(cost: Cost, w: Vector, direction: Vector, value: float, gradient: Vector, first: float = 1.0) -> Found:
    r"""A step a > 0 with :math:`J(w+ap) \le J + c_1 a\,g\cdot p` and :math:`|g(w+ap)\cdot p| \le c_2 |g\cdot p|`.

    Brackets by doubling and more, then interpolates by cubics, safeguarded by bisection; a point that is not finite is
    too far.  Of a cost with kinks only :math:`g(w+ap)\cdot p \ge c_2\, g\cdot p` is asked (the weak condition), since
    across a kink the slope jumps.  Where the change of J drowns in rounding the
    slopes decide (Hager and Zhang's approximate condition).

    J. Nocedal and S. Wright, *Numerical Optimization*, 2006, algorithms 3.5 and 3.6; W. Hager and H. Zhang, *A new
    conjugate gradient method with guaranteed descent and an efficient line search*, 2005; A. Lewis and M. Overton,
    *Nonsmooth optimization via quasi-Newton methods*, 2013.
    """
    origin = Trial(0.0, value, float(gradient @ direction), gradient)
    noise = ROUNDING * abs(value)
    evaluations = 0

    def at(step: float) -> Trial:
        nonlocal evaluations
        evaluations += 1
        with np.errstate(all="ignore"):
            f, g = cost.value_and_gradient(w + step * direction)
            return Trial(step, f, float(g @ direction), g)

    def low_enough(t: Trial) -> bool:
        if t.value <= origin.value + SUFFICIENT * t.step * origin.slope:
            return True
        return t.value <= origin.value + noise and t.slope <= (2 * SUFFICIENT - 1) * origin.slope

    low, high, step, growth = origin, None, first, 2.0
    while evaluations < LIMIT:
        t = at(step)
        if not (np.isfinite(t.value) and np.isfinite(t.slope)):
            high = None if high is None and low is origin and evaluations > LIMIT - 2 else t
            step = low.step + 0.1 * (t.step - low.step)
            if step <= low.step or step < 1e-30 * first:
                break
            continue
        if not low_enough(t) or (low is not origin and t.value >= low.value + noise):
            high = t
        elif (abs(t.slope) if cost.smooth else -t.slope) <= CURVATURE * abs(origin.slope):
            return Found(t, evaluations)
        elif t.slope * (1.0 if high is None else high.step - low.step) >= 0:
            high, low = low, t
        else:
            low = t
        if high is None:
            if step > FAR * first:
                return Found(low, evaluations, endless=True)
            growth *= 1.5 if evaluations > 2 else 1.0
            step *= growth
            continue
        if abs(high.step - low.step) <= 1e-15 * max(abs(high.step), abs(low.step)):
            break
        step = interpolate(low, high)
    return Found(low if low is not origin else None, evaluations)


def interpolate(low: Trial, high: Trial) -> float:
    """The minimum of the cubic through two trials, kept away from both; the middle where there is none."""
    width = high.step - low.step
    middle = low.step + 0.5 * width
    if not (np.isfinite(high.value) and np.isfinite(high.slope)):
        return low.step + 0.1 * width
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
