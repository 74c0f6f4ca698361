r"""Derivatives of a function that can only be evaluated: limits of difference quotients, and how far off they are.

The derivative is the limit, for h to 0, of the forward quotient (f(x+h) - f(x))/h, the backward quotient
(f(x) - f(x-h))/h and their mean, the central quotient D(h) = (f(x+h) - f(x-h))/2h.  A computer cannot go to
the limit: D(h) is wrong by about h^2 |f'''|/6, which falls with h (truncation), and by about eps |f|/h, which
grows (rounding).  The sum is least near h = (3 eps |f| / |f'''|)^(1/3), and no step is good for every function.

Two accuracies:

- *cheap*, two evaluations a coordinate: D(h) with h = eps^(1/3) max(|w_j|, scale_j), replaced where that proves
  wrong by the step that the third derivative demands (Gill, Murray, Saunders and Wright, 1983; Shi, Xie, Xuan and
  Nocedal, 2022, from whom the comparison of D(3h) with D(h) is taken);
- *careful*, some 10 to 20 evaluations: D(h) at h, h/2, h/4 ... extrapolated to h = 0 (Ridders, 1982), down to the
  step at which rounding forbids any gain.

The careful form watches the gap between forward and backward quotient too.  It falls like h where a derivative
exists; what is left of it at h = 0 is a kink, or shows that the function changes at a finer scale than h.

References: Ridders, Accurate computation of F'(x) and F'(x)F''(x), Adv. Eng. Software 4 (1982) 75-76.
Gill, Murray, Saunders, Wright, Computing forward-difference intervals for numerical optimization, SIAM J. Sci.
Stat. Comput. 4 (1983) 310-321.  Nocedal and Wright, Numerical Optimization (2006), chapter 8.
Shi, Xie, Xuan, Nocedal, Adaptive finite-difference interval estimation, SIAM J. Sci. Comput. 44 (2022) A2302-A2321.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.costs.callables import as_point, shown
from descender.costs.cost import Vector
from descender.costs.probes import Box, Probe, along_coordinate, default_step, everywhere, units
from descender.errors import CostError, InputError, ShapeError


@dataclass(frozen=True, eq=False)
class Estimate:
    """A measured derivative: its value, a bound that its error should respect, and what it took.

    For a function of one number `value`, `error`, `kink` and `step` are numbers; for a gradient they are arrays
    with one entry a coordinate.  `kink` is true where forward and backward quotients do not come together: there
    `error` is half their difference.  `step` is a good h for a plain central quotient near this point.
    """

    value: Any
    error: Any
    evaluations: int
    kink: Any
    step: Any


@dataclass(frozen=True, eq=False)
class Quotients:
    """Forward, backward and central difference quotients, one row for each step h; printed as a table."""

    h: Vector
    forward: Vector
    backward: Vector
    central: Vector

    def __str__(self) -> str:
        rows = zip(self.h, self.forward, self.backward, self.central, strict=True)
        head = f"{'h':>8}{'forward':>20}{'backward':>20}{'central':>20}"
        return "\n".join([head, *(f"{h:>8.1g}{a:>20.12g}{b:>20.12g}{c:>20.12g}" for h, a, b, c in rows)])


def difference_quotients(f: Callable[[Any], Any], x: float, steps: ArrayLike | None = None) -> Quotients:
    """The quotients of f at x for each of the `steps` (1, 0.1, ... 1e-15 unless given), to watch them tend to f'(x).

    >>> print(difference_quotients(lambda x: x**3, 1.0, [0.1, 0.01, 0.001]))
           h             forward            backward             central
         0.1                3.31                2.71                3.01
        0.01              3.0301              2.9701              3.0001
       0.001            3.003001            2.997001            3.000001
    """
    h = np.atleast_1d(10.0 ** -np.arange(16.0) if steps is None else np.asarray(steps, dtype=float))
    if h.ndim != 1 or not np.all(h > 0):
        raise InputError(f"steps = {steps!r}: expected positive numbers, the h of the quotients")
    probe = Probe(lambda w: f(w[0]), as_point([x]))
    ahead = np.array([probe.beside(probe.axis(0), t) for t in h])
    behind = np.array([probe.beside(probe.axis(0), -t) for t in h])
    middle = probe.centre
    return Quotients(h, (ahead - middle) / h, (middle - behind) / h, (ahead - behind) / (2 * h))


def derivative(
    f: Callable[[Any], Any], x: float, *, careful: bool = True, scale: float = 1.0, precision: float | None = None
) -> Estimate:
    """f'(x) of a function of one number; the arguments are those of :func:`finite_difference_gradient`.

    >>> import math
    >>> slope = derivative(math.exp, 1.0)
    >>> abs(slope.value - math.e) <= slope.error < 1e-11
    True
    >>> at_kink = derivative(abs, 0.0)
    >>> at_kink.kink, at_kink.value, round(at_kink.error, 6)
    (True, 0.0, 1.0)
    """
    w = as_point([x])
    g = finite_difference_gradient(lambda p: f(p[0]), w, careful=careful, scale=scale, precision=precision)
    return Estimate(float(g.value[0]), float(g.error[0]), g.evaluations, bool(g.kink[0]), float(g.step[0]))


def finite_difference_gradient(
    f: Callable[[Vector], Any],
    w: ArrayLike,
    *,
    careful: bool = False,
    scale: ArrayLike = 1.0,
    precision: float | None = None,
    box: Box | None = None,
) -> Estimate:
    """The gradient of f at w by central quotients, one coordinate at a time, with its error.

    f takes an array of shape (d,), which it may keep or change, and returns a number; w has shape (d,).  Not careful,
    two evaluations a coordinate make the value and two more, at 3h, its error; a coordinate that is not good to 1e-6 is
    measured carefully, as all are under `careful`.  `scale`, a number or shape (d,), is the unit of a coordinate: its
    size where w is smaller.  `precision` is the relative precision of the values of f: eps of w's type, or of the
    type that f returns where that is coarser, unless given (1.2e-7 where f computes in single precision unseen).
    With a `box` (lower, upper) f is evaluated nowhere else: w needs room on both sides of each coordinate.

    Raises :class:`CostError` where f(w) is not a finite number, or f is never finite on both sides of a coordinate.

    >>> g = finite_difference_gradient(lambda w: w[0] ** 2 + 100 * w[1], [3.0, 1.0])
    >>> g.value.round(6), bool(g.error.max() < 1e-5), g.evaluations
    (array([  6., 100.]), True, 9)
    """
    probe = Probe(f, as_point(w), precision, box)
    unit = units(probe.w, scale)
    _ = probe.centre  # evaluated first: the type that f returns tells its precision
    limits = [along_coordinate(probe, j, unit[j], careful) for j in range(len(unit))]
    value, error, kink, step = (np.array([limit[i] for limit in limits]) for i in range(4))
    return Estimate(value, error, probe.evaluations, kink.astype(bool), step)


def stencil(x: float, h: float, low: float = -np.inf, high: float = np.inf) -> list[tuple[float, float]]:
    r"""Places t and weights c such that :math:`f'(x) \approx \sum c f(x + t)`, x + t within [low, high].

    The central quotient where h fits on both sides; else, on the side that has more room and with a smaller h if need
    be, :math:`(-3 f(x) + 4 f(x+h) - f(x+2h))/2h`, whose error falls like h^2, too.  Nothing where there is no room.

    >>> stencil(1.0, 0.5), stencil(0.0, 0.5, low=0.0)
    ([(0.5, 1.0), (-0.5, -1.0)], [(0.0, -3.0), (0.5, 4.0), (1.0, -1.0)])
    """
    if min(high - x, x - low) >= h:
        return [(h, 0.5 / h), (-h, -0.5 / h)]
    room = high - x if high - x >= x - low else low - x
    h = float(np.copysign(min(h, abs(room) / 2), room))
    return [] if h == 0 else [(0.0, -1.5 / h), (h, 2 / h), (2 * h, -0.5 / h)]


def central_gradient(
    f: Callable[[Vector], Any],
    w: ArrayLike,
    *,
    steps: ArrayLike | None = None,
    precision: float | None = None,
    box: Box | None = None,
) -> Vector:
    """The bare gradient, two evaluations a coordinate, or three near a bound: what a descent can afford.

    `steps` are the h of each coordinate, eps^(1/3) max(|w_j|, 1) unless given.  Where f is not finite at w_j + h or
    w_j - h, the coordinate is measured carefully, with smaller steps.  With a `box` (lower, upper), arrays of shape
    (d,), f is evaluated nowhere else; a parameter without room has the derivative 0.

    >>> central_gradient(lambda w: w @ w, [1.0, 2.0]).round(8)
    array([2., 4.])
    """
    probe = Probe(f, as_point(w), precision, box)
    unit = units(probe.w, 1.0)
    h = default_step(unit, probe.eps) if steps is None else np.broadcast_to(np.asarray(steps, float), unit.shape)
    gradient = np.empty_like(probe.w)
    for j, x in enumerate(probe.w):
        places = stencil(float(x), float(h[j]), probe.lower[j], probe.upper[j])
        gradient[j] = 0.0
        for t, c in places:
            gradient[j] += c * (probe.beside(probe.axis(j), t) if t else probe.centre)
        if not np.isfinite(gradient[j]):
            gradient[j] = along_coordinate(probe, j, unit[j], careful=True).value
    return gradient


def finite_difference_hessian(
    gradient: Callable[[Vector], ArrayLike],
    w: ArrayLike,
    *,
    scale: ArrayLike = 1.0,
    precision: float | None = None,
    box: Box | None = None,
) -> NDArray[np.floating]:
    """The matrix of second derivatives at w, by central quotients of the gradient: 2d calls of it, made symmetric.

    `precision` is the relative precision of the gradient (eps unless given; 1e-10 suits one that is itself made of
    difference quotients).  The step is precision^(1/3) max(|w_j|, scale_j), and is divided by 16, at most six times,
    where the gradient is not finite.  With a `box` (lower, upper) the gradient is asked for nowhere else.

    >>> finite_difference_hessian(lambda w: [2 * w[0] + w[1], w[0] + 6 * w[1]], [1.0, 1.0]).round(6)
    array([[2., 1.],
           [1., 6.]])
    """
    point = as_point(w)
    eps = float(np.finfo(point.dtype).eps)
    h = default_step(units(point, scale), max(eps, precision or 0.0))
    lower, upper = everywhere(point) if box is None else box
    H = np.array([_slope_of_gradient(gradient, point, j, h[j], lower[j], upper[j]) for j in range(len(point))])
    return (H + H.T) / 2


def _slope_of_gradient(
    gradient: Callable[[Vector], ArrayLike], w: Vector, j: int, h: float, low: float, high: float
) -> Vector:
    axis = np.zeros_like(w)
    axis[j] = 1
    for step in h / 16.0 ** np.arange(7):
        row = np.zeros(len(w))
        for t, c in stencil(float(w[j]), float(step), low, high):
            with np.errstate(all="ignore"):
                there = np.array(gradient((w + t * axis).astype(w.dtype)), dtype=float)
            if there.shape != w.shape:
                raise ShapeError(f"the gradient has shape {there.shape}: expected ({len(w)},), one entry a parameter")
            row += c * there
        if np.isfinite(row).all():
            return row
    raise CostError(f"the gradient is not finite on both sides of parameter {j} at w = {shown(w)}, at any step tried")
