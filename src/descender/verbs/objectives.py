"""The cost that somebody's model minimises, as risks of ours, and where the model stands on each of them.

What a model says of its own cost, :mod:`descender.verbs.terms` reads; here the terms meet the rows.
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
from descender.errors import CapabilityError, DataError, OptionError, ShapeError
from descender.verbs.terms import READERS, Terms, columns_of


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


def objective_of(model: Any, X: Any, y: Any, sample_weight: Any = None) -> Objective:
    """The objective of a fitted scikit-learn model, or of a pipeline or search that ends in one.

    Raises :class:`~descender.errors.CapabilityError` for a model whose objective is not known, and
    :class:`~descender.errors.DataError` or its kinds where the data do not fit the model.
    """
    model, X, y = _last_step(model, _by_name(model, X), y)
    kind = type(model).__name__
    if kind not in READERS:
        raise CapabilityError(
            f"the objective of {kind} is not known; known: {', '.join(READERS)}, pipelines that end in one of them, "
            "torch.nn.Linear, and models of descender"
        )
    _check_fitted(model, kind)
    X = rows_of(X)
    W = np.atleast_2d(_dense(model.coef_).astype(np.float64))
    d = W.shape[1]
    if X.shape[1] != d:
        raise ShapeError(f"X has {X.shape[1]} columns; the {kind} was fitted to {d}")
    y = np.asarray(y)
    s = _weights(sample_weight, len(y))
    if len(y) != X.shape[0]:
        raise ShapeError(f"X has {X.shape[0]} rows and y has {len(y)}; expected one target a row")
    terms = READERS[kind](model, y, s)
    b = np.atleast_1d(np.asarray(model.intercept_, dtype=np.float64))
    b = np.broadcast_to(b, len(W)) if len(b) == 1 else b
    return assemble(kind, X, W, b, terms, bool(getattr(model, "fit_intercept", True)), _shape_as(model))


def _check_fitted(model: Any, kind: str) -> None:
    """That it has weights on columns, which nothing but its cost holds."""
    kernel = getattr(model, "kernel", "linear")
    if kernel != "linear":
        raise CapabilityError(f"{kind}(kernel={kernel!r}) has no weights on columns; kernel='linear' is known here")
    for attribute in ("coef_", "intercept_"):
        if not hasattr(model, attribute):
            raise CapabilityError(f"{kind} is not fitted: it has no {attribute}; call fit first")
    for option in ("positive", "dual_gap_only"):
        if getattr(model, option, False):
            raise CapabilityError(f"{kind}({option}=True) bounds its coefficients, which is not known here")


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


def _last_step(model: Any, X: Any, y: Any) -> tuple[Any, Any, Any]:
    """The model at the end of searches, pipelines and transformed targets; rows and targets as they come to it."""
    while True:
        if hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        elif hasattr(model, "named_steps"):
            if len(model.steps) > 1:
                X = model[:-1].transform(X)
            model = model.steps[-1][1]
        elif hasattr(model, "regressor_") and hasattr(model, "transformer_"):
            column = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
            y = model.transformer_.transform(column).reshape(np.shape(y))
            model = model.regressor_
        else:
            return model, X, y


def _dense(values: Any) -> NDArray:
    return np.asarray(values.toarray() if sparse.issparse(values) else values)


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
    columns, weights = columns_of(y), _weights(_array(s), len(y))
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
