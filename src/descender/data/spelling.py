"""Numbers as people write them: with a decimal comma, thousands set apart, a currency or a percent sign."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

NUMBER = r"^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$|^(?i:[-+]?inf(?:inity)?|nan)$"
SIGNS = r"[$€£¥₹]"
"""Signs of currencies, which may stand before or behind an amount."""
SPACE = r"\s\x{a0}\x{202f}"
GROUPED = {
    False: rf"^[-+]?\d{{1,3}}(?:[,'{SPACE}]\d{{3}})+(?:\.\d*)?$",
    True: rf"^[-+]?\d{{1,3}}(?:[.'{SPACE}]\d{{3}})+(?:,\d*)?$",
}
"""Thousands set apart, with a decimal point and with a decimal comma."""
TRUE, FALSE = ("true", "t", "yes", "y", "1", "1.0"), ("false", "f", "no", "n", "0", "0.0")
"""Truth values, in small letters."""
TIME = r"^(?P<h>[01]\d|2[0-3]):(?P<m>[0-5]\d)(?::(?P<s>[0-5]\d(?:\.\d{1,6})?))?$"
DECIMAL_COMMA = r"^[-+]?\d*,(?:\d{1,2}|\d{4,})$|^[-+]?\d{1,3}(?:[.\s]\d{3})+,\d+$"
"""What can only be a decimal comma."""


def spelt_numbers(cells: pa.ChunkedArray, comma: bool = False) -> pa.ChunkedArray:
    """Text as float64, missing where it spells no number; with `comma` a comma is the decimal sign.

    >>> import pyarrow as pa
    >>> spelt_numbers(pa.chunked_array([["1,234.5", " 7 ", "12 %", "$3", "soon", None]])).to_pylist()
    [1234.5, 7.0, 12.0, 3.0, None, None]
    >>> spelt_numbers(pa.chunked_array([["1.234,5", "0,25", "-3"]]), comma=True).to_pylist()
    [1234.5, 0.25, -3.0]
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pc.utf8_trim_whitespace(cells)
    text = pc.replace_substring_regex(text, rf"^([-+]?){SIGNS}\s?", r"\1")
    text = pc.replace_substring_regex(text, rf"\s?(?:{SIGNS}|%)$", "")
    grouped = pc.match_substring_regex(text, GROUPED[comma])
    if pc.any(grouped).as_py():
        text = pc.if_else(
            grouped, pc.replace_substring_regex(text, rf"[.'{SPACE}]" if comma else rf"[,'{SPACE}]", ""), text
        )
    if comma:
        text = pc.replace_substring(text, ",", ".")
    spelt = pc.match_substring_regex(text, NUMBER)
    return pc.cast(pc.if_else(spelt, text, pa.scalar(None, pa.string())), pa.float64())


def spelt_truths(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text as truth values, missing where it spells none.

    >>> import pyarrow as pa
    >>> spelt_truths(pa.chunked_array([["Yes", "no", " TRUE", "0", "maybe", None]])).to_pylist()
    [True, False, True, False, None, None]
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pc.utf8_lower(pc.utf8_trim_whitespace(cells))
    known = pc.is_in(text, value_set=pa.array(TRUE + FALSE))
    return pc.if_else(known, pc.is_in(text, value_set=pa.array(TRUE)), pa.scalar(None, pa.bool_()))


def spelt_times(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text as seconds of the day, missing where it spells no time of day.

    >>> import pyarrow as pa
    >>> spelt_times(pa.chunked_array([["07:30", "00:01:30.5", "25:00", "7", None]])).to_pylist()
    [27000.0, 90.5, None, None, None]
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = pc.extract_regex(pc.utf8_trim_whitespace(cells), TIME)
    hours, minutes, seconds = (pc.struct_field(parts, k) for k in range(3))
    seconds = pc.if_else(pc.equal(seconds, ""), "0", seconds)
    h, m, s = (part.cast(pa.float64()) for part in (hours, minutes, seconds))
    return pc.add(pc.add(pc.multiply(h, 3600.0), pc.multiply(m, 60.0)), s)


def has_decimal_commas(cells: pa.ChunkedArray) -> bool:
    """Whether a comma in some cell can only be a decimal one.

    >>> import pyarrow as pa
    >>> has_decimal_commas(pa.chunked_array([["1,25"]])), has_decimal_commas(pa.chunked_array([["1,250"]]))
    (True, False)
    """
    import pyarrow.compute as pc

    return bool(pc.any(pc.match_substring_regex(pc.utf8_trim_whitespace(cells), DECIMAL_COMMA)).as_py())


def spells_no_number_on_purpose(cells: pa.ChunkedArray) -> bool:
    """Whether some cell has a zero that a number would lose, as postal codes have.

    >>> import pyarrow as pa
    >>> spells_no_number_on_purpose(pa.chunked_array([["02134"]]))
    True
    """
    import pyarrow.compute as pc

    return bool(pc.any(pc.match_substring_regex(cells, r"^\s*[-+]?0\d")).as_py())
