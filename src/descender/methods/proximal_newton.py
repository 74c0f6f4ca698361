r"""The proximal Newton method for small problems with l1: the exact minimum of each quadratic model.

A step leads towards :math:`\arg\min_v g\cdot(v-v_0) + \tfrac12 (v-v_0)'H(v-v_0) + \sum_j \lambda_j |v_j|`, which the
exchanges of :func:`~descender.methods.path.lasso` find on H alone; five to ten of them end at rounding.

J. Lee, Y. Sun, M. Saunders, *Proximal Newton-type methods for minimizing composite functions*, 2014.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from descender.costs.certificate import ROUNDING, certificate, cost_scale
from descender.costs.cost import Cost, Vector
from descender.costs.risk import Risk
from descender.methods.advance import COLUMNS
from descender.methods.centred import FLAT
from descender.methods.ending import ending
from descender.methods.method import Block, Budget
from descender.methods.metric import LearntMetric
from descender.methods.newton import A_BLOCK, MOST_IDLE, NOISE, SMALLEST_GOAL, Point, Standard, is_small
from descender.methods.path import lasso

FEW = 300
"""Columns up to which the minimum of a model costs less than a walk in a learnt metric."""
LOST = 1e-9
"""A relative gap above which an end in rounding is none, and descent in a learnt metric goes on."""


def has_proximal_newton(risk: Risk) -> bool:
    """Whether :class:`ProximalNewton` is for this risk: small, with l1, and one score a row."""
    smooth = risk.loss.differentiable and not risk.loss.scores_per_class
    return risk.l1 > 0 and smooth and is_small(risk) and risk.n_features <= FEW


@dataclass(frozen=True)
class ProximalNewton:
    """The proximal Newton method on a small convex risk with l1; no rate to choose, and a certificate.

    It ends when a certificate shows a gap of at most ``tol * max(|F|, scale/1000)``, or where rounding allows no
    further descent.
    """

    tol: float = 1e-6
    name: str = "proximal Newton's method"

    def blocks(self, cost: Cost, w: Vector, rng: np.random.Generator, budget: Budget) -> Iterator[Block]:
        """Walk from `w`."""
        assert isinstance(cost, Risk)
        walk, goal, most = _Descent(cost, w), 0.2 * self.tol, min(A_BLOCK, budget.watch)
        while True:
            room = min(most, budget.steps - walk.told)
            walk.descend(goal, room)
            if len(walk.log) >= room:
                yield walk.block()
                continue
            found = certificate(cost, walk.point)
            assert found is not None
            if found.relative <= max(self.tol, 2.0 * ROUNDING) or walk.stuck or goal < SMALLEST_GOAL:
                break
            goal *= 0.03
        if walk.log:
            yield walk.block()
        if found.relative > max(self.tol, LOST):
            yield from LearntMetric(self.tol).blocks(cost, walk.point, rng, budget)
            return
        yield ending(cost, self.tol, walk.point, found)


class _Descent:
    """A point that walks down, and what the log says of its steps."""

    @np.errstate(all="ignore")
    def __init__(self, risk: Risk, w: Vector):
        self.problem, self.scale = Standard(risk), cost_scale(risk)
        self.l1 = np.zeros(self.problem.X.shape[1])
        self.l1[: self.problem.d] = risk.l1 / self.problem.size
        self.log: list[tuple[NDArray, NDArray, float, float]] = []
        self.told, self.stuck, self.promise = 0, False, math.inf
        self.best, self.idle = math.inf, 0
        self._stand(self.problem.look(self.problem.enter(w)))
        if risk.intercept:
            V = np.zeros_like(self.here.V)
            V[0, -1] = self.problem.loss.trivial(self.problem.y, self.problem.sigma)
            constant = self.problem.look(V)
            if not self.value <= constant.value:
                self._stand(constant)
        self._aim()

    @property
    def point(self) -> Vector:
        """The parameter vector of the risk where the walk is."""
        return self.problem.leave(self.here.V)

    def _penalty(self, V: NDArray) -> float:
        return float(self.l1 @ np.abs(V[0]))

    def _stand(self, here: Point) -> None:
        self.here, self.value = here, here.value + self._penalty(here.V)
        self.unit = max(abs(self.value), self.scale / 1000.0)

    def _aim(self, cautious: bool = False) -> None:
        """The step to the minimum of the model, and half of what it promises."""
        relative = self.promise / self.unit if self.unit > 0 else 0.0
        H, g, v = self.problem.hessian(self.here, FLAT * min(1.0, relative), cautious), self.here.G[0], self.here.V[0]
        u = lasso(H, H @ v - g, v, self.l1)
        self.step = u - v
        self.promise = -0.5 * float(g @ self.step + self.l1 @ (np.abs(u) - np.abs(v)))
        self.best, self.idle = (self.promise, 0) if self.promise < 0.5 * self.best else (self.best, self.idle + 1)

    @np.errstate(all="ignore")
    def descend(self, goal: float, most: float) -> None:
        """Take steps until little is promised, none that lowers the cost is found, or the log holds `most`."""
        while len(self.log) < most and not self.stuck and self.promise > goal * self.unit:
            if self.idle >= MOST_IDLE and self.promise < LOST * self.unit:
                self.stuck = True  # what is promised is rounding
            elif not self._move():
                self.stuck = self.promise <= NOISE * self.unit
                if not self.stuck:
                    self._aim(cautious=True)
                    self.stuck = not self._move()

    def _move(self) -> bool:
        """Take the step, halved until it lowers the cost by a share of what it promises."""
        t = 1.0
        while t > 1e-8:
            there = self.problem.look(self.here.V + t * self.step)
            value = there.value + self._penalty(there.V)
            if value <= self.value - 2e-4 * t * self.promise + NOISE * abs(self.value):
                moved = value < self.value or self.promise > NOISE * self.unit
                self.log.append((self.here.V, self.here.G, self.value, t))
                self._stand(there)
                self._aim()
                return moved
            t *= 0.5
        return False

    def block(self) -> Block:
        """The steps since the last block."""
        problem, (points, slopes, values, shares) = self.problem, zip(*self.log, strict=True)
        path = problem.leave(np.array([*points, self.here.V]))
        log = np.zeros((len(points), len(COLUMNS)))
        log[:, 0], log[:, 3], log[:, 5] = values, shares, 1.0
        with np.errstate(all="ignore"):
            gradients = problem.leave_gradient(np.array(slopes) + self.l1 * np.sign(points))
            log[:, 1], log[:, 2] = np.linalg.norm(gradients, axis=1), np.linalg.norm(np.diff(path, axis=0), axis=1)
        self.log, self.told = [], self.told + len(points)
        return Block(log, path[-1], problem.n, path[:-1])
