"""A path of penalties by single walks, for losses and sizes of which no method descends all folds at once."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from descender.costs.losses import Softmax
from descender.costs.risk import Risk
from descender.data.split import Folds
from descender.descent import descend
from descender.methods.auto import choose
from descender.methods.path import Point
from descender.walk import Stop


class Judge(Protocol):
    """What is asked of who sees the points: their scores so far, and whether the path may end early."""

    tol: float
    early: bool
    scores: list[tuple[float, float]]

    def see(self, point: Point) -> bool:
        """Note a point; True where the path may end."""


def trivial_start(risk: Risk) -> NDArray:
    """The parameters of the best constant score."""
    w = np.zeros(risk.n_parameters)
    if not risk.intercept:
        return w
    s = np.ones(len(risk.y)) if risk.sample_weight is None else risk.sample_weight
    if risk.n_classes > 1:
        share = np.bincount(risk.y.astype(np.intp), weights=s, minlength=risk.n_classes) / s.sum()
        w[-risk.n_classes :] = np.log(np.maximum(share, 1e-12)) if risk.loss is Softmax else 0.0
    else:
        w[-1] = risk.loss.trivial(risk.y, s)
    return w


def penalised(risk: Risk, kind: str, strength: float, sample_weight: NDArray | None) -> Risk:
    """The risk with another penalty and other weights of its rows."""
    l1, l2 = (strength, risk.l2) if kind == "l1" else (risk.l1, strength)
    return Risk(
        risk.X, risk.y, risk.loss, l1=l1, l2=l2, intercept=risk.intercept, sample_weight=sample_weight,
        n_classes=risk.n_classes if risk.loss.scores_per_class else None,
    )  # fmt: skip


def walks(risk: Risk, kind: str, strengths: NDArray, folds: Folds, judge: Judge, seed: int) -> None:
    """A walk for each fold: along every fourth strength, then to the neighbours of the best, each from the nearest."""
    K = len(folds.judge)
    s = np.ones(len(risk.y)) if risk.sample_weight is None else risk.sample_weight
    known: dict[int, NDArray] = {}

    def visit(at: int) -> bool:
        near = min(known, key=lambda i: abs(i - at), default=None)
        starts = np.stack([trivial_start(risk)] * K) if near is None else known[near]
        ends, losses, squares, found = [], np.zeros(K), np.zeros(K), []
        for k in range(K):
            cost = penalised(risk, kind, float(strengths[at]), s * folds.learns(k))
            walk = descend(cost, starts[k], choose(cost, judge.tol)[0], Stop(max_steps=2000), seed=seed)
            if walk.status == "interrupted":
                raise KeyboardInterrupt
            ends.append(walk.x)
            found.append(walk.certificate)
            rows = np.flatnonzero(folds.judges(k) & (s > 0))
            loss = risk.loss.value(cost.scores(walk.x, risk.X[rows]), risk.y[rows])
            losses[k], squares[k] = np.average(loss, weights=s[rows]), np.average(loss**2, weights=s[rows])
        known[at] = np.stack(ends)
        gap = max(bound.relative if bound else np.inf for bound in found)
        proved = all(bound is not None and bound.rigorous for bound in found)
        return judge.see(Point(float(strengths[at]), losses, squares, gap, ends[-1], proved))

    steps = (4, 2, 1) if judge.early else (1,)
    for at in range(0, len(strengths), steps[0]):
        visit(at)
        scores = {i: score for i, (score, _) in zip(known, judge.scores, strict=True)}
        best = min(scores, key=scores.__getitem__)
        if judge.early and at >= best + 3 * steps[0] and scores[at] > scores[best]:
            break
    for step in steps[1:]:
        scores = {i: score for i, (score, _) in zip(known, judge.scores, strict=True)}
        best = min(scores, key=scores.__getitem__)
        for at in (best - step, best + step):
            if 0 <= at < len(strengths) and at not in known:
                visit(at)
