"""Functions as text: the source of a formula, as the compiled modules spell it."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from functools import cache
from typing import ClassVar


@cache
def text_of(function: Callable, name: str, without: tuple[str, ...] = ()) -> str:
    """The source of a function under another name, without its docstring and without some of its parameters.

    >>> from descender.kernels import loops
    >>> print(text_of(loops.copy, "take"))
    def take(to, of):
        for j in range(to.shape[0]):
            to[j] = of[j]
    """
    definition = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(definition, ast.FunctionDef)
    definition.name = name
    definition.decorator_list = []
    definition.args.args = [a for a in definition.args.args if a.arg not in without]
    if ast.get_docstring(definition):
        definition.body = definition.body[1:]
    return ast.unparse(definition)


class Scalars(ast.NodeTransformer):
    """NumPy's functions of one number as Python's own: Numba takes a tenth of a second longer for each of NumPy's."""

    MATH = ("exp", "expm1", "log", "log1p", "sqrt", "tanh")
    BUILTIN: ClassVar[dict[str, str]] = {"abs": "abs", "maximum": "max", "minimum": "min"}

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """A call of NumPy, if Python has it, too."""
        self.generic_visit(node)
        function = node.func
        if not (
            isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == "np"
        ):
            return node
        if function.attr in self.MATH:
            function.value.id = "math"
        elif function.attr in self.BUILTIN:
            node.func = ast.Name(self.BUILTIN[function.attr], ast.Load())
        elif function.attr == "where":
            return ast.IfExp(*node.args)
        elif function.attr == "sign":
            x = ast.unparse(node.args[0])
            return ast.parse(f"1.0 if {x} > 0.0 else -1.0 if {x} < 0.0 else {x}", mode="eval").body
        return node


class _Fields(ast.NodeTransformer):
    """``self.delta`` as an entry of the tuple ``p``."""

    def __init__(self, fields: tuple[str, ...]):
        self.fields = fields

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if isinstance(node.value, ast.Name) and node.value.id == "self":
            return ast.Subscript(ast.Name("p", ast.Load()), ast.Constant(self.fields.index(node.attr)), ast.Load())
        self.generic_visit(node)
        return node


def scalar_text(function: Callable, name: str) -> str:
    """:func:`text_of` for a formula that is compiled for single numbers.

    >>> ast.unparse(Scalars().visit(ast.parse("np.where(z > 0.0, np.sqrt(z), 0.0)")))
    'math.sqrt(z) if z > 0.0 else 0.0'
    """
    return ast.unparse(Scalars().visit(ast.parse(text_of(function, name))))


def method_text(function: Callable, name: str, fields: tuple[str, ...] = ()) -> str:
    """:func:`scalar_text` of a method, static or not, whose first parameter ``p`` holds the `fields` of ``self``.

    >>> ast.unparse(_Fields(("factor",)).visit(ast.parse("self.factor * z")))
    'p[0] * z'
    """
    tree = _Fields(fields).visit(ast.parse(scalar_text(function, name)))
    arguments = tree.body[0].args.args
    tree.body[0].args.args = [ast.arg("p"), *(a for a in arguments if a.arg != "self")]
    return ast.unparse(tree)
