"""Tutorial 5, the sigmoid neuron, its starts, and digits."""

import importlib

import numpy as np
from sklearn.linear_model import LogisticRegression

from descender.costs.risk import Risk


def tutorial_5():
    return importlib.import_module("tutorial_5_sigmoid").halves()


def program(X, y, W, epochs=100, alpha=0.01):
    """The tutorial's recursion in plain NumPy, from one start (d,) or many (d, k): losses and the last weights."""
    losses = []
    y = y.reshape(-1, *[1] * (W.ndim - 1))
    for _ in range(epochs):
        p = 1 / (1 + np.exp(-(X @ W)))
        e = p - y
        losses.append(np.sum(e**2, axis=0))
        W = W - alpha * X.T @ (e * p * (1 - p))
    return np.array(losses), W


def test_the_losses_are_those_of_the_plain_program(run):
    figures = run("5_sigmoid")
    X, test, y, y_test = tutorial_5()
    assert X.shape == test.shape == (500, 3)
    losses, W = program(X, y, figures["start"])
    assert len(figures["losses"]) == 100
    np.testing.assert_allclose(figures["losses"], losses, rtol=1e-10)
    np.testing.assert_allclose(figures["walk"].x, W, rtol=1e-10)
    predicted = (1 / (1 + np.exp(-(test @ W))) > 0.5).astype(int)
    np.testing.assert_array_equal(figures["predicted"], predicted)
    assert np.mean(predicted == y_test) > 0.99


def test_losses_are_printed_at_epoch_1_and_every_5th(run):
    printed = [line for line in run("5_sigmoid", "printed").splitlines() if line.startswith("epoch")]
    assert [int(line.split(",")[0][5:]) for line in printed] == [1, *range(5, 101, 5)]


def test_two_hundred_starts_end_as_those_of_the_plain_program(run):
    figures = run("5_starts")
    X, test, y, y_test = tutorial_5()
    losses, W = program(X, y, figures["starts"].T)
    np.testing.assert_allclose(figures["sums"], losses[-1], rtol=1e-8)
    good = np.mean((losses[-1] >= 0.17) & (losses[-1] <= 0.34))
    assert 0.34 < good < 0.44
    stuck = np.flatnonzero(losses[-1] > 100)
    np.testing.assert_array_equal(figures["stuck"], stuck)
    assert 1 <= len(stuck) <= 5
    np.testing.assert_allclose(losses[-1, stuck], 250, atol=1)
    np.testing.assert_allclose(np.mean((test @ W[:, stuck] > 0) == y_test[:, None], axis=0), 0.5, atol=0.01)
    # why: they began on the wrong side, and where they are wrong the sigmoid is flat
    assert (np.mean((X @ figures["starts"][stuck].T > 0) == y[:, None], axis=0) < 0.05).all()
    p = 1 / (1 + np.exp(-(X @ W[:, stuck])))
    for k in range(len(stuck)):
        assert np.median((p * (1 - p))[np.abs(p[:, k] - y) > 0.5, k]) < 1e-4


def test_log_loss_and_the_default_method_are_not_stuck(run):
    figures = run("5_starts")
    X, test, y, y_test = tutorial_5()
    for walk in figures["logs"]:
        assert np.mean((test @ walk.x > 0) == y_test) > 0.99
    check_log_loss(figures["best"], X, y, intercept=False)
    assert np.mean((test @ figures["best"].x > 0) == y_test) > 0.99


def check_log_loss(walk, X, y, intercept):
    """The bottom as scikit-learn finds it: C = 1/(n l2) is our mean loss with l2."""
    l2 = 0.001
    other = LogisticRegression(C=1 / (len(X) * l2), fit_intercept=intercept, tol=1e-10, max_iter=10_000).fit(X, y)
    risk = Risk(X, y, "log_loss", l2=l2, intercept=intercept)
    theirs = risk.value(np.append(other.coef_, other.intercept_) if intercept else other.coef_[0])
    assert walk.fun <= theirs * (1 + 2e-6)
    assert walk.success


def test_digits_at_the_tutorials_rate_saturate_and_at_a_smaller_one_are_learnt(run):
    figures = run("5_digits")
    train, test, digit, digit_test = figures["data"]
    X, y = np.hstack([train, np.ones((len(train), 1))]), (digit == 3).astype(float)
    for rate, walk in figures["walks"].items():
        losses, W = program(X, y, np.zeros(65), alpha=rate)
        np.testing.assert_allclose(2 * walk.record["cost"][:100], losses, rtol=1e-8)
        right = (test @ W[:64] + W[64] > 0) == (digit_test == 3)
        assert figures["accuracy"][rate] == right.mean()
    assert figures["accuracy"][0.01] == np.mean(digit_test != 3)  # "no" to every image
    assert figures["accuracy"][0.01] < figures["accuracy"][0.003] < figures["accuracy"]["log_loss"]
    check_log_loss(figures["best"], train, y, intercept=True)


def test_ten_digits_are_told_apart_as_scikit_learn_does(run):
    figures = run("5_digits")
    train, test, digit, digit_test = figures["data"]
    other = LogisticRegression(C=1 / (len(train) * 0.001), tol=1e-8, max_iter=10_000).fit(train, digit)
    assert np.mean(other.predict(test) == figures["predicted"]) > 0.995
    assert np.mean(figures["predicted"] == digit_test) > 0.95
