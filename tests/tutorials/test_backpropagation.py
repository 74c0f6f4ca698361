"""Tutorial 3, backpropagation by hand."""

import numpy as np
import pytest


def test_the_forward_pass_and_the_step_have_the_published_figures(run):
    """M. Mazur, *A step by step backpropagation example*, 2015, which prints nine digits of each."""
    figures = run("3_backpropagation")
    network, w = figures["network"], figures["w"]
    np.testing.assert_allclose(figures["hidden"][0], [0.593269992, 0.596884378], atol=5e-10)
    np.testing.assert_allclose(figures["outputs"][0], [0.75136507, 0.772928465], atol=5e-9)
    assert 2 * network.value(w) == pytest.approx(0.298371109, abs=5e-10)
    assert 2 * network.dense(figures["gradient"])[1]["weight"][0, 0] == pytest.approx(0.082167041, abs=5e-10)
    first, last = (part["weight"] for part in network.dense(figures["moved"].x))
    np.testing.assert_allclose(first.T.ravel(), [0.149780716, 0.19956143, 0.24975114, 0.29950229], atol=5e-9)
    np.testing.assert_allclose(last.T.ravel(), [0.35891648, 0.408666186, 0.511301270, 0.561370121], atol=5e-9)
    assert figures["learnt"].fun < 3.51085e-05 / 2  # his, without moving the biases


def test_the_error_vectors_are_derivatives(run):
    figures = run("3_backpropagation")
    assert (np.abs(figures["gradient"] - figures["quotients"].value) <= figures["quotients"].error).all()
    network, w = figures["network"], figures["w"]
    (first, last), x = network.dense(w), network.X

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    def cost(x, shift):
        a = sigmoid(x @ first["weight"] + first["bias"]) + shift
        return np.mean((sigmoid(a @ last["weight"] + last["bias"]) - network.y) ** 2) / 2

    for error, step in ((2, lambda d: cost(x, d)), (4, lambda d: cost(x + d, 0))):
        slopes = [(step(d) - step(-d)) / 2e-5 for d in 1e-5 * np.eye(2)]
        np.testing.assert_allclose(figures["errors"][error][0], slopes, rtol=1e-7)


def test_backpropagation_is_what_jax_differentiates(run):
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    figures = run("3_backpropagation")
    network, w = figures["network"], figures["w"]

    def cost(parts):
        a = network.X
        for part in parts:
            a = jax.nn.sigmoid(a @ part["weight"] + part["bias"])
        return jax.numpy.mean((a - network.y) ** 2) / 2

    with jax.enable_x64(True):
        expected = jax.grad(cost)(network.dense(w))
    for ours, theirs in zip(network.dense(figures["gradient"]), expected, strict=True):
        for name, values in theirs.items():
            np.testing.assert_allclose(ours[name], values, rtol=1e-12)


def test_a_network_is_learnt_by_batch_mini_batch_and_single_samples(run):
    figures = run("3_backpropagation")
    walks, wave = figures["walks"], figures["wave"]
    assert [walks[k].nit for k in ("batch", "mini-batch of 10", "stochastic")] == [60, 1_200, 12_000]
    start = wave.value(wave.start())
    assert max(walk.fun for walk in walks.values()) < 0.02 * start
    assert walks["stochastic"].fun < walks["mini-batch of 10"].fun < walks["batch"].fun
    assert figures["done"].nit < 50_000
    assert np.linalg.norm(wave.gradient(figures["done"].x)) < 2e-3
