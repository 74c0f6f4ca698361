"""Where a textbook walk is: its vectors, and what its rule and its rate remember."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Vector
from descender.methods.advance import NEXT_COST, OWN

VECTORS = (
    "w", "new", "gradient", "direction", "before", "direction_before", "ahead", "origin", "lower", "upper",
    "thresholds",
)  # fmt: skip
"""The vectors of a walk, in the order of the parameters of :func:`descender.methods.advance.advance`."""


class Switches(NamedTuple):
    """What of :func:`descender.methods.advance.advance` is on, known before the walk begins."""

    clips: bool
    coordinates: bool
    scheduled: bool
    searches: bool
    bounded: bool
    shrinks: bool
    carries: bool
    looks_back: bool
    remembers: bool
    settles: bool
    extrapolates: bool
    answers_apart: bool
    stop_if_not_finite: bool


def reads(owner: Any, name: str) -> bool:
    """Whether a formula of a rule or rate asks for something by the name of a parameter."""
    parts = ("terms", "formula", "remember")
    return any(name in asked(getattr(owner, part)) for part in parts if hasattr(owner, part))


@cache
def asked(formula: Callable) -> tuple[str, ...]:
    """What a formula asks for: the names of its parameters."""
    return tuple(inspect.signature(formula).parameters)


class Position:
    """Vectors as rows of one matrix, those that this walk needs; states; and `memory`, the scalars.

    `memory` holds the last rate, the cost at `w` where a search has read it already (else NaN), how many steps in a row
    moved no digit of it, then what the rule and the rate declare.
    """

    def __init__(self, w: Vector, rule: Any, rate: Any, switches: Switches, bounds: Any = None, thresholds: Any = None):
        unneeded = {
            "direction": not (switches.clips or switches.coordinates),
            "direction_before": not switches.looks_back,
            "ahead": not switches.searches,
            "origin": not (reads(rule, "origin") or reads(rate, "origin")),
            "lower": not switches.bounded,
            "upper": not switches.bounded,
            "thresholds": not switches.shrinks,
        }
        self.rule, self.names = rule, tuple(name for name in VECTORS if not unneeded.get(name))
        self.vectors: NDArray[np.floating] = np.zeros((len(self.names), w.size), dtype=w.dtype)
        self.states: NDArray[np.floating] = np.zeros((3, len(rule.slots) * w.size), dtype=w.dtype)
        self.memory: NDArray[np.float64] = np.zeros(
            OWN + len(getattr(rule, "memory", ())) + len(getattr(rate, "memory", ()))
        )
        self.memory[NEXT_COST] = np.nan
        self.bounds = bounds if switches.bounded else None
        if self.bounds is not None:
            self["lower"][:], self["upper"][:] = self.bounds
            w = np.clip(w, *self.bounds)
        if switches.shrinks:
            self["thresholds"][:] = thresholds
        for name in {"w", "before", "origin"} & {*self.names}:
            self[name][:] = w
        self._begin()

    def __getitem__(self, name: str) -> Vector:
        return self.vectors[self.names.index(name)]

    def get(self, name: str) -> Vector | None:
        """A vector, if this walk has it."""
        return self[name] if name in self.names else None

    def slots(self, row: int = 0) -> tuple[Vector, ...]:
        """What the rule remembers: now, or (row 2) a step before."""
        return tuple(self.states[row].reshape(len(self.rule.slots), self.vectors.shape[1]))

    def back(self) -> None:
        """Take the last step back."""
        self["w"][:] = self["before"]
        self.states[0] = self.states[2]
        self.memory[NEXT_COST] = np.nan

    def forget(self) -> None:
        """Go on from here as if the walk began here."""
        self.memory[:] = 0.0
        self.memory[NEXT_COST] = np.nan
        self["before"][:] = self["w"]
        self._begin()

    def _begin(self) -> None:
        at_start = getattr(self.rule, "begins_at_start", False)
        self.states[:] = np.tile(self["w"], len(self.rule.slots)) if at_start else 0.0

    def answer(self, t: int) -> Vector:
        """What the walk has found after `t` steps: the point, or what its rule makes of it."""
        if not hasattr(self.rule, "answer"):
            return self["w"].copy()
        given = {"p": self.rule, "w": self["w"], "s": self.slots(), "t": t}
        found = np.array(self.rule.answer(*picked(self.rule.answer, given)))
        return found if self.bounds is None else np.clip(found, *self.bounds)


def picked(function: Callable, given: dict[str, Any]) -> list[Any]:
    """The arguments that a formula asks for by the names of its parameters."""
    return [given[name] for name in asked(function)]
