"""What may help against each cause that is found in a descent of ours, as changes of the options it was asked with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from descender.costs.network.network import Network
from descender.doctor.calm import calm
from descender.doctor.loops.case import Remedy
from descender.doctor.scaling import STANDARDISE, standardised
from descender.doctor.strides import USUAL_MEMORY
from descender.methods.rates import first_rate, is_schedule, name_of, read_rate, with_rate
from descender.walk import Walk

CLIP = 2.0
"""Times the median norm of the gradient at which it is clipped."""


class Ill(NamedTuple):
    """A walk in which something was found, and the options that it was asked with."""

    walk: Walk
    asked: Mapping[str, Any]


Maker = Callable[[Ill], Remedy | None]


def remedies(cause: str, walk: Walk, asked: Mapping[str, Any]) -> list[Remedy]:
    """What may be tried against a cause, the best first; none where only a person can help.

    The change of a remedy is the name of an option and its value.
    """
    made = [make(Ill(walk, asked)) for make in AGAINST.get(cause, ())]
    return [remedy for remedy in made if remedy is not None]


def _rate_times(by: float) -> Maker:
    name = f"learning rate x {by:g}" if by > 1 else f"learning rate / {1 / by:g}"

    def make(ill: Ill) -> Remedy | None:
        asked = ill.asked.get("learning_rate")
        if asked is None or (isinstance(asked, str) and asked == "auto"):
            rates = ill.walk.record["learning_rate"]
            rates = rates[np.isfinite(rates) & (rates > 0)]
            if not len(rates):
                return None
            asked = float(rates[0])
        rate = read_rate(asked)
        if not is_schedule(rate):
            return None
        return _option(name, "learning_rate", spelled(with_rate(rate, _digits(first_rate(rate) * by))))

    return make


def spelled(rate: Any) -> float | str:
    """A schedule as one would ask for it.

    >>> spelled(read_rate("warm-up 10 cosine 0.3 100")), spelled(read_rate(0.2))
    ('warm-up 10 cosine 0.3 100 0', 0.2)
    """
    if name_of(rate) == "constant":
        return float(rate.rate)
    numbers = [str(spelled(part)) if hasattr(part, "_fields") else f"{part:.15g}" for part in rate]
    return " ".join([name_of(rate), *numbers])


def _automatic(ill: Ill) -> Remedy | None:
    asked = ill.asked.get("learning_rate")
    known = asked is None or (isinstance(asked, str) and asked == "auto")
    return None if known else _option("the automatic learning rate", "learning_rate", "auto")


def _clipped(ill: Ill) -> Remedy | None:
    """Clip at twice the median norm of the steps before the cost left where it began."""
    record = ill.walk.record
    norms, costs = record["gradient_norm"], record["cost"]
    with np.errstate(invalid="ignore"):
        sound = np.isfinite(norms) & (norms > 0) & (costs <= 2.0 * np.abs(costs[:1]))
    if not sound.any():
        return None
    return _option("a clipped gradient", "clip_norm", _digits(CLIP * float(np.median(norms[sound]))))


def _wider(ill: Ill) -> Remedy | None:
    """Clip at twice the median norm of all steps."""
    norms = ill.walk.record["gradient_norm"]
    norms = norms[np.isfinite(norms) & (norms > 0)]
    known = len(norms) and ill.asked.get("clip_norm") is not None
    return _option("a wider clip", "clip_norm", _digits(CLIP * float(np.median(norms)))) if known else None


def _standardised(**more: Any) -> Maker:
    name = "standardised columns" + ", and the rate left out" * bool(more)
    made = Remedy(name, STANDARDISE, ("columns", more))
    return lambda ill: None if standardised(ill.walk.cost) is None else made


def _more_steps(ill: Ill) -> Remedy:
    return _option("ten times the steps", "max_steps", 10 * ill.walk.nit)


def _remembers_less(ill: Ill) -> Remedy | None:
    beta = getattr(getattr(ill.walk.by, "rule", None), "beta", 0.0)
    return _option("a shorter memory", "beta", USUAL_MEMORY) if beta > USUAL_MEMORY else None


def _calmer(ill: Ill) -> Remedy | None:
    """The start of a network with matrices that do not make errors grow."""
    cost, start = ill.walk.cost, ill.asked.get("start")
    if not isinstance(cost, Network):
        return None
    w = cost.default_start() if not isinstance(start, np.ndarray) else start
    other = calm(cost, w)
    made = Remedy("another start", "start=calm(network, start)  # from descender.doctor.calm", ("start", other))
    return None if np.array_equal(other, w) else made


def _method(ill: Ill) -> Remedy | None:
    return None if ill.asked.get("method") in (None, "auto") else _option("the automatic method", "method", "auto")


def _fixed(name: str, option: str, value: Any) -> Maker:
    return lambda ill: None if ill.asked.get(option) == value else _option(name, option, value)


def _option(name: str, option: str, value: Any) -> Remedy:
    return Remedy(name, f"{option}={value!r}", (option, value))


def _digits(number: float) -> float:
    return float(f"{number:.2g}")


_LOWER: tuple[Maker, ...] = (_rate_times(1 / 3), _rate_times(1 / 10))
AGAINST: dict[str, tuple[Maker, ...]] = {
    "learning-rate-too-high": (*_LOWER, _automatic, _clipped, _calmer),
    "learning-rate-too-low": (_rate_times(10), _rate_times(100), _automatic),
    "exploding-gradient": (_clipped, *_LOWER, _calmer, _automatic),
    "nan-operation": (*_LOWER, _automatic),
    "vanishing-gradient": (
        _fixed("ReLU", "activation", "relu"), _fixed("batch normalisation", "normalisation", "batch"),
        _fixed("residual connections", "residual", True),
    ),
    "unscaled-columns": (_standardised(), _standardised(learning_rate="auto"), _method),
    "momentum-too-high": (_remembers_less, *_LOWER),
    "oscillation": (*_LOWER, _remembers_less, _automatic),
    "clipping-too-low": (_wider,),
    "steps-used-up": (_more_steps, _method),
    "not-a-minimum": (_method,),
    "plateau": (_rate_times(100), _rate_times(10_000), _automatic, _method),
}  # fmt: skip
"""By cause, the remedies in the order in which they are tried."""
