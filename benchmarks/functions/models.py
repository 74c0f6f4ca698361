"""Costs as they come from data: classification, robust regression, a network, a factorisation, distances."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from .problem import problem

model = partial(problem, "models")
RNG = np.random.default_rng(5)
ROWS = RNG.normal(size=(200, 10)) * np.geomspace(0.1, 10.0, 10)
TRUTH = RNG.normal(size=10) / np.geomspace(0.1, 10.0, 10)
LABELS = np.sign(ROWS @ TRUTH + RNG.logistic(size=200))
TARGETS = ROWS @ TRUTH + RNG.standard_t(1.5, size=200)
CURVE_X = np.linspace(-3.0, 3.0, 60)
CURVE_Y = np.sin(2 * CURVE_X) + 0.1 * RNG.normal(size=60)
TABLE = RNG.normal(size=(20, 3)) @ RNG.normal(size=(3, 15)) + 0.1 * RNG.normal(size=(20, 15))
BEGIN = RNG.normal(size=(3 * 35))
POINTS = RNG.normal(size=(12, 2))
WEIGHTS = 0.5 * RNG.normal(size=25)
CORNERS = RNG.normal(size=(40, 15))


@model("Logistic regression, l2", np.zeros(10))
def logistic(w):
    return jnp.mean(jax.nn.softplus(-LABELS * (ROWS @ w))) + 1e-4 * jnp.sum(w**2)


@model("Cauchy regression", np.zeros(10))
def cauchy(w):
    return jnp.mean(jnp.log1p((TARGETS - ROWS @ w) ** 2))


@model("Huber regression", np.zeros(10))
def huber(w):
    return jnp.mean(jnp.sqrt(1 + (TARGETS - ROWS @ w) ** 2) - 1)


@model("Poisson regression", np.zeros(10))
def poisson(w):
    z = (ROWS / np.geomspace(0.1, 10.0, 10)) @ w
    return jnp.mean(jnp.exp(z) - np.abs(np.round(TARGETS)) * z / 4)


@model("log-sum-exp", np.full(15, 2.0))
def log_sum_exp(w):
    return jax.nn.logsumexp(CORNERS @ w + 0.5)


@model("Network of 8 tanh", WEIGHTS)
def network(w):
    hidden = jnp.tanh(CURVE_X[:, None] * w[:8] + w[8:16])
    return jnp.mean((hidden @ w[16:24] + w[24] - CURVE_Y) ** 2) + 1e-3 * jnp.sum(w**2)


@model("Matrix factorisation", BEGIN)
def factorisation(w):
    left, right = w[:60].reshape(20, 3), w[60:].reshape(3, 15)
    return jnp.mean((left @ right - TABLE) ** 2)


@model("Points from their distances", (POINTS * [1.5, 0.7] + 0.2 * CORNERS[:12, :2]).ravel())
def distances(w):
    def squared(p):
        return jnp.sum((p[:, None] - p) ** 2, axis=-1)

    return jnp.sum((squared(w.reshape(12, 2)) - squared(jnp.array(POINTS))) ** 2)


@model("Analytic centre", np.zeros(15))
def analytic_centre(w):
    return -jnp.sum(jnp.log(1 - CORNERS @ w)) - jnp.sum(jnp.log(4 - w**2))


@model("Gaussian log-likelihood, scale and place", [10.0, 1.0])
def likelihood(w):
    return jnp.mean(0.5 * ((TARGETS.clip(-20, 20) - w[0]) / w[1]) ** 2) + jnp.log(w[1])


@model("Lennard-Jones, 4 atoms", [0.0, 0, 0, 1.3, 0, 0.1, 0.2, 1.2, 0, 0.5, 0.4, 1.1], -6.0)
def lennard_jones(w):
    p = w.reshape(4, 3)
    r2 = jnp.stack([jnp.sum((p[i] - p[j]) ** 2) for i in range(4) for j in range(i)])
    return 4 * jnp.sum(r2**-6 - r2**-3)


@model("Minimal surface 7 x 7", np.zeros(49))
def minimal_surface(w):
    edge = np.linspace(-0.5, 0.5, 9)
    frame = np.sin(3 * edge)[:, None] * np.cos(2 * edge)
    sheet = jnp.array(frame).at[1:-1, 1:-1].set(w.reshape(7, 7))
    across, along = sheet[1:, 1:] - sheet[:-1, :-1], sheet[1:, :-1] - sheet[:-1, 1:]
    return jnp.mean(jnp.sqrt(1 + 32 * (across**2 + along**2)))


@model("Chain of springs 100", np.sin(np.arange(100.0)))
def springs(w):
    ends = jnp.pad(w, 1, constant_values=(0.0, 1.0))
    stretch = jnp.diff(ends)
    return jnp.sum(0.5 * stretch**2 + 0.25 * stretch**4) + 0.1 * jnp.sum(jnp.cos(3 * w))
