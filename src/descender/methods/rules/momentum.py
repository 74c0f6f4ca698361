"""The direction is an average of the gradients seen so far."""

from typing import Any, NamedTuple

import numpy as np


class Momentum(NamedTuple):
    r"""Heavy ball: the walk keeps part of its velocity.

    .. math:: v \leftarrow \beta v + g, \qquad w \leftarrow w - a\, v

    B. T. Polyak, *Some methods of speeding up the convergence of iteration methods*, 1964; the form is PyTorch's.

    Wrong choice when a step already overshoots: the velocity is up to :math:`1/(1-\beta)` gradients long.
    """

    beta: float = 0.9

    slots = ("velocity",)

    @staticmethod
    def formula(p, w, g, s, rate, t):
        """One step; `t` counts from 0."""
        v = p.beta * s[0] + g
        return w - rate * v, (v,)


class Nesterov(NamedTuple):
    r"""Nesterov's momentum: the gradient counts once more, as if it were read a step ahead.

    .. math:: v \leftarrow \beta v + g, \qquad w \leftarrow w - a\,(g + \beta v)

    Y. Nesterov, *A method of solving a convex programming problem with convergence rate O(1/k²)*, 1983, in the form of
    I. Sutskever and others, *On the importance of initialization and momentum in deep learning*, 2013.

    Wrong choice for very noisy gradients, where looking ahead amplifies the noise.
    """

    beta: float = 0.9

    slots = ("velocity",)

    @staticmethod
    def formula(p, w, g, s, rate, t):
        """One step; `t` counts from 0."""
        v = p.beta * s[0] + g
        return w - rate * (g + p.beta * v), (v,)

    def proximal_form(self):
        """The same momentum of points and not of gradients, which a penalty's step may stand within."""
        form: Any = Extrapolation
        return form(self.beta)


class Extrapolation(NamedTuple):
    r"""Nesterov's momentum of points: the next gradient is read beyond the new point.

    .. math:: x^+ = w - a\, g, \qquad w \leftarrow x^+ + \beta\,(x^+ - x)

    At a constant rate its w are those of :class:`Nesterov`; x is what is reported.
    """

    beta: float = 0.9

    slots = ("point",)
    begins_at_start = True
    extrapolates = True

    @staticmethod
    def formula(p, w, g, s, rate, t):
        """One step of the point; `t` counts from 0."""
        return w - rate * g, s

    @staticmethod
    def settle(p, new, s):
        """Where the next gradient is read, and the new point."""
        return new + p.beta * (new - s[0]), (new,)

    @staticmethod
    def answer(s):
        """What is reported."""
        return s[0]


class Fista(NamedTuple):
    r"""FISTA: accelerated steps, whose momentum grows by itself; of an l1 penalty the step itself takes care.

    .. math::
        x^+ = \operatorname{prox}_{a\lambda_1}(w - a\, g), \qquad
        w \leftarrow x^+ + \frac{\theta - 1}{\theta^+}\,(x^+ - x), \qquad
        \theta^+ = \tfrac12 \Bigl(1 + \sqrt{1 + 4\theta^2}\Bigr)

    from :math:`\theta = 1`, to which it comes back, with no momentum, where the momentum leads uphill:
    :math:`(w - x^+) \cdot (x^+ - x) > 0` (``restart=0``: never).  The answer is x; without l1 the prox is nothing,
    within bounds it is the projection.  A search asks that the parabola of curvature 1/a lies above the cost.
    A. Beck and M. Teboulle, *A fast iterative shrinkage-thresholding algorithm for linear inverse problems*, 2009,
    (4.1) to (4.3); B. O'Donoghue and E. Candès, *Adaptive restart for accelerated gradient schemes*, 2015.

    Wrong choice for noisy gradients, where nothing is left of the acceleration but the noise.
    """

    restart: float = 1.0

    slots = ("point",)
    begins_at_start = True
    extrapolates = True
    memory = ("theta", "weight")
    ranges = {"restart": (0.0, 1.0 + 1e-9)}

    @staticmethod
    def formula(p, w, g, s, rate, t):
        """One step of the point; `t` counts from 0."""
        return w - rate * g, s

    @staticmethod
    def terms_after(w, new, s):
        """What is summed: the momentum along the way that the gradient led."""
        return ((w - new) * (new - s[0]),)

    @staticmethod
    def weigh(p, sums, m):
        """The next theta and the weight of the momentum."""
        theta = np.maximum(m[0], 1.0)
        larger = 0.5 + np.sqrt(0.25 + theta * theta)
        uphill = p.restart * sums[0] > 0.0
        return np.where(uphill, 1.0, larger), np.where(uphill, 0.0, (theta - 1.0) / larger)

    @staticmethod
    def settle(new, s, m):
        """Where the next gradient is read, and the new point."""
        return new + m[1] * (new - s[0]), (new,)

    @staticmethod
    def answer(s):
        """What is reported."""
        return s[0]


class GradientAveraging(NamedTuple):
    r"""The averaging method: move by a moving average of the gradients of past samples.

    .. math:: m \leftarrow \beta m + (1-\beta)\, g, \qquad w \leftarrow w - a\, m

    with :math:`\beta = 0.9`, an average over about the last :math:`1/(1-\beta) = 10` gradients.
    A. P. Ruszczyński and W. Syski, *Stochastic approximation method with gradient averaging*, 1983.

    Wrong choice when the gradients are exact: an average of old gradients lags behind.
    """

    beta: float = 0.9

    slots = ("average",)

    @staticmethod
    def formula(p, w, g, s, rate, t):
        """One step; `t` counts from 0."""
        m = p.beta * s[0] + (1.0 - p.beta) * g
        return w - rate * m, (m,)
