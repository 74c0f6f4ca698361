"""LinearClassifier and LinearRegressor beside scikit-learn's own: fit time to the same cost, and what the door costs.

Both minimise the same cost (docs/coming-from-scikit-learn.md), on columns that are standardised, from the same arrays.
LogisticRegression is asked for the relative gap of 1e-6 that ours certifies, by the first `tol` of its own that reaches
it; Ridge is exact.  "the walk" is `minimize` on the same risk, without the door around it.  Minimum of seven turns in
rotation.

    python benchmarks/estimators.py
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from threadpoolctl import threadpool_limits

from descender import LinearClassifier, LinearRegressor, certify, minimize
from descender.costs.risk import Risk
from descender.methods.auto import polishing_tol

TURNS, TOL = 7, 1e-6


def small() -> tuple[NDArray, NDArray]:
    """569 x 30, real: tumours."""
    X, y = load_breast_cancer(return_X_y=True)
    return (X - X.mean(axis=0)) / X.std(axis=0), y


def medium() -> tuple[NDArray, NDArray]:
    """50,000 x 100, made: correlated normal columns, noisy labels."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50_000, 100)) @ (np.eye(100) + 0.3 * rng.standard_normal((100, 100)) / 10)
    z = X @ rng.standard_normal(100) * 0.3
    return X, (rng.uniform(size=len(z)) < 1 / (1 + np.exp(-z))).astype(int)


def reaching(X: NDArray, y: NDArray, solver: str) -> LogisticRegression:
    """LogisticRegression with the largest power of ten as `tol` that reaches the gap."""
    for power in range(2, 12):
        model = LogisticRegression(solver=solver, tol=10.0**-power, max_iter=10_000).fit(X, y)
        if certify(model, X, y).excess <= TOL:
            return model
    raise AssertionError(f"{solver} does not reach {TOL}")


def contenders(X: NDArray, y: NDArray) -> dict[str, dict[str, Callable]]:
    """What is raced, by task."""
    l2 = 1.0 / len(y)

    def walk(loss: str) -> None:
        risk = Risk(X, y, loss, l2=l2)
        minimize(risk, tol=polishing_tol(risk, TOL))

    lbfgs, cholesky = reaching(X, y, "lbfgs"), reaching(X, y, "newton-cholesky")
    return {
        "classes": {
            "LinearClassifier": lambda: LinearClassifier(tol=TOL).fit(X, y),
            "the walk alone": lambda: walk("log_loss"),
            "LogisticRegression lbfgs": lambda: lbfgs.fit(X, y),
            "LogisticRegression newton-cholesky": lambda: cholesky.fit(X, y),
        },
        "numbers": {
            "LinearRegressor": lambda: LinearRegressor(tol=TOL).fit(X, y),
            "the walk alone": lambda: walk("squared_error"),
            "Ridge": lambda: Ridge().fit(X, y),
        },
    }


def main() -> None:
    """Time them in rotation and print the tables."""
    warnings.simplefilter("error", ConvergenceWarning)
    for data in (small, medium):
        X, y = data()
        assert certify(LinearClassifier(tol=TOL).fit(X, y), X, y).ok
        assert certify(LinearRegressor(tol=TOL).fit(X, y), X, y).ok
        for task, runs in contenders(X, y).items():
            best = dict.fromkeys(runs, np.inf)
            for _ in range(TURNS):
                for name, run in runs.items():
                    began = time.perf_counter()
                    run()
                    best[name] = min(best[name], time.perf_counter() - began)
            print(f"{data.__doc__.splitlines()[0]}  {task}")
            ours = next(iter(best.values()))
            for name, spent in best.items():
                print(f"  {name:36} {spent * 1e3:9.2f} ms   {spent / ours:6.2f}")


if __name__ == "__main__":
    with threadpool_limits(1, user_api="blas"):
        main()
