"""Linear models of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin
from sklearn.callback import with_callbacks
from sklearn.utils.metaestimators import available_if

from descender.costs.losses import read_loss
from descender.errors import ShapeError
from descender.estimators.base import TOL, Linear, check_loss, present, streams


class LinearRegressor(RegressorMixin, Linear):
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
        the penalty strengths; l2 is by default one over the sum of the sample weights, which is Ridge's ``alpha=1``.
        One of them may be ``"auto"``: chosen by the loss on rows set aside, along a path (``path_``)
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
    ``findings_``, ``l2_`` and ``l1_`` (the strengths as used), ``path_``.
    With several outputs each has a walk of its own; ``loss_curve_`` and ``record_`` are then lists.

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
        l2: float | str | None = None,
        l1: float | str = 0.0,
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
        check_loss(self.loss, "regression")
        X, y = self._check_both(X, y, multi_output=self.loss != "poisson", y_numeric=True)
        X, y, s = present(X, y, sample_weight)
        self._one_output = y.ndim == 1
        columns = [np.ascontiguousarray(column) for column in (y[None] if self._one_output else y.T)]
        self._descend(X, columns, self.loss, s, y)
        return self

    @available_if(streams)
    def partial_fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> LinearRegressor:
        """Learn the rows of X one by one, in constant memory; after :meth:`fit`, from where it ended.

        As :meth:`descender.Online.learn`: one step a row, in their order, on columns that are standardised by what was
        seen of them so far, so that neither a rate nor a scale has to be chosen.  A given `learning_rate` takes the
        columns as they are.  l2 counts only where it is given, and on the scale on which the steps are taken; there is
        no certificate.  ``loss_curve_`` has the mean loss of each call's rows, each before it was learnt.
        """
        check_loss(self.loss, "regression")
        several = self.loss != "poisson"
        X, y = self._check_both(X, y, multi_output=several, y_numeric=True, reset=not hasattr(self, "coef_"))
        X, y, s = present(X, y, sample_weight)
        if not hasattr(self, "coef_"):
            self._one_output = y.ndim == 1
        columns = [np.ascontiguousarray(column, dtype=np.float64) for column in np.atleast_2d(y.T)]
        if self._one_output != (y.ndim == 1) or len(columns) != len(np.atleast_2d(getattr(self, "coef_", columns))):
            raise ShapeError(f"y has shape {y.shape}, which is not the number of outputs of before")
        self._learn(X, columns, self.loss, s, None)
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
