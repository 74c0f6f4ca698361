"""Which curvatures a walk learns its metric from, and when to learn it anew: counted in readings of the rows."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender.costs.losses import Loss
from descender.methods.centred import Centred
from descender.methods.lbfgs import Pairs
from descender.methods.metrics import Corrected, Diagonal, Metric, Products, gram_readings
from descender.methods.walker import Walker

DIAGONAL, PRODUCTS, PART, ALL = range(4)
"""How much of the curvatures a metric knows: one number a column, products with a part of the rows, the matrix that
these make, or that of all rows."""
SPARSE_HESSIAN = 15
"""Columns for which a Hessian of sparse rows, or in float64, costs as much as a reading of them."""
DEAR = 2.0
"""Readings from which on a first Hessian is put off until L-BFGS in a diagonal metric is seen to need more."""
MOST_PRODUCTS, LEFT = 10, 0.1
"""The products that a solution takes at most, where it needs more a matrix is worth it; and the share of the right
side, squared, that it may leave: the rows that are not in the part change more."""
UNBOUNDED = 8.0
"""The same where nothing bounds the curvatures of the loss."""
LEAST, FRESH, AGAIN = 3.0, (5, 3, 1, 1), 6
"""Readings that a walk in a new metric needs anyway; those after which a metric of each kind is judged, and how many
of the last ones tell its pace."""


def dearest(loss: Loss) -> float:
    """The readings that a first Hessian may cost: more where no bound keeps curvatures near those of a diagonal."""
    return DEAR if math.isfinite(loss.curvature_bound) else UNBOUNDED


class Learnt(NamedTuple):
    """What a walk has learnt of curvatures: the pairs of its steps, and whether a matrix is worth it from here on."""

    pairs: Pairs
    exact: bool


class Curvature:
    """The metric of a walker: from a `part` of its rows, those numbered `rows`, or all, as far as it pays.

    L-BFGS in the diagonal needs no matrix, and where columns are many and kind that is all that it takes.  What was
    learnt `before`, on some of the rows, it takes over.
    """

    def __init__(self, walker: Walker, part: Centred, rows: NDArray | None, before: Learnt | None = None):
        self.walker, self.part, self.rows = walker, part, rows
        dear = part.unit is not None and walker.l1 == 0 and not part.tied and self.price(part.n) > dearest(part.loss)
        known = before is not None and before.exact
        self.kind = PART if known or not dear else DIAGONAL if rows is None or part.n >= walker.problem.n else PRODUCTS
        self.before = before
        self.trail: list[tuple[float, float]] = []

    def price(self, rows: int) -> float:
        """The readings of the walker's rows that a Hessian of so many costs."""
        d, n = self.part.d, self.walker.problem.n
        return d / SPARSE_HESSIAN * rows / n if self.part.unit is None else gram_readings(rows, n, d)

    @property
    def read(self) -> float:
        """The readings that the walk took, products with the part among them."""
        metric, share = self.walker.metric, self.part.n / self.walker.problem.n
        return self.walker.reads + (share * metric.count if isinstance(metric, Products) else 0.0)

    @property
    def exact(self) -> bool:
        """Whether the metric is a matrix."""
        return self.kind >= PART

    @property
    def learnt(self) -> Learnt:
        """What another walk may take over."""
        return Learnt(self.walker.pairs, self.exact)

    @property
    def sound(self) -> bool:
        """Whether the metric knows how columns bend the cost together."""
        return self.kind >= PRODUCTS

    def inner(self) -> Metric:
        """The metric in which equations of the part are solved by conjugate gradients."""
        return self.walker if self.kind != PRODUCTS else self.within

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
        if self.kind <= PRODUCTS:
            pairs = None if self.before is None else self.before.pairs
            diagonal = part.curvatures(scores, cautious)
            if self.kind == DIAGONAL:
                walker.learn_diagonal(diagonal, pairs)
            else:
                self.within = Corrected(Diagonal(diagonal, least=0.0), pairs)
                walker.learn_products(self._products(part.weights(scores, cautious)))
            self.before = None
        else:
            walker.learn(part.hessian(scores, cautious, share), part.jitter)

    def _products(self, h: NDArray) -> Products:
        part = self.part
        ridge = np.where(np.arange(part.size) < part.d, part.l2, 0.0)
        return Products(lambda p: part.product(h, p) + ridge * p, self.within.solve, MOST_PRODUCTS, LEFT)

    def _kept(self) -> int:
        """The rows of which the matrix would be made."""
        scores = self.walker.reading.scores
        return self.part.worth(scores if self.rows is None else scores[self.rows])

    def refine(self, cautious: bool = False) -> None:
        """Take the metric from a matrix, where it was a diagonal, from where the walker stands."""
        self.kind = max(self.kind, PART)
        self.learn(cautious)

    def improve(self, decrement: float, target: float) -> bool:
        """Learn another metric where that saves readings on the way to a decrement; whether it did."""
        metric = self.walker.metric
        if isinstance(metric, Products) and metric.short:
            self.refine()
            return True
        self.trail.append((decrement, self.read))
        steps = min(len(self.trail) - 1, AGAIN)
        if decrement <= target or steps < FRESH[self.kind]:
            return False
        before, read = self.trail[-1 - steps]
        pace = (decrement / max(before, 1e-300)) ** (1.0 / max(self.read - read, steps))  # of a reading
        ahead = np.log(decrement / target) / -np.log(min(max(pace, 1e-3), 0.99))
        # products know what the matrix would
        whole, known = self.price(self.walker.problem.n) + LEAST, self.exact or self.kind == PRODUCTS
        if ahead <= LEAST or ahead <= (whole if self.kind == PRODUCTS else self.price(self._kept()) + LEAST):
            return False
        larger = self.part.unit is not None and known and ahead > whole
        self.kind = ALL if larger else max(self.kind, PART)
        self.learn()
        return True
