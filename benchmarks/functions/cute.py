"""Functions of many variables from the CUTE collection, those that are short, in a hundred to a thousand variables.

I. Bongartz, A. R. Conn, N. Gould, P. L. Toint, *CUTE: constrained and unconstrained testing environment*, ACM TOMS 21
(1995) 123-160; formulas as in N. Andrei, *An unconstrained optimization test functions collection*, 2008.
"""

from functools import partial

import jax.numpy as jnp
import numpy as np

from .problem import problem

cute = partial(problem, "CUTE")


@cute("ARWHEAD 1000", np.ones(1000), 0.0)
def arwhead(x):
    return jnp.sum((x[:-1] ** 2 + x[-1] ** 2) ** 2 - 4 * x[:-1] + 3)


@cute("BDQRTIC 100", np.ones(100))
def bdqrtic(x):
    n = len(x) - 4
    near = x[:n] ** 2 + 2 * x[1 : n + 1] ** 2 + 3 * x[2 : n + 2] ** 2 + 4 * x[3 : n + 3] ** 2 + 5 * x[-1] ** 2
    return jnp.sum((3 - 4 * x[:n]) ** 2 + near**2)


@cute("BROYDN7D 100", np.ones(100))
def broydn7d(x):
    n = len(x)
    ends = jnp.abs(-2 * x[1] + 1 + (3 - 2 * x[0]) * x[0]) ** (7 / 3)
    ends += jnp.abs(1 - x[-2] + (3 - 2 * x[-1]) * x[-1]) ** (7 / 3)
    inner = 1 - x[:-2] - 2 * x[2:] + (3 - 2 * x[1:-1]) * x[1:-1]
    return ends + jnp.sum(jnp.abs(inner) ** (7 / 3)) + jnp.sum(jnp.abs(x[: n // 2] + x[n // 2 :]) ** (7 / 3))


@cute("BRYBND 100", -np.ones(100))
def brybnd(x):
    near = jnp.pad(x + x**2, (5, 1))
    r = x * (2 + 5 * x**2) + 1 - sum(near[k : k + len(x)] for k in range(7) if k != 5)
    return jnp.sum(jnp.abs(r) ** 2.0)


@cute("CHAINWOO 100", np.concatenate([[-3.0, -1.0, -3.0, -1.0], np.full(96, -2.0)]))
def chained_wood(x):
    a, b, c, d = x[:-3:2], x[1:-2:2], x[2:-1:2], x[3::2]
    wells = 100 * (b - a**2) ** 2 + (1 - a) ** 2 + 90 * (d - c**2) ** 2 + (1 - c) ** 2
    return 1 + jnp.sum(wells + 10 * (b + d - 2) ** 2 + 0.1 * (b - d) ** 2)


@cute("COSINE 200", np.ones(200))
def cosine(x):
    return jnp.sum(jnp.cos(x[:-1] ** 2 - 0.5 * x[1:]))


@cute("CRAGGLVY 100", np.concatenate([[1.0], np.full(99, 2.0)]))
def cragglvy(x):
    a, b, c, d = x[:-3:2], x[1:-2:2], x[2:-1:2], x[3::2]
    return jnp.sum((jnp.exp(a) - b) ** 4 + 100 * (b - c) ** 6 + (jnp.tan(c - d) + c - d) ** 4 + a**8 + (d - 1) ** 2)


@cute("CURLY10 100", 1e-4 * np.arange(1, 101) / 101)
def curly(x):
    sums = jnp.cumsum(jnp.pad(x, (1, 10)))
    q = sums[11:] - sums[: len(x)]
    return jnp.sum(q * (q * (q**2 - 20) - 0.1))


def dixmaan(name, alpha, beta, gamma, delta, powers, count=120):
    """L. C. W. Dixon and Z. Maany's family; the powers of i/n weigh the four sums."""

    @cute(f"{name} {count}", np.full(count, 2.0), 1.0)
    def formula(x):
        n = len(x)
        m = n // 3
        weights = [(jnp.arange(1, n + 1) / n) ** power for power in powers]
        squares = jnp.sum(alpha * weights[0] * x**2)
        chain = jnp.sum(beta * weights[1][:-1] * x[:-1] ** 2 * (x[1:] + x[1:] ** 2) ** 2)
        quartics = jnp.sum(gamma * weights[2][: 2 * m] * x[: 2 * m] ** 2 * x[m:] ** 4)
        return 1 + squares + chain + quartics + jnp.sum(delta * weights[3][:m] * x[:m] * x[2 * m :])


dixmaan("DIXMAANA", 1, 0, 0.125, 0.125, (0, 0, 0, 0))
dixmaan("DIXMAANB", 1, 0.0625, 0.0625, 0.0625, (0, 0, 0, 1))
dixmaan("DIXMAANE", 1, 0, 0.125, 0.125, (1, 0, 0, 1))
dixmaan("DIXMAANI", 1, 0, 0.125, 0.125, (2, 0, 0, 2))


@cute("DQDRTIC 200", np.full(200, 3.0), 0.0)
def dqdrtic(x):
    return jnp.sum(x[:-2] ** 2 + 100 * x[1:-1] ** 2 + 100 * x[2:] ** 2)


@cute("DQRTIC 100", np.full(100, 2.0), 0.0)
def dqrtic(x):
    return jnp.sum((x - jnp.arange(1, len(x) + 1)) ** 4)


@cute("EDENSCH 200", np.full(200, 8.0))
def edensch(x):
    return 16 + jnp.sum((x[:-1] - 2) ** 4 + (x[:-1] * x[1:] - 2 * x[1:]) ** 2 + (x[1:] + 1) ** 2)


@cute("EG2 200", np.ones(200))
def eg2(x):
    return jnp.sum(jnp.sin(x[0] + x[:-1] ** 2 - 1)) + 0.5 * jnp.sin(x[-1] ** 2)


@cute("ENGVAL1 200", np.full(200, 2.0))
def engval1(x):
    return jnp.sum((x[:-1] ** 2 + x[1:] ** 2) ** 2 - 4 * x[:-1] + 3)


@cute("EXTROSNB 10", np.full(10, -1.0), 0.0)
def extrosnb(x):
    return (x[0] - 1) ** 2 + 100 * jnp.sum((x[1:] - x[:-1] ** 2) ** 2)


@cute("FLETCBV2 100", np.arange(1, 101) / 101.0)
def fletcbv2(x):
    n = len(x)
    h = 1 / (n + 1)
    differences = 0.5 * (x[0] ** 2 + jnp.sum((x[:-1] - x[1:]) ** 2) + x[-1] ** 2)
    return differences - h**2 * jnp.sum(2 * x + jnp.cos(x)) - x[-1]


@cute("FLETCHCR 100", np.zeros(100), 0.0)
def fletchcr(x):
    return 100 * jnp.sum((x[1:] - x[:-1] + 1 - x[:-1] ** 2) ** 2)


@cute("FREUROTH 200", np.concatenate([[0.5, -2.0], np.zeros(198)]))
def freuroth(x):
    a, b = x[:-1], x[1:]
    return jnp.sum((a - 13 + ((5 - b) * b - 2) * b) ** 2 + (a - 29 + ((b + 1) * b - 14) * b) ** 2)


@cute("GENHUMPS 5", np.concatenate([[-506.0], np.full(4, -506.2)]), 0.0)
def genhumps(x):
    a, b = x[:-1], x[1:]
    return jnp.sum(jnp.sin(2 * a) ** 2 * jnp.sin(2 * b) ** 2 + 0.05 * (a**2 + b**2))


@cute("GENROSE 100", np.arange(1, 101) / 101.0)
def genrose(x):
    return 1 + jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (x[1:] - 1) ** 2)


@cute("LIARWHD 1000", np.full(1000, 4.0), 0.0)
def liarwhd(x):
    return jnp.sum(4 * (x**2 - x[0]) ** 2 + (x - 1) ** 2)


@cute("NONCVXUN 50", np.arange(1.0, 51.0))
def noncvxun(x):
    n = len(x)
    i = np.arange(1, n + 1)
    s = x + x[(2 * i - 1) % n] + x[(3 * i - 1) % n]
    return jnp.sum(s**2 + 4 * jnp.cos(s))


@cute("NONDIA 200", -np.ones(200))
def nondia(x):
    return (x[0] - 1) ** 2 + 100 * jnp.sum((x[0] - x[:-1] ** 2) ** 2)


@cute("NONDQUAR 100", np.tile([1.0, -1.0], 50), 0.0)
def nondquar(x):
    ends = (x[0] - x[1]) ** 2 + (x[-2] + x[-1]) ** 2
    return ends + jnp.sum((x[:-2] + x[1:-1] + x[-1]) ** 4)


@cute("PENALTY3-like 50", np.arange(1, 51) / 51.0)
def penalty_3(x):
    r = jnp.exp(x[-1]) * jnp.sum((x[:-2] + 2 * x[1:-1] + 10 * x[2:] - 1) ** 2)
    return 1e-3 * (1 + r) + (jnp.sum(x**2) - len(x)) ** 2 / len(x) + jnp.sum((x[: len(x) // 2] - 1) ** 2)


@cute("POWER 100", np.ones(100), 0.0)
def power(x):
    return jnp.sum(jnp.arange(1, len(x) + 1) * x**2) ** 2


@cute("SCHMVETT 100", np.full(100, 0.5))
def schmvett(x):
    a, b, c = x[:-2], x[1:-1], x[2:]
    return -jnp.sum(1 / (1 + (a - b) ** 2) + jnp.sin((jnp.pi * b + c) / 2) + jnp.exp(-(((a + c) / b - 2) ** 2)))


@cute("SINQUAD 100", np.full(100, 0.1))
def sinquad(x):
    ends = (x[0] - 1) ** 4 + (x[-1] ** 2 - x[0] ** 2) ** 2
    return ends + jnp.sum((jnp.sin(x[1:-1] - x[-1]) - x[0] ** 2 + x[1:-1] ** 2) ** 2)


@cute("SPARSINE 50", np.full(50, 0.5), 0.0)
def sparsine(x):
    n = len(x)
    i = np.arange(1, n + 1)
    s = sum(jnp.sin(x[(k * i - 1) % n]) for k in (1, 2, 3, 5, 7, 11))
    return 0.5 * jnp.sum(i * s**2)


@cute("SPARSQUR 100", np.full(100, 0.5), 0.0)
def sparsqur(x):
    n = len(x)
    i = np.arange(1, n + 1)
    s = sum(x[(k * i - 1) % n] ** 2 for k in (1, 2, 3, 5, 7, 11))
    return 0.125 * jnp.sum(i * s**2)


@cute("SROSENBR 1000", np.tile([1.2, 1.0], 500), 0.0)
def srosenbr(x):
    return jnp.sum(100 * (x[1::2] - x[::2] ** 2) ** 2 + (x[::2] - 1) ** 2)


@cute("TOINTGSS 200", np.full(200, 3.0))
def tointgss(x):
    a, b, c = x[:-2], x[1:-1], x[2:]
    return jnp.sum((10 / len(x) + c**2) * (2 - jnp.exp(-((a - b) ** 2) / (0.1 + c**2))))


@cute("TQUARTIC 200", np.full(200, 0.1), 0.0)
def tquartic(x):
    return (x[0] - 1) ** 2 + jnp.sum((x[0] ** 2 - x[1:] ** 2) ** 2)


@cute("TRIDIA 200", np.ones(200), 0.0)
def tridia(x):
    return (x[0] - 1) ** 2 + jnp.sum(jnp.arange(2, len(x) + 1) * (2 * x[1:] - x[:-1]) ** 2)


@cute("VAREIGVL 100", np.ones(100), 0.0)
def vareigvl(x):
    i = jnp.arange(1, len(x) + 1)
    couplings = jnp.sin(i[:, None] * i) * jnp.exp(-((i[:, None] - i) ** 2.0))
    return jnp.sum(jnp.abs(i * x + 0.25 * couplings @ x) ** 1.5) + jnp.sum(x**2)


@cute("Extended Himmelblau 200", np.ones(200), 0.0)
def extended_himmelblau(x):
    a, b = x[::2], x[1::2]
    return jnp.sum((a**2 + b - 11) ** 2 + (a + b**2 - 7) ** 2)


@cute("Extended White and Holst 200", np.tile([-1.2, 1.0], 100), 0.0)
def white_holst(x):
    a, b = x[::2], x[1::2]
    return jnp.sum(100 * (b - a**3) ** 2 + (1 - a) ** 2)


@cute("Extended Tridiagonal 1 200", np.full(200, 2.0), 0.0)
def tridiagonal_1(x):
    a, b = x[::2], x[1::2]
    return jnp.sum((a + b - 3) ** 2 + (a - b + 1) ** 4)


@cute("Extended quadratic penalty QP1 100", np.ones(100))
def quadratic_penalty(x):
    return jnp.sum((x[:-1] ** 2 - 2) ** 2) + (jnp.sum(x**2) - 0.5) ** 2


@cute("Raydan 1 200", np.ones(200))
def raydan_1(x):
    return jnp.sum(jnp.arange(1, len(x) + 1) / 10 * (jnp.exp(x) - x))


@cute("Hager 200", np.ones(200))
def hager(x):
    return jnp.sum(jnp.exp(x) - jnp.sqrt(jnp.arange(1.0, len(x) + 1)) * x)


@cute("Diagonal 4 200", np.ones(200), 0.0)
def diagonal_4(x):
    return 0.5 * jnp.sum(x[::2] ** 2 + 100 * x[1::2] ** 2)
