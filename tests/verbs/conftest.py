"""Fits that several files look at."""

import pytest
from shop import CASES

from descender import fit


@pytest.fixture(scope="session")
def fitted():
    """Every case, fitted once."""
    return {case: fit(data, target, exclude=out, tol=1e-9, l2="1/n") for case, (data, target, out) in CASES.items()}
