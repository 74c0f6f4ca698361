"""Who is timed, how often, until when.

Each contender has a process of its own for each problem, with one thread.  First it climbs its ladder once.  Then those
that are near the front take further turns in rotation, on the rungs that counted, while the other processes sleep: what
disturbs one disturbs all.  A peer gets a deadline in processor time, and stops where a single fit takes longer than the
fastest peer needs to the tightest target: who is slower than that leads nowhere.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from .problem import Problem
from .reference import bottom
from .regimes import TARGETS
from .results import QUICK, Row, coarse, counting, seconds
from .solver import OURS, SOLVERS, Solver
from .worker import serve

TURNS = 3
NEAR = 4.0
"""A peer takes further turns if at some target it needs at most so many times what the fastest peer needs."""
PATIENCE, LEAST = 10.0, 0.5
"""A peer's deadline: so many times what descender took for its ladder, and at least so many seconds."""
BEATEN = 1.0
"""A peer stops after a fit that took so many times what the fastest peer needs to the tightest target."""
TOGETHER = 0.1
"""Seconds that quick fits fill together, to be timed as one."""
THREADS = ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR", "NUMBA", "VECLIB", "RAYON")
FORKS = multiprocessing.get_context("forkserver")


def rules(deadline: float, turns: int) -> dict[str, float]:
    """What a run was limited by, for its header."""
    return {"deadline": deadline, "patience": PATIENCE, "least": LEAST, "beaten": BEATEN, "turns": turns}


def one_thread() -> None:
    """Every process to come has one thread, and is forked from one that has every package loaded."""
    os.environ.update({f"{name}_NUM_THREADS": "1" for name in THREADS}, DESCENDER_BENCH_LOAD="1")
    FORKS.set_forkserver_preload([f"{__package__}.worker"])


class Runner:
    """The other side of a worker: it starts the process when it is needed, and again where the kernel ended it."""

    def __init__(self, problem: Problem, solver: Solver):
        self.problem, self.solver = problem, solver
        self.process: ForkServerProcess | None = None
        self.heard: list[Row] = []
        self.ended = ""
        self.folder = tempfile.TemporaryDirectory()
        self.printed = Path(self.folder.name) / "printed"

    def start(self) -> None:
        """A fresh process."""
        self.end()
        self.teller: Connection
        self.teller, theirs = FORKS.Pipe()
        told = self.problem.name, self.solver.name, theirs, str(self.printed)
        self.process = FORKS.Process(target=serve, args=told)
        self.process.start()
        theirs.close()

    def order(self, **what: Any) -> None:
        """Do something, and hear what comes of it."""
        if self.process is None or self.process.exitcode is not None:
            self.start()
        assert self.process is not None
        try:
            self.teller.send(what)
            while (told := self.teller.recv())["event"] != "done":
                self.heard.append({"problem": self.problem.name, "solver": self.solver.name, **told})
        except (EOFError, ConnectionError):
            self.process.join()
            self.ended = self._why(self.process.exitcode or 0)

    def _why(self, status: int) -> str:
        """What ended the process."""
        if status < 0:
            return "deadline" if -status == signal.SIGXCPU else signal.Signals(-status).name
        lines = [line.strip() for line in self.printed.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1][:200] if lines else f"exit status {status}"

    def end(self) -> None:
        """End the process."""
        if self.process is not None:
            self.teller.close()
            self.process.join()
            self.process.close()
            self.process = None

    def stop(self) -> None:
        """End the process and leave nothing behind."""
        self.end()
        self.folder.cleanup()

    def fits(self) -> list[Row]:
        """What was measured so far."""
        return [row for row in self.heard if row["event"] == "fit"]

    def winners(self) -> set[int]:
        """The rungs that count for some target."""
        found = (counting(self.fits(), self.solver, target) for target in TARGETS)
        return {rung for rung in found if rung is not None}

    def last(self) -> Row:
        """How it ended, for those who read the results."""
        how = self.ended or ("reached" if counting(self.fits(), self.solver, TARGETS[-1]) is not None else "stopped")
        return {"event": "end", "problem": self.problem.name, "solver": self.solver.name, "how": how}


def race(problem: Problem, names: Iterable[str], turns: int = TURNS, deadline: float = 10.0) -> Iterator[Row]:
    """Every contender on a problem; the rows of the results."""
    lowest = bottom(problem)
    X = problem.data.X
    stored = X.size if problem.data.dense else X.nnz
    yield {
        "event": "problem", "problem": problem.name, "regime": problem.regime, "real": problem.real, "n": X.shape[0],
        "d": X.shape[1], "stored": int(stored), "dense": problem.data.dense, "dtype": str(X.dtype),
        "classes": problem.classes, "loss": problem.objective.loss, "l2": problem.objective.l2,
        "l1": problem.objective.l1, "lowest": lowest.lowest, "left": lowest.left,
    }  # fmt: skip
    runners: list[Runner] = []
    limit, longest = deadline, deadline
    try:
        for name in sorted(names, key=lambda name: name != OURS):
            solver = SOLVERS[name]
            reason = solver.missing() or solver.refuses(problem)
            if reason:
                yield {"event": "left out", "problem": problem.name, "solver": name, "why": reason}
                continue
            runner = Runner(problem, solver)
            runners.append(runner)
            runner.order(climb=limit, longest=longest)
            reached = seconds(runner.fits(), solver, TARGETS[-1])
            if name != OURS and reached is not None:
                longest = min(longest, max(BEATEN * reached, QUICK))
            if name == OURS and reached is not None:
                spent = sum(row["cpu"] for row in runner.fits())
                limit = min(deadline, max(LEAST, PATIENCE * spent))
        yield from _rotate(runners, turns)
    finally:
        for runner in runners:
            runner.stop()


def _rotate(runners: list[Runner], turns: int) -> Iterator[Row]:
    """Further turns of those in front, then all that was measured."""
    near = in_front(runners)
    rungs = {runner: sorted(runner.winners()) for runner in near}
    for _ in range(turns):
        for runner in near:
            for rung in rungs[runner]:
                of_rung = [row for row in runner.fits() if row["rung"] == rung]
                if sum(not coarse(row) for row in of_rung) < turns:
                    wall = min(row["wall"] for row in of_rung)
                    runner.order(again=rung, times=math.ceil(TOGETHER / wall) if wall < QUICK else 1)
    for runner in runners:
        yield from runner.heard
        yield {**runner.last(), "version": runner.solver.version()}


def in_front(runners: list[Runner]) -> list[Runner]:
    """descender, and the peers that are near the fastest peer at some target."""
    chosen = {runner for runner in runners if runner.solver.name == OURS}
    peers = [runner for runner in runners if runner not in chosen]
    for target in TARGETS:
        times = {runner: seconds(runner.fits(), runner.solver, target) for runner in peers}
        best = min((t for t in times.values() if t is not None), default=None)
        near = {runner for runner, t in times.items() if t is not None and best is not None and t <= NEAR * best}
        chosen |= near | {runner for runner, t in times.items() if t is not None and t < QUICK}
    return [runner for runner in runners if runner in chosen]
