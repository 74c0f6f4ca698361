"""What another kind of model reaches: boosted trees on the same rows, so that one knows what the linear form costs."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.costs.losses import parameters, read_loss
from descender.data.entries import dense, is_entries, width_of
from descender.data.moments import finite_moments
from descender.data.split import hashed
from descender.metrics import auc, judge_classes, measure
from descender.verbs.table import Design, Table

MOST_ROWS = 200_000
"""Rows that trees are grown on; of more, so many by a hash."""
MOST_LEVELS = 254
"""Levels of a category that the trees tell apart; rarer ones count as missing."""
MOST_NUMBERS = 20_000_000
"""Numbers of a sparse matrix that are written out in full for the trees, which read no other."""
NEAREST = {"huber": "absolute_error", "poisson": "poisson"}
"""Their losses of numbers for ours."""
EQUAL = 0.01
"""A share of the loss below which there is no gain to speak of."""


def compare_trees(table: Table, design: Design, loss: str, seed: int) -> dict[str, Any] | None:
    """Gradient-boosted trees of scikit-learn's, as they come, on the same split; None without held-out rows.

    They read the columns as they are: categories natively, missing values too.  ``name``, ``metrics`` (the keys of a
    fit's), ``seconds``, ``rows`` that they learnt from.
    """
    if not len(design.y_held):
        return None
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    began = time.perf_counter()
    train = np.flatnonzero(~design.held)
    if len(train) > MOST_ROWS:
        train = np.sort(train[np.argsort(hashed(train, seed), kind="stable")[:MOST_ROWS]])
    columns, categorical = _columns(table, train)
    numbers = table.coding.task == "regression"
    kind = HistGradientBoostingRegressor if numbers else HistGradientBoostingClassifier
    model = kind(categorical_features=categorical, random_state=seed, **(their_loss(loss) if numbers else {}))
    s = None if table.weight is None else table.weight
    # logical processors often share a core, and threads that wait for each other there take longer than one alone
    with threadpool_limits(max((os.cpu_count() or 1) // 2, 1), user_api="openmp"):
        model.fit(columns[train], table.y[train], sample_weight=None if s is None else s[train])
    X, y = columns[design.held], design.y_held
    weight = np.ones(len(y)) if s is None else s[design.held]
    if numbers:
        predicted = model.predict(X)
        scores = np.log(np.maximum(predicted, 1e-300)) if loss == "poisson" else predicted
        metrics = measure("regression", loss, scores, y, weight=weight)
    else:
        metrics = _classes(model, X, y, weight, len(table.coding.classes))
    return {
        "name": "gradient-boosted trees",
        "metrics": metrics,
        "seconds": time.perf_counter() - began,
        "rows": len(train),
    }


def too_wide(table: Table) -> str:
    """Why no trees are grown on a sparse matrix; empty where they are."""
    widths = [width_of(kind) for kind in table.inputs.schema.types if is_entries(kind)]
    if len(table.y) * sum(widths) <= MOST_NUMBERS:
        return ""
    return f"not with trees, which would need the {len(table.y):,} x {sum(widths):,} sparse matrix in full"


def their_loss(loss: str) -> dict[str, Any]:
    """The loss of theirs that comes nearest; where none is known to, squared errors."""
    name = loss.split()[0]
    if name == "quantile":
        return {"loss": "quantile", "quantile": parameters(read_loss(loss))[0]}
    return {"loss": NEAREST.get(name, "squared_error")}


def _classes(model: Any, X: NDArray, y: NDArray, weight: NDArray, classes: int) -> dict[str, float]:
    p = np.zeros((len(y), classes))
    p[:, model.classes_.astype(np.intp)] = model.predict_proba(X)
    metrics = judge_classes(p, p.argmax(axis=1), y, weight, classes)
    area = auc(p[:, 1], y, weight) if classes == 2 else None
    if area is None:
        return metrics
    return {key: metrics[key] for key in ("log_loss", "accuracy")} | {"auc": area} | metrics


def _columns(table: Table, train: NDArray) -> tuple[NDArray, list[bool]]:
    """The columns as numbers, with missing ones, and which of them are categories."""
    import pyarrow as pa

    out, categorical = [], []
    for column in table.inputs.itercolumns():
        kind = column.type
        if pa.types.is_dictionary(kind):
            column, kind = column.cast(kind.value_type), kind.value_type
        text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if text:
            codes = column.combine_chunks().dictionary_encode()
            values = codes.indices.to_numpy(zero_copy_only=False).astype(np.float64)
            known = values[train][np.isfinite(values[train])].astype(np.intp)
            order = np.argsort(-np.bincount(known, minlength=len(codes.dictionary)), kind="stable")
            place = np.full(len(codes.dictionary) + 1, np.nan)
            place[order[:MOST_LEVELS]] = np.arange(min(len(order), MOST_LEVELS))
            values = place[np.where(np.isfinite(values), values, len(codes.dictionary)).astype(np.intp)]
        elif pa.types.is_temporal(kind):
            column = finite_moments(column)[0].cast(pa.timestamp("us")) if pa.types.is_date(kind) else column
            if pa.types.is_timestamp(column.type):
                column = finite_moments(column)[0]
            values = _number(column.cast(pa.int64()))
        elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
            values = _number(column)
        elif pa.types.is_decimal(kind):
            values = _number(column.cast(pa.float64()))
        elif is_entries(kind):
            out += list(dense(column).T)
            categorical += [False] * width_of(kind)
            continue
        else:
            continue
        out.append(values)
        categorical.append(text)
    return np.stack(out, axis=1) if out else np.zeros((len(table.y), 1)), categorical or [False]


def _number(column: Any) -> NDArray:
    import pyarrow as pa

    return column.cast(pa.float64(), safe=False).to_numpy()


def comparison_text(ours: dict[str, float], theirs: dict[str, Any], form: str = "the linear form") -> str:
    """The comparison in a sentence: by the first metric, which is better when lower.

    >>> comparison_text({"log_loss": 0.25}, {"name": "trees", "metrics": {"log_loss": 0.2}, "seconds": 1.0, "rows": 9})
    'trees reach log loss 0.2: the linear form costs you 0.05'
    >>> comparison_text({"rmse": 2.0}, {"name": "trees", "metrics": {"rmse": 2.1}, "seconds": 1.0, "rows": 9})
    'trees reach rmse 2.1: no gain from trees, the linear form is enough'
    """
    first = next(key for key in ours if key in theirs["metrics"])
    mine, other = ours[first], theirs["metrics"][first]
    text = f"{theirs['name']} reach {first.replace('_', ' ')} {other:.4g}"
    better = mine - other if first not in ("accuracy", "auc", "r2", "balanced_accuracy") else other - mine
    if better > EQUAL * abs(mine):
        return f"{text}: {form} costs you {better:.2g}"
    return f"{text}: no gain from trees, {form} is enough"
