"""Epochs a second of stochastic methods: descender's SGD, SAGA and SVRG, scikit-learn's SAGA, PyTorch's SGD loop.

The cost is l2-penalised logistic regression on dense float64 rows with a free intercept; every contender makes steps
on single rows at one constant rate. Time is that of some epochs less that of one, in one process, so that setting up
and compiling drop out; the least of several turns in rotation, as machines are busy, and of the processor, not of the
clock: all run on one thread. descender records steps and measures the cost of all rows after each epoch, and scikit-
learn does not: it is left in. SAGA's answers are checked against each other: after 300 epochs both must be at the
same minimum.

    python benchmarks/stochastic_epochs.py
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

import numpy as np

from descender.costs.risk import Risk
from descender.descent import descend
from descender.methods.auto import textbook
from descender.walk import Stop

SIZES = ((20_000, 20), (20_000, 100), (5_000, 500))
EPOCHS, TURNS, L2 = 5, 5, 1e-3
TORCH_ROWS = 500
"""Rows of PyTorch's epoch, which is scaled up: it takes half a minute otherwise."""


def rows_of(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Standard normal rows, and targets that follow a logistic model."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d)) / np.sqrt(d)
    return X, (X @ rng.normal(size=d) + 0.3 * rng.logistic(size=n) > 0).astype(float)


def ours(X: np.ndarray, y: np.ndarray, name: str) -> Callable[[int], np.ndarray]:
    """A walk of so many epochs."""
    risk = Risk(X, y, "log_loss", l2=L2)
    method = textbook(risk, name, tol=1e-300)

    def run(epochs: int) -> np.ndarray:
        return descend(risk, np.zeros(risk.n_parameters), method, Stop(max_steps=epochs * len(y))).x

    return run


def sklearn_saga(X: np.ndarray, y: np.ndarray) -> Callable[[int], np.ndarray]:
    """LogisticRegression(solver="saga"), stopped by its number of epochs."""
    from sklearn.linear_model import LogisticRegression

    def run(epochs: int) -> np.ndarray:
        model = LogisticRegression(C=1 / (L2 * len(y)), solver="saga", tol=0.0, max_iter=epochs, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says that it did not converge
            model.fit(X, y)
        return np.append(model.coef_[0], model.intercept_)

    return run


def torch_sgd(X: np.ndarray, y: np.ndarray) -> Callable[[int], float] | None:
    """torch.optim.SGD, a row a step, on one thread; the seconds of so many epochs, from a part of one."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    A, b = torch.tensor(X[:TORCH_ROWS]), torch.tensor(y[:TORCH_ROWS])

    def run(epochs: int) -> float:
        w = torch.zeros(X.shape[1], dtype=torch.float64, requires_grad=True)
        c = torch.zeros((), dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.SGD([w, c], lr=0.01)
        order = torch.randperm(len(b))
        began = time.process_time()
        for i in order:
            optimizer.zero_grad()
            z = A[i] @ w + c
            loss = torch.nn.functional.binary_cross_entropy_with_logits(z, b[i]) + 0.5 * L2 * (w @ w)
            loss.backward()
            optimizer.step()
        return (time.process_time() - began) * epochs * len(y) / len(b)

    return run


def seconds(run: Callable, epochs: int) -> float:
    """What so many epochs take, less what one takes."""
    began = time.process_time()
    run(1)
    middle = time.process_time()
    run(1 + epochs)
    return (time.process_time() - middle) - (middle - began)


def main() -> None:
    """Time them in rotation and print a table for each size."""
    for n, d in SIZES:
        X, y = rows_of(n, d)
        runs: dict[str, Callable] = {f"descender {name}": ours(X, y, name) for name in ("sgd", "saga", "svrg")}
        runs["scikit-learn saga"] = sklearn_saga(X, y)
        for run in runs.values():
            run(2)  # compiles
        least = dict.fromkeys(runs, np.inf)
        for _ in range(TURNS):
            for name, run in runs.items():
                least[name] = min(least[name], seconds(run, EPOCHS) / EPOCHS)
        torch = torch_sgd(X, y)
        if torch is not None:
            least["PyTorch SGD loop"] = min(torch(1) for _ in range(2))
        print(f"{n:,} rows of {d} numbers, dense float64; least of {TURNS}")
        for name, spent in least.items():
            per_row, ratio = spent / n * 1e9, least["scikit-learn saga"] / spent
            print(f"  {name:20} {1 / spent:10.2f} epochs/s   {per_row:9.0f} ns a row   {ratio:6.2f} x scikit-learn")
    X, y = rows_of(2_000, 20)
    risk = Risk(X, y, "log_loss", l2=L2)
    a, b = risk.value(ours(X, y, "saga")(300)), risk.value(sklearn_saga(X, y)(300))
    assert abs(a - b) < 1e-6 * abs(a), (a, b)


if __name__ == "__main__":
    main()
