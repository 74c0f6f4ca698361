"""The scikit-learn doors of networks: multilayer perceptrons with scikit-learn's protocol and parameter names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import _check_partial_fit_first_call, check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d

from descender.costs.losses import LogLoss, Poisson, Softmax
from descender.costs.network.network import Network
from descender.errors import OptionError, TargetError, suggest
from descender.estimators.base import learn_classes, present
from descender.estimators.perceptron import Layered, Perceptron
from descender.estimators.scales import column_scales
from descender.verbs.terms import class_codes, class_weighted


class Numbers(RegressorMixin, Perceptron):
    """What makes a door one of numbers: targets on one scale, and predictions on theirs."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Train on X (n, d), dense or sparse, and y (n,) or (n, outputs)."""
        return self._learn(X, y, sample_weight)._replayed(X, y, sample_weight)

    def partial_fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """One epoch over X and y, from where the last call ended.

        Columns and targets are on the scales of the first call's rows: let these be like all that follow.
        """
        return self._learn(X, y, sample_weight, once=True)

    def _learn(self, X: Any, y: Any, sample_weight: ArrayLike | None, once: bool = False) -> Self:
        if self.loss not in ("squared_error", "poisson"):
            raise OptionError(f"loss={self.loss!r}; {suggest(str(self.loss), ['squared_error', 'poisson'])}")
        known = hasattr(self, "_network")
        X, y = self._read(X, y, multi_output=True, y_numeric=True, reset=not (once and known))
        X, y, s = present(X, y, sample_weight)
        targets = np.asarray(y, float).reshape(len(y), -1)
        if not ((self.warm_start or once) and known):
            outputs = targets.shape[1]
            self._y_center, self._y_scale = np.zeros(outputs), np.ones(outputs)
            if self.loss == "squared_error":
                self._y_center, self._y_scale, _ = column_scales(targets, s, power=2)
        coded = (targets - self._y_center) / self._y_scale
        coded = coded[:, 0] if y.ndim == 1 else coded
        self._train(X, coded, s, self.loss, targets.shape[1], given=sample_weight, once=once)
        return self

    def predict(self, X: Any) -> NDArray:
        """The predicted numbers, (n,) or (n, outputs)."""
        z = self._outputs(X)
        if self._network.loss is Poisson:
            return Poisson.predict(z).astype(z.dtype)
        shape = z.shape if z.ndim == 2 else (len(z), 1)
        return (z.reshape(shape) * self._y_scale + self._y_center).astype(z.dtype).reshape(z.shape)

    def _raw(self, network: Network, w: NDArray) -> tuple[list[NDArray], list[NDArray]]:
        coefs, intercepts = super()._raw(network, w)
        coefs[-1] = (coefs[-1] * self._y_scale).astype(coefs[-1].dtype)
        intercepts[-1] = (intercepts[-1] * self._y_scale + self._y_center).astype(intercepts[-1].dtype)
        return coefs, intercepts


@dataclass(eq=False, repr=False)
class Classes(ClassifierMixin, Perceptron):
    """What makes a door one of classes: labels as codes, and predictions as labels."""

    _: KW_ONLY
    class_weight: Mapping[Any, float] | str | None = None
    classes_: NDArray = field(init=False)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Train on X (n, d), dense or sparse, and y (n,) of at least two classes, or y (n, labels) of 0 and 1."""
        return self._learn(X, y, sample_weight)._replayed(X, y, sample_weight)

    def partial_fit(
        self, X: Any, y: Any, sample_weight: ArrayLike | None = None, classes: ArrayLike | None = None
    ) -> Self:
        """One epoch over X and y, from where the last call ended; the first call needs all `classes` that will come.

        Columns are on the scales of the first call's rows: let these be like all that follow.
        """
        return self._learn(X, y, sample_weight, True, classes)

    def _learn(
        self, X: Any, y: Any, sample_weight: ArrayLike | None, once: bool = False, classes: ArrayLike | None = None
    ) -> Self:
        X, y = self._read(X, y, multi_output=True, reset=not (once and hasattr(self, "_network")))
        check_classification_targets(y)
        X, y, s = present(X, y, sample_weight)
        if y.ndim == 2 and y.shape[1] > 1:
            codes, outputs = self._several(y), y.shape[1]
        else:
            y = column_or_1d(y, warn=True)
            codes, s = self._known(y, s, classes) if once else learn_classes(self, y, s)
            outputs = len(self.classes_) if len(self.classes_) > 2 else 1
        loss = "softmax" if codes.ndim == 1 and outputs > 1 else "log_loss"
        targets, by_class = codes.astype(np.float64), codes.ndim == 1
        self._train(X, targets, s, loss, outputs, by_class=by_class, given=sample_weight, once=once)
        return self

    def _known(self, y: NDArray, s: NDArray | None, classes: ArrayLike | None) -> tuple[NDArray, NDArray | None]:
        """The number of each label's class, of the classes that were told, and the weights times those of classes."""
        if isinstance(self.class_weight, str):
            raise OptionError(f"class_weight={self.class_weight!r} needs all of y: give partial_fit a mapping, or none")
        try:
            _check_partial_fit_first_call(self, classes)
        except ValueError as error:
            raise OptionError(f"{error} All classes that will come are to be told.") from None
        codes = class_codes(y, self.classes_)
        return codes, class_weighted(self, y, codes, s)

    def _several(self, y: NDArray) -> NDArray:
        """Labels as they are, where they are columns of 0 and 1."""
        if type_of_target(y) != "multilabel-indicator":
            raise TargetError(f"y has shape {y.shape}: several labels a sample are columns of 0 and 1")
        if self.class_weight is not None:
            raise OptionError("class_weight goes with one class a sample; give sample_weight, or leave it out")
        self.classes_ = np.arange(y.shape[1])
        return y

    @property
    def _labels(self) -> bool:
        return self._network.loss is LogLoss and self._network.n_outputs > 1

    def decision_function(self, X: Any) -> NDArray:
        """The outputs: (n,), above 0 for the second of two classes, or (n, classes)."""
        return self._outputs(X)

    def predict(self, X: Any) -> NDArray:
        """The classes with the highest outputs; of several labels those whose output is above 0, (n, labels)."""
        z = self.decision_function(X)
        if self._labels:
            return (z > 0).astype(np.intp)
        return self.classes_[(z > 0).astype(np.intp) if z.ndim == 1 else z.argmax(axis=1)]

    def predict_proba(self, X: Any) -> NDArray:
        """The probability of each class or label, (n, classes)."""
        z = self.decision_function(X)
        if self._labels:
            return LogLoss.predict(z)
        if z.ndim == 1:
            p = LogLoss.predict(z)
            return np.column_stack([1.0 - p, p])
        return Softmax.predict(z.T).T

    def predict_log_proba(self, X: Any) -> NDArray:
        """The logarithm of :meth:`predict_proba`, finite also where that is rounded to 0."""
        z = self.decision_function(X)
        if z.ndim == 2 and not self._labels:
            return log_softmax(z, axis=1)
        one = -np.logaddexp(z.dtype.type(0), -z)
        return one if self._labels else np.column_stack([one - z, one])


@dataclass(eq=False, repr=False)
class MLPRegressor(Layered, Numbers):
    r"""A multilayer perceptron of numbers: nothing to tune.

    Minimised is the mean of :math:`\tfrac12 (f(x_i) - y_i)^2`, or of another `loss`, plus
    :math:`\tfrac{\alpha}{2n}` times the sum of squared weights, with the columns of X and y brought to one scale.

    Parameters
    ----------
    hidden_layer_sizes, activation
        the widths of the hidden layers; "identity", "sigmoid" (or "logistic"), "tanh", "relu", "leaky_relu", "gelu",
        "selu"
    loss
        "squared_error"; "poisson": half the Poisson deviance of counts, :math:`e^{f(x_i)}` is predicted
    solver
        ``"auto"``: NAdam with a rate that falls to 0 along a cosine; "sgd", "adam", "lbfgs" mean what they mean in
        scikit-learn; any other method of ``descender.methods.auto.METHODS`` by its name
    alpha
        the strength of the penalty; by default 0.1 for ``solver="auto"``, else 1e-4 as in scikit-learn
    batch_size, max_iter, learning_rate, learning_rate_init
        "auto" and None leave them to the plan of :mod:`descender.methods.training`; `learning_rate` also takes
        "constant", "invscaling", "adaptive" and every schedule of :func:`descender.minimize`
    power_t
        of "invscaling": the rate is divided by this power of the samples that were learnt from, after each epoch
    early_stopping, validation_fraction, n_iter_no_change
        ``"auto"``: the cost of held-out samples is watched when there are at least 1,000, and the weights that had
        the lowest are kept; of 50 (classes: 100) to 999 four folds tell how many steps to take, and all are trained on
    momentum, nesterovs_momentum, beta_1, beta_2, epsilon
        of the solvers "sgd" and "adam"
    clip_norm, dropout, normalisation, residual, initialisation
        the L2 norm above which a gradient is scaled down; the share of hidden values left out at a step; "batch" or
        "layer"; connections around layers of one width; "glorot", "he", "lecun", "orthogonal" or "normal 0.1"
    tol
        a training ends after `n_iter_no_change` epochs without a cost that is lower by `tol`: the held-out cost where
        samples watch, else the mean of the batches of an epoch; for "lbfgs", at a gradient of that norm.  By default
        1e-4 for "sgd" and "adam"; None: the plan's epochs are taken, or those until the held-out cost rises
    max_seconds, max_fun
        a budget of time; for "lbfgs" one of evaluations
    warm_start, shuffle, random_state, verbose
        begin where the last fit ended; whether the order of samples is drawn anew each epoch; what is drawn; whether
        the mean cost of the batches of each epoch is printed

    Attributes: ``coefs_``, ``intercepts_`` (of the columns as passed in), ``loss_``, ``loss_curve_`` (the mean of the
    batches of each epoch), ``best_loss_``, ``validation_costs_`` and ``validation_scores_`` (of held-out samples at the
    start, after each epoch and at the end: their mean loss, and R2 or the share of right answers),
    ``best_validation_score_``, ``n_iter_``, ``t_``, ``n_layers_``, ``n_outputs_``, ``out_activation_``,
    ``n_features_in_``, ``record_``, ``findings_``.

    >>> import numpy as np
    >>> X = np.linspace(-3.0, 3.0, 200)[:, None]
    >>> model = MLPRegressor((30,), activation="tanh").fit(X, np.sin(X[:, 0]))
    >>> model.score(X, np.sin(X[:, 0])) > 0.999
    True
    """

    _: KW_ONLY
    loss: str = "squared_error"


@dataclass(eq=False, repr=False)
class MLPClassifier(Layered, Classes):
    r"""A multilayer perceptron of classes: cross-entropy, nothing to tune.

    Two classes have one output, :math:`P(y=1) = 1/(1+e^{-f(x)})`; more have one each, through softmax.  Where a sample
    may have several labels, y is a matrix of 0 and 1, and each column has an output of the first kind.  Parameters and
    attributes are those of :class:`MLPRegressor`, besides

    class_weight
        None, ``"balanced"``, or a mapping from class to weight, by which sample weights are multiplied

    and ``classes_``.

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> MLPClassifier((20,)).fit(X, y).score(X, y) > 0.95
    True
    """
