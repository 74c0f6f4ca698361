"""A remedy that was tried."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Trial:
    """A remedy that was tried: how the training ended without it and with it, and whether that is repaired.

    >>> print(Trial("learning-rate-too-high", "learning rate / 3", "learning_rate=0.17", "NaN", "0.41", True))
    learning rate / 3: 0.41 instead of NaN
    """

    cause: str
    remedy: str
    code: str
    before: str
    after: str
    repaired: bool

    def __str__(self) -> str:
        return f"{self.remedy}: {self.after} instead of {self.before}" + ("" if self.repaired else ", no repair")
