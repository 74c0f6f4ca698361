"""A rule and a rate for the loop as it runs on NumPy arrays: their formulas on whole vectors, their sums by NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.kernels.fused import VECTORS, fused
from descender.kernels.passes import passes
from descender.methods.advance import COLUMNS, OWN, length
from descender.methods.position import asked as asked_by

RATE = COLUMNS.index("learning_rate")
COMPILER_FROM = 1 << 26
"""Numbers moved by passes from which on a process asks for compiled loops.  Such a loop saves 3 ns for each number, and
a process waits a third of a second for its first."""
PIECE = 1 << 15
"""Numbers of a piece of a long vector: with what is made on the way, they fit into the second-level cache."""


def rate_at(rate: Any, first: int) -> Callable[..., float]:
    """The rate of a step, for a rate whose memory begins at `first`."""
    formula, count = rate.formula, len(getattr(rate, "memory", ()))
    asked, sums_of = asked_by(formula), sums(rate)
    own = slice(first, first + count)

    def at(memory, q, t, value, w, g, w_before, g_before, origin):
        given = {
            "q": q, "t": t, "value": value, "last": float(memory[0]), "m": tuple(memory[own].tolist()),
            "w": w, "g": g, "w_before": w_before, "g_before": g_before, "origin": origin,
        }  # fmt: skip
        given["sums"] = sums_of(given)
        result = formula(*[given[name] for name in asked])
        if not count:
            return float(result)
        memory[own] = result[1]
        return float(result[0])

    return at


def schedule(rate: Any) -> Callable[..., None]:
    """The rates of the coming steps, of a rate that depends on their numbers alone."""

    def fill(log, q, first):
        log[RATE] = [rate.formula(q, t) for t in range(first, first + log.shape[1])]

    return fill


def ceiling_at(rate: Any, first: int) -> Callable[..., float] | None:
    """The cost that a searched step must come below, plus what its slope promises; None for rates without a search."""
    if not hasattr(rate, "ceiling"):
        return None
    asked = asked_by(rate.ceiling)
    own = slice(first, first + len(getattr(rate, "memory", ())))

    def at(memory, q, value):
        given = {"q": q, "value": value, "m": tuple(memory[own].tolist())}
        return float(rate.ceiling(*[given[name] for name in asked]))

    return at


def remember(rule: Any) -> Callable[..., None] | None:
    """What a rule remembers in numbers, once a step; None for one that does not."""
    if not hasattr(rule, "remember"):
        return None
    asked, slots, sums_of = asked_by(rule.remember), len(rule.slots), sums(rule)
    own = slice(OWN, OWN + len(rule.memory))
    numbers_only = not {*asked} - {"p", "m", "rate", "t"}

    def note(memory, p, w, g, state, origin, rate, t):
        given = {"p": p, "rate": rate, "t": t, "m": tuple(memory[own].tolist())}
        if not numbers_only:
            given |= {"w": w, "g": g, "s": tuple(state.reshape(slots, -1)) if slots else (), "origin": origin}
            given["sums"] = sums_of(given)
        memory[own] = rule.remember(*[given[name] for name in asked])

    return note


def update(rule: Any) -> Callable[..., None]:
    """A step of a rule."""
    formula, slots = rule.formula, len(rule.slots)
    asked = asked_by(formula)
    own = slice(OWN, OWN + len(getattr(rule, "memory", ())))
    simple = asked == ("p", "w", "g", "s", "rate", "t")

    def step(new, new_state, memory, p, w, g, state, origin, noise, i, rate, t):
        s = tuple(state.reshape(slots, -1)) if slots else ()
        if simple:
            new[:], remembered = formula(p, w, g, s, rate, t)
        else:
            given = {"p": p, "w": w, "g": g, "s": s, "rate": rate, "t": t, "origin": origin}
            given["m"] = tuple(memory[own].tolist())
            given["noise"] = noise[i] if len(noise) else None
            new[:], remembered = formula(*[given[name] for name in asked])
        if slots:
            for to, of in zip(new_state.reshape(slots, -1), remembered, strict=True):
                to[:] = of

    return step


def settle(rule: Any) -> Callable[..., None] | None:
    """What a rule makes of the point that the bounds and the penalty left of its step; None for one that leaves it."""
    if not hasattr(rule, "settle"):
        return None
    asked, slots = asked_by(rule.settle), len(rule.slots)
    weighs, sums_of = asked_by(getattr(rule, "weigh", rule.settle)), sums(rule, "terms_after")
    own = slice(OWN, OWN + len(getattr(rule, "memory", ())))

    def after(new, new_state, memory, p, w, t):
        s = tuple(new_state.reshape(slots, -1))
        given = {"p": p, "w": w, "new": new, "s": s, "t": t, "m": tuple(memory[own].tolist())}
        if hasattr(rule, "weigh"):
            given["sums"] = sums_of(given)
            memory[own] = rule.weigh(*[given[name] for name in weighs])
            given["m"] = tuple(memory[own].tolist())
        point, remembered = rule.settle(*[given[name] for name in asked])
        point = np.array(point)
        for to, of in zip(s, remembered, strict=True):
            to[:] = of
        new[:] = point

    return after


class InPlace:
    """A step of a rule that changes `w` and its state themselves: by passes of NumPy, later by one compiled loop.

    What is elementwise may be cut anywhere, and both ways give the numbers of :func:`update` to the last bit.  So a
    training does not wait for a compiler; a process that has moved `COMPILER_FROM` numbers by passes will move more,
    and asks for the loop then.  It is for long vectors, of which a dozen new ones a step would take longer than the
    gradient.  What was moved is left in place of the gradient.
    """

    moved = 0
    """Numbers that this process has moved by passes."""

    def __init__(self, rule: Any):
        self.rule, self.asked, self.slots, self.norm = rule, asked_by(rule.formula), len(rule.slots), 0.0
        self.further = [name for name in VECTORS[2:] if name in self.asked]
        self.own = slice(OWN, OWN + len(getattr(rule, "memory", ())))
        self.names, self.numbers, self.passes, self.needed = passes(rule.formula, self.slots)
        self.scratch: list[NDArray] = []
        self.loop: Callable[..., None] | None = None

    def update(self, new, new_state, memory, p, w, g, state, origin, noise, i, rate, t):
        """One step: `new` is `w`, `new_state` is `state`."""
        given = {"p": p, "rate": rate, "t": t, "m": tuple(memory[self.own].tolist())}
        c = np.array(self.numbers(*[given[name] for name in self.names]))
        known = {"origin": origin, "noise": noise[i] if len(noise) else None}
        vectors = [w, g, *[known[name] for name in self.further], *state.reshape(self.slots, w.size)]
        if self.loop is None and InPlace.moved >= COMPILER_FROM:
            self.loop = fused(self.rule.formula, self.slots)
        if self.loop is not None:
            self.loop(c.astype(w.dtype), *vectors)
        else:
            self.move(c.tolist(), vectors)
        self.norm = length(g)

    def move(self, c, vectors):
        """Some passes over a piece of the vectors at a time, so that no piece leaves the cache."""
        w = vectors[0]
        InPlace.moved += w.size
        if not self.scratch or self.scratch[0].dtype != w.dtype:
            self.scratch = [np.empty(min(PIECE, w.size), dtype=w.dtype) for _ in range(self.needed)]
        for at in range(0, w.size, PIECE):
            few = min(PIECE, w.size - at)
            self.passes(c, *[v[at : at + few] for v in vectors], *[v[:few] for v in self.scratch])

    def square_between(self, new, w):
        """The square of the norm of the last step."""
        return self.norm * self.norm

    def distance(self, new, w):
        """The norm of the last step."""
        return self.norm

    @staticmethod
    def copy(to, of):
        """Nothing is copied to where it stands already, nor to where nobody looks."""
        if to is not None and to is not of:
            to[:] = of


def answer(rule: Any) -> Callable[..., None] | None:
    """What a rule reports in place of the point, noted for step i; None where it is the point itself."""
    if not hasattr(rule, "answer"):
        return None
    asked, slots = asked_by(rule.answer), len(rule.slots)

    def note(answers, i, p, w, state, t):
        given = {"p": p, "w": w, "s": tuple(state.reshape(slots, -1)), "t": t}
        answers[i] = rule.answer(*[given[name] for name in asked])

    return note


def sums(owner: Any, part: str = "terms") -> Callable[[dict[str, Any]], tuple[float, ...]]:
    """The sums over coordinates that a rule or a rate declares."""
    if not hasattr(owner, part):
        return lambda given: ()
    terms = getattr(owner, part)
    asked = asked_by(terms)
    return lambda given: tuple(float(np.sum(term)) for term in terms(*[given[name] for name in asked]))
