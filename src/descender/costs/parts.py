"""What a formula is made of: its functions, its exact numbers, and the symbols that stand for held parts.

Every sum inside a formula is *held*: one symbol stands for it, so that ``(x + 1)**1000`` is never multiplied out and a
derivative shows the sums as they were typed.  A mean or a sum over rows is held in the same way (:class:`Parts`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import numpy as np

Expr = Any  # a SymPy expression; SymPy is imported when the first formula is made

ELEMENTARY = (
    "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "exp", "log", "erf",
    "sqrt",
)  # fmt: skip
FUNCTIONS = (
    *ELEMENTARY, "log2", "log10", "log1p", "expm1", "cbrt", "atan2", "abs", "sign", "step", "max", "min", "pow",
    "sigmoid", "relu", "softplus", "mean", "sum",
)  # fmt: skip
KINKED = frozenset({"abs", "sign", "step", "relu", "max", "min", "cbrt"})


@cache
def vocabulary() -> dict[str, Any]:
    """The functions of a formula as SymPy functions.

    Those that SymPy lacks, or whose automatic simplification assumes complex numbers, are made here of their
    partial derivatives and their exact value for numbers.
    """
    import sympy as sp

    words: dict[str, Any] = {name: getattr(sp, name) for name in ELEMENTARY}

    def define(name: str, slopes: Callable[..., list[Expr]], number: Callable[..., Expr], arguments: int = 1) -> None:
        def fdiff(self: Expr, argindex: int = 1) -> Expr:
            return sp.sympify(slopes(*self.args)[argindex - 1])

        def evaluate(cls: type, *args: Expr) -> Expr | None:
            return number(*args) if all(a.is_number for a in args) else None

        members = {"nargs": arguments, "fdiff": fdiff, "eval": classmethod(evaluate)}
        words[name] = type(name, (sp.Function,), members)

    def share(sign: int) -> Callable[[Expr, Expr], list[Expr]]:  # a tie shares the slope of max or min equally
        return lambda a, b: [(1 + sign * words["sign"](a - b)) / 2, (1 - sign * words["sign"](a - b)) / 2]

    def decimal(function: Callable[[float], float], u: Expr) -> Expr:
        return rational(float(function(as_number(u) or 0.0)))

    third = sp.Rational(1, 3)

    def sigmoid(u: Expr) -> Expr:
        return words["sigmoid"](u)

    def positive(u: Expr) -> bool:  # by its value, as SymPy may not know
        return (as_number(u) or 0.0) > 0

    define("sign", lambda u: [0], lambda u: sp.Integer(positive(u) - positive(-u)))
    define("step", lambda u: [0], lambda u: sp.Integer(positive(u)))
    define("abs", lambda u: [words["sign"](u)], lambda u: u if positive(u) else -u)
    define("relu", lambda u: [words["step"](u)], lambda u: u if positive(u) else sp.S.Zero)
    define("max", share(1), lambda a, b: a if positive(a - b) else b, 2)
    define("min", share(-1), lambda a, b: b if positive(a - b) else a, 2)
    define(
        "sigmoid", lambda u: [sigmoid(u) * sigmoid(-u)], lambda u: decimal(lambda v: math.exp(-np.logaddexp(0, -v)), u)
    )
    define("softplus", lambda u: [sigmoid(u)], lambda u: decimal(lambda v: np.logaddexp(0, v), u))
    define("logcosh", lambda u: [sp.tanh(u)], lambda u: decimal(lambda v: np.logaddexp(v, -v) - math.log(2), u))
    define("cbrt", lambda u: [1 / (3 * words["cbrt"](u) ** 2)], lambda u: words["sign"](u) * words["abs"](u) ** third)
    define("log1p", lambda u: [1 / (1 + u)], lambda u: sp.log(1 + u))
    define("expm1", lambda u: [sp.exp(u)], lambda u: sp.exp(u) - 1)
    define("atan2", lambda y, x: [x / (x**2 + y**2), -y / (x**2 + y**2)], sp.atan2, 2)
    return words


def rational(number: float) -> Expr:
    """The decimal digits of a number as a fraction."""
    import sympy as sp

    fraction = Fraction(repr(number))
    return sp.Rational(fraction.numerator, fraction.denominator)


def as_number(expr: Expr) -> float | None:
    """The real value of an expression without names (inf where it is too large or not finite), else None."""
    if not expr.is_number:
        return None
    try:
        value = complex(expr if expr.is_Rational else expr.evalf(20))
    except (TypeError, ArithmeticError, ValueError):
        return math.inf
    return value.real if value.imag == 0 else math.inf


def is_negative(expr: Expr) -> bool:
    """Whether a term is shown with a minus sign."""
    return bool(expr.as_coeff_Mul()[0] < 0)


class Part(NamedTuple):
    """What a symbol stands for: a held sum (``"group"``), or the ``"mean"`` or ``"sum"`` over rows of `inner`."""

    kind: str
    inner: Expr
    terms: tuple[Expr, ...]


class Parts:
    """The symbols that stand for held sums and for reductions over rows."""

    def __init__(self, columns: Collection[str] = ()) -> None:
        import sympy as sp

        self.rows = sp.Symbol("#n", real=True)  # how many there are
        self._columns = frozenset(columns)
        self._parts: dict[Expr, Part] = {}
        self._symbols: dict[tuple[str, Expr], Expr] = {}
        self._reach: dict[Expr, frozenset[str]] = {}
        self._slopes: dict[tuple[Expr, Expr], Expr] = {}

    def get(self, symbol: Expr) -> Part | None:
        """The part that a symbol stands for, or None."""
        return self._parts.get(symbol)

    def groups(self, expr: Expr) -> dict[Expr, Expr]:
        """The held sums that stand in an expression, to put back in."""
        return {s: part.inner for s in expr.free_symbols if (part := self.get(s)) and part.kind == "group"}

    def group(self, *terms: Expr) -> Expr:
        """The sum of the terms, held as one symbol, to be shown in this order."""
        import sympy as sp

        total = sp.Add(*terms)
        if not total.is_Add or not total.free_symbols:
            return total
        return self._symbol("group", total, terms if len(terms) == len(total.args) else total.args)

    def hold(self, expr: Expr) -> Expr:
        """Any expression held as one symbol."""
        return expr if expr.is_Symbol or expr.is_number else self._symbol("group", expr, (expr,))

    def reduction(self, kind: str, inner: Expr) -> Expr:
        """The mean or sum over rows; numbers are taken out of it, and so is what has no column."""
        if not self.reach(inner) & self._columns:
            return inner if kind == "mean" else self.rows * inner
        number, rest = inner.as_coeff_Mul()
        return number * self._symbol(kind, rest, ())

    def reach(self, expr: Expr) -> frozenset[str]:
        """The names (variables, columns, constants) that an expression depends on."""
        if expr not in self._reach:
            found = (self.reach(p.inner) if (p := self.get(s)) else {s.name} for s in expr.free_symbols)
            self._reach[expr] = frozenset().union(*found)
        return self._reach[expr]

    def derivative(self, expr: Expr, variable: Expr) -> Expr:
        """The derivative by a variable, through the held parts; a mean or sum over rows is linear."""
        import sympy as sp

        if variable.name not in self.reach(expr):
            return sp.S.Zero
        if (expr, variable) not in self._slopes:
            self._slopes[expr, variable] = self._derivative(expr, variable)
        return self._slopes[expr, variable]

    def _derivative(self, expr: Expr, variable: Expr) -> Expr:
        import sympy as sp

        if expr.is_Symbol:
            part = self.get(expr)
            slope = self.derivative(part.inner, variable) if part else sp.S.One
            return self.reduction(part.kind, slope) if part and part.kind != "group" and slope != 0 else slope
        slopes = [self.derivative(argument, variable) for argument in expr.args]
        if expr.is_Add:
            return sp.Add(*slopes)
        if expr.is_Mul:
            others = ((slope, expr.args[:k] + expr.args[k + 1 :]) for k, slope in enumerate(slopes) if slope != 0)
            return sp.Add(*(sp.Mul(slope, *rest) for slope, rest in others))
        if expr.is_Pow:
            base, exponent = expr.args
            by_exponent = expr * sp.log(base) * slopes[1] if slopes[1] != 0 else 0
            return exponent * base ** (exponent - 1) * slopes[0] + by_exponent
        return sp.Add(*(expr.fdiff(k) * slope for k, slope in enumerate(slopes, 1) if slope != 0))

    def _symbol(self, kind: str, inner: Expr, terms: Sequence[Expr]) -> Expr:
        import sympy as sp

        if (kind, inner) not in self._symbols:
            symbol = sp.Symbol(f"#{len(self._parts)}", real=True)
            self._symbols[kind, inner] = symbol
            self._parts[symbol] = Part(kind, inner, tuple(terms))
        return self._symbols[kind, inner]
