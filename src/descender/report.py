"""One self-contained page about a fit: what it found, how good it is, how it got there, and how sure that is."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from descender.costs.losses import read_loss
from descender.errors import MissingDependencyError
from descender.methods.auto import METHODS
from descender.pictures import evaluation, plotly
from descender.pictures.curves import describe_curve
from descender.pictures.style import counted
from descender.record import write_beside

METRICS = {"log_loss": "log loss", "auc": "AUC", "rmse": "rmse", "mae": "mean error", "r2": "R²"}
METRICS |= {"huber": "Huber loss", "quantile": "quantile loss", "poisson": "half Poisson deviance"}
METRICS |= {"hinge": "hinge loss", "squared_hinge": "squared hinge loss"}
KIND = {"softmax": "A softmax model", "squared_error": "A linear model", "log_loss": "A logistic model"}
KIND["sigmoid_squared_error"] = KIND["log_loss"]
SCORE = {"log_loss": "log odds", "sigmoid_squared_error": "log odds"}
SHOWN_COEFFICIENTS = 2000
FAR = 0.1
"""A gap, relative to the cost, at which a certificate says above all that the minimum was not reached."""


def write_report(fit: Any, path: Path) -> Path:
    """Write the page of a :class:`~descender.verbs.fit.Fit` to `path`; it works offline."""
    page = render("report.html", **context(fit))
    write_beside(path, lambda file: file.write(page.encode()))
    return path


def render(template: str, **values: Any) -> str:
    """A page from a template of this package; everything that came from data is escaped."""
    import jinja2

    from descender import __version__

    environment = jinja2.Environment(loader=jinja2.PackageLoader("descender"), autoescape=True, trim_blocks=True)
    return environment.get_template(template).render(version=__version__, plotly=plotly_script(), **values)


def plotly_script() -> str:
    """The script that draws, out of the plotly package, which is not imported for it."""
    found = importlib.util.find_spec("plotly")
    if found is None or not found.submodule_search_locations:
        raise MissingDependencyError("the report needs plotly: pip install plotly")
    return (Path(found.submodule_search_locations[0]) / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


def context(fit: Any) -> dict[str, Any]:
    """What the template shows, as plain data."""
    figures, quality = _quality_figures(fit)
    found = fit.certificate
    figures["effects"] = plotly.plotly_bars(_effects(fit))
    figures["descent"] = plotly.plotly_curve(
        replace(describe_curve(fit.walk.record, excess=found is not None), title="")
    )
    judged = fit.metrics.get("holdout", fit.metrics["train"])
    first = next(iter(judged))
    guess = fit.metrics["baseline"][first]
    held = "held-out" if "holdout" in fit.metrics else "training"
    return {
        "title": f"{fit.name} - descender",
        "heading": fit.name,
        "sentence": f"{KIND.get(fit.model.loss, 'A linear model by ' + fit.model.loss)} of {fit.name} from "
        f"{counted(len(fit.model.features), 'feature')}. On {counted(len(fit.holdout_y), f'{held} row')} its "
        f"{METRICS.get(first, first)} is {_number(judged[first])}; always guessing gives {_number(guess)}.",
        "described": f"{counted(fit.n_rows, 'row')} of {fit.described}",
        "cards": _cards(fit, judged, held),
        "findings": fit.findings,
        "effects_note": _effects_note(fit),
        "coefficients": _coefficients(fit),
        "coefficients_title": f"All {counted(len(fit.model.features) + 1, 'coefficient')}, in the units of the data",
        "coefficient_columns": _coefficient_columns(fit),
        "quality_note": f"Rows that were {'not ' if held == 'held-out' else ''}learnt from, beside the best constant "
        "guess on the same rows. Nothing of the encoding was learnt from held-out rows.",
        "metric_names": [METRICS.get(name, name.replace("_", " ")) for name in judged],
        "metric_rows": [
            {"name": label, "numbers": [_number(fit.metrics[key].get(name)) for name in judged]}
            for key, label in (
                ("holdout", "held-out rows"),
                ("train", "training rows"),
                ("baseline", "always guessing"),
            )
            if key in fit.metrics
        ],
        "quality_pictures": quality,
        "descent_note": f"{_sentence(fit.walk.why)} {counted(fit.walk.nit, 'step')}, "
        f"{counted(fit.walk.nfev, 'reading')} of the rows.",
        "certificate_title": _certificate_title(found),
        "certificate_note": _certificate_note(found),
        "encoded": next((text for word, text, _ in fit.lines if word == "encoded"), ""),
        "told": fit.told,
        "command": fit.options.get("command", "descender.fit(...)"),
        "lines": [(word, text, "" if s is None else f"{s:.2f} s") for word, text, s in fit.lines],
        # "</script>" would end the script element that carries the figures, "<!--<script>" hide its end
        "figures": json.dumps(figures).replace("<", "\\u003c"),
    }


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
        return evaluation.describe_bars(fit.model.features, W[0], f"change of {_scored(fit)}")
    size = np.sqrt((W**2).mean(axis=0))
    return evaluation.describe_bars(fit.model.features, size, "rms over the classes")


def _scored(fit: Any) -> str:
    """What the score of a row is."""
    if fit.task == "regression":
        return fit.name
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
        return ["per unit", "per deviation", "mean", "deviation"] if _scaled(fit) else ["per unit"]
    return [str(name) for name in fit.model.coding.classes]


def _coefficients(fit: Any) -> list[dict[str, Any]]:
    raw = fit.model.coefficients
    order = np.argsort(-np.abs(np.atleast_2d(fit.model.weights)).max(axis=0))[:SHOWN_COEFFICIENTS]
    rows = []
    for j in order:
        feature = fit.model.encoder.details[j]
        numbers: Any = raw[j]
        if fit.model.weights.ndim == 1:
            numbers = [raw[j], fit.model.weights[j], feature.mean, feature.scale if feature.kind == "number" else None]
            numbers = numbers[: len(_coefficient_columns(fit))]
        rows.append({"name": feature.name, "numbers": [_number(v) for v in numbers]})
    numbers = [fit.model.raw_intercept] if fit.model.weights.ndim == 1 else fit.model.raw_intercept
    shown = [_number(v) for v in np.ravel(numbers)]
    rows.append({"name": "(intercept)", "numbers": shown + [""] * (len(_coefficient_columns(fit)) - len(shown))})
    return rows


def _quality_figures(fit: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    y, z, loss = fit.holdout_y, fit.holdout_scores, read_loss(fit.model.loss)
    if fit.task == "regression":
        predicted = plotly.plotly_predicted(evaluation.describe_predicted(y, loss.predict(z)))
        return {"predicted": predicted}, [("predicted", "Predicted against actual")]
    if fit.task == "multiclass":
        counts = evaluation.describe_confusion(fit.model.coding.classes, y, z.argmax(axis=1))
        return {"confusion": plotly.plotly_confusion(counts)}, [("confusion", "Predicted class against actual class")]
    if not 0 < y.sum() < len(y):
        return {}, []
    figures, titles = {"roc": plotly.plotly_roc(evaluation.describe_roc(y, z))}, [("roc", "ROC curve")]
    if loss.probability:
        p = np.clip(loss.predict(z), 0.0, 1.0)
        figures["calibration"] = plotly.plotly_calibration(evaluation.describe_calibration(y, p))
        titles.append(("calibration", "Calibration: predicted against observed share"))
    return figures, titles


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
