"""Is the gradient right?  Asked by hand, or now and then during a walk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from descender.costs import gradient_check
from descender.costs.callables import shown
from descender.costs.cost import Cost, Vector
from descender.costs.gradient_check import GradientCheck
from descender.doctor.finding import Finding
from descender.errors import DescenderError, OptionError
from descender.methods.method import Outcome
from descender.verbs.reading import read_cost

WRONG = "the gradient is wrong: "
NAMED = 2_000
"""Parameters up to which a walk that found its gradient wrong looks for the worst of them."""


def check_gradient(
    cost: str | Callable[..., Any] | Cost,
    w: Any,
    gradient: Any = None,
    *,
    full: bool = False,
    tolerance: float | None = None,
    seed: int = 0,
    args: tuple = (),
    n_samples: int | None = None,
    data: Mapping[str, ArrayLike] | None = None,
    constants: Mapping[str, float] | None = None,
) -> GradientCheck:
    """Compare the gradient at w with careful difference quotients of the cost.

    The cheap form measures one derivative, along a random direction in which every parameter counts alike: about 15
    evaluations however many parameters there are, and a fault in one of thousands shows.  The `full` form measures
    every parameter, 10 to 20 evaluations each, and names the worst.

    Parameters
    ----------
    cost, w, gradient, args, n_samples, data, constants
        as in :func:`~descender.verbs.minimize.minimize`, with w in place of its start; a formula and a
        :class:`~descender.costs.cost.Cost` have their own gradients
    tolerance
        the relative disagreement that is allowed besides the error of the measurement: max(1e-6, 10 sqrt(eps)), where
        eps is the precision with which the cost is computed, measured where it is doubtful
    seed
        of the random direction

    Returns a :class:`~descender.costs.gradient_check.GradientCheck`, with ``ok`` and a text when printed.  Raises
    :class:`~descender.errors.InputError` where the gradient is not finite, :class:`~descender.errors.CostError` where
    the cost is not.

    >>> print(check_gradient(lambda w: w[0] ** 2 * w[1], [3.0, 1.0], lambda w: [w[0] * w[1], w[0] ** 2], full=True))
    the gradient is wrong: by w0 it is 3, difference quotients say 6
        worst by w0: given 3, measured 6 +- ...
        relative disagreement 5.0e-01, 1.0e-06 allowed; ... evaluations
    >>> check_gradient("log(cosh(x)) + x*y", "x=0.3 y=2").ok
    True
    """
    if callable(cost) and not isinstance(cost, Cost) and gradient is None:
        raise OptionError(
            "gradient: which one is to be checked? Give a function, True if the cost returns both, 'jax' or 'torch'; "
            "difference quotients would be compared with themselves"
        )
    target, point = read_cost(cost, w, gradient, data, constants, args, n_samples)
    return gradient_check.check_gradient(target, point, full=full, seed=seed, tolerance=tolerance)


class GradientLook:
    """Checks the gradient along a walk, cheaply, and ends the walk where it is wrong.

    With ``True`` at the start and after 1, 2, 4, 8 ... steps, with a number k after every k steps, or the first whole
    block of steps beyond, and at the end: each time along another direction.
    """

    def __init__(self, cost: Cost, often: bool | int):
        self.cost, self.often, self.due = cost, often, 0
        self.found: Finding | None = None
        self.every = often if often is not True else 32

    def at(self, steps: int, w: Vector, last: bool = False) -> Outcome | None:
        """The outcome of a walk whose gradient is wrong at w, if a check is due and finds it so."""
        if steps < self.due and not last:
            return None
        self.due = max(1, 2 * steps) if self.often is True else steps + self.every
        try:
            check = gradient_check.check_gradient(self.cost, w, seed=steps)
            if check.ok:
                return None
            if len(w) <= NAMED:
                named = gradient_check.check_gradient(self.cost, w, full=True)
                check = named if not named.ok else check
        except DescenderError:  # not finite here: that is the walk's business
            return None
        place = f"at step {steps:,}, w = {shown(w)}"
        told = f"{place}: {check.message.removeprefix(WRONG)}; {check.relative_error:.1e} apart"
        self.found = wrong_gradient(told, self.cost, check.worst)
        return Outcome("wrong_gradient", f"{check.message}, {place}")


def wrong_gradient(told: str, cost: Cost, worst: str = "") -> Finding:
    """D210 with its evidence, and the parameter to look at where it is known."""
    part = f" for {worst}" * (worst in cost.names)
    remedy = f"look at its formula{part}, or let it be made: gradient='jax', 'torch', or None"
    return Finding("wrong-gradient", "critical", told.removeprefix(WRONG), remedy)


def look_at_gradient(cost: Cost, often: Any) -> GradientLook | None:
    """What ``check_gradient=`` of a walk asks for: None, True, or every so many steps."""
    if often is None or often is False:
        return None
    if often is not True and (not isinstance(often, int | np.integer) or often < 1):
        raise OptionError(f"check_gradient={often!r}: expected True, or after how many steps to check again")
    if getattr(cost, "given", True) is None:
        raise OptionError("check_gradient: this gradient is made of difference quotients, there is none to be checked")
    return GradientLook(cost, often if often is True else int(often))
