"""More functions of few variables, and more costs as they come from data, for the second suite."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from .problem import SECOND, problem

classic = partial(problem, "more classics", into=SECOND)
model = partial(problem, "more models", into=SECOND)
RNG = np.random.default_rng(11)


@classic("Sum of squares 30", np.linspace(-5, 10, 30), 0.0)
def sum_squares(x):
    return jnp.sum(jnp.arange(1, len(x) + 1) * x**2)


@classic("Ellipsoid 1e6 10", np.ones(10), 0.0)
def ellipsoid(x):
    return jnp.sum(10.0 ** (6 * jnp.arange(len(x)) / (len(x) - 1)) * x**2)


@classic("Rotated hyper-ellipsoid 12", np.full(12, 7.0), 0.0)
def schwefel_12(x):
    return jnp.sum(jnp.cumsum(x) ** 2)


@classic("Cigar 8", np.full(8, 3.0), 0.0)
def cigar(x):
    return x[0] ** 2 + 1e4 * jnp.sum(x[1:] ** 2)


@classic("Leon", [-1.2, 1.0], 0.0)
def leon(x):
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2 + 0.5 * (x[1] - x[0] ** 3) ** 2


@classic("Egg crate", [1.0, -0.8], 0.0)
def egg_crate(x):
    return jnp.sum(x**2) + 25 * jnp.sum(jnp.sin(x) ** 2)


@classic("Qing 10", np.linspace(0.5, 5.0, 10), 0.0)
def qing(x):
    return jnp.sum((x**2 - jnp.arange(1, len(x) + 1)) ** 2)


@classic("Exponential 10", np.linspace(-0.9, 0.8, 10), -1.0)
def exponential(x):
    return -jnp.exp(-0.5 * jnp.sum(x**2))


@classic("Trefethen, near a well", [-0.02, 0.2])
def trefethen(x):
    a, b = x
    waves = jnp.exp(jnp.sin(5 * a)) + jnp.sin(6 * jnp.exp(b)) + jnp.sin(7 * jnp.sin(a)) + jnp.sin(jnp.sin(8 * b))
    return waves - jnp.sin(10 * (a + b)) + (a**2 + b**2) / 4


@classic("Salomon with a round tip", np.full(5, 0.2), 0.0)
def salomon(x):
    r = jnp.sqrt(jnp.sum(x**2) + 1e-4)
    return 1 - jnp.cos(jnp.pi * (r - 1e-2)) + 0.1 * (r - 1e-2)


@classic("Wayburn and Seader", [3.0, 3.0], 0.0)
def wayburn(x):
    return (x[0] ** 6 + x[1] ** 4 - 17) ** 2 + (2 * x[0] + x[1] - 4) ** 2


@classic("Perm 4", [0.9, 0.6, 0.4, 0.3], 0.0)
def perm(x):
    i = jnp.arange(1.0, 5.0)
    return sum(jnp.sum((i**k + 0.5) * ((x / i) ** k - 1)) ** 2 for k in range(1, 5))


@classic("Shekel 5, near its well", [3.5, 4.4, 3.7, 4.3])
def shekel(x):
    A = np.array([[4, 4, 4, 4], [1, 1, 1, 1], [8, 8, 8, 8], [6, 6, 6, 6], [3, 7, 3, 7.0]])
    return -jnp.sum(1 / (jnp.sum((x - A) ** 2, axis=1) + np.array([0.1, 0.2, 0.2, 0.4, 0.4])))


@classic("Brown almost quadratic 10", np.tile([-0.9, 0.8], 5), 0.0)
def brown(x):
    a, b = x[:-1] ** 2, x[1:] ** 2
    return jnp.sum(a ** (b + 1) + b ** (a + 1))


@classic("Rosenbrock, a narrow valley", [-1.2, 1.0], 0.0)
def narrow_rosenbrock(x):
    return 1e4 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


@classic("Rosenbrock 2 to 30", np.tile([-1.0, 2.0], 15), 0.0)
def rosenbrock_chain(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@classic("Rosenbrock in two units", [-1.2e3, 1e-3], 0.0)
def rosenbrock_units(x):
    a, b = x[0] / 1e3, x[1] * 1e3
    return 100 * (b - a**2) ** 2 + (1 - a) ** 2


@classic("Quadratic in units of 1e4", [2e4, 3e-4, 1.0], 0.0)
def quadratic_units(x):
    s = x * jnp.array([1e-4, 1e4, 1.0]) - 1
    return s @ jnp.array([[2.0, 0.5, 0.2], [0.5, 1.0, 0.1], [0.2, 0.1, 3.0]]) @ s


@classic("Huber bowl 6", np.linspace(-20, 30, 6), 0.0)
def huber_bowl(x):
    return jnp.sum(jnp.where(jnp.abs(x) < 1, 0.5 * x**2, jnp.abs(x) - 0.5))


@classic("Norm to the 3/2, 5", np.linspace(-3, 4, 5), 0.0)
def three_halves(x):
    return jnp.sum((x**2 + 1e-12) ** 0.75) - 5 * 1e-9


@classic("Barrier 4", np.full(4, 0.5))
def barrier(x):
    return jnp.sum(x * jnp.array([1.0, 2.0, -1.0, 0.5])) - 0.1 * jnp.sum(jnp.log(1 - x) + jnp.log(x))


@classic("One variable, quartic", [5.0])
def quartic_1(x):
    return x[0] ** 4 - 3 * x[0] ** 3 + 2


@classic("One variable, cosh", [4.0], 0.0)
def cosh_1(x):
    return jnp.cosh(x[0]) - 1


@classic("Gaussian wells 4", np.array([0.5, -0.4, 0.3, 0.7]))
def gaussian_wells(x):
    centres = np.array([[0.0, 0, 0, 0], [2.0, 0, 1, 0], [0, -2.0, 0, 1]])
    return 0.05 * jnp.sum(x**2) - jnp.sum(np.array([1.0, 0.6, 0.8]) * jnp.exp(-jnp.sum((x - centres) ** 2, axis=1)))


X = RNG.normal(size=(150, 8)) @ (np.eye(8) + 0.4 * RNG.normal(size=(8, 8)))
W = RNG.normal(size=8)
COUNTS = RNG.poisson(np.exp(np.clip(0.3 * X @ W, -3, 3)))
CLASSES = np.argmax(X @ RNG.normal(size=(8, 4)) + RNG.gumbel(size=(150, 4)), axis=1)
NOISY = X @ W + RNG.normal(size=150)
TIMES = RNG.exponential(np.exp(-0.2 * X @ W))
SERIES = np.cumsum(RNG.normal(size=120)) * 0.3
T = np.linspace(0.2, 6.0, 40)
GROWTH = 5 / (1 + 8 * np.exp(-1.3 * T)) + 0.05 * RNG.normal(size=40)
ORBITS = RNG.normal(size=(10, 3))
POSITIVE = RNG.uniform(size=(12, 3)) @ RNG.uniform(size=(3, 9))
SIGNAL = np.repeat([0.0, 2.0, -1.0, 1.0], 20) + 0.2 * RNG.normal(size=80)
MIXED = np.concatenate([RNG.normal(-2, 0.7, 80), RNG.normal(1.5, 1.2, 70)])
GAMMA = RNG.gamma(2.5, 1.7, size=100)
HALF = RNG.normal(size=(30, 30))
SPD = HALF @ HALF.T / 30 + 0.05 * np.eye(30)


@model("Ridge regression", np.zeros(8))
def ridge(w):
    return 0.5 * jnp.mean((X @ w - NOISY) ** 2) + 0.005 * jnp.sum(w**2)


@model("Softmax regression 32", np.zeros(32))
def softmax(w):
    scores = X @ w.reshape(8, 4)
    return jnp.mean(jax.nn.logsumexp(scores, axis=1) - scores[np.arange(150), CLASSES]) + 1e-3 * jnp.sum(w**2)


@model("Probit regression", np.zeros(8))
def probit(w):
    return -jnp.mean(jax.scipy.stats.norm.logcdf(np.sign(NOISY) * (X @ w))) + 1e-3 * jnp.sum(w**2)


@model("Negative binomial regression", np.zeros(9))
def negative_binomial(w):
    mean, r = jnp.exp(X @ w[:8]), jnp.exp(w[8])
    gammas = jax.scipy.special.gammaln(COUNTS + r) - jax.scipy.special.gammaln(r)
    return jnp.mean(-gammas - r * jnp.log(r / (r + mean)) - COUNTS * jnp.log(mean / (r + mean))) + 1e-3 * jnp.sum(w**2)


@model("Cox partial likelihood", np.zeros(8))
def cox(w):
    scores = (X @ w)[np.argsort(-TIMES)]
    return jnp.mean(jax.lax.cumlogsumexp(scores) - scores) + 1e-3 * jnp.sum(w**2)


@model("Student's t, place, scale and freedom", [0.0, 0.0, 1.0])
def student(w):
    nu, z = jnp.exp(w[2]), (NOISY - w[0]) / jnp.exp(w[1])
    top = jax.scipy.special.gammaln((nu + 1) / 2) - jax.scipy.special.gammaln(nu / 2) - 0.5 * jnp.log(nu * jnp.pi)
    return -jnp.mean(top - w[1] - (nu + 1) / 2 * jnp.log1p(z**2 / nu)) + 1e-3 * w[2] ** 2


@model("Gamma distribution by likelihood", [0.0, 0.0])
def gamma(w):
    shape, rate = jnp.exp(w[0]), jnp.exp(w[1])
    return -jnp.mean(shape * w[1] - jax.scipy.special.gammaln(shape) + (shape - 1) * jnp.log(GAMMA) - rate * GAMMA)


@model("Two Gaussians", [-1.0, 1.0, 0.0, 0.0, 0.0])
def mixture(w):
    z1, z2 = (MIXED - w[0]) / jnp.exp(w[2]), (MIXED - w[1]) / jnp.exp(w[3])
    one, two = -0.5 * z1**2 - w[2] + jax.nn.log_sigmoid(w[4]), -0.5 * z2**2 - w[3] + jax.nn.log_sigmoid(-w[4])
    return -jnp.mean(jnp.logaddexp(one, two))


@model("Autoregression of order 3", np.zeros(4))
def autoregression(w):
    past = w[0] * SERIES[2:-1] + w[1] * SERIES[1:-2] + w[2] * SERIES[:-3] + w[3]
    return jnp.mean((SERIES[3:] - past) ** 2)


@model("Logistic growth", [1.0, 1.0, 1.0])
def growth(w):
    return jnp.sum((GROWTH - w[0] / (1 + jnp.exp(w[1] - w[2] * T))) ** 2)


@model("Michaelis and Menten", [1.0, 1.0])
def michaelis(w):
    return jnp.sum((3.2 * T / (1.7 + T) + 0.05 * jnp.sin(9 * T) - w[0] * T / (w[1] + T)) ** 2)


@model("Damped oscillation", [1.0, 0.5, 2.5, 0.3])
def oscillation(w):
    truth = 2.0 * np.exp(-0.35 * T) * np.cos(2.2 * T + 0.5)
    return jnp.mean((truth - w[0] * jnp.exp(-w[1] * T) * jnp.cos(w[2] * T + w[3])) ** 2)


@model("Predator and prey from its orbit", [0.8, 0.6, 0.7, 0.5])
def lotka(w):
    def orbit(p):
        def step(z, _):
            z = z + 0.05 * jnp.stack([z[0] * (p[0] - p[1] * z[1]), z[1] * (p[3] * z[0] - p[2])])
            return z, z

        return jax.lax.scan(step, jnp.array([2.0, 1.0]), None, length=100)[1]

    return jnp.mean((orbit(w) - orbit(jnp.array([1.0, 0.5, 0.9, 0.4]))) ** 2)


@model("Thomson's problem, 10 charges", ORBITS.ravel())
def thomson(w):
    p = w.reshape(10, 3)
    p = p / jnp.linalg.norm(p, axis=1, keepdims=True)
    far = jnp.stack([jnp.sum((p[i] - p[j]) ** 2) for i in range(10) for j in range(i)])
    return jnp.sum(far**-0.5)


@model("Positive factors", np.full(63, 0.3) + 0.1 * RNG.normal(size=63))
def factors(w):
    left, right = w[:36].reshape(12, 3) ** 2, w[36:].reshape(3, 9) ** 2
    return jnp.mean((left @ right - POSITIVE) ** 2)


@model("Smoothed total variation 80", SIGNAL)
def total_variation(x):
    return 0.5 * jnp.sum((x - SIGNAL) ** 2) + 0.3 * jnp.sum(jnp.sqrt(jnp.diff(x) ** 2 + 1e-4))


@model("Rayleigh quotient 30", np.ones(30))
def rayleigh(x):
    return x @ SPD @ x / (x @ x) + 0.1 * (x @ x - 1) ** 2


@model("Largest determinant 6", np.zeros(21))
def covariance(w):
    L = jnp.zeros((6, 6)).at[np.tril_indices(6)].set(w) + 0.5 * jnp.eye(6)
    scatter = SPD[:6, :6]
    diagonal = jnp.diagonal(L)
    return 0.5 * jnp.trace(scatter @ L @ L.T) - 0.5 * jnp.sum(jnp.log(diagonal**2 + 1e-9))


@model("Gaussian process, three hyperparameters", [0.0, 0.0, -1.0])
def process(w):
    K = jnp.exp(2 * w[0] - 0.5 * ((T[:, None] - T) / jnp.exp(w[1])) ** 2) + (jnp.exp(2 * w[2]) + 1e-6) * jnp.eye(40)
    L = jnp.linalg.cholesky(K)
    z = jax.scipy.linalg.solve_triangular(L, GROWTH - 3, lower=True)
    return 0.5 * jnp.sum(z**2) + jnp.sum(jnp.log(jnp.diagonal(L)))


@model("Autoencoder of one unit", 0.3 * RNG.normal(size=25))
def autoencoder(w):
    code = jnp.tanh(X @ w[:8] + w[8])
    return jnp.mean((jnp.outer(code, w[9:17]) + w[17:25] - X) ** 2)


@model("Network of 5 sigmoids for classes", 0.5 * RNG.normal(size=51))
def classifier(w):
    hidden = jax.nn.sigmoid(X @ w[:40].reshape(8, 5) + w[40:45])
    score = hidden @ w[45:50] + w[50]
    return jnp.mean(jax.nn.softplus(-np.sign(NOISY) * score)) + 3e-3 * jnp.sum(w**2)


@model("Control of a pendulum, 30 torques", np.zeros(30))
def pendulum(u):
    def step(z, torque):
        z = jnp.stack([z[0] + 0.1 * z[1], z[1] + 0.1 * (-jnp.sin(z[0]) - 0.1 * z[1] + torque)])
        return z, z

    end, _ = jax.lax.scan(step, jnp.zeros(2), u)
    return 10 * (end[0] - 1.5) ** 2 + 10 * end[1] ** 2 + 0.05 * jnp.sum(u**2)


@model("Geodesic over a hill, 20 points", np.concatenate([np.linspace(-2, 2, 20), np.full(20, 0.1)]))
def geodesic(w):
    x = jnp.concatenate([jnp.array([-2.2]), w[:20], jnp.array([2.2])])
    y = jnp.concatenate([jnp.zeros(1), w[20:], jnp.zeros(1)])
    z = 1.5 * jnp.exp(-(x**2) - y**2)
    return jnp.sum(jnp.diff(x) ** 2 + jnp.diff(y) ** 2 + jnp.diff(z) ** 2)


@model("Hanging chain, 25 links", np.full(25, -0.1))
def chain(y):
    whole = jnp.pad(y, 1)
    return jnp.sum(jnp.sqrt(0.01 + jnp.diff(whole) ** 2)) + 0.05 * jnp.sum(y) + 0.02 * jnp.sum(y**2)
