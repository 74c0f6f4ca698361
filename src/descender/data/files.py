"""A file to an Arrow table, read by DuckDB; what DuckDB would guess or repair in silence is settled here first."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import os
import re
import zlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from descender.data.spelling import has_decimal_commas, spells_no_number_on_purpose, spelt_numbers
from descender.data.sql import connect, quoted, reason
from descender.errors import ColumnError, DataError, suggest

if TYPE_CHECKING:
    import pyarrow as pa

MISSING = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null", "?")
"""Cells of a CSV file that hold no value."""

DELIMITERS = ",\t;|"
HEAD_BYTES = 1 << 20
PARQUET, NUMPY, GZIP = b"PAR1", b"\x93NUMPY", b"\x1f\x8b"
READERS = {".parquet": "parquet", ".pq": "parquet", ".json": "json", ".jsonl": "json", ".ndjson": "json", ".npy": "npy"}
FOREIGN = {
    ".xlsx": "an Excel workbook: save the sheet as CSV",
    ".xls": "an Excel workbook: save the sheet as CSV",
    ".ods": "a spreadsheet: save the sheet as CSV",
    ".npz": "several NumPy arrays: save one of them as .npy",
    ".pkl": "a pickle, which can run code when it is read: save it as Parquet",
    ".feather": "a Feather file: save it as Parquet",
    ".arrow": "an Arrow file: save it as Parquet",
    ".h5": "an HDF5 file: save the table as Parquet",
    ".zip": "a zip archive: unpack it first",
    ".zst": "packed with Zstandard: unpack it, or pack it with gzip",
    ".bz2": "packed with bzip2: unpack it, or pack it with gzip",
    ".xz": "packed with xz: unpack it, or pack it with gzip",
}


def check_path(path: Path) -> None:
    """See that there is a file with something in it, or raise :class:`DataError` with the nearest name.

    >>> check_path(Path("no-such-folder/x.csv"))
    Traceback (most recent call last):
    descender.errors.DataError: no-such-folder/x.csv: there is no folder no-such-folder
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder: give one file, or read several with sql=\"SELECT * FROM '{path}/*.csv'\"")
    if not path.exists():
        if not path.parent.is_dir():
            raise DataError(f"{path}: there is no folder {path.parent}")
        near = suggest(path.name, sorted(p.name for p in path.parent.iterdir() if p.is_file() and p.name[0] != "."))
        raise DataError(f"{path}: no such file; in {path.parent.absolute()}: {near}")
    if not os.access(path, os.R_OK):
        raise DataError(f"{path} may not be read: permission denied")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty: expected a header line and rows below it")


def stem(path: Path) -> str:
    """The name of a file without its suffixes, which names what is made from it.

    >>> stem(Path("data/flights.2013.csv.gz"))
    'flights.2013'
    """
    name = path.name.removesuffix(".gz")
    return Path(name).stem or name


def kind(path: Path) -> str:
    """What the file is, by its first bytes and then by its suffix: csv, parquet, json or npy."""
    with path.open("rb") as file:
        magic = file.read(6)
    if magic[:4] == PARQUET:
        return "parquet"
    if magic == NUMPY:
        return "npy"
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix in FOREIGN:
        raise DataError(f"{path} is {FOREIGN[suffix]} (CSV, Parquet, JSON lines and .npy can be read)")
    return READERS.get(suffix, "csv")


def read_file(path: Path, shown: str) -> tuple[pa.Table, list[str]]:
    """The table that a file holds and what had to be assumed; `shown` is its name in messages."""
    check_path(path)
    what = kind(path)
    if what == "npy":
        return read_npy(path, shown), []
    if what == "csv":
        return read_csv(path, shown)
    import duckdb

    try:
        table = connect().sql(f"SELECT * FROM {scan(path, what)}").to_arrow_table()
    except duckdb.Error as error:
        raise DataError(f"{shown} cannot be read as {what}: {reason(error)}") from None
    return table, []


def scan(path: Path, what: str) -> str:
    """The DuckDB call that reads a file of Parquet or JSON."""
    return f"read_{what}({_literal(path)}, hive_partitioning=false)"


def _literal(path: Path) -> str:
    # DuckDB reads a path as a pattern: the signs of patterns stand for themselves in brackets
    return quoted(re.sub(r"[\[*?]", lambda sign: f"[{sign[0]}]", str(path)))


def read_npy(path: Path, shown: str) -> pa.Table:
    """The columns x0, x1, ... of a two-dimensional array of numbers."""
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{shown} cannot be read as an array of numbers: {error}") from None
    return from_array(array, shown)


def from_array(array: np.ndarray, shown: str) -> pa.Table:
    """The columns x0, x1, ... of a two-dimensional array of numbers.

    >>> from_array(np.eye(2), "an array").column_names
    ['x0', 'x1']
    """
    import pyarrow as pa

    if array.ndim != 2:
        raise DataError(
            f"{shown} has shape {array.shape}: expected two dimensions, a row for each sample and a column for each "
            f"feature{'; reshape(-1, 1) makes one column of it' if array.ndim == 1 else ''}"
        )
    if array.dtype.kind not in "biuf":
        raise DataError(f"{shown} holds {array.dtype}: expected numbers; a dict of columns may hold text as well")
    if array.dtype.itemsize > 8:  # long doubles, which Arrow does not know
        array = array.astype(np.float64)
    native = array.dtype.newbyteorder("=")
    return pa.table({f"x{j}": np.ascontiguousarray(array[:, j], dtype=native) for j in range(array.shape[1])})


def read_csv(path: Path, shown: str) -> tuple[pa.Table, list[str]]:
    """A table of delimited text: the header is read strictly, every row must have as many cells."""
    import duckdb

    encoding, text, packed = _head(path, shown)
    notes: list[str] = [f"{shown} is not UTF-8 text: read as Latin-1"] if encoding == "latin-1" else []
    delimiter, names, has_header = _header(text, shown, notes)
    options = {
        "delim": quoted(delimiter),
        "header": str(has_header),
        "encoding": quoted(encoding),
        "compression": quoted("gzip" if packed else "none"),
        "nullstr": "[" + ", ".join(map(quoted, MISSING)) + "]",
    }
    ours = [f"c{j}" for j in range(len(names))]  # DuckDB would rename names that differ in case only
    try:
        table = _scan_csv(path, options | {"names": str(ours)})
    except duckdb.Error as error:
        if encoding == "utf-8" and "nvalid unicode" in str(error):
            notes.append(f"{shown} is not UTF-8 text: read as Latin-1")
            options["encoding"] = quoted("latin-1")
        try:  # a cell far down may not be of the type that the first rows suggest: look at all of them
            table = _scan_csv(path, options | {"names": str(ours), "sample_size": "-1"})
        except duckdb.Error as second:
            raise _csv_error(second, path, options, ours, shown, delimiter) from None
    table = table.rename_columns(names)
    if table.num_rows == 0:
        raise DataError(f"{shown} has a header and no row below it: nothing to learn from")
    return _settle_text(table, shown, delimiter, notes), notes


def _scan_csv(path: Path, options: dict[str, str]) -> pa.Table:
    fixed = {"quote": "'\"'", "escape": "'\"'", "comment": "''", "skip": "0", "hive_partitioning": "false"}
    given = ", ".join(f"{key}={value}" for key, value in (fixed | options).items())
    return connect().sql(f"SELECT * FROM read_csv({_literal(path)}, {given})").to_arrow_table()


def _head(path: Path, shown: str) -> tuple[str, str, bool]:
    """The encoding, the beginning as text, and whether the file is packed."""
    with path.open("rb") as file:
        packed = file.read(2) == GZIP
    try:
        with gzip.open(path) if packed else path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{shown} is a damaged gzip file ({error}): pack it again or give the unpacked file") from None
    if head[:2] == codecs.BOM_UTF16_LE:
        return "utf-16", head[2 : len(head) // 2 * 2].decode("utf-16-le", errors="replace"), packed
    if b"\0" in head or head[:2] == codecs.BOM_UTF16_BE:
        raise DataError(f"{shown} is a binary file: expected CSV, Parquet, JSON lines or .npy")
    try:
        # a character may be cut in two at the end of the piece
        text, encoding = codecs.getincrementaldecoder("utf-8-sig")().decode(head), "utf-8"
    except UnicodeDecodeError:
        text, encoding = head.decode("latin-1"), "latin-1"
    if not text.strip():
        raise DataError(f"{shown} holds blank lines only: expected a header line and rows below it")
    return encoding, text, packed


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


def check_names(names: list[str], where: str) -> None:
    """See that no name stands twice, or raise :class:`ColumnError`.

    >>> check_names(["a", "b", "a"], "the table")
    Traceback (most recent call last):
    descender.errors.ColumnError: the table names column "a" 2 times (columns 1, 3): give each column its own name
    """
    for name, times in Counter(names).items():
        if times > 1:
            places = ", ".join(str(j + 1) for j, other in enumerate(names) if other == name)
            raise ColumnError(
                f'{where} names column "{name}" {times} times (columns {places}): give each column its own name'
            )


def _csv_error(
    error: Exception, path: Path, options: dict[str, str], names: list[str], shown: str, delimiter: str
) -> DataError:
    """DuckDB's complaint as ours, with the line where the trouble is."""
    import duckdb

    if "sniffing" in str(error):  # it gave up guessing: as plain text it says which line is wrong
        columns = "{" + ", ".join(f"'{name}': 'VARCHAR'" for name in names) + "}"
        try:
            _scan_csv(path, options | {"columns": columns, "auto_detect": "false"})
        except duckdb.Error as plainer:
            error = plainer
    message = str(error)
    line = re.search(r"CSV Error on Line: (\d+)\n(?:Original Line: (.*)\n)?", message)
    if line is None:
        return DataError(f"{shown} cannot be read: {reason(error)}")
    where = f"{shown}, line {int(line[1]):,}"
    text = f' ("{(line[2] or "")[:60]}")' if line[2] else ""
    if counts := re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", message):
        expected, found = map(int, counts.groups())
        return DataError(
            f"{where}{text} has {found} cell{'s' * (found > 1)} where the first line has {expected}: "
            f"every line needs as many; a cell that holds the delimiter {delimiter!r} must be quoted"
        )
    if "unterminated quote" in message:
        return DataError(f"{where}{text} opens a quote that is never closed: close it, or double a quote inside a cell")
    return DataError(f"{where}{text} cannot be read: {reason(error).split('Original Line')[-1]}")


def _settle_text(table: pa.Table, shown: str, delimiter: str, notes: list[str]) -> pa.Table:
    """Columns of numbers that DuckDB left as text, and a word on strays among numbers."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for j, name in enumerate(table.column_names):
        if not pa.types.is_string(table.schema.field(j).type):
            continue
        cells, unspelt = _trimmed(table.column(j))
        commas = has_decimal_commas(cells) or (delimiter == ";" and pc.any(pc.match_substring(cells, ",")).as_py())
        head = pc.drop_null(cells.slice(0, 10_000))
        if 2 * pc.count(spelt_numbers(head, commas)).as_py() >= len(head) > 0:
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


def _trimmed(cells: pa.ChunkedArray) -> tuple[pa.ChunkedArray, bool]:
    """Text without the space that some writers put after each comma, and whether that spelt missing cells."""
    import pyarrow as pa
    import pyarrow.compute as pc

    spaced = pc.starts_with(cells.slice(0, 1000), " ")
    if not pc.all(spaced, min_count=1).as_py():
        return cells, False
    cells = pc.utf8_trim(cells, " ")
    missing = pc.is_in(cells, value_set=pa.array(MISSING))
    return pc.if_else(missing, pa.scalar(None, pa.string()), cells), pc.any(missing).as_py() or False
