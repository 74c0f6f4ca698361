"""What a check finds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """Something wrong: a stable code, how severe, the evidence, the cause in plain words, and a remedy.

    Codes: D0xx data, D1xx rate and descent, D2xx gradients and layers, D3xx targets, D4xx the loop, D9xx numbers.
    """

    code: str
    severity: str
    cause: str
    evidence: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.code} {self.cause}: {self.evidence}\n     {self.remedy}"

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return asdict(self)
