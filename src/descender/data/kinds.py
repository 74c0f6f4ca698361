"""Which kind of column the cells of the training rows make: by their type, and for text by what it spells."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from descender.data.columns import Boolean, Number, as_text, is_identifier, is_number, is_text, names_rows
from descender.data.entries import Entries, is_entries
from descender.data.levels import Category
from descender.data.moments import Moment, spelling_of_moments
from descender.data.spelling import spells_no_number_on_purpose, spelt_numbers, spelt_times
from descender.data.words import Words, words_a_cell

if TYPE_CHECKING:
    import pyarrow as pa

Column = Number | Boolean | Category | Moment | Words | Entries

KINDS: dict[str, type[Column]] = {
    "number": Number,
    "boolean": Boolean,
    "category": Category,
    "timestamp": Moment,
    "text": Words,
    "sparse matrix": Entries,
}
HOW = {
    "number": "standardised",
    "boolean": "as 0 and 1",
    "category": "one-hot",
    "timestamp": "in parts",
    "text": "as words",
    "sparse matrix": "scaled",
}
SPELT_SHARE, SPELT_VALUES = 0.9, 20
"""From which share of numbers on text with strays is a column of numbers, and how many distinct ones it must exceed."""
POOLED_SHARE = 0.5
"""The share of rows without a level of their own from which a column of words is text, not a category."""


def learn_column(name: str, cells: pa.ChunkedArray) -> Column | None:
    """What a column becomes, learnt from the cells of the training rows; None for what is no feature, such as lists.

    >>> import pyarrow as pa
    >>> learn_column("shop_id", pa.chunked_array([[7, 7, 9, 9]])).levels
    ('7', '9')
    """
    import pyarrow as pa

    kind = cells.type
    if pa.types.is_boolean(kind):
        return Boolean.learn(name, cells)
    if is_text(kind):
        return _learn_text(name, cells)
    if is_number(kind) and names_rows(name) and _are_codes(name, cells):
        found = Category.learn(name, cells)
        return dataclasses.replace(found, told=found.told or f"{name} is called an identifier: read as categories")
    if is_number(kind) or pa.types.is_time(kind) or pa.types.is_duration(kind) or pa.types.is_null(kind):
        return Number.learn(name, cells)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return Moment.learn(name, cells)
    return Entries.learn(name, cells) if is_entries(kind) else None


def _are_codes(name: str, cells: pa.ChunkedArray) -> bool:
    """Whether numbers are whole and repeat."""
    present = cells.drop_null().to_numpy().astype(np.float64)
    present = present[~np.isnan(present)]
    return len(present) > 0 and bool((present == np.floor(present)).all()) and not is_identifier(name, present)


def _are_times(text: pa.ChunkedArray) -> bool:
    """Whether all cells of text spell times of the day; the first tell soon where they do not."""
    import pyarrow.compute as pc

    known = pc.drop_null(text)
    return len(known) > 0 and all(spelt_times(part).null_count == 0 for part in (known.slice(0, 100), known))


def _learn_text(name: str, cells: pa.ChunkedArray) -> Column:
    """Dates that are spelt out, numbers with strays among them, categories, or words."""
    import pyarrow.compute as pc

    text = as_text(cells)
    if spelling := spelling_of_moments(text):
        return Moment.learn(name, text, spelling)
    if _are_times(text):
        return Number.learn(name, text)
    found = Category.learn(name, cells)
    if found.dropped in ("constant", "no value"):
        return found
    head = pc.drop_null(text).slice(0, 1000)
    if 2 * pc.count(spelt_numbers(head)).as_py() >= len(head) and not spells_no_number_on_purpose(text):
        numbers = spelt_numbers(text)
        known, present = pc.count(numbers).as_py(), len(text) - text.null_count
        strays = present - known
        strange = pc.unique(text.filter(pc.and_(text.is_valid(), numbers.is_null()))) if strays else []
        enough = 0.5 if len(strange) == 1 else SPELT_SHARE  # one word for all is a way to say that there is no number
        if known >= enough * present and pc.count_distinct(numbers).as_py() > SPELT_VALUES:
            what = f'"{strange[0].as_py()[:40]}"' if len(strange) == 1 and strays > 1 else "no number"
            note = f"; {strays:,} of its {present:,} values {'is' if strays == 1 else 'are'} {what}: taken as missing"
            told = f"{name} is text that spells numbers" + note * (strays > 0)
            return Number.learn(name, text, spelt=True, told=told)
    if (found.dropped or found.pooled > POOLED_SHARE) and words_a_cell(text) >= 2:
        words = Words.learn(name, text)
        if words.covered >= POOLED_SHARE and words.words:
            return words
    return found


def plain_column(column: Column) -> dict[str, Any]:
    """A column as plain values."""
    return {"kind": kind_name(column)} | dataclasses.asdict(column)


def column_of(values: dict[str, Any]) -> Column:
    """The column of plain values."""
    kind = KINDS[values.pop("kind")]
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    if kind is Moment:
        parts = {part: {int(value): share for value, share in seen.items()} for part, seen in values["parts"].items()}
        values |= {"elapsed": Number(**values["elapsed"]), "parts": parts}
    return kind(**values)


def kind_name(column: Column) -> str:
    """The word for a kind of column."""
    return next(name for name, kind in KINDS.items() if type(column) is kind)
