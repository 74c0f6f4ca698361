"""Evaluations are counted where they are made, and a point that is asked for twice is evaluated once."""

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der

from descender import minimize
from descender.costs.cost import Cost
from descender.costs.counted import Counted, counted
from descender.costs.formula import Formula
from descender.costs.risk import Risk

pytestmark = pytest.mark.usefixtures("uncompiled")

START = [-1.2, 1.0]
OPTIONS = {
    "auto": {},
    "budget": {"max_evaluations": 10},
    "gradient tol": {"gradient_tol": 1e-2},
    "gd": {"method": "gd", "learning_rate": 1e-3, "max_steps": 50},
    "backtracking": {"method": "gd", "max_steps": 50},
    "to the end": {"method": "gd", "learning_rate": 1e-3, "step_tol": 1e-4},
    "no step": {"max_steps": 0},
    "too high a rate": {"method": "gd", "learning_rate": 1.0},
    "taken back": {"method": "momentum", "learning_rate": 0.05, "on_divergence": "recover", "max_steps": 30},
}
every = pytest.mark.parametrize("name", OPTIONS)


class Calls:
    """A function that counts its calls."""

    def __init__(self, fun):
        self.fun, self.calls = fun, 0

    def __call__(self, *given):
        self.calls += 1
        return self.fun(*given)


@every
def test_nfev_and_njev_are_the_calls_of_a_function_and_its_gradient(name):
    fun, gradient = Calls(rosen), Calls(rosen_der)
    walk = minimize(fun, START, gradient=gradient, **OPTIONS[name])
    assert (walk.nfev, walk.njev) == (fun.calls, gradient.calls)
    assert walk.record["evaluations"][-1] <= walk.nfev
    assert (np.diff(walk.record["evaluations"]) >= 0).all()


@every
def test_nfev_counts_the_calls_for_difference_quotients(name):
    fun = Calls(rosen)
    walk = minimize(fun, START, **OPTIONS[name])
    assert walk.nfev == fun.calls
    assert walk.njev < walk.nfev


@every
def test_a_function_that_returns_both(name):
    fun = Calls(lambda w: (rosen(w), rosen_der(w)))
    assert minimize(fun, START, gradient=True, **OPTIONS[name]).nfev == fun.calls


def test_batches_are_calls_too():
    x = np.linspace(-1, 1, 30)
    fun = Calls(lambda w, rows: float(np.mean((x[rows] - w[0]) ** 2)))
    gradient = Calls(lambda w, rows: [-2 * np.mean(x[rows] - w[0])])
    walk = minimize(fun, [3.0], "minibatch", n_samples=30, gradient=gradient, max_epochs=3, learning_rate=0.1)
    assert (walk.nfev, walk.njev) == (fun.calls, gradient.calls)
    assert walk.record["rows_seen"][-1] == 90


class Recording(Formula):
    """A formula whose evaluations from Python are counted; its compiled loop is another's."""

    calls = 0

    def value_and_gradient(self, w, rows=None):
        self.calls += 1
        return super().value_and_gradient(w, rows)

    def value(self, w, rows=None):
        self.calls += 1
        return float(self._run(self._program, w, rows)[0])

    def kernel(self):
        return None


@every
def test_the_counts_of_a_formula_compiled_or_not(name):
    plain = Recording("100*(y - x**2)**2 + (1 - x)**2", variables=["x", "y"])
    walk = minimize(plain, START, **OPTIONS[name])
    assert walk.nfev == plain.calls
    same = minimize(Formula(plain.text, variables=["x", "y"]), START, **OPTIONS[name])
    assert same.nfev == walk.nfev
    assert same.record["evaluations"][-1] == walk.record["evaluations"][-1]
    assert np.abs(same.record["evaluations"] - walk.record["evaluations"]).max() <= 1


def test_a_point_asked_for_again_is_not_evaluated_again():
    fun, gradient = Calls(rosen), Calls(rosen_der)
    walk = minimize(fun, START, gradient=gradient, max_steps=0)
    assert (fun.calls, gradient.calls) == (walk.nfev, walk.njev) == (1, 1)
    one = minimize(fun, START, gradient=gradient, max_steps=1, method="gd", learning_rate=1e-3)
    assert one.nfev == 2


def test_the_budget_is_in_calls():
    fun = Calls(rosen)
    walk = minimize(fun, START, max_evaluations=50)
    assert walk.status == "budget"
    assert 50 <= walk.nfev == fun.calls <= 50 + 5 * 10  # what the last line search took


def test_a_counted_cost_is_the_cost_in_all_else():
    formula = Formula("(x - 1)**2 + y**2")
    count = counted(formula)
    assert counted(count) is count
    assert type(count) is Counted
    assert isinstance(count, Formula)
    assert isinstance(count, Cost)
    assert not isinstance(count, Risk)
    assert count.names == ("x", "y")
    assert count.derivatives == formula.derivatives
    w = np.zeros(2)
    value, gradient = count.value_and_gradient(w)
    gradient[:] = np.nan  # what is handed out is the asker's
    w[:] = 5
    assert (value, count.gradient(np.zeros(2)).tolist()) == (1.0, [-2.0, 0.0])
    assert count.value(w) == formula.value(w) == 41.0
    assert (count.nfev, count.njev, count.asked) == (2, 1, 3)


def test_rows_seen_counts_the_trials_of_backtracking():
    rng = np.random.default_rng(0)
    risk = Risk(rng.normal(size=(40, 2)), (rng.random(40) > 0.5).astype(float), "log_loss", l2=0.1)
    walk = minimize(risk, np.ones(3), "gd", learning_rate="backtracking", max_steps=5)
    read = walk.record["rows_seen"]
    assert read[0] == 0
    assert (read % 40 == 0).all()
    assert read[1] >= 2 * 40  # the first step reads all rows for its start and for each trial
    assert read[-1] > 40 * walk.nit
    assert abs(read[-1] / 40 - walk.record["evaluations"][-1]) <= 2
