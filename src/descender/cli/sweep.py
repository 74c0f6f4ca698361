"""``descender sweep "FORMULA" --range w=-5:5:101``: the brute-force table beside the descent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from descender.cli import options as o
from descender.cli.minimize import point_text, status, tell_outcome, walk_json
from descender.cli.output import Teller, fitting, print_json, progress
from descender.outputs import check_outputs, slug

if TYPE_CHECKING:
    from descender.costs.formula import Formula
    from descender.verbs.sweep import Sweep


def sweep(
    formula: Annotated[str, typer.Argument(help="The cost, such as 'x**4 - 2*x**2'.", metavar="FORMULA")],
    range: Annotated[
        list[str] | None,
        o.option(
            "--range", help="The values to try: LOW:HIGH:COUNT.", panel=o.START, metavar="NAME=LOW:HIGH[:COUNT] ..."
        ),
    ] = None,
    start: Annotated[
        list[str] | None,
        o.option("--start", help="Where the descent starts; else at random.", panel=o.START, metavar="NAME=NUMBER ..."),
    ] = None,
    data: o.Data = None,
    sql: o.Sql = None,
    constant: o.Constants = None,
    seed: o.Seed = 0,
    method: o.MethodName = "auto",
    learning_rate: o.LearningRate = "auto",
    steps: Annotated[int | None, o.count("--steps", help="Steps of the descent, at most.", panel=o.STOP)] = None,
    table: Annotated[int, o.count("--table", help="Rows of the table that are shown (15).", panel=o.OUTPUT)] = 15,
    picture: o.Picture = None,
    out: o.Out = ".",
    name: o.Name = None,
    no_files: o.NoFiles = False,
    force: o.Force = False,
    as_json: o.AsJson = False,
) -> None:
    """Try every point of a grid, and descend beside it.

    descender sweep "(w - 2)**2 + 1" --range w=-5:5:101

    descender sweep "mean((weight - (m*height + c))**2)" --data example:heights --range m=0:2:41 c=-200:90:59
    """
    from descender.costs.formula import Formula
    from descender.errors import OptionError
    from descender.verbs.reading import misspelt
    from descender.verbs.sweep import read_ranges
    from descender.verbs.sweep import sweep as try_all

    tell = Teller(quiet=as_json)
    columns, told = o.read_columns(data, sql)
    cost = Formula(formula, data=columns, constants=o.assignments("--constant", constant))
    if not range:
        example = " ".join(f"{variable}=-5:5:101" for variable in cost.names[:3])
        hint = misspelt(cost.names, cost.column_names)
        raise OptionError(f"which values are to be tried? Give --range {example}{hint}")
    axes = dict(zip(cost.names, read_ranges(cost.names, " ".join(range), cost.column_names), strict=True))
    point = o.start_of(cost, start, False, seed) if start else None
    files = _files(cost, name or slug(formula) + ".sweep", Path(out), no_files, picture)
    check_outputs(files.values(), force)
    for line in told:
        tell.say(line, "read")
    with progress("sweeping", total=_size(axes)) as moved:
        found = try_all(
            cost, axes, point, method=method, learning_rate=learning_rate, seed=seed, max_steps=steps, progress=moved
        )
    tell.lines([*sweep_table(found, table), ""])
    _tell_both(tell, found, point is None, seed)
    written = _write(tell, found, files)
    if as_json:
        print_json(
            {
                "formula": formula,
                "x": dict(zip(found.names, found.x.tolist(), strict=True)),
                "fun": found.fun,
                "nfev": found.nfev,
                "seconds": found.seconds,
                "growth": [{"variables": d, "evaluations": n} for d, n in found.growth()],
                "notes": found.notes,
                "descent": walk_json(cost, found.walk),
                **written,
            }
        )
    raise typer.Exit(status(found.walk))


def _size(axes: dict[str, Any]) -> int:
    import math

    return math.prod(len(axis) for axis in axes.values())


def sweep_table(found: Sweep, count: int) -> list[str]:
    """Some rows of the table, spread evenly, the smallest cost marked."""
    points, costs = found.points(), found.costs.ravel()
    rows = [[*points[k].tolist(), float(costs[k]), "<- smallest" if k == found.best else ""] for k in found.rows(count)]
    lines = [line.rstrip() for line in fitting([*found.names, "cost", ""], rows)]
    left = costs.size - len(rows)
    return lines + ([f"... and {left:,} more"] if left else [])


def _tell_both(tell: Teller, found: Sweep, random: bool, seed: int) -> None:
    """Both answers with their counts, and what the same sweep takes in more variables."""
    from descender.explain import number

    tell.say(f"{found.nfev:,} evaluations: {point_text(found.names, found.x)}, J = {number(found.fun)}", "sweep")
    start = point_text(found.names, found.walk.record.facts["start"])
    tell.say(f"{start}{f', at random (seed {seed})' if random else ''}", "start")
    tell_outcome(tell, found.walk, word="descent")
    for note in found.notes:
        tell.say(note, "note")
    side = max(len(axis) for axis in found.axes)
    if side > 1:
        grown = ", ".join(f"{n:,} in {d}" for d, n in found.growth() if d > len(found.names))
        tell.say(f"{side:,} points a side take {grown} variables" if grown else "", "growth")


def _files(cost: Formula, name: str, folder: Path, no_files: bool, picture: str | None) -> dict[str, Any]:
    drawn = folder / f"{name}.png" if cost.n_parameters <= 2 and not no_files else None
    return {
        "record": None if no_files else folder / f"{name}.record.parquet",
        "picture": Path(picture) if picture else drawn,
    }


def _write(tell: Teller, found: Sweep, files: dict[str, Any]) -> dict[str, Any]:
    """The record of the descent, with the sweep among its facts, and the picture of both."""
    from descender.errors import InputError
    from descender.pictures.slices import describe_sweep, draw_sweep
    from descender.pictures.style import save

    record = found.walk.record
    record.facts["sweep"] = {
        "ranges": {n: [float(a[0]), float(a[-1]), len(a)] for n, a in zip(found.names, found.axes, strict=True)},
        "evaluations": found.nfev,
        "x": found.x.tolist(),
        "cost": found.fun,
    }
    if files["record"] is not None:
        record.save(files["record"])
    if files["picture"] is not None:
        try:
            with progress("drawing"):
                drawn = draw_sweep(describe_sweep(found.points(), found.costs.ravel(), record, found.names))
                save(drawn, files["picture"])
        except InputError as error:
            tell.say(f"no picture: {error}", "note")
            files["picture"] = None
    names = [str(path) for path in files.values() if path is not None]
    if names:
        tell.say("   ".join(names), "wrote")
    return {kind: None if path is None else str(path) for kind, path in files.items()}
