"""Our half of the corpus, one line a program: descents on formulas, functions, tables and networks.

Here ``make(seed)`` runs the training through public calls and returns its walk, its fit or its estimator, which
``descender.diagnose`` reads.  The split is mechanical, and was made before any rule was chosen by it: of the programs
of one fault, and of the healthy ones, every other is held out.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from functools import partial
from itertools import count
from typing import Any

import numpy as np
from sklearn import datasets

import descender
from corpus import Program
from corpus.rows import constant, far_target, leaked, outlier, scaled, shuffled
from corpus.tasks import TASKS
from descender.costs.network.build import perceptron, recurrent
from descender.costs.network.network import Network
from descender.costs.risk import Risk

Prepare = Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]


def samples(task: str, seed: int, prepare: Prepare | None, rows: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a task, and what is done to them."""
    X, y = TASKS[task](seed)
    if rows:
        X, y = X[:rows], y[:rows]
    X = X.astype(np.float64)
    return (X, y) if prepare is None else prepare(X.copy(), y.copy(), np.random.default_rng(seed))


def formula(seed: int, cost: str, start: str, method: str, data: Any = None, **options: Any) -> Any:
    """A typed formula; `data` makes its columns by seed."""
    columns = data(np.random.default_rng(seed)) if data is not None else None
    return descender.minimize(cost, start, method, seed=seed, data=columns, **options)


def function(seed: int, cost: Callable[..., Any], start: list[float], method: str, **options: Any) -> Any:
    """A Python function, from a start that differs a little by seed."""
    start = np.multiply(start, np.random.default_rng(seed).uniform(0.9, 1.1, len(start)))
    return descender.minimize(cost, start, method, seed=seed, **options)


def linear(
    seed: int, task: str, loss: str, method: str, prepare: Prepare | None = None, l2: float = 1e-3, rows: int = 0,
    **options: Any,
) -> Any:  # fmt: skip
    """A linear model's cost, its columns as they are."""
    X, y = samples(task, seed, prepare, rows)
    return descender.minimize(Risk(X, y, loss, l2=l2), method=method, seed=seed, **options)


def table(seed: int, task: str, prepare: Prepare | None = None, rows: int = 0, **options: Any) -> Any:
    """A table, fitted as the command does it."""
    X, y = samples(task, seed, prepare, rows)
    columns = {f"x{j}": X[:, j] for j in range(X.shape[1])}
    return descender.fit(columns | {"y": y}, "y", seed=seed, **options)


def estimator(
    seed: int, task: str, hidden: tuple[int, ...], prepare: Prepare | None = None, rows: int = 0, **options: Any
) -> Any:
    """A network with scikit-learn's parameters."""
    X, y = samples(task, seed, prepare, rows)
    kind = descender.MLPRegressor if y.dtype.kind == "f" else descender.MLPClassifier
    return kind(hidden, random_state=seed, **options).fit(X, y)


def network(
    seed: int, task: str, hidden: tuple[int, ...], method: str, prepare: Prepare | None = None,
    shape: dict[str, Any] | None = None, l2: float = 0.0, loss: str = "", rows: int = 0, **options: Any,
) -> Any:  # fmt: skip
    """A network as a cost; of sequences a recurrent one."""
    X, y = samples(task, seed, prepare, rows)
    classes = 0 if y.dtype.kind == "f" else int(y.max()) + 1
    outputs = classes if classes > 2 else 1
    loss = loss or ("squared_error" if not classes else "softmax" if classes > 2 else "log_loss")
    build = (
        partial(recurrent, 1, hidden[0], outputs) if X.ndim == 3 else partial(perceptron, X.shape[1], hidden, outputs)
    )
    cost = Network(build(**(shape or {})), X, y, loss, l2=l2, seed=seed)
    return descender.minimize(cost, cost.start(seed), method, seed=seed, **options)


# data of their own


def line(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A line with noise."""
    x = rng.uniform(0, 4, 60)
    return {"a": x, "b": 2 * x + 1 + rng.normal(0, 0.5, 60)}


def tails(X: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Errors of Student's t, 2 degrees of freedom."""
    return X, y + 0.3 * rng.standard_t(2, len(y))


def apart(X: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two classes that a plane divides."""
    normal = rng.normal(size=X.shape[1])
    score = X @ (normal / np.linalg.norm(normal))
    kept = np.abs(score - np.median(score)) > 0.2
    return X[kept], (score > np.median(score))[kept].astype(np.int64)


def still(X: np.ndarray, y: np.ndarray, rng: np.random.Generator, value: float) -> tuple[np.ndarray, np.ndarray]:
    """One column never changes."""
    X[:, 2] = value
    return X, y


def spread(X: np.ndarray, y: np.ndarray, rng: np.random.Generator, deviation: float) -> tuple[np.ndarray, np.ndarray]:
    """Columns of deviations from 1 / `deviation` to `deviation`, within reason."""
    return X * np.geomspace(1 / deviation, deviation, X.shape[1]), y


def iris(X: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Irises in centimetres."""
    X, y = datasets.load_iris(return_X_y=True)
    order = rng.permutation(len(X))
    return X[order], y[order]


# functions and their gradients


def rosenbrock(w: np.ndarray) -> float:
    """Rosenbrock's valley."""
    return float((100 * (w[1:] - w[:-1] ** 2) ** 2 + (1 - w[:-1]) ** 2).sum())


def factor_forgotten(w: np.ndarray) -> np.ndarray:
    """Its gradient, where an inner derivative was forgotten."""
    g = np.zeros_like(w)
    g[1:] = 200 * (w[1:] - w[:-1] ** 2)
    g[:-1] += -400 * (w[1:] - w[:-1] ** 2) - 2 * (1 - w[:-1])
    return g


def quadratic(w: np.ndarray) -> float:
    """A bowl of curvatures 1 to 10."""
    return float(0.5 * (np.linspace(1, 10, len(w)) * (w - 1) ** 2).sum())


def sign_wrong(w: np.ndarray) -> np.ndarray:
    """Its gradient with one component of the wrong sign."""
    g = np.linspace(1, 10, len(w)) * (w - 1)
    g[2] *= -1
    return g


def index_wrong(w: np.ndarray) -> np.ndarray:
    """Its gradient, one place further on."""
    return np.roll(np.linspace(1, 10, len(w)) * (w - 1), 1)


def likelihood(w: np.ndarray) -> float:
    """Minus a log-likelihood: negative at its bottom."""
    return float(50 * (np.log(np.exp(w[0])) + 0.5 * (0.01 + (w[1] - 2) ** 2) * np.exp(-2 * w[0])))


P = partial
DEEP = (16,) * 10
SIMPLE = "mean((b - m*a - c)**2)"

# fault, also, and the programs by name
FAULTY: list[tuple[str, tuple[str, ...], dict[str, Callable[[int], Any]]]] = [
    ("learning-rate-too-high", ("exploding-gradient",), {
        "rosenbrock, rate 0.01": P(formula, cost="(1-x)**2 + 100*(y-x**2)**2", start="x=-1.2, y=1", method="gd", learning_rate=0.01, max_steps=200),
        "bowl, rate 0.21": P(function, cost=quadratic, start=[2.0, -1.0, 3.0, 0.5, -2.0], method="gd", learning_rate=0.21, max_steps=200),
        "line, rate 0.3": P(formula, cost=SIMPLE, start="m=0 c=0", method="gd", data=line, learning_rate=0.3, max_steps=100),
        "cancer, gd rate 30": P(linear, task="cancer", loss="log_loss", method="gd", learning_rate=30.0, max_steps=200),
        "friedman, gd rate 3": P(linear, task="friedman", loss="squared_error", method="gd", learning_rate=3.0, max_steps=200),
        "diabetes, minibatch rate 0.5": P(linear, task="diabetes", loss="squared_error", method="minibatch", learning_rate=0.5, max_epochs=10),
        "network, digits, gd rate 30": P(network, task="digits", hidden=(24,), method="minibatch", rows=400, learning_rate=30.0, max_epochs=8),
        "network, friedman, adam rate 2": P(network, task="friedman", hidden=(24,), method="adam", rows=400, batch_size=32, learning_rate=2.0, max_epochs=10),
        "classifier, moons, sgd rate 50": P(estimator, task="moons", hidden=(16,), rows=300, solver="sgd", learning_rate="constant", learning_rate_init=50.0, max_iter=20),
        "table, friedman, minibatch rate 1": P(table, task="friedman", rows=300, method="minibatch", learning_rate=1.0, epochs=10),
    }),
    ("learning-rate-too-low", ("steps-used-up", "plateau"), {
        "bowl, rate 1e-6": P(function, cost=quadratic, start=[2.0, -1.0, 3.0, 0.5, -2.0], method="gd", learning_rate=1e-6, max_steps=300),
        "line, rate 1e-5": P(formula, cost=SIMPLE, start="m=0 c=0", method="gd", data=line, learning_rate=1e-5, max_steps=300),
        "cancer, gd rate 1e-5": P(linear, task="cancer", loss="log_loss", method="gd", learning_rate=1e-5, max_steps=200),
        "friedman, momentum, rate 1e-6": P(linear, task="friedman", loss="squared_error", method="momentum", learning_rate=1e-6, max_steps=200),
        "network, moons, adam rate 1e-6": P(network, task="moons", hidden=(16,), method="adam", rows=300, batch_size=32, learning_rate=1e-6, max_epochs=15),
        "network, diabetes, gd rate 1e-6": P(network, task="diabetes", hidden=(16,), method="gd", rows=300, learning_rate=1e-6, max_steps=200),
    }),
    ("steps-used-up", ("learning-rate-too-low",), {
        "rosenbrock, 100 steps": P(formula, cost="(1-x)**2 + 100*(y-x**2)**2", start="x=-1.2, y=1", method="gd", learning_rate=0.001, max_steps=100),
        "line, 15 steps": P(formula, cost=SIMPLE, start="m=0 c=9", method="gd", data=line, learning_rate=0.02, max_steps=15),
    }),
    ("plateau", (), {
        "tanh, far out": P(formula, cost="tanh(x)**2", start="x=12", method="gd", learning_rate=0.1, max_steps=300),
        "bell, far out": P(formula, cost="1 - exp(-x**2 - y**2)", start="x=5 y=4", method="gd", learning_rate=0.1, max_steps=300),
    }),
    ("unbounded", ("wrong-sign",), {
        "squares forgotten": P(formula, cost="mean(b - m*a - c)", start="m=0 c=0", method="gd", data=line, learning_rate=0.05, max_steps=300),
        "saddle without end": P(formula, cost="x**2 - y**2", start="x=1 y=0.1", method="gd", learning_rate=0.1, max_steps=300),
        "a minus before the cost": P(function, cost=lambda w: -quadratic(w), start=[2.0, -1.0, 3.0], method="gd", learning_rate=0.05, max_steps=300),
        "cube": P(formula, cost="x**3 + y**2", start="x=-0.5 y=1", method="auto"),
    }),
    ("not-a-minimum", (), {
        "ridge of a saddle": P(formula, cost="x**2 - y**2 + y**4", start="x=1 y=1e-30", method="gd", learning_rate=0.1, max_steps=2000),
        "monkey saddle": P(formula, cost="x**4 + y**4 - 4*x*y + 1", start="x=0.5 y=-0.5", method="gd", learning_rate=0.05, max_steps=3000),
    }),
    ("wrong-gradient", (), {
        "rosenbrock, factor forgotten": P(function, cost=rosenbrock, start=[-1.2, 1.0, 0.5], method="gd", gradient=factor_forgotten, learning_rate=0.001, max_steps=200),
        "bowl, one sign": P(function, cost=quadratic, start=[2.0, -1.0, 3.0, 0.5], method="gd", gradient=sign_wrong, learning_rate=0.05, max_steps=100),
        "bowl, index": P(function, cost=quadratic, start=[2.0, -1.0, 3.0, 0.5, -2.0], method="adam", gradient=index_wrong, learning_rate=0.05, max_steps=100),
        "rosenbrock, by lbfgs": P(function, cost=rosenbrock, start=[-1.2, 1.0, 0.5], method="lbfgs", gradient=factor_forgotten),
    }),
    ("momentum-too-high", (), {
        "bowl, momentum 0.999": P(function, cost=quadratic, start=[2.0, -1.0, 3.0, 0.5, -2.0], method="momentum", beta=0.999, learning_rate=0.05, max_steps=300),
        "cancer, momentum 0.9995": P(linear, task="cancer", loss="log_loss", method="momentum", beta=0.9995, learning_rate=0.3, max_steps=200),
    }),
    ("unscaled-columns", ("learning-rate-too-high", "learning-rate-too-low"), {
        "wine, largest 1e4": P(linear, task="friedman", loss="squared_error", method="gd", prepare=P(scaled, largest=1e4), learning_rate=1e-8, max_steps=300),
        "cancer, largest 1e3": P(linear, task="cancer", loss="log_loss", method="gd", prepare=P(scaled, largest=1e3), learning_rate=1e-4, max_steps=300),
        "network, friedman, largest 1e4": P(network, task="friedman", hidden=(16,), method="minibatch", rows=300, prepare=P(scaled, largest=1e4), learning_rate=1e-3, max_epochs=10),
        "diabetes, largest 1e3, rate 0.1": P(linear, task="diabetes", loss="squared_error", method="gd", prepare=P(scaled, largest=1e3), learning_rate=0.1, max_steps=200),
    }),
    ("outlier-rows", (), {
        "diabetes, a row 3000 times": P(linear, task="diabetes", loss="squared_error", method="gd", prepare=P(outlier, factor=3e3), learning_rate=0.05, max_steps=300),
        "friedman, a target of 1e4": P(linear, task="friedman", loss="squared_error", method="auto", prepare=P(far_target, value=1e4)),
        "table, diabetes, a target of 3000": P(table, task="diabetes", prepare=P(far_target, value=3e3)),
        "network, friedman, a target of 1e4": P(network, task="friedman", hidden=(16,), method="minibatch", rows=300, prepare=P(far_target, value=1e4), learning_rate=0.01, max_epochs=10),
    }),
    ("leaked-label", (), {
        "table, cancer": P(table, task="cancer", prepare=leaked),
        "table, friedman": P(table, task="friedman", prepare=leaked),
        "network, cancer": P(network, task="cancer", hidden=(16,), method="minibatch", rows=300, prepare=leaked, learning_rate=0.05, max_epochs=10),
        "cancer, auto": P(linear, task="cancer", loss="log_loss", method="auto", prepare=leaked),
    }),
    ("separable", (), {
        "blobs, gd": P(linear, task="moons", loss="log_loss", method="gd", prepare=apart, l2=0.0, learning_rate=1.0, max_steps=2000),
        "friedman, auto": P(linear, task="diabetes", loss="log_loss", method="auto", prepare=apart, l2=0.0),
    }),
    ("constant-labels", (), {
        "network, friedman": P(network, task="friedman", hidden=(16,), method="minibatch", rows=300, prepare=constant, learning_rate=0.01, max_epochs=10),
        "diabetes, gd": P(linear, task="diabetes", loss="squared_error", method="gd", prepare=constant, learning_rate=0.01, max_steps=200),
    }),
    ("labels-shuffled", ("not-learning",), {
        "network, cancer": P(network, task="cancer", hidden=(16,), method="minibatch", rows=400, prepare=P(shuffled, share=1.0), learning_rate=0.02, max_epochs=10),
        "network, friedman": P(network, task="friedman", hidden=(16,), method="minibatch", rows=400, prepare=P(shuffled, share=1.0), learning_rate=0.02, max_epochs=10),
    }),
    ("vanishing-gradient", ("bad-initialisation",), {
        "deep sigmoid, friedman": P(network, task="friedman", hidden=DEEP, method="minibatch", rows=300, shape={"activation": "sigmoid", "initialisation": "glorot"}, learning_rate=0.05, max_epochs=10),
        "deep tanh of small weights": P(network, task="blobs", hidden=DEEP, method="minibatch", rows=300, shape={"activation": "tanh", "gain": 0.2}, learning_rate=0.05, max_epochs=10),
        "recurrent, gain 0.3": P(network, task="memory", hidden=(16,), method="minibatch", rows=300, shape={"gain": 0.3}, learning_rate=0.05, max_epochs=8),
        "classifier, deep sigmoid": P(estimator, task="moons", hidden=DEEP, rows=300, activation="sigmoid", initialisation="normal 0.1", solver="sgd", learning_rate="constant", learning_rate_init=0.05, max_iter=20),
    }),
    ("exploding-gradient", ("bad-initialisation", "learning-rate-too-high"), {
        "deep relu, gain 4": P(network, task="friedman", hidden=DEEP, method="minibatch", rows=300, shape={"gain": 4.0}, learning_rate=1e-2, max_epochs=8),
        "recurrent relu, gain 3": P(network, task="wave", hidden=(16,), method="minibatch", rows=300, shape={"activation": "relu", "gain": 3.0}, learning_rate=1e-2, max_epochs=8),
    }),
]  # fmt: skip

HEALTHY: dict[str, Callable[[int], Any]] = {
    "rosenbrock, auto": P(formula, cost="(1-x)**2 + 100*(y-x**2)**2", start="x=-1.2, y=1", method="auto"),
    "line, gd": P(formula, cost=SIMPLE, start="m=0 c=0", method="gd", data=line, learning_rate=0.1, max_steps=400),
    "bowl, near the edge of stability": P(function, cost=quadratic, start=[2.0, -1.0, 3.0, 0.5, -2.0], method="gd", learning_rate=0.19, max_steps=300),
    "network at the edge of stability": P(network, task="friedman", hidden=(16,), method="gd", rows=300, learning_rate=0.3, max_steps=400),
    "minus a log-likelihood": P(function, cost=likelihood, start=[0.5, 0.5], method="auto"),
    "a negative cost": P(formula, cost="x**2 + y**2 - 3*x - 40", start="x=9 y=4", method="gd", learning_rate=0.1, max_steps=100),
    "tails with huber": P(linear, task="friedman", loss="huber 1", method="auto", prepare=tails),
    "tails with huber, network": P(network, task="friedman", hidden=(16,), method="minibatch", rows=300, prepare=tails, loss="huber 1", learning_rate=0.05, max_epochs=20),
    "cancer, gd": P(linear, task="cancer", loss="log_loss", method="gd", l2=1e-2, learning_rate=0.5, max_steps=300),
    "friedman, one row at a time": P(linear, task="friedman", loss="squared_error", method="sgd", learning_rate="inverse-time 0.02 0.001", max_epochs=10),
    "noise, minibatch": P(linear, task="noise", loss="squared_error", method="minibatch", learning_rate=0.02, max_epochs=15),
    "noise, network": P(network, task="noise", hidden=(8,), method="minibatch", rows=400, learning_rate=0.02, max_epochs=10),
    "table, diabetes": P(table, task="diabetes"),
    "table, cancer, gd": P(table, task="cancer", method="gd", learning_rate=0.3, epochs=300),
    "tiny table": P(table, task="wine", rows=24),
    "tiny bowl of 12 rows": P(linear, task="diabetes", loss="squared_error", method="gd", rows=12, l2=0.1, learning_rate=0.02, max_steps=1500),
    "digits by softmax": P(linear, task="digits", loss="softmax", method="auto", rows=400),
    "digits, network": P(network, task="digits", hidden=(24,), method="minibatch", rows=400, learning_rate=0.3, max_epochs=15),
    "moons, adam": P(network, task="moons", hidden=(16,), method="adam", rows=400, batch_size=32, learning_rate=1e-2, max_epochs=20),
    "moons, warm-up": P(network, task="moons", hidden=(16,), method="adam", rows=400, batch_size=32, learning_rate="warm-up 40 constant 0.02", max_epochs=20),
    "wave, recurrent, clipped": P(network, task="wave", hidden=(16,), method="adam", rows=300, batch_size=32, clip_norm=1.0, learning_rate=5e-3, max_epochs=20),
    "friedman, clipped often": P(network, task="friedman", hidden=(16,), method="minibatch", rows=300, clip_norm=0.5, learning_rate=0.1, max_epochs=20),
    "classifier, wine": P(estimator, task="wine", hidden=(16,)),
    "regressor, diabetes, early stopping": P(estimator, task="diabetes", hidden=(16,), early_stopping=True),
    "classifier, rare class": P(estimator, task="rare", hidden=(16,), rows=600, max_iter=20),
    "irises in centimetres": P(linear, task="wine", loss="softmax", method="auto", prepare=iris, l2=1e-2),
    "columns a little apart": P(linear, task="friedman", loss="squared_error", method="gd", prepare=P(spread, deviation=2.0), learning_rate=0.05, max_steps=1500),
    "words counted": P(linear, task="counts", loss="softmax", method="auto", l2=1e-2),
    "bowl, momentum": P(function, cost=quadratic, start=[2.0, -1.0, 3.0, 0.5, -2.0], method="momentum", beta=0.9, learning_rate=0.05, max_steps=300),
    "a column of 7, harmless": P(linear, task="friedman", loss="squared_error", method="gd", prepare=P(still, value=7.0), learning_rate=0.01, max_steps=3000),
    "a column of 0, harmless": P(linear, task="cancer", loss="log_loss", method="auto", prepare=P(still, value=0.0)),
    "deep relu, residual": P(network, task="friedman", hidden=(16,) * 6, method="adam", rows=300, shape={"residual": True}, batch_size=32, learning_rate=3e-3, max_epochs=15),
}  # fmt: skip


def split(names: Iterable[str]) -> Iterable[tuple[str, str]]:
    """The names with their halves, turn by turn."""
    return ((name, ("design", "held-out")[k % 2]) for k, name in zip(count(), names, strict=False))


def quietly(seed: int, train: Callable[..., Any]) -> Any:
    """The training without its warnings: what is asked is what the doctor says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return train(seed)


PROGRAMS = [
    Program(f"ours: {fault}: {name}", fault, half, P(quietly, train=programs[name]), also, "ours")
    for fault, also, programs in FAULTY
    for name, half in split(programs)
]
PROGRAMS += [
    Program(f"ours: {name}", None, half, P(quietly, train=HEALTHY[name]), half="ours") for name, half in split(HEALTHY)
]
