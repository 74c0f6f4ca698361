"""What all tests share: one BLAS thread, and Hypothesis examples that are the same in every run."""

import gc
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # two threads of OpenBLAS were seen 70 times slower than one

import pytest
from hypothesis import HealthCheck, settings
from threadpoolctl import threadpool_limits

from descender.methods import textbook

settings.register_profile(
    "descender", derandomize=True, deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("descender")


def pytest_collection():
    """What is imported stays: to look for garbage among it took a fifth of the time until the first test."""
    gc.disable()


def pytest_collection_finish():
    """From here on garbage is looked for among what tests make, and seldom: that took a fourteenth of the time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()


@pytest.fixture(autouse=True, scope="session")
def one_blas_thread():
    """Small problems, small machines: threads would only wait for each other."""
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture
def uncompiled(monkeypatch):
    """Every step in plain Python, for what does not hang on the compiler: each loop that it makes takes seconds."""
    monkeypatch.setattr(textbook, "PLAIN_STEPS", 10**9)


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
