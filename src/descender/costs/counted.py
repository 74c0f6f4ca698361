"""A cost that counts how often it is evaluated."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from descender.costs.cost import Cost, Rows, Vector


class Counted:
    """Stands for a cost, counts its evaluations, and does not repeat that of the point it was asked last.

    In all else it is the cost itself: ``isinstance`` and every attribute answer as the cost does.  A walk passes the
    same point to its check of the start, to its method and to its end; the cost is called for it once.

    `nfev`
        evaluations of J, with or without its gradient: for a Python function the number of its calls, those of
        difference quotients among them; a compiled loop tells what it did (:meth:`tell`)
    `njev`
        gradients, however made
    `asked`
        evaluations that were asked for, whether or not they had to be done again

    >>> from descender.costs.formula import Formula
    >>> J = Counted(Formula("x**2"))
    >>> J.value_and_gradient(np.array([3.0])), J.value(np.array([3.0])), J.value(np.array([1.0]))
    ((9.0, array([6.])), 9.0, 1.0)
    >>> J.nfev, J.njev, J.asked
    (2, 1, 3)
    """

    def __init__(self, cost: Cost):
        self.cost = cost
        self.asked = self._values = self._gradients = self._told = 0
        self._own = (getattr(cost, "n_evaluations", None), getattr(cost, "n_gradients", None))
        self._last: Any = None  # (w, J, gradient or None)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self.cost)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cost, name)

    @property
    def nfev(self) -> int:
        """Evaluations so far."""
        counts_itself = self._own[0] is not None
        done = self.cost.n_evaluations - self._own[0] if counts_itself else self._values  # type: ignore[attr-defined]
        return int(done) + self._told

    @property
    def njev(self) -> int:
        """Gradients so far."""
        counts_itself = self._own[1] is not None
        done = self.cost.n_gradients - self._own[1] if counts_itself else self._gradients  # type: ignore[attr-defined]
        return int(done) + self._told

    def tell(self, evaluations: int) -> None:
        """Add evaluations, with their gradients, that were made elsewhere: in a compiled loop, on the rows directly."""
        self._told += evaluations

    def value_and_gradient(self, w: Vector, rows: Rows | None = None) -> tuple[float, Vector]:
        """J(w) and its gradient."""
        self.asked += 1
        if rows is None and self._knows(w) and self._last[2] is not None:
            return self._last[1], self._last[2].copy()
        self._values, self._gradients = self._values + 1, self._gradients + 1
        value, gradient = self.cost.value_and_gradient(w, rows)
        if rows is None:
            self._last = (w.copy(), value, gradient)
            gradient = gradient.copy()
        return value, gradient

    def gradient_into(self, gradient: Vector, w: Vector, rows: Rows | None = None) -> float:
        """J(w), with its gradient written into `gradient`."""
        if rows is None:
            value, gradient[:] = self.value_and_gradient(w)
            return value
        self.asked, self._values, self._gradients = self.asked + 1, self._values + 1, self._gradients + 1
        return self.cost.gradient_into(gradient, w, rows)

    def value(self, w: Vector, rows: Rows | None = None) -> float:
        """J(w)."""
        self.asked += 1
        if rows is None and self._knows(w):
            return float(self._last[1])
        self._values += 1
        value = self.cost.value(w, rows)
        if rows is None:
            self._last = (w.copy(), value, None)
        return value

    def gradient(self, w: Vector, rows: Rows | None = None) -> Vector:
        """The gradient alone: an evaluation as well, of a cost that has it only together with J."""
        if rows is None and self._knows(w) and self._last[2] is not None:
            self.asked += 1
            return self._last[2].copy()
        if type(self.cost).gradient is Cost.gradient:
            return self.value_and_gradient(w, rows)[1]
        self.asked, self._gradients = self.asked + 1, self._gradients + 1
        return self.cost.gradient(w, rows)

    def _knows(self, w: Vector) -> bool:
        last = self._last
        if last is None or w.dtype != last[0].dtype or w[:1].tolist() != last[0][:1].tolist():
            return False  # the first number tells most points apart
        return np.array_equal(w, last[0])


def counted(cost: Cost) -> Counted:
    """The cost as one that counts, which it may be already."""
    return cost if type(cost) is Counted else Counted(cost)


def uncounted(cost: Cost) -> Cost:
    """The cost itself, for a method that tells of its evaluations by its log."""
    return cost.cost if type(cost) is Counted else cost


def as_cost(cost: Counted) -> Cost:
    """A counted cost, for the types, as the cost that it stands for."""
    return cast(Cost, cost)
