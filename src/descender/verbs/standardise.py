"""The columns of a stream, standardised by what was seen of them so far."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from descender.methods.column_facts import column_facts


class RunningColumns:
    """The running mean and deviation of each column; of sparse rows, which are not centred, the root mean square.

    Sums accumulate in the order of the samples, so that the bits do not depend on how many arrive at a time; the first
    sample is subtracted from all, so that a large offset costs no digits.

    >>> columns = RunningColumns(np.array([[1.0], [3.0]]))
    >>> columns.learn(np.array([[1.0], [3.0]]))
    array([[0.],
           [1.]])
    >>> columns.mean, columns.scale
    (array([2.]), array([1.]))
    """

    def __init__(self, first: Any):
        d = first.shape[1]
        self.samples, self.sparse = 0, sparse.issparse(first)
        self.origin: NDArray[np.float64] = np.zeros(d) if self.sparse else first[0].copy()
        self.mean, self.square, self.total = np.zeros(d), np.zeros(d), np.zeros(d)

    @property
    def scale(self) -> NDArray[np.float64]:
        """The running deviation of each column; 1 where it did not vary."""
        deviation = np.sqrt(self.square / max(self.samples, 1))
        return np.where(deviation > 0, deviation, 1.0)

    def kept(self) -> tuple[Any, ...]:
        """Where the sums stand, to go back to by :meth:`back`."""
        return self.samples, self.mean, self.square, self.total

    def back(self, kept: tuple[Any, ...]) -> None:
        """Forget what was learnt since."""
        self.samples, self.mean, self.square, self.total = kept

    def resume(self, rows: Any, samples: int) -> None:
        """As if `samples` samples like these rows had been seen."""
        ones = np.full(rows.shape[0], 1.0 / rows.shape[0])
        facts: Any = column_facts(rows, ones, centre=not self.sparse)
        self.samples, self.mean, self.square = samples, facts.mean, facts.squares * samples
        self.total = (self.mean - self.origin) * samples

    def standardised(self, rows: Any) -> Any:
        """The rows less the mean and over the deviation of all samples seen so far."""
        return rows @ sparse.diags_array(1 / self.scale) if sparse.issparse(rows) else (rows - self.mean) / self.scale

    def learn(self, rows: Any) -> Any:
        """The rows less the mean and over the deviation of all samples up to each of them."""
        if not rows.shape[0]:
            return rows
        scaled = self._learn_sparse(rows) if self.sparse else self._learn_dense(rows)
        self.samples += rows.shape[0]
        return scaled

    def _learn_dense(self, rows: NDArray) -> NDArray:
        count = self.samples + np.arange(1.0, len(rows) + 1.0)[:, None]
        self.total, sums = running(self.total, rows - self.origin)
        means = self.origin + sums / count
        change = rows - np.vstack([self.mean, means[:-1]])
        self.square, squares = running(self.square, np.maximum(change * (rows - means), 0.0))
        self.mean = means[-1]
        deviation = np.sqrt(squares / count)
        return (rows - means) / np.where(deviation > 0, deviation, 1.0)

    def _learn_sparse(self, rows: Any) -> Any:
        values, self.square = rows.data.astype(np.float64), self.square.copy()
        for i, (start, stop) in enumerate(itertools.pairwise(rows.indptr)):
            columns = rows.indices[start:stop]
            np.add.at(self.square, columns, values[start:stop] ** 2)
            size = np.sqrt(self.square[columns] / (self.samples + i + 1))
            values[start:stop] /= np.where(size > 0, size, 1.0)
        return sparse.csr_array((values, rows.indices, rows.indptr), shape=rows.shape)


def running(start: NDArray, rows: NDArray) -> tuple[NDArray, NDArray]:
    """The sum after the last row, and after each of them."""
    sums = np.cumsum(np.vstack([start, rows]), axis=0)[1:]
    return sums[-1], sums
