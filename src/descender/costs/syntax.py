"""The text of a formula as a tree of Python's parser, and errors that point at the place.

Nothing of the text is executed.
"""

from __future__ import annotations

import ast
import keyword
import re
import unicodedata
import warnings
from collections.abc import Callable

from descender.errors import FormulaError

LONGEST_TEXT, LARGEST = 10_000, 1e300
WRITING = "write products with * (2*x, not 2x or 2 x), powers with ** or ^, and functions with brackets, as in sin(x)"


def identifier(name: str) -> str:
    """The name as Python's parser would give it (NFKC)."""
    return unicodedata.normalize("NFKC", name)


def flat(text: str) -> str:
    """The text on one line, with the mathematicians' signs as Python has them; no character moves."""
    return re.sub(r"\s", " ", text).translate(str.maketrans("\u2212\u00d7\u00b7\u22c5\u00f7", "-***/"))


def complaint(text: str, start: int, end: int, problem: str, advice: str) -> FormulaError:
    """The error whose message shows the formula with carets under the place."""
    text = re.sub("[\0-\x1f\ud800-\udfff]", "?", text)
    end = max(end, start + 1)
    first = max(0, start - 60)
    window = text[first : max(first + 100, start + 20)]
    carets = " " * (start - first) + "^" * max(1, min(end - first, len(window) + 1) - (start - first))
    lead, tail = "..." if first else "", "..." if first + len(window) < len(text) else ""
    return FormulaError(f"{problem}\n    {lead}{window}{tail}\n    {' ' * len(lead)}{carets}\n{advice}")


def syntax_tree(text: str) -> tuple[ast.expr, Callable[[int], int]]:
    """The parsed text, ``^`` read as ``**``, and the map from the parser's columns to positions in the text."""
    if len(text) > LONGEST_TEXT:
        raise FormulaError(f"the formula has {len(text):,} characters, at most {LONGEST_TEXT:,} are read: shorten it")
    shown = flat(text)
    if not shown.strip():
        raise FormulaError('the formula is empty: type a cost, such as "(x - 3)**2"')
    _screen(shown)
    lead = len(shown) - len(shown.lstrip())
    pieces = ["**" if c == "^" else c for c in shown[lead:]]
    source = "".join(pieces)
    origin = [lead + i for i, piece in enumerate(pieces) for _ in piece] + [len(shown)]
    encoded = source.encode(errors="replace")

    def position(column: int) -> int:
        return origin[min(len(encoded[:column].decode(errors="replace")), len(source))]

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _syntax_complaint(error, shown, origin) from None
    return tree, position


def _syntax_complaint(error: BaseException, text: str, origin: list[int]) -> FormulaError:
    """Say in the words of formulas what Python's parser found."""
    message, offset = str(error), getattr(error, "offset", 1)
    at = origin[min(offset - 1, len(origin) - 1)] if offset else len(text)
    if not isinstance(error, SyntaxError) or "too many nested" in message:
        return complaint(text, at, at + 1, "the formula is too long or nested too deeply", "split it or simplify it")
    if "digits" in message:
        return complaint(text, at, at + 1, "this number has too many digits", f"numbers up to {LARGEST:g} are read")
    if "never closed" in message:
        problem = "this bracket is never closed"
    elif "unmatched" in message or "does not match" in message:
        problem = "this bracket closes nothing"
    else:
        problem = "the formula cannot be read from here" if text[at:].strip() else "the formula ends too early"
    return complaint(text, at, at + 1, problem, WRITING)


def _screen(text: str) -> None:
    """Refuse what the parser would accept or misplace: other statements, reserved words, comments."""
    if match := re.match(r"\s*[^\W\d]\w*\s*=(?!=)", text):
        advice = f"type only the right-hand side: {text[match.end() :].strip()}"
        raise complaint(text, match.end() - 1, match.end(), "a formula has no =", advice)
    if match := re.search(r"[#\\\"'`\0\ud800-\udfff]", text):
        advice = "a formula is numbers, names, + - * / ** and functions"
        raise complaint(text, match.start(), match.end(), f"unexpected character {match.group()!r}", advice)
    for match in re.finditer(r"[^\W\d]\w*", text):
        if keyword.iskeyword(word := match.group()):
            advice = f"a variable needs another name, such as {word}_; conditions are written with max, min or abs"
            raise complaint(text, match.start(), match.end(), f"{word} is a reserved word of Python", advice)


def chain(node: ast.BinOp, kinds: tuple[type, ...]) -> tuple[ast.expr, list[tuple[ast.operator, ast.expr]]]:
    """A left-leaning chain of operators, read without recursion: long sums are flat, not deep."""
    rest: list[tuple[ast.operator, ast.expr]] = []
    first: ast.expr = node
    while isinstance(first, ast.BinOp) and isinstance(first.op, kinds):
        rest.append((first.op, first.right))
        first = first.left
    return first, rest[::-1]
