"""What is known of a training loop: plain numbers, from which the checks draw their conclusions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.doctor.loops.learnable import Learnable, learnable, with_counts

LITTLE, HALF = 0.2, 0.5
"""What a training must explain of what a simple model does of held-out targets, to have learnt something; what its
answers must tell of them where the loss is of other rows, or of another kind."""


@dataclass(frozen=True)
class Remedy:
    """Something that may be tried: its name, the change of the loop that it is, and the same as code.

    ``change`` is a name and a value that :mod:`descender.watching.changes` knows; None where a person has to do it.
    """

    name: str
    code: str
    change: tuple[str, Any] | None = None


@dataclass
class Run:
    """One training from its start to its end, or to where it broke."""

    losses: NDArray
    rates: NDArray
    raw: NDArray
    """The norm of the gradient that backward() made in a step, NaN where none was made."""
    applied: NDArray
    """The norm of the gradient that the optimizer was given, NaN where it did not step."""
    validation: list[tuple[int, float]]
    start: float
    """The loss of a sample of the rows in evaluation mode before training, and after."""
    end: float
    explained: float = float("nan")
    """How far the end is on the way from the best constant answer (0) to the lowest conceivable loss (1)."""
    error: BaseException | None = None
    broken: int | None = None
    """The step at which the loss, a gradient or a weight was no longer finite."""
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def finite(self) -> bool:
        """Whether it ended with finite numbers."""
        return self.broken is None and self.error is None and bool(np.isfinite(self.losses[-1:]).all())

    @cached_property
    def best_validation(self) -> float:
        """The lowest validation loss; infinite where there is none."""
        values = [value for _, value in self.validation if np.isfinite(value)]
        return min(values, default=float("inf"))

    @property
    def late_validation(self) -> float:
        """The mean of the last quarter of the validations; infinite where there is none."""
        values = [value for _, value in self.validation][-max(len(self.validation) // 4, 2) :]
        return float(np.mean(values)) if values else float("inf")

    def smooth(self, parts: int = 20) -> NDArray:
        """The mean loss of twenty parts of the training."""
        if not len(self.losses):
            return np.array([np.nan])
        return np.array([part.mean() for part in np.array_split(self.losses, min(parts, len(self.losses)))])


@dataclass
class Part:
    """A parameter, and what became of it."""

    name: str
    layer: str
    size: int
    wanted: bool
    called: bool
    got: float
    """The share of steps in which it got a gradient that was not None."""
    zero: float
    """Among these, the share in which all of it was exactly 0."""
    given: bool
    """Whether an optimizer that stepped had it."""
    moved: bool


@dataclass
class Layer:
    """A layer's activation on a sample of rows."""

    name: str
    kind: str
    units: int
    dead: float
    """The share of units that are 0 for every row."""
    saturated: float
    """The share of values whose input is beyond 5."""


@dataclass
class LossFacts:
    """The loss as a function of outputs and targets."""

    trivial: float = float("nan")
    """The loss of the best constant answer."""
    floor: float = float("nan")
    """The lowest loss of any answer."""
    rows: int = 0
    """Of how many rows these two are, where the loss is a sum over rows; 0 of a mean."""
    doubled: float = float("nan")
    """The loss of a batch taken twice over the loss of that batch, and what it was per row."""
    permuted: float = float("nan")
    """The relative change of the loss when targets change places."""
    shifted: float = float("nan")
    """The relative change of the loss when all scores of a row are raised by one number."""
    columns: float = float("nan")
    """The relative change of the loss when one class's scores of all rows are raised by one number."""
    mirrored: float = float("nan")
    """The relative change of the loss when one class's scores of all rows change their sign."""
    flat: float = 0.0
    """The share of the module's own answers at which the loss has no slope, though it is lower elsewhere."""
    quadratic: bool = False
    linear: bool = False
    unheard: float | None = None
    """The class whose rows have the same loss whatever is answered, where those of others have not."""
    endless: bool = False
    """Whether the loss of classes falls without end, in a straight line, as the scores of the right ones grow."""
    outwards: bool = False
    """Whether the loss falls as outputs leave their targets."""
    always: float | None = None
    """The loss, where it is the same for all outputs."""


@dataclass
class Anatomy:
    """A step taken apart: the gradient as a multiple of that of the loss, and of the weights."""

    step: int
    along: float
    """The multiple of the gradient of `loss_fn`; negative where steps climb."""
    weights: float
    """The multiple of the weights."""
    share: float
    """The norm of the part along the weights and their signs over that of the part along the loss."""
    left: float
    """The share of the gradient that is neither."""
    reported: float
    own: float
    """The loss that `step` told, and that of `loss_fn` on its batch."""
    signs: float = 0.0
    """The multiple of the signs of the weights: a penalty on their absolute values."""


@dataclass
class Origin:
    """Where the first number that is not finite came from."""

    step: int
    operation: str
    layer: str
    where: dict[str, Any]
    value: float
    """The largest input of the operation in size, or the one that made it."""
    largest: float
    backward: bool
    half: bool
    """Whether the operation is finite in double precision."""
    domain: bool
    """Whether it is one of those that are not defined everywhere: a logarithm, a root, a quotient."""
    start: bool
    """Whether no weight had moved before."""


@dataclass
class Case:
    """A training loop that was run and examined."""

    X: NDArray | None
    y: NDArray | None
    shape: tuple[int, ...]
    """The shape of X."""
    targets: str
    """"classes" where y holds class numbers, "numbers", or "" where neither is known."""
    output: tuple[int, ...]
    """The shape of the outputs for the sample."""
    target_shape: tuple[int, ...]
    outputs: NDArray | None
    predictions: NDArray | None
    """Outputs before and after training."""
    base: Run
    loss: LossFacts
    parts: list[Part]
    layers: list[Layer]
    layers_end: list[Layer]
    back: list[tuple[str, float]]
    """The root mean square of the gradient of each weight matrix at the start, in the order of their use."""
    forth: list[tuple[str, float]]
    """The spread of what each layer hands on at the start."""
    anatomy: list[Anatomy]
    origin: Origin | None
    facts: dict[str, Any]
    rerun: Callable[[Remedy], Run]

    @property
    def n(self) -> int:
        """How many rows there are."""
        return 0 if self.X is None else len(self.X)

    @property
    def tabular(self) -> bool:
        """Whether a row is a list of columns."""
        return len(self.shape) == 2

    @cached_property
    def learnable(self) -> Learnable | None:
        """Whether simple models tell held-out targets."""
        if self.X is None or self.y is None or self.y.shape[1] != 1 or not self.targets or self.X.shape[1] > 5000:
            return None
        X = with_counts(self.X) if self.facts.get("whole columns") and self.tabular else self.X
        return learnable(X, self.y, self.targets == "classes")

    @cached_property
    def tells(self) -> float:
        """How well the answers after training tell the targets, on the scale of what ``learnable`` explains."""
        out, y = self.predictions, self.y
        if out is None or y is None or y.shape[1] != 1 or not np.isfinite(out).all() or not np.ptp(y[: len(out)]) > 0:
            return float("nan")
        y = y[: len(out), 0]
        if self.targets == "classes":
            kinds = np.unique(y)
            middle = 0.5 if (out >= 0).all() and (out <= 1).all() else 0.0
            answers = out.argmax(axis=1) if out.shape[1] > 1 else (out[:, 0] > middle).astype(int)
            right = float(np.mean([np.mean(answers[y == kind] == kind) for kind in kinds]))
            return (right - 1 / len(kinds)) / (1 - 1 / len(kinds))
        if out.shape[1] != 1 or not np.ptp(out) > 0:
            return float("nan")
        r = np.corrcoef(out[:, 0].argsort().argsort(), y.argsort().argsort())[0, 1]
        return float(r * abs(r))

    @property
    def little(self) -> bool:
        """Whether far less was learnt than simple models learn, and the answers do not tell the targets either."""
        told = self.learnable
        if told is None or told.z < 8 or told.explained < LITTLE:
            return False
        return (self.failed() or self.base.explained < LITTLE * told.explained) and not (
            self.tells > HALF * told.explained
        )

    def closed(self, value: float) -> float:
        """How far a loss is on the way from the best constant answer (0) to the lowest conceivable loss (1)."""
        way = self.loss.trivial - self.loss.floor
        return (self.loss.trivial - value) / way if way > 1e-12 * (1.0 + abs(self.loss.trivial)) else float("nan")

    def failed(self, run: Run | None = None) -> bool:
        """Whether a training ended with nothing learnt."""
        run = run or self.base
        if not run.finite:
            return True
        if np.isfinite(run.explained):
            return run.explained < 0.05
        return not run.end < run.start - 0.02 * abs(run.start)

    def repaired(self, run: Run, by: float = 0.2) -> bool:
        """Whether a run is well where the first one was not: closer to the lowest loss by a share of the way."""
        if not run.finite or not np.isfinite(run.explained):
            return False
        before = self.base.explained if self.base.finite and np.isfinite(self.base.explained) else -np.inf
        return run.explained > max(before, 0.0) + by * (1.0 - np.clip(before, 0.0, 1.0)) and not self.failed(run)

    def better(self, run: Run) -> bool:
        """Whether a run ended better, on its own rows or on held-out ones, or within 5 % as well without the fault."""
        base = self.base
        if not run.finite or not base.finite:
            return run.finite
        gained = run.explained - base.explained
        least = abs(base.best_validation) * 0.01 if np.isfinite(base.best_validation) else 0.0
        if run.best_validation < base.best_validation - least:
            return True
        if not np.isfinite(gained) and np.isfinite(run.explained):  # the loss was another, without a lowest value
            return not self.failed(run)
        return bool(gained > -0.05 if np.isfinite(gained) else run.end < base.end)

    def first_repair(self, remedies: list[Remedy], by: float = 0.2) -> tuple[Remedy, Run] | None:
        """The first remedy that repairs, and how the training ended with it."""
        for remedy in remedies:
            run = self.rerun(remedy)
            if self.repaired(run, by):
                return remedy, run
        return None

    def outcome(self, run: Run) -> str:
        """How a run ended, in a few words."""
        if run.error is not None:
            return f"{type(run.error).__name__} at step {len(run.losses)}"
        if not run.finite:
            return "NaN" if np.isnan(run.losses[-1:]).any() else "infinity" if len(run.losses) else "nothing"
        value = run.end if np.isfinite(run.end) else float(run.losses[-20:].mean())
        return f"{value:.3g}"


@dataclass(frozen=True)
class Suspect:
    """What a check found, before it is told: a cause, the evidence, and what may help, the best first."""

    cause: str
    severity: str
    evidence: str
    remedies: list[Remedy]
    where: dict[str, Any] = field(default_factory=dict)


Check = Callable[[Case], "Suspect | None"]
