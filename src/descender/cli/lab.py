"""``descender lab``: the page in which costs, data and methods are played with."""

from __future__ import annotations

from typing import Annotated

import typer

from descender.cli import options as o

PAGE = "The page"


def lab(
    formula: Annotated[
        str | None, typer.Argument(help="A cost to open with, such as '(x - 3)**2'.", metavar="FORMULA")
    ] = None,
    port: Annotated[
        int | None, o.option("--port", help="8765, or any that is free; 0: any.", panel=PAGE, metavar="N")
    ] = None,
    no_browser: Annotated[bool, o.option("--no-browser", help="Print the address only.", panel=PAGE)] = False,
) -> None:
    """Play with costs, data and methods on a page in the browser.

    Type a cost or drop a CSV file, drag the start, let methods race, and read each step with its numbers.

    This computer serves the page to itself; nothing is loaded from elsewhere.  Ctrl-C ends it.

    \b
    descender lab
    descender lab "(1-x)**2 + 100*(y-x**2)**2" --no-browser
    """
    from urllib.parse import urlencode

    from descender.errors import MissingDependencyError

    try:
        from descender.lab.server import open_port, serve
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"the lab needs {error.name}, which is not installed: pip install starlette uvicorn"
        ) from None

    def ready(address: str) -> None:
        whole = f"{address}#{urlencode({'J': formula})}" if formula else address
        typer.echo(f"the lab is at {whole} - Ctrl-C ends it")
        if not no_browser:
            import webbrowser

            webbrowser.open(whole)

    serve(open_port(port), ready)
