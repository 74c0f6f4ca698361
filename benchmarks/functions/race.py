"""The race: which contender solves which function, and with how many evaluations of value and gradient.

A function counts as solved by a contender that ends with f - f_best <= 1e-6 max(1, |f(start) - f_best|), where f_best
is the lowest value that is known or that any contender finds.  Every call of the function counts, whatever it was made
for: descender's own look at the curvature of the end as much as a step of a line search.  All run with their defaults;
SciPy's BFGS, whose steps cost n^2 and more, sits out above 300 variables.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import scipy.optimize
from numpy.typing import ArrayLike, NDArray

from descender import minimize

from .problem import Problem

LARGEST_BFGS = 300


class Result(NamedTuple):
    """Where a contender ended, and how often it called the function; infinite where it failed or took no part."""

    value: float
    evaluations: int


class Counting:
    """A problem that counts its calls."""

    def __init__(self, problem: Problem):
        self.problem, self.calls = problem, 0

    def __call__(self, w: ArrayLike) -> tuple[float, NDArray[np.float64]]:
        """What the problem answers."""
        self.calls += 1
        return self.problem(w)


def auto(problem: Problem) -> Result:
    """descender, with nothing set."""
    count = Counting(problem)
    walk = minimize(count, problem.start, gradient=True)
    return Result(walk.fun, count.calls)


def scipy_method(name: str) -> Callable[[Problem], Result]:
    """A method of ``scipy.optimize.minimize``, with nothing set."""

    def run(problem: Problem) -> Result:
        if name == "BFGS" and len(problem.start) > LARGEST_BFGS:
            return Result(np.inf, 0)
        count = Counting(problem)
        found = scipy.optimize.minimize(count, problem.start, jac=True, method=name)
        return Result(float(found.fun), count.calls)

    return run


CONTENDERS: dict[str, Callable[[Problem], Result]] = {
    "auto": auto,
    "SciPy BFGS": scipy_method("BFGS"),
    "SciPy L-BFGS-B": scipy_method("L-BFGS-B"),
    "SciPy CG": scipy_method("CG"),
}


class Row(NamedTuple):
    """One function with what each contender made of it."""

    problem: Problem
    first: float
    best: float
    results: dict[str, Result]

    def solved(self, name: str) -> bool:
        """Whether a contender came near enough to the best value."""
        return self.results[name].value - self.best <= 1e-6 * max(1.0, abs(self.first - self.best))


def race(problems: Iterable[Problem], contenders: dict[str, Callable[[Problem], Result]] = CONTENDERS) -> list[Row]:
    """Every contender on every function that has a finite value and gradient at its start."""
    rows = []
    for problem in problems:
        first, gradient = problem(problem.start)
        if not (np.isfinite(first) and np.isfinite(gradient).all()):
            continue
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # SciPy warns of steps that overflow
            results = {name: run(problem) for name, run in contenders.items()}
        values = [result.value for result in results.values() if not np.isnan(result.value)]
        best = min([*values, np.inf if problem.lowest is None else problem.lowest])
        rows.append(Row(problem, first, best, results))
    return rows


def ratios(rows: list[Row], name: str, other: str) -> NDArray[np.float64]:
    """Evaluations of one contender over those of another, on what both solve."""
    both = [row for row in rows if row.solved(name) and row.solved(other)]
    return np.array([row.results[name].evaluations / row.results[other].evaluations for row in both])


def summary(rows: list[Row], name: str = "auto") -> list[str]:
    """The lines of the short table: solved, evaluations in the median, and the comparison with `name`."""
    names = list(rows[0].results)
    common = [row for row in rows if all(row.solved(other) for other in names)]
    lines = [
        f"| contender | solved | median evaluations on the {len(common)} that all solve | `{name}`'s over its |",
        "|---|---|---|---|",
    ]
    for other in names:
        entered = [row for row in rows if row.results[other].evaluations]
        share = 100 * sum(row.solved(other) for row in entered) / len(entered)
        middle = np.median([row.results[other].evaluations for row in common])
        against = "" if other == name else f"{np.median(ratios(rows, name, other)):.2f} in the median"
        lines.append(f"| {other} | {share:.1f} % of {len(entered)} | {middle:g} | {against} |")
    return lines


def table(rows: list[Row]) -> list[str]:
    """Every function with its evaluations; in brackets where the contender did not solve it."""
    names = list(rows[0].results)
    lines = ["| function | variables | best value | " + " | ".join(names) + " |", "|---" * (3 + len(names)) + "|"]
    family = ""
    for row in rows:
        if row.problem.family != family:
            family = row.problem.family
            lines.append(f"| *{family}* |" + " |" * (2 + len(names)))
        cells = []
        for name in names:
            count = row.results[name].evaluations
            cells.append("-" if not count else f"{count:,}" if row.solved(name) else f"({count:,})")
        best = f"{row.best:.6g}" if abs(row.best) > 1e-9 else "0"
        lines.append(f"| {row.problem.name} | {len(row.problem.start):,} | {best} | {' | '.join(cells)} |")
    return lines
