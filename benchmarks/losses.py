"""How long does the certified bottom of a robust, count, quantile or margin loss take, beside scikit-learn's solvers?

One objective for all: mean loss + l2 |w|^2 / 2 + l1 |w|_1, the intercept free, except beside LIBLINEAR, which penalises
it: there neither has one.  Each contender is asked for a relative suboptimality of 1e-6 in its own way - ours by `tol`,
another by the loosest of its tolerances, tried before the clock starts, that reaches it - and what it reached is
printed.  Times are the least of three turns taken in rotation, of one cold fit on data in memory, with one BLAS thread.

python benchmarks/losses.py [WORD ...]      only the cells whose name has one of the words
"""

import sys
import time
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.linear_model import HuberRegressor, PoissonRegressor, QuantileRegressor
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

import descender
from descender.costs.risk import Risk

ASKED = 1e-6
TURNS = 3

# --- data sets: name -> (X, score of the truth) ----------------------------------------------------------------------


def dense(n, d, seed=0):
    """Correlated columns of mixed scales."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) @ (np.eye(d) + 0.2 * rng.normal(size=(d, d)))
    return X, X @ rng.normal(size=d) / np.sqrt(d) / 2.0


def text(n, d, seed=0):
    """Rows of unit length with 40 entries, whose columns are used as often as words are."""
    rng = np.random.default_rng(seed)
    columns = np.minimum((d ** rng.random((n, 40))).astype(int), d - 1)
    places = columns.ravel().astype(np.int32), np.arange(0, n * 40 + 1, 40, dtype=np.int32)
    X = sparse.csr_array((rng.exponential(size=n * 40), *places), shape=(n, d))
    X.sum_duplicates()
    X.data /= np.repeat(np.sqrt(X.multiply(X).sum(axis=1)), np.diff(X.indptr))
    return X, 3.0 * (X @ rng.normal(size=d))


DATA = {
    "dense 50,000 x 50": lambda: dense(50_000, 50),
    "dense 2,000 x 20": lambda: dense(2_000, 20),
    "text 20,000 x 10,000": lambda: text(20_000, 10_000),
}

# --- objectives: a loss, its targets from the truth, a penalty -------------------------------------------------------


def numbers(score, rng):
    """Targets with heavy tails."""
    return score + rng.standard_t(3, len(score))


def counts(score, rng):
    """Targets that are counts."""
    return rng.poisson(np.exp(np.clip(score, -10, 3))).astype(float)


def classes(score, rng):
    """Targets of two classes."""
    return (score + rng.normal(size=len(score)) > 0).astype(float)


class Objective(NamedTuple):
    """What is minimised."""

    loss: str
    targets: Callable
    l2: float = 0.0
    l1: float = 0.0
    intercept: bool = True


# --- solvers: a risk and a tolerance of theirs -> the point ----------------------------------------------------------


def ours(risk, tol):
    """descender with everything chosen."""
    return descender.minimize(risk, tol=tol).x


def poisson_newton(risk, tol):
    """scikit-learn's PoissonRegressor by Newton's method."""
    model = PoissonRegressor(alpha=risk.l2, solver="newton-cholesky", tol=tol, max_iter=10_000).fit(risk.X, risk.y)
    return np.append(model.coef_, model.intercept_)


def poisson_lbfgs(risk, tol):
    """scikit-learn's PoissonRegressor by L-BFGS."""
    model = PoissonRegressor(alpha=risk.l2, solver="lbfgs", tol=tol, max_iter=10_000).fit(risk.X, risk.y)
    return np.append(model.coef_, model.intercept_)


def liblinear(risk, tol):
    """LIBLINEAR's dual coordinate descent."""
    C = 1.0 / (risk.l2 * len(risk.y))
    model = LinearSVC(C=C, loss=risk.loss.name, dual=True, fit_intercept=False, tol=tol, max_iter=20_000)
    return model.fit(risk.X, risk.y).coef_.ravel()


def highs(risk, tol):
    """scikit-learn's QuantileRegressor, HiGHS: exact, it has no tolerance to choose."""
    model = QuantileRegressor(quantile=risk.loss.level, alpha=risk.l1).fit(risk.X, risk.y)
    return np.append(model.coef_, model.intercept_)


def huber_lbfgs(risk, tol):
    """scikit-learn's HuberRegressor, which finds a scale besides: its answer is another, only its time is compared."""
    model = HuberRegressor(alpha=risk.l2 * len(risk.y), tol=tol, max_iter=10_000).fit(risk.X, risk.y)
    return np.append(model.coef_, model.intercept_)


CELLS = [
    ("dense 50,000 x 50", Objective("poisson", counts, l2=1e-4), [poisson_newton, poisson_lbfgs]),
    ("dense 2,000 x 20", Objective("poisson", counts, l2=1e-4), [poisson_newton, poisson_lbfgs]),
    ("dense 50,000 x 50", Objective("huber 1.35", numbers, l2=1e-4), [huber_lbfgs]),
    ("dense 2,000 x 20", Objective("huber 1.35", numbers, l2=1e-4), [huber_lbfgs]),
    ("dense 2,000 x 20", Objective("quantile 0.8", numbers), [highs]),
    ("dense 50,000 x 50", Objective("hinge", classes, l2=1e-4, intercept=False), [liblinear]),
    ("dense 50,000 x 50", Objective("squared_hinge", classes, l2=1e-4, intercept=False), [liblinear]),
    ("dense 2,000 x 20", Objective("hinge", classes, l2=1e-3, intercept=False), [liblinear]),
    ("text 20,000 x 10,000", Objective("hinge", classes, l2=5e-5, intercept=False), [liblinear]),
    ("text 20,000 x 10,000", Objective("squared_hinge", classes, l2=5e-5, intercept=False), [liblinear]),
]
OTHER_ANSWER = (huber_lbfgs,)


def loosest(solver, risk, lowest):
    """The loosest tolerance with which a solver reaches what is asked, the tightest where none does."""
    for tol in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8):
        if solver in OTHER_ANSWER and tol > 1e-5:
            continue
        if solver in (highs, *OTHER_ANSWER) or risk.value(solver(risk, tol)) - lowest <= ASKED * lowest:
            return tol
    return tol


def race(risk, solvers):
    """The least time of each solver and how far above the lowest cost of all it ended, relative."""
    lowest = descender.minimize(risk, tol=1e-9).fun
    tolerances = {ours: ASKED} | {solver: loosest(solver, risk, lowest) for solver in solvers}
    seconds, reached = dict.fromkeys(tolerances, np.inf), {}
    for _ in range(TURNS):
        for solver, tol in tolerances.items():
            began = time.perf_counter()
            w = solver(risk, tol)
            seconds[solver] = min(seconds[solver], time.perf_counter() - began)
            reached[solver] = risk.value(w) / lowest - 1.0
    assert reached[ours] <= ASKED
    return seconds, reached


def main(words):
    """Race every cell and print it."""
    warnings.simplefilter("ignore")  # others may not arrive, and say so
    with threadpool_limits(1, user_api="blas"):
        for name, objective, solvers in CELLS:
            cell = f"{objective.loss} on {name}"
            if words and not any(word in cell for word in words):
                continue
            X, score = DATA[name]()
            y = objective.targets(score, np.random.default_rng(1))
            risk = Risk(X, y, objective.loss, l2=objective.l2, l1=objective.l1, intercept=objective.intercept)
            seconds, reached = race(risk, solvers)
            print(cell)
            for solver, spent in seconds.items():
                end = (
                    "another answer" if solver in OTHER_ANSWER else f"{max(reached[solver], 0.0):.0e} above the bottom"
                )
                print(f"    {solver.__name__:16s} {spent:9.3f} s  {spent / seconds[ours]:7.1f} x   {end}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
