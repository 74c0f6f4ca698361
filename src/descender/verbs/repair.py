"""A descent in which something is wrong is walked again with what may help; on demand the one that helps is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from descender.costs.network.network import Network
from descender.doctor.finding import SEVERITIES, Finding, root_first
from descender.doctor.remedies import remedies
from descender.doctor.scaling import standardised
from descender.doctor.trial import Trial
from descender.errors import CapabilityError, DescenderError, OptionError
from descender.verbs.fitted import Fitted
from descender.verbs.table import Teller
from descender.walk import Walk

ON_TROUBLE = ("tell", "repair")
LOWER, LEARNT_MORE = 0.01, 0.1
"""By which share of the cost at the start the end of a walk that did not arrive must be lower: where the one without
the remedy was lost, and where that went down, too.
"""
BETTER = 0.75
"""Or the share of the cost to which it must come, where neither is negative: a small fall beside the first one."""
OPTIONS = ("learning_rate", "clip_norm", "method")
"""Options that any descent has."""
OF_WALKS = ("beta", "max_steps", "start", "columns")
"""And those of a walk alone: the last one is no option, but columns of one scale."""
SHAPES = ("activation", "normalisation", "residual")
"""Options of the form of a network, which only a fit knows."""
KEPT = (*SHAPES, "initialisation", "dropout", "max_seconds", "max_steps", "max_evaluations", "patience")
"""Options of a fit that are none of its method."""


class Replay(NamedTuple):
    """A descent that can be done again with another option: what it was asked with, and how it is done.

    ``knows`` are the options that may be changed.
    """

    asked: Mapping[str, Any]
    again: Callable[[str, Any], Any]
    knows: tuple[str, ...]


class Tried(NamedTuple):
    """A trial, what changed, and the result; None where that ended in an error."""

    trial: Trial
    change: tuple[str, Any]
    result: Any


def check_on_trouble(given: Any) -> None:
    """Refuse what is neither "tell" nor "repair"."""
    if given not in ON_TROUBLE:
        raise OptionError(f"on_trouble={given!r}: expected 'tell' or 'repair'")


def replay_of(minimize: Callable[..., Walk], asked: Mapping[str, Any]) -> Replay:
    """The replay of a walk by the verb and the arguments that it was called with."""
    fixed = dict(asked, callback=None, exact=False, check_gradient=False, on_trouble="tell")
    more = fixed.pop("hyperparameters")
    if fixed["on_divergence"] in ("continue", "raise"):
        fixed["on_divergence"] = "stop"

    def again(name: str, value: Any) -> Walk:
        if name == "columns":
            return minimize(**fixed | more | {"cost": standardised(fixed["cost"])} | value)
        if name == "method":
            freed = {"learning_rate": "auto", "batch_size": None, "clip_norm": None, "clip_value": None}
            return minimize(**fixed | freed | {"method": value})
        return minimize(**fixed | more | {name: value})

    return Replay(fixed, again, OPTIONS + OF_WALKS)


def troubles(walk: Walk) -> list[Finding]:
    """The findings of a walk that are more than information, the root first."""
    return [finding for finding in root_first(walk.findings) if SEVERITIES.index(finding.severity) > 0]


def confirm(walk: Walk, most: int = 1, found: Iterable[Finding] | None = None) -> list[Trial]:
    """What became of the walk with each remedy of its first `most` findings; see :meth:`descender.Walk.confirm`."""
    return [tried.trial for tried in trials(walk, walk.replay, lambda result: result, most, found)]


def trials(
    walk: Walk,
    replay: Replay | None,
    walk_of: Callable[[Any], Walk],
    most: int = 1,
    found: Iterable[Finding] | None = None,
) -> Iterator[Tried]:
    """Try the remedies of the first `most` findings, by default the walk's own, one by one, until one repairs."""
    found = [one for one in (troubles(walk) if found is None else found) if one.severity != "info"][:most]
    if replay is None and found:
        raise CapabilityError("this walk cannot be walked again: it was saved, or made by something else than minimize")
    for finding in found if replay is not None else ():
        assert replay is not None
        for remedy in remedies(finding.cause, walk, replay.asked):
            assert remedy.change is not None
            if remedy.change[0] not in replay.knows:
                continue
            result = None
            try:
                result = replay.again(*remedy.change)
            except (OptionError, CapabilityError):
                continue  # the method has no such option
            except DescenderError as error:
                after, repaired = type(error).__name__, False
            else:
                end = walk_of(result)
                if end.status == "interrupted":
                    return
                after, repaired = outcome(end), is_repaired(walk, end, finding)
            trial = Trial(finding.cause, remedy.name, remedy.code, outcome(walk), after, repaired)
            yield Tried(trial, remedy.change, result)
            if repaired:
                break


def outcome(walk: Walk) -> str:
    """How a walk ended, in a few words."""
    if np.isnan(walk.fun):
        return "NaN"
    finite = np.isfinite(walk.fun) and walk.status != "not_finite"
    return f"{walk.fun:.3g}" if finite else "a cost that is not finite"


def is_repaired(before: Walk, after: Walk, finding: Finding) -> bool:
    """Whether a walk ended well where another did not: finite, clearly lower, and without the finding.

    No new finding may have come instead.
    """
    if after.status == "not_finite" or not np.isfinite(after.fun):
        return False
    known = {f.cause for f in troubles(before)} - {finding.cause}
    if any(f.cause == finding.cause for f in after.findings) or any(f.cause not in known for f in troubles(after)):
        return False
    first = float(next(iter(before.record.full_costs()), before.record["cost"][0]))
    nothing = min(first, _of_no_weights(before))
    lost = before.status == "not_finite" or not before.fun < first
    arrived = after.success and after.status != "planned"
    margin = 0.0 if arrived else LOWER if lost else LEARNT_MORE
    if not lost and 0 <= after.fun < BETTER * before.fun:
        margin = 0.0
    share = margin * min(abs(first), abs(nothing))  # a start that was thrown far up is no measure
    return bool(after.fun < (nothing if lost else min(nothing, before.fun)) - share)


def _of_no_weights(walk: Walk) -> float:
    """The cost of a network that answers 0 for every sample, as it may not do at its start; infinite of others."""
    cost = getattr(walk.cost, "cost", walk.cost)
    return cost.value(np.zeros(cost.n_parameters)) if isinstance(cost, Network) else np.inf


def repaired_text(tried: Tried, asked: Mapping[str, Any]) -> str:
    """The sentence about a remedy that was applied."""
    name, value = tried.change
    old, word = asked.get(name), name.replace("_", " ")
    change = f"{word} {value}" if old in (None, "auto") else f"{word} {old} -> {value}"
    return f"repaired: {change}, which ended at {tried.trial.after} instead of {tried.trial.before}"


def keep(tried: Tried, text: str, walk: Walk) -> None:
    """Note on the walk that repaired what was done."""
    note = Finding(tried.trial.cause, "info", text, f"{tried.trial.code}, or leave it as it is: it was repaired")
    walk.findings.insert(0, note)
    walk.record.facts |= {"repaired": text, "findings": [finding.as_dict() for finding in walk.findings]}


def repair(walk: Walk) -> Walk:
    """The walk with the remedy that was confirmed; the same walk where there is no trouble, or nothing helps."""
    ill = troubles(walk) and walk.status != "interrupted"
    knows = OPTIONS + OF_WALKS[:-1]  # the answer is for the columns as they are
    replay = walk.replay and walk.replay._replace(knows=knows)
    done = list(trials(walk, replay, lambda result: result)) if ill else []
    if done and done[-1].trial.repaired:
        assert walk.replay is not None
        mended = done[-1].result
        keep(done[-1], repaired_text(done[-1], walk.replay.asked), mended)
        walk, before = mended, walk
        walk.nfev, walk.njev = walk.nfev + before.nfev, walk.njev + before.njev
        done.pop()
    else:
        walk.notes += [f"tried: {tried.trial}" for tried in done]
    for tried in done:
        walk.nfev += tried.result.nfev if tried.result is not None else 0
        walk.njev += tried.result.njev if tried.result is not None else 0
    return walk


def looked_after(
    fitted: Fitted, again: Callable[..., Fitted], plan: Mapping[str, Any], on_trouble: str, say: Teller
) -> Fitted:
    """The fit, or under "repair" the one that is repaired; `again` fits another plan.

    What is done is said line by line.
    """
    replay = _replay_of_fit(fitted, again, plan)
    fitted.walk.replay = replay._replace(again=lambda name, value: replay.again(name, value).walk)
    if not troubles(fitted.walk):
        return fitted
    wanted = on_trouble == "repair" and fitted.walk.status != "interrupted"
    for tried in trials(fitted.walk, replay, lambda result: result.walk) if wanted else ():
        if tried.trial.repaired:
            text = repaired_text(tried, replay.asked)
            keep(tried, text, tried.result.walk)
            say("repaired", text.removeprefix("repaired: "), stage="repair")
            return tried.result
        say("tried", str(tried.trial), stage="repair")
    return fitted


def _replay_of_fit(fitted: Fitted, again: Callable[..., Fitted], plan: Mapping[str, Any]) -> Replay:
    """How a fit is done with another option: its penalty, its start and all else as they were."""
    options = {name: value for name, value in plan["options"].items() if name != "callback"}
    own: dict[str, Any] = {}
    if fitted.risk is not None:
        own = {"l2": fitted.risk.l2, "l1": fitted.risk.l1}
        own |= {"start": fitted.path.start} if fitted.path is not None and plan["start"] is None else {}
    shape = getattr(fitted.model, "architecture", None)
    shapes = {} if shape is None else {name: getattr(shape, name) for name in SHAPES}

    def changed(name: str, value: Any) -> Fitted:
        new = {**plan, **own}
        if name == "method":
            new |= {"learning_rate": "auto", "batch_size": None}
            new["options"] = {k: v for k, v in options.items() if k in KEPT}
        inner = name in ("clip_norm", *SHAPES)
        return again(plan=new | ({"options": {**options, name: value}} if inner else {name: value}))

    return Replay({**plan, **own, **shapes, **options}, changed, (*OPTIONS, *shapes))
