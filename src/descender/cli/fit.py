"""``descender fit DATA --target COLUMN``: a table to a model, its record and its report."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from descender.cli import options as o
from descender.cli.output import Teller, print_json, progress
from descender.errors import OptionError
from descender.outputs import check_outputs, file_name, script_files

if TYPE_CHECKING:
    from descender.verbs.fit import Fit


def fit(
    data: Annotated[
        str | None,
        typer.Argument(
            help="A file (CSV, Parquet, JSON lines, .npy), - for standard input, or example:NAME.", metavar="DATA"
        ),
    ] = None,
    target: Annotated[
        str | None,
        o.option("--target", help="The column to learn, or 'NAME = SQL expression'.", panel=o.START, metavar="COLUMN"),
    ] = None,
    exclude: o.Exclude = None,
    sql: o.Sql = None,
    task: Annotated[
        str | None, o.option("--task", help="binary, multiclass or regression.", panel=o.START, metavar="WORD")
    ] = None,
    weight: Annotated[
        str | None, o.option("--weight", help="The column of the rows' weights.", panel=o.START, metavar="COLUMN")
    ] = None,
    class_weight: Annotated[
        str | None,
        o.option("--class-weight", help="balanced, or CLASS=NUMBER,...", panel=o.START, metavar="WEIGHTS"),
    ] = None,
    time: Annotated[
        str | None,
        o.option("--time", help="Earlier rows teach, later ones judge.", panel=o.START, metavar="COLUMN"),
    ] = None,
    group: Annotated[
        str | None,
        o.option("--group", help="No group is on both sides of a judgement.", panel=o.START, metavar="COLUMN"),
    ] = None,
    holdout: Annotated[
        float | None, o.real("--holdout", help="The share of rows kept for judging (0.2).", panel=o.START)
    ] = None,
    seed: o.Seed = 0,
    model: Annotated[
        str, o.option("--model", help="linear, or mlp: a network.", panel=o.METHOD, metavar="WORD")
    ] = "linear",
    hidden: Annotated[
        str | None,
        o.option("--hidden", help="The widths of a network's hidden layers (100).", panel=o.METHOD, metavar="N,N"),
    ] = None,
    activation: Annotated[
        str | None,
        o.option("--activation", help="Of a network: relu, tanh, gelu ...", panel=o.METHOD, metavar="NAME"),
    ] = None,
    preset: Annotated[
        str | None,
        o.option("--preset", help="sigmoid: the classifier of the fifth tutorial.", panel=o.METHOD, metavar="NAME"),
    ] = None,
    loss: Annotated[
        str | None,
        o.option(
            "--loss",
            help="squared_error, huber, quantile or poisson; log_loss, hinge or squared_hinge; softmax. "
            "A parameter follows: 'quantile 0.9'. Chosen from the target.",
            panel=o.METHOD,
            metavar="NAME",
        ),
    ] = None,
    l2: Annotated[
        str | None,
        o.option("--l2", help="Penalty l2 |w|²/2: a number, auto (chosen) or 1/n.", panel=o.METHOD, metavar="NUMBER"),
    ] = None,
    l1: Annotated[
        str, o.option("--l1", help="Penalty l1 Σ|w|: a number, or auto (chosen).", panel=o.METHOD, metavar="NUMBER")
    ] = "0",
    one_standard_error: Annotated[
        bool,
        o.option(
            "--one-standard-error",
            panel=o.METHOD,
            help="Choose the strongest penalty within one standard error of the best.",
        ),
    ] = False,
    method: o.MethodName = "auto",
    learning_rate: o.LearningRate = "auto",
    batch_size: o.BatchSize = None,
    on_trouble: o.OnTrouble = "tell",
    set: o.Settings = None,
    epochs: o.Epochs = None,
    max_seconds: Annotated[
        float | None, o.real("--max-seconds", help="A budget of time for the descent.", panel=o.STOP)
    ] = None,
    tol: Annotated[float | None, o.real("--tol", help="Certified relative gap (1e-6).", panel=o.STOP)] = None,
    every: Annotated[
        int | None, o.count("--every", help="Show the cost at epoch 1 and every Nth.", panel=o.OUTPUT)
    ] = None,
    explain: Annotated[
        bool, o.option("--explain", help="Write out one step on one row with its numbers.", panel=o.OUTPUT)
    ] = False,
    no_compare: Annotated[
        bool, o.option("--no-compare", help="Do not grow boosted trees to compare with.", panel=o.OUTPUT)
    ] = False,
    export_python: o.ExportPython = None,
    out: o.Out = ".",
    name: o.Name = None,
    no_files: o.NoFiles = False,
    force: o.Force = False,
    as_json: o.AsJson = False,
) -> None:
    """Fit a model to a table: the file as it is, the report to look at.

    descender fit example:heights --target weight

    descender fit example:flights --target "late = arr_delay > 15" --exclude arr_delay,arr_time

    descender fit example:digits --target digit --model mlp --hidden 64,64

    descender fit example:blobs --preset sigmoid -e 100 -a 0.01
    """
    from descender.verbs.fit import fit as fit_table

    tell = Teller(quiet=as_json)
    more: dict[str, Any] = {**o.assignments("--set", set)}
    named = {"hidden": hidden, "activation": activation, "max_seconds": max_seconds}
    more |= {key: value for key, value in named.items() if value is not None}
    if explain and model != "linear":
        raise OptionError("--explain writes out a step of a linear model; leave it out, or give --model linear")
    expected = name or _target_name(data, target)
    if expected and not no_files:
        check_outputs(_paths(out, expected), force)
    if export_python:
        check_outputs(script_files(export_python), force)
    asked = epochs is not None or preset is not None or max_seconds is not None
    with progress("fitting") as moved:
        result = fit_table(
            data, target,
            exclude=o.words_of(exclude),
            sql=sql, task=task, loss=loss, l2=_strength("--l2", l2), l1=_strength("--l1", l1) or 0.0,
            one_standard_error=one_standard_error, weight=weight, class_weight=_class_weight(class_weight),
            time=time, group=group, model=model, on_trouble=on_trouble,
            method=method, learning_rate=learning_rate, compare=not (no_compare or (asked and model == "linear")),
            batch_size=o.batch_size_of(batch_size), epochs=epochs, tol=tol, holdout=holdout, seed=seed, preset=preset,
            progress=lambda word, text, seconds: _tell_line(tell, word, text, seconds),
            moving=lambda text: moved(None, text=text),
            **more,
        )  # fmt: skip
    for line in result.told:
        tell.say(line, "note")
    every = 5 if every is None and preset == "sigmoid" else every
    if every:
        squared = preset == "sigmoid" and result.model.loss == "sigmoid_squared_error"
        tell.lines(["", *epoch_lines(result, every, squared)])
    if preset == "sigmoid" or every:
        tell.lines(report_lines(result))
    if explain:
        tell.lines(["", *_explained(result)])
    _write(tell, result, None if no_files else Path(out), name, export_python, force)
    if as_json:
        print_json(result.as_json())
    raise typer.Exit(0 if result.walk.success or (result.walk.status == "budget" and asked) else 1)


def _write(tell: Teller, result: Fit, folder: Path | None, name: str | None, script: str | None, force: bool) -> None:
    """Write the files of a fit into a folder, and its script; what is to be said about them."""
    written: list[Path] = []
    noted = len(result.told)
    with progress("writing"):
        if folder is not None:
            written += result.save(folder, name, force).values()
        if script:
            written += result.export_python(script, force)
    for line in result.told[noted:]:
        tell.say(line, "note")
    if written:
        tell.say("   ".join(map(str, written)), "wrote")


def _strength(option: str, text: str | None) -> float | str | None:
    """A penalty strength: a number, or the words that the library knows or refuses."""
    try:
        return None if text is None else float(text)
    except ValueError:
        if text in (("auto", "1/n") if option == "--l2" else ("auto",)):
            return text
    known = "a number, auto or 1/n" if option == "--l2" else "a number or auto"
    raise OptionError(f"{option} {text}: expected {known}")


def _class_weight(text: str | None) -> str | dict[str, float] | None:
    """The word balanced, or CLASS=NUMBER pairs with commas between.

    >>> _class_weight("yes=2,no=0.5"), _class_weight("balanced")
    ({'yes': 2.0, 'no': 0.5}, 'balanced')
    """
    if text is None or "=" not in text:
        return text
    pairs = {}
    for word in text.split(","):
        label, _, number = word.rpartition("=")
        try:
            pairs[label.strip()] = float(number)
        except ValueError:
            raise OptionError(f"--class-weight {text}: {word!r} is not CLASS=NUMBER") from None
    return pairs


def _tell_line(tell: Teller, word: str, text: str, seconds: float) -> None:
    tell.say(text + (f"   {seconds:.1f} s" if seconds >= 0.05 else ""), word)


def _target_name(data: str | None, target: str | None) -> str | None:
    """What the files will be called, as far as that is known before anything is read."""
    if target is None and data is not None and data.startswith("example:"):
        from descender.data.examples import EXAMPLES

        known = EXAMPLES.get(data.removeprefix("example:"))
        target = known.target if known else None
    if target is None:
        return None
    return re.split(r"=(?!=)", target, maxsplit=1)[0].strip().strip('"')


def _paths(folder: str, name: str) -> list[Path]:
    return [Path(folder) / f"{file_name(name)}{ending}" for ending in (".descender", ".record.parquet", ".html")]


def epoch_lines(result: Fit, every: int, squared: bool = False) -> list[str]:
    """The cost before epoch 1 and every `every`-th, as the fifth tutorial prints it: `squared` leaves out our 1/2."""
    import numpy as np

    from descender.explain import number

    record = result.walk.record
    full = record["full_cost"][:-1]
    costs = full[np.isfinite(full)] if np.isfinite(full).any() else record["cost"][:-1]
    if result.effects is not None:  # of a network, all rows are read seldom
        costs = record.epoch_costs(result.model.facts["trained_on"])
    shown = [k for k in range(1, len(costs) + 1) if k == 1 or k % every == 0]
    label = "sum of squared errors" if squared else "cost"
    return [f"epoch {k:>5,}   {label} {number(costs[k - 1] * (2.0 if squared else 1.0))}" for k in shown]


def report_lines(result: Fit) -> list[str]:
    """Precision, recall, F1 and support of each class on the held-out rows; for classes only."""
    if result.task == "regression":
        return []
    from sklearn.metrics import classification_report

    from descender.costs.losses import read_loss

    scores, threshold = result.holdout_scores, read_loss(result.model.loss).threshold
    predicted = scores.argmax(axis=1) if scores.ndim == 2 else (scores > threshold).astype(float)
    names = [str(label) for label in result.model.coding.classes]
    text = classification_report(
        result.holdout_y, predicted, labels=list(range(len(names))), target_names=names, zero_division=0
    )
    return ["", *str(text).rstrip().splitlines()]


def _explained(result: Fit) -> list[str]:
    """One step on the first row that has a target, from the weights at the start."""
    import numpy as np

    from descender.errors import CapabilityError
    from descender.explain import explain_row

    record, risk = result.walk.record, result.first_row
    assert risk is not None
    start = record.path[0] if record.path is not None else np.zeros(risk.n_parameters)
    rates = record["learning_rate"]
    textbook = result.walk.why.endswith("as asked") or "was given" in result.walk.why
    rate = float(rates[0]) if textbook and len(rates) and np.isfinite(rates[0]) else 0.01
    try:
        return explain_row(risk, start, 0, rate)
    except CapabilityError as error:
        return [f"one step: {error}"]
