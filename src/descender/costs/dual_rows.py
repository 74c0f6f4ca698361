"""What a certificate reads of the rows: their scores, sums of them, and theta moved to where sums are as wanted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, cg

from descender.costs.cost import Vector
from descender.costs.losses import Loss
from descender.costs.risk import Risk, block_height
from descender.kernels.sparse_columns import with_values

LARGEST_HESSIAN, CONJUGATE_STEPS = 2000, 200
UNIT = 0.5 * float(np.finfo(np.float64).eps)
"""What one operation rounds, relative."""
SEEN = 64
"""Rows, about, that tell where columns lie."""
FEW_COLUMNS = 8
"""The share of the columns, as one of so many, up to which they are taken out of the rows."""


def row_weights(risk: Risk) -> NDArray:
    """What each row weighs in the cost."""
    if risk.sample_weight is None:
        weights = np.empty(len(risk.y))
        weights.fill(1.0 / risk.denominator)  # sooner than np.full
        return weights
    return risk.sample_weight / risk.denominator


def exact_scores(risk: Risk, w: Vector) -> NDArray:
    """All scores in float64, whatever the rows are kept in, without loss of digits where columns are far from zero."""
    centre = some_centre(risk)
    moved = risk.join(risk.split(w)[0], _levels(risk, w, centre)) if risk.intercept else w
    parts = []
    for X, _, _ in risk.blocks():
        X = X.astype(np.float64, copy=False)
        parts.append(risk.scores(moved, X - centre if risk.intercept and centre.any() else X))
    return np.concatenate(parts, axis=-1)


class Sizes(NamedTuple):
    """What tells the rounding of scores: a bound on it, (n,) or (K, n), and the length of each row, at most."""

    errors: NDArray
    lengths: NDArray


def score_sizes(risk: Risk, w: Vector) -> Sizes:
    """What :func:`exact_scores` are made of: products that may be far larger than their sum."""
    W, centre = np.abs(risk.split(w)[0]), np.zeros(risk.n_features)
    levels = np.zeros(W.shape[:-1])
    if risk.intercept:
        centre = some_centre(risk)
        levels = np.abs(_levels(risk, w, centre))
    weights, parts = np.vstack([W, np.ones(risk.n_features)]).T, []
    for X, _, _ in risk.blocks():
        if risk.sparse:
            rows = with_values(X, np.abs(X.data))
        else:
            rows = np.subtract(X, centre, dtype=np.float64)
            np.abs(rows, out=rows)
        parts.append(np.asarray(rows @ weights).T)
    sizes = np.concatenate(parts, axis=-1)
    return Sizes(score_errors(sizes[:-1].reshape(*W.shape[:-1], -1), levels[..., None], risk.n_features), sizes[-1])


def score_errors(sizes: NDArray, levels: NDArray | float, d: int) -> NDArray:
    """What rounding may do to scores: to d products of known `sizes` and their sum, and to the levels added to that."""
    return UNIT * ((d + 2.0) * sizes + levels)


def _levels(risk: Risk, w: Vector, centre: NDArray) -> NDArray:
    """The scores of a row at the centre, each rounded once: what cancels there may be far larger than what is left."""
    W, b = risk.split(w)
    if not centre.any():
        return b
    each = zip(np.atleast_2d(W), np.ravel(b), strict=True)
    return np.reshape([exact_dot(row, centre, level) for row, level in each], np.shape(b))


def exact_dot(a: NDArray, b: NDArray, more: float = 0.0) -> float:
    """The sum of products, and of one number more, rounded once.

    Each product is two numbers (T. Dekker, *A floating-point technique for extending the available precision*, 1971);
    where they leave the range it is a plain sum.
    """
    with np.errstate(all="ignore"):
        product = a * b
        (p, q), (r, s) = _halves(a), _halves(b)
        rest = q * s - (((product - p * r) - q * r) - p * s)
    if not np.isfinite(rest).all():
        return float(product.sum() + more)
    return math.fsum([*product.tolist(), *rest.tolist(), float(more)])


def _halves(a: NDArray) -> tuple[NDArray, NDArray]:
    """Each number as a sum of two whose products are exact."""
    scaled = 134_217_729.0 * a
    high = scaled - (scaled - a)
    return high, a - high


def some_centre(risk: Risk) -> NDArray:
    """A point among the rows: where weights sum to zero, x may be taken from there, and keeps its digits."""
    if risk.sparse:
        return np.zeros(risk.n_features)
    some = risk.X[:: max(1, len(risk.X) // SEEN)].astype(np.float64)
    mean = some.mean(axis=0)
    # near zero nothing is gained, and the rows need not be moved
    return mean if np.any(np.abs(mean) > 20.0 * np.ptp(some, axis=0)) else np.zeros(risk.n_features)


def spread(risk: Risk, weighted: NDArray, centre: NDArray | None = None) -> NDArray:
    """The sum over rows of weights (K, n) times x, less a centre, in float64: (K, d)."""
    u, start = np.zeros((weighted.shape[0], risk.n_features)), 0
    for X, y, _ in risk.blocks():
        part = weighted[:, start : start + len(y)]
        X = X.astype(np.float64, copy=False)
        if centre is not None and centre.any():
            X = X - centre
        u += (X.T @ part.T).T if risk.sparse else part @ X
        start += len(y)
    return u


def spread_size(risk: Risk, weights: NDArray, centre: NDArray | None) -> NDArray:
    """The sum over rows of weights times abs(x), less a centre: the size against which rounding is measured."""
    size, start = np.zeros(risk.n_features), 0
    for X, y, _ in risk.blocks():
        part, start = weights[start : start + len(y)], start + len(y)
        moved = X if risk.sparse or centre is None or not centre.any() else X - centre
        size += abs(moved).T @ part
    return size


def projected(risk: Risk, theta: NDArray, columns: NDArray, wanted: NDArray) -> NDArray:
    r"""Theta moved so that :math:`\sum_i \sigma_i\theta_i x_i` is as `wanted` in some columns, and its sum zero.

    Each moves in proportion to the room that it has to the ends of its interval, which for most losses is the
    curvature: where theta is the natural point near the bottom, this is what a Newton step does to it.
    """
    sigma, rooms, d = row_weights(risk), room(risk.loss, theta, risk.y), risk.n_features
    if not risk.sparse and len(columns) * FEW_COLUMNS > d and d < LARGEST_HESSIAN:
        taken, kept = np.arange(d), columns  # to take some columns out of rows is dearer than to multiply all
    else:
        taken, kept = columns, np.arange(len(columns))
    centre, many = some_centre(risk)[taken], len(taken)
    kept = np.append(kept, many) if risk.intercept else kept
    buffer = np.ones((0 if risk.sparse else block_height(risk.X), many + risk.intercept))

    def parts() -> Iterator[tuple[slice, Any]]:
        start = 0
        for X, y, _ in risk.blocks():
            part, start = slice(start, start + len(y)), start + len(y)
            if risk.sparse:
                some = X[:, taken]
                yield part, sparse.hstack([some, np.ones((len(y), 1))]).tocsr() if risk.intercept else some
                continue
            rows, some = buffer[: len(y)], X if many == d else X.take(taken, axis=1)
            if centre.any():
                np.subtract(some, centre, out=rows[:, :many])
            else:
                np.copyto(rows[:, :many], some)
            yield part, rows

    blocks = list(parts()) if risk.sparse else None  # sparse rows are one block: its columns are taken out once

    def each() -> Iterator[tuple[slice, Any]]:
        return parts() if blocks is None else iter(blocks)

    wanted = np.append(wanted, 0.0) if risk.intercept else wanted
    step: NDArray = np.zeros(many + risk.intercept)
    off = sum((rows.T @ (sigma * theta)[part] for part, rows in each()), 0.0 * step)[kept] - wanted
    if len(wanted) <= LARGEST_HESSIAN:
        rough = risk.X.dtype == np.float32 and risk.l1 > 0 and not risk.sparse
        solve = _direct(each, sigma * rooms, kept, np.float32 if rough else np.float64)
    else:
        solve = _iterated(each, sigma * rooms, len(wanted))
    for _ in range(2):
        step[kept], sums, theta = solve(off), 0.0 * step, theta.copy()
        for part, rows in each():
            theta[part] -= rooms[part] * (rows @ step)
            sums += rows.T @ (sigma * theta)[part]
        off = sums[kept] - wanted
    return theta


Parts = Callable[[], Iterator[tuple[slice, Any]]]
Solver = Callable[[NDArray], NDArray]


def _direct(parts: Parts, weights: NDArray, kept: NDArray, dtype: Any) -> Solver:
    """Solves with the weighted second moments of the columns, by their eigenvectors: columns may depend on others.

    In float32 they are summed three times as fast, and solve to what a second step corrects.
    """
    moment: Any = 0.0
    for part, rows in parts():
        root = np.sqrt(weights[part, None])
        dense = isinstance(rows, np.ndarray)
        scaled = np.multiply(rows, root, dtype=dtype, casting="same_kind") if dense else rows.multiply(root).tocsr()
        square = scaled.T @ scaled
        moment = moment + (square if dense else square.toarray())
    moment = np.asarray(moment, dtype=np.float64)[np.ix_(kept, kept)]
    scale = np.sqrt(np.maximum(np.diag(moment), 1e-300))
    curvatures, V = np.linalg.eigh(moment / scale[:, None] / scale)
    seen = curvatures > (1e-14 if dtype == np.float64 else 1e-6) * curvatures.max(initial=0.0)
    V = V[:, seen] / scale[:, None]
    return lambda off: V @ ((V.T @ off) / curvatures[seen])


def _iterated(parts: Parts, weights: NDArray, size: int) -> Solver:
    """The same by conjugate gradients, for many columns: each step reads the rows, and what is left is scaled away."""

    def times(step: NDArray) -> NDArray:
        return sum((rows.T @ (weights[part] * (rows @ step)) for part, rows in parts()), np.zeros(size))

    squares = (rows.T**2 @ weights[part] if isinstance(rows, np.ndarray) else rows.multiply(rows).T @ weights[part]
               for part, rows in parts())  # fmt: skip
    diagonal = np.maximum(sum(squares, np.zeros(size)), 1e-300)
    moment = LinearOperator((size, size), matvec=times)
    scaled = LinearOperator((size, size), matvec=lambda r: r / diagonal)
    return lambda off: cg(moment, off, rtol=1e-9, maxiter=CONJUGATE_STEPS, M=scaled)[0]


def room(loss: Loss, theta: NDArray, y: NDArray) -> NDArray:
    """How far each theta is from the ends of its interval; it may move by that much to either side."""
    if loss.boundless:
        return np.ones_like(theta)
    low, high = loss.dual_range(y)
    below, above = theta - low, high - theta
    with np.errstate(invalid="ignore"):
        span = high - low
        within = below * above / span
    if not math.isfinite(span.sum()):
        open_low, open_high = np.isinf(low), np.isinf(high)
        within = np.where(open_low, np.where(open_high, 1.0, above), np.where(open_high, below, within))
    return np.maximum(within, 0.0)
