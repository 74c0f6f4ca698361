"""What walks on softmax risks share: steps until the goal, a proof, and a tighter goal where that was not content."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from descender.costs.certificate import cost_scale
from descender.costs.cost import Vector
from descender.costs.risk import Risk
from descender.methods.advance import COLUMNS
from descender.methods.class_proof import Proof
from descender.methods.classes import Classes
from descender.methods.ending import ending
from descender.methods.method import Block, Budget

TIGHTEST = 1e-16
"""The smallest goal: rounding hides what is below it."""
NEARLY = 0.9
"""A goal that was missed by little is made tighter by little: by what it was missed by, and this."""
A_BLOCK, QUICK = 16, 5_000_000
"""Steps that are told together, where a step takes so few products that nobody waits for it."""


class Walk(Protocol):
    """A point that walks down."""

    problem: Classes
    V: NDArray
    value: float
    G: NDArray
    spent: bool
    """Whether no step lowers the cost any more."""
    hoped: bool
    """Whether it arrived by what a proof was hoped to show, and not by what is sure."""

    def arrived(self, target: float) -> bool:
        """Whether no more than `target` is left of the cost, as far as the walk knows."""

    def prove(self, risk: Risk, scale: float, tol: float) -> Proof:
        """The certificate of the point where it stands; where that is more than `tol`, what was hoped for is less."""

    def move(self, goal: float, target: float) -> tuple[float, float]:
        """Take a step: its share of the one that was meant, 0 where none lowers the cost, and its length."""


class Log:
    """The steps since the last block."""

    def __init__(self, walk: Walk, most: float):
        self.walk, self.most, self.counted, self.taken = walk, most, 0.0, 0
        self.rows: list[list[float]] = []
        self.path: list[Vector] = []

    def add(self, before: NDArray, value: float, norm: float, share: float, length: float) -> None:
        """Note a step and where it began."""
        reads = self.uncounted()
        self.rows.append([value, norm, length, share, 0.0, max(1, round(reads))])
        self.path.append(self.walk.problem.leave(before))
        self.counted, self.taken = self.counted + reads, self.taken + 1

    def uncounted(self) -> float:
        """Readings that no step was charged with."""
        return self.walk.problem.reads - self.counted

    def block(self) -> Block:
        """All of them."""
        log, path = np.array(self.rows).reshape(-1, len(COLUMNS)), np.array(self.path)
        self.rows, self.path = [], []
        n = (log[:, 5] * self.walk.problem.n).astype(np.int64)
        return Block(log, self.walk.problem.leave(self.walk.V), n, path)


def descend_classes(
    cost: Risk, tol: float, walk: Walk, goal: float, tighter: float, max_reads: float, budget: Budget
) -> Iterator[Block]:
    """Steps until `goal`, of the relative gap, then the certificate; a goal `tighter` by that factor where it asks."""
    scale = cost_scale(cost)
    small = walk.problem.K * cost.X.shape[0] * cost.n_features <= QUICK
    log = Log(walk, min(A_BLOCK, budget.watch) if small else 1)
    while True:
        target = goal * max(abs(walk.value), scale / 1000.0)
        done, enough = walk.arrived(target), walk.problem.reads >= max_reads
        if not (done or enough or walk.spent):
            before, value, norm = walk.V, walk.value, float(np.linalg.norm(walk.G))
            share, length = walk.move(goal, target)
            if share > 0.0:
                log.add(before, value, norm, share, length)
                if len(log.rows) >= log.most or log.taken >= budget.steps:
                    yield log.block()
            continue
        if log.rows:
            yield log.block()
        proof = walk.prove(cost, scale, tol)
        if proof.found.relative <= tol or not done or goal < TIGHTEST:
            yield ending(cost, tol, proof.point, proof.found, round(log.uncounted()) + 1, proof.final)
            return
        short = max(tighter, NEARLY * tol / max(proof.found.relative, tol)) if proof.found.rigorous else tighter
        goal, walk.spent = goal * (1.0 if walk.hoped else short), False
