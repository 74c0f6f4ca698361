"""Each coordinate has a rate of its own, learnt from the size of its gradients."""

from typing import NamedTuple

import numpy as np


class AdaGrad(NamedTuple):
    r"""AdaGrad: a coordinate's rate falls with the sum of its squared gradients.

    .. math:: v \leftarrow v + g^2, \qquad w \leftarrow w - a\, \frac{g}{\sqrt{v} + \epsilon}

    J. Duchi, E. Hazan, Y. Singer, *Adaptive subgradient methods*, JMLR 2011.

    Wrong choice for long walks: its rates only ever fall.
    """

    epsilon: float = 1e-10

    slots = ("squares",)

    @staticmethod
    def formula(p, w, g, s, rate, t):
        """One step; `t` counts from 0."""
        v = s[0] + g * g
        return w - rate * g / (np.sqrt(v) + p.epsilon), (v,)


class RMSProp(NamedTuple):
    r"""RMSProp: AdaGrad that forgets.

    .. math:: v \leftarrow \rho v + (1-\rho)\, g^2, \qquad w \leftarrow w - a\, \frac{g}{\sqrt{v} + \epsilon}

    G. Hinton, *Neural networks for machine learning*, lecture 6e, 2012.

    Wrong choice where a precise answer is wanted: at a fixed rate its steps never become small.
    """

    rho: float = 0.99
    epsilon: float = 1e-8

    slots = ("squares",)

    @staticmethod
    def formula(p, w, g, s, rate, t):
        """One step; `t` counts from 0."""
        v = p.rho * s[0] + (1.0 - p.rho) * g * g
        return w - rate * g / (np.sqrt(v) + p.epsilon), (v,)


class Adam(NamedTuple):
    r"""Adam: averaged gradient over averaged size, both corrected for their start at zero.

    .. math::
        m \leftarrow \beta_1 m + (1-\beta_1) g, \quad v \leftarrow \beta_2 v + (1-\beta_2) g^2, \quad
        w \leftarrow w - a\, \frac{m/(1-\beta_1^{t+1})}{\sqrt{v/(1-\beta_2^{t+1})} + \epsilon}

    D. Kingma and J. Ba, *Adam: a method for stochastic optimization*, ICLR 2015.

    Wrong choice for smooth exact costs: L-BFGS needs a hundredth of the steps.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    slots = ("average", "squares")

    @staticmethod
    def formula(p, w, g, s, rate, t):
        """One step; `t` counts from 0."""
        m = p.beta1 * s[0] + (1.0 - p.beta1) * g
        v = p.beta2 * s[1] + (1.0 - p.beta2) * g * g
        size = np.sqrt(v / (1.0 - p.beta2 ** (t + 1.0))) + p.epsilon
        return w - rate * (m / (1.0 - p.beta1 ** (t + 1.0))) / size, (m, v)
