"""A rule's formula as calls of NumPy that write where they may, so that a step makes no vectors.

Each operation is a pass over a piece of the vectors; the text of :mod:`descender.kernels.fused` is taken apart into
such passes.  The numbers are those of the formula as it stands, and of the compiled loop, to the last bit.  It is for
trainings that end before a compiler would be there.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from descender.kernels.fused import fused_texts

OPERATIONS: dict[type[ast.AST], str] = {
    ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide", ast.USub: "negative",
}  # fmt: skip


def passes_texts(formula: Callable, slots: int) -> tuple[str, str]:
    r"""What a formula makes of numbers, and its passes over vectors and scratch space, as the text of two functions.

    >>> def formula(p, w, g, s, rate, t):
    ...     v = p.beta * s[0] + g
    ...     return w - rate * v, (v,)
    >>> print(*passes_texts(formula, 1), sep="\n")
    def numbers(p, rate, t):
        return (p.beta, rate)
    def step(c, w, g, s0, t0):
        [c0, c1] = c
        np.multiply(c0, s0, out=t0)
        np.add(t0, g, out=s0)
        np.multiply(c1, s0, out=t0)
        np.subtract(w, t0, out=t0)
        np.subtract(t0, w, out=g)
        np.copyto(w, t0)
    """
    numbers, loop = fused_texts(formula, slots)
    step = ast.parse(loop).body[0]
    assert isinstance(step, ast.FunctionDef)
    of_numbers, over = step.body
    assert isinstance(of_numbers, ast.Assign)
    assert isinstance(over, ast.For)
    passes = _Passes([line for line in over.body if isinstance(line, ast.Assign)])
    given = [argument.arg for argument in step.args.args] + [f"t{k}" for k in range(passes.count)]
    lines = [f"[{ast.unparse(of_numbers.targets[0]).strip('()')}] = c", *passes.lines]
    return numbers, f"def step({', '.join(given)}):\n" + textwrap.indent("\n".join(lines), "    ")


class _Passes:
    """The lines of a loop over entries as operations on vectors; ``count`` of them are needed as scratch space."""

    def __init__(self, loop: list[ast.Assign]):
        self.lines, self.count = list[str](), 0
        self.free, self.at = list[str](), dict[str, str]()  # scratch vectors; where a name's numbers stand
        for k, line in enumerate(loop):
            target, later = line.targets[0], loop[k + 1 :]
            if isinstance(target, ast.Name):
                self.at[target.id] = self.evaluate(line.value, _end(target.id, later))
            else:
                self.put(line.value, _vector(target))
            for name in [name for name in self.at if not any(_reads(rest, name) for rest in later)]:
                self.release(self.at.pop(name))

    def put(self, value: ast.expr, to: str) -> None:
        """The numbers of an expression, into one of the vectors that were given."""
        if isinstance(value, ast.Name | ast.Subscript):
            of = self.evaluate(value)
            self.lines += [f"np.copyto({to}, {of})"] if of != to else []
        else:
            self.evaluate(value, to)

    def evaluate(self, node: ast.expr, to: str | None = None) -> str:
        """Where the numbers of an expression stand: in `to`, else in scratch space, or where they were already."""
        match node:
            case ast.Subscript():
                return _vector(node)
            case ast.Name():
                return self.at.get(node.id, node.id)
            case ast.BinOp(op=op) if type(op) in OPERATIONS:
                operation, parts = OPERATIONS[type(op)], [node.left, node.right]
            case ast.UnaryOp(op=op) if type(op) in OPERATIONS:
                operation, parts = OPERATIONS[type(op)], [node.operand]
            case ast.Call(func=ast.Attribute(attr=name)) if isinstance(getattr(np, name), np.ufunc):
                operation, parts = name, node.args
            case _:
                to = to or self.take()
                self.lines.append(f"np.copyto({to}, {ast.unparse(_Vectors(self.at).visit(node))})")
                return to
        given = [self.evaluate(part) for part in parts]
        for name in given:
            if name not in self.at.values():
                self.release(name)
        to = to or self.take()
        self.lines.append(f"np.{operation}({', '.join(given)}, out={to})")
        return to

    def take(self) -> str:
        """Scratch space."""
        if not self.free:
            self.free.append(f"t{self.count}")
            self.count += 1
        return self.free.pop()

    def release(self, name: str) -> None:
        """Scratch space that nobody reads any more."""
        if name.startswith("t") and name not in self.free:
            self.free.append(name)


class _Vectors(ast.NodeTransformer):
    """Entries as the vectors that they are of, and names as where their numbers stand."""

    def __init__(self, at: dict[str, str]):
        self.at = at

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        return ast.Name(_vector(node), ast.Load())

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Name(self.at.get(node.id, node.id), ast.Load())


def _vector(node: ast.expr) -> str:
    assert isinstance(node, ast.Subscript)
    return ast.unparse(node.value)


def _reads(line: ast.Assign, name: str) -> bool:
    return any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(line.value))


def _end(name: str, later: list[ast.Assign]) -> str | None:
    """The vector that a name's numbers end in, if nothing reads what was there before."""
    for line in later:
        if isinstance(line.targets[0], ast.Subscript) and isinstance(line.value, ast.Name) and line.value.id == name:
            to = _vector(line.targets[0])
            return None if any(_reads(rest, to) for rest in later) else to
    return None


@cache
def passes(formula: Callable, slots: int) -> tuple[tuple[str, ...], Callable[..., tuple], Callable[..., None], int]:
    """The names of what the numbers are made of, the function that makes them, the passes, their scratch vectors."""
    numbers, step = passes_texts(formula, slots)
    made: dict[str, Any] = {"np": np}
    exec(numbers, made)
    exec(step, made)
    scratch = [name for name in inspect.signature(made["step"]).parameters if name[0] == "t"]
    return tuple(inspect.signature(made["numbers"]).parameters), made["numbers"], made["step"], len(scratch)
