r"""Fits of a squared error with l1 to some of the rows each, that keep to the rows: of many columns, few have a weight.

Each fit falls from kink to kink on a set of columns that may have a weight, of which it knows the curvatures: those
whose slope is near the strength join before (the sequential strong rule), those whose slope turns out to be above it
after, and what was fallen too far is taken back.  One product with X tells the slopes of all fits.

R. Tibshirani and others, *Strong rules for discarding predictors in lasso-type problems*, 2012.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.costs.risk import Risk
from descender.data.split import Folds
from descender.methods.line import Line
from descender.methods.moments import NOISE, centre_of, relative_gap
from descender.methods.path import POINT_TOL, Solve

NEAR = 0.8
"""The share of the strength from which a slope lets its column join before, at least."""
OFF = 1e-8
"""How far from the strength a slope may be, as a share of that."""
FEW = 4
"""Where not one column in so many has a weight, scores are summed over copies of those that have."""


class RowFits:
    """One fit for each row of `learn`, the cells that it learns from; the first are judged as `folds` has it."""

    def __init__(self, risk: Risk, folds: Folds, learn: NDArray[np.bool_]):
        s = np.ones(len(risk.y)) if risk.sample_weight is None else risk.sample_weight
        self.l2, (self.columns, self.centre) = risk.l2, _columns(risk)
        self.sigma = _shares(s * learn[:, folds.cell])
        self.judging = _shares(s * (folds.cell == folds.judge[:, None]))
        self.mean, self.level = np.zeros((len(learn), len(self.columns))), np.zeros(len(learn))
        if risk.intercept:
            self.mean, self.level = self.sigma @ self.columns.T, self.sigma @ risk.y
        self.y = risk.y - self.level[:, None]
        self.y[np.abs(self.y).max(axis=1) <= NOISE[8] * np.abs(risk.y).max()] = 0.0  # all the same, but for rounding
        self.square = (self.sigma * self.y**2).sum(axis=1)
        self.c = self._slopes(self.y, slice(None))
        self.sizes = np.sqrt(np.maximum(self.sigma @ (self.columns**2).T - self.mean**2, 0.0))
        self.slopes, self.outside = self.c.copy(), np.ones(self.c.shape, dtype=np.bool_)
        self.unit = 1e-3 * np.abs(self.c).max(axis=1, initial=0.0)
        self.strength = 1e3 * float(self.unit.max())
        self.sets = [_Set(self, k) for k in range(len(learn))]
        self.seen: tuple[NDArray, NDArray] = self.y, self.c

    def _slopes(self, residuals: NDArray, fits: Any) -> NDArray:
        """What the residuals of some fits say along all columns, (fits, d)."""
        S = self.sigma[fits] * residuals
        return S @ self.columns.T - S.sum(axis=1)[:, None] * self.mean[fits]

    def _residuals(self, W: NDArray, fits: list[int]) -> NDArray:
        """Those of all rows at the weights (fits, d)."""
        shift = (self.mean[fits] * W).sum(axis=1)[:, None]
        on = np.flatnonzero(W.any(axis=0))
        few = FEW * len(on) < W.shape[1]
        return self.y[fits] + shift - (W[:, on] @ self.columns[on] if few else W @ self.columns)

    def solver(self, kind: str) -> Solve:
        """The weights at falling strengths of l1."""
        assert kind == "l1"
        return self._solve

    def _solve(self, strengths: NDArray) -> NDArray:
        (F, d), L = self.c.shape, len(strengths)
        W, R, U = np.zeros((L, F, d)), np.empty((L, F, self.y.shape[1])), np.empty((L, F, d))
        for at, strength in enumerate(strengths):
            before, todo, anew = self.slopes.copy(), list(range(F)), list[int]()
            self._join(max(2.0 * strength - self.strength, NEAR * strength), todo)
            for one in self.sets:
                one.line.keep()
            while todo:
                for k in todo:
                    self.sets[k].fall(float(strength), before[k], W[at, k])
                R[at, todo] = self._residuals(W[at, todo], todo)
                U[at, todo] = self._slopes(R[at, todo], todo)
                self.slopes[todo] = U[at, todo] - self.l2 * W[at, todo]
                todo = self._off(W[at], float(strength), todo, anew)
            self.strength = float(strength)
        self.seen = np.moveaxis(R, 0, 2), np.moveaxis(U, 0, 2)
        return np.moveaxis(W, 0, 2)

    def _join(self, least: float, fits: list[int]) -> list[int]:
        """Take in the columns whose slopes are at least so large; the fits that have some."""
        new = (np.abs(self.slopes) >= least) & self.outside
        found = [k for k in fits if new[k].any()] if new.any() else []
        for k in found:
            self.sets[k].join(np.flatnonzero(new[k]))
            self.outside[k] &= ~new[k]
        return found

    def _off(self, W: NDArray, strength: float, fits: list[int], anew: list[int]) -> list[int]:
        """The fits that are no minima: those that lacked a column begin again, others go another way, once (`anew`)."""
        off = np.abs(self.slopes - np.sign(W) * strength) - strength * (W == 0.0)
        bad = [k for k in fits if off[k].max() > OFF * (self.unit[k] + strength)]
        if not bad:
            return bad
        joined = self._join(strength * (1.0 + OFF), bad)
        lost = [k for k in bad if k not in joined and k not in anew]
        for k in joined + lost:
            self.sets[k].line.back()
        for k in lost:
            self.sets[k].line.lost = True
        anew += lost
        return joined + lost

    def gaps(self, W: NDArray, l1: Any, l2: Any) -> tuple[NDArray, NDArray]:
        """The largest gap of a fit at each strength, and whether it is proved."""
        R, U = self.seen
        loss = 0.5 * (self.sigma[:, :, None] * R**2).sum(axis=1)
        found = relative_gap(self.square, loss, U, W, self.sizes, l1, l2, NOISE[8]).max(axis=0)
        return found, found <= POINT_TOL

    def losses(self, W: NDArray) -> tuple[NDArray, NDArray]:
        """The held-out losses and their squares."""
        loss = 0.5 * self.seen[0][: len(self.judging)] ** 2
        return (self.judging[:, None] @ loss)[:, 0], (self.judging[:, None] @ loss**2)[:, 0]

    def intercepts(self, W: NDArray) -> NDArray:
        """Those of the last fit."""
        return self.level[-1] - (self.mean[-1] + self.centre) @ W[-1]


class _Set:
    """The columns of one fit that may have a weight."""

    def __init__(self, fits: RowFits, k: int):
        self.fits, self.k, self.root = fits, k, np.sqrt(fits.sigma[k])
        self.columns, self.V = np.empty(0, dtype=np.intp), np.empty((0, len(self.root)))
        self.line = Line(1e3 * fits.unit[k])

    def join(self, new: NDArray) -> None:
        """Take in columns."""
        m, more = len(self.columns), len(self.columns) + len(new)
        if more > len(self.V):
            self.V, old = np.empty((2 * more, len(self.root))), self.V
            self.V[:m] = old[:m]
        self.V[m:more] = self.root * (self.fits.columns[new] - self.fits.mean[self.k, new][:, None])
        products = self.V[m:more] @ self.V[:more].T
        products[np.arange(len(new)), np.arange(m, more)] += self.fits.l2
        self.line.widen(products, self.fits.c[self.k, new])
        self.columns = np.append(self.columns, new)

    def fall(self, strength: float, slopes: NDArray, w: NDArray) -> None:
        """Go to the minimum on the set; `slopes` (d,) are those where it was kept, the weights go into w (d,)."""
        w[self.columns] = self.line.fall(strength, slopes[self.columns])


def _columns(risk: Risk) -> tuple[NDArray, NDArray]:
    """The columns (d, n) in float64, about a centre where they lie far from zero; and the centre."""
    centre = centre_of(risk, None) if risk.intercept else np.zeros(risk.n_features)
    columns = np.ascontiguousarray(risk.X.T, dtype=np.float64)
    return (columns - centre[:, None] if centre.any() else columns), centre


def _shares(weights: NDArray) -> NDArray:
    """Weights that add up to 1 in each row."""
    return weights / weights.sum(axis=1, keepdims=True)
