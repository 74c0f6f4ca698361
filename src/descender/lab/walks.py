"""Walks of several methods from one start, and a step of one of them written out."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Vector
from descender.costs.risk import Risk
from descender.errors import DescenderError, OptionError
from descender.explain import explain_row, explain_step
from descender.lab.asked import SECONDS, Asked
from descender.lab.costs import Opened, open_cost
from descender.lab.packing import packed
from descender.pictures.paths import thin
from descender.pictures.plotly import plain
from descender.verbs.minimize import minimize
from descender.verbs.racing import read_entry
from descender.walk import Walk

POINTS = 2_000
"""Points of a walk that are sent to be drawn; of more those that are seen."""
COLUMNS = ("cost", "gradient_norm")


def race(asked: Asked, folder: str) -> dict[str, Any]:
    """The walk of every method from the start, as plain data; an error where a method cannot walk."""
    opened = open_cost(asked, folder)
    start = opened.start(asked.start)
    racers = []
    for spec in asked.methods:
        try:
            racers.append({"spec": spec} | describe_walk(walk_of(asked, spec, folder)))
        except DescenderError as error:
            racers.append({"spec": spec, "error": str(error)})
    return {"names": opened.cost.names, "start": start.tolist(), "racers": racers}


def walk_of(asked: Asked, spec: str, folder: str) -> Walk:
    """The walk of one method; the last ones are kept, because a page asks for their steps one by one."""
    return _walk(asked.alone(spec), folder)


@lru_cache(maxsize=24)
def _walk(asked: Asked, folder: str) -> Walk:
    opened, entry = open_cost(asked, folder), read_entry(asked.methods[0])
    return minimize(
        opened.cost, opened.start(asked.start), entry.name, max_steps=asked.steps, max_seconds=SECONDS,
        seed=asked.seed, **entry.options,
    )  # fmt: skip


def described_points(walk: Walk) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The rows of the record that tell of a step each, and the points there; few where the path was not kept."""
    record = walk.record
    rows = np.flatnonzero(np.isfinite(record["cost"]) | (record["step"] == walk.nit))
    rows = rows[np.append(np.diff(record["step"][rows]) > 0, True)]
    if record.path is None:
        return rows, np.empty((0, len(walk.names)))
    points = record.path[rows].astype(np.float64)
    if len(points):
        points[-1] = walk.x
    return rows, points


def describe_walk(walk: Walk) -> dict[str, Any]:
    """A walk as plain data: what came of it, and its points, of many those that are seen."""
    rows, points = described_points(walk)
    kept = thin(np.column_stack([points, walk.record["cost"][rows]]) if len(points) else rows[:, None], POINTS)
    rows, points = rows[kept], points[kept] if len(points) else points
    full = np.isfinite(walk.record["full_cost"])
    columns = {name: np.array(walk.record[name][rows]) for name in COLUMNS}
    if len(rows) and not np.isfinite(columns["cost"][-1]):
        columns["cost"][-1] = walk.fun
    return {
        "method": walk.method, "why": walk.why, "message": walk.message, "success": walk.success,
        "status": walk.status, "x": plain(walk.x), "fun": plain(np.array([walk.fun]))[0], "nit": walk.nit,
        "nfev": walk.nfev, "notes": walk.notes, "findings": [finding.as_dict() for finding in walk.findings],
        "steps": packed(walk.record["step"][rows]), "path": packed(points),
        **{name: packed(column) for name, column in columns.items()},
        "measured": {
            "steps": packed(walk.record["step"][full]), "cost": packed(walk.record["full_cost"][full])
        } if full.sum() > 2 else None,
    }  # fmt: skip


def step(asked: Asked, folder: str) -> dict[str, Any]:
    """A step of one racer: its update written out, and what the model says of the data after it."""
    if not asked.racer < len(asked.methods):
        raise OptionError(f"racer={asked.racer}: there are {len(asked.methods)}, counted from 0")
    opened = open_cost(asked, folder)
    walk = walk_of(asked, asked.methods[asked.racer], folder)
    return describe_step(opened, walk, asked.step)


def describe_step(opened: Opened, walk: Walk, number: int) -> dict[str, Any]:
    """Step `number` of a walk, written out, the point where it ended, the gradient and the model there."""
    rows, points = described_points(walk)
    number = min(number, walk.nit)
    if not len(points):
        return {"step": number, "lines": ["the points of this walk were not kept: there are too many weights"]}
    at = min(int(np.searchsorted(walk.record["step"][rows], number)), len(points) - 1)
    w = points[at]
    with np.errstate(all="ignore"):
        gradient = opened.cost.gradient(w)
    said = opened.drawn.at(w) if opened.drawn is not None and np.isfinite(w).all() else None
    return {
        "step": number, "lines": _lines(opened, walk, number), "w": plain(w), "gradient": plain(gradient),
        "model": None if said is None else plain(said.round(6)),
    }  # fmt: skip


def _lines(opened: Opened, walk: Walk, number: int) -> list[str]:
    """The update that led to step `number`; of a walk at its start, the one that will be taken."""
    if not walk.nit:
        return [walk.message]
    with np.errstate(all="ignore"):
        lines = explain_step(opened.cost, walk, opened.data, step=max(number, 1))
    single = isinstance(opened.cost, Risk) and lines[1:2] and lines[1].startswith("  it reads row ")
    if single and walk.method in ("gd", "sgd"):
        row = int(lines[1].split()[3].replace(",", "")) - 1
        before = _point_before(walk, max(number, 1))
        rate = float(np.nan_to_num(walk.record["learning_rate"][0]))
        lines += ["", *explain_row(opened.cost, before, row, rate)]  # type: ignore[arg-type]
    return lines


def _point_before(walk: Walk, number: int) -> Vector:
    assert walk.record.path is not None
    return walk.record.path[int(np.searchsorted(walk.record["step"], number - 1))]
