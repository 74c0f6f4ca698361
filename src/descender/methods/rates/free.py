"""Rates that are read off the walk itself, without a search: from the cost, from curvature, from distance."""

from __future__ import annotations

import math
from typing import NamedTuple


class PolyakStep(NamedTuple):
    r"""The step to where the tangent reaches the minimum, which is known.

    .. math:: a = \alpha\, \frac{J(w) - J^*}{\lVert g \rVert^2}

    ``"polyak 0"`` for a minimum of 0; with batches it is the minimum of every one of them, as where a model fits all
    samples.  B. T. Polyak, *Introduction to optimization*, 1987; N. Loizou and others, *Stochastic Polyak step-size for
    SGD*, 2021.

    Wrong choice where the minimum is not known: too low a number makes it overshoot, too high a one makes it stop.
    """

    minimum: float
    rate: float = 1.0

    along_gradient = True
    ranges = {"minimum": (-math.inf, math.inf)}

    @staticmethod
    def terms(g):
        """What is summed: the squares of the gradient."""
        return (g * g,)

    @staticmethod
    def formula(q, value, sums):
        """The rate of a step from a point with this cost."""
        return q.rate * max(value - q.minimum, 0.0) / sums[0] if sums[0] > 0.0 else q.rate


class PolyakEstimated(NamedTuple):
    r"""Polyak's step to a level :math:`\delta` below the best cost so far, since the minimum is not known.

    .. math:: a = \alpha\, \frac{J(w) - (J_{\min} - \delta)}{\lVert g \rVert^2}

    :math:`\delta` begins as :math:`|J(w_0)|`, doubles when at least half of it was gained, and is halved when not.
    A. Nedić and D. Bertsekas, *Incremental subgradient methods for nondifferentiable optimization*, 2001, section 2.

    Wrong choice where the cost can be searched: `backtracking` never lets it rise.
    """

    rate: float = 1.0

    memory = ("best", "level")
    exact = True
    along_gradient = True

    @staticmethod
    def terms(g):
        """What is summed: the squares of the gradient."""
        return (g * g,)

    @staticmethod
    def formula(q, t, value, sums, m):
        """The rate of a step from a point with this cost, and what is remembered."""
        first = abs(value) if value != 0.0 else sums[0]
        level = first if t == 0 else 2.0 * m[1] if value <= m[0] - 0.5 * m[1] else 0.5 * m[1]
        best = value if t == 0 else min(value, m[0])
        return q.rate * (value - best + level) / sums[0] if sums[0] > 0.0 else q.rate, (best, level)


class AdaptiveDescent(NamedTuple):
    r"""Adaptive gradient descent: as long as the curvature just met allows, growing slowly.

    .. math::
        a_t = \min\Bigl(\sqrt{1 + \theta}\, a_{t-1},\ \frac{\lVert w - w_{-1} \rVert}{2 \lVert g - g_{-1} \rVert}\Bigr),
        \qquad \theta = \frac{a_{t-1}}{a_{t-2}}

    The first step is :math:`10^{-6} (1 + \lVert w_0 \rVert)` long.  It needs no cost and, on a convex one, provably
    arrives.  Y. Malitsky and K. Mishchenko, *Adaptive gradient descent without descent*, ICML 2020.

    Wrong choice for batches: the difference of two noisy gradients tells nothing.
    """

    rate: float = 1e-6

    memory = ("ratio",)
    exact = True
    along_gradient = True

    @staticmethod
    def terms(w, g, w_before, g_before):
        """What is summed: the squares of the last step, of the gradient's change, of the gradient and the point."""
        return (w - w_before) * (w - w_before), (g - g_before) * (g - g_before), g * g, w * w

    @staticmethod
    def formula(q, t, sums, m, last):
        """The rate of a step, and its ratio to the one before."""
        begin = q.rate * (1.0 + math.sqrt(sums[3])) / math.sqrt(sums[2]) if sums[2] > 0.0 else q.rate
        bent = 0.5 * math.sqrt(sums[0] / sums[1]) if sums[1] > 0.0 else math.inf
        grown = last * math.sqrt(1.0 + m[0])
        found = begin if t == 0 else min(grown, bent)
        return found, (math.inf if t == 0 else found / last,)


class DistanceOverGradients(NamedTuple):
    r"""DoG: the farthest that the walk has been from its start, over the gradients it has seen.

    .. math:: a_t = \alpha\, \frac{\max_{i \le t} \lVert w_i - w_0 \rVert}{\sqrt{\sum_{i \le t} \lVert g_i \rVert^2}}

    The distance begins as :math:`10^{-6} (1 + \lVert w_0 \rVert)` (`first`).  Made for batches; the authors report an
    average of the points (`polyak-ruppert`).
    M. Ivgi, O. Hinder, Y. Carmon, *DoG is SGD's best friend: a parameter-free dynamic step size schedule*, ICML 2023.

    Wrong choice for exact gradients: it slows down as if they were noisy.
    """

    rate: float = 1.0
    first: float = 1e-6
    epsilon: float = 1e-8

    memory = ("squared_distance", "squares")
    along_gradient = True

    @staticmethod
    def terms(w, g, origin):
        """What is summed: the squares of the distance from the start, of the gradient, of the start."""
        return (w - origin) * (w - origin), g * g, origin * origin

    @staticmethod
    def formula(q, sums, m):
        """The rate of a step, the square of the distance and the sum of squares."""
        first = q.first * (1.0 + math.sqrt(sums[2]))
        distance = max(m[0], first * first, sums[0])
        squares = m[1] + sums[1]
        return q.rate * math.sqrt(distance / (squares + q.epsilon)), (distance, squares)
