r"""Initial weights: drawn so that signals on their way forward, and errors on their way back, keep their size.

Each is a function ``(fan_in, fan_out, rng) -> (fan_in, fan_out)`` of the number of inputs and outputs of a layer.

To add one, write it here and name it in `INITIALISATIONS`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from descender.errors import OptionError, suggest

Initialisation = Callable[[int, int, np.random.Generator], NDArray[np.float64]]


def glorot(fan_in: int, fan_out: int, rng: np.random.Generator) -> NDArray[np.float64]:
    r"""Uniform with variance :math:`2/(n_{in}+n_{out})`: a compromise between both ways; for tanh.

    X. Glorot and Y. Bengio, *Understanding the difficulty of training deep feedforward neural networks*, 2010.
    """
    bound = np.sqrt(6.0 / (fan_in + fan_out))
    return rng.uniform(-bound, bound, (fan_in, fan_out))


def he(fan_in: int, fan_out: int, rng: np.random.Generator) -> NDArray[np.float64]:
    r"""Normal with variance :math:`2/n_{in}`: makes up for the half of the signal that a relu takes away.

    K. He and others, *Delving deep into rectifiers*, 2015.
    """
    return rng.normal(0.0, np.sqrt(2.0 / fan_in), (fan_in, fan_out))


def lecun(fan_in: int, fan_out: int, rng: np.random.Generator) -> NDArray[np.float64]:
    r"""Normal with variance :math:`1/n_{in}`: keeps the signal's size on its way forward.

    Y. LeCun and others, *Efficient BackProp*, 1998.
    """
    return rng.normal(0.0, np.sqrt(1.0 / fan_in), (fan_in, fan_out))


def orthogonal(fan_in: int, fan_out: int, rng: np.random.Generator) -> NDArray[np.float64]:
    r"""A random rotation (a part of one where the sides differ): all singular values are 1.

    A. Saxe and others, *Exact solutions to the nonlinear dynamics of learning in deep linear neural networks*, 2014.
    """
    tall = rng.normal(size=(max(fan_in, fan_out), min(fan_in, fan_out)))
    Q, R = np.linalg.qr(tall)
    Q = Q * np.where(np.diag(R) < 0, -1.0, 1.0)
    return Q if fan_in >= fan_out else Q.T


INITIALISATIONS: dict[str, Initialisation] = {f.__name__: f for f in (glorot, he, lecun, orthogonal)}


def read_initialisation(given: str) -> Initialisation:
    """The initialisation of this name; ``"normal 0.5"`` draws with a standard deviation of one's own.

    >>> read_initialisation("he").__name__
    'he'
    >>> read_initialisation("normal 0.1")(3, 2, np.random.default_rng(0)).shape
    (3, 2)
    """
    if given in INITIALISATIONS:
        return INITIALISATIONS[given]
    word, _, number = str(given).partition(" ")
    try:
        deviation = float(number)
    except ValueError:
        deviation = np.nan
    if word != "normal" or not (np.isfinite(deviation) and deviation >= 0):
        raise OptionError(
            f"initialisation={given!r}; {suggest(word, [*INITIALISATIONS, 'normal'])} "
            "('normal' takes a standard deviation: 'normal 0.1')"
        )
    return partial(_normal, deviation)


def _normal(deviation: float, fan_in: int, fan_out: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return deviation * rng.standard_normal((fan_in, fan_out))
