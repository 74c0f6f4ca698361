"""Moré, Garbow and Hillstrom's problems 21 to 35: sums of squares of any number of parameters, few and many.

The numbers of the comments are theirs; the first dimension is the paper's or usual, the second makes it large.
"""

import jax.numpy as jnp
import numpy as np

from .problem import squares


def mgh(name, start, *counts, lowest=None):
    """One function in several dimensions."""

    def add(residuals):
        for count in counts:
            squares("Moré-Garbow-Hillstrom", f"{name} {count}", start(count), lowest)(residuals)
        return residuals

    return add


def places(count):
    """The inner points of [0, 1] on which the two integral equations are discretised."""
    return np.arange(1, count + 1) / (count + 1)


@mgh("Extended Rosenbrock", lambda n: np.tile([-1.2, 1.0], n // 2), 10, 100, lowest=0.0)  # 21
def extended_rosenbrock(x):
    a, b = x[::2], x[1::2]
    return jnp.concatenate([10 * (b - a**2), 1 - a])


@mgh("Extended Powell singular", lambda n: np.tile([3.0, -1.0, 0.0, 1.0], n // 4), 12, 100, lowest=0.0)  # 22
def extended_powell(x):
    a, b, c, d = x[::4], x[1::4], x[2::4], x[3::4]
    return jnp.concatenate([a + 10 * b, 5**0.5 * (c - d), (b - 2 * c) ** 2, 10**0.5 * (a - d) ** 2])


@mgh("Penalty I", lambda n: np.arange(1.0, n + 1), 4, 10, 100)  # 23
def penalty_1(x):
    return jnp.append(1e-5**0.5 * (x - 1), jnp.sum(x**2) - 0.25)


@mgh("Penalty II", lambda n: np.full(n, 0.5), 4, 10, 50)  # 24
def penalty_2(x):
    n = len(x)
    i = jnp.arange(2.0, n + 1)
    y = jnp.exp(i / 10) + jnp.exp((i - 1) / 10)
    near = jnp.exp(x[1:] / 10) + jnp.exp(x[:-1] / 10) - y
    alone = jnp.exp(x[1:] / 10) - jnp.exp(-0.1)
    last = jnp.sum(jnp.arange(n, 0, -1) * x**2) - 1
    return jnp.concatenate([x[:1] - 0.2, 1e-5**0.5 * near, 1e-5**0.5 * alone, last[None]])


@mgh("Variably dimensioned", lambda n: 1 - np.arange(1, n + 1) / n, 10, 100, lowest=0.0)  # 25
def variably_dimensioned(x):
    total = jnp.sum(jnp.arange(1, len(x) + 1) * (x - 1))
    return jnp.concatenate([x - 1, total[None], total[None] ** 2])


@mgh("Trigonometric", lambda n: np.full(n, 1.0 / n), 10, 100)  # 26
def trigonometric(x):
    return len(x) - jnp.sum(jnp.cos(x)) + jnp.arange(1, len(x) + 1) * (1 - jnp.cos(x)) - jnp.sin(x)


@mgh("Brown almost-linear", lambda n: np.full(n, 0.5), 10, 40)  # 27
def brown_almost_linear(x):
    return jnp.append(x[:-1] + jnp.sum(x) - (len(x) + 1), jnp.prod(x) - 1)


@mgh("Discrete boundary value", lambda n: places(n) * (places(n) - 1), 10, 100, lowest=0.0)  # 28
def discrete_boundary(x):
    h, t = 1 / (len(x) + 1), places(len(x))
    beside = jnp.pad(x, 1)
    return 2 * x - beside[:-2] - beside[2:] + h**2 * (x + t + 1) ** 3 / 2


@mgh("Discrete integral equation", lambda n: places(n) * (places(n) - 1), 10, 100, lowest=0.0)  # 29
def discrete_integral(x):
    h, t = 1 / (len(x) + 1), places(len(x))
    cubes = (x + t + 1) ** 3
    before = jnp.cumsum(t * cubes)
    after = jnp.sum((1 - t) * cubes) - jnp.cumsum((1 - t) * cubes)
    return x + h * ((1 - t) * before + t * after) / 2


@mgh("Broyden tridiagonal", lambda n: np.full(n, -1.0), 10, 1000)  # 30
def broyden_tridiagonal(x):
    beside = jnp.pad(x, 1)
    return (3 - 2 * x) * x - beside[:-2] - 2 * beside[2:] + 1


@mgh("Broyden banded", lambda n: np.full(n, -1.0), 10, 100)  # 31
def broyden_banded(x):
    near = jnp.pad(x * (1 + x), (5, 1))
    n = len(x)
    return x * (2 + 5 * x**2) + 1 - sum(near[k : k + n] for k in range(7) if k != 5)


@mgh("Linear, full rank", lambda n: np.ones(n), 10, 100)  # 32
def linear_full_rank(x):
    m = 2 * len(x)
    mean = 2 / m * jnp.sum(x)
    return jnp.concatenate([x, jnp.zeros(m - len(x))]) - mean - 1


@mgh("Linear, rank 1", lambda n: np.ones(n), 10, 50)  # 33
def linear_rank_1(x):
    return jnp.arange(1.0, 2 * len(x) + 1) * jnp.sum(jnp.arange(1, len(x) + 1) * x) - 1


@mgh("Linear, rank 1, zero columns", lambda n: np.ones(n), 10, 50)  # 34
def linear_rank_1_zero(x):
    n, m = len(x), 2 * len(x)
    inner = jnp.sum(jnp.arange(2, n) * x[1:-1])
    return jnp.pad(jnp.arange(1.0, m - 1) * inner, 1) - 1


@mgh("Chebyquad", lambda n: np.arange(1, n + 1) / (n + 1), 7, 8, 9, 10, 20)  # 35
def chebyquad(x):
    u = 2 * x - 1
    rows = [jnp.ones_like(u), u]
    for _ in range(len(x) - 1):
        rows.append(2 * u * rows[-1] - rows[-2])
    i = np.arange(1, len(x) + 1)
    integrals = np.where(i % 2, 0.0, -1.0 / np.where(i % 2, 1, i**2 - 1))
    return jnp.stack([row.mean() for row in rows[1:]]) - integrals
