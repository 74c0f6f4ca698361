"""Trainings that are thrown about go back to their last sound point, and say so; no answer is ever NaN."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from descender import MLPClassifier, minimize
from descender.costs.network.build import perceptron
from descender.costs.network.network import Network
from descender.methods import textbook
from descender.methods.advance import length
from descender.methods.recovery import MeanPoint, Snapshots

X, Y = load_digits(return_X_y=True)
X, Y = (X[:300] / 16).astype(np.float32), Y[:300].astype(float)


def network(hidden=(80,), **options):
    return Network(perceptron(64, hidden, 10), X, Y, "softmax", **options)


def test_snapshots_keep_the_best_and_ask_to_go_back_to_it():
    kept = Snapshots(np.zeros(1), 64, judges=True)
    for k in range(8):
        assert not kept.see(np.full(32, 8.0 - k), np.full(1, float(k)), 32 * k)
    assert kept.w[0] == 7
    assert not kept.see(np.full(64, 1.9), np.full(1, 8.0))  # not yet twice the best
    assert kept.w[0] == 7
    assert kept.see(np.full(64, 9.0), np.full(1, 9.0))
    kept.back()
    assert not kept.see(np.full(63, 9.0), np.full(1, 9.0))  # begins to smooth anew


def test_a_cost_near_0_may_double_and_a_convex_one_is_not_judged():
    kept = Snapshots(np.zeros(1), 64, judges=True)
    kept.see(np.full(64, 10.0), np.zeros(1))
    kept.see(np.full(64, 1e-3), np.zeros(1))
    assert not kept.see(np.full(64, 5e-3), np.zeros(1))
    other = Snapshots(np.zeros(1), 64, judges=False)
    other.see(np.full(64, 1.0), np.zeros(1))
    assert not other.see(np.full(64, 1e6), np.zeros(1))


def test_the_mean_of_a_point_that_stands_still_is_that_point():
    mean = MeanPoint(np.zeros(3), 8.0)
    for _ in range(5):
        mean.see(np.full(3, 4.0), 8)
        answer = mean.answer(np.full(3, 4.0), 0)
    np.testing.assert_allclose(answer, 4.0)
    assert np.all(mean.answer(np.full(3, 8.0), 8) < 8.0)


@pytest.mark.parametrize("rate", [3.0, 1e4, 1e30])
def test_a_training_with_any_rate_ends_finite_and_says_what_happened(rate):
    net = network()
    walk = minimize(net, net.start(0), learning_rate=rate, max_steps=400)
    assert np.isfinite(walk.x).all()
    assert np.isfinite(walk.fun)
    if rate > 3.0:
        assert walk.notes
        assert "rate / 2" in walk.notes[0]
        assert walk.record.facts["events"][0]["text"] == walk.notes[0]
        finding = next(finding for finding in walk.findings if finding.cause == "learning-rate-too-high")
        assert finding.where.get("step", 0) <= 400


def test_a_batch_that_overflows_is_left_behind(monkeypatch):
    """A planted fault: at step 70 the gradient is not finite."""
    net, calls = network(), []
    sound = Network.gradient_into

    def faulty(self, gradient, w, rows=None):
        value = sound(self, gradient, w, rows)
        calls.append(value)
        if len(calls) == 70:
            gradient[3] = np.nan
        return value

    monkeypatch.setattr(Network, "gradient_into", faulty)
    walk = minimize(net, net.start(0), max_steps=200)
    assert np.isfinite(walk.x).all()
    assert len(walk.notes) == 1
    assert walk.fun < 0.2 * np.log(10)


def test_long_vectors_in_place_take_the_steps_of_short_ones(monkeypatch):
    net = network()
    assert net.n_parameters > textbook.LONG
    ways = []
    for long in (textbook.LONG, 1 << 40):
        monkeypatch.setattr(textbook, "LONG", long)
        for method in ("adam", "nadam", "rmsprop", "momentum", "adagrad"):
            walk = minimize(
                net, net.start(0), method, learning_rate=0.003, batch_size=32, max_steps=25, clip_norm=1.0,
                on_divergence="recover",
            )  # fmt: skip
            ways.append((walk.x, walk.record["cost"][:-1], walk.record["step_norm"][:-1]))
    for mine, other in zip(ways[:5], ways[5:], strict=True):
        for a, b in zip(mine, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-6)


def test_a_classifier_with_a_wild_rate_is_finite_and_tells():
    model = MLPClassifier((30,), solver="sgd", learning_rate_init=1e6, max_iter=12).fit(X, Y)
    assert all(np.isfinite(W).all() for W in model.coefs_)
    assert model.record_.facts["events"]
    assert model.findings_


def test_a_gradient_too_large_for_its_square_is_told_without_a_warning():
    for dtype, size in ((np.float32, 1e30), (np.float64, 1e300)):
        assert length(np.full(100, size, dtype)) == pytest.approx(10 * size)


def test_what_is_looked_at_after_a_training_reads_the_samples_once(monkeypatch):
    net, whole = network(), []
    sound = Network.gradient_into

    def counting(self, gradient, w, rows=None):
        whole.append(rows is None)
        return sound(self, gradient, w, rows)

    monkeypatch.setattr(Network, "gradient_into", counting)
    minimize(net, net.start(0), max_steps=50)
    assert sum(whole) == 1  # the cost and gradient of the answer
