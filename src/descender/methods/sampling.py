"""Which rows to learn a metric from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from descender.costs.cost import Vector
from descender.kernels.sparse_columns import with_values
from descender.methods.centred import Centred, Columns, column_facts


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


def draw(problem: Centred, columns: Columns, m: int, rng: np.random.Generator) -> Draw:
    r"""About `m` rows, each with probability :math:`\min(1, q_i)`.

    Evenly, one of each n/m, unless some column lives on few rows (a rare category), which such a sample would miss:
    then half by leverage, :math:`q_i = m\,(l_i/d + 1/n)/2` with :math:`l_i = \sum_j x_{ij}^2 / s_j`.
    """
    n = problem.n
    squares = np.maximum(columns.squares, columns.largest * float(problem.sigma.sum()) / n)
    if m >= n:
        return Draw(np.arange(n), rng.random(n), np.ones(n), squares)
    total = float(problem.sigma.sum())
    rare = np.any(m * columns.largest * total > 10.0 * n * columns.squares)
    if not rare:
        rows = ((np.arange(m) + rng.random(m)) * (n / m)).astype(np.intp)
        return Draw(np.minimum(rows, n - 1), rng.random(m), np.full(m, m / n), squares)
    columns = column_facts(problem.X, problem.sigma, centre=bool(problem.mean.any()))
    leverage = _leverages(problem, columns, total)
    q = 0.5 * m * (leverage / max(leverage.sum(), 1e-300) + 1.0 / n)
    ratio = rng.random(n) / q
    rows = np.flatnonzero(ratio < 1.0)
    return Draw(rows, ratio[rows], q[rows], columns.squares)


def _leverages(problem: Centred, columns: Columns, total: float) -> NDArray:
    """For each row the sum over columns of its square over the column's mean square."""
    inverse = np.where(columns.squares > 0, total / np.maximum(columns.squares, 1e-300), 0.0)
    if sparse.issparse(problem.X):
        return with_values(problem.X, np.square(problem.X.data)) @ inverse
    leverage = np.empty(problem.n)
    for start in range(0, problem.n, problem.height):
        part = slice(start, min(start + problem.height, problem.n))
        leverage[part] = np.square(problem.X[part] - problem.mean) @ inverse
    return leverage
