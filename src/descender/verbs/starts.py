"""Many starts: every distinct minimum that a descent finds, and which starts fell into which."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender import cards
from descender.costs.cost import Cost, Vector
from descender.costs.minima import distinct
from descender.errors import CostError, InputError, OptionError, StartError
from descender.methods.bounds import Bounds, read_bounds
from descender.verbs.reading import read_cost
from descender.verbs.stationary import SECONDS, stationary_points
from descender.walk import Walk

MOST = 100_000
"""Starts at most: each is a descent of its own."""
EXAMPLE = '"grid 5x5 -5..5", "sobol 64 -5..5", or an array of points, one a row'


class Minimum(NamedTuple):
    """A minimum, the numbers of the starts that fell into it, their share of all, and the best walk among them."""

    x: Vector
    fun: float
    starts: NDArray[np.int64]
    share: float
    walk: Walk


@dataclass(frozen=True, eq=False)
class Minima(Sequence):
    """The distinct minima that walks from many starts found, the lowest first; printed as a table.

    ``starts`` and ``ends`` are arrays of shape (n, d), ``labels`` tells for each start which minimum it fell into, -1
    for none, and ``statuses`` how its walk ended.
    """

    names: tuple[str, ...]
    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    labels: NDArray[np.int64]
    statuses: tuple[str, ...]
    messages: tuple[str, ...]
    found: tuple[Minimum, ...]
    cost: Cost = field(repr=False)

    def __len__(self) -> int:
        return len(self.found)

    def __getitem__(self, k: Any) -> Any:
        return self.found[k]

    def __iter__(self) -> Iterator[Minimum]:
        return iter(self.found)

    @property
    def lost(self) -> dict[str, list[int]]:
        """The starts that fell into no minimum, by how their walks ended."""
        lost: dict[str, list[int]] = {}
        for k in np.flatnonzero(self.labels < 0).tolist():
            lost.setdefault(self.statuses[k], []).append(k)
        return lost

    def rows(self) -> list[list[Any]]:
        """The table: each minimum's place, its cost, how many starts fell into it, their share."""
        return [[*m.x.tolist(), m.fun, f"{len(m.starts):,}", f"{m.share:.0%}"] for m in self.found]

    def __str__(self) -> str:
        table = [[*self.names, "J", "starts", "share"]]
        table += [[cell if isinstance(cell, str) else f"{cell + 0.0:.6g}" for cell in row] for row in self.rows()]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(cell.rjust(n) for cell, n in zip(row, widths, strict=True)) for row in table]
        lines += [f"{len(k):,} fell into none: {status}, {self.messages[k[0]]}" for status, k in self.lost.items()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        lost = [cards.line(f"{len(k):,} fell into none: {status}") for status, k in self.lost.items()]
        return cards.card("Minima", cards.table([*self.names, "J", "starts", "share"], self.rows()[:50]), *lost)

    def as_json(self) -> list[dict[str, Any]]:
        """Plain data, for JSON."""
        return [
            {"x": dict(zip(self.names, m.x.tolist(), strict=True)), "fun": m.fun}
            | {"starts": len(m.starts), "share": m.share}
            for m in self.found
        ]

    def basins(self) -> Any:
        """What :func:`~descender.pictures.basins.draw_basins` draws: which start fell into which minimum."""
        from descender.pictures.basins import describe_basins

        return describe_basins(self.cost, self.starts, self.ends, labels=self.labels)

    def plot(self, ax: Any = None) -> Any:
        """Draw the basins with Matplotlib; returns the axes."""
        from descender.pictures.basins import draw_basins

        return draw_basins(self.basins(), ax=ax)


def from_many_starts(verb: Callable[..., Walk]) -> Callable[..., Walk]:
    """The verb, which then takes ``starts=`` as well: it walks from each, and the lowest minimum is its answer."""

    @wraps(verb)
    def one_or_many(cost: Any, start: Any = None, *args: Any, starts: Any = None, **options: Any) -> Walk:
        if starts is None:
            return verb(cost, start, *args, **options)
        own: dict[str, Any] = {
            k: options.pop(k) for k in ("gradient", "data", "constants", "args", "n_samples") if k in options
        }
        target, points = _target_and_points(cost, start, starts, options, own)
        limit, began = options.pop("max_seconds", None), time.perf_counter()
        exact = options.pop("exact", False)
        walks: list[Walk | InputError | CostError] = []
        for point in points:
            left = None if limit is None else limit - (time.perf_counter() - began)
            if left is not None and left <= 0 and walks:
                break
            try:
                walks.append(verb(target, point, *args, **options, max_seconds=left))
            except (StartError, CostError) as error:
                walks.append(error)
            if getattr(walks[-1], "status", "") == "interrupted":
                break
        best = _answer(target, points[: len(walks)], walks, len(points))
        if exact:
            best.stationary = stationary_points(target, seconds=SECONDS if exact is True else exact)
        return best

    return one_or_many


def _target_and_points(
    cost: Any, start: Any, starts: Any, options: dict[str, Any], own: dict[str, Any]
) -> tuple[Cost, NDArray[np.float64]]:
    """The cost and the starts, one a row; a start that was given besides comes first."""
    named = isinstance(cost, str | Cost)
    if named:
        from descender.costs.formula import Formula

        target = Formula(cost, data=own.get("data"), constants=own.get("constants")) if isinstance(cost, str) else cost
        names: tuple[str, ...] = target.names
    else:
        names = _names_of_function(start, starts, options.get("bounds"))
    points = read_starts(starts, names, read_bounds(options.get("bounds"), names), options.get("seed", 0))
    if named:
        given = {k: v for k, v in own.items() if v is not None and k in ("gradient", "args", "n_samples")}
        if isinstance(cost, Cost):
            given |= {k: own[k] for k in ("data", "constants") if own.get(k) is not None}
        _, first = read_cost(target, points[0] if start is None else start, **given)
    else:
        target, first = read_cost(cost, points[0] if start is None else start, **own)
    return target, points if start is None else np.vstack([first, points])


def _names_of_function(start: Any, starts: Any, bounds: Any) -> tuple[str, ...]:
    """w0, w1 ... for as many parameters as the start, the points, the grid or the bounds have."""
    if start is not None:
        count = np.size(start)
    elif not isinstance(starts, str):
        try:
            count = np.atleast_2d(np.asarray(starts)).shape[-1] if np.ndim(starts) != 1 else 1
        except ValueError:
            given = f"{starts!r:.80}"
            raise OptionError(f"starts={given}: expected points of equal length, one a row, or {EXAMPLE}") from None
    elif found := re.search(r"\d+(?:x\d+)+", starts):
        count = found[0].count("x") + 1
    elif named := re.findall(r"(\S+?)=", starts):
        return tuple(sorted(named))
    elif hasattr(bounds, "lb"):
        count = np.size(bounds.lb)
    elif bounds is not None and hasattr(bounds, "__len__"):
        count = len(bounds)
    else:
        raise StartError(f"starts={starts!r}: of how many parameters? Give a start of the function besides, or bounds")
    return tuple(f"w{j}" for j in range(int(count)))


def read_starts(given: Any, names: tuple[str, ...], bounds: Bounds | None = None, seed: int = 0) -> NDArray[np.float64]:
    """The starts as an array of shape (n, d), from text or points of one's own.

    ``"grid 5x5 -5..5"`` is 5 by 5 evenly spaced points, both ends among them; ``"sobol 64 -5..5"`` is 64 points of a
    scrambled Sobol sequence by the seed, spread more evenly than random ones.  The box is one range for all variables,
    one for each as in ``"sobol 64 x=-5..5 y=0..1"``, or the bounds of the walk.

    >>> read_starts("grid 3x2 0..1", ("x", "y")).tolist()
    [[0.0, 0.0], [0.0, 1.0], [0.5, 0.0], [0.5, 1.0], [1.0, 0.0], [1.0, 1.0]]
    >>> read_starts("sobol 4 -1..1", ("x",)).shape
    (4, 1)
    """
    d = len(names)
    if not isinstance(given, str):
        return _own_points(given, d, bounds)
    kind, *words = given.split() or [""]
    if kind not in ("grid", "sobol") or not words or not re.fullmatch(r"\d+(x\d+)*", words[0]):
        raise OptionError(f"starts={given!r}: expected {EXAMPLE}")
    counts = [int(n) for n in words[0].split("x")]
    box = _box(given, words[1:], names, bounds)
    if kind == "sobol" and len(counts) > 1:
        raise OptionError(f"starts={given!r}: expected how many points in all, such as sobol {math.prod(counts)}")
    counts = counts * d if len(counts) == 1 and kind == "grid" else counts
    if kind == "grid" and len(counts) != d:
        raise OptionError(f"starts={given!r}: {len(counts)} counts for {d} variables, {', '.join(names[:9])}")
    if not 1 <= math.prod(counts) <= MOST:
        raise OptionError(
            f"starts={given!r}: {math.prod(counts):,} starts; expected 1 to {MOST:,}, each is a descent of its own"
        )
    if kind == "grid":
        pairs = zip(box.lower, box.upper, counts, strict=True)
        sides = [np.linspace(low, high, n) if n > 1 else np.array([(low + high) / 2]) for low, high, n in pairs]
        return np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, d)
    from scipy.stats import qmc

    unit = qmc.Sobol(d, rng=np.random.default_rng(seed)).random_base2(math.ceil(math.log2(counts[0])))
    return box.lower + (box.upper - box.lower) * unit[: counts[0]]


def _box(given: str, words: list[str], names: tuple[str, ...], bounds: Bounds | None) -> Bounds:
    """The box of the starts: one range, one for each variable, or the bounds of the walk; within those it must be."""
    one = len(words) == 1 and "=" not in words[0]
    if words:
        text = " ".join(f"{name}={words[0]}" for name in names) if one else " ".join(words)
        try:
            box = read_bounds(text, names)
        except OptionError as error:
            raise OptionError(f"starts={given!r}: {error}; expected {EXAMPLE}") from None
    else:
        box = bounds
    if box is None or not (np.isfinite(box.lower).all() and np.isfinite(box.upper).all()):
        raise OptionError(
            f"starts={given!r}: within which box? Give a range, such as -5..5, or bounds of every variable"
        )
    if bounds is None:
        return box
    return Bounds(np.maximum(box.lower, bounds.lower), np.minimum(box.upper, bounds.upper))


def _own_points(given: Any, d: int, bounds: Bounds | None) -> NDArray[np.float64]:
    try:
        points = np.array(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise OptionError(f"starts={given!r:.80}: expected {EXAMPLE}") from None
    points = points[:, None] if points.ndim == 1 and d == 1 else points
    if points.ndim != 2 or points.shape[1] != d or not 1 <= len(points) <= MOST:
        raise OptionError(f"starts have shape {points.shape}; expected (n, {d}), one point a row, {MOST:,} at most")
    if not np.isfinite(points).all():
        raise OptionError(f"starts: row {int(np.argmin(np.isfinite(points).all(axis=1)))} is not finite")
    return points if bounds is None else np.array([bounds.project(point) for point in points])


def _answer(target: Cost, points: NDArray, walks: list[Any], planned: int) -> Walk:
    """The walk to the lowest minimum, which tells of all; the lowest end where no walk found a minimum."""
    ended = [walk for walk in walks if isinstance(walk, Walk)]
    if not ended:
        raise walks[0]
    ends = np.array([w.x if isinstance(w, Walk) else np.full(points.shape[1], np.nan) for w in walks])
    costs = np.array([w.fun if isinstance(w, Walk) and w.success else np.nan for w in walks])
    both = np.concatenate([points, ends[np.isfinite(ends).all(axis=1)]])
    extent = np.maximum(both.max(axis=0) - both.min(axis=0), 1e-8 * np.maximum(np.abs(both).max(axis=0), 1e-300))
    fallen = [float(w.record["cost"][0]) - w.fun for w in ended if w.success and len(w.record)]
    labels, which = distinct(target.value, ends, costs, extent, float(np.median(np.abs(fallen or [0.0]))))
    found = tuple(
        Minimum(ends[i], float(costs[i]), np.flatnonzero(labels == k), float(np.mean(labels == k)), walks[i])
        for k, i in enumerate(which)
    )
    statuses = tuple(w.status if isinstance(w, Walk) else "start" for w in walks)
    messages = tuple(w.message if isinstance(w, Walk) else str(w) for w in walks)
    best = found[0].walk if found else min(ended, key=lambda w: w.fun if np.isfinite(w.fun) else np.inf)
    best.minima = Minima(target.names, points, ends, labels, statuses, messages, found, target)
    best.nfev, best.njev = (sum(getattr(walk, name) for walk in ended) for name in ("nfev", "njev"))
    _tell(best, len(walks), planned)
    return best


def _tell(best: Walk, done: int, planned: int) -> None:
    """What the other starts say about the answer."""
    minima = best.minima
    if len(minima):
        kinds = "one minimum" if len(minima) == 1 else f"{len(minima):,} minima, this the lowest seen"
        text = f"{done:,} starts: {kinds}, reached by {len(minima[0].starts):,} of them"
    else:
        text = f"{done:,} starts: no walk ended in a minimum, this is the lowest end"
    best.notes.insert(0, text + (f"; no time was left for {planned - done:,} more" if done < planned else ""))
    best.notes += [f"{len(k):,} fell into none: {status}, {minima.messages[k[0]]}" for status, k in minima.lost.items()]
    if any(re.search(r"\d zero|every curvature is zero", minima.messages[m.starts[0]]) for m in minima):
        best.notes.append("some minima have curvature zero: they may be points of one level valley")
