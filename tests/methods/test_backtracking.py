"""The search along a step: Armijo's condition at every step, a velocity that leads uphill, and where it ends."""

import itertools

import numpy as np
import pytest

from descender.descent import descend
from descender.methods.rates import Backtracking, Constant
from descender.methods.rules import RULES, GradientDescent, Momentum
from descender.methods.textbook import Textbook
from descender.walk import Stop
from walks import START, Plain


def assert_armijo_holds(record, cost, share):
    path = record.path
    for w, new in itertools.pairwise(path):
        value, g = cost.value_and_gradient(w)
        assert cost.value(new) <= value + share * g @ (new - w) + 1e-15 * abs(value)
        assert cost.value(new) <= value


@pytest.mark.parametrize("first", [1e-6, 1.0, 1e6])
def test_backtracking_satisfies_armijo_at_every_step(first):
    rate = Backtracking(first, 0.5, 0.1)
    record = descend(Plain(), START, Textbook("gd", GradientDescent(), rate), Stop(max_steps=300)).record
    assert len(record) == 301
    assert_armijo_holds(record, Plain(), 0.1)
    assert record["cost"][-1] < 0.1 * record["cost"][0]
    assert record["evaluations"][-1] >= 301


SEARCHED = [name for name, rule in RULES.items() if not (hasattr(rule, "unsearched") or hasattr(rule, "answer"))]


@pytest.mark.parametrize("name", SEARCHED)
def test_backtracking_never_stands_still_on_a_slope(name):
    """A velocity that leads uphill is forgotten: no rate would make it a descent."""
    method = Textbook(name, RULES[name](), Backtracking())
    record = descend(Plain(), START, method, Stop(max_steps=150)).record
    assert_armijo_holds(record, Plain(), 1e-4)
    assert len(record) == 151
    assert (np.diff(record["cost"])[:150] < 0.0).all()
    assert record["cost"][-1] < 0.2 * record["cost"][0]


def test_what_a_rule_remembers_is_forgotten_where_it_leads_uphill():
    """The step is then that of the first step from there."""
    cost, method = Plain(), Textbook("momentum", Momentum(), Backtracking())
    path = descend(cost, START, method, Stop(max_steps=60)).record.path
    turns, velocity = 0, np.zeros(2)
    for w, new in itertools.pairwise(path):
        g = cost.gradient(w)
        velocity = 0.9 * velocity + g
        if g @ velocity < 0:
            turns, velocity = turns + 1, g
        step = new - w
        assert step / np.linalg.norm(step) == pytest.approx(-velocity / np.linalg.norm(velocity), abs=1e-7)
    assert turns > 3


def test_armijo_checker_sees_a_step_that_is_too_long():
    method = Textbook("gd", GradientDescent(), Constant(0.003))
    record = descend(Plain(), START, method, Stop(max_steps=20)).record
    with pytest.raises(AssertionError):
        assert_armijo_holds(record, Plain(), 0.1)


def test_backtracking_comes_back_from_a_step_that_is_not_finite():
    cost = Plain(lambda w: np.exp(w[0] ** 2), lambda w: [2 * w[0] * np.exp(w[0] ** 2)], 1)
    with np.errstate(all="ignore"):
        method = Textbook("gd", GradientDescent(), Backtracking(1e3))
        walk = descend(cost, np.array([2.0]), method, Stop(max_steps=200))
    assert walk.x == pytest.approx([0.0], abs=1e-6)
