"""Moré, Garbow and Hillstrom's problems 1 to 20: sums of squares of a few parameters.

J. J. Moré, B. S. Garbow, K. E. Hillstrom, *Testing unconstrained optimization software*, ACM TOMS 7 (1981) 17-41.
The numbers of the comments are theirs.
"""

from functools import partial

import jax.numpy as jnp
import numpy as np

from .problem import squares

mgh = partial(squares, "Moré-Garbow-Hillstrom")


@mgh("Rosenbrock", [-1.2, 1.0], 0.0)  # 1
def rosenbrock(x):
    return jnp.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])


@mgh("Freudenstein and Roth", [0.5, -2.0])  # 2
def freudenstein_roth(x):
    u, v = x
    return jnp.stack([-13 + u + ((5 - v) * v - 2) * v, -29 + u + ((v + 1) * v - 14) * v])


@mgh("Powell badly scaled", [0.0, 1.0], 0.0)  # 3
def powell_badly_scaled(x):
    return jnp.stack([1e4 * x[0] * x[1] - 1, jnp.exp(-x[0]) + jnp.exp(-x[1]) - 1.0001])


@mgh("Brown badly scaled", [1.0, 1.0], 0.0)  # 4
def brown_badly_scaled(x):
    return jnp.stack([x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2])


@mgh("Beale", [1.0, 1.0], 0.0)  # 5
def beale(x):
    return jnp.array([1.5, 2.25, 2.625]) - x[0] * (1 - x[1] ** jnp.arange(1, 4))


@mgh("Jennrich and Sampson", [0.3, 0.4])  # 6
def jennrich_sampson(x):
    i = jnp.arange(1.0, 11.0)
    return 2 + 2 * i - (jnp.exp(i * x[0]) + jnp.exp(i * x[1]))


@mgh("Helical valley", [-1.0, 0.0, 0.0], 0.0)  # 7
def helical_valley(x):
    side = jnp.where(x[0] < 0, -1.0, 1.0)
    turn = jnp.arctan2(side * x[1], side * x[0]) / (2 * jnp.pi) + jnp.where(x[0] < 0, 0.5, 0.0)
    return jnp.stack([10 * (x[2] - 10 * turn), 10 * (jnp.hypot(x[0], x[1]) - 1), x[2]])


BARD = np.array([0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39])


@mgh("Bard", [1.0, 1.0, 1.0])  # 8
def bard(x):
    u = jnp.arange(1.0, 16.0)
    v = 16 - u
    return BARD - (x[0] + u / (v * x[1] + jnp.minimum(u, v) * x[2]))


HALF_BELL = [0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521]
BELL = np.array([*HALF_BELL, 0.3989, *HALF_BELL[::-1]])


@mgh("Gaussian", [0.4, 1.0, 0.0])  # 9
def gaussian(x):
    t = (8 - jnp.arange(1.0, 16.0)) / 2
    return x[0] * jnp.exp(-x[1] * (t - x[2]) ** 2 / 2) - BELL


THERMISTOR = np.array(
    [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872.0]
)


@mgh("Meyer", [0.02, 4000.0, 250.0])  # 10
def meyer(x):
    return x[0] * jnp.exp(x[1] / (45 + 5 * jnp.arange(1.0, 17.0) + x[2])) - THERMISTOR


@mgh("Gulf research", [5.0, 2.5, 0.15], 0.0)  # 11
def gulf(x):
    t = jnp.arange(1.0, 100.0) / 100
    y = 25 + (-50 * jnp.log(t)) ** (2 / 3)
    return jnp.exp(-(jnp.abs(y - x[1]) ** x[2]) / x[0]) - t


@mgh("Box three-dimensional", [0.0, 10.0, 20.0], 0.0)  # 12
def box(x):
    t = 0.1 * jnp.arange(1.0, 11.0)
    return jnp.exp(-t * x[0]) - jnp.exp(-t * x[1]) - x[2] * (jnp.exp(-t) - jnp.exp(-10 * t))


@mgh("Powell singular", [3.0, -1.0, 0.0, 1.0], 0.0)  # 13
def powell_singular(x):
    a, b, c, d = x
    return jnp.stack([a + 10 * b, 5**0.5 * (c - d), (b - 2 * c) ** 2, 10**0.5 * (a - d) ** 2])


@mgh("Wood", [-3.0, -1.0, -3.0, -1.0], 0.0)  # 14
def wood(x):
    a, b, c, d = x
    return jnp.stack([10 * (b - a**2), 1 - a, 90**0.5 * (d - c**2), 1 - c, 10**0.5 * (b + d - 2), 10**-0.5 * (b - d)])


KOWALIK = np.array([0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246])
DOSES = np.array([4.0, 2.0, 1.0, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625])


@mgh("Kowalik and Osborne", [0.25, 0.39, 0.415, 0.39])  # 15
def kowalik_osborne(x):
    return KOWALIK - x[0] * (DOSES**2 + DOSES * x[1]) / (DOSES**2 + DOSES * x[2] + x[3])


@mgh("Brown and Dennis", [25.0, 5.0, -5.0, -1.0])  # 16
def brown_dennis(x):
    t = jnp.arange(1.0, 21.0) / 5
    return (x[0] + t * x[1] - jnp.exp(t)) ** 2 + (x[2] + x[3] * jnp.sin(t) - jnp.cos(t)) ** 2


OSBORNE_1 = np.array(
    [0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751, 0.718, 0.685, 0.658, 0.628, 0.603,
     0.580, 0.558, 0.538, 0.522, 0.506, 0.490, 0.478, 0.467, 0.457, 0.448, 0.438, 0.431, 0.424, 0.420, 0.414, 0.411,
     0.406]
)  # fmt: skip


@mgh("Osborne 1", [0.5, 1.5, -1.0, 0.01, 0.02])  # 17
def osborne_1(x):
    t = 10 * jnp.arange(33.0)
    return OSBORNE_1 - (x[0] + x[1] * jnp.exp(-t * x[3]) + x[2] * jnp.exp(-t * x[4]))


@mgh("Biggs EXP6", [1.0, 2.0, 1.0, 1.0, 1.0, 1.0], 0.0)  # 18
def biggs(x):
    t = 0.1 * jnp.arange(1.0, 14.0)
    y = jnp.exp(-t) - 5 * jnp.exp(-10 * t) + 3 * jnp.exp(-4 * t)
    return x[2] * jnp.exp(-t * x[0]) - x[3] * jnp.exp(-t * x[1]) + x[5] * jnp.exp(-t * x[4]) - y


OSBORNE_2 = np.array(
    [1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746, 0.679, 0.608, 0.655, 0.616, 0.606,
     0.602, 0.626, 0.651, 0.724, 0.649, 0.649, 0.694, 0.644, 0.624, 0.661, 0.612, 0.558, 0.533, 0.495, 0.500, 0.423,
     0.395, 0.375, 0.372, 0.391, 0.396, 0.405, 0.428, 0.429, 0.523, 0.562, 0.607, 0.653, 0.672, 0.708, 0.633, 0.668,
     0.645, 0.632, 0.591, 0.559, 0.597, 0.625, 0.739, 0.710, 0.729, 0.720, 0.636, 0.581, 0.428, 0.292, 0.162, 0.098,
     0.054]
)  # fmt: skip


@mgh("Osborne 2", [1.3, 0.65, 0.65, 0.7, 0.6, 3.0, 5.0, 7.0, 2.0, 4.5, 5.5])  # 19
def osborne_2(x):
    t = jnp.arange(65.0)[:, None] / 10
    bells = x[1:4] * jnp.exp(-((t - x[8:11]) ** 2) * x[5:8])
    return OSBORNE_2 - x[0] * jnp.exp(-t[:, 0] * x[4]) - bells.sum(axis=1)


def watson(x):  # 20
    j = jnp.arange(1.0, len(x) + 1)
    t = jnp.arange(1.0, 30.0)[:, None] / 29
    powers = t ** jnp.arange(len(x))
    slopes = jnp.concatenate([jnp.zeros((29, 1)), powers[:, :-1]], axis=1) * (j - 1)
    return jnp.concatenate([slopes @ x - (powers @ x) ** 2 - 1, jnp.stack([x[0], x[1] - x[0] ** 2 - 1])])


for count in (6, 9, 12):
    mgh(f"Watson {count}", np.zeros(count))(watson)
