r"""The certificate of a softmax risk with l2, by one reading in double precision.

Minus the slopes of the rows are a point of the dual problem where they sum to zero in every class, which the best
intercepts see to; and of such a point the duality gap is :math:`|\nabla F|^2 / 2\lambda_2`.  What rounding leaves of
the sums is mixed away: a share t of each row's distribution makes room for one that is the same in all rows, at the
price of at most :math:`t (F + \sum_j |u_j||v_j| / \lambda_2) + t^2 |v|^2 / 2\lambda_2`, where u and v are the products
of the two points with the columns, :math:`|v_j|^2 \le 2 \sum_i \sigma_i \sum_i \sigma_i x_{ij}^2`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from descender.costs.certificate import Certificate, certificate, proved
from descender.costs.cost import Vector
from descender.costs.risk import Risk
from descender.methods.class_moves import Missing, Moves, balance, blocks
from descender.methods.kronecker import Metric

FAR = 100.0
"""Widths of a column from zero beyond which the rows are moved to keep their digits."""
FINE = 1e-11
"""A relative gap below which what is mixed away may be most of it: the general certificate, one reading, has less."""
UNBALANCED = 1e-6
"""A share to be mixed away that is more than rounding."""


class Proof(NamedTuple):
    """A point, its certificate, and its cost and gradient where they are known."""

    point: Vector
    found: Certificate
    final: tuple[float, Vector] | None


def prove(risk: Risk, w: Vector, scale: float, metric: Metric | None = None, enough: float = 0.0) -> Proof:
    """The certificate of a point, which may get better intercepts on the way; `scale` is the cost's.

    With the `metric` of a walk that stands there rows are moved, until the gap is `enough`.
    """
    if risk.l2 > 0 and risk.l1 == 0:
        found = _by_gradient(risk, w, scale, metric, enough)
        if found is not None and (metric is not None or found.found.relative > FINE):
            return found
        if found is not None:
            general = certificate(risk, found.point)
            return found if general is None or general.gap > found.found.gap else found._replace(found=general)
    general = certificate(risk, w)
    assert general is not None
    return Proof(w, general, None)


def _by_gradient(risk: Risk, w: Vector, scale: float, metric: Metric | None, enough: float) -> Proof | None:
    """The proof by the gradient, or by rows that are moved; None where no intercepts balance the classes."""
    W, b = risk.split(w)
    n, y = len(risk.y), risk.y.astype(np.intp)
    sigma = (np.ones(n) if risk.sample_weight is None else risk.sample_weight) / risk.denominator
    centre, squares = _centre(risk), np.zeros(risk.n_features)
    P, lost = np.empty((risk.n_classes, n)), np.empty(n)
    for part, X in blocks(risk, centre):
        z = np.asarray(X @ W.T).T + (b + W @ centre)[:, None]
        z -= z.max(axis=0)
        chosen = z[y[part], np.arange(z.shape[1])]
        np.exp(z, out=z)
        total = z.sum(axis=0)
        lost[part] = np.log(total) - chosen
        np.divide(z, total, out=P[:, part])
        squares += (X * X).T @ sigma[part] if isinstance(X, np.ndarray) else X.multiply(X).T @ sigma[part]
    shift, share = np.zeros(risk.n_classes), 0.0
    if risk.intercept and metric is None:
        even = bool((sigma == sigma[0]).all())  # a sum of few numbers is closer
        wanted = np.bincount(y, None if even else sigma, len(P)) * (sigma[0] if even else 1.0)
        shift, logs, share = balance(P, wanted, sigma)
        if not share <= UNBALANCED:
            return None
        lost += logs - shift[y]
    value = float(sigma @ lost) + risk.penalty(w)
    slopes = P * sigma
    slopes[y, np.arange(n)] -= sigma
    u = np.zeros(W.shape)
    for part, X in blocks(risk, centre):
        u += (X.T @ slopes[:, part].T).T
    sums, G = slopes.sum(axis=1), u + risk.l2 * W
    final = (value, risk.join(G + np.outer(sums, centre), sums))
    gap = float(np.vdot(G, G)) / (2.0 * risk.l2)
    if metric is not None:
        gap, share, left = Moves(risk, Missing(P, G, sums, centre), sigma).gap(metric, enough)
        if not share <= UNBALANCED:
            gap = np.inf
        u = left - risk.l2 * W
    most = np.sqrt(2.0 * sigma.sum() * squares)
    mixed = share * (value + float(np.linalg.norm(u, axis=0) @ most) / risk.l2)
    mixed += share**2 * float(most @ most) / (2.0 * risk.l2)
    found = proved(value, gap + mixed, scale)
    return Proof(risk.join(W, b + shift), found, final)


def _centre(risk: Risk) -> Vector:
    """Where the rows are looked at from: zero, but for columns that are far from it."""
    if risk.sparse or not risk.intercept:
        return np.zeros(risk.n_features)
    low, high = risk.extremes
    middle = 0.5 * (low + high)
    return np.where(np.abs(middle) > FAR * (high - low), middle, 0.0)
