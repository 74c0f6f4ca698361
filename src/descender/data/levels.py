"""Columns of categories: features that are 1 for one level and 0 for the others."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from descender.data.columns import Feature, Odd, as_text, count
from descender.data.design import Marks, Piece

if TYPE_CHECKING:
    import pyarrow as pa

RARE, NONE = "(rare)", "(missing)"
MOST_LEVELS = 10_000
"""Levels of one column, at most: the most frequent ones."""


def frequent(n: int) -> int:
    """How many of `n` training rows must share a value for a feature of its own: 2, or 10 and 0.1 % of 1,000 or more.

    A thousand rows are always enough.

    >>> [frequent(n) for n in (100, 5_000, 300_000, 10**8)]
    [2, 10, 300, 1000]
    """
    return 2 if n < 1000 else min(max(10, math.ceil(n / 1000)), 1000)


@dataclass(frozen=True)
class Category:
    """A column of text: a feature for each level, 1 where the cell is that level ("one-hot").

    Levels are what :func:`frequent` training rows have; the other values share "(rare)" where training rows have any,
    and missing cells are "(missing)" where training rows have any.  A value that is no level is "(rare)" if there is
    such a level, and else all zeros.  Of two levels one feature is enough: the first (or "(rare)") is all zeros.
    """

    name: str
    levels: tuple[str, ...]
    shares: tuple[float, ...]
    dropped: str | None = None
    told: str | None = None

    @classmethod
    def learn(cls, name: str, cells: pa.ChunkedArray) -> Category:
        """Count the values and keep the frequent ones."""
        import pyarrow as pa
        import pyarrow.compute as pc

        n = len(cells)
        counted = pc.value_counts(_spelt(cells))
        values, times = counted.field(0), counted.field(1)
        special = {word: pc.sum(pc.filter(times, pc.equal(values, word))).as_py() or 0 for word in (NONE, RARE)}
        missing, lumped = special[NONE], special[RARE]
        plain = pc.invert(pc.is_in(values, value_set=pa.array([NONE, RARE])))
        values, times = values.filter(plain), times.filter(plain)
        least = frequent(n)
        enough = pc.greater_equal(times, least)
        kept = dict(zip(values.filter(enough).to_pylist(), times.filter(enough).to_pylist(), strict=True))
        if len(kept) > MOST_LEVELS:
            kept = dict(sorted(kept.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_LEVELS])
            least = min(kept.values())
        dropped = _useless(len(values), len(kept), lumped, n - missing)
        rare = n - missing - sum(kept.values())
        slots = {} if dropped else dict(sorted(kept.items())) | ({RARE: rare} if rare else {})
        slots |= {NONE: missing} if 0 < missing < n else {}
        few = len(values) - len(kept)
        words, share = ("value", "shares") if few == 1 else ("values", "share")
        told = f"{name}: {few:,} {words} of fewer than {least:,} training rows {share} {RARE}"
        levels, shares = tuple(slots), tuple(times / n for times in slots.values())
        return cls(name, levels, shares, dropped, told if few and not dropped else None)

    @property
    def base(self) -> str | None:
        """The level that is all zeros, if there are two."""
        if len(self.levels) != 2:
            return None
        return RARE if RARE in self.levels else self.levels[0]

    @cached_property
    def whole(self) -> bool:
        """Whether all levels are spelt as whole numbers."""
        return all(re.fullmatch(r"-?\d+", level) for level in self.levels if level not in (RARE, NONE))

    @property
    def pooled(self) -> float:
        """The share of the training rows whose value is no level of its own."""
        return dict(zip(self.levels, self.shares, strict=True)).get(RARE, 0.0)

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """A feature for each level but the base."""
        return tuple(
            Feature(f"{self.name} = {level}", self.name, "level", share, 1.0)
            for level, share in zip(self.levels, self.shares, strict=True)
            if level != self.base
        )

    def encode(self, cells: pa.ChunkedArray, dtype: Any = np.float64, odd: Odd | None = None) -> Iterator[Piece]:
        """Which level each cell is."""
        import pyarrow as pa
        import pyarrow.compute as pc

        shown = [level for level in self.levels if level != self.base]
        places = {level: place for place, level in enumerate(shown)}
        rare = places.get(RARE, -1)
        slots = np.array([*(places.get(level, -1) for level in self.levels), rare])
        text = _spelt(cells)
        if self.whole:  # 7.0 is how some write the number of shop 7
            text = pc.replace_substring_regex(text, r"^(-?\d+)\.0*$", r"\1")
        found = pc.index_in(text, value_set=pa.array(self.levels, pa.string()))
        found = pc.fill_null(found, len(self.levels)).to_numpy()
        if odd is not None:
            none = pc.equal(text, NONE).to_numpy()
            count(odd, "missing", none)
            count(odd, "rare", (found == len(self.levels)) & ~none)
        yield Marks(0, len(shown), slots[found])


def _spelt(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """The cells as text; what is missing or empty is NONE."""
    import pyarrow.compute as pc

    text = pc.fill_null(as_text(cells), NONE)
    return pc.if_else(pc.equal(text, ""), NONE, text)


def _useless(values: int, kept: int, lumped: int, present: int) -> str | None:
    """Why no level of a category helps, if so."""
    if present == 0:
        return "no value"
    if values + (lumped > 0) == 1:
        return "constant"
    if values > max(2, present / 2):
        return "identifier"
    return None if kept else "rare values only"
