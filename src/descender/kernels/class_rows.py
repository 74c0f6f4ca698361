"""Scores of many classes in single precision, (K, n), in compiled loops: probabilities, losses, slopes along steps.

NumPy's exponential takes most of a reading of many classes.  This one is a polynomial on a few hundred rows at a time,
which stay in the nearest cache between the classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

WORTH_COMPILING = 200_000
"""Scores from which a walk of some ten readings waits for a compiler."""
STRIP = 256
"""Rows whose scores stay in the nearest cache."""
LOG2E, LN2_HIGH, LN2_LOW = np.float32(1.44269504), np.float32(0.693359375), np.float32(-2.12194440e-4)
LOWEST, HALF, ONE = np.float32(-87.0), np.float32(0.5), np.float32(1.0)
C2, C3, C4 = np.float32(5.0000001201e-1), np.float32(1.6666665459e-1), np.float32(4.1665795894e-2)
C5, C6, C7 = np.float32(8.3334519073e-3), np.float32(1.3981999507e-3), np.float32(1.9875691500e-4)
"""Cephes' expf: 2^k times a polynomial of what is left, within 1e-7."""


def probabilities(Z, chosen, P, losses, top, total, exponent, power):
    """P = softmax of the scores, and the losses; `power` are the bits of `exponent` as numbers."""
    classes, n = Z.shape
    for start in range(0, n, top.shape[0]):
        stop = min(start + top.shape[0], n)
        count = stop - start
        z = Z[0, start:stop]
        for i in range(count):
            top[i] = z[i]
            total[i] = np.float32(0.0)
        for k in range(1, classes):
            z = Z[k, start:stop]
            for i in range(count):
                top[i] = np.maximum(top[i], z[i])  # a choice by `if` becomes masked stores, which are slow
        for k in range(classes):
            z, p = Z[k, start:stop], P[k, start:stop]
            for i in range(count):
                x = z[i] - top[i]
                x = LOWEST if x < LOWEST else x
                e = np.int32(x * LOG2E - HALF)
                exponent[i] = (e + 127) << 23
                f = np.float32(e)
                x = x - f * LN2_HIGH - f * LN2_LOW
                y = C7 * x + C6
                y = y * x + C5
                y = y * x + C4
                y = y * x + C3
                y = y * x + C2
                p[i] = y * x * x + x + ONE
            for i in range(count):
                p[i] *= power[i]
                total[i] += p[i]
        for i in range(count):
            row = start + i
            losses[row] = math.log(total[i]) - (Z[chosen[row], row] - top[i])
            total[i] = ONE / total[i]
        for k in range(classes):
            p = P[k, start:stop]
            for i in range(count):
                p[i] *= total[i]


def second(P, Z, chosen, sigma, mean, square):
    """The sums over rows of sigma times the mean of the scores less that of the chosen class, and their variance."""
    classes, n = Z.shape
    first, total = 0.0, 0.0
    for start in range(0, n, mean.shape[0]):
        stop = min(start + mean.shape[0], n)
        for i in range(stop - start):
            mean[i] = np.float32(0.0)
            square[i] = np.float32(0.0)
        for k in range(classes):
            z, p = Z[k, start:stop], P[k, start:stop]
            for i in range(stop - start):
                pz = p[i] * z[i]
                mean[i] += pz
                square[i] += pz * z[i]
        for i in range(stop - start):
            row = start + i
            first += sigma[row] * float(mean[i] - Z[chosen[row], row])
            total += sigma[row] * (float(square[i]) - float(mean[i]) * float(mean[i]))
    return first, total


@cache
def _compiled(function: Callable) -> Callable:
    """One of the functions above, with its constants."""
    from descender.kernels.cached import HEADER, JIT_ENTRY, load
    from descender.kernels.texts import text_of

    numbers = {name: value for name, value in globals().items() if isinstance(value, np.float32)}
    constants = "".join(f"{name} = np.float32({float(value)!r})\n" for name, value in numbers.items())
    name = function.__name__
    compiled: Callable = getattr(load(f"{HEADER}\n{constants}\n\n{JIT_ENTRY}{text_of(function, name)}\n"), name)
    return compiled


def worth_compiling(Z: NDArray) -> bool:
    """Whether the loops are for such scores."""
    return Z.dtype == np.float32 and Z.size >= WORTH_COMPILING


def look(Z: NDArray, chosen: NDArray) -> tuple[NDArray, NDArray]:
    """The probabilities (K, n), and the losses (n,) of the chosen classes."""
    P, losses = np.empty_like(Z), np.empty(Z.shape[1])
    exponent, buffers = np.empty(STRIP, np.int32), np.empty((2, STRIP), np.float32)
    _compiled(probabilities)(Z, chosen, P, losses, *buffers, exponent, exponent.view(np.float32))
    return P, losses


def along(P: NDArray, Z: NDArray, chosen: NDArray, sigma: NDArray) -> tuple[float, float]:
    """The sums over rows of sigma times the mean of the scores less that of the chosen class, and their variance."""
    found: tuple[float, float] = _compiled(second)(P, Z, chosen, sigma, *np.empty((2, STRIP), np.float32))
    return found
