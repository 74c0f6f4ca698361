"""One class against the rest, class by class: the risks share no parameter, so each is minimised on its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from descender.costs.certificate import Certificate, total_certificate
from descender.costs.cost import Cost, Vector
from descender.costs.risk import Risk
from descender.methods.ending import ending
from descender.methods.method import Block, Budget, Method


@dataclass(frozen=True)
class ClassByClass:
    """A method for one score a row, `choose(risk)`, for each class in turn; the certificates add.

    The cost that a step shows is that of all classes: those not begun stand where the walk started.
    """

    tol: float
    choose: Callable[[Risk], Method]
    name: str = "one class after the other"

    def blocks(self, cost: Cost, w: Vector, rng: np.random.Generator, budget: Budget) -> Iterator[Block]:
        """Walk from `w`."""
        assert isinstance(cost, Risk)
        K, w = cost.n_classes, w.copy()
        risks = [cost.against_rest(k) for k in range(K)]
        values = np.array([risk.value(cost.part_of(w, k)) for k, risk in enumerate(risks)])
        found: list[Certificate] = []
        for k, risk in enumerate(risks):
            for block in self.choose(risk).blocks(risk, cost.part_of(w, k), rng, budget):
                log = np.array(block.log)
                log[:, 0] += values.sum() - values[k]
                path = None
                if block.path is not None:
                    path = np.tile(w, (len(block.path), 1))
                    for before, part in zip(path, np.asarray(block.path), strict=True):
                        cost.set_part(before, k, part)
                w = w.copy()
                cost.set_part(w, k, block.w)
                yield block._replace(log=log, w=w, path=path, outcome=None, final=None, certificate=None)
                if block.outcome is not None:
                    found.append(block.certificate)
                    values[k] = block.final[0] if block.final is not None else risk.value(block.w)
                    break
        yield ending(cost, self.tol, w, total_certificate(cost, found))
