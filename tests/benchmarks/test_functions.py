"""The suite of test functions: gradients by difference quotients, known minima, and what the race is to show."""

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jax", reason="the suite is differentiated by JAX")
sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.functions import FOURTH, PROBLEMS, SECOND, THIRD
from benchmarks.functions.race import CONTENDERS, Result, Row, auto, race, ratios, summary, table

from descender.costs.function import Function
from descender.costs.gradient_check import check_gradient
from descender.descent import descend
from descender.methods.lbfgs import LBFGS
from descender.walk import Stop

BY_NAME = {problem.name: problem for problem in PROBLEMS}
FEW = [
    "Rosenbrock",
    "Beale",
    "Helical valley",
    "Kowalik and Osborne",
    "Chebyquad 8",
    "Branin",
    "Trid 10",
    "ENGVAL1 200",
]
# Moré, Garbow and Hillstrom's own figures for the minima that are not zero, to the digits that they give
PUBLISHED = {
    "Bard": 8.21487e-3, "Gaussian": 1.12793e-8, "Kowalik and Osborne": 3.07505e-4, "Brown and Dennis": 85822.2,
    "Jennrich and Sampson": 124.362, "Freudenstein and Roth": 48.9842, "Osborne 2": 4.01377e-2,
    "Watson 6": 2.28767e-3, "Penalty I 10": 7.08765e-5, "Penalty I 4": 2.24997e-5, "Penalty II 4": 9.37629e-6,
    "Chebyquad 8": 3.51687e-3, "Chebyquad 10": 6.50395e-3, "Linear, full rank 10": 10.0,
    "Trigonometric 10": 2.79506e-5, "Meyer": 87.9458, "Osborne 1": 5.46489e-5,
}  # fmt: skip


def test_the_suite_is_large_enough_and_no_name_comes_twice():
    assert len(BY_NAME) == len(PROBLEMS) >= 60
    assert sum(problem.family == "Moré-Garbow-Hillstrom" for problem in PROBLEMS) >= 35
    assert sum(len(problem.start) >= 100 for problem in PROBLEMS) >= 20


def test_the_second_suite_has_other_functions():
    names = {problem.name for problem in SECOND}
    assert len(names) == len(SECOND) >= 100
    assert names.isdisjoint(BY_NAME)
    assert sum(len(problem.start) >= 100 for problem in SECOND) >= 20


def test_the_fourth_suite_has_other_functions():
    names = {problem.name for problem in FOURTH}
    assert len(names) == len(FOURTH) >= 70
    assert names.isdisjoint(problem.name for problem in [*PROBLEMS, *SECOND, *THIRD])
    assert sum(len(problem.start) >= 50 for problem in FOURTH) >= 10


@pytest.mark.parametrize("name", FEW)
def test_gradients_are_those_of_the_values(name):
    problem = BY_NAME[name]
    point = problem.start + 0.01 * np.random.default_rng(0).normal(size=len(problem.start))
    assert check_gradient(Function(problem, len(point), gradient=True), point).ok


@pytest.mark.slow
def test_all_gradients_are_those_of_the_values():
    for problem in [*PROBLEMS, *SECOND, *THIRD, *FOURTH]:
        size = np.maximum(1.0, np.abs(problem.start))
        point = problem.start + 0.01 * size * np.random.default_rng(0).normal(size=len(problem.start))
        if not np.isfinite(problem(point)[0]):  # parameters of 1e-4 that may not be negative
            point = 1.01 * problem.start
        with np.errstate(over="ignore"):
            assert check_gradient(Function(problem, len(point), gradient=True), point).ok, problem.name


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name not in ("Meyer", "Osborne 1")])
def test_published_minima_are_found_when_no_evaluation_is_spared(name):
    problem = BY_NAME[name]
    walk = descend(Function(problem, len(problem.start), gradient=True), problem.start, LBFGS(), Stop(max_steps=2000))
    assert walk.fun == pytest.approx(PUBLISHED[name], rel=1e-5)


@pytest.mark.parametrize("name", ["Wood", "Meyer", "Osborne 1", "Powell badly scaled", "Brown badly scaled"])
def test_the_hard_ones_of_the_suite_are_solved(name):
    """A saddle at 7.877 where L-BFGS-B ends, valleys whose parameters differ by 1e6, a plateau."""
    problem = BY_NAME[name]
    best = PUBLISHED.get(name, 0.0)
    assert auto(problem).value - best <= 1e-6 * max(1.0, abs(problem(problem.start)[0] - best))


def test_a_race_in_small():
    rows = race(BY_NAME[name] for name in FEW)
    assert all(row.solved(name) for row in rows for name in ("auto", "SciPy BFGS", "SciPy L-BFGS-B"))
    for other in ("SciPy BFGS", "SciPy L-BFGS-B"):
        assert np.median(ratios(rows, "auto", other)) <= 1.1
    assert len(summary(rows)) == 2 + len(CONTENDERS)
    assert sum("| Rosenbrock |" in line for line in table(rows)) == 1


def test_what_ends_elsewhere_is_not_solved():
    problem = BY_NAME["Beale"]
    row = Row(problem, 14.2, 0.0, {"near": Result(1e-6, 5), "far": Result(1e-4, 3)})
    assert row.solved("near")
    assert not row.solved("far")
    assert "(3)" in table([row])[-1]
