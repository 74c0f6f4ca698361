"""What a user calls data - a path, an example, a query, a table in memory - to one Arrow table with its story."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from descender.data import files
from descender.data.entries import from_sparse
from descender.data.examples import EXAMPLES, example
from descender.data.files import check_names, stem
from descender.data.sql import connect, parse, parts, quoted_name, reason
from descender.errors import ColumnError, DataError, TargetError, suggest

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Source:
    """Rows as they came, before any of them is a number.

    `name` names what is made from them; `described` says where they came from and `notes` what was assumed in
    reading them.  After :func:`add_target`: `target` is the column to learn, `read` the columns that its formula
    reads, `left_out` counts the rows without a target, which `table` no longer holds, and `row_numbers` are the
    numbers (from 1) that the others had.
    """

    name: str
    table: pa.Table
    described: str
    notes: tuple[str, ...] = ()
    target: str | None = None
    read: tuple[str, ...] = ()
    left_out: int = 0
    row_numbers: NDArray[np.int64] | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that may be learnt from: all but the target and those that its formula reads."""
        return tuple(name for name in self.table.column_names if name != self.target and name not in self.read)


def open_source(data: Any, *, sql: str | None = None, least_rows: int = 2) -> Source:
    """The table behind `data`.

    `data` is a path to CSV (tabs and semicolons too, also .gz), Parquet, JSON lines or .npy; ``-`` for CSV on
    standard input; ``example:NAME``; a pandas, Polars or Arrow table; a dict of arrays; a two-dimensional NumPy
    array; or a SciPy sparse matrix.  `sql` is one SELECT, in which the data are the views ``data`` and, for a file,
    its stem; a query may also name files itself, with ``data=None``.  A nested row becomes a column for each of its
    fields, named as a path (``user.age``).  Fewer than `least_rows` rows are refused
    (predicting needs one).

    Raises :class:`~descender.errors.DataError` for what cannot be read and
    :class:`~descender.errors.ColumnError` for repeated or unusable columns.

    >>> source = open_source({"x": [1.0, 2.0], "y": ["a", "b"]})
    >>> source.name, source.described, source.table.column_names
    ('data', 'a dict of 2 columns', ['x', 'y'])
    >>> open_source("example:iris", sql="SELECT species, avg(petal_width) AS w FROM iris GROUP BY 1").table.num_rows
    3
    """
    source = _query(data, sql) if sql is not None else _open(data)
    source = replace(source, table=files.flat(source.table))
    check_names(source.table.column_names, source.described)
    if source.table.num_columns == 0:
        raise DataError(f"{source.described} has no columns")
    rows = source.table.num_rows
    if rows < least_rows:
        raise DataError(f"{source.described} has {'one row' if rows == 1 else 'no rows'}: nothing to learn from")
    return source


def _open(data: Any) -> Source:
    if isinstance(data, str) and data.startswith("example:"):
        name = data.removeprefix("example:")
        return Source(name, example(name).table(), data)
    if not is_place(data):
        return _in_memory(data)
    with located(data) as (path, shown, name):
        table, notes = files.read_file(path, shown)
    return Source(name, table, shown, tuple(notes))


def is_place(data: Any) -> bool:
    """Whether `data` names a file, a pipe or standard input."""
    return isinstance(data, str | os.PathLike) and not str(data).startswith("example:")


@contextlib.contextmanager
def located(data: str | os.PathLike) -> Iterator[tuple[Path, str, str]]:
    """The file behind a path, ``-`` or a pipe, as long as it is read: where it is, how it is shown, what it is called.

    What can be read once goes to a file of its own first: DuckDB looks at the beginning twice.
    """
    if data == "-":
        if sys.stdin is None:
            raise DataError("standard input is closed: send it CSV, a header line and rows below it, or give a path")
        with _spooled(sys.stdin.buffer, "standard input") as path:
            yield path, "standard input", "input"
        return
    path = _path(data)
    if path.is_fifo():
        with path.open("rb") as stream, _spooled(stream, f"the pipe {path}") as spool:
            yield spool, f"the pipe {path}", "input"
        return
    files.check_path(path)
    yield path, str(path), stem(path)


def _path(data: str | os.PathLike) -> Path:
    text = os.fspath(data)
    if "://" in text:
        raise DataError(f"{text} is an address: download the file first, and give its path")
    path = Path(text)
    if text in EXAMPLES and not path.exists():
        raise DataError(f"{text}: no such file: did you mean example:{text}?")
    return path


@contextlib.contextmanager
def _spooled(stream: BinaryIO, shown: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "input"
        with path.open("wb") as spool:
            shutil.copyfileobj(stream, spool)
        if path.stat().st_size == 0:
            raise DataError(f"{shown} is empty: expected CSV, a header line and rows below it")
        yield path


def _in_memory(data: Any) -> Source:
    import pyarrow as pa

    if isinstance(data, Mapping):
        table = _columns([(str(name), values) for name, values in data.items()])
        return Source("data", table, f"a dict of {len(data)} columns")
    if isinstance(data, np.ndarray) and data.dtype.names is not None:
        table = _columns([(name, data[name]) for name in data.dtype.names])
        return Source("data", table, "a structured NumPy array")
    if isinstance(data, np.ndarray):
        return Source("data", files.from_array(data, "a NumPy array"), "a NumPy array")
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        names = [str(name) for name in data.columns]
        check_names(names, "a pandas DataFrame")
        return Source("data", _columns([(n, data.iloc[:, j]) for j, n in enumerate(names)]), "a pandas DataFrame")
    if isinstance(data, pa.Table | pa.RecordBatch | pa.RecordBatchReader):
        table = data.read_all() if isinstance(data, pa.RecordBatchReader) else pa.table(data)
        return Source("data", _without_views(table), "an Arrow table")
    if hasattr(data, "collect_schema") and hasattr(data, "lazy") and not hasattr(data, "__arrow_c_stream__"):
        data = data.collect()  # a lazy frame of Polars
    if hasattr(data, "__arrow_c_stream__"):
        kind_of_data = f"a {type(data).__module__.split('.')[0].capitalize()} {type(data).__name__}"
        return Source("data", _without_views(pa.table(data)), kind_of_data)
    if hasattr(data, "tocsr"):
        return Source("data", from_sparse(data, "a sparse matrix"), "a SciPy sparse matrix")
    raise DataError(
        f"{type(data).__name__} is no table: expected a path, example:NAME, '-', a pandas, Polars or Arrow table, "
        "a dict of arrays, a two-dimensional NumPy array or a SciPy sparse matrix"
    )


def _without_views(table: pa.Table) -> pa.Table:
    """The table in the types for which Arrow has all its functions: no views of text, no runs."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for j, field in enumerate(table.schema):
        column, kind = table.column(j), field.type
        if pa.types.is_run_end_encoded(kind):
            column = pa.chunked_array([pc.run_end_decode(chunk) for chunk in column.chunks], kind.value_type)
        elif pa.types.is_string_view(kind):
            column = column.cast(pa.large_string())
        elif pa.types.is_dictionary(kind) and pa.types.is_string_view(kind.value_type):
            chunks = [pa.DictionaryArray.from_arrays(c.indices, c.dictionary.cast(pa.string())) for c in column.chunks]
            column = pa.chunked_array(chunks, pa.dictionary(kind.index_type, pa.string()))
        else:
            continue
        table = table.set_column(j, field.name, column)
    return table


def _columns(named: list[tuple[str, Any]]) -> pa.Table:
    """Arrow columns of equal length from anything that is a sequence of cells."""
    import pyarrow as pa

    check_names([name for name, _ in named], "the table")
    columns: dict[str, Any] = {}
    for name, values in named:
        if isinstance(values, str | bytes) or not hasattr(values, "__len__") or getattr(values, "ndim", 1) != 1:
            raise ColumnError(f"column {name} is {_shape(values)}: expected one cell for each row")
        try:
            columns[name] = pa.array(_plain(values), from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise ColumnError(
                f"column {name} mixes kinds of cells ({error}): make them all numbers, or all text"
            ) from None
        except (TypeError, ValueError, OverflowError) as error:
            raise ColumnError(
                f"column {name} cannot be read ({error}): make it a NumPy array of numbers, dates or text"
            ) from None
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} has {n}" for name, n in list(lengths.items())[:20])
        raise DataError(f"columns of different lengths ({shown}): expected one cell for each row in every column")
    return pa.table(columns)


def _plain(values: Any) -> Any:
    """A column that Arrow does not know as one that it does: sparse ones in full, periods by their start."""
    kind = str(getattr(values, "dtype", ""))
    if isinstance(values, np.ndarray) and re.fullmatch(r"[<>=]?(datetime|timedelta)64\[(Y|M|W|h|m)\]", kind):
        return values.astype(f"{'datetime64' if values.dtype.kind == 'M' else 'timedelta64'}[s]")
    if isinstance(values, np.ndarray) and values.dtype.kind in "iuf":
        return values.astype(files.native(values), copy=False)
    if kind.startswith("Sparse") and hasattr(values, "sparse"):
        return values.sparse.to_dense()
    if kind.startswith("period") and hasattr(values, "dt"):
        return values.dt.to_timestamp()
    return values


def _shape(values: Any) -> str:
    return f"an array of shape {values.shape}" if hasattr(values, "shape") else f"a single {type(values).__name__}"


def _query(data: Any, sql: str) -> Source:
    """The rows of one SELECT over the data."""
    import duckdb

    relation, name, notes = query(data, sql)
    try:
        table = relation.to_arrow_table()
    except duckdb.Error as error:
        raise DataError(f"the query cannot be run: {reason(error)}: {sql}") from None
    return Source(name, table, f"the query {sql}", notes)


def query(data: Any, sql: str) -> tuple[Any, str, tuple[str, ...]]:
    """One SELECT over the data, not run yet; what the data are called, and what was assumed in reading them."""
    import duckdb

    # one thread: the rows of a grouped query come in the same order, and its sums with the same last digits, each time
    con = connect(threads=1)
    name, notes = _views(con, data) if data is not None else ("query", ())
    try:
        parse(sql)
        return con.sql(sql), name, notes
    except (duckdb.Error, DataError) as error:
        views = " and ".join(f'"{view}"' for view in dict.fromkeys(("data", name)))
        hint = f" (the data are visible as {views})" if data is not None else ""
        raise DataError(f"the query cannot be run: {reason(error)}{hint}: {sql}") from None


def _views(con: Any, data: Any) -> tuple[str, tuple[str, ...]]:
    """Make the data visible to a query; a Parquet file is left to DuckDB, which reads what the query needs."""
    if is_place(data) and str(data) != "-":
        path = _path(data)
        files.check_path(path)
        if files.kind(path) == "parquet":
            for view in dict.fromkeys(("data", stem(path))):
                con.execute(f"CREATE VIEW {quoted_name(view)} AS SELECT * FROM {files.scan(path, 'parquet')}")
            return stem(path), ()
    source = _open(data)
    check_names(source.table.column_names, source.described)
    for view in dict.fromkeys(("data", source.name)):
        con.register(view, source.table)
    return source.name, source.notes


def add_target(source: Source, target: str) -> tuple[Source, str]:
    """The source with its target, and the target's name; rows without a target are left out and counted.

    `target` is a column, or ``"NAME = SQL expression"`` over the columns, which DuckDB evaluates; a column with
    exactly this text as its name wins.  The columns that the expression reads give the answer away: they are
    named in ``read``, and are no ``inputs``.

    Raises :class:`~descender.errors.TargetError` for an expression that cannot be evaluated, for infinite values
    and when no row has a target; :class:`~descender.errors.ColumnError` for a column that is not there.

    >>> source = open_source({"delay": [3, 20, None], "carrier": ["UA", "AA", "UA"]})
    >>> source, name = add_target(source, "late = delay > 15")
    >>> name, source.table["late"].to_pylist(), source.left_out, source.inputs
    ('late', [False, True], 1, ('carrier',))
    """
    table = source.table
    if target in table.column_names:
        return _keep_known(replace(source, target=target)), target
    parts = re.fullmatch(r'\s*(?:"([^"]+)"|([^\W\d]\w*))\s*=(?!=)\s*(.+)', target, flags=re.DOTALL)
    if parts is None:
        known = suggest(target, table.column_names)
        hint = f'; a formula needs a name: "target = {target}"' if re.search(r"[<>=!+*/(]", target) else ""
        raise ColumnError(f'{source.described} has no column "{target}" to learn: {known}{hint}')
    name, expression = parts[1] or parts[2], parts[3].strip()
    if name in table.column_names:
        raise TargetError(
            f'the target "{target}" would replace the column {name}: give it another name, '
            f'as in "my_{name} = {expression}"'
        )
    read = _columns_read(source, target, expression)
    values = _evaluate(source, target, expression, read)
    known_rows = replace(source, table=table.append_column(name, values), target=name, read=read)
    return _keep_known(known_rows), name


def _columns_read(source: Source, target: str, expression: str) -> tuple[str, ...]:
    """The columns that a SQL expression names, as DuckDB's parser sees it."""
    try:
        node = parse(f"SELECT ({expression}\n)")
    except DataError as error:
        raise TargetError(f'the target "{target}" is no SQL expression: {error}') from None
    if len(node["select_list"]) != 1 or any(part.get("class") == "STAR" for part in parts(node)):
        raise TargetError(f'the target "{target}" must give one value for each row')
    given = [name for part in parts(node) if part.get("class") == "COLUMN_REF" for name in part["column_names"]]
    names, read = source.table.column_names, set()
    for folded in {name.casefold() for name in given}:
        same = [name for name in names if name.casefold() == folded]
        if len(same) > 1:
            raise TargetError(f'the target "{target}" cannot tell {same[0]} from {same[1]}: rename one of them')
        read.update(same)
    return tuple(name for name in names if name in read)


def _evaluate(source: Source, target: str, expression: str, read: tuple[str, ...]) -> pa.ChunkedArray:
    import duckdb
    import pyarrow as pa

    con = connect(threads=1)
    con.register("data", source.table.select(read) if read else source.table)
    try:
        values = con.sql(f"SELECT ({expression}\n) AS value FROM data").to_arrow_table().column(0)
    except duckdb.Error as error:
        absent = re.search(r'Referenced column "(.+?)" not found|table named "(.+?)"', str(error))
        if absent:
            column = absent[1] or absent[2]
            near = suggest(column, source.table.column_names)
            raise ColumnError(f'the target "{target}" reads {column}, which is no column: {near}') from None
        raise TargetError(f'the target "{target}" cannot be evaluated: {reason(error)}') from None
    if len(values) != source.table.num_rows or not read or pa.types.is_nested(values.type):
        raise TargetError(f'the target "{target}" must give one value for each row, from the columns of that row')
    return values


def _keep_known(source: Source) -> Source:
    """Leave out the rows without a target."""
    import pyarrow as pa
    import pyarrow.compute as pc

    assert source.target is not None
    values = source.table.column(source.target)
    unknown = pc.is_null(values, nan_is_null=pa.types.is_floating(values.type))
    if pa.types.is_floating(values.type):
        infinite = pc.fill_null(pc.is_inf(values), False).to_numpy()
        if infinite.any():
            raise TargetError(
                f"the target {source.target} is infinite in row {infinite.argmax() + 1:,} of {source.described}: "
                "correct it or leave the row out"
            )
    mask = unknown.to_numpy()
    if not mask.any():
        return source
    if mask.all():
        raise TargetError(f"the target {source.target} has no value in any of the {len(mask):,} rows")
    kept = np.flatnonzero(~mask)
    table = source.table.filter(pc.invert(unknown))
    return replace(source, table=table, left_out=int(mask.sum()), row_numbers=kept + 1)
