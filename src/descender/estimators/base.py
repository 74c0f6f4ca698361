"""What the doors share: from checked arrays to walks, and from walks to scikit-learn's attributes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from descender.costs.certificate import Certificate
from descender.costs.losses import LOSSES, Loss, read_loss
from descender.costs.risk import FLOATS, Risk
from descender.doctor.finding import Finding
from descender.errors import DataError, OptionError, ShapeError, TargetError, suggest
from descender.methods.auto import polishing_tol
from descender.methods.ending import PROVED
from descender.methods.normal_equations import looks_itself
from descender.record import Record
from descender.verbs.minimize import minimize
from descender.verbs.online import Online
from descender.verbs.path import PenaltyPath, choose_penalty
from descender.verbs.terms import class_weighted
from descender.walk import Step, Walk

TOL = 1e-6
LARGEST_SEED = np.iinfo(np.int32).max


class Linear(CallbackSupportMixin, BaseEstimator):
    """A linear model: the walks that find it, and what is known about them."""

    loss: str
    l2: float | str | None
    l1: float | str
    fit_intercept: bool
    method: str
    learning_rate: Any
    batch_size: int | str | None
    max_iter: int | None
    tol: float
    warm_start: bool
    random_state: Any
    options: Mapping[str, Any] | None
    coef_: NDArray
    intercept_: Any
    classes_: NDArray
    l2_: Any
    l1_: Any
    certificate_: Certificate | None
    findings_: list[Finding]
    record_: Any

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _check(self, X: Any) -> Any:
        """Rows as they can be read, of the columns of the fit: float32 stays float32, sparse stays sparse."""
        if _is_plain(X) and X.shape[1] == self.n_features_in_ and not hasattr(self, "feature_names_in_"):
            with np.errstate(all="ignore"):  # a sum is finite only if each number is
                if math.isfinite(X.sum(dtype=np.float64)):
                    return np.ascontiguousarray(X)
        return validate_data(self, X, reset=False, accept_sparse="csr", dtype=[np.float64, np.float32], order="C")

    def _check_both(self, X: Any, y: Any, **more: Any) -> tuple[Any, Any]:
        """Both; whether X is finite is seen by the cost, when it reads the rows for their extremes."""
        if more.get("reset", True) and _is_plain(X) and _is_target(y, len(X)):
            self.n_features_in_ = X.shape[1]
            self.__dict__.pop("feature_names_in_", None)
            return np.ascontiguousarray(X), y
        how: dict[str, Any] = {"accept_sparse": "csr", "dtype": [np.float64, np.float32], "order": "C"}
        return validate_data(self, X, y, ensure_all_finite=False, **how, **more)

    def _scores(self, X: Any) -> NDArray:
        """x·w + b: (n,) or (n, K)."""
        check_is_fitted(self)
        X = self._check(X)
        return X @ self.coef_.T.astype(X.dtype, copy=False) + np.asarray(self.intercept_, dtype=X.dtype)

    @cached_property
    def loss_curve_(self) -> Any:
        """The cost at each step, or epoch, of the fit; of each output, where there are several."""
        return curve(self.record_) if isinstance(self.record_, Record) else [curve(one) for one in self.record_]

    @cached_property
    def n_iter_(self) -> int:
        """Steps, or epochs, of the longest walk, at least 1."""
        records = [self.record_] if isinstance(self.record_, Record) else self.record_
        return max(1, *(epochs(one) for one in records))

    def _strengths(self, total_weight: float) -> tuple[dict[str, Any], list[str]]:
        """The penalty of a risk, and which of its strengths is to be chosen."""
        l2 = self.l2 if self.l2 is not None else 0.0 if self.l1 == "auto" else 1.0 / total_weight
        asked = {"l2": l2, "l1": self.l1}
        chosen = [kind for kind, strength in asked.items() if isinstance(strength, str) and strength == "auto"]
        if len(chosen) > 1:
            raise OptionError("l2='auto' and l1='auto': one of them is chosen along a path; give the other a number")
        return {kind: 0.0 if kind in chosen else strength for kind, strength in asked.items()}, chosen

    def _seed(self) -> int:
        state = self.random_state
        return _first_of(state) if type(state) is int else int(check_random_state(state).randint(LARGEST_SEED))

    def _descend(
        self, X: Any, targets: Sequence[NDArray], loss: str, s: NDArray | None, y: Any, n_classes: int | None = None
    ) -> None:
        """A walk for each column of targets, and the attributes that they lead to; callbacks see `y`."""
        most = self.max_iter if self._counts_steps() else None
        heard = bool(getattr(self, "_skl_callbacks", None)) or hasattr(self, "_parent_callback_ctx")
        tasks = most if len(targets) == 1 else len(targets)
        context: Any = self._init_callback_context(max_subtasks=tasks) if heard else NOBODY
        known = {"X": X, "y": y, "metadata": None if s is None else {"sample_weight": s}}
        context.call_on_fit_task_begin(estimator=self, **known)
        self._rows_fitted = X.shape[0]
        start = self._start() if self.warm_start and hasattr(self, "coef_") else None
        d, several = X.shape[1], n_classes or len(targets)
        W, b = np.zeros((several, d)), np.zeros(several)
        walks, seed = [], self._seed()
        strengths: list[tuple[float, float]] = []
        paths: list[PenaltyPath | None] = []
        for k, column in enumerate(targets):
            given, chosen = self._strengths(float(len(column)) if s is None else float(s.sum()))
            more: dict[str, Any] = {"intercept": self.fit_intercept, "sample_weight": s, "n_classes": n_classes}
            risk = Risk(X, column, loss, **given, **more, check_finite=False)
            if chosen or start is not None or not self._plain() or not looks_itself(risk):
                risk.extremes  # noqa: B018 - it raises where a number is not finite
            path = choose_penalty(risk, chosen[0], seed=seed) if chosen else None
            if path is not None:
                risk.penalise(**{path.kind: path.strength})
            strengths.append((risk.l2, risk.l1))
            paths.append(path)
            rows = slice(None) if n_classes else slice(k, k + 1)

            def put(w: NDArray, risk: Risk = risk, rows: slice = rows) -> dict[str, Any]:
                W[rows], b[rows] = risk.split(w)
                return self._shaped(W, b, X.dtype)

            part = context if len(targets) == 1 else context.subcontext(task_name="output", max_subtasks=most)
            if part is not context:
                part.call_on_fit_task_begin(estimator=self, **known)
            told = _Told(self, part, put, known) if getattr(self, "_skl_callbacks", None) else None
            first = None if path is None else path.start
            first = first if start is None else risk.join(start[0][rows], start[1][rows])
            walk = self._walk(risk, first, seed, told)
            if told:
                told.tell(walk.nit, walk.x)
            attributes = put(walk.x)
            if part is not context:
                part.call_on_fit_task_end(estimator=self, **known, reconstruction_attributes=attributes)
            walks.append(walk)
        self._take(walks, attributes)
        one = len(targets) == 1
        self.l2_, self.l1_ = strengths[0] if one else np.array(strengths).T
        self.path_ = paths[0] if one else paths
        context.call_on_fit_task_end(estimator=self, **known, reconstruction_attributes={})

    def _plain(self) -> bool:
        """Whether the method is left to the library."""
        return self.method == "auto" and self.learning_rate == "auto" and self.batch_size is None

    def _counts_steps(self) -> bool:
        """Whether `max_iter` counts steps, and not epochs of many steps."""
        return self._plain() or self.method == "lbfgs"

    def _walk(self, risk: Risk, start: NDArray | None, seed: int, callback: Callable[[Step], Any] | None) -> Walk:
        if isinstance(self.tol, bool) or not isinstance(self.tol, int | float | np.number) or not self.tol > 0:
            raise OptionError(f"tol={self.tol!r}: expected a positive relative gap")
        if self.max_iter is not None and (not isinstance(self.max_iter, int | np.integer) or self.max_iter < 1):
            raise OptionError(f"max_iter={self.max_iter!r}: expected None or a whole number of at least 1")
        tol = polishing_tol(risk, self.tol) if self._plain() else self.tol
        most = {"max_steps" if self._counts_steps() else "max_epochs": self.max_iter}
        more: dict[str, Any] = {**most, **(self.options or {})}
        return minimize(
            risk, start, self.method,
            learning_rate=self.learning_rate, batch_size=self.batch_size,
            tol=tol if risk.convex else None, seed=seed, callback=callback, **more,
        )  # fmt: skip

    def _learn(self, X: Any, targets: Sequence[NDArray], loss: str, s: NDArray | None, n_classes: int | None) -> None:
        """A step for each row, of a learner for each column of targets; after a fit they begin where it ended."""
        if not hasattr(self, "_online"):
            rate = {"learning_rate": self.learning_rate, "l2": self.l2 or 0.0, "n_classes": n_classes}
            learners = [Online(loss, method=self.method, **rate, **(self.options or {})) for _ in targets]
            if hasattr(self, "coef_"):
                W, b = self._start()
                for k, (online, column) in enumerate(zip(learners, targets, strict=True)):
                    rows: Any = slice(None) if n_classes else k
                    online.resume(W[rows], b[rows], X, column, self._rows_fitted, s)
            self._online, self.loss_curve_ = learners, []
        for online, column in zip(self._online, targets, strict=True):
            online.learn(X, column, s)
        parts = [online.coefficients for online in self._online]
        W = np.concatenate([np.atleast_2d(part[0]) for part in parts])
        b = np.concatenate([np.atleast_1d(part[1]) for part in parts])
        self.__dict__.update(self._shaped(W, b, X.dtype))
        self.loss_curve_.append(float(sum(online.losses.mean() for online in self._online)))
        self.n_iter_, self.certificate_, self.findings_ = 1, None, []
        self.__dict__.pop("record_", None)

    def _start(self) -> tuple[NDArray, NDArray]:
        """Weights (K, d) and intercepts (K,) where a warm start begins."""
        W = np.atleast_2d(self.coef_).astype(np.float64)
        return W, np.broadcast_to(np.asarray(self.intercept_, dtype=np.float64), W.shape[0])

    def _shaped(self, W: NDArray, b: NDArray, dtype: Any) -> dict[str, Any]:
        """`coef_` and `intercept_` as scikit-learn shapes them."""
        return {"coef_": W.astype(dtype), "intercept_": b.astype(dtype)}

    def _take(self, walks: list[Walk], attributes: Mapping[str, Any]) -> None:
        """The attributes of a finished fit, and a warning if it did not reach what was asked."""
        self.__dict__.pop("_online", None)
        self.__dict__.update(attributes)
        records = [walk.record for walk in walks]
        self.record_ = records[0] if len(walks) == 1 else records
        for name in ("loss_curve_", "n_iter_"):  # which tell of the last fit
            self.__dict__.pop(name, None)
        self.certificate_ = _together([walk.certificate for walk in walks])
        self.findings_ = [finding for walk in walks for finding in walk.findings]
        found = self.certificate_
        reached = found.relative <= max(self.tol, PROVED) if found is not None else all(walk.success for walk in walks)
        if not reached and not any(walk.status == "callback" for walk in walks):
            worst = next((walk for walk in walks if not walk.success), walks[0])
            told = " ".join(str(finding) for finding in self.findings_)
            warnings.warn(
                f"{worst.message}; {found or 'the minimum was not reached'}. {told}".rstrip(),
                ConvergenceWarning,
                stacklevel=4,
            )


class _Nobody:
    """Stands for scikit-learn's context where no callback listens: to make one takes longer than some steps."""

    def call_on_fit_task_begin(self, **told: Any) -> None:
        """Nobody is told."""

    def call_on_fit_task_end(self, **told: Any) -> None:
        """Nobody is told."""

    def subcontext(self, **told: Any) -> _Nobody:
        """Nobody either."""
        return self


NOBODY = _Nobody()


class _Told:
    """Tells scikit-learn's callbacks of each step, with a model that predicts as after it."""

    def __init__(self, estimator: Linear, context: Any, put: Callable, known: Mapping[str, Any]):
        self.estimator, self.context, self.put, self.known = estimator, context, put, known
        self.steps, self.x = 0, np.empty(0)

    def __call__(self, step: Step) -> bool:
        """Tell of the step that led to a point; whether a callback wants the walk to end there."""
        return self.tell(step.number, step.x)

    def tell(self, number: int, x: NDArray) -> bool:
        """Tell of step `number`, which led to `x`, unless it was told."""
        before, self.x = self.x, x
        if number <= self.steps:
            return False
        self.steps = number
        context = self.context.subcontext(task_name="step")
        context.call_on_fit_task_begin(
            estimator=self.estimator, **self.known, reconstruction_attributes=lambda: self.put(before)
        )
        return context.call_on_fit_task_end(
            estimator=self.estimator, **self.known, reconstruction_attributes=lambda: self.put(x)
        )


def _is_plain(X: Any) -> bool:
    """Whether X is such that scikit-learn's checks, which take longer than a small fit, would leave it as it is.

    But for numbers that are not finite.
    """
    return type(X) is np.ndarray and X.ndim == 2 and X.size > 0 and X.dtype in FLOATS


def _is_target(y: Any, n: int) -> bool:
    """Whether y is such an array of `n` numbers, all of them finite."""
    if type(y) is not np.ndarray or y.shape != (n,):
        return False
    return y.dtype.kind in "biu" or (y.dtype.kind == "f" and math.isfinite(y.sum(dtype=np.float64)))


@cache
def _first_of(state: int) -> int:
    """The first number of a generator that begins at a state: it is dear to begin one."""
    return int(check_random_state(state).randint(LARGEST_SEED))


def streams(estimator: Linear) -> bool:
    """Whether rows can be learnt one by one: with l2, and without batches."""
    wrong = [f"l1={estimator.l1}"] * bool(estimator.l1) + ["l2='auto'"] * (estimator.l2 == "auto")
    wrong += [f"batch_size={estimator.batch_size}"] * (estimator.batch_size not in (None, 1))
    wrong += ["class_weight='balanced', which needs all rows"] * (
        getattr(estimator, "class_weight", None) == "balanced"
    )
    if not wrong:
        return True
    given = wrong[0]
    raise AttributeError(f"partial_fit learns row by row and has no {given}; fit has")


def check_loss(given: Any, task: str) -> Loss:
    """The loss, if it is one of the task."""
    name = given.split()[0] if isinstance(given, str) and given.strip() else ""
    if name not in LOSSES or task not in LOSSES[name].tasks:
        known = [name for name, loss in LOSSES.items() if task in loss.tasks]
        raise OptionError(f"loss={given!r}; {suggest(str(given), known)}")
    return read_loss(given)


def present(X: Any, y: Any, sample_weight: ArrayLike | None) -> tuple[Any, Any, NDArray | None]:
    """The rows whose weight is not 0; those of weight 0 are not there."""
    if sample_weight is None:
        return X, y, None
    try:
        s = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"sample_weight must hold numbers: {error}") from None
    s = np.full(X.shape[0], s) if s.ndim == 0 else s
    if s.shape != (X.shape[0],):
        raise ShapeError(f"sample_weight has shape {s.shape}; expected ({X.shape[0]},), one weight a row")
    if not np.isfinite(s).all() or (s < 0).any() or not s.any():
        raise DataError("every sample_weight must be finite and at least 0, and not all of the weights zero")
    kept = s > 0
    return (X, y, s) if kept.all() else (X[kept], y[kept], s[kept])


def two_classes(y: NDArray) -> tuple[NDArray, NDArray] | None:
    """The two whole numbers that y consists of, in order, and which of them each is, if it does.

    That is much sooner seen than by sorting.
    """
    if y.ndim != 1 or y.dtype.kind not in "fiu" or not len(y):
        return None
    low, high = np.minimum.reduce(y).item(), np.maximum.reduce(y).item()
    if low == high or low % 1 != 0 or high % 1 != 0:
        return None
    second = y == high
    two = np.count_nonzero(y == low) + np.count_nonzero(second) == len(y)
    return (np.array([low, high], dtype=y.dtype), second.astype(np.intp)) if two else None


def learn_classes(
    estimator: Any, y: NDArray, s: NDArray | None, known: tuple[NDArray, NDArray] | None = None
) -> tuple[NDArray, NDArray | None]:
    """Note `classes_`, which may be `known` to be two, with the number of each label's class; returns those numbers,
    and the weights times those of the classes.
    """
    classes, codes = known or two_classes(y) or np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise TargetError(f"y has only one class, {classes[0]!r}: a classifier needs at least 2")
    if estimator.warm_start and hasattr(estimator, "classes_") and not np.array_equal(estimator.classes_, classes):
        raise TargetError(
            f"warm_start: the last fit had the classes {estimator.classes_.tolist()}, y has {classes.tolist()}"
        )
    estimator.classes_ = classes
    return codes, class_weighted(estimator, y, codes, s)


def curve(record: Record) -> NDArray:
    """The cost at each step; where batches only estimate it, at each epoch."""
    full, step = record["full_cost"], record["step"]
    known = np.isfinite(full[:-1])
    if not np.count_nonzero(known):
        return record["cost"]
    return full[np.append(known, step[-1] > step[:-1][known][-1])]


def epochs(record: Record) -> int:
    """Steps, or epochs of a method that reads batches."""
    known = int(np.count_nonzero(np.isfinite(record["full_cost"][:-1])))
    return known - 1 if known else int(record["step"][-1])


def _together(found: list[Certificate | None]) -> Certificate | None:
    """What is known of a sum of costs: gaps add up, and no relative gap is above the largest."""
    known = [one for one in found if one is not None]
    if len(known) < len(found) or len(known) == 1:
        return found[0] if len(found) == 1 else None
    kinds = list(dict.fromkeys(one.kind for one in known))
    return Certificate(
        kind=", ".join(kinds),
        rigorous=all(one.rigorous for one in known),
        gap=sum(one.gap for one in known),
        relative=max(one.relative for one in known),
        value=sum(one.value for one in known),
    )
