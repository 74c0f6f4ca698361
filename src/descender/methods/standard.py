r"""The rows of a small risk as Newton's method reads them: column by column, each from its mean and in one unit.

The parameters V are (columns,), or (scores a row, columns): :math:`v_j = w_j\, \mathrm{size}_j`, the last
:math:`b + \mu\cdot w`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender.costs.certificate import Certificate, certificate, is_slight, proved, rounded
from descender.costs.cost import Vector
from descender.costs.dual_rows import Sizes, room, row_weights, score_errors
from descender.costs.losses import Softmax
from descender.costs.risk import Risk
from descender.methods.advance import COLUMNS
from descender.methods.row_curvatures import row_curvatures

EPSILON = float(np.finfo(np.float64).eps)
TURNED = 16_384
"""Numbers of rows that become columns at once."""
NEARBY = 0.5
"""How far scores may move for the slopes to stay differences of probabilities, when they move by their curvatures."""
FAR = 1e3
"""Sizes of a column from zero beyond which scores lose digits that those of centred rows keep."""


class Point(NamedTuple):
    """Where a walk stands: parameters, scores, cost, slopes of the rows, gradient of all but the l1 penalty."""

    V: NDArray
    Z: NDArray
    value: float
    slopes: NDArray
    G: NDArray


def turned(X: NDArray, lines: NDArray) -> NDArray:
    """The columns of X as `lines`, some rows at a time, so that what is read again is still in the cache."""
    height = max(TURNED // max(X.shape[1], 1), 256)
    for start in range(0, len(X), height):
        lines[:, start : start + height] = X[start : start + height].T
    return lines


def diagonal(H: NDArray) -> NDArray:
    """The diagonal of a matrix whose rows lie one after the other, to be written to."""
    return H.reshape(-1)[:: len(H) + 1]


class Units(NamedTuple):
    """The coordinates of a problem: the size and the mean of each column, whether there is an intercept, and whether a
    row has several scores; the l1 penalty in them.
    """

    size: NDArray
    mean: NDArray
    intercept: bool
    several: bool
    l1: NDArray | None

    @property
    def width(self) -> int:
        """Coordinates of a score."""
        return len(self.size) + self.intercept

    def enter(self, W: NDArray, b: NDArray) -> NDArray:
        """The coordinates of weights and intercepts."""
        V = np.zeros((*W.shape[:-1], self.width))
        V[..., : len(self.size)] = W * self.size
        if self.intercept:
            V[..., -1] = b + W @ self.mean
        return V

    def leave(self, V: NDArray) -> Vector:
        """The parameter vector of the risk with coordinates V, or those of several points, stacked in front."""
        if not self.intercept:
            return self._flat(V / self.size)
        W = V[..., :-1] / self.size
        return self._flat(W, V[..., -1] - W.dot(self.mean))

    def leave_gradient(self, G: NDArray) -> Vector:
        """The gradient by the risk's own parameters, or those at several points."""
        if not self.intercept:
            return self._flat(G * self.size)
        b = G[..., -1]
        return self._flat(G[..., :-1] * self.size + b[..., None] * self.mean, b)

    def with_l1(self, G: NDArray, V: NDArray) -> NDArray:
        """Gradients with the l1 penalty, which at a zero weight counts with slope 0."""
        return G if self.l1 is None else G + self.l1 * np.sign(V)

    def _flat(self, W: NDArray, *b: NDArray) -> Vector:
        if self.several:
            return np.concatenate([W.reshape(*W.shape[:-2], -1), *b], axis=-1)
        if not b:
            return W
        out = np.empty((*W.shape[:-1], self.width))
        out[..., :-1], out[..., -1] = W, b[0]
        return out


class Trail:
    """What a log says of the steps between points, worked out when somebody looks."""

    def __init__(self, units: Units, steps: list[tuple[NDArray, NDArray, float, float]], end: NDArray):
        """Of each step where it began, the gradient and the cost there, and the share of it that was taken."""
        self.units, self.steps, self.end = units, steps, end

    @cached_property
    def points(self) -> NDArray:
        """The parameter vectors before each step, and after the last."""
        return self.units.leave(np.array([V for V, *_ in self.steps] + [self.end]))

    def path(self) -> NDArray:
        """Those before each step."""
        return self.points[:-1]

    @np.errstate(all="ignore")
    def log(self) -> NDArray:
        """A row for each step."""
        V, G, costs, shares = (np.array(part) for part in zip(*self.steps, strict=True))
        log = np.zeros((len(costs), len(COLUMNS)))
        log[:, 0], log[:, 3], log[:, 5] = costs, shares, 1.0
        log[:, 1] = _lengths(self.units.leave_gradient(self.units.with_l1(G, V)))
        log[:, 2] = _lengths(self.points[1:] - self.points[:-1])
        return log


def _lengths(rows: NDArray) -> NDArray:
    return np.sqrt(np.add.reduce(rows * rows, axis=1))


class Standard:
    """The rows in float64, a column in a line, and a line of ones: (columns, rows)."""

    def __init__(self, risk: Risk):
        X = risk.X.toarray() if risk.sparse else risk.X
        (self.n, self.d), self.risk, self.loss, self.y = X.shape, risk, risk.loss, risk.y
        d, self.several = self.d, risk.loss.scores_per_class
        self.sigma = row_weights(risk)
        low, high = (X.min(axis=0), X.max(axis=0)) if risk.sparse else risk.extremes
        still = low == high
        steady = np.count_nonzero(still) > 0
        self.X = np.empty((d + risk.intercept, self.n))
        self.X[d:] = 1.0
        if risk.intercept:
            self.mean = self.sigma.dot(X) / (risk.total_weight / risk.denominator)
            lines = turned(X, self.X[:d])
            lines -= self.mean[:, None]
            if steady:
                lines[still] = 0.0  # what is constant adds nothing to the intercept
        else:
            self.mean, lines = np.zeros(d), turned(X, self.X[:d])
            still = still & (low == 0.0)
        size = np.maximum(high - self.mean, self.mean - low)
        if steady or np.count_nonzero(size > 0.0) < d:
            size[still | ~(size > 0.0)] = 1.0
        self.size = size
        lines *= (1.0 / size)[:, None]
        self.far = np.count_nonzero(np.abs(self.mean) > FAR * size) > 0
        self.ridge = np.zeros(len(self.X))
        self.ridge[:d] = risk.l2 / size**2
        self.lines, self.shrinks = self.X.T, risk.l1 > 0
        if self.shrinks:
            self.l1 = np.zeros(len(self.X))
            self.l1[:d] = risk.l1 / size
        self.units = Units(size, self.mean, risk.intercept, self.several, self.l1 if self.shrinks else None)
        self.inner = np.vdot if self.several else np.dot
        self.fused = self._fused()

    def _fused(self) -> Callable[[NDArray], tuple[NDArray, NDArray]] | None:
        """Loss and slope of the rows at their scores by one formula, where there is one for these targets."""
        loss, y = self.loss, self.y
        if loss.fused is None or not loss.fuses(y):
            return None
        if loss.fuse is None:
            return lambda Z: loss.fused(Z, y)
        fuse, sides = loss.fuse, loss.sides(y)
        return lambda Z: fuse(Z, sides)

    @cached_property
    def lowest(self) -> float:
        """What the rows cost at least."""
        return 0.0 if self.fused is not None else float(self.sigma.dot(self.loss.lowest(self.y)))

    @cached_property
    def scaled(self) -> NDArray:
        """Where the lines are scaled for a Hessian."""
        return np.empty_like(self.X)

    @cached_property
    def rough(self) -> NDArray[np.float32]:
        """The lines in float32."""
        return self.X.astype(np.float32)

    def enter(self, w: Vector) -> NDArray:
        """The coordinates of a parameter vector of the risk."""
        if np.count_nonzero(w):
            return self.units.enter(*self.risk.split(w))
        return np.zeros((self.risk.n_classes, len(self.X)) if self.several else len(self.X))

    def leave(self, V: NDArray) -> Vector:
        """The parameter vector of the risk with coordinates V."""
        return self.units.leave(V)

    def gradient(self, at: Point) -> Vector:
        """The gradient by the risk's own parameters."""
        return self.units.leave_gradient(self.units.with_l1(at.G, at.V))

    def look(self, V: NDArray) -> Point:
        """What one reading of the rows tells at V."""
        Z = V.dot(self.X)
        losses, slopes = (self.fused or self._separate)(Z)
        loss = float(self.sigma.dot(losses))
        if self.fused is not None and not math.isfinite(loss):
            losses, slopes = self._separate(Z)
            loss = float(self.sigma.dot(losses))
        pull = self.ridge * V
        G = (self.sigma * slopes).dot(self.lines)
        G += pull
        value = loss + 0.5 * float(self.inner(pull, V))
        return Point(V, Z, value + self.shrinkage(V) if self.shrinks else value, slopes, G)

    def _separate(self, Z: NDArray) -> tuple[NDArray, NDArray]:
        return self.loss.value(Z, self.y), self.loss.slope(Z, self.y)

    def value(self, Z: NDArray, V: NDArray) -> float:
        """The cost at known scores."""
        penalty = 0.5 * float(np.vdot(self.ridge * V, V)) + self.shrinkage(V)
        return float(self.sigma.dot(self.loss.value(Z, self.y))) + penalty

    def shrinkage(self, V: NDArray) -> float:
        """The l1 penalty."""
        return float(self.l1.dot(np.abs(V))) if self.shrinks else 0.0

    def hessian(self, at: Point, flat: float, cautious: bool, rough: bool = False) -> NDArray:
        """The second derivatives; rows on a straight part of their loss count for the share `flat`.

        With `rough` summed in float32, where they fit into it.
        """
        if self.several:
            return self._of_classes(at.Z, cautious)
        root = self.sigma * self._curvatures(at, flat, cautious)
        np.sqrt(root, out=root)
        if rough:
            scaled = self.rough * root.astype(np.float32)
            H = scaled.dot(scaled.T).astype(np.float64)
        if not rough or not math.isfinite(H.trace()):
            scaled = np.multiply(self.X, root, out=self.scaled)
            H = scaled.dot(scaled.T)
        diagonal(H)[:] += self.ridge
        return H

    def _curvatures(self, at: Point, flat: float, cautious: bool) -> NDArray:
        if self.fused is not None and self.loss.bend is not None and not cautious:
            known = self.loss.bend(at.slopes)
            if np.count_nonzero(known) == len(known):
                return known
        return row_curvatures(self.loss, at.Z, self.y, flat, cautious)

    def _of_classes(self, Z: NDArray, cautious: bool) -> NDArray:
        r"""Of softmax, :math:`\sum_i \sigma_i (\mathrm{diag}\,p_i - p_i p_i') \otimes x_i x_i'`.

        What is added to all classes alike changes no loss: along that, it has the curvature of one class.
        """
        (p, n), K = self.X.shape, len(Z)
        P = np.full_like(Z, 1.0 / K) if cautious else Softmax.predict(Z)
        scaled = ((P * np.sqrt(self.sigma))[:, None, :] * self.X).reshape(K * p, n)
        H = -(scaled @ scaled.T)
        for k in range(K):
            part, lines = slice(k * p, (k + 1) * p), self.X * np.sqrt(self.sigma * P[k])
            H[part, part] += lines @ lines.T
        H.flat[:: K * p + 1] += np.tile(self.ridge, K)
        alike = np.arange(K * p).reshape(K, p)[:, self.ridge == 0.0]
        for places in alike.T:
            H[np.ix_(places, places)] += float(self.sigma.sum()) / K**2
        return H

    def foretold(self, at: Point, bend: float) -> float:
        """The gap that a proof will find, where l2 alone is the penalty of one score a row; else infinite.

        ``bend`` is about the curvature by the intercept, which the proof moves to where the slopes add up to zero.
        """
        if self.several or self.risk.l2 == 0 or self.risk.l1 > 0:
            return math.inf
        g = at.G[: self.d] * self.size
        gap = float(g.dot(g)) / (2.0 * self.risk.l2)
        return gap + float(at.G[-1]) ** 2 / (2.0 * bend) if self.risk.intercept and bend > 0.0 else gap

    def proof(self, at: Point, scale: float, enough: float = 0.0, step: NDArray | None = None) -> Certificate:
        """The certificate: with a penalty and one score a row by minus the slopes, moved as a free intercept asks.

        With l1 they are first moved as the `step` that would come next would move them, which meets the conditions of
        the dual in the columns of the support; another is looked for where that shows more than `enough`.
        """
        risk = self.risk
        if self.several or self.far or risk.l2 == risk.l1 == 0:
            return self._general_proof(at)
        theta, bends = -at.slopes, self.loss.bend if self.fused is not None else None
        if risk.l1 > 0 and bends is not None and step is not None:
            moves = step.dot(self.X)
            if np.abs(moves).max() <= NEARBY:
                theta -= bends(at.slopes) * moves
        total = -float(self.sigma.dot(theta))
        if risk.intercept and total != 0.0:
            rooms = room(self.loss, theta, self.y) if bends is None else bends(at.slopes)
            free = float(self.sigma.dot(rooms))
            share = total / free if free > 0.0 else np.inf
            if not abs(share) <= 1.0 - NEARBY:  # such as where hardly a row is on the curved part of its loss
                return self._general_proof(at)
            theta = theta + share * rooms
        u = np.abs((self.sigma * theta).dot(self.X.T)[: self.d] * self.size)
        conjugate = 0.0
        if risk.l2 > 0:
            excess = np.maximum(u - risk.l1, 0.0)
            conjugate = float(excess.dot(excess)) / (2.0 * risk.l2)
        elif (largest := float(u.max(initial=0.0))) > risk.l1:
            theta = (risk.l1 / largest) * theta
        bound = float(self.sigma.dot(self.loss.dual(theta, self.y))) - conjugate
        if self.loss.bend is not None:
            # y - theta, a probability near 1, is known to an absolute rounding, which the score multiplies
            bound -= EPSILON * float((self.sigma * np.abs(self.y)).dot(np.abs(at.Z)))
            bound = max(bound, self.lowest)
        penalty = 0.5 * float(np.vdot(self.ridge * at.V, at.V))
        for sizes in (self._largest_sizes, self._sizes):
            gap = rounded(risk, at.Z, sizes(at.V), at.value, at.value - bound, risk.l2, at.slopes)
            found = proved(at.value, gap, scale)
            if found.relative <= enough:
                break
        wanting = risk.l1 > 0 and not found.relative <= enough
        if wanting or is_slight(risk, penalty, gap, at.value):
            return self._general_proof(at)
        return found

    def _largest_sizes(self, V: NDArray) -> Sizes:
        """A bound on :meth:`_sizes` that looks at no row: no number of a line is beyond 1."""
        return Sizes(score_errors(np.abs(V[: self.d]).sum(), self._level(V), self.d), self.size.sum())

    def _sizes(self, V: NDArray) -> Sizes:
        """What scores are made of, row by row."""
        sizes = np.array([np.abs(V[: self.d]), self.size]).dot(np.abs(self.X[: self.d]))
        return Sizes(score_errors(sizes[0], self._level(V), self.d), sizes[1])

    def _level(self, V: NDArray) -> float:
        """What is added to every score: the intercept, and it when it is moved back from the means."""
        d = self.d
        if not self.risk.intercept:
            return 0.0
        return abs(float(V[d])) + (d + 2.0) * float(np.abs(self.mean / self.size).dot(np.abs(V[:d])))

    def _general_proof(self, at: Point) -> Certificate:
        found = certificate(self.risk, self.leave(at.V))
        assert found is not None
        return found
