"""What happened on a walk: a table of watched steps, kept small, saved as Parquet or JSON lines."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.errors import OutputError, RecordError

FORMAT = "descender record 1"
COLUMNS = (
    "step",
    "seconds",
    "rows_seen",
    "evaluations",
    "cost",
    "gradient_norm",
    "step_norm",
    "learning_rate",
    "clipped",
    "full_cost",
    "holdout_cost",
)
"""``cost`` is the cost that the method saw (of its batch); ``full_cost`` and ``holdout_cost`` are measured now and then."""


class Record:
    """A table of watched steps with facts about the walk.

    Row k describes the point after ``step`` steps: its cost and gradient norm, and then the step taken from it (its
    norm, learning rate and whether the gradient was clipped).  ``columns`` maps a name to an array; ``path`` holds the
    points themselves where they are few, one row each, else None; ``facts`` is a JSON-like dict.

    >>> record = Record({"step": np.array([0, 1]), "cost": np.array([4.0, 1.0])}, facts={"method": "gd"})
    >>> len(record), record["cost"][-1]
    (2, np.float64(1.0))
    """

    def __init__(
        self,
        columns: Mapping[str, NDArray],
        path: NDArray | None = None,
        facts: Mapping[str, Any] | None = None,
    ):
        self.columns = {name: np.asarray(values) for name, values in columns.items()}
        self.path = path
        self.facts: dict[str, Any] = dict(facts or {})

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __getitem__(self, name: str) -> NDArray:
        return self.columns[name]

    def __repr__(self) -> str:
        return f"Record({len(self)} rows: {', '.join(self.columns)})"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters, as far as they were kept."""
        return tuple(self.facts.get("names", ()))

    def save(self, path: str | os.PathLike) -> Path:
        """Write to `path`: Parquet, or JSON lines where it ends in ``.jsonl``.  Written beside and renamed."""
        path = Path(path)
        table = {k: v for k, v in self.columns.items()}
        if self.path is not None:
            table |= {f"w:{name}": self.path[:, j] for j, name in enumerate(self._path_names())}
        facts = json.dumps({"format": FORMAT, **self.facts}, default=_plain)
        write_beside(path, lambda file: _write(file, table, facts, path.suffix == ".jsonl"))
        return path

    def _path_names(self) -> Sequence[str]:
        assert self.path is not None
        names = self.names
        return names if len(names) == self.path.shape[1] else [str(j) for j in range(self.path.shape[1])]

    @classmethod
    def load(cls, path: str | os.PathLike) -> Record:
        """Read what :meth:`save` wrote.  Raises :class:`RecordError` for anything else."""
        path = Path(path)
        try:
            columns, facts = _read_lines(path) if path.suffix == ".jsonl" else _read_parquet(path)
        except FileNotFoundError:
            raise RecordError(f"no record at {path}") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RecordError(f"{path} cannot be read as a record: {error}") from None
        if facts.pop("format", None) != FORMAT:
            raise RecordError(f"{path} is not a record of descender (or of a version that this one does not know)")
        where = [k for k in columns if k.startswith("w:")]
        points = np.column_stack([columns.pop(k) for k in where]) if where else None
        return cls(columns, points, facts)


class Recorder:
    """Gathers rows as they come, never more than about twice `limit`: beyond that every other row is dropped.

    Rows with a ``full_cost`` are always kept.
    """

    def __init__(self, limit: int | None = 10_000, path_limit: int = 4_000_000):
        self.limit, self.path_limit = limit, path_limit
        self.stride = 1
        self.rows: list[NDArray] = []
        self.points: list[NDArray] | None = []
        self.count = 0
        self.numbers = 0

    def append(self, rows: NDArray, points: NDArray | None) -> None:
        """Add rows of `COLUMNS`, and the points before them where the method gave them."""
        keep = (rows[:, 0] % self.stride == 0) | ~np.isnan(rows[:, 9])
        self.rows.append(rows[keep])
        self.count += int(keep.sum())
        if self.points is not None:
            if points is None or len(points) != len(rows) or self.numbers + points.size > self.path_limit:
                self.points = None
            else:
                self.points.append(points[keep])
                self.numbers += self.points[-1].size
        if self.limit is not None and self.count > 2 * self.limit:
            self._thin()

    def _thin(self) -> None:
        rows = np.concatenate(self.rows)
        self.stride *= 2
        keep = (rows[:, 0] % self.stride == 0) | ~np.isnan(rows[:, 9])
        self.rows, self.count = [rows[keep]], int(keep.sum())
        if self.points is not None:
            self.points = [np.concatenate(self.points)[keep]]
            self.numbers = self.points[0].size

    def record(self, facts: Mapping[str, Any]) -> Record:
        """What was gathered."""
        rows = np.concatenate(self.rows) if self.rows else np.empty((0, len(COLUMNS)))
        columns: dict[str, NDArray] = {name: rows[:, j] for j, name in enumerate(COLUMNS)}
        columns |= {k: columns[k].astype(np.int64) for k in ("step", "rows_seen", "evaluations")}
        points = np.concatenate(self.points) if self.points else None
        return Record(columns, points, facts)


def write_beside(path: Path, write: Any, binary: bool = True) -> None:
    """Call ``write(file)`` on a temporary file beside `path`, then rename: an old file is lost only to a whole new one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb" if binary else "w", **({} if binary else {"encoding": "utf-8"})) as file:
                write(file)
            os.chmod(name, 0o666 & ~_umask())
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}; nothing was replaced") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _write(file: Any, table: Mapping[str, NDArray], facts: str, lines: bool) -> None:
    if lines:
        file.write((facts + "\n").encode())
        names = list(table)
        for row in zip(*(table[k].tolist() for k in names), strict=True):
            known = {k: v for k, v in zip(names, row, strict=True) if v == v}
            file.write((json.dumps(known, default=_plain) + "\n").encode())
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrow = pa.table(dict(table)).replace_schema_metadata({"descender": facts})
    pq.write_table(arrow, file, compression="zstd")


def _read_parquet(path: Path) -> tuple[dict[str, NDArray], dict[str, Any]]:
    import pyarrow.parquet as pq

    with path.open("rb") as file:
        table = pq.read_table(file)
    facts = json.loads((table.schema.metadata or {}).get(b"descender", b"{}"))
    return {name: table[name].to_numpy() for name in table.column_names}, facts


def _read_lines(path: Path) -> tuple[dict[str, NDArray], dict[str, Any]]:
    first, *rest = path.read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in rest]
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}
    return columns, json.loads(first)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} does not belong in a record")
