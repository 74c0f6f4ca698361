"""Samples as they arrive: the rows of a CSV file or of standard input, read once and never kept."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import math
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from descender.data.examples import example
from descender.data.files import DELIMITERS, MISSING, check_names, check_path, kind
from descender.errors import ColumnError, DataError, TargetError, suggest

LONGEST_LINE = 1 << 20
"""Characters of one line, at most: a stream without line ends is refused before it fills the memory."""


class Stream:
    """Pairs (x, y) of a header line and the rows below it, each handed on as soon as its line is there.

    `data` is ``-`` for standard input, a path to CSV (also .gz), or ``example:NAME``; all columns but the `target` and
    those in `exclude` are the numbers of x, and ``names`` tells their order.  With ``binary`` a target is 0 or 1.  At
    most one line is held, so that the input may be endless.

    Raises :class:`~descender.errors.DataError` and its kinds for what cannot be read, with its row (from 1) and column.

    >>> stream = Stream("example:heights", "weight")
    >>> stream.names, next(iter(stream))
    (('height',), ([151.0], 49.2))
    """

    def __init__(
        self, data: str | os.PathLike, target: str | None, exclude: Iterable[str] = (), binary: bool = False
    ) -> None:
        self._open = contextlib.ExitStack()
        self.binary, self.row = binary, 0
        try:
            header = self._header(os.fspath(data))
            if target is None and self.described.startswith("example:"):
                target = example(self.described.removeprefix("example:")).target
            self._find(header, target, list(exclude))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; standard input stays open."""
        self._open.close()

    def __iter__(self) -> Iterator[tuple[list[float], float]]:
        width, names, places, at = self._width, self.names, self._places, self._place
        for cells in self._cells:
            if not cells:  # an empty line
                continue
            self.row += 1
            if len(cells) != width:
                raise DataError(
                    f"{self.described}, row {self.row:,} has {len(cells):,} cell{'s' * (len(cells) != 1)}; "
                    f"the header names {width:,} columns"
                )
            try:
                x, y = [float(cells[j]) for j in places], float(cells[at])
                sound = math.isfinite(y) and all(map(math.isfinite, x))
            except (TypeError, ValueError):
                sound = False
            if not sound:
                for name, j in zip((*names, self.target), (*places, at), strict=True):
                    self._check(name, cells[j])
            if self.binary and y not in (0.0, 1.0):
                raise TargetError(
                    f"{self.described}, row {self.row:,}: the target {self.target} is {cells[at]}: expected 0 or 1, "
                    "as the loss is one of two classes; a number is learnt by squared_error"
                )
            yield x, y

    def _header(self, data: str) -> list[str]:
        """The names in the first line; the rows below it are left to be read."""
        self._cells: Iterator[Sequence[Any]]
        if data.startswith("example:"):
            self.described = data
            table = example(data.removeprefix("example:")).table()
            self._cells = zip(*(column.to_pylist() for column in table.columns), strict=True)
            return list(table.column_names)
        self.described = "standard input" if data == "-" else data
        lines = _lines(self._text(data), self.described)
        first = next(lines, "")
        if not first:
            raise DataError(f"{self.described} is empty: expected CSV, a header line and rows below it")
        delimiter = max(DELIMITERS, key=first.count)
        self._cells = _rows(first, lines, delimiter, self.described)
        return [name.strip() for name in next(self._cells, ())]

    def _text(self, data: str) -> io.TextIOWrapper:
        """The characters of a file or of standard input; a read gives what is there and waits for no more."""
        if data == "-":
            text = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig", newline="")
            self._open.callback(text.detach)
            return text
        path = Path(data)
        if not path.is_fifo():
            check_path(path)
            if (what := kind(path)) != "csv":
                raise DataError(f"{path} is {what}: a stream is CSV, read line by line; fit reads {what}")
        opened: Any = gzip.open if path.name.endswith(".gz") else open
        file: BinaryIO = self._open.enter_context(opened(path, "rb"))
        return self._open.enter_context(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""))

    def _find(self, header: list[str], target: str | None, exclude: list[str]) -> None:
        """Which column is what."""
        check_names(header, self.described)
        if target is None:
            raise TargetError(f"no target was given: name the column to predict, one of {', '.join(header[:20])}")
        if target not in header:
            raise TargetError(f"{self.described} has no column {target}; {suggest(target, header)}")
        for name in exclude:
            if name not in header:
                raise ColumnError(f"exclude: {name!r} is no column; {suggest(name, header)}")
        self.target, self._width, self._place = target, len(header), header.index(target)
        self._places = [j for j, name in enumerate(header) if name != target and name not in exclude]
        self.names = tuple(header[j] for j in self._places)
        if not self.names:
            raise DataError(f"{self.described} has no column besides {target}: nothing to learn from")

    def _check(self, name: str, cell: Any) -> None:
        where = f"{self.described}, row {self.row:,}, column {name}"
        todo = "leave such rows out" if name == self.target else "leave such rows out, or exclude the column"
        if cell is None or str(cell).strip() in MISSING:
            raise DataError(f"{where} has no value: {todo}")
        try:
            value = float(cell)
        except ValueError:
            raise DataError(f'{where} is "{str(cell)[:40]}": expected a number; {todo}') from None
        if not math.isfinite(value):
            raise DataError(f"{where} is {cell}: expected a finite number; {todo}")


def _lines(text: io.TextIOWrapper, described: str) -> Iterator[str]:
    """Lines as they come, none longer than may be held."""
    while True:
        try:
            line = text.readline(LONGEST_LINE)
        except UnicodeDecodeError as error:
            raise DataError(f"{described} is not UTF-8 text ({error.reason}): save it as UTF-8") from None
        except (OSError, EOFError) as error:
            raise DataError(f"{described} cannot be read: {error}") from None
        if not line:
            return
        if len(line) == LONGEST_LINE and line[-1] not in "\r\n":
            raise DataError(f"{described} has a line of more than {LONGEST_LINE:,} characters: is it CSV?")
        yield line


def _rows(first: str, lines: Iterator[str], delimiter: str, described: str) -> Iterator[list[str]]:
    """The cells of each row."""
    reader = csv.reader((line for part in ((first,), lines) for line in part), delimiter=delimiter)
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise DataError(f"{described}, line {reader.line_num:,} cannot be read as CSV: {error}") from None
        if cells is None:
            return
        yield cells
