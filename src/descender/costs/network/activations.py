"""Activations: what a node makes of its weighted sum z.

An activation is a class with static formulas, elementwise, written with NumPy functions and without ``if``:

``value(z)``
    the output a of the node;
``slope(z, a)``
    its derivative by z (at a kink, the one that automatic differentiation gives); `a` is at hand, so that it may be
    told from the output where that is cheaper.

``initialisation`` is the one that keeps the sizes of signals and errors through many such layers; ``reach`` is the
deviation that the weighted sums of the first layer start with, so that its nodes bend within the samples.

To add an activation, write its class here and name it in `ACTIVATIONS`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805
"""Of selu: the fixed point at which a layer keeps mean 0 and variance 1."""


class Identity:
    r""":math:`a = z`: a linear layer."""

    name = "identity"
    initialisation = "glorot"
    reach = 1.0

    @staticmethod
    def value(z):
        """The output."""
        return z

    @staticmethod
    def slope(z, a):
        """Its derivative by z."""
        return np.ones_like(z)


class Sigmoid:
    r""":math:`a = 1/(1+e^{-z})`.  Its slope is at most 1/4: errors shrink on their way back through many layers."""

    name = "sigmoid"
    initialisation = "glorot"
    reach = 4.0

    @staticmethod
    def value(z):
        """The output."""
        e = np.exp(-np.abs(z))
        return np.where(z >= 0, 1.0, e) / (1.0 + e)

    @staticmethod
    def slope(z, a):
        """Its derivative by z."""
        return a * (1.0 - a)


class Tanh:
    r""":math:`a = \tanh z`.  Its slope is at most 1, and near 0 where :math:`|z|` is above 3: the node is saturated."""

    name = "tanh"
    initialisation = "glorot"
    reach = 1.5

    @staticmethod
    def value(z):
        """The output."""
        return np.tanh(z)

    @staticmethod
    def slope(z, a):
        """Its derivative by z."""
        return 1.0 - a * a


class Relu:
    r""":math:`a = \max(z, 0)`.  A node whose z is negative for all samples has no gradient: it is dead.

    V. Nair and G. Hinton, *Rectified linear units improve restricted Boltzmann machines*, 2010.
    """

    name = "relu"
    initialisation = "he"
    reach = 1.414

    @staticmethod
    def value(z):
        """The output."""
        return np.maximum(z, 0.0)

    @staticmethod
    def slope(z, a):
        """Its derivative by z."""
        return (z > 0.0).astype(z.dtype)


class LeakyRelu:
    r""":math:`a = \max(z, 0.01 z)`: a relu that cannot die.

    A. Maas and others, *Rectifier nonlinearities improve neural network acoustic models*, 2013.
    """

    name = "leaky_relu"
    initialisation = "he"
    reach = 1.414

    @staticmethod
    def value(z):
        """The output."""
        return np.maximum(z, 0.01 * z)

    @staticmethod
    def slope(z, a):
        """Its derivative by z."""
        return np.where(z > 0.0, 1.0, 0.01).astype(z.dtype)


class Gelu:
    r""":math:`a = z\,\Phi(z)` with the normal distribution function :math:`\Phi`: a smooth relu.

    D. Hendrycks and K. Gimpel, *Gaussian error linear units*, 2016.
    """

    name = "gelu"
    initialisation = "he"
    reach = 1.414

    @staticmethod
    def value(z):
        """The output."""
        from scipy.special import erf

        return 0.5 * z * (1.0 + erf(z * 0.7071067811865476))

    @staticmethod
    def slope(z, a):
        """Its derivative by z."""
        from scipy.special import erf

        return 0.5 * (1.0 + erf(z * 0.7071067811865476)) + z * np.exp(-0.5 * z * z) * 0.3989422804014327


class Selu:
    r""":math:`a = \lambda z` for z > 0, else :math:`\lambda\alpha(e^z - 1)`: layers keep mean 0 and variance 1.

    G. Klambauer and others, *Self-normalizing neural networks*, 2017; with its own initialisation, LeCun's.
    """

    name = "selu"
    initialisation = "lecun"
    reach = 1.0

    @staticmethod
    def value(z):
        """The output."""
        return SCALE * (np.maximum(z, 0.0) + ALPHA * np.expm1(np.minimum(z, 0.0)))

    @staticmethod
    def slope(z, a):
        """Its derivative by z."""
        return np.where(z > 0.0, SCALE, a + SCALE * ALPHA).astype(z.dtype)


Activation = Any
ACTIVATIONS: dict[str, Activation] = {
    activation.name: activation for activation in (Identity, Sigmoid, Tanh, Relu, LeakyRelu, Gelu, Selu)
}
