"""D1xx and the ends of trainings: rates, momentum, and what validation says."""

from __future__ import annotations

import numpy as np

from descender.doctor.loops.case import Case, Check, Remedy, Run, Suspect
from descender.doctor.loops.numbers import MODERATE

LONG_MEMORY = 0.98
"""A momentum from which on it is suspected."""
BACK = -0.5
"""The cosine of one gradient and the next below which steps go to and fro."""
GREW = 10.0
"""Times its first that a rate is, when it is at its highest at the end, and held where it began for a trial."""
MILD, LOWER = 0.005, 0.75
"""What a lower rate must explain more to be told of; the share of what is left to which it must come to be a fault."""


def lower(factor: int) -> Remedy:
    """A lower rate."""
    code = f"for group in optimizer.param_groups:\n    group['lr'] /= {factor}"
    return Remedy(f"learning rate / {factor}", code, ("rate", 1.0 / factor))


def higher(factor: int) -> Remedy:
    """A higher rate."""
    code = f"for group in optimizer.param_groups:\n    group['lr'] *= {factor}"
    return Remedy(f"learning rate x {factor}", code, ("rate", float(factor)))


def per_batch(case: Case) -> float:
    """By what a loss that is a sum over the rows of a batch is multiplied, to be compared with that of many rows."""
    return case.loss.rows / max(case.facts["batch size"], 1) if case.loss.rows else 1.0


def gaps(case: Case, run: Run) -> np.ndarray:
    """How far above the lowest conceivable loss the training was, by twentieths, in units of the best constant's."""
    L = run.smooth() * per_batch(case)
    floor = case.loss.floor if np.isfinite(case.loss.floor) else np.nanmin(L)
    unit = case.loss.trivial - floor if np.isfinite(case.loss.trivial) else abs(L[0] - floor)
    return (L - floor) / max(unit, 1e-300)


def thrown(case: Case, run: Run) -> str:
    """In what way a loss was thrown about; empty where it was not."""
    if run.broken is not None:
        return f"the loss was not finite at step {run.broken}"
    gap = gaps(case, run)
    if not len(gap) or not np.isfinite(gap).all():
        return "the loss was not finite"
    first = float(run.losses[0])
    highest = int(gap.argmax())
    start = max(
        gap[0]
        if len(gap) < 2
        else (per_batch(case) * first - case.loss.floor) / max(case.loss.trivial - case.loss.floor, 1e-300),
        1.0,
    )
    if gap[highest] > 3.0 * start:
        return f"the loss rose to {run.smooth()[highest]:.3g} from {first:.3g}"
    if len(gap) >= 10 and gap[-2:].mean() > 2.0 * gap.min() and gap[-2:].mean() > 0.4:
        return f"the loss rose from {run.smooth().min():.3g} to {run.smooth()[-1]:.3g}"
    if case.failed(run):
        return f"the loss ended at {case.outcome(run)}, a constant guess has {case.loss.trivial:.3g}"
    return ""


def rate_too_high(case: Case) -> Suspect | None:
    """D101: a thrown loss, and a lower rate that repairs it."""
    how, by = thrown(case, case.base), 0.2
    if not how and case.base.finite and case.little:
        how, by = f"the loss ended at {case.outcome(case.base)}, and simple models tell far more of the targets", 0.4
    if not how or (case.origin is not None and case.origin.start):
        return None
    remedies = [lower(3), lower(10), lower(30), lower(100), lower(1000)]
    rates = case.base.rates[np.isfinite(case.base.rates)]
    if len(rates) and rates[-1] >= rates.max() > GREW * rates[0] > 0:
        began = float(rates[0])
        code = "# the scheduler makes the rate grow without end: leave it out, or gamma < 1"
        remedies.append(Remedy("the rate as it began", code, ("constant rate", began)))
    found = case.first_repair(remedies, by) or _alive(case, remedies)
    if found is None:
        return None
    remedy, run = found
    if thrown(case, run) and remedy is not remedies[-1]:  # what repairs half may repair all a step further on
        further = remedies[remedies.index(remedy) + 1]
        if case.rerun(further).explained > run.explained:
            remedy, run = further, case.rerun(further)
    rate = case.base.facts["settings"].get("rate", np.nan)
    evidence = (
        f"{how}, at rate {rate:.3g}; with {remedy.name} the same training ends at {case.outcome(run)} instead of "
        f"{case.outcome(case.base)}"
    )
    where = {"step": case.base.broken} if case.base.broken is not None else {}
    return Suspect(
        "learning-rate-too-high", "critical", evidence, [remedy, *(r for r in remedies if r is not remedy)], where
    )


def _alive(case: Case, remedies: list[Remedy]) -> tuple[Remedy, Run] | None:
    """Where the loss was lost: the first lower rate at which it falls at all, though few steps are left to learn.

    An operation that is not defined for moderate numbers is a fault of its own.
    """
    origin = case.origin
    if case.base.finite or (origin is not None and origin.domain and origin.largest <= MODERATE):
        return None
    for remedy in remedies:
        run = case.rerun(remedy)
        if run.finite and run.end < run.start - 0.02 * abs(run.start):
            return remedy, run
    return None


def momentum_too_high(case: Case) -> Suspect | None:
    """D109: a long memory, and a shorter one that repairs."""
    momentum = case.base.facts["settings"].get("momentum", 0.0)
    how = thrown(case, case.base)
    if momentum < LONG_MEMORY:
        return None
    remedy = Remedy(
        "momentum 0.9", "for group in optimizer.param_groups:\n    group['momentum'] = 0.9", ("momentum", 0.9)
    )
    run = case.rerun(remedy)
    better = case.repaired(run) or (bool(how) and run.finite and run.explained > case.base.explained + 0.05)
    if not better:
        return None
    evidence = (
        f"momentum {momentum:g} remembers {1 / max(1 - momentum, 1e-9):,.0f} steps of "
        f"{len(case.base.losses):,}; with 0.9 the "
        f"training ends at {case.outcome(run)} instead of {case.outcome(case.base)}"
    )
    return Suspect("momentum-too-high", "critical", evidence, [remedy, lower(10)])


def oscillation(case: Case) -> Suspect | None:
    """D110: gradients that turn back at each step, as between a valley's walls, and a lower rate that ends lower."""
    base, turning = case.base, np.array(case.base.facts.get("turning", ()))
    late = turning[len(turning) // 3 :]
    if not base.finite or len(late) < 10 or not np.median(late) < BACK or not np.isfinite(base.explained):
        return None
    remedies = [lower(3), lower(10)]
    remedy = max(remedies, key=lambda each: np.nan_to_num(case.rerun(each).explained, nan=-np.inf))
    run = case.rerun(remedy)
    gained = run.explained - base.explained
    if not run.finite or not gained > MILD or run.best_validation > base.best_validation:
        return None
    severe = gained > 0.02 and 1.0 - run.explained < LOWER * (1.0 - base.explained)
    rate = base.facts["settings"].get("rate", np.nan)
    evidence = (
        f"the cosine of the gradients of a step and of the next is {np.median(late):.2f} in the median, at rate "
        f"{rate:.3g}; with {remedy.name} the training ends at {case.outcome(run)} instead of {case.outcome(base)}"
    )
    return Suspect(
        "oscillation", "warning" if severe else "info", evidence, [remedy, *(r for r in remedies if r is not remedy)]
    )


def rate_too_low(case: Case) -> Suspect | None:
    """D108: hardly anything was gained, the slope is what it was, and a higher rate learns."""
    base = case.base
    if not base.finite or len(base.losses) < 20 or not np.isfinite(base.end):
        return None
    if not np.isfinite(case.loss.floor):
        return _straight(case)
    closed = (base.start - base.end) / max(base.start - case.loss.floor, 1e-300)
    if not closed < 0.3:
        return None
    slope = _slopes(base.raw)
    if not slope > 0.3:
        return None
    for remedy in (higher(10), higher(100), higher(1000), higher(10_000)):
        run = case.rerun(remedy)
        if not run.finite or thrown(case, run):
            continue
        now = (run.start - run.end) / max(run.start - case.loss.floor, 1e-300)
        if now > max(0.25 + closed, 3.0 * closed) and _validates(base, run, case):
            rate = base.facts["settings"].get("rate", np.nan)
            evidence = (
                f"{len(base.losses):,} steps at rate {rate:.3g} went {max(closed, 0.0):.1%} of the way down; with "
                f"{remedy.name} {now:.0%}, to {case.outcome(run)} instead of {case.outcome(base)}"
            )
            return Suspect("learning-rate-too-low", "warning", evidence, [remedy, higher(3)])
    return None


def _straight(case: Case) -> Suspect | None:
    """D108 of a loss whose lowest value is not known: what is gained grows as the rate does, ten times and more."""
    base = case.base
    gained, size = base.start - base.end, abs(base.start)
    if not 0 < gained < 0.05 * size or not _slopes(base.raw) > 0.3:
        return None
    before, remedy = gained, higher(10)
    for factor in (10, 100, 1000, 10_000):
        run = case.rerun(higher(factor))
        now = run.start - run.end
        if not run.finite or (factor == 10 and not 4.0 * gained < now < 40.0 * gained) or not now > before:
            break
        before, remedy = now, higher(factor)
    run = case.rerun(remedy)
    if not (before > max(0.25 * size, 20.0 * gained) and _validates(base, run, case)):
        return None
    rate = base.facts["settings"].get("rate", np.nan)
    evidence = (
        f"{len(base.losses):,} steps at rate {rate:.3g} lowered the loss by {gained / size:.1%}; with {remedy.name} it "
        f"ends at {case.outcome(run)} instead of {case.outcome(base)}"
    )
    return Suspect("learning-rate-too-low", "warning", evidence, [remedy, higher(3)])


def _slopes(raw: np.ndarray) -> float:
    """The gradient's norm late in training over that early on."""
    raw = raw[np.isfinite(raw)]
    tenth = max(len(raw) // 10, 1)
    return float(np.median(raw[-tenth:]) / max(np.median(raw[:tenth]), 1e-300)) if len(raw) else 0.0


def _validates(base: Run, run: Run, case: Case) -> bool:
    """Whether what was gained holds on rows that were not trained on, where these are judged."""
    if not (np.isfinite(base.best_validation) and np.isfinite(run.best_validation)):
        return True
    gained = base.end - run.end
    return base.best_validation - run.best_validation > 0.3 * gained


def overfitting(case: Case) -> Suspect | None:
    """D415: validation rises from its lowest, well beyond its fluctuation, while the training loss falls on."""
    base = case.base
    if not base.finite or len(base.validation) < 5 or case.loss.always is not None:
        return None
    steps, values = (np.array(column, dtype=float) for column in zip(*base.validation, strict=True))
    if not np.isfinite(values).all():
        return None
    least = int(values.argmin())
    late = float(np.median(values[-max(len(values) // 5, 2) :]))
    rise = late - values[least]
    way = max(float(values[0]), case.loss.trivial) - values[least]
    noise = float(np.median(np.abs(np.diff(values[least:])))) if least < len(values) - 1 else 0.0
    losses = base.losses
    then = losses[max(int(steps[least]) - 10, 0) : int(steps[least]) + 10].mean()
    fell = then - losses[-20:].mean()
    gap = late - base.end
    if not (
        least < 0.7 * len(values)
        and rise > 0.25 * way
        and rise > 3.0 * noise
        and fell > 0.02 * (case.loss.trivial - case.loss.floor)
    ):
        return None
    if not gap > 0.3 * (late - case.loss.floor):
        return None
    stop = int(steps[least]) + 1
    evidence = (
        f"the validation loss was {values[least]:.3g} at step {stop:,} and rose to {late:.3g}, while the training loss "
        f"fell from {then:.3g} to {losses[-20:].mean():.3g}"
    )
    remedies = [
        Remedy(f"stop at step {stop:,}", f"if step == {stop}:\n    break  # and keep these weights", ("stop", stop)),
        Remedy("weight decay", "torch.optim.AdamW(module.parameters(), weight_decay=0.1)"),
    ]
    return Suspect("overfitting", "warning", evidence, remedies, {"step": stop})


CHECKS: dict[str, Check] = {
    "momentum-too-high": momentum_too_high,
    "learning-rate-too-high": rate_too_high,
    "oscillation": oscillation,
    "learning-rate-too-low": rate_too_low,
    "overfitting": overfitting,
}
