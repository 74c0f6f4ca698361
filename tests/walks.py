"""What tests of the textbook loop share: costs of two lines, a cost for the compiler, and walks taken both ways."""

import numpy as np
import pytest

from descender.costs.cost import Cost, Kernel
from descender.descent import descend
from descender.methods import textbook
from descender.walk import Stop

START = np.array([-1.2, 1.0])


class Plain(Cost):
    """A cost of two lines, without a kernel."""

    def __init__(self, fun, gradient, d=2):
        self.fun, self.slope, self.names = fun, gradient, tuple(f"w{j}" for j in range(d))

    def value_and_gradient(self, w, rows=None):
        return float(self.fun(w)), np.asarray(self.slope(w), dtype=float)


A, AT = np.array([[3.0, 1.0], [1.0, 2.0]]), np.array([1.0, -2.0])
COSTS = {
    "quadratic": Plain(lambda w: 0.5 * (w - AT) @ A @ (w - AT), lambda w: A @ (w - AT)),
    "nonlinear": Plain(
        lambda w: np.sum(np.logaddexp(w, -w)) + 0.1 * np.sum(np.cos(w[0] * w[1])) + 0.5 * w[0],
        lambda w: np.tanh(w) - 0.1 * np.sin(w[0] * w[1]) * w[::-1] + [0.5, 0.0],
    ),
}


def rosenbrock():
    return Plain(
        lambda w: (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2,
        lambda w: [-2 * (1 - w[0]) - 400 * w[0] * (w[1] - w[0] ** 2), 200 * (w[1] - w[0] ** 2)],
    )


class Slide(Cost):
    """sum c sqrt(1 + (w - a)^2) of six weights, which stay an array, in a text that is compiled in a second."""

    names = tuple("abcdef")
    data = (np.linspace(0.5, 3.0, 6), np.linspace(-2.0, 1.0, 6))

    def value_and_gradient(self, w, rows=None):
        c, a = self.data
        off = w - a
        root = np.sqrt(1.0 + off * off)
        return float(np.sum(c * root)), c * off / root

    def kernel(self):
        source = (
            "def evaluate(w, data, rows):\n"
            "    c, a = data\n"
            "    g = np.empty(w.shape[0])\n"
            "    value = 0.0\n"
            "    for j in range(w.shape[0]):\n"
            "        off = w[j] - a[j]\n"
            "        root = np.sqrt(1.0 + off * off)\n"
            "        value += c[j] * root\n"
            "        g[j] = c[j] * off / root\n"
            "    return value, g\n"
        )
        return Kernel(source, self.data)


compiled_walk = textbook.compiled_walk


def both_ways(method, cost, start=None, steps=200, seed=3):
    """The walk whose every step is plain, and that whose every step is compiled."""
    walks = []
    for plain_steps in (10**9, 0):
        asked = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(textbook, "PLAIN_STEPS", plain_steps)
            patch.setattr(textbook, "compiled_walk", lambda *a, asked=asked: asked.append(1) or compiled_walk(*a))
            start = np.full(cost.n_parameters, 0.5) if start is None else start
            walks.append(descend(cost, start, method, Stop(max_steps=steps), seed=seed))
        assert len(asked) == (plain_steps == 0)
    return walks
