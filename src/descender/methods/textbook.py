"""The textbook family: a rule, a rate, and a way to read the gradient, around one loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Cost, Kernel, Vector
from descender.kernels.assemble import assemble
from descender.methods import advance as walk
from descender.methods.advance import Options, advance
from descender.methods.estimates import Batches, full_batch, mini_batches, random_batches
from descender.methods.method import Block, Budget, Outcome
from descender.methods.rates import Backtracking, Rate
from descender.methods.variance_reduced import Judge, Reduced, Reduction

PLAIN_STEPS, PLAIN_BLOCK = 256, 32
"""Steps that are taken before a compiler is asked: a short walk never waits for one.  They come in blocks, too, but
singly from a function of a user, who may be waiting for each."""
BLOCK = 4096
"""Steps of one compiled block: under a millisecond of a small formula, so that a key press is heard."""
PATH_NUMBERS = 1 << 20
"""Numbers that the path of one block may take."""


@dataclass(frozen=True)
class Textbook:
    """A rule with its rate.

    ``batch_size`` is "full" or a number of samples; with ``coordinates`` step t moves coordinate t mod d alone.  With
    ``recover`` a step that is not finite is taken back and the rate divided by 3.  A ``reduction`` takes the noise out
    of batches; on a convex risk such a walk ends where the certificate is within ``tol``.
    """

    name: str
    rule: Any
    rate: Rate
    batch_size: int | str = "full"
    options: Options = field(default_factory=Options)
    shuffle: bool = True
    recover: bool = False
    reduction: Reduction | None = None
    tol: float = 1e-6

    def blocks(self, cost: Cost, w: Vector, rng: np.random.Generator, budget: Budget) -> Iterator[Block]:
        """Walk from `w`.  The first steps run as plain Python, later ones compiled where the cost can be."""
        options = self.options
        if self.batch_size != "full" or options.coordinates:
            # a batch that happens to fit, or one coordinate that rests, says nothing about the others
            options = options._replace(gradient_tol=-1.0, step_tol=-1.0)
        if isinstance(self.rate, Backtracking):
            options = options._replace(shrink=self.rate.shrink, share=self.rate.share)
        state = fresh = tuple(np.zeros_like(w) for _ in self.rule.slots)
        origin = before = w
        state_before = state
        rate, scale, taken = self.rate.rate, 1.0, 0
        if options.shrink:
            rate *= options.shrink  # the loop first tries the last accepted rate over `shrink`
        reader, judge = _Reader(self, cost.n_samples, rng), None
        if self.reduction is not None:
            judge = Judge(cost, w, self.tol, self.options.gradient_tol)
            cost = self.reduction.around(cost, int(self.batch_size))
        plain, compiled = plain_walk(cost, self), None
        kernel = cost.kernel() if budget.steps > PLAIN_STEPS and self._loops_pay(cost) else None
        while taken < budget.steps:
            if taken >= PLAIN_STEPS and kernel is not None:
                compiled = compiled or compiled_walk(kernel, self)
            wide = BLOCK if compiled else min(PLAIN_BLOCK, PLAIN_STEPS - taken) if kernel is not None else 1
            wide = min(wide, max(1, PATH_NUMBERS // w.size), budget.watch)
            batches = reader.next(int(min(wide, budget.steps - taken)))
            step, now = compiled or plain, self.rate._replace(rate=self.rate.rate * scale)
            count = len(batches.starts)
            log = np.zeros((count, len(walk.COLUMNS)))
            path = np.empty((count if count * w.size <= PATH_NUMBERS else 0, w.size), dtype=w.dtype)
            done, why, w, state, before, state_before, rate = step(
                now, options, batches, w, state, before, state_before, rate, taken, log, path
            )
            rows = batches.stops[:done] - batches.starts[:done]
            rows = cost.reads(rows) if isinstance(cost, Reduced) else rows
            ended, note, found = reader.used(done), None, None
            look = judge if judge is not None and ended and why == walk.RAN and judge.due() else None
            if why == walk.NOT_FINITE:
                w = before
            if self.recover and scale > 1e-12 and (why == walk.NOT_FINITE or (look and look.rose(w))):
                scale, rate, state = scale / 3.0, rate / 3.0, fresh
                note = f"step {taken + done} led to a cost that is not finite: taken back, rate / 3"
                if isinstance(cost, Reduced):  # what was remembered is lost, and a way down from 1e300 is long
                    cost.forget()
                    w, where = origin, "not finite" if why == walk.NOT_FINITE else "higher than at the start"
                    note = f"step {taken + done} led to a cost that is {where}: back to the start, rate / 3"
            taken += done
            outcome = None if note else _outcome(why, log, done)
            if look and not note:
                outcome, found = look.look(w)
            yield Block(log[:done], w, rows, path[:done], ended, outcome, note, certificate=found)

    def _loops_pay(self, cost: Cost) -> bool:
        """Whether scalar loops beat NumPy: for batches, and for whole readings of little data."""
        return self.batch_size != "full" or (cost.n_samples or 0) * cost.n_parameters < 50_000


class _Reader:
    """Hands out the batches of the coming steps, epoch after epoch."""

    def __init__(self, method: Textbook, n_samples: int | None, rng: np.random.Generator):
        self.n_samples, self.full = n_samples, method.batch_size == "full"
        if not self.full:
            size = int(method.batch_size)
            fresh = method.reduction is not None
            self.epochs = (
                random_batches(n_samples or 0, size, rng)
                if fresh
                else mini_batches(n_samples or 0, size, rng, method.shuffle)
            )
            self.epoch, self.first = next(self.epochs), 0

    def next(self, steps: int) -> Batches:
        """The batches of up to `steps` steps, no further than the end of the epoch."""
        return full_batch(self.n_samples, steps) if self.full else self.epoch.take(self.first, steps)

    def used(self, steps: int) -> bool:
        """Note that so many of them were used; whether that ended an epoch of batches."""
        if self.full:
            return False
        self.first += steps
        ended = self.first >= len(self.epoch.starts)
        if ended:
            self.epoch, self.first = next(self.epochs), 0
        return ended


Step = Callable[..., Any]


def plain_walk(cost: Cost, method: Textbook) -> Step:
    """:func:`advance` as it stands, on NumPy arrays."""
    full = method.batch_size == "full"

    def evaluate(w: Vector, data: Any, rows: NDArray) -> tuple[float, Vector]:
        return cost.value_and_gradient(w) if full else cost.value_and_gradient(w, rows)

    def step(q, options, batches, *rest):
        with np.errstate(all="ignore"):
            return advance(
                evaluate, method.rule.formula, q.formula,
                walk.length, np.subtract, np.dot, walk.clip, walk.only, walk.keep,
                method.rule, q, options, (), batches.order, batches.starts, batches.stops,
                *rest,
            )  # fmt: skip

    return step


def compiled_walk(kernel: Kernel, method: Textbook) -> Step:
    """:func:`advance`, compiled around the cost's own text; other data of the same kind may be passed to it later."""
    loop = assemble(advance, kernel.source, method.rule, method.rate)

    def step(q, options, batches, *rest, data=kernel.data):
        return loop(
            method.rule, q, options, data, batches.order, batches.starts, batches.stops,
            *rest,
        )  # fmt: skip

    return step


def _outcome(why: int, log: NDArray, done: int) -> Outcome | None:
    if why == walk.SMALL_GRADIENT:
        return Outcome("small_gradient", f"the gradient is as small as asked: {log[done - 1, 1]:.3g}")
    if why == walk.SMALL_STEP:
        return Outcome("small_step", f"the step is as small as asked: {log[done - 1, 2]:.3g}")
    if why == walk.NOT_FINITE:
        value, norm = log[min(done, len(log) - 1), :2]
        what = "J" if not np.isfinite(value) else "gradient" if not np.isfinite(norm) else "point"
        return Outcome("not_finite", f"the next {what} is not finite")
    return None
