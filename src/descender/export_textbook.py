"""The part of an exported script that takes the steps of a textbook method: its rule and its rate, written out."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender.export_lbfgs import listed
from descender.methods.position import reads
from descender.methods.textbook import Textbook
from descender.walk import Walk


def textbook_steps(walk: Walk, method: Textbook, start: str | None = None, samples: str = "len(DATA[0])") -> list[str]:
    """The lines that take the steps of a walk; `start` and `samples` are code for its first point and how many rows."""
    rule, rate = method.rule, method.rate
    searched, back = hasattr(rate, "ceiling"), reads(rate, "g_before")
    lines = [f"w = {start or vector(started(walk))}"]
    first = "w" if getattr(rule, "begins_at_start", False) else "np.zeros_like(w)"
    lines += [f"{slot} = {first}" for slot in rule.slots]
    kept = [f"kept_{name}" for owner in (rule, rate) for name in getattr(owner, "memory", ())]
    lines += [f"{' = '.join(kept)} = 0.0"] if kept else []
    lines += ["w_before, g_before = w, np.zeros_like(w)"] if back else []
    lines += ["origin = w"] if reads(rule, "origin") or reads(rate, "origin") else []
    lines += ["last = 0.0"] if reads(rate, "last") else []
    lines += _random_lines(walk, method, samples)
    if hasattr(rate, "then"):
        schedule = inlined(rate.then.formula, {"q": rate.then})
        lines += ["", "", "def schedule(t):", *("    " + line for line in schedule.lines)]
        lines += [f"    return {schedule.values[0]}", "", ""]
    batched = method.batch_size != "full"
    lines.append(f"for t, rows in zip(range({walk.nit}), batches()):" if batched else f"for t in range({walk.nit}):")
    body = _gradient_lines(len(walk.x), method)
    body += rate_lines(rate)
    remembered, step, news = rule_lines(rule)
    body += remembered
    ends = [f"np.array({np.asarray(side).tolist()})" for side in method.bounds or ()]
    box = ", ".join(ends).replace("inf", "np.inf")
    project = [f"new = np.clip(new, {box})"] if box else []
    drop, forgets = "slope @ (new - w)", rule.slots and first != "w"
    if method.proximal:
        reach = "rate * thresholds" if method.options.whole == 1 else f"rate * len(rows) / {samples} * thresholds"
        project = [f"new = new - np.clip(new, -{reach}, {reach})"]
        drop = f"({drop} + thresholds @ (np.abs(new) - np.abs(w)))"
    promise = f"{rate.share!r} * {drop}" if searched else ""
    if searched and method.switches.extrapolates:
        promise = f"{drop} + np.sum((new - w) ** 2) / (2 * rate) + 4e-16 * abs(value)"
    targets = ["w", *rule.slots]
    if searched:
        names = ["new", *(f"new_{slot}" for slot in rule.slots)]
        ceiling = inlined(rate.ceiling, {"q": rate}, m=[f"kept_{name}" for name in getattr(rate, "memory", ())])
        body += [
            f"ceiling = {ceiling.values[0]}",
            *(["forgotten = False"] if forgets else []),
            "while True:",
            *("    " + line for line in [*step, f"{', '.join(names)} = {', '.join(news)}", *project]),
            *("    " + line for line in (_forgetting(rule.slots) if forgets else [])),
            f"    if cost(new) <= ceiling + {promise}:",
            "        break",
            f"    rate = rate * {rate.shrink!r}",
        ]
        step, news = [], names
    elif project or method.switches.settles:
        body += [*step, f"new = {news[0]}", *project]
        step, news = [], ["new", *news[1:]]
    body += step
    settled, news = _settled_lines(rule, news)
    body += settled
    if box and method.switches.extrapolates:
        news[0] = f"np.clip({news[0]}, {box})"
    body += ["last = rate"] if reads(rate, "last") else []
    if back:
        targets, news = ["w_before", "g_before", *targets], ["w", "g", *news]
    body.append(f"{', '.join(targets)} = {', '.join(news)}")
    lines += ["    " + line for line in body]
    if hasattr(rule, "answer"):
        answer = inlined(rule.answer, {"p": rule}, s=rule.slots)
        lines += ["# What is reported is not the point where the gradient was read", f"t = {walk.nit}"]
        lines += [*answer.lines, f"w = {answer.values[0]}"]
    return lines


def started(walk: Walk) -> NDArray:
    """The point where a walk began."""
    path = walk.record.path
    return np.asarray(walk.record.facts["start"] if path is None else path[0], dtype=np.float64)


def vector(w: NDArray) -> str:
    """A point as code."""
    numbers = listed(w.tolist())
    return (
        f"np.array({numbers})"
        if "\n" not in numbers
        else f"np.array(\n    {numbers.replace(chr(10), chr(10) + '    ')}\n)"
    )


def _forgetting(slots: tuple[str, ...]) -> list[str]:
    """A step that what is remembered leads uphill is taken again without it."""
    if not slots:
        return []
    return [
        "if slope @ (new - w) > 0 and not forgotten:",
        f"    {' = '.join(slots)} = np.zeros_like(w)",
        "    forgotten = True",
        "    continue",
    ]


def _gradient_lines(size: int, method: Textbook) -> list[str]:
    """How a step reads its gradient, and what is done to it."""
    options, arguments = method.options, "w" if method.batch_size == "full" else "w, rows"
    lines = [f"value = cost({arguments})"] if reads(method.rate, "value") or hasattr(method.rate, "ceiling") else []
    lines.append(f"g = gradient({arguments})")
    if options.coordinates:
        lines.append(f"g = np.where(np.arange({size}) == t % {size}, g, 0.0)  # one coordinate at a time")
    lines += ["slope = g"] if hasattr(method.rate, "ceiling") else []
    if np.isfinite(options.clip_norm):
        lines.append(f"g = g * min(1.0, {options.clip_norm!r} / max(np.linalg.norm(g), 1e-300))")
    if np.isfinite(options.clip_value):
        lines.append(f"g = np.clip(g, {-options.clip_value!r}, {options.clip_value!r})")
    return lines + (_noise_lines(method.rule, size) if reads(method.rule, "noise") else [])


def _noise_lines(rule: Any, size: int) -> list[str]:
    deviation = inlined(rule.deviation, {"p": rule}).values[0]
    return [f"noise = {deviation} * noises.standard_normal({size})"]


def rate_lines(rate: Any) -> list[str]:
    """The lines that lead to ``rate``."""
    if hasattr(rate, "then"):
        return [f"rate = {inlined(rate.formula, {'q': rate}).values[0]}"]
    kept = [f"kept_{name}" for name in getattr(rate, "memory", ())]
    lines = _sum_lines(rate, {"q": rate}, kept, ())
    found = inlined(rate.formula, {"q": rate}, m=kept, sums=_sum_names(rate))
    return [*lines, *found.lines, f"{', '.join(['rate', *kept])} = {', '.join(found.values)}"]


def rule_lines(rule: Any) -> tuple[list[str], list[str], list[str]]:
    """What a rule notes once a step, its lines, and the expressions of the new point and the new slots."""
    kept = [f"kept_{name}" for name in getattr(rule, "memory", ())]
    lines = _sum_lines(rule, {"p": rule}, kept, rule.slots)
    if hasattr(rule, "remember"):
        found = inlined(rule.remember, {"p": rule}, s=rule.slots, m=kept, sums=_sum_names(rule))
        lines += [*found.lines, f"{', '.join(kept)} = {', '.join(found.values)}"]
    step = inlined(rule.formula, {"p": rule}, s=rule.slots, m=kept)
    return lines, step.lines, [*step.values, *rule.slots] if hasattr(rule, "settle") else step.values


def _settled_lines(rule: Any, news: list[str]) -> tuple[list[str], list[str]]:
    """What a rule makes of the new point after bounds and penalty, and the expressions of the point and the slots."""
    if not hasattr(rule, "settle"):
        return [], news
    slots, kept = news[1:], [f"kept_{name}" for name in getattr(rule, "memory", ())]
    lines = []
    if hasattr(rule, "weigh"):
        lines = _sum_lines(rule, {"p": rule}, kept, slots, "terms_after")
        found = inlined(rule.weigh, {"p": rule}, m=kept, sums=_sum_names(rule, "terms_after"))
        lines += [*found.lines, f"{', '.join(kept)} = {', '.join(found.values)}"]
    found = inlined(rule.settle, {"p": rule}, s=slots, m=kept)
    return [*lines, *found.lines], found.values


def _sum_names(owner: Any, part: str = "terms") -> list[str]:
    if not hasattr(owner, part):
        return []
    return [f"sum_{k}" for k in range(len(inlined(getattr(owner, part), {}).values))]


def _sum_lines(
    owner: Any, numbers: Mapping[str, Any], kept: list[str], slots: Sequence[str], part: str = "terms"
) -> list[str]:
    if not hasattr(owner, part):
        return []
    terms = inlined(getattr(owner, part), numbers, s=slots, m=kept)
    names = _sum_names(owner, part)
    return [*terms.lines, *(f"{name} = np.sum({value})" for name, value in zip(names, terms.values, strict=True))]


def _random_lines(walk: Walk, method: Textbook, samples: str) -> list[str]:
    """The generators of batches and of noise."""
    seed = walk.record.facts.get("seed", 0)
    lines = [f"noises = np.random.default_rng({seed}).spawn(1)[0]"] if reads(method.rule, "noise") else []
    if method.batch_size == "full":
        return lines
    return [
        *lines,
        f"random = np.random.default_rng({seed})",
        "",
        "",
        "def batches():",
        "    while True:",
        f"        order = random.permutation(np.arange({samples}))",
        f"        for first in range(0, {samples}, {int(method.batch_size)}):",
        f"            yield order[first : first + {int(method.batch_size)}]",
        "",
        "",
    ]


class Inlined(NamedTuple):
    """The lines of a formula, and the expressions that it returns."""

    lines: list[str]
    values: list[str]


def inlined(formula: Any, numbers: Mapping[str, Any], **tuples: Any) -> Inlined:
    """A formula with its numbers put in, and names in the place of the entries of tuples such as ``s``.

    >>> from descender.methods.rules import Momentum
    >>> inlined(Momentum.formula, {"p": Momentum(0.5)}, s=("velocity",))
    Inlined(lines=['v = 0.5 * velocity + g'], values=['w - rate * v', 'v'])
    """
    function = ast.parse(textwrap.dedent(inspect.getsource(formula))).body[0]
    assert isinstance(function, ast.FunctionDef)
    put_in, lines, values = _PutIn(numbers, tuples), [], []
    for statement in function.body:
        if isinstance(statement, ast.Assign):
            lines.append(ast.unparse(put_in.visit(statement)))
        elif isinstance(statement, ast.Return):
            assert statement.value is not None
            values = [ast.unparse(value) for value in _flat(put_in.visit(statement.value))]
    return Inlined(lines, values)


def formula_text(text: str, owner: Any) -> str:
    """The text of a method with the numbers of its owner put in.

    >>> from descender.costs.losses import Quantile
    >>> formula_text("def bound(z): return self.level * z", Quantile(0.9)).splitlines()
    ['def bound(z):', '    return 0.9 * z']
    """
    return ast.unparse(_PutIn({"self": owner}, {}).visit(ast.parse(text)))


def _flat(value: ast.expr) -> list[ast.expr]:
    if isinstance(value, ast.Tuple):
        return [leaf for entry in value.elts for leaf in _flat(entry)]
    return [] if isinstance(value, ast.Name) and value.id == "s" else [value]


class _PutIn(ast.NodeTransformer):
    """``p.beta`` becomes its number, ``s[0]`` the name of what is remembered, ``math.sqrt`` NumPy's."""

    def __init__(self, numbers: Mapping[str, Any], tuples: Mapping[str, Any]):
        self.numbers, self.tuples = numbers, tuples

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if ast.unparse(node.func) == "q.then.formula":
            return ast.Call(ast.Name("schedule"), [self.visit(node.args[1])], [])
        if ast.unparse(node.func) == "half_wave":  # by the function that its polynomial stands for
            return ast.parse(f"np.sin(np.pi / 2 * ({ast.unparse(self.visit(node.args[0]))})) ** 2", mode="eval").body
        return self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        match node.value:
            case ast.Name(id=name) if name in self.numbers:
                return constant(getattr(self.numbers[name], node.attr))
            case ast.Name(id="math"):
                return ast.Attribute(ast.Name("np"), node.attr)
        return self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        match node:
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=int(k))) if name in self.tuples:
                return ast.Name(self.tuples[name][k])
        return self.generic_visit(node)


def constant(value: float) -> ast.expr:
    """A number as code."""
    number = ast.Constant(abs(float(value)))
    return ast.UnaryOp(ast.USub(), number) if value < 0 else number
