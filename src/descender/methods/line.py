r"""The lasso's path of one fit as a compiled loop (:mod:`descender.kernels.kinks`), on columns that may become more."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from descender.kernels.kinks import DEPENDENT, DOWN, FULL, LEVEL, compiled
from descender.methods.lasso import lasso

FIRST = 32
TURNS = 10
"""Kinks of a fall for each column, at most."""


class Line:
    r"""The minimum of :math:`\tfrac12 w'Hw - c\cdot w + \lambda |w|_1` as λ falls from `level`; of no column at first.

    The arrays have more room than the `size` columns and the `used` weights that are not zero need: ``places`` are
    these, ``sign`` theirs, ``inverse`` that of their curvatures.  Where it is `lost`, the next fall goes another way.
    """

    def __init__(self, level: float):
        self.size = self.used = 0
        self.level, self.lost = level, False
        self.H, self.c, self.w, self.sign = np.zeros((0, 0)), np.zeros(0), np.zeros(0), np.zeros(0)
        self.places, self.inverse = np.empty(0, dtype=np.intp), np.empty((0, 0))
        self.keep()

    def widen(self, products: NDArray, c: NDArray) -> None:
        """More columns, with their curvatures (new, old and new)."""
        old, self.size = self.size, self.size + len(c)
        if self.size > len(self.H):
            room = 2 * self.size
            self.H, self.c, self.w, self.sign = (_in_more(part, room) for part in (self.H, self.c, self.w, self.sign))
        self.H[old : self.size, : self.size] = products
        self.H[:old, old : self.size] = products[:, :old].T
        self.c[old : self.size] = c

    def keep(self) -> None:
        """Remember where it is."""
        self.kept = self.w.copy(), self.sign.copy(), self.places[: self.used].copy(), self.level

    def back(self) -> None:
        """Go to where it was kept."""
        w, sign, places, self.level = self.kept
        self.w[:], self.sign[:] = 0.0, 0.0
        self.w[: len(w)], self.sign[: len(w)] = w, sign
        self._at(places)

    def _at(self, places: NDArray) -> None:
        """The inverse for these weights."""
        own = self.H[places[:, None], places]
        self.lost = bool(len(places)) and not np.linalg.cond(own) < 1.0 / DEPENDENT
        self.used, self.places = len(places), places.copy()
        self.inverse = np.zeros_like(own) if self.lost else np.linalg.inv(own)

    def fall(self, strength: float, slope: NDArray) -> NDArray:
        """The weights at a lower strength; `slope` is c - Hw here, and follows."""
        how = FULL
        while how == FULL and not self.lost:
            if self.used == len(self.inverse):
                room = min(max(FIRST, 2 * self.used), self.size)
                self.places, self.inverse = _in_more(self.places, room), _in_more(self.inverse, room)
            self.used, self.level, how = compiled()(
                self.H, self.size, slope, self.w, self.sign, self.places, self.inverse, self.used, self.level, strength,
                DEPENDENT, LEVEL, TURNS * self.size + TURNS,
            )  # fmt: skip
            self.lost = how not in (DOWN, FULL)
        return self._anew(strength) if self.lost else self.w[: self.size]

    def _anew(self, strength: float) -> NDArray:
        """The weights by another way; the line goes on from there where it can."""
        m, was = self.size, self.kept[0][: self.size]
        start = np.append(was, np.zeros(m - len(was)))
        self.w[:m] = lasso(self.H[:m, :m], self.c[:m], start, strength)
        self.sign[:m], self.level = np.sign(self.w[:m]), strength
        self._at(np.flatnonzero(self.w[:m]))
        return self.w[:m]


def _in_more(part: NDArray, room: int) -> NDArray:
    """The same in more room, zero where it is new."""
    more = np.zeros((room,) * part.ndim, dtype=part.dtype)
    more[tuple(slice(size) for size in part.shape)] = part
    return more
