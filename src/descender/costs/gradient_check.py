"""Is a gradient right?  A comparison with careful difference quotients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from descender.costs.callables import as_gradient, as_point, shown
from descender.costs.cost import Cost, Vector
from descender.costs.probes import GOOD, Limit, Probe, noise, ridders, units
from descender.errors import InputError

ZERO = 1e-7
"""A slope is zero if over a unit it would change f by less than this share of what f changes over an eighth of it."""
ALONG = "along a random direction"  # the name of what the cheap gradient check measured


@dataclass(frozen=True)
class GradientCheck:
    """Whether a gradient agrees with difference quotients.

    `relative_error` is the largest disagreement that measurement errors do not explain, `worst` the name of the
    parameter that shows it ("along a random direction" unless every coordinate was measured), `given` and `measured`
    its two values and `error` how far the measured one may be off; `doubtful` names the parameters that could not be
    judged, at kinks or in noise.  `tolerance` is what was allowed, `evaluations` what it took.  Printed, it is a text.
    """

    ok: bool
    relative_error: float
    worst: str
    given: float
    measured: float
    evaluations: int
    doubtful: tuple[str, ...]
    message: str
    error: float = 0.0
    tolerance: float = 1e-6

    def __str__(self) -> str:
        where = self.worst if self.worst == ALONG else f"by {self.worst}"
        return (
            f"{self.message}\n"
            f"    {'worst ' if not self.ok else ''}{where}: given {self.given:.9g}, measured {self.measured:.9g} "
            f"+- {self.error:.1e}\n"
            f"    relative disagreement {self.relative_error:.1e}, {self.tolerance:.1e} allowed; "
            f"{self.evaluations:,} evaluations"
        )


def check_gradient(
    cost: Cost, w: ArrayLike, *, full: bool = False, seed: int = 0, tolerance: float | None = None
) -> GradientCheck:
    """Compares ``cost.gradient(w)`` with careful difference quotients of ``cost.value``.

    The cheap form measures one derivative, along a random v of which each component contributes alike to g·v, about
    15 evaluations whatever d is; it judges the difference against sum |g_j v_j|.  The `full` form measures every
    coordinate and names the worst.  The default `tolerance` is max(1e-6, 10 sqrt(eps)) relative, to which the error
    of the measurement is added, and the rounding of a gradient whose terms cancel.  Before a gradient is called wrong,
    the noise of the values is measured: a function that computes in single precision unseen is not.

    >>> from descender.costs.function import Function
    >>> right = Function(lambda w: w[0] ** 2 * w[1], 2, gradient=lambda w: [2 * w[0] * w[1], w[0] ** 2])
    >>> check_gradient(right, [3.0, 1.0]).ok
    True
    >>> wrong = Function(lambda w: w[0] ** 2 * w[1], 2, gradient=lambda w: [w[0] * w[1], w[0] ** 2])
    >>> print(check_gradient(wrong, [3.0, 1.0], full=True).message)
    the gradient is wrong: by w0 it is 3, difference quotients say 6
    """
    point = as_point(w)
    g = as_gradient(cost.gradient(point.copy()), point, "check_gradient").astype(float)
    if not np.isfinite(g).all():
        raise InputError(f"the gradient at w = {shown(point)} is not finite: {shown(g)}; check it at another point")
    probe = Probe(cost.value, point, getattr(cost, "precision", None))
    unit = units(point, 1.0)
    if full:
        names = cost.names or tuple(f"w{j}" for j in range(len(g)))
        size = np.abs(point.astype(float))
        limits = [_measured(probe, probe.axis(j), unit[j], size[j], g[j], tolerance) for j in range(len(g))]
        steepest = np.max(np.abs(g) * unit) / unit
        return _verdict(names, g, limits, np.abs(g), steepest, _allowed(probe, tolerance), probe)
    balanced = _along(probe, g, _balanced_direction(g, unit, probe.eps, np.random.default_rng(seed)), tolerance)
    if not (balanced.ok and balanced.doubtful and g.any()):
        return balanced
    steepest = _along(probe, g, g * unit**2 / np.max(np.abs(g) * unit), tolerance)  # where noise drowns least
    return balanced if steepest.ok else steepest


def _along(probe: Probe, g: Vector, v: Vector, tolerance: float | None) -> GradientCheck:
    """Whether g·v is the derivative along v."""
    along, terms = float(g @ v), np.array([np.abs(g * v).sum()])
    rounded = float(np.abs(g) @ np.abs(probe.w)) / max(abs(along), np.finfo(float).tiny)
    limit = _measured(probe, v, 1.0, rounded, along, tolerance)
    return _verdict((ALONG,), np.array([along]), [limit], terms, terms, _allowed(probe, tolerance), probe)


def _allowed(probe: Probe, tolerance: float | None) -> float:
    return max(1e-6, 10 * float(np.sqrt(probe.eps))) if tolerance is None else tolerance


def _measured(
    probe: Probe, direction: Vector, unit: float, size: float, given: float, tolerance: float | None
) -> Limit | None:
    """The derivative along `direction`; one that contradicts the given is measured again from finer steps.

    If that contradicts it, too, noise in the values may be why: it is measured, and reckoned with from then on.  Two
    derivatives that are both next to nothing beside what f does nearby are the roundings of zero at a minimum.
    """
    limit, allowed = ridders(probe, direction, unit, size), _allowed(probe, tolerance) * abs(given)
    if limit is None or abs(given - limit.value) <= limit.error + allowed:
        return limit
    again = ridders(probe, direction, unit / 1024, size)
    if again and abs(given - again.value) + again.error <= allowed:
        return again
    if max(abs(given), abs(limit.value)) * unit <= ZERO * _rise(probe, direction, unit):
        return limit._replace(error=max(limit.error, abs(given - limit.value)))
    found = noise(probe, units(probe.w, 1.0))
    if found > probe.eps:
        probe.eps = found
        limit = ridders(probe, direction, unit, size) or limit
        unseen = 3 * found * abs(given) * size / limit.step  # of a step that drowns in the rounding of w
        return limit._replace(error=max(limit.error, unseen))
    return limit


def _rise(probe: Probe, direction: Vector, unit: float) -> float:
    """By how much f changes over an eighth of a unit, to both sides."""
    sides = [probe.beside(direction, h) - probe.centre for h in (unit / 8, -unit / 8)]
    return float(np.nanmax(np.abs(sides))) if np.isfinite(sides).any() else 0.0


def _balanced_direction(g: Vector, unit: Vector, eps: float, rng: np.random.Generator) -> Vector:
    """Random signs and lengths, shortened where the gradient is steep so that no component drowns the others."""
    pull = np.abs(g) * unit
    typical = max(np.min(pull[pull > 0]), np.cbrt(eps) * np.max(pull)) if pull.any() else 1.0
    length = unit * (typical / np.maximum(pull, typical))
    return length * rng.uniform(0.5, 1.0, len(g)) * rng.choice([-1.0, 1.0], len(g))


def _verdict(
    names: Sequence[str],
    given: Vector,
    limits: Sequence[Limit | None],
    terms: Vector,
    steepest: Vector,
    tolerance: float,
    probe: Probe,
) -> GradientCheck:
    """`terms`: what the given numbers are sums of, in size; `steepest`: what matters, in the units of each."""
    measured, error = (np.array([np.nan if limit is None else limit[i] for limit in limits]) for i in (0, 1))
    kink = np.array([limit is not None and limit.kink for limit in limits])
    size = np.fmax(np.fmax(terms, np.abs(measured)), np.finfo(float).tiny)
    error = error + 1e3 * probe.eps * steepest
    relative = np.nan_to_num(np.maximum(np.abs(given - measured) - error, 0) / size)
    worst = int(np.argmax(relative))
    ok = bool(relative[worst] <= tolerance)
    noisy = ~kink & (relative <= tolerance) & ~((error <= 0.01 * size) | (error <= GOOD * steepest))
    said = "the gradient agrees with difference quotients"
    if not ok:
        values = f"it is {given[worst]:.6g}, difference quotients say {measured[worst]:.6g}"
        said = f"the gradient is wrong: {_by(names[worst])} {values}"
        said += "; full=True names the parameter" if names[0] == ALONG else ""
    if kink.any():
        said += f"; not differentiable here? forward and backward quotients disagree {_listed(names, kink)}"
    if noisy.any():
        said += f"; f changes too little, or is too noisy, to judge it {_listed(names, noisy)}"
    return GradientCheck(
        ok=ok,
        relative_error=float(relative[worst]),
        worst=names[worst],
        given=float(given[worst]),
        measured=float(measured[worst]),
        evaluations=probe.evaluations,
        doubtful=tuple(name for name, doubt in zip(names, kink | noisy, strict=True) if doubt),
        message=said,
        error=float(error[worst]),
        tolerance=tolerance,
    )


def _by(name: str) -> str:
    return name if name == ALONG else f"by {name}"


def _listed(names: Sequence[str], chosen: np.ndarray) -> str:
    which = [name for name, use in zip(names, chosen, strict=True) if use]
    return _by(", ".join(which[:5])) + (f" and {len(which) - 5} more" if len(which) > 5 else "")
