r"""The quadratic model of a risk on some of its columns, and its minimum with an l1 penalty.

Where the columns are few, coordinate descent walks on the matrix of their curvatures; else on the rows themselves,
where a sweep reads each entry twice.  That crawls where columns are alike: once the support stands, and with it the
signs, the model is a system of equations on the support, which its matrix, or conjugate gradients, solve.

J. Friedman, T. Hastie, R. Tibshirani, *Regularization paths for generalized linear models via coordinate descent*,
2010; G.-X. Yuan, C.-H. Ho, C.-J. Lin, *An improved GLMNET for l1-regularized logistic regression*, JMLR 2012.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Vector
from descender.kernels.coordinates import minimise_quadratic
from descender.methods.columns import Columns, SparseColumns
from descender.methods.lasso import lasso
from descender.methods.metrics import Dense

GRAM, LARGE_GRAM, DEAR = 700, 3000, 30
"""Columns up to which coordinate descent walks on the matrix of curvatures; and up to which it does so where the
matrix has no more numbers than the rows, and the pairs that it is summed over are at most so many times the entries."""
ON_MATRIX, ON_ROWS = 1e-5, 0.05
"""The share of a model's decrease below which a sweep ends its solution."""
EXCHANGED = 300
"""Columns of dense rows up to which exchanges of the support are quicker than compiled loops, and wait for none."""
SWEEPS = 60
CONJUGATE, SHARPER = 100, 1e-5
"""Steps of conjugate gradients on a support that stands; the share of the residuals' square at which they end."""
DIRECT = 3000
"""Columns up to which these equations are solved by their matrix."""
LEAVING = 10
"""How often weights that want to change their signs are left at zero, and the others solved for again."""


class Penalty(NamedTuple):
    """The strengths, and whether there is an intercept, which is free."""

    l1: float
    l2: float
    intercept: bool


class Model(Protocol):
    """What a walk asks of a model."""

    known: bool
    rows: Any

    def times(self, p: Vector) -> NDArray:
        """The change of the scores along p."""

    def spread(self, r: NDArray) -> Vector:
        """The sum over rows of r x, with x = 1 for the intercept."""

    def learn(self, h: NDArray, damping: float) -> None:
        """Take the curvatures of the rows."""

    def minimise(self, g: Vector, w: Vector, slack: float, stands: bool) -> Vector:
        """The step to the minimum of the model with the penalty; `stands` tells that the last left the support."""


class OnColumns:
    """What the models share: some columns, and a strength of the penalty for each coordinate."""

    def __init__(self, rows: Columns, penalty: Penalty):
        self.rows, self.k, self.free = rows, rows.d, int(penalty.intercept)
        self.l1 = np.append(np.full(self.k, penalty.l1), np.zeros(self.free))
        self.l2 = np.append(np.full(self.k, penalty.l2), np.zeros(self.free))
        self.strength = penalty.l1
        self.known = False

    def times(self, p: Vector) -> NDArray:
        """The change of the scores along p."""
        return self.rows.scores(p[: self.k], float(p[self.k]) if self.free else 0.0)

    def spread(self, r: NDArray) -> Vector:
        """The sum over rows of r x, with x = 1 for the intercept."""
        return np.append(self.rows.spread(r), np.full(self.free, r.sum()))

    def matrix(self, h: NDArray, damping: float) -> NDArray:
        """The matrix of curvatures."""
        H, edge = self.rows.moment(h)
        if self.free:
            H = np.block([[H, edge[:, None]], [edge[None, :], np.full((1, 1), h.sum())]])
        diagonal = np.diag_indices_from(H)
        H[diagonal] = (H[diagonal] + self.l2) * (1.0 + damping)
        return H


class OnMatrix(OnColumns):
    """The matrix of curvatures: it is kept while it serves."""

    def learn(self, h: NDArray, damping: float) -> None:
        """Take the curvatures of the rows."""
        self.H, self.known = self.matrix(h, damping), True

    def minimise(self, g: Vector, w: Vector, slack: float, stands: bool) -> Vector:
        """The step to the minimum of the model with the penalty."""
        if isinstance(self.rows, SparseColumns) or len(w) > EXCHANGED:
            return minimise_quadratic(self.H, g, w, self.l1, rest=ON_MATRIX, slack=slack)
        return lasso(self.H, self.H @ w - g, w, self.l1) - w


class OnRows(OnColumns):
    """The rows, column by column, with their curvatures."""

    def __init__(self, rows: SparseColumns, penalty: Penalty):
        super().__init__(rows, penalty)
        self.loops, self.upright = rows.loops, rows.stand_up()
        self.scaled = np.empty(len(rows.value))

    def learn(self, h: NDArray, damping: float) -> None:
        """Take the curvatures of the rows."""
        self.h, self.damping, squares = h, damping, np.zeros(self.k)
        self.H: NDArray | None = None
        self.loops.scale(*self.upright, h, self.scaled, squares)
        self.curvature = (np.append(squares, np.full(self.free, h.sum())) + self.l2) * (1.0 + damping)

    def minimise(self, g: Vector, w: Vector, slack: float, stands: bool) -> Vector:
        """The step to the minimum of the model with the penalty, refined where the support `stands`."""
        p, t = np.zeros_like(w), np.zeros(self.rows.n)
        self.loops.descend(
            *self.upright, self.scaled, self.h, self.curvature, g, float(self.l2[0]), self.strength, w, p, t,
            SWEEPS, ON_ROWS, slack,
        )  # fmt: skip
        return self._refined(g, w, p, slack) if stands else p

    def _refined(self, g: Vector, w: Vector, p: Vector, slack: float) -> Vector:
        """A step p moved to the minimum on its support; a weight that would change its sign is left at 0."""
        for _ in range(LEAVING):
            x = self._on_support(g, w, p, slack)
            there = w + p
            crosses = (self.l1 > 0) & (there * (there + x) < 0)
            if not crosses.any():
                return p + x
            moved = p + np.where(crosses, -there, x)
            if not self._model(g, w, moved) < self._model(g, w, p):
                share = float((-there[crosses] / x[crosses]).min())
                return p + share * x
            p = moved
        return p

    def _model(self, g: Vector, w: Vector, p: Vector) -> float:
        """What the model and the penalty are after a step."""
        dz = self.times(p)
        smooth = float(g @ p) + 0.5 * float(self.h @ (dz * dz)) + 0.5 * float(self.l2 @ (p * p))
        return smooth + float(self.l1 @ np.abs(w + p))

    def _on_support(self, g: Vector, w: Vector, p: Vector, slack: float) -> Vector:
        """The way from a step p to the minimum of the model where weights that are zero stay."""
        there, x = w + p, np.zeros_like(p)
        on = (there != 0) | (self.l1 == 0)
        residual = g + self.spread(self.h * self.times(p)) + self.l2 * p + self.l1 * np.sign(there)
        r = np.where(on, -residual, 0.0)
        if self.k > DIRECT:
            return self._conjugate(r, on, slack)
        if self.H is None:
            self.H = self.matrix(self.h, self.damping)
        x[on] = Dense(self.H[np.ix_(on, on)]).solve(r[on])
        return x

    def _conjugate(self, r: Vector, on: NDArray, slack: float) -> Vector:
        """What the curvatures turn into r, on some coordinates, by conjugate gradients."""
        x, direction, past, first = np.zeros_like(r), np.zeros_like(r), np.inf, np.inf
        for _ in range(CONJUGATE):
            y = np.where(on, r / np.maximum(self.curvature, 1e-300), 0.0)
            size = float(r @ y)
            first = min(first, size)
            if np.abs(r).max() <= slack or size <= SHARPER * first or size == 0.0:
                break
            direction = y + (size / past) * direction
            past = size
            Hd = np.where(on, self.spread(self.h * self.times(direction)) + self.l2 * direction, 0.0)
            a = size / float(direction @ Hd)
            x, r = x + a * direction, r - a * Hd
        return x


def model_of(rows: Columns, penalty: Penalty) -> Model:
    """The model that suits the number of columns."""
    if not isinstance(rows, SparseColumns) or rows.d <= GRAM:
        return OnMatrix(rows, penalty)
    dear = rows.d > LARGE_GRAM or rows.d**2 > rows.entries or rows.pairs() > DEAR * rows.entries
    return OnRows(rows, penalty) if dear else OnMatrix(rows, penalty)
