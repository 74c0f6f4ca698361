"""The fourth suite: more of CUTEst, of the problems of Lukšan and Vlček and of the survey, and energies of physics.

It was written, and measured first, before anything was changed for it.  N. Gould, D. Orban, P. L. Toint, *CUTEst*,
2015; L. Lukšan, J. Vlček, *Sparse and partially separable test problems for unconstrained and equality constrained
optimization*, 1999; M. Jamil, X.-S. Yang, *A literature survey of benchmark functions*, 2013.
"""

from functools import partial

import jax.numpy as jnp
import numpy as np

from .problem import FOURTH, problem

cutest = partial(problem, "CUTEst, Lukšan and Vlček", into=FOURTH)
survey = partial(problem, "more of the survey", into=FOURTH)
energy = partial(problem, "energies", into=FOURTH)


@cutest("HIMMELBF", [2.7, 90.0, 1500.0, 10.0])
def himmelbf(x):
    a = np.array([0.0, 4.28e-4, 1e-3, 1.61e-3, 2.09e-3, 3.48e-3, 5.25e-3])
    b = np.array([7.391, 11.18, 16.44, 16.20, 22.20, 24.02, 31.32])
    u = x**2
    return 1e4 * jnp.sum(((u[0] + a * u[1] + a**2 * u[2]) / (b**2 * (1 + a * u[3])) - 1) ** 2)


@cutest("HEART6LS", [0.0, 0.0, 1.0, 1.0, 1.0, 1.0], 0.0)
def heart6(x):
    mx, my, sa, sb, sc, sd, se, sf = -0.816, -0.017, -1.826, -0.754, -4.839, -3.259, -14.023, 15.467
    a, c, t, u, v, w = x
    b, d = mx - a, my - c
    p, q, r, s = t**2 - v**2, u**2 - w**2, t**2 - 3 * v**2, u**2 - 3 * w**2
    y, z = v**2 - 3 * t**2, w**2 - 3 * u**2
    return (
        (t * a + u * b - v * c - w * d - sa) ** 2
        + (v * a + w * b + t * c + u * d - sb) ** 2
        + (a * p - 2 * c * t * v + b * q - 2 * d * u * w - sc) ** 2
        + (c * p + 2 * a * t * v + d * q + 2 * b * u * w - sd) ** 2
        + (a * t * r + c * v * y + b * u * s + d * w * z - se) ** 2
        + (c * t * r - a * v * y + d * u * s - b * w * z - sf) ** 2
    )


@cutest("MODBEALE 200", np.ones(200), 0.0)
def modbeale(x):
    u, v = x[::2], x[1::2]
    beale = (1.5 - u * (1 - v)) ** 2 + (2.25 - u * (1 - v**2)) ** 2 + (2.625 - u * (1 - v**3)) ** 2
    return jnp.sum(beale) + 1 / 50 * jnp.sum((6 * v[:-1] - u[1:]) ** 2)


@cutest("S308", [3.0, 0.1])
def s308(x):
    a, b = x
    return (a**2 + a * b + b**2) ** 2 + jnp.sin(a) ** 2 + jnp.cos(b) ** 2


@cutest("POWELLSQLS", [3.0, 1.0], 0.0)
def powellsq(x):
    return x[0] ** 4 + (10 * x[0] / (x[0] + 0.1) + 2 * x[1] ** 2) ** 2


@cutest("HATFLDD", [1.0, -1.0, 0.0])
def hatfldd(x):
    t = np.array([0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9])
    z = np.array([1.751, 1.561, 1.391, 1.239, 1.103, 0.981, 0.925, 0.8721, 0.8221, 0.7748])
    return jnp.sum((jnp.exp(t * x[0]) - jnp.exp(t * x[1]) * x[2] - z) ** 2)


@cutest("MANCINO 30", np.full(30, -1.0))
def mancino(x):
    i, j = jnp.arange(1.0, 31.0)[:, None], jnp.arange(1.0, 31.0)
    v = jnp.sqrt(x[:, None] ** 2 + i / j)
    h = v * (jnp.sin(jnp.log(v)) ** 5 + jnp.cos(jnp.log(v)) ** 5) * (i != j)
    return 1e-4 * jnp.sum((14 * 30 * x + (i[:, 0] - 15) ** 3 + jnp.sum(h, axis=1)) ** 2)


@cutest("OSCIPATH 5", [-1.0, 1.0, 1.0, 1.0, 1.0], 0.0)
def oscipath(x):
    return 0.25 * (x[0] - 1) ** 2 + jnp.sum((x[1:] - 2 * x[:-1] ** 2 + 1) ** 2)


@cutest("SPMSRTLS 49", 0.2 * np.sin(np.arange(1.0, 50.0) ** 2), 0.0)
def spmsrt(x):
    def tridiagonal(v):
        return jnp.diag(v[:17]) + jnp.diag(v[17:33], 1) + jnp.diag(v[33:], -1)

    B = tridiagonal(jnp.sin(jnp.arange(1.0, 50.0) ** 2))
    X = tridiagonal(x)
    return jnp.sum((X @ X - B @ B) ** 2)


@cutest("NCB20B 50", np.zeros(50))
def ncb20b(x):
    windows = jnp.stack([x[i : i + 20] for i in range(31)])
    inner = jnp.sum(windows / (1 + windows**2), axis=1)
    return jnp.sum(10 / jnp.arange(1, 32) * inner**2 - 0.2 * jnp.sum(windows, axis=1)) + jnp.sum(100 * x**4 + 2)


@cutest("YFITU", [0.6, -0.6, 20.0])
def yfit(x):
    i = jnp.arange(17) / 16
    y = 20.0 * jnp.arctan(0.02 + 0.2 * i) + 17.0
    return jnp.sum((x[2] * jnp.tan(x[0] * (1 - i) + x[1] * i) - y) ** 2)


@cutest("PRICE3", [5.0, 5.0], 0.0)
def price3(x):
    return 100 * (x[1] - x[0] ** 2) ** 2 + 6 * (6.4 * (x[1] - 0.5) ** 2 - x[0] - 0.6) ** 2


@cutest("Chained Powell singular 40", np.tile([3.0, -1.0, 0.0, 1.0], 10), 0.0)
def chained_powell(x):
    a, b, c, d = (x[k : 37 + k : 2] for k in range(4))
    return jnp.sum((a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4)


@cutest("Seven-diagonal Broyden, 7/3, 60", np.full(60, -1.0))
def seven_diagonal(x):
    n = 60
    u = jnp.pad(x, 1)
    inner = (3 - 2 * x) * x - u[:-2] - u[2:] + 1
    pairs = x[: n // 2] + x[n // 2 :]
    return jnp.sum((inner**2 + 1e-12) ** (7 / 6)) + jnp.sum((pairs**2 + 1e-12) ** (7 / 6))


@cutest("Augmented Lagrangian 25", np.tile([-2.0, 2.0, 2.0, -1.0, -1.0], 5))
def augmented(x):
    p = x.reshape(5, 5)
    h = jnp.stack([jnp.sum(p**2, 1) - 10, p[:, 1] * p[:, 2] - 5 * p[:, 3] * p[:, 4], p[:, 0] ** 3 + p[:, 1] ** 3 + 1])
    lam = jnp.array([-0.002, 0.004, 0.003])[:, None]
    return jnp.sum(jnp.exp(jnp.prod(p, axis=1))) + 10 * jnp.sum((h - lam) ** 2)


@cutest("Generalized quartic 100", np.ones(100), 0.0)
def quartic(x):
    return jnp.sum(x[:-1] ** 2 + (x[1:] + x[:-1] ** 2) ** 2)


@cutest("Diagonal 9 60", np.ones(60))
def diagonal9(x):
    return jnp.sum(jnp.exp(x[:-1]) - jnp.arange(1, 60) * x[:-1]) + 1e4 * x[-1] ** 2


@cutest("Extended BD2 100", np.tile([1.5, 2.0], 50), 0.0)
def block_diagonal2(x):
    a, b = x[::2], x[1::2]
    return jnp.sum((a**2 + b**2 - 2) ** 2 + (jnp.exp(a - 1) + b**3 - 2) ** 2)


@cutest("Broyden's tridiagonal, quintic mixture 80", np.linspace(-1.0, 1.0, 80))
def mixture(x):
    r = (1 + x[:-1]) * x[:-1] - x[1:] - 0.5 * jnp.roll(x, 2)[:-1]
    return jnp.sum(r**2) + jnp.sum(x**6) / 60


@survey("Adjiman with walls", [1.0, -0.5])
def adjiman(x):
    return jnp.cos(x[0]) * jnp.sin(x[1]) - x[0] / (x[1] ** 2 + 1) + 0.01 * jnp.sum(x**4)


@survey("Bird", [4.0, 2.5])
def bird(x):
    a, b = x
    return jnp.sin(a) * jnp.exp((1 - jnp.cos(b)) ** 2) + jnp.cos(b) * jnp.exp((1 - jnp.sin(a)) ** 2) + (a - b) ** 2


@survey("de Villiers and Glasser 1", [55.0, 1.3, 3.2, 1.5], 0.0)
def villiers1(x):
    t = jnp.arange(24) / 10
    y = 60.137 * 1.371**t * jnp.sin(3.112 * t + 1.761)
    return jnp.sum((x[0] * x[1] ** t * jnp.sin(x[2] * t + x[3]) - y) ** 2)


@survey("de Villiers and Glasser 2", [50.0, 1.2, 2.8, 2.1, 0.6], 0.0)
def villiers2(x):
    t = jnp.arange(16) / 10
    y = 53.81 * 1.27**t * jnp.tanh(3.012 * t + jnp.sin(2.13 * t)) * jnp.cos(np.exp(0.507) * t)
    return jnp.sum((x[0] * x[1] ** t * jnp.tanh(x[2] * t + jnp.sin(x[3] * t)) * jnp.cos(jnp.exp(x[4]) * t) - y) ** 2)


@survey("Sargan 8", np.linspace(1.0, 8.0, 8), 0.0)
def sargan(x):
    return jnp.sum(8 * (x**2 + 0.4 * x * (jnp.sum(x) - x)))


@survey("Schaffer, of the square", [2.0, 1.0], 0.0)
def schaffer(x):
    a, b = x
    return 0.5 + (jnp.sin(a**2 - b**2) ** 2 - 0.5) / (1 + 1e-3 * (a**2 + b**2)) ** 2


@survey("Ursem 1", [0.0, 1.0])
def ursem1(x):
    return -jnp.sin(2 * x[0] - 0.5 * np.pi) - 3 * jnp.cos(x[1]) - 0.5 * x[0] + 0.01 * jnp.sum(x**4)


@survey("Wolfe with a round tip", [2.0, 1.0, 3.0])
def wolfe(x):
    a, b, c = x
    return 4 / 3 * (a**2 + b**2 - a * b + 1e-4) ** 0.75 + c**2


@survey("Wavy 10", np.linspace(-0.25, 0.28, 10), 0.0)
def wavy(x):
    return 1 - jnp.mean(jnp.cos(10 * x) * jnp.exp(-0.5 * x**2))


@survey("Power sum 4", [1.0, 1.5, 2.5, 3.5], 0.0)
def power_sum(x):
    return sum((jnp.sum(x**k) - b) ** 2 for k, b in zip((1, 2, 3, 4), (8.0, 18.0, 44.0, 114.0), strict=True))


@survey("Stretched V, round, 6", np.linspace(1.0, 3.0, 6), 0.0)
def stretched(x):
    r = x[1:] ** 2 + x[:-1] ** 2 + 1e-2
    return jnp.sum(r**0.25 * (jnp.sin(5 * r**0.1) ** 2 + 1)) - 5 * 0.01**0.25 * (np.sin(5 * 0.01**0.1) ** 2 + 1)


RNG = np.random.default_rng(41)


def pairs(p):
    """The squared distances of all pairs of points."""
    i, j = np.triu_indices(len(p), 1)
    return jnp.sum((p[i] - p[j]) ** 2, axis=1)


BIPYRAMID = np.array(
    [[0.0, 0.0, 0.55], [0.0, 0.0, -0.55]]
    + [[0.95 * np.cos(2 * np.pi * k / 5), 0.95 * np.sin(2 * np.pi * k / 5), 0.0] for k in range(5)]
)


@energy("Lennard-Jones, 7 atoms", (1.25 * BIPYRAMID + 0.08 * RNG.normal(size=(7, 3))).ravel(), -16.505384)
def lennard_jones7(x):
    r6 = pairs(x.reshape(7, 3)) ** -3
    return 4 * jnp.sum(r6**2 - r6)


@energy("Morse, 6 atoms", (1.2 * BIPYRAMID[1:] + 0.05 * RNG.normal(size=(6, 3))).ravel())
def morse(x):
    e = jnp.exp(6 * (1 - jnp.sqrt(pairs(x.reshape(6, 3)))))
    return jnp.sum(e * (e - 2))


@energy("Ions in a trap, 8", RNG.normal(size=24))
def ions(x):
    p = x.reshape(8, 3)
    return jnp.sum(pairs(p) ** -0.5) + 0.5 * jnp.sum(p**2 * jnp.array([1.0, 1.0, 3.0]))


@energy("Frenkel and Kontorova 60", 1.1 * np.arange(60.0))
def kontorova(x):
    return 0.5 * jnp.sum((x[1:] - x[:-1] - 1.1) ** 2) + 0.15 * jnp.sum(1 - jnp.cos(2 * np.pi * x))


@energy("XY model 7 x 7", 0.8 * RNG.normal(size=49))
def xy_model(x):
    a = x.reshape(7, 7)
    field = 0.1 * jnp.sum(jnp.cos(a - 0.3))
    return -jnp.sum(jnp.cos(a[1:] - a[:-1])) - jnp.sum(jnp.cos(a[:, 1:] - a[:, :-1])) - field


@energy("Elastica of 40 angles", np.linspace(0.0, 0.2, 40))
def elastica(x):
    bend = 0.5 * 40 * jnp.sum(jnp.diff(jnp.concatenate([jnp.zeros(1), x])) ** 2)
    return bend - 6.0 / 40 * jnp.sum(jnp.sin(x)) + 0.5 * 80 * (jnp.sum(jnp.cos(x)) / 40 - 0.8) ** 2


@energy("Membrane of springs 6 x 6", 0.0 * np.arange(108.0))
def membrane(x):
    rest = np.stack([*np.meshgrid(np.arange(8.0), np.arange(8.0), indexing="ij"), np.zeros((8, 8))], axis=-1)
    p = jnp.array(1.15 * rest).at[1:-1, 1:-1].add(x.reshape(6, 6, 3))
    along = [p[1:] - p[:-1], p[:, 1:] - p[:, :-1]]
    stretch = sum(jnp.sum((jnp.sqrt(jnp.sum(d**2, axis=-1)) - 1) ** 2) for d in along)
    return 10 * stretch + 0.05 * jnp.sum(p[1:-1, 1:-1, 2])


@energy("Toda lattice 50", np.sin(np.arange(50.0) * 0.7))
def toda(x):
    d = jnp.diff(jnp.pad(x, 1))
    return jnp.sum(jnp.exp(-d) + d - 1) + 0.05 * jnp.sum(x * np.cos(np.arange(50)))


@energy("p-Laplacian 10 x 10, p = 4", np.zeros(100))
def p_laplacian(x):
    u = jnp.pad(x.reshape(10, 10), 1)
    across, along = 11 * (u[1:, :-1] - u[:-1, :-1]), 11 * (u[:-1, 1:] - u[:-1, :-1])
    return (jnp.sum((across**2 + along**2 + 1e-3) ** 2) / 4 - jnp.sum(u)) / 121


@energy("Allen and Cahn 9 x 9", 0.1 * RNG.normal(size=81))
def allen_cahn(x):
    u = jnp.pad(x.reshape(9, 9), 1, constant_values=((1.0, -1.0), (0.3, 0.3)))
    slopes = jnp.sum((u[1:] - u[:-1]) ** 2) + jnp.sum((u[:, 1:] - u[:, :-1]) ** 2)
    return 0.5 * slopes + 25 / 100 * jnp.sum((1 - u**2) ** 2)


@energy("Poisson and Boltzmann 150", np.zeros(150))
def poisson_boltzmann(x):
    h = 1 / 151
    u = jnp.pad(x, 1, constant_values=(4.0, -2.0))
    return 0.5 * jnp.sum(jnp.diff(u) ** 2) / h + 25 * h * jnp.sum(jnp.cosh(x))


@energy("Bent plate 8 x 8", np.zeros(64))
def plate(x):
    u = jnp.pad(x.reshape(8, 8), 2)
    laplace = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * u[1:-1, 1:-1]
    return 0.5 * jnp.sum(laplace**2) - 0.01 * jnp.sum(x * np.sin(np.arange(64)))
