"""Each coordinate has a rate of its own, learnt from the size of its gradients."""

import math
from typing import NamedTuple

import numpy as np

POSITIVE = (0.0, math.inf)
"""A number that may be as large as one likes."""


class AdaGrad(NamedTuple):
    r"""AdaGrad: a coordinate's rate falls with the sum of its squared gradients.

    .. math:: v \leftarrow v + g^2, \qquad w \leftarrow w - a\, \frac{g}{\sqrt{v} + \epsilon}

    J. Duchi, E. Hazan, Y. Singer, *Adaptive subgradient methods*, JMLR 2011.

    Wrong choice for long walks: its rates only ever fall.
    """

    epsilon: float = 1e-10

    slots = ("squares",)
    natural_rate = 0.01
    ranges = {"epsilon": POSITIVE}

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
    natural_rate = 0.01
    ranges = {"epsilon": POSITIVE}

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
    memory = ("ones1", "ones2")
    natural_rate = 0.01
    ranges = {"epsilon": POSITIVE}

    @staticmethod
    def remember(p, m):
        """The same averages of ones: what the averages would be of gradients that are 1."""
        return p.beta1 * m[0] + (1.0 - p.beta1), p.beta2 * m[1] + (1.0 - p.beta2)

    @staticmethod
    def formula(p, w, g, s, rate, m):
        """One step."""
        mean = p.beta1 * s[0] + (1.0 - p.beta1) * g
        v = p.beta2 * s[1] + (1.0 - p.beta2) * g * g
        root = m[1] ** 0.5  # numbers before vectors: a long vector is read as seldom as can be
        return w - rate * root / m[0] * mean / (np.sqrt(v) + p.epsilon * root), (mean, v)


class AdaDelta(NamedTuple):
    r"""AdaDelta: the sizes of past steps over the sizes of past gradients, so that a step has the unit of w.

    .. math::
        v \leftarrow \rho v + (1-\rho)\, g^2, \quad d = \sqrt{\frac{u + \epsilon}{v + \epsilon}}\, g, \quad
        u \leftarrow \rho u + (1-\rho)\, d^2, \quad w \leftarrow w - a\, d

    M. D. Zeiler, *ADADELTA: an adaptive learning rate method*, 2012; its learning rate is 1.

    Wrong choice when in a hurry: the first steps are about :math:`\sqrt{\epsilon}` long.
    """

    rho: float = 0.9
    epsilon: float = 1e-6

    slots = ("squares", "steps")
    natural_rate = 1.0
    ranges = {"epsilon": POSITIVE}

    @staticmethod
    def formula(p, w, g, s, rate, t):
        """One step; `t` counts from 0."""
        v = p.rho * s[0] + (1.0 - p.rho) * g * g
        d = np.sqrt((s[1] + p.epsilon) / (v + p.epsilon)) * g
        return w - rate * d, (v, p.rho * s[1] + (1.0 - p.rho) * d * d)


class AdaMax(NamedTuple):
    r"""AdaMax: Adam whose size is the largest gradient of late, in place of a mean of squares.

    .. math::
        m \leftarrow \beta_1 m + (1-\beta_1) g, \quad u \leftarrow \max(\beta_2 u,\ \lvert g \rvert + \epsilon), \quad
        w \leftarrow w - \frac{a}{1-\beta_1^{t+1}}\, \frac{m}{u}

    D. Kingma and J. Ba, *Adam: a method for stochastic optimization*, ICLR 2015, section 7.

    Wrong choice where a gradient may be far too large once: it is remembered for a thousand steps.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    slots = ("average", "largest")
    memory = ("ones1", "ones2")
    remember = staticmethod(Adam.remember)
    natural_rate = 0.01
    ranges = {"epsilon": POSITIVE}

    @staticmethod
    def formula(p, w, g, s, rate, m):
        """One step."""
        mean = p.beta1 * s[0] + (1.0 - p.beta1) * g
        u = np.maximum(p.beta2 * s[1], np.abs(g) + p.epsilon)
        return w - rate / m[0] * mean / u, (mean, u)


class AMSGrad(NamedTuple):
    r"""AMSGrad: Adam whose rates never rise again.

    .. math::
        m \leftarrow \beta_1 m + (1-\beta_1) g, \quad v \leftarrow \beta_2 v + (1-\beta_2) g^2, \quad
        \hat v \leftarrow \max(\hat v, v), \quad
        w \leftarrow w - a\, \frac{m/(1-\beta_1^{t+1})}{\sqrt{\hat v/(1-\beta_2^{t+1})} + \epsilon}

    S. Reddi, S. Kale, S. Kumar, *On the convergence of Adam and beyond*, ICLR 2018; corrected for the start as PyTorch
    does it.

    Wrong choice after a steep start: the largest gradients hold all later steps short.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    slots = ("average", "squares", "largest")
    memory = ("ones1", "ones2")
    remember = staticmethod(Adam.remember)
    natural_rate = 0.01
    ranges = {"epsilon": POSITIVE}

    @staticmethod
    def formula(p, w, g, s, rate, m):
        """One step."""
        mean = p.beta1 * s[0] + (1.0 - p.beta1) * g
        v = p.beta2 * s[1] + (1.0 - p.beta2) * g * g
        largest = np.maximum(s[2], v)
        root = m[1] ** 0.5
        return w - rate * root / m[0] * mean / (np.sqrt(largest) + p.epsilon * root), (mean, v, largest)


class NAdam(NamedTuple):
    r"""NAdam: Adam that looks ahead, as Nesterov's momentum does.

    .. math::
        w \leftarrow w - a\, \Bigl(\frac{(1-\mu_t)\, g}{1 - \prod_{i \le t} \mu_i}
        + \frac{\mu_{t+1}\, m}{1 - \prod_{i \le t+1} \mu_i}\Bigr) \Big/ \Bigl(\sqrt{\hat v} + \epsilon\Bigr),
        \qquad \mu_t = \beta_1 \bigl(1 - \tfrac12\, \gamma^{t+1}\bigr)

    with Adam's m and :math:`\hat v = v/(1-\beta_2^{t+1})`; :math:`\gamma = 0.96^{0.004}`.
    T. Dozat, *Incorporating Nesterov momentum into Adam*, ICLR 2016 workshop; the form is PyTorch's.

    Wrong choice for very noisy gradients, where looking ahead amplifies the noise.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    gamma: float = 0.96**0.004

    slots = ("average", "squares")
    memory = ("ones1", "ones2", "ones3", "of_gradient", "of_mean", "floor")
    natural_rate = 0.01
    ranges = {"epsilon": POSITIVE}

    @staticmethod
    def remember(p, m):
        """One minus the products of all weights, of beta2 and of gamma; what is taken of g and m; epsilon's part."""
        ones2 = p.beta2 * m[1] + (1.0 - p.beta2)
        ones3 = p.gamma * m[2] + (1.0 - p.gamma)
        weight = p.beta1 * (0.5 + 0.5 * ones3)
        next_weight = p.beta1 * (0.5 + 0.5 * (p.gamma * ones3 + (1.0 - p.gamma)))
        ones1 = 1.0 - (1.0 - m[0]) * weight
        next_ones1 = 1.0 - (1.0 - ones1) * next_weight
        root = np.sqrt(ones2)
        over = root / (ones1 * next_ones1)  # one division: they are slow, and here nothing can overflow
        of_gradient, of_mean = over * next_ones1 * (1.0 - weight), over * ones1 * next_weight
        return ones1, ones2, ones3, of_gradient, of_mean, p.epsilon * root

    @staticmethod
    def formula(p, w, g, s, rate, m):
        """One step."""
        mean = p.beta1 * s[0] + (1.0 - p.beta1) * g
        v = p.beta2 * s[1] + (1.0 - p.beta2) * g * g
        return w - rate * (m[3] * g + m[4] * mean) / (np.sqrt(v) + m[5]), (mean, v)


class AdamW(NamedTuple):
    r"""AdamW: Adam, and apart from it weights that shrink.

    .. math::
        w \leftarrow (1 - a \lambda)\, w - a\, \frac{m/(1-\beta_1^{t+1})}{\sqrt{v/(1-\beta_2^{t+1})} + \epsilon}

    with Adam's m and v.  The decay :math:`\lambda` is no l2 penalty: large gradients do not weaken it.
    I. Loshchilov and F. Hutter, *Decoupled weight decay regularization*, ICLR 2019.

    Wrong choice where the minimum of the cost itself is wanted: it ends elsewhere.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    decay: float = 0.01

    slots = ("average", "squares")
    memory = ("ones1", "ones2")
    remember = staticmethod(Adam.remember)
    natural_rate = 0.01
    ranges = {"epsilon": POSITIVE, "decay": POSITIVE}

    @staticmethod
    def formula(p, w, g, s, rate, m):
        """One step."""
        mean = p.beta1 * s[0] + (1.0 - p.beta1) * g
        v = p.beta2 * s[1] + (1.0 - p.beta2) * g * g
        root = m[1] ** 0.5
        step = rate * root / m[0] * mean / (np.sqrt(v) + p.epsilon * root)
        return w * (1.0 - rate * p.decay) - step, (mean, v)


class Lion(NamedTuple):
    r"""Lion: the sign of an average of gradients, found by a search over programs.

    .. math::
        w \leftarrow w - a\,\bigl(\operatorname{sign}(\beta_1 m + (1-\beta_1) g) + \lambda w\bigr), \qquad
        m \leftarrow \beta_2 m + (1-\beta_2) g

    X. Chen and others, *Symbolic discovery of optimization algorithms*, NeurIPS 2023.

    Wrong choice near the bottom at a fixed rate: it never comes closer than the length of a step.
    """

    beta1: float = 0.9
    beta2: float = 0.99
    decay: float = 0.0

    slots = ("average",)
    natural_rate = 0.001
    ranges = {"decay": POSITIVE}

    @staticmethod
    def formula(p, w, g, s, rate, t):
        """One step; `t` counts from 0."""
        step = np.sign(p.beta1 * s[0] + (1.0 - p.beta1) * g) + p.decay * w
        return w - rate * step, (p.beta2 * s[0] + (1.0 - p.beta2) * g,)


class Prodigy(NamedTuple):
    r"""Prodigy: Adam that finds its own learning rate, from an estimate d of how far away the bottom is.

    .. math::
        a_t = a\, d\, \frac{\sqrt{1-\beta_2^{t+1}}}{1-\beta_1^{t+1}}, \quad
        m \leftarrow \beta_1 m + (1-\beta_1)\, d g, \quad v \leftarrow \beta_2 v + (1-\beta_2)\, d^2 g^2, \\
        r \leftarrow \sqrt{\beta_2}\, r + \tfrac{d}{d_0} a_t\, g \cdot (w_0 - w), \quad
        s \leftarrow \sqrt{\beta_2}\, s + \tfrac{d}{d_0} a_t\, g, \quad
        d^+ = \max\Bigl(d, \frac{r}{\lVert s \rVert_1}\Bigr), \quad
        w \leftarrow w - a_t \frac{m}{\sqrt v + d^+ \epsilon}

    The learning rate a stays 1.  K. Mishchenko and A. Defazio, *Prodigy: an expeditiously adaptive parameter-free
    learner*, ICML 2024; the form is optax's.

    Wrong choice where costs are exact and few: L-BFGS knows curvature, Prodigy only distance.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    first: float = 1e-6

    slots = ("average", "squares", "weighted")
    memory = ("next_distance", "distance", "numerator", "ones1", "ones2", "step")
    natural_rate = 1.0
    unsearched = True
    ranges = {"epsilon": POSITIVE, "first": (1e-30, math.inf)}

    @staticmethod
    def terms(p, w, g, s, origin, m, rate):
        """What is summed: the gradient along the way back to the start, and the size of the sum of gradients."""
        d = np.maximum(m[0], p.first)
        step = rate * d * np.sqrt(p.beta2 * m[4] + (1.0 - p.beta2)) / (p.beta1 * m[3] + (1.0 - p.beta1))
        return g * (origin - w), np.abs(p.beta2**0.5 * s[2] + step * (d * g) / p.first)

    @staticmethod
    def remember(p, sums, m, rate):
        """The distance for the next step, for this one, the numerator of its estimate; averages of ones; the step."""
        d = np.maximum(m[0], p.first)
        ones1 = p.beta1 * m[3] + (1.0 - p.beta1)
        ones2 = p.beta2 * m[4] + (1.0 - p.beta2)
        step = rate * d * np.sqrt(ones2) / ones1
        numerator = np.sqrt(p.beta2) * m[2] + d / p.first * step * sums[0]
        return np.maximum(d, numerator / np.maximum(sums[1], 1e-300)), d, numerator, ones1, ones2, step

    @staticmethod
    def formula(p, w, g, s, m):
        """One step."""
        d = m[1]
        step = m[5]
        mean = p.beta1 * s[0] + (1.0 - p.beta1) * (d * g)
        v = p.beta2 * s[1] + (1.0 - p.beta2) * (d * g) * (d * g)
        total = p.beta2**0.5 * s[2] + step * (d * g) / p.first
        return w - step * mean / (np.sqrt(v) + m[0] * p.epsilon), (mean, v, total)
