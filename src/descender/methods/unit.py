"""What a tolerance is relative to."""

from __future__ import annotations

import numpy as np

from descender.costs.certificate import cost_scale
from descender.costs.risk import Risk


class Unit:
    """The unit of ``tol``: the cost, or a thousandth of its scale where that is more.

    At the score 0 the cost is at most `ceiling`; the scale, which takes a while, counts only far below that.
    """

    def __init__(self, cost: Risk, ceiling: float = np.inf):
        self.cost, self.ceiling = cost, ceiling
        self.scale: float | None = None

    def of(self, value: float) -> float:
        """The unit where the cost is that."""
        if self.scale is None and not abs(value) >= self.ceiling / 1000.0:
            self.scale = cost_scale(self.cost)
        return max(abs(value), (self.scale or 0.0) / 1000.0)
