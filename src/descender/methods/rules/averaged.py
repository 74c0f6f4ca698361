"""What is reported is an average of the points of the walk: noise averages out, and the rate may stay large."""

import math
from typing import NamedTuple

import numpy as np


class IterateAveraging(NamedTuple):
    r"""Polyak-Ruppert averaging: gradient descent, of which the mean of all points is reported.

    .. math:: w \leftarrow w - a\, g, \qquad \bar w \leftarrow \bar w + \frac{w - \bar w}{\max(t + 1 - s, 1)}

    The answer is :math:`\bar w`; the first s steps (`skip`) are left out of it.
    B. T. Polyak and A. B. Juditsky, *Acceleration of stochastic approximation by averaging*, 1992; D. Ruppert, 1988.

    Wrong choice for exact gradients: the mean remembers the long way from the start.
    """

    skip: float = 0.0

    slots = ("mean",)
    begins_at_start = True
    along_gradient = True
    ranges = {"skip": (0.0, math.inf)}

    @staticmethod
    def formula(p, w, g, s, rate, t):
        """One step; `t` counts from 0."""
        return w - rate * g, s

    @staticmethod
    def settle(p, new, s, t):
        """The point within its bounds goes into the mean."""
        return new, (s[0] + (new - s[0]) / np.maximum(t + 1.0 - p.skip, 1.0),)

    @staticmethod
    def answer(s):
        """What is reported."""
        return s[0]


class ScheduleFree(NamedTuple):
    r"""Schedule-free descent: the gradient is read between a fast point and the mean of its path, which is reported.

    .. math::
        z \leftarrow z - a\, g, \quad x \leftarrow x + c\,(z - x), \quad w \leftarrow \beta x + (1-\beta)\, z, \quad
        c = \frac{a_{\max}^2}{\sum a_{\max}^2}

    The answer is x, and :math:`c = 1/(t+1)` at a constant rate: it arrives without a schedule that knows the end.
    A. Defazio and others, *The road less scheduled*, NeurIPS 2024.

    Wrong choice where the last digits count: a mean of a path comes near like 1/t, and no faster.
    """

    beta: float = 0.9

    slots = ("fast", "mean")
    begins_at_start = True
    memory = ("largest_rate", "total", "share")
    unsearched = True

    @staticmethod
    def remember(m, rate):
        """The largest rate so far, the sum of the squares, and the newest one's share of it."""
        largest = np.maximum(m[0], rate)
        total = m[1] + largest * largest
        return largest, total, largest * largest / np.maximum(total, 1e-300)

    @staticmethod
    def formula(p, w, g, s, rate, t):
        """One step of the fast point; `t` counts from 0."""
        return s[0] - rate * g, s

    @staticmethod
    def settle(p, new, s, m):
        """The fast point within its bounds goes into the mean; between the two the next gradient is read."""
        way = new - s[1]
        return s[1] + (p.beta * m[2] + (1.0 - p.beta)) * way, (new, s[1] + m[2] * way)

    @staticmethod
    def answer(s):
        """What is reported."""
        return s[1]
