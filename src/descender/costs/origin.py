"""Where a formula leaves the finite numbers: the first operation that does, its row, and the number that made it."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

from descender.costs.cost import Vector
from descender.costs.display import Show, pretty
from descender.costs.formula import Formula
from descender.costs.program import Writer, numpy_as_math

PARTIAL = ("log", "sqrt", "pow", "acos", "asin", "acosh", "atanh", "log1p")
"""Functions that are not defined everywhere; so is a quotient."""


class Origin(NamedTuple):
    """An operation that is not finite, as text; what it was given, as text and number; the row; whether of a slope.

    ``domain`` says whether it is one that is not defined everywhere, such as a logarithm, and no overflow.
    """

    operation: str
    given: str
    value: float
    row: int | None
    slope: bool
    domain: bool


def origin(formula: Formula, w: Vector) -> Origin | None:
    """The first operation of a formula, or else of its derivatives, that is not finite at w; None if all are.

    >>> origin(Formula("x + log(x - 1)"), [-2.0])
    Origin(operation='log(x - 1)', given='x - 1', value=-3.0, row=None, slope=False, domain=True)
    >>> origin(Formula("mean(sqrt(t - a))", {"t": [5.0, 4.0, 1.0]}), [2.0])
    Origin(operation='sqrt(t - a)', given='t - a', value=-1.0, row=2, slope=False, domain=True)
    >>> origin(Formula("sqrt(x)"), [0.0]).slope, origin(Formula("sqrt(x)"), [1.0])
    (True, None)
    """
    for outputs, slope in (([formula.reading.expr], False), ([formula.reading.expr, *formula.slopes], True)):
        found = _first(formula, outputs, w, slope)
        if found is not None:
            return found
    return None


def _first(formula: Formula, outputs: list[Any], w: Vector, slope: bool) -> Origin | None:
    writer = Writer(formula.reading)
    for output in outputs:
        writer.operand(output)
    before, inside, after = writer.lines
    lines = [*before, *inside, *(f"{name} = total({inner})" for name, inner in writer.totals.items()), *after]
    known: dict[str, Any] = {f"v{k}": np.float64(value) for k, value in enumerate(w)}
    known |= {f"c{k}": column for k, column in enumerate(formula.columns.values())}
    known |= {f"k{k}": np.float64(value) for k, value in enumerate(formula.constants.values())}
    known |= {"n": np.float64(formula.n_samples or 0)}
    tools = {"math": numpy_as_math("math.erf" in "".join(lines)), "abs": np.abs, "total": np.add.reduce}
    tools |= {"min": np.minimum, "max": np.maximum}
    for line in lines:
        name, text = line.split(" = ", 1)
        with np.errstate(all="ignore"):
            known[name] = eval(text, tools | known)
        if not np.isfinite(known[name]).all():
            return _told(formula, writer, name, text, known, slope)
    return None


def _told(formula: Formula, writer: Writer, name: str, text: str, known: dict[str, Any], slope: bool) -> Origin:
    meaning = {name: expr for expr, name in writer.names.items()}
    show = Show(formula.reading, formula.n_samples)

    def shown(name: str) -> str:
        return pretty(show.best(meaning[name])) if name in meaning else name

    result = known[name]
    row = int(np.argmin(np.isfinite(result))) if np.ndim(result) else None
    _, _, below = text.partition(" / ")
    used = re.findall(r"\b[tvcks]\d+\b", below) or re.findall(r"\b[tvcks]\d+\b", text)

    def at(name: str) -> float:
        value = known[name]
        return float(value[row] if np.ndim(value) and row is not None else np.max(value))

    given = min(used, key=lambda name: abs(at(name))) if below else used[0]
    function = re.match(r"math\.(\w+)\(", text)
    domain = (bool(below) and at(given) == 0.0) or (function is not None and function[1] in PARTIAL)
    return Origin(shown(name), shown(given), at(given), row, slope, domain)
