"""The path of a smooth loss: Newton's method on several folds at once, one reading of the rows for all of them."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg.lapack import dpotrf, dpotrs

from descender.costs.risk import Risk, block_height
from descender.data.split import Folds
from descender.methods.centred import Centred
from descender.methods.column_facts import column_facts
from descender.methods.lasso import lasso
from descender.methods.lbfgs import Pairs
from descender.methods.path import POINT_TOL, Point, Watch, learning
from descender.methods.sampling import Draw, draw, sample_size

WORK = 3e8
"""Multiplications beyond which a Hessian is learnt from a sample of the rows, where they are many."""
LARGEST_STEPS = 30
STEEP = 1e-3
"""Of the last change of the loss between two strengths: where it still falls steeply, no point need be precise."""
MEMORY = 10
QUICK = 100
"""Weights up to which a new Hessian is preferred to a second step in an old one."""


class Reading(NamedTuple):
    """What one reading tells of every fit: its loss, the gradient (P, F), the scores (C, n, F), and its judgement."""

    values: NDArray
    gradient: NDArray
    scores: NDArray
    losses: NDArray
    squares: NDArray

    def where(self, new: NDArray, other: Reading) -> Reading:
        """With the columns of another reading where `new`."""
        judged = new[: len(self.losses)]
        return Reading(
            np.where(new, other.values, self.values),
            np.where(new, other.gradient, self.gradient),
            np.where(new, other.scores, self.scores),
            np.where(judged, other.losses, self.losses),
            np.where(judged, other.squares, self.squares),
        )


class SideBySide:
    """The smooth losses of F fits to the same rows, each with weights of its own.

    Parameters are (P, F): the weights of C classes (one, where a row has one score), class by class, then the
    intercepts for columns about their mean.
    """

    def __init__(self, risk: Risk, folds: Folds):
        self.risk, self.X, self.y = risk, risk.X, risk.y[:, None]
        (self.n, self.d), self.C = risk.X.shape, risk.n_classes
        self.weights = self.C * self.d
        self.learn = learning(folds, whole=len(folds.judge) > 1)
        s = np.ones(self.n) if risk.sample_weight is None else risk.sample_weight
        sigma = s[:, None] * self.learn.T[folds.cell]
        self.sigma = sigma / sigma.sum(axis=0)
        judged = np.stack([s * folds.judges(k) for k in range(len(folds.judge))], axis=1)
        self.judged = judged / judged.sum(axis=0)
        centre = risk.intercept and not risk.sparse
        self.columns = column_facts(risk.X, s, centre=centre)
        self.mean = self.columns.mean
        self.height = block_height(risk.X)
        self.sample: Draw | None = None
        self.reads = 1

    def enter(self, w: NDArray) -> NDArray:
        """The parameters of every fit that stand for a parameter vector of the risk."""
        W, b = self.risk.split(w)
        shift = np.atleast_2d(W) @ self.mean
        return np.repeat(np.concatenate([np.ravel(W), np.atleast_1d(b) + shift])[:, None], len(self.learn), axis=1)

    def leave(self, v: NDArray) -> NDArray:
        """The parameter vector of the risk that stands for a fit."""
        W = v[: self.weights].reshape(self.C, self.d)
        return self.risk.join(W, v[self.weights :] - W @ self.mean)

    def linear(self, V: NDArray) -> tuple[NDArray, NDArray]:
        """The weights (d, C F) in the type of the rows, and the shifts (C F), of the scores at the columns of V."""
        F = V.shape[1]
        W = V[: self.weights].reshape(self.C, self.d, F).transpose(1, 0, 2).reshape(self.d, self.C * F)
        return np.ascontiguousarray(W, dtype=self.X.dtype), V[self.weights :].ravel() - self.mean @ W

    def read(self, V: NDArray) -> Reading:
        """All fits at the columns of V, reading each row once."""
        self.reads += 1
        loss, F, K = self.risk.loss, V.shape[1], self.judged.shape[1]
        one, (W, shift) = self.C == 1, self.linear(V)
        values, gradient, slopes = np.zeros(F), np.zeros((self.d, self.C, F)), np.zeros((self.C, F))
        losses, squares, scores = np.zeros(K), np.zeros(K), np.empty((self.C, self.n, F))
        for start in range(0, self.n, self.height):
            part = slice(start, min(start + self.height, self.n))
            X, y, sigma, judged = self.X[part], self.y[part], self.sigma[part], self.judged[part]
            Z = np.asarray(X @ W) + shift
            z = scores[:, part] = Z.reshape(-1, self.C, F).transpose(1, 0, 2)
            cost = loss.value(z[0] if one else z, y)
            values += np.einsum("if,if->f", sigma, cost)
            losses += np.einsum("ik,ik->k", judged, cost[:, :K])
            squares += np.einsum("ik,ik,ik->k", judged, cost[:, :K], cost[:, :K])
            r = sigma * (loss.slope(z[0], y)[None] if one else loss.slope(z, y))
            flat = np.ascontiguousarray(r.transpose(1, 0, 2), dtype=self.X.dtype).reshape(-1, self.C * F)
            gradient += (X.T @ flat).reshape(self.d, self.C, F)
            slopes += r.sum(axis=1)
        gradient -= self.mean[:, None, None] * slopes
        slopes = slopes if self.risk.intercept else np.zeros_like(slopes)
        return Reading(
            values, np.vstack([gradient.transpose(1, 0, 2).reshape(self.weights, F), slopes]), scores, losses, squares
        )

    def metric(self, fit: int, scores: NDArray, rng: np.random.Generator) -> Metric:
        """The metric of a fit at its scores (C, n), from the rows that it learns from, or a sample of them."""
        rows, weights = np.flatnonzero(self.sigma[:, fit]), 1.0
        size = sample_size(self.n, self.weights)
        if len(rows) * self.weights**2 > WORK and size < self.n:
            if self.sample is None:
                self.sample = draw(Centred.of(self.risk)[0], self.columns, size, rng)
            sample = self.sample
            chosen = self.sigma[sample.rows, fit] > 0
            rows, weights = sample.rows[chosen], 1.0 / np.minimum(1.0, sample.q[chosen])
        H = self._gram(rows, scores[:, rows], self.sigma[rows, fit] * weights)
        return Metric(H, self.weights, self.risk.intercept)

    def _gram(self, rows: NDArray, z: NDArray, s: NDArray) -> NDArray:
        """The Hessian of the loss of some rows with weights."""
        d, C, loss = self.d, self.C, self.risk.loss
        H = np.zeros((C, d + 1, C, d + 1))
        if C == 1:
            curved = {(0, 0): s * np.maximum(loss.curvature(z[0], self.y[rows, 0]), 0.0)}
        else:
            p = loss.predict(z)
            curved = {(k, m): s * p[k] * ((k == m) - p[m]) for k in range(C) for m in range(k, C)}
        height = len(rows) if sparse.issparse(self.X) else self.height
        for start in range(0, len(rows), max(height, 1)):
            part = slice(start, start + height)
            X = self._about_the_mean(rows[part])
            for (k, m), h in curved.items():
                if k == m:
                    scaled = _scaled(X, np.sqrt(h[part]))
                    H[k, :, k, :] += _dense(scaled.T @ scaled)
                else:
                    H[k, :, m, :] += _dense(X.T @ _scaled(X, h[part]))
        for k, m in curved:
            H[m, :, k, :] = H[k, :, m, :].T
        order = [k * (d + 1) + j for k in range(C) for j in range(d)] + [k * (d + 1) + d for k in range(C)]
        return H.reshape(C * (d + 1), C * (d + 1))[np.ix_(order, order)]

    def _about_the_mean(self, rows: NDArray) -> Any:
        """Some rows about the mean, with a column of ones."""
        X = self.X[rows]
        if sparse.issparse(X):
            return sparse.hstack([X, np.ones((len(rows), 1))], format="csr")
        out = np.ones((len(rows), self.d + 1), dtype=X.dtype)
        np.subtract(X, self.mean.astype(X.dtype), out=out[:, : self.d])
        return out


def _scaled(X: Any, h: NDArray) -> Any:
    """The rows of X times h."""
    return X.multiply(h[:, None]).tocsr() if sparse.issparse(X) else X * h.astype(X.dtype)[:, None]


def _dense(G: Any) -> NDArray:
    return G.toarray() if sparse.issparse(G) else G


class Metric:
    """A Hessian with the intercepts eliminated; it solves for every strength of a penalty."""

    def __init__(self, H: NDArray, weights: int, intercept: bool):
        self.weights = weights
        classes = len(H) - weights
        edge = H[weights:, :weights] if intercept else np.zeros((classes, weights))
        # of several classes' intercepts only differences count
        self.inverse = np.linalg.pinv(H[weights:, weights:], rcond=1e-12, hermitian=True)
        self.edge, self.S = edge, H[:weights, :weights] - edge.T @ self.inverse @ edge
        self.factor: tuple[float, NDArray] | None = None

    def solve(self, g: NDArray, l2: float) -> NDArray:
        """The inverse of the Hessian with an l2 penalty, times g."""
        slope = g[: self.weights] - self.edge.T @ (self.inverse @ g[self.weights :])
        p = dpotrs(self._factor(l2), slope, lower=1)[0]
        return np.append(p, self.inverse @ (g[self.weights :] - self.edge @ p))

    def proximal(self, v: NDArray, g: NDArray, l1: float, l2: float) -> tuple[NDArray, float]:
        """The step from v to the minimum of the quadratic model with both penalties, and half of what it promises."""
        w, slope = v[: self.weights], g[: self.weights] - self.edge.T @ (self.inverse @ g[self.weights :])
        p = lasso(self.S, self.S @ w + l2 * w - slope, w, l1, l2) - w
        step = np.append(p, -self.inverse @ (g[self.weights :] + self.edge @ p))
        gain = l1 * float(np.abs(w + p).sum() - np.abs(w).sum())
        return step, -0.5 * (float(g @ step) + gain)

    def _factor(self, l2: float) -> NDArray:
        """The Cholesky factor of the Hessian with an l2 penalty, kept for the next step at this strength."""
        if self.factor is None or self.factor[0] != l2:
            diagonal = np.diag(self.S)
            for jitter in (1e-14, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1.0):
                H = self.S.copy()
                H.flat[:: self.weights + 1] += l2 + jitter * max(float(diagonal.max()), 1e-300)
                factor, failed = dpotrf(H, lower=1)
                if not failed:
                    break
            self.factor = l2, factor
        return self.factor[1]


class NewtonPath:
    """A walk along the strengths of a penalty with all fits at once."""

    def __init__(self, risk: Risk, folds: Folds, start: NDArray, seed: int):
        self.risk = risk
        self.rows, self.rng = SideBySide(risk, folds), np.random.default_rng(seed)
        self.patience = 1 if self.rows.weights <= QUICK else 3
        self.V = self.rows.enter(start)
        self.reading = self.rows.read(self.V)
        self.metrics: dict[int, Metric] = {}
        self.memory: dict[int, deque] = {}
        self.learn(np.ones(self.V.shape[1]))

    def learn(self, fits: NDArray) -> None:
        """Take the metrics of some fits from where they are."""
        for f in map(int, np.flatnonzero(fits)):
            self.metrics[f] = self.rows.metric(f, self.reading.scores[:, :, f], self.rng)
            self.memory[f] = deque(maxlen=MEMORY)

    def costs(self, reading: Reading, V: NDArray, l1: float, l2: float) -> NDArray:
        """The penalised cost of each fit."""
        W = V[: self.rows.weights]
        return reading.values + 0.5 * l2 * np.einsum("jf,jf->f", W, W) + l1 * np.abs(W).sum(axis=0)

    def look(self, l1: float, l2: float) -> tuple[NDArray, NDArray]:
        """The next step of each fit and half of what it promises."""
        G = self.reading.gradient.copy()
        G[: self.rows.weights] += l2 * self.V[: self.rows.weights]
        found = [self._step(f, G[:, f], l1, l2) for f in range(self.V.shape[1])]
        return np.stack([step for step, _ in found], axis=1), np.array([promise for _, promise in found])

    def _step(self, f: int, g: NDArray, l1: float, l2: float) -> tuple[NDArray, float]:
        """The step of a fit where its smooth cost has gradient g: in its metric, corrected by the steps before."""
        metric = self.metrics[f]
        if l1 > 0:
            return metric.proximal(self.V[:, f], g, l1, l2)
        pairs, weights = Pairs(MEMORY), self.rows.weights
        for s, y, sy, ss in self.memory[f]:
            curved = sy + l2 * ss
            if curved > 0:
                y = y.copy()
                y[:weights] += l2 * s[:weights]
                pairs.pairs.append((s, y, 1.0 / curved))
        step = -pairs.solve(g, lambda q: metric.solve(q, l2))
        if g @ step >= 0:
            step = -metric.solve(g, l2)
        return step, -0.5 * float(g @ step)

    def descend(self, l1: float, l2: float, unit: float, tol: float) -> float:
        """All fits to a tolerance at these penalties, from where they are; the largest relative gap that remains."""
        stuck = np.zeros(self.V.shape[1], dtype=np.bool_)
        for taken in range(LARGEST_STEPS):
            steps, promise = self.look(l1, l2)
            costs = self.costs(self.reading, self.V, l1, l2)
            relative = promise / np.maximum(np.abs(costs), unit)
            wanting = relative > tol
            if not wanting.any():
                break
            if taken >= self.patience or (stuck & wanting).any():
                self.learn(wanting)
                steps, promise = self.look(l1, l2)
                wanting &= promise > 0
            moved = self._move(steps * wanting, costs, promise * wanting, l1, l2)
            if (stuck & ~moved & wanting).all():
                break
            stuck = ~moved
        return float(relative.max())

    def _move(self, steps: NDArray, costs: NDArray, promise: NDArray, l1: float, l2: float) -> NDArray:
        """Take the steps, shortened where they do not lower the cost; which fits did move."""
        t = np.ones(steps.shape[1])
        for _ in range(4):
            V = self.V + t * steps
            with np.errstate(over="ignore", invalid="ignore"):
                trial = self.rows.read(V)
                lower = self.costs(trial, V, l1, l2) <= costs - 1e-4 * t * promise + 1e-13 * np.abs(costs)
            lower &= np.isfinite(trial.gradient).all(axis=0)
            if lower.all():
                break
            for f in map(int, np.flatnonzero(~lower)):
                t[f] = self._shorten(f, float(t[f]), trial.scores[:, :, f], V[:, f], costs[f], l1, l2)
        moved = lower & (t > 0) & steps.any(axis=0)
        for f in map(int, np.flatnonzero(moved)):
            s, y = t[f] * steps[:, f], trial.gradient[:, f] - self.reading.gradient[:, f]
            self.memory[f].append((s, y, float(s @ y), float(s[: self.rows.weights] @ s[: self.rows.weights])))
        self.V = np.where(lower, V, self.V)
        self.reading = trial if lower.all() else self.reading.where(lower, trial)
        return moved

    def _shorten(self, f: int, t: float, ahead: NDArray, V: NDArray, cost: float, l1: float, l2: float) -> float:
        """A share of the step that lowers the cost of fit f, by the scores at both of its ends: nothing is read."""
        here, y, sigma = self.reading.scores[:, :, f], self.rows.y[:, 0], self.rows.sigma[:, f]
        if not np.isfinite(ahead).all():
            return 1e-3 * t
        for share in 0.5 ** np.arange(1, 30):
            v = self.V[:, f] + share * (V - self.V[:, f])
            z, w = here + share * (ahead - here), v[: self.rows.weights]
            value = sigma @ self.risk.loss.value(z[0] if len(z) == 1 else z, y)
            value += 0.5 * l2 * (w @ w) + l1 * np.abs(w).sum()
            if value < cost:
                return float(t * share)
        return 0.0


def newton_path(
    risk: Risk,
    kind: str,
    strengths: NDArray,
    folds: Folds,
    start: NDArray,
    watch: Watch | None = None,
    tol: float | None = None,
    seed: int = 0,
) -> list[Point]:
    """The path of a smooth convex loss from `start`, each point to a relative gap of about `tol`.

    Without a `tol` it is `POINT_TOL`, and less where the loss falls steeply from strength to strength.
    """
    path = NewtonPath(risk, folds, start, seed)
    unit = float(np.abs(path.reading.values).max()) / 1000.0
    points, before, drop = [], float(path.reading.values[-1]), 1.0
    for strength in strengths:
        l1, l2 = (float(strength), risk.l2) if kind == "l1" else (risk.l1, float(strength))
        gap = path.descend(l1, l2, unit, max(POINT_TOL, STEEP * drop) if tol is None else tol)
        now = float(path.reading.values[-1])
        before, drop = now, abs(before - now) / max(abs(now), unit)
        w = path.rows.leave(path.V[:, -1])
        points.append(Point(float(strength), path.reading.losses, path.reading.squares, gap, w))
        if watch is not None and watch(points[-1]):
            break
    return points
