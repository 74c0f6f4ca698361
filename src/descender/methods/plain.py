"""A rule and a rate for the loop as it runs on NumPy arrays: their formulas on whole vectors, their sums by NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from descender.methods.advance import OWN
from descender.methods.position import asked as asked_by
from descender.methods.position import picked


def rate_at(rate: Any, first: int) -> Callable[..., float]:
    """The rate of a step, for a rate whose memory begins at `first`."""
    formula, count = rate.formula, len(getattr(rate, "memory", ()))
    asked, sums_of = asked_by(formula), sums(rate)
    own = slice(first, first + count)
    if asked == ("q", "t"):
        return lambda memory, q, t, *_: formula(q, t)

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
    slots, sums_of = len(rule.slots), sums(rule)
    own = slice(OWN, OWN + len(rule.memory))

    def note(memory, p, w, g, state, origin, rate, t):
        s = tuple(state.reshape(slots, -1)) if slots else ()
        given = {"p": p, "w": w, "g": g, "s": s, "rate": rate, "t": t, "origin": origin}
        given["m"] = tuple(memory[own].tolist())
        given["sums"] = sums_of(given)
        memory[own] = rule.remember(*picked(rule.remember, given))

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


def answer(rule: Any) -> Callable[..., None] | None:
    """What a rule reports in place of the point, noted for step i; None where it is the point itself."""
    if not hasattr(rule, "answer"):
        return None
    asked, slots = asked_by(rule.answer), len(rule.slots)

    def note(answers, i, p, w, state, t):
        given = {"p": p, "w": w, "s": tuple(state.reshape(slots, -1)), "t": t}
        answers[i] = rule.answer(*[given[name] for name in asked])

    return note


def sums(owner: Any) -> Callable[[dict[str, Any]], tuple[float, ...]]:
    """The sums over coordinates that a rule or a rate declares."""
    if not hasattr(owner, "terms"):
        return lambda given: ()
    asked = asked_by(owner.terms)
    return lambda given: tuple(float(np.sum(term)) for term in owner.terms(*[given[name] for name in asked]))
