"""Which rows to learn a metric from."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from descender.costs.cost import Vector
from descender.kernels.sparse_columns import gram_price, with_values
from descender.kernels.sparse_reads import quick_rows
from descender.methods.centred import Centred
from descender.methods.column_facts import Columns, column_facts

PARTS, READINGS, PLENTY = 4, 2.0, 40
"""Of sparse rows one in so many tells the metric, or fewer, whose Hessian costs so many readings of all; so many rows a
column are plenty."""
RARE = 10.0
"""How many times its even share of the sum of squares of a column one row of an even sample may have."""
EVEN = 0.8
"""The share of the rows that weigh as much as all, if they weighed alike, from which on an even sample will do."""
SPARSER = 16
"""Of so many rows one tells the sizes of columns that a thousand rows do not tell."""


class Draw(NamedTuple):
    """A nested sample: the first share c of it are the ``rows`` with ``ratio < c``, weighted by 1/min(1, c q)."""

    rows: NDArray
    ratio: NDArray
    q: NDArray
    squares: Vector

    def part(self, problem: Centred, share: float) -> tuple[Centred, NDArray]:
        """The rows of a share of the sample as a problem of their own, and which they are."""
        chosen = self.ratio < share
        rows = self.rows[chosen]
        weights = 1.0 / np.minimum(1.0, share * self.q[chosen])
        if sparse.issparse(problem.X):
            return problem.part(rows, weights), rows
        return problem.standardised(rows, weights, self.squares), rows


def sample_size(n: int, d: int) -> int:
    """Rows that a metric for d columns is learnt from: enough for it to contract, few enough to be nearly free."""
    if n < 40 * d:
        return n
    smallest = (10 if d >= 400 else 20) * d
    return int(min(n / 4, max(smallest, min(n / 20, 400 * d + 20_000))))


def sparse_sample_size(X: Any) -> int:
    """The same for sparse rows, of which a Hessian costs little: the more are in it the fewer readings are needed."""
    n, d = X.shape
    return int(max(min(n / PARTS, READINGS * n / max(gram_price(X), READINGS), PLENTY * d), sample_size(n, d)))


def has_rare(columns: Columns, m: int, n: int, total: float) -> bool:
    """Whether some column lives on so few rows that an even sample of m of n may miss them."""
    return bool(np.any(m * columns.largest * total > RARE * n * columns.squares))


def is_even(part: Centred, n: int) -> bool:
    """Whether the rows of an even sample of n are finite, and none shows a column that lives on few rows."""
    widest = max(float(part.X.max(initial=0.0)), -float(part.X.min(initial=0.0)))
    return widest**2 <= (RARE * n / part.n if part.n < n else 1e30)


def draw(problem: Centred, columns: Columns, m: int, rng: np.random.Generator) -> Draw:
    r"""About `m` rows, each with probability :math:`\min(1, q_i)`.

    Evenly, one of each n/m, unless some tell more than others.  Where some column lives on few rows (a rare category),
    which such a sample would miss, these are drawn by leverage, :math:`l_i = \sum_j x_{ij}^2 / s_j`; where some bend
    the cost far more than others, as large counts do, by their curvature h about where their target would have it:
    :math:`q_i` is m times the mean of these shares and of 1/n.
    """
    n = problem.n
    squares = np.maximum(columns.squares, columns.largest * float(problem.sigma.sum()) / n)
    if m >= n:
        return Draw(np.arange(n), rng.random(n), np.ones(n), squares)
    total = float(problem.sigma.sum())
    weights, shares = bends(problem), []
    if has_rare(columns, m, n, total):
        columns = _sizes(problem, columns, total)
        squares = columns.squares
        shares.append(_capped(_leverages(problem, columns, total), m))
    if weights is not None:
        shares.append(_capped(weights, m))
    if not shares:
        rows = ((np.arange(m) + rng.random(m)) * (n / m)).astype(np.intp)
        return Draw(np.minimum(rows, n - 1), rng.random(m), np.full(m, m / n), squares)
    q = m / (1.0 + len(shares)) * (sum(shares) + 1.0 / n)
    ratio = rng.random(n) / q
    rows = np.flatnonzero(ratio < 1.0)
    return Draw(rows, ratio[rows], q[rows], squares)


@np.errstate(over="ignore", invalid="ignore")
def bends(problem: Centred) -> NDArray | None:
    """About what each row adds to the curvature, where the loss tells and few rows have most of it."""
    if problem.loss.working_weights is None:
        return None
    h = problem.sigma * problem.loss.working_weights(problem.y, problem.sigma)
    return h if float(h.sum()) ** 2 < EVEN * problem.n * float(h @ h) else None


def _capped(weights: NDArray, m: int) -> NDArray:
    """Shares of rows by weight; a row that is taken for sure leaves the rest of its share to others."""
    whole, largest = float(weights.sum()), float(weights.max(initial=0.0))
    for _ in range(3):
        if largest <= 2.0 * whole / m:
            break
        whole = max(float(np.minimum(weights, 2.0 * whole / m).sum()), 1e-300)
    return weights / max(whole, 1e-300)


def _sizes(problem: Centred, columns: Columns, total: float) -> Columns:
    """The sums of squares of columns that live on few rows, by one row of so many; that of a row is the least.

    Those of sparse rows are of all rows already.
    """
    if sparse.issparse(problem.X):
        return columns
    some = slice(None, None, SPARSER)
    found = column_facts(problem.X[some], problem.sigma[some], centre=bool(problem.mean.any()))
    share = float(problem.sigma[some].sum()) / total
    squares = np.maximum(found.squares / max(share, 1e-300), columns.largest * total / problem.n)
    return columns._replace(squares=squares)


def _leverages(problem: Centred, columns: Columns, total: float) -> NDArray:
    """For each row the sum over columns of its square over the column's mean square."""
    inverse = np.where(columns.squares > 0, total / np.maximum(columns.squares, 1e-300), 0.0)
    if sparse.issparse(problem.X):
        return quick_rows(with_values(problem.X, np.square(problem.X.data))) @ inverse
    X, leverage = problem.X, np.empty(problem.n)
    buffer = np.empty((problem.height, problem.d), X.dtype)
    mean, root = problem.mean.astype(X.dtype), np.sqrt(inverse).astype(X.dtype)
    for start in range(0, problem.n, problem.height):
        part = slice(start, min(start + problem.height, problem.n))
        moved = np.subtract(X[part], mean, out=buffer[: part.stop - part.start])
        moved *= root
        leverage[part] = np.einsum("ij,ij->i", moved, moved)
    return leverage
