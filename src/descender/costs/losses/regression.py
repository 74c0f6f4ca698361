"""Losses of a number: squared error, Huber, quantile, Poisson."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from descender.costs.location import robust_scale, root, weighted_quantile
from descender.costs.losses.base import INFINITY, BaseLoss, spelled
from descender.errors import OptionError

EFFICIENT = 1.345
"""The Huber threshold, in standard deviations, that costs 5 % of efficiency on normal errors (P. Huber, 1981)."""


class SquaredError(BaseLoss):
    r""":math:`\tfrac12 (z - y)^2`.  C. F. Gauss, *Theoria motus*, 1809.

    Wrong where few targets are far off: each pulls with its distance.  `huber` and `quantile` bound that pull.
    """

    name = "squared_error"
    dual_curvature = 1.0
    boundless = True
    conjugate = r"\theta y - \tfrac12 \theta^2"
    tasks = ("regression", "binary")
    probability = True
    threshold = 0.5

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
    def dual_range(y):
        """Every theta."""
        return np.full_like(y, -INFINITY), np.full_like(y, INFINITY)

    @staticmethod
    def trivial(y, weights):
        """The mean."""
        return float(weights @ y / weights.sum())


@dataclass(frozen=True)
class Huber(BaseLoss):
    r""":math:`\tfrac12 r^2` for :math:`|r| \le \delta`, else :math:`\delta(|r| - \tfrac12\delta)`, with r = z - y.

    P. Huber, *Robust estimation of a location parameter*, 1964.  ``delta`` is in the units of the target; `fit` takes
    1.345 robust standard deviations of it.

    Wrong where the far targets are the ones that matter, and against outliers in the columns: those pull as ever.
    """

    delta: float = 1.0
    name = property(lambda self: spelled(self, "huber"))
    dual_curvature = 1.0
    conjugate = r"\theta y - \tfrac12 \theta^2, \quad |\theta| \le \delta"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.delta) and self.delta > 0):
            raise OptionError(f"huber: delta={self.delta:g} must be a positive finite number, in units of the target")

    @classmethod
    def suited(cls, y: NDArray) -> Huber:
        """With the delta that suits targets of this spread."""
        return cls(float(f"{EFFICIENT * robust_scale(y):.4g}"))

    def value(self, z, y):
        """The loss."""
        size = np.maximum(z - y, y - z)
        within = np.minimum(size, self.delta)
        return within * (size - 0.5 * within)

    def slope(self, z, y):
        """Its derivative by z."""
        return np.minimum(np.maximum(z - y, -self.delta), self.delta)

    def curvature(self, z, y):
        """Its second derivative by z."""
        return np.where(np.abs(z - y) <= self.delta, 1.0, 0.0)

    def fused(self, z, y):
        """Value and slope by one comparison of the residual."""
        residual = z - y
        slope = np.minimum(np.maximum(residual, -self.delta), self.delta)
        return slope * (residual - 0.5 * slope), slope

    @staticmethod
    def dual(theta, y):
        """-loss*(-theta)."""
        return theta * y - 0.5 * theta * theta

    def dual_range(self, y):
        """Up to delta."""
        return np.full_like(y, -self.delta), np.full_like(y, self.delta)

    def trivial(self, y, weights):
        """Where the bounded pulls of the targets are in balance."""
        return root(lambda z: float(weights @ self.slope(z, y)), float(y.min()), float(y.max()))


@dataclass(frozen=True)
class Quantile(BaseLoss):
    r""":math:`q\,r` for :math:`r = y - z > 0`, else :math:`(q-1)\,r`: the score is the q-quantile of the target.

    R. Koenker, G. Bassett, *Regression quantiles*, 1978.  ``level`` is q, between 0 and 1; 0.5 is the median, whose
    loss is half the absolute error.

    Wrong where the mean is asked for: a total cannot be had from medians.
    """

    level: float = 0.5
    name = property(lambda self: spelled(self, "quantile"))
    dual_curvature = 0.0
    conjugate = r"\theta y, \quad q - 1 \le \theta \le q"
    differentiable = False
    curvature_bound = INFINITY

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise OptionError(f"quantile: level={self.level:g} must lie strictly between 0 and 1")

    def value(self, z, y):
        """The loss."""
        return np.maximum(self.level * (y - z), (self.level - 1.0) * (y - z))

    def slope(self, z, y):
        """Its derivative by z."""
        return np.where(z < y, -self.level, np.where(z > y, 1.0 - self.level, 0.5 - self.level))

    @staticmethod
    def curvature(z, y):
        """Its second derivative by z, where it has one."""
        return 0.0 * z

    @staticmethod
    def dual(theta, y):
        """-loss*(-theta)."""
        return theta * y

    def dual_range(self, y):
        """From level - 1 to level."""
        return np.full_like(y, self.level - 1.0), np.full_like(y, self.level)

    def trivial(self, y, weights):
        """The quantile."""
        return weighted_quantile(y, weights, self.level)


class Poisson(BaseLoss):
    r""":math:`e^z - y z + (y\log y - y)`: half the Poisson deviance of the mean :math:`e^z`; y at least 0.

    J. Nelder, R. Wedderburn, *Generalized linear models*, 1972.  The bracket, which no score changes, makes it 0 for a
    perfect score; with it, :math:`y (e^u - 1 - u)` for :math:`u = z - \log y` keeps its digits for counts of any size.
    Beyond z = 600 the exponential goes on as its tangent.

    Wrong where counts spread more than their mean (their variance should be near it): errors of coefficients are then
    larger than they look, the prediction of the mean still holds.
    """

    name = "poisson"
    conjugate = r"m - m \log m + y \log y - y, \quad m = y - \theta \ge 0"
    targets = "numbers of at least 0"
    curvature_bound = INFINITY
    largest_move = 3.0

    @staticmethod
    def value(z, y):
        """The loss."""
        near = np.minimum(z + 0.0 * y, 600.0)
        beyond = np.exp(near) * (z - near)
        above = near - np.log(np.where(y > 0.0, y, 1.0))
        above = np.where(y > 0.0, above, 0.0)
        return np.where(y > 0.0, y * (np.expm1(above) - above), np.exp(near)) + (beyond - y * (z - near))

    @staticmethod
    def slope(z, y):
        """Its derivative by z."""
        return np.exp(np.minimum(z + 0.0 * y, 600.0)) - y

    @staticmethod
    def curvature(z, y):
        """Its second derivative by z."""
        return np.exp(np.minimum(z + 0.0 * y, 600.0))

    @staticmethod
    def fused(z, y):
        """Value and slope by one exponential; not finite where it overflows."""
        return Poisson.fuse(z, Poisson.sides(np.asarray(y)))

    @staticmethod
    def sides(y):
        """The counts, with 1 for those of nothing, and the logarithms of that."""
        out = np.empty((3, *y.shape), y.dtype)
        out[0], out[1] = y, y + (y == 0.0)
        out[2] = np.log(out[1])
        return out

    @staticmethod
    def fuse(z, sides, value=None, slope=None):
        """The same into arrays that are there."""
        y, some, log = sides
        above = np.subtract(z, log, out=value)
        if above.dtype == np.float32:  # in which an exponential is fast, and z knows no more digits
            e = np.exp(above, out=slope)
            e *= some
            e -= y
        else:
            e = np.expm1(above, out=slope)
            e *= some
            e += some - y
        above *= y
        return np.subtract(e, above, out=value), e

    @staticmethod
    def dual(theta, y):
        """-loss*(-theta)."""
        from scipy.special import xlog1py, xlogy

        mean, some = np.maximum(y - theta, 0.0), np.where(y > 0.0, y, 1.0)
        of_some = theta * np.log(some) - (theta + xlog1py(mean, np.maximum(-theta / some, -1.0)))
        return np.where(y > 0.0, of_some, mean - xlogy(mean, mean))

    @staticmethod
    def dual_range(y):
        """Where y - theta is a mean."""
        return np.full_like(y, -INFINITY), y

    @staticmethod
    def suits(y):
        """Counts, or any rates of them."""
        return np.isfinite(y) & (y >= 0)

    @staticmethod
    def trivial(y, weights):
        """The logarithm of the mean."""
        return float(np.log(max(weights @ y / weights.sum(), 1e-300)))

    @staticmethod
    def working_weights(y, weights):
        """Means between that of all counts and each: nearer to the count the more counts spread beyond their mean."""
        total = float(weights.sum())
        mean = max(float(weights @ y) / total, 1e-300)
        spread = float((weights * y) @ y) / total - mean * mean
        share = min(max(1.0 - mean / spread, 0.0), 0.5) if spread > 0.0 else 0.0  # of it that the means have
        return (1.0 - share) * mean + share * y

    @staticmethod
    def working_response(y, h):
        """The step of Newton's method from the logarithm of these means."""
        return np.log(h) + (y - h) / h

    @staticmethod
    def predict(z):
        """From score to the mean."""
        return np.exp(np.minimum(np.float64(1.0) * z, 600.0))
