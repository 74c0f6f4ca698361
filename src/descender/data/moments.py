"""Columns of dates and times: the time that went by, and month, weekday and hour as levels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from descender.data.columns import (
    BadCellError,
    Feature,
    Number,
    Odd,
    as_text,
    count,
    is_text,
    missing_feature,
    missing_piece,
)
from descender.data.design import Marks, Piece, moved

if TYPE_CHECKING:
    import pyarrow as pa

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
PARTS = ("month", "weekday", "hour")
DAY = 86_400.0
ISO = "ISO 8601"
SPELLINGS = tuple(
    date + time
    for date in ("%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d")
    for time in ("", " %H:%M", " %H:%M:%S")
)
"""Ways to spell a date, and a time after it, besides ISO 8601."""


@dataclass(frozen=True)
class Moment:
    """A column of dates or times: the days that went by as a number; month, weekday and hour one-hot.

    One feature for each month, weekday and hour that the training rows have: a linear model then follows any
    yearly, weekly or daily course, where a single sine could not.  A part that is constant has no feature; of a part
    with two values the second is enough.  Times with a zone are taken apart in the zone that the training rows have.
    """

    name: str
    zone: str | None
    elapsed: Number
    parts: dict[str, dict[int, float]]
    missing: float
    spelling: str = ISO

    @classmethod
    def learn(cls, name: str, cells: pa.ChunkedArray, spelling: str = ISO) -> Moment:
        """The parts that vary, with the share of each of their values; text is read by its `spelling`."""
        import pyarrow.compute as pc

        cells = _moments(cells, spelling)
        zone = getattr(cells.type, "tz", None)
        missing = cells.null_count / len(cells)
        known = pc.drop_null(cells)
        elapsed = Number.learn(f"{name}: days", _days(known)) if len(known) else Number(name, 0.0, 0.0, 1.0)
        parts: dict[str, dict[int, float]] = {}
        for part in PARTS:
            counts = np.bincount(_part(known, zone, part).to_numpy(), minlength=1)
            seen = np.flatnonzero(counts)
            if len(seen) > 1:
                parts[part] = {int(value): float(counts[value] / len(cells)) for value in seen}
        return cls(name, zone, elapsed, parts, missing, spelling)

    @property
    def dropped(self) -> str | None:
        """Why the column is no feature, if so."""
        if self.missing == 1:
            return "no value"
        return None if self.parts or self.elapsed.scale else "constant"

    @property
    def told(self) -> str | None:
        """What a reader should know about it."""
        if self.dropped:
            return None
        constant = [part for part in PARTS if part not in self.parts]
        left_out = [f"the {' and the '.join(constant)} is constant: left out"] if constant else []
        read = [f"read as {self.spelling}"] if self.spelling != ISO else []
        return f"{self.name}: {'; '.join([*read, *left_out])}" if read or left_out else None

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """The days, the values of month, weekday and hour, and whether the moment is missing."""
        days = tuple(feature._replace(column=self.name) for feature in self.elapsed.features)
        values = tuple(
            Feature(f"{self.name}: {part} = {_label(part, value)}", self.name, part, self.parts[part][value], 1.0)
            for part in self.parts
            for value in self._shown(part)
        )
        return days + values + missing_feature(self.name, self.missing)

    def _shown(self, part: str) -> list[int]:
        values = list(self.parts[part])
        return values[1:] if len(values) == 2 else values

    def encode(self, cells: pa.ChunkedArray, dtype: Any = np.float64, odd: Odd | None = None) -> Iterator[Piece]:
        """Take the cells apart."""
        import pyarrow.compute as pc

        cells = _moments(cells, self.spelling)
        at = len(self.elapsed.features)
        if at:
            yield from self.elapsed.encode(_days(cells), dtype)
        for part in self.parts:
            shown = self._shown(part)
            slots = np.full(32, -1)
            slots[shown] = np.arange(len(shown))
            values = pc.fill_null(_part(cells, self.zone, part), 31).to_numpy()
            yield from moved([Marks(0, len(shown), slots[values])], at)
            at += len(shown)
        unknown = cells.is_null().to_numpy()
        count(odd, "missing", unknown)
        yield from missing_piece(self, unknown)


def _days(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Days since 1970, with their fraction."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_date(cells.type):
        return pc.cast(cells.cast(pa.date32()).cast(pa.int32()), pa.float64())
    per_day = DAY / {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}[cells.type.unit]
    return pc.divide(pc.cast(cells.cast(pa.int64()), pa.float64(), safe=False), per_day)


def _label(part: str, value: int) -> str:
    return WEEKDAYS[value] if part == "weekday" else str(value)


def _part(cells: pa.ChunkedArray, zone: str | None, part: str) -> pa.ChunkedArray:
    """The month (1-12), weekday (0-6 from Monday) or hour (0-23) of each cell, in the zone."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_timestamp(cells.type) and cells.type.tz is not None:
        utc = cells.cast(pa.timestamp(cells.type.unit))
        plain = zone in (None, "UTC", "Etc/UTC", "+00:00")
        cells = utc if plain else pc.local_timestamp(cells.cast(pa.timestamp(cells.type.unit, zone)))
    if part == "hour" and pa.types.is_date(cells.type):
        return pa.chunked_array([pa.nulls(len(cells), pa.int64()).fill_null(0)])
    take = {"month": pc.month, "weekday": pc.day_of_week, "hour": pc.hour}[part]
    return take(cells)


def _moments(cells: pa.ChunkedArray, spelling: str = ISO) -> pa.ChunkedArray:
    """Dates and times as such; text that spells them is read."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_timestamp(cells.type) or pa.types.is_date(cells.type):
        return cells
    if pa.types.is_null(cells.type):
        return cells.cast(pa.timestamp("us"))
    if not is_text(cells.type):
        raise BadCellError(0, f"is a {cells.type}: expected dates or times, as in training")
    text = as_text(cells)
    if spelling == ISO:
        return _read_iso(text)
    read = _read(text, spelling)
    wrong = pc.and_(pc.is_valid(text), pc.is_null(read)).to_numpy()
    if wrong.any():
        first = int(wrong.argmax())
        raise BadCellError(
            first, f'is "{text[first].as_py()[:40]}": expected dates or times as {spelling}, as in training'
        )
    return read


def _read_iso(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """ISO 8601 text as moments; in UTC where it tells a zone."""
    import pyarrow as pa

    wrong: Exception | None = None
    for zone in (None, "UTC"):
        try:
            return text.cast(pa.timestamp("us", zone))
        except pa.ArrowInvalid as error:
            wrong = wrong or error
    raise BadCellError(0, f"holds text: expected dates or times, as in training ({wrong})") from None


def _read(text: pa.ChunkedArray, spelling: str) -> pa.ChunkedArray:
    """Text as moments, missing where it is not spelt so."""
    import pyarrow.compute as pc

    return pc.strptime(pc.utf8_trim_whitespace(text), format=spelling, unit="us", error_is_null=True)


def spelling_of_moments(text: pa.ChunkedArray) -> str | None:
    """How all cells of a column of text spell dates or times; None where they do not.

    Of two that fit, as month and day may be exchanged, the first of ``SPELLINGS``: the one with the month before.

    >>> import pyarrow as pa
    >>> spelling_of_moments(pa.chunked_array([["2020-02-29", None]]))
    'ISO 8601'
    >>> spelling_of_moments(pa.chunked_array([["24/12/2020 18:30", "1/2/2021 7:05"]]))
    '%d/%m/%Y %H:%M'
    """
    import pyarrow.compute as pc

    known = pc.drop_null(text)
    head = known.slice(0, 100)
    if len(known) and pc.all(pc.match_substring_regex(head, r"^\d{4}-\d\d-\d\d")).as_py():
        try:
            _read_iso(known)
            return ISO
        except BadCellError:
            return None
    if not len(known) or not pc.all(pc.match_substring_regex(head, r"^\s*\d{1,4}[-/.]\d\d?[-/.]\d{2,4}\b")).as_py():
        return None
    return next((s for s in SPELLINGS if not _read(head, s).null_count and not _read(known, s).null_count), None)
