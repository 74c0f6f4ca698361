"""Linear models of classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.callback import with_callbacks
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, check_classification_targets

from descender.costs.losses import LOSSES, Softmax, read_loss
from descender.estimators.base import TOL, Linear, check_loss, learn_classes, present, streams, two_classes
from descender.verbs.terms import class_codes, class_weighted, coded


def _has_probabilities(estimator: LinearClassifier) -> bool:
    known = [name for name, loss in LOSSES.items() if loss.tasks == ("binary",) and loss.probability]
    if estimator.loss in known:
        return True
    raise AttributeError(f"loss={estimator.loss!r} has no probabilities; losses that have: {', '.join(known)}")


class LinearClassifier(ClassifierMixin, Linear):
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
        l2: float | str | None = None,
        l1: float | str = 0.0,
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
        check_loss(self.loss, "binary")
        X, y = self._check_both(X, y)
        known = two_classes(y)
        if known is None:
            check_classification_targets(y)
        X, y, s = present(X, y, sample_weight)
        codes, s = learn_classes(self, y, s, known if s is None else None)
        classes = self.classes_
        loss, targets = coded(self.loss, codes, len(classes))
        self._descend(X, targets, loss, s, y, len(classes) if loss == "softmax" else None)
        return self

    @available_if(streams)
    def partial_fit(
        self, X: Any, y: Any, classes: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> LinearClassifier:
        """Learn the rows of X one by one, in constant memory; `classes` are all that will come, at the first call.

        As :meth:`descender.Online.learn`: one step a row, in their order, on columns that are standardised by what was
        seen of them so far, so that neither a rate nor a scale has to be chosen.  A given `learning_rate` takes the
        columns as they are.  l2 counts only where it is given, and on the scale on which the steps are taken; there is
        no certificate.  ``loss_curve_`` has the mean loss of each call's rows, each before it was learnt.
        """
        check_loss(self.loss, "binary")
        X, y = self._check_both(X, y, reset=not hasattr(self, "coef_"))
        _check_partial_fit_first_call(self, classes)
        X, y, s = present(X, y, sample_weight)
        codes = class_codes(y, self.classes_)
        s = class_weighted(self, y, codes, s)
        loss, targets = coded(self.loss, codes, len(self.classes_))
        self._learn(X, targets, loss, s, len(self.classes_) if loss == "softmax" else None)
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
