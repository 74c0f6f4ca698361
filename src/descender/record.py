"""What happened on a walk: a table of watched steps, kept small, saved as Parquet or JSON lines."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender import cards
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
FULL = COLUMNS.index("full_cost")
"""``cost`` is what the method saw (of its batch); ``full_cost`` and ``holdout_cost`` are measured now and then."""
Table = tuple[dict[str, NDArray], NDArray | None]
"""The columns of a record, and its path."""
WAITING = 1 << 14
"""Numbers of logs and points up to which they wait to become rows until somebody looks."""


class Record:
    """A table of watched steps with facts about the walk.

    Row k describes the point after ``step`` steps: its cost and gradient norm, and then the step taken from it (its
    norm, learning rate and whether the gradient was clipped).  ``columns`` maps a name to an array; ``path`` holds the
    points themselves where they are few, one row each, else None; ``facts`` is a JSON-like dict.

    >>> record = Record({"step": np.array([0, 1]), "cost": np.array([4.0, 1.0])}, facts={"method": "gd"})
    >>> len(record), record["cost"][-1]
    (2, np.float64(1.0))
    """

    _read: Callable[[], Table]

    def __init__(
        self,
        columns: Mapping[str, NDArray],
        path: NDArray | None = None,
        facts: Mapping[str, Any] | None = None,
    ):
        self.columns: dict[str, NDArray] = {name: np.asarray(values) for name, values in columns.items()}
        self.path = path
        self.facts: dict[str, Any] = dict(facts or {})

    @classmethod
    def later(cls, read: Callable[[], Table], facts: Mapping[str, Any]) -> Record:
        """A record whose columns and path are made when somebody first looks at them."""
        record = cls.__new__(cls)
        record._read, record.facts = read, dict(facts)
        return record

    def __getattr__(self, name: str) -> Any:
        if name not in ("columns", "path") or "_read" not in self.__dict__:
            raise AttributeError(f"a record has no {name}")
        self.columns, self.path = self.__dict__.pop("_read")()
        return self.__dict__[name]

    def __getstate__(self) -> dict[str, Any]:
        return {"columns": self.columns, "path": self.path, "facts": self.facts}

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __getitem__(self, name: str) -> NDArray:
        return self.columns[name]

    def __repr__(self) -> str:
        return f"Record({len(self)} rows: {', '.join(self.columns)})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the cost as a line, the first and last rows."""
        about = ", ".join(str(self.facts[k]) for k in ("method", "cost") if k in self.facts)
        n = len(self)
        kept = list(range(n)) if n <= 8 else [*range(4), *range(n - 4, n)]
        rows = [[values[k].item() for values in self.columns.values()] for k in kept]
        curve = cards.sparkline(self.columns.get("cost", np.empty(0)), "cost, step by step")
        return cards.card(f"Record of {n:,} rows", cards.line(about), curve, cards.table(list(self.columns), rows))

    def full_costs(self) -> NDArray[np.float64]:
        """The costs of all samples from the start on, where a walk by batches measured them; else none."""
        measured = np.isfinite(self["full_cost"])
        known = measured.any() and self["step"][measured.argmax()] == 0 and self["step"][-1] > 0
        return self["full_cost"][measured] if known else np.empty(0)

    def epoch_costs(self, n_samples: int) -> NDArray[np.float64]:
        """The mean of the costs of its batches in each epoch, which is a reading of `n_samples`.

        >>> facts = {"rows_seen": np.array([0, 2, 4, 6, 8]), "cost": np.array([4.0, 2.0, 1.0, 1.0, np.nan])}
        >>> Record(facts).epoch_costs(4).tolist()
        [3.0, 1.0]
        """
        stepped = np.isfinite(self["cost"])
        stepped[-1:] = False  # the end of the walk is no step
        epoch = self["rows_seen"][stepped].astype(np.intp) // n_samples
        known = np.unique(epoch)
        return np.array([self["cost"][stepped][epoch == k].mean() for k in known])

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters, as far as they were kept."""
        return tuple(self.facts.get("names", ()))

    def plot(self, kind: str = "cost", ax: Any = None, **options: Any) -> Any:
        """Draw it with Matplotlib; returns the axes.  Kinds and options are those of the walk's own ``plot``.

        What stands on the cost (slice, path, surface) needs a record of a typed formula.
        """
        # By name, since a record is on the ground floor of the house and pictures look at records.
        return import_module("descender.pictures.kinds").plot(self, kind, ax, **options)

    def save(self, path: str | os.PathLike) -> Path:
        """Write to `path`: Parquet, or JSON lines where it ends in ``.jsonl``.  Written beside and renamed."""
        path = Path(path)
        table = dict(self.columns)
        if self.path is not None:
            table |= {f"w:{name}": self.path[:, j] for j, name in enumerate(self._path_names())}
        facts = json.dumps({"format": FORMAT, **self.facts}, default=plain)
        write_beside(path, lambda file: _write(file, table, facts, path.suffix == ".jsonl"))
        return path

    def _path_names(self) -> Sequence[str]:
        assert self.path is not None
        names, count = self.names, self.path.shape[1]
        return names if len(names) == len(set(names)) == count else [str(j) for j in range(count)]

    @classmethod
    def load(cls, path: str | os.PathLike) -> Record:
        """Read what :meth:`save` wrote.  Raises :class:`RecordError` for anything else."""
        path = Path(path)
        try:
            columns, facts = _read_lines(path) if path.suffix == ".jsonl" else _read_parquet(path)
        except FileNotFoundError:
            raise RecordError(f"no record at {path}") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RecordError(f"{path} cannot be read as a record: {error}") from None
        if not isinstance(facts, dict) or facts.pop("format", None) != FORMAT:
            raise RecordError(f"{path} is not a record of descender (or of a version that this one does not know)")
        where = [k for k in columns if k.startswith("w:")]
        points = np.column_stack([columns.pop(k) for k in where]) if where else None
        return cls(columns, points, facts)


class Stretch(NamedTuple):
    """Some consecutive steps, and what a record says of them besides their log.

    ``log`` has for each of them the columns of a record from ``cost`` to ``clipped``, then its evaluations; ``path``
    the point before each of those that are ``kept``, or None.  ``step``, ``seen`` and ``began`` are the number of the
    first, the rows and the seconds before it; ``reads`` the rows that one of them read, or each; ``evaluations`` those
    of J until the last, which they made ``own`` of; ``held`` the held-out costs, where there are any.
    """

    log: Any
    path: Any
    kept: int
    step: int
    seen: int
    began: float
    ended: float
    evaluations: int
    own: int
    reads: Any
    held: NDArray | None

    def copied(self) -> Stretch:
        """With arrays of its own."""
        if not isinstance(self.log, np.ndarray):
            return self
        return self._replace(log=self.log.copy(), path=None if self.path is None else self.path.copy())


def rows_of(stretches: Sequence[Stretch]) -> NDArray:
    """The rows of a record about the steps that are kept."""
    logs = [np.asarray(part.log) for part in stretches]
    counts = np.array([len(log) for log in logs])
    facts = np.array([part[2:9] for part in stretches], dtype=np.float64)
    kept, step, seen, began, ended, evaluations, own = np.repeat(facts, counts, axis=0).T
    reads, log = [np.broadcast_to(part.reads, len(log)) for part, log in zip(stretches, logs, strict=True)], logs[0]
    if len(logs) > 1:
        log = np.concatenate(logs)
    last = np.cumsum(counts) - 1
    first = np.repeat(last - counts, counts)  # the row before

    def before(values: NDArray) -> NDArray:
        """The sum over the rows of a stretch up to each."""
        total = np.append(np.cumsum(values), 0)
        return total[:-1] - total[first]

    number = np.arange(len(log)) - first - 1
    each, done = np.concatenate(reads), before(log[:, 5])
    whole = np.repeat(done[last], counts)
    rows = np.empty((len(log), len(COLUMNS)))
    rows[:, 0] = step + number
    rows[:, 1] = began + number * ((ended - began) / kept)
    rows[:, 2] = seen + before(each) - each
    rows[:, 3] = np.rint(evaluations - np.maximum(1.0, own / np.maximum(whole, 1.0)) * (whole - done))
    rows[:, 4:9] = log[:, :5]
    rows[:, 9:] = np.nan
    rows = rows[number < kept]
    if any(part.held is not None for part in stretches):
        nothing = [np.full(part.kept, np.nan) if part.held is None else part.held for part in stretches]
        rows[:, 10] = np.concatenate(nothing)
    return rows


class Recorder:
    """Gathers rows as they come; beyond about twice `limit` every other one is dropped, again and again.

    Rows of what was measured between steps are thinned apart from the others.
    """

    def __init__(self, limit: int = 10_000, path_limit: int = 4_000_000):
        self.steps, self.measured = _Thinned(limit), _Thinned(limit)
        self.path_limit, self.has_path = path_limit, True
        self.last: tuple[NDArray, NDArray] | None = None
        self.waiting: list[Stretch] = []
        self.numbers = 0

    def note(self, stretch: Stretch) -> None:
        """Add steps, which become rows later, many at once, where they are few."""
        self.numbers += stretch.log.size + (0 if stretch.path is None else stretch.path.size)
        self.waiting.append(stretch if self.numbers > WAITING else stretch.copied())
        if self.numbers > WAITING:
            self._settle()

    def _settle(self) -> None:
        if not self.waiting:
            return
        stretches, self.waiting, self.numbers = self.waiting, [], 0
        known = all(part.path is not None and len(part.path) == part.kept for part in stretches)
        self.append(rows_of(stretches), np.concatenate([part.path for part in stretches]) if known else None)

    def append(self, rows: NDArray, points: NDArray | None, measured: bool = False) -> None:
        """Add rows of `COLUMNS`, and the points before them where the method gave them; of steps, or `measured`."""
        if points is None or len(points) != len(rows):
            self.has_path = self.has_path and not len(rows)
            points = None
        measured = measured or bool(np.count_nonzero(np.isnan(rows[:, FULL])) < len(rows))
        self._keep(self.measured if measured else self.steps, rows, points)

    def _keep(self, series: _Thinned, rows: NDArray, points: NDArray | None) -> None:
        if points is None or not self.has_path:
            points = np.empty((len(rows), 0))
        series.append(rows, points)
        if self.has_path and self.steps.numbers + self.measured.numbers > self.path_limit:
            self.has_path = False
            self.steps.forget_points()
            self.measured.forget_points()

    def end(self, row: NDArray, point: NDArray) -> None:
        """Where the walk ended: a row that always stays."""
        self.last = row[None, :], point[None, :]

    def take_back(self) -> float:
        """Forget the newest step, which led to a point that is not finite; returns its learning rate."""
        self._settle()
        return float(self.steps.pop()[COLUMNS.index("learning_rate")])

    def record(self, facts: Mapping[str, Any]) -> Record:
        """What was gathered."""
        return Record.later(self._table, facts)

    def _table(self) -> Table:
        self._settle()
        last = [] if self.last is None else [self.last]
        rows = np.concatenate(
            [np.empty((0, len(COLUMNS))), *self.steps.rows, *self.measured.rows, *(r for r, _ in last)]
        )
        points = [
            part for part in (*self.steps.points, *self.measured.points, *(point for _, point in last)) if len(part)
        ]
        path = np.concatenate(points) if self.has_path and points else None
        if self.measured.count:
            order = np.argsort(rows[:, 0], kind="stable")
            rows, path = rows[order], None if path is None else path[order]
        columns: dict[str, NDArray] = dict(zip(COLUMNS, np.ascontiguousarray(rows.T), strict=True))
        for name in ("step", "rows_seen", "evaluations"):
            columns[name] = columns[name].astype(np.int64)
        return columns, path


class _Thinned:
    """Rows with their points: every `stride`-th, where the stride doubles as often as it must."""

    def __init__(self, limit: int):
        self.limit, self.stride, self.seen = limit, 1, 0
        self.rows: list[NDArray] = []
        self.points: list[NDArray] = []
        self.count = self.numbers = 0

    def append(self, rows: NDArray, points: NDArray) -> None:
        first = -self.seen % self.stride
        self.seen += len(rows)
        self.rows.append(rows[first :: self.stride].copy())
        self.points.append(points[first :: self.stride].copy())
        self.count += len(self.rows[-1])
        self.numbers += self.points[-1].size
        while self.count > 2 * self.limit:
            self._thin()

    def _thin(self) -> None:
        self.rows, self.points = [np.concatenate(self.rows)[::2]], [np.concatenate(self.points)[::2]]
        self.stride *= 2
        self.count, self.numbers = len(self.rows[0]), self.points[0].size

    def pop(self) -> NDArray:
        while not len(self.rows[-1]):
            self.rows.pop()
            self.points.pop()
        newest = self.rows[-1][-1]
        self.rows[-1], self.points[-1] = self.rows[-1][:-1], self.points[-1][:-1]
        self.count, self.seen = self.count - 1, self.seen - 1
        return newest

    def forget_points(self) -> None:
        self.points = [part[:, :0] for part in self.points]
        self.numbers = 0


def write_beside(path: Path, write: Any) -> None:
    """Call ``write(file)`` on a temporary file beside `path`, then rename: an old file gives way to a whole one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
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
        names = list(table)
        head = json.loads(facts) | {
            "rows": len(next(iter(table.values()), ())),
            "columns": {k: table[k].dtype.str for k in names},
        }
        file.write((json.dumps(head) + "\n").encode())
        for row in zip(*(table[k].tolist() for k in names), strict=True):
            known = {k: v for k, v in zip(names, row, strict=True) if v == v}
            file.write((json.dumps(known, default=plain) + "\n").encode())
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
    facts, rows = json.loads(first), [json.loads(line) for line in rest]
    kinds, count = facts.pop("columns"), facts.pop("rows")
    if len(rows) != count:
        raise ValueError(f"it has {len(rows)} of {count} rows")
    return {name: np.array([row.get(name, np.nan) for row in rows], dtype=kind) for name, kind in kinds.items()}, facts


def plain(value: Any) -> Any:
    """A NumPy scalar or array as what JSON knows, for ``json.dumps(..., default=plain)``."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} does not belong in a record")
