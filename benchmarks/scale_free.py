"""What badly scaled columns cost: the time of a fit on them over that on the same columns standardised.

The same logistic rows, each column in other units and about another zero, doubled, nearly collinear, heavy-tailed or
rare.  The penalty is that of the standardised columns, in the units of the others, where columns were only rescaled;
both fits are certified to the same gap.  Processor time, the least of five, taken in turns.

    python benchmarks/scale_free.py
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from descender import LinearClassifier

TOL, TURNS = 1e-6, 5


def standard(X: NDArray) -> NDArray:
    """Columns of mean 0 and variance 1."""
    return (X - X.mean(axis=0)) / X.std(axis=0)


def worlds(n: int, d: int) -> dict[str, NDArray]:
    """Columns as data have them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d))
    units = 10.0 ** rng.uniform(-6, 6, d)
    return {
        "units from 1e-6 to 1e6": X * units,
        "about 1e6": X + 1e6,
        "units, and about 1e6 of them": (X + 1e6) * units,
        "nearly collinear": np.hstack([X[:, : d // 2], X[:, : d // 2] + 1e-3 * rng.normal(size=(n, d // 2))]),
        "heavy-tailed": rng.standard_t(2.0, size=(n, d)),
        "rare": np.hstack([X[:, : d // 2], (rng.random((n, d - d // 2)) < 20.0 / n)]),
    }


def seconds(X: NDArray, y: NDArray) -> float:
    """Processor time of one certified fit without a penalty, the same bottom in any units."""
    began = time.process_time()
    model = LinearClassifier(tol=TOL).fit(X, y)
    spent = time.process_time() - began
    assert model.certificate_.relative <= TOL
    return spent


def main() -> None:
    """A line for each size and kind of columns."""
    print(f"{'rows x columns':>16}  {'columns':30}{'standardised':>14}{'as they are':>14}{'ratio':>8}")
    for n, d in ((500, 10), (20_000, 30), (100_000, 100)):
        for name, X in worlds(n, d).items():
            Z = standard(X)
            rng = np.random.default_rng(1)
            y = Z[:, :5] @ np.ones(5) + 2.0 * rng.logistic(size=n) > 0
            times = np.array([(seconds(Z, y), seconds(X, y)) for _ in range(TURNS)]).min(axis=0)
            print(f"{f'{n:,} x {d}':>16}  {name:30}{times[0]:14.4f}{times[1]:14.4f}{times[1] / times[0]:8.2f}")


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
