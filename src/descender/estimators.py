r"""The scikit-learn doors: linear models with scikit-learn's protocol and descender's words.  No numerics here.

What is minimised is :class:`~descender.costs.risk.Risk` of X as given: scaling goes on inside the methods and never
changes the cost, so that coefficients, penalties and certificates are those of the columns that were passed in.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state, compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from descender.costs.certificate import Certificate
from descender.costs.losses import LOSSES, Loss, Softmax, read_loss
from descender.costs.risk import Risk
from descender.descent import Step, Walk
from descender.errors import DataError, OptionError, ShapeError, TargetError, suggest
from descender.methods.auto import polishing_tol
from descender.verbs.minimize import minimize
from descender.verbs.objectives import coded

TOL = 1e-6


class _Linear(CallbackSupportMixin, BaseEstimator):
    """What the doors share: from checked arrays to walks, and from walks to scikit-learn's attributes."""

    loss: str
    l2: float | None
    l1: float
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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _check(self, X: Any, reset: bool) -> Any:
        """Rows as they can be read: float32 stays float32, sparse stays sparse."""
        return validate_data(self, X, reset=reset, accept_sparse="csr", dtype=[np.float64, np.float32], order="C")

    def _check_both(self, X: Any, y: Any, **more: Any) -> tuple[Any, Any]:
        return validate_data(self, X, y, accept_sparse="csr", dtype=[np.float64, np.float32], order="C", **more)

    def _scores(self, X: Any) -> NDArray:
        """x·w + b: (n,) or (n, K)."""
        check_is_fitted(self)
        X = self._check(X, reset=False)
        return X @ self.coef_.T.astype(X.dtype, copy=False) + np.asarray(self.intercept_, dtype=X.dtype)

    def _strength(self, total_weight: float) -> float:
        return 1.0 / total_weight if self.l2 is None else self.l2

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _descend(
        self, X: Any, targets: Sequence[NDArray], loss: str, s: NDArray | None, y: Any, n_classes: int | None = None
    ) -> None:
        """A walk for each column of targets, and the attributes that they lead to; callbacks see `y`."""
        context = self._init_callback_context(max_subtasks=self.max_iter if len(targets) == 1 else len(targets))
        known = {"X": X, "y": y, "metadata": None if s is None else {"sample_weight": s}}
        context.call_on_fit_task_begin(estimator=self, **known)
        start = self._start() if self.warm_start and hasattr(self, "coef_") else None
        d, several = X.shape[1], n_classes or len(targets)
        W, b = np.zeros((several, d)), np.zeros(several)
        walks, seed = [], self._seed()
        for k, column in enumerate(targets):
            risk = Risk(
                X, column, loss,
                l2=self._strength(float(len(column)) if s is None else float(s.sum())), l1=self.l1,
                intercept=self.fit_intercept, sample_weight=s, n_classes=n_classes,
            )  # fmt: skip
            rows = slice(None) if n_classes else slice(k, k + 1)

            def put(w: NDArray, risk: Risk = risk, rows: slice = rows) -> dict[str, Any]:
                W[rows], b[rows] = risk.split(w)
                return self._shaped(W.copy(), b.copy(), X.dtype)

            part = context if len(targets) == 1 else context.subcontext(task_name="output", max_subtasks=self.max_iter)
            if part is not context:
                part.call_on_fit_task_begin(estimator=self, **known)
            told = _Told(self, part, put, known) if getattr(self, "_skl_callbacks", None) else None
            first = None if start is None else risk.join(start[0][rows], start[1][rows])
            walk = self._walk(risk, first, seed, told)
            if told:
                told.tell(walk.nit, walk.x)
            attributes = put(walk.x)
            if part is not context:
                part.call_on_fit_task_end(estimator=self, **known, reconstruction_attributes=attributes)
            walks.append(walk)
        self._take(walks, self._shaped(W, b, X.dtype))
        context.call_on_fit_task_end(estimator=self, **known, reconstruction_attributes={})

    def _walk(self, risk: Risk, start: NDArray | None, seed: int, callback: Callable[[Step], Any] | None) -> Walk:
        if isinstance(self.tol, bool) or not isinstance(self.tol, int | float | np.number) or not self.tol > 0:
            raise OptionError(f"tol={self.tol!r}: expected a positive relative gap")
        if self.max_iter is not None and (not isinstance(self.max_iter, int | np.integer) or self.max_iter < 1):
            raise OptionError(f"max_iter={self.max_iter!r}: expected None or a whole number of at least 1")
        plain = self.method == "auto" and self.learning_rate == "auto" and self.batch_size is None
        tol = polishing_tol(risk, self.tol) if plain else self.tol
        most = {"max_steps" if plain or self.method == "lbfgs" else "max_epochs": self.max_iter}
        more: dict[str, Any] = {**most, **(self.options or {})}
        return minimize(
            risk, start, self.method,
            learning_rate=self.learning_rate, batch_size=self.batch_size,
            tol=tol if risk.convex else None, seed=seed, callback=callback, **more,
        )  # fmt: skip

    def _start(self) -> tuple[NDArray, NDArray]:
        """Weights (K, d) and intercepts (K,) where a warm start begins."""
        W = np.atleast_2d(self.coef_).astype(np.float64)
        return W, np.broadcast_to(np.asarray(self.intercept_, dtype=np.float64), W.shape[0])

    def _shaped(self, W: NDArray, b: NDArray, dtype: Any) -> dict[str, Any]:
        """`coef_` and `intercept_` as scikit-learn shapes them."""
        return {"coef_": W.astype(dtype), "intercept_": b.astype(dtype)}

    def _take(self, walks: list[Walk], attributes: Mapping[str, Any]) -> None:
        """The attributes of a finished fit, and a warning if it did not reach what was asked."""
        self.__dict__.update(attributes)
        records, curves = [walk.record for walk in walks], [_curve(walk) for walk in walks]
        self.record_ = records[0] if len(walks) == 1 else records
        self.loss_curve_ = curves[0] if len(walks) == 1 else curves
        self.n_iter_ = max(max(_epochs(walk) for walk in walks), 1)
        self.certificate_ = _together([walk.certificate for walk in walks])
        self.findings_ = [finding for walk in walks for finding in walk.findings]
        found = self.certificate_
        reached = found.relative <= self.tol if found is not None else all(walk.success for walk in walks)
        if not reached and not any(walk.status == "callback" for walk in walks):
            worst = next((walk for walk in walks if not walk.success), walks[0])
            told = " ".join(str(finding) for finding in self.findings_)
            warnings.warn(
                f"{worst.message}; {found or 'the minimum was not reached'}. {told}".rstrip(),
                ConvergenceWarning,
                stacklevel=4,
            )


class _Told:
    """Tells scikit-learn's callbacks of each step, with a model that predicts as after it."""

    def __init__(self, estimator: _Linear, context: Any, put: Callable, known: Mapping[str, Any]):
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


class LinearRegressor(RegressorMixin, _Linear):
    r"""A linear model of numbers: least squares and its relatives, at the certified bottom of its cost.

    .. math::

        F(w, b) = \frac{\sum_i s_i\, \ell(x_i \cdot w + b,\, y_i)}{\sum_i s_i}
                  + \frac{\lambda_2}{2} \lVert w \rVert^2 + \lambda_1 \lVert w \rVert_1

    on X as it is given, with s the sample weights and a free intercept.  Rows of weight 0 count nowhere.  A problem
    that is small is walked down to rounding whatever `tol` says.

    Parameters
    ----------
    loss
        ``"squared_error"``, which has its factor 1/2; ``"huber 1.5"``, quadratic up to 1.5 and linear beyond;
        ``"quantile 0.9"``; ``"poisson"``, whose predictions are exp(x·w + b)
    l2, l1
        the penalty strengths; l2 is by default one over the sum of the sample weights, which is Ridge's ``alpha=1``
    fit_intercept
        whether there is an intercept; it is never penalised
    method, learning_rate, batch_size, options
        as in :func:`descender.minimize`; `options` holds what else it takes, such as ``{"clip_norm": 5.0}``
    max_iter
        the most steps, or epochs of a method that reads batches; None leaves it to the method
    tol
        the certified relative gap at which the walk may end
    warm_start
        begin where the last fit ended
    random_state
        an int, a generator of NumPy's old kind, or None: which rows are sampled, and their order

    Attributes: ``coef_`` (d,) or (outputs, d) in the dtype of X, ``intercept_``, ``n_features_in_``,
    ``feature_names_in_``, ``n_iter_``, ``loss_curve_`` (the cost at each step), ``record_``, ``certificate_``,
    ``findings_``.  With several outputs each has a walk of its own; ``loss_curve_`` and ``record_`` are then lists.

    Raises :class:`~descender.errors.InputError` and its kinds, which are all ``ValueError``; warns with
    ``ConvergenceWarning`` where `tol` was not reached.

    >>> import numpy as np
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> model = LinearRegressor(l2=0.0).fit(X, [1.0, 3.0, 5.0, 7.0])
    >>> model.coef_.round(9), round(float(model.intercept_), 9)
    (array([2.]), 1.0)
    >>> model.certificate_.rigorous
    True
    """

    def __init__(
        self,
        loss: str = "squared_error",
        *,
        l2: float | None = None,
        l1: float = 0.0,
        fit_intercept: bool = True,
        method: str = "auto",
        learning_rate: Any = "auto",
        batch_size: int | str | None = None,
        max_iter: int | None = None,
        tol: float = TOL,
        warm_start: bool = False,
        random_state: Any = 0,
        options: Mapping[str, Any] | None = None,
    ):
        self.loss = loss
        self.l2 = l2
        self.l1 = l1
        self.fit_intercept = fit_intercept
        self.method = method
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.options = options

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = self.loss != "poisson"
        tags.target_tags.positive_only = self.loss == "poisson"
        return tags

    @with_callbacks
    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> LinearRegressor:
        """Walk to the bottom for X (n, d), dense or sparse, and y (n,) or, but of counts, (n, outputs)."""
        _check_loss(self.loss, "regression")
        X, y = self._check_both(X, y, multi_output=self.loss != "poisson", y_numeric=True)
        X, y, s = _present(X, y, sample_weight)
        self._one_output = y.ndim == 1
        columns = [np.ascontiguousarray(column) for column in np.atleast_2d(y.T)]
        self._descend(X, columns, self.loss, s, y)
        return self

    def predict(self, X: Any) -> NDArray:
        """The predicted numbers, (n,) or (n, outputs)."""
        return read_loss(self.loss).predict(self._scores(X))

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """R² for squared_error; for other losses D², the share of the best constant's excess loss that is gone.

        D² of ``poisson`` is that of scikit-learn's PoissonRegressor, of ``quantile`` its ``d2_pinball_score``.
        """
        loss = read_loss(self.loss)
        if loss.name == "squared_error" or np.ndim(y) > 1:
            return super().score(X, y, sample_weight)
        z, y = self._scores(X).astype(np.float64), np.asarray(y, dtype=np.float64)
        s = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        excess = float(s @ (loss.value(loss.trivial(y, s), y) - loss.lowest(y)))
        ours = float(s @ (loss.value(z, y) - loss.lowest(y)))
        return 1.0 - ours / excess if excess > 0 else float(ours <= 0)

    def _shaped(self, W: NDArray, b: NDArray, dtype: Any) -> dict[str, Any]:
        if self._one_output:
            return {"coef_": W[0].astype(dtype), "intercept_": b.astype(dtype)[0]}
        return super()._shaped(W, b, dtype)


def _has_probabilities(estimator: LinearClassifier) -> bool:
    known = [name for name, loss in LOSSES.items() if loss.tasks == ("binary",) and loss.probability]
    if estimator.loss in known:
        return True
    raise AttributeError(f"loss={estimator.loss!r} has no probabilities; losses that have: {', '.join(known)}")


class LinearClassifier(ClassifierMixin, _Linear):
    r"""A linear model of classes: logistic regression and its relatives, at the certified bottom of its cost.

    The cost is that of :class:`LinearRegressor`, with the loss of classes.  More than two classes: ``log_loss``
    becomes softmax, one cost for all; with another loss each class has a cost of its own, against the rest.

    Parameters
    ----------
    loss
        ``"log_loss"``, ``"hinge"``, ``"squared_hinge"``, ``"squared_error"`` (of targets -1 and 1, as
        RidgeClassifier has it) or ``"sigmoid_squared_error"``, which is not convex
    l2, l1
        the penalty strengths; l2 is by default one over the sum of the weights, which is LogisticRegression's ``C=1``
    class_weight
        None, ``"balanced"``, or a mapping from class to weight, by which sample weights are multiplied
    fit_intercept, method, learning_rate, batch_size, options, max_iter, tol, warm_start, random_state
        as in :class:`LinearRegressor`

    Attributes: ``classes_``, ``coef_`` (1, d) or (classes, d) in the dtype of X, ``intercept_`` (1,) or (classes,),
    and the others of :class:`LinearRegressor`.

    >>> from sklearn.datasets import load_breast_cancer
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = LinearClassifier().fit(X, y)     # columns as they are: nothing needs to be scaled
    >>> model.certificate_.relative < 1e-6, model.score(X, y) > 0.95
    (True, True)
    """

    def __init__(
        self,
        loss: str = "log_loss",
        *,
        l2: float | None = None,
        l1: float = 0.0,
        class_weight: Mapping[Any, float] | str | None = None,
        fit_intercept: bool = True,
        method: str = "auto",
        learning_rate: Any = "auto",
        batch_size: int | str | None = None,
        max_iter: int | None = None,
        tol: float = TOL,
        warm_start: bool = False,
        random_state: Any = 0,
        options: Mapping[str, Any] | None = None,
    ):
        self.loss = loss
        self.l2 = l2
        self.l1 = l1
        self.class_weight = class_weight
        self.fit_intercept = fit_intercept
        self.method = method
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.options = options

    @with_callbacks
    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> LinearClassifier:
        """Walk to the bottom for X (n, d), dense or sparse, and labels y (n,) of at least two classes."""
        _check_loss(self.loss, "binary")
        X, y = self._check_both(X, y)
        check_classification_targets(y)
        X, y, s = _present(X, y, sample_weight)
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise TargetError(f"y has only one class, {classes[0]!r}: a classifier needs at least 2")
        if self.class_weight is not None:
            factor = compute_class_weight(self.class_weight, classes=classes, y=y, sample_weight=s)
            s = factor[codes] if s is None else s * factor[codes]
        if self.warm_start and hasattr(self, "classes_") and not np.array_equal(self.classes_, classes):
            raise TargetError(
                f"warm_start: the last fit had the classes {self.classes_.tolist()}, y has {classes.tolist()}"
            )
        self.classes_ = classes
        loss, targets = coded(self.loss, codes, len(classes))
        self._descend(X, targets, loss, s, y, len(classes) if loss == "softmax" else None)
        return self

    def decision_function(self, X: Any) -> NDArray:
        """The scores: (n,), above 0 for the second of two classes, or (n, classes)."""
        z = self._scores(X)
        return z[:, 0] if len(self.classes_) == 2 else z

    def predict(self, X: Any) -> NDArray:
        """The classes with the highest scores; the first of equals."""
        z = self.decision_function(X)
        return self.classes_[(z > 0).astype(np.intp) if z.ndim == 1 else z.argmax(axis=1)]

    @available_if(_has_probabilities)
    def predict_proba(self, X: Any) -> NDArray:
        """The probability of each class, (n, classes)."""
        z = self.decision_function(X)
        if z.ndim == 1:
            p = read_loss(self.loss).predict(z)
            return np.column_stack([1.0 - p, p])
        if self.loss == "log_loss":
            return Softmax.predict(z.T).T
        p = read_loss(self.loss).predict(z)
        return p / p.sum(axis=1, keepdims=True)

    @available_if(_has_probabilities)
    def predict_log_proba(self, X: Any) -> NDArray:
        """The logarithm of :meth:`predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))


def _check_loss(given: Any, task: str) -> Loss:
    """The loss, if it is one of the task."""
    known = [name for name, loss in LOSSES.items() if task in loss.tasks]
    if not isinstance(given, str) or not given.strip() or given.split()[0] not in known:
        raise OptionError(f"loss={given!r}; {suggest(str(given), known)}")
    return read_loss(given)


def _present(X: Any, y: Any, sample_weight: ArrayLike | None) -> tuple[Any, Any, NDArray | None]:
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


def _curve(walk: Walk) -> NDArray:
    """The cost at each step; where batches only estimate it, at each epoch."""
    full, step = walk.record["full_cost"], walk.record["step"]
    known = np.isfinite(full[:-1])
    if not known.any():
        return walk.record["cost"]
    return full[np.append(known, step[-1] > step[:-1][known][-1])]


def _epochs(walk: Walk) -> int:
    """Steps, or epochs of a method that reads batches."""
    full = walk.record["full_cost"][:-1]
    return int(np.isfinite(full).sum()) - 1 if np.isfinite(full).any() else walk.nit


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
