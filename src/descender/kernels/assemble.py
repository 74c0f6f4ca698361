"""The compiled walk: the text of the loop, a rule, a rate and a cost, put into one module and compiled by Numba.

Numba finds compiled code on disk again only when every function that it inlines stands in the same file, and it does
not notice edits of other files.  Hence the module is generated, and named by the hash of its content: another process
finds it, and any edit of any part makes another module.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender.kernels import loops
from descender.kernels.cached import HEADER, JIT, JIT_ENTRY, load
from descender.kernels.inline import PutIn, needed, switched, tree_of, unrolled, written_out
from descender.kernels.texts import Scalars, text_of

SIDE_BY_SIDE = "\n\n# compiled with LLVM's superword parallelism\n"
OPERATIONS = (
    "square", "length", "free_length", "square_between", "distance", "along", "copy", "forget", "clip", "only",
    "project", "shrink", "shrunk_length", "penalty_rise", "keep", "least",
)  # fmt: skip
OPTIONS = ("clip_norm", "clip_value", "gradient_tol", "step_tol", "whole")
STATES = ("state", "new_state", "state_before")
LASTING = ("w", "before", "direction_before", "ahead", "state", "state_before")
"""Vectors that a later block reads."""
VECTORS = ("w", "g", "w_before", "g_before", "origin")
"""What a rate may read, in the order of the arguments of ``rate_at``."""
ENTRY = "numbers, data, order, starts, stops, vectors, states, memory, noise, first, log, path, answers"
RATE = 3
"""Where in `log` the rate of a step stands."""
OWN = 3
"""Where in `memory` the numbers that a rule and a rate remember begin."""
SHORT = 4
"""Weights up to which a formula's vectors are written out as numbers."""


class _Numbers(ast.NodeTransformer):
    """``p.beta`` as the name ``p_beta``."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        path = ast.unparse(node).split(".")
        return ast.Name("_".join(path), node.ctx) if path[0] in ("p", "q", "options") else node


def assemble(
    advance: Callable, evaluate: str, rule: Any, rate: Any, switches: Mapping[str, bool], rows: Sequence[str], size: int
) -> Callable:
    """`advance` as one compiled function of numbers and arrays, for a cost's text `evaluate`, a rule and a rate.

    `switches` says what is on; `rows` names the rows of the matrix of vectors, each of `size` numbers.  It takes
    ``(numbers, data, order, starts, stops, vectors, states, memory, noise, first, log, path, answers)``, where
    `numbers` are those of the rule, the rate and the options (:func:`numbers_of`).
    """
    kind = (advance, evaluate, _kind(rule), _kind(rate), *switches.items(), *rows, min(size, SHORT + 1))
    if kind not in _TEXTS:
        text = entry_text(advance, evaluate, rule, rate, switches, rows, size)
        pays = size <= SHORT and not switches["clips"] and _divides(rule)  # else it only moves numbers about
        _TEXTS[kind] = text + SIDE_BY_SIDE * pays  # a part of the text, by whose hash compiled code is found again
    compiled = load(_TEXTS[kind]).advance
    return vectorised(compiled) if _TEXTS[kind].endswith(SIDE_BY_SIDE) else compiled


def vectorised(compiled: Callable) -> Callable:
    """The same function; where a call compiles it, LLVM may put the same operation on two coordinates into one.

    That changes no bit, and roots and quotients, which stand in line for one unit, take half of the time.  Numba leaves
    it off since old versions of LLVM had an error in it, and knows one switch for the whole process only.
    """
    config: Any = importlib.import_module("numba.core.config")

    def call(*arguments: Any) -> Any:
        before = config.SLP_VECTORIZE
        config.SLP_VECTORIZE = 1
        try:
            return compiled(*arguments)
        finally:
            config.SLP_VECTORIZE = before

    return call


_TEXTS: dict[tuple, str] = {}
"""Each loop's text is written once for every kind of walk; the numbers of a rule or a rate stand in none."""


def _divides(rule: Any) -> bool:
    """Whether a rule takes a root or a quotient in each coordinate."""
    formulas = (text_of(getattr(rule, name), name) for name in ("formula", "settle") if hasattr(rule, name))
    return any("/" in text or "sqrt" in text for text in formulas)


def _kind(owner: tuple) -> tuple:
    """The types of a rule or a rate, and of the schedule within it: two of one kind differ by numbers alone."""
    return (type(owner), *(_kind(value) for value in owner if isinstance(value, tuple)))


def entry_text(
    advance: Callable, evaluate: str, rule: Any, rate: Any, switches: Mapping[str, bool], rows: Sequence[str], size: int
) -> str:
    """The text of the module that :func:`assemble` compiles."""
    body = one_body(advance, evaluate, rule, rate, switches)
    known = {"state": len(rule.slots), "new_state": len(rule.slots), "state_before": len(rule.slots)}
    if _is_short(evaluate, size):
        vectors = dict.fromkeys(rows, size) | {name: count * size for name, count in known.items()}
    else:
        vectors = {}
    vectors["memory"] = OWN + len(getattr(rate, "memory", ())) + len(getattr(rule, "memory", ()))
    body = unrolled(body, vectors)
    lasting = _lasting(rows, vectors, body)
    end = body.pop()
    lines = [*_opening(rule, rate, rows, vectors), *body, *ast.parse("\n".join(lasting)).body, end]
    entry = ast.unparse(ast.fix_missing_locations(ast.Module(needed(lines, set()), [])))
    return f"{HEADER}\n\n{JIT_ENTRY}def advance({ENTRY}):\n{textwrap.indent(entry, '    ')}\n"


def one_body(advance: Callable, evaluate: str, rule: Any, rate: Any, switches: Mapping[str, bool]) -> list[ast.stmt]:
    """The lines of `advance` with every operation written out and what is switched off left out."""
    functions = {tree.name: tree for tree in ast.parse(evaluate).body if isinstance(tree, ast.FunctionDef)}
    functions["evaluate"] = in_place(functions["evaluate"])
    for name in OPERATIONS:
        functions[name] = tree_of(text_of(getattr(loops, name), name))
    own = OWN + len(getattr(rule, "memory", ()))
    for tree in map(tree_of, [*rule_texts(rule), *rate_texts(rate, own)]):
        functions[tree.name] = tree
    body = switched(tree_of(text_of(advance, "advance")).body, switches)
    if not (switches["clips"] or switches["coordinates"]):
        body = [PutIn({"direction": ast.Name("gradient", ast.Load())}).visit(line) for line in body]
    return [_Numbers().visit(Scalars().visit(line)) for line in written_out(body, functions)]


@lru_cache(64)
def numbers_of(rule: Any, rate: Any, options: Any) -> NDArray[np.float64]:
    """The numbers of a rule, a rate and the options, in the order in which the compiled loop reads them."""
    named = _named_numbers("p", rule) + _named_numbers("q", rate)
    return np.array([value for _, value in named] + [float(getattr(options, name)) for name in OPTIONS])


def _named_numbers(name: str, owner: Any) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for field, value in zip(owner._fields, owner, strict=True):
        if isinstance(value, tuple):
            found += _named_numbers(f"{name}_{field}", value)
        else:
            found.append((f"{name}_{field}", float(value)))
    return found


def _opening(rule: Any, rate: Any, rows: Sequence[str], vectors: Mapping[str, int]) -> list[ast.stmt]:
    """The lines that take numbers and vectors from the arguments."""
    names = [name for name, _ in _named_numbers("p", rule) + _named_numbers("q", rate)]
    lines = [f"{name} = numbers[{k}]" for k, name in enumerate([*names, *(f"options_{name}" for name in OPTIONS)])]
    for table, owners in (("vectors", rows), ("states", STATES)):
        for r, name in enumerate(owners):
            if name in vectors:
                lines += [f"{name}_{j} = {table}[{r}, {j}]" for j in range(vectors[name])]
            else:
                lines.append(f"{name} = {table}[{r}]")
    lines += [f"memory_{k} = memory[{k}]" for k in range(vectors["memory"])]
    return ast.parse("\n".join(lines)).body


def _lasting(rows: Sequence[str], vectors: Mapping[str, int], body: Sequence[ast.stmt]) -> list[str]:
    """The lines that put back what has changed and a later block reads."""
    changed = {
        node.id
        for line in body
        for node in ast.walk(line)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    places = {f"memory_{k}": f"memory[{k}]" for k in range(vectors["memory"])}
    for table, owners in (("vectors", rows), ("states", STATES)):
        for r, name in enumerate(owners):
            if name in vectors and name in LASTING:
                places |= {f"{name}_{j}": f"{table}[{r}, {j}]" for j in range(vectors[name])}
    return [f"{place} = {name}" for name, place in places.items() if name in changed]


def _is_short(evaluate: str, size: int) -> bool:
    """Whether a cost reads its few weights, and writes its derivatives, one by one."""
    tree = in_place(tree_of(evaluate)) if size <= SHORT and evaluate.count("def ") == 1 else None
    if tree is None:
        return False
    vectors = tuple(argument.arg for argument in tree.args.args[:2])
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in vectors]
    single = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id in vectors
        and isinstance(node.slice, ast.Constant)
    ]
    return len(uses) == len(single)


def in_place(evaluate: ast.FunctionDef) -> ast.FunctionDef:
    r"""A cost's text that fills a gradient it is given, in place of one that it makes.

    >>> tree = tree_of("def evaluate(w, data, rows):\n    g = np.empty(1)\n    g[0] = 2.0\n    return w[0], g")
    >>> print(ast.unparse(in_place(tree)))
    def evaluate(gradient, w, data, rows):
        gradient[0] = 2.0
        return w[0]
    """
    end = evaluate.body[-1]
    assert isinstance(end, ast.Return)
    assert isinstance(end.value, ast.Tuple)
    value, made = end.value.elts
    arguments = ast.arguments([], [ast.arg("gradient"), *evaluate.args.args], None, [], [], None, [])
    if not isinstance(made, ast.Name) or not any(_allocates(line, made.id) for line in evaluate.body):
        arguments.args[0].arg = "filled"
        fill = "for j in range(filled.shape[0]):\n    filled[j] = made[j]"
        copied = [ast.Assign([ast.Name("made", ast.Store())], made, lineno=0), *ast.parse(fill).body, ast.Return(value)]
        return ast.FunctionDef("evaluate", arguments, [*evaluate.body[:-1], *copied], [], lineno=0)
    clear = ast.parse("for j in range(gradient.shape[0]):\n    gradient[j] = 0.0").body
    body: list[ast.stmt] = []
    for line in evaluate.body[:-1]:
        if _allocates(line, made.id):
            body += clear if "zeros" in ast.unparse(line) else []
        else:
            body.append(line)
    put = PutIn({made.id: ast.Name("gradient", ast.Load())})
    body = [put.visit(line) for line in [*body, ast.Return(value)]]
    return ast.FunctionDef("evaluate", arguments, body, [], lineno=0)


def _allocates(line: ast.stmt, name: str) -> bool:
    """Whether a line makes the array of this name."""
    match line:
        case ast.Assign(targets=[ast.Name(id=made)], value=ast.Call(func=ast.Attribute(attr="empty" | "zeros"))):
            return made == name
    return False


def rate_texts(rate: Any, first: int) -> list[str]:
    """``schedule``, or ``rate_at`` and ``ceiling_at`` for a rate whose memory begins at `first`; what they call."""
    m = _tuple([f"memory[{first + k}]" for k in range(len(getattr(rate, "memory", ())))])
    given = {"q": "q", "t": "t", "value": "value", "last": "memory[0]", "m": m}
    texts, sums = _sums(rate, "rate_sums", given | {name: f"{name}[j]" for name in VECTORS})
    formula = text_of(rate.formula, "rate_formula")
    if hasattr(rate, "then"):
        formula = formula.replace("q.then.formula(", "then_formula(")
        texts.append(text_of(rate.then.formula, "then_formula"))
    texts += [text for owner in (rate, getattr(rate, "then", rate)) for text in texts_called(owner.formula)]
    call = f"rate_formula({_arguments(rate.formula, given | {'sums': sums.result})})"
    lines = [*sums.lines, f"rate, {m} = {call}" if m != "()" else f"rate = {call}", "return rate"]
    texts += [formula, _function(f"rate_at(memory, q, t, value, {', '.join(VECTORS)})", lines)]
    loop = ["for k in range(log.shape[1]):", "    t = first + k", f"    log[{RATE}, k] = {call}"]
    texts.append(_function("schedule(log, q, first)", loop))
    if hasattr(rate, "ceiling"):
        texts.append(text_of(rate.ceiling, "ceiling"))
        texts.append(_function("ceiling_at(memory, q, value)", [f"return ceiling({_arguments(rate.ceiling, given)})"]))
    return texts


def rule_texts(rule: Any) -> list[str]:
    """``remember``, ``update`` and ``answer`` for a rule, and the formulas that they call."""
    m = _tuple([f"memory[{OWN + k}]" for k in range(len(getattr(rule, "memory", ())))])
    slots = range(len(rule.slots))
    s, new = (_tuple([f"{name}[w.shape[0] * {k} + j]" for k in slots]) for name in ("state", "new_state"))
    given = {"p": "p", "rate": "rate", "t": "t", "m": m}
    given |= {"w": "w[j]", "g": "g[j]", "s": s, "origin": "origin[j]", "noise": "noise[i, j]"}
    texts, sums = _sums(rule, "rule_sums", given)
    if hasattr(rule, "remember"):
        texts.append(text_of(rule.remember, "rule_remember"))
        call = _arguments(rule.remember, given | {"sums": sums.result})
        lines = [*sums.lines, f"{m} = rule_remember({call})"]
        texts.append(_function("remember(memory, p, w, g, state, origin, rate, t)", lines))
    call = f"rule_formula({_arguments(rule.formula, given)})"
    lines = ["for j in range(w.shape[0]):", f"    new[j], {new} = {call}"]
    texts.append(text_of(rule.formula, "rule_formula"))
    texts.append(_function("update(new, new_state, memory, p, w, g, state, origin, noise, i, rate, t)", lines))
    if hasattr(rule, "settle"):
        texts += _settling(rule, {"p": "p", "t": "t", "w": "w[j]", "new": "new[j]", "s": new, "m": m})
    if hasattr(rule, "answer"):
        texts.append(text_of(rule.answer, "rule_answer"))
        call = f"rule_answer({_arguments(rule.answer, given)})"
        lines = ["for j in range(w.shape[0]):", f"    answers[i, j] = {call}"]
        texts.append(_function("answer(answers, i, p, w, state, t)", lines))
    return texts


def _settling(rule: Any, given: Mapping[str, str]) -> list[str]:
    """``settle`` for a rule, and the formulas that it calls."""
    texts, sums = _sums(rule, "rule_sums_after", given, "terms_after")
    lines = list(sums.lines)
    if hasattr(rule, "weigh"):
        texts.append(text_of(rule.weigh, "rule_weigh"))
        lines.append(f"{given['m']} = rule_weigh({_arguments(rule.weigh, {**given, 'sums': sums.result})})")
    texts.append(text_of(rule.settle, "rule_settle"))
    call = f"rule_settle({_arguments(rule.settle, given)})"
    lines += ["for j in range(w.shape[0]):", f"    {given['new']}, {given['s']} = {call}"]
    return [*texts, _function("settle(new, new_state, memory, p, w, t)", lines)]


class _Sums(NamedTuple):
    """The lines that compute some sums over coordinates, and the tuple of them."""

    lines: list[str]
    result: str


def _sums(owner: Any, name: str, given: Mapping[str, str], part: str = "terms") -> tuple[list[str], _Sums]:
    """The text of the terms that a rule or rate sums, and the loop that sums them."""
    if not hasattr(owner, part):
        return [], _Sums([], "()")
    text = text_of(getattr(owner, part), name)
    returned = tree_of(text).body[-1]
    assert isinstance(returned, ast.Return)
    assert isinstance(returned.value, ast.Tuple)
    count = range(len(returned.value.elts))
    totals, terms = [f"sum{k}" for k in count], [f"term{k}" for k in count]
    lines = [f"{total} = 0.0" for total in totals]
    lines += ["for j in range(w.shape[0]):", f"    {_tuple(terms)} = {name}({_arguments(getattr(owner, part), given)})"]
    lines += [f"    {total} += {term}" for total, term in zip(totals, terms, strict=True)]
    return [text], _Sums(lines, _tuple(totals))


def texts_called(formula: Callable) -> list[str]:
    """The functions of its module that a formula calls, which call no further."""
    called = [node.func for node in ast.walk(tree_of(text_of(formula, "formula"))) if isinstance(node, ast.Call)]
    names = dict.fromkeys(function.id for function in called if isinstance(function, ast.Name))
    known = {name: formula.__globals__.get(name) for name in names}
    return [text_of(function, name) for name, function in known.items() if inspect.isfunction(function)]


def _arguments(function: Callable, given: Mapping[str, str]) -> str:
    """What a formula asks for by the names of its parameters."""
    return ", ".join(given[name] for name in inspect.signature(function).parameters)


def _tuple(names: Sequence[str]) -> str:
    return f"({''.join(f'{name}, ' for name in names)})"


def _function(signature: str, lines: Sequence[str]) -> str:
    return f"def {signature}:\n" + textwrap.indent("\n".join(lines), "    ")


def assemble_one(function: Callable, *helpers: Callable) -> Callable:
    """A function compiled with its helpers, which its first parameters stand for."""
    names = tuple(helper.__name__ for helper in helpers)
    parts = "".join(f"\n\n{JIT}{text_of(helper, name)}\n" for helper, name in zip(helpers, names, strict=True))
    entry = text_of(function, function.__name__, without=names)
    return getattr(load(f"{HEADER}{parts}\n\n{JIT_ENTRY}{entry}\n"), function.__name__)
