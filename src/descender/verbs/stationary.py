"""Exact stationary points of a typed formula: what they are, or why algebra has no answer."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.costs.cost import Cost, Vector
from descender.costs.formula import Formula
from descender.costs.stationary import solve_gradient
from descender.errors import OptionError
from descender.methods.critical import LARGEST, classify

SECONDS = 10.0
"""How long algebra may take unless told otherwise."""


class StationaryPoint(NamedTuple):
    """A point where every derivative is zero.

    ``kind`` is minimum, maximum, saddle, flat or unknown; ``text`` says so with its curvatures; ``exact`` has the
    coordinates as text where they have a short closed form, else "".
    """

    x: Vector
    fun: float
    kind: str
    text: str
    exact: tuple[str, ...]


@dataclass(frozen=True)
class Stationary(Sequence):
    """The stationary points that algebra found, the lowest first; printed as a table.

    ``complete`` tells whether they are known to be all, ``families`` describes those that are not isolated or have no
    end, ``failure`` why there is no answer ("" where there is one), ``seconds`` what it took.
    """

    names: tuple[str, ...]
    points: tuple[StationaryPoint, ...]
    families: tuple[str, ...]
    complete: bool
    failure: str
    seconds: float

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, k: Any) -> Any:
        return self.points[k]

    def __iter__(self) -> Iterator[StationaryPoint]:
        return iter(self.points)

    @property
    def minima(self) -> list[StationaryPoint]:
        """The points that are minima."""
        return [point for point in self.points if point.kind == "minimum"]

    def says(self) -> str:
        """The answer in a sentence."""
        if self.failure:
            return self.failure
        count = len(self.points)
        what = f"{count:,} stationary point{'s' * (count != 1)}" if count else "no stationary point"
        ends = "; ".join(["", *self.families])
        if self.complete:
            return f"{what}, and there are no others" if not self.families else f"{what} of these{ends}"
        return f"{what}; there may be others{ends}" if count else f"not isolated{ends}"

    def rows(self) -> list[list[Any]]:
        """The table: coordinates, the cost, what the point is, its exact form."""
        return [[*p.x.tolist(), p.fun, p.kind, self._exact(p)] for p in self.points]

    def _exact(self, p: StationaryPoint) -> str:
        plain = zip(p.exact, p.x.tolist(), strict=True)
        if not all(p.exact) or all(text == f"{number:g}" for text, number in plain):
            return ""
        return ", ".join(f"{name} = {text}" for name, text in zip(self.names, p.exact, strict=True))

    def __str__(self) -> str:
        table = [[*self.names, "J", "", ""]] if self.points else []
        table += [[c if isinstance(c, str) else f"{c + 0.0:.6g}" for c in row] for row in self.rows()]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(c.rjust(n) for c, n in zip(row, widths, strict=True)).rstrip() for row in table]
        return "\n".join([self.says(), *lines])

    def as_json(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        points = [
            {"x": dict(zip(self.names, p.x.tolist(), strict=True)), "fun": p.fun, "kind": p.kind}
            | {"exact": dict(zip(self.names, p.exact, strict=True))}
            for p in self.points
        ]
        return {"points": points, "families": list(self.families), "complete": self.complete, "failure": self.failure}


def stationary_points(
    formula: str | Cost,
    *,
    data: Mapping[str, ArrayLike] | None = None,
    constants: Mapping[str, float] | None = None,
    seconds: float = SECONDS,
) -> Stationary:
    """Set every derivative of a formula to zero and solve, by algebra, in bounded time.

    Polynomials and their quotients are solved completely, by elimination; over one variable so is what SymPy's solver
    of sets knows; of the rest what ``solve`` finds is told, which may not be all.  Means over data columns are solved
    where they are polynomials of the variables.  It is done in a process of its own, which is killed after `seconds`.
    What each point is, its curvatures tell; where they are zero, its neighbours.

    Raises :class:`~descender.errors.FormulaError` for a text that is no formula.  An answer that is not found is no
    error: ``failure`` says why.

    >>> print(stationary_points("x**4 - 2*x**2"))
    3 stationary points, and there are no others
     x   J
    -1  -1  minimum
     1  -1  minimum
     0   0  maximum
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float | np.number) or not 0 < seconds < np.inf:
        raise OptionError(f"seconds={seconds!r}: expected a positive number, how long algebra may take")
    if not isinstance(formula, str | Formula):
        raise OptionError(
            f"formula={formula!r:.80}: algebra needs a typed formula; of a function nothing but values is known"
        )
    cost: Formula = Formula(formula, data=data, constants=constants) if isinstance(formula, str) else formula
    began = time.perf_counter()
    found = solve_gradient(cost, float(seconds))
    points = [
        point
        for x, exact in zip(found.points, found.exact, strict=True)
        if (point := _judged(cost, x, tuple(exact))) is not None
    ]
    points.sort(key=lambda p: p.fun)
    took = time.perf_counter() - began
    return Stationary(cost.names, tuple(points), tuple(found.families), found.complete, found.failure, took)


def _judged(cost: Formula, x: NDArray[np.float64], exact: tuple[str, ...]) -> StationaryPoint | None:
    """What a solution is; None where J or its gradient is no number there, or the gradient is not zero."""
    with np.errstate(all="ignore"):
        value, gradient = cost.value_and_gradient(x)
        H = cost.hessian(x)
    if not (np.isfinite(value) and np.isfinite(gradient).all() and np.isfinite(H).all()):
        return None
    reach = 1e-9 * (1.0 + np.abs(x))
    if (np.abs(gradient) > 1e-9 * (1 + abs(value)) + np.abs(H) @ reach).any():
        return None
    if len(x) > LARGEST:
        return StationaryPoint(x, value, "unknown", "curvatures were not computed", exact)
    critical = classify(cost, x)
    kind, text = critical.kind, critical.text
    if kind == "flat":
        kind = _by_neighbours(cost, x, value)
        text = f"{text}; by its neighbours {kind}"
    return StationaryPoint(x, float(value), kind, text, exact)


def _by_neighbours(cost: Formula, x: NDArray[np.float64], value: float) -> str:
    """What a point with a zero curvature is, by the costs around it."""
    random = np.random.default_rng(0).standard_normal((8 * len(x), len(x)))
    around = np.vstack([np.eye(len(x)), random / np.linalg.norm(random, axis=1)[:, None]])
    change = []
    with np.errstate(all="ignore"):
        for h in (1e-2, 3e-3, 1e-3):
            step = h * max(1.0, float(np.linalg.norm(x)))
            change += [cost.value(x + s * step * v) - value for v in around for s in (1, -1)]
    noise = 1e-15 * max(abs(value), float(np.abs(change).max()))
    below, above = min(change) < -noise, max(change) > noise
    return "saddle" if below and above else "maximum" if below else "minimum" if min(change) > noise else "flat"
