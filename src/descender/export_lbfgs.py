"""The part of an exported script that replays L-BFGS: the two-loop recursion with the step lengths that were found."""

from __future__ import annotations

import pprint
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Vector
from descender.costs.formula import Formula
from descender.errors import CapabilityError
from descender.methods.lbfgs import LBFGS, changed
from descender.walk import Walk

LONGEST_REPLAY = 5_000
"""Step lengths of a line search that are written down at most."""


def listed(items: Any) -> str:
    """A list as code, in lines that fit.

    >>> listed(("x", "y"))
    '["x", "y"]'
    """
    text = pprint.pformat(list(items), width=100, compact=True)
    return text.replace("'", '"')


def lbfgs_steps(cost: Formula, walk: Walk) -> list[str]:
    """The lines that take the steps of a walk by L-BFGS, and begin anew where it did."""
    path = walk.record.path
    rates = walk.record["learning_rate"]
    rates = rates[np.isfinite(rates)]
    assert path is not None
    if len(rates) != walk.nit or len(rates) > LONGEST_REPLAY:
        raise CapabilityError(f"the {walk.nit:,} step lengths of this walk are too many for a script")
    jumps = _jumps(cost, path, walk.x, rates)
    lines = ["# How far the line search went along each direction"]
    lines.append(f"lengths = {listed(rates.tolist())}")
    if jumps:
        lines.append("# Where the walk began anew after a step: past a saddle, or one exact Newton step to the bottom")
        lines.append(f"anew = {pprint.pformat({t: point.tolist() for t, point in jumps.items()}, width=100)}")
    memory = LBFGS().memory
    lines += [
        f"w = np.array({listed(path[0].tolist())})",
        "g, pairs = gradient(w), []",
        "for t, length in enumerate(lengths):",
        "    d, factors = g.copy(), []  # d becomes the inverse Hessian times g: the two-loop recursion",
        "    for s, y in reversed(pairs):",
        "        factors.append((s @ d) / (s @ y))",
        "        d -= factors[-1] * y",
        "    if pairs:",
        "        d *= (pairs[-1][0] @ pairs[-1][1]) / (pairs[-1][1] @ pairs[-1][1])",
        "    else:",
        "        d *= max(1.0, 0.1 * np.linalg.norm(w)) / np.linalg.norm(g)",
        "    for (s, y), a in zip(pairs, reversed(factors)):",
        "        d += (a - (y @ d) / (s @ y)) * s",
        "    new = w - length * d",
        "    new_g = gradient(new)",
        "    s, y = new - w, new_g - g",
        "    if s @ y > 1e-12 * max(abs(cost(w)), abs(cost(new))):  # what the values tell of the curvature at the end",
        "        bend = 6 * (cost(w) - cost(new)) + 3 * (g + new_g) @ s",
        "        y = y + min(max(bend, -0.5 * s @ y), 2 * s @ y) / (s @ s) * s",
        "    if s @ y > 1e-12 * np.linalg.norm(s) * np.linalg.norm(y):",
        f"        pairs = [*pairs, (s, y)][-{memory}:]",
    ]
    if jumps:
        lines += ["    if t in anew:", "        new, pairs = np.array(anew[t]), []", "        new_g = gradient(new)"]
    return [*lines, "    w, g = new, new_g"]


def _jumps(cost: Formula, path: NDArray, end: Vector, rates: NDArray) -> dict[int, Vector]:
    """After which steps the walk did not follow the recursion, and from which point it went on."""
    points = [*path[: len(rates)], end]
    jumps: dict[int, Vector] = {}
    memory: list[tuple[Vector, Vector]] = []
    w = points[0]
    value, g = cost.value_and_gradient(w)
    for t, rate in enumerate(rates):
        new = w - rate * _direction(memory, w, g)
        if not _near(new, points[t + 1], w) and memory and t:
            fresh = w - rate * _direction([], w, g)
            if _near(fresh, points[t + 1], w):  # the walk forgot its pairs here
                jumps[t - 1], memory, new = w, [], fresh
        new_value, new_g = cost.value_and_gradient(new)
        s, y = new - w, changed(new - w, value, g, new_value, new_g)
        if s @ y > 1e-12 * np.linalg.norm(s) * np.linalg.norm(y):
            memory = [*memory, (s, y)][-LBFGS().memory :]
        if not _near(new, points[t + 1], w):
            new = points[t + 1]
            jumps[t], memory = new, []
            new_value, new_g = cost.value_and_gradient(new)
        w, value, g = new, new_value, new_g
    return jumps


def _near(a: Vector, b: Vector, before: Vector) -> bool:
    """Whether two ends of a step are one, to a millionth of its length or the last digits of the point."""
    with np.errstate(all="ignore"):
        reach = 1e-6 * np.linalg.norm(b - before) + 1e-12 * np.linalg.norm(b)
        return bool(np.linalg.norm(a - b) <= reach)


def _direction(memory: list[tuple[Vector, Vector]], w: Vector, g: Vector) -> Vector:
    """The two-loop recursion, as the script has it."""
    d, factors = g.copy(), []
    for s, y in reversed(memory):
        factors.append((s @ d) / (s @ y))
        d -= factors[-1] * y
    if memory:
        s, y = memory[-1]
        d *= (s @ y) / (y @ y)
    else:
        d *= max(1.0, 0.1 * float(np.linalg.norm(w))) / float(np.linalg.norm(g))
    for (s, y), a in zip(memory, reversed(factors), strict=True):
        d += (a - (y @ d) / (s @ y)) * s
    return d
