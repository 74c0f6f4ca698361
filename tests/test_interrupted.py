"""Ctrl-C and errors within a walk: the last point, its record, and nothing judged."""

import numpy as np
import pytest
from scipy.optimize import rosen

from descender.descent import descend
from descender.methods.rates import Backtracking
from descender.methods.rules import GradientDescent
from descender.methods.textbook import Textbook
from descender.verbs.minimize import minimize
from descender.walk import Stop
from walks import METHODS, START, Plain, gd, risk


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
