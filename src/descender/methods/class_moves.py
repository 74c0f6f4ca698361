r"""A proof of a softmax risk with l2 for which the distributions of some rows are moved.

The probabilities P of a reading are a point of the dual problem that misses its conditions by the gradient, and
:math:`|\nabla F|^2 / 2\lambda_2` shows far more than the distance to the minimum.  Moving the rows S of a sample, by
scores :math:`s_i = -p\, x_i`, makes up for most of that,

.. math::

    P_i' = \mathrm{softmax}(z_i + s_i) \quad (i \in S), \qquad
    F - D(P') = \sum_{i \in S} \sigma_i \mathrm{KL}(P_i' \,\|\, P_i) + \frac{|\nabla F + \Delta|^2}{2 \lambda_2},
    \qquad \Delta = \sum_{i \in S} \sigma_i (P_i' - P_i)\, x_i^\top,

where p is about Newton's step, by conjugate gradients on the sample.  For all other rows the loss and its conjugate
cancel.  Near the minimum this is about n/m times the true distance.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Vector
from descender.costs.risk import Risk
from descender.methods.classes import Classes, fits_single
from descender.methods.kronecker import Metric

PART, A_COLUMN = 4, 20
"""One row in so many is moved, unless fewer than so many a column, or a class, are left: then none, as it would take
too long."""
ROUNDS, WORTH = 4, 0.6
"""How often the equations are solved for what is left; and what of the gap that has to leave for the next to be
tried."""
MOST_PRODUCTS, SOLVED, SMALL = 8, 1e-2, 0.1
"""Products for a solution, at most; the share of the residual's square at which it ends; and of what is asked for that
the residual alone would show."""

BALANCED, STEPS, NEAR = 1e-14, 12, 0.01
"""The share of its total by which a class may be off; the Newton steps for that; and how short one is that needs no new
curvature after it."""
OUT = -50.0
"""What is added to the intercept of a class without rows, whose best one is without bounds: rounding to the others."""


class Missing(NamedTuple):
    """What a reading found: the probabilities (K, n); the gradient (K, d) by the weights, with columns from `centre`;
    and the sums of the slopes of the classes.
    """

    P: NDArray
    gradient: NDArray
    sums: NDArray
    centre: NDArray


def worth_moving(risk: Risk) -> bool:
    """Whether rows are so many that some of them prove a gap sooner than a few more steps of a walk."""
    return len(risk.y) >= PART * A_COLUMN * max(risk.n_features + 1, risk.n_classes)


class Moves:
    """Some rows of a risk whose distributions are moved until the gradient that is `missing` is made up for."""

    def __init__(self, risk: Risk, missing: Missing, sigma: NDArray):
        rows = np.arange(0, len(risk.y), PART)
        self.risk, self.missing, self.sigma = risk, missing, sigma[rows]
        self.before, self.some = np.ascontiguousarray(missing.P[:, rows]), risk.for_rows(rows)
        self.larger = float(sigma.sum()) / max(float(self.sigma.sum()), 1e-300)
        self.some.X, self.some.denominator = risk.X[rows], risk.denominator / self.larger
        self.problem = Classes(self.some, np.float32 if fits_single(risk) else np.float64)
        self.wanted = self.before @ self.sigma - missing.sums

    @np.errstate(all="ignore")
    def gap(self, metric: Metric, enough: float) -> tuple[float, float, NDArray]:
        """The gap, the share that is left to be mixed away, and the dual point's products with the columns."""
        missing, l2, d = self.missing, self.risk.l2, self.risk.n_features
        offset = self.problem.mean - missing.centre
        best, share, left = np.inf, np.inf, missing.gradient
        if not (self.wanted > 0.0).all():
            return best, share, left
        sums = missing.sums if self.risk.intercept else np.zeros(len(self.wanted))
        p, after = np.zeros((len(sums), d + 1)), self.before
        rest = np.column_stack([missing.gradient - np.outer(sums, offset), sums])
        for _ in range(ROUNDS):
            p = p + self._solved(after, rest, metric, enough)
            if not np.isfinite(p).all():
                break
            distance, after, off = self._moved(-self.larger * p, offset)
            found = missing.gradient + self._change(after)
            gap = distance + float(np.vdot(found, found)) / (2.0 * l2)
            better = gap < WORTH * best
            if gap < best:
                best, share, left = gap, off, found
            if best <= enough or not better:
                break
            rest = np.column_stack([found - l2 * p[:, :d], np.zeros(len(sums))])
        return best, share, left

    def _solved(self, after: NDArray, rest: NDArray, metric: Metric, enough: float) -> NDArray:
        """About the solution of Newton's equations, as the rows see them, by conjugate gradients."""
        problem, d, l2 = self.problem, self.risk.n_features, self.risk.l2
        P = after.astype(problem.kind)
        x, r = np.zeros_like(rest), rest
        p = y = metric.solve(r)
        ry = first = float(np.vdot(r, y))
        for _ in range(MOST_PRODUCTS):
            Hp = problem.curve(P, p)
            a = ry / max(float(np.vdot(p, Hp)), 1e-300)
            x, r = x + a * p, r - a * Hp
            y = metric.solve(r)
            ry, before = float(np.vdot(r, y)), ry
            small = float(np.vdot(r[:, :d], r[:, :d])) <= SMALL * 2.0 * l2 * enough
            if not SOLVED * first < ry < 1e4 * first or small:
                break
            p = y + ry / before * p
        return x

    def _moved(self, p: NDArray, offset: NDArray) -> tuple[float, NDArray, float]:
        """How far the rows have moved when p is added to their weights, with the best intercepts; where they are."""
        d, S = self.risk.n_features, np.empty_like(self.before)
        shift = (p[:, d] - p[:, :d] @ offset) if self.risk.intercept else np.zeros(len(p))
        for part, X in blocks(self.some, self.missing.centre):
            S[:, part] = np.asarray(X @ p[:, :d].T).T + shift[:, None]
        S -= S.max(axis=0)
        after = self.before * np.exp(S)
        total = after.sum(axis=0)
        after /= total
        logs, share = np.log(total), 0.0
        if self.risk.intercept:
            intercepts, more, share = balance(after, self.wanted, self.sigma)
            S += intercepts[:, None]
            logs += more
        distance = np.einsum("ki,ki->i", after, S) - logs
        sizes = np.abs(S).max(axis=0) + np.abs(logs)
        return float(self.sigma @ (distance + 1e-15 * sizes)), after, share

    def _change(self, after: NDArray) -> NDArray:
        """What the move adds to the products with the columns."""
        out, moved = np.zeros_like(self.missing.gradient), (after - self.before) * self.sigma
        for part, X in blocks(self.some, self.missing.centre):
            out += (X.T @ moved[:, part].T).T
        return out


def balance(P: NDArray, wanted: NDArray, sigma: NDArray) -> tuple[NDArray, NDArray, float]:
    """The intercepts to add for classes of the wanted size, the logarithms of what the rows then sum to, and the share
    left to be mixed away; P follows in place.
    """
    shift, largest = np.where(wanted > 0.0, 0.0, OUT), np.inf
    logs = np.zeros(P.shape[1])
    if not (wanted > 0.0).all():
        P[wanted == 0.0] = 0.0
        total = P.sum(axis=0)
        P /= total
        logs += np.log(total)
    for _ in range(STEPS):
        now = P @ sigma
        if np.all(np.abs(now - wanted) <= BALANCED * wanted):
            break
        if largest > NEAR:
            curvature = np.diag(now) - (P * sigma) @ P.T
        step = -np.linalg.lstsq(curvature, now - wanted, rcond=1e-14)[0]
        previous, largest = largest, float(np.abs(step).max())
        if not largest <= min(1.0, previous):
            break
        factors = np.exp(step)
        total = factors @ P
        P *= factors[:, None]
        P /= total
        logs += np.log(total)
        shift += step
    now = P @ sigma
    with np.errstate(divide="ignore", invalid="ignore"):
        share = float(np.max(np.where(now > wanted, 1.0 - wanted / now, 0.0)))
    return shift, logs, share


def blocks(risk: Risk, centre: Vector) -> Iterator[tuple[slice, Any]]:
    """(part, rows) in double precision from the centre."""
    start = 0
    for X, y, _ in risk.blocks():
        part, start = slice(start, start + len(y)), start + len(y)
        X = X.astype(np.float64, copy=False)
        yield part, X - centre if centre.any() else X
