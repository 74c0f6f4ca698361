"""Any data as blocks of rows, read once and in constant memory, for a model that is fitted already."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from descender.data import files
from descender.data.columns import is_text
from descender.data.delimited import Delimited, NotTextError, delimited, trimmed
from descender.data.encodings import as_utf8
from descender.data.source import is_place, located, open_source, query
from descender.data.spelling import has_decimal_commas, spelt_numbers
from descender.data.sql import connect, quoted, quoted_name, reason
from descender.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 65_536
"""Rows of a block."""
NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
Wanted = Callable[[Sequence[str]], list[str]]


@dataclass
class Blocks:
    """Rows that come in blocks, with the names of all their columns; iterating reads them, once.

    `notes` says what was assumed in reading, and is whole when the last block was read.
    """

    described: str
    names: tuple[str, ...]
    tables: Iterator[pa.Table]
    notes: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[pa.Table]:
        return self.tables


@contextlib.contextmanager
def open_blocks(
    data: Any, kinds: Mapping[str, str], keep: Sequence[str] = (), sql: str | None = None
) -> Iterator[Blocks]:
    """The rows of `data`, whatever ``open_source`` takes, in blocks: columns in `kinds` and those to `keep` (*: all).

    `kinds` maps a column to the kind that a model knows it as, so that text is read as it was in training: a column
    of categories is text though all its cells spell numbers here.  Columns that are absent are left to the reader.

    >>> with open_blocks({"a": [1, 2], "b": [3, 4]}, {"b": "number"}) as blocks:
    ...     blocks.names, [table.to_pydict() for table in blocks]
    (('a', 'b'), [{'b': [3, 4]}])
    """

    def wanted(names: Sequence[str]) -> list[str]:
        return [name for name in names if name in kinds or name in keep or "*" in keep]

    with contextlib.ExitStack() as stack:
        if sql is not None:
            relation, _, notes = query(data, sql)
            yield _relation(lambda: relation, f"the query {sql}", wanted, "cannot be run", notes)
        elif is_place(data):
            path, shown, _ = stack.enter_context(located(data))
            match files.kind(path):
                case "csv":
                    yield stack.enter_context(_delimited(path, shown, kinds, wanted))
                case "npy":
                    yield _array(path, shown, wanted)
                case what:
                    con = connect()
                    scan = f"SELECT * FROM {files.scan(path, what)}"
                    yield _relation(lambda: con.sql(scan), shown, wanted, f"cannot be read as {what}")
        else:
            source = open_source(data, least_rows=0)
            table = source.table
            here = table.select(wanted(table.column_names))
            tables = (here.slice(start, ROWS) for start in range(0, table.num_rows, ROWS))
            yield Blocks(source.described, tuple(table.column_names), tables, list(source.notes))


def _relation(select: Callable[[], Any], shown: str, wanted: Wanted, wrong: str, notes: Sequence[str] = ()) -> Blocks:
    """The blocks of what DuckDB reads."""
    import duckdb
    import pyarrow as pa

    try:
        relation = select()
        fields = [pair for column in zip(relation.columns, relation.types, strict=True) for pair in _fields(*column)]
        names = tuple(name for name, _ in fields)
        files.check_names(list(names), shown)
        here = wanted(names)
        chosen = relation.project(
            ", ".join(f"{text} AS {quoted_name(name)}" for name, text in fields if name in here) or "1"
        )
    except duckdb.Error as error:
        raise DataError(f"{shown} {wrong}: {reason(error)}") from None

    def tables() -> Iterator[pa.Table]:
        try:
            for batch in chosen.to_arrow_reader(ROWS):
                yield pa.Table.from_batches([batch])
        except (duckdb.Error, OSError) as error:  # Arrow wraps what DuckDB says
            raise DataError(f"{shown} {wrong}: {reason(error)}") from None

    return Blocks(shown, names, tables(), list(notes))


def _fields(name: str, kind: Any, text: str | None = None) -> Iterator[tuple[str, str]]:
    """The columns that one of DuckDB's becomes, and how SQL writes them: a nested row is a column for each field."""
    text = text or quoted_name(name)
    if kind.id != "struct":
        yield name, text
        return
    for inside, inner in kind.children:
        yield from _fields(f"{name}.{inside}", inner, f"struct_extract({text}, {quoted(inside)})")


def _array(path: Path, shown: str, wanted: Wanted) -> Blocks:
    """The blocks of an array in a file, which stays on disk."""
    array = files.load_array(path, shown, stays=True)
    names = files.from_array(array[:0], shown).column_names
    here = wanted(names)
    parts = (array[start : start + ROWS] for start in range(0, len(array), ROWS))
    return Blocks(shown, tuple(names), (files.from_array(part, shown).select(here) for part in parts))


@contextlib.contextmanager
def _delimited(path: Path, shown: str, kinds: Mapping[str, str], wanted: Wanted) -> Iterator[Blocks]:
    """The blocks of delimited text."""
    import duckdb

    notes: list[str] = []
    with as_utf8(path, shown, notes, thorough=True) as text:
        found = delimited(text, shown, notes)
        con = connect()
        try:
            sniffed, types = found.sniffed(con)
        except duckdb.Error:
            try:
                sniffed, types = found.sniffed(con, sample_size="-1")
            except duckdb.Error as error:
                raise found.complaint(error) from None
        here = wanted(found.names)
        for j, (name, given) in enumerate(zip(found.names, map(str, sniffed.types), strict=True)):
            kind = kinds.get(name)
            if kind in ("category", "text") or (kind is None and name in here):
                types[f"c{j}"] = "VARCHAR"
            elif given in NUMBERS:
                types[f"c{j}"] = "DOUBLE"
        yield Blocks(shown, found.names, _settled(found, con, types, here, kinds, notes), notes)


def _settled(
    found: Delimited, con: Any, types: dict[str, str], here: list[str], kinds: Mapping[str, str], notes: list[str]
) -> Iterator[pa.Table]:
    """Blocks whose text is read as numbers where numbers are known; how, the first block tells."""
    import duckdb
    import pyarrow as pa
    import pyarrow.compute as pc

    places = [found.names.index(name) for name in here]
    commas: dict[str, bool] = {}
    spaced: dict[str, bool] = {}
    try:
        relation = found.relation(con, types=str(types) if types else "")
        for batch in relation.project(", ".join(f"c{j}" for j in places) or "1").to_arrow_reader(ROWS):
            columns: dict[str, pa.ChunkedArray] = {}
            for k, name in enumerate(here):
                cells = pa.chunked_array([batch.column(k)])
                if is_text(cells.type):
                    if spaced.setdefault(name, bool(pc.any(pc.starts_with(cells.slice(0, 1000), " ")).as_py())):
                        cells = trimmed(cells)[0]
                    if kinds.get(name) == "number":
                        if name not in commas:
                            several = found.delimiter == ";" and pc.any(pc.match_substring(cells, ",")).as_py()
                            commas[name] = bool(several) or has_decimal_commas(cells)
                            if commas[name]:
                                notes.append(f"column {name} of {found.shown} is read with decimal commas")
                        numbers = spelt_numbers(cells, commas[name])
                        whole = numbers.null_count == cells.null_count
                        cells = numbers if whole else pc.coalesce(pc.cast(numbers, pa.string()), cells)
                columns[name] = cells
            yield pa.table(columns)
    except (duckdb.Error, OSError) as error:  # Arrow wraps what DuckDB says
        complaint = found.complaint(error)
        raise DataError(f"{found.shown} is no text") if isinstance(complaint, NotTextError) else complaint from None
