r"""Fits of a squared error to some of the rows each, that know the second moments of those: no row is read again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.costs.risk import Risk
from descender.data.split import Folds
from descender.methods.homotopy import Homotopy
from descender.methods.lasso import lasso
from descender.methods.line import Line
from descender.methods.moments import NOISE, Moments, Quadratic
from descender.methods.path import POINT_TOL, Solve

SIDE_BY_SIDE = 60
"""Columns up to which all fits go from kink to kink together in NumPy, sooner than a compiler is loaded."""


class MomentFits:
    """One fit for each row of `learn`, the cells that it learns from; the first are judged as `folds` has it."""

    def __init__(self, risk: Risk, folds: Folds, learn: NDArray[np.bool_]):
        self.risk, self.folds = risk, folds
        self.moments = Moments(risk, folds.cell, learn.shape[1])
        origin = None if risk.intercept else np.zeros(risk.n_features)
        self.fits = Quadratic.stacked([self.moments.about(cells, origin) for cells in learn])
        self.judges = [
            self.moments.about(folds.judge[[k]], self.fits.mean[k], self.fits.level[k]) for k in range(len(folds.judge))
        ]

    def solver(self, kind: str) -> Solve:
        """The weights at falling strengths."""
        if kind == "l1":
            return _along_l1(self.fits, self.risk.l2)
        return _along_both(self.fits, self.risk.l1) if self.risk.l1 > 0 else _along_l2(self.fits)

    def gaps(self, W: NDArray, l1: Any, l2: Any) -> tuple[NDArray, NDArray]:
        """The largest gap of a fit at each strength, and whether it is proved."""
        proof = self.fits.gap(W, l1, l2, self.moments.noise).max(axis=0)
        proved = proof <= POINT_TOL
        if proved.all():
            return proof, proved
        # where moments of float32 prove less, what they tell is an estimate
        return np.where(proved, proof, self.fits.gap(W, l1, l2, NOISE[8]).max(axis=0)), proved

    def intercepts(self, W: NDArray) -> NDArray:
        """Those of the last fit."""
        return self._intercepts(W, -1)

    def _intercepts(self, W: NDArray, k: int) -> NDArray:
        return self.fits.level[k] + self.moments.level - (self.fits.mean[k] + self.moments.centre) @ W[k]

    def losses(self, W: NDArray) -> tuple[NDArray, NDArray]:
        """The held-out losses; their squares of a single fold only, as they need the rows."""
        losses = np.array([judge.value(W[k]) for k, judge in enumerate(self.judges)])
        return losses, self._squares(W) if len(losses) == 1 else np.full_like(losses, np.nan)

    def _squares(self, W: NDArray) -> NDArray:
        """The mean square of a judging row's loss."""
        risk, rows = self.risk, np.flatnonzero(self.folds.judges(0))
        s = np.ones(len(rows)) if risk.sample_weight is None else risk.sample_weight[rows]
        shift, total = self._intercepts(W, 0), np.zeros(W.shape[2])
        for start in range(0, len(rows), 4096):
            part = rows[start : start + 4096]
            R = np.asarray(risk.X[part] @ W[0].astype(risk.X.dtype)) + (shift - risk.y[part][:, None])
            total += s[start : start + 4096] @ (0.5 * R * R) ** 2
        return total[None, :] / s.sum()


def _along_l2(fits: Quadratic) -> Solve:
    """By one eigendecomposition of each fit."""
    e, V = np.linalg.eigh(fits.G)
    e, along = np.maximum(e, 0.0)[..., None], V.transpose(0, 2, 1) @ fits.c[..., None]
    return lambda strengths: V @ (along / (e + strengths))


def _along_both(fits: Quadratic, l1: float) -> Solve:
    """Along l2 beside an l1 penalty, each begun at the one before."""
    last = np.zeros_like(fits.c)

    def solve(strengths: NDArray) -> NDArray:
        W = np.zeros((*fits.c.shape, len(strengths)))
        for k, (G, c) in enumerate(zip(fits.G, fits.c, strict=True)):
            for at, strength in enumerate(strengths):
                last[k] = W[k, :, at] = lasso(G, c, last[k], l1, float(strength))
        return W

    return solve


def _along_l1(fits: Quadratic, l2: float) -> Solve:
    """Along l1: from kink to kink, or from strength to strength where those are lost."""
    H, c = fits.G, fits.c
    if l2 > 0:
        H = H + l2 * np.eye(c.shape[1])
    last, unit = np.zeros_like(c), 1e-3 * np.abs(c).max(axis=1, initial=0.0)
    fall = Homotopy(H, c).fall if c.shape[1] <= SIDE_BY_SIDE else _each_alone(H, c)

    def solve(strengths: NDArray) -> NDArray:
        W = fall(strengths)
        slopes = c[:, :, None] - H @ W
        off = np.where(W != 0, np.abs(slopes - np.sign(W) * strengths), np.abs(slopes) - strengths)
        lost = off.max(axis=1, initial=0.0) > 1e-8 * (unit[:, None] + strengths)
        for k, at in np.argwhere(lost):
            W[k, :, at] = lasso(H[k], c[k], W[k, :, at - 1] if at else last[k], float(strengths[at]))
        last[:] = W[:, :, -1]
        return W

    return solve


def _each_alone(H: NDArray, c: NDArray) -> Solve:
    """From kink to kink by compiled lines."""
    lines = [Line(float(level)) for level in np.abs(c).max(axis=1)]
    for line, products, pulls in zip(lines, H, c, strict=True):
        line.widen(products, pulls)
    slopes = c.copy()

    def fall(strengths: NDArray) -> NDArray:
        W = np.zeros((*c.shape, len(strengths)))
        for k, line in enumerate(lines):
            for at, strength in enumerate(strengths):
                W[k, :, at] = line.fall(float(strength), slopes[k])
            slopes[k] = c[k] - H[k] @ W[k, :, -1]
        return W

    return fall
