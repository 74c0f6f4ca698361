"""One self-contained page about a fit: what it found, how good it is, how it got there, and how sure that is."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.costs.losses import LOSSES
from descender.errors import MissingDependencyError
from descender.pictures.curves import describe_curve
from descender.pictures.evaluation import describe_bars, describe_calibration, describe_predicted, describe_roc
from descender.pictures.plotly import plotly_bars, plotly_calibration, plotly_curve, plotly_predicted, plotly_roc
from descender.record import write_beside

METRICS = {"log_loss": "log loss", "auc": "AUC", "rmse": "rmse", "mae": "mean error", "r2": "R²"}
KIND = {"binary": "A logistic model", "multiclass": "A softmax model", "regression": "A linear model"}
SHOWN_COEFFICIENTS = 2000


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
    figures["effects"] = plotly_bars(_effects(fit))
    figures["descent"] = plotly_curve(describe_curve(fit.walk.record, excess=fit.walk.certificate is not None))
    found = fit.certificate
    judged = fit.metrics.get("holdout", fit.metrics["train"])
    first = next(iter(judged))
    guess = fit.metrics["baseline"][first]
    held = "held-out" if "holdout" in fit.metrics else "training"
    return {
        "title": f"{fit.name} - descender",
        "heading": fit.name,
        "sentence": f"{KIND[fit.task]} of {fit.name} from {len(fit.model.features)} features. "
        f"On {len(fit.holdout_y):,} {held} rows its {METRICS.get(first, first)} is {judged[first]:.4g}; "
        f"always guessing gives {guess:.4g}.",
        "described": f"{fit.n_rows:,} rows of {fit.described}",
        "cards": _cards(fit, judged, held),
        "findings": fit.findings,
        "effects_note": _effects_note(fit),
        "coefficients": _coefficients(fit),
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
        "descent_note": f"{_sentence(fit.walk.why)} {fit.walk.nit:,} steps, {fit.walk.nfev:,} readings of the rows.",
        "certificate_title": _sentence(str(found)) if found else "Not certified.",
        "certificate_note": _certificate_note(found),
        "encoded": next((text for word, text, _ in fit.lines if word == "encoded"), ""),
        "told": fit.told,
        "command": fit.options.get("command", "descender.fit(...)"),
        "lines": [(word, text, "" if s is None else f"{s:.2f} s") for word, text, s in fit.lines],
        # "</" would end the script element that carries the figures
        "figures": json.dumps(figures).replace("</", "<\\/"),
    }


def _cards(fit: Any, judged: dict[str, float], held: str) -> list[dict[str, str]]:
    cards = []
    for name, value in judged.items():
        guess = fit.metrics["baseline"].get(name)
        note = f"{held} rows" + (f"; guessing {guess:.4g}" if guess is not None else "")
        cards.append({"name": METRICS.get(name, name.replace("_", " ")), "value": f"{value:.4g}", "note": note})
    found = fit.certificate
    if found is not None:
        note = f"{'proved' if found.rigorous else 'estimated'}: {found.kind}"
        cards.append({"name": "from the minimum, relative", "value": f"{found.relative:.0e}", "note": note})
    return cards


def _effects(fit: Any) -> Any:
    """The coefficients per standard deviation of a number and per level of a category, largest first."""
    W = np.atleast_2d(fit.model.weights)
    if len(W) == 1:
        return describe_bars(fit.model.features, W[0], "change of the score")
    return describe_bars(fit.model.features, np.sqrt((W**2).mean(axis=0)), "root mean square over the classes")


def _effects_note(fit: Any) -> str:
    unit = {"binary": "log odds", "multiclass": "scores", "regression": fit.name}[fit.task]
    return f"How much the {unit} change for one standard deviation of a number, and for each level of a category."


def _coefficient_columns(fit: Any) -> list[str]:
    if fit.model.weights.ndim == 1:
        return ["per unit", "per deviation", "mean", "deviation"]
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
        rows.append({"name": feature.name, "numbers": [_number(v) for v in numbers]})
    numbers = [fit.model.raw_intercept] if fit.model.weights.ndim == 1 else fit.model.raw_intercept
    shown = [_number(v) for v in np.ravel(numbers)]
    rows.append({"name": "(intercept)", "numbers": shown + [""] * (len(_coefficient_columns(fit)) - len(shown))})
    return rows


def _quality_figures(fit: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    y, z = fit.holdout_y, fit.holdout_scores
    if fit.task == "regression":
        return {"predicted": plotly_predicted(describe_predicted(y, z))}, [("predicted", "Predicted against actual")]
    if fit.task == "multiclass":
        return {"confusion": _confusion(fit, y, z)}, [("confusion", "Predicted class against actual class")]
    if not 0 < y.sum() < len(y):
        return {}, []
    p = LOSSES[fit.model.loss].predict(z) if fit.model.loss != "squared_error" else np.clip(z, 0.0, 1.0)
    figures = {"roc": plotly_roc(describe_roc(y, z)), "calibration": plotly_calibration(describe_calibration(y, p))}
    return figures, [("roc", "ROC curve"), ("calibration", "Calibration: predicted against observed share")]


def _confusion(fit: Any, y: NDArray, z: NDArray) -> dict[str, Any]:
    names = [str(name) for name in fit.model.coding.classes]
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (y.astype(np.intp), z.argmax(axis=1)), 1)
    shown = counts.tolist() if len(names) <= 30 else None
    heat: dict[str, Any] = {"type": "heatmap", "z": counts.tolist(), "x": names, "y": names, "colorscale": "Blues"}
    heat |= {"reversescale": True, "showscale": False}
    heat |= {"text": shown, "texttemplate": "%{text}"} if shown else {}
    axis = {"type": "category", "automargin": True}
    layout = {
        "xaxis": {"title": {"text": "predicted"}, **axis},
        "yaxis": {"title": {"text": "actual"}, "autorange": "reversed", **axis},
        "margin": {"l": 60, "r": 20, "t": 20, "b": 50},
        "font": {"family": "system-ui, sans-serif", "size": 13},
    }
    return {"data": [heat], "layout": layout}


def _certificate_note(found: Any) -> str:
    if found is None:
        return "This cost is not convex, so the lowest point nearby need not be the lowest of all."
    if found.rigorous:
        return (
            f"No weights whatsoever have a cost below {found.value - found.gap:.10g}; these have {found.value:.10g}. "
            "The bound is a dual point, computed in float64 from the same rows; how they were found does not matter."
        )
    return "Without a penalty there is no such proof; this is what a quadratic model of the cost still promises."


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
