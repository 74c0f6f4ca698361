"""The third suite: functions from Jamil and Yang's survey, the CUTEst collection and NIST's regressions.

It was written after the methods were, and nothing was ever chosen on it.  M. Jamil, X.-S. Yang, *A literature survey
of benchmark functions for global optimisation problems*, 2013; N. Gould, D. Orban, P. L. Toint, *CUTEst*, 2015;
NIST, *Statistical reference datasets: nonlinear regression*, with the first of the two starts of each.
"""

from functools import partial

import jax.numpy as jnp
import numpy as np

from .problem import THIRD, problem

survey = partial(problem, "Jamil and Yang", into=THIRD)
cutest = partial(problem, "CUTEst", into=THIRD)
nist = partial(problem, "NIST", into=THIRD)
other = partial(problem, "energies and estimates", into=THIRD)


@survey("Aluffi and Pentini", [0.5, 1.0])
def aluffi(x):
    return 0.25 * x[0] ** 4 - 0.5 * x[0] ** 2 + 0.1 * x[0] + 0.5 * x[1] ** 2


@survey("Brent", [1.0, 1.0])
def brent(x):
    return jnp.sum((x + 10) ** 2) + jnp.exp(-jnp.sum(x**2))


@survey("Biggs EXP2", [1.0, 2.0], 0.0)
def biggs2(x):
    t = jnp.arange(1, 11) / 10
    y = jnp.exp(-t) - 5 * jnp.exp(-10 * t)
    return jnp.sum((jnp.exp(-t * x[0]) - 5 * jnp.exp(-t * x[1]) - y) ** 2)


@survey("Biggs EXP3", [1.0, 2.0, 1.0], 0.0)
def biggs3(x):
    t = jnp.arange(1, 11) / 10
    y = jnp.exp(-t) - 5 * jnp.exp(-10 * t)
    return jnp.sum((jnp.exp(-t * x[0]) - x[2] * jnp.exp(-t * x[1]) - y) ** 2)


@survey("Biggs EXP5", [1.0, 2.0, 1.0, 1.0, 1.0], 0.0)
def biggs5(x):
    t = jnp.arange(1, 12) / 10
    y = jnp.exp(-t) - 5 * jnp.exp(-10 * t) + 3 * jnp.exp(-4 * t)
    return jnp.sum((x[2] * jnp.exp(-t * x[0]) - x[3] * jnp.exp(-t * x[1]) + 3 * jnp.exp(-t * x[4]) - y) ** 2)


@survey("Deckkers and Aarts", [0.5, 10.0])
def deckkers(x):
    r = jnp.sum(x**2)
    return 1e5 * x[0] ** 2 + x[1] ** 2 - r**2 + 1e-5 * r**4


@survey("El-Attar, Vidyasagar and Dutta", [1.0, 1.0])
def el_attar(x):
    a, b = x
    return (a**2 + b - 10) ** 2 + (a + b**2 - 7) ** 2 + (a**2 + b**3 - 1) ** 2


@survey("Giunta", [0.0, 0.0])
def giunta(x):
    u = 16 / 15 * x - 1
    return 0.6 + jnp.sum(jnp.sin(u) + jnp.sin(u) ** 2 + jnp.sin(4 * u) / 50)


@survey("Hosaki", [3.0, 3.0])
def hosaki(x):
    a, b = x
    return (1 - 8 * a + 7 * a**2 - 7 / 3 * a**3 + a**4 / 4) * b**2 * jnp.exp(-b)


@survey("Miele and Cantrell", [1.0, 2.0, 2.0, 2.0], 0.0)
def miele(x):
    return (jnp.exp(-x[0]) - x[1]) ** 4 + 100 * (x[1] - x[2]) ** 6 + jnp.tan(x[2] - x[3]) ** 4 + x[0] ** 8


@survey("Paviani", np.full(10, 9.0))
def paviani(x):
    return jnp.sum(jnp.log(x - 2) ** 2 + jnp.log(10 - x) ** 2) - jnp.exp(0.2 * jnp.sum(jnp.log(x)))


@survey("Price 4", [2.0, 1.0], 0.0)
def price4(x):
    a, b = x
    return (2 * a**3 * b - b**3) ** 2 + (6 * a - b**2 + b) ** 2


@survey("Schwefel 2.36", [10.0, 20.0])
def schwefel36(x):
    return -x[0] * x[1] * (72 - 2 * x[0] - 2 * x[1])


@survey("Zettl", [1.0, 1.0])
def zettl(x):
    return (jnp.sum(x**2) - 2 * x[0]) ** 2 + 0.25 * x[0]


@survey("Sodp 12", np.full(12, 0.8), 0.0)
def different_powers(x):
    return jnp.sum(jnp.abs(x) ** (2 + 4 * jnp.arange(12) / 11))


@cutest("HIMMELBB", [-1.2, 1.0], 0.0)
def himmelbb(x):
    a, b = x
    return (a * b * (1 - a) * (1 - b - a * (1 - a) ** 5)) ** 2


@cutest("MEXHAT", [0.86, 0.72])
def mexhat(x):
    a, b = x
    return -2 * (a - 1) ** 2 + 1e4 * (-0.02 + (b - a**2) ** 2 / 1e4 + (a - 1) ** 2) ** 2


@cutest("SNAIL", [10.0, 10.0], 0.0)
def snail(x):
    r = jnp.sqrt(jnp.sum(x**2) + 1e-30)
    theta = jnp.arctan2(x[1], x[0])
    return r**2 / (1 + r**2) * (1 + 1.5 * r - 0.5 * r * jnp.cos(theta - r))


@cutest("ALLINITU", np.zeros(4))
def allinitu(x):
    a, b, c, d = x
    small = c - 1 + a**2 + b**2 + (c + d) ** 2 + jnp.sin(c) ** 2 + a**2 * b**2 + d - 3 + jnp.sin(c) ** 2 + (d - 1) ** 2
    last = (c**2 + (d + a) ** 2) ** 2 + (a - 4 + jnp.sin(d) ** 2 + b**2 * c**2) ** 2 + jnp.sin(d) ** 4
    return small + b**4 + last


@cutest("HATFLDA", np.full(4, 0.1), 0.0)
def hatflda(x):
    return (x[0] - 1) ** 2 + jnp.sum((x[:-1] - jnp.sqrt(x[1:])) ** 2)


@cutest("DIXMAANE 90", np.full(90, 2.0), 1.0)
def dixmaane(x):
    n, m = 90, 30
    i = jnp.arange(1, n + 1) / n
    quartic = jnp.sum(0.125 * x[: 2 * m] ** 2 * x[m : 3 * m] ** 4)
    return 1 + jnp.sum(i * x**2) + quartic + 0.125 * jnp.sum(i[:m] * x[:m] * x[2 * m :])


@cutest("DIXMAANI 60", np.full(60, 2.0), 1.0)
def dixmaani(x):
    n, m = 60, 20
    i = (jnp.arange(1, n + 1) / n) ** 2
    quartic = jnp.sum(0.125 * x[: 2 * m] ** 2 * x[m : 3 * m] ** 4)
    return 1 + jnp.sum(i * x**2) + quartic + 0.125 * jnp.sum(i[:m] * x[:m] * x[2 * m :])


@cutest("EIGENALS 20", np.append(np.eye(4).ravel(), np.ones(4)), 0.0)
def eigenals(x):
    Q, D = x[:16].reshape(4, 4), x[16:]
    A = jnp.diag(jnp.arange(1.0, 5.0)) + 0.3
    return jnp.sum((Q.T @ jnp.diag(D) @ Q - A) ** 2) + jnp.sum((Q.T @ Q - jnp.eye(4)) ** 2)


@cutest("MSQRTALS 16", np.zeros(16) + 0.2 * np.sin(np.arange(1, 17) ** 2), 0.0)
def msqrtals(x):
    B = jnp.sin(jnp.arange(1.0, 17.0) ** 2).reshape(4, 4).at[2, 0].set(0.0)
    X = x.reshape(4, 4)
    return jnp.sum((X @ X - B @ B) ** 2)


@cutest("JUDGE", [1.0, -2.0])
def judge(x):
    t = jnp.arange(1.0, 21.0)
    a, b = jnp.abs(jnp.sin(3 * t)), jnp.abs(jnp.cos(5 * t))
    y = 2.3 + jnp.sin(7 * t)
    return jnp.sum((y - x[0] - x[1] * a - x[1] ** 2 * b) ** 2)


MISRA = np.array([77.6, 114.9, 141.1, 190.8, 239.9, 289.0, 332.8, 378.4, 434.8, 477.3, 536.8, 593.1, 689.1, 760.0])
MISRA_Y = np.array([10.07, 14.73, 17.94, 23.93, 29.61, 35.18, 40.02, 44.82, 50.76, 55.05, 61.01, 66.40, 75.47, 81.78])


@nist("Misra1a", [500.0, 1e-4])
def misra1a(b):
    return jnp.sum((MISRA_Y - b[0] * (1 - jnp.exp(-b[1] * MISRA))) ** 2)


@nist("Misra1d", [500.0, 1e-4])
def misra1d(b):
    return jnp.sum((MISRA_Y - b[0] * b[1] * MISRA / (1 + b[1] * MISRA)) ** 2)


@nist("DanWood", [1.0, 5.0])
def danwood(b):
    x, y = np.array([1.309, 1.471, 1.490, 1.565, 1.611, 1.680]), np.array([2.138, 3.421, 3.597, 4.340, 4.882, 5.660])
    return jnp.sum((y - b[0] * x ** b[1]) ** 2)


@nist("BoxBOD", [100.0, 0.75])
def boxbod(b):
    x, y = np.array([1.0, 2.0, 3.0, 5.0, 7.0, 10.0]), np.array([109.0, 149.0, 149.0, 191.0, 213.0, 224.0])
    return jnp.sum((y - b[0] * (1 - jnp.exp(-b[1] * x))) ** 2)


@nist("Rat42", [100.0, 1.0, 0.1])
def rat42(b):
    x = np.array([9.0, 14.0, 21.0, 28.0, 42.0, 57.0, 63.0, 70.0, 79.0])
    y = np.array([8.93, 10.80, 18.59, 22.33, 39.35, 56.11, 61.73, 64.62, 67.08])
    return jnp.sum((y - b[0] / (1 + jnp.exp(b[1] - b[2] * x))) ** 2)


@nist("Rat43", [700.0, 5.0, 0.75, 1.3])
def rat43(b):
    x, y = np.arange(1.0, 16.0), np.array([16.08, 33.83, 65.80, 97.20, 191.55, 326.20, 386.87, 520.53, 590.03, 651.92,
                                           724.93, 699.56, 689.96, 637.56, 717.41])  # fmt: skip
    return jnp.sum((y - b[0] / (1 + jnp.exp(b[1] - b[2] * x)) ** (1 / b[3])) ** 2)


@other("Bratu's energy 8 x 8", np.zeros(64))
def bratu(x):
    u = jnp.pad(x.reshape(8, 8), 1)
    slopes = 0.5 * (jnp.sum((u[1:] - u[:-1]) ** 2) + jnp.sum((u[:, 1:] - u[:, :-1]) ** 2))
    return slopes - 4.0 / 81 * jnp.sum(jnp.exp(u[1:-1, 1:-1]))


@other("Ginzburg and Landau 60", np.sin(np.arange(60) / 3.0))
def ginzburg(x):
    u = jnp.concatenate([jnp.array([-1.0]), x, jnp.array([1.0])])
    return 0.5 * 61 * jnp.sum((u[1:] - u[:-1]) ** 2) + 100 / 61 * jnp.sum((1 - u**2) ** 2) / 4


@other("Geometric program 5", np.ones(5))
def geometric(x):
    A = np.sin(np.arange(1, 56) ** 1.5).reshape(11, 5)
    A = A - A.mean(axis=0)
    return jnp.log(jnp.sum(jnp.exp(A @ x)))


@other("Weber's point, smooth", [10.0, -5.0])
def weber(x):
    places = np.array([[0.0, 0.0], [4.0, 1.0], [1.0, 5.0], [7.0, 3.0], [2.0, -6.0]])
    return jnp.sum(jnp.sqrt(jnp.sum((x - places) ** 2, axis=1) + 1e-2))


@other("Beta distribution by likelihood", [1.0, 1.0])
def beta(x):
    from jax.scipy.special import betaln

    y = (np.arange(1, 41) / 41) ** 1.7
    a, b = jnp.exp(x)
    return -jnp.mean((a - 1) * jnp.log(y) + (b - 1) * jnp.log(1 - y)) + betaln(a, b)
