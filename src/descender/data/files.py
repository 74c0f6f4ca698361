"""A file to an Arrow table, read by DuckDB; what DuckDB would guess or repair in silence is settled here first."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from descender.data.sql import connect, quoted, reason
from descender.errors import ColumnError, DataError, suggest

if TYPE_CHECKING:
    import pyarrow as pa

MISSING = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null", "?")
"""Cells of a CSV file that hold no value."""

DELIMITERS = ",\t;|"
PLAIN = "biufU"
"""Kinds of NumPy's types that are cells of a table."""
PARQUET, NUMPY = b"PAR1", b"\x93NUMPY"
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
        there = [p for p in path.parent.iterdir() if p.is_file() and p.name[0] != "."]
        there.sort(key=lambda p: (p.suffix != path.suffix, p.name))  # those of its kind first
        near = suggest(path.name, [p.name for p in there])
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
    if magic.startswith(b'{"'):  # rows of JSON, whatever the file is called, as on standard input
        return "json"
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix in FOREIGN:
        raise DataError(f"{path} is {FOREIGN[suffix]} (CSV, Parquet, JSON lines and .npy can be read)")
    return READERS.get(suffix, "csv")


def read_file(path: Path, shown: str) -> tuple[pa.Table, list[str]]:
    """The table that a file holds and what had to be assumed; `shown` is its name in messages."""
    check_path(path)
    what = kind(path)
    if what == "npy":
        return from_array(load_array(path, shown), shown), []
    if what == "csv":
        from descender.data.delimited import read_csv

        return read_csv(path, shown)
    import duckdb

    try:
        table = connect().sql(f"SELECT * FROM {scan(path, what)}").to_arrow_table()
    except duckdb.Error as error:
        wrong = _first_that_is_no_json(path) if what == "json" else None
        raise DataError(f"{shown}{wrong or f' cannot be read as {what}: {reason(error)}'}") from None
    return table, []


def _first_that_is_no_json(path: Path) -> str | None:
    """Which line of a file of JSON lines is none, and why, as far as one is; DuckDB counts otherwise."""
    from descender.data.encodings import unpacked

    with unpacked(path) as lines:
        for number, line in enumerate(lines, 1):
            if number == 1 and line.lstrip().startswith(b"["):
                return None
            try:
                json.loads(line.strip() or b"{}")
            except json.JSONDecodeError as error:
                return f", line {number:,} is no JSON: {error.msg}, at its {error.colno:,}. sign"
            except UnicodeDecodeError:
                return f", line {number:,} is not UTF-8 text"
    return None


def flat(table: pa.Table) -> pa.Table:
    """The table with a column for each field of its nested rows, named as a path.

    >>> import pyarrow as pa
    >>> flat(pa.table({"user": [{"age": 7, "home": {"city": "Rome"}}]})).column_names
    ['user.age', 'user.home.city']
    """
    import pyarrow as pa

    while any(pa.types.is_struct(kind) for kind in table.schema.types):
        table = table.flatten()
    return table


def scan(path: Path, what: str) -> str:
    """The DuckDB call that reads a file of Parquet or JSON."""
    return f"read_{what}({literal(path)}, hive_partitioning=false)"


def literal(path: Path) -> str:
    """A path as DuckDB reads it: the file of this name, and no other."""
    # DuckDB reads a path as a pattern: the signs of patterns stand for themselves in brackets
    return quoted(re.sub(r"[\[*?]", lambda sign: f"[{sign[0]}]", str(path)))


def load_array(path: Path, shown: str, stays: bool = False) -> np.ndarray:
    """The array in a .npy file, which `stays` on disk where that is wanted."""
    try:
        return np.load(path, allow_pickle=False, mmap_mode="r" if stays else None)
    except (ValueError, EOFError, OSError) as error:
        objects = "it holds Python objects, which can run code when they are read; save numbers, or Parquet"
        reason = objects if "object" in str(error).lower() else error
        raise DataError(f"{shown} cannot be read as an array of numbers: {reason}") from None


def from_array(array: np.ndarray, shown: str) -> pa.Table:
    """The columns x0, x1, ... of a two-dimensional array of numbers.

    >>> from_array(np.eye(2), "an array").column_names
    ['x0', 'x1']
    """
    import pyarrow as pa

    if array.dtype.names is not None and array.ndim == 1:
        check_names(list(array.dtype.names), shown)
        fields = {name: array[name] for name in array.dtype.names}
        wrong = next((name for name, cells in fields.items() if cells.ndim > 1 or cells.dtype.kind not in PLAIN), None)
        if wrong is not None:
            raise DataError(f"{shown}: the field {wrong} holds {array.dtype[wrong]}: expected one number or text a row")
        return pa.table({name: np.ascontiguousarray(cells, native(cells)) for name, cells in fields.items()})
    if array.ndim != 2:
        raise DataError(
            f"{shown} has shape {array.shape}: expected two dimensions, a row for each sample and a column for each "
            f"feature{'; reshape(-1, 1) makes one column of it' if array.ndim == 1 else ''}"
        )
    if array.dtype.kind not in "biuf":
        raise DataError(f"{shown} holds {array.dtype}: expected real numbers; a dict of columns may hold text as well")
    kind = native(array)
    return pa.table({f"x{j}": np.ascontiguousarray(array[:, j], dtype=kind) for j in range(array.shape[1])})


def native(array: np.ndarray) -> np.dtype:
    """The nearest type that Arrow knows: no long doubles, no foreign order of bytes."""
    wide = array.dtype.kind == "f" and array.dtype.itemsize > 8
    return np.dtype(np.float64) if wide else array.dtype.newbyteorder("=")


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
