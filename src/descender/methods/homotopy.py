r"""The lasso's path from kink to kink, for several fits side by side.

Between two kinks the weights are straight lines of the strength: those that are not zero keep their signs s and move by
:math:`K s` a unit, K the inverse of their curvatures.  The strength falls to where the slope of another weight is as
large as it, or where a weight comes back to zero; then K gains one product of a vector with itself.  On few columns the
calls are what a kink costs, so that all folds of a path go from kink to kink together.

M. Osborne, B. Presnell, B. Turlach, *A new approach to variable selection in least squares problems*, 2000;
B. Efron and others, *Least angle regression*, 2004.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dger

from descender.kernels.kinks import DEPENDENT, LEVEL

FIRST_SLOTS = 16


class Support(NamedTuple):
    """The weights that are not zero, of each fit in slots of its own.

    ``places`` says whose a slot is and ``signs`` is 0 in one that is free, (F, slots) as the weights ``w``; ``rows``
    are those of the curvatures, (F, slots, d); their ``inverse`` (F, slots, slots) is 0 in free slots.
    """

    places: NDArray[np.intp]
    signs: NDArray
    w: NDArray
    rows: NDArray
    inverse: NDArray

    @classmethod
    def empty(cls, F: int, d: int, slots: int) -> Support:
        """All slots free."""
        places, numbers = np.zeros((F, slots), dtype=np.intp), np.zeros((2, F, slots))
        return cls(places, numbers[0], numbers[1], np.zeros((F, slots, d)), np.zeros((F, slots, slots)))

    def first(self, slots: int) -> Support:
        """Views of the first slots."""
        places, signs, w, rows = (part[:, :slots] for part in self[:4])
        return Support(places, signs, w, rows, self.inverse[:, :slots, :slots])

    def in_more(self, slots: int) -> Support:
        """The same in more slots."""
        F, old, d = self.rows.shape
        more = Support.empty(F, d, slots)
        for there, here in zip(more.first(old), self, strict=True):
            there[...] = here
        return more


class Homotopy:
    r"""The minima of :math:`\tfrac12 w'Hw - c\cdot w + \lambda |w|_1` as λ falls, for H (F, d, d) and c (F, d).

    ``lost`` are fits whose columns are so nearly dependent that no line can be told; they stay where that was.

    >>> path = Homotopy(np.eye(2)[None], np.array([[3.0, -1.0]]))
    >>> path.fall(np.array([4.0, 2.0, 0.5]))[0]
    array([[ 0. ,  1. ,  2.5],
           [ 0. ,  0. , -0.5]])
    """

    def __init__(self, H: NDArray, c: NDArray):
        (F, self.d), self.H, self.slope = c.shape, H, c.copy()
        self.fits, self.turns, self.used = np.arange(F), 10 * self.d + 10, 0
        self.level = np.abs(c).max(axis=1, initial=0.0)
        self.on, self.lost = np.zeros((F, self.d), dtype=np.bool_), np.zeros(F, dtype=np.bool_)
        self.support = Support.empty(F, self.d, FIRST_SLOTS)
        if self.d:
            self._turn(self.lost, 0 * self.fits, self.level > 0.0, np.abs(c).argmax(axis=1))

    @np.errstate(divide="ignore", invalid="ignore", over="ignore")
    def fall(self, strengths: NDArray) -> NDArray:
        """The weights (F, d, strengths) at strengths that fall, and lie below those that were asked for before."""
        W, last = np.zeros((len(self.fits), self.d, len(strengths))), float(strengths[-1])
        asked = np.append(strengths, -np.inf)
        due = np.searchsorted(-strengths, -self.level, side="right")  # above, all weights are still zero
        while True:
            falls = (self.level > last) & ~self.lost
            if not falls.any() or not self.turns:
                break
            self._go(falls, asked, due, W)
        self.lost |= self.level > last
        return W

    def _go(self, falls: NDArray, asked: NDArray, due: NDArray, W: NDArray) -> None:
        """To the next kinks of the fits that fall, or the last strength; what is asked for between goes into W."""
        here, level, last = self.support.first(self.used), self.level, asked[-2]
        move = (here.inverse @ here.signs[:, :, None])[:, :, 0]
        along = (move[:, None, :] @ here.rows)[:, 0]
        enter, entry = _nearest(self._entries(along))
        towards = here.signs * move < 0.0
        leave, exit_ = _nearest(np.where(towards, np.maximum(here.signs * here.w, 0.0) / np.abs(move), np.inf))
        step = np.minimum(np.minimum(entry, exit_), level - last)
        below = np.where(falls, np.where(step < level - last, level - step, last), level)
        for f in np.flatnonzero(falls & (asked[due] >= below)):
            on = np.flatnonzero(here.signs[f])
            while asked[due[f]] >= below[f]:
                W[f, here.places[f, on], due[f]] = here.w[f, on] + (level[f] - asked[due[f]]) * move[f, on]
                due[f] += 1
        step = level - below
        here.w[...] += step[:, None] * move
        self.slope -= step[:, None] * along
        self.level, turns = below, falls & (below > last)
        leaves = turns & (exit_ <= entry)
        self._turn(leaves, leave, turns & ~leaves, enter)
        self.turns -= 1

    def _entries(self, along: NDArray) -> NDArray:
        """How far it is to where each slope is as large as the strength."""
        found = np.full_like(along, np.inf)
        for sign in (-1.0, 1.0):
            far, nearer = self.level[:, None] - sign * self.slope, 1.0 - sign * along
            ahead = np.maximum(far, 0.0) / nearer
            ahead[nearer <= LEVEL] = np.inf
            np.minimum(found, ahead, out=found)
        found[self.on] = np.inf
        return found

    def _turn(self, leaves: NDArray, slot: NDArray, enters: NDArray, j: NDArray) -> None:
        """Free the `slot` of fits that `leaves` marks, and give one to weight j of those that `enters` marks."""
        if self.used == len(self.support.signs[0]):
            self.support = self.support.in_more(2 * self.used)
        here, fits = self.support.first(self.used + 1), self.fits
        row = self.H[fits, j]
        known = row[fits[:, None], here.places]
        v = (here.inverse @ known[:, :, None])[:, :, 0]
        own = row[fits, j]
        left = own - (known * v).sum(axis=1)
        self.lost |= enters & ~(left > DEPENDENT * own)
        enters = enters & ~self.lost
        free = (here.signs == 0).argmax(axis=1)
        v = np.where(leaves[:, None], here.inverse[fits, slot], -v)
        v[enters, free[enters]] = 1.0
        share = np.where(leaves, -1.0 / v[fits, slot], np.where(enters, 1.0 / left, 0.0))
        _add_products(self.support.inverse, share, v)
        f, k = fits[leaves], slot[leaves]
        here.inverse[f, k] = here.inverse[f, :, k] = 0.0
        here.w[f, k] = here.signs[f, k] = 0.0
        self.on[f, here.places[f, k]] = False
        f, k, j = fits[enters], free[enters], j[enters]
        here.rows[f, k], here.places[f, k], here.signs[f, k] = row[enters], j, np.sign(self.slope[f, j])
        self.on[f, j] = True
        self.used = max(self.used, 1 + int(k.max(initial=-1)))


def _add_products(matrices: NDArray, share: NDArray, v: NDArray) -> None:
    """Add to each symmetric matrix a share of its vector, which may be shorter, times itself: in place."""
    whole = np.zeros(matrices.shape[:2])
    whole[:, : v.shape[1]] = v
    for f in np.flatnonzero(share):
        dger(share[f], whole[f], whole[f], a=matrices[f].T, overwrite_a=1)


def _nearest(steps: NDArray) -> tuple[NDArray, NDArray]:
    """The nearest kink of each fit, and how far it is."""
    found = steps.argmin(axis=1)
    return found, steps[np.arange(len(steps)), found]
