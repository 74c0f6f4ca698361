"""Files that were dropped on the page: kept by the hash of their content, so many and no more."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from pathlib import Path

from descender.errors import DataError

KINDS = ("csv", "tsv", "txt", "json", "jsonl", "ndjson", "parquet", "npy")
"""Endings of files that are taken."""
LARGEST = 32 * 2**20
"""Bytes of one file."""
TOTAL, MOST = 256 * 2**20, 64
"""Bytes and number of all files; beyond, the one that was not used for longest goes."""


class Uploads:
    """The files in a folder of the server's own."""

    def __init__(self, folder: Path, largest: int = LARGEST, total: int = TOTAL, most: int = MOST):
        self.folder, self.largest, self.total, self.most = folder, largest, total, most
        self._kept: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, content: bytes, name: str) -> str:
        """Keep a file; what it is called in a question.  The same content is kept once.

        Raises :class:`~descender.errors.DataError` for an empty or too large file, and for a kind that is not read.
        """
        if len(content) > self.largest:
            raise DataError(f"the file has {len(content):,} bytes: the lab takes at most {self.largest:,}")
        if not content.strip():
            raise DataError("the file is empty: expected a header line and rows below it")
        suffix = "".join(Path(name).suffixes[-1:]).lower().removeprefix(".") or "csv"
        if suffix not in KINDS:
            raise DataError(f"a file of kind .{suffix[:20]} is not read here: expected {', '.join(KINDS)}")
        stored = f"{hashlib.sha256(content).hexdigest()[:32]}.{suffix}"
        with self._lock:
            if stored not in self._kept:
                (self.folder / stored).write_bytes(content)
            self._kept[stored] = len(content)
            self._kept.move_to_end(stored)
            while len(self._kept) > self.most or sum(self._kept.values()) > self.total:
                oldest, _ = self._kept.popitem(last=False)
                (self.folder / oldest).unlink(missing_ok=True)
        return f"file:{stored}"
