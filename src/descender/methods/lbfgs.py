"""L-BFGS: a Newton step whose curvature is learnt from the walk itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Cost, Rows, Vector
from descender.methods.advance import COLUMNS, length
from descender.methods.critical import classify, leave
from descender.methods.linesearch import Found, search
from descender.methods.method import Block, Budget, Outcome, one_step

MAX_IDLE = 5
"""Steps without a visible decrease of J that may follow each other: near the bottom only slopes still improve."""
POLISHING = 3
"""Newton steps that may follow where the model is content but true curvatures see the bottom further on."""


class Pairs:
    r"""The last few steps s and changes of the gradient y, and the inverse Hessian that they imply.

    Pairs without measured positive curvature, :math:`s\cdot y \le 10^{-12} |s||y|`, are left out.
    """

    def __init__(self, memory: int):
        self.pairs: deque[tuple[Vector, Vector, float]] = deque(maxlen=memory)

    def add(self, s: Vector, y: Vector) -> bool:
        """Remember a step and the change of the gradient over it."""
        sy = float(s @ y)
        if not sy > 1e-12 * float(np.linalg.norm(s)) * float(np.linalg.norm(y)):
            return False
        self.pairs.append((s, y, 1.0 / sy))
        return True

    def solve(self, g: Vector, metric: Callable[[Vector], Vector] | None = None) -> Vector:
        r"""The product of the implied inverse Hessian and g: the two-loop recursion around a first metric.

        Without a metric it is :math:`(s\cdot y / y\cdot y)\, I` of the last pair.
        J. Nocedal, *Updating quasi-Newton matrices with limited storage*, 1980.
        """
        q, factors = g.copy(), []
        for s, y, rho in reversed(self.pairs):
            a = rho * float(s @ q)
            q -= a * y
            factors.append(a)
        if metric is not None:
            q = metric(q)
        elif self.pairs:
            _, y, rho = self.pairs[-1]
            q /= rho * float(y @ y)
        for (s, y, rho), a in zip(self.pairs, reversed(factors), strict=True):
            q += (a - rho * float(y @ q)) * s
        return q


class Scaled(Cost):
    """A cost times a power of two."""

    def __init__(self, cost: Cost, factor: float):
        self.cost, self.factor = cost, factor
        self.names, self.n_samples, self.smooth, self.convex = cost.names, cost.n_samples, cost.smooth, cost.convex

    def value_and_gradient(self, w: Vector, rows: Rows | None = None) -> tuple[float, Vector]:
        """Both, times the factor."""
        value, gradient = self.cost.value_and_gradient(w, rows)
        return value * self.factor, gradient * self.factor

    def hessian(self, w: Vector) -> NDArray[np.floating] | None:
        """Times the factor."""
        H = self.cost.hessian(w)
        return None if H is None else H * self.factor


@dataclass(frozen=True)
class LBFGS:
    r"""Quasi-Newton descent with limited memory and a line search.

    It is content when the decrease that its model still promises, half of :math:`g \cdot H^{-1} g`, is below
    ``tol * max(|J|, J_0 - J)``: a test without a scale, so a plateau does not pass for a minimum.  There the curvatures
    are looked at; from a saddle or a maximum it goes on downhill.

    D. C. Liu and J. Nocedal, *On the limited memory BFGS method for large scale optimization*, 1989.
    """

    memory: int = 20
    tol: float = 1e-18
    escapes: int = 20
    name: str = "L-BFGS"

    def blocks(self, cost: Cost, w: Vector, rng: np.random.Generator, budget: Budget) -> Iterator[Block]:
        """Walk from `w`.  A cost so large or small that squares of its slopes overflow is walked on rescaled."""
        value, gradient = cost.value_and_gradient(w)
        largest = float(np.abs(gradient).max(initial=0.0))
        if largest == 0.0 or 1e-100 < largest < 1e100:
            yield from self._walk(cost, w, value, gradient)
            return
        scaled = Scaled(cost, 2.0 ** -int(np.log2(largest)))
        for block in self._walk(scaled, w, value * scaled.factor, gradient * scaled.factor):
            log = block.log.copy()
            log[:, :2] /= scaled.factor
            final = block.final and (block.final[0] / scaled.factor, block.final[1] / scaled.factor)
            yield block._replace(log=log, final=final)

    def _walk(self, cost: Cost, w: Vector, value: float, gradient: Vector) -> Iterator[Block]:
        rows, evaluations, start_value, first_value = cost.n_samples or 0, 1, value, value
        pairs, escapes, idle = Pairs(self.memory), 0, 0
        while True:
            norm = length(gradient)
            direction = -pairs.solve(gradient)
            if not pairs.pairs and norm > 0:
                direction *= max(1.0, float(np.linalg.norm(w)) * 0.1) / norm
            decrement = -0.5 * float(gradient @ direction)
            scale = max(abs(value), abs(start_value - value))
            found, content = None, norm == 0.0 or (bool(pairs.pairs) and decrement <= self.tol * scale)
            if not content:
                if not decrement > 0.0 and pairs.pairs:
                    pairs.pairs.clear()
                    continue
                found = search(cost, w, direction, value, gradient)
                evaluations += found.evaluations
                if found.endless:
                    yield _endless(cost, w, direction, value, norm, found, evaluations, rows)
                    return
            if found is None or found.trial is None or idle > MAX_IDLE:
                idle = 0
                if found is not None and found.trial is None and pairs.pairs and decrement > 1e-10 * scale:
                    pairs.pairs.clear()  # the model is wrong: once more along the gradient
                    continue
                still = found is not None and decrement > 1e-8 * scale
                block, point = self._arrive(
                    cost, w, value, gradient, scale, max(scale, first_value - value), escapes, still
                )
                yield block._replace(evaluations=evaluations)
                if point is None:
                    return
                w, escapes, evaluations = point, escapes + 1, 1
                value, gradient = cost.value_and_gradient(w)
                start_value = value  # what was gained so far no longer counts: the rest is to be seen at its own scale
                pairs.pairs.clear()
                continue
            t = found.trial
            idle = idle + 1 if value - t.value <= 1e-15 * max(abs(value), 1e-3 * scale) else 0
            step = t.step * direction
            log = one_step(value, norm, float(np.linalg.norm(step)), t.step, evaluations)
            path, w = w[None, :], w + step
            pairs.add(step, t.gradient - gradient)
            value, gradient = t.value, t.gradient
            yield Block(log, w, rows * evaluations, path)
            evaluations = 0

    def _arrive(
        self,
        cost: Cost,
        w: Vector,
        value: float,
        gradient: Vector,
        scale: float,
        whole: float,
        escapes: int,
        still: bool,
    ) -> tuple[Block, Vector | None]:
        """What to say where the model promises nothing more, and from where to go on if this is no minimum.

        `whole` is what the whole walk gained, `scale` what its last part did; `still` tells that the model promised
        more, but no lower point was found.
        """
        nothing = Block(np.empty((0, len(COLUMNS))), w, 0, w[None, :][:0], final=(value, gradient))
        kind, text = "converged", "the minimum of a convex cost"
        if not cost.convex:
            critical = classify(cost, w)
            text = critical.text
            newton, promise = critical.newton(gradient)
            if escapes < self.escapes:
                far = float(np.linalg.norm(newton)) > 1e-6 * max(1.0, float(np.linalg.norm(w))) and escapes < POLISHING
                if (far or promise > max(1e-10 * abs(value), 1e-16 * scale)) and cost.value(w + newton) < value:
                    return nothing, w + newton
                point = leave(cost, w, critical, 1e-12 * whole)
                if point is not None:
                    return nothing._replace(note=f"the gradient was zero at {text}; left downhill"), point
            if not cost.smooth:
                text = "a minimum as far as its neighbours tell: the cost has kinks, where curvature says nothing"
            elif not critical.stable and critical.faint(w, 1e-12 * whole):
                text = "a minimum as far as curvature tells: it is too small here"
            elif not critical.stable:
                kind = "stuck"
            elif float(np.linalg.norm(newton)) > 1e-3 * max(1.0, float(np.linalg.norm(w))):
                kind, text = (
                    "no_minimum",
                    "no minimum within reach: J still falls, ever more slowly, however far one goes",
                )
        if still:
            kind, text = "stuck", "no lower point was found downhill: is the gradient right, and the cost smooth?"
        return nothing._replace(outcome=Outcome(kind, text)), None


def _endless(
    cost: Cost, w: Vector, direction: Vector, value: float, norm: float, found: Found, evaluations: int, rows: int
) -> Block:
    """The walk fell past every bound: is the cost unbounded, or does it only approach its infimum?"""
    t = found.trial
    assert t is not None
    unit = direction / np.linalg.norm(direction)
    start_slope = float(cost.gradient(w) @ direction)
    where = ", ".join(f"{v:+.3g} {name}" for name, v in zip(cost.names, unit, strict=True) if abs(v) > 1e-3)
    steady = abs(t.slope) >= 0.5 * abs(start_slope)
    if steady:
        text = f"unbounded below along ({where}): J is {t.value:.4g} there and still falls as steeply"
        outcome = Outcome("unbounded", text)
    else:
        text = f"no minimum within reach: J still falls along ({where}), ever more slowly"
        outcome = Outcome("no_minimum", text)
    log = one_step(value, norm, t.step * float(np.linalg.norm(direction)), t.step, evaluations)
    return Block(log, w + t.step * direction, rows * evaluations, w[None, :], outcome=outcome)
