"""Checks of a walk's strides - its rate, memory, clip and budget - by the same walk with another one of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from descender.costs.network.network import Network
from descender.descent import descend
from descender.doctor.finding import Finding
from descender.doctor.rewalk import LITTLE, Closer, far_lower, number
from descender.errors import DescenderError
from descender.methods.auto import choose
from descender.walk import Stop

UP, DOWN = (10.0, 100.0, 1e3, 1e4, 1e5), (3.0, 10.0, 30.0, 100.0)
"""Factors of the rate that are tried."""
MOST, QUARTER, MILD = 0.9, 0.25, 0.02
"""Shares of a possible fall: of a walk that as good as arrived; what one missed that is ill, or is to be told of."""
LOWER = 0.75
"""The share of its own end to which a walk that was thrown up must come with a lower rate."""
LONG_MEMORY, LONG, USUAL_MEMORY = 0.99, 0.05, 0.9
"""A momentum, or the share of the walk that it remembers, that may be too high, and the one that is tried instead."""
RISES = 0.2
"""The share of its late steps in which a cost rises that runs past its minimum again and again."""
BACK = -0.5
"""The cosine of a step and the next below which a walk goes to and fro between the walls of a valley."""
SEEN_STEPS, MANY = 200, 1000
"""How many steps are looked at; parameters up to which the bottom is looked for."""
ALWAYS, TWICE = 0.95, 2.0
"""The share of steps that are clipped when all are; times the median norm at which one clips instead."""


def momentum_too_high(look: Closer) -> Finding | None:
    """D109: a long memory, and with a usual one the walk ends far lower; of a shorter one, if its cost rises and rises.

    A rate that helps as much is named instead, where the memory is not long by itself.
    """
    beta = getattr(look.method.rule, "beta", 0.0) if look.method is not None else 0.0
    long = beta >= LONG_MEMORY
    swings = beta > USUAL_MEMORY and look.full and _rises(look) and 1.0 / (1.0 - beta) > LONG * look.walk.nit
    if not look.repeatable or not (long or swings):
        return None
    assert look.method is not None
    end = look.again(replace(look.method, rule=look.method.rule._replace(beta=USUAL_MEMORY)))
    if not far_lower(look.begin - end, look.begin - look.end, MOST):
        return None
    if not long and look.lowest(look.rates([1.0 / factor for factor in DOWN[:2]]))[1] <= end:
        return None
    evidence = f"beta is {beta:g}; with {USUAL_MEMORY:g} as many steps end at {end:.3g} instead of {number(look.end)}"
    return Finding("momentum-too-high", "critical", evidence, f"beta={USUAL_MEMORY:g}")


def rate_too_high(look: Closer) -> Finding | None:
    """D101: a lower rate does far better: nothing was learnt, much was missed, or the cost was thrown up at first."""
    if not look.repeatable:
        return None
    level, top = min(look.begin, look.guess), _highest(look)
    thrown = top - look.begin > 0.5 * max(look.begin - look.lowest_cost, 0.0) > 0 or not np.isfinite(top)
    restless = thrown or not (look.walk.success or look.falling)
    if not (look.failed or restless):
        return None
    ends = look.ends(look.rates([1.0 / factor for factor in DOWN]))
    rate, end = min(ends.items(), key=lambda told: told[1])
    if not end < level - LITTLE * abs(level):
        return None
    share = _missed(look, level, end)
    much = share > 0.5 if look.failed else share > QUARTER
    clearly = (
        sum(0 <= lower < LOWER * look.end for lower in ends.values()) > 1
    )  # else it is at the edge, and well there
    if not much and not (thrown and share > MILD and clearly):
        return None
    evidence = f"as many steps at rate {rate} end at {end:.3g} instead of {number(look.end)}"
    if thrown and np.isfinite(top):
        evidence = f"the cost rose from {look.begin:.3g} to {top:.3g}; {evidence}"
    severity = "critical" if look.failed else "warning"
    return Finding("learning-rate-too-high", severity, evidence, f"learning_rate={rate}, or leave it out")


def oscillation(look: Closer) -> Finding | None:
    """D110: steps to and fro between the walls of a valley, and less far along it than with a lower rate or memory."""
    if not look.repeatable or not look.full or look.walk.success or look.walk.nit < 10:
        return None
    cosine = _turning(look)
    if not (cosine < BACK or _rises(look)):
        return None
    tried = {f"learning_rate={rate}": way for rate, way in look.rates([1 / 2, 1 / 3, 1 / 10]).items()}
    assert look.method is not None
    beta = getattr(look.method.rule, "beta", 0.0)
    tried |= {
        f"beta={less:g}": replace(look.method, rule=look.method.rule._replace(beta=less))
        for less in (0.9, 0.5)
        if less < beta
    }
    best, end = look.lowest(tried)
    share = _missed(look, look.begin, end)
    if share <= MILD or (share <= LITTLE and end >= LOWER * look.end):
        return None
    how = f"the cosine of a step and the next is {cosine:.2f}" if cosine < BACK else "the cost rises again and again"
    evidence = f"{how}; with {best} as many steps end at {end:.3g} instead of {number(look.end)}"
    return Finding("oscillation", "warning" if share > LITTLE else "info", evidence, best)


def rate_too_low(look: Closer) -> Finding | None:
    """D108: it came to no end, or to one by its patience, and as many steps at ten times the rate or more fall far."""
    still = look.walk.status in ("stuck", "plateau") and look.cost.n_samples  # on a formula that is its own fault
    if not (look.walk.status in ("budget", "planned") or still) or not look.repeatable or look.end > look.begin:
        return None
    rate, end = look.lowest(look.rates(list(UP)))
    deep = look.begin - end > LITTLE * abs(look.begin)
    if not deep or not far_lower(look.begin - end, look.begin - look.end, 1 / 3):
        return None
    evidence = f"as many steps at rate {rate} end at {end:.3g} instead of {number(look.end)}"
    return Finding("learning-rate-too-low", "warning", evidence, f"learning_rate={rate}, or leave it out")


def clipping_too_low(look: Closer) -> Finding | None:
    """D411: every step is clipped, so that the clip is the rate: ill where as many steps without it end far lower."""
    bound, share, usual = _clip(look)
    if bound is None or share < ALWAYS or not look.repeatable:
        return None
    assert look.method is not None
    evidence = f"{share:.0%} of the steps are clipped, at {bound:g}; the gradient's norm is {usual:.3g} in the median"
    evidence += f": a step is {bound:g} times the rate long, whatever the slope"
    wider = float(f"{TWICE * usual:.2g}")
    end = look.again(replace(look.method, options=look.method.options._replace(clip_norm=wider)))
    remedy = f"clip_norm={wider:g}"
    if far_lower(look.begin - end, look.begin - look.end, MOST) and look.begin - end > LITTLE * abs(look.begin):
        evidence += f"; with {remedy} as many steps end at {end:.3g} instead of {number(look.end)}"
        return Finding("clipping-too-low", "warning", evidence, remedy)
    return Finding("clipping-too-low", "info", evidence, f"{remedy}, or leave it as it is: it did no harm")


def clipping_idle(look: Closer) -> Finding | None:
    """D420: no step was ever clipped, though it was asked for."""
    bound, share, usual = _clip(look)
    if bound is None or share > 0 or look.walk.nit < 10:
        return None
    norms = look.walk.record["gradient_norm"]
    evidence = f"no step of {look.walk.nit:,} was clipped at {bound:g}: the largest norm was {np.nanmax(norms):.3g}"
    return Finding("clipping-idle", "info", evidence, f"clip_norm={TWICE * usual:.2g}, or leave it out")


def steps_used_up(look: Closer) -> Finding | None:
    """D105: the budget was used up well above the bottom, as a method that needs no rate knows it."""
    if look.walk.status != "budget" or look.cost.n_parameters > MANY or isinstance(look.cost, Network):
        return None
    if not look.end < look.begin:
        return None
    try:
        bottom = descend(look.cost, look.walk.x, choose(look.cost)[0], Stop(max_seconds=1.0, max_evaluations=1000))
    except DescenderError:
        return None
    if not bottom.success or not far_lower(look.begin - bottom.fun, look.begin - look.walk.fun, MOST):
        return None
    left = (look.walk.fun - bottom.fun) / (look.begin - bottom.fun)
    evidence = f"J is {look.walk.fun:.4g} after {look.walk.nit:,} steps, {left:.0%} of the way above {bottom.fun:.4g}"
    return Finding("steps-used-up", "warning", evidence, "more steps, or leave the method and its rate out")


def _missed(look: Closer, level: float, end: float) -> float:
    """The share of a fall from a level to an end that the walk did not take; 1 of one that was lost."""
    return (look.end - end) / (level - end) if level > end and np.isfinite(look.end) else float(level > end)


def _highest(look: Closer) -> float:
    """The highest of the walk's costs: of all samples where they were read, else of the medians of twenty parts."""
    costs = look.costs
    if len(costs) < 2:
        return look.begin
    parts = np.array_split(costs, min(20, len(costs)))
    noisy = not look.full
    seen = [float(np.median(part)) if noisy else float(part.max()) for part in parts]
    return max(seen)


def _rises(look: Closer) -> bool:
    """Whether the cost rises in a good part of the later steps."""
    late = look.costs[len(look.costs) // 3 :]
    return len(late) > 10 and bool(np.mean(np.diff(late) > 1e-9 * np.abs(late[:-1])) > RISES)


def _turning(look: Closer) -> float:
    """The median cosine of a step and the next, of the later steps of the walk taken again."""
    points: list[Any] = []

    def note(step: Any) -> bool:
        points.append(np.array(step.x, dtype=np.float64))
        return len(points) > SEEN_STEPS

    try:
        descend(look.cost, look.start, look.method, Stop(max_steps=look.walk.nit, max_seconds=2.0), callback=note)  # type: ignore[arg-type]
    except DescenderError:
        return 0.0
    steps = np.diff(points, axis=0)[len(points) // 3 :]
    norms = np.linalg.norm(steps, axis=1)
    if len(steps) < 5 or not (norms > 0).all():
        return 0.0
    return float(np.median((steps[1:] * steps[:-1]).sum(axis=1) / (norms[1:] * norms[:-1])))


def _clip(look: Closer) -> tuple[float | None, float, float]:
    """The norm at which the walk clips, the share of its steps that were, and the median norm; None if it does not."""
    bound = look.method.options.clip_norm if look.method is not None else np.inf
    record = look.walk.record
    known = np.isfinite(record["clipped"]) & np.isfinite(record["gradient_norm"])
    if not np.isfinite(bound) or known.sum() < 10:
        return None, 0.0, 0.0
    return float(bound), float(record["clipped"][known].mean()), float(np.median(record["gradient_norm"][known]))
