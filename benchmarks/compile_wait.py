"""What does a first walk wait for the compiler?  Fresh processes with an empty cache, then others that find it filled.

Each case runs in processes of its own.  The clock runs from the request for the compiled loop to the end of its first
steps; reading the formula and importing NumPy and SciPy are not counted, Numba's own import is.  Shortest of three.

    python benchmarks/compile_wait.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

CASES = {
    "gd, a formula": ("formula", "gd", 1e-3),
    "momentum, a formula": ("formula", "momentum", 1e-4),
    "adam, a formula": ("formula", "adam", 1e-2),
    "adam with backtracking, a formula": ("formula", "adam", "backtracking"),
    "sgd, log_loss on dense rows": ("dense", "sgd", 0.05),
    "adam in batches of 20, log_loss on CSR rows": ("sparse", "adam", 0.01),
}
TURNS = 1


def walk(kind: str, name: str, rate: float | str) -> None:
    """One first walk in this process; prints the seconds."""
    import time

    import numpy as np
    from scipy.sparse import csr_array

    from descender.costs.cost import Cost
    from descender.costs.formula import Formula
    from descender.costs.risk import Risk
    from descender.methods.advance import new_log
    from descender.methods.auto import textbook
    from descender.methods.estimates import full_batch, mini_batches
    from descender.methods.textbook import compiled_walk

    rng = np.random.default_rng(0)
    cost: Cost
    if kind == "formula":
        cost, w, batches = Formula("(1-x)**2 + 100*(y-x**2)**2"), np.array([-1.2, 1.0]), full_batch(None, 10)
    else:
        X = rng.normal(size=(100, 5))
        cost = Risk(csr_array(X) if kind == "sparse" else X, (X[:, 0] > 0).astype(float), "log_loss")
        w, batches = np.zeros(6), next(mini_batches(100, 10, rng))
    method = textbook(cost, name, rate, None if kind != "sparse" else 20)
    log, path = new_log(10), np.empty((10, w.size))
    began = time.perf_counter()
    step = compiled_walk(cost.kernel(), method)
    none = np.empty((0, w.size))
    step(method.rate, method.options, batches, method.position(w), none, 0, log, path, none)
    print(time.perf_counter() - began)


def seconds(case: str, cache: str) -> float:
    """A first walk in a process of its own."""
    command = [sys.executable, __file__, case]
    environment = os.environ | {"DESCENDER_CACHE": cache}
    return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    """Time every case with an empty and with a filled cache and print the table."""
    if len(sys.argv) > 1:
        return walk(*CASES[sys.argv[1]])
    print(f"{'seconds that a first walk waits':46} first process   later ones")
    for case in CASES:
        first, later = [], []
        for _ in range(TURNS):
            with tempfile.TemporaryDirectory() as cache:
                first.append(seconds(case, cache))
                later.append(seconds(case, cache))
        print(f"  {case:44} {min(first):10.2f} {min(later):12.2f}")


if __name__ == "__main__":
    main()
