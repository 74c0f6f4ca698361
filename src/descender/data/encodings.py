"""Text files of any encoding as UTF-8: UTF-16, GB18030 and Latin-1 are told apart and rewritten beside."""

from __future__ import annotations

import codecs
import contextlib
import gzip
import re
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from descender.errors import DataError

GZIP = b"\x1f\x8b"
PIECE = 1 << 20
HIGH_PAIR = re.compile(rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]")
COMMON_PAIR = re.compile(rb"[\xa1-\xf7][\xa1-\xfe]")
"""Two bytes of GB18030 that stand for a common sign (GB 2312); a Latin-1 letter is rarely followed by another one."""


def is_packed(path: Path) -> bool:
    """Whether a file is packed with gzip, whatever it is called."""
    with path.open("rb") as file:
        return file.read(2) == GZIP


def unpacked(path: Path) -> BinaryIO:
    """The bytes of a file, unpacked."""
    return gzip.open(path) if is_packed(path) else path.open("rb")  # type: ignore[return-value]


@contextlib.contextmanager
def as_utf8(path: Path, shown: str, notes: list[str], thorough: bool = False) -> Iterator[Path]:
    """The file itself if it is UTF-8, else a copy that is, for as long as it is read; what was assumed is noted.

    Without `thorough` only the first MiB is looked at, and a later sign that is none is left to the reader.
    """
    found = _looked_at(path, shown, thorough)
    if found is None:
        yield path
        return
    encoding, line = found
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "text.csv"
        mixed, others = _rewrite(path, copy, encoding)
        if encoding.startswith("utf-16"):
            pass
        elif mixed:
            notes.append(
                f"{shown} mixes encodings: {others:,} of its lines are not UTF-8 text, the first is line {line:,}: "
                f"read as {_name(encoding)}"
            )
        else:
            notes.append(
                f"{shown} is not UTF-8 text: read as {_name(encoding)} (line {line:,} is the first that tells)"
            )
        yield copy


def _name(encoding: str) -> str:
    return {"cp1252": "Latin-1", "gb18030": "GB18030"}[encoding]


def _looked_at(path: Path, shown: str, thorough: bool) -> tuple[str, int] | None:
    """The encoding of what is not UTF-8, and the first line that tells; None for UTF-8."""
    decoder, line, before = codecs.getincrementaldecoder("utf-8")(), 1, b""
    try:
        with unpacked(path) as file:
            while piece := file.read(PIECE):
                if line == 1 and not before and piece[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                    return "utf-16", 1
                if b"\0" in piece:
                    raise DataError(f"{shown} is a binary file: expected CSV, Parquet, JSON lines or .npy")
                try:
                    decoder.decode(piece)
                except UnicodeDecodeError as error:
                    rest = before[-3:] + piece
                    at = max(error.start - 3, 0)
                    line += piece[: error.start].count(b"\n")
                    return _guessed(rest[at:] + file.read(PIECE)), line
                if not thorough:
                    return None
                line += piece.count(b"\n")
                before = piece
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise DataError(f"{shown} is a damaged gzip file ({error}): pack it again or give the unpacked file") from None
    return None


def _guessed(text: bytes) -> str:
    """GB18030 if it can be read as such and nearly all its pairs are common signs, else Latin-1.

    >>> _guessed("价格,城市".encode("gb18030")), _guessed("café,Zürich,año".encode("latin-1"))
    ('gb18030', 'cp1252')
    """
    lines = b"\n".join(line for line in text.split(b"\n")[:-1] or [text] if not line.isascii() and not _is_utf8(line))
    try:
        lines.decode("gb18030")
    except UnicodeDecodeError:
        return "cp1252"
    pairs = HIGH_PAIR.findall(lines)
    common = sum(COMMON_PAIR.fullmatch(pair) is not None for pair in pairs)
    return "gb18030" if pairs and common >= 0.9 * len(pairs) else "cp1252"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _rewrite(path: Path, copy: Path, encoding: str) -> tuple[bool, int]:
    """Write the lines as UTF-8; whether some of them were so beyond ASCII already, and how many were not."""
    mixed, others = False, 0
    with unpacked(path) as file, copy.open("wb") as out:
        if encoding == "utf-16":
            for piece in codecs.iterdecode(iter(lambda: file.read(PIECE), b""), encoding, errors="replace"):
                out.write(piece.encode())
            return False, 0
        for line in file:
            if line.isascii():
                out.write(line)
            elif _is_utf8(line):
                mixed = True
                out.write(line)
            else:
                others += 1
                out.write(_decoded(line, encoding).encode())
    return mixed, others


def _decoded(line: bytes, encoding: str) -> str:
    try:
        return line.decode(encoding)
    except UnicodeDecodeError:
        return line.decode("latin-1")
