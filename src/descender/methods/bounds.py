"""A box: the least and the largest value that each parameter may take."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.costs.cost import Vector
from descender.errors import OptionError, suggest

NUMBER = r"[-+]?(?:(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?|inf)"
"""A number that does not end in a point, so that ``0...5`` is from 0 to 0.5."""
INTERVAL = re.compile(rf"(?P<name>[^=]+)=(?P<low>{NUMBER})?\.\.(?P<high>{NUMBER})?")
EXAMPLE = "such as {first}=0..1, {first}=0.. or {first}=..1"
NAMED = 6
"""So many bounds are named in a text."""


class Bounds(NamedTuple):
    r"""The box :math:`l_j \le w_j \le u_j`: float64 arrays of shape (d,), infinite where a parameter is free."""

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]

    def project(self, w: Vector) -> Vector:
        """The nearest point of the box.

        >>> read_bounds([(0, 1), (None, 5)], ("x", "y")).project(np.array([-3.0, 4.0]))
        array([0., 4.])
        """
        return np.minimum(np.maximum(w, self.lower), self.upper)

    def contains(self, w: Vector) -> bool:
        """Whether w is in the box."""
        return bool(np.all(w >= self.lower) and np.all(w <= self.upper))

    def projected(self, w: Vector, gradient: Vector) -> Vector:
        r"""The projected gradient :math:`w - P(w - g)`, with g where no bound is within reach of it.

        It is the gradient without the parts that point out of the box, and zero just where w is stationary.
        J. Nocedal and S. Wright, *Numerical Optimization*, 2006, section 16.7.

        >>> read_bounds([(0, 1)], ("x",)).projected(np.array([0.0]), np.array([2.0]))
        array([0.])
        """
        return np.minimum(np.maximum(gradient, w - self.upper), w - self.lower)

    def room(self, w: Vector, direction: Vector) -> float:
        r"""The largest step a for which :math:`w + a p` is in the box; infinite where no bound is in the way.

        >>> read_bounds([(0, 1), (None, 5)], ("x", "y")).room(np.array([0.5, 4.0]), np.array([-0.1, 1.0]))
        1.0
        """
        with np.errstate(all="ignore"):
            steps = np.where(direction > 0, (self.upper - w) / direction, (self.lower - w) / direction)
        return float(np.min(steps[direction != 0], initial=np.inf))

    def held(self, w: Vector, gradient: Vector) -> NDArray[np.bool_]:
        """Which parameters stand at a bound against which the descent presses, or have no room at all."""
        last_digits = 4.0 * np.finfo(np.float64).eps * np.abs(w)
        below = (w - self.lower <= last_digits) & (gradient > 0)
        above = (self.upper - w <= last_digits) & (gradient < 0)
        return below | above | (self.lower == self.upper)

    def text(self, names: Iterable[str]) -> str:
        """In the words of the command line, free parameters left out, and all but the first six counted.

        >>> Bounds(np.array([0.0, -np.inf]), np.array([1.0, 5.0])).text(("x", "y"))
        'x=0..1, y=..5'
        """
        ends = zip(names, self.lower, self.upper, strict=True)
        words = [
            f"{name}={low:g}..{high:g}".replace("-inf", "").replace("inf", "")
            for name, low, high in ends
            if np.isfinite(low) or np.isfinite(high)
        ]
        return ", ".join(words[:NAMED]) + (f" and {len(words) - NAMED} more" if len(words) > NAMED else "")


def read_bounds(given: Any, names: Sequence[str]) -> Bounds | None:
    """The bounds of the parameters `names`, whatever form they were given in; None where no parameter has any.

    The forms: None; text such as ``"x=0..1, y=..5"``; a mapping from a name to (low, high); a sequence of (low, high),
    one for each parameter, or an array of shape (d, 2); SciPy's ``Bounds``; ours.  None or an infinite number is no
    bound; low = high holds a parameter fast.  Raises :class:`~descender.errors.OptionError` where an end is no number,
    the ends are reversed, the count is wrong or a name is unknown.

    >>> read_bounds("x=0..1, y=..5", ("x", "y", "z"))
    Bounds(lower=array([  0., -inf, -inf]), upper=array([ 1.,  5., inf]))
    >>> read_bounds([(1, 0)], ("x",))
    Traceback (most recent call last):
    descender.errors.OptionError: bounds of x: from 1 to 0 is no interval; the lower bound comes first
    """
    if given is None:
        return None
    count = len(names)
    if hasattr(given, "lb") and hasattr(given, "ub"):
        pairs = [*zip(_broadcast(given.lb, names), _broadcast(given.ub, names), strict=True)]
    elif isinstance(given, Bounds):
        pairs = [*zip(_broadcast(given.lower, names), _broadcast(given.upper, names), strict=True)]
    elif isinstance(given, str | Mapping):
        named = _read_text(given) if isinstance(given, str) else given
        unknown = [name for name in named if name not in names]
        if unknown:
            raise OptionError(
                f"bounds name {unknown[0]!r}, which is no parameter here; {suggest(str(unknown[0]), names)}"
            )
        pairs = [named.get(name, (None, None)) for name in names]
    else:
        try:
            pairs = list(given)
        except TypeError:
            raise OptionError(f"bounds={given!r}: expected (low, high) for each of {count} parameters") from None
        if len(pairs) != count:
            raise OptionError(f"bounds for {len(pairs)} parameters were given; expected {count}, one (low, high) each")
    ends = [_interval(name, pair) for name, pair in zip(names, pairs, strict=True)]
    lower, upper = (np.array([end[side] for end in ends], dtype=np.float64) for side in (0, 1))
    free = np.isneginf(lower).all() and np.isposinf(upper).all()
    return None if free else Bounds(lower, upper)


def _interval(name: str, pair: Any) -> tuple[float, float]:
    """One parameter's ends as numbers, the lower first."""
    pair = (None, None) if pair is None else pair
    try:
        low, high = pair
        low = -np.inf if low is None else float(low)
        high = np.inf if high is None else float(high)
    except (TypeError, ValueError):
        raise OptionError(f"bounds of {name}: {pair!r} is not (low, high), two numbers or None for no bound") from None
    if np.isnan(low) or np.isnan(high):
        raise OptionError(f"bounds of {name}: NaN is no bound; give None where there is none")
    if low > high:
        raise OptionError(f"bounds of {name}: from {low:g} to {high:g} is no interval; the lower bound comes first")
    if low == np.inf or high == -np.inf:
        raise OptionError(f"bounds of {name}: no finite number is between {low:g} and {high:g}")
    return low, high


def _broadcast(ends: ArrayLike, names: Sequence[str]) -> NDArray[np.float64]:
    """One number for each parameter, from as many or from one for all."""
    try:
        array = np.asarray(ends, dtype=np.float64)
        return np.broadcast_to(array, (len(names),))
    except (TypeError, ValueError):
        raise OptionError(
            f"bounds of {np.size(ends)} numbers were given; expected {len(names)}, one a parameter"
        ) from None


def _read_text(text: str) -> dict[str, tuple[float, float]]:
    """NAME=LOW..HIGH words, separated by blanks or commas."""
    named: dict[str, tuple[float, float]] = {}
    for word in text.replace(",", " ").split():
        match = INTERVAL.fullmatch(word)
        if match is None:
            name = word.partition("=")[0] or "x"
            raise OptionError(f"bounds: {word!r} is not NAME=LOW..HIGH, {EXAMPLE.format(first=name)}")
        if match["name"] in named:
            raise OptionError(f"bounds: {match['name']} is given twice")
        named[match["name"]] = (float(match["low"] or "-inf"), float(match["high"] or "inf"))
    return named
