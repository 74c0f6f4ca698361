"""What a walk is told and what it gives: a step as callbacks see it, when to stop, the result."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender import cards
from descender.costs.cost import Cost, Vector
from descender.methods.advance import length
from descender.methods.method import Method
from descender.record import Record


class Step(np.ndarray):
    """What a callback sees: the point after `number` steps, as an array of shape (d,), and what was known there.

    Being the point itself, it also serves callbacks that are written for SciPy.  ``x`` is the same point as a plain
    array, ``fun`` its cost (of a batch, where batches are read), ``gradient_norm`` its gradient's length,
    ``learning_rate`` that of the step that is taken from it, ``rows_seen`` how many rows were read before.  It is a
    copy: the walk does not notice what is done to it.

    >>> step = Step(2, np.array([3.0, 4.0]), 25.0, 10.0, 0.1, 0)
    >>> step[1], step.fun, step.number, step * 2
    (np.float64(4.0), 25.0, 2, array([6., 8.]))
    """

    number: int
    fun: float
    gradient_norm: float
    learning_rate: float
    rows_seen: int

    def __new__(
        cls, number: int, x: Vector, fun: float, gradient_norm: float, learning_rate: float, rows_seen: int
    ) -> Step:
        """The point, a copy of x, with its facts."""
        step = np.array(x).view(cls)
        step.number, step.fun, step.gradient_norm = number, float(fun), float(gradient_norm)
        step.learning_rate, step.rows_seen = float(learning_rate), int(rows_seen)
        return step

    def __array_finalize__(self, other: Any) -> None:
        self.__dict__.update(getattr(other, "__dict__", {}))

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        return array[()] if return_scalar else np.asarray(array)

    @property
    def x(self) -> NDArray:
        """The point as a plain array."""
        return self.view(np.ndarray)


@dataclass(frozen=True)
class Stop:
    """When to stop, besides being content: budgets, a small gradient, and a small relative change of the cost.

    ``max_evaluations``: of J, as :class:`~descender.costs.counted.Counted` counts them; the step that uses them up is
    finished.  ``gradient_tol``: stop where the norm of the gradient is at most this.  ``cost_tol``: stop after a step
    that changes J by at most ``cost_tol * |J|``.  ``patience``: stop after so many epochs without a held-out cost that
    is lower by more than ``patience_tol``; whatever ends the walk, its answer is then the point where that cost was
    lowest.  Where nothing is held out, the mean cost of the batches of an epoch is watched, and the last point is the
    answer.
    """

    max_steps: float = np.inf
    max_evaluations: float = np.inf
    max_seconds: float = np.inf
    cost_tol: float = 0.0
    gradient_tol: float = 0.0
    patience: float | None = None
    patience_tol: float = 0.0


class Lost(NamedTuple):
    """Where a walk first left the finite numbers: after so many steps, at what operation, as its cost traced it."""

    step: int
    trace: Any


@dataclass
class Walk:
    """The result of a descent, with SciPy's names.

    ``x`` the point, ``fun`` its cost, ``jac`` its gradient, ``nit`` steps, ``success`` whether the bottom was reached,
    ``message`` a sentence, ``status`` the kind of outcome, a word; besides them ``record``, ``certificate``,
    ``findings``, ``method`` and ``why`` it was chosen.

    ``nfev`` counts all evaluations of J, those before the first step and after the last among them: of a Python
    function the number of its calls, also for difference quotients.  ``njev`` counts gradients, however made.  A point
    that is asked for twice in a row is evaluated once.  After a walk from many starts both are of all walks, and
    ``minima`` are the minima that they found (:class:`~descender.verbs.starts.Minima`).  ``stationary`` is what algebra
    found, where it was asked for (:class:`~descender.verbs.stationary.Stationary`).  ``cost`` is what was walked on,
    for pictures, ``by`` the method with all that it was asked, and ``replay`` how the walk is done again, where
    something is wrong with it; they are not pickled.  ``lost`` tells where the cost of a network first was not finite
    (:class:`Lost`).

    ``hess_inv`` is the inverse Hessian that L-BFGS has learnt, an operator that is an array where one is wanted
    (:class:`~descender.methods.inverse_hessian.InverseHessian`); another method has none.

    ``walk["name"]`` is the value of a variable; where no variable has the name, the field of the result, as in
    ``walk["fun"]``.

    >>> import descender
    >>> walk = descender.minimize("(x - 3)**2 + y**2", "x=0, y=1")
    >>> walk.success, walk.variables["y"] < 1e-9, round(walk["x"], 9), walk["status"]
    (True, True, 3.0, 'converged')
    """

    x: Vector
    fun: float
    jac: Vector
    nit: int
    nfev: int
    success: bool
    status: str
    message: str
    names: Sequence[str]
    record: Record
    method: str
    njev: int = 0
    why: str = ""
    certificate: Any = None
    findings: list[Any] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    minima: Any = None
    stationary: Any = None
    cost: Cost | None = field(default=None, repr=False, compare=False)
    replay: Any = field(default=None, repr=False, compare=False)
    by: Method | None = field(default=None, repr=False, compare=False)
    pairs: Any = field(default=None, repr=False, compare=False)
    lost: Any = field(default=None, repr=False, compare=False)

    @property
    def hess_inv(self) -> Any:
        """The inverse Hessian that the method has learnt on its way."""
        if self.pairs is None:
            raise AttributeError(f"hess_inv: {self.method} learns no inverse Hessian; L-BFGS does")
        return import_module("descender.methods.inverse_hessian").InverseHessian(self.pairs, len(self.x))

    def keys(self) -> list[str]:
        """The fields that a program reads, so that ``dict(walk)`` is one of them."""
        fields = ["x", "fun", "jac", "nit", "nfev", "njev", "success", "status", "message"]
        return fields + ["hess_inv"] * (self.pairs is not None)

    def get(self, name: str, default: Any = None) -> Any:
        """``walk[name]``, or the default where there is none."""
        try:
            return self[name]
        except KeyError:
            return default

    def __getitem__(self, name: str) -> Any:
        """The value of a variable by its name, else a field of the result."""
        if name in self.names:
            return float(self.x[self.names.index(name)])
        if name in self:
            return getattr(self, name)
        raise KeyError(f"{name!r} is no variable here ({', '.join(self.names[:9])}) and no field of the result")

    def __contains__(self, name: object) -> bool:
        return name in self.names or name in self.__dict__ or name in self.keys()

    @property
    def variables(self) -> dict[str, float]:
        """The point by the names of its parameters."""
        return dict(zip(self.names, self.x.tolist(), strict=True))

    def confirm(self, most: int = 1) -> list[Any]:
        """Walk again with the remedies of the first `most` findings, and tell how each walk ended.

        Findings that are information only need no remedy, and one that only a person can carry out is not tried.  Each
        walk has the cost, the start, the seed and the budgets of this one, and one option that differs; the trials of a
        finding end with the first that repairs.  ``repaired`` says of a :class:`~descender.doctor.trial.Trial` that the
        walk ended finite, clearly lower, and without that finding or a new one.  Raises
        :class:`~descender.errors.CapabilityError` for a walk that was loaded.

        >>> import descender
        >>> for trial in descender.minimize("x**2", "x=1", "gd", learning_rate=5.0).confirm():
        ...     print(trial)
        learning rate / 3: a cost that is not finite instead of a cost that is not finite, no repair
        learning rate / 10: 0 instead of a cost that is not finite
        """
        return import_module("descender.verbs.repair").confirm(self, most)

    def plot(self, kind: str = "cost", ax: Any = None, **options: Any) -> Any:
        """Draw the walk with Matplotlib; returns the axes.

        `kind` is a name of :data:`~descender.pictures.kinds.KINDS`: cost, gradient_norm, step_norm, learning_rate,
        clipped, overview, slice, path, surface or layers; `options` are those of its description, such as
        ``against="seconds"`` for a curve or ``parameters=["a", "b"]`` for a path.
        """
        from descender.pictures.kinds import plot

        return plot(self, kind, ax, **options)

    def animate(self, path: str | os.PathLike, kind: str | None = None, **options: Any) -> Path:
        """Write the walk as a film, a GIF or a page by the end of `path`: see :mod:`descender.pictures.film`."""
        from descender.pictures.film import animate

        return animate(self, path, kind, **options)

    def report(self, path: str | os.PathLike, name: str | None = None) -> Path:
        """Write a page about the walk, which works offline: the film, the pictures, the findings, its steps."""
        # By name, since what is told stands on a floor above the walk.
        return import_module("descender.report_walk").write_walk_report(self, Path(path), name)

    def _repr_html_(self) -> str:
        """What a notebook shows: where it ended and how, the cost as a line, what was noticed."""
        shown = [*zip(self.names[:6], self.x.tolist(), strict=False)]
        more = [("and", f"{len(self.x) - 6:,} more variables")] if len(self.x) > 6 else []
        pairs = [
            ("J", float(self.fun)), *shown, *more, ("gradient norm", length(self.jac)),
            ("steps", f"{self.nit:,}, {self.nfev:,} evaluations"), ("method", self.why or self.method),
            ("certificate", self.certificate and str(self.certificate)),
        ]  # fmt: skip
        told = [finding._repr_html_() for finding in self.findings] + [cards.line(note) for note in self.notes]
        curve = cards.sparkline(self.record.columns.get("cost", ()), "cost, step by step")
        title = f"{self.message[:1].upper()}{self.message[1:]}"
        minima = self.minima._repr_html_() if self.minima is not None else ""
        return cards.card(title, cards.facts(pairs), curve, minima, *told)

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: all but the cost, method and replay, which may be functions, or hold all rows."""
        return self.__dict__ | {"cost": None, "by": None, "replay": None}
