"""The rows of a softmax risk, and the Kronecker metric of its curvature."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from descender.costs.cost import Vector
from descender.costs.risk import Risk, block_height
from descender.methods.centred import column_facts

WIDE = 2000
"""Columns from which the columns' part of the metric is its diagonal."""
FEWEST, A_COLUMN = 2000, 4
"""Rows that the metric is learnt from: so many, and so many a column; twenty times as many gained nothing."""
PRECISE = 200
"""Columns up to which the moments are decomposed in float64; beyond, float32 is as good a metric for half the time."""


class Moments(NamedTuple):
    """The mean covariance A of the classes, the second moments S of the columns or their diagonal, and the ridges."""

    A: NDArray
    S: NDArray
    ridge: NDArray


class Kronecker:
    r"""The inverse of :math:`A \otimes S + \mathrm{ridge}`, applied to (K, d + 1) weights and intercepts."""

    def __init__(self, moments: Moments):
        A, S, ridge = moments
        self.a, self.U = np.linalg.eigh(A)
        diagonal = S if S.ndim == 1 else np.diag(S)
        size = np.maximum(diagonal, 0.0) * float(np.trace(A)) / len(A) + ridge
        self.scale = np.where(size > 0, 1.0 / np.sqrt(np.where(size > 0, size, 1.0)), 0.0)
        self.free, ridge = ridge == 0.0, ridge * self.scale**2
        if S.ndim == 1:
            self.V, self.s, self.ridge = None, S * self.scale**2, ridge
        else:
            scaled = S * self.scale[:, None] * self.scale
            s, V = np.linalg.eigh(scaled.astype(np.float64 if len(S) <= PRECISE else np.float32))
            # the ridge is no multiple of the identity: its mean over S's vectors
            self.V, self.s, self.ridge = V, s.astype(np.float64), (V**2).T @ ridge
        self.spectrum = np.outer(np.maximum(self.a, 0.0), np.maximum(self.s, 0.0)) + self.ridge
        self.spectrum = np.maximum(self.spectrum, 1e-10 * max(float(self.spectrum.max()), 1e-300))

    def solve(self, G: NDArray) -> NDArray:
        """The inverse times G; what is added to all classes alike changes no loss, and without a ridge it stays 0."""
        Y = self.U.T @ (G * self.scale)
        Y = Y / self.spectrum if self.V is None else ((Y @ self.V) / self.spectrum) @ self.V.T
        Y = (self.U @ Y) * self.scale
        return np.where(self.free, Y - Y.mean(axis=0), Y)


class Classes:
    """The rows of a softmax risk with centred columns and a column of ones: parameters are (K, d + 1)."""

    def __init__(self, risk: Risk):
        self.risk, self.K, self.d, self.n = risk, risk.n_classes, risk.n_features, len(risk.y)
        ones = np.ones(self.n) if risk.sample_weight is None else risk.sample_weight
        self.sigma = ones / risk.denominator
        self.mean = column_facts(risk.X, self.sigma, centre=risk.intercept and not risk.sparse).mean
        self.chosen = risk.y.astype(np.int64), np.arange(self.n)
        self.reads = 0.0
        self.ridge = np.append(np.full(self.d, risk.l2), 0.0)

    def _parts(self) -> Iterator[slice]:
        height = block_height(self.risk.X)
        for start in range(0, self.n, height):
            yield slice(start, min(start + height, self.n))

    def enter(self, w: Vector) -> NDArray:
        """(K, d + 1) from a parameter vector of the risk."""
        W, b = self.risk.split(w)
        return np.column_stack([W, b + W @ self.mean])

    def leave(self, V: NDArray) -> Vector:
        """The parameter vector of the risk; of all intercepts that give the same cost, those whose sum is zero."""
        intercepts = V[:, self.d] - V[:, : self.d] @ self.mean
        return self.risk.join(V[:, : self.d], intercepts - intercepts.mean())

    def scores(self, V: NDArray) -> NDArray:
        """(K, n), half a reading."""
        self.reads += 0.5
        X = self.risk.X
        W = V[:, : self.d].astype(X.dtype)
        Z = np.ascontiguousarray((X @ W.T).T) if self.risk.sparse else W @ X.T
        Z = Z.astype(np.float64, copy=False)
        Z += (V[:, self.d] - V[:, : self.d] @ self.mean)[:, None]
        return Z

    def spread(self, R: NDArray) -> NDArray:
        """The sum over rows of R (K, n) times (x - mean, 1), half a reading."""
        self.reads += 0.5
        X, G = self.risk.X, np.zeros((self.K, self.d + 1))
        for part in self._parts():
            r = R[:, part].astype(X.dtype, copy=False)
            G[:, : self.d] += (X[part].T @ r.T).T if self.risk.sparse else r @ X[part]
        G[:, self.d] = R.sum(axis=1)
        G[:, : self.d] -= np.outer(G[:, self.d], self.mean)
        if not self.risk.intercept:
            G[:, self.d] = 0.0
        return G

    def look(self, Z: NDArray, V: NDArray) -> tuple[float, NDArray]:
        """The smooth cost at known scores, and the probabilities, by one exponential each."""
        top = Z.max(axis=0)
        P = Z - top
        chosen = P[self.chosen]
        np.exp(P, out=P)
        total = P.sum(axis=0)
        P /= total
        value = float(self.sigma @ (np.log(total) - chosen))
        return value + 0.5 * float(np.sum(self.ridge * V * V)), P

    def gradient(self, P: NDArray, V: NDArray) -> NDArray:
        """The gradient of the smooth cost, from the probabilities."""
        R = P * self.sigma
        R[self.chosen] -= self.sigma
        return self.spread(R) + self.ridge * V

    def curve(self, P: NDArray, V: NDArray) -> NDArray:
        """The Hessian at probabilities P times V."""
        Q = self.scores(V)
        Q -= (P * Q).sum(axis=0)
        Q *= P
        Q *= self.sigma
        return self.spread(Q) + self.ridge * V

    def moments(self, P: NDArray, columns: NDArray | None = None) -> Moments:
        """What the metric at probabilities P is made of, from some rows; of all columns, or some."""
        columns = np.arange(self.d) if columns is None else columns
        k = len(columns)
        rows = np.arange(0, self.n, max(1, -(-self.n // max(A_COLUMN * k, FEWEST))))
        h = self.sigma[rows] * (1.0 - np.einsum("ki,ki->i", P[:, rows], P[:, rows]))
        share = float(self.sigma.sum()) / max(float(h.sum()), 1e-300)
        A = np.diag(P @ self.sigma) - (self.sigma * P) @ P.T
        A /= max(float(self.sigma.sum()), 1e-300)
        one, ridge = float(self.risk.intercept), np.append(self.ridge[columns], self.ridge[self.d])
        X = self.risk.X[rows] if k == self.d else self.risk.X[rows][:, columns]
        if k > WIDE:
            squared = X.multiply(X) if sparse.issparse(X) else np.square(X - self.mean[columns])
            S = np.append(squared.T @ h, h.sum()) * share
            return Moments(A, S, ridge)
        X = np.asarray(X.todense() if sparse.issparse(X) else X, dtype=np.float64) - self.mean[columns]
        X = np.column_stack([X, np.full(len(rows), one)]) * np.sqrt(h * share)[:, None]
        size = np.sqrt(np.einsum("ij,ij->j", X, X))
        size[size == 0.0] = 1.0
        X = (X / size).astype(np.float64 if k <= PRECISE else np.float32)
        S = (X.T @ X).astype(np.float64) * size[:, None] * size
        if not self.risk.intercept:
            S[k, k] = 1.0
        return Moments(A, S, ridge)
