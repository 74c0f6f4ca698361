"""Any cost to its bottom: a typed formula, a Python function, or a cost of this package."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from descender.costs.certificate import certificate
from descender.costs.cost import Cost, Vector
from descender.costs.formula import Formula
from descender.costs.function import Function
from descender.costs.risk import Risk
from descender.descent import Step, Stop, Walk, descend
from descender.doctor.descent import examine
from descender.errors import InputError, OptionError, StartError, suggest
from descender.kernels.threads import one_blas_thread
from descender.methods.advance import Options, length
from descender.methods.auto import METHODS, choose, textbook
from descender.methods.critical import LARGEST, Critical, classify, leave
from descender.methods.lbfgs import LBFGS
from descender.methods.textbook import Textbook

ON_DIVERGENCE = ("stop", "recover", "raise", "continue")
DEFAULT_STEPS, DEFAULT_EPOCHS, DEFAULT_STEP_TOL = 10_000, 20, 1e-12
CRITICAL = 1e-12
"""A start whose Newton step is shorter than this share of it counts as a critical point."""


def minimize(
    cost: str | Callable[..., Any] | Cost,
    start: Any = None,
    method: str = "auto",
    *,
    learning_rate: Any = "auto",
    batch_size: int | str | None = None,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    tol: float | None = None,
    gradient_tol: float | None = None,
    step_tol: float | None = None,
    cost_tol: float | None = None,
    max_steps: int | None = None,
    max_evaluations: int | None = None,
    max_epochs: int | None = None,
    max_seconds: float | None = None,
    on_divergence: str | None = None,
    callback: Callable[[Step], Any] | None = None,
    holdout: Callable[[Vector], float] | None = None,
    seed: int = 0,
    gradient: Any = None,
    data: Mapping[str, ArrayLike] | None = None,
    constants: Mapping[str, float] | None = None,
    args: tuple = (),
    **hyperparameters: Any,
) -> Walk:
    r"""Descend to a minimum of J(w).

    Parameters
    ----------
    cost
        a formula such as ``"(1-x)**2 + 100*(y-x**2)**2"``, with `data` columns inside ``mean(...)`` or ``sum(...)``;
        a function ``fun(w, *args)`` with its `gradient` (a function, True if `fun` returns both, or None: finite
        differences); or a :class:`~descender.costs.cost.Cost` such as a :class:`~descender.costs.risk.Risk`
    start
        numbers in the order of the variables, a mapping by name, or text such as ``"x=-1.2, y=1"``; a risk starts at 0
    method
        ``"auto"`` or a name of ``descender.methods.auto.METHODS``; hyperparameters of its rule are given by name
    learning_rate
        ``"auto"``, a number, or a schedule such as ``"inverse-time 0.1 0.01"`` or ``"backtracking"``
    batch_size
        ``"full"``, 1 (stochastic) or k (mini-batch), for a cost over samples
    clip_norm, clip_value
        the L2 norm above which a gradient is scaled down; the bound on each component
    tol, gradient_tol, step_tol, cost_tol
        for a convex risk, the certified relative gap (1e-6); for textbook methods, stop at a gradient norm, at a step
        norm (1e-12), or at a relative change of the cost
    max_steps, max_evaluations, max_epochs, max_seconds
        budgets; a walk that uses one up has ``success=False`` and status ``"budget"``
    on_divergence
        ``"stop"`` before a step that is not finite (default with an explicit rate), ``"recover"`` with a third of the
        rate (default with ``"auto"``), ``"raise"``, or ``"continue"``: NaN shows
    callback, holdout
        called with each :class:`~descender.descent.Step` (return True to stop); a held-out cost, noted once an epoch
    seed
        of the order of samples

    Returns a :class:`~descender.descent.Walk`.  Raises :class:`~descender.errors.InputError` and its kinds for what
    is wrong with the input, :class:`~descender.errors.CostError` if a function fails.

    >>> walk = minimize("(1-x)**2 + 100*(y-x**2)**2", "x=-1.2, y=1")
    >>> walk.success, walk.message
    (True, 'a minimum: both curvatures are positive')
    >>> round(walk["x"], 6), round(walk["y"], 6)
    (1.0, 1.0)

    """
    target, w = read_cost(cost, start, gradient, data, constants, args)
    _check_numbers(
        clip_norm=clip_norm, clip_value=clip_value, tol=tol, gradient_tol=gradient_tol, step_tol=step_tol,
        cost_tol=cost_tol, max_steps=max_steps, max_evaluations=max_evaluations, max_epochs=max_epochs,
        max_seconds=max_seconds,
    )  # fmt: skip
    if tol is not None and (not tol > 0 or not (isinstance(target, Risk) and target.convex)):
        raise OptionError(
            f"tol={tol}: a positive certified gap of a convex risk; other costs have gradient_tol and others"
        )
    if callback is not None and not callable(callback):
        raise OptionError(f"callback={callback!r} cannot be called; give a function of one Step")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise OptionError(f"seed={seed!r}: expected a whole number of at least 0")
    if on_divergence not in (None, *ON_DIVERGENCE):
        raise OptionError(f"on_divergence={on_divergence!r}; known: {', '.join(ON_DIVERGENCE)}")
    if method not in METHODS:
        raise OptionError(f"method={method!r}; {suggest(str(method), METHODS)}")
    explicit = {
        "learning_rate": None if learning_rate == "auto" else learning_rate,
        "batch_size": batch_size,
        "clip_norm": clip_norm,
        "clip_value": clip_value,
        "max_epochs": max_epochs,
        "gradient_tol": gradient_tol,
        "step_tol": step_tol,
        **hyperparameters,
    }
    given = [key for key, value in explicit.items() if value is not None]
    why = f"{method}, as asked"
    if method == "auto" and given and given != ["gradient_tol"]:
        method = "gd" if batch_size in (None, "full") else "minibatch"
        why = f"{method}, because {given[0]} was given"
    chosen: Any
    if method == "auto":
        chosen, why = choose(target, tol)
    elif method == "lbfgs":
        if given:
            raise OptionError(f"{given[0]} does not go with method='lbfgs', which finds its own steps; leave one out")
        chosen = LBFGS()
    else:
        options = Options(
            clip_norm=math.inf if clip_norm is None else float(clip_norm),
            clip_value=math.inf if clip_value is None else float(clip_value),
            gradient_tol=float(gradient_tol or 0.0),
            step_tol=DEFAULT_STEP_TOL if step_tol is None else float(step_tol),
        )
        chosen = textbook(target, method, learning_rate, batch_size, options, on_divergence, **hyperparameters)
    stop = budgets(target, chosen, max_steps, max_evaluations, max_epochs, max_seconds, cost_tol)
    facts = {"why": why, "cost": describe(target), "start": w.tolist(), "seed": seed}
    first, note = _leave_critical_start(target, w)
    walk = descend(
        target, first, chosen, stop,
        seed=seed, callback=callback, holdout=holdout, on_divergence=on_divergence or "stop", facts=facts,
    )  # fmt: skip
    walk.why = why
    if note:
        walk.notes.insert(0, note)
    if isinstance(target, Risk) and walk.certificate is None:
        with one_blas_thread():
            walk.certificate = certificate(target, walk.x)
    _judge(target, walk, chosen)
    walk.findings += examine(target, w, walk, _rerun(target, first, chosen, walk, seed))
    return walk


def _rerun(cost: Cost, start: Vector, method: Any, walk: Walk, seed: int) -> Callable[[float], bool] | None:
    """A short walk with another rate in place of the method's own; None where it has none."""
    if not isinstance(method, Textbook):
        return None

    def again(rate: float) -> bool:
        slower = dataclasses.replace(method, rate=method.rate._replace(rate=rate), recover=False)
        tried = descend(cost, start, slower, Stop(max_steps=min(max(2 * walk.nit, 20), 200)), seed=seed)
        return tried.status != "not_finite" and bool(tried.fun <= walk.record["cost"][0])

    return again


def read_cost(
    cost: Any, start: Any, gradient: Any = None, data: Any = None, constants: Any = None, args: tuple = ()
) -> tuple[Cost, Vector]:
    """The cost object and the start as an array, whatever form they were given in."""
    if isinstance(cost, str):
        if gradient is not None:
            raise OptionError("gradient does not go with a formula: its derivatives are exact")
        target = Formula(cost, data=data, constants=constants)
        return target, read_start(target.names, start, target.column_names)
    if data is not None or constants is not None:
        raise OptionError("data and constants go with a typed formula; a function closes over its own")
    if isinstance(cost, Cost):
        if start is None and isinstance(cost, Risk):
            return cost, np.zeros(cost.n_parameters)
        return cost, read_start(cost.names, start, getattr(cost, "column_names", ()))
    if not callable(cost):
        raise OptionError(f"cost={cost!r}: expected a formula, a function or a Cost")
    if start is None or isinstance(start, str | Mapping):
        raise StartError("a function needs its start as numbers, such as start=[0.0, 1.0]")
    w = np.atleast_1d(np.asarray(start, dtype=np.float64))
    if w.ndim != 1:
        raise StartError(f"start has shape {w.shape}; expected a vector")
    return Function(cost, w, gradient=gradient, args=args), w


def read_start(names: tuple[str, ...], start: Any, columns: Iterable[str] = ()) -> Vector:
    """The start in the order of the variables; `columns` of the data tell a misspelt column from a variable.

    >>> read_start(("x", "y"), "y=1, x=-1.2")
    array([-1.2,  1. ])
    """
    example, columns = " ".join(f"{name}=1" for name in names[:3]), tuple(columns)
    if start is None:
        raise StartError(
            f"no start was given; give one number for each of {', '.join(names)}, such as {example}"
            + misspelt(names, columns)
        )
    if isinstance(start, str):
        start = read_assignments(start)
    if isinstance(start, Mapping):
        unknown = [name for name in start if name not in names]
        if unknown:
            hint = misspelt([name for name in names if name not in start], columns)
            if unknown[0] in columns:
                raise StartError(f"start names {unknown[0]!r}, which is a column of the data and no variable{hint}")
            raise StartError(
                f"start names {unknown[0]!r}, which is no variable here; {suggest(unknown[0], names)}{hint}"
            )
        missing = [name for name in names if name not in start]
        if missing:
            raise StartError(
                f"start has no value for {', '.join(missing)}; give one, such as {missing[0]}=1"
                + misspelt(missing, columns)
            )
        start = [start[name] for name in names]
    try:
        w = np.atleast_1d(np.asarray(start, dtype=np.float64))
    except (TypeError, ValueError):
        raise StartError(f"start={start!r}: expected numbers, such as {example}") from None
    if w.shape != (len(names),):
        raise StartError(
            f"start has shape {w.shape}; expected {len(names)} numbers, one each for {', '.join(names[:9])}"
            + misspelt(names, columns)
        )
    return w


def misspelt(names: Iterable[str], columns: Sequence[str]) -> str:
    """Which variables are nearly called as a column of the data: that makes a variable of a misspelt column.

    >>> misspelt(["weigth", "m"], ["height", "weight"])
    '; weigth: did you mean the column weight?'
    """
    told = [(name, suggest(name, columns)) for name in names if columns]
    near = [(name, hint.replace("you mean", "you mean the column")) for name, hint in told if hint.endswith("?")]
    return "".join(f"; {name}: {hint}" for name, hint in near)


def read_assignments(text: str, what: str = "start", error: type[InputError] = StartError) -> dict[str, float]:
    """NAME=VALUE words, separated by blanks or commas.

    >>> read_assignments("x=-1.2,y=1")
    {'x': -1.2, 'y': 1.0}
    """
    values: dict[str, float] = {}
    for word in text.replace(",", " ").split():
        name, equals, number = word.partition("=")
        try:
            value = float(number)
        except ValueError:
            equals = ""
        if not equals or not name:
            raise error(f"{what}: {word!r} is not NAME=NUMBER, such as {name or 'x'}=-1.2")
        if name in values:
            raise error(f"{what}: {name} is given twice")
        values[name] = value
    return values


def budgets(
    cost: Cost,
    method: Any,
    max_steps: int | None,
    max_evaluations: int | None,
    max_epochs: int | None,
    max_seconds: float | None,
    cost_tol: float | None,
) -> Stop:
    """Budgets, with the defaults of a textbook method; epochs become steps."""
    steps = math.inf if max_steps is None else max_steps
    if isinstance(method, Textbook):
        batched = method.batch_size != "full"
        if max_epochs is not None:
            per_epoch = math.ceil((cost.n_samples or 1) / int(method.batch_size)) if batched else 1
            steps = min(steps, max_epochs * per_epoch)
        elif max_steps is None and max_seconds is None and max_evaluations is None:
            per_epoch = math.ceil((cost.n_samples or 1) / int(method.batch_size)) if batched else 1
            steps = DEFAULT_EPOCHS * per_epoch if batched else DEFAULT_STEPS
    elif max_steps is None and max_seconds is None and max_evaluations is None:
        steps = DEFAULT_STEPS
    return Stop(
        max_steps=steps,
        max_evaluations=math.inf if max_evaluations is None else max_evaluations,
        max_seconds=math.inf if max_seconds is None else max_seconds,
        cost_tol=cost_tol or 0.0,
    )


def describe(cost: Cost) -> str:
    """What the record calls the cost."""
    if isinstance(cost, Formula):
        return cost.text
    if isinstance(cost, Risk):
        return f"{cost.reduction} {cost.loss.name} over {cost.n_samples:,} rows"
    return type(cost).__name__


def _leave_critical_start(cost: Cost, w: Vector) -> tuple[Vector, str]:
    """A start with gradient zero that is no minimum is left by a small step, and that is said."""
    if cost.convex or len(w) > LARGEST:
        return w, ""
    with np.errstate(all="ignore"):
        gradient = cost.gradient(w)
    if not np.isfinite(gradient).all():
        return w, ""
    if np.any(gradient != 0.0):
        scale = max(1.0, length(w))
        if length(gradient) > 1e-9:
            return w, ""
        critical = classify(cost, w)
        if critical.directions is None or not np.any(critical.curvatures):
            return w, ""
        step = critical.directions.T @ gradient / np.where(critical.curvatures == 0, np.inf, critical.curvatures)
        if length(step) > CRITICAL * scale:
            return w, ""
    else:
        critical = classify(cost, w)
    point = leave(cost, w, critical)
    if point is None:
        return w, ""
    return (
        point,
        f"the gradient is zero at the start, but it is {critical.text}; left by a step of {length(point - w):.2g}",
    )


def _judge(cost: Cost, walk: Walk, method: Any) -> None:
    """Say what the end of a textbook walk is: a small gradient or step alone proves nothing."""
    if not isinstance(method, Textbook) or cost.convex or len(walk.x) > LARGEST:
        return
    if walk.status not in ("small_gradient", "small_step", "small_change"):
        return
    critical: Critical = classify(cost, walk.x)
    newton, promise = critical.newton(walk.jac)
    if not critical.stable:
        walk.success, walk.status = False, "stuck"
        walk.message = f"{walk.message}, but this is {critical.text}"
    elif length(newton) > 1e-2 * max(1.0, length(walk.x)) and promise > 1e-6 * max(abs(walk.fun), 1e-300):
        walk.success, walk.status = False, "not_there"
        walk.message = f"{walk.message}, but the bottom is about {length(newton):.2g} further on"
    else:
        walk.message = f"{walk.message}; {critical.text}"


def _check_numbers(**options: float | None) -> None:
    for name, value in options.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not value >= 0:
            raise OptionError(f"{name}={value!r}: expected a number of at least 0")
        if name.startswith("clip_") and value == 0:
            raise OptionError(f"{name}=0 would stop every step; give a positive bound, or leave it out")
        if name in ("max_steps", "max_evaluations", "max_epochs") and value != int(value):
            raise OptionError(f"{name}={value!r}: expected a whole number")
