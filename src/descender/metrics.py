"""How good predictions are, beside the best constant guess."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from descender.costs.losses import LOSSES, OneVsRest, read_loss

CERTAIN = 1e-15
"""A probability nearer to 0 or 1 counts as this far: a sure error costs much, not infinitely much."""


def measure(
    task: str, loss: str, scores: NDArray, y: NDArray, classes: int = 2, weight: NDArray | None = None
) -> dict[str, float]:
    """The quality of scores, (n,) or (n, K), for targets as the coding made them; rows count by their `weight`.

    A number: rmse, mae, r2 (where the targets differ), after the mean of another loss than squared_error, by its name
    (for a quantile, the pinball loss, with ``coverage``, the share of rows not above it).  Two classes: log_loss,
    accuracy, auc, balanced_accuracy and brier; more classes the same without auc; where scores are no probabilities,
    the mean loss stands for log_loss and brier.  The first is what a model is judged by.
    """
    s = np.ones(len(y)) if weight is None else weight
    formula = read_loss(loss)
    if task == "regression":
        return _numbers(loss, formula.predict(scores), scores, y, s)
    one = scores.ndim == 1
    predicted = (scores > formula.threshold).astype(np.intp) if one else scores.argmax(axis=1)
    if not formula.probability:
        value = formula.value(scores, y) if one else OneVsRest(formula).value(scores.T, y)
        found = {formula.name: float(np.average(value, weights=s))} | _shares(predicted, y, s, classes)
    else:
        found = judge_classes(np.clip(formula.predict(scores.T).T, 0.0, 1.0), predicted, y, s, classes)
        if loss != "squared_error":
            # not by way of p: a score tells how sure it is beyond what a probability can hold
            exact = LOSSES["log_loss" if one else "softmax"].value(scores.T, y)
            found["log_loss"] = float(np.average(exact, weights=s))
    if loss == "sigmoid_squared_error":
        found["squared_error"] = 2.0 * float(np.average(formula.value(scores, y), weights=s))
    return _with_auc(found, auc(scores, y, s) if one else None)


def _with_auc(found: dict[str, float], area: float | None) -> dict[str, float]:
    """The metrics with the area under the ROC curve as the third."""
    if area is None:
        return found
    return dict(list(found.items())[:2]) | {"auc": area} | found


def _numbers(loss: str, predicted: NDArray, scores: NDArray, y: NDArray, s: NDArray) -> dict[str, float]:
    formula, name = read_loss(loss), loss.split()[0]
    squares = (predicted - y) ** 2
    found = {} if name == "squared_error" else {name: float(np.average(formula.value(scores, y), weights=s))}
    if name == "quantile":
        found["coverage"] = float(np.average(y <= predicted, weights=s))
    found["rmse"] = float(np.sqrt(np.average(squares, weights=s)))
    found["mae"] = float(np.average(np.abs(predicted - y), weights=s))
    spread = float(np.average((y - np.average(y, weights=s)) ** 2, weights=s))
    if spread > 0:
        found["r2"] = 1.0 - float(np.average(squares, weights=s)) / spread
    return found


def _shares(predicted: NDArray, y: NDArray, s: NDArray, classes: int) -> dict[str, float]:
    """The share of rows whose class was found, and the mean over the classes of that share."""
    at, right = y.astype(np.intp), predicted == y
    seen = np.bincount(at, weights=s, minlength=classes)
    found = np.bincount(at, weights=s * right, minlength=classes)
    return {
        "accuracy": float(np.average(right, weights=s)),
        "balanced_accuracy": float(np.mean(found[seen > 0] / seen[seen > 0])),
    }


def judge_classes(p: NDArray, predicted: NDArray, y: NDArray, s: NDArray, classes: int) -> dict[str, float]:
    """The quality of probabilities (n, K), or of the second of two classes (n,), and of predicted classes.

    ``brier`` is the mean squared error of the probabilities, of the second class where there are two, else summed over
    the classes; ``balanced_accuracy`` the mean over the classes of the share that was found.
    """
    actual = np.where(y == 1, p, 1.0 - p) if p.ndim == 1 else p[np.arange(len(y)), y.astype(np.intp)]
    brier = np.square(1.0 - actual) if classes == 2 else (p**2).sum(axis=1) - 2.0 * actual + 1.0
    return {
        "log_loss": -float(np.average(np.log(np.clip(actual, CERTAIN, 1.0)), weights=s)),
        **_shares(predicted, y, s, classes),
        "brier": float(np.average(brier, weights=s)),
    }


def auc(scores: NDArray, y: NDArray, s: NDArray) -> float | None:
    """The area under the ROC curve: how often a row of the second class scores higher than one of the first.

    Equal scores count as half.  None where a class has no row.

    >>> auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]), np.ones(4))
    0.75
    """
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    starts = np.append(0, np.flatnonzero(ranked[1:] != ranked[:-1]) + 1)  # of equal scores
    del ranked
    first = np.add.reduceat((s * (y == 0))[order], starts)
    second = np.add.reduceat((s * (y == 1))[order], starts)
    del order, starts
    below = np.cumsum(first)
    of_first, of_second = float(below[-1]), float(second.sum())
    if not (of_first > 0 and of_second > 0):
        return None
    first *= 0.5
    below -= first
    return float(below @ second) / (of_first * of_second)


def baseline(
    task: str,
    loss: str,
    y_train: NDArray,
    y: NDArray,
    classes: int,
    trained: NDArray | None = None,
    weight: NDArray | None = None,
) -> dict[str, float]:
    """The quality on `y` of the constant that is best for the loss on the training rows, weighted by `trained`."""
    formula = read_loss(loss)
    t = np.ones(len(y_train)) if trained is None else trained
    s = np.ones(len(y)) if weight is None else weight
    if task == "regression":
        return measure(task, loss, np.full(len(y), formula.trivial(y_train, t)), y, classes, weight)
    share = np.bincount(y_train.astype(np.intp), weights=t, minlength=classes) / t.sum()
    if formula.probability:
        return judge_classes(np.tile(share, (len(y), 1)), np.full(len(y), share.argmax()), y, s, classes)
    if task == "binary":
        found = measure(task, loss, np.full(len(y), formula.trivial(y_train, t)), y, classes, weight)
    else:
        scores = [formula.trivial(1.0 * (y_train == k), t) for k in range(classes)]
        # of equal scores the most common class is the guess, by a trace of its share
        found = measure(task, loss, np.tile(np.array(scores) + 1e-9 * share, (len(y), 1)), y, classes, weight)
    return {key: value for key, value in found.items() if key != "auc"}
