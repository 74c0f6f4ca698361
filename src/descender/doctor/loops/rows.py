"""Rows that are read, changed, mixed or asked about where they should not be."""

from __future__ import annotations

import numpy as np

from descender.doctor.loops.case import Case, Check, Remedy, Suspect

APART = 1e-2
"""By how much of the spread of answers a row alone may be answered otherwise."""
MANY_TIMES = 0.9
"""The share of rows that others are equal to from which on X is a few rows, again and again."""
KNOWN = 0.3
"""The share of the rows of a validation that may be training rows, beyond what X repeats itself."""


def inputs_changed(case: Case) -> Suspect | None:
    """D015: X is not what it was."""
    changed = case.base.facts.get("changed", 0)
    if not changed:
        return None
    evidence = f"{changed:,} of {case.n:,} rows of X are not what they were before the training"
    return Suspect(
        "inputs-changed", "critical", evidence,
        [Remedy("copies", "X, y = (part.clone() for part in batch)  # before X is changed in place", ("copies", None))],
    )  # fmt: skip


def mixed_rows(case: Case) -> Suspect | None:
    """D308: a row's answer, or its loss, depends on the other rows."""
    mixed = case.facts.get("mixed", 0.0)
    if mixed > APART:
        evidence = (
            "in evaluation mode a row alone is answered otherwise than in a batch, "
            f"by {mixed:.2g} of the spread of answers"
        )
        code = "# softmax, mean, view: over the dimensions of a row, not dim=0; batch_first=True for sequences"
        return Suspect("mixed-rows", "critical", evidence, [Remedy("each row by itself", code)])
    by_distance = case.loss.mirrored < 1e-5  # rows are compared with one another, on purpose
    if case.targets == "classes" and case.loss.columns < 1e-5 < case.loss.shifted and not by_distance:
        evidence = (
            "the loss does not change when a class's scores of all rows are raised: its softmax is over the batch"
        )
        remedy = Remedy("over the classes", "loss_fn = torch.nn.CrossEntropyLoss()", ("loss", "cross-entropy"))
        return Suspect("mixed-rows", "critical", evidence, [remedy])
    return None


def validation_mode(case: Case) -> Suspect | None:
    """D418: validation in training mode, of a module that minds."""
    evaluated, trained = case.base.facts.get("validated", (0, 0))
    if not trained > evaluated or not case.facts["modes matter"]:
        return None
    evidence = f"{trained:,} of {evaluated + trained:,} forward passes of validate() were in training mode"
    remedy = Remedy("evaluation mode", "module.eval()  # and module.train() after it", ("validation mode", None))
    return Suspect("validation-mode", "warning", evidence, [remedy])


def validation_leak(case: Case) -> Suspect | None:
    """D032: rows of the validation are in X."""
    repeated, known = (case.base.facts.get(name, 0.0) for name in ("repeats itself", "held-out rows known"))
    if case.n < 20 or not known > KNOWN + 2.0 * repeated:
        return None
    evidence = f"{known:.0%} of the rows that validate() asks about are in X, which repeats {repeated:.0%} of its own"
    return Suspect(
        "validation-leak", "warning", evidence,
        [Remedy("hold rows out", "X, X_held, y, y_held = train_test_split(X, y)  # before anything else")],
    )  # fmt: skip


def few_rows_seen(case: Case) -> Suspect | None:
    """D419: less than half of the rows in many readings, and more is learnt of all."""
    facts = case.base.facts
    read, different = facts.get("read", 0), facts.get("different", 0)
    repeated = facts.get("repeats itself", 0.0)
    asked, used = facts.get("rows asked", 0), facts.get("rows used", 0)
    if 0 < used < 0.5 * min((1.0 - repeated) * min(case.n, asked / 3), different):
        evidence = f"the batches held {different:,} different rows, step() asked the module about {used:,} of them"
        code = "loss = loss_fn(module(batch[0]), batch[1])  # of the batch that step() is given"
        return Suspect("few-rows-seen", "warning", evidence, [Remedy("the batch of the step", code)])
    if not case.facts.get("tensors") or not 0 < different < 0.5 * (1.0 - repeated) * min(case.n, read / 3):
        return None
    remedy = Remedy(
        "all rows", "DataLoader(data, batch_size=..., shuffle=True)", ("shuffle", max(case.facts["batch size"], 1))
    )
    run, base = case.rerun(remedy), case.base
    gained = run.best_validation < base.best_validation - 0.02 * abs(base.best_validation)
    if not run.finite or not (gained or (not np.isfinite(base.best_validation) and case.repaired(run, 0.05))):
        return None
    evidence = (
        f"{read:,} readings saw {different:,} of {case.n:,} rows; on all of them the training ends at "
        f"{case.outcome(run)} instead of {case.outcome(base)}"
    )
    return Suspect("few-rows-seen", "warning", evidence, [remedy])


def few_rows_there(case: Case) -> Suspect | None:
    """D419: X repeats a few rows, and rows that were held out are told far worse."""
    repeated, known = (case.base.facts.get(name, 0.0) for name in ("repeats itself", "held-out rows known"))
    base = case.base
    if case.n < 50 or repeated < MANY_TIMES or known > 0.5 or not base.finite or not np.isfinite(base.late_validation):
        return None
    if not base.late_validation - base.end > 0.1 * (case.loss.trivial - case.loss.floor):
        return None
    evidence = (
        f"{1 - repeated:.1%} of the {case.n:,} rows of X are different, the others repeat them; the loss ends at "
        f"{case.outcome(base)} on these and at {base.late_validation:.3g} on rows that were held out"
    )
    code = "print(len(torch.unique(X, dim=0)), len(X))  # where are the rows repeated?"
    return Suspect("few-rows-seen", "warning", evidence, [Remedy("look", code)])


CHECKS: dict[str, Check] = {
    "inputs-changed": inputs_changed,
    "mixed-rows": mixed_rows,
    "validation-leak": validation_leak,
    "validation-mode": validation_mode,
    "few-rows-seen": lambda case: few_rows_seen(case) or few_rows_there(case),
}
