"""Small functions written out where they are called, short vectors written out as numbers.

Numba spends most of its time on each function that it meets, and on arrays.  One function without calls compiles in a
third of the time; and the two or three weights of a small formula stay in registers where they have a name each.

Everything here maps syntax trees of a small part of Python to others.  A function that is written out returns at its
end or not at all; a vector is read and written by component.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable, Mapping
from typing import Any

Statements = list[ast.stmt]


def tree_of(text: str) -> ast.FunctionDef:
    """The one function that a text defines."""
    definition = ast.parse(text).body[0]
    assert isinstance(definition, ast.FunctionDef)
    return definition


def written_out(body: Statements, functions: Mapping[str, ast.FunctionDef]) -> Statements:
    r"""The statements with the lines of `functions` in the place of their calls.

    >>> half = tree_of("def half(x):\n    y = x / 2\n    return y")
    >>> print(ast.unparse(written_out(ast.parse("a = 1 + half(b)").body, {"half": half})))
    y_1 = b / 2
    a = 1 + y_1
    """
    return _Inliner(functions).statements(body)


class _Inliner(ast.NodeTransformer):
    """``before`` gathers the lines that must run before the statement that is being read."""

    def __init__(self, functions: Mapping[str, ast.FunctionDef]):
        self.functions, self.count = functions, 0
        self.before: Statements = []

    def statements(self, body: Statements) -> Statements:
        return [line for statement in body for line in self.statement(statement)]

    def statement(self, node: ast.stmt) -> Statements:
        match node:
            case ast.For() | ast.While():
                node.body = self.statements(node.body)
                return [node]
            case ast.If():
                outer, self.before = self.before, []
                node.test = self.visit(node.test)
                lines, self.before = self.before, outer
                node.body, node.orelse = self.statements(node.body), self.statements(node.orelse)
                return [*lines, node]
            case ast.Expr(value=ast.Call(func=ast.Name(id=name)) as call) if name in self.functions:
                return self.expand(call, None)
            case ast.Assign(targets=[target], value=ast.Call(func=ast.Name(id=name)) as call) if name in self.functions:
                return self.expand(call, target)
        outer, self.before = self.before, []
        node = self.visit(node)
        lines, self.before = self.before, outer
        return [*lines, node]

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if not isinstance(node.func, ast.Name) or node.func.id not in self.functions:
            return self.generic_visit(node)
        lines, values = self.lines_of(node)
        self.before += lines
        return values[0]

    def expand(self, call: ast.Call, target: ast.expr | None) -> Statements:
        """The lines of a call, whose result goes to `target`."""
        lines, values = self.lines_of(call)
        if target is None:
            return lines
        pairs = list(_pairs(target, values[0]))
        if len(pairs) > 1:  # all of the right side is computed before any of the left changes
            self.count += 1
            names = [f"r{k}_{self.count}" for k in range(len(pairs))]
            simple = [isinstance(value, ast.Constant) for _, value in pairs]
            lines += [
                _assign(ast.Name(name, ast.Store()), value)
                for name, (_, value), constant in zip(names, pairs, simple, strict=True)
                if not constant
            ]
            pairs = [
                (left, value if constant else ast.Name(name, ast.Load()))
                for (left, value), name, constant in zip(pairs, names, simple, strict=True)
            ]
        return lines + [_assign(left, value) for left, value in pairs]

    def lines_of(self, call: ast.Call) -> tuple[Statements, list[ast.expr]]:
        """The lines before the result of a call, and the result if there is one."""
        assert isinstance(call.func, ast.Name)
        function = copy.deepcopy(self.functions[call.func.id])
        self.count += 1
        changed = _stored(function.body)
        names: dict[str, ast.expr] = {name: ast.Name(f"{name}_{self.count}", ast.Load()) for name in changed}
        lines: Statements = []
        assert len(call.args) == len(function.args.args), f"{call.func.id}: {ast.unparse(call)}"
        for parameter, given in zip(function.args.args, call.args, strict=True):
            outer, self.before = self.before, []
            argument = self.visit(given)
            lines += self.before
            self.before = outer
            if parameter.arg in changed or not _is_simple(argument):
                name = f"{parameter.arg}_{self.count}"
                names[parameter.arg] = ast.Name(name, ast.Load())
                lines.append(_assign(ast.Name(name, ast.Store()), argument))
            else:
                names[parameter.arg] = argument
        body = [PutIn(names).visit(statement) for statement in function.body]
        values: list[ast.expr] = []
        if body and isinstance(body[-1], ast.Return) and body[-1].value is not None:
            result = body.pop()
            outer, self.before = self.before, []
            values = [self.visit(result.value)]
            after, self.before = self.before, outer
        else:
            after = []
        inner = self.statements(body)
        assert not any(isinstance(n, ast.Return) for line in inner for n in ast.walk(line)), call.func.id
        return [*lines, *inner, *after], values


class PutIn(ast.NodeTransformer):
    """Expressions in the place of names; an entry of a tuple that is written out is that entry."""

    def __init__(self, names: Mapping[str, ast.expr]):
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.AST:  # noqa: D102
        if node.id not in self.names:
            return node
        put = copy.deepcopy(self.names[node.id])
        if isinstance(put, ast.Name):
            put.ctx = node.ctx
        return put

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:  # noqa: D102
        node.value, node.slice = self.visit(node.value), self.visit(node.slice)
        if isinstance(node.value, ast.Tuple) and isinstance(node.slice, ast.Constant):
            return node.value.elts[int(node.slice.value)]  # type: ignore[arg-type]
        return node


def _is_simple(node: ast.expr) -> bool:
    """Whether an expression may be read again and again at no cost."""
    match node:
        case ast.Name() | ast.Constant():
            return True
        case ast.Attribute(value=value):
            return _is_simple(value)
        case ast.Subscript(value=value, slice=index):
            return _is_simple(value) and (_is_simple(index) or isinstance(index, ast.BinOp))
        case ast.Tuple(elts=elements):
            return all(_is_simple(element) for element in elements)
    return False


def _stored(body: Statements) -> set[str]:
    """The names that some statements assign to."""
    nodes = [node for statement in body for node in ast.walk(statement)]
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _pairs(target: ast.expr, value: ast.expr) -> Iterable[tuple[ast.expr, ast.expr]]:
    if isinstance(target, ast.Tuple):
        assert isinstance(value, ast.Tuple), ast.unparse(value)
        for left, right in zip(target.elts, value.elts, strict=True):
            yield from _pairs(left, right)
    else:
        yield target, value


def _assign(target: ast.expr, value: ast.expr) -> ast.stmt:
    return ast.Assign([target], value, lineno=0)


def switched(body: Statements, switches: Mapping[str, bool]) -> Statements:
    r"""The statements with what is switched off left out.

    >>> text = "if bounded and deep:\n    f()\nelse:\n    x = g() if deep else h()"
    >>> print(ast.unparse(switched(ast.parse(text).body, {"deep": False})))
    x = h()
    """
    lines: Statements = []
    for statement in body:
        done = _Switch(switches).visit(statement)
        lines += done if isinstance(done, list) else [done]
    return lines


class _Switch(ast.NodeTransformer):
    def __init__(self, switches: Mapping[str, bool]):
        self.switches = switches

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Constant(self.switches[node.id]) if node.id in self.switches else node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        every = isinstance(node.op, ast.And)
        left = [self.visit(value) for value in node.values]
        if any(_is(value, not every) for value in left):
            return ast.Constant(not every)
        left = [value for value in left if not _is(value, every)]
        return ast.BoolOp(node.op, left) if len(left) > 1 else left[0] if left else ast.Constant(every)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Not) and isinstance(node.operand, ast.Constant):
            return ast.Constant(not node.operand.value)
        return node

    def visit_If(self, node: ast.If) -> Any:
        node.test = self.visit(node.test)
        node.body, node.orelse = switched(node.body, self.switches), switched(node.orelse, self.switches)
        if isinstance(node.test, ast.Constant):
            return node.body if node.test.value else node.orelse
        return node

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        test = self.visit(node.test)
        if isinstance(test, ast.Constant):
            return self.visit(node.body if test.value else node.orelse)
        return ast.IfExp(test, self.visit(node.body), self.visit(node.orelse))


def _is(node: ast.expr, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def unrolled(body: Statements, vectors: Mapping[str, int]) -> Statements:
    r"""The statements with some vectors, of known lengths, as one name for each component.

    >>> text = "for j in range(v.shape[0]):\n    s += v[j] * u[j]"
    >>> print(ast.unparse(unrolled(ast.parse(text).body, {"v": 2})))
    s += v_0 * u[0]
    s += v_1 * u[1]
    """
    return begun([line for statement in body for line in _Unroller(vectors).lines(statement)])


def begun(body: Statements) -> Statements:
    r"""The statements with sums that begin as their first term, and not as 0: of a short sum that is a step less.

    >>> print(ast.unparse(begun(ast.parse("s = 0.0\ns += a\ns += b").body)))
    s = a
    s += b
    """
    lines: Statements = []
    for node in body:
        for field in ("body", "orelse"):
            if getattr(node, field, None):
                setattr(node, field, begun(getattr(node, field)))
        match lines[-1:], node:
            case (
                [ast.Assign(targets=[ast.Name(id=sum_)], value=ast.Constant(value=0.0))],
                ast.AugAssign(target=ast.Name(id=name), op=ast.Add(), value=term),
            ) if name == sum_:
                lines[-1] = _assign(ast.Name(name, ast.Store()), term)
            case _:
                lines.append(node)
    return lines


class _Unroller(ast.NodeTransformer):
    def __init__(self, vectors: Mapping[str, int]):
        self.vectors = vectors

    def lines(self, node: ast.stmt) -> Statements:
        match node:
            case ast.For(target=ast.Name(id=index), iter=ast.Call(func=ast.Name(id="range"), args=[stop])):
                count = self.visit(copy.deepcopy(stop))
                if isinstance(count, ast.Constant):
                    bodies = [self.with_index(node.body, index, j) for j in range(int(count.value))]  # type: ignore[arg-type]
                    return [line for body in bodies for line in body]
        done = self.visit(node)
        return done if isinstance(done, list) else [done]

    def with_index(self, body: Statements, index: str, j: int) -> Statements:
        put = PutIn({index: ast.Constant(j)})
        return [line for statement in body for line in self.lines(put.visit(copy.deepcopy(statement)))]

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.For | ast.While | ast.If):
            node.body = [line for statement in node.body for line in self.lines(statement)]
            node.orelse = [line for statement in node.orelse for line in self.lines(statement)]
            for field in ("test", "iter"):
                if hasattr(node, field):
                    setattr(node, field, self.visit(getattr(node, field)))
            return node
        return super().generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        match node.value:
            case ast.Attribute(value=ast.Name(id=name), attr="shape") if name in self.vectors:
                return ast.Constant(self.vectors[name])
        node.slice = self.visit(node.slice)
        node.value = self.visit(node.value)
        match node:
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=int(k))) if name in self.vectors:
                return ast.Name(f"{name}_{k}", node.ctx)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        super().generic_visit(node)
        return _folded(node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        super().generic_visit(node)
        return _folded(node)


def _folded(node: ast.expr) -> ast.expr:
    """A sum, product or comparison of whole numbers as its value."""
    leaves = [n for n in ast.walk(node) if isinstance(n, ast.Constant | ast.Name | ast.Call | ast.Attribute)]
    if all(isinstance(n, ast.Constant) and type(n.value) is int for n in leaves):
        return ast.Constant(eval(compile(ast.fix_missing_locations(ast.Expression(node)), "<index>", "eval")))
    return node


def needed(body: Statements, wanted: set[str]) -> Statements:
    r"""The statements without assignments to names that nobody reads, `wanted` ones aside."""
    while True:
        read = wanted | {
            node.id
            for statement in body
            for node in ast.walk(statement)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        }
        before = ast.dump(ast.Module(body, []))
        body = _without(body, read)
        if ast.dump(ast.Module(body, [])) == before:
            return body


def _without(body: Statements, read: set[str]) -> Statements:
    lines: Statements = []
    for node in body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AugAssign(target=ast.Name(id=name)) if name not in read:
                continue
            case ast.For() | ast.While() | ast.If():
                node.body, node.orelse = _without(node.body, read), _without(node.orelse, read)
                if not node.body:
                    continue
        lines.append(node)
    return lines
