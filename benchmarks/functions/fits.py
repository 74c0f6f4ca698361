"""More of the fourth suite: NIST's regressions, likelihoods of statistics, factorisations and small networks.

NIST, *Statistical reference datasets: nonlinear regression*: from the first of the two starts of each, on the data of
Misra1 and on data made from the certified parameters for the others.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln, ndtr

from .problem import FOURTH, problem
from .third import MISRA, MISRA_Y

nist = partial(problem, "more of NIST", into=FOURTH)
likelihood = partial(problem, "likelihoods", into=FOURTH)
fit = partial(problem, "factorisations and networks", into=FOURTH)
RNG = np.random.default_rng(43)


def curve(name, start, certified, x, noise):
    """Add the squared errors of a curve on data from its certified parameters, with errors of the size `noise`."""

    def add(formula):
        with jax.enable_x64(True):
            y = np.asarray(formula(np.array(certified), x)) + noise * RNG.normal(size=len(x))
        nist(name, start)(lambda b: jnp.sum((y - formula(b, x)) ** 2))
        return formula

    return add


@nist("Misra1b", [500.0, 1e-4])
def misra1b(b):
    return jnp.sum((MISRA_Y - b[0] * (1 - (1 + b[1] * MISRA / 2) ** -2)) ** 2)


@nist("Misra1c", [500.0, 1e-4])
def misra1c(b):
    return jnp.sum((MISRA_Y - b[0] * (1 - (1 + 2 * b[1] * MISRA) ** -0.5)) ** 2)


@curve("Chwirut2", [0.1, 0.01, 0.02], [0.16657666537, 0.0051653291286, 0.012150007096], np.linspace(0.5, 6, 54), 3.0)
def chwirut(b, x):
    return jnp.exp(-b[0] * x) / (b[1] + b[2] * x)


@curve("Lanczos3", [1.2, 0.3, 5.6, 5.5, 6.5, 7.6], [0.0951, 1.0, 0.8607, 3.0, 1.5576, 5.0], np.arange(24) / 20, 2e-5)
def lanczos3(b, x):
    return b[0] * jnp.exp(-b[1] * x) + b[2] * jnp.exp(-b[3] * x) + b[4] * jnp.exp(-b[5] * x)


def peaks(b, x):
    """A decay with two peaks on it."""
    first, second = b[2] * jnp.exp(-(((x - b[3]) / b[4]) ** 2)), b[5] * jnp.exp(-(((x - b[6]) / b[7]) ** 2))
    return b[0] * jnp.exp(-b[1] * x) + first + second


GAUSS1 = [
    98.778210871,
    0.010497276517,
    100.48990633,
    67.481111276,
    23.129773360,
    71.994503004,
    178.99805021,
    18.38938902,
]
GAUSS3 = [
    98.940368970,
    0.010945879335,
    100.69553078,
    111.63619459,
    23.300500029,
    73.705031418,
    147.76164251,
    19.66822123,
]
curve("Gauss1", [97.0, 0.009, 100.0, 65.0, 20.0, 70.0, 178.0, 16.5], GAUSS1, np.arange(1.0, 251.0), 2.5)(peaks)
curve("Gauss3", [94.9, 0.009, 90.1, 113.0, 20.0, 73.8, 140.0, 20.0], GAUSS3, np.arange(1.0, 251.0), 2.5)(peaks)


@curve(
    "Kirby2", [2.0, -0.1, 0.003, -0.001, 0.00001],
    [1.6745063063, -0.13927397867, 0.0025961181191, -0.0017241811870, 2.1664802578e-5],
    np.linspace(9.65, 371.3, 151), 0.16,
)  # fmt: skip
def kirby(b, x):
    return (b[0] + b[1] * x + b[2] * x**2) / (1 + b[3] * x + b[4] * x**2)


def ratio(b, x):
    """A cubic over a cubic."""
    return (b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3) / (1 + b[4] * x + b[5] * x**2 + b[6] * x**3)


curve(
    "Hahn1", [10.0, -1.0, 0.05, -1e-5, -0.05, 0.001, -1e-6],
    [1.0776351733, -0.12269296921, 0.0040863750610, -1.4262662514e-6, -0.0057609940901, 2.4053735503e-4,
     -1.2314450199e-7], np.linspace(14.0, 851.0, 236), 0.08,
)(ratio)  # fmt: skip
curve(
    "Thurber", [1000.0, 1000.0, 400.0, 40.0, 0.7, 0.3, 0.03],
    [1288.1396800, 1491.0792535, 583.23836877, 75.416644291, 0.96629502864, 0.39797285797, 0.049727297349],
    np.linspace(-3.067, 2.2, 37), 13.0,
)(ratio)  # fmt: skip


@curve("Eckerle4", [1.0, 10.0, 500.0], [1.5543827178, 4.0888321754, 451.54121844], np.linspace(400, 500, 35), 0.006)
def eckerle(b, x):
    return b[0] / b[1] * jnp.exp(-0.5 * ((x - b[2]) / b[1]) ** 2)


@curve(
    "Roszman1", [0.1, -1e-5, 1000.0, -100.0],
    [0.20196866396, -6.1953516256e-6, 1204.4556708, -181.34269537], np.linspace(-4868.0, 1300.0, 25), 0.005,
)  # fmt: skip
def roszman(b, x):
    return b[0] - b[1] * x - jnp.arctan(b[2] / (x - b[3])) / np.pi


@curve(
    "Bennett5", [-2000.0, 50.0, 0.8], [-2523.5058043, 46.736564644, 0.93218483193], np.linspace(7.4, 20.9, 154), 2e-3
)
def bennett(b, x):
    return b[0] * (b[1] + x) ** (-1 / b[2])


@curve(
    "ENSO", [11.0, 3.0, 0.5, 40.0, -0.7, -1.3, 25.0, -0.3, 1.4],
    [10.510749193, 3.0762128085, 0.53280138227, 44.311088700, -1.6231428586, 0.52554493756, 26.887614440, 0.21232288488,
     1.4966870418], np.arange(1.0, 169.0), 2.2,
)  # fmt: skip
def enso(b, x):
    t = 2 * np.pi * x
    yearly = b[1] * jnp.cos(t / 12) + b[2] * jnp.sin(t / 12)
    slow = b[4] * jnp.cos(t / b[3]) + b[5] * jnp.sin(t / b[3]) + b[7] * jnp.cos(t / b[6]) + b[8] * jnp.sin(t / b[6])
    return b[0] + yearly + slow


X = RNG.normal(size=(120, 5)) * np.array([1.0, 0.3, 3.0, 1.0, 10.0])
SCORE = X @ np.array([0.8, -1.0, 0.2, 0.0, 0.05])
NOISE = RNG.normal(size=120)
UNIFORM = RNG.random(120)


@likelihood("Tobit, censored at 0", np.zeros(7))
def tobit(w):
    y, sigma = jnp.maximum(SCORE + 0.5 + NOISE, 0.0), jnp.exp(w[6])
    mean = X @ w[:5] + w[5]
    density = -0.5 * ((y - mean) / sigma) ** 2 - w[6]
    return -jnp.mean(jnp.where(y > 0, density, jax.scipy.special.log_ndtr(-mean / sigma)))


@likelihood("GARCH(1, 1)", [-2.0, -1.0, 1.0])
def garch(w):
    returns = NOISE * np.exp(0.4 * np.sin(np.arange(120) / 9))
    omega, share, keep = jnp.exp(w[0]), jax.nn.sigmoid(w[1]), jax.nn.sigmoid(w[2])
    alpha = share * (1 - keep)

    def step(h, r):
        return omega + alpha * r**2 + keep * h, h

    _, h = jax.lax.scan(step, jnp.var(returns), returns)
    return 0.5 * jnp.mean(jnp.log(h) + returns**2 / h)


@likelihood("Ordered logit of 4 grades", np.append(np.zeros(5), [-1.0, 0.0, 0.0]))
def ordered(w):
    grade = np.digitize(SCORE + np.log(UNIFORM / (1 - UNIFORM)), [-1.0, 0.5, 2.0])
    cuts = jnp.concatenate([jnp.array([-40.0]), jnp.cumsum(jnp.append(w[5], jnp.exp(w[6:]))), jnp.array([40.0])])
    z = X @ w[:5]
    return -jnp.mean(jnp.log(jax.nn.sigmoid(cuts[grade + 1] - z) - jax.nn.sigmoid(cuts[grade] - z)))


@likelihood("Weibull survival, censored", np.zeros(7))
def weibull(w):
    time = np.exp(0.3 * SCORE) * (-np.log(UNIFORM)) ** 0.7
    seen, k = time < 2.0, jnp.exp(w[6])
    z = k * (jnp.log(np.minimum(time, 2.0)) - X @ w[:5] - w[5])
    return -jnp.mean(seen * (w[6] + z) - jnp.exp(z))


@likelihood("Zero-inflated Poisson", np.zeros(7))
def zero_inflated(w):
    y = np.where(UNIFORM < 0.3, 0.0, np.round(np.exp(0.3 * SCORE + 0.3 * NOISE)))
    rate, z = X @ w[:5] + w[5], w[6]
    some = -jax.nn.softplus(z) + y * rate - jnp.exp(rate) - gammaln(y + 1)
    none = jnp.logaddexp(-jax.nn.softplus(-z), -jax.nn.softplus(z) - jnp.exp(rate))
    return -jnp.mean(jnp.where(y > 0, some, none))


@likelihood("Generalised extreme values", [0.0, 0.0, 0.1])
def extremes(w):
    y = 2.0 + 1.5 * ((-np.log(UNIFORM)) ** -0.2 - 1) / 0.2
    t = 1 + w[2] * (y - w[0]) / jnp.exp(w[1])
    return jnp.mean(w[1] + (1 + 1 / w[2]) * jnp.log(t) + t ** (-1 / w[2]))


@likelihood("Three Poissons mixed", [0.0, 1.0, 2.0, 0.0, 0.0])
def poissons(w):
    y = np.round(np.where(UNIFORM < 0.3, 1.0, np.where(UNIFORM < 0.7, 6.0, 15.0)) + np.abs(NOISE) * 2)[:, None]
    shares = jax.nn.log_softmax(jnp.append(w[3:], 0.0))
    return -jnp.mean(jax.nn.logsumexp(shares + y * w[:3] - jnp.exp(w[:3]) - gammaln(y + 1), axis=1))


@likelihood("ARMA(1, 1)", [0.0, 0.0, 0.0])
def arma(w):
    y = np.convolve(NOISE, [1.0, 0.9, 0.5, 0.3, 0.2, 0.1])[:120] + 0.7

    def step(carry, now):
        before, shock = carry
        shock = now - w[0] - w[1] * before - w[2] * shock
        return (now, shock), shock

    _, shocks = jax.lax.scan(step, (jnp.array(y[0]), jnp.array(0.0)), y[1:])
    return jnp.log(jnp.mean(shocks**2))


@likelihood("Bradley and Terry, 15 teams", np.zeros(15))
def bradley(w):
    i, j = np.triu_indices(15, 1)
    wins = np.round(5 / (1 + np.exp(0.3 * (i - j) + np.sin(3.0 * i * j))))
    z = w[i] - w[j]
    return jnp.mean(wins * jax.nn.softplus(-z) + (5 - wins) * jax.nn.softplus(z)) + 1e-3 * jnp.sum(w**2)


@likelihood("Gompertz mortality, logarithmic", [-5.0, -2.0])
def gompertz(w):
    age = np.arange(30.0, 90.0)
    deaths = np.round(1000 * np.exp(-9.5 + 0.09 * age) * (1 + 0.2 * np.sin(age)))
    rate = w[0] + jnp.exp(w[1]) * age
    return jnp.sum(1000 * jnp.exp(rate) - deaths * rate) / 1000


@likelihood("Item response, 10 items", np.zeros(50))
def items(w):
    ability, hard = np.linspace(-2, 2, 30), np.linspace(-1.5, 1.5, 10)
    right = np.sin(np.arange(300.0).reshape(30, 10) ** 1.3) < 1.5 * np.tanh(ability[:, None] - hard)
    z = jnp.exp(w[40:]) * (w[:30, None] - w[30:40])
    return jnp.sum(jax.nn.softplus(jnp.where(right, -z, z))) + 0.5 * jnp.sum(w[:30] ** 2) + 0.5 * jnp.sum(w[30:] ** 2)


@likelihood("Stochastic frontier", np.append(np.zeros(6), [0.0, 0.0]))
def frontier(w):
    y = SCORE + 1.0 + 0.3 * NOISE + np.log(UNIFORM) * 0.7
    sigma, skew = jnp.exp(w[6]), jnp.exp(w[7])
    e = (y - X @ w[:5] - w[5]) / sigma
    return jnp.mean(0.5 * e**2 + w[6]) - jnp.mean(jax.scipy.special.log_ndtr(-skew * e))


@likelihood("Dose and response, four parameters", [0.0, 1.0, 0.0, 0.0])
def dose(w):
    x = np.linspace(-4, 4, 30)
    y = 0.1 + 0.8 / (1 + np.exp(-1.7 * (x - 0.6))) + 0.03 * NOISE[:30]
    return jnp.sum((y - w[0] - w[1] * ndtr(jnp.exp(w[2]) * (x - w[3]))) ** 2)


TENSOR = np.einsum("ir,jr,kr->ijk", *(RNG.normal(size=(n, 2)) for n in (4, 5, 6))) + 0.05 * RNG.normal(size=(4, 5, 6))
RATINGS = RNG.normal(size=(12, 2)) @ RNG.normal(size=(2, 10)) + 0.3 * RNG.normal(size=(12, 10))
SEEN = RNG.random((12, 10)) < 0.6
SAMPLES = RNG.normal(size=(40, 5)) @ RNG.normal(size=(5, 5))
CIRCLE = RNG.normal(size=(80, 2))
INSIDE = np.sum(CIRCLE**2, axis=1) < 1.2
CIRCLE_START, SERIES_START, TENSOR_START = (0.5 * RNG.normal(size=n) for n in (33, 24, 30))
FACTOR_START = 0.5 * RNG.normal(size=44)


@fit("Tensor of rank 2", TENSOR_START)
def tensor(w):
    a, b, c = w[:8].reshape(4, 2), w[8:18].reshape(5, 2), w[18:].reshape(6, 2)
    return jnp.sum((jnp.einsum("ir,jr,kr->ijk", a, b, c) - TENSOR) ** 2)


@fit("Ratings, two factors", FACTOR_START)
def ratings(w):
    U, V = w[:24].reshape(12, 2), w[24:].reshape(2, 10)
    return jnp.sum(SEEN * (U @ V - RATINGS) ** 2) + 0.1 * jnp.sum(w**2)


@fit("Inverse covariance by its factor", np.eye(5)[np.tril_indices(5)])
def precision(w):
    L = jnp.zeros((5, 5)).at[np.tril_indices(5)].set(w)
    S = np.cov(SAMPLES.T)
    return jnp.trace(S @ L @ L.T) - jnp.sum(jnp.log(jnp.diag(L) ** 2)) + 0.1 * jnp.sum(jnp.sqrt((L @ L.T) ** 2 + 1e-4))


@fit("Nearest rotation", np.eye(4).ravel() + 0.3 * np.sin(np.arange(16.0)))
def rotation(w):
    Q = w.reshape(4, 4)
    return jnp.sum((Q - jnp.array(RATINGS[:4, :4])) ** 2) + 5 * jnp.sum((Q.T @ Q - jnp.eye(4)) ** 2)


@fit("Network for a circle, 8 tanh", CIRCLE_START)
def circle(w):
    hidden = jnp.tanh(CIRCLE @ w[:16].reshape(2, 8) + w[16:24])
    z = hidden @ w[24:32] + w[32]
    return jnp.mean(jax.nn.softplus(jnp.where(INSIDE, -z, z))) + 1e-3 * jnp.sum(w**2)


@fit("XOR of 2 softplus", [0.3, -0.2, 0.5, 0.4, -0.1, 0.2, 0.6, -0.5, 0.1])
def xor(w):
    inputs, outputs = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0.0, 1.0, 1.0, 0.0])
    hidden = jax.nn.softplus(inputs @ w[:4].reshape(2, 2) + w[4:6])
    return jnp.sum((hidden @ w[6:8] + w[8] - outputs) ** 2) + 1e-3 * jnp.sum(w**2)


@fit("Recurrent network of 4", SERIES_START)
def recurrent(w):
    series = np.sin(np.arange(40) / 2.0) + 0.2 * np.cos(np.arange(40) * 1.3)
    W, u, v = w[:16].reshape(4, 4), w[16:20], w[20:24]

    def step(h, x):
        h = jnp.tanh(W @ h + u * x)
        return h, h @ v

    _, told = jax.lax.scan(step, jnp.zeros(4), series[:-1])
    return jnp.mean((told - series[1:]) ** 2) + 1e-3 * jnp.sum(w**2)


@fit("Radial functions, 5 centres", np.concatenate([np.linspace(-2, 2, 5), np.zeros(5), np.ones(5)]))
def radial(w):
    x = np.linspace(-3, 3, 50)
    y = np.abs(x) * np.sin(2 * x)
    return jnp.sum((jnp.exp(-((x[:, None] - w[:5]) ** 2) * jnp.exp(w[5:10])) @ w[10:] - y) ** 2) / 50
