"""Rates that are tried: a step that does not lower the cost enough is taken again, shorter.

``formula`` gives the first rate to try, ``ceiling`` what the cost must come below, the slope's promise aside.
"""

from __future__ import annotations

import math
from typing import NamedTuple

FRACTION = (1e-300, 1.0)
"""Strictly between 0 and 1."""


class Backtracking(NamedTuple):
    r"""The longest rate of :math:`a, a\beta, a\beta^2 \dots` whose step lowers the cost enough.

    .. math:: J(w^+) \le J(w) + c\, g \cdot (w^+ - w)

    where :math:`a` is the rate accepted last, over :math:`\beta` or times `grow`.  It needs exact costs, and works with
    any rule: where what the rule remembers leads uphill, :math:`g \cdot (w^+ - w) > 0`, it is forgotten and the step
    taken again.
    L. Armijo, *Minimization of functions having Lipschitz continuous first partial derivatives*, 1966.

    Wrong choice where each evaluation is dear: it tries about two rates a step.
    """

    rate: float = 1.0
    shrink: float = 0.5
    share: float = 1e-4
    grow: float = 0.0

    exact = True
    ranges = {"shrink": FRACTION, "share": FRACTION}

    @staticmethod
    def formula(q, last):
        """The rate that is tried first; `last` is the rate of the last step, 0 at the start."""
        longer = last * q.grow if q.grow > 0.0 else last / q.shrink
        return min(longer, 1e200) if last > 0.0 else q.rate

    @staticmethod
    def ceiling(value):
        """What the cost must come below, the slope's promise aside."""
        return value


class BarzilaiBorwein(NamedTuple):
    r"""The inverse of the curvature along the last step: two points tell what one cannot.

    .. math:: a = \frac{s \cdot s}{s \cdot y}, \qquad s = w - w_{-1}, \quad y = g - g_{-1}

    The cost need only come below a mean of past costs, so that it may rise now and then; from there the rate is halved.
    Where the curvature is not positive, the last rate is doubled.  J. Barzilai and J. Borwein, *Two-point step size
    gradient methods*, 1988; H. Zhang and W. Hager, *A nonmonotone line search technique*, 2004.

    Wrong choice for batches: the difference of two noisy gradients tells nothing.
    """

    rate: float = 1.0
    shrink: float = 0.5
    share: float = 1e-4
    keep: float = 0.85

    memory = ("ceiling", "weight")
    exact = True
    along_gradient = True
    ranges = {
        "shrink": FRACTION, "share": FRACTION, "keep": (0.0, 1.0),
    }  # fmt: skip

    @staticmethod
    def terms(w, g, w_before, g_before):
        """What is summed: the squares of the last step, and its products with the change of the gradient."""
        return (w - w_before) * (w - w_before), (w - w_before) * (g - g_before)

    @staticmethod
    def formula(q, value, sums, m, last):
        """The rate that is tried first, and what is remembered."""
        weight = q.keep * m[1] + 1.0
        ceiling = (q.keep * m[1] * m[0] + value) / weight
        found = sums[0] / sums[1] if sums[1] > 0.0 else last / q.shrink
        return found if last > 0.0 and 0.0 < found < math.inf else max(last, q.rate), (ceiling, weight)

    @staticmethod
    def ceiling(m):
        """What the cost must come below, the slope's promise aside."""
        return m[0]


class BarzilaiBorweinShort(NamedTuple):
    r"""The shorter form of `barzilai-borwein`, which the largest curvatures decide.

    .. math:: a = \frac{s \cdot y}{y \cdot y}, \qquad s = w - w_{-1}, \quad y = g - g_{-1}

    J. Barzilai and J. Borwein, *Two-point step size gradient methods*, 1988.

    Wrong choice for batches: the difference of two noisy gradients tells nothing.
    """

    rate: float = 1.0
    shrink: float = 0.5
    share: float = 1e-4
    keep: float = 0.85

    memory = BarzilaiBorwein.memory
    exact = True
    along_gradient = True
    ranges = BarzilaiBorwein.ranges
    ceiling = staticmethod(BarzilaiBorwein.ceiling)

    @staticmethod
    def terms(w, g, w_before, g_before):
        """What is summed: the squares of the gradient's change, and its products with the last step."""
        return (g - g_before) * (g - g_before), (w - w_before) * (g - g_before)

    @staticmethod
    def formula(q, value, sums, m, last):
        """The rate that is tried first, and what is remembered."""
        weight = q.keep * m[1] + 1.0
        ceiling = (q.keep * m[1] * m[0] + value) / weight
        found = sums[1] / sums[0] if sums[1] > 0.0 else last / q.shrink
        return found if last > 0.0 and 0.0 < found < math.inf else max(last, q.rate), (ceiling, weight)
