"""The derivative of a function along one line through a point, from values of the function alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from descender.costs.callables import COARSE, precision_of, real_number, shown
from descender.costs.cost import Vector
from descender.errors import CostError, InputError

GOOD = 1e-6  # a relative error of the cheap quotient that a descent does not notice
RUNGS = 38  # h from 1/8 down to 1e-12, in units of the coordinate


Box: TypeAlias = tuple[Vector, Vector]
"""The least and the greatest value of each parameter, infinite where it has none."""


def everywhere(w: Vector) -> Box:
    """The box without bounds around w."""
    return np.full(len(w), -np.inf), np.full(len(w), np.inf)


class Limit(NamedTuple):
    """A derivative along one line, as :class:`~descender.costs.differences.Estimate` has it."""

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
    """A function and a point: evaluates along lines through the point, counts, and keeps the reason of a failure.

    With a box (lower, upper) the function is evaluated within it alone.
    """

    def __init__(self, f: Callable[[Vector], Any], w: Vector, precision: float | None = None, box: Box | None = None):
        self.f, self.w = f, w
        self.lower, self.upper = everywhere(w) if box is None else box
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
        """f(w + h direction), or NaN outside of the box and where f fails: a trial point may not be in its domain."""
        point = (self.w + h * direction).astype(self.w.dtype)
        if np.any(point < self.lower) or np.any(point > self.upper):
            return float("nan")
        try:
            return self._call(point)
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


def along_coordinate(probe: Probe, j: int, unit: float, careful: bool) -> Limit:
    """The derivative by w_j: from two steps where those agree and `careful` is not asked for, else extrapolated."""
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


def noise(probe: Probe, unit: Vector) -> float:
    """The relative precision of the values near the point, 0 where no noise above that of float64 is seen.

    Fourth differences of a smooth function along a line fall like h^4, until they are as small as float64 allows; what
    stays the same, far above that, from one step to a sixteenth of it, is noise.  No difference at all shows nothing.
    J. More and S. Wild, *Estimating computational noise*, SIAM J. Sci. Comput. 33 (2011) 1292-1314.
    """
    random = np.random.default_rng(0)
    direction = unit * random.uniform(0.5, 1.0, len(unit)) * random.choice([-1.0, 1.0], len(unit))
    levels, size, single = [], 0.0, True
    for h in 0.1 * 16.0 ** -np.arange(8):
        values = np.array([probe.beside(direction, float(k * h)) for k in range(-4, 5)])
        if np.isfinite(values).all():
            largest = max(float(np.abs(values).max()), np.finfo(float).tiny)
            size = max(size, largest)
            with np.errstate(over="ignore"):
                single = single and bool((values == values.astype(np.float32)).all())
            spread = np.mean(np.diff(values / largest, 4) ** 2) / 70  # 70 = 8!/4!^2, of independent errors
            levels.append(largest * float(np.sqrt(spread)))
    seen = sorted(level for level in levels if level > 0)
    if len(seen) < 2 or not 1e-13 * size < seen[0] or seen[1] > 32 * seen[0]:
        return 0.0
    return max(8 * seen[1] / size, COARSE["float32"] if single else 0.0)


def default_step(unit: Any, precision: float) -> Any:
    """precision^(1/3) unit, rounded down to a power of two."""
    return 2.0 ** np.floor(np.log2(np.cbrt(precision) * unit))


def units(w: Vector, scale: ArrayLike) -> Vector:
    """max(|w_j|, scale_j)."""
    size = np.asarray(scale, dtype=float)
    if size.shape not in ((), w.shape) or not np.all((size > 0) & np.isfinite(size)):
        raise InputError(f"scale = {scale!r}: expected a positive number, or one for each of the {len(w)} parameters")
    return np.maximum(np.abs(w.astype(float)), size)
