"""Walks that several tests of pictures look at, each taken once."""

import numpy as np
import pytest
from drawn import ROSENBROCK, gd

from descender.costs.risk import Risk
from descender.descent import Stop, descend
from descender.methods.lbfgs import LBFGS


@pytest.fixture(scope="session")
def valley():
    return descend(ROSENBROCK, np.array([-1.2, 1.0]), LBFGS())


@pytest.fixture(scope="session")
def batches():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(60, 2))
    risk = Risk(X, (X @ [1.0, -2.0] + 0.3 * rng.normal(size=60) > 0).astype(float), "log_loss", l2=0.01)
    walk = descend(risk, np.zeros(3), gd(0.1, 10), Stop(max_steps=120), holdout=lambda w: 1.0 + risk.value(w))
    return risk, walk
