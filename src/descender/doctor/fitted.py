"""Checks of somebody's fitted model: why it stopped above the minimum of its own objective."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.costs.risk import Risk
from descender.doctor.finding import Finding
from descender.methods.column_facts import column_facts

SPREAD = 1e3
"""The ratio of the largest to the smallest deviation of a column from which a first-order solver is slow."""
SEPARABLE = 1e-6
"""The share of the cost at 0 below which the minimum of a cost without penalty is none."""
STRICT = 1e-6
"""A tolerance of a solver at which it stops near the minimum of its own data, if it has arrived at all."""
FIRST_ORDER = ("lbfgs", "sag", "saga", "liblinear", "sgd", "newton-cg", "sparse_cg", "lsqr", "torch")
"""Solvers whose path depends on how the columns are scaled."""


@dataclass
class Fitted:
    """A model on its costs: where it stands, where the bottom is, and what is known of how it was fitted."""

    risks: list[Risk]
    points: list[NDArray]
    value: float
    minimum: float
    excess: float
    tol: float
    facts: dict[str, Any]


def examine_fitted(fitted: Fitted) -> list[Finding]:
    """The findings about a model that is not at the bottom; none about one that is."""
    if fitted.excess <= fitted.tol:
        return []
    checks = (separable, unscaled_columns, rate_too_high, steps_used_up, stopped_early)
    found = [finding for finding in (check(fitted) for check in checks) if finding is not None]
    loose = None if found else loose_tolerance(fitted)
    return found if loose is None else [loose]


def separable(fitted: Fitted) -> Finding | None:
    """D033: classes that a plane divides, and no penalty: there is no minimum to arrive at."""
    risk = fitted.risks[0]
    free = risk.l2 == 0 and risk.l1 == 0 and risk.loss.name in ("log_loss", "softmax")
    if not free or fitted.minimum > SEPARABLE * _at_zero(fitted):
        return None
    return Finding(
        "separable",
        "warning",
        f"the cost goes down to {fitted.minimum:.1e} and on towards 0 while the coefficients grow without end",
        "give it a penalty, such as C=1 or l2: with it there is a minimum",
    )


def unscaled_columns(fitted: Fitted) -> Finding | None:
    """D011: a first-order solver on columns whose sizes differ by orders of magnitude."""
    risk = fitted.risks[0]
    if fitted.facts.get("solver") not in FIRST_ORDER:
        return None
    size = _sizes(risk)
    if not size.any() or size.max() < SPREAD * size[size > 0].min():
        return None
    large, small = int(size.argmax()), int(np.where(size > 0, size, np.inf).argmin())
    return Finding(
        "unscaled-columns",
        "warning",
        f"{risk.names[large]} varies by {size[large]:.3g} and {risk.names[small]} by {size[small]:.3g}: the solver "
        f"{fitted.facts['solver']} moves along the one and hardly along the other",
        "scale the columns in a pipeline, make_pipeline(StandardScaler(), ...), which also changes what the penalty "
        "weighs; or let descender's LinearClassifier or LinearRegressor minimise this cost as it is",
    )


def rate_too_high(fitted: Fitted) -> Finding | None:
    """D101: the model's cost is above that of predicting nothing at all."""
    zero = _at_zero(fitted)
    if fitted.value <= zero:
        return None
    schedule, rate = fitted.facts.get("schedule"), fitted.facts.get("rate")
    how = f" (learning_rate={schedule!r}, eta0={rate:g})" if schedule is not None else ""
    return Finding(
        "learning-rate-too-high",
        "critical",
        f"its cost {fitted.value:.4g} is above {zero:.4g}, the cost of all weights 0: it walked away from the "
        f"minimum{how}",
        "a smaller learning rate, or columns that are scaled",
    )


def steps_used_up(fitted: Fitted) -> Finding | None:
    """D105: it ended because its iterations did."""
    steps, most = fitted.facts.get("n_iter"), fitted.facts.get("max_iter")
    if steps is None or most is None or most < 0 or steps < most:
        return None
    return Finding(
        "steps-used-up",
        "warning",
        f"n_iter_ = {steps:,} of max_iter = {most:,}",
        f"a larger max_iter, such as {10 * most:,}, unless a finding above says why it is slow",
    )


def stopped_early(fitted: Fitted) -> Finding | None:
    """D106: it ended on purpose, by the score of rows that it held out."""
    if not fitted.facts.get("early_stopping"):
        return None
    return Finding(
        "stopped-by-hold-out",
        "info",
        "early_stopping=True ends the fit by a score on some of the rows, which were not learnt from",
        "choose a penalty instead: it says what is wanted, and its minimum can be certified",
    )


def loose_tolerance(fitted: Fitted) -> Finding | None:
    """D107: its own criterion was content above the minimum."""
    steps, most, own = (fitted.facts.get(key) for key in ("n_iter", "max_iter", "tol"))
    if own is None or steps is None or (most is not None and 0 <= most <= steps) or fitted.facts.get("early_stopping"):
        return None
    return Finding(
        "loose-tolerance",
        "info",
        f"it stopped after {steps:,} iterations, content by its own tol={own:g}, which does not measure the distance "
        "from the minimum",
        f"a smaller tol, such as {own / 1000:.0e}"
        + "; or these are not the rows and the sample_weight that it was fitted to" * (own <= STRICT),
    )


def _at_zero(fitted: Fitted) -> float:
    """The cost of all weights 0."""
    return sum(risk.value(np.zeros(risk.n_parameters)) for risk in fitted.risks)


def _sizes(risk: Risk) -> NDArray:
    """The deviation of each column; of sparse ones the root mean square."""
    s = np.ones(risk.n_samples or 0) if risk.sample_weight is None else risk.sample_weight
    return np.sqrt(column_facts(risk.X, s / s.sum(), centre=not risk.sparse).squares)
