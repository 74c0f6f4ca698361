"""One contender on one problem, in a process of its own, which is forked from one that has every package loaded.

It takes orders and tells what it measured:

    {"climb": seconds, "longest": s}    every rung of the ladder once, until the tightest target is reached, the
                                        processor time is up, or a fit took longer than s
    {"again": index, "times": k}        one rung again, k fits timed together

Whatever a contender prints goes to a file.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import resource
import sys
import time
import traceback
import warnings
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from .problem import Problem
from .reference import bottom
from .regimes import TARGETS
from .sets import PROBLEMS
from .solver import SOLVERS, Solver, load_all

FAR = 1e30
"""What stands for infinitely far, which JSON lacks."""


def load_packages() -> None:
    """The sets, the contenders, and what these need."""
    load_all("sets")
    load_all("solvers")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in ("sklearn.linear_model", "sklearn.svm", "numba", *(one.module for one in SOLVERS.values())):
            with contextlib.suppress(ImportError):
                importlib.import_module(module)


def megabytes(field: str) -> float:
    """A line of /proc/self/status, such as VmRSS; not a number where there is none."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(field + ":")), float("nan"))


def forget_peak() -> None:
    """Let VmHWM begin anew."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


class Worker:
    """The data in the contender's format, and its fits."""

    def __init__(self, problem: Problem, solver: Solver, teller: Connection):
        self.problem, self.solver, self.teller = problem, solver, teller
        self.bottom = bottom(problem)
        data = problem.data
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
        """Tell whoever asked."""
        self.teller.send(record)

    def rung(self, index: int, times: int = 1) -> tuple[float, float]:
        """Some cold fits, timed together: how far from the bottom the last one ended, and the seconds of one."""
        setting = self.solver.ladder[index]
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(times):
            model = self.solver.fit(self.data, self.problem, setting)
        cpu, wall = (time.process_time() - cpu) / times, (time.perf_counter() - wall) / times
        memory = megabytes("VmHWM") - self.resting
        value = self.problem.objective.value(*self.problem.data, *self.solver.point(model, self.problem))
        left = min(self.bottom.relative(value), FAR)
        fit = {"rung": index, "setting": dict(setting), "times": times, "cpu": cpu, "wall": wall}
        self.say(event="fit", **fit, left=left, memory=memory)
        return left, cpu

    def climb(self, seconds: float, longest: float) -> None:
        """Rung by rung; the kernel ends the process where a single fit goes on for too long."""
        until = time.process_time() + seconds
        soft = math.ceil(until + min(seconds, longest)) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))
        for index, setting in enumerate(self.solver.ladder):
            left, cpu = self.rung(index)
            reached = left <= TARGETS[-1] and self.solver.counts(setting, TARGETS[-1])
            if reached or cpu > longest or time.process_time() > until:
                break
        resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def serve(problem: str, solver: str, teller: Connection, printed: str) -> None:
    """Follow orders until there are no more."""
    with open(printed, "w") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    warnings.simplefilter("ignore")  # contenders are stopped on their way, and say so
    try:
        worker = Worker(PROBLEMS[problem], SOLVERS[solver], teller)
        while True:
            order = teller.recv()
            if "climb" in order:
                worker.climb(order["climb"], order["longest"])
            else:
                worker.rung(order["again"], order["times"])
            worker.say(event="done")
    except EOFError:
        return
    except Exception:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


if __name__ != "__main__" and os.environ.get("DESCENDER_BENCH_LOAD"):
    load_packages()  # the process that the workers are forked from imports this module for nothing else
