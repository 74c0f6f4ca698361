"""What the record of a walk says, and held-out samples that end one."""

import itertools

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der

from descender.costs.formula import Formula
from descender.costs.function import Function
from descender.costs.network.build import perceptron
from descender.costs.network.network import Network
from descender.descent import descend
from descender.errors import OptionError
from descender.methods import textbook
from descender.methods.method import Budget
from descender.methods.textbook import PLAIN_BLOCK
from descender.verbs.minimize import minimize
from descender.walk import Stop
from walks import START, Bowl, Plain, every, gd, risk, run


def assert_consistent(walk, cost):
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
    assert_consistent(walk, walk.cost)


def test_rows_describe_their_points_when_compiled(monkeypatch):
    monkeypatch.setattr(textbook, "PLAIN_STEPS", 10)
    walk = descend(Bowl(), np.ones(1), gd(0.01), Stop(max_steps=50))
    assert_consistent(walk, Bowl())


def test_rows_describe_their_points_when_the_walk_diverges():
    """The step that was not taken leaves no row of its own."""
    walk = descend(Plain(), START, gd(0.01), Stop(max_steps=100))
    assert_consistent(walk, Plain())


def test_a_record_that_is_off_by_one_is_seen():
    walk = run("gd")
    walk.record.path = np.roll(walk.record.path, 1, axis=0)
    with pytest.raises(AssertionError):
        assert_consistent(walk, walk.cost)


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


def test_a_network_is_read_whole_after_four_epochs_eight_and_so_on_and_at_its_end():
    X = np.random.default_rng(0).normal(size=(40, 2))
    network = Network(perceptron(2, [3], 1, "tanh"), X, X[:, 0])
    walk = minimize(network, None, "minibatch", batch_size=10, learning_rate=0.01, max_epochs=9)
    record = walk.record
    assert record["step"][np.isfinite(record["full_cost"])].tolist() == [4 * 4, 4 * 8, 4 * 9]


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


def test_patience_is_how_many_epochs_may_pass_without_a_lower_cost():
    cost = risk(n=12)
    walk = descend(cost, np.zeros(4), gd(0.1, batch_size=4), Stop(patience=3), holdout=lambda w: 1.0)
    assert (walk.status, walk.nit) == ("held_out", 4 * 3)  # the fourth of three steps is one too many
    assert (walk.x == 0).all()
    falls = itertools.count()
    stop = Stop(patience=3, patience_tol=1e-3, max_steps=60)
    walk = descend(cost, np.zeros(4), gd(0.1, batch_size=4), stop, holdout=lambda w: 1.0 - 1e-4 * next(falls))
    assert (walk.status, walk.nit) == ("held_out", 4 * 3)  # lower, but by less than what counts
    assert (walk.x != 0).any()


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
