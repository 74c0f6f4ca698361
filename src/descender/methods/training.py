"""How a network is trained where nothing was asked for: no rate, no batch size, no number of epochs to choose."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from descender.errors import OptionError

RATE, BATCH = 0.01, 64
"""Over inputs of deviation 1 best or nearly so on eight data sets, with layers 30 to 1,000 wide, one to four deep."""
METHOD = ("nadam", "NAdam")
MEMORY, FEWEST = 2, 8
"""The last points are averaged over half an epoch, at least over so many steps."""
ALPHA = 0.1
"""The strength of the l2 penalty, to be divided by the number of samples: of images of digits 98.1 % were right with
it, 96.7 % with a thousandth of it, as the held-out cost of sure errors then ends a training before it is good."""
STEPS, EPOCHS = 2000, 20
"""At least so many steps, and so many epochs: few samples take more epochs."""


class Plan(NamedTuple):
    """A method by name, its schedule, its batch size, its epochs and their steps, the sentence that says why, and the
    steps over which points are averaged.
    """

    method: str
    learning_rate: Any
    batch_size: int
    epochs: int
    per_epoch: int
    why: str
    memory: float


def plan(n: int, batch_size: Any = None, epochs: int | None = None, learning_rate: Any = "auto") -> Plan:
    """The plan for a network and n samples; what is given is kept, and a number given as rate is where it begins."""
    size = n if batch_size == "full" else min(BATCH, n) if batch_size is None else batch_size
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise OptionError(f"batch_size={batch_size!r}: expected 'full' or a whole number of at least 1")
    per_epoch = math.ceil(n / size)
    epochs = max(EPOCHS, math.ceil(STEPS / per_epoch)) if epochs is None else epochs
    memory = max(per_epoch / MEMORY, float(FEWEST))
    why = f"{METHOD[1]}, because a network is not convex and its gradients differ in size"
    if isinstance(learning_rate, str) and learning_rate != "auto":
        return Plan(METHOD[0], learning_rate, size, epochs, per_epoch, why, memory)
    rate = RATE if learning_rate == "auto" else float(learning_rate)
    falling = f"cosine {rate!r} {max(epochs * per_epoch, 1)}"
    told = f"{why}; the rate falls from {rate:g} to 0, and the last points are averaged"
    return Plan(METHOD[0], falling, size, epochs, per_epoch, told, memory)
