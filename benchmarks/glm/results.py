"""What a run leaves: JSON lines of what was measured, from which every figure is derived here and nowhere else.

A row has an `event`: "run" (the machine), "problem", "first" (the fit of a few rows that loads and compiles),
"converted", "fit" (one cold fit: rung, setting, seconds of processor and wall clock, how far from the bottom, megabytes
above the data at rest), "end", "left out" (with the reason).
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from .solver import OURS, Solver

Row = dict[str, Any]
RESULTS = Path(__file__).parent / "results"


QUICK = 0.05
"""Seconds below which a single fit is not timed well: the processor's clock may tick in hundredths."""


def coarse(fit: Row) -> bool:
    """Whether a time stands only until better ones are there."""
    return fit["times"] == 1 and fit["wall"] < QUICK


def counting(fits: Iterable[Row], solver: Solver, target: float) -> int | None:
    """The first rung that reaches a target in each of its turns."""
    by_rung: dict[int, list[Row]] = {}
    for row in fits:
        by_rung.setdefault(row["rung"], []).append(row)
    for rung, turns in sorted(by_rung.items()):
        reached = all(row["left"] is not None and row["left"] <= target for row in turns)
        if reached and solver.counts(turns[0]["setting"], target):
            return rung
    return None


def seconds(fits: Iterable[Row], solver: Solver, target: float, clock: str = "cpu") -> float | None:
    """The time to a target: the median of the turns of the rung that counts; None where none does."""
    fits = list(fits)
    rung = counting(fits, solver, target)
    if rung is None:
        return None
    turns = [row for row in fits if row["rung"] == rung]
    fine = [row for row in turns if not coarse(row)]
    return median(row[clock] for row in fine) if fine else median(row["wall"] for row in turns)


class Run:
    """The rows of a run, by problem and contender."""

    def __init__(self, rows: Iterable[Row], solvers: dict[str, Solver]):
        self.rows, self.solvers = list(rows), solvers
        self.machine = next((row for row in self.rows if row["event"] == "run"), {})
        self.problems = {row["problem"]: row for row in self.rows if row["event"] == "problem"}

    def of(self, problem: str, solver: str, event: str = "fit") -> list[Row]:
        """The rows of an event."""
        return [r for r in self.rows if r["event"] == event and r["problem"] == problem and r["solver"] == solver]

    def contenders(self, problem: str) -> list[str]:
        """Who took part."""
        return [name for name in self.solvers if self.of(problem, name, "end")]

    def time(self, problem: str, solver: str, target: float, clock: str = "cpu") -> float | None:
        """Seconds to a target."""
        return seconds(self.of(problem, solver), self.solvers[solver], target, clock)

    def fastest(self, problem: str, target: float) -> tuple[str, float] | None:
        """The fastest peer, and its seconds."""
        times = {name: self.time(problem, name, target) for name in self.contenders(problem) if name != OURS}
        known = {name: t for name, t in times.items() if t is not None}
        return min(known.items(), key=lambda item: item[1]) if known else None

    def ratio(self, problem: str, target: float) -> float | None:
        """The fastest peer's time over descender's; 0 where descender missed what a peer reached."""
        ours, peer = self.time(problem, OURS, target), self.fastest(problem, target)
        if peer is None:
            return None
        return 0.0 if ours is None else peer[1] / ours


def header() -> Row:
    """The machine and the packages that all stand on."""
    packages = ("descender", "numpy", "scipy", "scikit-learn", "numba")
    return {
        "event": "run", "python": platform.python_version(), "machine": platform.machine(), "cpu": _cpu(),
        "versions": {name: version(name) for name in packages},
    }  # fmt: skip


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def read(path: Path) -> list[Row]:
    """The rows of a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]
