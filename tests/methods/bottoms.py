"""Functions whose bottoms are known, each with its gradient and its start, and a walk on one of them."""

import signal
from contextlib import contextmanager

import numpy as np
from scipy.optimize import rosen, rosen_der

from descender.costs.cost import Cost
from descender.descent import descend
from descender.methods.lbfgs import LBFGS
from descender.walk import Stop


class Plain(Cost):
    """A cost with its gradient; it counts how often it is asked."""

    def __init__(self, fun, gradient, d, convex=False):
        self.fun, self.slope, self.convex, self.asked = fun, gradient, convex, 0
        self.names = tuple(f"w{j}" for j in range(d))

    def value_and_gradient(self, w, rows=None):
        self.asked += 1
        return float(self.fun(w)), np.asarray(self.slope(w), dtype=float)


@contextmanager
def at_most(seconds):
    """A walk that does not end is a fault, not a test that hangs."""

    def ring(*_):
        raise TimeoutError(f"no end within {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def walk(fun, gradient, start, stop=None, convex=False, **options):
    start = np.array(start, dtype=float)
    cost = Plain(fun, gradient, len(start), convex)
    with at_most(10):
        result = descend(cost, start, LBFGS(**options), stop or Stop(max_steps=2000))
    result.cost = cost
    return result


def quotient(f, w):
    """Central differences: a second opinion about the gradients of this file."""
    h = 1e-6 * np.maximum(1.0, np.abs(w))
    return np.array([(f(w + h[j] * e) - f(w - h[j] * e)) / (2 * h[j]) for j, e in enumerate(np.eye(len(w)))])


def beale(w):
    x, y = w
    return sum((c - x * (1 - y**k)) ** 2 for k, c in ((1, 1.5), (2, 2.25), (3, 2.625)))


def beale_der(w):
    x, y = w
    r = [(c - x * (1 - y**k), k) for k, c in ((1, 1.5), (2, 2.25), (3, 2.625))]
    return [sum(-2 * e * (1 - y**k) for e, k in r), sum(2 * e * x * k * y ** (k - 1) for e, k in r)]


def powell(w):
    a, b, c, d = w
    return (a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4


def powell_der(w):
    a, b, c, d = w
    p, q, r, s = 2 * (a + 10 * b), 10 * (c - d), 4 * (b - 2 * c) ** 3, 40 * (a - d) ** 3
    return [p + s, 10 * p + r, q - 2 * r, -q - s]


def wood(w):
    a, b, c, d = w
    return (
        100 * (b - a * a) ** 2 + (1 - a) ** 2 + 90 * (d - c * c) ** 2 + (1 - c) ** 2
        + 10.1 * ((b - 1) ** 2 + (d - 1) ** 2) + 19.8 * (b - 1) * (d - 1)
    )  # fmt: skip


def wood_der(w):
    a, b, c, d = w
    return [
        -400 * a * (b - a * a) - 2 * (1 - a), 200 * (b - a * a) + 20.2 * (b - 1) + 19.8 * (d - 1),
        -360 * c * (d - c * c) - 2 * (1 - c), 180 * (d - c * c) + 20.2 * (d - 1) + 19.8 * (b - 1),
    ]  # fmt: skip


def himmelblau(w):
    return (w[0] ** 2 + w[1] - 11) ** 2 + (w[0] + w[1] ** 2 - 7) ** 2


def himmelblau_der(w):
    p, q = w[0] ** 2 + w[1] - 11, w[0] + w[1] ** 2 - 7
    return [4 * w[0] * p + 2 * q, 2 * p + 4 * w[1] * q]


def booth(w):
    return (w[0] + 2 * w[1] - 7) ** 2 + (2 * w[0] + w[1] - 5) ** 2


def booth_der(w):
    p, q = w[0] + 2 * w[1] - 7, 2 * w[0] + w[1] - 5
    return [2 * p + 4 * q, 4 * p + 2 * q]


SCALES = 10.0 ** np.arange(-8, 9, 4)


def scaled(w):
    return 0.5 * np.sum(SCALES * (w - 1) ** 2)


def scaled_der(w):
    return SCALES * (w - 1)


def valley(w):
    return 1e6 * (w[0] - w[1] ** 2) ** 2 + (w[1] - 1) ** 2


def valley_der(w):
    r = w[0] - w[1] ** 2
    return [2e6 * r, -4e6 * w[1] * r + 2 * (w[1] - 1)]


def log_cosh(w):
    return np.sum(np.logaddexp(w, -w) - np.log(2))


def tanh2(w):
    return np.sum(np.tanh(w) ** 2)


def tanh2_der(w):
    return 2 * np.tanh(w) / np.cosh(w) ** 2


def saddle(w):
    return w[0] ** 2 - w[1] ** 2 + 0.25 * w[1] ** 4


def saddle_der(w):
    return [2 * w[0], -2 * w[1] + w[1] ** 3]


ROOT2 = np.sqrt(2.0)
# name: function, gradient, start, the minimum's value, where (several rows: any of them), how near
TABLE = {
    "rosenbrock 2": (rosen, rosen_der, [-1.2, 1.0], 0.0, [[1, 1]], 1e-8),
    "rosenbrock 10": (rosen, rosen_der, [-1.2, 1.0] * 5, 0.0, [[1] * 10], 1e-7),
    "beale": (beale, beale_der, [1.0, 1.0], 0.0, [[3, 0.5]], 1e-8),
    "powell singular": (powell, powell_der, [3.0, -1.0, 0.0, 1.0], 0.0, [[0] * 4], 1e-2),
    "wood": (wood, wood_der, [-3.0, -1.0, -3.0, -1.0], 0.0, [[1] * 4], 1e-7),
    "himmelblau": (
        himmelblau, himmelblau_der, [0.0, 0.0], 0.0,
        [[3, 2], [-2.805118086952745, 3.131312518250573], [-3.779310253377747, -3.283185991286170],
         [3.584428340330492, -1.848126526964404]], 1e-7,
    ),
    "booth": (booth, booth_der, [-10.0, 8.0], 0.0, [[1, 3]], 1e-8),
    "log cosh from 10": (log_cosh, np.tanh, [10.0, -3.0], 0.0, [[0, 0]], 1e-7),
    "tanh squared from 10": (tanh2, tanh2_der, [10.0], 0.0, [[0]], 1e-6),
    "saddle": (saddle, saddle_der, [1.0, 0.0], -1.0, [[0, ROOT2], [0, -ROOT2]], 1e-6),
    "at a saddle": (saddle, saddle_der, [0.0, 0.0], -1.0, [[0, ROOT2], [0, -ROOT2]], 1e-6),
    "at a maximum": (lambda w: np.sum(np.cos(w)), lambda w: -np.sin(w), [0.0, 0.0], -2.0,
                     [[a * np.pi, b * np.pi] for a in (-1, 1) for b in (-1, 1)], 1e-6),
    "double well": (lambda w: (w[0] ** 2 - 1) ** 2, lambda w: [4 * w[0] * (w[0] ** 2 - 1)], [0.0],
                    0.0, [[1], [-1]], 1e-7),
    "narrow valley": (valley, valley_der, [4.0, -2.0], 0.0, [[1, 1]], 1e-5),
    "scales 1e-8 to 1e8": (scaled, scaled_der, [-3.0, 5.0, 0.0, 7.0, -2.0], 0.0, [[1] * 5], 1e-2),
    "quartic": (lambda w: np.sum((w - 2) ** 4), lambda w: 4 * (w - 2) ** 3, [10.0], 0.0, [[2]], 1e-3),
    "from far": (booth, booth_der, [1e8, -1e8], 0.0, [[1, 3]], 1e-6),
    "at the bottom": (booth, booth_der, [1.0, 3.0], 0.0, [[1, 3]], 0.0),
}  # fmt: skip
