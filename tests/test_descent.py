"""The walk around a method: budgets, callbacks, divergence, interruption, and what the record says."""

import time

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der

from descender.costs.cost import Cost, Kernel
from descender.costs.formula import Formula
from descender.costs.function import Function
from descender.costs.network.build import perceptron
from descender.costs.network.network import Network
from descender.costs.risk import Risk
from descender.descent import descend
from descender.errors import DivergedError, OptionError, StartError
from descender.methods import textbook
from descender.methods.advance import Options
from descender.methods.lbfgs import LBFGS
from descender.methods.method import Budget
from descender.methods.metric import LearntMetric
from descender.methods.rates import Backtracking, Constant
from descender.methods.rules import GradientDescent, Momentum
from descender.methods.textbook import PLAIN_BLOCK, Textbook
from descender.verbs.minimize import minimize
from descender.walk import Step, Stop

START = np.array([-1.2, 1.0])


class Plain(Cost):
    """A cost that counts its calls, and may do something at one of them."""

    def __init__(self, fun=rosen, gradient=rosen_der, d=2, at=None, do=None):
        self.fun, self.slope, self.at, self.do, self.calls = fun, gradient, at, do, 0
        self.names = tuple("xyzuvw"[:d])

    def value_and_gradient(self, w, rows=None):
        self.calls += 1
        if self.calls == self.at:
            self.do()
        with np.errstate(all="ignore"):
            return float(self.fun(w)), np.asarray(self.slope(w), dtype=float)


class Bowl(Plain):
    """A cost of one variable that can be compiled."""

    def __init__(self):
        super().__init__(lambda w: 0.5 * w[0] ** 2, lambda w: [w[0]], 1)

    def kernel(self):
        return Kernel("def evaluate(w, data, rows):\n    return 0.5 * w[0] * w[0], w.copy()\n", ())


def gd(rate=1e-3, **options):
    given = {k: options.pop(k) for k in ("batch_size", "recover") if k in options}
    return Textbook("gd", GradientDescent(), Constant(rate), options=Options(**options), **given)


def risk(n=40, d=3, seed=0, **options):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    y = (X[:, 0] + rng.normal(size=n) > 0).astype(float)
    return Risk(X, y, "log_loss", **{"l2": 0.1} | options)


METHODS = {
    "gd": (Plain, START, gd),
    "momentum": (Plain, START, lambda: Textbook("momentum", Momentum(), Constant(1e-4))),
    "backtracking": (Plain, START, lambda: Textbook("gd", GradientDescent(), Backtracking())),
    "batches": (risk, np.zeros(4), lambda: gd(0.1, batch_size=7)),
    "L-BFGS": (Plain, START, LBFGS),
    "learnt metric": (risk, np.full(4, 5.0), lambda: LearntMetric(1e-10)),
}
every = pytest.mark.parametrize("name", METHODS)


def run(name, stop=None, **options):
    make, start, method = METHODS[name]
    cost = make()
    walk = descend(cost, start, method(), stop or Stop(max_steps=30), **options)
    walk.cost = cost
    return walk


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


# --- Ctrl-C --------------------------------------------------------------------------------------------------------


def interrupt():
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["gd", "momentum", "backtracking", "L-BFGS"])
def test_ctrl_c_within_the_cost_gives_the_last_point_and_its_record(name):
    _, start, method = METHODS[name]
    cost = Plain(at=30, do=interrupt)
    walk = descend(cost, start, method(), Stop(max_steps=1000))
    assert walk.status == "interrupted"
    assert not walk.success
    assert "interrupted" in walk.message
    undisturbed = descend(Plain(), start, method(), Stop(max_steps=walk.nit))
    assert walk.nit >= 2
    assert (walk.x == undisturbed.x).all()
    assert walk.fun == rosen(walk.x)
    assert walk.fun < rosen(start)
    assert walk.record["cost"].tolist() == undisturbed.record["cost"].tolist()
    assert (walk.record.path == undisturbed.record.path).all()


def test_nothing_is_judged_after_ctrl_c():
    """Evaluations may take minutes, and somebody waits for the prompt."""
    calls = []

    def fun(w):
        calls.append(1)
        if len(calls) == 60:
            raise KeyboardInterrupt
        return rosen(w)

    walk = minimize(fun, START)
    assert walk.status == "interrupted"
    assert not walk.success
    assert len(calls) <= 60 + 1 + 2 * START.size  # one value and its gradient, of the last point


def test_ctrl_c_before_the_first_step_gives_the_start():
    cost = Plain(at=2, do=interrupt)  # the first trial of the first step
    walk = descend(cost, START, Textbook("gd", GradientDescent(), Backtracking()), Stop(max_steps=10))
    assert walk.status == "interrupted"
    assert walk.nit == 0
    assert (walk.x == START).all()
    assert walk.record.path.tolist() == [START.tolist()]
    assert walk.record["cost"].tolist() == [rosen(START)]


def test_ctrl_c_in_an_epoch_of_batches():
    cost = risk()
    honest, calls = cost.value_and_gradient, []

    def count(w, rows=None):
        calls.append(rows)
        if len(calls) == 20:
            interrupt()
        return honest(w, rows)

    cost.value_and_gradient = count
    walk = descend(cost, np.zeros(4), gd(0.1, batch_size=7), Stop(max_steps=60))
    assert walk.status == "interrupted"
    assert walk.nit == 19
    assert walk.fun == pytest.approx(risk().value(walk.x))


def test_another_error_of_the_cost_is_not_taken_for_ctrl_c():
    def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        descend(Plain(at=5, do=fail), START, gd(), Stop(max_steps=10))


# --- the record ----------------------------------------------------------------------------------------------------


def record_is_consistent(walk, cost):
    """Row k has the cost and gradient of point k, and the step that leads to point k + 1."""
    record = walk.record
    steps = np.isnan(record["full_cost"]) if cost.n_samples else np.ones(len(record), bool)
    path = record.path
    for k in np.flatnonzero(steps):
        value, gradient = cost.value_and_gradient(path[k])
        assert record["cost"][k] == pytest.approx(value, rel=1e-11)
        assert record["gradient_norm"][k] == pytest.approx(np.linalg.norm(gradient), rel=1e-9, abs=1e-14)
    moved = np.linalg.norm(np.diff(path, axis=0), axis=1)
    assert record["step_norm"][:-1] == pytest.approx(moved, rel=1e-7, abs=1e-14)
    assert record["step"].tolist() == list(range(walk.nit + 1))
    for column in ("seconds", "rows_seen", "evaluations"):
        assert (np.diff(record[column]) >= 0).all()
    assert record["evaluations"][-1] == walk.nfev
    assert np.isnan(record["step_norm"][-1])
    assert (path[-1] == walk.x).all()
    assert record["full_cost"][-1] == walk.fun
    assert record.names == walk.names


@pytest.mark.parametrize("name", ["gd", "momentum", "backtracking", "L-BFGS", "learnt metric"])
def test_rows_describe_their_points(name):
    walk = run(name)
    assert walk.nit >= 3
    record_is_consistent(walk, walk.cost)


def test_rows_describe_their_points_when_compiled(monkeypatch):
    monkeypatch.setattr(textbook, "PLAIN_STEPS", 10)
    walk = descend(Bowl(), np.ones(1), gd(0.01), Stop(max_steps=50))
    record_is_consistent(walk, Bowl())


def test_rows_describe_their_points_when_the_walk_diverges():
    """The step that was not taken leaves no row of its own."""
    walk = descend(Plain(), START, gd(0.01), Stop(max_steps=100))
    record_is_consistent(walk, Plain())


def test_a_record_that_is_off_by_one_is_seen():
    walk = run("gd")
    walk.record.path = np.roll(walk.record.path, 1, axis=0)
    with pytest.raises(AssertionError):
        record_is_consistent(walk, walk.cost)


def test_epochs_are_recorded_with_full_and_held_out_cost():
    cost, other = risk(40), risk(20, seed=1)
    walk = descend(cost, np.zeros(4), gd(0.1, batch_size=8), Stop(max_steps=17), holdout=other.value)
    record = walk.record
    epochs = ~np.isnan(record["full_cost"])
    assert record["step"][epochs].tolist() == [0, 5, 10, 15, 17]
    assert record["rows_seen"][epochs].tolist() == [0, 40, 80, 120, 136]
    assert record["full_cost"][epochs] == pytest.approx([cost.value(w) for w in record.path[epochs]])
    assert record["holdout_cost"][epochs] == pytest.approx([other.value(w) for w in record.path[epochs]])
    assert np.isnan(record["holdout_cost"][~epochs]).all()


def test_a_full_batch_has_its_held_out_cost_at_every_step():
    cost, other = risk(40), risk(20, seed=1)
    record = descend(cost, np.zeros(4), gd(0.1), Stop(max_steps=6), holdout=other.value).record
    assert record["holdout_cost"] == pytest.approx([other.value(w) for w in record.path])


@pytest.mark.parametrize("batch_size", [8, "full"])
def test_patience_ends_the_walk_and_answers_with_the_lowest_held_out_cost(batch_size):
    cost = risk(40)
    near = descend(cost, np.zeros(4), gd(0.1, batch_size=batch_size), Stop(max_steps=25)).x
    held_out = lambda w: float(np.sum((w - near) ** 2))  # noqa: E731 - lowest on the way, then rising
    walk = descend(cost, np.zeros(4), gd(0.1, batch_size=batch_size), Stop(max_steps=400, patience=3), holdout=held_out)
    seen = walk.record["holdout_cost"][:-1]
    assert walk.status == "held_out"
    assert walk.success
    assert walk.nit < 60
    assert held_out(walk.x) == np.nanmin(seen)
    assert walk.fun == pytest.approx(cost.value(walk.x))
    best = np.nanargmin(seen)
    waited = np.count_nonzero(~np.isnan(seen[best + 1 :]))
    assert waited >= 3
    assert f"step {int(walk.record['step'][best])}" in walk.message


def test_a_budget_with_patience_answers_with_the_lowest_held_out_cost_too():
    held_out = lambda w: float(np.sum(w**2))  # noqa: E731 - best at the start
    walk = descend(risk(40), np.zeros(4), gd(0.1, batch_size=8), Stop(max_steps=7, patience=9), holdout=held_out)
    assert walk.status == "budget"
    assert not walk.x.any()


@pytest.mark.parametrize(
    ("make", "steps"),
    [
        (lambda: Formula("x**2 + y**2"), PLAIN_BLOCK),
        (lambda: risk(40), PLAIN_BLOCK),
        (lambda: Network(perceptron(1, [2], 1), np.zeros((3, 1)), np.zeros(3)), PLAIN_BLOCK),
        (lambda: Function(lambda w: w @ w, np.ones(2)), 1),
        (Plain, 1),
    ],
)
def test_the_first_steps_come_in_blocks_unless_each_may_take_long(make, steps):
    cost = make()
    walk = gd(1e-3).blocks(cost, np.ones(cost.n_parameters), np.random.default_rng(0), Budget(steps=10_000))
    assert len(next(walk).log) == steps


def test_patience_needs_something_to_wait_for():
    with pytest.raises(OptionError, match="held-out"):
        minimize("x**2", "x=1", patience=3)
    with pytest.raises(OptionError, match="patience=-1"):
        minimize("x**2", "x=1", patience=-1, holdout=lambda w: 0.0)


def test_a_walk_tells_what_it_found():
    walk = run("L-BFGS", Stop())
    assert walk["x"] == walk.x[0]
    assert walk.variables == {"x": walk.x[0], "y": walk.x[1]}
    assert walk.names == ("x", "y")
    assert walk.jac == pytest.approx(rosen_der(walk.x), abs=1e-12)
    assert walk.fun == rosen(walk.x)
    assert walk.method == "L-BFGS"
    assert walk.record.facts["method"] == "L-BFGS"
    assert descend(Plain(), START, gd(), Stop(max_steps=1), facts={"a": 1}).record.facts["a"] == 1
    with pytest.raises(KeyError, match=r"no variable here \(x, y\) and no field"):
        walk["zzz"]


@every
def test_same_seed_same_bits(name):
    first, again = run(name, seed=4), run(name, seed=4)
    assert (first.x == again.x).all()
    assert first.record["cost"].tobytes() == again.record["cost"].tobytes()


@pytest.mark.parametrize("method", ["auto", "gd"])
def test_a_misspelt_option_is_told(method):
    with pytest.raises(OptionError, match="there is no option 'max_step'; did you mean max_steps"):
        minimize("x**2", "x=1", method, max_step=5)
    with pytest.raises(OptionError, match="'gd' has no option 'beta'"):
        minimize("x**2", "x=1", "gd", beta=0.5)
