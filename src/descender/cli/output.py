"""What a verb prints: lines for people, one object for programs, progress for a terminal."""

from __future__ import annotations

import json
import math
import os
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from descender.errors import OutputError

STYLES = {"wrong": "1;31", "finding": "1;33", "word": "36", "good": "1"}
"""How kinds of text look in a terminal: red, yellow, cyan, bold."""


def terminal(stream: TextIO | None) -> bool:
    """Whether a person watches the stream."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def coloured(text: str, style: str | None, stream: TextIO | None) -> str:
    """The text in its style, where colours are shown and wanted."""
    if not style or not terminal(stream) or os.environ.get("NO_COLOR"):
        return text
    return f"\033[{STYLES[style]}m{text}\033[0m"


class Teller:
    """Prints lines on standard output, unless it is kept for an object."""

    def __init__(self, quiet: bool = False):
        self.quiet = quiet

    def say(self, text: str = "", word: str = "", style: str | None = None, indent: int = 0) -> None:
        """A line, after a word in a column of its own; folded in a terminal, whole in a pipe."""
        if self.quiet:
            return
        head = f"{word:<10} " if word else ""
        show(folded(text, head, style or ("word" if word else None), max(indent, len(head)), sys.stdout))

    def lines(self, lines: Sequence[str]) -> None:
        """Lines as they are, such as those of a table."""
        if not self.quiet:
            show("\n".join(lines))


def show(text: str) -> None:
    """Lines on standard output at once, or :class:`~descender.errors.OutputError` where it takes none."""
    with to_standard_output():
        print(text, flush=True)


@contextmanager
def to_standard_output() -> Iterator[None]:
    """What is written there is written at once, or is an :class:`~descender.errors.OutputError`."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        # what is left in the buffer would be tried again at the end, and fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputError(f"standard output cannot be written: {error.strerror}; send it elsewhere") from None


def folded(text: str, head: str, style: str | None, indent: int, stream: TextIO | None) -> str:
    """The text after a head, in lines that fit a terminal."""
    whole = head + text
    if terminal(stream):
        width = max(shutil.get_terminal_size().columns, 40)
        whole = textwrap.fill(
            whole, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
        )
    cut = len(head.rstrip()) if head else len(whole)
    return coloured(whole[:cut], style, stream) + whole[cut:]


def complain(message: str) -> None:
    """An error on standard error; lines that are set in are kept, as they point at a place."""
    first, *rest = message.splitlines() or [""]
    print(folded(first, "error: ", "wrong", 7, sys.stderr), file=sys.stderr)
    for line in rest:
        print(line if line.startswith(" ") else f"       {line}", file=sys.stderr)


def warn(message: str) -> None:
    """A remark on standard error."""
    print(folded(message, "note: ", "word", 6, sys.stderr), file=sys.stderr)


def print_json(values: Mapping[str, Any]) -> None:
    """One object on standard output.  Numbers that are not finite become the strings "NaN", "Infinity", "-Infinity"."""
    show(json.dumps(plain(values), ensure_ascii=False, allow_nan=False))


def plain(value: Any) -> Any:
    """The value in the types of JSON.

    >>> import numpy as np
    >>> plain({"x": np.float64("nan"), "n": np.int64(3), "w": np.array([1.0, np.inf])})
    {'x': 'NaN', 'n': 3, 'w': [1.0, 'Infinity']}
    """
    if hasattr(value, "tolist"):  # an array or a number of NumPy
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


@contextmanager
def progress(text: str, total: int | None = None) -> Iterator[Any]:
    """A line that moves on standard error while something runs, if that is a terminal; yields what takes the count."""
    if not terminal(sys.stderr):
        yield lambda done, total=None, text=None: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = [SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()]
    if total:
        columns.insert(2, BarColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=terminal(sys.stdout)) as shown:
        task = shown.add_task(text, total=total)
        yield lambda done, total=None, text=None: shown.update(task, completed=done, description=text)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of right-aligned columns.

    >>> table(["step", "x"], [["0", "-1.2"], ["10", "1"]])
    ['step     x', '   0  -1.2', '  10     1']
    """
    widths = [max(len(row[j]) for row in [header, *rows]) for j in range(len(header))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in [header, *rows]]


def fitting(header: Sequence[str], rows: Sequence[Sequence[float | str]]) -> list[str]:
    """A table of numbers with as many digits, at most six and at least three, as fit the terminal; six in a pipe."""
    lines: list[str] = []
    width = shutil.get_terminal_size().columns if terminal(sys.stdout) else 1_000
    for digits in (6, 5, 4, 3):
        shown = [[cell if isinstance(cell, str) else f"{cell + 0.0:.{digits}g}" for cell in row] for row in rows]
        lines = table(header, shown)
        if max(map(len, lines)) <= width:
            break
    return lines


def typed(verb: str) -> str:
    """The command as it was typed, for a page; nothing where the verb was called in another way."""
    return shlex.join(["descender", *sys.argv[1:]]) if sys.argv[1:2] == [verb] else ""
