"""Tutorial 4, the family of methods, held-out loss, and many minima."""

import importlib
import itertools

import numpy as np
import pytest
from plain_descent import descend
from scipy.optimize import minimize as scipy_minimize

from descender.costs.formula import Formula


def test_difference_quotients_are_as_exact_as_they_say(run):
    figures = run("4_cost")
    exact = 2 * np.tanh(1) / np.cosh(1) ** 2
    assert figures["exact"] == pytest.approx(exact, rel=1e-14)
    assert abs(figures["scalar"].value - exact) <= figures["scalar"].error < 1e-10
    x, y = -1.2, 1.0
    gradient = np.array([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)])
    assert (np.abs(figures["vector"].value - gradient) <= figures["vector"].error).all()
    assert figures["vector"].error.max() < 1e-8


def test_held_out_loss_turns_while_training_loss_falls(run):
    figures = run("4_cost")
    walk, unseen = figures["walk"], figures["unseen"]
    held = walk.record["holdout_cost"]
    error = unseen.y - (unseen.X @ walk.x[:-1] + walk.x[-1])
    assert held[-1] == pytest.approx(np.mean(error**2) / 2)
    assert held[-1] > 1.2 * held[figures["turn"]]
    assert walk.fun < walk.record["full_cost"][figures["turn"]]


def test_the_family_comes_near_the_bottom(run):
    figures = run("4_family")
    x, y = figures["data"]
    design = np.column_stack([x, np.ones(1000)])
    bottom = np.linalg.lstsq(design, y)[1][0] / 1000
    assert figures["bottom"] == pytest.approx(bottom, rel=1e-12)
    for name, walk in figures["walks"].items():
        assert bottom <= walk.fun < 1.1 * bottom, name

    def gradient(w):
        return 2 * design.T @ (design @ w - y) / 1000

    batch = descend(gradient, [-3, 4], 0.3, 20)
    np.testing.assert_allclose(figures["walks"]["batch"].record.path, batch, rtol=1e-10)
    w = np.array([-3.0, 4.0])
    for step in range(20):
        w = w - 0.25 * gradient(w) * (np.arange(2) == step % 2)
    np.testing.assert_allclose(figures["walks"]["one coordinate at a time"].x, w, rtol=1e-10)


def test_stochastic_descent_reads_fewer_samples_than_batch(run):
    read = run("4_family")["read"]
    assert read["stochastic"] < read["mini-batches of 10"] < read["mini-batches of 20"] < read["batch"]
    assert 10 * read["stochastic"] < read["batch"]


def test_steps_are_long_far_away_and_short_near(run):
    figures = run("4_family")
    steps = figures["walks"]["batch"].record["step_norm"][:-1]
    assert (np.diff(steps[1:]) < 0).all()
    assert np.corrcoef(np.log(steps), np.log(figures["distance"][:-1]))[0, 1] > 0.99


def test_algebra_solves_what_it_can_and_says_what_it_cannot(run):
    exact = run("4_minima")["exact"]
    quartic, waves, tilted = exact.values()
    roots = np.sort(np.roots([4, 0, -4, 0.5]).real)
    np.testing.assert_allclose(np.sort(np.ravel([p.x for p in quartic])), roots, rtol=1e-10)
    assert [p.kind for p in quartic] == ["minimum", "minimum", "maximum"]
    assert waves.failure.startswith("no method of algebra")
    assert [p.kind for p in tilted].count("minimum") == 4
    assert len(tilted) == 9


def test_starts_and_algebra_agree_on_the_minima(run):
    figures = run("4_minima")
    algebra = list(figures["exact"].values())[-1].minima
    np.testing.assert_allclose([m.x for m in figures["walk"].minima], [p.x for p in algebra], atol=1e-6)


def test_many_starts_find_all_four_minima(run):
    basins = run("4_minima")["basins"]
    tilted = Formula(importlib.import_module("tutorial_4_minima").TILTED)
    corners = itertools.product((3, -3), (2, -3))
    ends = [scipy_minimize(tilted.value, w, jac=tilted.gradient, tol=1e-12) for w in corners]
    ends.sort(key=lambda end: end.fun)
    np.testing.assert_allclose(basins.minima, [end.x for end in ends], atol=1e-5)
    np.testing.assert_allclose(basins.costs, [end.fun for end in ends], rtol=1e-9)
    assert basins.counts.sum() == 200
    assert (basins.labels >= 0).all()


def test_a_stream_is_learnt_in_constant_memory(run):
    figures = run("4_stream")
    stream = importlib.import_module("tutorial_4_stream")
    pairs = list(itertools.islice(stream.endless(), 10_000))
    design = np.array([[*x, 1.0] for x, _ in pairs])
    best, squares, *_ = np.linalg.lstsq(design, np.array([y for _, y in pairs]))
    np.testing.assert_allclose(figures["weights"], best, atol=0.1)
    assert figures["seen"][-1][1] < 1.2 * squares[0] / 10_000 / 2
    assert max(figures["memory"]) - figures["memory"][0] < 128 * 1024 < design.nbytes
