"""``descender compare``: methods raced on a formula, or on the model of a table, and which of them to take."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from descender.cli import options as o
from descender.cli.output import Teller, fitting, print_json, progress, typed
from descender.errors import OptionError
from descender.outputs import check_outputs, file_name, slug

if TYPE_CHECKING:
    from descender.verbs.compare import Comparison


def compare(
    cost: Annotated[
        str, typer.Argument(help="A formula, or a table: a file, or example:NAME.", metavar="FORMULA|DATA")
    ],
    target: Annotated[
        str | None,
        o.option(
            "--target", help="Of a table: the column, or 'NAME = SQL expression'.", panel=o.START, metavar="COLUMN"
        ),
    ] = None,
    start: Annotated[
        list[str] | None,
        o.option("--start", help="Where the walks start: x=-1.2 y=1.", panel=o.START, metavar="NAME=NUMBER ..."),
    ] = None,
    random_start: Annotated[bool, o.option("--random-start", help="Start at random.", panel=o.START)] = False,
    data: o.Data = None,
    sql: o.Sql = None,
    exclude: o.Exclude = None,
    constant: o.Constants = None,
    l2: Annotated[float | None, o.real("--l2", help="Of a table: penalty l2 |w|²/2 (1/rows).", panel=o.START)] = None,
    l1: Annotated[float, o.real("--l1", help="Of a table: penalty l1 Σ|w|.", panel=o.START)] = 0.0,
    loss: Annotated[
        str | None, o.option("--loss", help="Of a table: the loss of a row.", panel=o.START, metavar="NAME")
    ] = None,
    seed: o.Seed = 0,
    method: Annotated[
        list[str] | None,
        o.option(
            "--method",
            panel=o.METHOD,
            metavar="SPEC",
            help="Race this, such as 'momentum learning_rate=0.01 beta=0.95'; again for another. {methods}.",
        ),
    ] = None,
    to: Annotated[float, o.real("--to", help="The goal, a share of the gap at the start (1e-6).", panel=o.STOP)] = 1e-6,
    to_cost: Annotated[float | None, o.real("--to-cost", help="The goal as a cost.", panel=o.STOP)] = None,
    epochs: Annotated[
        float | None, o.real("--epochs", "-e", help="The deadline: work in readings of all rows.", panel=o.STOP)
    ] = None,
    evaluations: Annotated[
        int | None, o.count("--evaluations", help="The deadline of a cost without rows.", panel=o.STOP)
    ] = None,
    picture: o.Picture = None,
    out: o.Out = ".",
    name: o.Name = None,
    no_files: o.NoFiles = False,
    force: o.Force = False,
    as_json: o.AsJson = False,
) -> None:
    """Race methods to the bottom, counted in work, and say which one to take.

    descender compare "(1-x)**2 + 100*(y-x**2)**2" --start x=-1.2 y=1

    descender compare example:breast_cancer --epochs 30

    descender compare "mean((weight - (m*height + c))**2)" --data example:heights --start m=1 c=0
    """
    from descender.verbs.compare import compare as race
    from descender.verbs.compare import is_table

    tell = Teller(quiet=as_json)
    table = is_table(cost, target)
    stem = name or file_name((target or cost).split("=")[0].strip() if table else slug(cost))
    drawn = Path(picture) if picture else None if no_files else Path(out) / f"{stem}.compare.png"
    if drawn is not None and drawn.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise OptionError(f"--picture {picture}: a picture is saved as .png, .svg or .pdf, by the end of its name")
    page = None if no_files else Path(out) / f"{stem}.compare.html"
    check_outputs([drawn, page], force)
    given, words, told = _problem(cost, table, start, random_start, seed, data, sql, constant)
    if table:
        words = {"target": target, "sql": sql, "exclude": o.words_of(exclude), "loss": loss, "l2": l2, "l1": l1}
    else:
        _refuse_of_formula({"--exclude": exclude, "--loss": loss, "--l2": l2, "--l1": l1 or None})
    for line in told:
        tell.say(line, "read")
    with progress("racing"):
        found = race(
            given, methods=_specs(method), to=to, to_cost=to_cost, max_epochs=epochs, max_evaluations=evaluations,
            seed=seed, progress=lambda word, text, seconds: _tell(tell, word, text, seconds), **words,
        )  # fmt: skip
    tell.lines(["", *race_table(found), ""])
    tell.say(found.summary, "answer", style="good", indent=11)
    for line in found.answers:
        tell.say(line, "measured", indent=11)
    for line in found.left_out:
        tell.say(line, "left out", indent=11)
    for note in found.notes:
        tell.say(note, "note", indent=11)
    if drawn is not None:
        from descender.pictures.style import save

        save(found.plot(), drawn)
        tell.say(str(drawn), "wrote")
    if page is not None:
        tell.say(str(found.report(page, typed("compare"))), "wrote")
    if as_json:
        print_json({**found.as_json(), "picture": _path(drawn), "page": _path(page)})
    raise typer.Exit(0 if found.reached or epochs is not None or evaluations is not None else 1)


def _path(file: Path | None) -> str | None:
    return None if file is None else str(file)


def _problem(
    cost: str, table: bool, start: Any, random_start: bool, seed: int, data: Any, sql: Any, constant: Any
) -> tuple[Any, dict[str, Any], list[str]]:
    """What to race on, the words that go with a formula, and what is to be said about its data."""
    if table:
        given = {"--start": start, "--random-start": random_start or None, "--data": data, "--constant": constant}
        named = next((option for option, value in given.items() if value is not None), None)
        if named:
            raise OptionError(f"{named} goes with a formula; {cost} is a table, whose walks start at zero")
        return cost, {}, []
    from descender.costs.formula import Formula

    columns, told = o.read_columns(data, sql)
    formula = Formula(cost, data=columns, constants=o.assignments("--constant", constant))
    return formula, {"start": o.start_of(formula, start, random_start, seed)}, told


def _refuse_of_formula(given: dict[str, Any]) -> None:
    named = next((option for option, value in given.items() if value is not None), None)
    if named:
        raise OptionError(f"{named} goes with a table and its target, not with a formula")


def _specs(given: list[str] | None) -> list[str] | None:
    """The specifications; names alone may also stand in one word with commas between.

    >>> _specs(["gd,saga", "sgd learning_rate=inverse-time,0.1,0.01"])
    ['gd', 'saga', 'sgd learning_rate=inverse-time,0.1,0.01']
    """
    if given is None:
        return None
    return [part for spec in given for part in ([spec] if "=" in spec else o.words_of([spec]))]


def _tell(tell: Teller, word: str, text: str, seconds: float) -> None:
    tell.say(text + (f"   {seconds:.1f} s" if seconds >= 0.05 else ""), word)


def race_table(found: Comparison) -> list[str]:
    """A row for each method: the work to each level, what was left, seconds; below it what went wrong."""
    from descender.verbs.ranking import LEVELS, level_text

    unit = "epochs" if found.n_samples else "evaluations"
    header: list[Any] = [
        "method",
        "goal",
        *(f"to {level_text(level)}" for level in LEVELS),
        "gap left",
        "work",
        "seconds",
    ]
    rows: list[list[Any]] = []
    for racer in found.racers:
        prices = [found.in_units(racer.prices[level]) for level in LEVELS]
        shown = ["-" if math.isnan(price) else f"{price:.4g}" for price in prices]
        rows.append(
            [
                racer.name,
                "reached" if racer.reached else "",
                *shown,
                f"{racer.final_gap:.2g}",
                f"{found.in_units(float(racer.work[-1])):.4g}",
                f"{racer.seconds:.2g}",
            ]
        )
    width = max(len(row[0]) for row in (header, *rows))
    for row in (header, *rows):
        row[0] = row[0].ljust(width)
    lines = [f"work in {unit} until the gap was within a share of the first one", ""]
    lines += [line.rstrip() for line in fitting(header, rows)]
    trouble = [f"{racer.name}: {racer.trouble}" for racer in found.racers if racer.trouble]
    return lines + (["", *trouble] if trouble else [])
