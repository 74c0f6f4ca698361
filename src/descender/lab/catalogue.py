"""The methods, rates, losses and examples of the library, for the controls of the page."""

from __future__ import annotations

import inspect
from typing import Any

from descender.costs.losses import LOSSES
from descender.data.examples import EXAMPLES
from descender.lab.asked import DEFAULT_STEPS, LONGEST, RACERS, STEPS
from descender.lab.costs import playable
from descender.lab.lessons import LESSONS
from descender.methods.auto import METHODS, READINGS
from descender.methods.rates import RATES
from descender.methods.rules import RULES
from descender.methods.variance_reduced import REDUCTIONS

WORDS = {
    "auto": "the method is chosen by facts about the cost",
    "sgd": "plain descent, one sample a step",
    "minibatch": "plain descent, some samples a step",
    "coordinate": "plain descent, one weight a step",
    "lbfgs": "L-BFGS: curvature from the gradients seen",
    "cg": "conjugate gradients",
}
"""Methods that are no rule and have no docstring of their own to begin with."""


def catalogue() -> dict[str, Any]:
    """Everything that can be chosen on the page."""
    return {
        "methods": [_method(name) for name in METHODS],
        "rates": [{"name": name, "numbers": list(kind._fields)} for name, kind in RATES.items() if name != "constant"],
        "models": [{"name": name, "tasks": list(loss.tasks)} for name, loss in LOSSES.items()],
        "examples": [
            {"name": f"example:{name}", "text": EXAMPLES[name].description, "target": EXAMPLES[name].target}
            for name in playable()
        ],
        "lessons": [lesson._asdict() for lesson in LESSONS],
        "bounds": {"steps": STEPS, "racers": RACERS, "formula": LONGEST, "default_steps": DEFAULT_STEPS},
    }


def _method(name: str) -> dict[str, Any]:
    rule: Any = RULES.get(READINGS.get(name, {}).get("rule", name))
    numbers = dict(rule._field_defaults) if rule is not None and name not in ("sgd", "minibatch", "coordinate") else {}
    return {
        "name": name,
        "text": WORDS.get(name) or (inspect.getdoc(rule or REDUCTIONS.get(name)) or name).splitlines()[0].rstrip("."),
        "numbers": numbers,
        "batches": name in REDUCTIONS or name in ("sgd", "minibatch") or (rule is not None and name != "coordinate"),
        "rated": name not in ("auto", "lbfgs", "cg"),
    }
