"""How good predictions are, beside the best constant guess."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from descender.costs.losses import LOSSES, Loss, OneVsRest, read_loss

CERTAIN = 1e-15
"""A probability nearer to 0 or 1 counts as this far: a sure error costs much, not infinitely much."""


def measure(task: str, loss: str, scores: NDArray, y: NDArray, classes: int = 2) -> dict[str, float]:
    """The quality of scores, (n,) or (n, K), for targets as the coding made them."""
    from sklearn import metrics

    formula = read_loss(loss)
    if task == "regression":
        predicted, name = formula.predict(scores), loss.split()[0]
        found = {} if name == "squared_error" else {name: float(np.mean(formula.value(scores, y)))}
        found["rmse"] = float(np.sqrt(np.mean((predicted - y) ** 2)))
        found["mae"] = float(np.mean(np.abs(predicted - y)))
        if np.ptp(y) > 0:
            found["r2"] = float(metrics.r2_score(y, predicted))
        return found
    if not formula.probability:
        return _without_probabilities(formula, scores, y)
    if scores.ndim == 2:
        loss_value = float(np.mean(LOSSES["softmax"].value(scores.T, y)))
        return {"log_loss": loss_value, "accuracy": float(np.mean(scores.argmax(axis=1) == y))}
    if loss == "squared_error":  # its score is the probability itself, and may leave [0, 1]
        p = np.clip(scores, CERTAIN, 1.0 - CERTAIN)
        found = {"log_loss": float(-np.mean(y * np.log(p) + (1.0 - y) * np.log1p(-p)))}
    else:
        found = {"log_loss": float(np.mean(LOSSES["log_loss"].value(scores, y)))}
    if loss == "sigmoid_squared_error":
        found["squared_error"] = float(np.mean(2.0 * formula.value(scores, y)))
    found["accuracy"] = float(np.mean((scores > formula.threshold) == (y == 1)))
    if 0 < y.sum() < len(y):
        found["auc"] = float(metrics.roc_auc_score(y, scores))
    return found


def _without_probabilities(loss: Loss, scores: NDArray, y: NDArray) -> dict[str, float]:
    """The quality of scores that only tell classes apart."""
    from sklearn import metrics

    if scores.ndim == 2:
        value = float(np.mean(OneVsRest(loss).value(scores.T, y)))
        return {loss.name: value, "accuracy": float(np.mean(scores.argmax(axis=1) == y))}
    found = {loss.name: float(np.mean(loss.value(scores, y)))}
    found["accuracy"] = float(np.mean((scores > loss.threshold) == (y == 1)))
    if 0 < y.sum() < len(y):
        found["auc"] = float(metrics.roc_auc_score(y, scores))
    return found


def baseline(task: str, loss: str, y_train: NDArray, y: NDArray, classes: int) -> dict[str, float]:
    """The quality on `y` of the constant that is best for the loss on the training rows."""
    formula, ones = read_loss(loss), np.ones(len(y_train))
    if task == "regression":
        return measure(task, loss, np.full(len(y), formula.trivial(y_train, ones)), y)
    if not formula.probability and task == "binary":
        return measure(task, loss, np.full(len(y), formula.trivial(y_train, ones)), y)
    if not formula.probability:
        scores = [formula.trivial(1.0 * (y_train == k), ones) for k in range(classes)]
        # of equal scores the most common class is the guess, by a trace of its share
        share = np.bincount(y_train.astype(np.intp), minlength=classes) / len(y_train)
        return measure(task, loss, np.tile(np.array(scores) + 1e-9 * share, (len(y), 1)), y)
    share = np.bincount(y_train.astype(np.intp), minlength=classes) / len(y_train)
    p = np.clip(share, CERTAIN, 1.0)
    return {
        "log_loss": float(-np.mean(np.log(p[y.astype(np.intp)]))),
        "accuracy": float(np.mean(y == share.argmax())),
    }
