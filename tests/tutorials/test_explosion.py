"""Tutorial 3, gradients that explode and gradients that vanish."""

import sys
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pytest

SYMPTOMS = ("the output is NaN", "very large changes", "error gradients above 1.0")


def assert_explodes(figures, cost):
    assert np.isnan(figures["exploded"].fun)
    assert not np.isfinite(figures["exploded"].x).all()
    assert figures["clipped"].fun < cost
    assert figures["finding"].code == "D201"
    assert all(symptom in figures["finding"].evidence for symptom in SYMPTOMS)
    assert max(max(row.spectral.values()) for row in figures["start"]) > 1


def test_deep_and_recurrent_networks_explode_and_learn_once_clipped(run):
    figures = run("3_explosion")
    for name, share in (("deep", 0.25), ("recurrent", 1e-3)):
        network = figures[name]["network"]
        assert_explodes(figures[name], share * network.y.var() / 2)
        steps = figures[name]["clipped"].record
        taken = steps["clipped"] == 1
        np.testing.assert_allclose(steps["step_norm"][taken], 0.05, rtol=1e-6)
        assert taken.sum() > 10
    for row in figures["deep"]["start"]:
        assert all(norm > 1 for norm in row.spectral.values())
    assert figures["recurrent"]["start"][0].spectral["recurrent"] == pytest.approx(1.3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_they_explode_from_other_starts_too(run, folder, seed):
    run("3_explosion")
    with redirect_stdout(StringIO()):
        figures = sys.modules["tutorial_3_explosion"].main(folder, seed)
    assert_explodes(figures["deep"], 0.25 * figures["deep"]["network"].y.var() / 2)
    assert_explodes(figures["recurrent"], 1e-3)


def test_the_error_of_a_state_is_multiplied_by_the_norm_at_each_step_back(run):
    through = run("3_explosion")["through"]
    for gain in (0.6, 1.0, 1.3):
        sizes = np.array(through[gain][0].through_time)
        np.testing.assert_allclose(sizes[:-1] / sizes[1:], gain, rtol=1e-9)
        assert through[gain][0].spectral["recurrent"] == pytest.approx(gain)


def assert_vanishes(figures):
    walks, told, guess = figures["walks"], figures["told"], figures["y"].var() / 2
    vanished = {name for name, finding in figures["findings"].items() if finding is not None}
    assert vanished == {"sigmoid", "sigmoid, clipped", "relu, weights too small", "sigmoid, layer normalisation"}
    assert all(walks[name].fun > 0.98 * guess for name in vanished)
    assert all(walks[name].fun < 0.05 * guess for name in ("relu", "tanh", "sigmoid, batch normalisation"))
    assert walks["sigmoid, residual"].fun < 0.6 * guess
    errors = [row.error for row in told["sigmoid"]]
    assert errors == sorted(errors)


def test_a_gradient_vanishes_layer_by_layer_clipping_leaves_it_so_and_others_cure_it(run):
    figures = run("3_vanishing")
    assert_vanishes(figures)
    walks = figures["walks"]
    assert not (walks["sigmoid, clipped"].record["clipped"] == 1).any()
    np.testing.assert_array_equal(walks["sigmoid, clipped"].x, walks["sigmoid"].x)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_vanishes_from_other_starts_too(run, folder, seed):
    run("3_vanishing")
    with redirect_stdout(StringIO()):
        assert_vanishes(sys.modules["tutorial_3_vanishing"].main(folder, seed))
