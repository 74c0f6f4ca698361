"""The walk: a method's blocks of steps, and around them budgets, records and recovery.

:func:`descend` drives any method on any cost.  The method yields; what stops it, notes it or shows it reads along.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from descender import live
from descender.costs.cost import Cost, Vector
from descender.costs.counted import Counted, as_cost, counted
from descender.costs.network.network import Network
from descender.costs.risk import Risk
from descender.errors import DivergedError, StartError
from descender.kernels.threads import one_blas_thread
from descender.methods.advance import length, shrunk_length
from descender.methods.method import Block, Budget, Method, Outcome
from descender.record import COLUMNS, Recorder, Stretch
from descender.walk import Lost, Step, Stop, Walk

FIRST = 256
"""Rows of which the cost must be finite at the start, where batches are read."""
NO_NUMBERS = np.random.default_rng(0)
"""For methods that draw no numbers: to begin a generator takes as long as a step on a small problem."""
NAMED = 1000
"""Parameters up to which a record holds their names."""


class Look(Protocol):
    """Looks at a walk at least `every` so many steps; what it returns, if anything, is how the walk ends."""

    every: int

    def at(self, steps: int, w: Vector, last: bool = False) -> Outcome | None:
        """Look at the point after so many steps, the last of the walk or not."""
        ...


def descend(
    cost: Cost,
    start: Vector,
    method: Method,
    stop: Stop = Stop(),
    *,
    seed: int = 0,
    callback: Callable[[Step], Any] | None = None,
    holdout: Callable[[Vector], float] | None = None,
    on_divergence: str = "stop",
    look: Look | None = None,
    facts: dict[str, Any] | None = None,
) -> Walk:
    """Walk from `start` by `method` until it is content, a budget is used up, or something goes wrong.

    `callback` is called with each :class:`Step`, the last point among them; it stops the walk by returning True or
    raising `StopIteration`.  `look` looks at the walk now and then, and may end it.  Ctrl-C ends the walk with the last
    point.  Raises :class:`StartError` if the cost is no finite number at the start, and :class:`DivergedError` under
    ``on_divergence="raise"``.
    """
    count = counted(cost)
    cost = as_cost(count)
    start = np.asarray(start)
    w: Vector = start.astype(np.float32 if start.dtype == np.float32 else np.float64)
    check_start(cost, w)
    watch = _Watch(cost, count, w, callback, holdout, stop, look)
    if getattr(method, "batch_size", "full") != "full":
        watch.measure(not cost.seldom_read)
    budget = Budget(min(stop.max_steps, stop.max_evaluations), 1 if callback else look.every if look else 1 << 30)
    outcome, block = _drive(method, cost, w, watch, budget, seed)
    outcome, value, gradient = _settle(watch, outcome, block, on_divergence)
    w = watch.w
    norm = _norm(cost, w, gradient, getattr(method, "proximal", False))
    watch.arrive(outcome, value, norm)
    names = list(count.cost.names) if len(w) <= NAMED else []
    about = {"names": names, "method": method.name, "status": outcome.kind, "message": outcome.text, **(facts or {})}
    about |= {"events": watch.events} if watch.events else {}
    watch.recorder.end(watch.last_row(value, norm), w)
    record = watch.recorder.record(about)
    return Walk(
        x=w,
        fun=float(value),
        jac=gradient,
        nit=watch.steps,
        nfev=count.nfev,
        njev=count.njev,
        success=outcome.kind in ("converged", "small_gradient", "small_step", "small_change", "held_out"),
        status=outcome.kind,
        message=outcome.text,
        names=cost.names,
        record=record,
        method=method.name,
        certificate=block.certificate if block is not None else None,
        notes=watch.notes,
        cost=count.cost,
        by=method,
        pairs=block.pairs if block is not None else None,
        lost=watch.lost,
    )


def _drive(
    method: Method, cost: Cost, w: Vector, watch: _Watch, budget: Budget, seed: int
) -> tuple[Outcome, Block | None]:
    """The method's blocks until one ends the walk, a budget is used up, or Ctrl-C: how it ends, and the last block."""
    outcome: Outcome | None = watch.look.at(0, w) if watch.look else None
    block = None
    rng = np.random.default_rng(seed) if getattr(method, "draws", True) else NO_NUMBERS
    try:
        with one_blas_thread() if cost.n_samples else nullcontext(), live.line():
            walks = budget.steps > 0 and outcome is None
            for block in method.blocks(cost, w, rng, budget) if walks else ():
                outcome = watch.see(block)
                if outcome is not None:
                    break
    except (KeyboardInterrupt, SystemError) as stopped:
        # within compiled code Ctrl-C arrives as a SystemError that it caused
        if not isinstance(stopped, KeyboardInterrupt) and not isinstance(stopped.__cause__, KeyboardInterrupt):
            raise
        outcome = Outcome("interrupted", "interrupted: this is the last point")
    return outcome or Outcome("budget", f"used up its budget after {watch.steps:,} steps"), block


def _settle(watch: _Watch, outcome: Outcome, block: Block | None, on_divergence: str) -> tuple[Outcome, float, Vector]:
    """How the walk ends after a last look, or back at the best or the last sound point; the cost and gradient there."""
    final = block.final if block is not None and block.outcome is outcome else None
    if watch.look and outcome.kind not in ("not_finite", "interrupted", "wrong_gradient"):
        outcome = watch.look.at(watch.steps, watch.w, last=True) or outcome
    if watch.stop.patience is not None and watch.best.w is not None and outcome.kind != "callback":
        watch.w, final = watch.best.w, None
    value, gradient = final if final is not None else watch.evaluate(watch.w)
    if on_divergence != "continue" and not math.isfinite(value) and watch.sound is not watch.w:
        outcome = Outcome("not_finite", "the next J is not finite")
        watch.lose(watch.steps, watch.w, None)
        watch.w = watch.sound
        value, gradient = watch.evaluate(watch.w)
    if outcome.kind == "not_finite":
        outcome = Outcome("not_finite", watch.divergence_text(outcome.text))
        if on_divergence == "raise":
            raise DivergedError(f"{outcome.text}: {watch.lost.trace.text}" if watch.lost else outcome.text)
    return outcome, value, gradient


def check_start(cost: Cost, w: Vector) -> None:
    """Refuse a start at which the cost or its gradient is not a finite number."""
    if isinstance(cost, Risk) and not np.count_nonzero(w):
        return  # where every score is 0, every loss is finite: no need to read all rows
    if not np.isfinite(w).all():
        raise StartError(f"the start {_point(cost, w)} is not finite")
    with np.errstate(all="ignore"):
        # where batches tell enough, the first ones do: the walk will read the others soon
        some = [np.arange(min(cost.n_samples, FIRST))] if cost.seldom_read and cost.n_samples else []
        value, gradient = cost.value_and_gradient(w, *some)
    found = None
    if isinstance(cost, Network) and not (np.isfinite(value) and np.isfinite(gradient).all()):
        found = cost.trace(w, some[0] if some else None)
    at = _point(cost, w) + (f": {found.text}" if found is not None else "")
    if not np.isfinite(value):
        raise StartError(f"J is {value} at the start {at}; start where it is a finite real number")
    if not np.isfinite(gradient).all():
        j = int(np.flatnonzero(~np.isfinite(gradient))[0])
        raise StartError(f"dJ/d{cost.names[j]} is {gradient[j]} at the start {at}; start where the cost has a slope")


class _Best:
    """The point with the lowest held-out cost so far, and how many epochs ago a cost was lower by `tol`."""

    def __init__(self, tol: float) -> None:
        self.tol, self.mark, self.cost, self.waited, self.step = tol, np.inf, np.inf, 0, 0
        self.w: Vector | None = None

    def see(self, cost: float, w: Vector | None, step: int) -> None:
        """Note the held-out cost of a point; of an epoch's batches there is none."""
        self.waited += 1
        if cost < self.mark - self.tol:
            self.mark, self.waited = float(cost), 0
        if cost < self.cost:
            self.cost, self.step, self.w = float(cost), step, None if w is None else w.copy()


class _Watch:
    """What reads along: the recorder, the budgets, the callback."""

    def __init__(
        self, cost: Cost, count: Counted, w: Vector, callback: Any, holdout: Any, stop: Stop, look: Look | None
    ):
        self.cost, self.count, self.callback, self.holdout = cost, count, callback, holdout
        self.stop, self.look = stop, look
        self.recorder = Recorder()
        self.began = self.last_time = time.perf_counter()
        self.steps = self.rows_seen = self.epochs = 0
        self.asked, self.evaluations, self.called = count.asked, count.nfev, -1
        self.previous = self.first = np.nan
        self.w: Vector = w
        self.sound: Vector = w
        self.tried = np.nan
        self.best = _Best(stop.patience_tol)
        self.batch_costs: list[NDArray] = []
        self.notes: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.start = w.copy()
        self.lost: Lost | None = None

    def see(self, block: Block) -> Outcome | None:
        """Note a block; the outcome if the walk ends with it."""
        outcome, w, count, at = block.outcome, block.w, len(block.log), self.steps
        early = self._early_stop(block)
        if early is not None:
            count, outcome = early
            found = block.path if block.answers is None else block.answers
            w = found[count] if found is not None and count < len(found) else w
        self.w = w
        self.count.tell(max(0, block.asked - (self.count.asked - self.asked)))  # what was done without asking the cost
        self._append(block, count)
        if block.lost is not None and early is None:
            self.lose(at + block.lost[0], *block.lost[1:])
        if block.note:
            self.notes.append(block.note)
            self.events += [{"step": self.steps, "text": block.note}] if block.went_back else []
        if outcome is not None and outcome.kind == "not_finite" and self.steps:
            self.tried, self.steps = self.recorder.take_back(), self.steps - 1
        if outcome is None and self.steps >= self.stop.max_steps:
            outcome = Outcome("budget", f"used up {self.steps:,} steps")
        if outcome is None and self.evaluations >= self.stop.max_evaluations:
            outcome = Outcome("budget", f"used up {self.evaluations:,} evaluations")
        if outcome is None and self.last_time - self.began >= self.stop.max_seconds:
            outcome = Outcome("budget", f"used up {self.stop.max_seconds:g} seconds")
        if outcome is None and self.stop.patience is not None and self.best.waited > self.stop.patience:
            told = f"has not fallen for {self.stop.patience:g} epochs"
            outcome = Outcome("held_out", f"the held-out cost {told}: the answer is that of step {self.best.step:,}")
            if self.holdout is None:
                outcome = Outcome("small_change", f"the mean cost of the batches of an epoch {told}")
        if outcome is None and self.look is not None:
            outcome = self.look.at(self.steps, self.w)
        if live.current() is not None:
            live.step(self.steps, block.log[:count, 0])
        self.asked = self.count.asked
        return outcome

    def lose(self, step: int, w: Vector, rows: NDArray | None) -> None:
        """Note where a network first was not finite."""
        if self.lost is None and isinstance(self.cost, Network):
            found = self.cost.trace(w, rows, self.start)
            self.lost = None if found is None else Lost(step, found)

    def arrive(self, outcome: Outcome, value: float, norm: float) -> None:
        """Let the callback see the last point too, unless it ended the walk itself or saw it before."""
        if self.callback is not None and self.steps > self.called and outcome.kind not in ("callback", "interrupted"):
            with suppress(StopIteration):
                self.callback(Step(self.steps, self.w, value, norm, np.nan, self.rows_seen))

    def _early_stop(self, block: Block) -> tuple[int, Outcome] | None:
        """How many steps of a block count, if a callback or the change of the cost ends the walk within it."""
        if self.callback is None and self.stop.gradient_tol <= 0 and self.stop.cost_tol <= 0:
            return None
        log, points = np.asarray(block.log), block.path
        if self.callback is not None:
            for i in range(len(log)):
                point = points[i] if points is not None and len(points) > i else block.w
                step = Step(self.steps + i, point, log[i, 0], log[i, 1], log[i, 3], self.rows_seen)
                self.called = step.number
                try:
                    answer = self.callback(step)
                    wants_stop = isinstance(answer, bool | np.bool_) and bool(answer)
                except StopIteration:
                    wants_stop = True
                if wants_stop:
                    return i, Outcome("callback", f"stopped by the callback at step {step.number}")
        if self.stop.gradient_tol > 0 and (flat := log[:, 1] <= self.stop.gradient_tol).any():
            i = int(np.argmax(flat))
            return i, Outcome("small_gradient", f"the gradient is as small as asked: {log[i, 1]:.3g}")
        if self.stop.cost_tol > 0 and len(log):
            costs = np.concatenate([[self.previous], log[:, 0]])
            small = np.abs(np.diff(costs)) <= self.stop.cost_tol * np.abs(costs[1:])
            if small.any():
                i = int(np.argmax(small))
                return i, Outcome("small_change", f"the cost changes by less than {self.stop.cost_tol:g} of itself")
        return None

    def _append(self, block: Block, count: int) -> None:
        """Note the first `count` steps of a block."""
        now = time.perf_counter()
        before, self.evaluations = self.evaluations, self.count.nfev
        if count:
            reads = block.rows[:count] if isinstance(block.rows, np.ndarray) else int(block.rows)
            path = None if block.path is None else block.path if count == len(block.log) else block.path[:count]
            asked = self.evaluations - block.evaluations  # by the steps
            self.recorder.note(Stretch(
                block.log, path, count, self.steps, self.rows_seen, self.last_time - self.began, now - self.began,
                asked, asked - before, block.rows, self._held(block, count, reads),
            ))  # fmt: skip
            self.rows_seen += reads * count if isinstance(reads, int) else int(reads.sum())
            self.steps += count
            self.previous = block.cost(count - 1)
            self.first = block.cost(0) if math.isnan(self.first) else self.first
        self.last_time = now
        if self.stop.patience is not None and self.holdout is None:
            self.batch_costs.append(block.log[:count, 0])
        if block.epoch_ends and count == len(block.log):
            self.epochs += 1
            if self.batch_costs:
                self.best.see(float(np.concatenate(self.batch_costs).mean()), None, self.steps)
                self.batch_costs.clear()
            power = self.epochs & (self.epochs - 1) == 0
            self.measure(not self.cost.seldom_read or (power and self.epochs >= 4))

    def _held(self, block: Block, count: int, reads: NDArray | int) -> NDArray | None:
        """The held-out costs before the first `count` steps of a block, if each of them read all rows."""
        if self.holdout is None or block.path is None or not np.all(np.asarray(reads) >= (self.cost.n_samples or 0)):
            return None
        answers = (block.path if block.answers is None else block.answers)[:count]
        held = np.array([self.holdout(w) for w in answers])
        if self.stop.patience is not None:
            for i, w in enumerate(answers):
                self.best.see(held[i], w, self.steps + i)
        return held

    def measure(self, whole: bool = True) -> None:
        """Note the held-out cost before and after each epoch of batches, and that of all samples if `whole`."""
        if not whole and self.holdout is None:
            return
        row = np.full((1, len(COLUMNS)), np.nan)
        with np.errstate(all="ignore"):
            row[0, 9] = self.cost.value(self.w) if whole else np.nan
        self.evaluations = self.count.nfev
        row[0, :4] = self.steps, self.last_time - self.began, self.rows_seen, self.evaluations
        if np.isfinite(row[0, 9]):
            self.sound = self.w
        if self.holdout is not None:
            row[0, 10] = self.holdout(self.w)
            if self.stop.patience is not None:
                self.best.see(row[0, 10], self.w, self.steps)
        self.recorder.append(row, self.w[None, :], measured=True)

    def evaluate(self, w: Vector) -> tuple[float, Vector]:
        """The cost and gradient where the walk ended."""
        with np.errstate(all="ignore"):
            return self.cost.value_and_gradient(w)

    def last_row(self, value: float, norm: float) -> NDArray:
        """Where the walk ended."""
        seconds, held = time.perf_counter() - self.began, np.nan if self.holdout is None else self.holdout(self.w)
        known = self.steps, seconds, self.rows_seen, self.count.nfev, value, norm
        return np.array([*known, np.nan, self.tried, np.nan, value, held])

    def divergence_text(self, reason: str) -> str:
        """The outcome of a walk that left the finite numbers."""
        moved = f" (J rose from {self.first:.4g} to {self.previous:.4g} in {self.steps} steps)"
        return f"stopped at step {self.steps}: {reason}" + (moved if self.previous > self.first else "")


def _norm(cost: Cost, w: Vector, gradient: Vector, proximal: bool) -> float:
    """The norm of the gradient, or of the proximal gradient after proximal steps, whose norms stand in the record."""
    if not (proximal and isinstance(cost, Risk)):
        return length(gradient)
    return shrunk_length(gradient - cost.thresholds * np.sign(w), w, 1.0, cost.thresholds)


def _point(cost: Cost, w: Vector) -> str:
    shown = ", ".join(f"{name} = {value:g}" for name, value in zip(cost.names[:5], w, strict=False))
    return f"({shown}{', ...' if len(w) > 5 else ''})"
