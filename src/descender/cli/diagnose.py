"""``descender diagnose RECORD-OR-LOG``: what went wrong in a training, by its record or log."""

from __future__ import annotations

from typing import Annotated

import typer

from descender.cli import options as o
from descender.cli.output import Teller, print_json
from descender.errors import OptionError


def diagnose(
    log: Annotated[
        str,
        typer.Argument(
            help="A record (.parquet, .jsonl), JSON lines, a JSON history, or CSV such as Lightning's metrics.csv.",
            metavar="RECORD-OR-LOG",
        ),
    ],
    ignore: Annotated[
        list[str] | None,
        o.option("--ignore", help="Codes or causes that are not to be told.", panel=o.OUTPUT, metavar="D415,..."),
    ] = None,
    fail_on: Annotated[
        str | None,
        o.option(
            "--fail-on",
            help="info, warning or critical: status 1 for a finding as severe.",
            panel=o.OUTPUT,
            metavar="WORD",
        ),
    ] = None,
    as_json: o.AsJson = False,
) -> None:
    """Say what went wrong in a training, ours or another's, by its record or log alone.

    descender minimize "(x-3)**2" --start x=0 --method gd -a 1.2 --name bad

    descender diagnose bad.record.parquet --fail-on warning

    Status 1: a finding as severe as --fail-on.
    """
    from descender.doctor.finding import SEVERITIES
    from descender.verbs.diagnose import diagnose_log

    if fail_on is not None and fail_on not in SEVERITIES:
        raise OptionError(f"--fail-on {fail_on}: expected {', '.join(SEVERITIES)}")
    found = diagnose_log(log, o.words_of(ignore))
    tell = Teller(quiet=as_json)
    tell.say(found.described, "read")
    for note in found.told:
        tell.say(note, "note")
    tell.lines(str(found).splitlines())
    if as_json:
        print_json(found.as_json())
    worst = max((SEVERITIES.index(finding.severity) for finding in found), default=-1)
    raise typer.Exit(1 if fail_on is not None and worst >= SEVERITIES.index(fail_on) else 0)
