"""One contender on one problem, in a process of its own: `python -m benchmarks.glm.worker PROBLEM SOLVER`.

It reads orders and writes what it measured, a JSON object on each line:

    {"climb": seconds}              every rung of the ladder once, until the tightest target or the deadline is reached
    {"again": index, "times": k}    one rung again, k fits timed together

Whatever a contender prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path
from typing import Any, TextIO

from .problem import Problem
from .reference import bottom
from .regimes import TARGETS
from .sets import PROBLEMS
from .solver import SOLVERS, Solver, load_all

GRACE = 3.0
"""Seconds of processor time that a rung may take beyond the deadline before the kernel ends the process."""


def megabytes(field: str) -> float:
    """A line of /proc/self/status, such as VmRSS; not a number where there is none."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(field + ":")), float("nan"))


def forget_peak() -> None:
    """Let VmHWM begin anew."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


class Worker:
    """The data in the contender's format, and its fits."""

    def __init__(self, problem: Problem, solver: Solver, out: TextIO):
        self.problem, self.solver, self.out = problem, solver, out
        self.bottom = bottom(problem)
        data = problem.data
        if solver.warm:
            head = solver.convert(data.head(), problem)
            began = time.process_time()
            solver.fit(head, problem, solver.ladder[0])
            self.say(event="first", cpu=time.process_time() - began)
        began = time.process_time()
        self.data = solver.convert(data, problem)
        self.say(event="converted", cpu=time.process_time() - began)
        forget_peak()
        self.resting = megabytes("VmRSS")

    def say(self, **record: Any) -> None:
        """A line to whoever asked."""
        print(json.dumps(record), file=self.out, flush=True)

    def rung(self, index: int, times: int = 1) -> float:
        """Some cold fits, timed together; returns how far from the bottom the last one ended."""
        setting = self.solver.ladder[index]
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(times):
            model = self.solver.fit(self.data, self.problem, setting)
        cpu, wall = (time.process_time() - cpu) / times, (time.perf_counter() - wall) / times
        memory = megabytes("VmHWM") - self.resting
        left = self.bottom.relative(self.problem.objective.value(*self.problem.data, *self.point(model)))
        self.say(event="fit", rung=index, setting=setting, times=times, cpu=cpu, wall=wall, left=left, memory=memory)
        return left

    def point(self, model: Any) -> tuple[Any, Any]:
        """W and b of a model."""
        return self.solver.point(model, self.problem)

    def climb(self, seconds: float) -> None:
        """Rung by rung, until the tightest target is reached or the time is up."""
        until = time.process_time() + seconds
        soft = int(until + GRACE) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))
        for index in range(len(self.solver.ladder)):
            reached = self.rung(index) <= TARGETS[-1] and self.solver.counts(self.solver.ladder[index], TARGETS[-1])
            if reached or time.process_time() > until:
                break
        resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def main(problem: str, solver: str) -> None:
    """Serve orders until there are no more."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")  # contenders are stopped on their way, and say so
    load_all("sets")
    load_all("solvers")
    with out:
        worker = Worker(PROBLEMS[problem], SOLVERS[solver], out)
        for line in sys.stdin:
            order = json.loads(line)
            if "climb" in order:
                worker.climb(order["climb"])
            else:
                worker.rung(order["again"], order["times"])
            worker.say(event="done")


if __name__ == "__main__":
    main(*sys.argv[1:])
