"""Checks of a loop: each turns what is known of it, a :class:`~descender.doctor.loops.case.Case`, into a suspect.

One file a family; a check is a function, and one line in its family's ``CHECKS``, under the cause that it looks for.
"""

from __future__ import annotations

import numpy as np

from descender.doctor.causes import BY_SLUG
from descender.doctor.loops import code, data, layers, numbers, rates, rows, targets
from descender.doctor.loops.case import Case, Remedy, Suspect

FAMILIES = (numbers, data, rows, targets, code, layers, rates)
"""In this order: what is certain and cheap first, since a root that was found spares the search for its symptoms."""

SMALL = 0.45
"""The share of the loss of 16 rows that is left where a module cannot learn them by heart."""
ANOTHER = 0.5
"""The share of a gradient that is not that of the loss on the batch, from which on a step does something else."""


def suspects(case: Case) -> list[Suspect]:
    """What the checks suspect, symptoms of what was found already left out."""
    found: list[Suspect] = []
    explained: set[str] = set()
    for family in FAMILIES:
        for cause, check in family.CHECKS.items():
            if cause in explained:
                continue
            suspect = check(case)
            if suspect is not None:
                found.append(suspect)
                if suspect.severity != "info":
                    explained |= set(BY_SLUG[cause].above)
    found = [suspect for suspect in found if suspect.cause not in explained]
    if all(suspect.severity == "info" for suspect in found):
        found += [suspect for suspect in (not_learning(case),) if suspect is not None]
    return found


def not_learning(case: Case) -> Suspect | None:
    """D417: nothing was learnt, no check knows why, and a simple model learns it."""
    told = case.learnable
    if case.base.error is not None or told is None or not case.little:
        return None
    evidence = (
        f"the training ended at {case.outcome(case.base)}, a constant guess has "
        f"{case.loss.trivial:.3g}; a simple model "
        f"explains {told.explained:.0%} of held-out targets"
    )
    left = case.facts.get("left of sixteen")
    if left is not None and np.isfinite(left):
        evidence += f"; of the loss of 16 rows {max(left, 0.0):.0%} are left after training on them alone"
    code = "# model, loss and data, one by one"
    if left is not None and left > SMALL:
        evidence += ": the module may be too small for them"
        code = "# more units, or more layers: a module that is large enough learns 16 rows by heart"
    other = [look for look in case.anatomy if look.left > ANOTHER]
    if len(other) > 0.5 * len(case.anatomy):
        evidence += (
            f"; {float(np.median([look.left for look in other])):.0%} of the gradient of a step are not that of "
            "loss_fn on its batch"
        )
        code = "# what step() makes of its batch: rows and targets that are changed before the loss"
    return Suspect("not-learning", "warning", evidence, [Remedy("look", code)])
