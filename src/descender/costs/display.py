"""How formulas and their derivatives are shown: expressions to text, and text as mathematics is written."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from fractions import Fraction

from descender.costs.grammar import Reading
from descender.costs.parts import Expr, is_negative
from descender.costs.syntax import LONGEST_TEXT, chain, syntax_tree

SUM, PRODUCT, POWER, ATOM = range(4)


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


def _pretty(node: ast.AST, place: int = SUM) -> str:
    """The text of a node, in brackets where it binds more loosely than its place asks."""
    if _binding_of_node(node) < place:
        return f"({_pretty(node)})"
    match node:
        case ast.UnaryOp():
            return ("-" if isinstance(node.op, ast.USub) else "") + _pretty(node.operand, PRODUCT)
        case ast.BinOp(op=ast.Add() | ast.Sub()):
            first, rest = chain(node, (ast.Add, ast.Sub))
            signed = ((" + " if isinstance(op, ast.Add) else " - ") + _pretty(n, PRODUCT) for op, n in rest)
            return _pretty(first) + "".join(signed)
        case ast.BinOp(op=ast.Mult() | ast.Div()):
            first, rest = chain(node, (ast.Mult, ast.Div))
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


def _binding_of_node(node: ast.AST) -> int:
    """How tightly the text of a node binds; what begins with a minus binds as a sum."""
    match node:
        case ast.UnaryOp() | ast.BinOp(op=ast.Add() | ast.Sub()):
            return SUM
        case ast.BinOp(op=ast.Mult() | ast.Div()):
            return SUM if isinstance(chain(node, (ast.Mult, ast.Div))[0], ast.UnaryOp) else PRODUCT
    return POWER if isinstance(node, ast.BinOp) else ATOM


class Show:
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
            return self.sum(self.ordered(expr.args))
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
            negative = is_negative(term)
            text += (" - " if negative else " + ") + self.bracketed(-term if negative else term, PRODUCT)
        return text[3:] if text.startswith(" + ") else "-" + text[3:]

    def ordered(self, terms: Iterable[Expr]) -> list[Expr]:
        """Terms by falling degree, a positive one first."""

        def degree(term: Expr) -> Expr:
            factors = term.as_coeff_Mul()[1].as_powers_dict()
            return sum(e if e.is_Rational else 1 for b, e in factors.items() if not b.is_number)

        found = sorted(terms, key=lambda term: (-degree(term), self.text(term)))
        first = next((k for k, term in enumerate(found) if not is_negative(term)), 0)
        return [found[first], *found[:first], *found[first + 1 :]]

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
        if type(factor).__name__ == "sigmoid" and is_negative(factor.args[0]):
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
            kind = 2 if (base.is_Function and not is_negative(base.args[0])) or base.is_Pow else 4
        return kind, self.order.get(str(base), 0), self.text(factor)

    def bracketed(self, expr: Expr, place: int) -> str:
        """The text, in brackets where it binds more loosely than its place asks."""
        text = self.text(expr)
        return text if _binding_of_text(text) >= place else f"({text})"


def _is_small_polynomial(expr: Expr) -> bool:
    """Whether factoring takes no time: few operations, a low degree, small whole numbers."""
    import sympy as sp

    if expr.count_ops() > 40 or not expr.is_polynomial(*expr.free_symbols):
        return False
    degree = sp.prod(abs(power.exp) for power in expr.atoms(sp.Pow) if power.exp.is_Integer)
    return degree <= 50 and all(max(abs(n.p), n.q) < 10**6 for n in expr.atoms(sp.Rational))


def _binding_of_text(text: str) -> int:
    """How tightly a text binds, by the loosest operator outside its brackets."""
    while (bare := re.sub(r"\([^()]*\)", "", text)) != text:
        text = bare
    if text.startswith("-") or " " in text:
        return SUM
    powers = text.replace("**", "^")
    return PRODUCT if re.search(r"[*/]", powers) else POWER if "^" in powers else ATOM


def _is_reciprocal(expr: Expr) -> bool:
    return bool(expr.is_Pow and expr.exp.is_Rational and expr.exp < 0)


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
