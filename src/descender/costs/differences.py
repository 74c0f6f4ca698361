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

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.costs.cost import Vector
from descender.errors import CostError, InputError, ShapeError

GOOD = 1e-6  # a relative error of the cheap quotient that a descent does not notice
RUNGS = 38  # h from 1/8 down to 1e-12, in units of the coordinate
COARSE = {"float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}  # the eps of types shorter than float64


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
) -> Estimate:
    """The gradient of f at w by central quotients, one coordinate at a time, with its error.

    f takes an array of shape (d,), which it may keep or change, and returns a number; w has shape (d,).  Not careful,
    two evaluations a coordinate make the value and two more, at 3h, its error; a coordinate that is not good to 1e-6 is
    measured carefully, as all are under `careful`.  `scale`, a number or shape (d,), is the unit of a coordinate: its
    size where w is smaller.  `precision` is the relative precision of the values of f: eps of w's type, or of the
    type that f returns where that is coarser, unless given (1.2e-7 where f computes in single precision unseen).

    Raises :class:`CostError` where f(w) is not a finite number, or f is never finite on both sides of a coordinate.

    >>> g = finite_difference_gradient(lambda w: w[0] ** 2 + 100 * w[1], [3.0, 1.0])
    >>> g.value.round(6), bool(g.error.max() < 1e-5), g.evaluations
    (array([  6., 100.]), True, 9)
    """
    probe = Probe(f, as_point(w), precision)
    unit = units(probe.w, scale)
    _ = probe.centre  # evaluated first: the type that f returns tells its precision
    limits = [_coordinate(probe, j, unit[j], careful) for j in range(len(unit))]
    value, error, kink, step = (np.array([limit[i] for limit in limits]) for i in range(4))
    return Estimate(value, error, probe.evaluations, kink.astype(bool), step)


def central_gradient(
    f: Callable[[Vector], Any], w: ArrayLike, *, steps: ArrayLike | None = None, precision: float | None = None
) -> Vector:
    """The bare gradient, two evaluations a coordinate: what a descent can afford.

    `steps` are the h of each coordinate, eps^(1/3) max(|w_j|, 1) unless given.  Where f is not finite at w_j + h or
    w_j - h, the coordinate is measured carefully, with smaller steps.

    >>> central_gradient(lambda w: w @ w, [1.0, 2.0]).round(8)
    array([2., 4.])
    """
    probe = Probe(f, as_point(w), precision)
    unit = units(probe.w, 1.0)
    h = default_step(unit, probe.eps) if steps is None else np.broadcast_to(np.asarray(steps, float), unit.shape)
    gradient = np.empty_like(probe.w)
    for j in range(len(unit)):
        quotient = probe.central(probe.axis(j), h[j])
        gradient[j] = quotient if np.isfinite(quotient) else _coordinate(probe, j, unit[j], careful=True).value
    return gradient


def finite_difference_hessian(
    gradient: Callable[[Vector], ArrayLike], w: ArrayLike, *, scale: ArrayLike = 1.0, precision: float | None = None
) -> NDArray[np.floating]:
    """The matrix of second derivatives at w, by central quotients of the gradient: 2d calls of it, made symmetric.

    `precision` is the relative precision of the gradient (eps unless given; 1e-10 suits one that is itself made of
    difference quotients).  The step is precision^(1/3) max(|w_j|, scale_j), and is divided by 16, at most six times,
    where the gradient is not finite.

    >>> finite_difference_hessian(lambda w: [2 * w[0] + w[1], w[0] + 6 * w[1]], [1.0, 1.0]).round(6)
    array([[2., 1.],
           [1., 6.]])
    """
    point = as_point(w)
    eps = float(np.finfo(point.dtype).eps)
    h = default_step(units(point, scale), max(eps, precision or 0.0))
    H = np.array([_slope_of_gradient(gradient, point, j, h[j]) for j in range(len(point))])
    return (H + H.T) / 2


def _slope_of_gradient(gradient: Callable[[Vector], ArrayLike], w: Vector, j: int, h: float) -> Vector:
    axis = np.zeros_like(w)
    axis[j] = 1
    for t in h / 16.0 ** np.arange(7):
        with np.errstate(all="ignore"):
            ahead, behind = [np.array(gradient((w + s * axis).astype(w.dtype)), dtype=float) for s in (t, -t)]
        if ahead.shape != w.shape or behind.shape != w.shape:
            raise ShapeError(f"the gradient has shape {ahead.shape}: expected ({len(w)},), one entry a parameter")
        row = (ahead - behind) / (2 * t)
        if np.isfinite(row).all():
            return row
    raise CostError(f"the gradient is not finite on both sides of parameter {j} at w = {shown(w)}, at any step tried")


# --- one coordinate, or one direction -----------------------------------------------------------------------------


class Limit(NamedTuple):
    """A derivative along one line, as :class:`Estimate` has it."""

    value: float
    error: float
    kink: bool
    step: float


class Rung(NamedTuple):
    """What one step h shows: D(h), forward minus backward quotient, and the rounding error of D(h)."""

    central: float
    gap: float
    rounding: float


class Probe:
    """A function and a point: evaluates along lines through the point, counts, and keeps the reason of a failure."""

    def __init__(self, f: Callable[[Vector], Any], w: Vector, precision: float | None = None):
        self.f, self.w = f, w
        self.eps = max(float(np.finfo(w.dtype).eps), 2.0**-52, precision or 0.0)
        self.failure: Exception | None = None
        self.evaluations = 0

    @cached_property
    def centre(self) -> float:
        """The value at the point itself, which must be finite."""
        value = self._call(self.w.copy())
        if not np.isfinite(value):
            raise CostError(f"the function is {value} at w = {shown(self.w)}: it has no derivative there")
        return value

    def beside(self, direction: Vector, h: float) -> float:
        """f(w + h direction), or NaN where f fails: a trial point may lie outside of its domain."""
        try:
            return self._call((self.w + h * direction).astype(self.w.dtype))
        except (ValueError, ArithmeticError, CostError) as error:
            self.failure = error
            return float("nan")

    def _call(self, point: Vector) -> float:
        self.evaluations += 1
        with np.errstate(all="ignore"):
            returned = self.f(point)
        self.eps = max(self.eps, precision_of(returned))
        return real_number(returned)

    def axis(self, j: int) -> Vector:
        """The unit vector of coordinate j."""
        direction = np.zeros_like(self.w)
        direction[j] = 1
        return direction

    def central(self, direction: Vector, h: float) -> float:
        """D(h) alone, NaN where f is not finite."""
        return (self.beside(direction, h) - self.beside(direction, -h)) / (2 * h)

    def rung(self, direction: Vector, h: float, size: float) -> Rung | None:
        """The quotients at h, None where f is not finite; `size` is that of the numbers to which h is added."""
        ahead, behind = self.beside(direction, h), self.beside(direction, -h)
        if not (np.isfinite(ahead) and np.isfinite(behind)):
            return None
        central = ahead / (2 * h) - behind / (2 * h)
        largest = max(abs(ahead), abs(behind), abs(self.centre))
        gap = (ahead - self.centre) / h - (self.centre - behind) / h
        return Rung(central, gap, 3 * self.eps * (largest + abs(central) * size) / h)


def _coordinate(probe: Probe, j: int, unit: float, careful: bool) -> Limit:
    axis, size, h = probe.axis(j), abs(float(probe.w[j])), float(default_step(unit, probe.eps))
    if not careful:
        near, far = probe.rung(axis, h, size), probe.rung(axis, 3 * h, size)
        if near and far:
            error = abs(far.central - near.central) + near.rounding
            if error <= GOOD * abs(near.central) and abs(near.gap) <= 0.5 * abs(far.gap) + 8 * near.rounding:
                return Limit(near.central, error, False, h)
    limit = ridders(probe, axis, unit, size)
    if limit is None:
        raise CostError(
            f"the function is not finite on both sides of parameter {j} at w = {shown(probe.w)}, however small the "
            f"step: no derivative by w[{j}] = {probe.w[j]:g} can be measured"
        ) from probe.failure
    return limit


def ridders(probe: Probe, direction: Vector, unit: float, size: float) -> Limit | None:
    """The derivative along `direction`, extrapolated from steps unit/8, unit/16 ...; None if f is never finite.

    Row k of the table holds D(h_k) and its extrapolations, T_m = T_(m-1) + (T_(m-1) - T'_(m-1))/(4^m - 1) with T'
    the row above, and each entry's error is its distance from the two that it came from, and rounding.  `jump` is
    the gap between forward and backward quotient extrapolated to h = 0: while it does not fall from rung to rung,
    the function is not yet resolved, and everything learnt from coarser steps is forgotten.
    """
    best: Limit | None = None
    rough: Limit | None = None
    row: list[float] = []
    gap = jump = float("inf")
    stretch = stale = 0
    for number, h in enumerate(_ladder(unit, size, probe.eps)):
        rung = probe.rung(direction, h, size)
        if rung is None:
            best, row, gap, jump, stretch = None, [], float("inf"), float("inf"), 0
            continue
        half_gap = abs(rung.gap) / 2 + rung.rounding
        if rough is None or half_gap < rough.error:
            rough = Limit(rung.central, half_gap, half_gap > 16 * rung.rounding, h)
        before, jump = jump, abs(2 * rung.gap - gap)
        gap = rung.gap
        noise = 32 * rung.rounding + 1e-9 * abs(gap) + 1e-11 * abs(rung.central)
        good = best is not None and best.error <= 1e-3 * (abs(best.value) + abs(gap))
        if jump > max(0.75 * before, noise):
            if best and good and stretch >= 4 and _confirmed(probe, direction, unit, size, best, rung, h):
                break  # resolved over a factor 16 of steps: what now disagrees is noise
            best, row, stretch = None, [], 0
        stretch, stale = stretch + 1, stale + 1
        row, value, error = _extrapolate(row, rung)
        if best is None or error < best.error:
            best, stale = Limit(value, error, False, _best_step(rung, value, h, unit, probe.eps)), 0
        settled = best.error <= 4 * rung.rounding or (stretch >= 6 and stale >= 3 and good)
        if number >= 4 and rung.rounding > 0.01 * rough.error:
            break
        if stretch >= 4 and settled:
            if _confirmed(probe, direction, unit, size, best, rung, h):
                break
            best, row, stretch = None, [], 0
    if best is None or stretch < 3 or not np.isfinite(best.error):
        return rough
    return best._replace(error=2 * best.error)


def _ladder(unit: float, size: float, eps: float) -> Iterator[float]:
    """Powers of two from about unit/8 down: they change w_j without rounding."""
    top = 2.0 ** np.floor(np.log2(unit) - 3)
    return (h for h in top * 0.5 ** np.arange(RUNGS) if h > 64 * eps * size and h > 0)


def _extrapolate(above: list[float], rung: Rung) -> tuple[list[float], float, float]:
    """The next row of the table, and its entry with the least error."""
    row, value, error = [rung.central], rung.central, float("inf")
    for m, old in enumerate(above[:8]):
        row.append(row[m] + (row[m] - old) / (4.0 ** (m + 1) - 1))
        change = max(abs(row[m + 1] - row[m]), abs(row[m + 1] - old)) + 2 * rung.rounding
        if change < error:
            value, error = row[m + 1], change
    return row, value, error


def _confirmed(probe: Probe, direction: Vector, unit: float, size: float, best: Limit, rung: Rung, h: float) -> bool:
    """Whether D at the far finer best step is where the extrapolation says: no smaller scale was overlooked.

    A disagreement that noise in single precision would explain is no objection.
    """
    step = min(best.step, float(default_step(unit, probe.eps)))
    fine = probe.rung(direction, step, size)
    if fine is None:
        return True
    truncation = abs(rung.central - best.value) * (step / h) ** 2
    noise = fine.rounding * max(4.0, COARSE["float32"] / (2 * probe.eps))
    return abs(fine.central - best.value) <= best.error + 2 * truncation + noise


def _best_step(rung: Rung, value: float, h: float, unit: float, eps: float) -> float:
    """The h at which truncation and rounding of D(h) balance; the default unless that is far from it."""
    truncation = max(abs(rung.central - value), rung.rounding, np.finfo(float).tiny)
    balanced = h * float(np.cbrt(rung.rounding / (2 * truncation)))
    usual = float(default_step(unit, eps))
    if balanced > usual and rung.rounding * h / usual <= GOOD * abs(value):
        return usual
    return 2.0 ** np.floor(np.log2(min(max(balanced, 64 * eps * eps), 128 * usual)))


# --- small things -------------------------------------------------------------------------------------------------


def default_step(unit: Any, precision: float) -> Any:
    """precision^(1/3) unit, rounded down to a power of two."""
    return 2.0 ** np.floor(np.log2(np.cbrt(precision) * unit))


def units(w: Vector, scale: ArrayLike) -> Vector:
    """max(|w_j|, scale_j)."""
    size = np.asarray(scale, dtype=float)
    if size.shape not in ((), w.shape) or not np.all((size > 0) & np.isfinite(size)):
        raise InputError(f"scale = {scale!r}: expected a positive number, or one for each of the {len(w)} parameters")
    return np.maximum(np.abs(w.astype(float)), size)


def as_point(w: ArrayLike) -> Vector:
    """A copy of w as an array of floating-point numbers of shape (d,)."""
    point = np.array(w)
    if point.dtype.kind not in "fiu":
        raise InputError(f"w is {described(w)}: expected real numbers, one for each parameter")
    point = point if point.dtype.kind == "f" else point.astype(float)
    if point.ndim != 1:
        raise ShapeError(f"w has shape {point.shape}: expected one dimension, (number of parameters,)")
    return point


def real_number(returned: Any) -> float:
    """What a function returned as a float, if it is one real number in whatever wrapping.

    >>> real_number(np.array([2.5], dtype=np.float32))
    2.5
    >>> real_number(None)
    Traceback (most recent call last):
    descender.errors.CostError: the function returned None; expected one real number
    """
    try:
        array = np.asarray(returned)
        if array.dtype.kind in "fiu" and array.size == 1:
            return float(array.item())
    except (TypeError, ValueError, RuntimeError):  # ragged lists; tensors that carry a gradient
        array = np.array(None)
    try:
        if array.dtype.kind == "O" and array.ndim == 0 and hasattr(returned, "__float__"):
            return float(returned)  # Decimal, Fraction, SymPy's and Python's long numbers
    except (TypeError, ValueError, ArithmeticError, RuntimeError):
        pass
    raise CostError(f"the function returned {described(returned)}; expected one real number")


def precision_of(returned: Any) -> float:
    """The eps of what a function returned where that is coarser than float64, else 0; tensors count too."""
    return COARSE.get(str(getattr(returned, "dtype", "")).rpartition(".")[2], 0.0)


def described(returned: Any) -> str:
    """A few words for a value that was not expected."""
    if returned is None:
        return "None"
    shape = getattr(returned, "shape", ())
    if shape:
        return f"an array of shape {tuple(shape)} and type {getattr(returned, 'dtype', '?')}"
    text = repr(returned)
    return f"{text if len(text) <= 40 else text[:37] + '...'} ({type(returned).__name__})"


def shown(w: Vector) -> str:
    """A point in a message: six digits, the middle left out when it is long."""
    return np.array2string(np.asarray(w), precision=6, threshold=8, edgeitems=3, separator=", ")
