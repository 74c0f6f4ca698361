"""A Python callable as a cost, guarded against what callables do."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from descender.costs.autodiff import differentiate
from descender.costs.callables import Place, as_gradient, as_point, described, precision_of, real_number
from descender.costs.cost import Cost, Rows, Vector
from descender.costs.differences import central_gradient, finite_difference_gradient
from descender.costs.probes import Box, default_step, units
from descender.errors import CapabilityError, CostError, DescenderError, OptionError, ShapeError

UNDEFINED = object()
"""Stands for what a function would have returned where it is not defined."""


class Function(Cost):
    """The cost J(w) = fun(w, *args), with a gradient that is given or measured.

    ``fun``
        takes an array of shape (d,), a copy that it may change, and returns one real number;
    ``start``
        d, the number of parameters, or a point of shape (d,), near which the difference steps are chosen;
    ``gradient``
        a callable that returns shape (d,); True if `fun` returns (value, gradient), SciPy's ``jac=True``;
        ``"jax"`` or ``"torch"`` if `fun` is written for that library, which then differentiates it
        (:func:`~descender.costs.autodiff.differentiate`); None for central difference quotients: 2d evaluations a
        gradient, and 4d to 20d once to choose steps;
    ``args``
        handed on to `fun` and `gradient` after the rest;
    ``names``
        one for each parameter; w0, w1, ... unless given;
    ``n_samples``
        given, the cost is a mean over samples, and the callables are called as ``fun(w, rows, *args)`` with an array
        of sample indices, all of them or some: what they return for some estimates what they return for all;
    ``smooth``, ``convex``
        facts about the cost, as :class:`Cost` declares them.

    `n_evaluations` counts calls of `fun`, `n_gradients` gradients however made.  A NaN or infinite value or gradient
    is returned as it is: what to do about it is the walk's business, and NumPy's warnings are silenced.  Once `fun` has
    had a finite value somewhere, a ValueError or an ArithmeticError ("math domain error", a division by zero), or a
    complex value, says that it is not defined at another point: NaN is returned, and `undefined` tells of the last.

    Raises :class:`CostError` where `fun` or `gradient` raised otherwise (StopIteration passes through) or returned what
    are no real numbers, :class:`ShapeError` where w or a gradient does not have d entries.

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
        gradient: Callable[..., Any] | bool | str | None = None,
        args: tuple = (),
        *,
        names: Sequence[str] | None = None,
        n_samples: int | None = None,
        smooth: bool = True,
        convex: bool = False,
    ):
        if not callable(fun):
            raise OptionError(f"fun = {described(fun)}: expected a function of w that returns a number")
        if not (gradient is None or gradient is True or isinstance(gradient, str) or callable(gradient)):
            raise OptionError(
                f"gradient = {described(gradient)}: expected None, True, 'jax', 'torch' or a function of w"
            )
        if n_samples is not None and not (isinstance(n_samples, (int, np.integer)) and n_samples >= 1):
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
        self.fun, self.args = fun, args if isinstance(args, tuple) else (args,)
        self.pair = fun if gradient is True else None  # returns (value, gradient)
        if isinstance(gradient, str):
            self.fun, self.pair = differentiate(fun, gradient, self.args)
            self.args = ()
        self.given = gradient
        self.n_samples, self.smooth, self.convex = n_samples, smooth, convex
        self.n_evaluations = self.n_gradients = 0
        self.precision: float | None = None  # of the values, once one came in a type coarser than float64
        self.undefined = ""  # what was raised at the last point where the cost is not defined
        self._defined: set[str] = set()  # what was, somewhere: of evaluation, gradient
        self.box: Box | None = None  # outside of which nothing is evaluated
        self._steps: Vector | None = None  # h_j / max(|w_j|, 1)

    def within(self, lower: Vector, upper: Vector) -> Function:
        """The same function, whose gradient is measured within a box: beyond it the function may not be defined."""
        bounded = copy.copy(self)
        bounded.box, bounded._steps, bounded._defined = (lower, upper), None, set()
        return bounded

    def value(self, w: Vector, rows: Rows | None = None) -> float:
        """J(w), of all samples or of `rows`."""
        return self._evaluate(self._point(w), rows, self.given is True)[0]

    def value_and_gradient(self, w: Vector, rows: Rows | None = None) -> tuple[float, Vector]:
        """J(w) and its gradient, of the type of w; a gradient that is measured is NaN where J is not finite."""
        point = self._point(w)
        value, together = self._evaluate(point, rows, self.pair is not None)
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

    def _evaluate(self, w: Vector, rows: Rows | None, pair: bool) -> tuple[float, Any]:
        """The value, and the gradient where one call returns both."""
        self.n_evaluations += 1
        place = Place("evaluation", self.n_evaluations, w)
        fun = self.pair if pair and self.pair else self.fun
        returned, together = self._call(fun, w, rows, "the function", place), None
        if returned is UNDEFINED:
            return np.nan, UNDEFINED if pair else None
        if pair:
            if not isinstance(returned, (tuple, list)) or len(returned) != 2:
                raise CostError(f"{place}: gradient=True expects (value, gradient); fun returned {described(returned)}")
            returned, together = returned
        coarse = precision_of(returned)
        if coarse:
            self.precision = max(coarse, self.precision or 0.0)
        if "evaluation" in self._defined and isinstance(returned, complex):  # Python's root of a negative number
            self.undefined = f"{place}: {described(returned)}"
            return np.nan, together
        try:
            value = real_number(returned)
        except CostError as error:
            raise CostError(f"{place}: {error}{_advice(returned)}") from None
        if np.isfinite(value):
            self._defined.add("evaluation")
        return value, together

    def _gradient(self, w: Vector, rows: Rows | None, value: float, together: Any) -> Vector:
        self.n_gradients += 1
        if self.given is None:
            return self._measured(w, rows) if np.isfinite(value) else np.full_like(w, np.nan)
        place = Place("gradient", self.n_gradients, w)
        if callable(self.given):
            together = self._call(self.given, w, rows, "the gradient", place)
        if together is UNDEFINED:
            return np.full_like(w, np.nan)
        gradient = as_gradient(together, w, place)
        self._defined.add("gradient")
        return gradient

    def _measured(self, w: Vector, rows: Rows | None) -> Vector:
        if self._steps is None:
            self._steps = self._choose_steps(w)
        steps = self._steps * units(w, 1.0)
        return central_gradient(lambda p: self.value(p, rows), w, steps=steps, precision=self.precision, box=self.box)

    def _choose_steps(self, w: Vector) -> Vector:
        """Steps relative to max(|w_j|, 1), measured once: at the start, else at the first w."""
        at = w if self.start is None else self.start.astype(w.dtype)
        if self.box is not None:  # with room on both sides
            lower, upper = self.box
            room = np.minimum(units(at, 1.0), (upper - lower) / 2)
            at = np.clip(at, lower + room, upper - room)
        try:
            measured = finite_difference_gradient(self.value, at, precision=self.precision, box=self.box)
            return measured.step / units(at, 1.0)
        except CostError:  # not finite there, or no room
            return default_step(np.ones(len(w)), max(float(np.finfo(w.dtype).eps), self.precision or 0.0))

    def _call(self, function: Callable[..., Any], w: Vector, rows: Rows | None, what: str, place: Place) -> Any:
        if self.n_samples is not None:
            extra: tuple = (np.arange(self.n_samples) if rows is None else np.array(rows, dtype=np.intp), *self.args)
        elif rows is None:
            extra = self.args
        else:
            raise CapabilityError("this cost does not split into samples: give n_samples, and a function of (w, rows)")
        try:
            with np.errstate(all="ignore"):
                return function(w.copy(), *extra)
        except CostError as error:
            raise CostError(f"{place}: {error}") from None
        except (StopIteration, DescenderError):
            raise
        except Exception as error:
            raised = f"{place}: {what} raised {type(error).__name__}: {error}"
            if not (place.what in self._defined and isinstance(error, (ValueError, ArithmeticError))):
                raise CostError(raised) from error
            self.undefined = raised
            return UNDEFINED


def _advice(returned: Any) -> str:
    if returned is None:
        return "; is its return statement missing?"
    if isinstance(returned, (tuple, list)) and len(returned) == 2:
        return "; gradient=True says that it returns (value, gradient)"
    return "; a sum or a mean makes one number of many" if getattr(returned, "size", 1) != 1 else ""
