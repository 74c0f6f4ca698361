"""Which method, and the sentence that says why."""

from __future__ import annotations

from typing import Any

import numpy as np

from descender.costs.cost import Cost, Vector
from descender.costs.formula import Formula
from descender.costs.function import Function
from descender.costs.losses import OneVsRest, Softmax
from descender.costs.risk import Risk
from descender.errors import CapabilityError, OptionError, suggest
from descender.kernels.sparse_reads import WORTH_COMPILING
from descender.methods.advance import Options
from descender.methods.bounds import Bounds
from descender.methods.diagonal import DiagonalLBFGS
from descender.methods.dual import DualAscent, conditioning
from descender.methods.interior import InteriorPoint
from descender.methods.lbfgs import LBFGS
from descender.methods.method import Method
from descender.methods.metric import LearntMetric, is_wide
from descender.methods.newton import Newton, has_newton, is_small
from descender.methods.newton_cg import NewtonCG
from descender.methods.normal_equations import NormalEquations, told_by_moments
from descender.methods.one_vs_rest import ClassByClass
from descender.methods.position import reads
from descender.methods.proximal_newton import ProximalNewton, has_proximal_newton
from descender.methods.proximal_softmax import ProximalSoftmax
from descender.methods.rates import Constant, OnPlateau, Rate, name_of, read_rate
from descender.methods.rules import RULES
from descender.methods.textbook import Textbook
from descender.methods.variance_reduced import REDUCTIONS, sample_curvature
from descender.methods.working_set import WorkingSets, has_few_rows

READINGS: dict[str, dict[str, Any]] = {
    "sgd": {"rule": "gd", "batch_size": 1},
    "minibatch": {"rule": "gd", "batch_size": 20},
    "coordinate": {"rule": "gd", "coordinates": True},
}
"""Names for plain gradient descent with another way to read the gradient."""
METHODS = ("auto", *RULES, *READINGS, *REDUCTIONS, "lbfgs", "cg")
POLISHED = 4e-24
"""The tol of a walk to rounding: Newton's decrement is the square of the distance that is left."""
GROWTH = 1.1
"""By how much a rate grows with each accelerated step until the search shortens it."""
MEMORY = 100
"""Steps that are remembered where an evaluation costs more than the method."""
LARGEST_INTERIOR = 6000
"""Columns up to which a matrix of curvatures, and its factor, may stand by for a dual ascent that gains little."""


def choose(cost: Cost, tol: float | None = None) -> tuple[Method, str]:
    """The method for a cost, from facts about it, and the sentence that says why."""
    if not isinstance(cost, Risk) or not cost.convex:
        count = {1: "one variable", 2: "two variables"}.get(cost.n_parameters, f"{cost.n_parameters:,} variables")
        kind = "smooth" if cost.smooth else "smooth almost everywhere"
        return quasi_newton(cost), f"L-BFGS, because {count}, {kind}, and every gradient tells curvature"
    tol = 1e-6 if tol is None else tol
    if isinstance(cost.loss, OneVsRest):
        half = 0.5 * tol  # relative to each class; their sum is at most twice relative to the whole
        one, why = choose(cost.against_rest(0), half)
        method = ClassByClass(tol, lambda risk: choose(risk, half)[0], name=f"{one.name}, one class after the other")
        return method, f"{why}; each of {cost.n_classes} classes against the rest"
    if not cost.loss.differentiable:
        return _for_kinks(cost, tol)
    if has_newton(cost):
        return Newton(tol), f"Newton's method, because {_size(cost)} is small, so each step can afford all curvatures"
    if cost.loss is Softmax:
        if cost.l1 > 0:
            proximal = ProximalSoftmax(tol)
            return proximal, f"{proximal.name}, because softmax has an l1 penalty"
        newton = NewtonCG(tol)
        return newton, f"{newton.name}, because the curvature over {cost.n_classes} classes is about such a product"
    size = _size(cost)
    if cost.l1 > 0 and has_few_rows(cost):
        sets = WorkingSets(tol)
        return sets, f"{sets.name}, because of {size} l1 leaves fewer columns than there are rows"
    if has_proximal_newton(cost) and not told_by_moments(cost):
        proximal_newton = ProximalNewton(tol)
        return (
            proximal_newton,
            f"{proximal_newton.name}, because {size} is small, so each step can afford all curvatures",
        )
    if told_by_moments(cost) and (cost.l1 > 0 or not is_small(cost)):
        equations = NormalEquations(tol)
        return equations, f"{equations.name}, because the moments of {size} tell all about a squared error"
    if is_wide(cost) and cost.l1 == 0:
        return _for_many_columns(cost, tol)
    if cost.l1 > 0 and cost.sparse and not is_wide(cost) and not is_small(cost):
        sets = WorkingSets(tol)
        return sets, f"{sets.name}, because l1 leaves few of {size} sparse columns"
    if is_wide(cost):
        sets = WorkingSets(tol)
        reason = f"{size} are too many columns for a matrix of curvatures, and l1 leaves few of them"
        return sets, f"{sets.name}, because {reason}"
    if is_small(cost):
        name, reason = "Newton's method", f"{size} is small, so each step can afford all curvatures"
    else:
        name, reason = "descent in a learnt metric", f"the cost is smooth and convex and {size} fits in memory"
    name = f"proximal {name}" if cost.l1 > 0 else name
    return LearntMetric(tol, name=name), f"{name}, because {reason}"


def _size(cost: Risk) -> str:
    return f"{cost.n_samples:,} x {cost.n_features:,}"


def _for_many_columns(cost: Risk, tol: float) -> tuple[Method, str]:
    """The method for a smooth loss with l2, or without a penalty, on too many columns for a matrix of curvatures."""
    reason = f"{cost.n_samples:,} x {cost.n_features:,} are too many columns for a matrix of curvatures"
    diagonal, kappa = DiagonalLBFGS(tol), conditioning(cost)
    if not (cost.sparse and cost.X.nnz >= WORTH_COMPILING and kappa < np.inf):
        return diagonal, f"{diagonal.name}, because {reason}"
    ascent = DualAscent(tol, otherwise=diagonal)
    about = f"one row bends the dual {kappa:.2g} times as much as l2 does"
    return ascent, f"{ascent.name}, because {reason}, and {about}; should epochs gain little, {diagonal.name} goes on"


def _for_kinks(cost: Risk, tol: float) -> tuple[Method, str]:
    """The method for a loss whose slope jumps."""
    size = f"{cost.n_samples:,} x {cost.n_features:,}"
    if not is_wide(cost):
        method = InteriorPoint(tol)
        return method, f"{method.name}, because the slope of {cost.loss.name} jumps and {size} allows all curvatures"
    if cost.l2 > 0 and cost.l1 == 0:
        ascent = DualAscent(tol, otherwise=InteriorPoint(tol) if cost.n_features <= LARGEST_INTERIOR else None)
        reason = f"the slope of {cost.loss.name} jumps and {size} are too many columns"
        ahead = f"; should epochs gain little, {ascent.otherwise.name} goes on" if ascent.otherwise else ""
        return ascent, f"{ascent.name}, because {reason}{ahead}"
    raise CapabilityError(
        f"{cost.loss.name} with {'l1' if cost.l1 > 0 else 'no penalty'} on {cost.n_features:,} columns has no method "
        "here: give l2 and no l1, or fewer columns, or a smooth loss such as squared_hinge or huber"
    )


def quasi_newton(cost: Cost, bounds: Bounds | None = None) -> LBFGS:
    """L-BFGS: down to rounding where the cost knows its curvature; sparing of the evaluations of a function.

    A function costs more than the method, which then remembers many steps, and ends about where SciPy's do.
    """
    if not isinstance(cost, Function):
        return LBFGS(bounds=bounds)
    return LBFGS(memory=MEMORY, tol=1e-11, thrifty=True, bounds=bounds)


def polishing_tol(cost: Cost, tol: float) -> float:
    """`tol`, or where steps with all curvatures cost next to nothing what takes the walk down to rounding.

    The weights of a small problem then do not depend on `tol`, on the order of its rows, or on whether a row is
    repeated or weighs more.
    """
    if not (isinstance(cost, Risk) and cost.convex and is_small(cost)) or is_wide(cost):
        return tol
    slow = not cost.loss.differentiable or (cost.loss is Softmax and cost.l1 == cost.l2 == 0)
    exact = cost.l1 > 0 and told_by_moments(cost)
    return tol if slow or exact else min(tol, POLISHED)


def textbook(
    cost: Cost,
    name: str,
    learning_rate: Any = "auto",
    batch_size: int | str | None = None,
    options: Options = Options(),  # noqa: B008 - immutable
    on_divergence: str | None = None,
    tol: float | None = None,
    start: Any = None,
    bounds: Any = None,
    shuffle: Any = True,
    **hyperparameters: Any,
) -> Textbook:
    """A method of the textbook family by name, its options checked against the cost."""
    if name not in (*RULES, *READINGS, *REDUCTIONS):
        raise OptionError(f"method={name!r}; {suggest(str(name), METHODS)}")
    reduction = REDUCTIONS.get(name)
    reading = READINGS.get(name, {} if reduction is None else {"rule": "gd", "batch_size": 1})
    rule_class: Any = RULES[reading.get("rule", name)]
    batch_size = reading.get("batch_size", "full") if batch_size is None else batch_size
    _check_batches(cost, name, batch_size)
    if reduction is not None:
        if batch_size == "full":
            raise OptionError(f"method={name!r} reads some samples at a time: give a batch_size, or method='gd'")
        reduction.check(cost)
    unknown = [key for key in hyperparameters if key not in rule_class._fields]
    if unknown:
        known = ", ".join(rule_class._fields) or "none"
        raise OptionError(f"method={name!r} has no option {unknown[0]!r}; its own options: {known}")
    for key, value in hyperparameters.items():
        _check_range(key, value, *getattr(rule_class, "ranges", {}).get(key, (0.0, 1.0)))
    rule = rule_class(**hyperparameters)
    automatic = isinstance(learning_rate, str) and learning_rate == "auto"
    if not automatic:
        rate = read_rate(learning_rate)
    elif reduction is not None:
        rate = reduced_rate(cost, reduction.share, start)
    else:
        rate = automatic_rate(cost, rule, name, batch_size, start)
    coordinates = bool(reading.get("coordinates"))
    _check_together(name, rule, rate, batch_size, options._replace(coordinates=coordinates))
    if isinstance(rate, OnPlateau) and not rate.every:
        rate = rate._replace(every=1.0 if batch_size == "full" else np.ceil((cost.n_samples or 1) / int(batch_size)))
    on_divergence = on_divergence or ("recover" if automatic else "stop")
    proximal = bounds is None and _shrinks(cost, rule, rate, options._replace(coordinates=coordinates))
    if proximal and hasattr(rule, "proximal_form"):
        rule = rule.proximal_form()
    if _is_sum(cost) and batch_size != "full" and reduction is None:
        options = options._replace(whole=float(cost.n_samples or 1))
    return Textbook(
        name=name,
        rule=rule,
        rate=rate,
        batch_size=batch_size,
        shuffle=bool(shuffle),
        options=options._replace(coordinates=coordinates, stop_if_not_finite=on_divergence != "continue"),
        recover=on_divergence == "recover",
        reduction=reduction,
        tol=1e-6 if tol is None else tol,
        epochs=20 if reduction is None else 100,
        bounds=bounds,
        proximal=proximal,
    )


def _shrinks(cost: Cost, rule: Any, rate: Any, options: Options) -> bool:
    """Whether steps can take an l1 penalty by soft-thresholding: those that are the rate times the whole gradient.

    Where each coordinate has a rate of its own, or a velocity, another step would be the proximal one, and what a rule
    remembers of a step is of the point before it; a clipped gradient no longer balances the penalty at the minimum; a
    rate measured from gradients would leave it out.
    """
    along = getattr(rule, "along_gradient", False) and not rule.slots
    suits = along or hasattr(rule, "extrapolates") or hasattr(rule, "proximal_form")
    clips = min(options.clip_norm, options.clip_value) < np.inf
    measured = reads(rate, "g") and not hasattr(rate, "ceiling")
    return isinstance(cost, Risk) and cost.l1 > 0 and suits and not (options.coordinates or clips or measured)


def automatic_rate(cost: Cost, rule: Any, name: str, batch_size: int | str, start: Vector | None = None) -> Rate:
    r"""A rate where none was given.

    With exact gradients the longest step that lowers the cost, by backtracking.  With batches :math:`1/L` for the
    largest curvature L of a sample's loss, times :math:`1-\beta` under momentum; where a rule scales steps, the rate
    that the field begins with.  L is a bound for a risk, and measured at the start for another cost.
    """
    natural, unsearched = getattr(rule, "natural_rate", None), getattr(rule, "unsearched", False)
    extrapolates = hasattr(rule, "extrapolates") or (hasattr(rule, "proximal_form") and getattr(cost, "l1", 0) > 0)
    if batch_size == "full" and not unsearched:
        # a step that is tried in vain costs the accelerated ones as much as a step: their rate grows slowly
        rate = read_rate("backtracking")
        return rate._replace(grow=GROWTH) if extrapolates else rate
    if natural is not None:
        return Constant(natural)
    bounded = isinstance(cost, Risk) and bool(np.isfinite(cost.loss.curvature_bound))
    if batch_size == "full" and not bounded:
        raise OptionError(f"method={name!r} cannot search for a rate: give a number or a schedule as learning_rate")
    w = np.zeros(cost.n_parameters) if start is None else start
    curvature = sample_curvature(cost, w) if bounded or not isinstance(cost, Risk) else np.inf
    share = int(batch_size) / (cost.n_samples or 1) if batch_size != "full" and _is_sum(cost) else 1.0
    curvature *= share  # of a sum a batch is the sum over its own rows
    if not 0.0 < curvature < np.inf:
        return Constant(0.01)
    keeps = getattr(rule, "beta", 0.0) if name in ("momentum", "nesterov") else 0.0
    inverse = 1.0 / max(curvature, 1e-300)
    return Constant((1.0 - keeps) * (inverse if bounded else lowering_rate(cost, w, inverse * share) / share))


def lowering_rate(cost: Cost, w: Vector, rate: float) -> float:
    """`rate`, halved until a step along the whole gradient lowers the cost: a plateau tells no curvature."""
    with np.errstate(all="ignore"):
        value, gradient = cost.value_and_gradient(w)
        for _ in range(100):
            if not np.isfinite(value) or cost.value(w - rate * gradient) <= value:
                break
            rate *= 0.5
    return rate


def _is_sum(cost: Cost) -> bool:
    return cost.as_mean() is not cost if isinstance(cost, Formula) else getattr(cost, "reduction", "mean") == "sum"


def reduced_rate(cost: Cost, share: float, start: Vector | None) -> Rate:
    """A share of 1/L for a method with variance reduction, L being the largest curvature of a sample's cost."""
    curvature = sample_curvature(cost, np.zeros(cost.n_parameters) if start is None else start)
    return Constant(share / curvature if np.isfinite(curvature) and curvature > 0 else 0.01)


def _check_range(key: str, value: Any, low: float, high: float) -> None:
    """Refuse a hyperparameter that its rule does not know what to do with."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not low <= value < high:
        shown = f"{value:g}" if isinstance(value, int | float | np.number) else repr(value)
        expected = f"a number of at least {low:g}" + (f" and below {high:g}" if np.isfinite(high) else "")
        raise OptionError(f"{key}={shown}: expected {expected}")


def _check_together(name: str, rule: Any, rate: Any, batch_size: int | str, options: Options) -> None:
    """Refuse a rate that takes for granted what the rule or the way of reading does not give."""
    word = name_of(rate)
    if getattr(rule, "unsearched", False) and hasattr(rate, "ceiling"):
        raise OptionError(f"learning_rate={word!r} searches, and method={name!r} cannot be searched; give a number")
    if getattr(rate, "along_gradient", False) and not getattr(rule, "along_gradient", False):
        kinds = ", ".join(key for key, kind in RULES.items() if getattr(kind, "along_gradient", False))
        raise OptionError(
            f"learning_rate={word!r} measures steps along the gradient, and those of method={name!r} are others; "
            f"it goes with {kinds}"
        )
    if not getattr(rate, "exact", False):
        return
    if batch_size != "full":
        raise OptionError(f"learning_rate={word!r} needs exact costs, batch_size={batch_size} estimates them")
    changed = "clipped gradients" if min(options.clip_norm, options.clip_value) < np.inf else "one coordinate a step"
    if word != "backtracking" and (changed.startswith("clip") or options.coordinates):
        raise OptionError(f"learning_rate={word!r} reads the whole gradient, which {changed} is not; leave one out")


def _check_batches(cost: Cost, name: str, batch_size: Any) -> None:
    if batch_size == "full":
        return
    if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise OptionError(f"batch_size={batch_size!r}: expected 'full' or a whole number of at least 1")
    if not cost.n_samples:
        raise CapabilityError(
            f"method={name!r}, batch_size={batch_size} reads some samples at a time, but this cost has none; "
            "use method='gd', or a formula with mean(...) over data columns"
        )
    if not getattr(cost, "splits", True):
        raise CapabilityError("batches need a cost that is one mean(...) or sum(...) over rows; this formula is not")
