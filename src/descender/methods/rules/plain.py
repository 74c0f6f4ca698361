"""The gradient itself is the direction."""

from typing import NamedTuple


class GradientDescent(NamedTuple):
    r"""Gradient descent.

    .. math:: w \leftarrow w - a\, g

    A. Cauchy, *Méthode générale pour la résolution des systèmes d'équations simultanées*, 1847.

    Wrong choice when curvatures differ much: it needs about as many steps as the largest exceeds the smallest.
    """

    slots = ()

    @staticmethod
    def formula(p, w, g, s, rate, t):
        """One step; `t` counts from 0."""
        return w - rate * g, s
