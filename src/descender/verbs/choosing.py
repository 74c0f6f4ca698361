"""Which method takes the walk, with which rate and budgets: the options of a verb, checked and read."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import numpy as np

from descender.costs.cost import Cost
from descender.costs.network.network import Network
from descender.errors import CapabilityError, OptionError, suggest
from descender.methods.advance import Options
from descender.methods.auto import METHODS, choose, quasi_newton, textbook
from descender.methods.bounds import Bounds
from descender.methods.conjugate_gradient import ConjugateGradient
from descender.methods.lbfgs import LBFGS
from descender.methods.rules import RULES
from descender.methods.textbook import Textbook
from descender.methods.training import plan
from descender.walk import Stop

ON_DIVERGENCE = ("stop", "recover", "raise", "continue")
DEFAULT_STEPS, DEFAULT_STEP_TOL = 10_000, 1e-12


def budgets(
    cost: Cost,
    method: Any,
    max_steps: int | None,
    max_evaluations: int | None,
    max_epochs: int | None,
    max_seconds: float | None,
    cost_tol: float | None,
    gradient_tol: float | None,
    patience: float | None = None,
    patience_tol: float | None = None,
) -> Stop:
    """Budgets, with the defaults of a textbook method; epochs become steps, and of batches no gradient is small."""
    steps = math.inf if max_steps is None else max_steps
    if isinstance(method, Textbook):
        batched = method.batch_size != "full"
        per_epoch = math.ceil((cost.n_samples or 1) / int(method.batch_size)) if batched else 1
        if max_epochs is not None:
            steps = min(steps, max_epochs * per_epoch)
        elif max_steps is None and max_seconds is None and max_evaluations is None:
            steps = method.epochs * per_epoch if batched else DEFAULT_STEPS
    elif max_steps is None and max_seconds is None and max_evaluations is None:
        steps = DEFAULT_STEPS
    return Stop(
        max_steps=steps,
        max_evaluations=math.inf if max_evaluations is None else max_evaluations,
        max_seconds=math.inf if max_seconds is None else max_seconds,
        cost_tol=cost_tol or 0.0,
        gradient_tol=0.0 if isinstance(method, Textbook) else gradient_tol or 0.0,
        patience=patience,
        patience_tol=patience_tol or 0.0,
    )


def check_spelling(given: Collection[str], verb: Callable[..., Any]) -> None:
    """Refuse a word that is nearly an option of the verb: it would be taken for a number of the method."""
    if not given:
        return
    rules: dict[str, Any] = dict(RULES)
    numbers = {name for rule in rules.values() for name in rule._fields}
    known = [name for name, p in inspect.signature(verb).parameters.items() if p.kind is not p.VAR_KEYWORD]
    for name in given:
        told = suggest(name, [*known, *numbers])
        if name not in numbers and told.startswith("did you mean"):
            raise OptionError(f"there is no option {name!r}; {told}")


def within(cost: Cost, chosen: Any, why: str, bounds: Bounds | None, method: str) -> tuple[Any, str]:
    """The method within bounds; L-BFGS where it was chosen for the cost and has none."""
    if bounds is None:
        return chosen, why + _of_l1(cost, chosen)
    if not hasattr(chosen, "bounds"):
        if method != "auto":
            raise CapabilityError(f"method={method!r} keeps no bounds; use 'lbfgs' or 'cg', or leave method out")
        if getattr(cost, "l1", 0) or not cost.smooth:
            raise CapabilityError("bounds together with an l1 penalty or a loss with kinks: leave one of them out")
        chosen, why = quasi_newton(cost), "L-BFGS, because there are bounds and the cost is smooth"
    chosen = replace(chosen, bounds=bounds, **({"proximal": False} if isinstance(chosen, Textbook) else {}))
    return chosen, f"{why}, within {bounds.text(cost.names)}{_of_l1(cost, chosen)}"


def _of_l1(cost: Cost, chosen: Any) -> str:
    """How a textbook method takes an l1 penalty, as the end of a sentence."""
    if not isinstance(chosen, Textbook) or not getattr(cost, "l1", 0):
        return ""
    if chosen.proximal:
        return "; proximal steps for l1"
    told = "; of l1 a subgradient, so that no weight becomes exactly 0"
    return f"{told} (gd, fista, sgd, saga and the like take proximal steps)"


def down_to(chosen: Any, gradient_tol: float | None) -> Any:
    """L-BFGS that goes on until a gradient is as small as asked, or down to rounding: that is for the caller to say."""
    asked = isinstance(chosen, LBFGS) and gradient_tol is not None
    return replace(chosen, tol=LBFGS.tol) if asked else chosen


def check_numbers(**options: float | None) -> None:
    """Refuse what is no number of at least 0, a clip of 0, and budgets that are no whole numbers."""
    for name, value in options.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not value >= 0:
            raise OptionError(f"{name}={value!r}: expected a number of at least 0")
        if name.startswith("clip_") and value == 0:
            raise OptionError(f"{name}=0 would stop every step; give a positive bound, or leave it out")
        if name in ("max_steps", "max_evaluations", "max_epochs") and value != int(value):
            raise OptionError(f"{name}={value!r}: expected a whole number")


def check_words(*, tol: Any, callback: Any, seed: Any, on_divergence: Any) -> None:
    """Refuse the options that are no plain numbers where they are wrong."""
    if tol is not None and not tol > 0:
        raise OptionError(f"tol={tol}: the relative gap that is to be certified must be above 0")
    if callback is not None and not callable(callback):
        raise OptionError(f"callback={callback!r} cannot be called; give a function of one Step")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise OptionError(f"seed={seed!r}: expected a whole number of at least 0")
    if on_divergence not in (None, *ON_DIVERGENCE):
        raise OptionError(f"on_divergence={on_divergence!r}; known: {', '.join(ON_DIVERGENCE)}")


def choose_method(
    cost: Cost,
    method: str,
    *,
    tol: float | None,
    learning_rate: Any,
    batch_size: int | str | None,
    clip_norm: float | None,
    clip_value: float | None,
    max_epochs: int | None,
    gradient_tol: float | None,
    step_tol: float | None,
    on_divergence: str | None,
    hyperparameters: dict[str, Any],
    start: Any = None,
) -> tuple[Any, str]:
    """The method, and the sentence that says why: an option of the textbook methods asks for one of them."""
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
    why, ready = f"{method}, as asked", None
    if method == "auto" and isinstance(cost, Network):
        ready = plan(cost.n_samples, batch_size, max_epochs, learning_rate)
        method, why, batch_size = ready.method, ready.why, ready.batch_size
        learning_rate, on_divergence = ready.learning_rate, on_divergence or "recover"
    if method == "auto" and given and given != ["gradient_tol"]:
        method = "gd" if batch_size in (None, "full") else "minibatch"
        why = f"{method}, because {given[0]} was given"
    if method == "auto":
        return choose(cost, tol)
    if method in ("lbfgs", "cg"):
        given = [name for name in given if name != "gradient_tol"]
        if given:
            raise OptionError(
                f"{given[0]} does not go with method={method!r}, which finds its own steps; leave one out"
            )
        return (quasi_newton(cost) if method == "lbfgs" else ConjugateGradient()), why
    options = Options(
        clip_norm=math.inf if clip_norm is None else float(clip_norm),
        clip_value=math.inf if clip_value is None else float(clip_value),
        gradient_tol=float(gradient_tol or 0.0),
        step_tol=DEFAULT_STEP_TOL if step_tol is None else float(step_tol),
    )
    chosen = textbook(cost, method, learning_rate, batch_size, options, on_divergence, tol, start, **hyperparameters)
    return chosen if ready is None else replace(chosen, epochs=ready.epochs, memory=ready.memory), why
