"""Points to go back to when a walk by batches is thrown about or leaves the finite numbers."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Vector

STEPS, ROWS = 64, 512
"""Costs are smoothed over as many steps, and at least as many rows."""
SOME = 16
"""Rows of a batch whose cost at the start says something of the others."""
THROWN, NEAR = 2.0, 1.1
"""Times its best at which a smoothed cost has been thrown about, and up to which a point is worth keeping."""
SHARE = 0.1
"""Of the first cost: what a cost must rise by.  Near 0 a cost may double without anything being wrong."""


class MeanPoint:
    r"""The mean of the last points of a walk, in which the noise of batches is averaged out.

    .. math:: \bar w \leftarrow \bar w + (1 - e^{-k/\tau})(w - \bar w)

    after every `k` steps, corrected for its start; :math:`\tau` is `memory` in steps.  Where the rate falls to 0, the
    mean of the last points is the last point.

    B. Polyak, A. Juditsky, *Acceleration of stochastic approximation by averaging*, 1992.
    """

    def __init__(self, w: Vector, memory: float):
        self.mean, self.memory = w.copy(), memory
        self.begin(w)

    def begin(self, w: Vector) -> None:
        """Forget what was: the walk goes on from here."""
        self.mean[:], self.ones, self.seen = w, 0.0, 0

    def see(self, w: Vector, steps: int) -> None:
        """Note the point after some more steps."""
        share = 1.0 - math.exp(-steps / self.memory)
        self.ones += share * (1.0 - self.ones)
        self.mean += w.dtype.type(share / self.ones) * (w - self.mean)

    def within(self, update: Callable[..., None], every: int) -> Callable[..., None]:
        """An update of a walk, after which every so many steps the new point is noted."""

        def step(new, *rest):
            update(new, *rest)
            if (rest[-1] + 1) % every == 0:
                self.see(new, every)
                self.seen += every

        return step

    def answer(self, w: Vector, steps: int) -> Vector:
        """The mean after a block of so many steps, a copy; those that were not noted yet end at `w`."""
        if steps > self.seen:
            self.see(w, steps - self.seen)
        self.seen = 0
        return self.mean.copy()


class Snapshots:
    """The last sound point of a walk by batches, and whether the walk must go back to it.

    It must where a cost is not finite; and, of a cost that is not convex, where the mean of the last costs is more than
    twice the lowest such mean, or the cost at the start, and higher by a tenth of the first cost.

    >>> kept = Snapshots(np.zeros(2), batch=64, judges=True)
    >>> kept.see(np.linspace(9.0, 1.0, 64), np.ones(2)), kept.see(np.full(64, 30.0), np.full(2, 9.0)), kept.w
    (False, True, array([1., 1.]))
    """

    def __init__(self, w: Vector, batch: int, judges: bool):
        self.w, self.step, self.judges, self.batch = w.copy(), 0, judges, batch
        self.width = max(STEPS, -(-ROWS // batch))
        self.costs: deque[float] = deque(maxlen=self.width)
        self.first, self.best = np.nan, np.inf

    def see(self, costs: NDArray[np.float64], w: Vector, step: int = 0) -> bool:
        """Note the costs of some steps and the point that they led to; whether to go back."""
        self.costs.extend(costs.tolist())
        if not len(self.costs):
            return False
        if np.isnan(self.first):
            self.first = abs(self.costs[0])
            self.best = self.costs[0] if self.batch >= SOME else np.inf
        if len(self.costs) < self.width:
            return False
        smooth = float(np.mean(self.costs))
        self.best = min(self.best, smooth)
        if self.judges and smooth > max(THROWN * self.best, self.best + SHARE * self.first):
            return True
        if smooth <= NEAR * self.best + 1e-300:
            self.w, self.step = w, step
        return False

    def back(self) -> None:
        """Begin to smooth anew, from the point that was kept."""
        self.costs.clear()
