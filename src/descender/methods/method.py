"""What a method is: an endless iterator of blocks of steps.

The method walks; what watches it - budgets, records, progress - stands outside and only reads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Cost, Rows, Vector
from descender.methods.advance import COLUMNS


class Outcome(NamedTuple):
    """Why a walk ended: `kind` for programs, `text` for people."""

    kind: str
    text: str

    @property
    def converged(self) -> bool:
        """Whether the method is content."""
        return self.kind == "converged"


class Later:
    """An array that is made when somebody looks at it."""

    def __init__(self, shape: tuple[int, ...], make: Callable[[], NDArray]):
        self.shape, self.make, self.size = shape, make, math.prod(shape)

    def __len__(self) -> int:
        return self.shape[0]

    @cached_property
    def made(self) -> NDArray:
        """The array."""
        return self.make()

    def __getitem__(self, key: Any) -> Any:
        return self.made[key]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray:
        return np.array(self.made, dtype=dtype, copy=copy)


class Log(Later):
    """The log of steps that asked for one evaluation each, of which nothing but the costs is worked out at once."""

    def __init__(self, costs: Sequence[float], make: Callable[[], NDArray]):
        super().__init__((len(costs), len(COLUMNS)), make)
        self.costs = costs


class Block(NamedTuple):
    """Some consecutive steps, in columns, and where they led.

    ``log`` has a row for each step, with the columns of :data:`~descender.methods.advance.COLUMNS`; ``rows`` counts
    the samples that each step read, for its trials, too; ``path`` has the point before each step, or no rows.
    Both may be made later.
    ``epoch_ends`` tells that the last step completed a reading of all samples. ``outcome`` is None while the walk
    goes on; with it, ``final`` may be the cost and gradient at `w`, and ``certificate`` what is known about its
    distance from the bottom. ``note`` is an event worth telling, a recovery where the walk ``went_back``;
    ``evaluations`` counts those that no row of the log does. Where a method reports another point than that of its
    gradients, ``w`` and ``answers`` are what it reports after and before each step.  ``pairs`` is what a quasi-Newton
    method has learnt of the curvature so far.  ``lost`` tells where J or its gradient
    was first not finite: after how many steps of the block, the point, and the rows that were read (None: all).
    """

    log: NDArray[np.float64] | Log
    w: Vector
    rows: NDArray[np.int64] | int = 0
    path: NDArray | Later | None = None
    epoch_ends: bool = False
    outcome: Outcome | None = None
    note: str | None = None
    final: tuple[float, Vector] | None = None
    certificate: Any = None
    evaluations: int = 0
    answers: NDArray | None = None
    went_back: bool = False
    pairs: Any = None
    lost: tuple[int, Vector, Rows | None] | None = None

    def cost(self, k: int) -> float:
        """The cost before step k."""
        return self.log.costs[k] if isinstance(self.log, Log) else float(self.log[k, 0])

    @property
    def asked(self) -> int:
        """Evaluations in all."""
        own = len(self.log) if isinstance(self.log, Log) else int(np.add.reduce(self.log[:, -1]))
        return own + self.evaluations


class Budget(NamedTuple):
    """What a method may still use; it plans its blocks by it and never exceeds `steps`."""

    steps: float = np.inf
    watch: int = 1 << 30
    """the largest number of steps between two looks of a watcher"""


class Method(Protocol):
    """How steps are chosen."""

    @property
    def name(self) -> str:
        """The field's name for it."""
        ...

    # draws = False, where no number of `rng` is drawn: to begin a generator takes as long as some steps

    def blocks(self, cost: Cost, w: Vector, rng: np.random.Generator, budget: Budget) -> Iterator[Block]:
        """Walk from `w`, endlessly or until content."""
        ...


def one_step(cost: float, gradient_norm: float, step: float, rate: float, evaluations: int) -> NDArray[np.float64]:
    """The log of a block of one step."""
    return np.array([[cost, gradient_norm, step, rate, 0.0, evaluations]], dtype=np.float64)
