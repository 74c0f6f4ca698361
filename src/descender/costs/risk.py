"""The cost of a model on rows: loss and penalty, value and gradient, of all rows or some."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.costs.cost import Cost, Kernel, Rows, Vector
from descender.costs.losses import Loss, OneVsRest, check_targets, parameters, read_loss
from descender.errors import DataError, OptionError, ShapeError, TargetError
from descender.kernels import rows as loops
from descender.kernels.texts import method_text, text_of

FLOATS = (np.dtype(np.float64), np.dtype(np.float32))
"""What X may hold."""
BLOCK_BYTES, BLOCK_ROWS = 768 * 1024, 4096
"""A block of a reading: it stays in the second-level cache between the two products, and is so short that sums within
it, in the dtype of X, keep their digits."""
EXTREME_WIDTH, EXTREME_BYTES, EXTREME_FEW = 4000, 1024 * 1024, 16_000
"""Numbers in a row of :func:`column_extremes`, about (of 10 columns: 8 times faster), bytes of its blocks, and how
many are turned first."""


class Risk(Cost):
    r"""The mean (or sum) of a loss over rows, plus a penalty.

    .. math::

        F(w, b) = \frac{\sum_i s_i\, \ell(x_i \cdot w + b,\, y_i)}{\sum_i s_i}
                  + \frac{\lambda_2}{2} \lVert w \rVert^2 + \lambda_1 \lVert w \rVert_1

    with a free intercept b.  For K classes (`softmax`; `hinge` and `squared_hinge` of more than two) there is a w and a
    b for each.  The parameter vector holds the weights, class by class, then the intercepts.

    Parameters: `X` (n, d), dense or SciPy sparse, float32 or float64, computed as given; `y` (n,); `loss` a name of
    ``LOSSES``, with its parameters after it (``"huber 1.5"``), or the loss itself; `l2`, `l1` at least 0;
    `sample_weight` (n,) at least 0; `reduction` "mean" or "sum"; `n_classes` where `y` may lack the last classes.
    Some rows estimate a mean; of a sum they are a part, which bears its share of the penalty.
    Without `check_finite` whether dense rows are finite is found out when their `extremes` are first asked for.

    Costs and gradients accumulate in float64 over blocks of at most 4,096 rows, whose grid is set by d and dtype alone:
    the bits do not depend on how the rows arrived.

    >>> risk = Risk([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0], "squared_error")
    >>> risk.value_and_gradient(np.array([2.0, 1.0]))
    (0.0, array([0., 0.]))
    """

    def __init__(
        self,
        X: ArrayLike,
        y: ArrayLike,
        loss: str | Loss = "squared_error",
        *,
        l2: float = 0.0,
        l1: float = 0.0,
        intercept: bool = True,
        sample_weight: ArrayLike | None = None,
        reduction: str = "mean",
        features: Sequence[str] | None = None,
        n_classes: int | None = None,
        check_finite: bool = True,
    ):
        for name, strength in (("l2", l2), ("l1", l1)):
            if not isinstance(strength, int | float | np.number) or not (math.isfinite(strength) and strength >= 0):
                raise OptionError(f"{name}={strength!r}: a penalty strength is a finite number of at least 0")
        if reduction not in ("mean", "sum"):
            raise OptionError(f"reduction={reduction!r}; known: mean, sum")
        self.X, self.y, self.sample_weight = read_rows(X, y, sample_weight)
        if check_finite or self.sparse:
            self.extremes = finite_extremes(self.X)
        self.loss, self.n_classes = _read_classes(read_loss(loss), self.y, n_classes)
        self.l2, self.l1, self.intercept, self.reduction = float(l2), float(l1), bool(intercept), reduction
        n, d = self.X.shape
        self.n_samples, self.n_features = n, d
        self.total_weight = float(n) if self.sample_weight is None else float(self.sample_weight.sum())
        self.denominator = self.total_weight if reduction == "mean" else 1.0
        self.pulls = True
        self.smooth, self.convex = l1 == 0 and self.loss.differentiable, self.loss.convex
        classes = self.n_classes if self.loss.scores_per_class else 0
        self.names = numbered(d, classes) if features is None else of_classes(tuple(features), classes)
        if intercept:
            self.names += of_classes(("intercept",), classes)

    @cached_property
    def extremes(self) -> Extremes:
        """The extremes of the columns of dense rows, which are finite; of sparse ones nothing."""
        return finite_extremes(self.X)

    @property
    def looked(self) -> bool:
        """Whether the extremes are known, and with them that every number is finite."""
        return "extremes" in self.__dict__

    def penalise(self, *, l2: float | None = None, l1: float | None = None) -> None:
        """Change a penalty strength; the rows are not read again."""
        self.l2, self.l1 = self.l2 if l2 is None else float(l2), self.l1 if l1 is None else float(l1)
        self.smooth = self.l1 == 0 and self.loss.differentiable

    def without_pull(self) -> Risk:
        """The same cost, whose gradient is that of all but the l1 penalty: for steps that see to that themselves."""
        some = copy.copy(self)
        some.pulls = False
        return some

    @property
    def pull(self) -> float:
        """The strength with which the l1 penalty counts in the gradient."""
        return self.l1 if self.pulls else 0.0

    @property
    def thresholds(self) -> Vector:
        """The strength of the l1 penalty for each parameter: 0 for an intercept."""
        return np.where(np.arange(self.n_parameters) < self.n_classes * self.n_features, self.l1, 0.0)

    def default_start(self) -> Vector:
        """All weights 0."""
        return np.zeros(self.n_parameters)

    @property
    def sparse(self) -> bool:
        """Whether X is a sparse matrix."""
        return not isinstance(self.X, np.ndarray)

    def split(self, w: Vector) -> tuple[NDArray, NDArray]:
        """The weights (K, d) and intercepts (K,) within a parameter vector, as views; (d,) and () for one score."""
        end = self.n_classes * self.n_features
        W, b = w[:end], w[end:] if self.intercept else np.zeros(self.n_classes)
        if self.loss.scores_per_class:
            return W.reshape(self.n_classes, self.n_features), b
        return W, b[0]

    def against_rest(self, k: int) -> Risk:
        """The risk of one class against all others, for a loss that is a sum of those."""
        one = copy.copy(self)
        one.loss, one.n_classes, one.y = self.loss.base, 1, (self.y == k).astype(np.float64)
        d = self.n_features
        one.names = self.names[k * d : (k + 1) * d] + (("intercept",) if self.intercept else ())
        return one

    def for_rows(self, rows: NDArray) -> Risk:
        """The risk with the targets and weights of some rows, in their order, for scores that are known: not X."""
        some = copy.copy(self)
        some.y = self.y[rows]
        some.sample_weight = None if self.sample_weight is None else self.sample_weight[rows]
        return some

    def part_of(self, w: Vector, k: int) -> Vector:
        """The weights and the intercept of one class within a parameter vector."""
        W, b = self.split(w)
        return np.append(W[k], b[k]) if self.intercept else W[k].copy()

    def set_part(self, w: Vector, k: int, part: Vector) -> None:
        """Put the weights and the intercept of one class into a parameter vector."""
        W, b = self.split(w)
        W[k] = part[: self.n_features]
        if self.intercept:
            b[k] = part[-1]

    def join(self, W: NDArray, b: NDArray | float) -> Vector:
        """The parameter vector of weights and intercepts."""
        parts = [np.ravel(W)] + ([np.atleast_1d(b)] if self.intercept else [])
        return np.concatenate(parts, dtype=np.float64)

    def blocks(self, rows: Rows | None = None) -> Iterator[tuple[Any, NDArray, Any]]:
        """(X, y, sample weights or 1) of the fixed grid of row blocks, or of some rows at once."""
        if rows is not None:
            yield self.X[rows], self.y[rows], 1.0 if self.sample_weight is None else self.sample_weight[rows]
            return
        n = self.X.shape[0]
        height = block_height(self.X)
        for start in range(0, n, height):
            part = slice(start, min(start + height, n))
            s = 1.0 if self.sample_weight is None else self.sample_weight[part]
            yield self.X[part], self.y[part], s

    def scores(self, w: Vector, X: Any) -> NDArray:
        """x·w + b of rows `X`: (n,), or (K, n) with the classes first."""
        W, b = self.split(w)
        if W.ndim == 1:
            return X @ W.astype(X.dtype, copy=False) + np.asarray(b, dtype=X.dtype)
        Z = (X @ W.T.astype(X.dtype)).T if self.sparse else W.astype(X.dtype, copy=False) @ X.T
        return np.ascontiguousarray(Z) + b.astype(X.dtype)[:, None]

    def share(self, rows: Rows | None) -> float:
        """What a summed loss is multiplied by; an estimate from some rows is unbiased for a mean."""
        if rows is None or self.reduction == "sum":
            return 1.0 / self.denominator
        return self.X.shape[0] / (self.denominator * len(rows))

    def penalty_share(self, rows: Rows | None) -> float:
        """What the penalty is multiplied by: some rows of a sum bear their part of it, so that batches add up to F."""
        return 1.0 if rows is None or self.reduction == "mean" else len(rows) / self.X.shape[0]

    def value_and_gradient(self, w: Vector, rows: Rows | None = None) -> tuple[float, Vector]:
        """F(w) and its gradient, reading each row once; from some `rows`, an estimate of both.

        At a zero weight the l1 penalty counts with slope 0.
        """
        self._check(w)
        total, intercepts = 0.0, np.zeros(self.n_classes)
        gradient = np.zeros((self.n_classes, self.n_features))
        for X, y, s in self.blocks(rows):
            z = self.scores(w, X)
            total += float(np.sum(s * self.loss.value(z, y), dtype=np.float64))
            r = np.atleast_2d(s * self.loss.slope(z, y)).astype(X.dtype, copy=False)
            gradient += (X.T @ r.T).T if self.sparse else r @ X
            intercepts += r.sum(axis=1, dtype=np.float64)
        share, part = self.share(rows), self.penalty_share(rows)
        W, _ = self.split(w)
        pulls = np.atleast_2d(part * self.l2 * W + part * self.pull * np.sign(W))
        g = self.join(share * gradient + pulls, share * intercepts)
        return share * total + part * self.penalty(w), g

    def value(self, w: Vector, rows: Rows | None = None) -> float:
        """F(w)."""
        self._check(w)
        total = 0.0
        for X, y, s in self.blocks(rows):
            total += float(np.sum(s * self.loss.value(self.scores(w, X), y), dtype=np.float64))
        return self.share(rows) * total + self.penalty_share(rows) * self.penalty(w)

    def penalty(self, w: Vector) -> float:
        """l2 |w|²/2 + l1 Σ|w|; the intercept is free."""
        W = self.split(w)[0].ravel()
        return 0.5 * self.l2 * float(W @ W) + self.l1 * float(np.abs(W).sum())

    def hessian(self, w: Vector) -> NDArray[np.floating] | None:
        """The matrix of second derivatives of the smooth part, for one score a row and at most 2,000 parameters."""
        if self.loss.scores_per_class or self.n_parameters > 2000:
            return None
        d, k = self.n_features, self.n_parameters
        H = np.zeros((k, k))
        for X, y, s in self.blocks():
            h = s * self.loss.curvature(self.scores(w, X), y)
            scaled = X.multiply(h[:, None]).tocsr() if self.sparse else X * h[:, None]
            gram = X.T @ scaled
            H[:d, :d] += gram.toarray() if self.sparse else gram
            if self.intercept:
                H[d, :d] += np.asarray(scaled.sum(axis=0)).ravel()
                H[d, d] += h.sum()
        H[:d, k - 1] = H[k - 1, :d] if self.intercept else H[:d, k - 1]
        return H * self.share(None) + self.l2 * np.diag(np.arange(k) < d)

    def kernel(self) -> Kernel:
        """The loops over rows with this loss, for dense or CSR rows."""
        evaluate = loops.evaluate_classes if self.loss.scores_per_class else loops.evaluate_one
        texts, X, numbers = self.row_texts()
        n = self.X.shape[0]
        s = np.ones(n) if self.sample_weight is None else self.sample_weight
        factor = n / self.denominator if self.reduction == "mean" else 0.0
        data = (X, self.y, s, numbers, self.n_features, self.intercept, factor, self.l2, self.l1, self.pull)
        return Kernel("\n\n".join([*texts, text_of(evaluate, "evaluate")]), data)

    def row_texts(self) -> tuple[list[str], Any, tuple]:
        """What a loop over rows is made of: the texts of loss, row and penalty; X; the loss's own numbers."""
        kind = "sparse" if self.sparse else "dense"
        one_vs_rest = isinstance(self.loss, OneVsRest)
        loss, ending = (self.loss.base, "_one") if one_vs_rest else (self.loss, "")
        fields = tuple(getattr(loss, "__dataclass_fields__", ()))
        texts = [
            method_text(loss.value, f"value{ending}", fields),
            method_text(loss.slope, f"slope{ending}", fields),
            *([text_of(loops.value_each, "value"), text_of(loops.slope_each, "slope")] if one_vs_rest else []),
            text_of(getattr(loops, f"score_{kind}"), "score"),
            text_of(getattr(loops, f"spread_{kind}"), "spread"),
            text_of(loops.penalise, "penalise"),
        ]
        X = (self.X.indptr, self.X.indices, self.X.data) if self.sparse else self.X
        return texts, X, parameters(loss)

    def _check(self, w: Vector) -> None:
        if w.shape != (self.n_parameters,):
            raise ShapeError(f"w has shape {w.shape}; this risk has {self.n_parameters} parameters")


def _read_classes(loss: Loss, y: NDArray, n_classes: int | None) -> tuple[Loss, int]:
    """The loss for these targets, and the scores that a row has: one, or one for each class."""
    if "multiclass" not in loss.tasks:
        check_targets(loss, y)
        return loss, 1
    check_targets(loss if loss.scores_per_class else OneVsRest(loss), y)
    found = int(y.max()) + 1
    if n_classes is not None and found > n_classes:
        raise TargetError(f"the target of row {int(y.argmax())} is {y.max():g}; of {n_classes} classes the last is "
                          f"{n_classes - 1}")  # fmt: skip
    classes = found if n_classes is None else n_classes
    if loss.scores_per_class:
        return loss, classes
    if classes > 2:
        return OneVsRest(loss), classes
    check_targets(loss, y)
    return loss, 1


@cache
def numbered(d: int, classes: int = 0) -> tuple[str, ...]:
    """The names of columns that have none."""
    return of_classes(tuple([f"x{j}" for j in range(d)]), classes)


def of_classes(features: tuple[str, ...], classes: int) -> tuple[str, ...]:
    """The names of features in each class; as they are, where there are none."""
    return tuple([f"{name} ({k})" for k in range(classes) for name in features]) if classes else features


def block_height(X: Any) -> int:
    """The rows of a block: a matter of the columns and their dtype alone.  Sparse rows are read at once."""
    if not isinstance(X, np.ndarray):
        return max(X.shape[0], 1)
    return int(min(max(BLOCK_BYTES // max(X.shape[1] * X.itemsize, 1), 32), BLOCK_ROWS))


class Extremes(NamedTuple):
    """The least and the largest entry of each column."""

    low: NDArray
    high: NDArray


def column_extremes(X: NDArray) -> Extremes:
    """The extremes of dense columns; not finite where an entry is not.

    Rows are taken together until they are long enough for the processor's vectors, and stay in the cache for both; few
    are turned.
    """
    n, d = X.shape
    if n * d == 0:
        return Extremes(np.full(d, np.inf), np.full(d, -np.inf))
    if n * d <= EXTREME_FEW:
        columns, along = (X.T.copy(), 1) if 4 * d < n else (X, 0)
        return Extremes(np.minimum.reduce(columns, axis=along), np.maximum.reduce(columns, axis=along))
    many = max(min(EXTREME_WIDTH // d, math.isqrt(n)), 1)
    wide, rest = X[: n - n % many].reshape(n // many, many * d), X[n - n % many :]
    height = max(EXTREME_BYTES // (many * d * X.itemsize), 1)
    low, high = wide[0].copy(), wide[0].copy()
    for start in range(0, len(wide), height):
        block = wide[start : start + height]
        np.minimum(low, block.min(axis=0), out=low)
        np.maximum(high, block.max(axis=0), out=high)
    ends = (np.concatenate([end.reshape(many, d), rest]) for end in (low, high))
    return Extremes(next(ends).min(axis=0), next(ends).max(axis=0))


def check_rows(X: Any, y: Any, sample_weight: Any) -> tuple[Any, NDArray, NDArray | None]:
    """X dense C-contiguous or CSR, float32 or float64, finite; y float64; sample weights float64 or None."""
    X, y, s = read_rows(X, y, sample_weight)
    finite_extremes(X)
    return X, y, s


def read_rows(X: Any, y: Any, sample_weight: Any) -> tuple[Any, NDArray, NDArray | None]:
    """The same, but for whether X is finite: dense rows that lie row by row are neither read nor copied."""
    if hasattr(X, "tocsr"):
        X = X.tocsr()
        if X.dtype not in FLOATS:
            X = X.astype(np.float64)
    else:
        try:
            X = np.asarray(X)
            X = X if X.dtype in FLOATS else X.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"X must hold numbers, the same count in each row: {error}") from None
        X = np.ascontiguousarray(X)
    try:
        y = np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"the targets y must be numbers: {error}") from None
    if X.ndim != 2:
        raise ShapeError(f"X has shape {X.shape}; expected (rows, columns)")
    if y.shape != (X.shape[0],):
        raise ShapeError(f"X has {X.shape[0]} rows and y has shape {y.shape}; expected one target a row")
    if X.shape[0] == 0:
        raise DataError("X has no rows")
    if sample_weight is None:
        return X, y, None
    s = np.asarray(sample_weight, dtype=np.float64)
    if s.shape != y.shape:
        raise ShapeError(f"sample_weight has shape {s.shape}; expected {y.shape}, one weight a row")
    if not np.isfinite(s).all() or (s < 0).any() or s.sum() == 0:
        raise DataError("sample_weight must be finite and at least 0, and not all 0")
    return X, y, s


def finite_extremes(X: Any) -> Extremes:
    """The extremes of dense columns, of sparse ones nothing; raises :class:`DataError` where an entry is not finite."""
    dense = isinstance(X, np.ndarray)
    values = X if dense else X.data
    with np.errstate(all="ignore"):  # a sum is finite only if each entry is; one that overflows is told apart
        extremes = column_extremes(X) if dense else Extremes(np.empty(0), np.empty(0))
        told = float(extremes[0].dot(extremes[1]) if dense else np.sum(values))
    if not math.isfinite(told) and not np.isfinite(values).all():
        row, column = _first_not_finite(X)
        found = "NaN" if np.isnan(X[row, column]) else "inf"
        raise DataError(
            f"X at row {row}, column {column} is not a finite number but {found}; fill or leave out such entries"
        )
    return extremes


def _first_not_finite(X: Any) -> tuple[int, int]:
    if hasattr(X, "tocoo"):
        X = X.tocoo()
        k = int(np.flatnonzero(~np.isfinite(X.data))[0])
        return int(X.row[k]), int(X.col[k])
    row, column = np.argwhere(~np.isfinite(X))[0]
    return int(row), int(column)
