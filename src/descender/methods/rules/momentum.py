"""The direction is an average of the gradients seen so far."""

from typing import NamedTuple


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
