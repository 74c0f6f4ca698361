"""A closer look at a walk that has ended: its data, its gradient, and the same walk with one thing changed.

A walk tells by itself whether it blew up or stood still.  What made it so often shows only when the walk is taken
again with another rate, less momentum, or columns of one scale: what then ends far lower was the fault.  "Far" is a
share of the fall that was possible, never an absolute number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from descender.costs.cost import Cost
from descender.costs.function import Function
from descender.costs.gradient_check import check_gradient
from descender.costs.network.network import Network
from descender.costs.risk import Risk
from descender.descent import descend
from descender.doctor.causes import BY_SLUG
from descender.doctor.finding import Finding, root_first
from descender.doctor.fitted import SEPARABLE
from descender.doctor.layers import vanishing_gradient
from descender.doctor.loops.data import PULL, farthest, on_several_scales, telling
from descender.doctor.loops.learnable import learnable
from descender.doctor.rewalk import LITTLE, SECONDS, Closer, far_lower, number
from descender.doctor.scaling import STANDARDISE, standardised
from descender.doctor.strides import (
    LOWER,
    MOST,
    clipping_idle,
    clipping_too_low,
    momentum_too_high,
    oscillation,
    rate_too_high,
    rate_too_low,
    steps_used_up,
)  # fmt: skip
from descender.errors import DescenderError
from descender.methods.advance import length
from descender.methods.auto import choose, textbook
from descender.methods.textbook import Textbook
from descender.walk import Stop, Walk

ROUNDING = 1e-6
"""The share of its first length below which a gradient is not looked at."""
SEEN = 1000
"""Rows at which gradients and targets are looked at."""


@np.errstate(all="ignore")
def look_closer(walk: Walk) -> list[Finding]:
    """The findings of a closer look at a walk that still knows its cost and its start; else none."""
    start = walk.record.facts.get("start")
    if walk.cost is None or start is None or not len(walk.record):
        return []
    look = Closer(walk, np.asarray(start, dtype=walk.x.dtype))
    found = [finding for check in SURE if (finding := check(look)) is not None]
    known = {finding.cause for finding in (*walk.findings, *found) if finding.severity != "info"}
    for cause, check in TRIED.items():
        if known <= set(BY_SLUG[cause].above) and (finding := check(look)) is not None:
            found.append(finding)
            if finding.severity != "info":
                break
    return root_first(found)


def wrong_gradient(look: Closer) -> Finding | None:
    """D210: a gradient that was handed over, compared with difference quotients at the start and at the end.

    Near a minimum both are rounding: there nothing is compared.
    """
    if not isinstance(look.cost, Function) or look.cost.given is None:
        return None
    least = ROUNDING * float(look.walk.record["gradient_norm"][0])
    for place, w in (("start", look.start), ("end", look.walk.x)):
        try:
            if not length(look.cost.gradient(w)) > least or check_gradient(look.cost, w).ok:
                continue
            check = check_gradient(look.cost, w, full=len(w) <= SEEN)
        except DescenderError:  # not finite there
            continue
        if not check.ok:
            evidence = f"at the {place}, {check.message.removeprefix('the gradient is wrong: ')}"
            remedy = "look at its formula, or let it be made: gradient='jax', 'torch', or None"
            return Finding("wrong-gradient", "critical", evidence, remedy)
    return None


def constant_labels(look: Closer) -> Finding | None:
    """D303: all targets are the same."""
    if look.samples is None or np.ptp(look.samples[1]) > 0:
        return None
    y = look.samples[1]
    return Finding("constant-labels", "critical", f"all {len(y):,} targets are {y[0]:g}", "look at how y is made")


def outlier_rows(look: Closer) -> Finding | None:
    """D012: a row far away from all others, whose gradient at the start is far larger than that of the others."""
    if look.samples is None:
        return None
    X, y = look.samples
    tables = [("X", X)] + ([] if look.classes else [("y", y[:, None])])
    for of, values in tables:
        found = farthest(values)
        if found is None:
            continue
        row, column, times, rows = found
        others = np.setdiff1d(np.linspace(0, len(y) - 1, min(len(y), 50)).astype(np.intp), rows)
        norms = [length(look.cost.gradient(look.start, np.array([k]))) for k in (row, *others)]
        pull = norms[0] / max(float(np.median(norms[1:])), 1e-300)
        if not pull > PULL:
            continue
        what = f"X[{row}, {column}]" if of == "X" else f"y[{row}]"
        evidence = (
            f"{what} = {values[row, column]:.4g} is {_times(times)} times as far from the median as 99 of 100 rows, "
            f"and its gradient is {_times(pull)} times the median row's"
        )
        remedy = "look at the row: correct it, leave it out, or loss='huber'"
        return Finding("outlier-rows", "warning", evidence, remedy, {"row": row, "column": column, "of": of})
    return None


def leaked_label(look: Closer) -> Finding | None:
    """D031: one column tells the target almost perfectly, and no other comes near."""
    if look.samples is None or look.samples[0].shape[1] < 3 or not np.ptp(look.samples[1]) > 0:
        return None
    found = telling(*look.samples, look.classes)
    if found is None:
        return None
    column, told, second = found
    if not np.isfinite(told):
        return None
    evidence = f"column {column} alone explains {min(told, 1.0):.1%} of the target, the next best {second:.0%}"
    remedy = "is it known when you predict? if not, leave it out"
    return Finding("leaked-label", "warning", evidence, remedy, {"column": column})


def separable(look: Closer) -> Finding | None:
    """D033: classes that a plane divides, and no penalty: there is no minimum to arrive at."""
    cost = look.cost
    if not isinstance(cost, Risk) or cost.l2 or cost.l1 or cost.loss.name not in ("log_loss", "softmax"):
        return None
    zero = cost.value(np.zeros(cost.n_parameters))
    bottom = min(look.end, float(descend(cost, look.start, choose(cost)[0], Stop(max_seconds=SECONDS)).fun))
    if not bottom < SEPARABLE * zero:
        return None
    evidence = f"the cost goes down to {bottom:.1e} and on towards 0 while the coefficients grow without end"
    return Finding("separable", "warning", evidence, "give it a penalty, such as l2: with it there is a minimum")


def vanishing(look: Closer) -> Finding | None:
    """D202: nothing was learnt, and at the start the errors shrink to nothing on their way back."""
    if not isinstance(look.cost, Network) or not look.failed:
        return None
    rows = np.arange(min(look.cost.n_samples, SEEN))
    return vanishing_gradient(look.cost.error_vectors(look.start, rows))


def unscaled_columns(look: Closer) -> Finding | None:
    """D011: columns that differ by orders of magnitude, and a walk that standardised ones make far better."""
    if look.samples is None or not look.repeatable or not on_several_scales(look.samples[0]):
        return None
    deviation, cost = look.samples[0].std(axis=0), standardised(look.cost)
    assert look.method is not None
    assert cost is not None
    begin = float(cost.value(look.start))
    end = min(look.again(method, cost) for method in (look.method, _by_itself(look, cost)))
    if not far_lower(begin - end, look.begin - look.end, MOST) and not 0 <= end < LOWER * look.end:
        return None
    large, small = int(deviation.argmax()), int(np.where(deviation > 0, deviation, np.inf).argmin())
    evidence = (
        f"column {large} varies by {deviation[large]:.3g}, column {small} by {deviation[small]:.3g}; on standardised "
        f"columns as many steps end at {end:.3g} instead of {number(look.end)}"
    )
    return Finding("unscaled-columns", "critical", evidence, STANDARDISE, {"column": large})


def _by_itself(look: Closer, cost: Cost) -> Textbook:
    """The rule with a rate of its own choice."""
    assert look.method is not None
    try:
        own = textbook(cost, look.method.name, "auto", look.method.batch_size, start=look.start)
    except DescenderError:
        return look.method
    return replace(look.method, rate=own.rate, recover=True)


def labels_shuffled(look: Closer) -> Finding | None:
    """D301: nothing was learnt, and no other method tells held-out targets, either."""
    if look.samples is None or len(look.samples[1]) < 100 or look.end < (1 - 2 * LITTLE) * look.guess:
        return None
    told = learnable(*look.samples, look.classes)
    if told is None or not told.by_chance:
        return None
    evidence = (
        f"neighbours, trees and a linear model tell held-out targets no better than guessing ({told.z:.1f} standard "
        "errors above it); nor did this walk"
    )
    remedy = "look for where rows and targets part: sorting, joining, shuffling one alone"
    return Finding("labels-shuffled", "warning", evidence, remedy)


def _times(factor: float) -> str:
    return f"{factor:,.0f}" if factor < 1e9 else f"{factor:.2g}"


Check = Callable[[Closer], Finding | None]
SURE: tuple[Check, ...] = (wrong_gradient, constant_labels, outlier_rows, leaked_label, unscaled_columns, separable)
"""Of data and gradient: the roots of what the walk shows."""
TRIED: dict[str, Check] = {
    "vanishing-gradient": vanishing, "labels-shuffled": labels_shuffled, "clipping-too-low": clipping_too_low,
    "momentum-too-high": momentum_too_high, "learning-rate-too-high": rate_too_high, "oscillation": oscillation,
    "learning-rate-too-low": rate_too_low, "steps-used-up": steps_used_up, "clipping-idle": clipping_idle,
}  # fmt: skip
"""Of the walk, where nothing is known but what they are the root of: the first that is found, the dearer ones last."""
