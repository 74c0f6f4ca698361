"""The regimes: what kind of problem, and how many times the fastest peer's speed is meant to be reached on it."""

from __future__ import annotations

TARGETS = (1e-2, 1e-4, 1e-6)
"""The relative suboptimalities to which is timed."""

REGIMES: dict[str, tuple[float, float, float] | None] = {
    "dense logistic, d of 100-200": (3.0, 6.0, 6.0),
    "dense logistic, d = 1,000": (1.3, 6.0, 6.0),
    "ill-conditioned dense": (3.0, 8.0, 8.0),
    "raw, unscaled columns": (4.0, 4.0, 4.0),
    "near-separable": (2.0, 3.0, 3.0),
    "small": (4.0, 6.0, 6.0),
    "dense ridge, d < 50": (2.0, 2.0, 2.0),
    "dense ridge, d of 100-200": (1.8, 1.8, 1.5),
    "dense ridge, d >= 1,000": (2.0, 2.0, 2.0),
    "sparse text logistic": (1.2, 4.0, 4.0),
    "sparse, few columns, logistic": (1.0, 3.5, 3.5),
    "l1 logistic, sparse text": (1.0, 3.0, 2.5),
    "l1 logistic, dense": (1.0, 3.0, 3.0),
    "l1 logistic, few sparse columns": (1.0, 1.0, 1.0),
    "softmax": (1.0, 3.0, 3.0),
    "poisson": (1.0, 2.0, 2.0),
    "huber": (1.0, 2.0, 2.0),
    "hinge": (1.0, 2.0, 2.0),
    "squared error with l1": None,
    "logistic with l1 and l2": None,
}
"""None where no ratio was set; measured all the same."""
