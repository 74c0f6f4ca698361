"""What tuning would have gained: MLPClassifier and MLPRegressor as they are, against a grid search by scikit-learn's.

    python benchmarks/networks_without_tuning.py             # all sets: ten minutes, most of them for the grids
    python benchmarks/networks_without_tuning.py wine moons  # some of them

Of each set a quarter is held out, in several splits.  The grid is `GRID`, 12 settings of rate, batch size and method of
scikit-learn's MLP on standardised columns; the one that is best on a fifth of the training rows is trained on all of
them.  Both have one layer of 100.  The score is the share of right answers, or R2; "beaten" means that the mean
difference over the splits is below -2 of its standard errors, and below -0.5 %.
"""

from __future__ import annotations

import itertools
import sys
import time
import warnings

import numpy as np
from sklearn import datasets
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier as GridClassifier
from sklearn.neural_network import MLPRegressor as GridRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from descender import MLPClassifier, MLPRegressor

SPLITS = 4
GRID = list(itertools.product((1e-3, 1e-2, 1e-1), (32, 128), ("adam", "sgd")))


def synthetic(seed: int = 0) -> tuple:
    """1,500 rows in six classes of two clumps each, half of the columns noise, 5 % of the labels wrong."""
    return datasets.make_classification(
        1500, 20, n_informative=10, n_classes=6, n_clusters_per_class=2, flip_y=0.05, class_sep=1.5, random_state=seed
    )


def houses(seed: int = 0) -> tuple:
    """1,200 prices: columns of other scales and skewed, curved effects, heavy-tailed noise."""
    rng = np.random.default_rng(seed)
    income, rooms, age = rng.lognormal(1, 0.5, 1200), rng.lognormal(1.6, 0.3, 1200), rng.uniform(1, 52, 1200)
    north, west = rng.uniform(32, 42, 1200), rng.uniform(-124, -114, 1200)
    coast = np.exp(-np.abs(west + 122 - 0.8 * (38 - north)))
    price = 0.4 * income + 0.3 * np.log(rooms) + 1.5 * coast + 0.005 * age + 0.2 * rng.standard_t(4, 1200)
    return np.column_stack([income, rooms, age, rng.lognormal(7, 0.7, 1200), north, west]), price


def friedman(seed: int = 0) -> tuple:
    """400 rows of Friedman's first function."""
    return datasets.make_friedman1(400, noise=1.0, random_state=seed)


def noisy(seed: int = 0) -> tuple:
    """600 rows whose labels are right in three of four cases."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(600, 10))
    return X, ((X[:, 0] * X[:, 1] + X[:, 2] > 0) ^ (rng.random(600) < 0.25)).astype(int)


SETS = {
    "iris": lambda: datasets.load_iris(return_X_y=True),
    "wine": lambda: datasets.load_wine(return_X_y=True),
    "breast cancer": lambda: datasets.load_breast_cancer(return_X_y=True),
    "moons": lambda: datasets.make_moons(200, noise=0.25, random_state=0),
    "digits": lambda: datasets.load_digits(return_X_y=True),
    "six classes": synthetic,
    "noisy labels": noisy,
    "diabetes": lambda: datasets.load_diabetes(return_X_y=True),
    "friedman": friedman,
    "houses": houses,
}


def ours(X, y, classes: bool):
    """Nothing to choose."""
    return (MLPClassifier() if classes else MLPRegressor()).fit(X, y)


def searched(X, y, classes: bool):
    """The best of the grid on a fifth of the rows, trained anew on all."""
    parts = train_test_split(X, y, test_size=0.2, random_state=1, stratify=y if classes else None)

    def trained(setting, X, y):
        rate, size, solver = setting
        peer = (GridClassifier if classes else GridRegressor)(
            learning_rate_init=rate, batch_size=min(size, len(y)), solver=solver, random_state=0
        )
        return make_pipeline(StandardScaler(), peer).fit(X, y)

    def score(setting):
        try:
            return trained(setting, parts[0], parts[2]).score(parts[1], parts[3])
        except ValueError:  # it diverged
            return -np.inf

    return trained(max(GRID, key=score), X, y)


def main(chosen: list[str]) -> None:
    """Print a row for each set."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    print(f"{'set':16s} {'rows':>6s} {'default':>8s} {'grid':>8s} {'difference':>16s} {'seconds':>8s} {'of grid':>8s}")
    for name, load in SETS.items():
        if chosen and not any(word in name for word in chosen):
            continue
        X, y = load()
        X, classes = X.astype(np.float32), y.dtype.kind in "iu"
        found = []
        for split in range(SPLITS):
            A, B, a, b = train_test_split(X, y, test_size=0.25, random_state=split, stratify=y if classes else None)
            row = []
            for train in (ours, searched):
                began = time.process_time()
                model = train(A, a, classes)
                row += [model.score(B, b), time.process_time() - began]
            found.append(row)
        mean = np.mean(found, axis=0)
        gain = np.array(found)[:, 0] - np.array(found)[:, 2]
        error = gain.std(ddof=1) / np.sqrt(SPLITS)
        beaten = gain.mean() < min(-2 * error, -0.005)
        print(
            f"{name:16s} {len(A):6,d} {mean[0]:8.3f} {mean[2]:8.3f} {gain.mean():+8.3f} ± {error:.3f} "
            f"{mean[1]:8.2f} {mean[3]:8.2f}{'  beaten' if beaten else ''}",
            flush=True,
        )


if __name__ == "__main__":
    with threadpool_limits(1):
        main(sys.argv[1:])
