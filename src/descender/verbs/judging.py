"""What a start and an end are: a critical start is left, and a small step at the end proves nothing by itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from descender.costs.cost import Cost, Vector
from descender.costs.risk import Risk
from descender.descent import descend
from descender.methods.advance import length
from descender.methods.arrival import PLATEAU, plateau
from descender.methods.bounds import Bounds
from descender.methods.critical import LARGEST, Critical, classify, leave
from descender.methods.linesearch import STEEPER
from descender.methods.rates import Constant
from descender.methods.textbook import Textbook
from descender.walk import Step, Stop, Walk

CRITICAL = 1e-12
"""A start whose Newton step is shorter than this share of it counts as a critical point."""


def leave_critical_start(cost: Cost, w: Vector, box: Bounds | None = None) -> tuple[Vector, str]:
    """A start with gradient zero that is no minimum is left by a small step within the box, and that is said."""
    if cost.convex or len(w) > LARGEST:
        return w, ""
    with np.errstate(all="ignore"):
        gradient = cost.value_and_gradient(w)[1]  # both, as the walk will ask for both
    if not np.isfinite(gradient).all():
        return w, ""
    if np.any(gradient != 0.0):
        scale = max(1.0, length(w))
        if length(gradient) > 1e-9:
            return w, ""
        critical = classify(cost, w, box=box)
        if critical.directions is None or not np.any(critical.curvatures):
            return w, ""
        step = critical.directions.T @ gradient / np.where(critical.curvatures == 0, np.inf, critical.curvatures)
        if length(step) > CRITICAL * scale:
            return w, ""
    else:
        critical = classify(cost, w, box=box)
    point = leave(cost, w, critical, box=box)
    if point is None:
        return w, ""
    return (
        point,
        f"the gradient is zero at the start, but it is {critical.text}; left by a step of {length(point - w):.2g}",
    )


def judge(cost: Cost, walk: Walk, method: Any) -> None:
    """Say what the end of a walk is that stopped by a small gradient, step or change, which prove nothing."""
    small = walk.status == "small_gradient" and not isinstance(cost, Risk)
    if not (isinstance(method, Textbook) or small) or cost.convex or len(walk.x) > LARGEST:
        return
    if walk.status not in ("small_gradient", "small_step", "small_change"):
        return
    box = getattr(method, "bounds", None)
    free = np.ones(len(walk.x), dtype=bool) if box is None else ~box.held(walk.x, walk.jac)
    critical: Critical = classify(cost, walk.x, free=free, box=box)
    newton, promise = critical.newton(np.where(free, walk.jac, 0.0))
    steeper = length(walk.jac) > STEEPER * walk.record["gradient_norm"][0] and walk.fun < walk.record["cost"][0]
    edge = steeper and "not finite" in " ".join(walk.notes)
    if not critical.stable and edge:
        walk.success, walk.status = False, "unbounded"
        walk.message = (
            f"unbounded below: J falls ever more steeply to where it is not defined, and is {walk.fun:.4g} here"
        )
    elif not critical.stable:
        walk.success, walk.status = False, "stuck"
        walk.message = f"{walk.message}, but this is {critical.text}"
    elif (
        not (np.any(walk.jac) or np.any(critical.curvatures)) and _stayed(walk) and plateau(cost, walk.x, walk.fun, box)
    ):
        walk.success, walk.status = False, "plateau"
        walk.message = f"{walk.message}, but this is {PLATEAU}"
    elif length(newton) > 1e-2 * max(1.0, length(walk.x)) and promise > 1e-6 * max(abs(walk.fun), 1e-300):
        walk.success, walk.status = False, "not_there"
        walk.message = f"{walk.message}, but the bottom is about {length(newton):.2g} further on"
    else:
        held = int((~free).sum())
        walk.message = f"{walk.message}; {critical.text}" + f"; {held} of the bounds hold{'s' * (held == 1)}" * bool(
            held
        )


def _stayed(walk: Walk) -> bool:
    """Whether J is what it was at the start."""
    return bool(walk.fun == walk.record["cost"][0])


def lost(cost: Cost, start: Vector, method: Any, walk: Walk, seed: int) -> tuple[int, Vector] | None:
    """The step at which a walk left the finite numbers, and the point: walked again up to there.

    None of a method that tries points, which may be undefined without harm.
    """
    if not isinstance(method, Textbook) or method.switches.searches:
        return None
    if walk.status != "not_finite" and np.isfinite(walk.fun):
        return None
    found: list[tuple[int, Vector]] = []

    def look(step: Step) -> bool:
        if not np.isfinite(step.fun + step.gradient_norm):
            found.append((step.number, np.array(step.x)))
        return bool(found)

    on = dataclasses.replace(method, recover=False, options=method.options._replace(stop_if_not_finite=False))
    descend(cost, start, on, Stop(max_steps=walk.nit + 2), seed=seed, callback=look, on_divergence="continue")
    return found[0] if found else None


def rerun(cost: Cost, start: Vector, method: Any, walk: Walk, seed: int) -> Callable[[float], bool] | None:
    """A short walk with another rate in place of the method's own; None where it has none."""
    if not isinstance(method, Textbook):
        return None

    # the first batch may be luckier than all samples
    before = next(iter(walk.record.full_costs()), walk.record["cost"][0])

    def again(rate: float) -> bool:
        slower = dataclasses.replace(method, rate=Constant(rate), recover=False)
        tried = descend(cost, start, slower, Stop(max_steps=min(max(2 * walk.nit, 20), 200)), seed=seed)
        return tried.status != "not_finite" and bool(tried.fun <= before)

    return again
