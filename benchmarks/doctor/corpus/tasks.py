"""What is learnt: (X, y) of a task, by seed, scaled as a careful person would."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn import datasets

Samples = tuple[np.ndarray, np.ndarray]


def _standard(X: np.ndarray) -> np.ndarray:
    deviation = X.std(axis=0)
    return ((X - X.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)).astype(np.float32)


def _shuffled(X: np.ndarray, y: np.ndarray, seed: int, most: int = 1000) -> Samples:
    order = np.random.default_rng(seed).permutation(len(X))[:most]
    return X[order], y[order]


def digits(seed: int) -> Samples:
    """1,000 images of digits, 10 classes."""
    X, y = datasets.load_digits(return_X_y=True)
    return _shuffled((X / 16).astype(np.float32), y, seed)


def cancer(seed: int) -> Samples:
    """569 tumours, 2 classes."""
    X, y = datasets.load_breast_cancer(return_X_y=True)
    return _shuffled(_standard(X), y, seed)


def wine(seed: int) -> Samples:
    """178 wines, 3 classes."""
    X, y = datasets.load_wine(return_X_y=True)
    return _shuffled(_standard(X), y, seed)


def moons(seed: int) -> Samples:
    """Two half-moons with noise."""
    X, y = datasets.make_moons(800, noise=0.2, random_state=seed)
    return _standard(X), y


def blobs(seed: int) -> Samples:
    """Five well separated groups."""
    X, y = datasets.make_blobs(800, n_features=6, centers=5, cluster_std=2.0, random_state=7)
    return _shuffled(_standard(X), y, seed)


def rare(seed: int) -> Samples:
    """Two classes, one of them 3 in 100, fairly told apart."""
    X, y = datasets.make_classification(
        1000, 12, n_informative=6, weights=[0.97], flip_y=0, class_sep=1.5, random_state=3
    )
    return _shuffled(_standard(X), y, seed)


def counts(seed: int) -> Samples:
    """Words counted in short texts of four topics: sparse columns, most entries 0."""
    rng = np.random.default_rng(seed)
    topics = np.random.default_rng(5).dirichlet(np.full(120, 0.05), 4)
    y = rng.integers(0, 4, 800)
    X = np.array([rng.multinomial(15, topics[k]) for k in y])
    return np.log1p(X).astype(np.float32), y


def diabetes(seed: int) -> Samples:
    """442 patients, a number; half of its variance is noise."""
    X, y = datasets.load_diabetes(return_X_y=True)
    return _shuffled(_standard(X), ((y - y.mean()) / y.std()).astype(np.float32), seed)


def friedman(seed: int) -> Samples:
    """A smooth function of five of ten columns."""
    X, y = datasets.make_friedman1(1000, noise=0.5, random_state=seed)
    return _standard(X), ((y - y.mean()) / y.std()).astype(np.float32)


def noise(seed: int) -> Samples:
    """A number of which a tenth can be explained."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(800, 8)).astype(np.float32)
    return X, (X[:, 0] / 3 + rng.normal(size=800)).astype(np.float32)


def wave(seed: int) -> Samples:
    """Sequences of 20 values of a sine; the next value is to be told."""
    rng = np.random.default_rng(seed)
    phase, speed = rng.uniform(0, 2 * np.pi, 600), rng.uniform(0.2, 0.5, 600)
    series = np.sin(phase[:, None] + speed[:, None] * np.arange(21))
    return series[:, :20, None].astype(np.float32), series[:, 20].astype(np.float32)


def memory(seed: int) -> Samples:
    """Sequences of 15 signs; the class is the first."""
    rng = np.random.default_rng(seed)
    X = rng.choice([-1.0, 1.0], size=(600, 15, 1)).astype(np.float32)
    return X, (X[:, 0, 0] > 0).astype(np.int64)


TASKS: dict[str, Callable[[int], Samples]] = {
    task.__name__: task
    for task in (digits, cancer, wine, moons, blobs, rare, counts, diabetes, friedman, noise, wave, memory)
}
