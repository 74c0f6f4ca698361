"""Choosing a penalty: descender's paths and scikit-learn's LogisticRegressionCV, RidgeCV and LassoCV, the same choice.

Every contender gets the same rows, the same strengths and the same folds, and must choose the same strength (or one
whose held-out loss is the same to a hundredth of its standard error).  The time is that of the whole choice with the
final fit on all rows; the least of three turns, taken in rotation, on one BLAS thread.  Our paths of l1 may end,
as they do where nothing is given, once the held-out loss got worse beyond doubt; a choice beyond that would be told.

    python benchmarks/penalty_path.py
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from descender import minimize
from descender.costs.risk import Risk
from descender.data.split import Folds, crossed
from descender.verbs.path import PenaltyPath, choose_penalty
from descender.verbs.path_walks import penalised

TURNS, FOLDS = 3, 5
Run = Callable[[], tuple[float, Any]]


def rows(n: int, d: int, classes: bool, seed: int = 0) -> tuple[NDArray, NDArray]:
    """Correlated columns of unit variance, a third of which tell something about the target."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) + 0.7 * rng.normal(size=(n, 1))
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    w = rng.normal(size=d) * (rng.random(d) < 1 / 3)
    z = X @ (w / np.sqrt(max(w @ w, 1.0)))
    return X, (z + rng.logistic(size=n) > 0).astype(float) if classes else z + 2.0 * rng.normal(size=n)


def splits(folds: Folds) -> list[tuple[NDArray, NDArray]]:
    """The folds as scikit-learn takes them."""
    return [(np.flatnonzero(folds.learns(k)), np.flatnonzero(folds.judges(k))) for k in range(len(folds.judge))]


def ours(risk: Risk, kind: str, strengths: NDArray, folds: Folds | None) -> Run:
    """The path, then the final fit at the chosen strength."""

    def run() -> tuple[float, PenaltyPath]:
        path = choose_penalty(risk, kind, strengths=strengths, folds=folds, early=kind == "l1")
        minimize(penalised(risk, kind, path.strength, None), path.start)
        return path.strength, path

    return run


def logistic(X: NDArray, y: NDArray, strengths: NDArray, folds: Folds) -> Run:
    """LogisticRegressionCV with lbfgs, judged by log loss.  Its C counts a fold's rows: 4/5 of all."""
    from sklearn.linear_model import LogisticRegressionCV

    share = 1.0 - 1.0 / FOLDS

    def run() -> tuple[float, Any]:
        model = LogisticRegressionCV(
            Cs=1.0 / (strengths * len(y) * share), cv=splits(folds), scoring="neg_log_loss", max_iter=1000,
            l1_ratios=(0.0,), use_legacy_attributes=False,
        ).fit(X, y)  # fmt: skip
        return 1.0 / (float(np.ravel(model.C_)[0]) * len(y) * share), model

    return run


def ridge(X: NDArray, y: NDArray, strengths: NDArray, folds: Folds | None) -> Run:
    """RidgeCV, by its own leave-one-out or by folds."""
    from sklearn.linear_model import RidgeCV

    rows = len(y) * (1.0 if folds is None else 1.0 - 1.0 / FOLDS)

    def run() -> tuple[float, Any]:
        cv = None if folds is None else splits(folds)
        model = RidgeCV(alphas=strengths * rows, cv=cv, scoring=None if cv is None else "neg_mean_squared_error")
        return float(model.fit(X, y).alpha_) / rows, model

    return run


def lasso(X: NDArray, y: NDArray, strengths: NDArray, folds: Folds) -> Run:
    """LassoCV."""
    from sklearn.linear_model import LassoCV

    def run() -> tuple[float, Any]:
        model = LassoCV(alphas=strengths, cv=splits(folds)).fit(X, y)
        return float(model.alpha_), model

    return run


def races() -> dict[str, tuple[Run, Run]]:
    """Name: ours and theirs."""
    found: dict[str, tuple[Run, Run]] = {}
    for n, d in ((2_000, 30), (20_000, 50), (50_000, 100)):
        X, y = rows(n, d, classes=True)
        grid, folds = np.geomspace(1.0, 1e-6, 50), crossed(n, FOLDS)
        found[f"log_loss, l2, {n:,} x {d}, {FOLDS} folds, 50 strengths"] = (
            ours(Risk(X, y, "log_loss"), "l2", grid, folds),
            logistic(X, y, grid, folds),
        )
    for n, d in ((1_000, 100), (50_000, 100), (2_000, 300)):
        X, y = rows(n, d, classes=False)
        grid, folds = np.geomspace(10.0, 1e-6, 50), crossed(n, FOLDS)
        found[f"squared_error, l2, {n:,} x {d:,}, {FOLDS} folds, 50 strengths"] = (
            ours(Risk(X, y), "l2", grid, folds),
            ridge(X, y, grid, folds),
        )
        top = float(np.abs(X.T @ (y - y.mean())).max() / n)
        grid = np.geomspace(top, top * 1e-3, 100)
        found[f"squared_error, l1, {n:,} x {d:,}, {FOLDS} folds, 100 strengths"] = (
            ours(Risk(X, y), "l1", grid, folds),
            lasso(X, y, grid, folds),
        )
    for n, d in ((100, 1_000), (300, 3_000), (1_000, 1_000)):
        X, y = rows(n, d, classes=False)
        folds = crossed(n, FOLDS)
        top = float(np.abs((X - X.mean(axis=0)).T @ (y - y.mean())).max() / n)
        grid = np.geomspace(top, top * 1e-3, 100)
        found[f"squared_error, l1, {n:,} x {d:,}, {FOLDS} folds, 100 strengths"] = (
            ours(Risk(X, y), "l1", grid, folds),
            lasso(X, y, grid, folds),
        )
    X, y = rows(1_500, 100, classes=False)
    grid = np.geomspace(10.0, 1e-6, 50)
    found["squared_error, l2, 1,500 x 100, leave one out, 50 strengths"] = (
        ours(Risk(X, y), "l2", grid, None),
        ridge(X, y, grid, None),
    )
    return found


def check(name: str, path: PenaltyPath, theirs: float) -> str:
    """The same choice, or one that nothing held out can tell from it."""
    at = int(np.argmin(np.abs(np.log(path.strengths / theirs))))
    assert abs(np.log(path.strengths[at] / theirs)) < 1e-6, f"{name}: they chose {theirs:.3g}, where our path had ended"
    apart = (path.scores[at] - path.scores[path.chosen]) / path.errors[path.chosen]
    assert apart <= 0.01, f"{name}: we chose {path.strength:.3g}, they {theirs:.3g}, {apart:.2g} standard errors apart"
    return "the same" if at == path.chosen else f"{abs(at - path.chosen)} strengths apart, {apart:.0e} errors"


def main() -> None:
    """Race them and print the table."""
    warnings.simplefilter("ignore")
    with threadpool_limits(1, user_api="blas"):
        for name, (mine, theirs) in races().items():
            times: list[list[float]] = [[], []]
            for _ in range(TURNS):
                for k, run in enumerate((mine, theirs)):
                    began = time.perf_counter()
                    strength, what = run()
                    times[k].append(time.perf_counter() - began)
                    if k == 0:
                        path = what
            chosen = check(name, path, strength)
            a, b = (min(spent) for spent in times)
            print(f"{name:62} descender {a:8.3f} s   scikit-learn {b:8.3f} s   {b / a:6.1f} x   chosen {chosen}")


if __name__ == "__main__":
    main()
