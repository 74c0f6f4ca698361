"""The command line: each verb is a function of the library, with its words, its lines of output and its exit status.

Exit status: 0 done, also when a budget that was asked for is used up; 1 what was asked was not reached; 2 the input is
wrong.  With ``--json`` one object goes to standard output and nothing else; numbers that are not finite stand in it as
the strings "NaN", "Infinity" and "-Infinity", which ``float`` and ``Number`` read.  After a wrong input standard output
is empty.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from descender.cli import compare, diagnose, draw, fit, lab, minimize, online, predict, sweep, verify
from descender.cli.words import Verb, Verbs

app = typer.Typer(
    cls=Verbs,
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


TABLES = ("fit", "predict", "verify")
"""Verbs that read a table into Arrow."""


def main() -> None:
    """Run the command line, in a process of its own."""
    if sys.argv[1:2] and sys.argv[1] in TABLES:
        _without_pandas()
    app(prog_name="descender")


class _NoPandas:
    """Finds every module but pandas."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        """Let others find it."""
        if name == "pandas":
            raise ModuleNotFoundError(name)


def _without_pandas() -> None:
    """Let Arrow find that there is no pandas: it loads it, half a second, to know its frames, and a command has none.

    Arrow looks once in a process, as it makes its first array; whoever imports pandas later gets it.
    """
    import pyarrow

    if "pandas" in sys.modules:
        return
    sys.meta_path.insert(0, _NoPandas)
    try:
        pyarrow.array([0])
    finally:
        sys.meta_path.remove(_NoPandas)
