"""A table and a target to a fitted model, with its certificate, its quality and its record."""

from __future__ import annotations

import dataclasses
import inspect
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.costs.losses import LOSSES
from descender.costs.risk import Risk
from descender.data.columns import Number
from descender.data.encode import Encoder
from descender.data.examples import example
from descender.data.source import Source, add_target, open_source
from descender.data.split import hashed, holdout
from descender.data.target import TargetCoding, code_target
from descender.descent import Walk
from descender.doctor.columns import leaking_column
from descender.doctor.finding import Finding
from descender.errors import CapabilityError, InputError, OptionError, ShapeError, TargetError, suggest
from descender.kernels.threads import one_blas_thread
from descender.metrics import baseline, measure
from descender.model import Model
from descender.outputs import check_outputs, file_name
from descender.verbs.minimize import minimize

LOSS_OF = {"binary": "log_loss", "multiclass": "softmax", "regression": "squared_error"}
FITS = {"binary": ("log_loss", "squared_error", "sigmoid_squared_error"), "multiclass": ("softmax",)}
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
FILES = ("model", "record", "report")
Progress = Callable[[str, str, float], None]


@dataclass
class Fit:
    """What :func:`fit` returns: the model, the walk that found it, and what is to be said about both.

    ``metrics`` has the quality on ``train`` and ``holdout`` rows and of the ``baseline``, the best constant guess, on
    the same held-out rows (training rows where none were held out); ``seconds`` what each stage took; ``lines`` what
    the command prints, as (word, text, seconds).  ``holdout_scores`` and ``holdout_y`` are what the report draws;
    ``points`` are the same rows in their own units where two numbers tell two classes apart, and ``first_row`` is the
    cost of the first row alone, by which one step is explained.
    """

    model: Model
    walk: Walk
    name: str
    task: str
    n_rows: int
    metrics: dict[str, dict[str, float]]
    seconds: dict[str, float]
    lines: list[tuple[str, str, float | None]]
    findings: list[Finding]
    told: list[str]
    described: str
    options: dict[str, Any] = field(default_factory=dict)
    holdout_scores: NDArray = field(default_factory=lambda: np.empty(0))
    holdout_y: NDArray = field(default_factory=lambda: np.empty(0))
    points: NDArray = field(default_factory=lambda: np.empty((0, 2)))
    first_row: Risk | None = None
    paths: dict[str, Path] = field(default_factory=dict)

    @property
    def certificate(self) -> Any:
        """How far from the bottom of its cost the model is."""
        return self.walk.certificate

    def as_json(self) -> dict[str, Any]:
        """Plain data: the schema of ``descender fit --json``."""
        found = self.certificate
        return {
            "task": self.task,
            "loss": self.model.loss,
            "n_rows": self.n_rows,
            "n_features": len(self.model.features),
            "method": self.walk.method,
            "why": self.walk.why,
            "converged": self.walk.success,
            "message": self.walk.message,
            "cost": self.walk.fun,
            "certificate": found._asdict() if found else None,
            "metrics": self.metrics,
            "reads": self.walk.nfev,
            "seconds": self.seconds,
            "findings": [finding.as_dict() for finding in self.findings],
            "told": self.told,
            **{name: str(self.paths[name]) if name in self.paths else None for name in FILES},
            "pictures": {name: str(path) for name, path in self.paths.items() if name not in FILES},
        }

    def pictures(self) -> dict[str, Callable[[], Any]]:
        """What can be drawn of it, by kind: ``boundary``, ``loss``, ``weights``; each a function that draws."""
        from descender.verbs.fit_pictures import fit_pictures

        return fit_pictures(self)

    def files(self, folder: str | Path = ".", name: str | None = None) -> dict[str, Path]:
        """The files that :meth:`save` writes, by kind."""
        stem = Path(folder) / file_name(name or self.name)
        endings = dict(zip(FILES, (".descender", ".record.parquet", ".html"), strict=True))
        endings |= {kind: f".{kind}.png" for kind in self.pictures()}
        return {kind: stem.with_name(stem.name + ending) for kind, ending in endings.items()}

    def save(self, folder: str | Path = ".", name: str | None = None, force: bool = False) -> dict[str, Path]:
        """Write NAME.descender (the model), NAME.record.parquet, NAME.html (the report) and NAME.KIND.png (pictures).

        Pictures are those of :meth:`pictures`; one that cannot be drawn is told in ``told``.  A file that is not
        descender's is replaced under `force` only: else :class:`~descender.errors.OutputError`, and nothing is written.
        """
        from descender.pictures.style import save as save_picture
        from descender.report import write_report

        began = time.perf_counter()
        files = self.files(folder, name)
        check_outputs(files.values(), force)
        self.paths["model"] = self.model.save(files["model"])
        self.paths["record"] = self.walk.record.save(files["record"])
        self.paths["report"] = write_report(self, files["report"])
        for kind, draw in self.pictures().items():
            try:
                self.paths[kind] = save_picture(draw(), files[kind])
            except InputError as error:
                self.told.append(f"no picture of the {kind}: {error}")
        self.seconds["report"] = time.perf_counter() - began
        return self.paths


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
        ``"binary"``, ``"multiclass"`` or ``"regression"``; a name of ``LOSSES``: chosen from the target by default
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
    say = _Teller(progress)
    source, name = _read(data, target, excluded, sql, say)
    coding, y = code_target(source.table[name], task, name, source.row_numbers)
    held = _hold_out(len(y), plan["holdout"], seed)
    loss = _suitable_loss(plan["loss"], coding)
    inputs = source.table.select([c for c in source.inputs if c not in excluded])
    encoder, X, X_held = _encode(inputs, held, source, plan["scale"], say)
    y_train, y_held = y[~held].astype(np.float64), y[held].astype(np.float64)
    if coding.classes and len(np.unique(y_train)) < len(coding.classes):
        raise TargetError(f"{name}: a class has no training row; give more rows, or another seed or holdout share")
    strength = 1.0 / len(y_train) if plan["l2"] is None else plan["l2"]
    risk = Risk(X, y_train, loss, l2=strength, l1=l1, reduction=plan["reduction"], features=encoder.features)
    if plan["random_start"] and start is None:
        start = np.random.default_rng(seed).standard_normal(risk.n_parameters)
    walk = minimize(
        risk, start, plan["method"] or "auto",
        learning_rate="auto" if plan["learning_rate"] is None else plan["learning_rate"],
        batch_size=batch_size, max_epochs=plan["epochs"], tol=tol, seed=seed,
        holdout=_held_out_cost(risk, X_held, y_held), **options,
    )  # fmt: skip
    W, b = risk.split(walk.x)
    facts = {"source": source.described, "n_rows": len(y_train), "l2": strength, "l1": l1, "seed": seed}
    model = Model(encoder, coding, loss, W.copy(), np.array(b, dtype=np.float64), walk.certificate, facts)
    say("method", walk.why)
    say("descended", _descended(walk), stage="fit")
    scores, scores_held = model.scores(X), model.scores(X_held)
    classes = len(coding.classes)
    quality = {"train": measure(coding.task, loss, scores, y_train, classes)}
    if len(y_held):
        quality["holdout"] = measure(coding.task, loss, scores_held, y_held, classes)
    else:
        scores_held, y_held = scores, y_train
    quality["baseline"] = baseline(coding.task, y_train, y_held, classes)
    say("held out" if held.any() else "on its own rows", _judgement(quality, len(y_held)), stage="judge")
    findings = list(walk.findings) + _findings(encoder, X, y_train, coding, model, scores)
    for finding in findings:
        say("noticed", f"{finding.code} {finding.cause}: {finding.remedy}")
    walk.record.facts |= _record_facts(model, walk, coding, quality)
    chosen = {
        "command": _command(asked | {"exclude": excluded}),
        "l2": strength,
        "l1": l1,
        "seed": seed,
        "holdout": plan["holdout"],
        "excluded": excluded,
        "loss": loss,
        "preset": preset,
    }
    points = _points(encoder, coding, X_held if held.any() else X)
    first = X_held[:1] if held[0] else X[:1]
    first_row = Risk(first.copy(), y[:1].astype(np.float64), loss, features=encoder.features)
    return Fit(
        model, walk, name, coding.task, len(y), quality, say.seconds, say.lines, findings,
        [*source.notes, *encoder.told], source.described, chosen, scores_held, y_held,
        points, first_row,
    )  # fmt: skip


class _Teller:
    """Says what was done as it is done, and how long it took."""

    def __init__(self, progress: Progress | None):
        self.progress, self.lines, self.seconds = progress, [], {}  # type: ignore[var-annotated]
        self.last = time.perf_counter()

    def __call__(self, word: str, text: str, stage: str | None = None) -> None:
        now = time.perf_counter()
        spent = now - self.last if stage else None
        if stage:
            self.seconds[stage] = now - self.last
            self.last = now
        self.lines.append((word, text, spent))
        if self.progress:
            self.progress(word, text, spent or 0.0)


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


def _read(data: Any, target: Any, excluded: list[str], sql: str | None, say: _Teller) -> tuple[Source, str]:
    """The rows that have a target, and its name."""
    preset_exclude: tuple[str, ...] = ()
    if target is not None and not isinstance(target, str):
        data, target = _with_targets(data, target), "y"
    if target is None:
        if not (isinstance(data, str) and data.startswith("example:")):
            raise TargetError("no target was given: name the column to predict, such as target='price'")
        known = example(data.removeprefix("example:"))
        target, preset_exclude = known.target, known.exclude
    opened = open_source(data, sql=sql)
    columns = opened.table.num_columns
    source, name = add_target(opened, target)
    for column in excluded:
        if column not in source.table.column_names:
            raise OptionError(f"exclude: {column!r} is no column; {suggest(column, source.table.column_names)}")
        if column == name:
            raise OptionError(f"exclude: {column!r} is the target, which is never learnt from")
    source = dataclasses.replace(source, read=(*source.read, *preset_exclude))
    rows, left_out = source.table.num_rows, source.left_out
    if rows < 2:
        raise TargetError(f"{rows} row has a value of {name}: nothing to learn from")
    lost = f"; {left_out:,} rows without a target left out" if left_out else ""
    say("read", f"{rows + left_out:,} rows, {columns} columns{lost}", "read")
    return source, name


def _with_targets(data: Any, target: ArrayLike) -> Any:
    """One table of features and the targets beside them."""
    import pyarrow as pa

    y = np.asarray(target)
    table = open_source(np.asarray(data) if isinstance(data, list | tuple) else data, least_rows=1).table
    if y.ndim != 1 or len(y) != table.num_rows:
        raise ShapeError(f"the features have {table.num_rows} rows and the target shape {y.shape}; expected one a row")
    if "y" in table.column_names:
        raise OptionError("a column is called y already: rename it, or name the target by its column")
    return table.append_column("y", pa.array(y))


def _hold_out(n: int, share: float, seed: int) -> NDArray[np.bool_]:
    if not 0 <= share < 1:
        raise OptionError(f"holdout={share}: expected a share of at least 0 and below 1")
    if share == 0.5:  # exactly half, as the fifth tutorial has it
        mask = np.zeros(n, dtype=np.bool_)
        mask[np.argsort(hashed(np.arange(n), seed), kind="stable")[: n // 2]] = n >= 20
        return mask
    return holdout(n, share, seed)


def _suitable_loss(loss: str | None, coding: TargetCoding) -> str:
    if loss is None:
        return LOSS_OF[coding.task]
    if loss == "log_loss" and coding.task == "multiclass":
        return "softmax"
    if loss not in LOSSES:
        raise OptionError(f"loss={loss!r}; {suggest(loss, LOSSES)}")
    if loss not in FITS.get(coding.task, ("squared_error",)):
        fits = ", ".join(FITS.get(coding.task, ("squared_error",)))
        raise CapabilityError(f"loss={loss!r} does not suit {coding.name}, a {coding.task} target; use {fits}")
    return loss


def _encode(inputs: Any, held: NDArray, source: Source, scale: bool, say: _Teller) -> tuple[Encoder, NDArray, NDArray]:
    """The design matrices of training and held-out rows."""
    import pyarrow as pa

    encoder = Encoder.learn(inputs, rows=~held, row_numbers=source.row_numbers)
    if not scale:
        columns = [
            dataclasses.replace(c, mean=0.0, scale=1.0) if isinstance(c, Number) and c.scale else c
            for c in encoder.columns
        ]
        encoder = dataclasses.replace(encoder, columns=tuple(columns))
    matrices = []
    for mask in (~held, held):
        numbers = (np.arange(1, len(held) + 1) if source.row_numbers is None else source.row_numbers)[mask]
        matrices.append(encoder.transform(inputs.filter(pa.array(mask)), row_numbers=numbers))
    say("encoded", encoder.summary() if scale else encoder.summary().replace("standardised", "as they are"), "encode")
    return encoder, matrices[0], matrices[1]


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


def _points(encoder: Encoder, coding: TargetCoding, X: NDArray) -> NDArray:
    """The rows in their own units where two numbers tell two classes apart, else none."""
    columns = encoder.details
    if len(coding.classes) != 2 or [c.kind for c in columns] != ["number", "number"]:
        return np.empty((0, 2))
    return X * [c.scale for c in columns] + [c.mean for c in columns]


def _held_out_cost(risk: Risk, X: NDArray, y: NDArray) -> Callable[[NDArray], float] | None:
    """The loss of held-out rows on the scale of the training cost, without its penalty."""
    if not len(y) or (risk.n_classes > 1 and int(y.max()) + 1 != risk.n_classes):
        return None
    judge = Risk(X, y, risk.loss.name)
    return lambda w: judge.value(w) * risk.total_weight / risk.denominator


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


def _findings(encoder: Encoder, X: NDArray, y: NDArray, coding: TargetCoding, model: Model, scores: NDArray) -> list:
    if coding.task == "multiclass":
        return []
    predicted = LOSSES[model.loss].predict(scores)
    explained = 1.0 - float(np.mean((y - predicted) ** 2)) / max(float(y.var()), 1e-300)
    with one_blas_thread():
        found = leaking_column(encoder, X, y, explained)
    return [found] if found else []


def _record_facts(model: Model, walk: Walk, coding: TargetCoding, quality: Any) -> dict[str, Any]:
    found = walk.certificate
    return {
        "target": coding.name,
        "task": coding.task,
        "certificate": found._asdict() if found else None,
        "metrics": quality,
        "n_features": len(model.features),
    }
