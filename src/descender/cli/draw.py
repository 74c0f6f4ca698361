"""``descender draw RECORD``: the picture of a walk from what was saved; of several records their race."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from descender.cli import options as o
from descender.cli.output import Teller, print_json, progress
from descender.outputs import check_outputs, walk_picture

if TYPE_CHECKING:
    from descender.record import Record


def draw(
    records: Annotated[list[str], typer.Argument(help="Saved records; several are raced.", metavar="RECORD...")],
    against: Annotated[
        str,
        o.option("--against", help="step, seconds, rows_seen or evaluations.", panel=o.OUTPUT, metavar="WORD"),
    ] = "step",
    what: Annotated[
        str,
        o.option(
            "--what",
            panel=o.OUTPUT,
            metavar="WORD",
            help="cost, gradient_norm, learning_rate or step_norm; path or surface: the walk on its formula.",
        ),
    ] = "cost",
    excess: Annotated[bool, o.option("--excess", help="Count costs from the lowest one.", panel=o.OUTPUT)] = False,
    out: Annotated[
        str | None,
        o.option("--out", help="The .png, .svg or .pdf to write.", panel=o.OUTPUT, metavar="FILE"),
    ] = None,
    force: o.Force = False,
    as_json: o.AsJson = False,
) -> None:
    """Draw a saved walk.

    descender minimize "log(cosh(x))" --start x=10 --method gd -a 0.0021 --name walk

    descender draw walk.record.parquet --against seconds
    """
    from descender.pictures.curves import describe_curve, describe_race, draw_curve
    from descender.pictures.style import save
    from descender.record import Record

    tell = Teller(quiet=as_json)
    loaded = {stem(path): Record.load(path) for path in records}
    path = Path(out) if out else Path(f"{stem(records[0])}.{what}.png")
    check_outputs([path], force)
    with progress("drawing"):
        first = next(iter(loaded.values()))
        if what in ("path", "surface"):
            axes = walk_picture(cost_of(first), first, what == "surface")
        elif len(loaded) > 1:
            axes = draw_curve(describe_race(loaded, against, what, excess))
        else:
            axes = draw_curve(describe_curve(first, against, what, excess))
        save(axes, path)
    tell.say(str(path), "wrote")
    if as_json:
        print_json({"picture": str(path), "records": records, "against": against, "what": what})


def stem(path: str) -> str:
    """The name of a record without its endings.

    >>> stem("walks/late.record.parquet")
    'late'
    """
    name = Path(path).name
    for ending in (".parquet", ".jsonl", ".record"):
        name = name.removesuffix(ending)
    return name


def cost_of(record: Record) -> Any:
    """The formula that a record tells of, if it stands for itself and has the cost that was recorded."""
    import numpy as np

    from descender.costs.formula import Formula
    from descender.errors import CapabilityError

    if record.facts.get("data"):
        raise CapabilityError("the walk was on a formula over data, which the record does not hold: draw its cost")
    try:
        cost = Formula(str(record.facts.get("cost", "")), constants=record.facts.get("constants"))
        first = cost.value(record.path[0]) if record.path is not None else np.nan
    except ValueError:
        first = np.nan
    if not np.isclose(first, record["cost"][0], rtol=1e-9):
        raise CapabilityError("the record holds no formula that could be drawn: draw its cost, --what cost")
    return cost
