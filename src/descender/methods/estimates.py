"""How a gradient is read: from all samples, or estimated from a batch of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Batches(NamedTuple):
    """The samples of some consecutive steps: those of step i are ``order[starts[i]:stops[i]]``."""

    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    stops: NDArray[np.intp]
    epoch_ends: bool

    def take(self, first: int, count: int) -> Batches:
        """Steps `first` to `first + count` of these."""
        last = min(first + count, len(self.starts))
        return Batches(self.order, self.starts[first:last], self.stops[first:last], last == len(self.starts))


def mini_batches(n_samples: int, batch_size: int, rng: np.random.Generator, shuffle: bool = True) -> Iterator[Batches]:
    """For each epoch all samples in a new random order, cut into batches; the last may be smaller.

    >>> first = next(mini_batches(5, 2, np.random.default_rng(0)))
    >>> [len(first.order[a:b]) for a, b in zip(first.starts, first.stops)]
    [2, 2, 1]
    """
    starts = np.arange(0, n_samples, batch_size, dtype=np.intp)
    stops = np.minimum(starts + batch_size, n_samples)
    order = np.arange(n_samples, dtype=np.intp)
    while True:
        yield Batches(rng.permutation(order) if shuffle else order, starts, stops, True)


def random_batches(n_samples: int, batch_size: int, rng: np.random.Generator) -> Iterator[Batches]:
    """Batches of different samples, each drawn from all of them anew; an epoch is as many as would read all.

    >>> first = next(random_batches(5, 2, np.random.default_rng(0)))
    >>> len(first.order), first.stops
    (6, array([2, 4, 6]))
    """
    size = min(batch_size, n_samples)
    stops = np.arange(size, size * -(-n_samples // size) + 1, size, dtype=np.intp)
    while True:
        order = rng.integers(0, n_samples, (len(stops), size), dtype=np.intp)
        if size > 1:
            ordered = np.sort(order, axis=1)
            for k in np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1)):
                order[k] = rng.choice(n_samples, size, replace=False)
        yield Batches(order.ravel(), stops - size, stops, True)


def full_batch(n_samples: int | None, steps: int) -> Batches:
    """All samples at every step."""
    n = n_samples or 0
    zeros = np.zeros(steps, dtype=np.intp)
    return Batches(np.arange(n, dtype=np.intp), zeros, zeros + n, True)
