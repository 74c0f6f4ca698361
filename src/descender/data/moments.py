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
    refuse_strays,
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
ISO_LIKE = (
    r"^\s*\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
    r"([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?(Z|[+-]\d\d(:?\d\d)?)?)?\s*$"
)
LIKE = r"^\s*\d{1,4}[-/.]\d\d?[-/.]\d{2,4}(?:\D|$)"
"""What begins like a date, however it is spelt."""
SPELT_SHARE = 0.9
"""From which share of dates on text with strays among them is a column of dates."""


@dataclass(frozen=True)
class Moment:
    """A column of dates or times: the days that went by as a number; month, weekday and hour one-hot.

    One feature for each month, weekday and hour that the training rows have: a linear model then follows any
    yearly, weekly or daily course, where a single sine could not.  A part that is constant has no feature; of a part
    with two values the second is enough.  Times with a zone are taken apart in the zone that the training rows have.
    Of text with `strays`, cells that spell no moment are missing; without, they are refused.
    """

    name: str
    zone: str | None
    elapsed: Number
    parts: dict[str, dict[int, float]]
    missing: float
    spelling: str = ISO
    strays: int = 0
    stray: str = ""
    endless: int = 0

    @classmethod
    def learn(cls, name: str, cells: pa.ChunkedArray, spelling: str = ISO) -> Moment:
        """The parts that vary, with the share of each of their values; text is read by its `spelling`."""
        import pyarrow.compute as pc

        strays, stray = 0, ""
        if is_text(cells.type):
            text, cells = as_text(cells), _read(as_text(cells), spelling)
            odd = pc.and_(text.is_valid(), cells.is_null())
            strays = pc.sum(odd).as_py() or 0
            stray = text[pc.index(odd, True).as_py()].as_py()[:40] if strays else ""
        cells, endless = finite_moments(cells)
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
        return cls(name, zone, elapsed, parts, missing, spelling, strays, stray, endless)

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
        verb = "is" if len(constant) == 1 else "are"
        left_out = [f"the {' and the '.join(constant)} {verb} constant: left out"] if constant else []
        read = [f"read as {self.spelling}"] if self.spelling != ISO else []
        if self.strays:
            verb = "is" if self.strays == 1 else "are"
            read.append(f'{self.strays:,} of its values {verb} no date, such as "{self.stray}": taken as missing')
        if self.endless:
            verb = "is" if self.endless == 1 else "are"
            read.append(f"{self.endless:,} of its values {verb} infinite: taken as missing")
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

        cells = self._moments(cells)
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

    def _moments(self, cells: pa.ChunkedArray) -> pa.ChunkedArray:
        """Dates and times as such; text that spells them is read."""
        import pyarrow as pa

        if pa.types.is_timestamp(cells.type) or pa.types.is_date(cells.type):
            return finite_moments(cells)[0]
        if pa.types.is_null(cells.type):
            return cells.cast(pa.timestamp("us"))
        if not is_text(cells.type):
            raise BadCellError(0, f"is a {cells.type}: expected dates or times, as in training")
        text = as_text(cells)
        read = _read(text, self.spelling)
        if not self.strays:
            zoned = "" if self.zone is None else " with their zone"
            spelt = "" if self.spelling == ISO else f" as {self.spelling}"
            refuse_strays(text, read, f"dates or times{zoned}{spelt}")
        return read


def finite_moments(cells: pa.ChunkedArray) -> tuple[pa.ChunkedArray, int]:
    """Dates or times with those missing that DuckDB means as infinite, the largest numbers there are; and how many.

    >>> import pyarrow as pa
    >>> finite_moments(pa.chunked_array([pa.array([0, 2**31 - 1], pa.date32())]))[1]
    1
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = pa.int32() if pa.types.is_date32(cells.type) else pa.int64()
    largest = 2 ** (whole.bit_width - 1) - 1
    odd = pc.is_in(cells.cast(whole), pa.array([largest, -largest, -largest - 1], whole))
    count = pc.sum(odd).as_py() or 0
    return (pc.if_else(odd, pa.scalar(None, cells.type), cells) if count else cells), count


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


def _read(text: pa.ChunkedArray, spelling: str) -> pa.ChunkedArray:
    """Text as moments, missing where it is not spelt so; of ISO 8601 in UTC where it tells a zone."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if spelling != ISO:
        return pc.strptime(pc.utf8_trim_whitespace(text), format=spelling, unit="us", error_is_null=True)
    like = pc.if_else(pc.match_substring_regex(text, ISO_LIKE), text, pa.scalar(None, text.type))
    like = pc.replace_substring_regex(pc.utf8_trim_whitespace(like), r"(\.\d{6})\d+", r"\1")
    zoned = pc.match_substring_regex(like, r":\d\d(\.\d+)?(Z|[+-]\d\d(:?\d\d)?)$")
    zone = "UTC" if pc.any(zoned).as_py() else None
    if zone:  # among moments with a zone those without one are unknown
        like = pc.if_else(zoned, like, pa.scalar(None, like.type))
    try:
        return like.cast(pa.timestamp("us", zone))
    except pa.ArrowInvalid:  # a day that its month does not have
        cells = [_moment(cell, zone) for cell in like.to_pylist()]
        return pa.chunked_array([pa.array(cells, pa.timestamp("us", zone))])


def _moment(cell: str | None, zone: str | None) -> Any:
    """One cell of ISO 8601, or None where it is none."""
    import pyarrow as pa

    try:
        return pa.scalar(cell).cast(pa.timestamp("us", zone)) if cell else None
    except pa.ArrowInvalid:
        return None


def spelling_of_moments(text: pa.ChunkedArray) -> str | None:
    """How the cells of a column of text spell dates or times; None where more than a tenth of them do not.

    Of those that most cells fit it is the first of ``SPELLINGS``, as month and day may be exchanged: the one with the
    month before.

    >>> import pyarrow as pa
    >>> spelling_of_moments(pa.chunked_array([["2020-02-29", None]]))
    'ISO 8601'
    >>> spelling_of_moments(pa.chunked_array([["24/12/2020 18:30", "1/2/2021 7:05"]]))
    '%d/%m/%Y %H:%M'
    """
    import pyarrow.compute as pc

    known = pc.drop_null(text)
    head = known.slice(0, 100)
    if not len(known) or pc.mean(pc.match_substring_regex(head, LIKE).cast("double")).as_py() < SPELT_SHARE:
        return None
    best, fewest = None, int((1.0 - SPELT_SHARE) * len(known)) + 1
    for spelling in (ISO, *SPELLINGS):
        if fewest and _read(head, spelling).null_count <= (1.0 - SPELT_SHARE) * len(head):
            strays = _read(known, spelling).null_count
            best, fewest = (spelling, strays) if strays < fewest else (best, fewest)
    return best
