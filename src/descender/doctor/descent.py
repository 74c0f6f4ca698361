"""Checks of a walk on any cost: the learning rate, the end it came to."""

from __future__ import annotations

import numpy as np

from descender.costs.cost import Cost, Vector
from descender.costs.formula import Formula
from descender.descent import Walk
from descender.doctor.finding import Finding


def examine(cost: Cost, start: Vector, walk: Walk) -> list[Finding]:
    """The findings of a walk."""
    checks = (rate_too_high, unbounded, not_a_minimum)
    found = [check(cost, start, walk) for check in checks]
    return [finding for finding in found if finding is not None]


def curvature_along_gradient(cost: Cost, w: Vector) -> float:
    """The second derivative of the cost along its gradient: g·Hg / g·g, by a difference of gradients."""
    g = cost.gradient(w)
    norm = float(np.linalg.norm(g))
    if norm == 0.0:
        return 0.0
    h = 1e-5 * max(1.0, float(np.linalg.norm(w))) / norm
    with np.errstate(all="ignore"):
        return float((cost.gradient(w + h * g) - cost.gradient(w - h * g)) @ g) / (2.0 * h * norm**2)


def rate_too_high(cost: Cost, start: Vector, walk: Walk) -> Finding | None:
    """D101: the cost rose, and steps are longer than the curvature allows."""
    costs, rates = walk.record["cost"], walk.record["learning_rate"]
    rates = rates[np.isfinite(rates)]
    if walk.status != "not_finite" and not (len(costs) > 2 and costs[-1] > 2.0 * abs(costs[0]) + 1e-300):
        return None
    if not len(rates) or walk.status == "unbounded":
        return None
    curvature = curvature_along_gradient(cost, start)
    if not (np.isfinite(curvature) and curvature > 0):
        return None
    stable = 2.0 / curvature
    if rates[0] < 0.2 * stable:
        return None
    evidence = f"the curvature along the first step is {_short(curvature)}, so a stable rate is below {_short(stable)}"
    remedy = f"try --learning-rate {_short(0.5 * stable)}, or leave it out"
    return Finding("D101", "critical", "learning rate too high", evidence, remedy)


def unbounded(cost: Cost, start: Vector, walk: Walk) -> Finding | None:
    """D102: the cost has no minimum in the direction that the walk took."""
    if walk.status not in ("unbounded", "no_minimum"):
        return None
    remedy = "check the sign of the cost, or bound it"
    if isinstance(cost, Formula) and cost.n_samples and _straight(cost, start):
        remedy = "did you mean to square the errors? mean((...)**2)"
    cause = "unbounded below" if walk.status == "unbounded" else "no minimum within reach"
    return Finding("D102", "critical", cause, walk.message, remedy)


def not_a_minimum(cost: Cost, start: Vector, walk: Walk) -> Finding | None:
    """D103: the walk ended where the gradient is zero but the curvature is not that of a minimum."""
    if walk.status != "stuck" or ("saddle" not in walk.message and "maximum" not in walk.message):
        return None
    return Finding("D103", "warning", "not a minimum", walk.message, "start elsewhere, or let the method choose: auto")


def _straight(cost: Cost, w: Vector) -> bool:
    """Whether the gradient is the same everywhere, as of a cost without squares."""
    return bool(np.allclose(cost.gradient(w), cost.gradient(w + 1.0), rtol=1e-9, atol=0))


def _short(number: float) -> str:
    """Two significant digits, in full where that is readable."""
    rounded = float(f"{number:.2g}")
    return f"{rounded:,.0f}" if 10 <= abs(rounded) < 1e6 else f"{rounded:g}"
