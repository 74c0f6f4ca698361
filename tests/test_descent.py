"""The walk around a method: budgets, callbacks, and what happens where it diverges."""

import time

import numpy as np
import pytest
from scipy.optimize import rosen

from descender.costs.risk import Risk
from descender.descent import descend
from descender.errors import DivergedError, StartError
from descender.methods import textbook
from descender.methods.rates import Backtracking
from descender.methods.rules import GradientDescent
from descender.methods.textbook import Textbook
from descender.walk import Step, Stop
from walks import METHODS, START, Bowl, Plain, every, gd, risk, run

# --- budgets -------------------------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_steps_are_a_budget(name, steps):
    walk = run(name, Stop(max_steps=steps))
    assert walk.nit == steps
    assert walk.status == "budget"
    assert not walk.success
    assert "used up" in walk.message
    assert walk.x.shape == METHODS[name][1].shape
    assert np.isfinite(walk.fun)
    assert (walk.record.path[0] == METHODS[name][1]).all()
    assert (walk.record.path[-1] == walk.x).all()


@pytest.mark.parametrize("compiled", [False, True])
def test_steps_are_a_budget_when_compiled(compiled, monkeypatch):
    monkeypatch.setattr(textbook, "PLAIN_STEPS", 0 if compiled else 10**9)
    walk = descend(Bowl(), np.ones(1), gd(0.001), Stop(max_steps=5000))
    assert walk.nit == 5000
    assert walk.x[0] == pytest.approx(0.999**5000, rel=1e-10)
    assert len(walk.record) == 5001


@every
def test_evaluations_are_a_budget(name):
    walk = run(name, Stop(max_evaluations=20))
    assert walk.status in ("budget", "converged")
    assert walk.nfev <= 20 + 100  # what one step may take
    assert walk.nit <= 20


def test_evaluations_are_a_budget_of_compiled_steps_that_need_several(monkeypatch):
    monkeypatch.setattr(textbook, "PLAIN_STEPS", 0)
    method = Textbook("gd", GradientDescent(), Backtracking(1.0, 0.9))
    walk = descend(risk(), np.full(4, 3.0), method, Stop(max_evaluations=300))
    assert walk.nfev <= 300 + 100


def test_seconds_are_a_budget():
    slow = Plain(lambda w: time.sleep(0.01) or rosen(w))
    began = time.perf_counter()
    walk = descend(slow, START, gd(), Stop(max_seconds=0.1))
    assert time.perf_counter() - began < 1.0
    assert walk.status == "budget"
    assert 0.1 in [float(word) for word in walk.message.split() if word.replace(".", "").isdigit()]
    assert 3 <= walk.nit <= 12


def test_a_small_change_of_the_cost_ends_the_walk():
    walk = descend(Plain(), START, gd(), Stop(max_steps=10_000, cost_tol=1e-3))
    assert walk.status == "small_change"
    assert walk.success
    costs = walk.record["cost"]
    change = np.abs(np.diff(costs)) / costs[1:]
    assert change[-1] <= 1e-3
    assert (change[:-1] > 1e-3).all()
    assert walk.nit == len(costs) - 1


def test_small_gradient_and_small_step_end_the_walk():
    walk = descend(Bowl(), np.ones(1), gd(0.5, gradient_tol=1e-3), Stop(max_steps=100))
    assert walk.status == "small_gradient"
    assert abs(walk.jac[0]) <= 1e-3
    walk = descend(Bowl(), np.ones(1), gd(0.5, step_tol=1e-3), Stop(max_steps=100))
    assert walk.status == "small_step"
    assert walk.success
    assert walk.record["step_norm"][-2] <= 1e-3 < walk.record["step_norm"][-3]


# --- callbacks -----------------------------------------------------------------------------------------------------


@every
def test_a_callback_sees_the_points_of_the_record(name):
    seen = []
    walk = run(name, callback=seen.append)
    rows = np.isnan(walk.record["full_cost"])
    assert [s.number for s in seen] == list(range(walk.nit + 1))
    *steps, last = seen
    assert np.array([s.x for s in steps]) == pytest.approx(walk.record.path[rows])
    assert [s.fun for s in steps] == pytest.approx(walk.record["cost"][rows].tolist())
    assert [s.rows_seen for s in steps] == walk.record["rows_seen"][rows].tolist()
    assert (last == walk.x).all()
    assert (last.fun, last.rows_seen) == (walk.fun, walk.record["rows_seen"][-1])
    assert all(type(s) is Step for s in seen)


@every
@pytest.mark.parametrize("way", ["True", "StopIteration"])
def test_a_callback_ends_the_walk(name, way):
    def callback(step):
        if step.number == 2:
            if way == "StopIteration":
                raise StopIteration
            return True
        return step.number  # neither None nor True: goes on

    walk = run(name, callback=callback)
    assert walk.status == "callback"
    assert not walk.success
    assert walk.nit == 2
    assert "step 2" in walk.message
    assert (walk.x == walk.record.path[-1]).all()
    assert walk.fun == pytest.approx(walk.cost.value(walk.x), rel=1e-12)


def test_a_callback_changes_no_walk():
    def spoil(step):
        step.x[:] = np.nan

    assert (run("gd", callback=spoil).x == run("gd").x).all()
    batches = [run("batches", Stop(max_steps=200), callback=c).x for c in (None, spoil)]
    assert batches[0] == pytest.approx(batches[1], rel=1e-10)  # compiled and plain


def test_an_error_of_a_callback_is_not_swallowed():
    def broken(step):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run("gd", callback=broken)


# --- divergence ----------------------------------------------------------------------------------------------------


def stays_finite(walk):
    assert np.isfinite(walk.x).all()
    assert np.isfinite(walk.fun)
    assert np.isfinite(walk.jac).all()


def test_stop_keeps_the_last_finite_point():
    walk = descend(Plain(), START, gd(0.01), Stop(max_steps=100))
    assert walk.status == "not_finite"
    assert not walk.success
    stays_finite(walk)
    assert np.isfinite(walk.record.path).all()
    assert f"stopped at step {walk.nit}" in walk.message
    assert "J rose from 24.2 to" in walk.message
    assert walk.record["step"][-1] == walk.nit
    following = walk.x - 0.01 * walk.jac
    assert not np.isfinite(Plain().value_and_gradient(following)[0])


def test_raise_raises():
    with pytest.raises(DivergedError, match="not finite"):
        descend(Plain(), START, gd(0.01), Stop(max_steps=100), on_divergence="raise")


def test_continue_shows_nan():
    method = gd(0.01, stop_if_not_finite=False)
    with np.errstate(all="ignore"):
        walk = descend(Plain(), START, method, Stop(max_steps=40), on_divergence="continue")
    assert walk.nit == 40
    assert not np.isfinite(walk.fun)
    with pytest.raises(AssertionError):
        stays_finite(walk)


@pytest.mark.parametrize("compiled", [False, True])
def test_recover_takes_the_step_back_and_goes_on(compiled, monkeypatch):
    monkeypatch.setattr(textbook, "PLAIN_STEPS", 0 if compiled else 10**9)
    walk = descend(Bowl(), np.ones(1), gd(20.0, recover=True), Stop(max_steps=3000))
    stays_finite(walk)
    assert walk.x[0] == pytest.approx(0.0, abs=1e-6)
    assert len(walk.notes) >= 3
    assert "taken back, rate / 3" in walk.notes[0]
    assert walk.record["learning_rate"][-2] == pytest.approx(20.0 / 3 ** len(walk.notes))


def test_recover_on_batches_goes_on_to_the_end_of_its_budget():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 2))
    cost = Risk(X, X @ [1.0, -1.0])
    for compiled_from in (0, 10**9):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(textbook, "PLAIN_STEPS", compiled_from)
            walk = descend(cost, np.zeros(3), gd(30.0, batch_size=4, recover=True), Stop(max_steps=1500))
        stays_finite(walk)
        assert walk.notes
        assert walk.fun < 0.01
        assert walk.nit >= 1500 - 2 * len(walk.notes)


def test_a_batch_that_is_finite_may_hide_a_cost_that_is_not():
    """The last point before the batch that overflowed has a finite cost on its own batch alone."""
    cost = Risk([[1.0], [1e3]], [1.0, 3.0], intercept=False)
    for seed in range(4):
        walk = descend(cost, np.zeros(1), gd(10.0, batch_size=1), Stop(max_steps=500), seed=seed)
        assert walk.status == "not_finite"
        stays_finite(walk)


def test_a_point_that_is_not_finite_is_no_bottom():
    """The cost and its gradient are finite, and zero, at infinity."""
    cost = Plain(lambda w: 100 * np.logaddexp(0, -w[0]), lambda w: [-100 / (1 + np.exp(w[0]))], 1)
    walk = descend(cost, np.array([-20.0]), gd(1e307), Stop(max_steps=50))
    stays_finite(walk)
    assert not walk.success


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ([np.nan, 1.0], "not finite"),
        ([np.inf, 1.0], "not finite"),
        ([1e200, 0.0], "J is inf at the start"),
    ],
)
def test_a_start_without_a_finite_cost_is_refused(start, words):
    with pytest.raises(StartError, match=words):
        descend(Plain(), np.array(start), gd())


def test_a_start_without_a_slope_is_refused():
    cost = Plain(lambda w: np.sqrt(abs(w[1])) + w[0], lambda w: [1.0, 0.5 / np.sqrt(w[1])])
    with pytest.raises(StartError, match=r"dJ/dy is inf at the start \(x = 1, y = 0\)"):
        descend(cost, np.array([1.0, 0.0]), gd())


def test_the_start_is_not_changed():
    start = START.copy()
    descend(Plain(), start, gd(), Stop(max_steps=5))
    assert (start == START).all()
    whole = np.array([1, 2])
    assert descend(Plain(), whole, gd(1e-5), Stop(max_steps=5)).x.dtype == np.float64
