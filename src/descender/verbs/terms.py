r"""What other libraries' linear models say of their objectives, in our words: the loss, the penalties, the weights.

Each model's own parameters are mapped onto the cost of :class:`~descender.costs.risk.Risk`, mean loss plus penalty,
divided by whatever factor theirs has: a minimum stays where it is.  With n rows of weights s (class weights included):

========================================  =====================================================================
Ridge, RidgeClassifier                    squared_error, l2 = alpha / sum(s)
Lasso, LassoLars, ElasticNet              squared_error, l1 = alpha l1_ratio, l2 = alpha (1 - l1_ratio)
LogisticRegression                        log_loss or softmax, l2 = (1 - l1_ratio) / (C sum(s)), l1 = l1_ratio / ...
SGDClassifier, SGDRegressor               l2 = (1 - l1_ratio) alpha n / sum(s), l1 = l1_ratio alpha n / sum(s)
PoissonRegressor                          poisson, l2 = alpha
HuberRegressor                            huber of epsilon scale_, l2 = alpha scale_ / sum(s): at the scale it found
QuantileRegressor                         quantile, l1 = alpha
LinearSVC                                 hinge or squared_hinge, l2 = 1 / (C sum(s)), or l1
SVC(kernel="linear")                      hinge, l2 = 1 / (C sum(s)), two classes
========================================  =====================================================================

LIBLINEAR (LinearSVC, and LogisticRegression with its solver) penalises the intercept as the weight of a constant
column; so it is here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.errors import CapabilityError, DataError, TargetError

LOWEST_TARGET = {"squared_error": -1.0}
"""The target of the first of two classes where it is not 0; that of the second is 1."""


@dataclass
class Terms:
    """What a reader of a model says: the loss of each column of targets, its penalties, and the weights of its rows."""

    loss: str
    columns: list[NDArray]
    weights: list[NDArray | None]
    l2: Any = 0.0
    l1: Any = 0.0
    n_classes: int | None = None
    constant: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)


def coded(loss: str, codes: NDArray, n_classes: int) -> tuple[str, list[NDArray]]:
    """The loss of a risk and its columns of targets for classes 0, 1, 2 ...: softmax, or each against the rest."""
    low = LOWEST_TARGET.get(loss, 0.0)
    if n_classes == 2:
        return loss, [low + (1.0 - low) * codes]
    if loss == "log_loss":
        return "softmax", [codes.astype(np.float64)]
    return loss, [np.where(codes == k, 1.0, low) for k in range(n_classes)]


def class_codes(y: NDArray, classes: NDArray) -> NDArray:
    """The index of each label among the classes that a model knows."""
    codes = np.searchsorted(classes, y)
    known = classes[np.minimum(codes, len(classes) - 1)] == y
    if not np.all(known):
        row = int(np.flatnonzero(~np.asarray(known))[0])
        label = y[row : row + 1].tolist()[0]
        raise TargetError(f"the target of row {row} is {label!r}; the model knows the classes {classes.tolist()}")
    return codes


def class_weighted(model: Any, y: NDArray, codes: NDArray, s: NDArray | None) -> NDArray | None:
    """Sample weights times the class weights that the model has."""
    if model.class_weight is None:
        return s
    from sklearn.utils import compute_class_weight

    factor = compute_class_weight(model.class_weight, classes=model.classes_, y=y, sample_weight=s)[codes]
    return factor if s is None else s * factor


def _total(s: NDArray | None, n: int) -> float:
    return float(n) if s is None else float(s.sum())


def columns_of(y: NDArray) -> list[NDArray]:
    """Columns of numbers."""
    try:
        return [np.ascontiguousarray(column, dtype=np.float64) for column in np.atleast_2d(y.T)]
    except (TypeError, ValueError) as error:
        raise DataError(f"the targets y must be numbers: {error}") from None


def _walked(model: Any, solver: str, **more: Any) -> dict[str, Any]:
    """What the checks ask about a fit."""
    steps = getattr(model, "n_iter_", None)
    return {
        "solver": solver,
        "n_iter": None if steps is None else int(np.max(steps)),
        "max_iter": getattr(model, "max_iter", None),
        "tol": getattr(model, "tol", None),
        **more,
    }


def _ridge(model: Any, y: NDArray, s: NDArray | None) -> Terms:
    columns = columns_of(y)
    alpha = getattr(model, "alpha_", getattr(model, "alpha", 0.0))
    l2 = np.asarray(alpha, dtype=np.float64) / _total(s, len(y))
    return Terms(
        "squared_error", columns, [s] * len(columns), l2, facts=_walked(model, getattr(model, "solver_", "exact"))
    )


def _elastic_net(model: Any, y: NDArray, s: NDArray | None) -> Terms:
    columns = columns_of(y)
    alpha = float(model.alpha_ if hasattr(model, "alpha_") else model.alpha)
    ratio = float(getattr(model, "l1_ratio_", getattr(model, "l1_ratio", 1.0)))
    facts = _walked(model, "least angles" if "Lars" in type(model).__name__ else "coordinate descent")
    return Terms("squared_error", columns, [s] * len(columns), alpha * (1.0 - ratio), alpha * ratio, facts=facts)


def _ridge_classifier(model: Any, y: NDArray, s: NDArray | None) -> Terms:
    codes = class_codes(y, model.classes_)
    if model.class_weight is not None:  # which it balances without a look at the sample weights
        balanced = class_weighted(model, y, codes, None)
        s = balanced if s is None else s * balanced
    _, columns = coded("squared_error", codes, len(model.classes_))
    alpha = float(getattr(model, "alpha_", model.alpha if hasattr(model, "alpha") else 0.0))
    facts = _walked(model, getattr(model, "solver_", "exact"))
    return Terms("squared_error", columns, [s] * len(columns), alpha / _total(s, len(y)), facts=facts)


def _logistic(model: Any, y: NDArray, s: NDArray | None) -> Terms:
    codes, several = class_codes(y, model.classes_), len(model.classes_) > 2
    s = class_weighted(model, y, codes, s)
    C = float(np.ravel(getattr(model, "C_", model.C if hasattr(model, "C") else 1.0))[0])
    ratio = np.ravel(getattr(model, "l1_ratio_", getattr(model, "l1_ratio", 0.0)))[0]
    ratio = {"l2": 0.0, "l1": 1.0}.get(str(getattr(model, "penalty", "")), float(ratio or 0.0))
    strength = 0.0 if getattr(model, "penalty", "") in (None, "none") else 1.0 / (C * _total(s, len(y)))
    loss, columns = coded("log_loss", codes, len(model.classes_))
    facts = _walked(model, model.solver)
    constant = float(model.intercept_scaling) if model.solver == "liblinear" and model.fit_intercept else 0.0
    n_classes = len(model.classes_) if several else None
    return Terms(
        loss, columns, [s] * len(columns), strength * (1 - ratio), strength * ratio, n_classes, constant, facts
    )


def _sgd_penalty(model: Any, s: NDArray | None, n: int) -> tuple[float, float]:
    if model.penalty is None:
        return 0.0, 0.0
    ratio = {"l2": 0.0, "l1": 1.0}.get(model.penalty, float(model.l1_ratio))
    strength = float(model.alpha) * n / _total(s, n)
    return strength * (1.0 - ratio), strength * ratio


def _sgd_facts(model: Any) -> dict[str, Any]:
    return _walked(
        model, "sgd", schedule=model.learning_rate, rate=model.eta0, early_stopping=bool(model.early_stopping)
    )


def _sgd_loss(model: Any) -> str:
    """Our name of its loss."""
    return f"huber {model.epsilon:.17g}" if model.loss == "huber" else str(model.loss)


def _sgd_regressor(model: Any, y: NDArray, s: NDArray | None) -> Terms:
    l2, l1 = _sgd_penalty(model, s, len(y))
    return Terms(_sgd_loss(model), columns_of(y), [s], l2, l1, facts=_sgd_facts(model))


def _against_rest(
    model: Any, codes: NDArray, y: NDArray, s: NDArray | None, balance: NDArray | None
) -> tuple[list[NDArray], list]:
    """Targets and weights of each class against the rest, where only the class itself has its class weight.

    `balance` are the weights by which "balanced" counts rows.
    """
    from sklearn.utils import compute_class_weight

    factor = compute_class_weight(model.class_weight, classes=model.classes_, y=y, sample_weight=balance)
    ones = np.ones(len(y)) if s is None else s
    if len(model.classes_) == 2:
        return [(codes == 1).astype(np.float64)], [ones * factor[codes]]
    members = [codes == k for k in range(len(model.classes_))]
    return [m.astype(np.float64) for m in members], [ones * np.where(m, factor[k], 1.0) for k, m in enumerate(members)]


def _sgd_classifier(model: Any, y: NDArray, s: NDArray | None) -> Terms:
    loss = _sgd_loss(model)
    columns, weights = _against_rest(model, class_codes(y, model.classes_), y, s, None)
    low = LOWEST_TARGET.get(loss, 0.0)
    penalties = [_sgd_penalty(model, one, len(y)) for one in weights]
    l2, l1 = np.array(penalties).T
    columns = [np.where(column > 0, 1.0, low) for column in columns]
    return Terms(loss, columns, weights, l2, l1, facts=_sgd_facts(model))


def _linear_svc(model: Any, y: NDArray, s: NDArray | None) -> Terms:
    if model.multi_class != "ovr" and len(model.classes_) > 2:
        raise CapabilityError("LinearSVC(multi_class='crammer_singer') is not known here; ovr is")
    columns, weights = _against_rest(model, class_codes(y, model.classes_), y, s, s)
    strength = np.array([1.0 / (model.C * one.sum()) for one in weights])
    l2, l1 = (0.0, strength) if model.penalty == "l1" else (strength, 0.0)
    constant = float(model.intercept_scaling) if model.fit_intercept else 0.0
    return Terms(model.loss, columns, weights, l2, l1, constant=constant, facts=_walked(model, "liblinear"))


def _svc(model: Any, y: NDArray, s: NDArray | None) -> Terms:
    if len(model.classes_) > 2:
        raise CapabilityError(
            f"SVC fits {len(model.classes_)} classes in pairs, each on its own rows; two classes are known here"
        )
    codes = class_codes(y, model.classes_)
    weights = (np.ones(len(y)) if s is None else s) * np.asarray(model.class_weight_)[codes]
    strength = 1.0 / (float(model.C) * weights.sum())
    return Terms("hinge", coded("hinge", codes, 2)[1], [weights], strength, facts=_walked(model, "libsvm"))


def _huber(model: Any, y: NDArray, s: NDArray | None) -> Terms:
    l2 = float(model.alpha) * float(model.scale_) / _total(s, len(y))
    return Terms(f"huber {model.epsilon * model.scale_:.17g}", columns_of(y), [s], l2, facts=_walked(model, "lbfgs"))


def _poisson(model: Any, y: NDArray, s: NDArray | None) -> Terms:
    return Terms("poisson", columns_of(y), [s], float(model.alpha), facts=_walked(model, model.solver))


def _tweedie(model: Any, y: NDArray, s: NDArray | None) -> Terms:
    link = model.link if model.link != "auto" else "identity" if model.power <= 0 else "log"
    loss = {(0, "identity"): "squared_error", (1, "log"): "poisson"}.get((model.power, link))
    if loss is None:
        raise CapabilityError(
            f"TweedieRegressor(power={model.power:g}, link={link!r}) is not known; powers 0 and 1 are"
        )
    return Terms(loss, columns_of(y), [s], float(model.alpha), facts=_walked(model, model.solver))


def _quantile(model: Any, y: NDArray, s: NDArray | None) -> Terms:
    loss = f"quantile {model.quantile:.17g}"
    return Terms(loss, columns_of(y), [s], 0.0, float(model.alpha), facts=_walked(model, "linear programming"))


def _ours(model: Any, y: NDArray, s: NDArray | None) -> Terms:
    """LinearRegressor and LinearClassifier."""
    facts = _walked(model, "ours")
    if hasattr(model, "classes_"):
        codes = class_codes(y, model.classes_)
        s = class_weighted(model, y, codes, s)
        loss, columns = coded(model.loss, codes, len(model.classes_))
    else:
        loss, columns = model.loss, columns_of(y)
    n_classes = len(model.classes_) if loss == "softmax" else None
    return Terms(loss, columns, [s] * len(columns), model.l2_, model.l1_, n_classes, facts=facts)


READERS: dict[str, Callable[[Any, NDArray, NDArray | None], Terms]] = {
    "LinearRegression": _ridge,
    "Ridge": _ridge,
    "RidgeCV": _ridge,
    "RidgeClassifier": _ridge_classifier,
    "RidgeClassifierCV": _ridge_classifier,
    "Lasso": _elastic_net,
    "LassoCV": _elastic_net,
    "LassoLars": _elastic_net,
    "LassoLarsCV": _elastic_net,
    "LassoLarsIC": _elastic_net,
    "ElasticNet": _elastic_net,
    "ElasticNetCV": _elastic_net,
    "LogisticRegression": _logistic,
    "LogisticRegressionCV": _logistic,
    "SGDClassifier": _sgd_classifier,
    "SGDRegressor": _sgd_regressor,
    "LinearSVC": _linear_svc,
    "SVC": _svc,
    "HuberRegressor": _huber,
    "PoissonRegressor": _poisson,
    "TweedieRegressor": _tweedie,
    "QuantileRegressor": _quantile,
    "LinearRegressor": _ours,
    "LinearClassifier": _ours,
}
"""How the objective of each model is read, by the name of its class."""
