"""A closer look at a walk that has ended: its data, its gradient, and the same walk with one thing changed.

A walk tells by itself whether it blew up or stood still.  What made it so often shows only when the walk is taken
again with another rate, less momentum, or columns of one scale: what then ends far lower was the fault.  "Far" is a
share of the fall that was possible, never an absolute number.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Cost, Vector
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
from descender.errors import DescenderError
from descender.methods.advance import length
from descender.methods.auto import choose, textbook
from descender.methods.rates import Constant
from descender.methods.textbook import Textbook
from descender.walk import Stop, Walk

SECONDS = 10.0
"""A walk that took longer is not taken again; one that is taken again may take twice as long as it did, and 1 s."""
LITTLE, HALF, MOST = 0.1, 0.5, 0.9
"""Shares of a possible fall: of one that was missed, of a clear loss, of a walk that as good as arrived."""
UP, DOWN = (10.0, 100.0, 1e3, 1e4, 1e5), (3.0, 10.0, 30.0, 100.0)
"""Factors of the rate that are tried."""
LONG_MEMORY, USUAL_MEMORY = 0.99, 0.9
"""A momentum that may be too high, and the one that is tried instead."""
ROUNDING = 1e-6
"""The share of its first length below which a gradient is not looked at."""
FEW, SEEN = 20, 1000
"""Rows below which nothing is said of data; rows at which gradients and targets are looked at."""


class Closer:
    """A walk, its cost and its start, and what the same walk reaches with a change.

    ``begin`` is the cost at its start; ``end`` that at its end, or the median of its last quarter if that is higher,
    since a walk that is thrown about may end low by chance; infinite where it left the finite numbers.
    """

    def __init__(self, walk: Walk, start: Vector):
        assert walk.cost is not None
        self.walk, self.cost, self.start = walk, walk.cost, start
        self.method = walk.by if isinstance(walk.by, Textbook) else None
        costs = walk.record.full_costs()
        costs = costs if len(costs) else walk.record["cost"]
        late = costs[np.isfinite(costs)][-max(len(costs) // 4, 1) :]
        self.begin = float(costs[0])
        self.end = max(float(walk.fun), float(np.median(late))) if np.isfinite(walk.fun) and len(late) else np.inf
        if walk.status == "not_finite":
            self.end = np.inf
        elif walk.success and self.method is not None and self.method.batch_size in (None, "full"):
            self.end = float(walk.fun)  # a walk that came to rest is not thrown about, however late it arrived

    @property
    def repeatable(self) -> bool:
        """Whether the walk may be taken again: by a rule with a rate, and soon."""
        seconds = self.walk.record["seconds"]
        return self.method is not None and self.walk.nit > 0 and bool(len(seconds) and seconds[-1] < SECONDS)

    @property
    def samples(self) -> tuple[NDArray, NDArray] | None:
        """The rows and targets, where they are a table of numbers."""
        X, y = getattr(self.cost, "X", None), getattr(self.cost, "y", None)
        if not (isinstance(self.cost, Risk | Network) and isinstance(X, np.ndarray) and isinstance(y, np.ndarray)):
            return None
        return (X, y) if X.ndim == 2 and y.ndim == 1 and len(y) >= FEW else None

    @property
    def classes(self) -> bool:
        """Whether targets are classes."""
        return getattr(getattr(self.cost, "loss", None), "name", "") in (
            "log_loss",
            "softmax",
            "hinge",
            "squared_hinge",
        )

    @cached_property
    def guess(self) -> float:
        """The cost of the best constant answer; infinite where that is not known."""
        if not isinstance(self.cost, Risk | Network) or self.cost.y.ndim != 1:
            return np.inf
        y, loss = self.cost.y, self.cost.loss
        k = self.cost.n_outputs if isinstance(self.cost, Network) else self.cost.n_classes
        constant = Risk(np.zeros((len(y), 1)), y, loss, sample_weight=self.cost.sample_weight,
                        n_classes=k if loss.scores_per_class else None)  # fmt: skip
        value = float(descend(constant, np.zeros(constant.n_parameters), choose(constant)[0]).fun)
        return value * (1.0 if getattr(self.cost, "reduction", "mean") == "mean" else constant.total_weight)

    @property
    def failed(self) -> bool:
        """Whether the walk ended no better than a constant answer, or than it began."""
        level = min(self.begin, self.guess)
        return not self.end < level - LITTLE * abs(level)

    def again(self, method: Any, cost: Cost | None = None) -> float:
        """The cost, as :attr:`end`, that as many steps by another method reach; infinite where they fail."""
        cost = self.cost if cost is None else cost
        stop = Stop(max_steps=self.walk.nit, max_seconds=1.0 + 2.0 * float(self.walk.record["seconds"][-1]))
        seed = int(self.walk.record.facts.get("seed", 0))
        try:
            with np.errstate(all="ignore"):
                tried = descend(cost, self.start, method, stop, seed=seed)
        except DescenderError:
            return np.inf
        return np.inf if tried.status == "not_finite" else Closer(tried, self.start).end

    def lowest(self, changes: dict[str, Any]) -> tuple[str, float]:
        """The change that ends lowest, by its name, and where."""
        ends = {name: self.again(method) for name, method in changes.items()}
        best = min(ends, key=lambda name: ends[name])
        return best, ends[best]

    def rates(self, factors: list[float]) -> dict[str, Any]:
        """The method with other rates, by these."""
        assert self.method is not None
        taken = self.walk.record["learning_rate"]
        own = float(np.nanmax(taken)) if np.isfinite(taken).any() else 0.0
        rates = [float(f"{own * factor:.2g}") for factor in factors]
        return {f"{r:g}": replace(self.method, rate=Constant(r), recover=False) for r in rates if 0 < r < np.inf}


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
            return root_first([*found, finding])
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
    X, deviation = look.samples[0], look.samples[0].std(axis=0)
    cost = copy.copy(look.cost)
    scaled = ((X - X.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)).astype(X.dtype)
    if isinstance(cost, Risk):
        cost = Risk(
            scaled, cost.y, cost.loss, l2=cost.l2, l1=cost.l1, intercept=cost.intercept,
            sample_weight=cost.sample_weight, reduction=cost.reduction, n_classes=cost.n_classes,
        )  # fmt: skip
    else:
        cost.X = scaled  # type: ignore[attr-defined]
    assert look.method is not None
    begin = float(cost.value(look.start))
    end = min(look.again(method, cost) for method in (look.method, _by_itself(look, cost)))
    if not _far_lower(begin - end, look.begin - look.end, MOST):
        return None
    large, small = int(deviation.argmax()), int(np.where(deviation > 0, deviation, np.inf).argmin())
    evidence = (
        f"column {large} varies by {deviation[large]:.3g}, column {small} by {deviation[small]:.3g}; on standardised "
        f"columns as many steps end at {end:.3g} instead of {_number(look.end)}"
    )
    return Finding("unscaled-columns", "critical", evidence, "standardise the columns", {"column": large})


def _by_itself(look: Closer, cost: Cost) -> Textbook:
    """The rule with a rate of its own choice."""
    assert look.method is not None
    try:
        own = textbook(cost, look.method.name, "auto", look.method.batch_size, start=look.start)
    except DescenderError:
        return look.method
    return replace(look.method, rate=own.rate, recover=True)


def momentum_too_high(look: Closer) -> Finding | None:
    """D109: a long memory, and with a usual one the same walk ends far lower."""
    beta = getattr(look.method.rule, "beta", 0.0) if look.method is not None else 0.0
    if not look.repeatable or beta < LONG_MEMORY:
        return None
    assert look.method is not None
    usual = replace(look.method, rule=look.method.rule._replace(beta=USUAL_MEMORY))
    end = look.again(usual)
    if not _far_lower(look.begin - end, look.begin - look.end, MOST):
        return None
    evidence = f"beta is {beta:g}; with {USUAL_MEMORY:g} as many steps end at {end:.3g} instead of {_number(look.end)}"
    return Finding("momentum-too-high", "critical", evidence, f"beta={USUAL_MEMORY:g}")


def rate_too_high(look: Closer) -> Finding | None:
    """D101: it ended no better than it began, or than a constant answer, and a lower rate does far better."""
    if not look.repeatable or not look.failed:
        return None
    rate, end = look.lowest(look.rates([1.0 / factor for factor in DOWN]))
    level = min(look.begin, look.guess)
    if not (end < level - LITTLE * abs(level) and _far_lower(level - end, level - look.end)):
        return None
    evidence = f"as many steps at rate {rate} end at {end:.3g} instead of {_number(look.end)}"
    return Finding("learning-rate-too-high", "critical", evidence, f"learning_rate={rate}, or leave it out")


def rate_too_low(look: Closer) -> Finding | None:
    """D108: the budget was used up, and as many steps with ten times the rate, or more, fall far deeper."""
    if look.walk.status not in ("budget", "planned") or not look.repeatable or look.end > look.begin:
        return None
    rate, end = look.lowest(look.rates(list(UP)))
    if not _far_lower(look.begin - end, look.begin - look.end, 1 / 3) or not look.begin - end > LITTLE * abs(
        look.begin
    ):
        return None
    evidence = f"as many steps at rate {rate} end at {end:.3g} instead of {_number(look.end)}"
    return Finding("learning-rate-too-low", "warning", evidence, f"learning_rate={rate}, or leave it out")


def steps_used_up(look: Closer) -> Finding | None:
    """D105: the budget was used up well above the bottom, as a method that needs no rate knows it."""
    if look.walk.status != "budget" or look.cost.n_parameters > SEEN or isinstance(look.cost, Network):
        return None
    if not look.end < look.begin:
        return None
    try:
        bottom = descend(look.cost, look.walk.x, choose(look.cost)[0], Stop(max_seconds=1.0, max_evaluations=1000))
    except DescenderError:
        return None
    if not bottom.success or not _far_lower(look.begin - bottom.fun, look.begin - look.walk.fun, MOST):
        return None
    left = (look.walk.fun - bottom.fun) / (look.begin - bottom.fun)
    evidence = f"J is {look.walk.fun:.4g} after {look.walk.nit:,} steps, {left:.0%} of the way above {bottom.fun:.4g}"
    return Finding("steps-used-up", "warning", evidence, "more steps, or leave the method and its rate out")


def labels_shuffled(look: Closer) -> Finding | None:
    """D301: nothing was learnt, and no other method tells held-out targets, either."""
    if look.samples is None or len(look.samples[1]) < 100 or look.end < (1 - 2 * LITTLE) * look.guess:
        return None
    told = learnable(*look.samples, look.classes)
    if told is None or told.z >= 2.5:
        return None
    evidence = (
        f"neighbours, trees and a linear model tell held-out targets no better than guessing ({told.z:.1f} standard "
        "errors above it); nor did this walk"
    )
    remedy = "look for where rows and targets part: sorting, joining, shuffling one alone"
    return Finding("labels-shuffled", "warning", evidence, remedy)


def _far_lower(fall: float, own: float, share: float = HALF) -> bool:
    """Whether a walk fell by no more than a share of what another did."""
    return bool(np.isfinite(fall) and fall > 0 and own < share * fall)


def _times(factor: float) -> str:
    return f"{factor:,.0f}" if factor < 1e9 else f"{factor:.2g}"


def _number(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else "infinity"


Check = Callable[[Closer], Finding | None]
SURE: tuple[Check, ...] = (wrong_gradient, constant_labels, outlier_rows, leaked_label, unscaled_columns, separable)
"""Of data and gradient: the roots of what the walk shows."""
TRIED: dict[str, Check] = {
    "vanishing-gradient": vanishing, "labels-shuffled": labels_shuffled, "momentum-too-high": momentum_too_high,
    "learning-rate-too-high": rate_too_high, "learning-rate-too-low": rate_too_low, "steps-used-up": steps_used_up,
}  # fmt: skip
"""Of the walk, where nothing is known but what they are the root of: the first that is found, the dearer ones last."""
