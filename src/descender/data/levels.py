"""Columns of categories and of moments: features that are 1 for one level and 0 for the others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from descender.data.columns import BadCellError, Boolean, Feature, Number, as_text, is_number, is_text, missing_feature

if TYPE_CHECKING:
    import pyarrow as pa

RARE, NONE = "(rare)", "(missing)"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class Category:
    """A column of text: a feature for each level, 1 where the cell is that level ("one-hot").

    Levels are what enough training rows have, so never more than 1,000; the other values share "(rare)" where
    training rows have any, and missing cells are "(missing)" where training rows have any.  A value that is no
    level is "(rare)" if there is such a level, and else all zeros.  Of two levels one feature is enough: the first
    (or "(rare)") is all zeros.
    """

    name: str
    levels: tuple[str, ...]
    shares: tuple[float, ...]
    dropped: str | None = None
    told: str | None = None

    @classmethod
    def learn(cls, name: str, cells: pa.ChunkedArray) -> Category:
        """Count the values and keep the frequent ones: in 2 training rows, or 10 and 0.1 % of 1,000 or more."""
        import pyarrow.compute as pc

        n = len(cells)
        counted = pc.value_counts(as_text(cells))
        counts = {str(value or NONE): 0 for value in counted.field(0).to_pylist()}
        for value, count in zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True):
            counts[str(value or NONE)] += count
        missing, lumped = counts.pop(NONE, 0), counts.pop(RARE, 0)
        least = 2 if n < 1000 else max(10, math.ceil(n / 1000))
        kept = sorted(value for value in counts if counts[value] >= least)
        dropped = _useless(counts, kept, lumped, n - missing)
        rare = n - missing - sum(counts[value] for value in kept)
        slots = {} if dropped else {value: counts[value] for value in kept} | ({RARE: rare} if rare else {})
        slots |= {NONE: missing} if 0 < missing < n else {}
        few = len(counts) - len(kept)
        values, share = ("value", "shares") if few == 1 else ("values", "share")
        told = f"{name}: {few:,} {values} of fewer than {least:,} training rows {share} {RARE}"
        levels, shares = tuple(slots), tuple(count / n for count in slots.values())
        return cls(name, levels, shares, dropped, told if len(counts) > len(kept) and not dropped else None)

    @property
    def base(self) -> str | None:
        """The level that is all zeros, if there are two."""
        if len(self.levels) != 2:
            return None
        return RARE if RARE in self.levels else self.levels[0]

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """A feature for each level but the base."""
        return tuple(
            Feature(f"{self.name} = {level}", self.name, "level", share, 1.0)
            for level, share in zip(self.levels, self.shares, strict=True)
            if level != self.base
        )

    def write(self, cells: pa.ChunkedArray, out: NDArray[np.floating]) -> None:
        """Write a 1 into the feature of each cell's level."""
        import pyarrow as pa
        import pyarrow.compute as pc

        shown = [level for level in self.levels if level != self.base]
        text = pc.fill_null(as_text(cells), NONE)
        text = pc.if_else(pc.equal(text, ""), NONE, text)
        slots = np.full(len(self.levels) + 1, shown.index(RARE) if RARE in shown else -1)
        slots[: len(self.levels)] = [shown.index(level) if level in shown else -1 for level in self.levels]
        found = pc.index_in(text, value_set=pa.array(self.levels, pa.string()))
        mark(slots[pc.fill_null(found, len(self.levels)).to_numpy()], out)


def _useless(counts: dict[str, int], kept: list[str], lumped: int, present: int) -> str | None:
    """Why no level of a category helps, if so."""
    if present == 0:
        return "no value"
    if len(counts) + (lumped > 0) == 1:
        return "constant"
    if len(counts) > max(2, present / 2):
        return "identifier"
    return None if kept else "rare values only"


def mark(slots: NDArray[np.integer], out: NDArray[np.floating]) -> None:
    """Write a 1 into the feature that `slots` gives for each row; -1 is no feature.

    >>> out = np.zeros((3, 2)); mark(np.array([1, -1, 0]), out); out
    array([[0., 1.], [0., 0.], [1., 0.]])
    """
    rows = np.flatnonzero(slots >= 0)
    out[rows, slots[rows]] = 1.0


@dataclass(frozen=True)
class Moment:
    """A column of dates or times: the year as a number; month, weekday and hour one-hot.

    One feature for each month, weekday and hour that the training rows have: a linear model then follows any
    daily or yearly course, where a single sine could not.  A part that is constant has no feature; of a part with
    two values the second is enough.  Times with a zone are taken apart in the zone that the training rows have.
    """

    name: str
    zone: str | None
    year: Number
    parts: dict[str, dict[int, float]]
    missing: float

    @classmethod
    def learn(cls, name: str, cells: pa.ChunkedArray) -> Moment:
        """The parts that vary, with the share of each of their values."""
        import pyarrow.compute as pc

        zone = getattr(cells.type, "tz", None)
        missing = cells.null_count / len(cells)
        known = pc.drop_null(cells)
        year = Number.learn(f"{name}: year", _parts(known, zone, "year")) if len(known) else Number(name, 0.0, 0.0, 1.0)
        parts: dict[str, dict[int, float]] = {}
        for part in ("month", "weekday", "hour"):
            counts = np.bincount(_parts(known, zone, part).to_numpy(), minlength=1)
            seen = np.flatnonzero(counts)
            if len(seen) > 1:
                parts[part] = {int(value): counts[value] / len(cells) for value in seen}
        return cls(name, zone, year, parts, missing)

    @property
    def dropped(self) -> str | None:
        """Why the column is no feature, if so."""
        if self.missing == 1:
            return "no value"
        return None if self.parts or self.year.scale else "constant"

    @property
    def told(self) -> str | None:
        """What a reader should know about it."""
        constant = [part for part in ("month", "weekday", "hour") if part not in self.parts]
        constant = ["year"] * (not self.year.scale) + constant
        if self.dropped or not constant:
            return None
        return f"{self.name}: the {' and the '.join(constant)} is constant: left out"

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """The year, the values of month, weekday and hour, and whether the moment is missing."""
        year = tuple(feature._replace(column=self.name) for feature in self.year.features)
        values = tuple(
            Feature(f"{self.name}: {part} = {_label(part, value)}", self.name, part, self.parts[part][value], 1.0)
            for part in self.parts
            for value in self._shown(part)
        )
        return year + values + missing_feature(self.name, self.missing)

    def _shown(self, part: str) -> list[int]:
        values = list(self.parts[part])
        return values[1:] if len(values) == 2 else values

    def write(self, cells: pa.ChunkedArray, out: NDArray[np.floating]) -> None:
        """Take the cells apart."""
        import pyarrow.compute as pc

        cells = _moments(cells)
        at = len(self.year.features)
        if at:
            self.year.write(_parts(cells, self.zone, "year"), out[:, :at])
        for part in self.parts:
            shown = self._shown(part)
            slots = np.full(32, -1)
            slots[shown] = np.arange(len(shown))
            values = pc.fill_null(_parts(cells, self.zone, part), 31).to_numpy()
            mark(slots[values], out[:, at : at + len(shown)])
            at += len(shown)
        if 0 < self.missing < 1:
            out[:, at] = cells.is_null().to_numpy()


def _label(part: str, value: int) -> str:
    return WEEKDAYS[value] if part == "weekday" else str(value)


def _parts(cells: pa.ChunkedArray, zone: str | None, part: str) -> pa.ChunkedArray:
    """The year, month (1-12), weekday (0-6 from Monday) or hour (0-23) of each cell, in the zone."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_timestamp(cells.type) and cells.type.tz is not None:
        utc = cells.cast(pa.timestamp(cells.type.unit))
        plain = zone in (None, "UTC", "Etc/UTC", "+00:00")
        cells = utc if plain else pc.local_timestamp(cells.cast(pa.timestamp(cells.type.unit, zone)))
    if part == "hour" and pa.types.is_date(cells.type):
        return pa.chunked_array([pa.nulls(len(cells), pa.int64()).fill_null(0)])
    take = {"year": pc.year, "month": pc.month, "weekday": pc.day_of_week, "hour": pc.hour}[part]
    return take(cells)


def _moments(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Dates and times as such; text that spells them is read."""
    import pyarrow as pa

    if pa.types.is_timestamp(cells.type) or pa.types.is_date(cells.type):
        return cells
    if pa.types.is_null(cells.type):
        return cells.cast(pa.timestamp("us"))
    if is_text(cells.type):
        try:
            return as_text(cells).cast(pa.timestamp("us"))
        except pa.ArrowInvalid as error:
            raise BadCellError(0, f"holds text: expected dates or times, as in training ({error})") from None
    raise BadCellError(0, f"is a {cells.type}: expected dates or times, as in training")


Column = Number | Boolean | Category | Moment


def kind_of(type_: pa.DataType) -> type[Number] | type[Boolean] | type[Category] | type[Moment] | None:
    """The kind of a column by its Arrow type; None for what is no feature, such as lists."""
    import pyarrow as pa

    if pa.types.is_boolean(type_):
        return Boolean
    if is_number(type_) or pa.types.is_time(type_) or pa.types.is_duration(type_) or pa.types.is_null(type_):
        return Number
    if is_text(type_):
        return Category
    if pa.types.is_timestamp(type_) or pa.types.is_date(type_):
        return Moment
    return None
