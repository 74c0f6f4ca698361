"""What a race says: which method to take, by the work that one has and by how near one wants to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from descender.pictures.style import counted, short

if TYPE_CHECKING:
    from descender.verbs.compare import Comparison

LEVELS = (1e-1, 1e-2, 1e-4, 1e-6)
"""Shares of the first gap whose price in work the table shows."""
DEADLINES = {"rows": (1.0, 3.0, 10.0, 30.0), "evaluations": (10.0, 100.0, 1000.0)}
"""Epochs, or evaluations, within which a nearest method is named."""
ALIKE = 1.15
"""Prices and gaps within this factor of each other count as about the same."""


def answer(race: Comparison) -> list[str]:
    """Which method to take, by the work that one has and by how near one wants to be."""
    lines = []
    limit = race.in_units(race.budget)
    for deadline in [*(d for d in DEADLINES[race.unit] if d < limit), limit]:
        names, left, after = leaders(race, deadline)
        if names:  # what is reached by then is told below, with its price
            text = f"within {amount(race, deadline)}: {together(names)}, {level_text(left)} of the gap left"
            lines.append(text + (f"; next {after}" if after else ""))
    for level in sorted({level for level in LEVELS if level > race.to} | {race.to}, reverse=True):
        line = price_line(race, level)
        if line:
            lines.append(line)
    missed = [racer for racer in race.racers if not racer.reached]
    if missed:
        shown = ", ".join(f"{racer.name} ({level_text(racer.final_gap)} left)" for racer in missed)
        lines.append(f"not to {level_text(race.to)} within {amount(race, limit)}: {shown}")
    return lines


def leaders(race: Comparison, deadline: float) -> tuple[list[str], float, str]:
    """Who is nearest within a deadline, how near, and who follows; nobody where the goal is reached by then."""
    work = deadline * (race.n_samples or 1)
    lefts = sorted(((racer.left_after(work), racer.name) for racer in race.racers), key=lambda pair: pair[0])
    least = lefts[0][0]
    if least <= race.to or not least < 1.0:
        return [], least, ""
    alike = [name for left, name in lefts if left <= ALIKE * least]
    rest = [pair for pair in lefts[len(alike) :] if pair[0] < 1.0]
    return alike, least, f"{rest[0][1]}, {level_text(rest[0][0])}" if rest else ""


def price_line(race: Comparison, level: float) -> str:
    """Who needs the least work to a level, and how much more the next one does."""
    priced = []
    for racer in race.racers:
        inside = np.flatnonzero(racer.gap <= level * (1.0 + 1e-9))
        if len(inside):
            priced.append((float(racer.work[inside[0]]), racer))
    if not priced:
        return ""
    priced.sort(key=lambda pair: pair[0])
    least = priced[0][0]
    alike = [racer for work, racer in priced if work <= ALIKE * least]
    names = [r.name if r.name != "auto" else f"auto ({r.method})" for r in alike]
    text = f"to {level_text(level)}: {together(names)}, {amount(race, race.in_units(least))}"
    if len(priced) > len(alike):
        work, following = priced[len(alike)]
        times = f", {short(work / least, 2)} times as much" if least > 0 else ""
        return f"{text}; next {following.name}, {amount(race, race.in_units(work))}{times}"
    return text + ("; no other reached it" if len(race.racers) > len(alike) else "")


def level_text(level: float) -> str:
    """A share of the gap, briefly.

    >>> level_text(1e-6), level_text(0.0312), level_text(0.1)
    ('1e-6', '0.031', '0.1')
    """
    return f"{level:.2g}".replace("e-0", "e-").replace("e+", "e")


def together(names: list[str]) -> str:
    """Names of those who are about the same."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} alike"


def amount(race: Comparison, units: float) -> str:
    """Work in words."""
    if race.unit == "evaluations":
        return counted(round(units), "evaluation")
    return f"{short(units, 3)} epoch{'' if units == 1 else 's'}"
