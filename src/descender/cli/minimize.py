"""``descender minimize "FORMULA" --start x=3``: the derivatives, the method and why, the bottom, what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from descender.cli import options as o
from descender.cli.output import Teller, fitting, print_json, progress, typed
from descender.errors import InputError, OptionError
from descender.outputs import check_outputs, script_files, slug

if TYPE_CHECKING:
    from descender.costs.formula import Formula
    from descender.walk import Walk

SHOWN = 6
"""Variables that are shown; of more the first ones."""


def minimize(
    formula: Annotated[str, typer.Argument(help="The cost, such as '(x - 3)**2'.", metavar="FORMULA")],
    start: Annotated[
        list[str] | None,
        o.option("--start", help="Where the walk starts: x=-1.2 y=1.", panel=o.START, metavar="NAME=NUMBER ..."),
    ] = None,
    starts: Annotated[
        str | None,
        o.option("--starts", help="Many: grid 5x5 -5..5, or sobol 64 -5..5.", panel=o.START, metavar="STARTS"),
    ] = None,
    bounds: Annotated[
        list[str] | None,
        o.option("--bounds", help="A box to keep to: x=0..1 y=0..", panel=o.START, metavar="NAME=LOW..HIGH ..."),
    ] = None,
    random_start: Annotated[bool, o.option("--random-start", help="Start at random.", panel=o.START)] = False,
    data: o.Data = None,
    sql: o.Sql = None,
    constant: o.Constants = None,
    seed: o.Seed = 0,
    method: o.MethodName = "auto",
    learning_rate: o.LearningRate = "auto",
    batch_size: o.BatchSize = None,
    clip_norm: Annotated[
        float | None, o.real("--clip-norm", help="Scale gradients down to this norm.", panel=o.METHOD)
    ] = None,
    clip_value: Annotated[
        float | None, o.real("--clip-value", help="Bound each component of gradients.", panel=o.METHOD)
    ] = None,
    on_divergence: Annotated[
        str | None,
        o.option(
            "--on-divergence", help="stop, recover, raise or continue (NaN shows).", panel=o.METHOD, metavar="WORD"
        ),
    ] = None,
    on_trouble: o.OnTrouble = "tell",
    set: o.Settings = None,
    steps: Annotated[int | None, o.count("--steps", help="Steps, at most.", panel=o.STOP)] = None,
    epochs: o.Epochs = None,
    evaluations: Annotated[
        int | None, o.count("--evaluations", help="Evaluations of J, at most.", panel=o.STOP)
    ] = None,
    seconds: Annotated[float | None, o.real("--seconds", help="Time, at most.", panel=o.STOP)] = None,
    tol: Annotated[float | None, o.option("--tol", help="", panel=o.STOP, hidden=True)] = None,
    gradient_tol: Annotated[
        float | None, o.real("--gradient-tol", help="Norm of the gradient to stop at.", panel=o.STOP)
    ] = None,
    step_tol: Annotated[float | None, o.real("--step-tol", help="Length of a step to stop at.", panel=o.STOP)] = None,
    cost_tol: Annotated[
        float | None, o.real("--cost-tol", help="Relative change of J to stop at.", panel=o.STOP)
    ] = None,
    table: Annotated[
        int | None, o.count("--table", help="Show the first and last N steps as a table (5).", panel=o.OUTPUT)
    ] = None,
    explain: Annotated[
        bool, o.option("--explain", help="Write out the first step with its numbers.", panel=o.OUTPUT)
    ] = False,
    exact: Annotated[
        float | None,
        o.option(
            "--exact",
            help="Solve gradient = 0 by algebra, too, within SECONDS (10).",
            panel=o.OUTPUT,
            metavar="SECONDS",
        ),
    ] = None,
    export_python: o.ExportPython = None,
    picture: o.Picture = None,
    surface: Annotated[bool, o.option("--surface", help="Draw two variables in 3-D.", panel=o.OUTPUT)] = False,
    out: o.Out = ".",
    name: o.Name = None,
    no_files: o.NoFiles = False,
    force: o.Force = False,
    as_json: o.AsJson = False,
) -> None:
    """Descend to a minimum of a typed formula.

    descender minimize "(1-x)**2 + 100*(y-x**2)**2" --start x=-1.2 y=1

    descender minimize "x**4 - 2*x**2 + x/2" --starts grid 9 -2..2

    descender minimize "log(cosh(x))" --start x=10 --method gd -a 0.0021 --table

    descender minimize "mean((weight - (m*height + c))**2)" --data example:heights --start m=1 c=0
    """
    from descender.costs.formula import Formula
    from descender.verbs.minimize import minimize as descend

    tell = Teller(quiet=as_json)
    if tol is not None:
        raise OptionError(
            "--tol asks for a certified gap, which a fit has and a formula has not: give --gradient-tol, --step-tol or "
            "--cost-tol"
        )
    columns, told = o.read_columns(data, sql)
    constants = o.assignments("--constant", constant)
    cost = Formula(formula, data=columns, constants=constants)
    point = o.start_of(cost, start, random_start, seed) if start or random_start or not starts else None
    files = _files(cost, name or slug(formula), Path(out), no_files, picture, export_python)
    beside = script_files(export_python) if export_python and columns is not None else []
    check_outputs([*files.values(), *beside], force)
    for line in told:
        tell.say(line, "read")
    _tell_derivatives(tell, cost)
    settings: dict[str, Any] = {"clip_norm": clip_norm, "clip_value": clip_value}
    settings |= {"batch_size": o.batch_size_of(batch_size), **o.assignments("--set", set)}
    with progress("descending"):
        walk = descend(
            cost, point, method, starts=starts, bounds=" ".join(bounds) if bounds else None,
            learning_rate=learning_rate, gradient_tol=gradient_tol, step_tol=step_tol, cost_tol=cost_tol,
            max_steps=steps, max_evaluations=evaluations, max_epochs=epochs, max_seconds=seconds,
            on_divergence=on_divergence, on_trouble=on_trouble, seed=seed, exact=exact or False, **settings,
        )  # fmt: skip
    walk.record.facts |= {"constants": constants, "data": data, "success": walk.success, "message": walk.message}
    if random_start:
        walk.notes.insert(0, f"random start (seed {seed}): {point_text(cost.names, walk.record.facts['start'])}")
    asked = any(budget is not None for budget in (steps, epochs, evaluations, seconds))
    _tell_walk(tell, walk, asked)
    if table is not None:
        tell.lines(["", *walk_table(cost, walk, table), ""])
    if explain:
        from descender.explain import explain_step

        tell.lines(["", *explain_step(cost, walk, columns, constants), ""])
    if export_python:
        from descender.export import write_python

        write_python(
            cost, walk, files["script"], data=columns, constants=constants, learning_rate=learning_rate, **settings
        )
    written = _write(tell, cost, walk, files, surface)
    if as_json:
        print_json({"formula": formula, **walk_json(cost, walk), **written})
    raise typer.Exit(status(walk, asked))


def _files(
    cost: Formula, name: str, folder: Path, no_files: bool, picture: str | None, script: str | None
) -> dict[str, Any]:
    """What will be written where; a picture of its own accord for one or two variables."""
    drawn = folder / f"{name}.png" if cost.n_parameters <= 2 and not no_files else None
    files: dict[str, Any] = {"record": None if no_files else folder / f"{name}.record.parquet"}
    files["picture"] = Path(picture) if picture else drawn
    files["script"] = script_files(script)[0] if script else None
    files["report"] = None if no_files else folder / f"{name}.html"
    if files["picture"] is not None and files["picture"].suffix.lower() not in (".png", ".svg", ".pdf"):
        raise OptionError(f"--picture {picture}: a picture is saved as .png, .svg or .pdf, by the end of its name")
    return files


def _write(tell: Teller, cost: Formula, walk: Walk, files: dict[str, Any], surface: bool) -> dict[str, Any]:
    """Write the record, the picture and the page; a picture that cannot be drawn is a note."""
    if files["record"] is not None:
        walk.record.save(files["record"])
    if files["picture"] is not None:
        from descender.pictures.kinds import plot, usual
        from descender.pictures.style import save

        try:
            with progress("drawing"):
                drawn = plot(walk, usual(cost, surface)) if walk.minima is None else walk.minima.plot()
                save(drawn, files["picture"])
        except InputError as error:
            walk.notes.append(f"no picture: {error}")
            tell.say(f"no picture: {error}", "note")
            files["picture"] = None
    if files["report"] is not None:
        from descender.report_walk import write_walk_report

        with progress("writing"):
            write_walk_report(walk, files["report"], command=typed("minimize"))
    names = [str(path) for path in files.values() if path is not None]
    if names:
        tell.say("   ".join(names), "wrote")
    return {kind: None if path is None else str(path) for kind, path in files.items()}


def _tell_derivatives(tell: Teller, cost: Formula) -> None:
    from descender.costs.formula import pretty

    for name in cost.names[:SHOWN]:
        head = f"dJ/d{name} = "
        tell.say(head + pretty(cost.derivatives[name]), indent=len(head))
    if cost.n_parameters > SHOWN:
        tell.say(f"... and the derivatives by {cost.n_parameters - SHOWN:,} more variables")


def _tell_walk(tell: Teller, walk: Walk, asked: bool) -> None:
    """The method and why, how the walk ended, and what many starts and algebra found; the record keeps these."""
    tell.say(walk.why)
    tell_outcome(tell, walk, asked)
    if walk.minima is not None:
        walk.record.facts["minima"] = walk.minima.as_json()
        tell.lines(["", *minima_table(walk), ""] if len(walk.minima) else [])
    if walk.stationary is not None:
        walk.record.facts["stationary"] = walk.stationary.as_json()
        tell.say(walk.stationary.says(), "algebra")
        tell.lines(["", *stationary_table(walk), ""] if len(walk.stationary) else [])


def tell_outcome(tell: Teller, walk: Walk, asked: bool = True, word: str = "") -> None:
    """How the walk ended, what was noted on its way, and what is wrong."""
    taken = f"{walk.nit:,} step{'s' * (walk.nit != 1)}, {walk.nfev:,} evaluation{'s' * (walk.nfev != 1)}"
    taken += " of all walks" if walk.minima is not None else ""
    message = walk.message + ("" if walk.status != "budget" or asked else ", the default; --steps N allows more")
    if walk.status == "not_finite":
        tell.say(message, style="wrong")
        tell.say(f"the last finite point: {end_text(walk)}")
    else:
        style = "good" if walk.success and not word else None
        tell.say(f"{taken}: {end_text(walk)}.  {message[:1].upper()}{message[1:]}.", word, style)
    for note in walk.notes[:5]:
        tell.say(note, "note")
    if len(walk.notes) > 5:
        tell.say(f"and {len(walk.notes) - 5:,} more notes, in --json", "note")
    for found in walk.findings:
        tell_finding(tell, found, walk.message)


def tell_finding(tell: Teller, found: Any, said: str = "") -> None:
    """A finding: its code and cause, the evidence if it was not said yet, and what to do."""
    evidence = "" if found.evidence in said else f": {found.evidence}"
    tell.say(f"{found.code} {found.title}{evidence}", style="finding", indent=5)
    tell.say(f"     {found.remedy}", indent=5)


def end_text(walk: Walk) -> str:
    """Where the walk ended, and how low and how flat it is there."""
    from descender.explain import number
    from descender.methods.advance import length

    norm = length(walk.jac)
    lowest = number(walk.fun, 6 if abs(walk.fun) > 1e-6 else 2)
    return f"{point_text(walk.names, walk.x)}, J = {lowest}, gradient {number(norm, 2)}"


def point_text(names: Sequence[str], point: Any) -> str:
    """``x = 1, y = 1``, of many variables the first."""
    from descender.explain import number

    shown = ", ".join(f"{name} = {number(value)}" for name, value in zip(names[:SHOWN], point, strict=False))
    return shown + (", ..." if len(names) > SHOWN else "")


def minima_table(walk: Walk, most: int = 20) -> list[str]:
    """All minima that the starts fell into, the lowest first."""
    rows = walk.minima.rows()
    shown = [[*row[: min(SHOWN, len(walk.names))], *row[-3:]] for row in rows[:most]]
    lines = fitting([*walk.names[:SHOWN], "J", "starts", "share"], shown)
    return lines + ([f"... and {len(rows) - most:,} more minima"] if len(rows) > most else [])


def stationary_table(walk: Walk, most: int = 20) -> list[str]:
    """All stationary points that algebra found, the lowest first, with their closed form if it is short."""
    rows = walk.stationary.rows()
    shown = [[*row[: min(SHOWN, len(walk.names))], *row[-3:]] for row in rows[:most]]
    lines = [line.rstrip() for line in fitting([*walk.names[:SHOWN], "J", "", ""], shown)]
    return lines + ([f"... and {len(rows) - most:,} more"] if len(rows) > most else [])


def walk_table(cost: Formula, walk: Walk, count: int) -> list[str]:
    """The worked table: iteration, each variable, its derivative and its step (old - new), the cost."""
    import numpy as np

    path, numbers = walk.record.path, walk.record["step"]
    if path is None:
        return ["no table: the walk was too long for its points to be kept"]
    last = np.append(numbers[1:] != numbers[:-1], True)  # the second row of a step tells only that an epoch ended
    path, numbers = path[last], numbers[last]
    names = cost.names[: min(SHOWN, cost.n_parameters)]
    header = ["iteration", *names, *(f"dJ/d{n}" for n in names), *(f"step {n}" for n in names), "cost"]
    kept = list(range(len(path)))
    if len(kept) > 2 * count:
        kept = [*kept[:count], *kept[len(kept) - count :]]
    rows: list[list[Any]] = []
    for place, k in enumerate(kept):
        with np.errstate(all="ignore"):
            value, gradient = cost.value_and_gradient(path[k])
        follows = k + 1 < len(path) and numbers[k + 1] == numbers[k] + 1
        steps = (path[k] - path[k + 1]).tolist() if follows else [""] * len(path[k])
        if place and kept[place - 1] != k - 1:
            rows.append(["..."] + [""] * (len(header) - 1))
        shown = len(names)
        rows.append([f"{numbers[k]:,}", *path[k].tolist()[:shown], *gradient.tolist()[:shown], *steps[:shown], value])
    lines = fitting(header, rows)
    reads = np.diff(walk.record["rows_seen"])
    if cost.n_samples and (reads > 0).any() and reads[reads > 0][0] < cost.n_samples:
        lines.append("cost and derivatives are of all rows; the steps followed those of a few")
    return lines


def walk_json(cost: Formula, walk: Walk) -> dict[str, Any]:
    """The walk as plain data: the schema of ``--json``."""
    return {
        "x": walk.variables,
        "fun": walk.fun,
        "jac": dict(zip(walk.names, walk.jac.tolist(), strict=True)),
        "derivatives": dict(cost.derivatives),
        "start": dict(zip(walk.names, walk.record.facts["start"], strict=True)),
        "nit": walk.nit,
        "nfev": walk.nfev,
        "njev": walk.njev,
        "success": walk.success,
        "converged": walk.success,
        "status": walk.status,
        "message": walk.message,
        "method": walk.method,
        "why": walk.why,
        "findings": [found.as_dict() for found in walk.findings],
        "notes": walk.notes,
    } | {
        name: found.as_json()
        for name, found in (("minima", walk.minima), ("stationary", walk.stationary))
        if found is not None
    }


def status(walk: Walk, asked: bool = True) -> int:
    """The exit status: 0 at the bottom, or when a budget that was asked for is used up at a finite cost."""
    import math

    return 0 if walk.success or (walk.status == "budget" and asked and math.isfinite(walk.fun)) else 1
