"""A typed formula as a cost: exact derivatives, NumPy evaluation, and a kernel for the compiled loops.

The expression becomes straight-line code in which each common subexpression has one name.  That one text is read three
ways: with ``math`` on Python numbers, with NumPy on columns of data (and at points where ``math`` would raise), and by
Numba inside a loop over rows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from numbers import Real
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.costs.cost import Cost, Kernel, Rows, Vector
from descender.costs.grammar import (
    ATOM,
    ELEMENTARY,
    KINKED,
    POWER,
    PRODUCT,
    SUM,
    Expr,
    Reader,
    Reading,
    as_number,
    identifier,
    pretty,
)  # fmt: skip
from descender.errors import DataError, FormulaError, ShapeError

__all__ = ["Formula", "pretty"]

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


class Formula(Cost):
    r"""A cost J(w) typed as a formula of named variables, optionally with columns of data.

    Over the rows i of the columns, ``mean(e)`` is :math:`\frac1n \sum_i e_i` and ``sum(e)`` is :math:`\sum_i e_i`.
    The derivatives are exact: with reductions :math:`M_k` of :math:`e_k`,

    .. math:: \frac{dJ}{dv} = \frac{\partial J}{\partial v}
              + \sum_k \frac{\partial J}{\partial M_k}\, M_k\!\left[\frac{\partial e_k}{\partial v}\right].

    ``log(cosh(u))``, ``log(1 + exp(u))``, ``1/(1 + exp(-u))`` and their kin are evaluated without overflow.  Outside
    the domain of a function the value is nan or infinite, never an exception.

    Parameters
    ----------
    text
        the formula; ``^`` is read as ``**``
    data
        columns by name, each of shape (n_samples,); those that the formula uses must be finite numbers
    constants
        fixed numbers by name; ``pi`` and ``e`` are known unless a name given here shadows them
    variables
        the variables in the order of `w`; by default the remaining names as they appear in the text

    Attributes
    ----------
    text, names, n_samples, smooth
        the formula as typed; its variables; the number of rows (None without data); whether it has no kinks
    splits
        whether rows enter only through means or sums of which the cost is a linear function, so that some rows
        estimate all of it.  Some rows stand for themselves: a mean is over those rows, a sum is the sum over those
        rows only, as the textbook's stochastic step has it.

    Raises
    ------
    FormulaError
        for a text that is no formula, with the place
    DataError, ShapeError
        for a column that is not finite numbers, or of another length

    Examples
    --------
    >>> rosenbrock = Formula("(1-x)**2 + 100*(y-x**2)**2")
    >>> rosenbrock.names, rosenbrock.value([0.0, 1.0])
    (('x', 'y'), 101.0)
    >>> print(pretty(rosenbrock.derivatives["x"]))
    -400 x (y - x^2) - 2 (1 - x)
    >>> line = Formula("mean((y - (m*x + c))**2)", data={"x": [0, 1, 2], "y": [1, 3, 5]})
    >>> line.derivatives["m"]
    'mean(-2*x*(y - (m*x + c)))'
    >>> line.gradient([1.0, 0.0])
    array([-5.33333333, -4.        ])

    """

    def __init__(
        self,
        text: str,
        data: Mapping[str, ArrayLike] | None = None,
        constants: Mapping[str, float] | None = None,
        variables: Sequence[str] | None = None,
    ) -> None:
        if not isinstance(text, str):
            raise FormulaError(f'the formula is {text!r:.80}, expected a text such as "(x - 3)**2"')
        columns = {
            identifier(name): name for name in (data.keys() if data is not None else ()) if isinstance(name, str)
        }
        if isinstance(variables, str):
            variables = variables.replace(",", " ").split()
        _check_names(columns, constants or {}, variables)
        numbers = {identifier(name): _constant(name, value) for name, value in (constants or {}).items()}
        if variables is not None:
            variables = [identifier(name) for name in variables]
        self.text = text
        self._reading = Reader(text, columns, numbers, variables).formula()
        self.names = self._reading.variables
        self._columns = (
            _columns({name: data[columns[name]] for name in self._reading.columns}) if data is not None else ()
        )
        self._numbers = tuple(numbers[name] for name in self._reading.constants)
        self.n_samples = len(self._columns[0]) if self._columns else None
        self.smooth = not self._reading.functions & KINKED
        try:
            self._gradient = [self._derivative(self._reading.expr, name) for name in self.names]
            self._program = _program([self._reading.expr, *self._gradient], self._reading)
        except RecursionError:
            raise FormulaError("the formula is nested too deeply: split it or simplify it") from None

    def value_and_gradient(self, w: ArrayLike, rows: Rows | None = None) -> tuple[float, Vector]:
        """J(w) and its gradient, shape (n_parameters,); with `rows` the reductions are over those rows only."""
        value, *gradient = self._run(self._program, w, rows)
        return float(value), np.array(gradient)

    def hessian(self, w: ArrayLike) -> NDArray[np.floating]:
        """The exact matrix of second derivatives at w; a kink counts as curvature zero.

        >>> Formula("x**2*y + y**3").hessian([1.0, 2.0])
        array([[ 4.,  2.],
               [ 2., 12.]])
        """
        upper = np.triu_indices(len(self.names))
        matrix = np.empty((len(self.names), len(self.names)))
        matrix[upper] = self._run(self._curvature, w, None)
        matrix.T[upper] = matrix[upper]
        return matrix

    @cached_property
    def derivatives(self) -> dict[str, str]:
        """The partial derivative by each variable, in the language of formulas; :func:`pretty` makes it mathematics.

        >>> Formula("log(cosh(x))").derivatives
        {'x': 'tanh(x)'}
        """
        show = _Show(self._reading, self.n_samples)
        return {name: show.best(slope) for name, slope in zip(self.names, self._gradient, strict=True)}

    @cached_property
    def splits(self) -> bool:
        """Whether the cost is linear in its means and sums over rows."""
        import sympy as sp

        parts, expr = self._reading.parts, self._reading.expr

        def has_data(e: Expr) -> bool:
            return bool(parts.reach(e) & set(self._reading.columns))

        def linear(term: Expr) -> bool:
            inside = [factor for factor in sp.Mul.make_args(term) if has_data(factor)]
            if len(inside) != 1:
                return not inside
            part = parts.get(inside[0])
            return part is not None and (part.kind != "group" or all(linear(t) for t in part.inner.args))

        return self.n_samples is not None and linear(expr)

    def kernel(self) -> Kernel:
        """The value and gradient as a loop over rows, the same for the same formula wherever it is made."""
        return Kernel(_kernel_source(self._program, self._reading), (*self._columns, *self._numbers))

    @cached_property
    def _curvature(self) -> _Program:
        pairs = [(i, j) for i in range(len(self.names)) for j in range(i, len(self.names))]
        outputs = [self._derivative(self._gradient[i], self.names[j]) for i, j in pairs]
        return _program(outputs, self._reading)

    def _derivative(self, expr: Expr, name: str) -> Expr:
        import sympy as sp

        return self._reading.parts.derivative(expr, sp.Symbol(name, real=True))

    def _run(self, program: _Program, w: ArrayLike, rows: Rows | None) -> Sequence[float]:
        w = np.asarray(w, dtype=np.float64)
        if w.shape != (len(self.names),):
            wanted = f"({len(self.names)},) for {', '.join(self.names[:10])}"
            raise ShapeError(f"w has shape {w.shape}, expected {wanted}: one number for each variable")
        if not self._columns:
            try:
                return program.floats(w.tolist(), self._numbers, 0)
            except (ArithmeticError, ValueError):  # math raises outside a domain; NumPy answers nan or inf
                pass
        columns = self._columns if rows is None else tuple(column[rows] for column in self._columns)
        with np.errstate(all="ignore"):
            return program.arrays(list(w), (*columns, *self._numbers), len(columns[0]) if columns else 0)


class _Program(NamedTuple):
    """Straight-line code: what stands before, inside and after a loop over rows, the totals, and the results."""

    before: list[str]
    inside: list[str]
    after: list[str]
    totals: dict[str, str]
    results: list[str]
    floats: Callable[..., Sequence[float]]
    arrays: Callable[..., Sequence[float]]


class _Writer:
    """Names every subexpression once, in an order that depends on the expression only."""

    def __init__(self, reading: Reading) -> None:
        import sympy as sp

        self.parts = reading.parts
        self.lines: tuple[list[str], list[str], list[str]] = ([], [], [])
        self.totals: dict[str, str] = {}
        self.names: dict[Expr, str] = {self.parts.rows: "n"}
        self.levels: dict[str, int] = {}  # 0 before the loop over rows, 1 inside it, 2 after it
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
        self.lines[level].append(f"{name} = {text}")
        return name

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
        signed = [(-1, -term) if _negative(term) else (1, term) for term in expr.args]
        signed.sort(key=lambda pair: -pair[0])  # stable: a positive term first
        operands = [self.operand(term) for _, term in signed]
        text = "".join((" + " if sign > 0 else " - ") + o for (sign, _), o in zip(signed, operands, strict=True))
        return text[3:] if signed[0][0] > 0 else "-" + text[3:], operands

    def product(self, factors: Sequence[Expr]) -> tuple[str, list[str]]:
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


def _program(outputs: Sequence[Expr], reading: Reading) -> _Program:
    """The code of the outputs, and its two Python readings."""
    writer = _Writer(reading)
    results = [writer.operand(output) for output in outputs]
    totals = [f"{name} = total({inner})" for name, inner in writer.totals.items()]
    names = [f"v{k}" for k in range(len(reading.variables))]
    given = [f"c{k}" for k in range(len(reading.columns))] + [f"k{k}" for k in range(len(reading.constants))]
    lines = [f"({', '.join(names)},) = w"] + ([f"({', '.join(given)},) = data"] if given else [])
    lines += [*writer.lines[0], *writer.lines[1], *totals, *writer.lines[2], f"return [{', '.join(results)}]"]
    code = compile("def evaluate(w, data, n):\n    " + "\n    ".join(lines), "<formula>", "exec")
    floats: dict[str, Any] = {"math": math}
    arrays: dict[str, Any] = {"math": _numpy_as_math("math.erf" in "".join(lines))}
    arrays |= {"abs": np.abs, "min": np.minimum, "max": np.maximum, "total": np.add.reduce}
    exec(code, floats)
    exec(code, arrays)
    return _Program(*writer.lines, writer.totals, results, floats["evaluate"], arrays["evaluate"])


def _numpy_as_math(with_erf: bool) -> SimpleNamespace:
    """NumPy under the names of the module math."""
    other = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2", "pow": "power"}
    other |= {"asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh"}
    wanted = {*ELEMENTARY, *other, "log1p", "expm1", "sqrt", "copysign", "inf"} - {"erf"}
    names = SimpleNamespace(**{name: getattr(np, other.get(name, name)) for name in wanted})
    if with_erf:
        from scipy.special import erf

        names.erf = erf
    return names


def _kernel_source(program: _Program, reading: Reading) -> str:
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


class _Show:
    """Writes expressions in the language of formulas, held sums as they were typed."""

    def __init__(self, reading: Reading, n_samples: int | None) -> None:
        self.parts = reading.parts
        self.texts: dict[Expr, str] = {}
        self.order, self.n_samples = reading.order, n_samples

    def best(self, expr: Expr) -> str:
        """The expression as it came out, or factored if that is much shorter."""
        import sympy as sp

        expr = full = expr.subs(self.parts.rows, self.n_samples) if expr.has(self.parts.rows) else expr
        direct = self.text(expr)
        if len(direct) > 200:
            return direct
        if "/" not in direct:
            direct = min(self.text(sp.factor_terms(expr)), direct, key=len)
        while full.count_ops() <= 40 and (held := self.parts.groups(full)):
            full = full.xreplace(held)
        factored = self.text(sp.factor(full)) if _is_small_polynomial(full) else direct
        return factored if len(factored) < 0.75 * len(direct) else direct

    def text(self, expr: Expr) -> str:
        """The expression as text."""
        if expr not in self.texts:
            self.texts[expr] = self.write(expr)
        return self.texts[expr]

    def write(self, expr: Expr) -> str:
        """The text of one operation."""
        if expr == self.parts.rows:
            return str(self.n_samples)
        part = self.parts.get(expr)
        if part:
            return self.sum(part.terms) if part.kind == "group" else f"{part.kind}({self.best(part.inner)})"
        if expr.is_Add:
            return self.sum(_ordered(expr.args, self))
        if expr.is_Mul or _is_reciprocal(expr):
            return self.product(expr)
        if expr.is_Rational:
            over, under = _fraction(expr)
            return "/".join([over, *under])
        if expr.is_Pow and 2 * expr.exp == 1:
            return f"sqrt({self.text(expr.base)})"
        if expr.is_Pow:
            return f"{self.bracketed(expr.base, ATOM)}**{self.bracketed(expr.exp, ATOM)}"
        name = type(expr).__name__
        if expr.is_Function:
            inner = ", ".join(self.text(argument) for argument in expr.args)
            return f"log(cosh({inner}))" if name == "logcosh" else f"{name.lower()}({inner})"
        return "exp(1)" if name == "Exp1" else str(expr)

    def sum(self, terms: Sequence[Expr]) -> str:
        """Terms joined by their signs."""
        text = ""
        for term in terms:
            negative = _negative(term)
            text += (" - " if negative else " + ") + self.bracketed(-term if negative else term, PRODUCT)
        return text[3:] if text.startswith(" + ") else "-" + text[3:]

    def product(self, expr: Expr) -> str:
        """A coefficient, the factors from simple to bracketed, and a denominator."""
        number, rest = expr.as_coeff_Mul()
        factors = list(rest.args) if rest.is_Mul else [rest]
        part = self.parts.get(rest)
        if part and part.kind != "group":
            return f"{part.kind}({self.best(number * part.inner)})"
        above = [f for f in factors if not _is_reciprocal(f)]
        below = [self.bracketed(1 / f, POWER) for f in factors if _is_reciprocal(f)]
        texts = [self.factor(f, above) for f in sorted(above, key=self.rank)]
        over, under = _fraction(abs(number))
        texts = ([over] if over != "1" else []) + [t for t in texts if t != "1"]
        below = under + below
        text = ("-" if number < 0 else "") + ("*".join(texts) or "1")
        return text + (f"/({'*'.join(below)})" if len(below) > 1 else f"/{below[0]}" if below else "")

    def factor(self, factor: Expr, beside: Sequence[Expr]) -> str:
        """A factor; sigmoid(-u) beside sigmoid(u) is shown as 1 - sigmoid(u), as the textbooks have it."""
        if type(factor).__name__ == "sigmoid" and _negative(factor.args[0]):
            mirrored = type(factor)(-factor.args[0])
            if mirrored in beside:
                return f"(1 - {self.text(mirrored)})"
        return self.bracketed(factor, POWER)

    def rank(self, factor: Expr) -> tuple[int, int, str]:
        """Where a factor stands: numbers, names as in the typed text, functions, reductions, brackets."""
        base = factor.base if factor.is_Pow and factor.exp.is_number else factor
        part = self.parts.get(base)
        if part:
            kind = 4 if part.kind == "group" else 3
        elif base.is_number or base.is_Symbol:
            kind = int(base.is_Symbol)
        else:
            kind = 2 if (base.is_Function and not _negative(base.args[0])) or base.is_Pow else 4
        return kind, self.order.get(str(base), 0), self.text(factor)

    def bracketed(self, expr: Expr, place: int) -> str:
        """The text, in brackets where it binds more loosely than its place asks."""
        text = self.text(expr)
        return text if _binding(text) >= place else f"({text})"


def _is_small_polynomial(expr: Expr) -> bool:
    """Whether factoring takes no time: few operations, a low degree, small whole numbers."""
    import sympy as sp

    if expr.count_ops() > 40 or not expr.is_polynomial(*expr.free_symbols):
        return False
    degree = sp.prod(abs(power.exp) for power in expr.atoms(sp.Pow) if power.exp.is_Integer)
    return degree <= 50 and all(max(abs(n.p), n.q) < 10**6 for n in expr.atoms(sp.Rational))


def _binding(text: str) -> int:
    """How tightly a text binds, by the loosest operator outside its brackets."""
    while (bare := re.sub(r"\([^()]*\)", "", text)) != text:
        text = bare
    if text.startswith("-") or " " in text:
        return SUM
    powers = text.replace("**", "^")
    return PRODUCT if re.search(r"[*/]", powers) else POWER if "^" in powers else ATOM


def _is_reciprocal(expr: Expr) -> bool:
    return bool(expr.is_Pow and expr.exp.is_Rational and expr.exp < 0)


def _negative(expr: Expr) -> bool:
    """Whether a term is shown with a minus sign."""
    return bool(expr.as_coeff_Mul()[0] < 0)


def _ordered(terms: Iterable[Expr], show: _Show) -> list[Expr]:
    """Terms by falling degree, a positive one first."""

    def degree(term: Expr) -> Expr:
        factors = term.as_coeff_Mul()[1].as_powers_dict()
        return sum(e if e.is_Rational else 1 for b, e in factors.items() if not b.is_number)

    found = sorted(terms, key=lambda term: (-degree(term), show.text(term)))
    first = next((k for k, term in enumerate(found) if not _negative(term)), 0)
    return [found[first], *found[:first], *found[first + 1 :]]


def _fraction(number: Expr) -> tuple[str, list[str]]:
    """Numerator and denominator as they are shown: 1/10 as 0.1, but a half and a third as fractions."""
    p, q = int(number.p), int(number.q)
    try:
        decimal = repr(p / q)
    except OverflowError:
        return str(p), [str(q)]
    if (q > 4 or abs(p) > 10**15) and (Fraction(decimal) == Fraction(p, q) or max(abs(p), q) > 10**15):
        return decimal, []
    return str(p), [str(q)] if q > 1 else []


def _literal(expr: Expr) -> str:
    """A number as code."""
    value = as_number(expr)
    return "math.inf" if value is None else repr(value).replace("inf", "math.inf")


def _check_names(columns: Collection[str], constants: Collection[str], variables: Sequence[str] | None) -> None:
    """Each name has one meaning."""
    listed = list(variables or ())
    for name in [*constants, *listed]:
        if not isinstance(name, str) or not identifier(name).isidentifier():
            raise FormulaError(f"{name!r} cannot be a name in a formula: use letters, digits and _")
    for kind, names in (("a column of data", columns), ("a constant", constants)):
        for name in listed:
            if name in names:
                raise FormulaError(f"{name} is given as a variable and as {kind}: give it one meaning")
    for name in constants:
        if name in columns:
            raise FormulaError(f"{name} is given as a constant and as a column of data: give it one meaning")
    for k, name in enumerate(listed):
        if name in listed[:k]:
            raise FormulaError(f"variables names {name} twice: name each variable once")


def _constant(name: str, value: float) -> float:
    """A constant as a finite float."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise FormulaError(f"the constant {name} is {value!r}, expected a finite number")
    return number


def _columns(given: Mapping[str, ArrayLike]) -> tuple[NDArray[np.float64], ...]:
    """The columns as finite float64 vectors of one length."""
    columns: dict[str, NDArray[np.float64]] = {}
    for name, values in given.items():
        array = np.asarray(values)
        if array.ndim != 1:
            raise ShapeError(f"the column {name} has shape {array.shape}, expected one number for each row")
        wrong = [] if array.dtype.kind in "biuf" else [i for i, v in enumerate(array) if not isinstance(v, Real)]
        if wrong:
            shown = f"{array[wrong[0]]!s:.40} in row {wrong[0]}"
            raise DataError(f"the column {name} has {shown} (rows count from 0), expected a number")
        array = np.ascontiguousarray(array, dtype=np.float64)
        if not np.isfinite(array).all():
            row = int(np.flatnonzero(~np.isfinite(array))[0])
            advice = "leave such rows out or fill them in"
            raise DataError(f"the column {name} has {array[row]} in row {row} (rows count from 0): {advice}")
        columns[name] = array
    for name, array in columns.items():
        first = next(iter(columns))
        if len(array) != len(columns[first]):
            raise ShapeError(f"the column {name} has {len(array)} rows, but {first} has {len(columns[first])}")
        if not len(array):
            raise DataError(f"the column {name} has no rows: a mean or sum needs at least one")
    return tuple(columns.values())
