r"""The certificate of a softmax risk with l2, by one reading in double precision.

Minus the slopes of the rows are a point of the dual problem where they sum to zero in every class, which the best
intercepts see to; and of such a point the duality gap is :math:`|\nabla F|^2 / 2\lambda_2`.  What rounding leaves of
the sums is mixed away: a share t of each row's distribution makes room for one that is the same in all rows, at the
price of at most :math:`t (F + \sum_j |u_j||v_j| / \lambda_2) + t^2 |v|^2 / 2\lambda_2`, where u and v are the products
of the two points with the columns, :math:`|v_j|^2 \le 2 \sum_i \sigma_i \sum_i \sigma_i x_{ij}^2`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender.costs.certificate import Certificate, certificate, proved
from descender.costs.cost import Vector
from descender.costs.risk import Risk

FAR = 100.0
"""Widths of a column from zero beyond which the rows are moved to keep their digits."""
BALANCED, STEPS, NEAR = 1e-14, 12, 0.01
"""The share of its total by which a class may be off; the Newton steps for that; and how short one is that needs no new
curvature after it."""
OUT = -50.0
"""What is added to the intercept of a class without rows, whose best one is without bounds: rounding to the others."""
FINE = 1e-11
"""A relative gap below which what is mixed away may be most of it: the general certificate, one reading, has less."""
UNBALANCED = 1e-6
"""A share to be mixed away that is more than rounding."""


class Proof(NamedTuple):
    """A point, its certificate, and its cost and gradient where they are known."""

    point: Vector
    found: Certificate
    final: tuple[float, Vector] | None


def prove(risk: Risk, w: Vector, scale: float) -> Proof:
    """The certificate of a point, which may get better intercepts on the way; `scale` is the cost's."""
    if risk.l2 > 0 and risk.l1 == 0:
        found = _by_gradient(risk, w, scale)
        if found is not None and found.found.relative > FINE:
            return found
        if found is not None:
            general = certificate(risk, found.point)
            return found if general is None or general.gap > found.found.gap else found._replace(found=general)
    general = certificate(risk, w)
    assert general is not None
    return Proof(w, general, None)


def _by_gradient(risk: Risk, w: Vector, scale: float) -> Proof | None:
    """The proof by the gradient; None where no intercepts balance the classes."""
    W, b = risk.split(w)
    n, y = len(risk.y), risk.y.astype(np.intp)
    sigma = (np.ones(n) if risk.sample_weight is None else risk.sample_weight) / risk.denominator
    centre, squares = _centre(risk), np.zeros(risk.n_features)
    P, lost = np.empty((risk.n_classes, n)), np.empty(n)
    for part, X in _blocks(risk, centre):
        z = np.asarray(X @ W.T).T + (b + W @ centre)[:, None]
        z -= z.max(axis=0)
        chosen = z[y[part], np.arange(z.shape[1])]
        np.exp(z, out=z)
        total = z.sum(axis=0)
        lost[part] = np.log(total) - chosen
        np.divide(z, total, out=P[:, part])
        squares += (X * X).T @ sigma[part] if isinstance(X, np.ndarray) else X.multiply(X).T @ sigma[part]
    shift, share = np.zeros(risk.n_classes), 0.0
    if risk.intercept:
        shift, moved, share = _balance(P, y, sigma)
        if not share <= UNBALANCED:
            return None
        lost += moved
    value = float(sigma @ lost) + risk.penalty(w)
    P[y, np.arange(n)] -= 1.0
    P *= sigma
    u = np.zeros(W.shape)
    for part, X in _blocks(risk, centre):
        u += (X.T @ P[:, part].T).T
    sums, G = P.sum(axis=1), u + risk.l2 * W
    most = np.sqrt(2.0 * sigma.sum() * squares)
    mixed = share * (value + float(np.linalg.norm(u, axis=0) @ most) / risk.l2)
    mixed += share**2 * float(most @ most) / (2.0 * risk.l2)
    found = proved(value, float(np.vdot(G, G)) / (2.0 * risk.l2) + mixed, scale)
    return Proof(risk.join(W, b + shift), found, (value, risk.join(G + np.outer(sums, centre), sums)))


def _balance(P: NDArray, y: NDArray, sigma: NDArray) -> tuple[NDArray, NDArray, float]:
    """The intercepts to add for classes of the right size, what that adds to each loss, and the share left to be mixed
    away; P follows in place.
    """
    even = bool((sigma == sigma[0]).all())  # a sum of few numbers is closer
    wanted = np.bincount(y, None if even else sigma, len(P)) * (sigma[0] if even else 1.0)
    shift, largest = np.where(wanted > 0.0, 0.0, OUT), np.inf
    moved = np.zeros(P.shape[1])
    if not (wanted > 0.0).all():
        P[wanted == 0.0] = 0.0
        total = P.sum(axis=0)
        P /= total
        moved += np.log(total)
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
        moved += np.log(total) - step[y]
        shift += step
    now = P @ sigma
    with np.errstate(divide="ignore", invalid="ignore"):
        share = float(np.max(np.where(now > wanted, 1.0 - wanted / now, 0.0)))
    return shift, moved, share


def _centre(risk: Risk) -> Vector:
    """Where the rows are looked at from: zero, but for columns that are far from it."""
    if risk.sparse or not risk.intercept:
        return np.zeros(risk.n_features)
    low, high = risk.extremes
    middle = 0.5 * (low + high)
    return np.where(np.abs(middle) > FAR * (high - low), middle, 0.0)


def _blocks(risk: Risk, centre: Vector) -> Iterator[tuple[slice, Any]]:
    """(part, rows) in double precision from the centre."""
    start = 0
    for X, y, _ in risk.blocks():
        part, start = slice(start, start + len(y)), start + len(y)
        X = X.astype(np.float64, copy=False)
        yield part, X - centre if centre.any() else X
