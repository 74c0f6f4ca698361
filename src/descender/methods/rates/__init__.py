"""Learning rates: how long a step is.

A rate is a NamedTuple of numbers with one formula of scalars, which asks for what it reads by the names of its
parameters: `q`, its own numbers; `t`, the number of the step from 0; `value`, the cost; `last`, the rate of the last
step (0 at the start).  A formula of `q` and `t` alone is a schedule.  What else a rate may say:

``terms(...)``
    of a coordinate's `w`, `g`, `w_before`, `g_before`, `origin`, a tuple; the sum of each over the coordinates is
    passed on as ``sums``
``memory``
    names of numbers that it remembers (``m``, zero at the start); the formula then returns the rate and the new ones
``ceiling(...)``
    of a rate that is tried: what the cost must come below; ``shrink`` and ``share`` are among its numbers
``ranges``
    from where to where its numbers may go, if not from 0 on
``exact``, ``along_gradient``
    whether it needs costs and gradients of all samples, unclipped; whether it measures steps along the gradient

To add a rate, write its class in the file of its family and name it in `RATES`.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

from descender.errors import OptionError, suggest
from descender.methods.rates.free import AdaptiveDescent, DistanceOverGradients, PolyakEstimated, PolyakStep
from descender.methods.rates.schedules import (
    Constant,
    Cosine,
    Exponential,
    InverseScaling,
    InverseTime,
    OneCycle,
    OnPlateau,
    Steps,
    WarmUp,
)
from descender.methods.rates.searched import Backtracking, BarzilaiBorwein, BarzilaiBorweinShort

RATES: dict[str, Any] = {
    "constant": Constant,
    "inverse-time": InverseTime,
    "inverse-scaling": InverseScaling,
    "exponential": Exponential,
    "step": Steps,
    "cosine": Cosine,
    "one-cycle": OneCycle,
    "warm-up": WarmUp,
    "plateau": OnPlateau,
    "backtracking": Backtracking,
    "barzilai-borwein": BarzilaiBorwein,
    "barzilai-borwein-short": BarzilaiBorweinShort,
    "polyak": PolyakStep,
    "polyak-estimated": PolyakEstimated,
    "adaptive": AdaptiveDescent,
    "dog": DistanceOverGradients,
}
Rate = Any
"""An instance of one of them."""


def read_rate(given: Any) -> Rate:
    """A rate from a number, a rate of this module, or words such as ``"inverse-time 0.1 0.01"``.

    >>> read_rate(0.1)
    Constant(rate=0.1)
    >>> read_rate("inverse-time 0.1 0.01")
    InverseTime(rate=0.1, decay=0.01)
    >>> read_rate("warm-up 10 cosine 0.1 1000")
    WarmUp(steps=10.0, then=Cosine(rate=0.1, steps=1000.0, lowest=0.0))
    """
    rate: Any = _from_words(given) if isinstance(given, str) else given
    if not isinstance(rate, tuple(RATES.values())):
        try:
            rate = Constant(float("bool" if isinstance(rate, bool) else rate))
        except (TypeError, ValueError):
            raise OptionError(f"learning_rate={given!r}: give a number, 'auto' or a schedule") from None
    check_rate(rate)
    return rate


def _from_words(text: str) -> Rate:
    name, *numbers = text.replace(",", " ").split() or [""]
    if name not in RATES:
        try:
            return Constant(float(text))
        except ValueError:
            raise OptionError(
                f"learning_rate={text!r} is neither a number nor a schedule; {suggest(name, ['auto', *RATES])}"
            ) from None
    fields = RATES[name]._fields
    try:
        if "then" in fields:
            return RATES[name](float(numbers[0]), read_rate(" ".join(numbers[1:])))
        return RATES[name](*map(float, numbers))
    except (TypeError, ValueError, IndexError) as error:
        if isinstance(error, OptionError):
            raise
        raise OptionError(f"learning_rate={text!r}: after {name!r} come {_asked(RATES[name])}") from None


def _asked(kind: Any) -> str:
    """The numbers of a rate in words: those that may be left out in brackets."""
    if "then" in kind._fields:
        return "the number of steps and a schedule, such as 'warm-up 100 cosine 0.1 1000'"
    return "the numbers " + " ".join(
        f"[{name}={kind._field_defaults[name]:g}]" if name in kind._field_defaults else name for name in kind._fields
    )


def check_rate(rate: Rate) -> None:
    """Refuse numbers that are out of range, and a ramp before what is no schedule."""
    ranges = getattr(rate, "ranges", {})
    for name, number in zip(rate._fields, rate, strict=True):
        if name == "then":
            check_rate(number)
            if not is_schedule(number) or isinstance(number, WarmUp):
                kind = name_of(number)
                raise OptionError(f"learning_rate: 'warm-up' goes before a schedule, and {kind!r} finds its own rates")
            continue
        low, high = ranges.get(name, (0.0, math.inf))
        if not math.isfinite(number) or (name == "rate" and number <= 0):
            raise OptionError(f"learning_rate: {name}={number:g} must be a positive finite number")
        if not low <= number < high:
            expected = "strictly between 0 and 1" if (low, high) == (1e-300, 1.0) else f"from {low:g} to below {high:g}"
            expected = f"at least {low:g}" if high == math.inf else expected
            raise OptionError(f"learning_rate: {name}={number:g}; expected {expected}")


def name_of(rate: Rate) -> str:
    """The word for a rate."""
    return next(name for name, kind in RATES.items() if type(rate) is kind)


def is_schedule(rate: Rate) -> bool:
    """Whether a rate depends on the number of the step alone."""
    return {*inspect.signature(rate.formula).parameters} <= {"q", "t"} and not hasattr(rate, "ceiling")


def with_rate(rate: Rate, number: float) -> Rate:
    """The same with another first rate.

    >>> with_rate(read_rate("warm-up 10 0.5"), 0.1)
    WarmUp(steps=10.0, then=Constant(rate=0.1))
    """
    return rate._replace(then=with_rate(rate.then, number)) if hasattr(rate, "then") else rate._replace(rate=number)


def first_rate(rate: Rate) -> float:
    """The number that :func:`with_rate` replaces."""
    return first_rate(rate.then) if hasattr(rate, "then") else rate.rate
