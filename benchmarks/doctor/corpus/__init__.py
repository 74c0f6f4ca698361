"""Training programs, faulty and healthy, by which the doctor is measured.

A program of PyTorch makes a training loop: ``make(seed)`` returns what ``descender.diagnose(make)`` takes.  A program
of ours (``corpus.in_ours``) runs its descent: ``make(seed)`` returns what ``descender.diagnose`` reads.  Its ``fault`` is the
slug of the cause that is to be named first, or None for a healthy program, however unusual.  ``split`` says whether
the doctor's thresholds may be chosen by it ("design") or are judged by it ("held-out"); it was fixed before any was
chosen, and goes by whole families of programs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Program:
    """A training program by name."""

    name: str
    fault: str | None
    split: str
    make: Callable[[int], Any]
    also: tuple[str, ...] = ()
    """Causes that are as right as `fault`: of a rate that makes gradients explode, say."""
    half: str = "torch"
    """"torch", or "ours": descender's own descents, of which `make` returns what is to be diagnosed."""
