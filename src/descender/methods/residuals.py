r"""Rows of a squared error: the gradient by the residuals in one reading, how well it is known, and samples of them.

In float32 a residual is off by :math:`\delta_i`, and a sum over rows by :math:`e`, so that the gradient is off by
:math:`\sum_i \sigma_i \delta_i x_i + e`.  Of the first, the distance to the minimum shows no more than
:math:`\|\delta\|_\sigma`, since residuals are projected.  Both are bounded whatever the order of the sums: with as many
terms as h, half an ulp is lost h times at most.

N. J. Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, §3.1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dsyrk, ssyrk

from descender.costs.cost import Vector
from descender.costs.risk import BLOCK_ROWS
from descender.methods.centred import Centred
from descender.methods.column_facts import Columns
from descender.methods.reads import SLACK, summed

HALF_ULP = 2.0**-24
"""What a float32 number may be off by when it is rounded, as a share of it."""
RUN = 32
"""Rows that are summed in float32; sums of runs are float64."""
EXTRA = 6
"""Roundings of a term besides those of its sum: of weights, targets, shifts and products."""
ALIKE = 2.0
"""How many times as large as another the scale of a column may be for one number to stand for both."""
TALLER = 2
"""Of so many blocks one is made where nothing is written but sums."""
FEW = 300
"""Columns up to which products are added in float64."""
SAMPLE_ROWS, LOW_ROWS = 512, 128
"""Rows of a sample that are multiplied at once, of few columns and of many: as few as go quickly in float32."""


class Sums(NamedTuple):
    """What a reading of the residuals tells: the smooth cost, its gradient, and their own sizes.

    ``size`` is the root of the weighted sum of squared residuals, ``length`` that of all rows in a scale, if measured.
    """

    value: float
    gradient: Vector
    size: float
    length: float


class Residuals(Centred):
    """A squared error from the centre of its columns, of whose readings nothing is kept but sums.

    Targets are told in few digits as they lie about a `level`, from which they are as far as `width`, a root of the
    weighted sum of squares.
    """

    level, width = 0.0, 0.0

    def about(self, level: float) -> None:
        """Tell the targets from a level."""
        self.level, square = level, 0.0
        for start in range(0, self.n, BLOCK_ROWS):
            part = slice(start, min(start + BLOCK_ROWS, self.n))
            off = self.y[part] - level
            square += float(off @ off if self.even is not None else (off * self.sigma[part]) @ off)
        self.width = math.sqrt(square * (self.even or 1.0))

    @cached_property
    def heights(self) -> tuple[int, int]:
        """The rows of a block that is read as it is, and of one that is converted first."""
        return max(min(TALLER * self.height, BLOCK_ROWS), self.height), self.height

    @np.errstate(all="ignore")
    def sums(self, v: Vector, exact: bool, scale: Vector | None = None) -> Sums:
        """The gradient at v, in the dtype of X or in float64; with the length of the rows in a `scale` of theirs."""
        dtype = np.dtype(np.float64) if exact else self.X.dtype
        self.height = self.heights[int(dtype != self.X.dtype)]
        w, shift = self._inner(v, dtype)
        moved, sums, total, square = shift - self.level, np.zeros(self.d), 0.0, 0.0
        length, buffer = Length(scale), np.empty(self.height, dtype=dtype)
        for part, rows in self._blocks(dtype):
            r = np.matmul(rows, w, out=buffer[: len(rows)])
            r -= (self.y[part] - self.level).astype(dtype, copy=False)
            r += dtype.type(moved)
            length.add(rows)
            double = weighted = r.astype(np.float64, copy=False)
            if self.even is None:
                weighted = double * self.sigma[part]
                r = weighted.astype(dtype, copy=False)
            square += float(weighted @ double)
            total += float(weighted.sum())
            sums += summed(r, rows, RUN)
        weight, gradient = self.factor, np.zeros(self.size)
        gradient[: self.d] = self._outer(weight * sums, weight * total) + self.l2 * v[: self.d]
        gradient[self.d :] = weight * total
        most = float(self.sigma.max()) if self.even is None else self.even
        value = 0.5 * weight * square + self.ridge(v)
        return Sums(value, gradient, math.sqrt(weight * square), length.told(most))

    def rounding(self, v: Vector, size: float, scale: Vector, length: float) -> tuple[float, float]:
        """What a reading in float32 at v may be off by: its residuals, and in that scale its sums over rows.

        `size` is that of the residuals, `length` that of all rows in the scale.
        """
        w = np.divide(v[: self.d], scale, out=np.zeros(self.d), where=scale > 0.0)
        _, shift = self._inner(v, np.float64)
        total = float(self.sigma.sum()) if self.even is None else self.even * self.n
        reach = length * float(np.linalg.norm(w)) + abs(shift - self.level) * math.sqrt(total) + self.width
        return (self.d + EXTRA) * HALF_ULP * reach, (RUN + EXTRA) * HALF_ULP * size * length


class Length:
    """The length of rows, each column in a scale of its own, gathered block by block; unknown without one."""

    def __init__(self, scale: Vector | None):
        self.square, self.factor, self.scale = 0.0, 0.0, scale
        if scale is not None and float(scale.max()) <= ALIKE * float(scale.min()):
            self.factor = float(scale.max()) ** 2

    def add(self, rows: NDArray) -> None:
        """Take some rows in."""
        if self.scale is not None:
            scaled = rows if self.factor > 0.0 else rows * self.scale.astype(rows.dtype)
            self.square += float(np.vdot(scaled, scaled))

    def told(self, weight: float) -> float:
        """The length, where no row weighs more than `weight`."""
        return SLACK * math.sqrt(weight * self.square * (self.factor or 1.0)) if self.scale is not None else math.inf


class Sample:
    """Second moments of some rows as a matrix in the coordinates of a problem, and the gradient at their best constant.

    Each of the `rows` weighs `weight` times what it does in the problem; products are summed in a `dtype`.  What a
    moment has `lost` is at most that share of the sizes of its two columns.
    """

    def __init__(self, problem: Centred, rows: NDArray, weight: float, columns: Columns, dtype: Any = np.float32):
        d = problem.d
        size = np.sqrt(columns.squares / max(float(problem.sigma.sum()), 1e-300))
        unit = np.where(size > 0.0, size, 1.0)
        sigma, y = weight * problem.sigma[rows], problem.y[rows]
        self.total = float(sigma.sum())
        self.level = float(sigma @ y) / self.total if problem.intercept else 0.0
        root = np.sqrt(sigma) if problem.even is None else np.ones(len(rows))
        sides = np.stack([root, root * (y - self.level)]).astype(dtype)
        G, sums = Gram(d, dtype), np.zeros((2, d))
        for part, S in _standard_rows(problem, rows, unit, G):
            if problem.even is None:
                S *= sides[0, part, None]
            G.add(S)
            sums += sides[:, part] @ S
        self.lost = (G.height + len(rows) / G.height) * float(np.finfo(dtype).eps) / 2.0 + EXTRA * HALF_ULP
        factor = 1.0 if problem.even is None else weight * problem.even
        sums *= factor
        self.H = np.zeros((problem.size, problem.size))
        self.H[:d, :d] = G.told(factor * unit[:, None] * unit)
        if problem.intercept:
            self.H[d, :d] = self.H[:d, d] = sums[0] * unit
            self.H[d, d] = self.total
        self.gradient = np.zeros(problem.size)
        self.gradient[:d] = -unit * sums[1]


class Gram:
    """The sum of products of rows in a dtype with themselves, `height` at a time: few enough to know what it loses.

    Of many columns a block's product would take longer to add than to make, so that it is made onto the sum.
    """

    def __init__(self, d: int, dtype: Any):
        self.onto, self.height, self.dtype = d > FEW, LOW_ROWS if d > FEW else SAMPLE_ROWS, np.dtype(dtype)
        self.sum = np.zeros((d, d), dtype=dtype if self.onto else np.float64, order="F")
        self.syrk = ssyrk if dtype == np.float32 else dsyrk

    def add(self, S: NDArray) -> None:
        """Take some rows in."""
        if self.onto:
            self.sum = self.syrk(1.0, S.T, beta=1.0, c=self.sum, overwrite_c=1)
        else:
            self.sum += S.T @ S

    def told(self, factors: NDArray) -> NDArray:
        """The sum, number by number times factors."""
        whole = np.triu(self.sum) + np.triu(self.sum, 1).T if self.onto else self.sum
        return whole * factors


def _standard_rows(problem: Centred, rows: NDArray, unit: Vector, G: Gram) -> Iterator[tuple[slice, NDArray]]:
    """Some rows from the centre, their columns in a unit: as few at a time as G takes, in the same place."""
    height = G.height
    X, mean, moved = problem.X, problem.mean.astype(problem.X.dtype), bool(problem.mean.any())
    taken = np.empty((min(height, len(rows)), problem.d), dtype=X.dtype)
    scaled = taken if X.dtype == G.dtype else np.empty(taken.shape, dtype=G.dtype)
    inverse = (1.0 / unit).astype(X.dtype)
    for start in range(0, len(rows), height):
        part = slice(start, min(start + height, len(rows)))
        some, S = taken[: part.stop - start], scaled[: part.stop - start]
        X.take(rows[part], axis=0, out=some, mode="clip")
        if moved:
            some -= mean
        yield part, np.multiply(some, inverse, out=S, casting="same_kind")
