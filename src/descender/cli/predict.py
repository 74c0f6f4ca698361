"""``descender predict MODEL DATA``: the predictions of a saved model for any data, row by row."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Annotated

import typer

from descender.cli import options as o
from descender.cli.output import Teller, print_json, progress, to_standard_output, warn


def predict(
    model: Annotated[str, typer.Argument(help="A saved model, NAME.descender.", metavar="MODEL")],
    data: Annotated[
        str | None,
        typer.Argument(
            help="A file (CSV, Parquet, JSON lines, .npy), - for standard input, or example:NAME.", metavar="DATA"
        ),
    ] = None,
    sql: o.Sql = None,
    keep: Annotated[
        list[str] | None,
        o.option("--keep", help="Columns to carry along, such as an id; '*': all.", panel=o.OUTPUT, metavar="COLUMN"),
    ] = None,
    out: Annotated[
        str | None,
        o.option("--out", help="The .csv or .parquet to write; else CSV is printed.", panel=o.OUTPUT, metavar="FILE"),
    ] = None,
    force: o.Force = False,
    as_json: o.AsJson = False,
) -> None:
    """Predict every row of any data, in constant memory.

    descender fit example:iris --name iris

    descender predict iris.descender example:iris --keep species --out predicted.csv

    Columns are found by name; missing values and unseen categories are handled, and counted.
    """
    from descender.errors import DataError, OptionError
    from descender.verbs.predict import predict as predict_rows

    if as_json and out is None:
        raise OptionError("--json prints the summary where the predictions would go: give them a file with --out")
    if data is None and sql is None:
        raise DataError("no data were given: give a file, - for standard input, or --sql")
    words = ["*"] if keep == ["*"] else o.words_of(keep)
    try:
        with progress("predicting") as shown, to_standard_output() if out is None else contextlib.nullcontext():
            done = predict_rows(
                model, data, out if out is not None else sys.stdout.buffer,
                sql=sql, keep=words, force=force, progress=shown,
            )  # fmt: skip
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    if as_json:
        print_json(done.as_json())
        return
    if out is None:
        for line in done.told:
            warn(line)
        return
    tell = Teller()
    counts = ", ".join(f"{label}: {n:,}" for label, n in list(done.predicted.items())[:12])
    tell.say(f"{done.rows:,} row{'s' * (done.rows != 1)} of {done.described}   {done.seconds:.1f} s", "predicted")
    if counts:
        tell.say(counts, "classes")
    for line in done.told:
        tell.say(line, "note")
    tell.say(str(done.path), "wrote")
