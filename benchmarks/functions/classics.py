"""The classics of few variables, by the names under which they are known; where several basins are, near one.

M. Jamil and X.-S. Yang, *A literature survey of benchmark functions for global optimisation problems*, 2013.
"""

from functools import partial

import jax.numpy as jnp
import numpy as np

from .problem import problem

classic = partial(problem, "classics")


@classic("Booth", [-5.0, 8.0], 0.0)
def booth(x):
    return (x[0] + 2 * x[1] - 7) ** 2 + (2 * x[0] + x[1] - 5) ** 2


@classic("Himmelblau", [0.0, 0.0], 0.0)
def himmelblau(x):
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


@classic("Branin", [2.5, 7.5], 0.39788735772973816)
def branin(x):
    valley = x[1] - 5.1 / (4 * jnp.pi**2) * x[0] ** 2 + 5 / jnp.pi * x[0] - 6
    return valley**2 + 10 * (1 - 1 / (8 * jnp.pi)) * jnp.cos(x[0]) + 10


@classic("Goldstein and Price", [-0.5, -0.5])
def goldstein_price(x):
    u, v = x
    first = 1 + (u + v + 1) ** 2 * (19 - 14 * u + 3 * u**2 - 14 * v + 6 * u * v + 3 * v**2)
    return first * (30 + (2 * u - 3 * v) ** 2 * (18 - 32 * u + 12 * u**2 + 48 * v - 36 * u * v + 27 * v**2))


@classic("Matyas", [8.0, -3.0], 0.0)
def matyas(x):
    return 0.26 * jnp.sum(x**2) - 0.48 * x[0] * x[1]


@classic("McCormick", [0.0, 0.0])
def mccormick(x):
    return jnp.sin(x[0] + x[1]) + (x[0] - x[1]) ** 2 - 1.5 * x[0] + 2.5 * x[1] + 1


@classic("Three-hump camel", [0.6, 0.6], 0.0)
def three_hump_camel(x):
    return 2 * x[0] ** 2 - 1.05 * x[0] ** 4 + x[0] ** 6 / 6 + x[0] * x[1] + x[1] ** 2


@classic("Six-hump camel", [0.5, -0.5], -1.0316284534898774)
def six_hump_camel(x):
    return (4 - 2.1 * x[0] ** 2 + x[0] ** 4 / 3) * x[0] ** 2 + x[0] * x[1] + (4 * x[1] ** 2 - 4) * x[1] ** 2


@classic("Bohachevsky", [0.1, -0.1], 0.0)
def bohachevsky(x):
    waves = 0.3 * jnp.cos(3 * jnp.pi * x[0]) + 0.4 * jnp.cos(4 * jnp.pi * x[1])
    return x[0] ** 2 + 2 * x[1] ** 2 - waves + 0.7


@classic("Easom, near its well", [2.5, 3.6], -1.0)
def easom(x):
    return -jnp.prod(jnp.cos(x)) * jnp.exp(-jnp.sum((x - jnp.pi) ** 2))


@classic("Cube", [-1.2, 1.0], 0.0)
def cube(x):
    return 100 * (x[1] - x[0] ** 3) ** 2 + (1 - x[0]) ** 2


@classic("Hilbert quadratic", np.ones(10), 0.0)
def hilbert(x):
    i = jnp.arange(len(x))
    return x @ (1 / (i[:, None] + i + 1)) @ x


@classic("Hartmann 6", np.full(6, 0.3))
def hartmann(x):
    A = np.array(
        [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
    )
    P = 1e-4 * np.array(
        [
            [1312, 1696, 5569, 124, 8283, 5886],
            [2329, 4135, 8307, 3736, 1004, 9991],
            [2348, 1451, 3522, 2883, 3047, 6650],
            [4047, 8828, 8732, 5743, 1091, 381],
        ]
    )
    return -np.array([1.0, 1.2, 3.0, 3.2]) @ jnp.exp(-jnp.sum(A * (x - P) ** 2, axis=1))


@classic("Colville", [-2.0, 2.0, -2.0, 2.0], 0.0)
def colville(x):
    a, b, c, d = x
    wells = 100 * (a**2 - b) ** 2 + (a - 1) ** 2 + (c - 1) ** 2 + 90 * (c**2 - d) ** 2
    return wells + 10.1 * ((b - 1) ** 2 + (d - 1) ** 2) + 19.8 * (b - 1) * (d - 1)


@classic("Zakharov 10", np.linspace(-2.0, 3.0, 10), 0.0)
def zakharov(x):
    s = jnp.sum(0.5 * jnp.arange(1, len(x) + 1) * x)
    return jnp.sum(x**2) + s**2 + s**4


@classic("Dixon and Price 10", np.ones(10))
def dixon_price(x):
    i = jnp.arange(2, len(x) + 1)
    return (x[0] - 1) ** 2 + jnp.sum(i * (2 * x[1:] ** 2 - x[:-1]) ** 2)


@classic("Styblinski and Tang 10", np.linspace(-4.0, -1.0, 10))
def styblinski_tang(x):
    return jnp.sum(x**4 - 16 * x**2 + 5 * x) / 2


@classic("Trid 10", np.zeros(10), -210.0)
def trid(x):
    return jnp.sum((x - 1) ** 2) - jnp.sum(x[1:] * x[:-1])


@classic("Griewank 10, near its bottom", np.linspace(-1.0, 1.2, 10), 0.0)
def griewank(x):
    return jnp.sum(x**2) / 4000 - jnp.prod(jnp.cos(x / jnp.sqrt(jnp.arange(1, len(x) + 1)))) + 1


@classic("Levy 10", np.full(10, 0.8), 0.0)
def levy(x):
    v = 1 + (x - 1) / 4
    inner = (v[:-1] - 1) ** 2 * (1 + 10 * jnp.sin(jnp.pi * v[:-1] + 1) ** 2)
    last = (v[-1] - 1) ** 2 * (1 + jnp.sin(2 * jnp.pi * v[-1]) ** 2)
    return jnp.sin(jnp.pi * v[0]) ** 2 + jnp.sum(inner) + last


@classic("Ackley with a round tip", np.linspace(-0.3, 0.4, 5), 0.0)
def ackley(x):
    tip = 20 * (jnp.exp(-0.2 * 0.1) - jnp.exp(-0.2 * jnp.sqrt(jnp.mean(x**2) + 0.01)))
    return tip + jnp.e - jnp.exp(jnp.mean(jnp.cos(2 * jnp.pi * x)))


@classic("Rastrigin 10, near its bottom", np.linspace(-0.3, 0.35, 10), 0.0)
def rastrigin(x):
    return 10 * len(x) + jnp.sum(x**2 - 10 * jnp.cos(2 * jnp.pi * x))


@classic("Sum of powers 8", np.linspace(-1.0, 0.9, 8), 0.0)
def sum_of_powers(x):
    return jnp.sum(jnp.abs(x) ** (2 + jnp.arange(len(x)) / 2))


@classic("Quartic 5", [5.0, -3.0, 2.0, 7.0, 1.0], 0.0)
def quartic(x):
    return jnp.sum((x - 2) ** 4)


@classic("log cosh from 10", [10.0, -3.0], 0.0)
def log_cosh(x):
    return jnp.sum(jnp.logaddexp(x, -x) - jnp.log(2.0))


@classic("tanh squared", [2.0, -1.5], 0.0)
def tanh_squared(x):
    return jnp.sum(jnp.tanh(x) ** 2)


@classic("Exponential bowl", [3.0, -2.0, 1.0])
def exponential_bowl(x):
    return jnp.sum(jnp.exp(x) - 2 * x) + jnp.exp(0.1 * jnp.sum(x**2))


@classic("Hole of 1/r", [0.2, 0.1])
def hole(x):
    r = jnp.sum(x**2)
    return r + 1 / r + 0.1 * x[0]
