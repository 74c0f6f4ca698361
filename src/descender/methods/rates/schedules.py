"""Rates that depend on the number of the step alone, and one that looks at the cost."""

from __future__ import annotations

import math
from typing import Any, NamedTuple


def half_wave(x):
    r""":math:`\sin^2(\pi x/2)`: from 0 at 0 to 1 at 1, exactly there, and to a few last digits between them.

    A polynomial through Chebyshev's points, which a compiler evaluates for several steps at once: a call of the cosine
    takes longer than a step of two variables.
    """
    v = x * x
    low = 1.5707963267948966 + v * (-0.6459640975062462 + v * (0.07969262624616565 - v * 0.004681754135304255))
    high = 3.5988430204672576e-06 - v * (
        5.6921364280986254e-08 - v * (6.684416831856085e-10 - v * 5.87297574479995e-12)
    )
    sine = x * (low + v * v * v * v * (0.0001604411847130916 - v * high))
    return sine * sine


class Constant(NamedTuple):
    """The same rate at every step."""

    rate: float

    @staticmethod
    def formula(q, t):
        """The rate of step `t`, counted from 0."""
        return q.rate


class InverseTime(NamedTuple):
    r""":math:`a_t = a_0 / (1 + \lambda t)`: slow enough to arrive anywhere, fast enough for noise to average out.

    H. Robbins and S. Monro, *A stochastic approximation method*, 1951.

    Wrong choice for exact gradients: nothing there must average out, and it slows the walk down.
    """

    rate: float
    decay: float = 0.01

    @staticmethod
    def formula(q, t):
        """The rate of step `t`, counted from 0."""
        return q.rate / (1.0 + q.decay * t)


class Exponential(NamedTuple):
    r""":math:`a_t = a_0 \gamma^t`.

    Wrong choice with too fast a decay: the rates sum to :math:`a_0/(1-\gamma)`, and may end before the bottom.
    """

    rate: float
    decay: float = 0.999

    @staticmethod
    def formula(q, t):
        """The rate of step `t`, counted from 0."""
        return q.rate * math.exp(t * math.log(max(q.decay, 1e-300)))


class Steps(NamedTuple):
    r""":math:`a_t = a_0 \gamma^{\lfloor t/k \rfloor}`: the rate falls all at once, every k steps.

    Wrong choice where nobody knows when: it must be told k, which `plateau` finds out.
    """

    rate: float
    every: float
    factor: float = 0.1

    ranges = {"every": (1.0, math.inf)}

    @staticmethod
    def formula(q, t):
        """The rate of step `t`, counted from 0."""
        return q.rate * math.pow(q.factor, math.floor(t / q.every))


class InverseScaling(NamedTuple):
    r""":math:`a_t = a_0 / (1 + m \lfloor t/k \rfloor)^p`: every k steps the rate falls, by a power of what was done.

    With k the steps and m the samples of an epoch it is scikit-learn's "invscaling", which counts samples.

    Wrong choice for many samples: after the first epoch the rate is divided by the root of their number.
    """

    rate: float
    every: float = 1.0
    counted: float = 1.0
    power: float = 0.5

    ranges = {"every": (1.0, math.inf)}

    @staticmethod
    def formula(q, t):
        """The rate of step `t`, counted from 0."""
        return q.rate / math.pow(1.0 + q.counted * math.floor(t / q.every), q.power)


class Cosine(NamedTuple):
    r"""Half a wave from the rate down to the lowest one, at step n and after.

    .. math:: a_t = a_n + \tfrac12 (a_0 - a_n)\bigl(1 + \cos(\pi \min(t, n)/n)\bigr)

    I. Loshchilov and F. Hutter, *SGDR: stochastic gradient descent with warm restarts*, ICLR 2017.

    Wrong choice for a walk of unknown length: it must be told n.
    """

    rate: float
    steps: float
    lowest: float = 0.0

    ranges = {"steps": (1.0, math.inf)}

    @staticmethod
    def formula(q, t):
        """The rate of step `t`, counted from 0."""
        return q.lowest + (q.rate - q.lowest) * half_wave(1.0 - min(t, q.steps) / q.steps)


class OneCycle(NamedTuple):
    r"""Up to the rate and down again within n steps, by half waves.

    .. math::
        a_t = u + \tfrac12 (v - u)\bigl(1 - \cos(\pi x)\bigr), \quad (u, v, x) = \begin{cases}
        (a/25,\ a,\ t/k) & t \le k = 0.3\,n - 1 \\ (a,\ a/250000,\ (t - k)/(n - 1 - k)) & \text{after} \end{cases}

    where 0.3 is the `share` of steps that go up, 25 the part of the rate at the `start`, and 25 times `end` at the end.

    L. N. Smith and N. Topin, *Super-convergence: very fast training of neural networks using large learning rates*,
    2018; the form is PyTorch's.

    Wrong choice for a walk of unknown length: it must be told n.
    """

    rate: float
    steps: float
    share: float = 0.3
    start: float = 25.0
    end: float = 1e4

    ranges = {
        "steps": (2.0, math.inf), "share": (0.0, 1.0), "start": (1.0, math.inf), "end": (1.0, math.inf),
    }  # fmt: skip

    @staticmethod
    def formula(q, t):
        """The rate of step `t`, counted from 0."""
        peak = max(q.share * q.steps - 1.0, 1.0)
        up = t <= peak
        first = q.rate / q.start if up else q.rate
        last = q.rate if up else q.rate / q.start / q.end
        x = t / peak if up else min((t - peak) / max(q.steps - 1.0 - peak, 1.0), 1.0)
        return first + (last - first) * half_wave(x)


class WarmUp(NamedTuple):
    r"""A schedule behind a ramp: :math:`a_t = \frac{t+1}{n}\, a` for :math:`t < n`, then the schedule from its start.

    ``"warm-up 100 cosine 0.1 1000"`` climbs to 0.1 in 100 steps and then follows the cosine.
    P. Goyal and others, *Accurate, large minibatch SGD: training ImageNet in 1 hour*, 2017.

    Wrong choice where the first gradients are as good as any: it wastes the ramp.
    """

    steps: float
    then: Any

    ranges = {"steps": (1.0, math.inf)}

    @staticmethod
    def formula(q, t):
        """The rate of step `t`, counted from 0."""
        return min((t + 1.0) / q.steps, 1.0) * q.then.formula(q.then, max(t - q.steps, 0.0))


class OnPlateau(NamedTuple):
    r"""The rate falls by a factor when the cost has not fallen for a while.

    After more than `patience` costs in a row that are not below the best one by a share of it (`threshold`), the rate
    is multiplied by `factor`, down to `lowest`, and `cooldown` costs are let pass.  With batches a cost is the mean
    over `every` steps, by default an epoch.  The form is that of PyTorch's ReduceLROnPlateau.

    Wrong choice where the cost is flat before it falls: on a plateau a smaller rate is the wrong way.
    """

    rate: float
    factor: float = 0.1
    patience: float = 10.0
    threshold: float = 1e-4
    cooldown: float = 0.0
    lowest: float = 0.0
    every: float = 0.0

    memory = ("best", "bad", "cooling", "now", "sum", "count", "looks")
    ranges = {"factor": (1e-30, 1.0)}

    @staticmethod
    def formula(q, value, m):
        """The rate of a step from a point with this cost, and what is remembered."""
        now = m[3] if m[3] > 0.0 else q.rate
        total = m[4] + value
        count = m[5] + 1.0
        full = count >= q.every
        mean = total / count
        better = full and (m[6] == 0.0 or mean < m[0] - q.threshold * abs(m[0]))
        best = mean if better else m[0]
        cooling = full and m[2] > 0.0
        bad = 0.0 if better or cooling else m[1] + 1.0 if full else m[1]
        falls = full and bad > q.patience
        now = min(now, max(now * q.factor, q.lowest)) if falls else now
        left = q.cooldown if falls else m[2] - 1.0 if cooling else m[2]
        looks = m[6] + 1.0 if full else m[6]
        return now, (best, 0.0 if falls else bad, left, now, 0.0 if full else total, 0.0 if full else count, looks)
