"""Which penalty a fit has: the one that was given, the old 1/n, or the one that a path of strengths chooses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender.costs.losses import SquaredError
from descender.costs.risk import Risk
from descender.errors import CapabilityError, OptionError
from descender.verbs.path import PenaltyPath, choose_penalty
from descender.verbs.table import Table, Teller

FEWEST = 20
"""Training rows below which none can be set aside to choose by; a squared error needs only a few to leave one out."""
FEWEST_SQUARES = 8


class Asked(NamedTuple):
    """What was asked about penalties: strengths or words, and whether a textbook method is to walk."""

    l2: float | str | None
    l1: float | str
    one_standard_error: bool
    seed: int
    textbook: bool


def refuse(asked: Mapping[str, Any]) -> None:
    """Refuse options that only look right."""
    words = {"l2": ("auto", "1/n"), "l1": ("auto",), "holdout": ()}
    for key, known in words.items():
        value = asked[key]
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if value is not None and not number and value not in known:
            raise OptionError(f"{key}={value!r}: expected {' or '.join(['a number', *map(repr, known)])}")
    if asked["l1"] == "auto" and asked["l2"] == "auto":
        raise OptionError("l1='auto' and l2='auto': one of the two is chosen, give the other as a number")
    options = asked["options"]
    if "max_epochs" in options:
        raise OptionError("fit calls it epochs: give epochs instead of max_epochs")
    if options.get("on_divergence") == "continue":
        raise CapabilityError("on_divergence='continue' gives no finite model; use minimize to watch a walk diverge")


def settle(
    risk: Risk, asked: Asked, table: Table, held: NDArray, say: Teller, moving: Callable[[str], None] | None
) -> PenaltyPath | None:
    """Give the risk its penalty; the path by which it was chosen, if it was."""
    kind = "l1" if asked.l1 == "auto" else "l2"
    l2 = asked.l2
    if l2 is None:
        by_default = not asked.textbook and asked.l1 == 0 and risk.convex and risk.reduction == "mean"
        l2 = 0.0 if kind == "l1" else "auto" if by_default else "1/n"
    chosen = "auto" in (l2, asked.l1)
    fewest = FEWEST_SQUARES if risk.loss is SquaredError and kind == "l2" else FEWEST
    if chosen and len(risk.y) < fewest:
        if kind == "l1":
            raise CapabilityError(f"l1='auto' needs {fewest} training rows to choose by, there are {len(risk.y)}")
        say("penalty", f"l2 = 1/n, as {len(risk.y)} training rows are too few to choose by")
        l2, chosen = "1/n", False
    given_l1 = 0.0 if kind == "l1" else _number("l1", asked.l1)
    given_l2 = 1.0 / len(risk.y) if l2 == "1/n" else 0.0 if l2 == "auto" else _number("l2", l2)
    risk.penalise(l2=given_l2, l1=given_l1)
    if not chosen:
        return None
    path = choose_penalty(
        risk, kind,
        one_standard_error=asked.one_standard_error, seed=asked.seed,
        times=None if table.times is None else table.times[~held],
        groups=None if table.groups is None else table.groups[~held],
        progress=None if moving is None else lambda k, of: moving(f"penalty {k} of at most {of} strengths"),
    )  # fmt: skip
    risk.penalise(**{kind: path.strength})
    say("penalty", str(path), stage="penalty")
    return path


def _number(name: str, value: Any) -> float:
    if not (np.isfinite(value) and value >= 0):
        raise OptionError(f"{name}={value!r}: a penalty strength is a finite number of at least 0")
    return float(value)
