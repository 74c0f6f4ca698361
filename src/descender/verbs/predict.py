"""A model and any data to a file of predictions, in constant memory."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from descender.errors import ColumnError, DataError, OptionError, suggest
from descender.model import Model
from descender.outputs import check_outputs
from descender.record import write_beside

if TYPE_CHECKING:
    import pyarrow as pa

ENDINGS = (".csv", ".parquet")
PREDICTED = "predicted"


@dataclass
class Predictions:
    """What :func:`predict` returns: where the predictions are, and what was odd about the data.

    ``columns`` are those of the file; ``missing`` and ``rare`` count, by column, the cells without a value and those of
    a category that few training rows had, or none; ``ignored`` are the columns that the model does not read.
    """

    path: Path | None
    described: str
    columns: tuple[str, ...] = ()
    rows: int = 0
    predicted: dict[str, int] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)
    rare: dict[str, int] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def told(self) -> list[str]:
        """What is to be said about the data."""
        told = list(self.notes)
        for counted, what in (
            (self.missing, "without a value"),
            (self.rare, "of a category rare or unseen in training"),
        ):
            told += [f"{name}: {n:,} cell{'s' * (n > 1)} {what}" for name, n in counted.items()]
        if self.ignored:
            more = f" and {len(self.ignored) - 12:,} more" if len(self.ignored) > 12 else ""
            told.append(f"not read, as the model does not know them: {', '.join(self.ignored[:12])}{more}")
        return told

    def as_json(self) -> dict[str, Any]:
        """Plain data: the schema of ``descender predict --json``."""
        return {
            "data": self.described,
            "rows": self.rows,
            "columns": list(self.columns),
            "predicted": self.predicted,
            "missing": self.missing,
            "rare": self.rare,
            "ignored": list(self.ignored),
            "told": self.told,
            "seconds": self.seconds,
            "predictions": None if self.path is None else str(self.path),
        }


def predict(
    model: Model | str | os.PathLike,
    data: Any,
    out: str | os.PathLike | BinaryIO,
    *,
    sql: str | None = None,
    keep: Iterable[str] | str = (),
    force: bool = False,
    progress: Callable[[int], Any] | None = None,
) -> Predictions:
    """Predict all rows of `data` into `out`, block by block, so that neither has to fit in memory.

    `model` is a :class:`~descender.Model` or the path of a saved one; `data` and `sql` are what
    :func:`descender.fit` takes.  `out` ends in .csv or .parquet, or is a binary stream, which gets CSV.  Its columns
    are those to `keep` (``"*"``: all), then ``predicted``, then for a classifier ``p(CLASS)`` for each class, or its
    score where it has no probabilities.  Columns are found by name, in any order.  A file is written beside and
    renamed: it is whole, or as it was before.

    Raises :class:`~descender.errors.RecordError` for a model that cannot be read,
    :class:`~descender.errors.ColumnError` for columns that are not there,
    :class:`~descender.errors.DataError` for data that cannot be read and
    :class:`~descender.errors.OutputError` for a file that cannot be written.

    >>> import descender, tempfile
    >>> model = descender.fit("example:iris").model
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = predict(model, "example:iris", f"{folder}/p.csv", keep=["species"])
    >>> done.rows, done.columns
    (150, ('species', 'predicted', 'p(setosa)', 'p(versicolor)', 'p(virginica)'))
    """
    began = time.perf_counter()
    model = model if isinstance(model, Model) else Model.load(model)
    keep = [keep] if isinstance(keep, str) else list(keep)
    stream: Any = out if hasattr(out, "write") else None
    path = Path(os.fspath(out)) if stream is None else None  # type: ignore[arg-type]
    if path is not None:
        if path.suffix not in ENDINGS:
            raise OptionError(f"out={str(path)!r}: predictions go to a file that ends in {' or '.join(ENDINGS)}")
        _check(path, data, force)
    odd: dict[str, Counter[str]] = {}
    with contextlib.ExitStack() as stack:
        blocks, scored = stack.enter_context(model.open(data, keep, sql, odd))
        keep = list(blocks.names) if keep == ["*"] else keep
        for name in keep:
            if name not in blocks.names:
                raise ColumnError(f"keep: {name!r} is no column of {blocks.described}; {suggest(name, blocks.names)}")
        names = _names(model)
        if twice := [name for name in keep if name in names]:
            raise ColumnError(f"keep: the column {twice[0]} has the name of a prediction; rename or leave it out")
        done = Predictions(path, blocks.described, (*keep, *names))
        tables = _tables(model, scored, keep, names, done, progress)
        if path is not None:
            parquet = path.suffix == ".parquet"
            write_beside(path, lambda file: _write(file, tables, parquet))
        else:
            _write(stream, tables, False)
        read = {column.name for column in model.encoder.columns}
        done.ignored = tuple(n for n in blocks.names if n not in read and n not in keep and n != model.coding.name)
        done.notes = list(blocks.notes)
    for name, counted in odd.items():
        for what, times in counted.items():
            getattr(done, what)[name] = times
    done.seconds = time.perf_counter() - began
    return done


def _names(model: Model) -> tuple[str, ...]:
    """The columns of predictions."""
    classes = model.coding.classes
    if model.has_probabilities:
        return (PREDICTED, *(f"p({label})" for label in classes))
    if len(classes) == 2:
        return (PREDICTED, "score")
    return (PREDICTED, *(f"score({label})" for label in classes))


def _check(out: Path, data: Any, force: bool) -> None:
    """Refuse to write over the data themselves, or over a file that may not be replaced."""
    if isinstance(data, str | os.PathLike) and out.exists() and Path(data).exists() and out.samefile(data):
        raise OptionError(f"out={str(out)!r} is the data themselves: give another name")
    check_outputs([out], force or _is_predicted(out))


def _is_predicted(path: Path) -> bool:
    """Whether a file looks like one that this verb wrote."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.suffix == ".parquet":
            return PREDICTED in pq.read_schema(path).names
        with path.open("rb") as file:
            return f'"{PREDICTED}"'.encode() in file.readline(1 << 20)
    except (OSError, pa.ArrowInvalid):
        return False


def _tables(
    model: Model,
    scored: Iterator[tuple[pa.Table, Any]],
    keep: Sequence[str],
    names: Sequence[str],
    done: Predictions,
    progress: Callable[[int], Any] | None,
) -> Iterator[pa.Table]:
    """The columns of the file, block by block, counted on the way."""
    import pyarrow as pa
    import pyarrow.compute as pc

    counts: Counter[str] = Counter()
    for table, scores in scored:
        labels = pa.array(model.labels(scores))
        columns = [labels]
        if model.coding.classes:
            shown = model.probabilities(scores) if model.has_probabilities else scores.reshape(len(scores), -1)
            columns += [pa.array(column) for column in shown.T]
            found = pc.value_counts(labels)
            counts.update(dict(zip(map(str, found.field(0).to_pylist()), found.field(1).to_pylist(), strict=True)))
            done.predicted = {str(label): counts[str(label)] for label in model.coding.classes}
        done.rows += table.num_rows
        if progress:
            progress(done.rows)
        yield pa.table([*(table.column(name) for name in keep), *columns], names=[*keep, *names])
    if not done.rows:
        raise DataError(f"{done.described} has no rows: nothing to predict")


def _write(file: BinaryIO, tables: Iterator[pa.Table], parquet: bool) -> None:
    """Write the blocks with one schema, that of the first."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    first = next(tables)
    opened: Any = pa.parquet.ParquetWriter if parquet else pa.csv.CSVWriter
    with opened(file, first.schema) as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table.cast(first.schema) if table.schema != first.schema else table)
