r"""The penalty chosen: a path of fits from heavy to weak shrinkage, judged on rows that they did not learn from.

The strengths fall in equal steps of their logarithm, from where next to nothing but the intercept is left (all weights
are zero, for l1) to where the penalty does next to nothing.  Each is judged by the mean loss on rows that its fits did
not learn from: by cross-validation, by one hold-out where rows are so many that it is precise enough, forward in time,
group by group, or, for a squared error with l2, by leaving out each row in turn, which costs one decomposition.

How the path is descended is decided by the loss: moments of the rows for a squared error, Newton's method on all folds
at once for other smooth losses with one score a row (:mod:`descender.methods`), else a walk for each fold and strength,
first coarsely, then finely around the best.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.costs.certificate import certificate
from descender.costs.losses import OneVsRest, Softmax, SquaredError
from descender.costs.risk import Risk
from descender.data.split import Folds, crossed, forward, holdout, latest, once, some_groups
from descender.errors import CapabilityError, OptionError
from descender.kernels.threads import one_blas_thread
from descender.methods.column_facts import column_facts
from descender.methods.newton_path import newton_path
from descender.methods.path import POINT_TOL, WIDEST, Point, leave_one_out, rotated
from descender.methods.squares import keeps_to_rows, squares_path
from descender.verbs.path_walks import penalised, trivial_start, walks

COUNT = {"l2": 50, "l1": 80}
"""Strengths of a path."""
FOLDS = 5
MANY_ROWS = 100_000
"""Rows from which one hold-out of a fifth of them judges as well as folds would."""
MUCH_WORK = 5e6
"""Numbers in X, times classes, from which a path of single walks is judged by one hold-out."""
PAIRS = 5000
"""Columns of all pairs of classes up to which their Hessians are formed."""
ALL_LEFT_OUT = 2000
"""Rows up to which each is left out in turn, where that is exact."""
CERTIFIED = 1e6
"""Numbers to be read for certificates of every point; beyond, those of the points that decide."""
WALK_TOL = 1e-4
BEYOND = 5
"""Strengths after the best before a path may end."""


@dataclass(frozen=True)
class PenaltyPath:
    """A path of penalty strengths, each judged by the mean loss on rows that were not learnt from.

    ``kind`` is "l2" or "l1"; ``strengths`` fall; ``scores`` and ``errors`` are the mean held-out loss of each and its
    standard error; ``best`` has the lowest score and ``chosen`` is the one to use (indices); ``folds`` counts the
    judgements of each strength and ``how`` says of which rows; ``nonzeros`` counts the weights that are not zero,
    ``coefficients`` are (strengths, features), root mean squares over the classes where there are more than two.

    Points are descended to about ``tol``, relative: ``gaps`` is what was left, an upper bound where ``certified``, else
    an estimate.  ``start`` is the fit at the chosen strength, from which a final one may begin.
    """

    kind: str
    strengths: NDArray
    scores: NDArray
    errors: NDArray
    best: int
    chosen: int
    folds: int
    how: str
    nonzeros: NDArray
    coefficients: NDArray
    gaps: NDArray
    certified: NDArray
    tol: float
    start: NDArray

    @property
    def strength(self) -> float:
        """The chosen strength."""
        return float(self.strengths[self.chosen])

    def __str__(self) -> str:
        if self.chosen != self.best:
            why = f"the strongest within one standard error of the best ({self.strengths[self.best]:.3g})"
        else:
            why = "the lowest held-out loss"
        count = len(self.strengths)
        return f"{self.kind} = {self.strength:.3g}, {why} of {count} strengths, by {self.how}"

    def plot(self, features: Sequence[str] | None = None, axes: Any = None) -> Any:
        """Draw the held-out loss and the coefficients along the strengths with Matplotlib; returns the two axes."""
        from descender.pictures.penalty import describe_penalty, draw_penalty

        return draw_penalty(describe_penalty(self, features), axes)

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "kind": self.kind,
            "strength": self.strength,
            "best": int(self.best),
            "chosen": int(self.chosen),
            "folds": self.folds,
            "how": self.how,
            "tol": self.tol,
            **{
                name: getattr(self, name).tolist()
                for name in ("strengths", "scores", "errors", "nonzeros", "gaps", "certified")
            },
        }


def choose_penalty(
    risk: Risk,
    kind: str = "l2",
    *,
    folds: Folds | None = None,
    strengths: NDArray | None = None,
    one_standard_error: bool = False,
    early: bool | None = None,
    times: NDArray | None = None,
    groups: NDArray | None = None,
    tol: float | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> PenaltyPath:
    """The strength of the `kind` of penalty ("l2" or "l1") of a convex risk, by its held-out loss along a path.

    The other penalty stays as the risk has it.  `folds` and `strengths` are decided from the rows where they are not
    given; `times` or `groups`, one a row, keep later from earlier rows or groups together.  With `one_standard_error`
    the strongest penalty is chosen whose loss is within one standard error of the lowest: a simpler model that is not
    worse as far as can be told (L. Breiman and others, *Classification and Regression Trees*, 1984, §3.4.3).

    The path ends `early` where the held-out loss got worse beyond doubt, or nothing changes any more, unless the
    `strengths` were given.  `progress` is called with the points done and those planned.  Ctrl-C ends the path, too:
    what is found then is chosen among.

    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 40))
    >>> found = choose_penalty(Risk(X, X[:, 0] + rng.normal(size=300)), "l1")
    >>> int(found.nonzeros[0]), 0.03 < found.strength < 0.3
    (0, True)
    """
    if kind not in ("l2", "l1"):
        raise OptionError(f"kind={kind!r}; a path is of l2 or l1")
    if not risk.convex or risk.reduction != "mean":
        raise CapabilityError(f"the penalty of {risk.loss.name} is chosen for convex mean costs only; give a number")
    judge = _Judge(risk, kind, progress)
    with one_blas_thread():
        planned = (
            _strengths(risk, kind) if strengths is None else np.sort(np.asarray(strengths, dtype=np.float64))[::-1]
        )
        if len(planned) == 0 or not (planned > 0).all():
            raise OptionError("strengths of a path are positive numbers")
        judge.planned, judge.early = planned, strengths is None if early is None else early
        try:
            _descend(risk, kind, planned, folds, times, groups, tol, seed, judge)
        except KeyboardInterrupt:
            if not judge.points:
                raise
            judge.how += "; interrupted"
        return judge.conclude(one_standard_error, tol)


def _descend(
    risk: Risk,
    kind: str,
    strengths: NDArray,
    folds: Folds | None,
    times: NDArray | None,
    groups: NDArray | None,
    tol: float | None,
    seed: int,
    judge: _Judge,
) -> None:
    """Go along the path by the means that suit the loss and the size of the rows."""
    n, d = risk.X.shape
    squares = risk.loss is SquaredError
    if squares and kind == "l2" and risk.l1 == 0 and folds is None and times is None and groups is None:
        wide = d > n and not risk.sparse
        if n <= ALL_LEFT_OUT and min(n, d) <= WIDEST:
            small, judge.back = rotated(risk) if wide else (risk, judge.back)
            judge.single(n, f"leaving out each of {n:,} rows in turn")
            for point in leave_one_out(small, strengths):
                if judge.see(point):
                    break
            return
    wide = d > n and n <= WIDEST and not risk.sparse and kind == "l2" and risk.l1 == 0
    rows = squares and keeps_to_rows(risk, kind)
    newton = rows or (_smooth(risk.loss) and _at_once(risk, min(n, d) if wide else d))
    if folds is None:
        folds = _folds(n, times, groups, seed, not newton and n * d * risk.n_classes >= MUCH_WORK)
    judge.split(folds)
    if not newton:
        judge.tol = WALK_TOL if tol is None else tol
        walks(risk, kind, strengths, folds, judge, seed)
        return
    small, judge.back = rotated(risk) if wide else (risk, judge.back)
    if squares:
        squares_path(small, kind, strengths, folds, judge.see)
    else:
        judge.tol = POINT_TOL if tol is None else tol
        newton_path(small, kind, strengths, folds, trivial_start(small), judge.see, tol, seed)


def _at_once(risk: Risk, columns: int) -> bool:
    """Whether all folds are descended at once, by Hessians: of several classes, where they are few and the rows, too.

    Beyond, walks that know the classes' metric take a half to a tenth of the time.
    """
    if risk.n_classes == 1:
        return columns <= WIDEST
    return columns * risk.n_classes**2 <= PAIRS and risk.X.shape[0] * columns * risk.n_classes < MUCH_WORK


def _smooth(loss: Any) -> bool:
    """Whether a loss has a curvature that Newton's method can use."""
    return bool(loss.differentiable) and not isinstance(loss, OneVsRest)


def _folds(n: int, times: NDArray | None, groups: NDArray | None, seed: int, costly: bool) -> Folds:
    """How strengths are judged, from facts about the rows."""
    many = n >= MANY_ROWS or costly
    reason = f"as {n:,} rows are many" if n >= MANY_ROWS else "as folds would take long"
    if times is not None:
        if many:
            return once(latest(times, 0.2), f"the latest fifth of the training rows, {reason}")
        return forward(times, FOLDS)
    if many:
        held = holdout(n, 0.2, seed + 1) if groups is None else some_groups(groups, 0.2, seed + 1)
        what = "the rows" if groups is None else "the groups"
        return once(held, f"a fifth of {what} that were trained on, held out once, {reason}")
    return crossed(n, FOLDS, seed, groups)


def _strengths(risk: Risk, kind: str) -> NDArray:
    """From where next to nothing is left of the weights to where next to nothing is left of the penalty."""
    n, d = risk.X.shape
    start = trivial_start(risk)
    if kind == "l1":
        gradient = penalised(risk, kind, 0.0, risk.sample_weight).gradient(start)
        top = float(np.abs(gradient[: risk.n_classes * d]).max(initial=0.0))
        return np.geomspace(max(top, 1e-300), max(top, 1e-300) * (1e-4 if n > d else 1e-2), COUNT["l1"])
    sigma = (np.ones(n) if risk.sample_weight is None else risk.sample_weight) / risk.total_weight
    squares = column_facts(risk.X, sigma, centre=risk.intercept and not risk.sparse).squares
    curvature = _curvature(risk, start, sigma)
    top = max(2.0 * curvature * float(squares.sum()), 1e-300)
    return np.geomspace(top, top / (2.0 * max(d, 1)) * min(1e-3 / n, 1e-5), COUNT["l2"])


def _curvature(risk: Risk, start: NDArray, sigma: NDArray) -> float:
    """The mean curvature of the loss at the best constant score; 1 where it has none."""
    if risk.loss is Softmax or not _smooth(risk.loss):
        return 0.25
    _, b = risk.split(start)
    found = float(sigma @ risk.loss.curvature(np.full(len(risk.y), float(b)), risk.y))
    return found if np.isfinite(found) and found > 0 else 1.0


class _Judge:
    """Sees the points of a path as they are found, ends it when there is nothing more to find, and chooses."""

    def __init__(self, risk: Risk, kind: str, progress: Callable[[int, int], None] | None):
        self.risk, self.kind, self.progress = risk, kind, progress
        self.points: list[Point] = []
        self.scores: list[tuple[float, float]] = []
        self.planned: NDArray = np.empty(0)
        self.early, self.tol, self.how = True, 0.0, ""
        self.weights: NDArray = np.ones(1)
        self.rows = 1
        self.learns: NDArray | None = None
        self.back: Callable[[NDArray], NDArray] = lambda w: w

    def single(self, rows: int, how: str) -> None:
        """Judged once, by so many rows."""
        self.rows, self.how = rows, how

    def split(self, folds: Folds) -> None:
        """Judged by folds."""
        s = np.ones(len(self.risk.y)) if self.risk.sample_weight is None else self.risk.sample_weight
        self.weights = np.array([s[folds.judges(k)].sum() for k in range(len(folds.judge))])
        if not (self.weights > 0).all() or not all(s[folds.learns(k)].sum() > 0 for k in range(len(folds.judge))):
            raise OptionError("a fold has no row of positive weight to learn from or to judge by")
        self.rows, self.how = int(folds.judges(0).sum()), folds.how
        self.learns = folds.learns(0) if len(folds.judge) == 1 else None

    def score(self, point: Point) -> tuple[float, float]:
        """The held-out loss of a point, and its standard error: between folds, or between the rows of a single one."""
        share = self.weights / self.weights.sum()
        mean, folds = float(share @ point.losses), len(share)
        if folds > 2:
            return mean, float(np.sqrt(share @ (point.losses - mean) ** 2 / (folds - 1)))
        squares = share @ point.squares if np.isfinite(point.squares).all() else mean**2
        return mean, float(np.sqrt(max(squares - mean**2, 0.0) / max(self.rows * folds - 1, 1)))

    def see(self, point: Point) -> bool:
        """Note a point; True where the path may end: it got worse beyond doubt, or nothing changes any more."""
        self.points.append(point)
        self.scores.append(self.score(point))
        if self.progress is not None:
            self.progress(len(self.points), len(self.planned))
        if not self.early or len(self.points) < 10:
            return False
        best = min(range(len(self.scores)), key=lambda i: self.scores[i][0])
        worse = len(self.points) > best + BEYOND and all(self._worse(p, best) for p in self.points[-3:])
        last = [score for score, _ in self.scores[-5:]]
        flat = max(last) - min(last) <= 5e-3 * self.scores[best][1] and point.strength < 1e-3 * self.planned[0]
        return worse or flat

    def _worse(self, point: Point, best: int) -> bool:
        """Whether a point is worse than the best by two standard errors of their difference between the folds."""
        (mean, error), share = self.scores[best], self.weights / self.weights.sum()
        more = point.losses - self.points[best].losses
        if len(share) > 2:
            error = float(np.sqrt(share @ (more - share @ more) ** 2 / (len(share) - 1)))
        return float(share @ more) > 2.0 * error + 1e-9 * abs(mean)

    def conclude(self, one_standard_error: bool, tol: float | None) -> PenaltyPath:
        """The path with its choice."""
        points = sorted(self.points, key=lambda p: -p.strength)
        found = np.array([self.score(p) for p in points])
        scores, errors = found.T
        # of equal scores the strongest penalty
        best = int(np.flatnonzero(scores <= scores.min() * (1 + 1e-12))[0])
        chosen = int(np.argmax(scores <= scores[best] + errors[best])) if one_standard_error else best
        W = np.stack([self.back(p.w) for p in points])
        d = self.risk.n_features
        weights = W[:, : d * self.risk.n_classes].reshape(len(W), self.risk.n_classes, d)
        coefficients = weights[:, 0] if self.risk.n_classes == 1 else np.sqrt((weights**2).mean(axis=1))
        gaps, certified = self._certify(points, W, {best, chosen})
        return PenaltyPath(
            self.kind, np.array([p.strength for p in points]), scores, errors, best, chosen, len(self.weights),
            self.how, (weights != 0).any(axis=1).sum(axis=1), coefficients, gaps, certified, self.tol, W[chosen],
        )  # fmt: skip

    def _certify(self, points: list[Point], W: NDArray, deciding: set[int]) -> tuple[NDArray, NDArray]:
        """Bounds of what is left to descend at every point, or at those that decide where rows are many."""
        gaps = np.array([p.gap for p in points])
        proved = np.array([p.proved for p in points])
        if proved.all():
            return gaps, proved
        some = range(len(points)) if self.risk.X.size * len(points) <= CERTIFIED else deciding
        s = np.ones(len(self.risk.y)) if self.risk.sample_weight is None else self.risk.sample_weight
        s = s if self.learns is None else s * self.learns
        certified = proved.copy()
        for at in set(some) - set(np.flatnonzero(proved)):
            there = penalised(self.risk, self.kind, points[at].strength, s)
            bound = certificate(there, W[at])
            if bound is not None and bound.rigorous:
                gaps[at], certified[at] = max(gaps[at], bound.relative), True
        return gaps, certified
