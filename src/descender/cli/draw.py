"""``descender draw RECORD``: the pictures of a walk from what was saved; of several records their race."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from descender.cli import options as o
from descender.cli.output import Teller, print_json, progress
from descender.errors import OptionError
from descender.outputs import check_outputs

if TYPE_CHECKING:
    from descender.record import Record


def draw(
    records: Annotated[list[str], typer.Argument(help="Saved records; several are raced.", metavar="RECORD")],
    picture: Annotated[
        str,
        o.option(
            "--picture",
            panel=o.OUTPUT,
            metavar="NAME",
            help="cost, gradient_norm, step_norm, learning_rate, clipped or overview; slice, path or surface: the walk "
            "on its formula; layers: of a network; all.",
        ),
    ] = "cost",
    against: Annotated[
        str,
        o.option("--against", help="step, seconds, rows_seen or evaluations.", panel=o.OUTPUT, metavar="WORD"),
    ] = "step",
    excess: Annotated[bool, o.option("--excess", help="Count costs from the lowest one.", panel=o.OUTPUT)] = False,
    out: Annotated[
        str | None,
        o.option(
            "--out",
            panel=o.OUTPUT,
            metavar="FILE",
            help="The .png, .svg or .pdf to write; .gif: a film; .html: a page of all.",
        ),
    ] = None,
    force: o.Force = False,
    as_json: o.AsJson = False,
) -> None:
    """Draw a saved walk.

    descender minimize "log(cosh(x))" --start x=10 --method gd -a 0.0021 --name walk

    descender draw walk.record.parquet --against seconds

    descender draw walk.record.parquet --picture slice --out walk.gif
    """
    from descender.record import Record

    tell = Teller(quiet=as_json)
    loaded = {stem(path): Record.load(path) for path in records}
    first = next(iter(loaded))
    path = Path(out) if out else Path(f"{first}.{picture}.png")
    options: dict[str, Any] = {"against": against, "excess": excess}
    suffix = path.suffix.lower()
    if picture == "all" and suffix not in (".gif", ".html"):
        written = _draw_all(tell, loaded[first], path.with_name(path.name.replace(".all.", ".")), force)
    else:
        check_outputs([path], force)
        with progress("drawing"):
            if suffix == ".html" and len(loaded) == 1:
                _write_page(loaded[first], path, first)
            elif suffix in (".gif", ".html"):
                _write_film(loaded, path, picture)
            else:
                _draw_one(loaded, path, picture, options)
        written = [path]
    tell.say("   ".join(map(str, written)), "wrote")
    if as_json:
        print_json({"pictures": list(map(str, written)), "records": records, "against": against, "kind": picture})


def _draw_one(loaded: dict[str, Record], path: Path, picture: str, options: dict[str, Any]) -> None:
    """One picture of a record, or of several on one cost."""
    from descender.pictures import curves, kinds, style, tracks

    first = next(iter(loaded.values()))
    if len(loaded) == 1:
        style.save(kinds.plot(first, picture, **(options if picture in curves.WHAT else {})), path)
    elif picture in curves.WHAT:
        style.save(curves.draw_curve(curves.describe_race(loaded, what=picture, **options)), path)
    elif picture == "path":
        style.save(tracks.draw_tracks(tracks.describe_tracks(kinds.cost_of(first), loaded)), path)
    else:
        raise OptionError(f"--picture {picture}: of several records there are {', '.join(curves.WHAT)} and path")


def _draw_all(tell: Teller, record: Record, path: Path, force: bool) -> list[Path]:
    """Every picture that there is of a record, each in a file NAME.KIND.SUFFIX; why the others are not there."""
    from descender.pictures import kinds, style

    shown, missing = kinds.all_of(record)
    files = {kind: path.with_name(f"{path.stem}.{kind}{path.suffix}") for kind in shown}
    check_outputs(files.values(), force)
    for kind, why in missing.items():
        tell.say(f"no picture {kind}: {why}", "note")
    with progress("drawing"):
        for kind, file in files.items():
            style.save(kinds.KINDS[kind].draw(shown[kind]), file)
    return list(files.values())


def _write_film(loaded: dict[str, Record], path: Path, picture: str) -> None:
    """The film of a record, or of several that walk side by side."""
    from descender.pictures.film import animate

    walk: Any = loaded if len(loaded) > 1 else next(iter(loaded.values()))
    animate(walk, path, None if picture in ("cost", "all") else picture)


def _write_page(record: Record, path: Path, name: str) -> None:
    """A page with all pictures of a record."""
    from descender.report_walk import write_walk_report

    write_walk_report(record, path, str(record.facts.get("cost") or name))


def stem(path: str) -> str:
    """The name of a record without its endings.

    >>> stem("walks/late.record.parquet")
    'late'
    """
    name = Path(path).name
    for ending in (".parquet", ".jsonl", ".record"):
        name = name.removesuffix(ending)
    return name
