"""One self-contained page about a walk: where it ended, what was noticed, the walk on its cost, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from descender.errors import InputError
from descender.explain import number
from descender.methods.advance import length
from descender.pictures import page
from descender.pictures.basins import plotly_basins
from descender.pictures.film import describe_film, plotly_film
from descender.pictures.kinds import KINDS, all_of, cost_of
from descender.pictures.style import counted, short
from descender.pictures.surface import Contour, plotly_surface
from descender.report import versions

SHOWN = 6
"""Variables that are shown in a line or a table; of more the first ones."""
ROWS = 8
"""Rows of the table of steps: the first and the last ones."""
TITLES = {
    "cost": "Cost", "gradient_norm": "Gradient norm", "step_norm": "Length of each step",
    "learning_rate": "Learning rate", "clipped": "Share of steps clipped", "slice": "The cost over its weight",
    "path": "The walk from above", "surface": "The walk on the surface of its cost", "layers": "Gradients by layer",
}  # fmt: skip


def write_walk_report(walk: Any, path: Path, name: str | None = None, command: str = "") -> Path:
    """Write the page of a :class:`~descender.walk.Walk`, or of a saved record, to `path`; it works offline.

    `name` is its heading, by default the formula; `command` is what makes the walk again.
    """
    return page.write(path, "walk.html", **context(walk, name, command))


def context(walk: Any, name: str | None = None, command: str = "") -> dict[str, Any]:
    """What the template shows, as plain data."""
    record = getattr(walk, "record", walk)
    figures, notes = _film(walk)
    shown, _ = all_of(walk, leave_out=("path", "surface"))  # the film has them
    for kind, data in shown.items():
        plotly = KINDS[kind].plotly
        if plotly:
            figures[kind] = plotly(replace(data, title="") if hasattr(data, "title") else data)
    if _minima(walk) and len(walk.names) <= 2:
        figures["basins"] = plotly_basins(walk.minima.basins())
    order = [kind for kind in ("surface", "slice", "path", *TITLES) if kind in figures]
    heading = name or str(record.facts.get("cost", "A walk"))
    return {
        "title": f"{heading} - descender",
        "heading": heading,
        "sentence": _sentence(walk, record),
        "why": str(record.facts.get("why", "")),
        "cards": _cards(walk, record),
        "findings": getattr(walk, "findings", []),
        "figures": figures,
        "film_notes": notes,
        "pictures": [(kind, TITLES[kind]) for kind in dict.fromkeys(order)],
        "derivatives": _derivatives(walk),
        "minima": _minima(walk),
        "steps": _steps(record),
        "notes": list(getattr(walk, "notes", [])),
        "command": command,
        "versions": versions(),
    }


def _film(walk: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The film and the surface below it, if the walk can be shown on its cost, and what is to be known of them."""
    try:
        film = describe_film(walk)
    except InputError:
        return {}, ()
    if isinstance(film.ground, Contour):
        return {"film": plotly_film(film), "surface": plotly_surface(film.ground)}, film.ground.notes
    return {"film": plotly_film(film)}, ()


def _sentence(walk: Any, record: Any) -> str:
    message = str(getattr(walk, "message", record.facts.get("message", "")))
    return f"{message[:1].upper()}{message[1:]}." if message else "A walk that was saved."


def _cards(walk: Any, record: Any) -> list[dict[str, str]]:
    columns = record.columns
    last = float(record["cost"][-1])
    cards = [{"name": "cost J", "value": short(last), "note": f"began at {short(float(record['cost'][0]))}"}]
    point = getattr(walk, "x", record.path[-1] if record.path is not None else None)
    names = getattr(walk, "names", record.names)
    for name, value in list(zip(names, point if point is not None else (), strict=False))[:SHOWN]:
        cards.append({"name": str(name), "value": short(float(value), 5), "note": "where it ended"})
    if point is not None and len(point) > SHOWN:
        cards[-1]["note"] = f"and {len(point) - SHOWN:,} more"
    norm = length(walk.jac) if hasattr(walk, "jac") else float(columns["gradient_norm"][-1])
    cards.append({"name": "gradient norm", "value": short(norm, 2), "note": "0 at a minimum"})
    steps = int(getattr(walk, "nit", columns["step"][-1]))
    calls = int(getattr(walk, "nfev", columns["evaluations"][-1]))
    note = f"{record.facts.get('method', '')}, {counted(calls, 'evaluation')}"
    return [*cards, {"name": "steps", "value": f"{steps:,}", "note": note}]


def _derivatives(walk: Any) -> list[str]:
    """Each derivative of a formula; nothing of another cost."""
    from descender.costs.formula import Formula, pretty

    try:
        cost = cost_of(walk)
    except InputError:
        return []
    if not isinstance(cost, Formula):
        return []
    more = [f"... and {cost.n_parameters - SHOWN:,} more"] if cost.n_parameters > SHOWN else []
    return [f"dJ/d{name} = {pretty(cost.derivatives[name])}" for name in cost.names[:SHOWN]] + more


def _minima(walk: Any) -> dict[str, Any] | None:
    minima = getattr(walk, "minima", None)
    if minima is None or not len(minima):
        return None
    return {"header": [*minima.names, "J", "starts", "share"], "rows": _written(minima.rows()[:50])}


def _steps(record: Any) -> dict[str, Any] | None:
    """The first and last rows of the record, each with its point where that was kept."""
    if not len(record):
        return None
    n, names = len(record), record.names
    kept = list(range(n)) if n <= 2 * ROWS else [*range(ROWS), *range(n - ROWS, n)]
    columns = [c for c in ("cost", "gradient_norm", "step_norm", "learning_rate") if c in record.columns]
    points = record.path is not None and bool(names)
    header = ["step", *(names[:SHOWN] if points else ()), *(c.replace("_", " ") for c in columns)]
    rows = [
        [
            f"{int(record['step'][k]):,}",
            *(record.path[k].tolist()[:SHOWN] if points else ()),
            *(record[c][k] for c in columns),
        ]
        for k in kept
    ]
    note = f"The first and the last {ROWS} of {n:,} rows of the record." if len(kept) < n else ""
    return {"header": header, "rows": _written(rows), "note": note}


def _written(rows: Sequence[Sequence[Any]]) -> list[list[str]]:
    """Numbers in six digits; what is not known is left blank."""
    return [["" if v != v else v if isinstance(v, str) else number(float(v), 6) for v in row] for row in rows]
