"""What may be typed as a formula, and how it is read: text to SymPy, never executing the text.

Python's own parser makes the tree, a short list of its nodes is accepted, and everything else is a
:class:`~descender.errors.FormulaError` that points at the place.  SymPy's ``sympify`` and ``parse_expr`` run what
they are given, so they are not used.

Every sum inside a formula is *held*: one symbol stands for it, so that ``(x + 1)**1000`` is never multiplied out and a
derivative shows the sums as they were typed.  A mean or a sum over rows is held in the same way (:class:`Parts`).
"""

from __future__ import annotations

import ast
import keyword
import math
import re
import unicodedata
import warnings
from collections.abc import Callable, Collection, Sequence
from fractions import Fraction
from functools import cache, reduce
from typing import Any, NamedTuple

import numpy as np

from descender.errors import FormulaError, suggest

Expr = Any  # a SymPy expression; SymPy is imported when the first formula is made

LONGEST_TEXT, MOST_NODES, DEEPEST, LARGEST, HIGHEST_POWER = 10_000, 2_000, 50, 1e300, 1000

ELEMENTARY = (
    "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "exp", "log", "erf",
    "sqrt",
)  # fmt: skip
ALIASES = {
    "ln": "log", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2", "power": "pow",
    "absolute": "abs", "fabs": "abs", "maximum": "max", "minimum": "min", "expit": "sigmoid", "average": "mean",
    "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh",
}  # fmt: skip
KINKED = frozenset({"abs", "sign", "step", "relu", "max", "min", "cbrt"})
REDUCTIONS = ("mean", "sum")
FLAT = ("floor", "ceil", "round", "int", "trunc")
LOGARITHMS = {"log2": 2, "log10": 10}
TWO = {"max", "min", "atan2", "pow"}
WRITING = "write products with * (2*x, not 2x or 2 x), powers with ** or ^, and functions with brackets, as in sin(x)"


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
        return _rational(float(function(as_number(u) or 0.0)))

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


FUNCTIONS = (
    *ELEMENTARY, "log2", "log10", "log1p", "expm1", "cbrt", "atan2", "abs", "sign", "step", "max", "min", "pow",
    "sigmoid", "relu", "softplus", "mean", "sum",
)  # fmt: skip


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


class Reading(NamedTuple):
    """A formula that was read: the cost, its held parts, and the names it uses in the order of their appearance."""

    expr: Expr
    parts: Parts
    variables: tuple[str, ...]
    columns: tuple[str, ...]
    constants: tuple[str, ...]
    functions: frozenset[str]
    order: dict[str, int]  # where each name stands first


def identifier(name: str) -> str:
    """The name as Python's parser would give it (NFKC)."""
    return unicodedata.normalize("NFKC", name)


def flat(text: str) -> str:
    """The text on one line, with the mathematicians' signs as Python has them; no character moves."""
    return re.sub(r"\s", " ", text).translate(str.maketrans("\u2212\u00d7\u00b7\u22c5\u00f7", "-***/"))


def complaint(text: str, start: int, end: int, problem: str, advice: str) -> FormulaError:
    """The error whose message shows the formula with carets under the place."""
    text = re.sub("[\0-\x1f\ud800-\udfff]", "?", text)
    end = max(end, start + 1)
    first = max(0, start - 60)
    window = text[first : max(first + 100, start + 20)]
    carets = " " * (start - first) + "^" * max(1, min(end - first, len(window) + 1) - (start - first))
    lead, tail = "..." if first else "", "..." if first + len(window) < len(text) else ""
    return FormulaError(f"{problem}\n    {lead}{window}{tail}\n    {' ' * len(lead)}{carets}\n{advice}")


def syntax_tree(text: str) -> tuple[ast.expr, Callable[[int], int]]:
    """The parsed text, ``^`` read as ``**``, and the map from the parser's columns to positions in the text."""
    if len(text) > LONGEST_TEXT:
        raise FormulaError(f"the formula has {len(text):,} characters, at most {LONGEST_TEXT:,} are read: shorten it")
    shown = flat(text)
    if not shown.strip():
        raise FormulaError('the formula is empty: type a cost, such as "(x - 3)**2"')
    _screen(shown)
    lead = len(shown) - len(shown.lstrip())
    pieces = ["**" if c == "^" else c for c in shown[lead:]]
    source = "".join(pieces)
    origin = [lead + i for i, piece in enumerate(pieces) for _ in piece] + [len(shown)]
    encoded = source.encode(errors="replace")

    def position(column: int) -> int:
        return origin[min(len(encoded[:column].decode(errors="replace")), len(source))]

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _syntax_complaint(error, shown, origin) from None
    return tree, position


def _syntax_complaint(error: BaseException, text: str, origin: list[int]) -> FormulaError:
    """Say in the words of formulas what Python's parser found."""
    message, offset = str(error), getattr(error, "offset", 1)
    at = origin[min(offset - 1, len(origin) - 1)] if offset else len(text)
    if not isinstance(error, SyntaxError) or "too many nested" in message:
        return complaint(text, at, at + 1, "the formula is too long or nested too deeply", "split it or simplify it")
    if "digits" in message:
        return complaint(text, at, at + 1, "this number has too many digits", f"numbers up to {LARGEST:g} are read")
    if "never closed" in message:
        problem = "this bracket is never closed"
    elif "unmatched" in message or "does not match" in message:
        problem = "this bracket closes nothing"
    else:
        problem = "the formula cannot be read from here" if text[at:].strip() else "the formula ends too early"
    return complaint(text, at, at + 1, problem, WRITING)


def _screen(text: str) -> None:
    """Refuse what the parser would accept or misplace: other statements, reserved words, comments."""
    if match := re.match(r"\s*[^\W\d]\w*\s*=(?!=)", text):
        advice = f"type only the right-hand side: {text[match.end() :].strip()}"
        raise complaint(text, match.end() - 1, match.end(), "a formula has no =", advice)
    if match := re.search(r"[#\\\"'`\0\ud800-\udfff]", text):
        advice = "a formula is numbers, names, + - * / ** and functions"
        raise complaint(text, match.start(), match.end(), f"unexpected character {match.group()!r}", advice)
    for match in re.finditer(r"[^\W\d]\w*", text):
        if keyword.iskeyword(word := match.group()):
            advice = f"a variable needs another name, such as {word}_; conditions are written with max, min or abs"
            raise complaint(text, match.start(), match.end(), f"{word} is a reserved word of Python", advice)


class Reader:
    """Reads one formula; :meth:`formula` gives the result.

    >>> reading = Reader("(1-x)^2 + 100*(y-x^2)^2").formula()
    >>> reading.variables
    ('x', 'y')
    """

    def __init__(
        self,
        text: str,
        columns: Collection[str] = (),
        constants: Collection[str] = (),
        variables: Sequence[str] | None = None,
    ) -> None:
        self.text = flat(text)
        self.columns = {identifier(c): c for c in columns if identifier(c).isidentifier()}
        self.unusable = [c for c in columns if not identifier(c).isidentifier() and re.search(r"\w", c)]
        self.constants, self.variables = constants, variables
        self.parts = Parts(self.columns)
        self.seen: dict[str, int] = {}  # name: where it stands first
        self.functions: set[str] = set()
        self.reducing: str | None = None
        try:
            self.tree, self.position = syntax_tree(text)
        except FormulaError as error:
            raise FormulaError(f"{error}{self._column_hint(text)}") from None

    def formula(self) -> Reading:
        """The whole text."""
        if sum(isinstance(node, ast.expr) for node in ast.walk(self.tree)) > MOST_NODES:
            raise FormulaError(
                f"the formula has more than {MOST_NODES:,} numbers, names and operations: put repeated terms into data "
                "columns and use sum(...), or write the cost as a Python function"
            )
        try:
            expr = self.read(self.tree)
        except RecursionError:
            raise FormulaError("the formula is nested too deeply: split it or simplify it") from None
        names = sorted(self.seen, key=self.seen.__getitem__)
        known = set(self.columns) | set(self.constants)
        variables = tuple(self.variables) if self.variables is not None else tuple(n for n in names if n not in known)
        if not variables:
            end = len(self.text)
            raise complaint(self.text, 0, end, "the formula has no variable", "use at least one name, as in (x - 3)**2")
        columns = tuple(n for n in names if n in self.columns)
        constants = tuple(n for n in names if n in self.constants)
        return Reading(expr, self.parts, variables, columns, constants, frozenset(self.functions), self.seen)

    def fail(self, node: ast.AST, problem: str, advice: str) -> FormulaError:
        """The error that points at a node."""
        start, end = (self.position(getattr(node, name, 0)) for name in ("col_offset", "end_col_offset"))
        return complaint(self.text, start, end, problem, advice)

    def read(self, node: ast.AST, depth: int = 0) -> Expr:
        """The expression under a node."""
        if depth > DEEPEST:
            raise self.fail(node, f"the formula is nested more than {DEEPEST} deep", "split it or simplify it")
        depth += 1
        match node:
            case ast.Constant():
                return self.number(node)
            case ast.Name() | ast.Attribute():
                return self.name(node)
            case ast.UnaryOp(op=ast.USub()):
                return -self.read(node.operand, depth)
            case ast.UnaryOp(op=ast.UAdd()):
                return self.read(node.operand, depth)
            case ast.BinOp(op=ast.Add() | ast.Sub()):
                first, rest = _chain(node, (ast.Add, ast.Sub))
                signed = ((1 if isinstance(op, ast.Add) else -1) * self.read(n, depth) for op, n in rest)
                return self.settle(self.parts.group(self.read(first, depth), *signed), node)
            case ast.BinOp(op=ast.Mult() | ast.Div()):
                return self.settle(self.product(node, depth), node)
            case ast.BinOp(op=ast.Pow()):
                return self.power(self.read(node.left, depth), self.read(node.right, depth), node)
            case ast.Call():
                return self.settle(self.call(node, depth), node)
        raise self.refusal(node)

    def refusal(self, node: ast.AST) -> FormulaError:
        """What is said of a node that is no part of a formula."""
        kind = {ast.Compare: "a comparison", ast.Subscript: "an index", ast.NamedExpr: "an assignment"}
        kind |= {ast.Tuple: "a comma", ast.List: "a list", ast.Starred: "a star", ast.BinOp: "this operator"}
        advice = "a cost is one number, made of numbers, names, + - * / ** and functions"
        if isinstance(node, ast.Compare):
            advice += "; a condition on the variables can be written as a penalty, such as 10*max(0, 1 - x)**2"
        return self.fail(node, f"{kind.get(type(node), 'this')} has no place in a formula", advice)

    def number(self, node: ast.Constant) -> Expr:
        """A literal, exactly as typed: 0.1 is one tenth."""
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise self.fail(node, f"{node.value!s:.40} is not a real number", "use numbers such as 2, 0.5 or 1e-3")
        if not abs(node.value) <= LARGEST:
            raise self.fail(node, "this number is too large", f"numbers up to {LARGEST:g} are read")
        return _rational(node.value)

    def name(self, node: ast.Name | ast.Attribute) -> Expr:
        """A variable, column, constant, pi or e; also ``np.pi`` and ``math.e``."""
        import sympy as sp

        word = node.id if isinstance(node, ast.Name) else _prefixed(node)
        if word is None or (isinstance(node, ast.Attribute) and word not in ("pi", "e")):
            advice = "only functions and numbers have a prefix, as in np.exp(x) or math.pi"
            raise self.fail(node, "a formula has no attributes", advice)
        mine = word in self.columns or word in self.constants or (self.variables is not None and word in self.variables)
        if not mine and word in ("pi", "e"):
            return sp.pi if word == "pi" else sp.E
        if not mine and (word in FUNCTIONS or word in ALIASES):
            raise self.fail(node, f"{word} is a function", f"write it with brackets, as in {word}(x)")
        if not mine and self.variables is not None:
            known = [*self.variables, *self.columns, *self.constants]
            raise self.fail(node, f"unknown name {word}", suggest(word, known) + self._column_hint(word))
        if word in self.columns and self.reducing is None:
            advice = f"a cost is one number: wrap what uses {word} in mean(...) or sum(...)"
            raise self.fail(node, f"{word} is a column of data, with many values", advice)
        self.seen[word] = min(self.seen.get(word, node.col_offset), node.col_offset)
        return sp.Symbol(word, real=True)

    def product(self, node: ast.BinOp, depth: int) -> Expr:
        """A chain of * and /; exp(u)/(1 + exp(u)) becomes sigmoid(u), which does not overflow."""
        import sympy as sp

        first, rest = _chain(node, (ast.Mult, ast.Div))
        factors = [self.read(first, depth)]
        for op, operand in rest:
            factor = self.read(operand, depth)
            factors.append(factor if isinstance(op, ast.Mult) else self.power(factor, sp.S.NegativeOne, operand))
        total = sp.Mul(*factors)
        sigmoid = vocabulary()["sigmoid"]
        for factor in total.args if total.is_Mul else ():
            if isinstance(factor, sigmoid) and sp.exp(-factor.args[0]) in total.args:
                u = factor.args[0]
                total = total / factor / sp.exp(-u) * sigmoid(-u)
        return total

    def power(self, base: Expr, exponent: Expr, node: ast.AST) -> Expr:
        """A power that is real and of moderate size; 1/(1 + exp(-u)) becomes sigmoid(u)."""
        import sympy as sp

        number, degree = as_number(base if base.is_number else base.as_coeff_Mul()[0]), as_number(exponent)
        if degree is None:
            if base.is_number and number is not None and number <= 0:
                raise self.fail(node, "only a positive number may have a variable power", "use abs(...) or a square")
            return self.real(base ** (exponent if base == sp.E else self.parts.hold(exponent)), node)
        if abs(degree) > HIGHEST_POWER:
            raise self.fail(node, f"the exponent {degree:g} is too large", f"exponents up to {HIGHEST_POWER} are read")
        if number and abs(math.log10(abs(number)) * degree) > 300:
            raise self.fail(node, "this power is too large or too small", "numbers between 1e-300 and 1e300 are read")
        part = self.parts.get(base)
        if part and part.kind == "group" and exponent.is_Integer and degree < 0:
            rest = part.inner - 1
            if isinstance(rest, sp.exp):
                return vocabulary()["sigmoid"](-rest.args[0]) ** (-exponent)
        return self.real(base**exponent, node)

    def real(self, power: Expr, node: ast.AST) -> Expr:
        """A power as real numbers have it: the root of a square is abs."""
        import sympy as sp

        if power.has(sp.Abs):
            self.functions.add("abs")
            power = power.replace(sp.Abs, vocabulary()["abs"])
        return self.settle(power, node)

    def call(self, node: ast.Call, depth: int) -> Expr:
        """A function of its arguments."""
        import sympy as sp

        word = node.func.id if isinstance(node.func, ast.Name) else _prefixed(node.func)
        name = ALIASES.get(word or "", word)
        if name is None or name not in FUNCTIONS:
            raise self.unknown_function(node, word)
        if node.keywords or any(isinstance(a, ast.Starred) for a in node.args):
            raise self.fail(node, f"{word} takes plain arguments only", f"write {word}(x), without = or *")
        given, needed = len(node.args), 2 if name in TWO else 1
        if given != needed and not (name in ("max", "min") and given > 2):
            number = "two arguments" if needed == 2 else "one argument"
            raise self.fail(node, f"{word} takes {number}, not {given}", f"write {word}({'x, y'[: 3 * needed - 2]})")
        self.functions.add(name)
        if name in REDUCTIONS:
            return self.reduction(name, node, depth)
        arguments = [self.read(argument, depth) for argument in node.args]
        if name in ("pow", "sqrt"):
            return self.power(arguments[0], arguments[1] if name == "pow" else sp.S.Half, node)
        size = as_number(arguments[0])
        if name in ("exp", "expm1", "sinh", "cosh") and size is not None and abs(size) > 690:
            raise self.fail(node, "this number is too large or too small", f"numbers up to {LARGEST:g} are read")
        if name in ("max", "min"):
            return reduce(_extreme(name), arguments)
        if name in LOGARITHMS:
            return self.log(arguments[0]) / sp.log(LOGARITHMS[name])
        if name == "log":
            return self.log(arguments[0])
        if name == "log1p" and isinstance(arguments[0], sp.exp):
            name, arguments = "softplus", [arguments[0].args[0]]
        return vocabulary()[name](*arguments)

    def unknown_function(self, node: ast.Call, word: str | None) -> FormulaError:
        """Say what was probably meant by a call of no known function."""
        given = self.text[self.position(node.func.col_offset) : self.position(node.func.end_col_offset or 0)]
        if word in FLAT:
            return self.fail(node, f"{word} has slope zero almost everywhere", "no descent can use it: leave it out")
        if isinstance(node.func, ast.Attribute) and word is None:
            return self.fail(node.func, f"unknown function {given}", "only np. and math. may stand before a function")
        named = {n.id for n in ast.walk(self.tree) if isinstance(n, ast.Name) and n is not node.func}
        named |= {*self.columns, *self.constants, *(self.variables or ())}
        if word is None or len(word) == 1 or (word in named and not word.startswith("_")):
            return self.fail(node.func, f"{given} is not a function", f"to multiply, write {given}*(...)")
        return self.fail(node.func, f"unknown function {given}", suggest(word, (*FUNCTIONS, *ALIASES)))

    def reduction(self, name: str, node: ast.Call, depth: int) -> Expr:
        """The mean or sum over the rows of data."""
        if self.reducing:
            advice = "the inner one is one number for all rows: use a single mean(...) or sum(...)"
            raise self.fail(node, f"{name} inside {self.reducing}", advice)
        self.reducing = name
        inner = self.read(node.args[0], depth)
        self.reducing = None
        if not any(isinstance(n, ast.Name) and n.id in self.columns for n in ast.walk(node.args[0])):
            advice = f"{name} goes over the rows of data; " + (
                f"columns: {', '.join(self.columns)}" if self.columns else "give data={...} or leave it out"
            )
            hint = self._column_hint(ast.unparse(node.args[0]))
            raise self.fail(node, f"there is no column of data inside {name}(...)", advice + hint)
        return self.parts.reduction(name, inner)

    def log(self, u: Expr) -> Expr:
        """The logarithm of u; of cosh, sigmoid, 1 - sigmoid or a sum of exponentials without overflow."""
        import sympy as sp

        words, part = vocabulary(), self.parts.get(u)
        if isinstance(u, sp.cosh):
            return words["logcosh"](u.args[0])
        if isinstance(u, words["sigmoid"]):
            return -words["softplus"](-u.args[0])
        if part and part.kind == "group":
            rest = 1 - part.inner
            if isinstance(rest, words["sigmoid"]):
                return -words["softplus"](rest.args[0])
            if len(part.terms) <= 6 and all(isinstance(term, sp.exp) or term == 1 for term in part.terms):
                exponents = [sp.S.Zero if term == 1 else term.args[0] for term in part.terms]
                return reduce(self.log_of_two, sorted(exponents, key=lambda z: z != 0))
        return sp.log(u)

    def log_of_two(self, a: Expr, b: Expr) -> Expr:
        """log(exp(a) + exp(b)) = a + softplus(b - a)."""
        return self.parts.group(a, vocabulary()["softplus"](self.parts.group(b, -a)))

    def settle(self, expr: Expr, node: ast.AST) -> Expr:
        """The expression, unless it is a number that is not real or not finite."""
        import sympy as sp

        if expr.is_number:
            value = as_number(expr)
            if value is None or not abs(value) <= LARGEST:
                raise self.fail(node, "this is not a finite real number", "look for a division by zero, a root or log")
            if expr.count_ops() > 4 and not expr.is_Rational:  # exact constants such as 2*pi stay, long ones do not
                return _rational(value)
        elif isinstance(expr, sp.Pow | sp.Mul) and expr.has(sp.I):
            raise self.fail(node, "this is not a real number", "it is the root of something negative")
        return expr

    def _column_hint(self, near: str) -> str:
        """Name the column that was probably meant, where no formula can name it."""
        for column in self.unusable:
            if column in near or re.sub(r"\W+", "_", column).casefold() in near.casefold():
                return (
                    f"\nthe column {column!r} is not a name that a formula can use: rename it, without spaces and signs"
                )
        return ""


def _chain(node: ast.BinOp, kinds: tuple[type, ...]) -> tuple[ast.expr, list[tuple[ast.operator, ast.expr]]]:
    """A left-leaning chain of operators, read without recursion: long sums are flat, not deep."""
    rest: list[tuple[ast.operator, ast.expr]] = []
    first: ast.expr = node
    while isinstance(first, ast.BinOp) and isinstance(first.op, kinds):
        rest.append((first.op, first.right))
        first = first.left
    return first, rest[::-1]


def _prefixed(node: ast.expr) -> str | None:
    """The name after ``np.`` or ``math.``."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.attr if node.value.id in ("np", "numpy", "math") else None
    return None


def _extreme(name: str) -> Callable[[Expr, Expr], Expr]:
    """Max or min of two; with a zero it is relu."""
    relu, function = vocabulary()["relu"], vocabulary()[name]
    sign = 1 if name == "max" else -1

    def extreme(a: Expr, b: Expr) -> Expr:
        if a == b:
            return a
        return sign * relu(sign * (a + b)) if 0 in (a, b) else function(a, b)

    return extreme


def _rational(number: float) -> Expr:
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


def pretty(text: str) -> str:
    """A formula, or a derivative of one, as mathematics is written: powers with ^, products side by side.

    >>> pretty("-400*x*(y - x**2) - 2*(1 - x)")
    '-400 x (y - x^2) - 2 (1 - x)'
    >>> pretty("x/2*y + 2**(-x)*3 - np.exp(x)**2/(2*y)")
    '(x/2) y + 2^(-x) * 3 - exp(x)^2/(2 y)'
    """
    if len(text) > LONGEST_TEXT:  # too long to be read by anyone
        return text.replace("**", "^")
    return _pretty(syntax_tree(text)[0])


SUM, PRODUCT, POWER, ATOM = range(4)


def binding(node: ast.AST) -> int:
    """How tightly the text of a node binds; what begins with a minus binds as a sum."""
    match node:
        case ast.UnaryOp() | ast.BinOp(op=ast.Add() | ast.Sub()):
            return SUM
        case ast.BinOp(op=ast.Mult() | ast.Div()):
            return SUM if isinstance(_chain(node, (ast.Mult, ast.Div))[0], ast.UnaryOp) else PRODUCT
    return POWER if isinstance(node, ast.BinOp) else ATOM


def _pretty(node: ast.AST, place: int = SUM) -> str:
    """The text of a node, in brackets where it binds more loosely than its place asks."""
    if binding(node) < place:
        return f"({_pretty(node)})"
    match node:
        case ast.UnaryOp():
            return ("-" if isinstance(node.op, ast.USub) else "") + _pretty(node.operand, PRODUCT)
        case ast.BinOp(op=ast.Add() | ast.Sub()):
            first, rest = _chain(node, (ast.Add, ast.Sub))
            signed = ((" + " if isinstance(op, ast.Add) else " - ") + _pretty(n, PRODUCT) for op, n in rest)
            return _pretty(first) + "".join(signed)
        case ast.BinOp(op=ast.Mult() | ast.Div()):
            first, rest = _chain(node, (ast.Mult, ast.Div))
            text = _pretty(first, SUM if isinstance(first, ast.UnaryOp) else PRODUCT)
            for k, (op, factor) in enumerate(rest):
                if isinstance(op, ast.Mult) and k and isinstance(rest[k - 1][0], ast.Div):
                    text = f"({text})"
                right = _pretty(factor, POWER)
                text += ("/" if isinstance(op, ast.Div) else " * " if right[0].isdigit() else " ") + right
            return text
        case ast.BinOp():
            return f"{_pretty(node.left, ATOM)}^{_pretty(node.right, ATOM)}"
        case ast.Call():
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
            return f"{name}({', '.join(map(_pretty, node.args))})"
    return node.attr if isinstance(node, ast.Attribute) else ast.unparse(node)
