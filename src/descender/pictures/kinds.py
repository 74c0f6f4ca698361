"""Every picture of a walk by its kind: ``walk.plot("path")``, ``record.plot("gradient_norm")``, ``descender draw``.

A kind is a row of ``KINDS``: what it shows, how it is described, how it is drawn on paper and, where pages have it, by
Plotly.  Adding one is adding its row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from descender.costs.cost import Cost
from descender.errors import CapabilityError, InputError, OptionError, suggest
from descender.pictures import curves, layers, slices, surface
from descender.pictures.plotly import Spec
from descender.record import Record


class Kind(NamedTuple):
    """A picture: what it ``says``, and its functions.  One that ``looks_at_cost`` is described from (cost, walk)."""

    says: str
    describe: Callable[..., Any]
    draw: Callable[..., Any]
    plotly: Callable[[Any], Spec] | None
    looks_at_cost: bool = False


def _curve(what: str, says: str) -> Kind:
    return Kind(says, partial(curves.describe_curve, what=what), curves.draw_curve, curves.plotly_curve)


KINDS = {
    "cost": _curve("cost", "the cost, of batches, all rows and held-out rows, and the certified gap"),
    "gradient_norm": _curve("gradient_norm", "the norm of the gradient"),
    "step_norm": _curve("step_norm", "the length of each step"),
    "learning_rate": _curve("learning_rate", "the rate of each step"),
    "clipped": _curve("clipped", "the share of steps whose gradient was clipped"),
    "overview": Kind("all of these, side by side", curves.describe_overview, curves.draw_overview, None),
    "slice": Kind(
        "the cost over its one weight, with tangents at some steps",
        slices.describe_slice, slices.draw_slice, slices.plotly_slice, True,
    ),
    "path": Kind(
        "the walk on the contours of its cost; of many weights in the plane in which it mostly lies",
        surface.describe_contour, surface.draw_contour, surface.plotly_contour, True,
    ),
    "surface": Kind(
        "the same as a surface in three dimensions",
        surface.describe_contour, surface.draw_surface, surface.plotly_surface, True,
    ),
    "layers": Kind(
        "the gradient norm of each layer of a network over the steps",
        layers.describe_layer_steps, layers.draw_layers, layers.plotly_layers,
    ),
}  # fmt: skip


def describe(walk: Any, kind: str = "cost", **options: Any) -> Any:
    """What a picture of a record, or of a walk with one, shows, as plain named data; `options` are its own.

    Raises :class:`OptionError` for an unknown kind, and :class:`InputError` and its kinds where this walk cannot be
    shown so: its cost is not known, it has another number of weights, its points were not kept.

    >>> from descender import minimize
    >>> describe(minimize("(x - 3)**2", "x=0"), "slice").lowest
    (3.0, 0.0)
    """
    if kind not in KINDS:
        raise OptionError(f"kind={kind!r} is no picture of a walk; {suggest(kind, KINDS)}")
    row = KINDS[kind]
    try:
        return row.describe(cost_of(walk), walk, **options) if row.looks_at_cost else row.describe(walk, **options)
    except TypeError as error:
        if "unexpected keyword" not in str(error) and "multiple values" not in str(error):
            raise
        raise OptionError(f"picture {kind}: {str(error).partition(')')[2].strip()}") from None


def plot(walk: Any, kind: str = "cost", ax: Any = None, **options: Any) -> Any:
    """Draw a record, or a walk, with Matplotlib: on the given axes or new ones, which are returned."""
    return KINDS[kind].draw(describe(walk, kind, **options), ax) if kind in KINDS else describe(walk, kind)


def usual(cost: Cost, in_space: bool = False) -> str:
    """The kind that shows a walk on its cost best: a slice of one weight, else the path, or a surface `in_space`."""
    return "slice" if cost.n_parameters == 1 else "surface" if in_space else "path"


def all_of(walk: Any, leave_out: Sequence[str] = ()) -> tuple[dict[str, Any], dict[str, str]]:
    """What every picture of a walk shows, by kind; and why the others cannot be drawn."""
    shown, not_shown = {}, {}
    for kind in [kind for kind in KINDS if kind not in leave_out]:
        try:
            if never_changed(getattr(walk, "record", walk), kind):
                raise CapabilityError(f"the {kind.replace('_', ' ')} never changed")
            shown[kind] = describe(walk, kind)
        except InputError as error:
            not_shown[kind] = str(error)
    return shown, not_shown


def never_changed(record: Record, kind: str) -> bool:
    """Whether a column of this name holds one number, so that there is nothing to see; a cost is always drawn."""
    if kind == "cost" or kind not in record.columns:
        return False
    known = record[kind][np.isfinite(record[kind].astype(np.float64))]
    return len(known) < 2 or not np.ptp(known) > 0


def cost_of(walk: Any) -> Cost:
    """The cost of a walk; of a saved record, the formula that it tells of, if that has the cost that was recorded.

    Raises :class:`CapabilityError` where it is not known.
    """
    from descender.costs.formula import Formula

    known = getattr(walk, "cost", None)
    if known is not None:
        return known
    record: Record = getattr(walk, "record", walk)
    if record.facts.get("data"):
        raise CapabilityError("the walk was on a formula over data, which the record does not hold: draw its cost")
    try:
        cost = Formula(str(record.facts.get("cost", "")), constants=record.facts.get("constants"))
        first = cost.value(record.path[0]) if record.path is not None else np.nan
    except ValueError:
        first = np.nan
    if not np.isclose(first, record["cost"][0], rtol=1e-9):
        raise CapabilityError("the record holds no formula that could be drawn: draw its cost, its gradient norm ...")
    return cost
