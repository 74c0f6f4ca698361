"""Columns of short text: a feature for each word that enough training rows have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descender.data.columns import Feature, Odd, as_text, count, missing_feature, missing_piece
from descender.data.design import Bag, Piece
from descender.data.levels import frequent

if TYPE_CHECKING:
    import pyarrow as pa

MOST_WORDS = 2_000
"""Words of one column, at most: the most frequent ones."""
ROWS = 65_536
"""Rows whose words are held at a time."""
NO_LETTER = r"[^\pL\pN]+"
UNSPACED = r"([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}])"
"""Letters of scripts that set no space between words: each counts as a word."""


@dataclass(frozen=True)
class Words:
    """A column of short text: for each word 1 where the cell has it ("bag of words"), whatever its case.

    Words are what :func:`~descender.data.levels.frequent` training rows have, but not all of them.  Other words count
    for nothing, and a missing cell has none; where training rows miss cells, a feature says which.
    """

    name: str
    words: tuple[str, ...]
    shares: tuple[float, ...]
    missing: float
    covered: float
    told: str | None = None

    @classmethod
    def learn(cls, name: str, cells: pa.ChunkedArray) -> Words:
        """Count in how many rows each word stands; ``covered`` is the share of the rows with a word that is kept."""
        import pyarrow as pa
        import pyarrow.compute as pc

        text, n = as_text(cells), len(cells)
        tables = []
        for start in range(0, n, ROWS):
            rows, found = _words(text.slice(start, ROWS))
            coded = found.dictionary_encode()
            pairs = np.unique(rows * (len(coded.dictionary) + 1) + coded.indices.to_numpy())
            times = np.bincount(pairs % (len(coded.dictionary) + 1), minlength=len(coded.dictionary))
            tables.append(pa.table({"word": coded.dictionary, "rows": times}))
        counted = pa.concat_tables(tables).group_by("word").aggregate([("rows", "sum")])
        least = frequent(n)
        enough = pc.and_(pc.greater_equal(counted["rows_sum"], least), pc.less(counted["rows_sum"], n))
        kept = counted.filter(enough).sort_by([("rows_sum", "descending"), ("word", "ascending")]).slice(0, MOST_WORDS)
        known = dict(sorted(zip(kept["word"].to_pylist(), kept["rows_sum"].to_pylist(), strict=True)))
        missing = text.null_count / n
        words = cls(name, tuple(known), tuple(times / n for times in known.values()), missing, 0.0)
        covered = sum(np.count_nonzero(np.diff(bag.indptr)) for bag in words.bags(text)) / n
        told = f"{name} is text: {len(known):,} words of {counted.num_rows:,} are features of their own"
        return cls(name, words.words, words.shares, missing, covered, told)

    dropped = None

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """A feature for each word, and whether the text is missing."""
        words = tuple(
            Feature(f'{self.name} has "{word}"', self.name, "word", share, 1.0)
            for word, share in zip(self.words, self.shares, strict=True)
        )
        return words + missing_feature(self.name, self.missing)

    def encode(self, cells: pa.ChunkedArray, dtype: Any = np.float64, odd: Odd | None = None) -> Iterator[Piece]:
        """Which of the words each cell has, and where they are missing."""
        text = as_text(cells)
        unknown = text.is_null().to_numpy()
        count(odd, "missing", unknown)
        bags = list(self.bags(text))
        ends = np.cumsum([0, *(len(bag.indices) for bag in bags)])
        indptr = [bag.indptr[1:] + end for bag, end in zip(bags, ends, strict=False)]
        indices = np.concatenate([np.zeros(0, np.int64), *(bag.indices for bag in bags)])
        yield Bag(0, len(self.words), np.concatenate([[0], *indptr]), indices, np.ones(len(indices)))
        yield from missing_piece(self, unknown)

    def bags(self, text: pa.ChunkedArray) -> Iterator[Bag]:
        """The words that are features, in pieces of `ROWS` rows."""
        import pyarrow as pa
        import pyarrow.compute as pc

        vocabulary, width = pa.array(self.words, pa.string()), max(len(self.words), 1)
        for start in range(0, len(text), ROWS):
            part = text.slice(start, ROWS)
            rows, found = _words(part)
            places = pc.fill_null(pc.index_in(found, value_set=vocabulary), -1).to_numpy()
            pairs = np.unique(rows[places >= 0] * width + places[places >= 0])
            indptr = np.searchsorted(pairs, np.arange(len(part) + 1) * width)
            yield Bag(0, width, indptr, pairs % width, np.ones(len(pairs)))


def _words(text: pa.ChunkedArray) -> tuple[NDArray[np.int64], pa.Array]:
    """Every word of every cell in small letters, and the row that it stands in."""
    import pyarrow as pa
    import pyarrow.compute as pc

    spaced = pc.replace_substring_regex(pc.utf8_lower(pc.fill_null(text, "")), UNSPACED, r" \1 ")
    lists = pc.split_pattern_regex(spaced, NO_LETTER).combine_chunks()
    lists = lists if isinstance(lists, pa.Array) else pa.concat_arrays(lists.chunks)
    found, rows = pc.list_flatten(lists), pc.list_parent_indices(lists).to_numpy().astype(np.int64)
    there = pc.not_equal(found, "")
    return rows[there.to_numpy(zero_copy_only=False)], found.filter(there)


def words_a_cell(cells: pa.ChunkedArray) -> float:
    """How many words the first cells have on average.

    >>> import pyarrow as pa
    >>> words_a_cell(pa.chunked_array([["late again", "red", None]]))
    1.5
    """
    import pyarrow.compute as pc

    known = pc.drop_null(as_text(cells).slice(0, 2000))
    return len(_words(known)[1]) / len(known) if len(known) else 0.0
