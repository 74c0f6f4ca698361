"""What a point with gradient zero is: a minimum, a maximum, a saddle, or flat."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Cost, Vector
from descender.costs.differences import finite_difference_hessian
from descender.methods.bounds import Bounds

LARGEST = 200
"""Parameters up to which all curvatures are computed."""
FLAT_EXACT, FLAT_MEASURED, FLAT_PROBED = 1e-13, 1e-7, 1e-5
"""Curvatures below this share of the largest count as zero: exact ones, from differences, from a few products."""

MEASURED, NOISE = 1e-5, 4e-11
"""How far apart two gradients are taken that are measured themselves; the noise of one, as a share of J."""


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
        if self.directions is None or self.curvatures[-1] <= 0:
            return np.zeros_like(gradient), 0.0
        positive = self.curvatures > FLAT_EXACT * self.curvatures[-1]
        V, c = self.directions[:, positive], self.curvatures[positive]
        along = V.T @ gradient
        with np.errstate(over="ignore"):  # a promise beyond all numbers is one
            return -V @ (along / c), 0.5 * float(np.sum(along * (along / c)))


def classify(
    cost: Cost,
    w: Vector,
    *,
    gradient: Vector | None = None,
    hessian: NDArray[np.floating] | None = None,
    free: NDArray[np.bool_] | None = None,
    box: Bounds | None = None,
) -> Critical:
    """Judge a point with zero gradient by the eigenvalues of the Hessian there.

    The `hessian` is asked of the cost unless given.  Where that does not know it, differences of the gradient are
    taken: 2d evaluations, or with the `gradient` at w one for each parameter that is `free`.  Those that are not
    free stand at a bound of the `box` and are left out.  Outside of the box nothing is evaluated.
    """
    free = np.ones(len(w), dtype=bool) if free is None else free
    if len(w) > LARGEST:
        return Critical("unknown", f"curvatures were not computed for {len(w):,} parameters", np.empty(0))
    if not free.any():
        return Critical("minimum", "a minimum: every parameter is at a bound", np.empty(0))
    H = cost.hessian(w) if hessian is None and gradient is None else hessian
    tolerance = FLAT_MEASURED if H is None else FLAT_EXACT
    if H is None and gradient is None:
        H = finite_difference_hessian(cost.gradient, w, box=None if box is None else (box.lower, box.upper))
    elif H is None:
        H = products(cost, w, gradient, np.diag(units(w))[:, free], box) / units(w)[free]
        H = H[free]
    if len(H) == len(w):
        H = H[np.ix_(free, free)]
    if not np.isfinite(H).all():
        return Critical("unknown", "the second derivatives are not finite here", np.empty(0))
    curvatures, directions = np.linalg.eigh(0.5 * (H + H.T))
    scale = float(np.abs(curvatures).max(initial=0.0))
    least = tolerance * scale
    if gradient is not None and hessian is None and _measured_step(cost) == MEASURED:
        least = max(least, NOISE / MEASURED * abs(cost.value(w)) / float(units(w)[free].min()))
    positive, negative = int((curvatures > least).sum()), int((curvatures < -least).sum())
    zero = len(curvatures) - positive - negative
    directions = np.eye(len(w))[:, free] @ directions
    if positive == len(curvatures):
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


def units(w: Vector) -> Vector:
    """The size of each parameter, at least 1."""
    return np.maximum(1.0, np.abs(w))


def _measured_step(cost: Cost) -> float:
    """How far apart two gradients are taken of which a product is made, in units of the parameters."""
    return MEASURED if getattr(cost, "given", True) is None else 1e-7


def products(
    cost: Cost, w: Vector, gradient: Vector | None, directions: NDArray[np.floating], box: Bounds | None = None
) -> NDArray[np.floating]:
    """The Hessian times each direction, one a column, by a forward difference of the gradient each, within the box."""
    gradient = cost.gradient(w) if gradient is None else gradient
    columns = []
    for v in directions.T:
        h = _measured_step(cost)
        if box is not None and box.room(w, v) < h:
            h = -min(h, box.room(w, -v))
        point = w + h * v
        if box is not None:
            point = box.project(point)
        with np.errstate(all="ignore"):
            column = (cost.value_and_gradient(point)[1] - gradient) / h
            if not np.isfinite(column).all() and box is None:
                column = (gradient - cost.value_and_gradient(w - h * v)[1]) / h
        columns.append(column)
    return np.array(columns).T


def probe(
    cost: Cost, w: Vector, gradient: Vector, across: NDArray[np.floating], box: Bounds | None = None
) -> tuple[Critical, int]:
    """Look for a negative curvature along given directions, orthonormal in units of the parameters, one a column.

    Returns the judgement and the evaluations that it took, one a direction.
    """
    unit, count = units(w), across.shape[1]
    T = across.T @ (unit[:, None] * products(cost, w, gradient, unit[:, None] * across, box))
    return _extreme(T, unit[:, None] * across), count


def lanczos(
    cost: Cost, w: Vector, gradient: Vector, count: int, free: NDArray[np.bool_], box: Bounds | None = None
) -> tuple[Critical, int]:
    """Look for a negative curvature among the free parameters by `count` products of the Hessian.

    Lanczos' method from a direction at random: the extreme curvatures are seen first.  Returns the judgement and the
    evaluations that it took.
    """
    unit = units(w) * free
    v = np.random.default_rng(0).standard_normal(len(w)) * free
    basis: list[Vector] = []
    images: list[Vector] = []
    for _ in range(max(1, min(count, int(free.sum())))):
        basis.append(v / np.linalg.norm(v))
        images.append(unit * products(cost, w, gradient, (unit * basis[-1])[:, None], box)[:, 0])
        V = np.array(basis)
        v = images[-1] - V.T @ (V @ images[-1])
        v -= V.T @ (V @ v)
        if not np.linalg.norm(v) > 1e-8 * np.linalg.norm(images[-1]):
            break
    V = np.array(basis)
    return _extreme(V @ np.array(images).T, unit[:, None] * V.T), len(basis)


def _extreme(T: NDArray[np.floating], directions: NDArray[np.floating]) -> Critical:
    """A saddle if the Hessian T, restricted to some directions, has a negative curvature; the direction of it."""
    if not np.isfinite(T).all():
        return Critical("unknown", "the second derivatives are not finite here", np.empty(0))
    curvatures, Y = np.linalg.eigh(0.5 * (T + T.T))
    if curvatures[0] < -FLAT_PROBED * np.abs(T).max():
        direction = directions @ Y[:, 0]
        size = float(np.linalg.norm(direction))
        text = "a saddle or a maximum: a curvature is negative"
        return Critical("saddle", text, curvatures[:1] / size**2, direction[:, None] / size)
    count = "one direction" if len(T) == 1 else f"{len(T)} directions"
    text = f"a minimum as far as the walk and {count} across it tell"
    return Critical("unknown", text, curvatures, directions @ Y)


def leave(cost: Cost, w: Vector, critical: Critical, least: float = 0.0, box: Bounds | None = None) -> Vector | None:
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
                    if box is not None:
                        point = box.project(point)
                    if cost.value(point) < value - least:
                        return point
    return None
