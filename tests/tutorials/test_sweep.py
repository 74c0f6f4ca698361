"""Tutorial 1, the sweep and the descent."""

import itertools

import numpy as np
import pytest
from plain_descent import descend

X1, Y1 = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([2.3, 3.8, 6.4, 7.7, 10.4])
BEST1 = X1 @ Y1 / (X1 @ X1)


def test_the_sweep_finds_the_grid_point_nearest_to_the_bottom(run):
    one = run("1_sweep")["one"]
    assert one.nfev == 101
    assert one.x[0] == pytest.approx(np.linspace(-1, 5, 101)[np.abs(np.linspace(-1, 5, 101) - BEST1).argmin()])
    assert one.fun == pytest.approx(np.mean((Y1 - one.x[0] * X1) ** 2))


def test_the_descent_reaches_the_bottom_itself_with_fewer_evaluations(run):
    walk = run("1_sweep")["one"].walk
    assert walk["w"] == pytest.approx(BEST1, rel=1e-9)
    assert walk.nit <= walk.nfev < 101
    expected = descend(lambda w: np.mean(-2 * X1 * (Y1 - w * X1)), walk.record.path[0], 0.02, walk.nit)
    np.testing.assert_allclose(walk.record.path, expected, rtol=1e-12)


def test_two_weights_need_10201_evaluations_or_a_few(run):
    two = run("1_sweep")["two"]
    m, c = np.polyfit(X1, Y1, 1)
    best = np.mean((Y1 - m * X1 - c) ** 2)
    grid = itertools.product(np.linspace(0, 4, 101), np.linspace(-2, 2, 101))
    assert two.nfev == 10_201
    assert two.fun == pytest.approx(min(np.mean((Y1 - a * X1 - b) ** 2) for a, b in grid))
    assert two.walk.fun == pytest.approx(best, rel=1e-12)
    assert two.walk.nfev < 50


def test_the_descent_grows_mildly_with_the_number_of_weights(run):
    descents = run("1_sweep")["descents"]
    assert max(descents.values()) == descents[100] < 200


def test_a_maximum_and_a_saddle_are_recognised_said_and_left(run):
    left = run("1_sweep")["left"]
    for model, kind in (("w**2*x", "a maximum"), ("u*v*x", "a saddle")):
        assert kind in left[model].notes[0]
        assert "left by a step" in left[model].notes[0]
        assert left[model].fun == pytest.approx(np.mean((Y1 - BEST1 * X1) ** 2), rel=1e-10)
    assert left["w**2*x"]["w"] ** 2 == pytest.approx(BEST1, rel=1e-8)
    assert left["u*v*x"]["u"] * left["u*v*x"]["v"] == pytest.approx(BEST1, rel=1e-8)
