"""What a contender is: a name, what it can solve, its ladder of settings, and a cold fit."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar

import numpy as np

from .objective import Array
from .problem import Data, Problem

Setting = Mapping[str, Any]
SOLVERS: dict[str, Solver] = {}
"""Every contender by its name; the files of solvers/ fill it."""
OURS = "descender"


class Solver:
    """A contender.  A file of solvers/ derives from it, and `@contender` enters the class into the list."""

    name: ClassVar[str]
    package: ClassVar[str]
    """Its distribution; what is not installed is left out, and said so."""
    module: ClassVar[str]
    losses: ClassVar[tuple[str, ...]] = ("log_loss",)
    penalties: ClassVar[tuple[str, ...]] = ("l2",)
    forms: ClassVar[tuple[str, ...]] = ("dense", "sparse")
    dtype: ClassVar[type | None] = None
    """What it computes in; None takes the rows in the dtype that they have."""
    order: ClassVar[str] = "C"
    ladder: ClassVar[Sequence[Setting]] = ()
    """Settings from loose to tight; each is a cold fit, and the first that reaches a target counts."""
    ends_within: ClassVar[float] = 1e-6
    """How far from the bottom its tightest setting may end on easy data; the tests hold it to that."""
    tightest: ClassVar[int] = 1
    """How many of the last rungs are equally tight: the best of them is meant."""
    note: ClassVar[str] = ""

    def missing(self) -> str | None:
        """Why it cannot take part at all."""
        if importlib.util.find_spec(self.module) is None:
            return f"{self.package} is not installed: pip install 'descender[peers]'"
        return None

    def version(self) -> str:
        """The version of its package."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return ""

    def refuses(self, problem: Problem) -> str | None:
        """Why it cannot solve a problem, or would not be tried on it; None where it takes part."""
        objective = problem.objective
        if objective.kind not in self.losses:
            return f"no {objective.kind}"
        if objective.penalty not in self.penalties:
            return f"no penalty {objective.penalty!r}"
        form = "dense" if problem.data.dense else "sparse"
        if form not in self.forms:
            return f"no {form} rows"
        return self.unsuited(problem)

    def unsuited(self, problem: Problem) -> str | None:
        """Why nobody would take it for this problem, such as a Hessian that fills the memory."""
        return None

    def convert(self, data: Data, problem: Problem) -> Any:
        """The data in its native format; timed apart."""
        X, y = data
        dtype = self.dtype or X.dtype
        if data.dense:
            return np.asarray(X, dtype=dtype, order=self.order), self.targets(y, problem)  # type: ignore[call-overload]
        return (X if X.dtype == dtype else X.astype(dtype)), self.targets(y, problem)

    def targets(self, y: Array, problem: Problem) -> Any:
        """The targets as it wants them."""
        return y

    def fit(self, data: Any, problem: Problem, setting: Setting) -> Any:
        """A cold fit: this is what is timed."""
        raise NotImplementedError

    def point(self, model: Any, problem: Problem) -> tuple[Array, Any]:
        """W and b of a fitted model, in the words of objective.py."""
        W = np.asarray(model.coef_, dtype=np.float64)
        b = np.asarray(model.intercept_, dtype=np.float64)
        if problem.objective.loss == "softmax":
            return W.T, b
        return W.ravel(), float(np.ravel(b)[0])

    def counts(self, setting: Setting, target: float) -> bool:
        """Whether a rung may count for a target: with a peer all do, whatever it was asked."""
        return True


def contender(kind: type[Solver]) -> type[Solver]:
    """Enter a contender."""
    assert kind.name not in SOLVERS, kind.name
    SOLVERS[kind.name] = kind()
    return kind


def tolerances(*values: float, **more: Any) -> list[Setting]:
    """A ladder of tolerances."""
    return [{"tol": value, **more} for value in values]


def iterations(*values: int, **more: Any) -> list[Setting]:
    """A ladder of numbers of iterations."""
    return [{"max_iter": value, **more} for value in values]


def load_all(package: str) -> None:
    """Import every module of a folder beside this file."""
    found = importlib.import_module(f"{__package__}.{package}")
    for module in pkgutil.iter_modules(found.__path__):
        importlib.import_module(f"{found.__name__}.{module.name}")
