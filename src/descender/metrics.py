"""How good predictions are, beside the best constant guess."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from descender.costs.losses import LOSSES

CERTAIN = 1e-15
"""A probability nearer to 0 or 1 counts as this far: a sure error costs much, not infinitely much."""


def measure(task: str, loss: str, scores: NDArray, y: NDArray, classes: int = 2) -> dict[str, float]:
    """The quality of scores, (n,) or (n, K), for targets as the coding made them."""
    from sklearn import metrics

    if task == "regression":
        rmse = float(np.sqrt(np.mean((scores - y) ** 2)))
        found = {"rmse": rmse, "mae": float(np.mean(np.abs(scores - y)))}
        if np.ptp(y) > 0:
            found["r2"] = float(metrics.r2_score(y, scores))
        return found
    if scores.ndim == 2:
        loss_value = float(np.mean(LOSSES["softmax"].value(scores.T, y)))
        return {"log_loss": loss_value, "accuracy": float(np.mean(scores.argmax(axis=1) == y))}
    if loss == "squared_error":  # its score is the probability itself, and may leave [0, 1]
        p = np.clip(scores, CERTAIN, 1.0 - CERTAIN)
        found = {"log_loss": float(-np.mean(y * np.log(p) + (1.0 - y) * np.log1p(-p)))}
    else:
        found = {"log_loss": float(np.mean(LOSSES["log_loss"].value(scores, y)))}
    if loss == "sigmoid_squared_error":
        found["squared_error"] = float(np.mean(2.0 * LOSSES[loss].value(scores, y)))
    found["accuracy"] = float(np.mean((scores > LOSSES[loss].threshold) == (y == 1)))
    if 0 < y.sum() < len(y):
        found["auc"] = float(metrics.roc_auc_score(y, scores))
    return found


def baseline(task: str, y_train: NDArray, y: NDArray, classes: int) -> dict[str, float]:
    """The quality on `y` of always guessing what was most common, or the mean, in training."""
    if task == "regression":
        return measure(task, "squared_error", np.full(len(y), y_train.mean()), y)
    share = np.bincount(y_train.astype(np.intp), minlength=classes) / len(y_train)
    p = np.clip(share, CERTAIN, 1.0)
    return {
        "log_loss": float(-np.mean(np.log(p[y.astype(np.intp)]))),
        "accuracy": float(np.mean(y == share.argmax())),
    }
