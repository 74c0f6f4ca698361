"""What a page asks for, read and bounded: nothing that came over the wire goes further unseen."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from descender.errors import OptionError
from descender.verbs.racing import read_entry

STEPS = 10_000
"""Steps of a walk at most: as many as a record keeps one by one."""
SECONDS = 5.0
"""Of one walk."""
RACERS = 6
LONGEST = 2_000
"""Characters of a formula; a specification of a method has a tenth."""
PARAMETERS = 2_000
DEFAULT_STEPS = 200


@dataclass(frozen=True)
class Asked:
    """A cost, where to start, who races, and what is to be seen."""

    cost: str
    data: str
    target: str
    model: str
    features: tuple[str, ...]
    scale: bool
    methods: tuple[str, ...]
    start: tuple[float, ...] | tuple[tuple[str, float], ...] | None
    steps: int
    seed: int
    shown: tuple[str, ...]
    limits: tuple[tuple[float, float], ...] | None
    step: int
    racer: int

    @property
    def ground(self) -> tuple[Any, ...]:
        """What the cost is made of: the same for every start and every method."""
        return self.cost, self.data, self.target, self.model, self.features, self.scale

    def alone(self, spec: str) -> Asked:
        """The question about the walk of one method: the same whatever is looked at."""
        return replace(self, methods=(spec,), shown=(), limits=None, step=0, racer=0)


def read_asked(given: Any) -> Asked:
    """The question in a JSON object.

    Raises :class:`~descender.errors.OptionError` for what is no such question, or beyond the bounds.

    >>> asked = read_asked({"cost": "x**2", "methods": ["gd learning_rate=0.1"], "start": {"x": 3}})
    >>> asked.methods, asked.start, asked.steps
    (('gd learning_rate=0.1',), (('x', 3.0),), 200)
    """
    if not isinstance(given, Mapping):
        raise OptionError(f"a question is a JSON object, not {type(given).__name__}")
    known = set(Asked.__dataclass_fields__)
    if unknown := sorted(set(map(str, given)) - known):
        raise OptionError(f"{unknown[0]!r:.60} is nothing that can be asked for; known: {', '.join(sorted(known))}")

    def field(name: str, read: Callable[[Any], Any], default: Any) -> Any:
        value = given.get(name)
        if value is None:
            return default
        try:
            return read(value)
        except (TypeError, ValueError, OverflowError) as error:
            if isinstance(error, OptionError):
                raise OptionError(f"{name}: {error}") from None
            raise OptionError(f"{name}={json.dumps(value)[:80]} cannot be read: {error}") from None

    return Asked(
        cost=field("cost", lambda v: _text(v, LONGEST), ""),
        data=field("data", lambda v: _text(v, 200), ""),
        target=field("target", lambda v: _text(v, 500), ""),
        model=field("model", lambda v: _text(v, 100), ""),
        features=field("features", lambda v: tuple(_text(name, 500) for name in _several(v, PARAMETERS)), ()),
        scale=field("scale", bool, True),
        methods=field("methods", _specs, ("auto",)),
        start=field("start", _start, None),
        steps=field("steps", lambda v: _whole(v, 1, STEPS), DEFAULT_STEPS),
        seed=field("seed", lambda v: _whole(v, 0, 2**32 - 1), 0),
        shown=field("shown", lambda v: tuple(_text(name, 500) for name in _several(v, 2)), ()),
        limits=field("limits", _limits, None),
        step=field("step", lambda v: _whole(v, 0, STEPS), 0),
        racer=field("racer", lambda v: _whole(v, 0, RACERS - 1), 0),
    )


def _text(value: Any, most: int) -> str:
    if not isinstance(value, str):
        raise OptionError(f"expected text, not {type(value).__name__}")
    if len(value) > most:
        raise OptionError(f"{len(value):,} characters are too many for the lab: at most {most:,}")
    return value.strip()


def _several(value: Any, most: int) -> list[Any]:
    if not isinstance(value, list):
        raise OptionError(f"expected a list, not {type(value).__name__}")
    if len(value) > most:
        raise OptionError(f"{len(value):,} are too many for the lab: at most {most:,}")
    return value


def _whole(value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high or value != int(value):
        raise OptionError(f"{value!r:.40}: expected a whole number from {low:,} to {high:,}")
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise OptionError(f"{value!r:.40}: expected a finite number")
    return float(value)


def _specs(value: Any) -> tuple[str, ...]:
    return tuple(read_entry(_text(spec, LONGEST // 10)).spec for spec in _several(value, RACERS))


def _start(value: Any) -> tuple:
    if isinstance(value, Mapping):
        return tuple((_text(name, 500), _number(value[name])) for name in _several(list(value), PARAMETERS))
    return tuple(map(_number, _several(value, PARAMETERS)))


def _limits(value: Any) -> tuple[tuple[float, float], ...]:
    pairs = []
    for pair in _several(value, 2):
        low, high = map(_number, _several(pair, 2))
        if not low < high:
            raise OptionError(f"from {low:g} to {high:g} is no range: expected low < high")
        pairs.append((low, high))
    return tuple(pairs)
