"""A cost on columns of one scale."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from descender.costs.cost import Cost
from descender.costs.network.network import Network
from descender.costs.risk import Risk

STANDARDISE = "X = (X - X.mean(axis=0)) / X.std(axis=0)  # and the same two for what is predicted"


def standardised(cost: Any) -> Cost | None:
    """The same cost on columns of mean 0 and deviation 1; None where it has no dense table of rows.

    >>> same = standardised(Risk([[1.0, 100.0], [3.0, 500.0]], [0.0, 1.0]))
    >>> same.X.tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    """
    X = getattr(cost, "X", None)
    if not isinstance(cost, Risk | Network) or not isinstance(X, np.ndarray) or X.ndim != 2:
        return None
    deviation = X.std(axis=0)
    scaled = ((X - X.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)).astype(X.dtype)
    if isinstance(cost, Risk):
        return Risk(
            scaled, cost.y, cost.loss, l2=cost.l2, l1=cost.l1, intercept=cost.intercept,
            sample_weight=cost.sample_weight, reduction=cost.reduction, n_classes=cost.n_classes,
        )  # fmt: skip
    twin = copy.deepcopy(cost, {id(cost.X): scaled, id(cost.y): cost.y})  # its layers remember what they saw
    return twin
