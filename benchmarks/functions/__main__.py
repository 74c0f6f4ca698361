"""Race `auto` against SciPy's methods over the test functions, and print the tables of docs/test-functions.md.

python -m benchmarks.functions                     the standard starts
python -m benchmarks.functions --suite second      other functions; or third, fourth
python -m benchmarks.functions --starts random     one start at random near each
python -m benchmarks.functions --starts 10         ten times as far from the origin, as in Moré's suite
python -m benchmarks.functions --only Wood Meyer   some of them
python -m benchmarks.functions --write             the standard starts, into the page: each suite has its place
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from . import FOURTH, PROBLEMS, SECOND, THIRD, Problem
from .race import race, summary, table

PAGE = Path(__file__).parents[2] / "docs" / "test-functions.md"
SUITES = {
    "first": (PROBLEMS, "the race"),
    "second": (SECOND, "the second race"),
    "third": (THIRD, "the third race"),
    "fourth": (FOURTH, "the fourth race"),
}
"""The problems, and between which marks of the page their tables stand: ``<!-- the race begins -->``."""


def moved(problem: Problem, starts: str) -> Problem:
    """The same function from another start."""
    if starts == "standard":
        return problem
    size = np.maximum(1.0, np.abs(problem.start))
    if starts == "random":
        away = np.random.default_rng(3).normal(size=len(problem.start)) * size
        return problem.from_start(problem.start + away, "random start")
    factor = float(starts)
    far = problem.start * factor if problem.start.any() else np.full_like(problem.start, factor)
    return problem.from_start(far, f"start x {factor:g}")


def main() -> None:
    """Run the race as asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", default="standard", help="standard, random, or a factor such as 10")
    parser.add_argument("--suite", default="first", choices=SUITES)
    parser.add_argument("--only", nargs="+", default=[], help="functions whose names begin so")
    parser.add_argument("--write", action="store_true", help="put the tables into the page of the docs")
    given = parser.parse_args()
    problems, place = SUITES[given.suite]
    chosen = [p for p in problems if not given.only or p.name.startswith(tuple(given.only))]
    rows = race(moved(problem, given.starts) for problem in chosen)
    text = "\n".join([*summary(rows), "", *table(rows)])
    print(text)
    if given.write:
        page = PAGE.read_text(encoding="utf-8")
        begin, end = f"<!-- {place} begins -->", f"<!-- {place} ends -->"
        head, rest = page.split(begin)
        PAGE.write_text(f"{head}{begin}\n{text}\n{end}{rest.split(end)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
