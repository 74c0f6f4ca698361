"""Delimited text, read by DuckDB: what it would guess or repair in silence is settled here first."""

from __future__ import annotations

import csv
import io
import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from descender.data.encodings import as_utf8, is_packed, unpacked
from descender.data.files import DELIMITERS, MISSING, check_names, literal
from descender.data.spelling import has_decimal_commas, spells_no_number_on_purpose, spelt_numbers
from descender.data.sql import connect, quoted, reason
from descender.errors import DataError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

HEAD_BYTES = 1 << 20
SAMPLES = 200
"""Rows whose cells are looked at as they are spelt."""
INFINITE = r"[-+]?inf(inity)?"
"""What DuckDB takes for a time where no other cell says otherwise."""


PLAIN = {
    "BIGINT": "int64",
    "DOUBLE": "float64",
    "VARCHAR": "string",
    "DATE": "date32",
    "TIMESTAMP": "timestamp[us]",
    "TIMESTAMP WITH TIME ZONE": "timestamp[us]",
}
"""Types of DuckDB whose cells Arrow reads alike, and their names in Arrow."""


class NotTextError(Exception):
    """DuckDB met bytes that are not UTF-8."""


def read_csv(path: Path, shown: str) -> tuple[pa.Table, list[str]]:
    """A table of delimited text: the header is read strictly, every row must have as many cells."""
    for thorough in (False, True):
        notes: list[str] = []
        with as_utf8(path, shown, notes, thorough) as text:
            try:
                found = delimited(text, shown, notes)
                table = found.table()
            except NotTextError:
                continue
        if table.num_rows == 0:
            raise DataError(f"{shown} has a header and no row below it: nothing to learn from")
        return _settle_text(table, shown, found.delimiter, notes), notes
    raise DataError(f"{shown} is no text that can be read: save it as UTF-8")


@dataclass(frozen=True)
class Delimited:
    """A file of delimited text in UTF-8: what separates its cells, and its columns, as the first line names them."""

    path: Path
    shown: str
    delimiter: str
    names: tuple[str, ...]
    has_header: bool
    samples: tuple[tuple[str, ...], ...] = ()
    comments: int = 0

    def sniffed(self, con: duckdb.DuckDBPyConnection, **options: str) -> tuple[Any, dict[str, str]]:
        """The rows, not read yet, and for columns c0, c1, ... the types that must be told to read them right.

        Times that are not spelt as ISO 8601 has them are left as text, for the same reason as dates; and so are yes
        and no, which are truth values in no other format: a class is called as the file calls it.
        """
        found = self.relation(con, **options)
        types = {}
        for j, kind in enumerate(map(str, found.types)):
            cells = [cell for row in self.samples if j < len(row) and (cell := row[j].strip()) not in MISSING]
            spelt = cells[0] if cells else ""
            as_words = kind == "BOOLEAN" and spelt.lower() not in ("", "true", "false")
            endless = kind.startswith(("TIMESTAMP", "DATE")) and all(
                re.fullmatch(INFINITE, cell, re.IGNORECASE) for cell in cells
            )
            if kind == "BIGNUM" or endless:  # whole numbers of more digits than Arrow has; no infinite times
                types[f"c{j}"] = "DOUBLE"
            elif as_words or (kind == "TIMESTAMP" and not re.match(r"\d{4}-\d\d?-\d\d?", spelt)):
                types[f"c{j}"] = "VARCHAR"
        return (self.relation(con, types=str(types), **options) if types else found), types

    def relation(self, con: duckdb.DuckDBPyConnection, **options: str) -> duckdb.DuckDBPyRelation:
        """The rows, not read yet; the columns are called c0, c1, ... as DuckDB would rename some otherwise."""
        fixed = {
            "delim": quoted(self.delimiter),
            "header": str(self.has_header),
            "compression": quoted("gzip" if is_packed(self.path) else "none"),
            "nullstr": "[" + ", ".join(map(quoted, MISSING)) + "]",
            "names": str(self._ours),
            "quote": "'\"'",
            "escape": "'\"'",
            "comment": "''",
            "skip": str(self.comments),
            "hive_partitioning": "false",
            "dateformat": "'%Y-%m-%d'",  # whether 3/4 is in March or in April, no reader of one file should guess
        }
        given = ", ".join(f"{key}={value}" for key, value in (fixed | options).items() if value)
        return con.sql(f"SELECT * FROM read_csv({literal(self.path)}, {given})")

    @property
    def _ours(self) -> list[str]:
        return [f"c{j}" for j in range(len(self.names))]

    def table(self) -> pa.Table:
        """All rows.  Raises :class:`NotTextError`, or :class:`~descender.errors.DataError` with the line."""
        import duckdb

        try:
            rows = self.sniffed(connect())[0]
            found = self.plain(list(map(str, rows.types)))
            found = rows.to_arrow_table() if found is None else found
        except duckdb.Error:
            try:  # a cell far down may not be of the type that the first rows suggest: look at all of them
                found = self.sniffed(connect(), sample_size="-1")[0].to_arrow_table()
            except duckdb.Error as error:
                raise self.complaint(error) from None
        return found.rename_columns(list(self.names))

    def plain(self, kinds: list[str]) -> pa.Table | None:
        """The same rows as Arrow reads them, in half the time; None where the two might differ, or anything is wrong.

        They might where a cell is quoted, a line is blank or a column has another type than ``PLAIN``.
        """
        import pyarrow as pa
        import pyarrow.csv

        if len(kinds) < 2 or is_packed(self.path) or not set(kinds) <= set(PLAIN) or not self._unquoted():
            return None
        types = dict(zip(self._ours, (_arrow_type(kind) for kind in kinds), strict=True))
        try:
            return pyarrow.csv.read_csv(
                self.path,
                pyarrow.csv.ReadOptions(column_names=self._ours, skip_rows=self.comments + self.has_header),
                pyarrow.csv.ParseOptions(delimiter=self.delimiter, quote_char=False),
                pyarrow.csv.ConvertOptions(column_types=types, null_values=MISSING, strings_can_be_null=True),
            )
        except pa.ArrowInvalid:  # DuckDB reads more, or says what is wrong
            return None

    def _unquoted(self) -> bool:
        """Whether no byte of the file is a quote, no line above the rows is blank, and none at all before the first."""
        with self.path.open("rb") as file:
            above = [file.readline().strip() for _ in range(self.comments + 1)]
            file.seek(0)
            pieces = iter(lambda: file.read(HEAD_BYTES), b"")
            return all(above) and not any(b'"' in piece or b"\0" in piece for piece in pieces)

    def complaint(self, error: Exception) -> Exception:
        """DuckDB's complaint as ours, with the line where the trouble is."""
        import duckdb

        if "nvalid unicode" in str(error):
            return NotTextError()
        if "sniffing" in str(error):  # it gave up guessing: as plain text it says which line is wrong
            columns = "{" + ", ".join(f"'{name}': 'VARCHAR'" for name in self._ours) + "}"
            try:
                self.relation(connect(), columns=columns, names="", auto_detect="false").to_arrow_table()
            except duckdb.Error as plainer:
                error = plainer
        message = str(error)
        line = re.search(r"CSV Error on Line: (\d+)\n(?:Original Line: (.*)\n)?", message)
        if line is None:
            return DataError(f"{self.shown} cannot be read: {reason(error)}")
        where = f"{self.shown}, line {int(line[1]):,}"
        text = f' ("{(line[2] or "")[:60]}")' if line[2] else ""
        if counts := re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", message):
            expected, found = map(int, counts.groups())
            return DataError(
                f"{where}{text} has {found} cell{'s' * (found > 1)} where the first line has {expected}: "
                f"every line needs as many; a cell that holds the delimiter {self.delimiter!r} must be quoted"
            )
        if "unterminated quote" in message:
            return DataError(
                f"{where}{text} opens a quote that is never closed: close it, or double a quote inside a cell"
            )
        if cell := re.search(r'onvert(?:ing)? .*?string "(.*?)"', message):
            place = re.search(r'column "?c(\d+)"?', message)
            name = f", column {self.names[int(place[1])]}" if place else ""
            return DataError(
                f'{where}{name} is "{cell[1][:40]}", unlike the rows before it: correct the cell, or leave the row out'
            )
        return DataError(f"{where}{text} cannot be read: {reason(error).split('Original Line')[-1]}")


def _arrow_type(kind: str) -> pa.DataType:
    """The type of Arrow for one of ``PLAIN``.

    >>> str(_arrow_type("TIMESTAMP WITH TIME ZONE"))
    'timestamp[us, tz=UTC]'
    """
    import pyarrow as pa

    return pa.timestamp("us", "UTC") if kind.endswith("ZONE") else pa.type_for_alias(PLAIN[kind])


def delimited(path: Path, shown: str, notes: list[str]) -> Delimited:
    """The file as its first line tells; what had to be assumed is noted."""
    with unpacked(path) as file:
        head = file.read(HEAD_BYTES)
    text = head.removeprefix(b"\xef\xbb\xbf").decode(errors="replace")
    if not text.strip():
        raise DataError(f"{shown} holds blank lines only: expected a header line and rows below it")
    comments, text = _without_comments(text)
    if comments:
        lines = "line begins" if comments == 1 else f"{comments} lines begin"
        notes.append(f"the first {lines} with # in {shown}: left out as {'a comment' if comments == 1 else 'comments'}")
    delimiter, names, has_header = _header(text, shown, notes)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        samples = tuple(tuple(row) for row in itertools.islice(rows, int(has_header), SAMPLES))
    except csv.Error:  # DuckDB says what is wrong, and where
        samples = ()
    if len(names) == 1 and _parted_by_spaces(names[0], samples):
        raise DataError(
            f"the cells of {shown} are parted by spaces, as it seems: put commas or tabs between them, and quotes "
            "around text"
        )
    return Delimited(path, shown, delimiter, tuple(names), has_header, samples, comments)


def _without_comments(text: str) -> tuple[int, str]:
    r"""How many lines at the beginning are comments, and the text after them; a header may begin with # as well.

    >>> _without_comments("# made by hand\na,b\n1,2\n"), _without_comments("#,b\n1,2\n")[0]
    ((1, 'a,b\n1,2\n'), 0)
    """
    lines = text.splitlines(keepends=True)
    count = next((k for k, line in enumerate(lines) if not line.startswith("#")), 0)
    if not count or count == len(lines):
        return 0, text
    cells = max(lines[count].count(sign) for sign in DELIMITERS)
    is_header = max(lines[count - 1].count(sign) for sign in DELIMITERS) == cells
    count -= is_header
    return count, "".join(lines[count:])


def _parted_by_spaces(header: str, samples: tuple[tuple[str, ...], ...]) -> bool:
    """Whether every line has as many words as the first, and numbers among them."""
    words = [row[0].split() for row in samples if len(row) == 1]
    width = len(header.split())
    if width < 2 or not words or any(len(row) != width for row in words):
        return False
    return all(any(re.fullmatch(r"[-+]?\d+\.?\d*", cell) for cell in row) for row in words)


def _header(text: str, shown: str, notes: list[str]) -> tuple[str, list[str], bool]:
    """The delimiter, the names of the columns, and whether the first line holds them."""
    try:
        records = {sign: next(csv.reader(io.StringIO(text, newline=""), delimiter=sign)) for sign in DELIMITERS}
    except csv.Error as error:
        raise DataError(f"{shown}, line 1 cannot be read as a header: {error}") from None
    delimiter = max(DELIMITERS, key=lambda sign: len(records[sign]))
    cells = [cell.strip() for cell in records[delimiter]]
    if _is_data(cells):
        notes.append(f"the first line of {shown} holds numbers, not names: its columns are called x0, x1, ...")
        return delimiter, [f"x{j}" for j in range(len(cells))], False
    names = []
    for j, cell in enumerate(cells):
        if not cell:
            cell = next(name for k in range(j + 1, 10**9) if (name := f"column{k}") not in cells)
            notes.append(f"column {j + 1} of {shown} has no name: it is called {cell}")
        names.append(cell)
    check_names(names, f"the header of {shown}")
    return delimiter, names, True


def _is_data(cells: list[str]) -> bool:
    """Whether a first line is a row: some cell is a number, unless they count on as years or as positions do."""
    numbers = [cell for cell in cells if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", cell)]
    if len(numbers) > 1 and all(re.fullmatch(r"0|[1-9]\d*", cell) for cell in numbers):
        counted = [int(cell) for cell in numbers]
        first = counted[0]
        return not (counted == list(range(first, first + len(counted))) and (first == 0 or 1900 <= first <= 2100))
    return bool(numbers)


def _settle_text(table: pa.Table, shown: str, delimiter: str, notes: list[str]) -> pa.Table:
    """Columns of numbers that DuckDB left as text, and a word on strays among numbers."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for j, name in enumerate(table.column_names):
        if not pa.types.is_string(table.schema.field(j).type):
            continue
        cells, unspelt = trimmed(table.column(j))
        head = pc.drop_null(cells.slice(0, 10_000))
        most = max((pc.count(spelt_numbers(head, comma)).as_py() for comma in (False, True)), default=0)
        if 2 * most >= len(head) > 0:
            commas = has_decimal_commas(cells)
            commas = commas or (delimiter == ";" and pc.any(pc.match_substring(cells, ",")).as_py())
            numbers = spelt_numbers(cells, commas)
            strays = pc.and_(pc.is_valid(cells), pc.is_null(numbers))
            many, total = pc.sum(strays).as_py(), len(cells) - cells.null_count
            if many == 0 and (commas or unspelt or not spells_no_number_on_purpose(cells)):
                cells = numbers
                notes.extend([f"column {name} of {shown} is read with decimal commas"] if commas else [])
            elif 0 < many <= total // 10:
                first = int(pc.index(strays, True).as_py())
                notes.append(
                    f"column {name} of {shown}: {many:,} of its {total:,} values {'is' if many == 1 else 'are'} "
                    f'no number, such as "{cells[first].as_py()[:40]}" in row {first + 1:,}'
                )
        table = table.set_column(j, name, cells)
    return table


def trimmed(cells: pa.ChunkedArray) -> tuple[pa.ChunkedArray, bool]:
    """Text without the space that some writers put after each comma, and whether that spelt missing cells."""
    import pyarrow as pa
    import pyarrow.compute as pc

    spaced = pc.starts_with(cells.slice(0, 1000), " ")
    if not pc.all(spaced, min_count=1).as_py():
        return cells, False
    cells = pc.utf8_trim(cells, " ")
    missing = pc.is_in(cells, value_set=pa.array(MISSING))
    return pc.if_else(missing, pa.scalar(None, pa.string()), cells), pc.any(missing).as_py() or False
