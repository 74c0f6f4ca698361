"""A table and a target to a fitted model, with its certificate, its quality and its record."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.costs.losses import DEFAULT, LOSSES, parameters, read_loss
from descender.costs.risk import Risk
from descender.data.target import TargetCoding
from descender.descent import Walk
from descender.doctor.columns import leaking_column
from descender.doctor.finding import Finding
from descender.errors import CapabilityError, OptionError, suggest
from descender.kernels.threads import one_blas_thread
from descender.metrics import baseline, measure
from descender.model import Model
from descender.verbs.fitted import Fit
from descender.verbs.minimize import minimize
from descender.verbs.table import Design, Progress, Teller, encode, hold_out, read_table

PRESETS: dict[str, dict[str, Any]] = {
    "sigmoid": {
        "loss": "sigmoid_squared_error",
        "reduction": "sum",
        "scale": False,
        "l2": 0.0,
        "method": "gd",
        "learning_rate": 0.01,
        "epochs": 100,
        "holdout": 0.5,
        "random_start": True,
    }
}
"""Named programs: ``sigmoid`` is the classifier of the fifth tutorial, raw columns, summed squared error and all."""


def fit(
    data: Any,
    target: str | ArrayLike | None = None,
    *,
    exclude: Iterable[str] | str = (),
    sql: str | None = None,
    task: str | None = None,
    loss: str | None = None,
    l2: float | None = None,
    l1: float = 0.0,
    method: str = "auto",
    learning_rate: Any = "auto",
    batch_size: int | str | None = None,
    epochs: int | None = None,
    tol: float | None = None,
    holdout: float | None = None,
    seed: int = 0,
    preset: str | None = None,
    start: ArrayLike | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Fit:
    r"""Fit a linear, logistic or softmax model to a table.

    Numbers are standardised, categories become indicators, missing values are kept as such, all learnt on the training
    rows only; ``model.coefficients`` are in the units of the data.  The cost is the mean loss over the training rows
    plus ``l2 |w|²/2 + l1 Σ|w|`` on the standardised scale, with a free intercept.

    Parameters
    ----------
    data
        a path (CSV, also .gz; Parquet; JSON lines; .npy), ``-``, ``"example:NAME"``, a data frame, a dict of columns,
        or a 2-D array; with `sql` a query of it
    target
        a column, or ``"NAME = SQL expression"`` whose columns are then left out of the features; or, beside an array,
        the targets themselves; an example knows its own
    exclude
        columns that must not be learnt from
    task, loss
        ``"binary"``, ``"multiclass"`` or ``"regression"``; a name of ``LOSSES``, with its parameters after
        it (``"quantile 0.9"``): chosen from the target by default, as is huber's delta
    l2, l1
        penalty strengths; l2 defaults to one over the number of training rows, what scikit-learn's
        LogisticRegression and Ridge do by default
    method, learning_rate, batch_size, epochs, tol, start, options
        as in :func:`descender.minimize`
    holdout
        the share of rows kept for judging (0.2; by a hash of the row's index and `seed`; none of fewer than 20 rows)
    preset
        a name of ``PRESETS``; options that are given override it

    Raises :class:`~descender.errors.DataError` and its kinds for what is wrong with the table, and
    :class:`~descender.errors.OptionError` for options.

    >>> result = fit("example:breast_cancer", tol=1e-8)
    >>> result.walk.success, result.certificate.rigorous
    (True, True)
    >>> result.metrics["holdout"]["accuracy"] > 0.95
    True

    """
    asked = dict(locals())
    _refuse(asked)
    excluded = [exclude] if isinstance(exclude, str) else list(exclude)
    given = {"loss": loss, "l2": l2, "method": None if method == "auto" else method, "epochs": epochs}
    given |= {"learning_rate": None if learning_rate == "auto" else learning_rate, "holdout": holdout}
    plan = _plan(preset, given)
    say = Teller(progress)
    table = read_table(data, target, excluded, sql, task, say)
    held = hold_out(len(table.y), plan["holdout"], seed)
    loss_name = _suitable_loss(plan["loss"], table.coding)
    design = encode(table, held, plan["scale"], say)
    plan["loss"] = _with_parameters(loss_name, design.y, say)
    plan |= {"l2": 1.0 / len(design.y) if plan["l2"] is None else plan["l2"], "l1": l1}
    risk = Risk(
        design.X, design.y, plan["loss"], l2=plan["l2"], l1=l1, reduction=plan["reduction"],
        features=design.encoder.features, n_classes=len(table.coding.classes) or None,
    )  # fmt: skip
    if plan["random_start"] and start is None:
        start = np.random.default_rng(seed).standard_normal(risk.n_parameters)
    walk = minimize(
        risk, start, plan["method"] or "auto",
        learning_rate="auto" if plan["learning_rate"] is None else plan["learning_rate"],
        batch_size=batch_size, max_epochs=plan["epochs"], tol=tol, seed=seed,
        holdout=_held_out_cost(risk, design.X_held, design.y_held), **options,
    )  # fmt: skip
    W, b = risk.split(walk.x)
    facts = {"source": table.source.described, "n_rows": len(design.y), "l2": plan["l2"], "l1": l1, "seed": seed}
    model = Model(
        design.encoder, table.coding, plan["loss"], W.copy(), np.array(b, dtype=np.float64), walk.certificate, facts
    )
    say("method", walk.why)
    say("descended", _descended(walk), stage="fit")
    quality, scores, findings = _judged(model, walk, design, say)
    walk.record.facts |= _record_facts(model, walk, quality)
    chosen = {
        "command": _command(asked | {"exclude": excluded}),
        "l2": plan["l2"], "l1": l1, "seed": seed, "holdout": plan["holdout"], "excluded": excluded,
        "loss": plan["loss"], "preset": preset,
    }  # fmt: skip
    return Fit(
        model, walk, table.name, table.coding.task, len(table.y), quality, say.seconds, say.lines, findings,
        [*table.source.notes, *design.encoder.told], table.source.described, chosen,
        scores, design.y_held if held.any() else design.y, _points(model, design), _first_row(plan["loss"], design),
    )  # fmt: skip


def _plan(preset: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a preset, or the defaults, overridden by what was given."""
    defaults: dict[str, Any] = {
        "loss": None,
        "reduction": "mean",
        "scale": True,
        "l2": None,
        "method": None,
        "learning_rate": None,
    }
    defaults |= {"epochs": None, "holdout": 0.2, "random_start": False}
    if preset is not None:
        if preset not in PRESETS:
            raise OptionError(f"preset={preset!r}; {suggest(preset, PRESETS)}")
        defaults |= PRESETS[preset]
    return defaults | {key: value for key, value in given.items() if value is not None}


def _refuse(asked: Mapping[str, Any]) -> None:
    """Refuse options that only look right."""
    for key in ("l2", "l1", "holdout"):
        value = asked[key]
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float | np.number)):
            raise OptionError(f"{key}={value!r}: expected a number")
    options = asked["options"]
    if "max_epochs" in options:
        raise OptionError("fit calls it epochs: give epochs instead of max_epochs")
    if options.get("on_divergence") == "continue":
        raise CapabilityError("on_divergence='continue' gives no finite model; use minimize to watch a walk diverge")


def _suitable_loss(loss: str | None, coding: TargetCoding) -> str:
    if loss is None or (loss == "log_loss" and coding.task == "multiclass"):
        return DEFAULT[coding.task]
    if coding.task not in read_loss(loss).tasks:
        fits = ", ".join(name for name, known in LOSSES.items() if coding.task in known.tasks)
        raise CapabilityError(f"loss={loss!r} does not suit {coding.name}, a {coding.task} target; use {fits}")
    return loss


def _with_parameters(loss: str, y: NDArray, say: Teller) -> str:
    """The loss with the parameters that suit the targets, where none were given and it knows how to choose them."""
    known = read_loss(loss)
    if loss not in LOSSES or not hasattr(known, "suited"):
        return known.name
    chosen = known.suited(y)
    say("loss", f"{chosen.name}: beyond {parameters(chosen)[0]:g} an error counts by its size, not its square")
    return chosen.name


def _held_out_cost(risk: Risk, X: NDArray, y: NDArray) -> Callable[[NDArray], float] | None:
    """The loss of held-out rows on the scale of the training cost, without its penalty."""
    if not len(y):
        return None
    judge = Risk(X, y, risk.loss.name, n_classes=None if risk.n_classes == 1 else risk.n_classes)
    return lambda w: judge.value(w) * risk.total_weight / risk.denominator


def _judged(model: Model, walk: Walk, design: Design, say: Teller) -> tuple[dict, NDArray, list[Finding]]:
    """The metrics, the scores of the rows that judge - held-out ones where there are any -, and what was noticed."""
    task, classes = model.coding.task, len(model.coding.classes)
    scores = model.scores(design.X)
    quality = {"train": measure(task, model.loss, scores, design.y, classes)}
    scores_held, y_held = scores, design.y
    if len(design.y_held):
        scores_held, y_held = model.scores(design.X_held), design.y_held
        quality["holdout"] = measure(task, model.loss, scores_held, y_held, classes)
    quality["baseline"] = baseline(task, model.loss, design.y, y_held, classes)
    say("held out" if len(design.y_held) else "on its own rows", _judgement(quality, len(y_held)), stage="judge")
    findings = list(walk.findings) + _findings(model, design, scores)
    for finding in findings:
        say("noticed", f"{finding.code} {finding.cause}: {finding.remedy}")
    return quality, scores_held, findings


def _descended(walk: Walk) -> str:
    what = f"{walk.nfev:,} reads" if walk.certificate is not None else f"{walk.nit:,} steps"
    end = str(walk.certificate) if walk.certificate is not None else walk.message
    return f"{what}, cost {walk.fun:.6g}, {end}"


def _judgement(quality: dict[str, dict[str, float]], n: int) -> str:
    """One line on quality beside the constant guess."""
    ours, guess = quality.get("holdout", quality["train"]), quality["baseline"]
    words = {"log_loss": "log loss", "rmse": "error (rmse)", "auc": "AUC", "r2": "R²", "mae": "mean error"}
    first, *rest = ours
    parts = [f"{words.get(first, first)} {ours[first]:.4g} (always guessing: {guess[first]:.4g})"]
    parts += [f"{words.get(k, k.replace('_', ' '))} {ours[k]:.4g}" for k in rest]
    return f"{n:,} rows: {', '.join(parts)}"


def _findings(model: Model, design: Design, scores: NDArray) -> list[Finding]:
    if model.coding.task == "multiclass":
        return []
    y = design.y
    explained = 1.0 - float(np.mean((y - read_loss(model.loss).predict(scores)) ** 2)) / max(float(y.var()), 1e-300)
    with one_blas_thread():
        found = leaking_column(model.encoder, design.X, y, explained)
    return [found] if found else []


def _points(model: Model, design: Design) -> NDArray:
    """The rows that judge in their own units where two numbers tell two classes apart, else none."""
    columns = model.encoder.details
    if len(model.coding.classes) != 2 or [c.kind for c in columns] != ["number", "number"]:
        return np.empty((0, 2))
    X = design.X_held if len(design.y_held) else design.X
    return X * [c.scale for c in columns] + [c.mean for c in columns]


def _first_row(loss: str, design: Design) -> Risk:
    """The cost of the first row of the table alone."""
    X, y = (design.X_held, design.y_held) if design.held[0] else (design.X, design.y)
    return Risk(X[:1].copy(), y[:1], loss, features=design.encoder.features)


def _command(asked: dict[str, Any]) -> str:
    """Python that fits the same again, from the arguments that were given."""
    defaults = {name: p.default for name, p in inspect.signature(fit).parameters.items()}
    data, words = asked.pop("data"), []
    for key, value in (asked | asked.pop("options")).items():
        usual = defaults.get(key)
        if (
            key in ("progress", "callback")
            or (type(value) is type(usual) and value == usual)
            or (isinstance(value, list | tuple) and not value)
        ):
            continue
        text = repr(np.asarray(value).tolist() if isinstance(value, np.ndarray | np.generic) else value)
        words.append(f"{key}={text if len(text) < 2000 else key}")
    first = repr(str(data)) if isinstance(data, str | Path) else "data"
    return f"import descender\n\nresult = descender.fit({', '.join([first, *words])})"


def _record_facts(model: Model, walk: Walk, quality: Any) -> dict[str, Any]:
    found = walk.certificate
    return {
        "target": model.coding.name,
        "task": model.coding.task,
        "certificate": found._asdict() if found else None,
        "metrics": quality,
        "n_features": len(model.features),
    }
