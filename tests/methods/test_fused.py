"""A rule as one compiled loop over long vectors takes the steps of NumPy's passes, to the last bit."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from descender import minimize
from descender.costs.network.build import perceptron
from descender.costs.network.network import Network
from descender.methods import plain, textbook
from descender.methods.advance import OWN
from descender.methods.rules.adaptive import Lion, NAdam, Prodigy
from descender.methods.rules.averaged import ScheduleFree
from descender.methods.rules.plain import GradientDescent, GradientNoise

N = 10_001


def steps(stepper, rule, dtype, seed=0):
    """Five steps from the same point by the same gradients: points, states and lengths of the steps."""
    rng, told = np.random.default_rng(seed), []
    w, origin = rng.normal(size=N).astype(dtype), np.zeros(N, dtype)
    state = np.abs(rng.normal(size=len(rule.slots) * N)).astype(dtype)
    memory = rng.uniform(0.2, 0.9, OWN + len(getattr(rule, "memory", ())))
    for t in range(5):
        g, noise = rng.normal(size=N).astype(dtype), rng.normal(size=(1, N))
        stepper.update(w, state, memory, rule, w, g, state, origin, noise, 0, 0.01, t)
        told.append((w.copy(), state.copy(), stepper.distance(w, w)))
    return told


@pytest.mark.parametrize(
    ("rule", "dtype"),
    [(NAdam(), np.float32), (NAdam(), np.float64), (Lion(), np.float32), (Prodigy(), np.float32),
     (ScheduleFree(), np.float32), (GradientDescent(), np.float32)],
)  # fmt: skip
def test_a_fused_step_is_the_step_bit_by_bit(rule, dtype):
    for (w, s, norm), (w2, s2, norm2) in zip(
        steps(plain.InPlace(rule), rule, dtype), steps(plain.Fused(rule), rule, dtype), strict=True
    ):
        np.testing.assert_array_equal(w, w2)
        np.testing.assert_array_equal(s, s2)
        assert norm2 == pytest.approx(norm, rel=1e-5)
        assert w2.dtype == dtype


def test_noise_in_double_precision_is_rounded_at_most_once_more():
    rule = GradientNoise()
    for (w, _, _), (w2, _, _) in zip(
        steps(plain.InPlace(rule), rule, np.float32), steps(plain.Fused(rule), rule, np.float32), strict=True
    ):
        np.testing.assert_allclose(w, w2, rtol=1e-6, atol=1e-6)


def test_a_long_walk_is_fused_and_ends_where_the_other_does(monkeypatch):
    X, y = load_digits(return_X_y=True)
    net, made = Network(perceptron(64, [80], 10), (X[:300] / 16).astype(np.float32), y[:300], "softmax"), []
    ends = []
    for least in (textbook.FUSED_FROM, 1 << 62):
        monkeypatch.setattr(textbook, "FUSED_FROM", least)
        wanted = plain.Fused if least < 1 << 62 else plain.InPlace
        init = wanted.__init__
        monkeypatch.setattr(
            wanted, "__init__", lambda self, rule, init=init: made.append(type(self)) or init(self, rule)
        )
        ends.append(minimize(net, net.start(0), max_steps=700, seed=1).x)
        monkeypatch.setattr(wanted, "__init__", init)
    np.testing.assert_array_equal(*ends)
    assert made == [plain.Fused, plain.InPlace]
