"""Exact stationary points: all of them where that can be known, a reason where not, and never late."""

import json
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from descender import minimize, stationary_points
from descender.costs import stationary
from descender.costs.formula import Formula
from descender.costs.stationary import solve_gradient
from descender.errors import FormulaError, OptionError

X = np.random.default_rng(0).normal(size=30)
Y = 3 * X + 1 + 0.1 * np.random.default_rng(1).normal(size=30)

KINDS = {
    "x**4 - 2*x**2 + x/2": ["minimum", "minimum", "maximum"],
    "(x**2 + y - 11)**2 + (x + y**2 - 7)**2": ["minimum"] * 4 + ["saddle"] * 4 + ["maximum"],
    "(x**2 + y - 11)**2 + (x + y**2 - 7)**2 + 2*x + 5*y": ["minimum"] * 4 + ["saddle"] * 4 + ["maximum"],
    "(1-x)**2 + 100*(y-x**2)**2": ["minimum"],
    "x**2*y + y**3 - 3*y": ["minimum", "saddle", "saddle", "maximum"],
    "x/(1 + x**2)": ["minimum", "maximum"],
    "exp(x)*(x**2 - 1)": ["minimum", "maximum"],
    "log(cosh(x))": ["minimum"],
    "x": [],
    "x**4": ["minimum"],
    "-x**4": ["maximum"],
    "x**3": ["saddle"],
    "x**4 + y**4": ["minimum"],
    "(x**2 + y**2 - 1)**2*0 + x**2*y**2 + x**4 + y**6": ["minimum"],
    "1/x + x": ["minimum", "maximum"],
}


@pytest.fixture
def in_this_process(monkeypatch):
    """Asked and answered in the same words, without a process for each, which would load SymPy for a second."""

    def run(command, input, **options):
        answer = json.dumps(stationary.answer(json.loads(input)))
        return subprocess.CompletedProcess(command, 0, answer, "")

    monkeypatch.setattr(stationary, "subprocess", SimpleNamespace(**vars(subprocess) | {"run": run}))


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("text", KINDS)
def test_all_points_and_what_they_are(text):
    found = stationary_points(text)
    assert not found.failure
    assert found.complete
    assert sorted(p.kind for p in found) == sorted(KINDS[text])
    cost = Formula(text)
    for p in found:
        assert np.abs(cost.gradient(p.x)).max() < 1e-8 * (1 + np.abs(cost.hessian(p.x)).max())
        assert p.fun == cost.value(p.x)
    assert [p.fun for p in found] == sorted(p.fun for p in found)
    assert "and there are no others" in str(found)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(-6, 6), min_size=2, max_size=4, unique=True))
def test_the_roots_of_the_slope_are_the_points(in_this_process, roots):
    roots = sorted(roots)
    slope = np.poly(roots)
    cost = np.polyint(slope)
    text = " + ".join(f"({float(c)!r})*x**{len(cost) - 1 - k}" for k, c in enumerate(cost))
    found = stationary_points(text)
    assert sorted(p.x[0] for p in found) == pytest.approx(roots, abs=1e-9)
    kinds = [p.kind for p in sorted(found, key=lambda p: p.x[0])]
    rising = [(len(roots) - k) % 2 == 1 for k in range(len(roots))]
    assert kinds == ["minimum" if up else "maximum" for up in rising]


@pytest.mark.usefixtures("in_this_process")
def test_least_squares_over_columns():
    found = stationary_points("mean((y - (m*x + c))**2)", data={"x": X, "y": Y})
    m, c = np.polyfit(X, Y, 1)
    assert found.complete
    (point,) = found
    assert point.x == pytest.approx([m, c], rel=1e-12)
    assert point.kind == "minimum"
    summed = stationary_points("sum((y - m*x)**2)/2 + a*m**2", data={"x": X, "y": Y}, constants={"a": 0.5})
    assert summed[0].x[0] == pytest.approx(X @ Y / (X @ X + 1), rel=1e-12)


@pytest.mark.usefixtures("in_this_process")
def test_exact_numbers_are_told():
    assert [p.exact for p in stationary_points("x**3 - 6*x")] == [("sqrt(2)",), ("-sqrt(2)",)]
    assert stationary_points("a*x**2 + b*x", constants={"a": 2.0, "b": 0.3})[0].exact == ("-3/40",)
    assert "x = sqrt(2)" in str(stationary_points("x**3 - 6*x"))


@pytest.mark.usefixtures("in_this_process")
def test_what_has_no_end_and_what_is_not_isolated():
    waves = stationary_points("sin(x)")
    assert waves.complete
    assert waves.families[0] == "x = 2*pi*n + pi/2 for every whole number n"
    assert {p.kind for p in waves} == {"minimum", "maximum"}
    valley = stationary_points("(x - y)**2")
    assert (len(valley), valley.families, valley.complete) == (0, ("x = y",), False)
    assert str(valley) == "not isolated; x = y"
    some = stationary_points("x**2 + sin(y)")
    assert len(some) > 0
    assert not some.complete
    assert "there may be others" in str(some)


FAILS = {
    "x**2/10 + cos(x)": "no method of algebra: could not solve",
    "abs(x) + x**2": "kinks",
    "mean(log(1 + exp(m*x)))": "only powers and products",
}


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("text", FAILS)
def test_a_failure_is_an_answer_with_its_reason(text):
    found = stationary_points(text, data={"x": X} if "mean" in text else None, seconds=60)
    assert FAILS[text] in found.failure
    assert len(found) == 0
    assert str(found) == found.failure


def children():
    return {p for p in os.listdir("/proc") if p.isdigit() and _parent(p) == os.getpid()}


def _parent(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rsplit(")", 1)[1].split()[1])
    except OSError:
        return -1


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads /proc")
def test_the_time_limit_ends_the_work():
    hard = "(x**9*y**5 - z**7 + 3)**2 + (x**5*z**8 - y**9 + x)**2 + (z**5*y**7 - x**9 - 2)**2"
    before, began = children(), time.perf_counter()
    found = stationary_points(hard, seconds=2)
    assert time.perf_counter() - began < 10
    assert found.failure == "no answer within 2 seconds"
    assert children() == before


def test_text_is_not_executed_in_the_other_process():
    """It reads by the same parser: what is no formula is an error there, too, and nothing runs."""
    evil = {"text": "__import__('os').system('echo ran >&2')", "variables": ["x"], "constants": {}, "columns": {}}
    done = subprocess.run(
        [sys.executable, "-m", "descender.costs.stationary"],
        input=json.dumps(evil | {"seconds": 20}), capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert "ran" not in done.stderr.split()
    assert "no method of algebra" in json.loads(done.stdout)["failure"]
    with pytest.raises(FormulaError):
        stationary_points(evil["text"])


def test_a_process_that_dies_is_told(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert "no process could be started" in solve_gradient(Formula("x**2"), 5).failure
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert "ended with status 1" in solve_gradient(Formula("x**2"), 5).failure


def test_beside_a_walk():
    walk = minimize("x**4 - 2*x**2 + x/2", "x=2", exact=True)
    assert walk["x"] == pytest.approx(walk.stationary.minima[1].x[0])
    many = minimize("x**4 - 2*x**2 + x/2", starts="grid 5 -2..2", exact=20)
    assert many.stationary.complete
    assert [m.fun for m in many.minima] == pytest.approx([p.fun for p in many.stationary.minima])
    assert minimize("x**2", "x=1").stationary is None


def test_what_algebra_cannot_be_asked():
    with pytest.raises(OptionError, match="needs a typed formula"):
        minimize(lambda w: w @ w, [1.0], exact=True)
    with pytest.raises(OptionError, match="needs a typed formula"):
        stationary_points(lambda w: w @ w)
    for seconds in (0, -1, True, "ten", float("inf")):
        with pytest.raises(OptionError, match="how long algebra may take"):
            stationary_points("x**2", seconds=seconds)
