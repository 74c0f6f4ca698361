"""Learning rates: how long a step is, as a function of the step's number."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from descender.errors import OptionError, suggest


class Constant(NamedTuple):
    """The same rate at every step."""

    rate: float

    @staticmethod
    def formula(q, t):
        """The rate of step `t`, counted from 0."""
        return q.rate


class InverseTime(NamedTuple):
    r""":math:`a_t = a_0 / (1 + \lambda t)`: slow enough to arrive anywhere, fast enough for noise to average out.

    H. Robbins and S. Monro, *A stochastic approximation method*, 1951.
    """

    rate: float
    decay: float = 0.01

    @staticmethod
    def formula(q, t):
        """The rate of step `t`, counted from 0."""
        return q.rate / (1.0 + q.decay * t)


class Exponential(NamedTuple):
    r""":math:`a_t = a_0 \gamma^t`.  The steps sum to :math:`a_0/(1-\gamma)`: too fast a decay never arrives."""

    rate: float
    decay: float = 0.999

    @staticmethod
    def formula(q, t):
        """The rate of step `t`, counted from 0."""
        return q.rate * q.decay**t


class Backtracking(NamedTuple):
    r"""The longest rate of :math:`a, a\beta, a\beta^2 \dots` whose step lowers the cost enough.

    .. math:: J(w^+) \le J(w) + c\, g \cdot (w^+ - w)

    where :math:`a` is the rate accepted last, over :math:`\beta`.  It needs exact costs, and works with any rule.
    L. Armijo, *Minimization of functions having Lipschitz continuous first partial derivatives*, 1966.
    """

    rate: float = 1.0
    shrink: float = 0.5
    share: float = 1e-4

    @staticmethod
    def formula(q, last):
        """The rate that is tried first; `last` is the rate of the last step, 0 at the start."""
        return last / q.shrink if last > 0.0 else q.rate

    @staticmethod
    def ceiling(value):
        """What the cost must come below, the slope's promise aside."""
        return value


RATES: dict[str, Any] = {
    "constant": Constant,
    "inverse-time": InverseTime,
    "exponential": Exponential,
    "backtracking": Backtracking,
}
Rate = Constant | InverseTime | Exponential | Backtracking


def read_rate(given: Any) -> Rate:
    """A rate from a number, a rate of this module, or words such as ``"inverse-time 0.1 0.01"``.

    >>> read_rate(0.1)
    Constant(rate=0.1)
    >>> read_rate("inverse-time 0.1 0.01")
    InverseTime(rate=0.1, decay=0.01)
    """
    if isinstance(given, str):
        name, *numbers = given.replace(",", " ").split() or [""]
        if name in RATES:
            try:
                given = RATES[name](*map(float, numbers))
            except (TypeError, ValueError):
                fields = " ".join(RATES[name]._fields)
                raise OptionError(f"learning_rate={given!r}: after {name!r} come the numbers {fields}") from None
        else:
            try:
                given = float(given)
            except ValueError:
                raise OptionError(
                    f"learning_rate={given!r} is neither a number nor a schedule; {suggest(name, ['auto', *RATES])}"
                ) from None
    rate: Any
    if isinstance(given, tuple(RATES.values())):
        rate = given
    elif isinstance(given, bool):
        raise OptionError(f"learning_rate={given!r}: give a number, 'auto' or a schedule")
    else:
        try:
            rate = Constant(float(given))
        except (TypeError, ValueError):
            raise OptionError(f"learning_rate={given!r}: give a number, 'auto' or a schedule") from None
    for name, number in zip(rate._fields, rate, strict=True):
        if not math.isfinite(number) or number < 0 or (name == "rate" and number == 0):
            raise OptionError(f"learning_rate: {name}={number:g} must be a positive finite number")
    if isinstance(rate, Backtracking) and not (0 < rate.shrink < 1 and 0 < rate.share < 1):
        raise OptionError(f"learning_rate={rate}: shrink and share lie strictly between 0 and 1")
    return rate
