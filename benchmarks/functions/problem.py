"""A test function: its formula, its standard start, and its exact gradient by JAX."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

Formula = Callable[[Any], Any]
PROBLEMS: list[Problem] = []
"""Every function of the suite, in the order in which the modules of the families define them."""
SECOND: list[Problem] = []
"""Those of the second suite, on which nothing was ever chosen."""
THIRD: list[Problem] = []
"""Those of the third, which were written after all choices had been made."""
FOURTH: list[Problem] = []
"""Those of the fourth, which were frozen before the next change."""


@dataclass(frozen=True, eq=False)
class Problem:
    """A function of a vector, written once in the words of NumPy; JAX differentiates it.

    ``lowest`` is the lowest value that is known from the literature, or None; the race takes the lowest value that
    any contender finds where that is lower still.
    """

    name: str
    family: str
    formula: Formula
    start: NDArray[np.float64]
    lowest: float | None = None

    @cached_property
    def compiled(self) -> Callable[[Any], Any]:
        """Value and gradient in one call."""
        return jax.jit(jax.value_and_grad(self.formula))

    def __call__(self, w: ArrayLike) -> tuple[float, NDArray[np.float64]]:
        """The value and the gradient at w, in float64."""
        with jax.enable_x64(True):
            value, gradient = self.compiled(np.asarray(w, dtype=np.float64))
            return float(value), np.array(gradient)

    def from_start(self, start: ArrayLike, suffix: str) -> Problem:
        """The same function from elsewhere."""
        again = Problem(f"{self.name}, {suffix}", self.family, self.formula, np.asarray(start, float), self.lowest)
        again.__dict__["compiled"] = self.compiled
        return again


def problem(
    family: str, name: str, start: ArrayLike, lowest: float | None = None, into: list[Problem] = PROBLEMS
) -> Callable[[Formula], Formula]:
    """Add a function to a suite."""

    def add(formula: Formula) -> Formula:
        into.append(Problem(name, family, formula, np.asarray(start, dtype=np.float64), lowest))
        return formula

    return add


def squares(family: str, name: str, start: ArrayLike, lowest: float | None = None) -> Callable[[Formula], Formula]:
    """Add a sum of squared residuals, whose residuals the formula gives."""

    def add(residuals: Formula) -> Formula:
        problem(family, name, start, lowest)(lambda x: jnp.sum(residuals(x) ** 2))
        return residuals

    return add
