"""A Python callable as a cost, guarded against what callables do; and the check that a gradient is right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from descender.costs.cost import Cost, Rows, Vector
from descender.costs.differences import (
    GOOD,
    Limit,
    Probe,
    as_point,
    central_gradient,
    default_step,
    described,
    finite_difference_gradient,
    precision_of,
    real_number,
    ridders,
    shown,
    units,
)
from descender.errors import CapabilityError, CostError, DescenderError, InputError, OptionError, ShapeError

ALONG = "along a random direction"  # the name of what the cheap gradient check measured


class Function(Cost):
    """The cost J(w) = fun(w, *args), with a gradient that is given or measured.

    ``fun``
        takes an array of shape (d,), a copy that it may change, and returns one real number;
    ``start``
        d, the number of parameters, or a point of shape (d,), near which the difference steps are chosen;
    ``gradient``
        a callable that returns shape (d,); True if `fun` returns (value, gradient), SciPy's ``jac=True``;
        None for central difference quotients: 2d evaluations a gradient, and 4d to 20d once to choose steps;
    ``args``
        handed on to `fun` and `gradient` after the rest;
    ``names``
        one for each parameter; w0, w1, ... unless given;
    ``n_samples``
        given, the cost is a mean over samples, and the callables are called as ``fun(w, rows, *args)`` with an array
        of sample indices, all of them or some;
    ``smooth``, ``convex``
        facts about the cost, as :class:`Cost` declares them.

    `n_evaluations` counts calls of `fun`, `n_gradients` gradients however made.  A NaN or infinite value or gradient
    is returned as it is: what to do about it is the walk's business, and NumPy's warnings are silenced.

    Raises :class:`CostError` where `fun` or `gradient` raised (StopIteration passes through) or returned what are no
    real numbers, :class:`ShapeError` where w or a gradient does not have d entries.

    >>> J = Function(lambda w: (w[0] - 1) ** 2 + 5 * w[1] ** 2, 2)
    >>> value, gradient = J.value_and_gradient(np.array([3.0, 1.0]))
    >>> value, gradient.round(6), J.n_gradients
    (9.0, array([ 4., 10.]), 1)
    >>> bool(J.gradient_error(np.array([3.0, 1.0])).max() < 1e-6)
    True
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        start: int | ArrayLike,
        gradient: Callable[..., Any] | bool | None = None,
        args: tuple = (),
        *,
        names: Sequence[str] | None = None,
        n_samples: int | None = None,
        smooth: bool = True,
        convex: bool = False,
    ):
        if not callable(fun):
            raise OptionError(f"fun = {described(fun)}: expected a function of w that returns a number")
        if not (gradient is None or gradient is True or callable(gradient)):
            raise OptionError(f"gradient = {described(gradient)}: expected None, True or a function of w")
        if n_samples is not None and n_samples < 1:
            raise OptionError(
                f"n_samples = {n_samples}: expected a positive number, or None for a cost without samples"
            )
        self.start = None if isinstance(start, (int, np.integer)) else as_point(start)
        d = int(start) if self.start is None else len(self.start)  # type: ignore[arg-type]
        if d < 1:
            raise OptionError(f"a cost of {d} parameters: expected at least one")
        self.names = tuple(f"w{j}" for j in range(d)) if names is None else tuple(names)
        if len(self.names) != d:
            raise ShapeError(f"{len(self.names)} names for {d} parameters: expected one for each")
        self.fun, self.args = fun, args
        self.given = gradient
        self.n_samples, self.smooth, self.convex = n_samples, smooth, convex
        self.n_evaluations = self.n_gradients = 0
        self.precision: float | None = None  # of the values, once one came in a type coarser than float64
        self._steps: Vector | None = None  # h_j / max(|w_j|, 1)

    def value(self, w: Vector, rows: Rows | None = None) -> float:
        """J(w), of all samples or of `rows`."""
        return self._evaluate(self._point(w), rows)[0]

    def value_and_gradient(self, w: Vector, rows: Rows | None = None) -> tuple[float, Vector]:
        """J(w) and its gradient, of the type of w; a gradient that is measured is NaN where J is not finite."""
        point = self._point(w)
        value, together = self._evaluate(point, rows)
        return value, self._gradient(point, rows, value, together)

    def gradient(self, w: Vector, rows: Rows | None = None) -> Vector:
        """The gradient alone, without a value where `gradient` is a callable."""
        if callable(self.given):
            return self._gradient(self._point(w), rows, np.nan, None)
        return self.value_and_gradient(w, rows)[1]

    def gradient_error(self, w: Vector) -> Vector:
        """How far the measured gradient at w may be off, one bound a parameter: by comparison with a careful one."""
        if self.given is not None:
            raise CapabilityError("gradient_error is for gradients that are measured; check_gradient tests a given one")
        careful = finite_difference_gradient(self.value, w, careful=True, precision=self.precision)
        return np.abs(self.gradient(w) - careful.value) + careful.error

    def _point(self, w: ArrayLike) -> Vector:
        point = as_point(w)
        if len(point) != self.n_parameters:
            raise ShapeError(f"w has {len(point)} entries: expected {self.n_parameters}, one for each parameter")
        return point

    def _evaluate(self, w: Vector, rows: Rows | None) -> tuple[float, Any]:
        self.n_evaluations += 1
        place = f"evaluation {self.n_evaluations}, at w = {shown(w)}"
        returned, together = self._call(self.fun, w, rows, "the function", place), None
        if self.given is True:
            if not isinstance(returned, (tuple, list)) or len(returned) != 2:
                raise CostError(f"{place}: gradient=True expects (value, gradient); fun returned {described(returned)}")
            returned, together = returned
        coarse = precision_of(returned)
        if coarse:
            self.precision = max(coarse, self.precision or 0.0)
        try:
            return real_number(returned), together
        except CostError as error:
            raise CostError(f"{place}: {error}{_advice(returned)}") from None

    def _gradient(self, w: Vector, rows: Rows | None, value: float, together: Any) -> Vector:
        self.n_gradients += 1
        if self.given is None:
            return self._measured(w, rows) if np.isfinite(value) else np.full_like(w, np.nan)
        place = f"gradient {self.n_gradients}, at w = {shown(w)}"
        if callable(self.given):
            together = self._call(self.given, w, rows, "the gradient", place)
        return _as_gradient(together, w, place)

    def _measured(self, w: Vector, rows: Rows | None) -> Vector:
        if self._steps is None:
            self._steps = self._choose_steps(w)
        steps = self._steps * units(w, 1.0)
        return central_gradient(lambda p: self.value(p, rows), w, steps=steps, precision=self.precision)

    def _choose_steps(self, w: Vector) -> Vector:
        """Steps relative to max(|w_j|, 1), measured once: at the start, else at the first w."""
        at = w if self.start is None else self.start.astype(w.dtype)
        try:
            return finite_difference_gradient(self.value, at, precision=self.precision).step / units(at, 1.0)
        except CostError:  # not finite there
            return default_step(np.ones(len(w)), max(float(np.finfo(w.dtype).eps), self.precision or 0.0))

    def _call(self, function: Callable[..., Any], w: Vector, rows: Rows | None, what: str, place: str) -> Any:
        if self.n_samples is not None:
            extra: tuple = (np.arange(self.n_samples) if rows is None else np.array(rows), *self.args)
        elif rows is None:
            extra = self.args
        else:
            raise CapabilityError("this cost does not split into samples: give n_samples, and a function of (w, rows)")
        try:
            with np.errstate(all="ignore"):
                return function(w.copy(), *extra)
        except (StopIteration, DescenderError):
            raise
        except Exception as error:
            raise CostError(f"{place}: {what} raised {type(error).__name__}: {error}") from error


def _advice(returned: Any) -> str:
    if returned is None:
        return "; is its return statement missing?"
    if isinstance(returned, (tuple, list)) and len(returned) == 2:
        return "; gradient=True says that it returns (value, gradient)"
    return "; a sum or a mean makes one number of many" if getattr(returned, "size", 1) != 1 else ""


def _as_gradient(returned: Any, w: Vector, place: str) -> Vector:
    """A copy of what was returned, as an array like w."""
    try:
        array = np.array(returned)
        if array.dtype.kind == "O":
            array = np.array([float(entry) for entry in array.ravel()]).reshape(array.shape)
        if array.dtype.kind not in "fiu":
            raise TypeError
    except (TypeError, ValueError, ArithmeticError, RuntimeError):
        raise CostError(f"{place}: the gradient is {described(returned)}; expected {len(w)} real numbers") from None
    if array.shape != w.shape and not array.size == len(w) == 1:
        raise ShapeError(
            f"{place}: the gradient has shape {array.shape}, that is {array.size} numbers; "
            f"expected shape {w.shape}, one for each of the {len(w)} parameters"
        )
    return array.astype(w.dtype).reshape(w.shape)


# --- is a gradient right? -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GradientCheck:
    """Whether a gradient agrees with difference quotients.

    `relative_error` is the largest disagreement that measurement errors do not explain, `worst` the name of the
    parameter that shows it ("along a random direction" unless every coordinate was measured), `given` and `measured`
    its two values; `doubtful` names the parameters that could not be judged, at kinks or in noise.
    """

    ok: bool
    relative_error: float
    worst: str
    given: float
    measured: float
    evaluations: int
    doubtful: tuple[str, ...]
    message: str


def check_gradient(
    cost: Cost, w: ArrayLike, *, full: bool = False, seed: int = 0, tolerance: float | None = None
) -> GradientCheck:
    """Compares ``cost.gradient(w)`` with careful difference quotients of ``cost.value``.

    The cheap form measures one derivative, along a random v of which each component contributes alike to g·v, about
    15 evaluations whatever d is; it judges the difference against sum |g_j v_j|.  The `full` form measures every
    coordinate and names the worst.  The default `tolerance` is max(1e-6, 10 sqrt(eps)) relative, to which the error
    of the measurement is added, and the rounding of a gradient whose terms cancel.

    >>> right = Function(lambda w: w[0] ** 2 * w[1], 2, gradient=lambda w: [2 * w[0] * w[1], w[0] ** 2])
    >>> check_gradient(right, [3.0, 1.0]).ok
    True
    >>> wrong = Function(lambda w: w[0] ** 2 * w[1], 2, gradient=lambda w: [w[0] * w[1], w[0] ** 2])
    >>> print(check_gradient(wrong, [3.0, 1.0], full=True).message)
    the gradient is wrong: by w0 it is 3, difference quotients say 6
    """
    point = as_point(w)
    g = _as_gradient(cost.gradient(point.copy()), point, "check_gradient").astype(float)
    if not np.isfinite(g).all():
        raise InputError(f"the gradient at w = {shown(point)} is not finite: {shown(g)}; check it at another point")
    probe = Probe(cost.value, point, getattr(cost, "precision", None))
    unit = units(point, 1.0)
    tolerance = max(1e-6, 10 * float(np.sqrt(probe.eps))) if tolerance is None else tolerance
    if full:
        names = cost.names or tuple(f"w{j}" for j in range(len(g)))
        size = np.abs(point.astype(float))
        limits = [_measured(probe, probe.axis(j), unit[j], size[j], g[j], tolerance) for j in range(len(g))]
        return _verdict(names, g, limits, np.abs(g), np.max(np.abs(g) * unit) / unit, tolerance, probe)
    v = _balanced_direction(g, unit, probe.eps, np.random.default_rng(seed))
    along, terms = float(g @ v), np.array([np.abs(g * v).sum()])
    rounded = float(np.abs(g) @ np.abs(point)) / max(abs(along), np.finfo(float).tiny)
    limit = _measured(probe, v, 1.0, rounded, along, tolerance)
    return _verdict((ALONG,), np.array([along]), [limit], terms, terms, tolerance, probe)


def _measured(
    probe: Probe, direction: Vector, unit: float, size: float, given: float, tolerance: float
) -> Limit | None:
    """The derivative along `direction`; one that contradicts the given is measured again from finer steps."""
    limit = ridders(probe, direction, unit, size)
    if limit is None or abs(given - limit.value) <= limit.error + tolerance * abs(given):
        return limit
    again = ridders(probe, direction, unit / 1024, size)
    return again if again and abs(given - again.value) + again.error <= tolerance * abs(given) else limit


def _balanced_direction(g: Vector, unit: Vector, eps: float, rng: np.random.Generator) -> Vector:
    """Random signs and lengths, shortened where the gradient is steep so that no component drowns the others."""
    pull = np.abs(g) * unit
    typical = max(np.min(pull[pull > 0]), np.cbrt(eps) * np.max(pull)) if pull.any() else 1.0
    length = unit * np.minimum(1.0, typical / np.maximum(pull, np.finfo(float).tiny))
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
    )


def _by(name: str) -> str:
    return name if name == ALONG else f"by {name}"


def _listed(names: Sequence[str], chosen: np.ndarray) -> str:
    which = [name for name, use in zip(names, chosen, strict=True) if use]
    return _by(", ".join(which[:5])) + (f" and {len(which) - 5} more" if len(which) > 5 else "")
