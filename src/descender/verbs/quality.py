"""What a fit is worth: its metrics, what was noticed, and what is said about both."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.costs.losses import read_loss
from descender.costs.risk import Risk
from descender.doctor.columns import leaking_column
from descender.doctor.finding import Finding
from descender.kernels.threads import one_blas_thread
from descender.metrics import baseline, measure
from descender.model import Model
from descender.verbs.table import Design, Teller
from descender.walk import Walk

WORDS = {
    "log_loss": "log loss",
    "rmse": "error (rmse)",
    "auc": "AUC",
    "r2": "R²",
    "mae": "mean error",
    "brier": "Brier score",
}


def judged(model: Model, walk: Walk, design: Design, say: Teller) -> tuple[dict, NDArray, list[Finding]]:
    """The metrics, the scores of the rows that judge - held-out ones where there are any -, and what was noticed."""
    task, classes = model.coding.task, len(model.coding.classes)
    scores = model.scores(design.X)
    quality = {"train": measure(task, model.loss, scores, design.y, classes, design.weight)}
    scores_held, y_held, weight = scores, design.y, design.weight
    if len(design.y_held):
        scores_held, y_held, weight = model.scores(design.X_held), design.y_held, design.weight_held
        quality["holdout"] = measure(task, model.loss, scores_held, y_held, classes, weight)
    quality["baseline"] = baseline(task, model.loss, design.y, y_held, classes, design.weight, weight)
    say("held out" if len(design.y_held) else "on its own rows", _judgement(quality, len(y_held)), stage="judge")
    findings = list(walk.findings) + _findings(model, design, scores)
    for finding in findings:
        told = f"{finding.evidence}: " if "row" in finding.where else ""
        say("noticed", f"{finding.code} {finding.title}: {told}{finding.remedy}")
    return quality, scores_held, findings


def descended(walk: Walk) -> str:
    """The reads, the cost and the certificate of a walk, in a line."""
    what = f"{walk.nfev:,} reads" if walk.certificate is not None else f"{walk.nit:,} steps"
    end = str(walk.certificate) if walk.certificate is not None else walk.message
    return f"{what}, cost {walk.fun:.6g}, {end}"


def _judgement(quality: dict[str, dict[str, float]], n: int) -> str:
    """One line on quality beside the constant guess."""
    ours, guess = quality.get("holdout", quality["train"]), quality["baseline"]
    first, *rest = ours
    parts = [f"{WORDS.get(first, first)} {ours[first]:.4g} (always guessing: {guess[first]:.4g})"]
    parts += [f"{WORDS.get(k, k.replace('_', ' '))} {ours[k]:.4g}" for k in rest]
    return f"{n:,} rows: {', '.join(parts)}"


def _findings(model: Model, design: Design, scores: NDArray) -> list[Finding]:
    if model.coding.task == "multiclass":
        return []
    y = design.y
    explained = 1.0 - float(np.mean((y - read_loss(model.loss).predict(scores)) ** 2)) / max(float(y.var()), 1e-300)
    with one_blas_thread():
        found = leaking_column(model.encoder, design.X, y, explained)
    return [found] if found else []


def points(model: Model, design: Design) -> NDArray:
    """The rows that judge in their own units where two numbers tell two classes apart, else none."""
    columns = model.encoder.details
    if len(model.coding.classes) != 2 or [c.kind for c in columns] != ["number", "number"]:
        return np.empty((0, 2))
    X = design.X_held if len(design.y_held) else design.X
    return X * [c.scale for c in columns] + [c.mean for c in columns]


def first_row(loss: str, design: Design) -> Risk:
    """The cost of the first row of the table alone."""
    X, y = (design.X_held, design.y_held) if design.held[0] else (design.X, design.y)
    return Risk(X[:1].copy(), y[:1], loss, features=design.encoder.features)


def record_facts(model: Model, walk: Walk, quality: Any) -> dict[str, Any]:
    """What the record keeps of the model."""
    found = walk.certificate
    return {
        "target": model.coding.name,
        "task": model.coding.task,
        "certificate": found._asdict() if found else None,
        "metrics": quality,
        "n_features": len(model.features),
    }
