"""Losses of classes: two, or more with a score for each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from descender.costs.losses.base import INFINITY, BaseLoss


class LogLoss(BaseLoss):
    r""":math:`\log(1 + e^z) - y z`: minus the log-likelihood of :math:`P(y=1) = 1/(1+e^{-z})`; y in [0, 1].

    D. R. Cox, *The regression analysis of binary sequences*, 1958.

    Wrong where a few labels are: its value grows without bound with the score of a mislabelled row.
    """

    name = "log_loss"
    conjugate = r"-p \log p - (1 - p) \log(1 - p), \quad 0 \le p = y - \theta \le 1"
    tasks = ("binary",)
    targets = "numbers from 0 to 1"
    curvature_bound = 0.25
    probability = True

    @staticmethod
    def value(z, y):
        """The loss."""
        return np.log1p(np.exp(-np.maximum(z, -z))) + (np.maximum(z, 0.0) - y * z)

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
    def fused(z, y):
        """Value and slope by one exponential, for y of 0 and 1; not finite where it overflows."""
        return LogLoss.fuse(z, LogLoss.sides(y))

    @staticmethod
    def sides(y):
        """The signs of a row's margin, turned round."""
        return 1.0 - 2.0 * y

    @staticmethod
    def fuse(z, sides, value=None, slope=None):
        """The same into arrays that are there."""
        e = np.multiply(z, sides, out=slope)
        np.exp(e, out=e)
        if e.dtype == np.float32:
            u = np.add(e, 1.0, out=value)
            e /= u
            np.log(u, out=u)  # which is fast in this one
        else:
            u = np.log1p(e, out=value)
            e /= 1.0 + e
        e *= sides
        return u, e

    @staticmethod
    def bend(slope):
        """The second derivative by the slope: p (1 - p), where one of the two is its size."""
        p = np.abs(slope)
        return p - p * p

    @staticmethod
    def fuses(y):
        """Those that are sure."""
        return np.count_nonzero(y) == np.count_nonzero(y == 1.0)

    @staticmethod
    def dual(theta, y):
        """-loss*(-theta): the entropy of y - theta."""
        p = np.minimum(np.maximum(y - theta, 0.0), 1.0)
        q = 1.0 - p
        return -p * np.log(np.maximum(p, 1e-300)) - q * np.log(np.maximum(q, 1e-300))

    @staticmethod
    def dual_range(y):
        """Where y - theta is a probability."""
        return y - 1.0, y

    @staticmethod
    def suits(y):
        """Shares of the second class."""
        return (y >= 0) & (y <= 1)

    @staticmethod
    def lowest(y):
        """The entropy of y: nothing for a class that is sure."""
        return 0.0 * y if LogLoss.fuses(y) else LogLoss.dual(0.0, y)

    @staticmethod
    def trivial(y, weights):
        """The log odds of the mean."""
        p = min(max(float(weights @ y) / float(weights.sum()), 1e-300), 1.0 - 1e-16)
        return math.log(p) - math.log1p(-p)

    @staticmethod
    def predict(z):
        """From score to the probability of class 1."""
        e = np.exp(-np.abs(z))
        return np.where(z >= 0.0, 1.0, e) / (1.0 + e)


class SigmoidSquaredError(BaseLoss):
    r""":math:`\tfrac12 (p - y)^2` with :math:`p = 1/(1+e^{-z})`: not convex, and flat where p is sure and wrong.

    G. Brier, *Verification of forecasts expressed in terms of probability*, 1950.

    Wrong as a cost to descend on: it has flat places and several minima.  `log_loss` has neither.
    """

    name = "sigmoid_squared_error"
    tasks = ("binary",)
    targets = "numbers from 0 to 1"
    convex = False
    curvature_bound = 0.0771
    probability = True

    @staticmethod
    def value(z, y):
        """The loss."""
        p = np.exp(np.minimum(z, 0.0)) / (1.0 + np.exp(-np.maximum(z, -z)))
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

    suits = staticmethod(LogLoss.suits)
    predict = staticmethod(LogLoss.predict)
    trivial = staticmethod(LogLoss.trivial)


class Hinge(BaseLoss):
    r""":math:`\max(0, 1 - s z)` with s = 1 for y = 1 and s = -1 for y = 0; more classes one against the rest.

    C. Cortes, V. Vapnik, *Support-vector networks*, 1995.

    Wrong where probabilities are wanted: the score has none.  `log_loss` has.
    """

    name = "hinge"
    dual_curvature = 0.0
    conjugate = r"s \theta, \quad 0 \le s \theta \le 1"
    tasks = ("binary", "multiclass")
    targets = "0 and 1, or class indices 0, 1, 2 ..."
    differentiable = False
    curvature_bound = INFINITY

    @staticmethod
    def value(z, y):
        """The loss."""
        return np.maximum(0.0, 1.0 - (2.0 * y - 1.0) * z)

    @staticmethod
    def slope(z, y):
        """Its derivative by z."""
        margin = (2.0 * y - 1.0) * z
        return -(2.0 * y - 1.0) * np.where(margin < 1.0, 1.0, np.where(margin > 1.0, 0.0, 0.5))

    @staticmethod
    def curvature(z, y):
        """Its second derivative by z, where it has one."""
        return 0.0 * z

    @staticmethod
    def dual(theta, y):
        """-loss*(-theta)."""
        return theta * (2.0 * y - 1.0)

    @staticmethod
    def dual_range(y):
        """From 0 to 1 for the second class, from -1 to 0 for the first."""
        return y - 1.0, 1.0 * y

    @staticmethod
    def suits(y):
        """The two classes."""
        return (y == 0) | (y == 1)

    @staticmethod
    def trivial(y, weights):
        """The side of the heavier class."""
        return 1.0 if 2.0 * float(weights @ y) >= weights.sum() else -1.0

    @staticmethod
    def predict(z):
        """From score to class."""
        return np.where(z > 0.0, 1.0, 0.0)


class SquaredHinge(BaseLoss):
    r""":math:`\max(0, 1 - s z)^2` with s = 1 for y = 1 and s = -1 for y = 0; more classes one against the rest.

    C.-J. Hsieh and others, *A dual coordinate descent method for large-scale linear SVM*, 2008.

    Wrong where a few labels are: a mislabelled row costs the square of its distance.
    """

    name = "squared_hinge"
    dual_curvature = 0.5
    conjugate = r"s \theta - \tfrac14 \theta^2, \quad s \theta \ge 0"
    tasks = Hinge.tasks
    targets = Hinge.targets
    curvature_bound = 2.0

    @staticmethod
    def value(z, y):
        """The loss."""
        return np.maximum(0.0, 1.0 - (2.0 * y - 1.0) * z) ** 2

    @staticmethod
    def slope(z, y):
        """Its derivative by z."""
        return -2.0 * (2.0 * y - 1.0) * np.maximum(0.0, 1.0 - (2.0 * y - 1.0) * z)

    @staticmethod
    def curvature(z, y):
        """Its second derivative by z."""
        return np.where((2.0 * y - 1.0) * z < 1.0, 2.0, 0.0)

    @staticmethod
    def fused(z, y):
        """Value and slope by one margin."""
        sign = 2.0 * y - 1.0
        short = np.maximum(0.0, 1.0 - sign * z)
        return short * short, -2.0 * sign * short

    @staticmethod
    def dual(theta, y):
        """-loss*(-theta)."""
        return theta * (2.0 * y - 1.0) - 0.25 * theta * theta

    @staticmethod
    def dual_range(y):
        """At least 0 for the second class, at most 0 for the first."""
        return np.where(y > 0.5, 0.0, -INFINITY), np.where(y > 0.5, INFINITY, 0.0)

    @staticmethod
    def trivial(y, weights):
        """Twice the share of the second class, less 1."""
        return 2.0 * float(weights @ y / weights.sum()) - 1.0

    suits = staticmethod(Hinge.suits)
    predict = staticmethod(Hinge.predict)


class Softmax(BaseLoss):
    r""":math:`\log \sum_k e^{z_k} - z_y` for a class index y: log_loss for more than two classes.

    J. Bridle, *Probabilistic interpretation of feedforward classification network outputs*, 1990.  Scores have the
    classes first: `z` is (K,) for a sample, (K, n) for n of them.

    Wrong where a row may belong to several classes, or to none: then a `log_loss` for each.
    """

    name = "softmax"
    conjugate = r"-\sum_k q_k \log q_k, \quad q = e_y - \theta \text{ a distribution}"
    tasks = ("multiclass",)
    targets = "class indices 0, 1, 2 ..."
    curvature_bound = 0.5
    scores_per_class = True
    probability = True

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
        from scipy.special import xlogy

        q = np.clip((np.arange(len(theta))[:, None] == y) - theta, 0.0, 1.0)
        return -xlogy(q, q).sum(axis=0)

    @staticmethod
    def suits(y):
        """Class indices."""
        return np.isfinite(y) & (y == np.floor(y)) & (y >= 0)

    @staticmethod
    def predict(z):
        """From scores to class probabilities."""
        e = np.exp(z - z.max(axis=0))
        return e / e.sum(axis=0)


@dataclass(frozen=True)
class OneVsRest(BaseLoss):
    r""":math:`\sum_k \ell(z_k, [y = k])`: a loss of two classes for each of several, against all others together.

    R. Rifkin, A. Klautau, *In defense of one-vs-all classification*, JMLR 2004.  Scores have the classes first.  The
    risks of the classes share nothing: each is minimised on its own.
    """

    base: Any
    tasks = ("multiclass",)
    targets = Softmax.targets
    scores_per_class = True
    name = property(lambda self: self.base.name)
    curvature_bound = property(lambda self: self.base.curvature_bound)
    differentiable = property(lambda self: self.base.differentiable)

    def value(self, z, y):
        """The loss."""
        return sum(self.base.value(z[k], 1.0 * (y == k)) for k in range(len(z)))

    def slope(self, z, y):
        """Its derivatives by z."""
        return np.stack([self.base.slope(z[k], 1.0 * (y == k)) for k in range(len(z))])

    suits = staticmethod(Softmax.suits)

    @staticmethod
    def predict(z):
        """From scores to 1 for the class with the highest, 0 for the others."""
        return 1.0 * (np.arange(len(z))[:, None] == z.argmax(axis=0))
