"""Unconstrained functions from Andrei's collection and from CUTE that the first suite does not have.

N. Andrei, *An unconstrained optimization test functions collection*, Advanced Modeling and Optimization 10 (2008)
147-161; I. Bongartz, A. R. Conn, N. Gould, P. L. Toint, *CUTE*, ACM TOMS 21 (1995) 123-160.
"""

from functools import partial

import jax.numpy as jnp
import numpy as np

from .problem import SECOND, problem

andrei = partial(problem, "Andrei's collection and CUTE", into=SECOND)


def pairs(x):
    """The odd and the even entries."""
    return x[::2], x[1::2]


def places(x):
    """1, 2, ... n."""
    return jnp.arange(1, len(x) + 1)


@andrei("Extended Freudenstein and Roth 100", np.tile([0.5, -2.0], 50))
def extended_freudenstein(x):
    a, b = pairs(x)
    return jnp.sum((-13 + a + ((5 - b) * b - 2) * b) ** 2 + (-29 + a + ((b + 1) * b - 14) * b) ** 2)


@andrei("Extended Beale 200", np.tile([1.0, 0.8], 100), 0.0)
def extended_beale(x):
    a, b = pairs(x)
    return jnp.sum((1.5 - a * (1 - b)) ** 2 + (2.25 - a * (1 - b**2)) ** 2 + (2.625 - a * (1 - b**3)) ** 2)


@andrei("Extended Penalty 50", np.arange(1.0, 51.0))
def extended_penalty(x):
    return jnp.sum((x[:-1] - 1) ** 2) + (jnp.sum(x**2) - 0.25) ** 2


@andrei("Perturbed Quadratic 200", np.full(200, 0.5), 0.0)
def perturbed_quadratic(x):
    return jnp.sum(places(x) * x**2) + jnp.sum(x) ** 2 / 100


@andrei("Raydan 2 500", np.ones(500))
def raydan_2(x):
    return jnp.sum(jnp.exp(x) - x)


@andrei("Diagonal 1 50", np.full(50, 1 / 50))
def diagonal_1(x):
    return jnp.sum(jnp.exp(x) - places(x) * x)


@andrei("Diagonal 2 200", 1 / np.arange(1.0, 201.0))
def diagonal_2(x):
    return jnp.sum(jnp.exp(x) - x / places(x))


@andrei("Diagonal 3 50", np.ones(50))
def diagonal_3(x):
    return jnp.sum(jnp.exp(x) - places(x) * jnp.sin(x))


@andrei("Diagonal 5 200", np.full(200, 1.1))
def diagonal_5(x):
    return jnp.sum(jnp.logaddexp(x, -x))


@andrei("Diagonal 6 100", np.ones(100))
def diagonal_6(x):
    return jnp.sum(jnp.exp(x) - (1 + x))


@andrei("Diagonal 7 100", np.ones(100))
def diagonal_7(x):
    return jnp.sum(jnp.exp(x) - 2 * x - x**2)


@andrei("Generalized Tridiagonal 1 100", np.full(100, 2.0))
def generalized_tridiagonal_1(x):
    return jnp.sum((x[:-1] + x[1:] - 3) ** 2 + (x[:-1] - x[1:] + 1) ** 4)


@andrei("Generalized Tridiagonal 2 100", -np.ones(100))
def generalized_tridiagonal_2(x):
    beside = jnp.pad(x, 1)
    return jnp.sum(((5 - 3 * x - x**2) * x - beside[:-2] - 3 * beside[2:] + 1) ** 2)


@andrei("Extended three exponentials 100", np.full(100, 0.1))
def three_exponentials(x):
    a, b = pairs(x)
    return jnp.sum(jnp.exp(a + 3 * b - 0.1) + jnp.exp(a - 3 * b - 0.1) + jnp.exp(-a - 0.1))


@andrei("Extended PSC1 100", np.tile([3.0, 0.1], 50))
def extended_psc1(x):
    a, b = pairs(x)
    return jnp.sum((a**2 + b**2 + a * b) ** 2 + jnp.sin(a) ** 2 + jnp.cos(b) ** 2)


@andrei("Generalized PSC1 30", np.tile([3.0, 0.1], 15))
def generalized_psc1(x):
    a, b = x[:-1], x[1:]
    return jnp.sum((a**2 + b**2 + a * b) ** 2 + jnp.sin(a) ** 2 + jnp.cos(b) ** 2)


@andrei("Extended Block-Diagonal BD1 100", np.full(100, 0.1), 0.0)
def block_diagonal(x):
    a, b = pairs(x)
    return jnp.sum((a**2 + b**2 - 2) ** 2 + (jnp.exp(a - 1) - b) ** 2)


@andrei("Extended Maratos 20", np.tile([1.1, 0.1], 10))
def maratos(x):
    a, b = pairs(x)
    return jnp.sum(a + 100 * (a**2 + b**2 - 1) ** 2)


@andrei("MARATOSB", [1.1, 0.1])
def maratosb(x):
    return x[0] + 1e6 * (x[0] ** 2 + x[1] ** 2 - 1) ** 2


@andrei("Extended Cliff 20", np.tile([0.0, -1.0], 10))
def cliff(x):
    a, b = pairs(x)
    return jnp.sum(((a - 3) / 100) ** 2 - (a - b) + jnp.exp(20 * (a - b)))


@andrei("CLIFF", [0.0, -1.0])
def cliff_2(x):
    return ((x[0] - 3) / 100) ** 2 - (x[0] - x[1]) + jnp.exp(20 * (x[0] - x[1]))


@andrei("Quadratic diagonal perturbed 200", np.full(200, 0.5), 0.0)
def quadratic_diagonal_perturbed(x):
    return jnp.sum(x) ** 2 + jnp.sum(places(x) / 100 * x**2)


@andrei("Extended Wood 400", np.tile([-3.0, -1.0, -3.0, -1.0], 100), 0.0)
def extended_wood(x):
    a, b, c, d = x[::4], x[1::4], x[2::4], x[3::4]
    wells = 100 * (a**2 - b) ** 2 + (a - 1) ** 2 + 90 * (c**2 - d) ** 2 + (1 - c) ** 2
    return jnp.sum(wells + 10.1 * ((b - 1) ** 2 + (d - 1) ** 2) + 19.8 * (b - 1) * (d - 1))


@andrei("Extended Hiebert 2", [0.0, 0.0], 0.0)
def hiebert(x):
    return (x[0] - 10) ** 2 + (x[0] * x[1] - 500) ** 2


@andrei("Quadratic QF1 200", np.ones(200))
def qf1(x):
    return 0.5 * jnp.sum(places(x) * x**2) - x[-1]


@andrei("Quadratic QF2 100", np.full(100, 0.5))
def qf2(x):
    return 0.5 * jnp.sum(places(x) * (x**2 - 1) ** 2) - x[-1]


@andrei("Extended quadratic penalty QP2 50", np.ones(50))
def qp2(x):
    return jnp.sum((x[:-1] ** 2 - jnp.sin(x[:-1])) ** 2) + (jnp.sum(x**2) - 100) ** 2


@andrei("Extended quadratic exponential EP1 20", np.full(20, 1.5) + np.tile([0.0, 0.3], 10))
def ep1(x):
    d = x[::2] - x[1::2]
    return jnp.sum((jnp.exp(d) - 5) ** 2 + d**2 * (d - 11) ** 2)


@andrei("Extended Tridiagonal 2 200", np.ones(200))
def extended_tridiagonal_2(x):
    return jnp.sum((x[:-1] * x[1:] - 1) ** 2 + 0.1 * (x[:-1] + 1) * (x[1:] + 1))


@andrei("Almost Perturbed Quadratic 500", np.full(500, 0.5), 0.0)
def almost_perturbed(x):
    return jnp.sum(places(x) * x**2) + (x[0] + x[-1]) ** 2 / 100


@andrei("Staircase 1 20", np.ones(20), 0.0)
def staircase_1(x):
    return jnp.sum(jnp.cumsum(x) ** 2)


@andrei("Staircase 2 20", np.zeros(20), 0.0)
def staircase_2(x):
    return jnp.sum((jnp.cumsum(x) - places(x)) ** 2)


@andrei("Partial Perturbed Quadratic 100", np.full(100, 0.5), 0.0)
def partial_perturbed(x):
    return x[0] ** 2 + jnp.sum(places(x) * x**2 + jnp.cumsum(x) ** 2 / 100)


@andrei("Perturbed tridiagonal quadratic 200", np.full(200, 0.5), 0.0)
def perturbed_tridiagonal(x):
    beside = x[:-2] + x[1:-1] + x[2:]
    return x[0] ** 2 + jnp.sum(places(x[1:-1]) * x[1:-1] ** 2 + beside**2)


@andrei("HIMMELBG 100", np.full(100, 1.5), 0.0)
def himmelbg(x):
    a, b = pairs(x)
    return jnp.sum((2 * a**2 + 3 * b**2) * jnp.exp(-a - b))


@andrei("HIMMELH 50", np.full(50, 1.5))
def himmelh(x):
    a, b = pairs(x)
    return jnp.sum(-3 * a - 2 * b + 2 + a**3 + b**2)


@andrei("BIGGSB1 50", np.zeros(50), 0.0)
def biggsb1(x):
    return (x[0] - 1) ** 2 + jnp.sum(jnp.diff(x) ** 2) + (1 - x[-1]) ** 2


@andrei("QUARTC 20", np.full(20, 2.0), 0.0)
def quartc(x):
    return jnp.sum((x - places(x)) ** 4)


@andrei("Generalized White and Holst 20", np.tile([-1.2, 1.0], 10), 0.0)
def generalized_white(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 3) ** 2 + (1 - x[:-1]) ** 2)


@andrei("Full Hessian FH1 20", np.full(20, 0.01), 0.0)
def fh1(x):
    return (x[0] - 3) ** 2 + jnp.sum((x[0] - 3 - 2 * jnp.cumsum(x)[1:] ** 2) ** 2)


@andrei("Full Hessian FH3 50", np.ones(50))
def fh3(x):
    return jnp.sum(x) ** 2 + jnp.sum(x * jnp.exp(x) - 2 * x - x**2)


@andrei("NONSCOMP 100", np.full(100, 3.0), 0.0)
def nonscomp(x):
    return (x[0] - 1) ** 2 + 4 * jnp.sum((x[1:] - x[:-1] ** 2) ** 2)


@andrei("VARDIM 30", 1 - np.arange(1, 31) / 30, 0.0)
def vardim(x):
    s = jnp.sum(places(x) * (x - 1))
    return jnp.sum((x - 1) ** 2) + s**2 + s**4


@andrei("CHNROSNB 50", -np.ones(50), 0.0)
def chnrosnb(x):
    weights = 1.5 + np.sin(np.arange(1, 50))
    return jnp.sum(16 * weights**2 * (x[:-1] - x[1:] ** 2) ** 2 + (x[1:] - 1) ** 2)


@andrei("ERRINROS 25", -np.ones(25))
def errinros(x):
    weights = 1.5 + np.sin(np.arange(1, 25))
    return jnp.sum((x[:-1] - 16 * weights**2 * x[1:] ** 2) ** 2 + (x[1:] - 1) ** 2)


@andrei("DENSCHNA", [8.0, 8.0], 0.0)
def denschna(x):
    return x[0] ** 4 + (x[0] + x[1]) ** 2 + (jnp.exp(x[1]) - 1) ** 2


@andrei("DENSCHNB 50", np.full(50, 10.0), 0.0)
def denschnb(x):
    a, b = pairs(x)
    return jnp.sum((a - 2) ** 2 + (a - 2) ** 2 * b**2 + (b + 1) ** 2)


@andrei("DENSCHNC", [2.0, 3.0], 0.0)
def denschnc(x):
    return (x[0] ** 2 + x[1] ** 2 - 2) ** 2 + (jnp.exp(x[0] - 1) + x[1] ** 3 - 2) ** 2


@andrei("DENSCHND", [10.0, 10.0, 10.0], 0.0)
def denschnd(x):
    a, b, c = x
    return (a**2 + b**3 - c**4) ** 2 + (2 * a * b * c) ** 2 + (2 * a * b - 3 * b * c + a * c) ** 2


@andrei("DENSCHNE", [2.0, 3.0, -8.0], 0.0)
def denschne(x):
    return x[0] ** 2 + (x[1] + x[1] ** 2) ** 2 + (jnp.exp(x[2]) - 1) ** 2


@andrei("DENSCHNF 100", np.tile([2.0, 0.0], 50), 0.0)
def denschnf(x):
    a, b = pairs(x)
    return jnp.sum((2 * (a + b) ** 2 + (a - b) ** 2 - 8) ** 2 + (5 * a**2 + (b - 3) ** 2 - 9) ** 2)


@andrei("EXPFIT", [0.0, 0.0])
def expfit(x):
    t = 0.25 * jnp.arange(1, 11)
    return jnp.sum((x[0] * jnp.exp(t * x[1]) - t) ** 2)


@andrei("SISSER", [1.0, 0.1], 0.0)
def sisser(x):
    return 3 * x[0] ** 4 - 2 * (x[0] * x[1]) ** 2 + 3 * x[1] ** 4


@andrei("BRKMCC", [2.0, 2.0])
def brkmcc(x):
    a, b = x
    return (a - 2) ** 2 + (b - 1) ** 2 + 0.04 / (1 - 0.25 * a**2 - b**2) ** 2 + (a - 2 * b + 1) ** 2 / 0.2


@andrei("HILBERTB 20", -3 * np.ones(20), 0.0)
def hilbertb(x):
    i = np.arange(len(x))
    return 0.5 * x @ (1 / (i[:, None] + i + 1)) @ x + 5 * jnp.sum(x**2)


@andrei("ENGVAL2", [1.0, 2.0, 0.0], 0.0)
def engval2(x):
    a, b, c = x
    balls = (a**2 + b**2 + c**2 - 1) ** 2 + (a**2 + b**2 + (c - 2) ** 2 - 1) ** 2
    return balls + (a + b + c - 1) ** 2 + (a + b - c + 1) ** 2 + (3 * b**2 + a**3 + (5 * c - a + 1) ** 2 - 36) ** 2


@andrei("SINEVAL", [4.712389, -1.0], 0.0)
def sineval(x):
    return 1e4 * (x[1] - jnp.sin(x[0])) ** 2 + 0.25 * x[0] ** 2


@andrei("HAIRY", [-5.0, -7.0])
def hairy(x):
    hair = 30 * jnp.sin(7 * x[0]) ** 2 * jnp.cos(7 * x[1]) ** 2
    return hair + 100 * jnp.sqrt(0.01 + (x[0] - x[1]) ** 2) + 100 * jnp.sqrt(0.01 + x[0] ** 2)


@andrei("A hat with a bent brim", [0.86, 0.72])
def mexhat(x):
    r = (x[0] - 1) ** 2 + (x[1] - 1) ** 2
    return -2 * (x[0] - 1) ** 2 + 1e4 * (-0.02 + (x[1] - x[0] ** 2) ** 2 + r) ** 2


@andrei("DIXMAANJ 90", np.full(90, 2.0), 1.0)
def dixmaanj(x):
    n, m = len(x), len(x) // 3
    weights = (places(x) / n) ** 2
    chain = jnp.sum(x[:-1] ** 2 * (x[1:] + x[1:] ** 2) ** 2)
    quartics = jnp.sum(x[: 2 * m] ** 2 * x[m:] ** 4)
    products = jnp.sum(weights[:m] * x[:m] * x[2 * m :])
    return 1 + jnp.sum(weights * x**2) + 0.0625 * (chain + quartics + products)


@andrei("LIARWHD 30", np.full(30, 4.0), 0.0)
def liarwhd(x):
    return jnp.sum(4 * (x**2 - x[0]) ** 2 + (x - 1) ** 2)


@andrei("BDEXP 200", np.ones(200), 0.0)
def bdexp(x):
    s = x[:-2] + x[1:-1]
    return jnp.sum(s * jnp.exp(-x[2:] * s))


@andrei("SINCOS 20", np.tile([3.0, 0.1], 10))
def sincos(x):
    a, b = pairs(x)
    return jnp.sum((a**2 + b**2 + a * b) ** 2 + jnp.sin(a) ** 2 + jnp.cos(b) ** 2 + 0.1 * a)


@andrei("PQUARTIC 1000", np.full(1000, 0.8), 0.0)
def separable_quartic(x):
    return jnp.sum((x**2 - 1) ** 2 + 0.1 * (x - 1) ** 2)
