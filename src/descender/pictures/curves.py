"""What a walk did, step by step: its cost, gradient norm, learning rate, step norm, how often it was clipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descender.errors import OptionError, suggest
from descender.pictures.paths import thin
from descender.pictures.plotly import DASHED, Spec, escaped, figure, logarithmic, plain, titled
from descender.pictures.style import (
    COLOURS,
    DASHES,
    GREY,
    MARKERS,
    SKY,
    axes,
    counted,
    grid,
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
    "clipped": "share of steps clipped",
}
STRETCHES = 50
"""Stretches of a walk, for each of which the share of clipped steps is counted."""
EARLY, MOST = 0.02, 0.8
"""The horizontal axis is logarithmic where this first share of it holds this share of what happens."""
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


def describe_curve(record: Record | Any, against: str = "step", what: str = "cost", excess: bool = False) -> Curve:
    """A column of a record, or of a walk's, against another, ready to be drawn.

    `against` is step, seconds, rows_seen or evaluations; `what` is cost, gradient_norm, learning_rate, step_norm or
    clipped, the share of clipped steps in each fiftieth of the walk.
    Costs of batches, of all rows and of held-out rows are lines of their own where they were recorded.  With `excess`
    the costs are counted from the lowest one of all rows, for a walk whose bottom is not zero.

    The upright axis is logarithmic where values are not negative and span more than two decades; the other one where
    nearly everything happens in its first fiftieth.  Of long lines at most 2,000 points are kept, extremes among them;
    ``notes`` tells that, and what could not be shown.

    >>> record = Record({"step": np.arange(4), "cost": np.array([1e3, 10.0, 0.1, 0.0])})
    >>> curve = describe_curve(record)
    >>> curve.log, curve.series[0].y, curve.notes
    (True, array([1.e+03, 1.e+01, 1.e-01]), ('1 value of zero has no place on a logarithmic axis',))
    """
    record = getattr(record, "record", record)
    check(against, what, record)
    lines = _lines(record, against, what, excess)
    lowest = min((float(s.y.min()) for s in lines if s.kind == "full" and len(s.y)), default=np.nan)
    band, label = _band(record, lowest) if what == "cost" and not excess else (None, "")
    return _finish(_title(record), against, what, excess, lines, band, label, _begins_early(lines))


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
    if what == "clipped":
        return [_clipped(x, y)]
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


def _clipped(x: NDArray, y: NDArray) -> Series:
    """The share of clipped steps in each of up to fifty stretches, at its end."""
    known = np.flatnonzero(np.isfinite(y) & np.isfinite(x))
    parts = [part for part in np.array_split(known, STRETCHES) if len(part)]
    at, share = (np.array([f(part) for part in parts]) for f in (lambda k: x[k[-1]], lambda k: y[k].mean()))
    return Series(WHAT["clipped"], "full", at, share)


def _begins_early(lines: Sequence[Series]) -> float:
    """Where a logarithmic horizontal axis begins, if nearly everything happens at its start; else 0."""
    line = next((s for s in lines if s.kind == "full"), lines[0])
    x, y = line.x, line.y
    if len(x) < 100:
        return 0.0
    with np.errstate(all="ignore"):
        height = np.log10(y) if _is_log(y) else y
    finite = np.isfinite(height) & (np.abs(y) < LARGEST)
    x, height = x[finite], height[finite]
    positive = x[x > 0]
    if len(x) < 100 or not len(positive) or positive[-1] < 100.0 * positive[0]:
        return 0.0
    early = height[x <= x[0] + EARLY * (x[-1] - x[0])]
    return float(positive[0]) if np.ptp(early) > MOST * np.ptp(height) else 0.0


def _is_log(values: NDArray) -> bool:
    """Whether values ask for a logarithmic axis: none is negative, and they span more than two decades."""
    values = values[np.isfinite(values) & (np.abs(values) < LARGEST)]
    positive = values[values > SMALLEST]
    return bool((values >= 0).all() and positive.size and positive.max() > 10**DECADES * positive.min())


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
        raise OptionError(f"no {WHAT[what]} of the record is a number below {LARGEST:g}: there is nothing to draw")
    if not finite.all():
        lost = int((~finite).sum())
        notes.append(f"{lost:,} value{'s are' if lost > 1 else ' is'} left out: not finite, or too large to draw")
    values = values[finite]
    positive = values[values > SMALLEST]
    log = what != "clipped" and _is_log(values)
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
            ax.set_xscale("symlog", linthresh=data.log_x, linscale=0.3)
            ax.set_xlim(0)
        ax.xaxis.set_major_formatter(lambda v, _: short(v, 3))
    elif data.x_label != "seconds":
        _whole_numbers(ax.xaxis)
    else:
        ax.locator_params(axis="x", nbins=6)
    head(ax, data.title, data.notes)
    if len(data.series) > 1 or data.band is not None:
        legend(ax)
    return ax


def _whole_numbers(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=8, integer=True, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))


@dataclass(frozen=True)
class Overview:
    """Several curves of one walk, each a panel."""

    title: str
    curves: tuple[Curve, ...]


def describe_overview(record: Record | Any) -> Overview:
    """Cost against steps, rows read and seconds; gradient norm, rate, step norm and clipped share, where known.

    >>> record = Record({"step": np.arange(3), "cost": np.array([4.0, 2.0, 1.0]), "seconds": np.arange(3.0)})
    >>> [(curve.y_label, curve.x_label) for curve in describe_overview(record).curves]
    [('cost J', 'step'), ('cost J', 'seconds')]
    """
    record = getattr(record, "record", record)
    asked = [(what, "step") for what in WHAT]
    asked[1:1] = [("cost", "rows_seen"), ("cost", "seconds")]
    panels = []
    for what, against in asked:
        if what not in record.columns or against not in record.columns:
            continue
        known = record[what][np.isfinite(record[what].astype(np.float64))]
        idle = (what, against) == ("cost", "rows_seen") and len(record) and not record["rows_seen"].any()
        if len(known) and not idle and (what != "clipped" or known.any()):
            panels.append(replace(describe_curve(record, against, what), title=""))
    if not panels:
        raise OptionError("the record has no column that can be drawn")
    return Overview(_title(record), tuple(panels))


@styled
def draw_overview(data: Overview, axes: Sequence[Axes] | None = None) -> Sequence[Axes]:
    """Draw the panels side by side; returns their axes."""
    panels = list(axes) if axes is not None else grid(len(data.curves))
    for ax, curve in zip(panels, data.curves, strict=False):
        draw_curve(curve, ax)
    if axes is None and data.title:
        panels[0].figure.suptitle(words(data.title), x=0.01, ha="left", fontsize=12)
    return panels


def plotly_curve(data: Curve) -> Spec:
    """A curve as :func:`descender.pictures.curves.draw_curve` draws it."""
    traces: list[Spec] = []
    for k, s in enumerate(data.series):
        if s.kind == "batch":
            line: Spec = {"color": SKY, "width": 1}
        else:
            j = {"full": 0, "holdout": 1}.get(s.kind, k) % 7
            line = {"color": COLOURS[j], "width": 2, "dash": DASHED[j]}
        mode = "lines+markers" if len(s.x) <= 40 and s.kind != "batch" else "lines"
        trace: Spec = {"type": "scatter", "mode": mode, "name": escaped(s.label), "line": line, "y": plain(s.y)}
        trace |= {"x": plain(np.maximum(s.x, 0.5 * data.log_x)), "customdata": plain(s.x)}
        trace["hovertemplate"] = f"{data.x_label} %{{customdata:,.6~g}}: %{{y:.6~g}}<extra></extra>"
        traces.append(trace)
    heights = np.concatenate([s.y for s in data.series])
    y = titled(data.y_label) | (logarithmic(heights) if data.log else {})
    reach = np.concatenate([np.maximum(s.x, 0.5 * data.log_x) for s in data.series])
    x = titled(data.x_label) | (logarithmic(reach) if data.log_x else {})
    if data.x_label == "step" and max(s.x.max() for s in data.series) <= 8:
        x["dtick"] = 1  # there is no half a step
    if data.band is not None:
        traces += _plotly_band(data)
    return figure(traces, data.title, x, y, data.notes, showlegend=len(traces) > 1)


def _plotly_band(data: Curve) -> list[Spec]:
    """The stretch that holds the minimum, between two lines without width."""
    assert data.band is not None
    low, high = data.band
    values = np.concatenate([s.y for s in data.series])
    bottom = max(low, float(values.min())) if data.log else low
    ends = [float(min(s.x.min() for s in data.series)), float(max(s.x.max() for s in data.series))]
    line = {"type": "scatter", "mode": "lines", "x": ends, "line": {"width": 0}, "hoverinfo": "skip"}
    upper = {
        "y": [high, high],
        "fill": "tonexty",
        "fillcolor": "rgba(111,111,111,0.25)",
        "name": escaped(data.band_label),
    }
    return [line | {"y": [bottom, bottom], "showlegend": False}, line | upper]
