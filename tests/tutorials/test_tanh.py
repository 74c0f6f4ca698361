"""Tutorial 3, one weight through tanh: rates, plateaus, clipping and batches."""

import numpy as np
import pytest
from plain_descent import descend
from scipy.optimize import minimize as scipy_minimize


def test_the_headline_within_ten_thousand_steps(run):
    walk = run("3_tanh")["walks"][0.0021]
    assert abs(walk["x"]) <= 8.407e-06
    assert walk.nit == 10_000


@pytest.mark.parametrize("rate", [0.001, 0.0021, 0.1])
def test_the_rates_follow_the_plain_recursion(run, rate):
    walk = run("3_tanh")["walks"][rate]
    expected = descend(np.tanh, [10.0], rate, walk.nit)
    assert walk["x"] == pytest.approx(expected[-1, 0], rel=1e-9)


def test_the_default_method_is_there_within_fifty_evaluations(run):
    default = run("3_tanh")["default"]
    assert abs(default["x"]) < 1e-8
    assert default.nfev <= 50
    assert default.success


def test_a_vanishing_gradient_holds_plain_descent_and_not_the_default(run):
    plateau, left = run("3_tanh")["plateau"], run("3_tanh")["left"]
    expected = descend(lambda x: 2 * np.tanh(x) / np.cosh(x) ** 2, [10.0], 0.1, 10_000)
    assert plateau["x"] == pytest.approx(expected[-1, 0], rel=1e-9)
    assert plateau["x"] > 9.99
    assert not plateau.success
    assert abs(left["x"]) < 1e-6


def steep_gradient(w):
    x, y = w
    bowl = 4 * (x * x + y * y - 1)
    return np.array([bowl * x + 400 * x**3, bowl * y])


def test_without_clipping_the_loss_is_nan_and_with_it_the_walk_arrives(run):
    figures = run("3_tanh")
    assert np.isnan(figures["exploded"].fun)
    with np.errstate(all="ignore"):
        expected = descend(steep_gradient, [3, -2], 0.01, 500)
    assert np.isnan(expected[-1]).all()
    np.testing.assert_allclose(figures["exploded"].record.path[:4], expected[:4], rtol=1e-12)

    def clipped(w):
        g = steep_gradient(w)
        return g * min(1, 5 / np.linalg.norm(g))

    by_norm = descend(clipped, [3, -2], 0.01, 500)
    by_value = descend(lambda w: np.clip(steep_gradient(w), -5, 5), [3, -2], 0.01, 500)
    np.testing.assert_allclose(figures["clipped"].x, by_norm[-1], rtol=1e-9)
    np.testing.assert_allclose(figures["by_value"].x, by_value[-1], rtol=1e-9)
    assert max(figures["clipped"].fun, figures["by_value"].fun) < 1e-4


def test_batch_mini_batch_and_stochastic_descent_find_the_line(run):
    learnt, line = run("3_tanh")["learnt"], run("3_tanh")["line"]
    bottom = scipy_minimize(line.value, [0, 0], jac=line.gradient, tol=1e-12)
    for name, within in (("batch", 1e-12), ("mini-batch of 20", 1e-3), ("stochastic", 5e-3)):
        assert bottom.fun <= learnt[name].fun + 1e-14 <= bottom.fun + within
    np.testing.assert_allclose(bottom.x, [1.5, -0.5], atol=0.1)
