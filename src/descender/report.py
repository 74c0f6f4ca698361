"""One self-contained page about a fit: what it found, how good it is, how it got there, and how sure that is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from descender.costs.losses import read_loss
from descender.errors import InputError
from descender.methods.auto import METHODS
from descender.pictures import bars, classes, page, penalty, predictions
from descender.pictures.bars import ColumnEffect, describe_importance
from descender.pictures.curves import describe_curve, plotly_curve
from descender.pictures.style import counted

METRICS = {"log_loss": "log loss", "auc": "AUC", "rmse": "rmse", "mae": "mean error", "r2": "R²"}
METRICS |= {"huber": "Huber loss", "quantile": "quantile loss", "poisson": "half Poisson deviance"}
METRICS |= {"brier": "Brier score", "balanced_accuracy": "balanced accuracy"}
METRICS |= {"hinge": "hinge loss", "squared_hinge": "squared hinge loss"}
KIND = {"softmax": "A softmax model", "squared_error": "A linear model", "log_loss": "A logistic model"}
KIND["sigmoid_squared_error"] = KIND["log_loss"]
SCORE = {"log_loss": "log odds", "sigmoid_squared_error": "log odds"}
FACTOR = {"log_loss": "odds times", "poisson": "rate times"}
"""Losses whose coefficients multiply something, and what."""
WORDS = {"number": "number", "boolean": "yes or no", "level": "category", "word": "words", "entry": "number"}
WORDS |= {"month": "month", "weekday": "weekday", "hour": "hour", "missing": "missing or not"}
SHOWN_COEFFICIENTS, SHOWN_COLUMNS, SHOWN_LEVELS, SHOWN_CLASSES = 2000, 300, 400, 200
SHUFFLED = "How much the score changes where the cells of a column are exchanged between rows; a network has no "
SHUFFLED += "coefficients to read."
FAR = 0.1
"""A gap, relative to the cost, at which a certificate says above all that the minimum was not reached."""


def write_report(fit: Any, path: Path) -> Path:
    """Write the page of a :class:`~descender.verbs.fit.Fit` to `path`; it works offline."""
    return page.write(path, "report.html", **context(fit))


def context(fit: Any) -> dict[str, Any]:
    """What the template shows, as plain data."""
    figures, pictures = _quality_figures(fit)
    own = _own_figures(fit)
    figures |= {kind: figure for kind, (_, figure) in own.items()}
    pictures = [(kind, title) for kind, (title, _) in own.items() if kind not in ("weights", "layers")] + pictures
    found, linear = fit.certificate, fit.effects is None
    importance = fit.effects
    if linear:
        importance = describe_importance(fit.model.encoder.details, fit.model.weights)
        figures["effects"] = bars.plotly_bars(_effects(fit))
    figures["columns"] = bars.plotly_bars(_column_bars(importance, fit))
    if len(fit.walk.record) > 1:
        curve = describe_curve(fit.walk.record, excess=found is not None)
        figures["descent"] = plotly_curve(replace(curve, title=""))
    if fit.path is not None:
        path = penalty.describe_penalty(fit.path, fit.model.features)
        figures |= {"penalties": penalty.plotly_penalty(path), "growth": penalty.plotly_coefficients(path)}
    thresholds = _thresholds(fit)
    return {
        "title": f"{fit.name} - descender",
        "heading": fit.name,
        "described": f"{counted(fit.n_rows, 'row')} of {fit.described}",
        "findings": fit.findings,
        "linear": linear,
        "weights_title": own["weights"][0] if "weights" in own else "",
        **(_coefficients(fit, importance) if linear else {"effects_note": SHUFFLED}),
        "quality_pictures": pictures,
        "classes": _classes(fit),
        "thresholds": thresholds and "classes" in thresholds,
        "penalty_note": _penalty_note(fit.path),
        "walked": "descent" in figures,
        "not_walked": "It began at the bottom, so there is nothing to draw."
        if fit.walk.success
        else "No step was taken, so there is nothing to draw.",
        "descent_note": f"{_sentence(fit.walk.why)} {counted(fit.walk.nit, 'step')}, "
        f"{counted(fit.walk.nfev, 'reading')} of the rows.",
        "certificate_title": _certificate_title(found),
        "certificate_note": _certificate_note(found),
        "encoded": next((text for word, text, _ in fit.lines if word == "encoded"), ""),
        "told": fit.told,
        "command": fit.options.get("command", "descender.fit(...)"),
        "versions": versions(),
        "lines": [(word, text, "" if s is None else f"{s:.2f} s") for word, text, s in fit.lines],
        "figures": figures,
        "judged": thresholds or {},
    } | _judgement(fit)


def _coefficients(fit: Any, importance: list[ColumnEffect]) -> dict[str, Any]:
    """What a linear model makes of each column."""
    return {
        "effects_note": _effects_note(fit),
        "columns": _columns(fit, importance),
        "columns_note": _columns_note(importance),
        "bars_note": "The bar is the standard deviation of what a column adds to the score."
        if _scaled(fit)
        else "The bar is the size of its weight, as the columns were taken as they are.",
        "coefficient_columns": _coefficient_columns(fit),
        "intercept": [_number(v) for v in np.ravel(fit.model.raw_intercept)],
    }


def _judgement(fit: Any) -> dict[str, Any]:
    """How good it is, in words and numbers."""
    judged = fit.metrics.get("holdout", fit.metrics["train"])
    first = next(iter(judged))
    guess = fit.metrics["baseline"][first]
    held = "held-out" if "holdout" in fit.metrics else "training"
    rows = [("holdout", "held-out rows"), ("train", "training rows"), ("baseline", "always guessing")]
    table = [(label, fit.metrics[key]) for key, label in rows if key in fit.metrics]
    if fit.comparison is not None:
        table.insert(1, (fit.comparison["name"], fit.comparison["metrics"]))
    return {
        "sentence": f"{_kind(fit)} of {fit.name} from "
        f"{counted(len(fit.model.features), 'feature')}. On {counted(len(fit.holdout_y), f'{held} row')} its "
        f"{METRICS.get(first, first)} is {_number(judged[first])}; always guessing gives {_number(guess)}.",
        "cards": _cards(fit, judged, held),
        "quality_note": f"Rows that were {'not ' if held == 'held-out' else ''}learnt from, beside the best constant "
        "guess on the same rows. Nothing of the encoding was learnt from held-out rows.",
        "compared": next((_sentence(text) for word, text, _ in fit.lines if word == "compared"), ""),
        "metric_names": [METRICS.get(name, name.replace("_", " ")) for name in judged],
        "metric_rows": [
            {"name": label, "numbers": [_number(numbers.get(name)) for name in judged]} for label, numbers in table
        ],
    }


def _kind(fit: Any) -> str:
    if fit.effects is not None:
        return f"A network ({fit.model.described})"
    return KIND.get(fit.model.loss, f"A linear model by {fit.model.loss}")


def _cards(fit: Any, judged: dict[str, float], held: str) -> list[dict[str, str]]:
    cards = []
    for name, value in judged.items():
        guess = fit.metrics["baseline"].get(name)
        note = f"{held} rows" + (f"; guessing {_number(guess)}" if guess is not None else "")
        cards.append({"name": METRICS.get(name, name.replace("_", " ")), "value": _number(value), "note": note})
    found = fit.certificate
    if found is not None:
        note = f"{'proved' if found.rigorous else 'estimated'}: {found.kind}"
        cards.append(
            {
                "name": "from the minimum, relative",
                "value": f"{found.relative:.2g}" if found.relative > FAR else f"{found.relative:.0e}",
                "note": note,
            }
        )
    return cards


def _effects(fit: Any) -> Any:
    """The coefficients per standard deviation of a number and per level of a category, largest first."""
    W = np.atleast_2d(fit.model.weights)
    if len(W) == 1:
        return bars.describe_bars(fit.model.features, W[0], f"change of {_scored(fit)}")
    size = np.sqrt((W**2).mean(axis=0))
    return bars.describe_bars(fit.model.features, size, "rms over the classes")


def _scored(fit: Any) -> str:
    """What the score of a row is."""
    if fit.task == "regression":
        return f"the logarithm of {fit.name}" if fit.model.loss == "poisson" else fit.name
    return f"the {SCORE.get(fit.model.loss, 'score' if fit.task == 'binary' else 'scores')}"


def _scaled(fit: Any) -> bool:
    numbers = [feature for feature in fit.model.encoder.details if feature.kind == "number"]
    return not numbers or any((feature.mean, feature.scale) != (0.0, 1.0) for feature in numbers)


def _effects_note(fit: Any) -> str:
    scored = _scored(fit)
    change = "change" if scored in ("the log odds", "the scores") else "changes"
    unit = "standard deviation" if _scaled(fit) else "unit"
    return f"How much {scored} {change} for one {unit} of a number, and for each level of a category."


def _coefficient_columns(fit: Any) -> list[str]:
    if fit.model.weights.ndim == 1:
        factor = [FACTOR[fit.model.loss]] if _has_factor(fit) else []
        return ["per unit", *factor, *(["per deviation", "mean", "deviation"] if _scaled(fit) else [])]
    return [str(name) for name in fit.model.coding.classes]


def _column_bars(importance: list[ColumnEffect], fit: Any) -> Any:
    """The columns by how much they move the score."""
    names, spread = [effect.name for effect in importance], [effect.spread for effect in importance]
    usual = _scaled(fit) or fit.effects is not None
    return bars.describe_bars(names, spread, "standard deviation" if usual else "size of the weight")


def _columns_note(importance: list[ColumnEffect]) -> str:
    shown, all_of_them = min(len(importance), SHOWN_COLUMNS), len(importance)
    text = f"{counted(all_of_them, 'column')} and an intercept, in the units of the data"
    return text if shown == all_of_them else f"{text}; the {shown:,} that move it most are shown"


def _columns(fit: Any, importance: list[ColumnEffect]) -> list[dict[str, Any]]:
    """Each column with its features, the largest first; what is not shown is counted."""
    model, top = fit.model, importance[0].spread if importance else 0.0
    raw, size = model.coefficients, np.abs(np.atleast_2d(model.weights)).max(axis=0)
    left, columns = SHOWN_COEFFICIENTS, []
    for effect in importance[:SHOWN_COLUMNS]:
        order = sorted(effect.members, key=lambda j: -size[j])
        shown = order[: max(min(left, SHOWN_LEVELS), 1)]
        left -= len(shown)
        columns.append(
            {
                "name": effect.name,
                "kinds": ", ".join(dict.fromkeys(WORDS[model.encoder.details[j].kind] for j in effect.members)),
                "spread": _number(effect.spread),
                "width": f"{100 * effect.spread / top:.1f}" if top else "0",
                "rows": [{"name": model.features[j], "numbers": _numbers(fit, j, raw)} for j in shown],
                "left_out": len(order) - len(shown),
            }
        )
    return columns


def _numbers(fit: Any, j: int, raw: Any) -> list[str]:
    """The numbers of a feature, as many as there are columns."""
    model, feature = fit.model, fit.model.encoder.details[j]
    if model.weights.ndim > 1:
        return [_number(v) for v in raw[j]]
    scale = feature.scale if feature.kind in ("number", "entry") else None
    numbers: list[float | None] = [raw[j], *([_factor(raw[j])] if _has_factor(fit) else [])]
    return [_number(v) for v in [*numbers, model.weights[j], feature.mean, scale][: len(_coefficient_columns(fit))]]


def _has_factor(fit: Any) -> bool:
    return fit.model.weights.ndim == 1 and fit.model.loss in FACTOR


def _factor(coefficient: float) -> float | None:
    """What the odds, or the rate, are multiplied by for one more unit."""
    return float(np.exp(coefficient)) if abs(coefficient) < 700 else None


def _own_figures(fit: Any) -> dict[str, tuple[str, Any]]:
    """The boundary, the line, weights as images: titles and figures of what can be drawn of this fit."""
    shown = {}
    for kind, picture in fit.pictures().items():
        if kind == "loss":  # the descent is drawn below
            continue
        try:
            shown[kind] = (picture.title, picture.plotly(picture.describe()))
        except InputError:
            continue
    return shown


def _quality_figures(fit: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Figures of how good the fit is, by name, and their titles."""
    y, z, loss = fit.holdout_y, fit.holdout_scores, read_loss(fit.model.loss)
    if fit.task == "regression":
        predicted = loss.predict(z)
        residuals, spread = predictions.describe_residuals(y, predicted)
        return {
            "predicted": predictions.plotly_predicted(predictions.describe_predicted(y, predicted)),
            "residuals": predictions.plotly_residuals(residuals),
            "spread": predictions.plotly_histogram(spread),
        }, [
            ("predicted", "Predicted against actual"),
            ("residuals", "Residuals against predicted"),
            ("spread", "How the residuals are spread"),
        ]
    if fit.task == "multiclass":
        counts = classes.describe_confusion(fit.model.coding.classes, y, z.argmax(axis=1))
        return {"confusion": classes.plotly_confusion(counts)}, [("confusion", "Predicted class against actual class")]
    if not 0 < y.sum() < len(y):
        return {}, []
    names = fit.model.coding.classes
    figures = {
        "roc": classes.plotly_roc(classes.describe_roc(y, z)),
        "precision": classes.plotly_precision_recall(classes.describe_precision_recall(y, z)),
    }
    titles = [("roc", "ROC curve"), ("precision", "Precision against recall")]
    if loss.probability:
        p = np.clip(loss.predict(z), 0.0, 1.0)
        figures["calibration"] = classes.plotly_calibration(classes.describe_calibration(y, p))
        titles.append(("calibration", "Calibration: predicted against observed share"))
        histogram = predictions.describe_score_histogram(y, p, names, f"probability of {names[1]}", (0.0, 1.0))
    else:
        histogram = predictions.describe_score_histogram(y, z, names, "score")
    figures["histogram"] = predictions.plotly_histogram(histogram)
    return figures, [*titles, ("histogram", "How each class is scored")]


def _thresholds(fit: Any) -> dict[str, Any] | None:
    """What becomes of the rows at each threshold, for the slider of the page; for two classes only."""
    y, z, loss = fit.holdout_y, fit.holdout_scores, read_loss(fit.model.loss)
    if fit.task != "binary" or not 0 < y.sum() < len(y):
        return None
    if loss.probability:
        scores, low, high, start = np.clip(loss.predict(z), 0.0, 1.0), 0.0, 1.0, 0.5
    else:
        scores, low, high, start = z, float(z.min()), float(z.max()), float(loss.threshold)
    found = classes.describe_thresholds(y, scores, low, high, start)
    return {
        "classes": [str(name) for name in fit.model.coding.classes],
        "start": found.start,
        "at": [float(f"{v:.4g}") for v in found.at],
        "tp": found.true_positive.tolist(),
        "fp": found.false_positive.tolist(),
        "fn": found.false_negative.tolist(),
        "tn": found.true_negative.tolist(),
    }


def _classes(fit: Any) -> list[dict[str, Any]]:
    """A row for each class, of which a page shows no more than 200."""
    if fit.task == "regression" or not len(fit.holdout_y):
        return []
    z, threshold = fit.holdout_scores, read_loss(fit.model.loss).threshold
    predicted = z.argmax(axis=1) if z.ndim == 2 else z > threshold
    found = classes.describe_classes(fit.model.coding.classes, fit.holdout_y.astype(int), predicted.astype(int))
    rows = zip(found.names, found.precision, found.recall, found.f1, found.rows, strict=True)
    return [
        {"name": name, "numbers": [*(_number(float(v)) for v in (precision, recall, f1)), f"{n:,}"]}
        for name, precision, recall, f1, n in list(rows)[:SHOWN_CLASSES]
    ]


def _penalty_note(path: Any) -> str:
    if path is None:
        return ""
    strengths, best, chosen = path.strengths, path.best, path.chosen
    text = f"{counted(len(strengths), 'strength')} of {path.kind} were judged, {path.how}. "
    if best == chosen:
        return text + f"The lowest loss is at {strengths[chosen]:.3g}."
    return text + (
        f"The lowest loss is at {strengths[best]:.3g}; {strengths[chosen]:.3g} shrinks more and is worse by less than "
        "one standard error."
    )


def versions() -> str:
    """What made this page, for who wants to make it again."""
    from importlib.metadata import version
    from platform import python_version

    from descender import __version__

    others = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "scikit-learn", "duckdb", "pyarrow"))
    return f"descender {__version__}, Python {python_version()}, {others}"


def _certificate_title(found: Any) -> str:
    if found is None:
        return "Not certified."
    if found.relative > FAR:
        return f"Not near the minimum: it lies {'at most' if found.rigorous else 'about'} {_number(found.gap)} below."
    return _sentence(str(found))


def _certificate_note(found: Any) -> str:
    if found is None:
        return "This cost is not convex, so the lowest point nearby need not be the lowest of all."
    if found.rigorous:
        bound = "a dual point" if found.kind == "duality gap" else f"the {found.kind.removeprefix('the ')}"
        least = max(found.value - found.gap, 0.0)
        return (
            f"No weights whatsoever have a cost below {least:.10g}; these have {found.value:.10g}. "
            f"The bound is {bound}, computed in float64 from the same rows; how they were found does not matter."
        )
    return "Without a penalty there is no such proof; this is what a quadratic model of the cost still promises."


def _sentence(text: str) -> str:
    """With a capital letter, unless it begins with the name of a method, and a full stop."""
    named = text.replace(",", " ").split(" ")[0] in METHODS
    return (text[:1] if named else text[:1].upper()) + text[1:] + ("" if text.endswith(".") else ".")


def _number(value: float | None) -> str:
    """Four digits, the zeros among them too."""
    return "" if value is None else f"{value:#.4g}".removesuffix(".")
