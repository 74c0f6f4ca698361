"""The command line: each verb is a function of the library, with its words, its lines of output and its exit status.

Exit status: 0 done, also when a budget that was asked for is used up; 1 what was asked was not reached; 2 the input is
wrong.  With ``--json`` one object goes to standard output and nothing else; numbers that are not finite stand in it as
the strings "NaN", "Infinity" and "-Infinity", which ``float`` and ``Number`` read.  After a wrong input standard output
is empty.
"""

from __future__ import annotations

from typing import Annotated

import typer

from descender.cli import compare, diagnose, draw, fit, lab, minimize, online, predict, sweep, verify
from descender.cli.words import Verb

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)
for verb in (
    fit.fit,
    predict.predict,
    verify.verify,
    online.online,
    minimize.minimize,
    sweep.sweep,
    compare.compare,
    draw.draw,
    diagnose.diagnose,
    lab.lab,
):
    app.command(cls=Verb)(verb)


def _version(wanted: bool) -> None:
    if wanted:
        from descender import __version__

        typer.echo(f"descender {__version__}")
        raise typer.Exit


@app.callback(
    epilog="descender minimize '(x - 3)**2' --start x=0\n\ndescender VERB --help shows more examples that run"
)
def descender(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and leave.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Walk downhill: the bottom of any cost, and how far from it the walk stopped."""


def main() -> None:
    """Run the command line."""
    app(prog_name="descender")
