"""The straight-line code of a formula: what Python and NumPy run, and the loop over rows that Numba compiles.

Each common subexpression has one name.  One text is read twice, with ``math`` on Python numbers and with NumPy on
columns of data (and at points where ``math`` would raise); the loop over rows is made of the same lines.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from descender.costs.grammar import Reading
from descender.costs.parts import ELEMENTARY, Expr, as_number, is_negative
from descender.errors import FormulaError

CODE = {
    **{name: f"math.{name}({{0}})" for name in (*ELEMENTARY, "log1p", "expm1")},
    "atan2": "math.atan2({0}, {1})",
    "abs": "abs({0})",
    "sign": "({0} > 0.0) * 1.0 - ({0} < 0.0) * 1.0",
    "step": "({0} > 0.0) * 1.0",
    "relu": "max({0}, 0.0)",
    "max": "max({0}, {1})",
    "min": "min({0}, {1})",
    "cbrt": "math.copysign(math.pow(abs({0}), 1.0 / 3.0), {0})",
    "sigmoid": "math.exp(min({0}, 0.0)) / (1.0 + math.exp(-abs({0})))",
    "softplus": "max({0}, 0.0) + math.log1p(math.exp(-abs({0})))",
    "logcosh": "abs({0}) + math.log1p(0.5 * math.expm1(-2.0 * abs({0})))",
}


class Program(NamedTuple):
    """Straight-line code: what stands before, inside and after a loop over rows, the totals, and the results."""

    before: list[str]
    inside: list[str]
    after: list[str]
    totals: dict[str, str]
    results: list[str]
    floats: Callable[..., Sequence[float]]
    arrays: Callable[..., Sequence[float]]


def write_program(outputs: Sequence[Expr], reading: Reading) -> Program:
    """The code of the outputs, and its two Python readings."""
    writer = Writer(reading)
    results = [writer.operand(output) for output in outputs]
    totals = [f"{name} = total({inner})" for name, inner in writer.totals.items()]
    names = [f"v{k}" for k in range(len(reading.variables))]
    given = [f"c{k}" for k in range(len(reading.columns))] + [f"k{k}" for k in range(len(reading.constants))]
    lines = [f"({', '.join(names)},) = w"] + ([f"({', '.join(given)},) = data"] if given else [])
    lines += [*writer.lines[0], *writer.lines[1], *totals, *writer.lines[2], f"return [{', '.join(results)}]"]
    code = compile("def evaluate(w, data, n):\n    " + "\n    ".join(lines), "<formula>", "exec")
    floats: dict[str, Any] = {"math": math}
    arrays: dict[str, Any] = {"math": numpy_as_math("math.erf" in "".join(lines))}
    arrays |= {"abs": np.abs, "min": np.minimum, "max": np.maximum, "total": np.add.reduce}
    exec(code, floats)
    exec(code, arrays)
    return Program(*writer.lines, writer.totals, results, floats["evaluate"], arrays["evaluate"])


def kernel_source(program: Program, reading: Reading) -> str:
    """The loop over rows, in the part of Python that Numba compiles."""
    lines = [f"v{k} = w[{k}]" for k in range(len(reading.variables))]
    lines += [f"k{k} = data[{len(reading.columns) + k}]" for k in range(len(reading.constants))]
    columns = [f"c{k} = data[{k}][i]" for k in range(len(reading.columns))]
    if reading.columns:
        lines.append("n = float(len(rows))")
    lines += program.before
    if program.totals:
        lines += [f"{name} = 0.0" for name in program.totals]
        body = [*columns, *program.inside, *(f"{name} += {inner}" for name, inner in program.totals.items())]
        lines += ["for i in rows:", *("    " + line for line in body)]
    lines += [*program.after, f"gradient = np.empty({len(reading.variables)})"]
    value, *gradient = program.results
    lines += [f"gradient[{k}] = {name}" for k, name in enumerate(gradient)]
    return "def evaluate(w, data, rows):\n    " + "\n    ".join([*lines, f"return {value}, gradient"]) + "\n"


class Writer:
    """Names every subexpression once, in an order that depends on the expression only."""

    def __init__(self, reading: Reading) -> None:
        import sympy as sp

        self.parts = reading.parts
        self.lines: tuple[list[str], list[str], list[str]] = ([], [], [])
        self.totals: dict[str, str] = {}
        self.names: dict[Expr, str] = {self.parts.rows: "n"}
        self.levels: dict[str, int] = {}  # 0 before the loop over rows, 1 inside it, 2 after it
        self.depths: dict[str, int] = {}  # how many operations stand, one after the other, before a name is known
        for letter, names in zip("vck", (reading.variables, reading.columns, reading.constants), strict=True):
            for k, name in enumerate(names):
                self.names[sp.Symbol(name, real=True)] = f"{letter}{k}"
                self.levels[f"{letter}{k}"] = int(letter == "c")

    def operand(self, expr: Expr) -> str:
        """The name or literal of an expression, after the lines that compute it."""
        if expr not in self.names:
            part = self.parts.get(expr)
            if not expr.free_symbols:
                return _literal(expr)
            if part is None:
                self.names[expr] = self.assign(*self.operation(expr))
            elif part.kind == "group":
                self.names[expr] = self.operand(part.inner)
            else:
                self.names[expr] = self.total(part.kind, self.operand(part.inner))
        return self.names[expr]

    def assign(self, text: str, operands: Iterable[str]) -> str:
        """Name the text, on the level of its operands."""
        level = max((self.levels.get(name, 0) for name in operands), default=0)
        name = f"t{len(self.levels)}"
        self.levels[name] = level
        self.depths[name] = 1 + max((self.depths.get(name, 0) for name in operands), default=0)
        self.lines[level].append(f"{name} = {text}")
        return name

    def known_first(self, operand: str) -> tuple[int, int]:
        """A key that sorts what is known first to the front, so that a chain of operations waits for one of them."""
        return self.levels.get(operand, 0), self.depths.get(operand, 0)

    def total(self, kind: str, inner: str) -> str:
        """The mean or sum over rows of a name."""
        name = f"s{len(self.totals)}"
        self.totals[name] = inner
        self.levels[name] = 2
        return self.assign(f"{name} / n", [name]) if kind == "mean" else name

    def operation(self, expr: Expr) -> tuple[str, list[str]]:
        """One operation on operands."""
        if expr.is_Add:
            return self.addition(expr)
        if expr.is_Mul:
            return self.product(expr.args)
        if expr.is_Pow:
            return self.power(expr.base, expr.exp)
        template = CODE.get(type(expr).__name__)
        if template is None:
            raise FormulaError(f"the formula leads to {expr}, which has no numerical form: write it in other terms")
        operands = [self.operand(argument) for argument in expr.args]
        return template.format(*operands), operands

    def addition(self, expr: Expr) -> tuple[str, list[str]]:
        """A sum, positive terms first."""
        signs = [-1 if is_negative(term) else 1 for term in expr.args]
        terms = [(sign, self.operand(sign * term)) for sign, term in zip(signs, expr.args, strict=True)]
        terms.sort(key=lambda term: (-term[0], self.known_first(term[1])))
        text = "".join((" + " if sign > 0 else " - ") + operand for sign, operand in terms)
        return text[3:] if terms[0][0] > 0 else "-" + text[3:], [operand for _, operand in terms]

    def product(self, factors: Sequence[Expr]) -> tuple[str, list[str]]:
        """A product, over one denominator."""
        import sympy as sp

        above, below, sign = [], [], ""
        for factor in factors:
            if factor.is_Rational:
                sign = "-" if factor < 0 else ""
                above += [_literal(sp.Integer(abs(factor.p)))] if abs(factor.p) != 1 else []
                below += [_literal(sp.Integer(factor.q))] if factor.q != 1 else []
            elif factor.is_Pow and factor.exp.is_Rational and factor.exp < 0:
                below.append(self.operand(1 / factor))
            else:
                above.append(self.operand(factor))
        above.sort(key=self.known_first)
        text = sign + (" * ".join(above) or "1.0")
        text += f" / ({' * '.join(below)})" if len(below) > 1 else f" / {below[0]}" if below else ""
        return text, above + below

    def power(self, base: Expr, exponent: Expr) -> tuple[str, list[str]]:
        """Small whole powers as products, halves as roots; math.pow answers nan for roots of the negative."""
        if exponent.is_Rational and exponent < 0:
            return self.product([base**exponent])
        if exponent in (2, 3):
            name = self.operand(base)
            return " * ".join([name] * int(exponent)), [name]
        if exponent == 4:
            name = self.operand(base**2)
            return f"{name} * {name}", [name]
        name = self.operand(base)
        if 2 * exponent == 1:
            return f"math.sqrt({name})", [name]
        power = self.operand(exponent)
        return f"math.pow({name}, {power})", [name, power]


def numpy_as_math(with_erf: bool) -> SimpleNamespace:
    """NumPy under the names of the module math."""
    other = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2", "pow": "power"}
    other |= {"asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh"}
    wanted = {*ELEMENTARY, *other, "log1p", "expm1", "copysign", "inf"} - {"erf"}
    names = SimpleNamespace(**{name: getattr(np, other.get(name, name)) for name in wanted})
    if with_erf:
        from scipy.special import erf

        names.erf = erf
    return names


def _literal(expr: Expr) -> str:
    """A number as code."""
    value = as_number(expr)
    return "math.inf" if value is None else repr(value).replace("inf", "math.inf")
