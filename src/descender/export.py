"""A walk as a short script of plain NumPy, to be read, run and changed; it is run once before it is written."""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.costs.cost import Cost
from descender.costs.formula import Formula
from descender.costs.syntax import syntax_tree
from descender.errors import CapabilityError
from descender.export_lbfgs import lbfgs_steps, listed
from descender.export_textbook import constant, started, textbook_steps
from descender.methods.advance import Options
from descender.methods.auto import READINGS, textbook
from descender.methods.lbfgs import LBFGS
from descender.methods.rates import Constant
from descender.methods.rules import RULES
from descender.outputs import script_files
from descender.record import write_beside
from descender.walk import Walk

AGREEMENT = 1e-9
"""How closely a script must agree with the walk that it replays, relative to the size of the point or of the way."""
EMBEDDED = 400
"""Numbers of data that stand in the script itself; more are written beside it."""
MARK = "Written by descender"
LOADS = "with np.load("
"""How the line begins that loads the arrays beside a script."""

NAMES = {
    "abs": "np.abs", "asin": "np.arcsin", "acos": "np.arccos", "atan": "np.arctan", "atan2": "np.arctan2",
    "asinh": "np.arcsinh", "acosh": "np.arccosh", "atanh": "np.arctanh", "max": "np.maximum", "min": "np.minimum",
    "pow": "np.power", "ln": "np.log", "pi": "np.pi", "e": "np.e",
}  # fmt: skip
SAME = ("sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "log", "log2", "log10", "log1p", "expm1", "sqrt", "cbrt",
        "sign", "mean", "sum")  # fmt: skip
HELPERS = {
    "sigmoid": "np.exp(np.minimum(u, 0)) / (1 + np.exp(-np.abs(u)))",
    "softplus": "np.maximum(u, 0) + np.log1p(np.exp(-np.abs(u)))",
    "logcosh": "np.abs(u) + np.log1p(0.5 * np.expm1(-2 * np.abs(u)))",
    "relu": "np.maximum(u, 0)",
    "step": "(u > 0) * 1.0",
}
"""Functions that NumPy lacks, in a form that does not overflow."""


def write_python(cost: Cost, walk: Walk, path: str | os.PathLike, **options: Any) -> list[Path]:
    """Write the script of :func:`python_text` to `path`, and data too long for it as .npz beside; the files written."""
    text = python_text(cost, walk, archive=Path(path).with_suffix(".npz").name, **options)
    return write_script(path, text, _columns(cost, options.get("data")))


def write_script(path: str | os.PathLike, text: str, arrays: Mapping[str, NDArray]) -> list[Path]:
    """Write a script, and the arrays as .npz beside it if it loads them; the files written."""
    script, archive = script_files(path)
    if LOADS not in text:
        write_beside(script, lambda file: file.write(text.encode()))
        return [script]
    marked: dict[str, Any] = {"descender": np.array(MARK)} | dict(arrays)
    write_beside(archive, lambda file: np.savez(file, **marked))
    write_beside(script, lambda file: file.write(text.encode()))
    return [script, archive]


def python_text(
    cost: Cost,
    walk: Walk,
    *,
    archive: str = "data.npz",
    data: Mapping[str, ArrayLike] | None = None,
    constants: Mapping[str, float] | None = None,
    learning_rate: Any = "auto",
    batch_size: int | str | None = None,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    **hyperparameters: float,
) -> str:
    """A script that takes the steps of a walk on a typed formula and ends at the same point.

    The options are those that the walk was asked for.  A textbook method is written out with its rule and its rate;
    L-BFGS as its two-loop recursion with the step lengths that its line search found.  The script was run and agrees
    with the walk to 1e-9.

    Raises :class:`~descender.errors.CapabilityError` for what cannot be replayed.

    >>> from descender.verbs.minimize import minimize
    >>> cost = Formula("(x - 3)**2")
    >>> print(python_text(cost, minimize(cost, "x=0", learning_rate=0.1, max_steps=20), learning_rate=0.1))
    \"\"\"Written by descender: 20 steps of gd on (x - 3)**2.\"\"\"
    <BLANKLINE>
    import numpy as np
    <BLANKLINE>
    <BLANKLINE>
    def cost(w):
        (x,) = w
        return (x - 3) ** 2
    <BLANKLINE>
    <BLANKLINE>
    def gradient(w):
        (x,) = w
        return np.array([2 * (x - 3)])
    <BLANKLINE>
    <BLANKLINE>
    w = np.array([0.0])
    for t in range(20):
        g = gradient(w)
        rate = 0.1
        w = w - rate * g
    <BLANKLINE>
    for name, value in zip(["x"], w):
        print(name, "=", value)
    print("J =", cost(w))
    <BLANKLINE>
    """
    if not isinstance(cost, Formula):
        raise CapabilityError("a script can be written for a typed formula; a function or a fit has no text to write")
    if walk.record.path is None:
        raise CapabilityError("the walk was too long for its points to be kept: there is nothing to check a script by")
    columns = _columns(cost, data)
    if walk.method in (*RULES, *READINGS):
        options = clipping(clip_norm, clip_value)
        method: Any = textbook(cost, walk.method, learning_rate, batch_size, options, None, **hyperparameters)
        if learning_rate == "auto" and isinstance(method.rate, Constant):  # which was measured where the walk began
            method = replace(method, rate=Constant(float(walk.record["learning_rate"][0])))
        steps = textbook_steps(walk, method)
    elif walk.method == LBFGS.name:
        method, steps = None, lbfgs_steps(cost, walk)
    else:
        raise CapabilityError(f"a script can be written for textbook methods and L-BFGS, not for {walk.method}")
    batched = method is not None and method.batch_size != "full"
    for functions in (_readable, _compiled_text):
        text = "\n".join(
            [
                title(walk, cost.text),
                *functions(cost, columns, constants or {}, batched, archive),
                *wild_lines(walk),
                *steps,
                "",
                f"for name, value in zip({listed(cost.names)}, w):",
                '    print(name, "=", value)',
                'print("J =", cost(w))',
                "",
            ]
        )
        if agrees(text, walk, columns):
            return text
    raise CapabilityError("the walk cannot be replayed: it depends on its last digits, or was taken back on its way")


def clipping(clip_norm: float | None = None, clip_value: float | None = None, **_: Any) -> Options:
    """The options of a walk whose gradients were clipped so."""
    return Options(
        clip_norm=np.inf if clip_norm is None else float(clip_norm),
        clip_value=np.inf if clip_value is None else float(clip_value),
    )


def agrees(script: str, walk: Walk, columns: Mapping[str, NDArray]) -> bool:
    """Whether the script, run here with the columns in memory, ends where the walk did."""
    names: dict[str, Any] = {"DATA": dict(columns)}
    try:
        with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
            exec(compile(without_loading(script), "<script>", "exec"), names)
    except (ArithmeticError, ValueError, TypeError, NameError, AttributeError):
        return False
    there = np.asarray(names["w"], dtype=np.float64)
    if there.shape != walk.x.shape or not np.array_equal(np.isnan(there), np.isnan(walk.x)):
        return False
    if not np.isfinite(walk.x).all():
        return bool(np.array_equal(there, walk.x, equal_nan=True))
    size = max(np.abs(walk.x).max(), np.abs(walk.x - started(walk)).max())
    return bool(np.abs(there - walk.x).max() <= AGREEMENT * size)


def loading(archive: str) -> list[str]:
    """The lines that read the arrays beside a script into ``DATA``, and leave no file open."""
    return [f'{LOADS}Path(__file__).with_name("{archive}")) as file:', "    DATA = dict(file)"]


def without_loading(script: str) -> str:
    """The script without the lines of :func:`loading`, to be run with ``DATA`` in memory."""
    return re.sub(rf"^{re.escape(LOADS)}.*\n.*\n", "", script, flags=re.MULTILINE)


def _columns(cost: Cost, data: Mapping[str, ArrayLike] | None) -> dict[str, NDArray]:
    """The columns that the formula reads, in the order of the text."""
    if not isinstance(cost, Formula) or not cost.n_samples:
        return {}
    if not data:
        raise CapabilityError("a script of a formula over data needs the columns: data={...}")
    names = [node for node in ast.walk(syntax_tree(cost.text)[0]) if isinstance(node, ast.Name)]
    in_order = dict.fromkeys(node.id for node in sorted(names, key=lambda node: node.col_offset))
    return {name: np.asarray(data[name], dtype=np.float64) for name in in_order if name in data}


def title(walk: Walk, cost: str) -> str:
    """The docstring of a script."""
    cost = " ".join(cost.split()).replace("\\", "").replace('"', "'")
    return f'"""{MARK}: {walk.nit:,} step{"s" * (walk.nit != 1)} of {walk.method} on {cost}."""\n'


def wild_lines(walk: Walk) -> list[str]:
    """What keeps NumPy quiet where a walk leaves the finite numbers."""
    finite = np.isfinite(walk.x).all() and np.isfinite(walk.fun) and walk.status != "not_finite"
    return [] if finite else ["np.seterr(all='ignore')  # the walk leaves the finite numbers"]


# The cost and its gradient


def _readable(
    cost: Formula, columns: Mapping[str, NDArray], constants: Mapping[str, float], batched: bool, archive: str
) -> list[str]:
    """The cost and its derivatives as they are written on paper."""
    writer = _NumPy(constants, {*cost.names, *columns})
    value = writer.code(cost.text)
    slopes = [writer.code(cost.derivatives[name]) for name in cost.names]
    lines = ["import numpy as np", ""]
    if columns:
        lines += [*_data_lines(columns, archive), ""]
    for name in HELPERS:
        if name in writer.helpers:
            lines += ["", f"def {name}(u):", f"    return {HELPERS[name]}", ""]
    signature = "w, rows=slice(None)" if batched else "w"
    unpack = [f"    {_unpacked(cost.names)} = w"]
    if columns:
        unpack.append(f"    {_unpacked(columns)} = " + ("[column[rows] for column in DATA]" if batched else "DATA"))
    lines += ["", f"def cost({signature}):", *unpack, f"    return {value}", "", ""]
    array = f"np.array([{', '.join(slopes)}])"
    if len(array) > 100:
        array = "np.array([\n" + "".join(f"        {slope},\n" for slope in slopes) + "    ])"
    return [*lines, f"def gradient({signature}):", *unpack, f"    return {array}", "", ""]


def _compiled_text(
    cost: Formula, columns: Mapping[str, NDArray], constants: Mapping[str, float], batched: bool, archive: str
) -> list[str]:
    """The cost and its derivatives in the form in which they are computed: longer, and safe from overflow."""
    kernel = cost.kernel()
    numbers = kernel.data[len(columns) :]
    rows = "rows" if batched else f"range({cost.n_samples or 0})"
    signature = f"w, rows=range({cost.n_samples})" if batched else "w"
    data = f"[*DATA, *{list(numbers)!r}]" if columns else repr(list(numbers))
    return [
        "import math", "", "import numpy as np", "",
        *(_data_lines(columns, archive) if columns else []),
        "", kernel.source.rstrip(), "", "",
        f"def cost({signature}):", f"    return evaluate(w, {data}, {rows})[0]", "", "",
        f"def gradient({signature}):", f"    return evaluate(w, {data}, {rows})[1]", "", "",
    ]  # fmt: skip


def _data_lines(columns: Mapping[str, NDArray], archive: str) -> list[str]:
    if sum(column.size for column in columns.values()) > EMBEDDED:
        return [
            "from pathlib import Path",
            "",
            *loading(archive),
            f"DATA = [DATA[name] for name in {listed(columns)}]",
        ]
    rows = [f"    np.array({listed(column.tolist())}),  # {name}" for name, column in columns.items()]
    return ["DATA = [", *[row.replace("\n", "\n             ") for row in rows], "]"]


def _unpacked(names: Any) -> str:
    names = list(names)
    return f"({names[0]},)" if len(names) == 1 else ", ".join(names)


class _NumPy(ast.NodeTransformer):
    """Formulas as NumPy code; ``helpers`` gathers the functions that NumPy lacks."""

    def __init__(self, constants: Mapping[str, float], taken: set[str]):
        self.constants, self.taken = constants, taken
        self.helpers: set[str] = set()

    def code(self, text: str) -> str:
        return ast.unparse(self.visit(syntax_tree(text)[0]))

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        return self.visit(ast.Name(node.attr))

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in self.constants:
            return constant(self.constants[node.id])
        if node.id in self.taken:
            return node
        return ast.Name(NAMES.get(node.id, f"np.{node.id}" if node.id in SAME else node.id))

    def visit_Call(self, node: ast.Call) -> ast.AST:
        match node:
            case ast.Call(func=ast.Name(id="log"), args=[ast.Call(func=ast.Name(id="cosh"), args=[inner])]):
                self.helpers.add("logcosh")
                return ast.Call(ast.Name("logcosh"), [self.visit(inner)], [])
            case ast.Call(func=ast.Name(id=name)) if name in HELPERS:
                self.helpers.add(name)
                return ast.Call(ast.Name(name), [self.visit(a) for a in node.args], [])
        return self.generic_visit(node)
