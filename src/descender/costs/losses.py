r"""Losses: what one sample costs, as a formula of its score z and its target y.

A loss is a class with static formulas, elementwise in `z` and `y`, written with NumPy functions and without ``if``, so
that the same text runs on arrays, in compiled loops and under tracing:

``value(z, y)``
    the loss; stable for scores of ±1e4;
``slope(z, y)``
    its derivative by z (at a kink, the one that automatic differentiation of `value` gives);
``curvature(z, y)``
    its second derivative by z;
``dual(theta, y)``
    :math:`-\ell^*(-\theta)`, the sample's share of the dual objective, for a `theta` within ``dual_domain``.

With two classes, a score above ``threshold`` speaks for the second.

To add a loss, write its class here and name it in `LOSSES`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import xlogy

from descender.errors import TargetError

INFINITY = float("inf")


class SquaredError:
    r""":math:`\tfrac12 (z - y)^2`.  C. F. Gauss, *Theoria motus*, 1809."""

    name = "squared_error"
    convex = True
    curvature_bound = 1.0
    threshold = 0.5
    targets = "finite numbers"

    @staticmethod
    def value(z, y):
        """The loss."""
        return 0.5 * (z - y) ** 2

    @staticmethod
    def slope(z, y):
        """Its derivative by z."""
        return z - y

    @staticmethod
    def curvature(z, y):
        """Its second derivative by z."""
        return 1.0 + 0.0 * z

    @staticmethod
    def dual(theta, y):
        """-loss*(-theta)."""
        return theta * y - 0.5 * theta * theta

    @staticmethod
    def trivial(mean):
        """The constant score that is best for targets of this mean."""
        return mean

    @staticmethod
    def predict(z):
        """From score to prediction."""
        return z


class LogLoss:
    r""":math:`\log(1 + e^z) - y z`: minus the log-likelihood of :math:`P(y=1) = 1/(1+e^{-z})`; y in [0, 1].

    D. R. Cox, *The regression analysis of binary sequences*, 1958.
    """

    name = "log_loss"
    convex = True
    curvature_bound = 0.25
    threshold = 0.0
    targets = "numbers from 0 to 1"

    @staticmethod
    def value(z, y):
        """The loss."""
        return np.log1p(np.exp(-np.abs(z))) + (np.maximum(z, 0.0) - y * z)

    @staticmethod
    def slope(z, y):
        """Its derivative by z."""
        e = np.exp(-np.abs(z))
        return np.where(z >= 0.0, 1.0, e) / (1.0 + e) - y

    @staticmethod
    def curvature(z, y):
        """Its second derivative by z."""
        e = np.exp(-np.abs(z))
        return e / (1.0 + e) ** 2

    @staticmethod
    def dual(theta, y):
        """-loss*(-theta): the entropy of y - theta."""
        p = np.clip(y - theta, 0.0, 1.0)
        return -xlogy(p, p) - xlogy(1.0 - p, 1.0 - p)

    @staticmethod
    def trivial(mean):
        """The constant score that is best for targets of this mean."""
        p = np.clip(mean, 1e-300, 1.0 - 1e-16)
        return np.log(p) - np.log1p(-p)

    @staticmethod
    def predict(z):
        """From score to the probability of class 1."""
        e = np.exp(-np.abs(z))
        return np.where(z >= 0.0, 1.0, e) / (1.0 + e)


class SigmoidSquaredError:
    r""":math:`\tfrac12 (p - y)^2` with :math:`p = 1/(1+e^{-z})`: not convex, and flat where p is sure and wrong."""

    name = "sigmoid_squared_error"
    convex = False
    curvature_bound = 0.0771
    threshold = 0.0
    targets = "numbers from 0 to 1"

    @staticmethod
    def value(z, y):
        """The loss."""
        p = np.exp(np.minimum(z, 0.0)) / (1.0 + np.exp(-np.abs(z)))
        return 0.5 * (p - y) ** 2

    @staticmethod
    def slope(z, y):
        """Its derivative by z."""
        e = np.exp(-np.abs(z))
        p = np.where(z >= 0.0, 1.0, e) / (1.0 + e)
        return (p - y) * (e / (1.0 + e) ** 2)

    @staticmethod
    def curvature(z, y):
        """Its second derivative by z; negative where p is on the wrong side."""
        e = np.exp(-np.abs(z))
        p = np.where(z >= 0.0, 1.0, e) / (1.0 + e)
        q = e / (1.0 + e) ** 2
        return q * (q + (p - y) * (1.0 - 2.0 * p))

    predict = LogLoss.predict
    trivial = LogLoss.trivial


class Softmax:
    r""":math:`\log \sum_k e^{z_k} - z_y` for a class index y: log_loss for more than two classes.

    Scores have the classes first: `z` is (K,) for a sample, (K, n) for n of them.
    """

    name = "softmax"
    convex = True
    curvature_bound = 0.5
    targets = "class indices 0, 1, 2 ..."

    @staticmethod
    def value(z, y):
        """The loss."""
        top = z[0]
        for k in range(1, len(z)):
            top = np.maximum(top, z[k])
        total = 0.0 * top
        chosen = 0.0 * top
        for k in range(len(z)):
            total = total + np.exp(z[k] - top)
            chosen = chosen + np.where(y == k, z[k] - top, 0.0)
        return np.log(total) - chosen

    @staticmethod
    def slope(z, y):
        """Its derivatives by z: softmax(z) - indicator of y."""
        top = z[0]
        for k in range(1, len(z)):
            top = np.maximum(top, z[k])
        total = 0.0 * top
        out = np.empty_like(z)
        for k in range(len(z)):
            out[k] = np.exp(z[k] - top)
            total = total + out[k]
        for k in range(len(z)):
            out[k] = out[k] / total - np.where(y == k, 1.0, 0.0)
        return out

    @staticmethod
    def dual(theta, y):
        """-loss*(-theta): the entropy of e_y - theta, classes first."""
        q = np.clip((np.arange(len(theta))[:, None] == y) - theta, 0.0, 1.0)
        return -xlogy(q, q).sum(axis=0)

    @staticmethod
    def predict(z):
        """From scores to class probabilities."""
        e = np.exp(z - z.max(axis=0))
        return e / e.sum(axis=0)


Loss = Any
LOSSES: dict[str, Loss] = {loss.name: loss for loss in (SquaredError, LogLoss, SigmoidSquaredError, Softmax)}


def check_targets(loss: Loss, y: np.ndarray) -> None:
    """Refuse targets that the loss is not made for."""
    if not np.isfinite(y).all():
        row = int(np.flatnonzero(~np.isfinite(y))[0])
        raise TargetError(f"the target of row {row} is {y[row]}; {loss.name} needs {loss.targets}")
    if loss is Softmax:
        bad = (y != np.floor(y)) | (y < 0)
    elif loss is SquaredError:
        return
    else:
        bad = (y < 0) | (y > 1)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise TargetError(f"the target of row {row} is {y[row]:g}; {loss.name} needs {loss.targets}")
