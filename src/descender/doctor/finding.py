"""What a check finds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from descender import cards
from descender.doctor.causes import BY_SLUG, cause_of

SEVERITIES = ("info", "warning", "critical")


@dataclass(frozen=True)
class Finding:
    """Something wrong: its cause, how severe, the evidence, and a remedy that can be executed.

    ``cause`` is a slug of :mod:`descender.doctor.causes`, which gives it a stable ``code``, a ``title`` in plain words
    (unless it has one of its own) and a ``page``.  ``where`` says layer, row, column, step: what is known of them.

    >>> finding = Finding("constant-labels", "critical", "all 400 targets are 1", "look at how y is made")
    >>> finding.code, finding.cause, str(finding).splitlines()[0]
    ('D303', 'constant-labels', 'D303 all targets are alike: all 400 targets are 1')
    """

    cause: str
    severity: str
    evidence: str
    remedy: str
    where: dict[str, Any] = field(default_factory=dict)
    title: str = ""

    def __post_init__(self) -> None:
        if not self.title:
            object.__setattr__(self, "title", BY_SLUG[self.cause].title)

    @property
    def code(self) -> str:
        """D0xx data, D1xx rate and descent, D2xx gradients and layers, D3xx targets, D4xx the loop, D9xx numbers."""
        return BY_SLUG[self.cause].code

    @property
    def page(self) -> str:
        """Where it is explained."""
        return BY_SLUG[self.cause].page

    def __str__(self) -> str:
        return f"{self.code} {self.title}: {self.evidence}\n     {self.remedy}"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return cards.card(f"{self.code} {self.title}", cards.line(self.evidence), cards.line(self.remedy))

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "code": self.code, "severity": self.severity, "cause": self.cause, "title": self.title,
            "evidence": self.evidence, "where": dict(self.where), "remedy": self.remedy, "page": self.page,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Finding:
        """The finding that :meth:`as_dict` told, as far as its cause is still known.

        >>> finding = Finding("plateau", "warning", "flat for 100 steps", "start elsewhere")
        >>> Finding.from_dict(finding.as_dict()) == finding
        True
        """
        words = ("cause", "severity", "evidence", "remedy", "where", "title")
        return cls(**{word: plain[word] for word in words})


def root_first(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, each after those that are the root of it, the more severe first among the rest.

    A cause is named once, by its first finding.  What is only told ("info") is no root of what is a fault.
    """
    left: dict[str, Finding] = {}
    for finding in findings:
        left.setdefault(finding.cause, finding)
    rest = sorted(left.values(), key=lambda finding: -SEVERITIES.index(finding.severity))
    ordered: list[Finding] = []

    def explains(root: Finding, finding: Finding) -> bool:
        weighs = root.severity != "info" or finding.severity == "info"
        return weighs and finding.cause in BY_SLUG[root.cause].above

    while rest:
        free = [f for f in rest if not any(explains(other, f) for other in rest if other is not f)]
        ordered.append((free or rest)[0])
        rest.remove(ordered[-1])
    return ordered


def without(findings: Iterable[Finding], ignore: Iterable[str] | str = ()) -> list[Finding]:
    """The findings but those whose codes or causes are to be ignored."""
    names = [ignore] if isinstance(ignore, str) else list(ignore)
    dropped = {cause_of(name).slug for name in names}
    return [finding for finding in findings if finding.cause not in dropped]
