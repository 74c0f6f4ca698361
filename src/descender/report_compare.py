"""One self-contained page about a race of methods: which to take, the race as a picture, and its numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from descender.pictures import page
from descender.pictures.race import plotly_gaps
from descender.pictures.style import short
from descender.report import versions


def write_race_report(race: Any, path: Path, levels: Sequence[tuple[float, str]], command: str = "") -> Path:
    """Write the page of a :class:`~descender.verbs.compare.Comparison` to `path`; it works offline.

    `levels` are the shares of the first gap whose work the table has, and how they are written; `command` is what
    makes the race again.
    """
    return page.write(path, "compare.html", **context(race, levels, command))


def context(race: Any, levels: Sequence[tuple[float, str]], command: str = "") -> dict[str, Any]:
    """What the template shows, as plain data."""
    unit = "epochs" if race.n_samples else "evaluations"
    found = race.reference.certificate
    bottom = str(found) if found else race.reference.message
    return {
        "title": f"{race.described}: a race - descender",
        "heading": race.described,
        "sentence": f"{race.summary[:1].upper()}{race.summary[1:]}.",
        "bottom": f"Gaps are measured from {race.lowest:.10g}, the lowest cost that was found ({bottom}).",
        "cards": _cards(race, unit),
        "answers": race.answers,
        "figures": {"gaps": plotly_gaps(replace(race.gaps(), title=""))},
        "header": ["method", "goal", *(f"to {text}" for _, text in levels), "gap left", unit, "seconds"],
        "rows": [_row(race, racer, levels) for racer in race.racers],
        "unit_note": f"Work in {unit} until the gap was within a share of the first one.",
        "trouble": [f"{racer.name}: {racer.trouble}" for racer in race.racers if racer.trouble],
        "notes": [*race.left_out, *race.notes],
        "command": command,
        "versions": versions(),
    }


def _cards(race: Any, unit: str) -> list[dict[str, str]]:
    reached = sum(racer.reached for racer in race.racers)
    return [
        {"name": "methods", "value": f"{len(race.racers)}", "note": f"{reached} reached the goal"},
        {"name": "goal", "value": short(race.goal), "note": f"{short(race.to, 2)} of the gap at the start"},
        {"name": "cost at the start", "value": short(race.first), "note": ""},
        {"name": "lowest cost", "value": short(race.lowest), "note": f"by {race.reference.method}"},
        {"name": f"{unit} at most", "value": short(race.in_units(race.budget)), "note": "for each method"},
    ]


def _row(race: Any, racer: Any, levels: Sequence[tuple[float, str]]) -> list[str]:
    prices = [race.in_units(racer.prices[level]) for level, _ in levels]
    return [
        racer.name,
        "reached" if racer.reached else "",
        *("" if math.isnan(price) else short(price) for price in prices),
        f"{racer.final_gap:.2g}",
        short(race.in_units(float(racer.work[-1]))),
        f"{racer.seconds:.2g}",
    ]
