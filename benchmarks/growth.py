"""How a certified fit grows with the rows, and how often it could have read them.

Two questions, each with its answer measured in one run on one BLAS thread:

- 1,000,000 x 100, float32, logistic, to a certified relative gap of 1e-6: how many times as long as one streaming sum
  of X does the whole fit take, with the checks of its input, the encoding of classes and the proof?
- from 100,000 to 10,000,000 rows of 20 columns: by which power of n does the time grow?  Rows are drawn anew for each
  n by the same law; the time is the median of three fits.

    python benchmarks/growth.py            # both, 5 GB of memory
    python benchmarks/growth.py reads
    python benchmarks/growth.py power
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from descender import LinearClassifier, LinearRegressor

TOL, TURNS, STRIP = 1e-6, 3, 4096


def rows(n: int, d: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Normal columns, and scores of which they explain about half."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d), dtype=np.float32)
    w = rng.normal(size=d) * 1.5 / np.sqrt(d)
    return X, X @ w.astype(np.float32) + rng.logistic(size=n)


def timed(run: Callable[[], Any]) -> float:
    """Seconds of one run by the clock."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def streaming_sum(X: NDArray) -> float:
    """The sum of all entries, strip by strip: X is read once."""
    return sum(float(X[start : start + STRIP].sum()) for start in range(0, len(X), STRIP))


def fitted(model: Any, X: NDArray, y: NDArray) -> Any:
    """The model, once it has proved what was asked for."""
    model.fit(X, y)
    assert model.certificate_.relative <= TOL, f"{model} left {model.certificate_.relative:.1e}"
    return model


def reads() -> None:
    """The fit of a million rows in streaming sums of them, taken in turns."""
    X, z = rows(1_000_000, 100)
    y, model = z > 0, LinearClassifier(l2=1e-5, tol=TOL)
    fitted(model, X, y)
    sums, fits = np.transpose([(timed(lambda: streaming_sum(X)), timed(lambda: fitted(model, X, y))) for _ in range(5)])
    one, whole = np.median(sums), np.median(fits)
    print(f"1,000,000 x 100 float32: a fit to {TOL:g} in {whole:.3f} s, a streaming sum of X in {one:.4f} s:")
    print(f"{whole / one:.1f} sums (target: 15)")


def power() -> None:
    """Seconds at each n, and the exponent between the first and the last."""
    sizes = [100_000, 300_000, 1_000_000, 3_000_000, 10_000_000]
    seconds: dict[str, list[float]] = {"logistic": [], "ridge": []}
    for n in sizes:
        X, z = rows(n, 20)
        for name, model, y in (
            ("logistic", LinearClassifier(l2=1e-5, tol=TOL), z > 0),
            ("ridge", LinearRegressor(l2=1e-5, tol=TOL), z),
        ):
            fitted(model, X, y)
            times = [timed(lambda model=model, X=X, y=y: fitted(model, X, y)) for _ in range(TURNS)]
            seconds[name].append(float(np.median(times)))
    print("\n" + f"{'rows x 20':>12}" + "".join(f"{name:>12}" for name in seconds))
    for i, n in enumerate(sizes):
        print(f"{n:12,d}" + "".join(f"{times[i]:12.4f}" for times in seconds.values()))
    for name, times in seconds.items():
        exponents = np.diff(np.log(times)) / np.diff(np.log(sizes))
        whole = np.log(times[-1] / times[0]) / np.log(sizes[-1] / sizes[0])
        print(f"{name}: n to the {whole:.2f} (steps: {', '.join(f'{e:.2f}' for e in exponents)}; target: 1.05)")


if __name__ == "__main__":
    with threadpool_limits(1):
        for part in sys.argv[1:] or ["reads", "power"]:
            {"reads": reads, "power": power}[part]()
