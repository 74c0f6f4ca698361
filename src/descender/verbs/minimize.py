"""Any cost to its bottom: a typed formula, a Python function, or a cost of this package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import ArrayLike

from descender.costs.certificate import certificate
from descender.costs.cost import Cost, Vector
from descender.costs.counted import as_cost, counted
from descender.costs.formula import Formula
from descender.costs.function import Function
from descender.costs.risk import Risk
from descender.descent import descend
from descender.doctor.descent import examine
from descender.doctor.finding import Finding
from descender.doctor.lost_network import lost_network
from descender.doctor.undefined import undefined
from descender.errors import OptionError
from descender.kernels.threads import one_blas_thread
from descender.methods.bounds import read_bounds
from descender.verbs.choosing import budgets, check_numbers, check_spelling, check_words, choose_method, down_to, within
from descender.verbs.gradient import look_at_gradient, wrong_gradient
from descender.verbs.judging import judge, leave_critical_start, lost, rerun
from descender.verbs.layers import look_at_layers
from descender.verbs.reading import describe, read_cost
from descender.verbs.repair import check_on_trouble, repair, replay_of
from descender.verbs.scipy_words import speaks_scipy
from descender.verbs.starts import from_many_starts
from descender.verbs.stationary import SECONDS, stationary_points
from descender.walk import Step, Walk

STARTS_KEPT = 10_000
"""Numbers of a start that a record keeps; of more, the seed."""


@speaks_scipy
@from_many_starts
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
    on_trouble: str = "tell",
    callback: Callable[[Step], Any] | None = None,
    holdout: Callable[[Vector], float] | None = None,
    patience: int | None = None,
    patience_tol: float | None = None,
    seed: int = 0,
    starts: Any = None,
    bounds: Any = None,
    exact: bool | float = False,
    gradient: Any = None,
    check_gradient: bool | int = False,
    n_samples: int | None = None,
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
        a function ``fun(w, *args)``; or a :class:`~descender.costs.cost.Cost` such as a
        :class:`~descender.costs.risk.Risk`
    start
        numbers in the order of the variables, a mapping by name, or text such as ``"x=-1.2, y=1"``; a risk starts at 0
    gradient
        of a function: a function ``gradient(w, *args)``; True if `fun` returns (value, gradient); ``"jax"`` or
        ``"torch"`` if it is written for that library; None for difference quotients
    check_gradient
        True or a number k: compare the gradient with difference quotients at the start and after 1, 2, 4 ... or every
        k steps, some 15 evaluations each; a wrong one ends the walk with status ``"wrong_gradient"`` and a finding.
        Without it a gradient that was handed over is compared once, where L-BFGS or CG first finds nothing downhill
    n_samples
        makes a function one of samples, ``fun(w, rows, *args)`` with an array of row indices below `n_samples`, all or
        some of them: the mean over those rows; then batches and epochs apply
    method
        ``"auto"`` or a name of ``descender.methods.auto.METHODS``; hyperparameters of its rule are given by name
    learning_rate
        ``"auto"``, a number, or a schedule such as ``"inverse-time 0.1 0.01"`` or ``"backtracking"``
    batch_size
        ``"full"``, 1 (stochastic) or k (mini-batch), for a cost over samples
    clip_norm, clip_value
        the L2 norm above which a gradient is scaled down; the bound on each component
    tol
        for a convex risk, the certified relative gap (1e-6) on which auto, sag, saga and svrg end; for another cost
        the same as `gradient_tol`
    gradient_tol, step_tol, cost_tol
        stop at a gradient norm; for textbook methods at a step norm (1e-12); at a relative change of the cost
    max_steps, max_evaluations, max_epochs, max_seconds
        budgets; a walk that uses one up has ``success=False`` and status ``"budget"``
    on_divergence
        ``"stop"`` before a step that is not finite (default with an explicit rate), ``"recover"`` with a third of the
        rate (default with ``"auto"``), ``"raise"``, or ``"continue"``: NaN shows
    on_trouble
        ``"tell"`` findings; or ``"repair"``: where one is a warning or worse, walk again with what may help, as
        :meth:`Walk.confirm` does, and return the walk that is repaired, which says so in a finding
    bounds
        the box that the walk keeps to: (low, high) for each variable, None where there is no bound; a mapping by name;
        text such as ``"x=0..1, y=0.."``; or SciPy's ``Bounds``
    exact
        of a formula: True, or for how many seconds at most (10), to set its derivatives to zero and solve by algebra;
        what was found, or why not, is the walk's ``stationary`` (:func:`~descender.verbs.stationary.stationary_points`)
    callback, holdout
        called after each step with a :class:`~descender.walk.Step`, an array, the point; return True or raise
        StopIteration to stop.  A held-out cost, noted once an epoch
    patience
        with `holdout`: stop after so many epochs without a lower held-out cost; the answer is the point that had it
    patience_tol
        by how much a cost must be lower to end the waiting (0).  With it `patience` needs no `holdout`: the mean cost
        of the batches of an epoch is waited for
    seed
        of the order of samples, and of Sobol starts
    starts
        walk from many: ``"grid 5x5 -5..5"``, ``"sobol 64 -5..5"``, ``"sobol 64 x=-5..5 y=0..1"`` (without a box, within
        `bounds`), or an array of points, one a row.  The answer is the walk to the lowest minimum; all of
        them, with the starts that fell into each, are its ``minima``
        (:class:`~descender.verbs.starts.Minima`).  Budgets are those of one walk, but `max_seconds` of all

    The call of ``scipy.optimize.minimize`` is understood, too: ``fun``, ``x0`` and ``jac`` for cost, start and
    gradient, its names of methods where there is such a method here, and ``options``; docs/coming-from-scipy.md tells.

    Returns a :class:`~descender.walk.Walk`.  Raises :class:`~descender.errors.InputError` and its kinds for what
    is wrong with the input, :class:`~descender.errors.CostError` if a function fails.

    >>> walk = minimize("(1-x)**2 + 100*(y-x**2)**2", "x=-1.2, y=1")
    >>> walk.success, walk.message
    (True, 'a minimum: both curvatures are positive')
    >>> round(walk["x"], 6), round(walk["y"], 6)
    (1.0, 1.0)

    """
    asked = dict(locals())
    check_on_trouble(on_trouble)
    target, w = read_cost(cost, start, gradient, data, constants, args, n_samples)
    asked.update(cost=target, start=w, gradient=None, data=None, constants=None, n_samples=None, args=())
    if patience is not None and holdout is None and patience_tol is None:
        raise OptionError("patience waits for a lower held-out cost: give holdout, a function of the point, too")
    if exact and not isinstance(target, Formula):
        raise OptionError("exact: algebra needs a typed formula; of this cost only values and gradients are known")
    check_numbers(
        clip_norm=clip_norm, clip_value=clip_value, tol=tol, gradient_tol=gradient_tol, step_tol=step_tol,
        cost_tol=cost_tol, max_steps=max_steps, max_evaluations=max_evaluations, max_epochs=max_epochs,
        max_seconds=max_seconds, patience=patience, patience_tol=patience_tol,
    )  # fmt: skip
    if tol is not None and not (isinstance(target, Risk) and target.convex):
        tol, gradient_tol = None, tol if gradient_tol is None else gradient_tol
    check_spelling(hyperparameters, minimize)
    check_words(tol=tol, callback=callback, seed=seed, on_divergence=on_divergence)
    chosen, why = choose_method(
        target, method, tol=tol, learning_rate=learning_rate, batch_size=batch_size, clip_norm=clip_norm,
        clip_value=clip_value, max_epochs=max_epochs, gradient_tol=gradient_tol, step_tol=step_tol,
        on_divergence=on_divergence, hyperparameters=hyperparameters, start=w,
    )  # fmt: skip
    box = read_bounds(bounds, target.names)
    if box is not None and isinstance(target, Function):
        target = target.within(box.lower, box.upper)
    chosen, why = within(target, chosen, why, box, method)
    chosen = down_to(chosen, gradient_tol)
    stop = budgets(
        target, chosen, max_steps, max_evaluations, max_epochs, max_seconds, cost_tol, gradient_tol, patience,
        patience_tol,
    )  # fmt: skip
    facts = {"why": why, "cost": describe(target), "start": w.tolist() if len(w) <= STARTS_KEPT else None, "seed": seed}
    if box is not None:
        facts["bounds"] = box.text(target.names)
    count = counted(target)
    target = as_cost(count)
    look, layers = look_at_gradient(target, check_gradient), look_at_layers(count.cost)
    first, note = leave_critical_start(target, w if box is None else box.project(w), box)
    walk = descend(
        target, first, chosen, stop,
        seed=seed, callback=callback, holdout=holdout, on_divergence=on_divergence or "stop", look=look or layers,
        facts=facts,
    )  # fmt: skip
    walk.why = why
    if note:
        walk.notes.insert(0, note)
    if undefined_at := getattr(count.cost, "undefined", ""):
        walk.notes.append(f"J is not defined everywhere on the way: {undefined_at}")
    if box is not None and not box.contains(w):
        walk.notes.insert(0, "the start was outside of the bounds: moved to the nearest point within")
    if walk.status == "wrong_gradient" and not look:  # found out where the walk stood still
        walk.findings.append(wrong_gradient(walk.message, target))
    walk.findings += [look.found] if look and look.found else []
    if layers and layers.names:
        walk.record.facts["layers"] = layers.facts
    hurried = walk.status == "interrupted"  # who pressed Ctrl-C waits for no judgement, but a formula takes no time
    if not hurried:
        _judge(target, walk, chosen, certifies=box is None)
    if not hurried or isinstance(target, Formula):
        walk.findings += _findings(target, w, walk, chosen, first, seed)
    walk.findings = lost_network(walk)
    if walk.findings:
        walk.record.facts["findings"] = [finding.as_dict() for finding in walk.findings]
    walk.nfev, walk.njev = count.nfev, count.njev
    walk.replay = replay_of(minimize, asked)
    if on_trouble == "repair":
        walk = repair(walk)
    if exact and not hurried:
        walk.stationary = stationary_points(count.cost, seconds=SECONDS if exact is True else exact)
    return walk


def _judge(cost: Cost, walk: Walk, method: Any, certifies: bool) -> None:
    """Say how far from the bottom the walk ended, and what its end is."""
    if isinstance(cost, Risk) and walk.certificate is None and certifies:
        with one_blas_thread():
            walk.certificate = certificate(cost, walk.x)
    judge(cost, walk, method)


def _findings(cost: Cost, start: Vector, walk: Walk, method: Any, first: Vector, seed: int) -> list[Finding]:
    """What went wrong on the way; `first` is where it began, if not at the start itself."""
    found = examine(cost, start, walk, rerun(cost, first, method, walk, seed))
    if isinstance(cost, Formula) and (gone := lost(cost, first, method, walk, seed)):
        found += undefined(cost, *gone)
    return found
