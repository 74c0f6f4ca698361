"""One method of a comparison: its specification, its walk, and its curve of cost against work.

Work is counted in gradients of single samples, so that a step on one row costs 1 and a reading of n rows n; of a cost
without samples in evaluations.  What is measured to draw the curve does not count.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Cost, Vector
from descender.costs.risk import Risk
from descender.descent import descend
from descender.doctor.descent import examine
from descender.errors import OptionError, suggest
from descender.methods.auto import METHODS
from descender.methods.method import Outcome
from descender.methods.textbook import Textbook
from descender.methods.variance_reduced import PROBED
from descender.verbs.choosing import choose_method
from descender.verbs.judging import judge, rerun
from descender.walk import Stop, Walk

TIGHT = 1e-12
"""The certified gap that is asked of methods which end on one: so that the race, not they, decides where to stop."""
LOOKS = 16
"""Looks at the cost of all samples within the first epoch of batches; later ones are as far apart on a log scale."""
OPTIONS = ("learning_rate", "batch_size", "clip_norm", "clip_value")


class Entry(NamedTuple):
    """A method as it was asked for: the words, its name, its options."""

    spec: str
    name: str
    options: dict[str, Any]


def read_entry(spec: str) -> Entry:
    """A specification: a method's name, then NAME=VALUE words.

    >>> read_entry("momentum learning_rate=0.01 beta=0.95").options
    {'learning_rate': 0.01, 'beta': 0.95}
    >>> read_entry("sgd learning_rate=inverse-time,0.1,0.01").options
    {'learning_rate': 'inverse-time 0.1 0.01'}
    """
    if not isinstance(spec, str) or not spec.split():
        raise OptionError(f'methods: {spec!r} is no method; give words such as "momentum learning_rate=0.01 beta=0.95"')
    name, *words = spec.split()
    if name not in METHODS:
        raise OptionError(f"method={name!r}; {suggest(name, METHODS)}")
    options: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key or not text:
            raise OptionError(f"methods: {word!r} in {spec!r} is not NAME=VALUE, such as learning_rate=0.01")
        if key in options:
            raise OptionError(f"methods: {key} is given twice in {spec!r}")
        options[key] = _value(key, text, spec)
    if name == "auto" and options:
        raise OptionError(f"methods: auto chooses for itself, so {next(iter(options))} does not go with it")
    return Entry(" ".join([name, *words]), name, options)


def _value(key: str, text: str, spec: str) -> Any:
    """A number, or for a rate or batch size also a word."""
    try:
        number = float(text)
    except ValueError:
        if key in ("learning_rate", "batch_size"):
            return text.replace(",", " ")
        raise OptionError(f"methods: {key}={text} in {spec!r} is no number") from None
    return int(number) if key == "batch_size" and number == int(number) else number


def choose_entry(cost: Cost, start: Vector, entry: Entry) -> tuple[Any, str]:
    """The method of an entry, its options checked against the cost, and why."""
    options = dict(entry.options)
    known = {key: options.pop(key, "auto" if key == "learning_rate" else None) for key in OPTIONS}
    return choose_method(
        cost, entry.name, tol=TIGHT if isinstance(cost, Risk) and cost.convex else None, max_epochs=None,
        gradient_tol=None, step_tol=None, on_divergence=None, hyperparameters=options, start=start, **known,
    )  # fmt: skip


class Curve(NamedTuple):
    """The cost of all samples after so much work, and seconds."""

    work: NDArray[np.float64]
    cost: NDArray[np.float64]
    seconds: NDArray[np.float64]

    def until(self, work: float, cost: float) -> Curve:
        """Its part within a budget of work, up to the first point that is as low as `cost`."""
        inside = self.work <= work
        low = np.flatnonzero(inside & (self.cost <= cost))
        if len(low):
            inside[low[0] + 1 :] = False
        return Curve(self.work[inside], self.cost[inside], self.seconds[inside])

    def first(self, cost: float) -> int | None:
        """The first point that is as low as `cost`."""
        low = np.flatnonzero(self.cost <= cost)
        return int(low[0]) if len(low) else None


@dataclass(frozen=True)
class Run:
    """A walk of a comparison, and its curve."""

    entry: Entry
    walk: Walk
    curve: Curve


class Watcher:
    """Looks at a walk of batches: measures the cost now and then, and ends the walk where it is low enough."""

    def __init__(self, cost: Cost, method: Textbook, goal: float, already: float):
        self.cost, self.method, self.goal, self.already = cost, method, goal, already
        self.n, size = cost.n_samples or 1, int(method.batch_size)
        self.every = max(1, self.n // (LOOKS * size))
        self.next, self.seen = 0, -1
        self.began, self.spent = time.perf_counter(), 0.0
        self.points: list[tuple[float, float, float]] = []

    def at(self, steps: int, w: Vector, last: bool = False) -> Outcome | None:
        """Look at the point after so many steps, the last of the walk or not."""
        if steps == self.seen or (steps < self.next and not last):
            return None
        self.seen = steps
        self.next = max(steps + self.every, math.ceil(steps * (1.0 + 1.0 / LOOKS)))
        began = time.perf_counter()
        with np.errstate(all="ignore"):
            value = self.cost.value(w)
        work = work_of(self.cost, self.method, steps) + (self.already if steps else 0.0)
        self.points.append((work, value, began - self.began - self.spent))
        self.spent += time.perf_counter() - began
        return Outcome("goal", f"the cost is as low as asked: {value:.6g}") if value <= self.goal and not last else None

    def curve(self) -> Curve:
        """What was measured."""
        return Curve(*np.array(self.points, dtype=np.float64).T)


def work_of_rate(cost: Cost, entry: Entry, method: Textbook) -> float:
    """Gradients of single samples that were measured to find a rate where none was given."""
    automatic = entry.options.get("learning_rate", "auto") == "auto"
    measured = automatic and method.reduction is not None and not isinstance(cost, Risk)
    return 2.0 * min(cost.n_samples or 1, PROBED) if measured else 0.0


def work_of(cost: Cost, method: Textbook, steps: int) -> float:
    """Gradients of single samples that so many steps of batches take."""
    n, size = cost.n_samples or 1, int(method.batch_size)
    if method.reduction is None:
        per_epoch = -(-n // size)
        return steps // per_epoch * n + steps % per_epoch * min(size, n)
    size = min(size, n)
    every = max(1, round(method.reduction.epochs * n / size)) if method.reduction.epochs else 0
    twice = 2 if every and not isinstance(cost, Risk) else 1
    return steps * size * twice + (n * -(-steps // every) if every else 0)


@contextmanager
def compiling(cost: Cost) -> Iterator[list[float]]:
    """Yields a list into which the seconds go that Numba compiled meanwhile: only the first race ever pays them."""
    spent: list[float] = [0.0]
    if cost.kernel() is None:
        yield spent
        return
    from numba.core import event

    class Clock(event.Listener):
        depth, began = 0, 0.0

        def on_start(self, _: Any) -> None:
            self.began = self.began if self.depth else time.perf_counter()
            self.depth += 1

        def on_end(self, _: Any) -> None:
            self.depth -= 1
            spent[0] += 0.0 if self.depth else time.perf_counter() - self.began

    with event.install_listener("numba:compile", Clock()):
        yield spent


def race(cost: Cost, start: Vector, entry: Entry, budget: float, goal: float, seed: int) -> Run:
    """The walk of an entry from `start`, within a budget of work, until its cost is at most `goal`."""
    method, why = choose_entry(cost, start, entry)
    n = cost.n_samples or 1
    if getattr(method, "batch_size", "full") == "full":
        stop, watcher = Stop(max_evaluations=max(1, math.ceil(budget / n))), None
    else:
        steps = 1 + max(1, int(budget / work_of(cost, method, 1 << 20) * (1 << 20)))
        stop, watcher = Stop(max_steps=steps), Watcher(cost, method, goal, work_of_rate(cost, entry, method))
    with compiling(cost) as compiled:
        facts = {"why": why, "start": start.tolist()}
        walk = descend(cost, start, method, stop, seed=seed, look=watcher, facts=facts)
    walk.why = why
    judge(cost, walk, method)
    walk.findings += examine(cost, start, walk, rerun(cost, start, method, walk, seed))
    curve = curve_of(walk.record, n) if watcher is None else watcher.curve()
    return Run(entry, walk, curve._replace(seconds=np.maximum(curve.seconds - compiled[0], 0.0)))


def curve_of(record: Any, n: int) -> Curve:
    """The curve of a walk that reads all samples at each step, from its record."""
    before = np.append(0.0, record["evaluations"][:-1].astype(np.float64))
    work = np.maximum(n * before, record["rows_seen"].astype(np.float64))
    cost = np.where(np.isfinite(record["full_cost"]), record["full_cost"], record["cost"]).astype(np.float64)
    work[0] = 0.0
    return Curve(np.maximum.accumulate(work), cost, record["seconds"].astype(np.float64))


def default_entries(cost: Cost) -> tuple[list[str], list[str]]:
    """Which methods to race, from facts about the cost, and a line about each that was left out."""
    if not cost.n_samples or not getattr(cost, "splits", True):
        return ["auto", "gd", "momentum", "nesterov", "adagrad", "rmsprop", "adam"], []
    left_out = ["sag: saga is its successor", "coordinate: each of its steps reads all rows for one coordinate"]
    names = ["auto", "gd", "nesterov", "sgd", "adam batch_size=20", "saga", "svrg"]
    return names, left_out


def unique(specs: Sequence[str]) -> list[Entry]:
    """The entries of a race, each once."""
    entries = [read_entry(spec) for spec in specs]
    if not entries:
        raise OptionError("methods: there is none to race; name some, such as auto, gd and saga")
    seen = [entry.spec for entry in entries]
    twice = next((spec for spec in seen if seen.count(spec) > 1), None)
    if twice is not None:
        raise OptionError(f"methods: {twice!r} is given twice")
    return entries
