"""D901 in our own networks: the first number that was not finite, and whether the walk made it or the data did."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from descender.costs.network.trace import Trace
from descender.doctor.finding import Finding, root_first
from descender.walk import Walk

LOOKS_LIKE = ("learning-rate-too-high", "exploding-gradient")
"""What a walk looks like, too, that reads a row which is not finite wherever it begins."""


def lost_network(walk: Walk) -> list[Finding]:
    """The findings of a walk with that of where its network was lost, the root first.

    Where the rows are not finite at the start, either, or would all be finite without one value of the data, no rate
    made them so: that is the root, and what the costs alone made of it is taken back.  Else steps led there: it is told
    after what is found of the rate, as information where the walk went back and on.  An input that is not finite itself
    is D014.  ``made_by`` in `where` says which it was: "data", "start" or "walk".
    """
    if walk.lost is None:
        return walk.findings
    step, trace = walk.lost
    maker = "data" if trace.alone or trace.layer == "input" else "start" if trace.at_start else "walk"
    root = maker != "walk"
    evidence = f"at step {step}, {trace.text}" + "; so it is at the start" * trace.at_start
    where: dict[str, Any] = {"step": step, "layer": trace.layer, "operation": trace.operation, "made_by": maker}
    where |= {
        key: getattr(trace, key)
        for key in ("row", "feature", "node", "column", "parameter")
        if getattr(trace, key) is not None
    }
    severity = "critical" if walk.status == "not_finite" or not np.isfinite(walk.fun) else "warning" if root else "info"
    cause = "nan-input" if trace.layer == "input" else "nan-operation"
    own = Finding(cause, severity, evidence, _remedy(trace, root), where)
    others = [finding for finding in walk.findings if not (root and finding.cause in LOOKS_LIKE)]
    return root_first([*others, own])


def _remedy(trace: Trace, root: bool) -> str:
    if not root:
        return "a third of the rate, or an automatic one; or clip_norm"
    if trace.layer == "loss" and not trace.alone:
        return f"look at row {trace.row}: correct it, leave it out, or take a loss that grows more slowly"
    if trace.row is None:
        return "begin with smaller weights: another initialisation"
    return f"look at row {trace.row}: correct it or leave it out; and bring the columns to one scale"


def looks_only(findings: Iterable[Finding]) -> tuple[str, ...]:
    """The causes that a walk's curves only look like, where data or start made what was lost."""
    return LOOKS_LIKE if any(finding.where.get("made_by") in ("data", "start") for finding in findings) else ()
