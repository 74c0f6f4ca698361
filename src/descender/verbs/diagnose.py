"""What a record or a log of a training tells: ours or somebody else's."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from descender.doctor.causes import BY_SLUG
from descender.doctor.closer import look_closer
from descender.doctor.curves import examine_curves
from descender.doctor.finding import Finding, root_first, without
from descender.doctor.logs import Curves, read_curves
from descender.doctor.lost_network import looks_only
from descender.doctor.trial import Trial
from descender.errors import CapabilityError
from descender.verbs.repair import confirm
from descender.walk import Walk


class Read(list[Finding]):
    """The findings of a record or log, the root before its symptoms; ``curves`` were read, ``told`` says what not."""

    def __init__(self, findings: Iterable[Finding], curves: Curves, walk: Walk | None = None):
        super().__init__(findings)
        self.curves, self.told, self.walk = curves, curves.notes, walk

    def confirm(self, most: int = 1) -> list[Trial]:
        """Walk again with the remedies of the first `most` findings, and tell how each walk ended.

        What counts as repaired is told at :meth:`descender.Walk.confirm`.  Raises
        :class:`~descender.errors.CapabilityError` for what was read from a file, or cannot be walked again.

        >>> import descender
        >>> walk = descender.minimize("(x-3)**2", "x=0", "gd", learning_rate=1e-4, max_steps=100)
        >>> found = diagnose_log(walk)
        >>> found[0].cause, [trial.repaired for trial in found.confirm()]
        ('learning-rate-too-low', [True])
        """
        if self.walk is None:
            raise CapabilityError("a log cannot be walked again: confirm() needs the walk or fit itself")
        return confirm(self.walk, most, self)

    def __str__(self) -> str:
        if self:
            return "\n".join(map(str, self))
        asked = any(note.startswith("not told") for note in self.told)
        return "nothing else found" if asked else "nothing found: the curves alone look healthy"

    @property
    def described(self) -> str:
        """What was read, in a line."""
        curves = self.curves
        loss = curves.loss[np.isfinite(curves.loss)]
        ends = f", from {loss[0]:.4g} to {loss[-1]:.4g}" if len(loss) else ""
        held = f"; {len(curves.held):,} held-out losses" if len(curves.held) else ""
        return f"{len(curves.loss):,} losses{ends}{held}"

    def as_json(self) -> dict[str, Any]:
        """Plain data: the schema of ``descender diagnose --json``."""
        return {
            "source": self.curves.described,
            "losses": len(self.curves.loss),
            "held_out": len(self.curves.held),
            "findings": [finding.as_dict() for finding in self],
            "told": self.told,
        }


def diagnose_log(source: Any, ignore: Iterable[str] | str = ()) -> Read:
    """What is wrong with a training, by its record or log alone.

    `source` is a :class:`~descender.Record`, a :class:`~descender.Walk`, a fit or a fitted network, whose own
    findings, made with the cost at hand, come first; a history as a dict of lists; or the path of a record, of JSON
    lines, of a JSON history, or of CSV such as Lightning's ``metrics.csv``. `ignore` holds codes or causes that are
    not to be told.

    A log shows the loss and little else: wrong labels, leaks and detached parts do not show in it.  Raises
    :class:`~descender.errors.RecordError` for a file without losses, and
    :class:`~descender.errors.CapabilityError` for what is no log.

    >>> found = diagnose_log({"loss": [2.0, 4.0, 90.0, 3e4, 1e9, 1e21, float("inf"), float("nan")]})
    >>> found[0].cause, found[0].where
    ('learning-rate-too-high', {'step': 6})
    >>> diagnose_log({"loss": [1.0, 0.5, 0.3, 0.2, 0.15, 0.12, 0.11, 0.1]})
    []
    """
    curves = read_curves(source)
    own = [] if isinstance(source, str | os.PathLike) else _own(source)
    noted = [Finding.from_dict(plain) for plain in curves.facts.get("findings", ())]
    not_so = looks_only([*own, *noted])
    seen = {finding.cause: finding for finding in examine_curves(curves) if finding.cause not in not_so}
    known = [_with(seen.pop(finding.cause, None), finding) for finding in [*own, *noted]]
    named = [finding.cause for finding in known if finding.severity != "info"]
    explained = {symptom for cause in named for symptom in BY_SLUG[cause].above}
    explained |= {"not-learning"} if named else set()
    found = root_first(finding for finding in [*known, *seen.values()] if finding.cause not in explained)
    walk = getattr(source, "walk", source)
    told = without(found, ignore)
    if len(told) < len(found):
        left = ", ".join(f"{finding.code} {finding.cause}" for finding in found if finding not in told)
        curves.notes.append(f"not told, as asked: {left}")
    return Read(told, curves, walk if isinstance(walk, Walk) else None)


def _own(source: Any) -> list[Finding]:
    """A closer look at a walk that can be taken again, and what a walk, a fit or an estimator has found already."""
    found = getattr(source, "findings", None) or getattr(source, "findings_", None) or []
    walk = getattr(source, "walk", source)
    closer = look_closer(walk) if isinstance(walk, Walk) else []
    return closer + [finding for finding in found if isinstance(finding, Finding)]


def _with(seen: Finding | None, finding: Finding) -> Finding:
    """A finding with what the curves show of the same cause."""
    if seen is None or seen == finding:
        return finding
    return replace(finding, evidence=f"{finding.evidence}; {seen.evidence}", where={**seen.where, **finding.where})
