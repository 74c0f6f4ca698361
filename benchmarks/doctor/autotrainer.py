"""The rules of AutoTrainer, written anew from the paper: its package is for Keras, and the name is another's today.

Zhang, Zhai, Ma, Shen: AutoTrainer: an automatic DNN training problem detection and repair system, ICSE 2021, with the
default thresholds of its table of parameters.  It looks after each epoch, at gradients layer by layer, and at the
accuracy; where there is none (a regression), at the share of the first loss that is left, from which the same changes
are read.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from typing import Any

import torch
from corpus import Program

VANISHED, SMALL = 1e-3, 1e-4
"""The first layer's gradient over the last one's, and the first layer's itself."""
EXPLODED = 70.0
DEAD = 0.7
SWING, OFTEN = 0.03, 0.2
"""A change of the accuracy downwards that counts, and the share of epochs that may have one."""
SLOW, EPOCHS = 0.01, 3
"""The least gain of accuracy in so many epochs while it is below 0.6."""


def accuracy(loop: Any, first: float, loss: float) -> float:
    """The accuracy on the training data, or one minus the share of the loss that is left."""
    loop.module.eval()
    with torch.no_grad():
        out = loop.module(loop.X)
    if out.ndim == 2 and out.shape[1] > 1 and not loop.y.is_floating_point():
        return float((out.argmax(dim=1) == loop.y).float().mean())
    return 1.0 - loss / first if first else 0.0


def autotrainer(program: Program, seed: int) -> list[list[str]]:
    """What its rules say, in the order in which it solves problems."""
    loop = program.make(seed)
    matrices = [p for p in loop.module.parameters() if p.ndim > 1]
    ratios: list[float] = []
    found: dict[str, list[str]] = {}
    seen: deque[float] = deque(maxlen=100)
    first: float | None = None
    number = 0
    while number < loop.steps:
        for batch in loop.batches:
            loss = loop.step(batch)
            first = loss if first is None else first
            number += 1
            if number >= loop.steps:
                break
        gradients = [p.grad for p in matrices if p.grad is not None]
        if not math.isfinite(loss) or any(not bool(torch.isfinite(g).all()) for g in gradients):
            found["EG"] = ["exploding-gradient", "learning-rate-too-high"]
            break
        sizes = [float(g.float().norm()) for g in gradients]
        if len(sizes) > 1:
            ratio = sizes[0] / sizes[-1] if sizes[-1] else math.inf
            ratios.append(ratio)
            if ratio < VANISHED and sizes[0] < SMALL:
                found["VG"] = ["vanishing-gradient"]
            if ratio > EXPLODED:
                found["EG"] = ["exploding-gradient", "learning-rate-too-high"]
            if any(float((g == 0).float().mean()) >= DEAD for g in gradients):
                found["DR"] = ["dead-units"]
        seen.append(accuracy(loop, first or 0.0, loss))
    values = list(seen)
    drops = sum(b < a - SWING for a, b in itertools.pairwise(values))
    if len(values) > 3 and drops > OFTEN * len(values):
        found["OL"] = ["oscillation", "learning-rate-too-high", "momentum-too-high"]
    if len(values) > EPOCHS and values[-1] < 0.6 and values[-1] - values[-1 - EPOCHS] < SLOW:
        found["SC"] = ["learning-rate-too-low"]
    return [found[key] for key in ("VG", "EG", "DR", "OL", "SC") if key in found]
