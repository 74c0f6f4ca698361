"""Checks of a walk on any cost: the learning rate, the end it came to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Cost, Vector
from descender.costs.formula import Formula
from descender.doctor.finding import Finding
from descender.errors import CostError
from descender.methods.advance import length
from descender.walk import Walk

PATIENT = 1000
"""Steps in which a walk would leave a saddle."""
WELL = 1e-3
"""A certified relative gap below which nothing was wrong with a walk."""
Rerun = Callable[[float], bool]
"""Walks again with another learning rate, shortly; whether the cost stayed in bounds."""


def examine(cost: Cost, start: Vector, walk: Walk, rerun: Rerun | None = None) -> list[Finding]:
    """The findings of a walk.  With `rerun` the rate that is advised was tried."""
    certified = walk.certificate is not None and walk.certificate.relative < WELL
    fell = walk.success and not hasattr(walk.by, "rate")  # a method that looks for its steps takes none that rises
    if (certified or fell) and "events" not in walk.record.facts:
        return []
    found = [rate_too_high(cost, start, walk, rerun) or recovered(walk)]
    found += [check(cost, start, walk) for check in (unbounded, not_a_minimum, plateau)]
    return [finding for finding in found if finding is not None]


@np.errstate(all="ignore")
def largest_curvature(cost: Cost, w: Vector, iterations: int = 20) -> float:
    """The largest second derivative at w: power iterations on differences of the gradient, begun at the gradient."""
    direction = cost.gradient(w) + 0.0
    noise = np.random.default_rng(0).standard_normal(len(w))
    direction = direction / max(length(direction), 1e-300) + 0.1 * noise / max(length(noise), 1e-300)
    h = 1e-5 * max(1.0, length(w))
    curvature = 0.0
    for _ in range(iterations):
        direction = direction / max(length(direction), 1e-300)
        product = (cost.gradient(w + h * direction) - cost.gradient(w - h * direction)) / (2.0 * h)
        curvature = max(curvature, abs(float(product @ direction)))
        if not np.isfinite(product).all() or not product.any():
            break
        direction = product
    return curvature


def rate_too_high(cost: Cost, start: Vector, walk: Walk, rerun: Rerun | None = None) -> Finding | None:
    """D101: the cost rose, and steps are longer than the curvature allows."""
    costs, rates = _costs(walk), walk.record["learning_rate"]
    rates = rates[np.isfinite(rates)]
    rose = len(costs) > 2 and not costs[-1] <= 2.0 * abs(costs[0]) + 1e-300  # NaN is above everything
    if not len(rates) or not (rose or (walk.status == "not_finite" and not costs[-1] < costs[0])):
        return None
    curvature = largest_curvature(cost, start)
    if not (np.isfinite(curvature) and curvature > 0):
        return None
    stable = 2.0 / curvature
    rate = min(0.5 * stable, 0.5 * float(rates[0]))
    tried = False
    for _ in range(12 if rerun is not None else 0):
        tried = rerun is not None and rerun(float(f"{rate:.2g}"))
        if tried:
            break
        rate *= 0.5
    evidence = f"the largest curvature at the start is {_short(curvature)}, so a stable rate is below {_short(stable)}"
    if rates[0] < 0.5 * stable:
        evidence = f"the cost rose at rate {_short(float(rates[0]))}, though the curvature at the start would allow it"
    remedy = f"try --learning-rate {_short(rate)}, {'which was tried, ' * tried}or leave it out"
    return Finding("learning-rate-too-high", "critical", evidence, remedy)


def recovered(walk: Walk) -> Finding | None:
    """D101: the walk was thrown about, went back to a sound point and on with a smaller rate: repaired already."""
    events = walk.record.facts.get("events", [])
    if not events or walk.status == "not_finite":
        return None
    rates = walk.record["learning_rate"]
    rate = _short(float(rates[np.isfinite(rates)].max()) / 2 ** len(events)) if np.isfinite(rates).any() else "auto"
    more = f", and {len(events) - 1} more times" if len(events) > 1 else ""
    evidence = f"{events[0]['text']}{more}; the walk went on from there"
    return Finding(
        "learning-rate-too-high", "info", evidence, f"--learning-rate {rate}, or leave it as it is: it was repaired",
        where={"step": int(events[0]["step"])},
    )  # fmt: skip


def _costs(walk: Walk) -> NDArray:
    """The costs by which a walk is judged: of all samples where that was measured, those of batches being noise.

    The last is then the median of the later ones if that is higher: a walk that is thrown about may end low by chance.
    """
    full = walk.record.full_costs()
    if not (len(full) and np.isfinite(walk.fun)):
        return walk.record["cost"]
    later = np.append(full[1:], walk.fun)
    return np.array([full[0], *later, max(walk.fun, float(np.median(later)))])


def unbounded(cost: Cost, start: Vector, walk: Walk) -> Finding | None:
    """D102: the cost has no minimum in the direction that the walk took."""
    if walk.success or (walk.certificate is not None and np.isfinite(walk.certificate.gap)):
        return None
    evidence = walk.message
    if walk.status not in ("unbounded", "no_minimum"):
        costs = walk.record["cost"]
        bounded = "bounds" in walk.record.facts
        if len(costs) < 2 or not costs[-1] < costs[0]:
            return None
        if not _fell_far(costs) and (bounded or cost.seldom_read or not _straight(cost, start)):
            return None
        evidence = f"J fell from {costs[0]:.4g} to {costs[-1]:.4g} and still falls as steeply"
    remedy = "check the sign of the cost, or bound it"
    if isinstance(cost, Formula) and cost.n_samples and _straight(cost, start):
        remedy = "did you mean to square the errors? mean((...)**2)"
    title = "no minimum within reach" if walk.status == "no_minimum" else "unbounded below"
    return Finding("unbounded", "critical", evidence.removeprefix(title).lstrip(" :"), remedy, title=title)


def not_a_minimum(cost: Cost, start: Vector, walk: Walk) -> Finding | None:
    """D103: the walk ended where the gradient is zero but the curvature is not that of a minimum."""
    if walk.status != "stuck" or ("saddle" not in walk.message and "maximum" not in walk.message):
        return None
    if _holds(cost, walk):
        return None
    return Finding("not-a-minimum", "warning", walk.message, "start elsewhere, or let the method choose: auto")


def plateau(cost: Cost, start: Vector, walk: Walk) -> Finding | None:
    """D104: a start without a slope, or a long walk that got nowhere because the gradient is tiny and does not fall."""
    elsewhere = "start elsewhere, or from many points: starts='sobol 64 -5..5'"
    if walk.status == "plateau":
        return Finding("plateau", "warning", walk.message, elsewhere)
    if walk.status == "stuck" and _holds(cost, walk):
        evidence = (
            f"at the end the gradient is {length(walk.jac):.2g} and the largest curvature "
            f"{largest_curvature(cost, walk.x):.2g}: {PATIENT:,} steps from beside it would not leave"
        )
        return Finding("plateau", "warning", evidence, elsewhere)
    costs, norms = walk.record["cost"], walk.record["gradient_norm"]
    if walk.status != "budget" or walk.nit < 100 or cost.n_samples:
        return None
    gain = float(costs[0] - costs[-1])
    if not (0 <= gain < 1e-6 * abs(costs[0]) and norms[-1] > 0.5 * norms[0]):
        return None
    evidence = f"{walk.nit:,} steps lowered J by {gain:.2g}, and the gradient is still {norms[-1]:.2g}"
    return Finding("plateau", "warning", evidence, "a far larger --learning-rate, or leave it out")


def _holds(cost: Cost, walk: Walk) -> bool:
    """Whether a walk that stands still would do so beside its end, too, as on a plateau and not at a saddle.

    Along a curvature -c a step of rate a takes one (1 + a c) times as far away from a saddle: that is left in some
    multiples of 1 / (a c) steps.
    """
    rates = walk.record["learning_rate"]
    rates = rates[np.isfinite(rates) & (rates > 0)]
    curvature = largest_curvature(cost, walk.x)
    return bool(np.isfinite(curvature) and PATIENT * (float(rates.max()) if len(rates) else 1.0) * curvature < 1.0)


def _fell_far(costs: NDArray) -> bool:
    """Whether a cost ended far below zero, out of proportion to where it began."""
    return float(costs[-1]) < -1e6 * (1.0 + abs(float(costs[0])))


def _straight(cost: Cost, w: Vector) -> bool:
    """Whether the gradient is the same everywhere and not zero, as of a cost without squares."""
    with np.errstate(all="ignore"), suppress(CostError):  # a function need not be defined there
        g = cost.gradient(w)
        # not along (1, ..., 1): raising all scores of a softmax by one number changes nothing
        shift = np.random.default_rng(0).standard_normal(len(w))
        far = 4.0 * (1.0 + np.abs(w)) * shift  # beyond where a bottom is that is far away
        ways = (shift, -2.5 * shift, far, -far)
        return bool(g.any()) and all(np.allclose(cost.gradient(w + way), g, rtol=1e-9, atol=0) for way in ways)
    return False


def _short(number: float) -> str:
    """Two significant digits, in full where that is readable."""
    rounded = float(f"{number:.2g}")
    return f"{rounded:,.0f}" if 10 <= abs(rounded) < 1e6 else f"{rounded:g}"
