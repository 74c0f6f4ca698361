r"""How far from the bottom: a bound on F(w) - min F for a convex risk.

Any point of the dual problem bounds the minimum from below.  For weights :math:`\sigma_i` (the sample weights over
their sum), :math:`\theta` with :math:`\sum_i \sigma_i\theta_i = 0` (which the free intercept asks for) and
:math:`u = \sum_i \sigma_i\theta_i x_i`,

.. math::

    \min F \;\ge\; D(\theta) = -\sum_i \sigma_i\, \ell^*(-\theta_i) - R^*(u), \qquad
    R^*(u) = \sum_j \frac{\max(|u_j| - \lambda_1, 0)^2}{2\lambda_2}

and the natural point is :math:`\theta_i = -\ell'(z_i)`.  Without l2, :math:`R^*` only allows
:math:`|u_j| \le \lambda_1`, so theta is scaled down.  Without any penalty, a squared error is a quadratic whose gap is
computed exactly, and for another loss what remains is the Newton decrement, which is an estimate and says so.

R. T. Rockafellar, *Convex Analysis*, 1970, §31.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Vector
from descender.costs.losses import Softmax, SquaredError
from descender.costs.risk import Risk

ROUNDING = 8 * np.finfo(np.float64).eps
"""The share of F that summation in float64 may lose; it is added to every gap."""
LARGEST_HESSIAN = 2000
FAR = 0.1
"""A relative gap above which one does not speak of being near."""


class Certificate(NamedTuple):
    """A bound ``gap`` on F(w) - min F.

    ``relative`` is the gap over max(abs(F), scale / 1000), with ``scale`` the trivial model's cost above the lowest
    conceivable one.  ``rigorous`` tells a proof from an estimate; ``kind`` says which.
    """

    kind: str
    rigorous: bool
    gap: float
    relative: float
    value: float

    def __str__(self) -> str:
        if self.rigorous and self.relative > FAR:
            return f"not near the minimum, as far as is proved: the cost may be {self.gap:.3g} too high ({self.kind})"
        word = "certified within" if self.rigorous else "estimated within"
        return f"{word} {self.relative:.1e} of the minimum ({self.kind})"


def cost_scale(risk: Risk) -> float:
    """The cost of the best constant score above the lowest conceivable cost; the unit of ``tol`` where F is tiny.

    At least a millionth of the cost of the score 0, so that constant targets have a unit, too.
    """
    return max(_trivial_excess(risk), 1e-6 * _cost_at_zero(risk))


def _cost_at_zero(risk: Risk) -> float:
    z = np.zeros((risk.n_classes, len(risk.y)) if risk.loss is Softmax else len(risk.y))
    return float(np.sum(_sigma(risk) * risk.loss.value(z, risk.y)))


def _trivial_excess(risk: Risk) -> float:
    y, sigma = risk.y, _sigma(risk)
    if risk.loss is Softmax:
        share = np.bincount(y.astype(np.int64), weights=sigma * np.ones(len(y)), minlength=risk.n_classes)
        total = share.sum()
        if not risk.intercept:
            return float(total * np.log(risk.n_classes))
        p = share[share > 0] / total
        return float(-total * (p @ np.log(p)))
    total = float(np.sum(sigma * np.ones(len(y))))
    z = risk.loss.trivial(float(np.sum(sigma * y)) / total) if risk.intercept else 0.0
    best = y if risk.loss is SquaredError else risk.loss.trivial(y)
    return float(np.sum(sigma * (risk.loss.value(z, y) - risk.loss.value(best, y))))


def relative_gap(gap: float, value: float, scale: float) -> float:
    """A gap in the unit of ``tol``."""
    unit = max(abs(value), scale / 1000.0)
    return gap / unit if unit > 0 else 0.0 if gap <= 0 else np.inf


def certificate(risk: Risk, w: Vector) -> Certificate | None:
    """The certificate of a point, at the price of two readings of the rows; None for a cost that is not convex."""
    if not risk.convex:
        return None
    scores = _scores(risk, w)
    value = float(np.sum(_sigma(risk) * risk.loss.value(scores, risk.y))) + risk.penalty(w)
    scale = cost_scale(risk)
    if risk.l2 == 0 and risk.l1 == 0:
        kind, rigorous, gap = _without_penalty(risk, w, value)
    else:
        kind, rigorous, gap = "duality gap", True, value - dual_value(risk, w, scores)
    gap = max(gap, 0.0) + ROUNDING * abs(value)
    return Certificate(kind, rigorous, float(gap), float(relative_gap(gap, value, scale)), value)


def dual_value(risk: Risk, w: Vector, scores: NDArray) -> float:
    """The dual objective at the natural theta, made feasible, or 0, as no loss is negative: a lower bound of min F."""
    sigma, y = _sigma(risk), risk.y
    z = _balance(risk, scores) if risk.intercept else scores
    theta = -np.atleast_2d(risk.loss.slope(z, y))
    if risk.intercept:
        theta = _feasible(risk, theta)
    u = _spread(risk, sigma * theta, _centre(risk) if risk.intercept else None)
    if risk.l2 > 0:
        conjugate = float(np.sum(np.maximum(np.abs(u) - risk.l1, 0.0) ** 2)) / (2.0 * risk.l2)
    else:
        largest = float(np.abs(u).max(initial=0.0))
        theta, conjugate = theta * min(1.0, risk.l1 / largest) if largest > 0 else theta, 0.0
    dual = risk.loss.dual(theta if risk.loss is Softmax else theta[0], y)
    return max(float(np.sum(sigma * dual)) - conjugate, 0.0)


def _sigma(risk: Risk) -> Any:
    s = 1.0 if risk.sample_weight is None else risk.sample_weight
    return s / risk.denominator


def _scores(risk: Risk, w: Vector) -> NDArray:
    """All scores in float64, whatever the rows are kept in, without loss of digits where columns are far from zero."""
    centre = _centre(risk)
    W, b = risk.split(w)
    moved = risk.join(W, b + W @ centre) if risk.intercept else w
    parts = []
    for X, _, _ in risk.blocks():
        X = X.astype(np.float64, copy=False)
        parts.append(risk.scores(moved, X - centre if risk.intercept and centre.any() else X))
    return np.concatenate(parts, axis=-1)


def _centre(risk: Risk) -> NDArray:
    """A point among the rows: where weights sum to zero, x may be taken from there, and keeps its digits."""
    if risk.sparse:
        return np.zeros(risk.n_features)
    some = risk.X[:: max(1, len(risk.X) // 1000)].astype(np.float64)
    mean = some.mean(axis=0)
    # near zero nothing is gained, and the rows need not be moved
    return mean if np.any(np.abs(mean) > 100.0 * some.std(axis=0)) else np.zeros(risk.n_features)


def _spread(risk: Risk, weighted: NDArray, centre: NDArray | None = None) -> NDArray:
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


def _balance(risk: Risk, z: NDArray) -> NDArray:
    """Scores shifted by the best intercept for these weights: Newton's method on one number a class."""
    sigma, y = _sigma(risk), risk.y
    if risk.loss is Softmax:
        for _ in range(50):
            p = risk.loss.predict(z)
            r = (sigma * risk.loss.slope(z, y)).sum(axis=1)
            H = np.diag((sigma * p).sum(axis=1)) - (sigma * p) @ p.T
            shift = -np.linalg.lstsq(H, r, rcond=1e-14)[0]
            z = z + np.clip(shift, -3.0, 3.0)[:, None]
            if np.abs(shift).max() < 1e-14:
                break
        return z
    for _ in range(50):
        h = float(np.sum(sigma * risk.loss.curvature(z, y)))
        shift = -float(np.sum(sigma * risk.loss.slope(z, y))) / h if h > 0 else 0.0
        z = z + np.clip(shift, -3.0, 3.0) if risk.loss is not SquaredError else z + shift
        if abs(shift) <= 1e-15 * (1.0 + float(np.abs(z).max(initial=0.0))):
            break
    return z


def _feasible(risk: Risk, theta: NDArray) -> NDArray:
    """Theta moved, as little as it needs, to weighted sums of zero without leaving the domain of the dual."""
    sigma, n = _sigma(risk) * np.ones(theta.shape[1]), theta.shape[1]
    total = float(sigma.sum())
    if risk.loss is SquaredError:
        return theta - (sigma * theta).sum() / total
    if risk.loss is Softmax:
        target = (np.arange(len(theta))[:, None] == risk.y).astype(np.float64)
        p = target - theta
    else:
        target = np.stack([risk.y, 1.0 - risk.y])
        p = target - np.stack([theta[0], -theta[0]])
    # the mixture (1 - t) p + t v, v the same for every row, has the class totals of the targets
    now, wanted = (sigma * p).sum(axis=1), (sigma * target).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = float(np.nanmax(np.where(now > wanted, 1.0 - wanted / now, 0.0), initial=0.0))
    if t > 0:
        v = np.maximum((wanted - (1.0 - t) * now) / (t * total), 0.0)
        v = v / v.sum() if v.sum() > 0 else wanted / total
        p = (1.0 - t) * p + t * v[:, None] * np.ones((1, n))
    return target - p if risk.loss is Softmax else (target - p)[:1]


def _without_penalty(risk: Risk, w: Vector, value: float) -> tuple[str, bool, float]:
    """What is known without a penalty: a quadratic's exact gap, or an estimate, or that no loss is negative."""
    itself = ("the cost itself, as no loss is negative", True, value)
    if risk.loss is Softmax or risk.n_parameters > LARGEST_HESSIAN:
        return itself
    if risk.loss is SquaredError:
        gap = _quadratic_gap(risk, w)
        return itself if gap is None or value <= gap else ("exact gap of a quadratic", True, gap)
    H, gradient = risk.hessian(w), risk.gradient(w)
    assert H is not None
    scale = np.sqrt(np.maximum(np.diag(H), 1e-300))
    curvatures, V = np.linalg.eigh(H / scale[:, None] / scale)
    along = V.T @ (gradient / scale)
    kept = curvatures > 1e-13 * curvatures[-1]
    decrement = 0.5 * float(np.sum(along[kept] ** 2 / curvatures[kept]))
    # far out on separable data the cost falls exponentially and its decrement is half of what is left of it
    return itself if value <= 4.0 * decrement else ("Newton decrement", False, decrement)


def _quadratic_gap(risk: Risk, w: Vector) -> float | None:
    r"""Half the squared length of the residuals' projection on the columns, by a QR of the centred, weighted rows.

    QR and not the normal equations: columns that are nearly equal would lose twice the digits there.  None where a
    direction is lost to rounding and the residuals still lean on it.
    """
    sigma, d = np.sqrt(_sigma(risk) * np.ones(len(risk.y))), risk.n_features
    residual = risk.y - _scores(risk, w)
    total = float(sigma @ sigma)
    mean, shift = np.zeros(d), 0.0
    if risk.intercept:
        shift = float(sigma**2 @ residual) / total
        residual = residual - shift
        centre = _centre(risk)
        mean = centre + _spread(risk, (sigma**2 / total)[None, :], centre)[0]
    R: Any = np.zeros((0, d + 1))
    start = 0
    for X, y, _ in risk.blocks():
        part = slice(start, start + len(y))
        rows = X.toarray() if risk.sparse else X
        block = np.column_stack([rows.astype(np.float64) - mean, residual[part]]) * sigma[part, None]
        R, start = np.linalg.qr(np.concatenate([R, block]), mode="r"), start + len(y)
    A, b = R[:, :d], R[:, d]
    length = np.linalg.norm(A, axis=0)
    varies = length > 1e-13 * np.abs(mean) * np.sqrt(total)
    U, singular, _ = np.linalg.svd(A[:, varies] / length[varies], full_matrices=False)
    along = U.T @ b
    kept = singular > 1e-12 * singular.max(initial=0.0)
    dependent = singular <= 1e-15 * (8 + d) * singular.max(initial=0.0)
    between = along[~kept & ~dependent]
    if float(between @ between) > 1e-20 * float(b @ b):
        return None
    return 0.5 * (total * shift**2 + float(along[kept] @ along[kept]))
