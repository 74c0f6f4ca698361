r"""Accelerated proximal gradient: the fallback for an l1 penalty where no better method applies (softmax).

.. math:: w \leftarrow \mathrm{soft}\bigl(y - D^{-1} \nabla f(y) / L,\ \lambda_1 / (L D)\bigr)

with the extrapolated point y, column scales D and a constant L found by backtracking.

A. Beck and M. Teboulle, *A fast iterative shrinkage-thresholding algorithm*, 2009; B. O'Donoghue and E. Candès,
*Adaptive restart for accelerated gradient schemes*, 2015.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from descender.costs.certificate import certificate
from descender.costs.cost import Cost, Vector
from descender.costs.risk import Risk
from descender.methods.centred import column_facts
from descender.methods.ending import ending
from descender.methods.method import Block, Budget, one_step

CERTIFY_EVERY = 25


@dataclass(frozen=True)
class ProximalGradient:
    """FISTA with restarts in the metric of the column scales; ends on the certificate."""

    tol: float = 1e-6
    max_reads: int = 20_000
    name: str = "accelerated proximal gradient"

    def blocks(self, cost: Cost, w: Vector, rng: np.random.Generator, budget: Budget) -> Iterator[Block]:
        """Walk from `w`."""
        assert isinstance(cost, Risk)
        n, weights = cost.n_samples or 0, cost.n_classes * cost.n_features
        sigma = (np.ones(n) if cost.sample_weight is None else cost.sample_weight) / cost.denominator
        facts = column_facts(cost.X, sigma, centre=False)
        squares = np.tile(
            np.maximum(facts.squares, 1e-12 * max(float(facts.squares.max(initial=0)), 1e-300)), cost.n_classes
        )
        scale = np.append(squares, np.full(len(w) - weights, sigma.sum()))
        strengths = np.where(np.arange(len(w)) < weights, cost.l1, 0.0)

        def smooth(v: Vector) -> tuple[float, Vector]:
            value, gradient = cost.value_and_gradient(v)
            return value - float(strengths @ np.abs(v)), gradient - strengths * np.sign(v)

        L, momentum, y = 0.1, 1.0, w
        value = cost.value(w)
        for number in range(1, self.max_reads):
            at, gradient = smooth(y)
            evaluations = 1
            while True:
                target = y - gradient / (L * scale)
                bound = strengths / (L * scale)
                new = target - np.clip(target, -bound, bound)
                change = new - y
                trial = cost.value(new)
                evaluations += 1
                model = at + float(gradient @ change) + 0.5 * L * float(change @ (scale * change))
                if trial - float(strengths @ np.abs(new)) <= model + 1e-14 * abs(at) or evaluations > 60:
                    break
                L *= 2.0
            log = one_step(value, float(np.linalg.norm(gradient)), float(np.linalg.norm(new - w)), 1 / L, evaluations)
            if float((scale * (y - new)) @ (new - w)) > 0:
                momentum, y = 1.0, new
            else:
                following = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
                y, momentum = new + (momentum - 1.0) / following * (new - w), following
            still, path, w, value, L = np.array_equal(new, w), w[None, :], new, trial, 0.95 * L
            yield Block(log, w, n * evaluations, path)
            if number % CERTIFY_EVERY == 0 or still:
                found = certificate(cost, w)
                assert found is not None
                if found.relative <= self.tol or still:
                    yield ending(cost, self.tol, w, found)
                    return
