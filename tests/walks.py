"""What tests of walks share: costs of two lines, a cost for the compiler, a method of each kind, walks both ways."""

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der

from descender.costs.cost import Cost, Kernel
from descender.costs.risk import Risk
from descender.descent import descend
from descender.methods import textbook
from descender.methods.advance import Options
from descender.methods.lbfgs import LBFGS
from descender.methods.metric import LearntMetric
from descender.methods.rates import Backtracking, Constant
from descender.methods.rules import GradientDescent, Momentum
from descender.methods.textbook import Textbook
from descender.walk import Stop

START = np.array([-1.2, 1.0])


class Plain(Cost):
    """A cost that counts its calls, and may do something at one of them."""

    def __init__(self, fun=rosen, gradient=rosen_der, d=2, at=None, do=None):
        self.fun, self.slope, self.at, self.do, self.calls = fun, gradient, at, do, 0
        self.names = tuple("xyzuvw"[:d])

    def value_and_gradient(self, w, rows=None):
        self.calls += 1
        if self.calls == self.at:
            self.do()
        with np.errstate(all="ignore"):
            return float(self.fun(w)), np.asarray(self.slope(w), dtype=float)


A, AT = np.array([[3.0, 1.0], [1.0, 2.0]]), np.array([1.0, -2.0])
COSTS = {
    "quadratic": Plain(lambda w: 0.5 * (w - AT) @ A @ (w - AT), lambda w: A @ (w - AT)),
    "nonlinear": Plain(
        lambda w: np.sum(np.logaddexp(w, -w)) + 0.1 * np.sum(np.cos(w[0] * w[1])) + 0.5 * w[0],
        lambda w: np.tanh(w) - 0.1 * np.sin(w[0] * w[1]) * w[::-1] + [0.5, 0.0],
    ),
}


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


class Bowl(Plain):
    """A cost of one variable that can be compiled."""

    def __init__(self):
        super().__init__(lambda w: 0.5 * w[0] ** 2, lambda w: [w[0]], 1)

    def kernel(self):
        return Kernel("def evaluate(w, data, rows):\n    return 0.5 * w[0] * w[0], w.copy()\n", ())


def gd(rate=1e-3, **options):
    given = {k: options.pop(k) for k in ("batch_size", "recover") if k in options}
    return Textbook("gd", GradientDescent(), Constant(rate), options=Options(**options), **given)


def risk(n=40, d=3, seed=0, **options):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    y = (X[:, 0] + rng.normal(size=n) > 0).astype(float)
    return Risk(X, y, "log_loss", **{"l2": 0.1} | options)


METHODS = {
    "gd": (Plain, START, gd),
    "momentum": (Plain, START, lambda: Textbook("momentum", Momentum(), Constant(1e-4))),
    "backtracking": (Plain, START, lambda: Textbook("gd", GradientDescent(), Backtracking())),
    "batches": (risk, np.zeros(4), lambda: gd(0.1, batch_size=7)),
    "L-BFGS": (Plain, START, LBFGS),
    "learnt metric": (risk, np.full(4, 5.0), lambda: LearntMetric(1e-10)),
}
every = pytest.mark.parametrize("name", METHODS)


def run(name, stop=None, **options):
    make, start, method = METHODS[name]
    cost = make()
    walk = descend(cost, start, method(), stop or Stop(max_steps=30), **options)
    walk.cost = cost
    return walk


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
