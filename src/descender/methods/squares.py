r"""The path of a squared error, exact for l2 and to 1e-9 and less for l1, without a walk.

Where rows are more than columns their moments tell everything (:mod:`descender.methods.moments`), else the rows
themselves are the shorter description (:mod:`descender.methods.row_fits`).
"""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import NDArray

from descender.costs.risk import Risk
from descender.data.split import Folds
from descender.methods.moment_fits import MomentFits
from descender.methods.path import WIDEST, Point, Solve, Watch, learning
from descender.methods.row_fits import RowFits

AT_ONCE = 16
"""Strengths that are solved for before any of them is judged."""
SHORT = 1.0
"""Rows, as a share of the columns, up to which a path of l1 keeps to the rows."""
MOST_NUMBERS = 2e7
"""Numbers in X up to which a path keeps to more columns than `WIDEST`."""


class Fits(Protocol):
    """The fits of a path, to the rows of each fold and to all of them."""

    def solver(self, kind: str) -> Solve:
        """The weights of each at falling strengths of a `kind` of penalty."""

    def losses(self, W: NDArray) -> tuple[NDArray, NDArray]:
        """The held-out loss of each fold at the weights (F, d, L), and its mean square over rows, (K, L)."""

    def gaps(self, W: NDArray, l1: Any, l2: Any) -> tuple[NDArray, NDArray]:
        """The largest relative gap of a fit at each strength, and whether it is proved."""

    def intercepts(self, W: NDArray) -> NDArray:
        """Those of the last fit, (L,)."""


def keeps_to_rows(risk: Risk, kind: str) -> bool:
    """Whether the rows of a squared error are a shorter description than their moments."""
    n, d = risk.X.shape
    return kind == "l1" and not risk.sparse and n <= min(SHORT * d, WIDEST) and n * d <= MOST_NUMBERS


def squares_path(risk: Risk, kind: str, strengths: NDArray, folds: Folds, watch: Watch | None = None) -> list[Point]:
    """The points of a path of l2 or l1, in the order of `strengths`, which fall."""
    learn = learning(folds, whole=len(folds.judge) > 1)
    fits: Fits = RowFits(risk, folds, learn) if keeps_to_rows(risk, kind) else MomentFits(risk, folds, learn)
    solve, points = fits.solver(kind), list[Point]()
    for start in range(0, len(strengths), AT_ONCE):
        some = strengths[start : start + AT_ONCE]
        W = solve(some)
        gaps, proved = fits.gaps(W, *((some, risk.l2) if kind == "l1" else (risk.l1, some)))
        (losses, squares), b = fits.losses(W), fits.intercepts(W)
        for at, strength in enumerate(some):
            told = float(gaps[at]), risk.join(W[-1, :, at], b[at]), bool(proved[at])
            points.append(Point(float(strength), losses[:, at], squares[:, at], *told))
            if watch is not None and watch(points[-1]):
                return points
    return points
