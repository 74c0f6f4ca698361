"""What a walk did, step by step: its cost, gradient norm, learning rate or step norm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descender.errors import OptionError, suggest
from descender.pictures.paths import thin
from descender.pictures.style import (
    COLOURS,
    DASHES,
    GREY,
    MARKERS,
    SKY,
    axes,
    counted,
    head,
    legend,
    short,
    styled,
    words,
)
from descender.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AGAINST = {"step": "step", "seconds": "seconds", "rows_seen": "rows read", "evaluations": "evaluations"}
WHAT = {
    "cost": "cost J",
    "gradient_norm": "gradient norm",
    "learning_rate": "learning rate",
    "step_norm": "step norm",
}
DECADES = 2.0
"""The span of positive values beyond which their axis is logarithmic."""
SMALLEST, LARGEST = 1e-100, 1e200
"""Sizes beyond which an axis cannot hold a value: smaller ones count as zero there, larger ones as not finite."""


@dataclass(frozen=True)
class Series:
    """One line: ``kind`` is ``batch``, ``full``, ``holdout`` or ``other``."""

    label: str
    kind: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """Lines of a quantity against steps, seconds or rows.

    ``log_x`` is where the logarithmic part of that axis begins, 0 if there is none; ``band`` holds the minimum, by the
    certificate.
    """

    title: str
    x_label: str
    y_label: str
    log: bool
    series: tuple[Series, ...]
    log_x: float = 0.0
    band: tuple[float, float] | None = None
    band_label: str = ""
    notes: tuple[str, ...] = ()


def describe_curve(record: Record, against: str = "step", what: str = "cost", excess: bool = False) -> Curve:
    """A column of a record against another, ready to be drawn.

    `against` is step, seconds, rows_seen or evaluations; `what` is cost, gradient_norm, learning_rate or step_norm.
    Costs of batches, of all rows and of held-out rows are lines of their own where they were recorded.  With `excess`
    the costs are counted from the lowest one of all rows, for a walk whose bottom is not zero.

    The axis is logarithmic where values are not negative and span more than two decades.  Of long lines at most 2,000
    points are kept, extremes among them; ``notes`` tells that, and what could not be shown.

    >>> record = Record({"step": np.arange(4), "cost": np.array([1e3, 10.0, 0.1, 0.0])})
    >>> curve = describe_curve(record)
    >>> curve.log, curve.series[0].y, curve.notes
    (True, array([1.e+03, 1.e+01, 1.e-01]), ('1 value of zero has no place on a logarithmic axis',))
    """
    check(against, what, record)
    lines = _lines(record, against, what, excess)
    lowest = min((float(s.y.min()) for s in lines if s.kind == "full" and len(s.y)), default=np.nan)
    band, label = _band(record, lowest) if what == "cost" and not excess else (None, "")
    return _finish(_title(record), against, what, excess, lines, band, label)


def describe_race(
    records: Mapping[str, Record], against: str = "seconds", what: str = "cost", excess: bool = True
) -> Curve:
    """Several walks on one cost as lines of one picture: the cost of all rows, counted from the lowest of all."""
    if not records:
        raise OptionError("records={}: a race needs at least one record")
    lines = []
    for name, record in records.items():
        check(against, what, record)
        full = [s for s in _lines(record, against, what, excess=False) if s.kind in ("full", "other")]
        lines += [Series(name, "other", s.x, s.y) for s in full]
    if excess and what == "cost":
        lowest = min((float(s.y.min()) for s in lines if len(s.y)), default=0.0)
        lines = [Series(s.label, s.kind, s.x, s.y - lowest) for s in lines]
    ends = [float(s.x.max()) for s in lines if len(s.x)]
    apart = bool(ends) and max(ends) > 10.0 * min(ends) > 0
    log_x = 0.0 if not apart else min(ends) / 10.0 if against == "seconds" else 1.0
    return _finish("", against, what, excess, lines, None, "", log_x)


def check(against: str, what: str, record: Record) -> None:
    """Refuse names of columns that are no axis, or that the record does not have."""
    for option, given, known in (("against", against, AGAINST), ("what", what, WHAT)):
        if given not in known:
            raise OptionError(f"{option}={given!r}; {suggest(str(given), known)}")
        if given not in record.columns:
            raise OptionError(f"the record has no column {given}; it has {', '.join(record.columns) or 'none'}")
    if not len(record):
        raise OptionError("the record has no rows: there is nothing to draw")


def _title(record: Record) -> str:
    """The method, how many steps it took, and the cost that it reached."""
    words = [str(record.facts["method"])] if "method" in record.facts else []
    if "step" in record.columns:
        words.append(counted(int(record["step"].max()), "step"))
    full = record.columns.get("full_cost", np.empty(0)).astype(np.float64)
    ends = full[np.isfinite(full)]
    return ", ".join(words) + (f" to J = {short(float(ends[-1]))}" if words and ends.size else "")


def _lines(record: Record, against: str, what: str, excess: bool) -> list[Series]:
    x = record[against].astype(np.float64)
    y = record[what].astype(np.float64)
    missing = np.full(len(x), np.nan)
    full = record.columns.get("full_cost", missing).astype(np.float64)
    holdout = record.columns.get("holdout_cost", missing).astype(np.float64)
    measured = ~np.isnan(full)
    batches = bool((measured & np.isnan(record.columns.get("cost", missing))).any())
    if what != "cost":
        seen = ~measured if batches else np.full(len(x), True)
        return [_known(WHAT[what] + " of the batch" * batches, "batch" if batches else "full", x[seen], y[seen])]
    if not batches:
        lines = [_known("cost", "full", x, np.where(np.isnan(y), full, y))]
    else:
        lines = [
            _known("cost of the batch", "batch", x[~measured], y[~measured]),
            _known("cost of all rows", "full", x, full),
        ]
    if excess:
        lowest = min((float(s.y.min()) for s in lines if s.kind == "full" and len(s.y)), default=0.0)
        return [Series(s.label, s.kind, s.x, s.y - lowest) for s in lines]
    return [*lines, _known("held-out cost", "holdout", x, holdout)]


def _known(label: str, kind: str, x: NDArray, y: NDArray) -> Series:
    known = ~np.isnan(y) & ~np.isnan(x)
    return Series(label, kind, x[known], y[known])


def _band(record: Record, lowest: float) -> tuple[tuple[float, float] | None, str]:
    certificate = record.facts.get("certificate")
    gap = certificate.get("gap") if isinstance(certificate, Mapping) else None
    if not isinstance(gap, int | float) or not (np.isfinite(gap) and gap >= 0 and np.isfinite(lowest)):
        return None, ""
    assert isinstance(certificate, Mapping)
    how = "certified" if certificate.get("rigorous", True) else "estimated"
    return (lowest - float(gap), lowest), f"{how}: the minimum is at most {short(gap, 2)} lower"


def _finish(
    title: str, against: str, what: str, excess: bool, lines: list[Series], band: Any, label: str, log_x: float = 0.0
) -> Curve:
    """Choose the axis, leave out what it cannot show, thin what is long, and say so."""
    notes = []
    drawable = [s for s in lines if len(s.y)]
    values = np.concatenate([s.y for s in drawable]) if drawable else np.empty(0)
    finite = np.isfinite(values) & (np.abs(values) < LARGEST)
    if not finite.any():
        raise OptionError(f"no {WHAT[what]} of the record is a finite number: there is nothing to draw")
    if not finite.all():
        lost = int((~finite).sum())
        notes.append(f"{lost:,} value{'s are' if lost > 1 else ' is'} left out: not finite, or too large to draw")
    values = values[finite]
    positive = values[values > SMALLEST]
    log = bool((values >= 0).all() and positive.size and positive.max() > 10**DECADES * positive.min())
    if log and len(positive) < len(values) and not excess:  # the lowest cost is 0 above itself: no loss to tell of
        zeros = len(values) - len(positive)
        have = "1 value of zero has" if zeros == 1 else f"{zeros:,} values of zero have"
        notes.append(f"{have} no place on a logarithmic axis")
    series, total = [], 0
    for s in drawable:
        shown = np.isfinite(s.y) & (np.abs(s.y) < LARGEST) & ((s.y > SMALLEST) | (not log))
        x, y = s.x[shown], s.y[shown]
        kept = thin(y)
        total += len(y) - len(kept)
        if len(kept):
            series.append(Series(s.label, s.kind, x[kept], y[kept]))
    if total:
        shown_points = sum(len(s.y) for s in series)
        notes.append(f"{shown_points:,} of {shown_points + total:,} points drawn, lowest and highest of every stretch")
    y_label = "cost above the lowest" if excess and what == "cost" else WHAT[what]
    return Curve(title, AGAINST[against], y_label, log, tuple(series), log_x, band, label, tuple(notes))


@styled
def draw_curve(data: Curve, ax: Any = None) -> Axes:
    """Draw a described curve: batches thin, all rows solid, held-out rows dashed."""
    ax = axes(ax)
    others = [s for s in data.series if s.kind == "other"]
    for s in data.series:
        few = len(s.x) <= 40
        if s.kind == "batch":
            look: dict[str, Any] = {"color": SKY, "lw": 0.7, "alpha": 0.9, "zorder": 1.5}
        else:
            k = others.index(s) if s in others else ("full", "holdout").index(s.kind)
            look = {"color": COLOURS[k % 7], "ls": DASHES[k % 7], "marker": MARKERS[k % 7] if few else None}
            look |= {"ms": 4.0, "zorder": 2.5}
        ax.plot(s.x, s.y, label=words(s.label), **look)
    if data.log:
        ax.set_yscale("log")
    if data.band is not None:
        low, high = data.band
        bottom, top = ax.get_ylim()
        ax.axhspan(max(low, bottom) if data.log else low, high, color=GREY, alpha=0.25, lw=0, label=data.band_label)
        ax.axhline(high, color=GREY, lw=0.8, zorder=1)
        if data.log:
            ax.set_ylim(bottom, top)
    ax.grid(True, axis="y")
    ax.set_xlabel(data.x_label)
    ax.set_ylabel(data.y_label)
    if data.log_x:
        if min(s.x.min() for s in data.series) > 0:
            ax.set_xscale("log")
        else:
            ax.set_xscale("symlog", linthresh=data.log_x)
            ax.set_xlim(0)
    elif data.x_label != "seconds":
        _whole_numbers(ax.xaxis)
    head(ax, data.title, data.notes)
    if len(data.series) > 1 or data.band is not None:
        legend(ax)
    return ax


def _whole_numbers(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=8, integer=True, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))


def plot_record(record: Record, ax: Any = None) -> Axes:
    """Draw the cost of a walk against its steps: the picture of a record when no other was asked for."""
    return draw_curve(describe_curve(record), ax)
