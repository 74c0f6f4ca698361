"""Which curvatures a walk learns its metric from, and when to learn it anew: counted in readings of the rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from descender.methods.centred import Centred
from descender.methods.walker import Walker

DIAGONAL, PART, ALL = range(3)
"""How much of the curvatures a metric knows: one number a column, a matrix from a part of the rows, or from all."""
HESSIAN, SPARSE_HESSIAN = 50, 15
"""Columns for which a Hessian costs as much as a reading of its rows for value and gradient."""
DEAR = 2.0
"""Readings from which on a first Hessian is put off until L-BFGS in a diagonal metric is seen to need more."""
LEAST, FRESH, AGAIN = 3.0, (5, 1, 1), 6
"""Readings that a walk in a new metric needs anyway; those after which a metric of each kind is judged, and how many
of the last ones tell its pace."""


class Curvature:
    """The metric of a walker: from a `part` of its rows, those numbered `rows`, or all, as far as it pays.

    L-BFGS in the diagonal needs no matrix, and where columns are many and kind that is all that it takes.  What was
    learnt `before`, on some of the rows, it takes over.
    """

    def __init__(self, walker: Walker, part: Centred, rows: NDArray | None, before: Curvature | None = None):
        self.walker, self.part, self.rows = walker, part, rows
        dear = part.unit is not None and walker.l1 == 0 and self.price(part.n) > DEAR
        self.kind = DIAGONAL if dear and not (before and before.exact) else PART
        self.before = before
        self.trail: list[tuple[float, int]] = []

    def price(self, rows: int) -> float:
        """The readings of the walker's rows that a Hessian of so many costs."""
        d, n = self.part.d, self.walker.problem.n
        return d / (SPARSE_HESSIAN if self.part.unit is None else HESSIAN) * rows / n

    @property
    def exact(self) -> bool:
        """Whether the metric is a matrix."""
        return self.kind > DIAGONAL

    def learn(self, cautious: bool = False, share: float = 1.0) -> None:
        """Take the metric of the present kind from where the walker stands."""
        walker, part = self.walker, self.part
        scores = walker.reading.scores
        self.trail.clear()
        if self.kind == ALL:
            every = part if part.n >= walker.problem.n else walker.problem
            walker.learn(every.hessian(scores, cautious, unit=part.unit, whole=True), part.jitter)
            return
        scores = scores if self.rows is None else scores[self.rows]
        if self.kind == DIAGONAL:
            pairs = None if self.before is None else self.before.walker.pairs
            walker.learn_diagonal(part.curvatures(scores, cautious), pairs)
            self.before = None
        else:
            walker.learn(part.hessian(scores, cautious, share), part.jitter)

    def refine(self, cautious: bool = False) -> None:
        """Take the metric from a matrix, where it was a diagonal, from where the walker stands."""
        self.kind = max(self.kind, PART)
        self.learn(cautious)

    def improve(self, decrement: float, target: float) -> bool:
        """Learn another metric where that saves readings on the way to a decrement; whether it did."""
        self.trail.append((decrement, self.walker.reads))
        steps = min(len(self.trail) - 1, AGAIN)
        if decrement <= target or steps < FRESH[self.kind]:
            return False
        before, read = self.trail[-1 - steps]
        pace = (decrement / max(before, 1e-300)) ** (1.0 / max(self.walker.reads - read, steps))  # of a reading
        ahead = np.log(decrement / target) / -np.log(min(max(pace, 1e-3), 0.99))
        if ahead <= self.price(self.part.kept) + LEAST:
            return False
        whole = self.price(self.walker.problem.n) + LEAST
        larger = self.part.unit is not None and self.kind > DIAGONAL and ahead > whole
        self.kind = ALL if larger else max(self.kind, PART)
        self.learn()
        return True
