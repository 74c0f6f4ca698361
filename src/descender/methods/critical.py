"""What a point with gradient zero is: a minimum, a maximum, a saddle, or flat."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Cost, Vector
from descender.costs.differences import finite_difference_hessian

LARGEST = 200
"""Parameters up to which all curvatures are computed."""
FLAT_EXACT, FLAT_MEASURED = 1e-13, 1e-7
"""Curvatures below this share of the largest count as zero, from exact second derivatives and from differences."""


class Critical(NamedTuple):
    """``kind`` is minimum, maximum, saddle, flat or unknown.

    ``curvatures`` ascend; ``directions`` are the unit vectors along which they are taken, one a column.
    """

    kind: str
    text: str
    curvatures: NDArray[np.floating]
    directions: NDArray[np.floating] | None = None

    @property
    def stable(self) -> bool:
        """Whether no curvature is negative, as far as known."""
        return self.kind in ("minimum", "flat", "unknown")

    def faint(self, w: Vector, least: float) -> bool:
        """Whether a negative curvature would lower the cost by less than `least` over a thousandth of the way to w."""
        nearby = 1e-3 * max(1.0, float(np.linalg.norm(w)))
        return bool(0.5 * abs(self.curvatures[0]) * nearby**2 <= least)

    def newton(self, gradient: Vector) -> tuple[Vector, float]:
        r"""The Newton step :math:`p = -H^{-1} g` over the positive curvatures, and the decrease it promises."""
        if self.directions is None:
            return np.zeros_like(gradient), 0.0
        positive = self.curvatures > FLAT_EXACT * self.curvatures[-1]
        V, c = self.directions[:, positive], self.curvatures[positive]
        along = V.T @ gradient
        return -V @ (along / c), 0.5 * float(np.sum(along * along / c))


def classify(cost: Cost, w: Vector) -> Critical:
    """Judge a point with zero gradient by the eigenvalues of the Hessian there.

    Exact second derivatives are used where the cost has them, else differences of the gradient.
    """
    if len(w) > LARGEST:
        return Critical("unknown", f"curvatures were not computed for {len(w):,} parameters", np.empty(0))
    H = cost.hessian(w)
    tolerance = FLAT_MEASURED if H is None else FLAT_EXACT
    if H is None:
        H = finite_difference_hessian(cost.gradient, w)
    if not np.isfinite(H).all():
        return Critical("unknown", "the second derivatives are not finite here", np.empty(0))
    curvatures, directions = np.linalg.eigh(0.5 * (H + H.T))
    scale = float(np.abs(curvatures).max(initial=0.0))
    positive = int((curvatures > tolerance * scale).sum())
    negative = int((curvatures < -tolerance * scale).sum())
    zero = len(w) - positive - negative
    if positive == len(w):
        every = {1: "the curvature is", 2: "both curvatures are"}.get(positive, f"all {positive} curvatures are")
        kind, text = "minimum", f"a minimum: {every} positive"
    elif negative == 0 and positive > 0:
        kind, text = "flat", f"a minimum as far as curvature tells: {positive} positive, {zero} zero"
    elif negative == 0:
        kind, text = "flat", "flat: every curvature is zero"
    elif positive == 0:
        kind, text = "maximum", f"a maximum: no curvature is positive, the steepest is {curvatures[0]:.3g}"
    else:
        kind, text = "saddle", f"a saddle: {positive} of the curvatures positive, {negative} negative"
    return Critical(kind, text, curvatures, directions)


def leave(cost: Cost, w: Vector, critical: Critical, least: float = 0.0) -> Vector | None:
    """A nearby point lower by more than `least`, along the smallest curvature, or None if there is none.

    Along a zero curvature, or one too small to tell, only close by: a flat minimum is not left for another basin.
    """
    if critical.kind == "unknown" or critical.directions is None:
        return None
    nearby = 1e-3 * max(1.0, float(np.linalg.norm(w)))
    if critical.kind == "minimum" and 0.5 * critical.curvatures[0] * nearby**2 > 100.0 * least:
        return None
    value = cost.value(w)
    directions = critical.directions[:, :1]
    if not critical.curvatures.any():  # every direction is as flat as any other: the axes, and across them
        directions = np.column_stack([np.eye(len(w)), np.random.default_rng(0).standard_normal((len(w), 4))])
    with np.errstate(all="ignore"):
        for length in nearby * 2.0 ** np.arange(3 if critical.stable else 30):
            for direction in directions.T:
                downhill = direction * np.sign(direction[np.argmax(np.abs(direction))]) * length
                for point in (w + downhill, w - downhill):
                    if cost.value(point) < value - least:
                        return point
    return None
