"""Checks of a training by its curves alone: what a log can tell, and no more.

Every threshold is relative to the training's own numbers.  A curve that looks healthy may belong to a wrong training:
labels, shapes and data do not show in it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from descender.doctor.finding import Finding, root_first
from descender.doctor.logs import Curves

WINDOWS, FEWEST = 20, 8
"""A curve is seen as the medians of so many windows; of fewer numbers nothing is said but what is not finite."""
RISEN, THROWN = 2.0, 10.0
"""Times its lowest at which a loss ends badly, if that is above its start, too; times its start, wherever it ends."""
SWINGS = 6
"""Windows, the last ones, whose highest losses rise one by one where a loss swings farther and farther."""
STILL = 0.01
"""The share of its start that a loss must have fallen by to have learnt anything."""
LOST = 3
"""So many norms in a row that are not finite, up to the end, are no loss scaling."""
ARRIVED = 1e-3
"""The share of its largest norm to which the gradient of a training that arrived has fallen."""
GAP = 0.1
"""By how much of its fall a held-out loss must rise again, and of its lowest."""


def examine_curves(curves: Curves) -> list[Finding]:
    """The findings, the root before its symptoms."""
    checks = (lost, weights_lost, diverged, explodes, recovered, schedule_ended, too_slow, learns_nothing, overfits)
    return root_first(finding for check in checks if (finding := check(curves)) is not None)


def windows(
    values: NDArray[np.float64], most: int = WINDOWS, of: Callable[[NDArray], np.floating] = np.median
) -> NDArray[np.float64]:
    """Medians, or other numbers, of consecutive parts of what is finite."""
    values = values[np.isfinite(values)]
    parts = np.array_split(values, min(most, len(values))) if len(values) else []
    return np.array([of(part) for part in parts])


def lost(curves: Curves) -> Finding | None:
    """D901, or D101 where the loss rose before: the first number that is not finite."""
    bad = np.flatnonzero(~np.isfinite(curves.loss))
    if not len(bad):
        return None
    k = int(bad[0])
    step, before = int(curves.step[k]), curves.loss[:k]
    where = {"step": step}
    value = f"the loss is {curves.loss[k]:g} at step {step:,}"
    if k == 0:
        remedy = "look at the data and the first step"
        return Finding("nan-operation", "critical", f"{value}, the first of all", remedy, where)
    start, last = float(before[0]), float(before[-1])
    rising = last > RISEN * max(abs(start), abs(float(np.min(before)))) or _growing(before)
    norms = curves.norm[:k][np.isfinite(curves.norm[:k])]
    rising |= bool(len(norms) > 3 and norms[-1] > 1e3 * np.median(norms))
    if rising:
        evidence = f"{value}, after it rose from {np.min(before):.3g} to {last:.3g}"
        return Finding("learning-rate-too-high", "critical", evidence, _smaller(curves), where)
    evidence = f"{value}, at once: it was {last:.3g} a step before"
    remedy = "look at the rows of that batch and at log, sqrt and division; descender.watch names row and operation"
    return Finding("nan-operation", "critical", evidence, remedy, where)


def weights_lost(curves: Curves) -> Finding | None:
    """D901: gradient norms that stay NaN to the end while one and the same loss is told, such as 0.

    That is how loops look that leave NaN out of the mean that they log.  A norm that is lost now and then is loss
    scaling at work.
    """
    known = np.flatnonzero(np.isfinite(curves.norm))
    if not len(known) or len(curves.norm) - known[-1] <= LOST or not np.isfinite(curves.loss).all():
        return None
    k = int(known[-1]) + 1
    if np.isnan(curves.norm[:k]).any() or np.ptp(curves.loss[k:]) > 0 or curves.loss[k] == curves.loss[k - 1]:
        return None
    step = int(curves.step[k])
    told = f"the loss told is {curves.loss[k]:g}"
    evidence = f"the gradient's norm is not finite from step {step:,} to the end, and {told}"
    remedy = "look at the rows of that batch and at log, sqrt and division; descender.watch names row and operation"
    return Finding("nan-operation", "critical", evidence, remedy, {"step": step})


def diverged(curves: Curves) -> Finding | None:
    """D101: it ends far above its lowest, and above its start; or a walk of ours left the finite numbers."""
    if curves.facts.get("status") == "not_finite":
        return Finding("learning-rate-too-high", "critical", str(curves.facts.get("message")), _smaller(curves))
    seen = windows(curves.loss)
    if len(seen) < FEWEST or seen.min() < 0 < seen.max():
        return None
    first, lowest, last = seen[0], float(seen.min()), float(np.median(seen[-3:]))
    start = max(abs(first), abs(float(curves.loss[0])))
    if last > max(RISEN * abs(lowest), 1.2 * start) or last > THROWN * start:
        least = float(np.nanmin(curves.loss))
        evidence = f"the loss ends at {last:.3g}; it began at {curves.loss[0]:.3g} and was {least:.3g} at its lowest"
        return Finding("learning-rate-too-high", "critical", evidence, _smaller(curves))
    highest = windows(curves.loss, of=np.max)
    if len(curves.loss) >= 2 * WINDOWS and highest[-1] > THROWN * start and (np.diff(highest[-SWINGS:]) > 0).all():
        evidence = f"the loss swings farther and farther, up to {highest.max():.3g}; it began at {start:.3g}"
        return Finding("learning-rate-too-high", "critical", evidence, _smaller(curves))
    top = float(np.nanmax(np.where(np.isfinite(curves.loss), curves.loss, np.nan)[: max(len(curves.loss) // 4, 4)]))
    if top > 100 * start and last > 0.5 * start:
        evidence = f"the loss was thrown up to {top:.3g} early on; it ends at {last:.3g} and began at {start:.3g}"
        return Finding("learning-rate-too-high", "critical", evidence, _smaller(curves))
    return None


def explodes(curves: Curves) -> Finding | None:
    """D201: a gradient norm that is not finite, or a thousand times its median while the loss is thrown up.

    Where the loss came back below what it was before, it is only told: a step too long, and no more.
    """
    norms = curves.norm[~np.isnan(curves.norm)]
    if len(norms) < FEWEST:
        return None
    middle, top = float(np.median(norms[: max(len(norms) // 4, 1)])), float(norms.max())
    thrown = np.isfinite(curves.loss).any() and np.nanmax(curves.loss) > THROWN * abs(curves.loss[0])
    if np.isinf(top) or (top > 1e3 * middle > 0 and thrown):
        evidence = f"the gradient's norm reached {top:.3g}; its median before was {middle:.3g}"
        seen = windows(curves.loss)
        before = windows(curves.loss[: max(int(np.nanargmax(curves.norm)), 1)], 1)
        back = len(before) > 0 and np.isfinite(curves.loss[-1]) and np.median(seen[-3:]) < before[0]
        remedy = f"clip_norm={2 * middle:.2g}"
        return Finding("exploding-gradient", "info" if back else "critical", evidence, remedy)
    return None


def recovered(curves: Curves) -> Finding | None:
    """D101, told: a walk of ours that went back to a sound point."""
    events = curves.facts.get("events") or []
    if not events:
        return None
    more = f", and {len(events) - 1} more times" if len(events) > 1 else ""
    evidence = f"{events[0]['text']}{more}; the walk went on from there"
    where = {"step": int(events[0]["step"])}
    return Finding("learning-rate-too-high", "info", evidence, "a smaller rate, or leave it: it was repaired", where)


def schedule_ended(curves: Curves) -> Finding | None:
    """D405: the rate is 0, or a millionth of its largest, for the last quarter of the training and more."""
    rate = curves.rate[np.isfinite(curves.rate)]
    if len(rate) < FEWEST or rate.max() <= 0:
        return None
    off = rate <= 1e-6 * rate.max()
    tail = len(rate) - (np.flatnonzero(~off)[-1] + 1)
    if tail < 0.25 * len(rate) or _arrived(curves):
        return None
    if rate[-1] > 0 and (np.diff(windows(curves.loss[-tail:], FEWEST)) < 0).all():
        return None  # what was large was a stride over a plateau: the loss falls on
    at = curves.step[np.isfinite(curves.rate)][len(rate) - tail]
    evidence = f"the rate is {rate[-1]:.2g} from step {int(at):,} on: the last {tail / len(rate):.0%} moved nothing"
    return Finding("schedule-ends-early", "warning", evidence, "give the schedule as many steps as the training has")


def too_slow(curves: Curves) -> Finding | None:
    """D108: a loss that falls as steadily at the end as at the start, and has hardly fallen."""
    seen = windows(curves.loss)
    if len(seen) < WINDOWS or len(curves.loss) < 5 * WINDOWS or seen.min() < 0:
        return None
    fall, noise = seen[0] - seen[-1], float(np.median(np.abs(np.diff(seen, 2)))) / 2
    late = seen[WINDOWS // 2] - seen[-1]
    steady = np.mean(np.diff(seen) < 0)
    if not (STILL * seen[0] < fall < 0.3 * seen[0] and late > 0.35 * fall and steady > 0.85 and fall > 10 * noise):
        return None
    evidence = (
        f"the loss fell from {seen[0]:.3g} to {seen[-1]:.3g}, {late / fall:.0%} of that in its second half: it "
        "falls as fast as ever"
    )
    return Finding("learning-rate-too-low", "warning", evidence, "rate x 3, or an automatic one; or more steps")


def learns_nothing(curves: Curves) -> Finding | None:
    """D417: after all steps the loss is where it was."""
    seen = windows(curves.loss)
    if len(seen) < WINDOWS or len(curves.loss) < 2 * WINDOWS or not np.isfinite(curves.loss).all():
        return None
    start = max(seen[0], float(np.median(curves.loss[: max(len(curves.loss) // 100, 3)])))
    halves = seen[: WINDOWS // 2].mean() - seen[WINDOWS // 2 :].mean()
    if start <= 0 or start - seen.min() > STILL * start or abs(halves) > STILL * start or _arrived(curves):
        return None
    evidence = f"the loss was {start:.4g} at first and is {seen[-1]:.4g} after {int(curves.step[-1]):,} steps"
    remedy = "see whether the parts that should move do (descender.diagnose with the loop), then the rate x 10"
    return Finding("not-learning", "warning", evidence, remedy)


def overfits(curves: Curves) -> Finding | None:
    """D415: the held-out loss has turned and rises while the training loss falls."""
    held, seen = curves.held[np.isfinite(curves.held)], windows(curves.loss)
    if len(held) < FEWEST or len(seen) < 4:
        return None
    smooth = windows(held, min(WINDOWS, len(held)))
    lowest, k = float(smooth.min()), int(smooth.argmin())
    end = float(np.median(smooth[-3:]))
    rise, fall = end - lowest, max(float(smooth[0]) - lowest, 0.0)
    falling = seen[-1] < seen[len(seen) * (k + 1) // (len(smooth) + 1)] * 0.98
    much = rise > GAP * max(abs(lowest), fall)
    if not (k < 0.75 * len(smooth) and falling and much):
        return None
    at = curves.held_step[np.isfinite(curves.held)][round(k * (len(held) - 1) / max(len(smooth) - 1, 1))]
    evidence = f"the held-out loss was {lowest:.3g} about step {int(at):,} and ends at {end:.3g}; the training's fell"
    stopped = curves.facts.get("status") in ("held_out", "planned")
    severity = "info" if stopped else "warning"
    more = "; the weights that had the lowest were kept" if stopped else ""
    return Finding("overfitting", severity, evidence + more, "stop there, or a stronger penalty, or more rows")


def _arrived(curves: Curves) -> bool:
    """Whether the gradient itself fell to nothing: what then stands still has no farther to go."""
    norms = curves.norm[np.isfinite(curves.norm)]
    return len(norms) >= FEWEST and bool(np.median(norms[-max(len(norms) // 10, 1) :]) <= ARRIVED * norms.max())


def _growing(before: NDArray[np.float64]) -> bool:
    """Whether the last losses grew by the same factor, step by step."""
    last = before[-6:]
    return bool(len(last) == 6 and (last > 0).all() and (np.diff(np.log(last)) > 0.1).all())


def _smaller(curves: Curves) -> str:
    rates = curves.rate[np.isfinite(curves.rate)]
    return f"learning_rate={rates.max() / 3:.2g}, or an automatic one" if len(rates) else "learning rate / 3"
