"""The textbook family: a rule, a rate, and a way to read the gradient, around one loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Cost, Kernel, Vector
from descender.costs.risk import Risk
from descender.kernels.assemble import assemble, numbers_of
from descender.methods import advance as walk
from descender.methods import plain
from descender.methods.advance import Options, advance
from descender.methods.estimates import Batches, full_batch, mini_batches, random_batches
from descender.methods.method import Block, Budget, Outcome
from descender.methods.position import VECTORS, Position, Switches, reads
from descender.methods.rates import Rate, first_rate, is_schedule, with_rate
from descender.methods.recovery import MeanPoint, Snapshots
from descender.methods.variance_reduced import Judge, Reduced, Reduction

PLAIN_STEPS, PLAIN_BLOCK = 256, 32
"""Steps that are taken before a compiler is asked: a short walk never waits for one.  They come in blocks, too, but
singly from a function of a user, who may be waiting for each."""
BLOCK = 4096
"""Steps of one compiled block: under a millisecond of a small formula, so that a key press is heard."""
LONG = 4096
"""Numbers from which on a vector is long: a recovering walk changes it in place, and keeps no path."""
MEAN_EVERY = 8
"""Steps after which a point goes into the mean of points."""
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
    bounds: Any = None
    proximal: bool = False
    """Whether the l1 penalty of a risk is taken by soft-thresholding after each step, and not by its slope; never
    within bounds.
    """
    epochs: int = 20
    """How many a walk by batches takes where no budget is given."""
    memory: float = 0.0
    """Steps over which the last points are averaged to what is reported; 0: the last point is."""

    @property
    def switches(self) -> Switches:
        """What of the loop is on."""
        return Switches(
            clips=min(self.options.clip_norm, self.options.clip_value) < np.inf,
            coordinates=self.options.coordinates,
            scheduled=is_schedule(self.rate),
            searches=hasattr(self.rate, "ceiling"),
            bounded=self.bounds is not None,
            shrinks=self.proximal,
            carries=self.bounds is not None
            and bool(self.rule.slots)
            and not getattr(self.rule, "begins_at_start", False),
            looks_back=reads(self.rate, "w_before") or reads(self.rate, "g_before"),
            remembers=hasattr(self.rule, "remember"),
            settles=hasattr(self.rule, "settle"),
            extrapolates=hasattr(self.rule, "extrapolates"),
            answers_apart=hasattr(self.rule, "answer"),
            stop_if_not_finite=self.options.stop_if_not_finite,
        )

    def position(self, w: Vector, thresholds: Vector | None = None) -> Position:
        """The start of a walk; `thresholds` are those of an l1 penalty, parameter by parameter."""
        return Position(w, self.rule, self.rate, self.switches, self.bounds, thresholds)

    def blocks(self, cost: Cost, w: Vector, rng: np.random.Generator, budget: Budget) -> Iterator[Block]:
        """Walk from `w`.  The first steps run as plain Python, later ones compiled where the cost can be."""
        options, switches = self.options, self.switches
        if self.batch_size != "full" or options.coordinates or (switches.answers_apart and not switches.extrapolates):
            # a batch that happens to fit, or one coordinate that rests, says nothing about the others; nor does a point
            # about the mean of the way to it
            options = options._replace(gradient_tol=-1.0, step_tol=-1.0)
        thresholds, whole = None, cost
        if self.proximal:
            assert isinstance(cost, Risk)
            thresholds, cost = cost.thresholds, cost.without_pull()
        position, scale, taken = self.position(w, thresholds), 1.0, 0
        snapshots = self._snapshots(cost, w)
        mean = MeanPoint(w, self.memory) if self.memory else None
        in_place = (
            snapshots is not None
            and self.batch_size != "full"
            and w.size > LONG
            and not (switches.looks_back or switches.bounded or switches.shrinks or switches.settles)
        )
        reader, judge = _Reader(self, cost.n_samples, rng), None
        noise = Noise(self.rule, w.size, rng)
        if self.reduction is not None:
            judge = Judge(whole, w, self.tol, self.options.gradient_tol)
            cost = self.reduction.around(cost, int(self.batch_size))
        uncompiled, compiled = plain_walk(cost, self, in_place, mean), None
        kernel = cost.kernel() if budget.steps > PLAIN_STEPS and self._loops_pay(cost) else None
        while taken < budget.steps:
            if taken >= PLAIN_STEPS and kernel is not None:
                compiled = compiled or compiled_walk(kernel, self)
            wide = BLOCK if compiled else 1 if cost.slow and kernel is None else PLAIN_BLOCK
            if kernel is not None and not compiled:
                wide = min(wide, PLAIN_STEPS - taken)
            traced = not in_place or budget.watch == 1
            wide = min(wide, max(1, PATH_NUMBERS // w.size) if traced else wide, budget.watch)
            wide = min(wide, MEAN_EVERY) if mean and compiled else wide
            batches = reader.next(int(min(wide, budget.steps - taken)))
            step, now = compiled or uncompiled, with_rate(self.rate, first_rate(self.rate) * scale)
            count = len(batches.starts)
            notes = walk.new_log(count)
            log = notes.T
            path = np.empty((count if traced and count * w.size <= PATH_NUMBERS else 0, w.size), dtype=w.dtype)
            answers = np.empty((len(path) if hasattr(self.rule, "answer") else 0, w.size), dtype=w.dtype)
            done, why = step(now, options, batches, position, noise.next(count, taken), taken, notes, path, answers)
            rows = (batches.stops - batches.starts)[:done] * log[:done, walk.EVALUATIONS].astype(np.intp)
            rows = cost.reads(rows) if isinstance(cost, Reduced) else rows
            ended, note, found = reader.used(done), None, None
            lost = self._lost(why, log[:done], batches, position, path)
            look = judge if judge is not None and ended and why == walk.RAN and judge.due() else None
            taken += done
            if why == walk.NOT_FINITE and snapshots is None:
                position.back()
            answer = position.answer(taken)
            risen = look is not None and look.rose(answer)
            if snapshots is not None:
                thrown = snapshots.see(log[:done, 0], position["w"].copy(), taken) and why == walk.RAN
                if scale > 1e-12 and (thrown or why == walk.NOT_FINITE):
                    scale /= 2.0
                    what = "a cost twice the lowest" if thrown else "a cost that is not finite"
                    note = f"step {taken} led to {what}: back to step {snapshots.step}, rate / 2"
                    position["w"][:] = snapshots.w
                    position.forget()
                    snapshots.back()
                    answer = position.answer(taken)
                    if mean:
                        mean.begin(answer)
                elif mean and done:
                    answer = mean.answer(answer, done)
            elif self.recover and scale > 1e-12 and (why == walk.NOT_FINITE or risen):
                scale /= 3.0
                position.forget()
                note = f"step {taken} led to a cost that is not finite: taken back, rate / 3"
                if isinstance(cost, Reduced):  # what was remembered is lost, and a way down from 1e300 is long
                    cost.forget()
                    position, where = (
                        self.position(w, thresholds),
                        "not finite" if why == walk.NOT_FINITE else "higher than at the start",
                    )
                    note = f"step {taken} led to a cost that is {where}: back to the start, rate / 3"
                answer = position.answer(taken)
            outcome = None if note else _outcome(why, log, done)
            if look and not note:
                outcome, found = look.look(answer)
            yield Block(
                log[:done], answer, rows, path[:done], ended, outcome, note, certificate=found,
                answers=answers[:done] if len(answers) else None, went_back=note is not None,
                lost=lost,
            )  # fmt: skip

    def _lost(
        self, why: int, log: NDArray, batches: Batches, position: Position, path: NDArray
    ) -> tuple[int, Vector, NDArray | None] | None:
        """The first step of a block before which J, its gradient or the point is not finite, that point, its rows."""
        if why != walk.NOT_FINITE and self.options.stop_if_not_finite:
            return None
        bad = np.flatnonzero(~np.isfinite(log[: len(path), :2]).all(axis=1))
        if why != walk.NOT_FINITE and not len(bad):
            return None
        at = int(bad[0]) if len(bad) else len(log)
        k = min(at, len(batches.starts) - 1)
        w = path[k] if len(bad) else position["w"].copy()
        return at, w, None if self.batch_size == "full" else batches.order[batches.starts[k] : batches.stops[k]]

    def _snapshots(self, cost: Cost, w: Vector) -> Snapshots | None:
        """Points to go back to, of a walk over samples that is to recover: by batches, or not convex."""
        if not self.recover or self.reduction is not None or not cost.n_samples or self.switches.searches:
            return None
        if self.batch_size == "full":
            return None if cost.convex else Snapshots(w, cost.n_samples, judges=True)
        return Snapshots(w, int(self.batch_size), judges=not cost.convex)

    def _loops_pay(self, cost: Cost) -> bool:
        """Whether scalar loops beat NumPy: for batches, and for whole readings of little data."""
        return self.batch_size != "full" or (cost.n_samples or 0) * cost.n_parameters < 50_000


class Noise:
    """Normal numbers for the coming steps, where the rule asks for them."""

    def __init__(self, rule: Any, size: int, rng: np.random.Generator):
        self.rule, self.width, self.wanted = rule, size, reads(rule, "noise")
        self.rng = rng.spawn(1)[0] if self.wanted else rng

    def next(self, steps: int, first: int) -> NDArray[np.float64]:
        """A row for each step from step `first` on."""
        if not self.wanted:
            return np.empty((0, self.width))
        deviation = self.rule.deviation(self.rule, np.arange(first, first + steps))
        return deviation[:, None] * self.rng.standard_normal((steps, self.width))


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


Step = Callable[..., tuple[int, int]]


def plain_walk(cost: Cost, method: Textbook, in_place: bool = False, mean: MeanPoint | None = None) -> Step:
    """:func:`advance` as it stands, on NumPy arrays; `in_place`, new points and states are written over the old.

    Some of the new points go into `mean`.
    """
    full, rule, rate = method.batch_size == "full", method.rule, method.rate
    own = walk.OWN + len(getattr(rule, "memory", ()))
    formulas = (
        plain.rate_at(rate, own), plain.schedule(rate), plain.ceiling_at(rate, own),
        plain.remember(rule), plain.update(rule), plain.settle(rule), plain.answer(rule),
    )  # fmt: skip
    switches, loop = method.switches, cast(Step, advance)
    operations: tuple[Any, ...] = walk.OPERATIONS
    if in_place:
        stepper = plain.InPlace(rule)
        formulas = (*formulas[:4], stepper.update, *formulas[5:])
        own_way: dict[Any, Any] = {
            walk.copy: stepper.copy,
            walk.square_between: stepper.square_between,
            walk.distance: stepper.distance,
        }
        operations = tuple(own_way.get(operation, operation) for operation in operations)
    if mean is not None:
        formulas = (*formulas[:4], mean.within(formulas[4], MEAN_EVERY), *formulas[5:])

    def evaluate(gradient: Vector, w: Vector, data: Any, rows: NDArray) -> float:
        return cost.gradient_into(gradient, w, None if full else rows)

    def step(q, options, batches, position, noise, first, log, path, answers):
        vectors = {name: position.get(name) for name in VECTORS}
        if vectors["direction"] is None:
            vectors["direction"] = vectors["gradient"]
        states = tuple(position.states)
        if in_place:
            vectors |= {"new": vectors["w"], "direction": vectors["gradient"], "before": None}
            states = (states[0], states[0], None)
        with np.errstate(all="ignore"):
            return loop(
                evaluate, *formulas, *operations, *switches,
                rule, q, options, (), batches.order, batches.starts, batches.stops,
                *vectors.values(), *states, position.memory, noise, first, log, path, answers,
            )  # fmt: skip

    return step


def compiled_walk(kernel: Kernel, method: Textbook) -> Step:
    """:func:`advance`, compiled around the cost's own text; other data of the same kind may be passed to it later."""
    loops: dict[tuple[str, ...], Callable] = {}
    switches = method.switches

    def step(q, options, batches, position, noise, first, log, path, answers, data=kernel.data):
        names, size = position.names, position.vectors.shape[1]
        if position.vectors.dtype != np.float64:
            size = 1 << 30  # numbers of their own would be rounded at other places than those of an array
        if names not in loops:
            loops[names] = assemble(advance, kernel.source, method.rule, q, switches._asdict(), names, size)
        return loops[names](
            numbers_of(method.rule, q, options), data, batches.order, batches.starts, batches.stops,
            position.vectors, position.states, position.memory, noise, first, log, path, answers,
        )  # fmt: skip

    return step


def _outcome(why: int, log: NDArray, done: int) -> Outcome | None:
    if why == walk.SMALL_GRADIENT:
        return Outcome("small_gradient", f"the gradient is as small as asked: {log[done - 1, 1]:.3g}")
    if why == walk.SMALL_STEP:
        return Outcome("small_step", f"the step is as small as asked: {log[done - 1, 2]:.3g}")
    if why == walk.NO_CHANGE:
        return Outcome("small_change", "the last steps moved no digit of the cost")
    if why == walk.NOT_FINITE:
        value, norm = log[min(done, len(log) - 1), :2]
        what = "J" if not np.isfinite(value) else "gradient" if not np.isfinite(norm) else "point"
        return Outcome("not_finite", f"the next {what} is not finite")
    return None
