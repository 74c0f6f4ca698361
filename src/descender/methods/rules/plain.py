"""The gradient itself is the direction, or the signs of its components."""

import math
from typing import NamedTuple

import numpy as np


class GradientDescent(NamedTuple):
    r"""Gradient descent.

    .. math:: w \leftarrow w - a\, g

    A. Cauchy, *Méthode générale pour la résolution des systèmes d'équations simultanées*, 1847.

    Wrong choice when curvatures differ much: it needs about as many steps as the largest exceeds the smallest.
    """

    slots = ()
    along_gradient = True

    @staticmethod
    def formula(p, w, g, s, rate, t):
        """One step; `t` counts from 0."""
        return w - rate * g, s


class SignDescent(NamedTuple):
    r"""Sign descent: every coordinate moves by the learning rate, whatever the size of its derivative.

    .. math:: w \leftarrow w - a\, \operatorname{sign}(g)

    J. Bernstein and others, *signSGD: compressed optimisation for non-convex problems*, ICML 2018.

    Wrong choice near the bottom at a fixed rate: it never comes closer than the length of a step.
    """

    slots = ()
    natural_rate = 0.001

    @staticmethod
    def formula(p, w, g, s, rate, t):
        """One step; `t` counts from 0."""
        return w - rate * np.sign(g), s


class GradientNoise(NamedTuple):
    r"""Gradient descent with noise that fades: it shakes the walk out of flat places and off saddles.

    .. math:: w \leftarrow w - a\,\bigl(g + \sigma_t \xi_t\bigr), \qquad \sigma_t^2 = \frac{\eta}{(1+t)^\gamma}

    with standard normal :math:`\xi_t`, drawn by the seed of the walk.
    A. Neelakantan and others, *Adding gradient noise improves learning for very deep networks*, 2015.

    Wrong choice for convex costs: the noise can only delay the arrival.
    """

    eta: float = 0.01
    gamma: float = 0.55

    slots = ()
    along_gradient = True
    ranges = {"eta": (0.0, math.inf)}

    @staticmethod
    def deviation(p, t):
        """The standard deviation of the noise at step `t`."""
        return np.sqrt(p.eta / (1.0 + t) ** p.gamma)

    @staticmethod
    def formula(p, w, g, s, rate, t, noise):
        """One step; `t` counts from 0, `noise` is normal with that deviation."""
        return w - rate * (g + noise), s
