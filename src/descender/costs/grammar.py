"""What may be typed as a formula, and how it is read: text to SymPy, never executing the text.

Python's own parser makes the tree, a short list of its nodes is accepted, and everything else is a
:class:`~descender.errors.FormulaError` that points at the place.  SymPy's ``sympify`` and ``parse_expr`` run what
they are given, so they are not used.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Collection, Sequence
from functools import reduce
from typing import NamedTuple

from descender.costs.parts import FUNCTIONS, Expr, Parts, as_number, rational, vocabulary
from descender.costs.syntax import LARGEST, chain, complaint, flat, identifier, syntax_tree
from descender.errors import FormulaError, suggest

MOST_NODES, DEEPEST, HIGHEST_POWER = 2_000, 50, 1000

ALIASES = {
    "ln": "log", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2", "power": "pow",
    "absolute": "abs", "fabs": "abs", "maximum": "max", "minimum": "min", "expit": "sigmoid", "average": "mean",
    "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh",
}  # fmt: skip
REDUCTIONS = ("mean", "sum")
FLAT = ("floor", "ceil", "round", "int", "trunc")
LOGARITHMS = {"log2": 2, "log10": 10}
TWO = {"max", "min", "atan2", "pow"}


class Reading(NamedTuple):
    """A formula that was read: the cost, its held parts, and the names it uses in the order of their appearance."""

    expr: Expr
    parts: Parts
    variables: tuple[str, ...]
    columns: tuple[str, ...]
    constants: tuple[str, ...]
    functions: frozenset[str]
    order: dict[str, int]  # where each name stands first


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
                first, rest = chain(node, (ast.Add, ast.Sub))
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
        return rational(node.value)

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

        first, rest = chain(node, (ast.Mult, ast.Div))
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
                f"columns: {', '.join(self.columns)}"
                if self.columns
                else "give data that have such columns, or leave it out"
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
                return rational(value)
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
