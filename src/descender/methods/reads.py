"""The rows of a risk from the centre of its columns, read once a gradient, and how well a reading knows it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from descender.costs.cost import Vector
from descender.costs.dual_rows import row_weights
from descender.costs.risk import BLOCK_ROWS, Risk, block_height
from descender.kernels.sparse_columns import with_values
from descender.kernels.sparse_reads import Rows, quick_rows
from descender.methods.column_facts import Columns, column_facts, glance

FAR = {4: 30.0, 8: 1e4}
"""Deviations of a column from zero, by the bytes of a number, beyond which its products lose digits that matter."""
TALL = 2
"""Of blocks that are twice as tall as the second-level cache likes a reading takes a tenth less: fewer calls."""
RUN = 64
"""Rows that are summed up in float32; sums of runs are float64.  Where whole blocks were, as many equal rows as make a
column of categories were off by a hundred times the rounding of one."""
SINGLE, SLACK = RUN / 2 * 2.0**-23, 1.01
"""What a sum over float32 rows loses at most, as a share of the root of the sums of squares of its factors (Higham,
Accuracy and Stability of Numerical Algorithms, 2002, section 3.1); and what that root may have lost itself, amply."""


Losses = Callable[[NDArray, slice, NDArray, NDArray], object]
"""Puts the losses and the slopes at the scores of some rows into arrays that are there."""


class Reading(NamedTuple):
    """What one reading of the rows tells at a point: the smooth cost, its gradient, the scores.

    ``exact`` tells that all were computed in float64; else ``noise`` bounds the length of what rounding did to the
    gradient by the weights.  ``slopes`` are those whose products with the rows the gradient is, with the rows' weights
    where these differ.
    """

    value: float
    gradient: Vector
    scores: NDArray
    exact: bool = False
    noise: float = np.inf
    slopes: NDArray | None = None

    @property
    def finite(self) -> bool:
        """Whether all is a number, which it is only if each entry of the rows is one."""
        finite = math.isfinite(self.value) and np.isfinite(self.gradient).all() and np.isfinite(self.scores).all()
        return bool(finite)


class Reads:
    r"""The smooth part of a risk with one score a row, in the coordinates :math:`v = (w, b + \mu\cdot w)`.

    Columns far from zero then do not tilt the intercept; where one is very `far`, the rows are moved before they are
    multiplied, so that scores keep their digits.  ``sigma`` are the weights of the rows in the mean; a subsample
    carries weights that estimate the whole, and standardised columns in float32: those of X are its columns over
    `unit`.  Sparse rows are not centred.  Without an intercept the level at the centre is `tied` to the weights:
    :math:`\mu\cdot w`.
    """

    def __init__(
        self,
        risk: Risk,
        X: Any,
        y: NDArray,
        sigma: NDArray,
        mean: Vector,
        far: bool = False,
        unit: Vector | None = None,
    ):
        self.risk, self.loss, self.X, self.y, self.sigma, self.mean = risk, risk.loss, X, y, sigma, mean
        self.n, self.d = X.shape
        self.intercept, self.l2 = risk.intercept, risk.l2
        self.size = self.d + self.intercept
        self.quick = quick_rows(X) if sparse.issparse(X) else None
        height = min(TALL * block_height(X), BLOCK_ROWS)
        self.height, self.far, self.unit = max(height - height % RUN, min(height, RUN)), far, unit
        even = self.n > 0 and bool((sigma == sigma[0]).all())
        self.even = float(sigma[0]) if even else None
        self.fused = risk.loss.fused if risk.loss.fuses(y) else None
        self.fuse: Any = risk.loss.fuse if self.fused is not None else None
        self._sides: dict[Any, NDArray] = {}
        self.tied = not risk.intercept and bool(mean.any())
        self.moving: NDArray | None = None  # the columns that are not constant, where some are
        self.length = math.inf  # of all rows as one vector, at most; and of each column, where it is known
        self.lengths: NDArray | None = None
        self.measures = False  # whether the next reading is to tell the length

    @cached_property
    def targets(self) -> NDArray:
        """The targets, in the dtype of X where they keep their digits in it."""
        X, y = self.X, self.y
        return y.astype(X.dtype) if X.dtype != y.dtype and _near_zero(y, FAR[X.dtype.itemsize]) else y

    @classmethod
    def of(cls, risk: Risk, whole: bool = True, tie: bool = False) -> tuple[Self, Columns]:
        """All rows of a risk; the columns as some of the rows show them, and the largest of the `whole`.

        With `tie` columns that are far from zero have a centre without an intercept, too.
        """
        sigma = row_weights(risk)
        centre = risk.intercept and not risk.sparse
        if risk.sparse:
            columns = column_facts(risk.X, sigma, centre=False)
            return cls(risk, risk.X, risk.y, sigma, columns.mean), columns
        columns = glance(risk, sigma, centre or tie, whole)
        if tie and not (centre or leans(columns, sigma)):
            columns = glance(risk, sigma, False, whole)
        moving, width = columns.squares > 0.0, FAR[risk.X.dtype.itemsize]
        if not moving.all():
            moving = risk.extremes.low < risk.extremes.high
        far = bool(np.any(moving & (columns.mean**2 * sigma.sum() > width**2 * columns.squares)))
        problem = cls(risk, risk.X, risk.y, sigma, columns.mean, far)
        if whole and not far:
            low, high = risk.extremes
            problem.lengths = np.maximum(high, -low) * math.sqrt(float(sigma.sum()))
        problem.measures = not far and risk.X.dtype == np.float32
        if centre and not moving.all():
            problem.moving = moving
        return problem, columns

    def part(self, rows: NDArray, weights: NDArray | float = 1.0) -> Self:
        """Some rows, whose weights in the mean are multiplied by `weights`."""
        some = type(self)(self.risk, self.X[rows], self.y[rows], self.sigma[rows] * weights, self.mean, self.far)
        some.moving = self.moving
        return some

    def standardised(self, rows: NDArray, weights: NDArray, squares: Vector) -> Self:
        """Some rows over the root mean `squares` of their columns, in float32: it holds what a metric needs."""
        sigma = self.sigma[rows] * weights
        size = np.sqrt(squares / max(float(self.sigma.sum()), 1e-300))
        unit = np.where(size > 0, size, 1.0)
        X = np.empty((len(rows), self.d), dtype=np.float32)
        mean, inverse = self.mean.astype(self.X.dtype), (1.0 / unit).astype(self.X.dtype)
        step = block_height(X)
        for start in range(0, len(rows), step):
            some = self.X.take(rows[start : start + step], axis=0)
            some -= mean
            np.multiply(some, inverse, out=X[start : start + step], casting="same_kind")
        return type(self)(self.risk, X, self.y[rows], sigma, self.mean if self.tied else np.zeros(self.d), unit=unit)

    def enter(self, w: Vector) -> Vector:
        """The coordinates of a parameter vector of the risk."""
        v = w.astype(np.float64, copy=True)
        if self.intercept:
            v[self.d] += self.mean @ w[: self.d]
        return v

    def leave(self, v: Vector) -> Vector:
        """The parameter vector of the risk with these coordinates."""
        w = v.copy()
        if self.intercept:
            w[self.d] -= self.mean @ v[: self.d]
        return w

    def leave_gradient(self, gradient: Vector) -> Vector:
        """The gradient by the risk's own parameters."""
        g = gradient.copy()
        if self.intercept:
            g[: self.d] += gradient[self.d] * self.mean
        return g

    def _blocks(self, dtype: Any) -> Iterator[tuple[slice, Any]]:
        """Blocks of rows in a dtype: as they lie there, or from the centre where that is far.

        Few sparse rows come at once; others multiply what is in that dtype without a copy.
        """
        if isinstance(self.quick, Rows):
            height = self.quick.height
            for start in range(0, self.n, height):
                part = slice(start, min(start + height, self.n))
                yield part, self.quick[part]
            return
        if sparse.issparse(self.X):
            same = self.X.dtype == dtype
            yield slice(0, self.n), self.X if same else with_values(self.X, self.X.data.astype(dtype))
            return
        buffer = None
        for start in range(0, self.n, self.height):
            part = slice(start, min(start + self.height, self.n))
            X = self.X[part]
            if self.far or (X.dtype != dtype):
                buffer = np.empty(X.shape, dtype) if buffer is None else buffer[: len(X)]
                if self.far:
                    np.subtract(X, self.mean, out=buffer, casting="same_kind")
                else:
                    np.copyto(buffer, X)
                X = buffer
            yield part, X

    @property
    def factor(self) -> float:
        """What sums over rows are multiplied by: a weight that all rows share is left for the end."""
        return 1.0 if self.even is None else self.even

    @property
    def slant(self) -> float:
        """How many means are still to be taken off the rows that are read."""
        return 0.0 if self.far or self.unit is not None else 1.0

    def _inner(self, v: Vector, dtype: Any) -> tuple[Vector, float]:
        """The weights that the rows are multiplied by, and what is added."""
        w = v[: self.d] if self.unit is None else v[: self.d] * self.unit
        if self.tied:
            return w.astype(dtype), float((1.0 - self.slant) * (self.mean @ v))
        shift = v[self.d] if self.intercept else 0.0
        return w.astype(dtype), float(shift - self.slant * (self.mean @ v[: self.d]))

    def _outer(self, sums: NDArray, total: Any) -> NDArray:
        """Products of the columns with numbers that add up to `total`, in the coordinates."""
        slant = self.slant - 1.0 if self.tied else self.slant
        sums = (sums if self.unit is None else sums * self.unit) - slant * total * self.mean
        return sums if self.moving is None else np.where(self.moving, sums, 0.0)

    def _sums(self, r: NDArray) -> NDArray:
        """The sum over rows of r x, as the rows are read in the dtype of r."""
        sums = np.zeros(self.d)
        for part, rows in self._blocks(r.dtype):
            sums += summed(r[part], rows)
        return sums

    @np.errstate(all="ignore")
    def read(self, v: Vector, exact: bool = False) -> Reading:
        """The smooth cost, its gradient and the scores at v, reading each row once: in the dtype of X, or `exact`."""
        dtype = np.dtype(np.float64) if exact else self.X.dtype
        found = self._read(v, dtype, self._fused(dtype)) if self.fuse is not None else None
        if found is None or not math.isfinite(found.value):
            found = self._read(v, dtype, self._separate(dtype))
        return found

    def _fused(self, dtype: Any) -> Losses:
        """What puts the losses and the slopes of some rows where they belong, by one exponential or the like."""
        fuse, y = self.fuse, self.y
        if dtype == self.X.dtype:
            sides = self.sides(dtype)
            return lambda z, part, values, slopes: fuse(z, sides[..., part], values, slopes)
        make = self.loss.sides  # of what is read once, some rows at a time: new memory takes longer than the sides
        return lambda z, part, values, slopes: fuse(z, make(y[part].astype(dtype)), values, slopes)

    def sides(self, dtype: Any) -> NDArray:
        """What the loss knows of the targets, in a dtype."""
        if dtype not in self._sides:
            self._sides[dtype] = self.loss.sides(self.y.astype(dtype))
        return self._sides[dtype]

    def _separate(self, dtype: Any) -> Losses:
        """The same for any loss and score."""
        y = self.y if dtype == np.float64 else self.targets

        def lose(z: NDArray, part: slice, values: NDArray, slopes: NDArray) -> None:
            values[:], slopes[:] = self._losses(z, y[part])

        return lose

    def _read(self, v: Vector, dtype: Any, lose: Losses) -> Reading:
        w, shift = self._inner(v, dtype)
        scores, values, slopes = (np.empty(self.n, dtype=dtype) for _ in range(3))
        sums, moved, square = np.zeros(self.d), dtype.type(shift), 0.0
        for part, rows in self._blocks(dtype):
            z, r = scores[part], slopes[part]
            if isinstance(rows, np.ndarray):
                np.matmul(rows, w, out=z)
            else:
                z[:] = rows @ w
            z += moved
            lose(z, part, values[part], r)
            if self.even is None:
                r *= self.sigma[part]
            sums += summed(r, rows)
            if self.measures:
                square += float(np.vdot(rows, rows))
        if self.measures:
            self.measures, self.length = False, SLACK * math.sqrt(square * float(self.sigma.max()))
        return self._told(v, scores, values, slopes, sums)

    def losses(self, scores: NDArray) -> tuple[NDArray, NDArray]:
        """The losses at known scores, and the slopes, with the rows' weights where these differ: in the dtype of X."""
        z = scores.astype(self.X.dtype, copy=False)
        values, slopes = np.empty_like(z), np.empty_like(z)
        with np.errstate(all="ignore"):
            if self.fuse is not None:
                self.fuse(z, self.sides(z.dtype), values, slopes)
            if self.fuse is None or not math.isfinite(float(values.sum())):
                values[:], slopes[:] = self._losses(z, self.targets)
            if self.even is None:
                slopes *= self.sigma
        return values, slopes

    @np.errstate(all="ignore")
    def read_slopes(self, v: Vector, scores: NDArray, values: NDArray, slopes: NDArray) -> Reading:
        """The reading of a point of which all but the gradient is known: half of one."""
        if isinstance(self.X, np.ndarray) and not self.far:
            return self._told(v, scores, values, slopes, summed(slopes, self.X))
        return self._told(v, scores, values, slopes, self._sums(slopes))

    def _told(self, v: Vector, scores: NDArray, values: NDArray, slopes: NDArray, sums: NDArray) -> Reading:
        """A reading of which the `sums` of slopes times the rows are known."""
        weight, gradient, dtype = self.factor, np.zeros(self.size), slopes.dtype
        value = weight * float(values.sum(dtype=np.float64)) if self.even is not None else float(self.sigma @ values)
        slope = weight * float(slopes.sum(dtype=np.float64))
        gradient[: self.d] = self._outer(weight * sums, slope) + self.l2 * v[: self.d]
        if self.intercept:
            gradient[self.d] = slope
        exact, noise = dtype == np.float64, self.noise(slopes, dtype)
        return Reading(value + self.ridge(v), gradient, scores, exact, noise, slopes)

    def noise(self, slopes: NDArray, dtype: Any) -> float:
        """A bound on the length of what rounding does to a sum over rows of weighted slopes times x, in a dtype."""
        if dtype == np.float64:
            return 0.0
        square = float(np.dot(slopes, slopes) if self.even is not None else np.dot(slopes / self.sigma, slopes))
        return SINGLE * math.sqrt(square * self.factor) * self.length

    def _losses(self, z: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
        if self.fused is not None:
            value, r = self.fused(z, y)
            if math.isfinite(value.sum()):
                return value, r
        return self.loss.value(z, y), self.loss.slope(z, y)

    def scores(self, v: Vector, dtype: Any = np.float64) -> NDArray:
        """The scores at v, by products in a dtype."""
        w, shift = self._inner(v, dtype)
        if isinstance(self.X, np.ndarray) and self.X.dtype == dtype and not self.far:
            return (self.X @ w).astype(np.float64) + shift
        out = np.empty(self.n)
        for part, rows in self._blocks(dtype):
            out[part] = rows @ w
        return out + shift

    def spread(self, r: NDArray, dtype: Any = np.float64) -> Vector:
        """The sum over rows of r x, with x = 1 for the intercept, by products in a dtype."""
        total, out = float(r.sum()), np.zeros(self.size)
        out[: self.d] = self._outer(self._sums(r.astype(dtype, copy=False)), total)
        if self.intercept:
            out[self.d] = total
        return out

    def sizes(self, r: NDArray) -> Vector:
        """The sum over rows of |r x|, against which the rounding of :meth:`spread` is measured."""
        out = np.full(self.size, float(np.abs(r).sum()))
        out[: self.d] = sum(abs(rows).T @ np.abs(r[part]) for part, rows in self._blocks(np.float64))
        return out + float(np.abs(r).sum()) * np.abs(self.mean) if self.tied else out

    def ridge(self, v: Vector) -> float:
        """The l2 penalty."""
        return 0.5 * self.l2 * float(v[: self.d] @ v[: self.d])

    def value_at(self, scores: NDArray, v: Vector) -> float:
        """The smooth cost at known scores."""
        return float(self.sigma @ self.loss.value(scores, self.y)) + self.ridge(v)

    def quick_value(self, scores: NDArray, v: Vector) -> float:
        """The same in the dtype of X."""
        z = scores.astype(self.X.dtype)
        if self.fuse is not None:
            values, _ = self.fuse(z, self.sides(z.dtype))
            value = float(self.sigma @ values) + self.ridge(v)
            if math.isfinite(value):
                return value
        values, _ = self._losses(z, self.targets)
        return float(self.sigma @ np.broadcast_to(values, self.n)) + self.ridge(v)


def leans(columns: Columns, sigma: NDArray) -> bool:
    """Whether some column is so far from zero that in float32 its deviations are lost beside it."""
    far = columns.mean**2 * sigma.sum() > FAR[4] ** 2 * columns.squares
    return bool(np.any(far & (columns.squares > 0.0)))


def summed(r: NDArray, rows: Any, run: int = RUN) -> NDArray:
    """The sum over rows of r x in float64; of float32 rows by so many, since rounding grows with their number."""
    if not isinstance(rows, np.ndarray):
        return np.asarray(rows.T @ (r if isinstance(rows, Rows) else r.astype(np.float64)))
    if rows.dtype == np.float64:
        return np.matmul(r, rows)
    whole = len(r) - len(r) % run
    runs = np.matmul(r[:whole].reshape(-1, 1, run), rows[:whole].reshape(-1, run, rows.shape[1]))
    sums = runs.sum(axis=(0, 1), dtype=np.float64)
    return sums if whole == len(r) else sums + np.matmul(r[whole:], rows[whole:])


def _near_zero(y: NDArray, width: float) -> bool:
    """Whether numbers lie within so many deviations of zero: in few digits they then lose what their spread does."""
    size = float(np.abs(y).max(initial=0.0))
    return size <= min(width * float(y.std()), 1e30) or size <= 1.0
