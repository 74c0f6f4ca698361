"""The cost around a start, to walk on: a curve over one weight, or heights over two."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Cost, Vector
from descender.costs.formula import Formula, pretty
from descender.errors import DescenderError, StartError
from descender.explain import LONGEST, MOST
from descender.lab.asked import Asked
from descender.lab.costs import Opened, open_cost
from descender.lab.packing import packed
from descender.methods.textbook import PLAIN_STEPS
from descender.pictures.paths import values_at
from descender.pictures.plotly import plain
from descender.pictures.slices import describe_slice
from descender.pictures.surface import describe_contour
from descender.verbs.minimize import minimize
from descender.verbs.racing import read_entry
from descender.walk import Walk

SIDES = 71, 51
"""Lines of the grid each way: of a cost without rows, and of one that reads some; of one that reads many fewer."""
WORK = 4e7
"""Numbers that the grid may read."""
TRIES = 200
"""Points around a start without a cost at which one is looked for."""
GLANCE = 1.0
"""Seconds of a walk that only tells what is to be seen."""


def ground(asked: Asked, folder: str) -> dict[str, Any]:
    """What a page needs to draw a cost: its text, its derivatives, its heights around the start, its data."""
    opened = open_cost(asked, folder)
    cost, start = opened.cost, opened.start(asked.start)
    told: dict[str, Any] = {
        "names": cost.names, "start": start.tolist(), "n_samples": cost.n_samples, "notes": list(opened.notes),
        "formula": None, "derivatives": [], "drawn": _drawn(opened), "splits": bool(getattr(cost, "splits", True)),
    }  # fmt: skip
    if isinstance(cost, Formula):
        told["formula"] = _short(cost.text)
        told["derivatives"] = [[name, _short(cost.derivatives[name])] for name in cost.names[:MOST]]
    points = start[None, :] if asked.limits else _glance(asked, opened, start)
    if not np.isfinite(values_at(cost, start[None, :])[0]):
        told["error"] = "J is not finite at the start: move it to where there is a cost"
        points = _finite_near(cost, start)
    try:
        return told | _heights(asked, cost, start, points)
    except DescenderError as error:
        return told | {"kind": "none", "error": told.get("error", str(error))}


def _short(text: str) -> str:
    return pretty(text) if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def _finite_near(cost: Cost, start: Vector) -> NDArray:
    """Some points around a start without a cost: the nearest that have one, so that there is something to be seen."""
    with np.errstate(over="ignore"):
        reach = np.geomspace(0.1, 10.0, TRIES)[:, None] * np.maximum(np.abs(start), 1.0)
        tried = start + reach * np.random.default_rng(0).uniform(-1.0, 1.0, (TRIES, start.size))
    known = np.flatnonzero(np.isfinite(values_at(cost, tried)))
    return tried[known[: TRIES // 4]]


def _heights(asked: Asked, cost: Cost, start: Vector, points: NDArray) -> dict[str, Any]:
    if not len(points):
        raise StartError("J is finite nowhere near the start: another start, or another cost")
    if cost.n_parameters == 1:
        curve = describe_slice(cost, points, steps=[], limits=asked.limits[0] if asked.limits else None, points=300)
        return {
            "kind": "curve", "shown": [curve.name], "x": plain(curve.w), "z": plain(curve.value),
            "limits": [[float(curve.w[0]), float(curve.w[-1])]], "log": False, "levels": [],
        }  # fmt: skip
    shown = asked.shown if len(asked.shown) == 2 and set(asked.shown) <= set(cost.names) else cost.names[:2]
    if cost.n_parameters > 2:
        points = _in_plane(cost.names, shown, start, points)
    contour = describe_contour(cost, points, shown, asked.limits, _side(cost))
    return {
        "kind": "contour", "shown": list(shown), "x": plain(contour.x), "y": plain(contour.y), "z": packed(contour.z),
        "limits": [[float(axis[0]), float(axis[-1])] for axis in (contour.x, contour.y)], "log": contour.log,
        "levels": plain(contour.levels), "of": [note for note in contour.notes if "white" not in note],
    }  # fmt: skip


def _in_plane(names: tuple[str, ...], shown: Any, start: Vector, points: NDArray) -> NDArray:
    """The points with all weights but the two that are shown as at the lowest one, where a walk ended."""
    others = points[-1].copy()
    flat = np.tile(others, (len(points), 1))
    for name in shown:
        flat[:, names.index(name)] = points[:, names.index(name)]
    return flat


def _side(cost: Any) -> int:
    work = (cost.n_samples or 1) * cost.n_parameters
    return int(np.clip(np.sqrt(WORK / work), 25, SIDES[cost.n_samples is not None]))


def _glance(asked: Asked, opened: Opened, start: Vector) -> NDArray:
    """Where walks go: the first steps of those that race, and the way of ``auto`` to the bottom that they may reach."""
    found: list[NDArray] = []
    racers: list[tuple[str, dict[str, Any]]] = [read_entry(spec)[1:] for spec in asked.methods]
    if asked.steps > PLAIN_STEPS or opened.cost.n_parameters == 1:
        racers.append(("auto", {}))
    for name, options in racers:
        try:
            walk: Walk = minimize(
                opened.cost, start, name, max_steps=min(asked.steps, PLAIN_STEPS) if name != "auto" else 1000,
                max_seconds=GLANCE, seed=asked.seed, **options,
            )  # fmt: skip
        except DescenderError:
            continue
        if walk.record.path is not None and (name != "auto" or walk.success):
            found.append(walk.record.path)
        elif walk.success:
            found.append(np.stack([start, walk.x]))
    return np.concatenate([start[None, :], *found]).astype(np.float64)


def _drawn(opened: Opened) -> dict[str, Any] | None:
    """The points of the data, and the places at which the model is asked."""
    drawn = opened.drawn
    if drawn is None:
        return None
    told: dict[str, Any] = {
        "kind": drawn.kind, "names": drawn.names, "x": plain(drawn.x), "y": plain(drawn.y),
        "across": plain(drawn.across()),
    }  # fmt: skip
    if drawn.kind == "boundary":
        told |= {"up": plain(drawn.up()), "classes": drawn.classes, "label": drawn.label.astype(int).tolist()}
    return told
