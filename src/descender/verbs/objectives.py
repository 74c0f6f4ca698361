r"""What other libraries' linear models minimise, in our words.

Each model's own parameters are mapped onto the cost of :class:`~descender.costs.risk.Risk`, mean loss plus penalty,
divided by whatever factor theirs has: a minimum stays where it is.  With n rows of weights s (class weights included):

========================================  =====================================================================
Ridge, RidgeClassifier                    squared_error, l2 = alpha / sum(s)
Lasso, ElasticNet                         squared_error, l1 = alpha l1_ratio, l2 = alpha (1 - l1_ratio)
LogisticRegression                        log_loss or softmax, l2 = (1 - l1_ratio) / (C sum(s)), l1 = l1_ratio / ...
SGDClassifier, SGDRegressor               l2 = (1 - l1_ratio) alpha n / sum(s), l1 = l1_ratio alpha n / sum(s)
PoissonRegressor                          poisson, l2 = alpha
HuberRegressor                            huber of epsilon scale_, l2 = alpha scale_ / sum(s): at the scale it found
QuantileRegressor                         quantile, l1 = alpha
LinearSVC                                 hinge or squared_hinge, l2 = 1 / (C sum(s)), or l1
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
from scipy import sparse

from descender.costs.losses import LOSSES
from descender.costs.risk import Risk
from descender.errors import CapabilityError, DataError, OptionError, ShapeError, TargetError

LOWEST_TARGET = {"squared_error": -1.0}
"""The target of the first of two classes where it is not 0; that of the second is 1."""


@dataclass
class Objective:
    """A model's own cost, as one risk or as several that share nothing, and where the model stands on each.

    ``constant`` is the value of the column that stands for a penalised intercept, 0 if there is none; ``facts`` are
    what the checks ask about: the solver, its iterations, its own tolerance.
    """

    name: str
    risks: list[Risk]
    points: list[NDArray]
    shape: Callable[[NDArray, NDArray], tuple[Any, Any]]
    constant: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)

    def coefficients(self, points: list[NDArray]) -> tuple[Any, Any]:
        """Weights and intercepts of points, shaped as the model's own."""
        parts = [risk.split(w) for risk, w in zip(self.risks, points, strict=True)]
        W = np.concatenate([np.atleast_2d(part[0]) for part in parts])
        b = np.concatenate([np.atleast_1d(part[1]) for part in parts])
        if self.constant:
            W, b = W[:, :-1], self.constant * W[:, -1]
        return self.shape(W, b)

    def __str__(self) -> str:
        risk = self.risks[0]
        name, *numbers = risk.loss.name.split()
        terms = [" ".join([f"mean {name}", *(f"{float(number):.4g}" for number in numbers)])]
        terms += [f"{risk.l2:.4g} |w|²/2"] * (risk.l2 > 0) + [f"{risk.l1:.4g} Σ|w|"] * (risk.l1 > 0)
        told = " + ".join(terms) + ", no penalty" * (len(terms) == 1) + ", the intercept too" * (self.constant > 0)
        return told + (f"; one for each of {len(self.risks)}" if len(self.risks) > 1 else "")


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


def objective_of(model: Any, X: Any, y: Any, sample_weight: Any = None) -> Objective:
    """The objective of a fitted scikit-learn model, or of a pipeline or search that ends in one.

    Raises :class:`~descender.errors.CapabilityError` for a model whose objective is not known, and
    :class:`~descender.errors.DataError` or its kinds where the data do not fit the model.
    """
    model, X = _last_step(model, _by_name(model, X))
    kind = type(model).__name__
    if kind not in READERS:
        raise CapabilityError(
            f"the objective of {kind} is not known; known: {', '.join(READERS)}, pipelines that end in one of them, "
            "torch.nn.Linear, and models of descender"
        )
    for attribute in ("coef_", "intercept_"):
        if not hasattr(model, attribute):
            raise CapabilityError(f"{kind} is not fitted: it has no {attribute}; call fit first")
    for option in ("positive", "dual_gap_only"):
        if getattr(model, option, False):
            raise CapabilityError(f"{kind}({option}=True) bounds its coefficients, which is not known here")
    X = rows_of(X)
    d = np.shape(model.coef_)[-1]
    if X.shape[1] != d:
        raise ShapeError(f"X has {X.shape[1]} columns; the {kind} was fitted to {d}")
    y = np.asarray(y)
    s = _weights(sample_weight, len(y))
    if len(y) != X.shape[0]:
        raise ShapeError(f"X has {X.shape[0]} rows and y has {len(y)}; expected one target a row")
    terms = READERS[kind](model, y, s)
    W = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))
    b = np.atleast_1d(np.asarray(model.intercept_, dtype=np.float64))
    b = np.broadcast_to(b, len(W)) if len(b) == 1 else b
    return assemble(kind, X, W, b, terms, bool(model.fit_intercept), _shape_as(model))


def assemble(
    kind: str, X: Any, W: NDArray, b: NDArray, terms: Terms, intercept: bool, shape: Callable[..., tuple[Any, Any]]
) -> Objective:
    """The risks of some terms on rows, and the points on them that weights (K, d) and intercepts (K,) are."""
    if terms.loss.split()[0] not in LOSSES:
        raise CapabilityError(f"{kind} minimises {terms.loss}, which is not known; known: {', '.join(LOSSES)}")
    if terms.constant:
        column = np.full((X.shape[0], 1), terms.constant, dtype=X.dtype)
        X = sparse.hstack([X, column], format="csr") if sparse.issparse(X) else np.column_stack([X, column])
        W, b, intercept = np.column_stack([W, b / terms.constant]), np.zeros(len(b)), False
    risks, points = [], []
    l2, l1 = (
        np.broadcast_to(np.asarray(given, dtype=np.float64), len(terms.columns)) for given in (terms.l2, terms.l1)
    )
    for k, column in enumerate(terms.columns):
        rows = slice(None) if terms.n_classes else slice(k, k + 1)
        risk = Risk(
            X, column, terms.loss, l2=float(l2[k]), l1=float(l1[k]), intercept=intercept,
            sample_weight=terms.weights[k], n_classes=terms.n_classes,
        )  # fmt: skip
        risks.append(risk)
        points.append(risk.join(W[rows], b[rows]))
    return Objective(kind, risks, points, shape, terms.constant, terms.facts)


def coded(loss: str, codes: NDArray, n_classes: int) -> tuple[str, list[NDArray]]:
    """The loss of a risk and its columns of targets for classes 0, 1, 2 ...: softmax, or each against the rest."""
    low = LOWEST_TARGET.get(loss, 0.0)
    if n_classes == 2:
        return loss, [np.where(codes == 1, 1.0, low)]
    if loss == "log_loss":
        return "softmax", [codes.astype(np.float64)]
    return loss, [np.where(codes == k, 1.0, low) for k in range(n_classes)]


def _by_name(model: Any, X: Any) -> Any:
    """A data frame's columns in the order in which the model was fitted to them."""
    known, given = getattr(model, "feature_names_in_", None), getattr(X, "columns", None)
    if known is None or given is None or list(given) == list(known):
        return X
    lacking = [name for name in known if name not in list(given)]
    if lacking or len(given) != len(known):
        more = [name for name in given if name not in list(known)]
        told = [f"lacks {', '.join(map(str, lacking[:9]))}"] * bool(lacking)
        told += [f"has {', '.join(map(str, more[:9]))} besides"] * bool(more)
        raise ShapeError(f"X {' and '.join(told)}: expected the columns that the {type(model).__name__} was fitted to")
    return X[list(known)]


def rows_of(X: Any) -> Any:
    """Rows as a matrix of numbers: CSR, or dense as they are."""
    if sparse.issparse(X):
        return X.tocsr()
    try:
        X = np.asarray(X)
        X = X if X.dtype in (np.float32, np.float64) else X.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"X must hold numbers, the same count in each row: {error}") from None
    if X.ndim != 2:
        raise ShapeError(f"X has shape {X.shape}; expected (rows, columns)")
    return X


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


def _last_step(model: Any, X: Any) -> tuple[Any, Any]:
    """The model at the end of searches and pipelines, and the rows as they come to it."""
    while hasattr(model, "best_estimator_") or hasattr(model, "named_steps"):
        if hasattr(model, "best_estimator_"):
            model = model.best_estimator_
            continue
        if len(model.steps) > 1:
            X = model[:-1].transform(X)
        model = model.steps[-1][1]
    return model, X


def _shape_as(model: Any) -> Callable[[NDArray, NDArray], tuple[Any, Any]]:
    """What gives weights and intercepts the shapes of the model's own."""
    coef, intercept = np.shape(model.coef_), np.shape(model.intercept_)

    def shaped(W: NDArray, b: NDArray) -> tuple[Any, Any]:
        b = b if intercept else b[:1]
        return W.reshape(coef), b.reshape(intercept) if b.size == int(np.prod(intercept)) else b[0]

    return shaped


def _weights(sample_weight: Any, n: int) -> NDArray | None:
    if sample_weight is None:
        return None
    s = np.asarray(sample_weight, dtype=np.float64)
    return np.full(n, float(s)) if s.ndim == 0 else s


def _total(s: NDArray | None, n: int) -> float:
    return float(n) if s is None else float(s.sum())


def _targets(y: NDArray) -> list[NDArray]:
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
    columns = _targets(y)
    alpha = getattr(model, "alpha_", getattr(model, "alpha", 0.0))
    l2 = np.asarray(alpha, dtype=np.float64) / _total(s, len(y))
    return Terms(
        "squared_error", columns, [s] * len(columns), l2, facts=_walked(model, getattr(model, "solver_", "exact"))
    )


def _elastic_net(model: Any, y: NDArray, s: NDArray | None) -> Terms:
    columns = _targets(y)
    alpha = float(model.alpha_ if hasattr(model, "alpha_") else model.alpha)
    ratio = float(getattr(model, "l1_ratio_", getattr(model, "l1_ratio", 1.0)))
    facts = _walked(model, "coordinate descent")
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
    return Terms(_sgd_loss(model), _targets(y), [s], l2, l1, facts=_sgd_facts(model))


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


def _huber(model: Any, y: NDArray, s: NDArray | None) -> Terms:
    l2 = float(model.alpha) * float(model.scale_) / _total(s, len(y))
    return Terms(f"huber {model.epsilon * model.scale_:.17g}", _targets(y), [s], l2, facts=_walked(model, "lbfgs"))


def _poisson(model: Any, y: NDArray, s: NDArray | None) -> Terms:
    return Terms("poisson", _targets(y), [s], float(model.alpha), facts=_walked(model, model.solver))


def _tweedie(model: Any, y: NDArray, s: NDArray | None) -> Terms:
    link = model.link if model.link != "auto" else "identity" if model.power <= 0 else "log"
    loss = {(0, "identity"): "squared_error", (1, "log"): "poisson"}.get((model.power, link))
    if loss is None:
        raise CapabilityError(
            f"TweedieRegressor(power={model.power:g}, link={link!r}) is not known; powers 0 and 1 are"
        )
    return Terms(loss, _targets(y), [s], float(model.alpha), facts=_walked(model, model.solver))


def _quantile(model: Any, y: NDArray, s: NDArray | None) -> Terms:
    loss = f"quantile {model.quantile:.17g}"
    return Terms(loss, _targets(y), [s], 0.0, float(model.alpha), facts=_walked(model, "linear programming"))


def _ours(model: Any, y: NDArray, s: NDArray | None) -> Terms:
    """LinearRegressor and LinearClassifier."""
    facts = _walked(model, "ours")
    if hasattr(model, "classes_"):
        codes = class_codes(y, model.classes_)
        s = class_weighted(model, y, codes, s)
        loss, columns = coded(model.loss, codes, len(model.classes_))
    else:
        loss, columns = model.loss, _targets(y)
    n_classes = len(model.classes_) if loss == "softmax" else None
    return Terms(loss, columns, [s] * len(columns), model.l2_, model.l1_, n_classes, facts=facts)


def torch_objective(
    module: Any, X: Any, y: Any, s: Any, loss: str | None, l2: float, l1: float, intercept_penalised: bool
) -> Objective:
    """The objective of ``nn.Linear``, or of a ``nn.Sequential`` that holds one, with the `loss` and penalty given."""
    linear = _linear_module(module)
    if loss is None:
        raise OptionError(
            "a PyTorch module does not know its loss: give loss='squared_error' (half of MSELoss), 'log_loss' "
            "(BCEWithLogitsLoss) or 'softmax' (CrossEntropyLoss), and l2 = weight_decay where there was one"
        )
    X, y = rows_of(_array(X)), np.asarray(_array(y))
    W = _array(linear.weight).astype(np.float64)
    b = np.zeros(len(W)) if linear.bias is None else _array(linear.bias).astype(np.float64)
    if X.shape[1] != W.shape[1]:
        raise ShapeError(f"X has {X.shape[1]} columns; the module has {W.shape[1]} inputs")
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 and len(W) == 1 else y
    columns, weights = _targets(y), _weights(_array(s), len(y))
    if (len(columns) if loss != "softmax" else len(W)) != len(W):
        raise ShapeError(f"the module has {len(W)} outputs and y {len(columns)} columns: expected as many")
    constant = 1.0 if intercept_penalised and linear.bias is not None else 0.0
    terms = Terms(
        loss, columns, [weights] * len(columns), l2, l1, len(W) if loss == "softmax" else None, constant,
        facts={"solver": "torch", "n_iter": None, "max_iter": None, "tol": None},
    )  # fmt: skip
    return assemble(type(module).__name__, X, W, b, terms, linear.bias is not None, lambda W, b: (W, b))


def _linear_module(module: Any) -> Any:
    """The one linear layer of a module that is linear."""
    layers = list(module) if type(module).__name__ == "Sequential" else [module]
    kinds = [type(layer).__name__ for layer in layers]
    linear = [layer for layer, kind in zip(layers, kinds, strict=True) if kind == "Linear"]
    harmless = {"Linear", "Flatten", "Identity"}
    if len(linear) != 1 or not set(kinds) <= harmless:
        raise CapabilityError(
            f"{type(module).__name__}({', '.join(kinds)}) is not one linear layer: known is nn.Linear, alone or in "
            "an nn.Sequential with Flatten or Identity; leave a Sigmoid or Softmax to the loss"
        )
    return linear[0]


def _array(values: Any) -> Any:
    """Tensors as arrays; others as they are."""
    return values.detach().cpu().numpy() if hasattr(values, "detach") else values


READERS: dict[str, Callable[[Any, NDArray, NDArray | None], Terms]] = {
    "LinearRegression": _ridge,
    "Ridge": _ridge,
    "RidgeCV": _ridge,
    "RidgeClassifier": _ridge_classifier,
    "RidgeClassifierCV": _ridge_classifier,
    "Lasso": _elastic_net,
    "LassoCV": _elastic_net,
    "ElasticNet": _elastic_net,
    "ElasticNetCV": _elastic_net,
    "LogisticRegression": _logistic,
    "LogisticRegressionCV": _logistic,
    "SGDClassifier": _sgd_classifier,
    "SGDRegressor": _sgd_regressor,
    "LinearSVC": _linear_svc,
    "HuberRegressor": _huber,
    "PoissonRegressor": _poisson,
    "TweedieRegressor": _tweedie,
    "QuantileRegressor": _quantile,
    "LinearRegressor": _ours,
    "LinearClassifier": _ours,
}
"""How the objective of each model is read, by the name of its class."""
