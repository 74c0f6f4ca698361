r"""How far from the bottom: a bound on F(w) - min F for a convex risk.

Any point of the dual problem bounds the minimum from below.  For weights :math:`\sigma_i` (the sample weights over
their sum), :math:`\theta` with :math:`\sum_i \sigma_i\theta_i = 0` (which the free intercept asks for) and
:math:`u = \sum_i \sigma_i\theta_i x_i`,

.. math::

    \min F \;\ge\; D(\theta) = -\sum_i \sigma_i\, \ell^*(-\theta_i) - R^*(u), \qquad
    R^*(u) = \sum_j \frac{\max(|u_j| - \lambda_1, 0)^2}{2\lambda_2}

and the natural point is :math:`\theta_i = -\ell'(z_i)`.  Without l2, :math:`R^*` only allows
:math:`|u_j| \le \lambda_1`: theta is first moved so that it holds in the columns where w is not zero, as a Newton step
would move it, then scaled down.  Without any penalty u must vanish: theta is moved so that it does, to rounding; as the
minimum without a penalty is no higher, that serves where l2 is so small that rounding counts over it, too.  The
gap of a squared error is then computed exactly, as it is a quadratic.  Softmax without a penalty has the cost itself.

R. T. Rockafellar, *Convex Analysis*, 1970, §31.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Vector
from descender.costs.dual_rows import (
    LARGEST_HESSIAN,
    UNIT,
    Sizes,
    exact_scores,
    projected,
    row_weights,
    score_sizes,
    some_centre,
    spread,
    spread_size,
)
from descender.costs.losses import OneVsRest, Softmax, SquaredError
from descender.costs.risk import Risk

ROUNDING = 8 * np.finfo(np.float64).eps
"""The share of F that summation in float64 may lose; it is added to every gap."""
FREE = 1e-11
"""What may be left of a sum, as a share of its terms, for theta to count as orthogonal to a column."""
SLIGHT, PLAIN = 0.1, 1e-9
"""The share of a gap below which an l2 penalty may as well be left out of the dual, where rounding of sums over rows
counts over its strength; and the share of the cost from which on a gap is worth the trouble."""
EXACT = "exact gap of a quadratic"
FEASIBLE = "duality gap, of a dual point that is feasible to rounding"
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
    best, zero = _constant_costs(risk)
    return max(best, 1e-6 * zero)


def _constant_costs(risk: Risk) -> tuple[float, float]:
    """The cost of the best constant score above the lowest conceivable one, and that of the score 0."""
    if isinstance(risk.loss, OneVsRest):
        each = [_constant_costs(risk.against_rest(k)) for k in range(risk.n_classes)]
        return sum(best for best, _ in each), sum(zero for _, zero in each)
    if risk.loss is Softmax:
        share = np.bincount(risk.y.astype(np.int64), weights=row_weights(risk), minlength=risk.n_classes)
        total = float(share.sum())
        p = share[share > 0] / total
        zero = total * float(np.log(risk.n_classes))
        return (float(-total * (p @ np.log(p))) if risk.intercept else zero), zero
    y, sigma = _told_by_counts(risk)
    constants = np.array([[risk.loss.trivial(y, sigma) if risk.intercept else 0.0], [0.0]])
    best, zero = risk.loss.value(constants, y).dot(sigma).tolist()
    return best - float(sigma.dot(risk.loss.lowest(y))), zero


def _told_by_counts(risk: Risk) -> tuple[NDArray, NDArray]:
    """Targets and their weights; of two classes one of each: of a constant score all rows of a class have one loss."""
    y, s = risk.y, risk.sample_weight
    if "binary" not in risk.loss.tasks or (ones := np.count_nonzero(y)) != np.count_nonzero(y == 1.0):
        return y, row_weights(risk)
    second = (ones if s is None else float(s.dot(y))) / risk.denominator
    return np.array([0.0, 1.0]), np.array([max(risk.total_weight / risk.denominator - second, 0.0), second])


def relative_gap(gap: float, value: float, scale: float) -> float:
    """A gap in the unit of ``tol``."""
    unit = max(abs(value), scale / 1000.0)
    return gap / unit if unit > 0 else 0.0 if gap <= 0 else np.inf


def certificate(risk: Risk, w: Vector, theta: NDArray | None = None, alone: bool = False) -> Certificate | None:
    """The certificate of a point, at the price of two readings of the rows; None for a cost that is not convex.

    `theta` (n,) is a point of the dual problem that a method found; it need not be feasible, and is tried beside the
    natural one, but where the slope jumps: there the natural one is never good.  With `alone` nothing else is tried.
    """
    if not risk.convex:
        return None
    if isinstance(risk.loss, OneVsRest):
        parts = [certificate(risk.against_rest(k), risk.part_of(w, k)) for k in range(risk.n_classes)]
        return total_certificate(risk, [part for part in parts if part is not None])
    scores = exact_scores(risk, w)
    value = float(np.sum(row_weights(risk) * risk.loss.value(scores, risk.y))) + risk.penalty(w)
    scale, kind, sizes = cost_scale(risk), "duality gap", score_sizes(risk, w)
    if risk.l2 == 0 and risk.l1 == 0:
        kind, gap = _without_penalty(risk, w, value, scores, theta)
        if kind != EXACT:
            gap = rounded(risk, scores, sizes, value, gap)
    else:
        bound = _given_value(risk, theta) if alone and theta is not None else dual_value(risk, w, scores, theta)
        gap = rounded(risk, scores, sizes, value, value - bound, risk.l2)
        if not alone and is_slight(risk, risk.penalty(w), gap, value):
            free = rounded(risk, scores, sizes, value, value - _best_free_dual(risk, w, scores, theta))
            kind, gap = (FEASIBLE, free) if free < gap else (kind, gap)
    return proved(value, gap, scale, kind)


@np.errstate(all="ignore")
def rounded(
    risk: Risk, scores: NDArray, sizes: Sizes, value: float, gap: float, l2: float = 0.0, slopes: NDArray | None = None
) -> float:
    r"""A gap with what rounding may have hidden of it, beyond the share of the cost that is added to every gap.

    The loss follows the errors of the scores by its slope, and what is lost of :math:`\theta_i z_i` and of
    :math:`u\cdot w` is as large.  Of :math:`u_j` rounding takes :math:`\epsilon\sum_i \sigma_i|\theta_i x_{ij}|`, which
    the minimum's weights multiply: they may be off by what the gap allows where the dual has the penalty `l2`.
    No gap is larger than the cost above the lowest conceivable one.  The `slopes` at the scores need not be known.
    """
    sigma, y, loss, gap = row_weights(risk), risk.y, risk.loss, max(gap, 0.0)
    if slopes is not None and np.isfinite(loss.curvature_bound):
        slopes = np.abs(slopes) + loss.curvature_bound * sizes.errors
    elif loss.scores_per_class:
        slopes = np.abs(loss.slope(scores, y)) + sizes.errors
    else:  # of a convex loss the slope is largest at an end
        slopes = np.maximum(np.abs(loss.slope(scores - sizes.errors, y)), np.abs(loss.slope(scores + sizes.errors, y)))
    pull = sigma * slopes
    of_value, of_dual = float(np.sum(pull * sizes.errors)), 4.0 * UNIT * float(np.sum(pull * np.abs(scores)))
    off = ROUNDING * float(np.sum(pull * sizes.lengths))
    of_dual += of_value + (off * float(np.sqrt(2.0 * gap / l2) + off / (2.0 * l2)) if l2 > 0 else 0.0)
    most = value - float(np.sum(sigma * loss.lowest(y))) + of_value
    return float(np.fmin(gap + max(of_value + of_dual - ROUNDING * abs(value), 0.0), most))


def is_slight(risk: Risk, penalty: float, gap: float, value: float) -> bool:
    """Whether an l2 penalty is so small beside a gap that the minimum without it is as good a lower bound."""
    suits = risk.l1 == 0 and risk.loss is not Softmax and risk.loss.differentiable
    known = suits and risk.n_parameters <= LARGEST_HESSIAN
    return known and penalty < SLIGHT * gap and gap > PLAIN * abs(value)


def proved(value: float, gap: float, scale: float, kind: str = "duality gap") -> Certificate:
    """The certificate of a cost whose distance from a lower bound is known, both summed up in float64."""
    gap = max(gap, 0.0) + ROUNDING * abs(value)
    return Certificate(kind, True, float(gap), float(relative_gap(gap, value, scale)), value)


def total_certificate(risk: Risk, parts: Sequence[Certificate]) -> Certificate:
    """The certificate of a sum of costs that share no parameter, as those of the classes each against the rest."""
    gap, value = sum(part.gap for part in parts), sum(part.value for part in parts)
    kind = " and ".join(dict.fromkeys(part.kind for part in parts))
    rigorous = all(part.rigorous for part in parts)
    return Certificate(kind, rigorous, gap, float(relative_gap(gap, value, cost_scale(risk))), value)


def dual_value(risk: Risk, w: Vector, scores: NDArray, theta: NDArray | None = None) -> float:
    """The highest dual objective of some feasible points, or the sum of the lowest losses: a lower bound of min F."""
    sigma, y = row_weights(risk), risk.y
    points = [] if theta is None else [np.atleast_2d(theta)]
    if risk.loss.differentiable or theta is None:
        z = _balance(risk, scores) if risk.intercept else scores
        points.append(-np.atleast_2d(risk.loss.slope(z, y)))
    lowest = float(np.sum(sigma * risk.loss.lowest(y)))
    return max(lowest, *(_dual_at(risk, w, feasible(risk, point)) for point in points))


def _given_value(risk: Risk, theta: NDArray) -> float:
    """The dual objective at a theta as it is given, but for what makes it feasible."""
    theta = feasible(risk, np.atleast_2d(theta))
    return dual_with(
        risk, theta, spread(risk, row_weights(risk) * theta, some_centre(risk) if risk.intercept else None)
    )


def _dual_at(risk: Risk, w: Vector, theta: NDArray) -> float:
    """The dual objective at a theta in the domain of the dual, with sums of zero, or where a Newton step moves it."""
    sigma, centre = row_weights(risk), some_centre(risk) if risk.intercept else None
    u = spread(risk, sigma * theta, centre)
    best = dual_with(risk, theta, u)
    if risk.l1 == 0 or risk.loss.scores_per_class:  # for l2 alone the natural point is good
        return best
    weights = w[: risk.n_features]
    active = np.flatnonzero((weights != 0) | (np.abs(u[0]) > risk.l1))
    wanted = risk.l2 * weights + risk.l1 * np.sign(np.where(weights != 0, weights, u[0]))
    moved = feasible(risk, projected(risk, theta[0], active, wanted[active])[None, :])
    return max(best, dual_with(risk, moved, spread(risk, sigma * moved, centre)))


def dual_with(risk: Risk, theta: NDArray, u: NDArray) -> float:
    """The dual objective at a feasible theta and its products u with the columns; without l2 scaled to where l1 allows
    it.
    """
    if risk.l2 > 0:
        conjugate = float(np.sum(np.maximum(np.abs(u) - risk.l1, 0.0) ** 2)) / (2.0 * risk.l2)
        return _dual_sum(risk, theta) - conjugate
    return _dual_sum(risk, _scaled(theta, u, risk.l1))


def _scaled(theta: NDArray, u: NDArray, l1: float) -> NDArray:
    largest = float(np.abs(u).max(initial=0.0))
    return theta * min(1.0, l1 / largest) if largest > 0 else theta


def _dual_sum(risk: Risk, theta: NDArray) -> float:
    return float(np.sum(row_weights(risk) * risk.loss.dual(theta if risk.loss is Softmax else theta[0], risk.y)))


def _balance(risk: Risk, z: NDArray) -> NDArray:
    """Scores shifted by the best intercept for these weights."""
    sigma, y = row_weights(risk), risk.y
    if risk.loss is not Softmax:
        return z + (best_shift(risk, z) if z.any() else risk.loss.trivial(y, sigma))
    for _ in range(50):
        p = risk.loss.predict(z)
        r = (sigma * risk.loss.slope(z, y)).sum(axis=1)
        H = np.diag((sigma * p).sum(axis=1)) - (sigma * p) @ p.T
        shift = -np.linalg.lstsq(H, r, rcond=1e-14)[0]
        z = z + np.clip(shift, -3.0, 3.0)[:, None]
        if np.abs(shift).max() < 1e-14:
            break
    return z


def best_shift(risk: Risk, z: NDArray, t: float = 0.0, steps: int = 100) -> float:
    """Where the weighted slopes sum to zero: `steps` of Newton's method on one number from t, within a bracket."""
    sigma, y, loss = row_weights(risk), risk.y, risk.loss
    low, high, span = -np.inf, np.inf, 1.0
    size = 1.0 + float(np.abs(z).max(initial=0.0))
    for _ in range(steps):
        r = float(sigma @ loss.slope(z + t, y))
        low, high = (t, high) if r < 0 else (low, t)
        h = float(sigma @ loss.curvature(z + t, y))
        move = float(np.clip(-r / h, -loss.largest_move, loss.largest_move)) if h > 0 else np.nan
        if not low < t + move < high:
            open_end = not (np.isfinite(low) and np.isfinite(high))
            move = np.copysign(span, -r) if open_end else 0.5 * (low + high) - t
            span *= 4.0
        if r == 0 or abs(move) <= 1e-15 * size:
            break
        t += move
    return t


def feasible(risk: Risk, theta: NDArray) -> NDArray:
    """Theta moved, as little as it needs, into the domain of the dual, with a weighted sum of zero for an intercept."""
    sigma, n = row_weights(risk), theta.shape[1]
    if risk.loss is not Softmax:
        low, high = risk.loss.dual_range(risk.y)
        theta = np.clip(theta, low, high)
        return balanced(theta[0], sigma)[None, :] if risk.intercept else theta
    if not risk.intercept:
        return theta
    total = float(sigma.sum())
    target = (np.arange(len(theta))[:, None] == risk.y).astype(np.float64)
    p = target - theta
    # the mixture (1 - t) p + t v, v the same for every row, has the class totals of the targets
    now, wanted = (sigma * p).sum(axis=1), (sigma * target).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = float(np.nanmax(np.where(now > wanted, 1.0 - wanted / now, 0.0), initial=0.0))
    if t > 0:
        v = np.maximum((wanted - (1.0 - t) * now) / (t * total), 0.0)
        v = v / v.sum() if v.sum() > 0 else wanted / total
        p = (1.0 - t) * p + t * v[:, None] * np.ones((1, n))
    return target - p


def balanced(theta: NDArray, sigma: NDArray) -> NDArray:
    """Theta (n,) with a weighted sum of zero: the heavier side is scaled down, as 0 is in every interval."""
    up, down = float(sigma @ np.maximum(theta, 0.0)), float(sigma @ np.maximum(-theta, 0.0))
    factors = (min(1.0, down / up) if up > 0 else 1.0), (min(1.0, up / down) if down > 0 else 1.0)
    return np.where(theta > 0, factors[0], factors[1]) * theta


def _without_penalty(risk: Risk, w: Vector, value: float, scores: NDArray, theta: NDArray | None) -> tuple[str, float]:
    """The least gap that is known without a penalty, and what it is."""
    known = {
        "the cost itself, as no loss is negative": value - float(np.sum(row_weights(risk) * risk.loss.lowest(risk.y)))
    }
    if risk.loss is SquaredError and risk.n_parameters <= LARGEST_HESSIAN:
        gap = _quadratic_gap(risk, w)
        known |= {} if gap is None else {EXACT: gap}
    elif risk.loss is not Softmax and risk.n_parameters <= LARGEST_HESSIAN:
        known[FEASIBLE] = value - _best_free_dual(risk, w, scores, theta)
    kind = min(known, key=lambda name: known[name])
    return kind, known[kind]


def _best_free_dual(risk: Risk, w: Vector, scores: NDArray, theta: NDArray | None) -> float:
    """The highest dual objective without a penalty that the natural point, or one that is given, leads to."""
    natural = -risk.loss.slope(_balance(risk, scores) if risk.intercept else scores, risk.y)
    return max(_free_dual(risk, w, point) for point in ([natural] if theta is None else [natural, theta]))


def _free_dual(risk: Risk, w: Vector, theta: NDArray) -> float:
    """The dual objective at theta made orthogonal to every column, less what rounding leaves of the products with w."""
    sigma, (low, high) = row_weights(risk), risk.loss.dual_range(risk.y)
    d = risk.n_features
    theta = projected(risk, np.clip(theta, low, high), np.arange(d), np.zeros(d))
    with np.errstate(all="ignore"):
        shares = np.where(theta > high, high / theta, np.where(theta < low, low / theta, 1.0))
    theta = min(1.0, float(shares.min(initial=1.0))) * theta
    centre = some_centre(risk) if risk.intercept else None
    left = np.abs(spread(risk, (sigma * theta)[None, :], centre)[0])
    most = spread_size(risk, sigma * np.abs(theta), centre)
    total = abs(float(sigma @ theta)) if risk.intercept else 0.0
    if np.any(left > FREE * most) or total > FREE * float(sigma @ np.abs(theta)):
        return -np.inf
    shift = abs(float(w[d] + (w[:d] @ centre if centre is not None else 0.0))) if risk.intercept else 0.0
    return _dual_sum(risk, theta[None, :]) - 2.0 * float(left @ np.abs(w[:d]) + total * shift)


def _quadratic_gap(risk: Risk, w: Vector) -> float | None:
    r"""Half the squared length of the residuals' projection on the columns, by a QR of the centred, weighted rows.

    QR and not the normal equations: columns that are nearly equal would lose twice the digits there.  None where a
    direction is lost to rounding and the residuals still lean on it.
    """
    sigma, d = np.sqrt(row_weights(risk)), risk.n_features
    residual = risk.y - exact_scores(risk, w)
    total = float(sigma @ sigma)
    mean, shift = np.zeros(d), 0.0
    if risk.intercept:
        shift = float(sigma**2 @ residual) / total
        residual = residual - shift
        centre = some_centre(risk)
        mean = centre + spread(risk, (sigma**2 / total)[None, :], centre)[0]
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
