"""D9xx in our own walks: where a formula is not defined."""

from __future__ import annotations

from descender.costs.cost import Vector
from descender.costs.formula import Formula
from descender.costs.origin import origin
from descender.doctor.finding import Finding

MODERATE = 1e6
"""An operation that fails for larger numbers is a symptom of what made these."""


def undefined(formula: Formula, step: int, w: Vector) -> list[Finding]:
    """D901: the operation that is not defined at `w`, where a walk was lost after so many steps."""
    first = origin(formula, w)
    if first is None or not first.domain or abs(first.value) > MODERATE:
        return []
    row = f", row {first.row}" if first.row is not None else ""
    what = "the derivative " * first.slope + first.operation
    evidence = f"at step {step}, {what}{row} is not finite for {first.given} = {first.value:.6g}"
    where = {"step": step, "operation": first.operation} | ({} if first.row is None else {"row": first.row})
    remedy = "a smaller --learning-rate, or --bounds that keep the walk where it is defined"
    return [Finding("nan-operation", "critical", evidence, remedy, where)]
