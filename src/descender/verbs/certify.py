"""How far somebody's fitted model is above the minimum of its own objective."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.costs.certificate import certificate, cost_scale
from descender.costs.risk import Risk
from descender.doctor.finding import Finding
from descender.doctor.fitted import Fitted, examine_fitted
from descender.errors import CapabilityError, OptionError
from descender.kernels.threads import one_blas_thread
from descender.methods.auto import polishing_tol
from descender.verbs.minimize import minimize
from descender.verbs.objectives import Objective, objective_of, torch_objective
from descender.walk import Walk

TOL = 1e-6


@dataclass
class Verdict:
    r"""What :func:`certify` found out about a model.

    ``value`` is the model's cost F(w) on the data, ``minimum`` the lowest cost that was found, at ``coef`` and
    ``intercept``; ``bound`` a number that no cost can be below.  ``excess`` = (value - minimum) / unit is how far the
    model is above that point, and ``relative`` = (value - bound) / unit how far at most above any, with ``unit`` =
    max(\|minimum\|, scale/1000) as for `tol`.  ``rigorous`` tells whether the bound is proved; ``ok`` whether the model
    is within the tolerance.

    All are summed over the model's costs where it has several, such as one for each class.
    """

    model: str
    objective: str
    value: float
    minimum: float
    bound: float
    excess: float
    relative: float
    kind: str
    rigorous: bool
    unit: float
    tol: float
    coef: Any
    intercept: Any
    findings: list[Finding] = field(default_factory=list)
    walks: list[Walk] = field(default_factory=list, repr=False)

    @property
    def ok(self) -> bool:
        """Whether the model is within `tol` of the minimum of its own objective, as far as is known."""
        return self.relative <= self.tol

    def __str__(self) -> str:
        known = "certified within" if self.rigorous else "estimated within"
        bottom = _over(self.minimum - self.bound, self.unit)
        lines = [
            self._head(),
            f"  its objective   {self.objective}",
            f"  its cost        {self.value:.9g}",
            f"  the bottom      {self.minimum:.9g}, {known} {bottom:.1e} ({self.kind})",
        ]
        if self.excess > self.tol:
            lines.append("  to go there     take .coef and .intercept of this verdict")
        return "\n".join([*lines, *("  " + str(finding).replace("\n", "\n  ") for finding in self.findings)])

    def _head(self) -> str:
        mine, below = f"your {self.model}", "the minimum of its own objective"
        if not np.isfinite(self.value):
            return f"{mine} is nowhere: its cost on these rows is not finite"
        if self.ok:
            word = "certified" if self.rigorous else "estimated"
            return f"{mine} is at {below}, {word} within {self.relative:.1e}"
        if self.excess <= self.tol:
            return f"{mine} is where descender's own walk ended, which may be {self.relative:.1e} above {below}"
        if self.excess < 2.0:
            share = f"{100 * self.excess:.2g} %" if self.excess >= 1e-4 else f"{self.excess:.1e} of its value"
            return f"{mine} stopped {share} above {below}"
        if self.minimum >= self.unit:
            return f"{mine} stopped at {self.value / self.minimum:,.2g} times {below}"
        return f"{mine} stopped {self.value - self.minimum:.3g} above {below}, which is nearly 0"

    def as_json(self) -> dict[str, Any]:
        """Plain data: the schema of ``descender verify --json`` has the same words."""
        return {
            "model": self.model,
            "objective": self.objective,
            "ok": self.ok,
            "cost": self.value,
            "minimum": self.minimum,
            "bound": self.bound,
            "excess": self.excess,
            "relative": self.relative,
            "kind": self.kind,
            "rigorous": self.rigorous,
            "tol": self.tol,
            "coef": np.asarray(self.coef).tolist(),
            "intercept": np.asarray(self.intercept).tolist(),
            "findings": [finding.as_dict() for finding in self.findings],
        }


def certify(
    model: Any,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    loss: str | None = None,
    l2: float | None = None,
    l1: float | None = None,
    intercept_penalised: bool | None = None,
    tol: float = TOL,
) -> Verdict:
    r"""How far a fitted linear model is above the minimum of its *own* objective, proved, and where the bottom is.

    The model's parameters are read as the cost that it was made to minimise (the table is at the head of
    ``descender.verbs.objectives``), that cost is evaluated at its coefficients, and descender walks to the bottom.
    Nothing of the model is changed.

    Parameters
    ----------
    model
        a fitted linear model of scikit-learn (or of descender), a pipeline or a search that ends in one;
        ``torch.nn.Linear``, or an ``nn.Sequential`` with one
    X, y, sample_weight
        what it was fitted to
    loss, l2, l1, intercept_penalised
        of a PyTorch module only, which does not know them.  ``weight_decay`` of an optimiser is l2 and penalises the
        intercept, too; ``nn.MSELoss`` is twice our squared_error, so that its weight_decay is twice our l2
    tol
        the relative gap up to which a model counts as arrived

    Returns a :class:`Verdict`, which reads as text.  Raises :class:`~descender.errors.CapabilityError` for a model
    whose objective is not known, and :class:`~descender.errors.DataError` or its kinds for data that do not fit it.

    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.linear_model import Ridge, SGDClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> certify(Ridge().fit(X, y), X, y).ok
    True
    >>> verdict = certify(SGDClassifier("log_loss", random_state=0).fit(X, y), X, y)
    >>> verdict.ok, verdict.excess > 1, [finding.code for finding in verdict.findings]
    (False, True, ['D011', 'D101'])
    """
    if isinstance(tol, bool) or not isinstance(tol, int | float | np.number) or not tol > 0:
        raise OptionError(f"tol={tol!r}: expected a positive relative gap")
    if hasattr(model, "state_dict"):
        objective = torch_objective(model, X, y, sample_weight, loss, l2 or 0.0, l1 or 0.0, bool(intercept_penalised))
    else:
        given = {"loss": loss, "l2": l2, "l1": l1, "intercept_penalised": intercept_penalised}
        for name, value in given.items():
            if value is not None:
                raise OptionError(f"{name} is for PyTorch modules; {type(model).__name__} knows its own objective")
        objective = objective_of(model, X, y, sample_weight)
    return judge(objective, tol)


def judge(objective: Objective, tol: float = TOL) -> Verdict:
    """The verdict on an objective's points: each cost evaluated, its bottom found, a bound proved."""
    if not all(risk.convex for risk in objective.risks):
        raise CapabilityError(f"{objective}: this cost is not convex, so that nothing can be proved about its minimum")
    parts = [_Part.of(risk, w, tol) for risk, w in zip(objective.risks, objective.points, strict=True)]
    value, minimum = sum(part.value for part in parts), sum(part.minimum for part in parts)
    bound, scale = sum(part.bound for part in parts), sum(part.scale for part in parts)
    coef, intercept = objective.coefficients([part.bottom for part in parts])
    kinds = dict.fromkeys(part.walk.certificate.kind for part in parts)
    unit = max(abs(minimum), scale / 1000.0)
    excess = _over(value - minimum, unit)
    fitted = Fitted(objective.risks, objective.points, value, minimum, excess, tol, objective.facts)
    return Verdict(
        objective.name, str(objective), value, minimum, bound, excess, _over(value - bound, unit),
        ", ".join(kinds), all(part.walk.certificate.rigorous for part in parts), unit, float(tol), coef, intercept,
        examine_fitted(fitted), [part.walk for part in parts],
    )  # fmt: skip


@dataclass
class _Part:
    """One of a model's costs."""

    value: float
    minimum: float
    bound: float
    scale: float
    bottom: NDArray
    walk: Walk

    @classmethod
    def of(cls, risk: Risk, w: NDArray, tol: float) -> _Part:
        walk = minimize(risk, tol=polishing_tol(risk, tol / 10.0))
        with one_blas_thread(), np.errstate(all="ignore"):
            value = _value(risk, w)
            known = certificate(risk, w) if np.isfinite(value) else None
        found = walk.certificate
        minimum, bottom = (found.value, walk.x) if not value < found.value else (value, w)
        bound = found.value - found.gap
        if known is not None and known.rigorous == found.rigorous:
            bound = max(bound, known.value - known.gap)
        return cls(value, minimum, min(bound, minimum), cost_scale(risk), bottom, walk)


def _value(risk: Risk, w: NDArray) -> float:
    """F(w) in float64, or infinity where the point or its scores are not finite."""
    if not np.isfinite(w).all():
        return np.inf
    found = certificate(risk, w)
    assert found is not None
    return found.value if np.isfinite(found.value) else np.inf


def _over(gap: float, unit: float) -> float:
    return gap / unit if unit > 0 else 0.0 if gap <= 0 else np.inf
