"""The walks that many tests of pictures look at, made once."""

import pytest
from drawn import batch_walk, valley_walk


@pytest.fixture(scope="session")
def valley():
    return valley_walk()


@pytest.fixture(scope="session")
def batches():
    return batch_walk()
