"""``descender verify MODEL DATA``: the certificate of a saved model, computed again on its data."""

from __future__ import annotations

from typing import Annotated

import typer

from descender.cli import options as o
from descender.cli.output import Teller, print_json, progress


def verify(
    model: Annotated[str, typer.Argument(help="A saved model, NAME.descender.", metavar="MODEL")],
    data: Annotated[
        str | None,
        typer.Argument(help="What it was fitted to: a file, - for standard input, or example:NAME.", metavar="DATA"),
    ] = None,
    sql: o.Sql = None,
    tol: Annotated[float, o.real("--tol", help="Relative gap that counts as arrived (1e-6).", panel=o.STOP)] = 1e-6,
    as_json: o.AsJson = False,
) -> None:
    """Prove again, from its weights and the data alone, how far a saved model is from the minimum of its cost.

    descender fit example:iris --target species --name iris

    descender verify iris.descender example:iris

    Status 1: it is further from the minimum than the tolerance, on these data; or a network that has another cost here
    than when it was fitted.
    """
    from descender.errors import DataError
    from descender.verbs.verify import verify as verify_model

    if data is None and sql is None:
        raise DataError("no data were given: give the file that the model was fitted to, -, or --sql")
    tell = Teller(quiet=as_json)
    with progress("verifying"):
        found = verify_model(
            model, data, sql, tol=tol,
            progress=lambda word, text, seconds: tell.say(text, word),
        )  # fmt: skip
    for line in found.told:
        tell.say(line, "differs")
    if found.stored is not None:
        proved = "certified" if found.stored["rigorous"] else "estimated"
        tell.say(
            f"{proved} within {found.stored['relative']:.1e}, at a cost of {found.stored['value']:.9g}", "file says"
        )
    tell.lines(str(found).splitlines())
    if as_json:
        print_json(found.as_json())
    raise typer.Exit(0 if found.ok else 1)
