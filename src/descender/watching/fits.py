"""Fits of scikit-learn's estimators, and of ours, watched through ``sklearn.callback``, or by hand."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from descender.doctor.curves import examine_curves
from descender.doctor.finding import Finding, root_first, without
from descender.doctor.logs import Curves
from descender.errors import DescenderError, OptionError

ROWS, MOST = 500, 2000
"""Rows by which a loss is told, and losses that are kept of one fit; beyond, every other one is dropped."""
LOG = logging.getLogger("descender")


@dataclass
class Fitting:
    """One fit that was watched: its estimator, its data, and the loss after each task that could be asked."""

    estimator: Any
    X: Any = None
    y: Any = None
    weight: Any = None
    losses: list[float] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    number: int = 0
    every: int = 1

    def note(self, model: Any, X: Any, y: Any) -> None:
        """The loss of a model after one more step, if that is due."""
        self.number += 1
        if self.number % self.every:
            return
        self.steps.append(self.number)
        self.losses.append(loss_of(model, X, y))
        if len(self.losses) > MOST:
            self.steps, self.losses, self.every = self.steps[1::2], self.losses[1::2], 2 * self.every

    @property
    def curves(self) -> Curves:
        """The losses, as a log."""
        name = type(self.estimator).__name__
        return Curves(f"a fit of {name}", np.array(self.steps, dtype=float), np.array(self.losses, dtype=float))

    def findings(self) -> list[Finding]:
        """What the losses tell, and what the fitted model does, beside the minimum of its own objective."""
        found = examine_curves(self.curves)
        y = None if self.y is None else np.asarray(self.y)
        if y is not None and y.ndim == 1 and len(y) > 1 and (y == y[0]).all():
            found.append(Finding("constant-labels", "critical", f"all {len(y):,} targets are {y[0]}", "look at y"))
        if self.X is not None and hasattr(self.estimator, "coef_"):
            from descender.verbs.certify import certify

            with suppress(DescenderError):  # an objective that is not known
                found += certify(self.estimator, self.X, self.y, self.weight).findings
        return found


class FitWatch:
    """What :func:`descender.watch` returns without a module: a callback for ``set_callbacks``.

    ``fits`` holds what was heard of each fit, ``findings`` what is found in all of them, the root first.  A fit is
    never changed: it is asked for its loss on some of its rows after each of its steps, and nothing else.
    """

    def __init__(self, tell: Callable[[Finding], Any] | None, ignore: Iterable[str] | str):
        self.tell, self.ignore = tell, ignore
        self.fits: list[Fitting] = []

    # sklearn.callback

    def setup(self, estimator: Any, context: Any) -> None:
        """A fit begins."""
        self.fits.append(Fitting(estimator))

    def on_fit_task_begin(
        self, estimator: Any, context: Any, *, X: Any = None, y: Any = None, metadata: Any = None
    ) -> None:
        """A part of a fit begins: its data are remembered, not copied."""
        fit = self._of(estimator)
        if fit.X is None:
            fit.X, fit.y, fit.weight = X, y, (metadata or {}).get("sample_weight")

    def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any = None) -> bool:
        """A part of a fit ends; it never asks to stop."""
        fit = self._of(estimator)
        if fitted_estimator is not None and fit.X is not None:
            fit.note(fitted_estimator, fit.X, fit.y)
        return False

    def teardown(self, estimator: Any, context: Any) -> None:
        """The fit ends: what its losses tell is told at once."""
        for finding in without(examine_curves(self._of(estimator).curves), self.ignore):
            (self.tell or _log)(finding)

    # by hand

    def look(self, estimator: Any, X: Any, y: Any) -> float:
        """Note the loss of a model on some rows, as after each ``partial_fit`` of one that knows no callbacks."""
        fit = next((fit for fit in self.fits if fit.estimator is estimator), None)
        if fit is None:
            self.fits.append(fit := Fitting(estimator))
        fit.X, fit.y = X, y
        fit.note(estimator, X, y)
        return fit.losses[-1]

    @property
    def findings(self) -> list[Finding]:
        """What was found, the root before its symptoms; the minimum of a linear model's cost is looked for, too."""
        return without(root_first(finding for fit in self.fits for finding in fit.findings()), self.ignore)

    def close(self) -> None:
        """Let go of the data; a callback has nothing else to take off."""
        self.fits.clear()

    def __enter__(self) -> FitWatch:
        return self

    def __exit__(self, *error: Any) -> None:
        return None

    def __str__(self) -> str:
        steps = sum(fit.number for fit in self.fits)
        return "\n".join(map(str, self.findings)) or f"nothing found in {len(self.fits):,} fits of {steps:,} steps"

    def _of(self, estimator: Any) -> Fitting:
        for fit in reversed(self.fits):
            if fit.estimator is estimator:
                return fit
        self.setup(estimator, None)
        return self.fits[-1]


def loss_of(model: Any, X: Any, y: Any) -> float:
    """The mean squared error of a regressor, the log loss of probabilities, or else the share of wrong answers.

    Of at most :data:`ROWS` rows, evenly spaced.  Infinite numbers are answers, too: the loss is then not finite.
    """
    from sklearn.base import is_classifier
    from sklearn.utils import _safe_indexing

    rows = np.unique(np.linspace(0, len(y) - 1, min(len(y), ROWS)).astype(np.intp))
    X, y = _safe_indexing(X, rows), np.asarray(_safe_indexing(y, rows))
    with np.errstate(all="ignore"):
        if not is_classifier(model):
            if not hasattr(model, "predict"):
                raise OptionError(f"watch got a {type(model).__name__}, which has no predict: its loss cannot be told")
            return float(np.mean((np.asarray(model.predict(X), dtype=float) - y) ** 2))
        if not hasattr(model, "predict_proba") or y.ndim != 1:
            return float(np.mean(np.asarray(model.predict(X)) != y))
        told = np.asarray(model.predict_proba(X), dtype=float)
        own = told[np.arange(len(y)), np.searchsorted(model.classes_, y)]
        return float(-np.mean(np.log(np.maximum(own, 1e-300))))


def _log(finding: Finding) -> None:
    LOG.warning("%s", finding)
