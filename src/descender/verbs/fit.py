"""A table and a target to a fitted model, with its certificate, its quality and its record."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender import live
from descender.costs.losses import DEFAULT, LOSSES, parameters, read_loss
from descender.costs.risk import Risk
from descender.data.target import TargetCoding
from descender.errors import CapabilityError, DataError, OptionError, TargetError, suggest
from descender.model.linear import LinearModel
from descender.verbs.fit_network import HIDDEN, check_model, fit_network
from descender.verbs.fitted import Fit, Fitted
from descender.verbs.minimize import minimize
from descender.verbs.penalties import Asked, refuse, settle
from descender.verbs.quality import descended, first_row, judged, points, record_facts
from descender.verbs.repair import check_on_trouble, looked_after
from descender.verbs.table import (
    Design,
    Progress,
    Roles,
    Table,
    Teller,
    class_weights,
    encode,
    hold_out,
    read_table,
)

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
TEXTBOOK = ("method", "learning_rate", "batch_size", "epochs")
"""What is asked for where a textbook method is to walk, and its penalty is not to be chosen for it."""


@live.line()
def fit(
    data: Any,
    target: str | ArrayLike | None = None,
    *,
    exclude: Iterable[str] | str = (),
    sql: str | None = None,
    task: str | None = None,
    loss: str | None = None,
    l2: float | str | None = None,
    l1: float | str = 0.0,
    one_standard_error: bool = False,
    weight: str | None = None,
    class_weight: str | Mapping[Any, float] | None = None,
    time: str | None = None,
    group: str | None = None,
    method: str = "auto",
    learning_rate: Any = "auto",
    batch_size: int | str | None = None,
    epochs: int | None = None,
    tol: float | None = None,
    holdout: float | None = None,
    seed: int = 0,
    preset: str | None = None,
    start: ArrayLike | None = None,
    model: str = "linear",
    hidden: Iterable[int] | int | str = HIDDEN,
    early_stopping: bool | str = "auto",
    on_trouble: str = "tell",
    compare: bool = False,
    progress: Progress | None = None,
    moving: Callable[[str], None] | None = None,
    **options: Any,
) -> Fit:
    r"""Fit a linear, logistic or softmax model, or a network, to a table.

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
        penalty strengths: numbers, or ``"auto"`` for one of them, which is then chosen along a path of strengths by the
        loss on training rows that are set aside (:func:`~descender.verbs.path.choose_penalty`; never on the held-out
        rows).  That is the default of l2, unless something of the method was asked for or l1 was given: then it is one
        over the number of training rows, ``"1/n"``, what scikit-learn's LogisticRegression and Ridge do
    one_standard_error
        choose the strongest penalty whose loss is within one standard error of the lowest, for a simpler model
    weight
        a column with the weights of the rows, in the cost and in the metrics; it is not learnt from
    class_weight
        ``"balanced"`` or a weight for each class, in the cost alone
    time, group
        a column of times: earlier rows teach, later ones judge; of groups: no group is on both sides, and it is not
        learnt from.  Both hold for the held-out rows and for the choice of a penalty
    model, hidden, early_stopping
        ``"linear"``, or ``"mlp"``: a multilayer perceptron with hidden layers of these widths (100), to which
        `options` may add `activation`, `initialisation`, `normalisation`, `dropout` and `residual` as in
        :class:`~descender.MLPClassifier`, and `max_seconds`.  It is trained in float32, on targets of deviation 1 where
        they are numbers.  With ``"auto"``, when there are at least 1,000 training rows, a tenth of them watches the
        training and the weights that had the lowest cost there are kept; fewer rows are folded to tell how many steps
        to take.  Its l2 is 0.1 / n by default; it has no l1, and no certificate: its cost is not convex
    on_trouble
        ``"tell"`` findings; or ``"repair"``: where one about the descent is a warning or worse, fit again with what may
        help, as :meth:`Fit.confirm` does, and return the fit that is repaired, which says so in a line and a finding
    compare
        grow boosted trees on the same rows, to tell what the linear form costs: ``comparison``
    method, learning_rate, batch_size, epochs, tol, start, options
        as in :func:`descender.minimize`
    holdout
        the share of rows kept for judging (0.2; by a hash of the row's index and `seed`; none of fewer than 20 rows)
    progress, moving
        called with each line (word, text, seconds) and with what is being done now
    preset
        a name of ``PRESETS``; options that are given override it

    Raises :class:`~descender.errors.DataError` and its kinds for what is wrong with the table, and
    :class:`~descender.errors.OptionError` for options.

    >>> result = fit("example:breast_cancer", tol=1e-8)
    >>> result.walk.success, result.certificate.rigorous
    (True, True)
    >>> result.metrics["holdout"]["accuracy"] > 0.95
    True
    >>> fit("example:iris", model="mlp", hidden=(16, 16), epochs=60).metrics["holdout"]["accuracy"] > 0.9
    True

    """
    asked = dict(locals())
    refuse(asked)
    check_model(asked)
    check_on_trouble(on_trouble)
    excluded = [exclude] if isinstance(exclude, str) else list(exclude)
    given = {"loss": loss, "l2": l2, "method": None if method == "auto" else method, "epochs": epochs}
    given |= {"learning_rate": None if learning_rate == "auto" else learning_rate, "holdout": holdout}
    plan = _plan(preset, given | {"batch_size": batch_size})
    say, moving = Teller(progress), moving or live.current()
    table = read_table(data, target, excluded, sql, task, Roles(weight, time, group), say, plan["loss"])
    held = hold_out(table, plan["holdout"], seed, say)
    loss_name = suitable_loss(plan["loss"], table.coding)
    design = encode(table, held, plan["scale"], say)
    plan["loss"] = with_parameters(loss_name, design.y, say)
    check_suited(plan["loss"], table)
    plan |= {"seed": seed, "start": start, "tol": tol, "batch_size": batch_size, "options": options}
    plan |= {"l1": l1, "one_standard_error": one_standard_error, "hidden": hidden, "early_stopping": early_stopping}
    rows_weigh = _row_weights(class_weight, table, design, say)
    facts: dict[str, Any] = {"source": table.source.described, "n_rows": len(design.y), "seed": seed}
    facts["recipe"] = _recipe(asked | {"excluded": excluded}, plan, table.roles)
    fitter = fit_network if model == "mlp" else _linear
    fitted = fitter(table, design, held, rows_weigh, plan, say, moving)
    again = partial(fitter, table, design, held, rows_weigh, say=Teller(None), moving=None)
    fitted = looked_after(fitted, again, plan, on_trouble, say)
    fitted.model.facts = facts | fitted.model.facts
    walk = fitted.walk
    say("method", walk.why)
    say("descended", descended(walk), stage="fit")
    quality, scores, findings = judged(fitted.model, walk, design, say)
    comparison = _compared(table, design, plan["loss"], quality, seed, say, moving, model) if compare else None
    walk.record.facts |= record_facts(fitted.model, walk, quality)
    strengths = {name: fitted.model.facts[name] for name in ("l2", "l1")}
    chosen = {
        "command": _command(asked | {"exclude": excluded}), **strengths,
        "seed": seed, "holdout": plan["holdout"], "excluded": excluded, "loss": plan["loss"], "preset": preset,
    }  # fmt: skip
    return Fit(
        fitted.model, walk, table.name, table.coding.task, len(table.y), quality, say.seconds, say.lines, findings,
        [*table.source.notes, *design.encoder.told], table.source.described, chosen,
        scores, design.y_held if held.any() else design.y, points(fitted.model, design),
        first_row(plan["loss"], design), fitted.path, comparison, fitted.risk, fitted.steps,
        fitted.effects,
    )  # fmt: skip


def _recipe(asked: Mapping[str, Any], plan: Mapping[str, Any], roles: Roles) -> dict[str, Any]:
    """What a model file keeps, so that its rows and its cost can be made again from the data (:func:`verify`)."""
    target, by_class = asked["target"], asked["class_weight"]
    if isinstance(by_class, Mapping):
        by_class = {str(label): float(weight) for label, weight in by_class.items()}
    return {
        "target": target if target is None or isinstance(target, str) else "y",
        **{key: asked[key] for key in ("excluded", "sql", "task")},
        **{key: plan[key] for key in ("holdout", "reduction")},
        "class_weight": by_class,
        **roles._asdict(),
    }


def _linear(
    table: Table, design: Design, held: NDArray, weight: NDArray | None, plan: dict[str, Any], say: Teller, moving: Any
) -> Fitted:
    """The linear model: its penalty chosen, its cost taken to the bottom."""
    risk = Risk(
        design.X, design.y, plan["loss"], sample_weight=weight, reduction=plan["reduction"],
        features=design.encoder.features, n_classes=len(table.coding.classes) or None,
    )  # fmt: skip
    textbook = any(plan[key] is not None for key in TEXTBOOK) or bool(plan["options"])
    asks = Asked(plan["l2"], plan["l1"], plan["one_standard_error"], plan["seed"], textbook)
    path, start = settle(risk, asks, table, held, say, moving), plan["start"]
    if plan["random_start"] and start is None:
        start = np.random.default_rng(plan["seed"]).standard_normal(risk.n_parameters)
    steps = {"learning_rate": "auto" if plan["learning_rate"] is None else plan["learning_rate"]}
    steps |= {"batch_size": plan["batch_size"], **plan["options"]}
    walk = minimize(
        risk, path.start if path is not None and start is None else start, plan["method"] or "auto",
        max_epochs=plan["epochs"], tol=plan["tol"], seed=plan["seed"], holdout=_held_out_cost(risk, design), **steps,
    )  # fmt: skip
    W, b = risk.split(walk.x)
    model = LinearModel(
        design.encoder, table.coding, plan["loss"], W.copy(), np.array(b, dtype=np.float64),
        certificate=walk.certificate, facts={"l2": risk.l2, "l1": risk.l1},
    )  # fmt: skip
    return Fitted(model, walk, path, risk, steps)


def _row_weights(given: Any, table: Table, design: Design, say: Teller) -> NDArray | None:
    """The weights of the training rows in the cost: their own times those of their classes."""
    by_class = class_weights(given, table.coding, design.y, design.weight)
    if design.weight is not None:
        say("weighted", f"rows count by {table.roles.weight}, in the cost and in all metrics")
        if not design.weight.any() or (
            design.weight_held is not None and len(design.weight_held) and not design.weight_held.any()
        ):
            raise DataError(
                f"the weight {table.roles.weight} is 0 in all rows of one side; another seed may divide them"
            )
    if by_class is None:
        return design.weight
    names = zip(table.coding.classes, by_class, strict=True)
    shown = ", ".join(f"{label} {weight:.4g}" for label, weight in names)
    say("weighted", f"classes count in the cost by {shown}; not in the metrics")
    own = 1.0 if design.weight is None else design.weight
    return own * by_class[design.y.astype(np.intp)]


def _compared(
    table: Table, design: Design, loss: str, quality: Any, seed: int, say: Teller, moving: Any, model: str
) -> dict | None:
    """Boosted trees on the same rows, and a line about them."""
    from descender.verbs.boosted import compare_trees, comparison_text, too_wide

    if why := too_wide(table):
        say("compared", why, stage="compare")
        return None
    if moving is not None:
        moving("growing trees to compare with")
    found = compare_trees(table, design, loss, seed)
    if found is not None:
        few = f" (grown on {found['rows']:,} rows)" if found["rows"] < len(design.y) else ""
        form = "the network" if model == "mlp" else "the linear form"
        say("compared", comparison_text(quality["holdout"], found, form) + few, stage="compare")
    return found


def _plan(preset: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a preset, or the defaults, overridden by what was given."""
    defaults: dict[str, Any] = {
        "loss": None,
        "reduction": "mean",
        "scale": True,
        "l2": None,
        "method": None,
        "learning_rate": None,
        "batch_size": None,
    }
    defaults |= {"epochs": None, "holdout": 0.2, "random_start": False}
    if preset is not None:
        if preset not in PRESETS:
            raise OptionError(f"preset={preset!r}; {suggest(preset, PRESETS)}")
        defaults |= PRESETS[preset]
    return defaults | {key: value for key, value in given.items() if value is not None}


def suitable_loss(loss: str | None, coding: TargetCoding) -> str:
    """The name of the loss: the usual one of the task where none was asked for."""
    if loss is None or (loss == "log_loss" and coding.task == "multiclass"):
        return DEFAULT[coding.task]
    if coding.task not in read_loss(loss).tasks:
        fits = ", ".join(name for name, known in LOSSES.items() if coding.task in known.tasks)
        raise CapabilityError(f"loss={loss!r} does not suit {coding.name}, a {coding.task} target; use {fits}")
    return loss


def check_suited(loss: str, table: Table) -> None:
    """See that the numbers of a target suit a loss, as counts suit poisson; the first that does not is named."""
    if table.coding.task != "regression":
        return
    known = read_loss(loss)
    if not (suits := known.suits(table.y)).all():
        first = int(np.argmin(suits))
        row = table.numbers(~suits)[0]
        raise TargetError(
            f"the target {table.name} in row {row:,} is {table.y[first]:g}; {known.name} needs {known.targets}"
        )


def with_parameters(loss: str, y: NDArray, say: Teller) -> str:
    """The loss with the parameters that suit the targets, where none were given and it knows how to choose them."""
    known = read_loss(loss)
    if loss not in LOSSES or not hasattr(known, "suited"):
        return known.name
    chosen = known.suited(y)
    say("loss", f"{chosen.name}: beyond {parameters(chosen)[0]:g} an error counts by its size, not its square")
    return chosen.name


def _held_out_cost(risk: Risk, design: Design) -> Callable[[NDArray], float] | None:
    """The loss of held-out rows on the scale of the training cost, without its penalty."""
    X, y = design.X_held, design.y_held
    if not len(y):
        return None
    classes = None if risk.n_classes == 1 else risk.n_classes
    judge = Risk(X, y, risk.loss.name, sample_weight=design.weight_held, n_classes=classes)
    return lambda w: judge.value(w) * risk.total_weight / risk.denominator


def _command(asked: dict[str, Any]) -> str:
    """Python that fits the same again, from the arguments that were given."""
    defaults = {name: p.default for name, p in inspect.signature(fit).parameters.items()}
    data, words = asked.pop("data"), []
    for key, value in (asked | asked.pop("options")).items():
        usual = defaults.get(key)
        if (
            key in ("progress", "moving", "callback")
            or (type(value) is type(usual) and value == usual)
            or (isinstance(value, list | tuple) and not value)
        ):
            continue
        text = repr(np.asarray(value).tolist() if isinstance(value, np.ndarray | np.generic) else value)
        words.append(f"{key}={text if len(text) < 2000 else key}")
    first = repr(str(data)) if isinstance(data, str | Path) else "data"
    return f"import descender\n\nresult = descender.fit({', '.join([first, *words])})"
