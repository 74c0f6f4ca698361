"""The proximal Newton step: the minimum of a quadratic model plus an l1 penalty."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Vector
from descender.kernels.coordinates import minimise_quadratic
from descender.methods.lasso import lasso

FEW = 100
"""Coordinates up to which exchanges of the support take less time than loading compiled loops."""


def proximal_step(
    v: Vector, gradient: Vector, H: NDArray, strengths: Vector, damping: float = 0.0
) -> tuple[Vector, float]:
    r""":math:`\arg\min_p g\cdot p + \tfrac12 p\cdot Hp + \sum_j \lambda_j (|v_j+p_j| - |v_j|)`, half of its promise.

    J. Friedman, T. Hastie, R. Tibshirani, *Regularization paths for generalized linear models via coordinate descent*,
    2010; J. Lee, Y. Sun, M. Saunders, *Proximal Newton-type methods*, 2014.
    """
    if damping > 0:
        H = H + damping * np.diag(np.diag(H))
    few = len(v) <= FEW
    p = lasso(H, H @ v - gradient, v, strengths) - v if few else minimise_quadratic(H, gradient, v, strengths)
    promise = -float(gradient @ p) - float(strengths @ (np.abs(v + p) - np.abs(v)))
    return p, 0.5 * promise
