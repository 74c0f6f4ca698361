"""A rule's formula as one loop over long vectors, in their own precision.

NumPy evaluates a formula operation by operation, each a pass over the vector.  Here the same text becomes one loop that
reads and writes each number once.  What a formula makes of numbers alone is evaluated in Python, in double precision,
and rounded to the vectors' precision where it meets them, as NumPy does: both ways give the same bits.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable
from functools import cache
from typing import Any

from descender.kernels.cached import HEADER, JIT_ENTRY, load
from descender.kernels.texts import text_of

VECTORS = ("w", "g", "origin", "noise")


class _Hoist(ast.NodeTransformer):
    """Vectors as their entries j; each largest part that is a number as a name ``c0``, ``c1`` ..."""

    def __init__(self) -> None:
        self.vectors, self.numbers = {*VECTORS, "s"}, list[str]()

    def is_vector(self, node: ast.AST) -> bool:
        return any(isinstance(part, ast.Name) and part.id in self.vectors for part in ast.walk(node))

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, ast.expr) and not self.is_vector(node):
            text = ast.unparse(node)
            if text not in self.numbers:
                self.numbers.append(text)
            return ast.Name(f"c{self.numbers.index(text)}", ast.Load())
        return super().visit(node)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.parse(f"{node.id}[j]", mode="eval").body if node.id in VECTORS else node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        return ast.parse(f"{ast.unparse(node.value)}{ast.unparse(node.slice)}[j]", mode="eval").body

    def visit_Call(self, node: ast.Call) -> ast.expr:
        node.args = [self.visit(part) for part in node.args]
        return node


def fused_texts(formula: Callable, slots: int) -> tuple[str, str]:
    r"""What a formula makes of numbers, and its loop over vectors, as the text of two functions.

    >>> def formula(p, w, g, s, rate, t):
    ...     v = p.beta * s[0] + g
    ...     return w - rate * v, (v,)
    >>> print(*fused_texts(formula, 1), sep="\n")
    def numbers(p, rate, t):
        return (p.beta, rate)
    def step(c, w, g, s0):
        c0, c1 = (c[0], c[1])
        for j in range(w.shape[0]):
            v = c0 * s0[j] + g[j]
            new = w[j] - c1 * v
            g[j] = new - w[j]
            w[j] = new
            s0[j] = v
    """
    tree = ast.parse(text_of(formula, "formula")).body[0]
    assert isinstance(tree, ast.FunctionDef)
    asked = [argument.arg for argument in tree.args.args]
    hoist, lines, loop = _Hoist(), list[str](), list[str]()
    for line in tree.body[:-1]:
        assert isinstance(line, ast.Assign)
        if hoist.is_vector(line.value):
            loop.append(f"{ast.unparse(line.targets[0])} = {ast.unparse(hoist.visit(line.value))}")
            hoist.vectors |= {node.id for node in ast.walk(line.targets[0]) if isinstance(node, ast.Name)}
        else:
            lines.append(ast.unparse(line))
    end = tree.body[-1]
    assert isinstance(end, ast.Return)
    assert isinstance(end.value, ast.Tuple)
    new, remembered = end.value.elts
    kept = remembered.elts if isinstance(remembered, ast.Tuple) else []
    loop.append(f"new = {ast.unparse(hoist.visit(new))}")
    loop += [f"new{k} = {ast.unparse(hoist.visit(part))}" for k, part in enumerate(kept) if not _name(part)]
    loop += ["g[j] = new - w[j]", "w[j] = new"]
    loop += [f"s{k}[j] = {_name(part) or f'new{k}'}" for k, part in enumerate(kept)]
    own = [name for name in asked if name not in (*VECTORS, "s")]
    count = range(len(hoist.numbers))
    lines.append(f"return ({''.join(f'{number}, ' for number in hoist.numbers)})")
    arguments = ["c", "w", "g", *(name for name in VECTORS[2:] if name in asked), *(f"s{k}" for k in range(slots))]
    numbers = f"def numbers({', '.join(own)}):\n" + textwrap.indent("\n".join(lines), "    ")
    body = [f"{', '.join(f'c{k}' for k in count)} = {', '.join(f'c[{k}]' for k in count)}"]
    body.append("for j in range(w.shape[0]):")
    body += [f"    {line}" for line in loop]
    step = f"def step({', '.join(arguments)}):\n" + textwrap.indent("\n".join(body), "    ")
    return ast.unparse(ast.parse(numbers)), ast.unparse(ast.parse(step))


def _name(part: ast.expr) -> str | None:
    return part.id if isinstance(part, ast.Name) else None


@cache
def fused(formula: Callable, slots: int) -> Callable[..., None]:
    """The compiled loop; what it takes as numbers is what the other text makes of them."""
    loop: Callable[..., None] = load(f"{HEADER}\n\n{JIT_ENTRY}{fused_texts(formula, slots)[1]}\n").step
    return loop
