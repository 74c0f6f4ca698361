r"""The normal equations of a squared error: one reading for the moments of the rows, at most one for the proof.

With :math:`G = \sum_i \sigma_i (x_i-\mu)(x_i-\mu)'` the minimum solves :math:`(G + \lambda_2 I)\,w = c`; with an l1
penalty it is that of a quadratic, found on G alone.  The moments tell the cost and the gradient there, too, and with
them the duality gap, up to what their summation lost: without l1 it is :math:`\tfrac12 g'H^{-1}g`, in which a
gradient's rounding counts squared.  Where more is asked than that tells - in float32 - the rows are read in float64,
and the same equations are solved for what is left (*iterative refinement*): over so short a step the moments know the
change of the gradient well enough, so that its end is certified without another reading.

Å. Björck, *Numerical Methods for Least Squares Problems*, 1996, §2.2, §2.9.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from descender.costs.certificate import ROUNDING, Certificate, certificate, proved
from descender.costs.cost import Cost, Vector
from descender.costs.losses import SquaredError
from descender.costs.risk import Risk
from descender.methods.centred import ROUGH_JITTER, Centred
from descender.methods.column_facts import Columns
from descender.methods.ending import ending
from descender.methods.lasso import lasso
from descender.methods.method import Block, Budget, one_step
from descender.methods.metric import LearntMetric, descend_from, is_wide
from descender.methods.metrics import Dense
from descender.methods.moments import Moments, dual_of_squares
from descender.methods.newton import has_newton, is_small
from descender.methods.residuals import HALF_ULP, Sample
from descender.methods.sampled_squares import SampledSquares, plan, whole_readings

FEW, TALL = 300, 40
"""Columns up to which the moments of all rows cost less than the readings of a descent; rows a column up to which they
do however many columns there are, as a descent then learns its metric from all rows, too."""
CHEAPER = 1.0
"""The share of what the moments of all rows cost that the metric of some of them may cost."""
SURE, WORST = 1e-9, 1e4
"""What the moments may have lost of the cost, as a share of it, for the rows not to be read again; and as a multiple of
``tol``, since that is a bound on the worst case, some 20,000 times what is seen (the distance to the minimum is told
by the gradient alone, and far better)."""
REFINED = 0.1
"""The share of the gap that another reading has to leave at most; where it leaves more the equations are too rough."""

GUESSED, SPARED, FEWEST, BLUNT = 40, 8, 10, 0.02
"""Rows a column by which weights are guessed, of so many times as many, or fewer, but at least so many; and the share
of its own that the diagonal of their moments gains, lest columns that hardly show there are given large weights."""
CLOSE = 3e-8
"""The tolerance, over the square of the columns, down to which moments in float32 mostly prove enough without it."""
DOUBT = 0.1
"""What summation may change the least curvature by, as a share of it, for the equations to be surely regular."""

JITTER = {4: 1e-6, 8: 1e-14}
"""What the diagonal gains, as a share of it, by the bytes of a number: more than its least eigenvalue may have lost."""


def looks_itself(risk: Risk) -> bool:
    """Whether a method chosen here sees on its way if the rows are finite, so that nobody has to look before."""
    if risk.sparse or risk.l1 > 0 or has_newton(risk) or is_small(risk) or is_wide(risk):
        return False
    return told_by_moments(risk) or (
        risk.loss.differentiable and not risk.loss.scores_per_class and risk.n_classes == 1
    )


def told_by_moments(risk: Risk) -> bool:
    """Whether the moments of all rows are the quickest way to the minimum: dense rows and a squared error."""
    if risk.loss is not SquaredError or risk.sparse or is_wide(risk):
        return False
    n, d = risk.X.shape
    return (d < n or (risk.l1 > 0 and n > 1)) and (_are_few(risk) or risk.l1 == 0)


def _are_few(risk: Risk) -> bool:
    """Whether the moments of all rows are worth their price, where a sample of them does not do."""
    n, d = risk.X.shape
    return d <= FEW or n <= TALL * d


class Point(NamedTuple):
    """A point, the smooth cost and its gradient there, and what either may be off by.

    Of the slack so much, times the sizes of the columns, is that of residuals which are `astray`.
    """

    v: Vector
    value: float
    gradient: Vector
    lost: float
    slack: Vector
    astray: float = 0.0


@dataclass(frozen=True)
class NormalEquations:
    """The minimum of a squared error on dense rows with any penalty, from its moments, and a certificate.

    It ends when a certificate shows a gap of at most ``tol * max(|F|, scale/1000)``.  Where the equations are too
    nearly singular for that, descent in a learnt metric goes on.
    """

    tol: float = 1e-6
    name: str = "normal equations"

    def blocks(self, cost: Cost, w: Vector, rng: np.random.Generator, budget: Budget) -> Iterator[Block]:
        """Walk from `w`."""
        assert isinstance(cost, Risk)
        if w.any() and (cost.l1 > 0 or cost.l2 > 0):
            # as after a path: a few readings are less than the moments
            there = certificate(cost, w, cost.y - cost.scores(w, cost.X), alone=True)
            if there is not None and there.relative <= self.tol:
                yield ending(cost, self.tol, w, there)
                return
        walk = self._sampled(cost, rng)
        left = w if walk is None else (yield from walk.blocks(w))
        if left is None:
            return
        if not _are_few(cost):
            yield from LearntMetric(self.tol).blocks(cost, left, rng, budget)
            return
        equations = Equations(cost, self.tol)
        if not equations.known:
            yield from LearntMetric(self.tol).blocks(cost, w, rng, budget)
            return
        problem, scale, last = equations.problem, equations.scale(), np.inf
        before = equations.told(problem.enter(w))
        here, reads = equations.told(before.v + equations.step(before)), 1
        while True:
            found = equations.certificate(here, scale)
            near = found.relative <= max(self.tol, 2.0 * ROUNDING)
            if not (near and here.lost <= max(SURE, WORST * self.tol) * abs(found.value)):
                here, reads = equations.refined(equations.compared(here)), reads + 1
                found = equations.certificate(here, scale)
            yield _block(equations, before, here, reads)
            if found.relative <= max(self.tol, 2.0 * ROUNDING):
                final = None if problem.far else (found.value, problem.leave_gradient(here.gradient))
                yield ending(cost, self.tol, problem.leave(here.v), found, 0, final)
                return
            lower = found.value < equations.value(before)
            if not lower or np.isinf(found.gap):
                start = problem.leave((here if lower else before).v)
                yield from LearntMetric(self.tol).blocks(cost, start, rng, budget)
                return
            if not found.gap < REFINED * last:
                yield from descend_from(cost, problem.leave(here.v), self.tol)
                return
            before, last, reads = here, found.gap, 0

    def _sampled(self, cost: Risk, rng: np.random.Generator) -> SampledSquares | None:
        """The walk in the metric of some rows, where that is the cheaper one."""
        if cost.l1 > 0:
            return None
        (n, d), few = cost.X.shape, _are_few(cost)
        drawn, whole = plan(n, d, self.tol, cost.X.dtype.itemsize), whole_readings(n, d)
        if few and not drawn.readings < CHEAPER * whole:
            return None
        return SampledSquares(cost, drawn.rows, self.tol, rng, whole if few else np.inf)


def _block(equations: Equations, before: Point, here: Point, reads: int) -> Block:
    """What the log says of a step."""
    problem = equations.problem
    there, w = problem.leave(before.v), problem.leave(here.v)
    norm = float(np.linalg.norm(problem.leave_gradient(before.gradient)))
    log = one_step(equations.value(before), norm, float(np.linalg.norm(w - there)), 1.0, reads)
    return Block(log, w, reads * problem.n, there[None, :])


class Equations:
    """The moments of a risk, in coordinates from the centre of its columns, where the intercept stands by itself."""

    def __init__(self, risk: Risk, tol: float = 1e-6):
        self.problem, columns = Centred.of(risk, whole=False)
        self.d, self.l1, self.l2 = risk.n_features, risk.l1, risk.l2
        self.weight = risk.total_weight / risk.denominator
        self.trusted, self.guess = True, _guess(self.problem, columns, tol)
        with np.errstate(all="ignore"):
            moments = Moments(risk, columns=columns, guess=self.guess)
            self.fit = moments.about(np.array([0]), None if risk.intercept else np.zeros(self.d))
        self.noise, self.spread = moments.noise, float(moments.spread[0] / moments.count[0])
        self.level = self.fit.level + moments.level + float(self.fit.mean @ self.guess)
        self.problem.mean = self.fit.mean + moments.centre
        diagonal = np.diag(self.fit.G)
        self.known = bool(np.isfinite(self.fit.G).all())
        if not self.known or not (diagonal > 0.0).all():
            low, high = risk.extremes  # which tells whether the rows are finite, too
            self.known = self.known and bool(np.all((diagonal > 0.0) | (low == high)))
        if not self.known:
            return
        sizes = np.sqrt(np.maximum(diagonal, 0.0) + (moments.centre - self.problem.mean) ** 2)
        self.sizes = np.append(sizes, 1.0)[: self.problem.size]
        self.astray = (self.d + 2) * HALF_ULP * float(sizes @ np.abs(self.guess))
        H, jitter = self.weight * self.fit.G, JITTER[risk.X.dtype.itemsize]
        H.flat[:: self.d + 1] += self.l2
        self.metric = Dense(H, jitter)
        if self.l1 > 0:
            self.scaled = H * self.metric.scale[:, None] * self.metric.scale
            self.scaled.flat[:: self.d + 1] += jitter

    def scale(self) -> float:
        """What :func:`~descender.costs.certificate.cost_scale` is, by the moments: the unit of ``tol``."""
        return 0.5 * self.weight * max(self.spread, 1e-6 * (self.spread + self.level**2))

    def value(self, point: Point) -> float:
        """The cost of a point, with its l1 penalty."""
        return point.value + self.l1 * float(np.abs(point.v[: self.d]).sum())

    def told(self, v: Vector) -> Point:
        """A point of which the moments tell."""
        w = v[: self.d]
        u, off = w - self.guess, float((v[self.d :] - self.level).sum())
        value = self.weight * (float(self.fit.value(u[:, None])[0]) + 0.5 * off * off) + self.problem.ridge(v)
        gradient = np.append(self.weight * (self.fit.G @ u - self.fit.c) + self.l2 * w, self.weight * off)
        size = float(np.sqrt(self.fit.square) + abs(off) + self.sizes[: self.d] @ np.abs(u))
        lost = self.weight * (self.noise * size + self.astray)
        return Point(v, value, gradient[: len(v)], lost * size, lost * self.sizes, self.weight * self.astray)

    def read(self, v: Vector) -> Point:
        """A point of which the rows tell, in float64."""
        reading = self.problem.read(v, exact=True)
        return Point(v, reading.value, reading.gradient, 0.0, np.zeros(len(v)))

    def compared(self, point: Point) -> Point:
        """The same of a point that moments told of; they are trusted as long as that was as near as they promised."""
        there = self.read(point.v)
        near = np.abs(there.gradient - point.gradient) <= point.slack + ROUNDING * np.abs(point.gradient)
        self.trusted = self.trusted and bool(near.all())
        return there

    def refined(self, point: Point) -> Point:
        """The minimum by the equations, from a point that is known exactly: the moments tell the change alone."""
        step = self.step(point)
        change = self.l2 * step
        change[: self.d] += self.weight * (self.fit.G @ step[: self.d])
        change[self.d :] = self.weight * step[self.d :]
        value = point.value + float(point.gradient @ step) + 0.5 * float(change @ step)
        size = float(self.sizes @ np.abs(step))
        lost = self.weight * self.noise * size
        return Point(point.v + step, value, point.gradient + change, 0.5 * lost * size, lost * self.sizes)

    def step(self, point: Point) -> Vector:
        """The step to the minimum by the equations."""
        w, g, scale = point.v[: self.d], point.gradient[: self.d], self.metric.scale
        step = -point.gradient / self.weight
        if self.l1 > 0:
            u = np.divide(w, scale, out=np.zeros(self.d), where=scale > 0)
            step[: self.d] = scale * lasso(self.scaled, self.scaled @ u - scale * g, u, self.l1 * scale) - w
        else:
            step[: self.d] = -self.metric.solve(g)
        return step

    def certificate(self, point: Point, scale: float) -> Certificate:
        """What is proved of a point."""
        value, w = self.value(point), point.v[: self.d]
        # far from zero the intercept is a difference of numbers that are larger than itself
        moved = 0.5 * self.weight * (ROUNDING * float(np.abs(self.problem.mean) @ np.abs(w))) ** 2
        if self.l1 == 0 and self.l2 == 0:
            return proved(value, self._left(point) + moved, scale, "exact gap of a quadratic")
        free = float((np.abs(point.gradient) + point.slack)[self.d :].sum())
        u = self.l2 * w - point.gradient[: self.d]
        # the residuals' own sum is taken off them; the centre of the columns is known as well as moments are
        slack = point.slack[: self.d] + free * self.noise * self.sizes[: self.d]
        loss = (point.value - self.problem.ridge(point.v) - 0.5 * free**2 / self.weight) / self.weight
        l1, l2, U, off = self.l1 / self.weight, self.l2 / self.weight, u[:, None], slack[:, None]
        dual = dual_of_squares(loss, U / self.weight, w[:, None], l1, l2, off / self.weight)
        gap = value - self.weight * float(dual[0]) + 2.0 * point.lost
        return proved(value, (gap if self.l1 > 0 else min(gap, self._left(point))) + moved, scale)

    def _left(self, point: Point) -> float:
        r"""Without l1 :math:`\tfrac12 g'H^{-1}g`, which is the gap; infinite where H is not surely regular.

        The least curvature is that of columns in their own size.
        """
        bend, scale = self.metric.largest_inverse(), self.metric.scale
        sizes = (scale * self.sizes[: self.d])[scale > 0]
        doubt = bend * (self.noise * self.weight * float(sizes @ sizes) + self.metric.added)
        if not (self.trusted and doubt <= DOUBT):
            return np.inf
        slack = (scale * (point.slack - point.astray * self.sizes)[: self.d])[scale > 0]
        free = float((np.abs(point.gradient) + point.slack)[self.d :].sum())
        newton = self.metric.solve(point.gradient[: self.d])
        length = np.sqrt(max(float(newton @ point.gradient[: self.d]), 0.0))
        length += np.sqrt(bend) * float(np.linalg.norm(slack)) + point.astray / np.sqrt(self.weight)
        return 0.5 * (length**2 + free**2 / self.weight) / (1.0 - doubt)


def _guess(problem: Centred, columns: Columns, tol: float) -> Vector:
    """Weights by a few rows: float32 moments tell the better what these leave; zero where that does not pay."""
    n, d = problem.n, problem.d
    few = min(GUESSED * d, n // SPARED)
    if problem.X.dtype == np.float64 or few < FEWEST * d or tol > CLOSE * d * d:
        return np.zeros(d)
    with np.errstate(all="ignore"):
        sample = Sample(problem, np.linspace(0, n - 1, few).astype(np.intp), n / few, columns)
        H = sample.H
        H.flat[:: len(H) + 1] *= 1.0 + BLUNT
        H.flat[: len(H) * d : len(H) + 1] += problem.l2
        guess = -Dense(H, ROUGH_JITTER).solve(sample.gradient)[:d].astype(problem.X.dtype)
    return guess.astype(np.float64) if np.isfinite(guess).all() else np.zeros(d)
