"""The scikit-learn doors of networks: multilayer perceptrons with scikit-learn's protocol and parameter names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d

from descender.costs.losses import LogLoss, Softmax
from descender.costs.network.network import Network
from descender.errors import OptionError, TargetError
from descender.estimators.base import learn_classes, present
from descender.estimators.perceptron import Perceptron
from descender.estimators.scales import column_scales


class MLPRegressor(RegressorMixin, Perceptron):
    r"""A multilayer perceptron of numbers: squared errors, nothing to tune.

    Minimised is the mean of :math:`\tfrac12 (f(x_i) - y_i)^2` plus :math:`\tfrac{\alpha}{2n}` times the sum of squared
    weights, with the columns of X and y brought to one scale.

    Parameters
    ----------
    hidden_layer_sizes, activation
        the widths of the hidden layers; "identity", "sigmoid" (or "logistic"), "tanh", "relu", "leaky_relu", "gelu",
        "selu"
    solver
        ``"auto"``: NAdam with a rate that falls to 0 along a cosine; "sgd", "adam", "lbfgs" mean what they mean in
        scikit-learn; any other method of ``descender.methods.auto.METHODS`` by its name
    alpha
        the strength of the penalty; by default 0.1 for ``solver="auto"``, else 1e-4 as in scikit-learn
    batch_size, max_iter, learning_rate, learning_rate_init
        "auto" and None leave them to the plan of :mod:`descender.methods.training`; `learning_rate` also takes
        "constant", "adaptive" and every schedule of :func:`descender.minimize`
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
    max_seconds
        a budget of time
    warm_start, random_state
        begin where the last fit ended; what is drawn

    Attributes: ``coefs_``, ``intercepts_`` (of the columns as passed in), ``loss_``, ``loss_curve_`` (the mean of the
    batches of each epoch), ``validation_costs_``, ``n_iter_``, ``t_``, ``n_layers_``, ``n_outputs_``,
    ``n_features_in_``, ``record_``, ``findings_``.

    >>> import numpy as np
    >>> X = np.linspace(-3.0, 3.0, 200)[:, None]
    >>> model = MLPRegressor((30,), activation="tanh").fit(X, np.sin(X[:, 0]))
    >>> model.score(X, np.sin(X[:, 0])) > 0.999
    True
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> MLPRegressor:
        """Train on X (n, d), dense or sparse, and y (n,) or (n, outputs)."""
        X, y = self._read(X, y, multi_output=True, y_numeric=True)
        X, y, s = present(X, y, sample_weight)
        if not (self.warm_start and hasattr(self, "_y_center")):
            self._y_center, self._y_scale, _ = column_scales(np.asarray(y, float).reshape(len(y), -1), s, power=2)
        coded = (np.asarray(y).reshape(len(y), -1) - self._y_center) / self._y_scale
        self._train(X, coded[:, 0] if y.ndim == 1 else coded, s, "squared_error", coded.shape[1], given=sample_weight)
        return self

    def predict(self, X: Any) -> NDArray:
        """The predicted numbers, (n,) or (n, outputs)."""
        z = self._outputs(X)
        shape = z.shape if z.ndim == 2 else (len(z), 1)
        return (z.reshape(shape) * self._y_scale + self._y_center).astype(z.dtype).reshape(z.shape)

    def _raw(self, network: Network, w: NDArray) -> tuple[list[NDArray], list[NDArray]]:
        coefs, intercepts = super()._raw(network, w)
        coefs[-1] = (coefs[-1] * self._y_scale).astype(coefs[-1].dtype)
        intercepts[-1] = (intercepts[-1] * self._y_scale + self._y_center).astype(intercepts[-1].dtype)
        return coefs, intercepts


class MLPClassifier(ClassifierMixin, Perceptron):
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

    classes_: NDArray

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] | int = (100,),
        activation: str = "relu",
        *,
        solver: str = "auto",
        alpha: float | None = None,
        batch_size: int | str = "auto",
        learning_rate: Any = "auto",
        learning_rate_init: float | None = None,
        max_iter: int | None = None,
        random_state: Any = 0,
        tol: float | None = None,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        clip_norm: float | None = None,
        dropout: float = 0.0,
        normalisation: str | None = None,
        residual: bool = False,
        initialisation: str | None = None,
        max_seconds: float | None = None,
        class_weight: Mapping[Any, float] | str | None = None,
    ):
        super().__init__(
            hidden_layer_sizes, activation,
            solver=solver, alpha=alpha, batch_size=batch_size, learning_rate=learning_rate,
            learning_rate_init=learning_rate_init, max_iter=max_iter, random_state=random_state, tol=tol,
            warm_start=warm_start, momentum=momentum, nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping, validation_fraction=validation_fraction, beta_1=beta_1, beta_2=beta_2,
            epsilon=epsilon, n_iter_no_change=n_iter_no_change, clip_norm=clip_norm, dropout=dropout,
            normalisation=normalisation, residual=residual, initialisation=initialisation, max_seconds=max_seconds,
        )  # fmt: skip
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> MLPClassifier:
        """Train on X (n, d), dense or sparse, and y (n,) of at least two classes, or y (n, labels) of 0 and 1."""
        X, y = self._read(X, y, multi_output=True)
        check_classification_targets(y)
        X, y, s = present(X, y, sample_weight)
        if y.ndim == 2 and y.shape[1] > 1:
            return self._fit_labels(X, y, s, sample_weight)
        y = column_or_1d(y, warn=True)
        codes, s = learn_classes(self, y, s)
        classes = self.classes_
        two = len(classes) == 2
        loss, outputs = ("log_loss", 1) if two else ("softmax", len(classes))
        self._train(X, codes.astype(np.float64), s, loss, outputs, by_class=True, given=sample_weight)
        return self

    def _fit_labels(self, X: Any, y: NDArray, s: NDArray | None, given: Any) -> MLPClassifier:
        if type_of_target(y) != "multilabel-indicator":
            raise TargetError(f"y has shape {y.shape}: several labels a sample are columns of 0 and 1")
        if self.class_weight is not None:
            raise OptionError("class_weight goes with one class a sample; give sample_weight, or leave it out")
        self.classes_ = np.arange(y.shape[1])
        self._train(X, y.astype(np.float64), s, "log_loss", y.shape[1], given=given)
        return self

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
        """The logarithm of :meth:`predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))
