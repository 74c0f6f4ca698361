"""A rule as passes of NumPy in place, and as one compiled loop, takes the steps of its formula, to the last bit."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from descender import minimize
from descender.costs.network.build import perceptron
from descender.costs.network.network import Network
from descender.kernels.fused import fused
from descender.kernels.passes import passes_texts
from descender.methods import plain
from descender.methods.advance import OWN
from descender.methods.rules import RULES
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


def compiled_steps(monkeypatch, *given):
    """The same, by the compiled loop."""
    with monkeypatch.context() as now:
        now.setattr(plain, "COMPILER_FROM", 0)
        return steps(plain.InPlace(given[0]), *given)


class AsItStands:
    """The formula on whole vectors."""

    def __init__(self, rule):
        self.formula = plain.update(rule)

    def update(self, new, new_state, memory, p, w, *rest):
        old = w.copy()
        self.formula(w, new_state, memory, p, old, *rest)
        self.norm = np.linalg.norm(w - old)

    def distance(self, new, w):
        return self.norm


@pytest.mark.parametrize("name", sorted(set(RULES) - {"noise"}))
def test_a_step_in_place_is_the_formula_bit_by_bit(name, monkeypatch):
    monkeypatch.setattr(plain, "PIECE", 4096)  # the last piece is shorter
    rule = RULES[name]()
    ways = steps(plain.InPlace(rule), rule, np.float32), steps(AsItStands(rule), rule, np.float32)
    for (w, s, norm), (w2, s2, norm2) in zip(*ways, strict=True):
        np.testing.assert_array_equal(w, w2)
        np.testing.assert_array_equal(s, s2)
        assert norm2 == pytest.approx(norm, rel=1e-4)


def test_what_numpy_has_no_pass_for_is_written_as_it_stands():
    def formula(p, w, g, s, rate, t):
        sure = np.where(g > p.least, -g, s[0] ** 2)
        return w + rate * sure, (sure,)

    numbers, text = passes_texts(formula, 1)
    assert numbers.endswith("return (p.least, 2, rate)")
    assert "np.copyto(s0, np.where(g > c0, -g, s0 ** c1))" in text


@pytest.mark.parametrize(
    ("rule", "dtype"),
    [(NAdam(), np.float32), (NAdam(), np.float64), (Lion(), np.float32), (Prodigy(), np.float32),
     (ScheduleFree(), np.float32), (GradientDescent(), np.float32)],
)  # fmt: skip
def test_a_fused_step_is_the_step_bit_by_bit(rule, dtype, monkeypatch):
    for (w, s, norm), (w2, s2, norm2) in zip(
        steps(plain.InPlace(rule), rule, dtype), compiled_steps(monkeypatch, rule, dtype), strict=True
    ):
        np.testing.assert_array_equal(w, w2)
        np.testing.assert_array_equal(s, s2)
        assert norm2 == pytest.approx(norm, rel=1e-5)
        assert w2.dtype == dtype


def test_noise_in_double_precision_is_rounded_at_most_once_more(monkeypatch):
    rule = GradientNoise()
    for (w, _, _), (w2, _, _) in zip(
        steps(plain.InPlace(rule), rule, np.float32), compiled_steps(monkeypatch, rule, np.float32), strict=True
    ):
        np.testing.assert_allclose(w, w2, rtol=1e-6, atol=1e-6)


def test_a_walk_goes_on_in_the_compiled_loop_and_ends_where_the_other_does(monkeypatch):
    X, y = load_digits(return_X_y=True)
    net = Network(perceptron(64, [80], 10), (X[:300] / 16).astype(np.float32), y[:300], "softmax")
    ends, loops = [], []
    monkeypatch.setattr(plain, "fused", lambda *given: loops.append(given) or fused(*given))
    for least in (1 << 62, 100 * net.n_parameters):
        monkeypatch.setattr(plain, "COMPILER_FROM", least)
        monkeypatch.setattr(plain.InPlace, "moved", 0)
        ends.append(minimize(net, net.start(0), max_steps=300, seed=1).x)
        assert plain.InPlace.moved == min(300, least // net.n_parameters) * net.n_parameters
    np.testing.assert_array_equal(*ends)
    assert loops == [(NAdam.formula, 2)]
