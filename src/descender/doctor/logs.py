"""Logs of trainings, ours or others', as curves: records, JSON lines, JSON histories, CSV such as Lightning's."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.errors import CapabilityError, RecordError
from descender.record import Record

ROLES: dict[str, tuple[str, ...]] = {
    "step": ("step", "global_step", "iteration", "iter", "batch", "steps"),
    "epoch": ("epoch",),
    "loss": ("loss", "train_loss", "training_loss", "loss_train", "cost", "train_cost", "objective", "nll", "mse"),
    "held": ("val_loss", "valid_loss", "validation_loss", "loss_val", "eval_loss", "test_loss", "dev_loss",
             "holdout_cost", "held_out_loss"),
    "rate": ("learning_rate", "lr", "rate", "train_learning_rate", "train_lr"),
    "norm": ("gradient_norm", "grad_norm", "grad_2_0_norm_total", "total_norm", "train_grad_norm"),
}  # fmt: skip
"""What a column may be called, after everything but letters and digits became _ and _step or _epoch was left out."""
WORDS: dict[str, set[str]] = {
    "loss": {"loss", "cost", "nll", "logloss", "objective"}, "rate": {"lr", "rate"}, "norm": {"norm"},
}  # fmt: skip
"""Else the name with one of these words and the fewest others; of losses those of training and of held-out rows."""
HELD = {"val", "valid", "validation", "eval", "test", "dev", "holdout"}
NEVER = {"min", "max", "std", "scale", "best", "time"}
PAIR = re.compile(
    r"""([A-Za-z][\w/.-]*)['"]?\s*[:=]\s*['"]?([-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|nan|inf(?:inity)?)\b)""",
    re.IGNORECASE,
)
STEP = re.compile(r"\b(step|epoch|iter(?:ation)?|batch)\s*\[?\s*(\d+)", re.IGNORECASE)
"""``loss: 0.3``, ``{'loss': '0.3'}`` and ``epoch 7`` in a line of plain text."""


@dataclass
class Curves:
    """A training as numbers over its steps: `loss` with its `step`, and what else the log has; NaN where it has none.

    ``notes`` say what of it could not be read; ``facts`` are a record's.
    """

    described: str
    step: NDArray[np.float64]
    loss: NDArray[np.float64]
    held_step: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    held: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    rate: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    norm: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_curves(source: Any) -> Curves:
    """The curves of a :class:`~descender.Record`, of what has one as ``record`` or ``record_``, or of a file.

    A file is a record (.parquet, .jsonl), JSON lines, a JSON object of lists (a Keras history), or CSV.  Lines that
    are no JSON, or rows with too few cells, are left out and told; of plain text what stands behind names is read.
    Raises :class:`~descender.errors.RecordError` for a file that has no loss, or is none of these.

    >>> curves = of_rows([{"step": k, "train_loss": 1.0 / (k + 1)} for k in range(3)], "a log")
    >>> curves.step.tolist(), curves.loss.round(2).tolist()
    ([0.0, 1.0, 2.0], [1.0, 0.5, 0.33])
    """
    for name in ("walk", "record", "record_"):
        source = getattr(source, name, source)
    if isinstance(source, Record):
        return of_record(source, "a record")
    if isinstance(source, Mapping):
        return of_rows(_across(source), "a history")
    if not isinstance(source, str | os.PathLike):
        raise CapabilityError(
            f"diagnose got a {type(source).__name__}: expected a function make(seed) that returns a training loop, or "
            "a record, a walk, a fit, a history, or the path of one"
        )
    path = Path(source)
    if "tfevents" in path.name:
        raise CapabilityError(
            f"{path}: event files of TensorBoard are not read; export its scalars as CSV, or log JSON lines"
        )
    if path.suffix == ".parquet":
        return of_record(Record.load(path), str(path))
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except FileNotFoundError:
        raise RecordError(f"no record or log at {path}") from None
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror or error}") from None
    return _of_text(text, path)


def _of_text(text: str, path: Path) -> Curves:
    head = text.lstrip()[:1]
    if not head:
        raise RecordError(f"{path} is empty: there is no training to look at")
    lines = [line.lstrip() for line in text.splitlines() if line.strip()]
    mostly = sum(line.startswith("{") for line in lines) > 0.5 * len(lines)
    if head in "{[" or mostly:
        try:
            whole = json.loads(text)
        except ValueError:
            whole = None
        if isinstance(whole, Mapping) and any(isinstance(value, list) for value in whole.values()):
            tables = [
                value
                for value in whole.values()
                if isinstance(value, list) and isinstance(next(iter(value), None), Mapping)
            ]
            return of_rows(_rows_of(max(tables, key=len)) if tables else _across(whole), str(path))
        if isinstance(whole, list):
            return of_rows(_rows_of(whole), str(path))
        if any(line.startswith("{") for line in lines):  # else plain lines that begin with a date
            try:
                return _of_lines(text, path)
            except RecordError:  # dictionaries as Python prints them are words
                if PAIR.search(text) is None:
                    raise
    found = _table(text, path)
    return found if found is not None else _of_words(text, path)


def _table(text: str, path: Path) -> Curves | None:
    """CSV, whatever stands between its cells; None where it has no loss."""
    line = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t|", key=line.count)
    rows, notes = [], []
    reader = csv.DictReader(io.StringIO(text), restkey="", delimiter=delimiter)
    for number, row in enumerate(reader, start=2):
        if None in row.values():
            notes.append(f"line {number:,} has too few cells: what it has was read")
        rows.append({key: value for key, value in row.items() if key and value not in (None, "")})
    if delimiter == ";":  # then a comma may be the decimal point
        rows = [{key: str(value).replace(",", ".") for key, value in row.items()} for row in rows]
    if {re.sub(r"\W", "", str(name).lower()) for row in rows for name in row} == {"walltime", "step", "value"}:
        rows = [
            {"loss" if name.strip().lower() == "value" else name: cell for name, cell in row.items()} for row in rows
        ]
        notes.append("one scalar of TensorBoard, read as a loss")
    try:
        return of_rows(rows, str(path), notes)
    except RecordError:
        if PAIR.search(text) is None:
            raise
        return None


def _of_words(text: str, path: Path) -> Curves:
    """Plain text: the numbers that stand behind names, line by line."""
    rows: list[dict[str, Any]] = []
    for line in text.splitlines():
        row = dict(PAIR.findall(line))
        if row:
            rows.append({name.lower(): value for name, value in STEP.findall(line)} | row)
    return of_rows(rows, str(path), ["no table: the numbers behind names were read"])


def _rows_of(values: list[Any]) -> list[Mapping[str, Any]]:
    """Those of a list that have names, as Hugging Face's ``log_history``; of triples what TensorBoard exports."""
    if values and all(isinstance(row, list) and len(row) == 3 for row in values):
        return [{"step": row[1], "loss": row[2]} for row in values]
    return [_flat(row) for row in values if isinstance(row, Mapping)]


def _of_lines(text: str, path: Path) -> Curves:
    """JSON lines: the good ones; of a record of ours its head tells the facts."""
    rows, notes, facts, bad = [], [], {}, []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            bad.append(number)
            continue
        if isinstance(row, Mapping) and str(row.get("format", "")).startswith("descender record"):
            facts = dict(row)
            if isinstance(row.get("rows"), int) and row["rows"] > text.count("\n") - 1:
                notes.append(f"the record is truncated: {text.count(chr(10)) - 1:,} of {row['rows']:,} rows")
        elif isinstance(row, Mapping):
            rows.append(_flat(row))
    if bad:
        shown = ", ".join(f"{number:,}" for number in bad[:5])
        notes.append(f"{len(bad):,} lines are no JSON and were left out: line {shown}" + " ..." * (len(bad) > 5))
    curves = of_rows(rows, str(path), notes)
    curves.facts = facts
    return curves


def of_record(record: Record, described: str) -> Curves:
    """The steps of a record, and what was measured between them."""
    columns = {name: np.asarray(record[name], dtype=np.float64) for name in record.columns}
    missing = np.full(len(record), np.nan)
    full, held = (columns.get(name, missing) for name in ("full_cost", "holdout_cost"))
    cost, step = columns.get("cost", missing), columns.get("step", np.arange(len(record), dtype=np.float64))
    steps = ~np.isnan(cost) | (np.isnan(full) & np.isnan(held))
    if steps[:-1].sum() > 1 and np.isfinite(full[:-1]).any():
        steps[-1:] = False  # where the walk ended all samples were read, not a batch
    looked = np.isfinite(held)
    rate, norm = columns.get("learning_rate", missing), columns.get("gradient_norm", missing)
    return Curves(
        described, step[steps], cost[steps], step[looked], held[looked], rate[steps], norm[steps], dict(record.facts)
    )


def of_rows(rows: Iterable[Mapping[str, Any]], described: str, notes: Iterable[str] = ()) -> Curves:
    """The curves of rows that have numbers by the usual names."""
    table = [_numbers(row) for row in rows]
    names = dict.fromkeys(name for row in table for name in row)
    known = {
        role: next((name for name in words if name in names), None) or _like(role, names)
        for role, words in ROLES.items()
    }
    if known["loss"] is None:
        told = ", ".join(list(names)[:12]) or "none"
        raise RecordError(f"{described} has no column of losses, such as loss or train_loss; its columns: {told}")
    clock = known["step"] or known["epoch"]
    at: list[float] = []
    for k, row in enumerate(table):
        value = row.get(clock, np.nan) if clock else float(k)
        at.append(value if np.isfinite(value) else (at[-1] if at else 0.0))

    def column(role: str, where: list[int]) -> NDArray[np.float64]:
        return np.array([table[k].get(known[role] or "", np.nan) for k in where], dtype=np.float64)

    if known["rate"] is not None:  # monitors of the rate write rows of their own
        last = np.nan
        for row in table:
            last = row.setdefault(known["rate"], last)

    lossy = [k for k, row in enumerate(table) if known["loss"] in row]
    held = [k for k, row in enumerate(table) if known["held"] is not None and known["held"] in row]
    step = np.array(at, dtype=np.float64)
    order = [k for k in range(1, len(lossy)) if step[lossy[k]] < step[lossy[k - 1]]]
    left_out = list(notes)
    if order:
        left_out.append(f"the steps begin anew {len(order):,} times: several runs in one log? They are read as one")
    return Curves(
        described, step[lossy], column("loss", lossy), step[held], column("held", held), column("rate", lossy),
        column("norm", lossy), notes=left_out,
    )  # fmt: skip


def _like(role: str, names: Iterable[str]) -> str | None:
    """The name that is most like those of a role: ``train_box_loss``, ``loss_mse``, ``run_1_val_loss``, ``lr_adam``."""
    wanted = WORDS.get("loss" if role == "held" else role, set())
    fit = []
    for name in names:
        parts = set(name.split("_"))
        held = bool(parts & HELD)
        if parts & wanted and not parts & NEVER and (held == (role == "held") or role not in ("loss", "held")):
            fit.append((0 if "train" in parts else 1, len(name.split("_")), name))
    return min(fit)[2] if fit else None


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    """The cells that are numbers, by plain names; "nan" and "inf" are numbers, too."""
    found: dict[str, float] = {}
    for key, value in row.items():
        key = re.sub(r"[\[(][^\])]*[\])]", "", str(key))  # units
        name = re.sub(r"_(step|epoch)$", "", re.sub(r"[^a-z0-9]+", "_", str(key).lower()).strip("_")) or "step"
        name = "step" if str(key).lower() in ("global_step", "trainer/global_step") else name
        try:
            number = float(value) if not isinstance(value, bool) else np.nan
        except (TypeError, ValueError):
            continue
        found.setdefault(name, number)
    return found


def _flat(row: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Objects within objects, their keys joined: {"train": {"loss": 1}} has train_loss."""
    out: dict[str, Any] = {}
    for key, value in row.items():
        out |= _flat(value, f"{before}{key}_") if isinstance(value, Mapping) else {f"{before}{key}": value}
    return out


def _across(history: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of an object of lists."""
    lists = {key: list(value) for key, value in history.items() if isinstance(value, list | tuple | np.ndarray)}
    longest = max((len(value) for value in lists.values()), default=0)
    return [{key: value[k] for key, value in lists.items() if k < len(value)} for k in range(longest)]
