"""The vector operations of :mod:`descender.methods.advance` as loops, for the compiled text.

Plain loops over scalars on purpose: Numba takes seconds to compile its first array expression or array assignment.
"""

import math

import numpy as np


def length(v):
    """The Euclidean norm, without overflow."""
    largest = 0.0
    for j in range(v.shape[0]):
        if math.isnan(v[j]):
            return np.nan
        largest = max(largest, abs(v[j]))
    if largest == 0.0 or largest == np.inf:
        return largest
    total = 0.0
    for j in range(v.shape[0]):
        total += (v[j] / largest) ** 2
    return largest * math.sqrt(total)


def difference(a, b):
    """A - b."""
    result = np.empty(a.shape[0], a.dtype)
    for j in range(a.shape[0]):
        result[j] = a[j] - b[j]
    return result


def inner(a, b):
    """The inner product."""
    total = 0.0
    for j in range(a.shape[0]):
        total += a[j] * b[j]
    return total


def clip(gradient, max_norm, max_value):
    """The gradient scaled down to `max_norm`, each component bounded by `max_value`; and whether that changed it."""
    clipped = 0.0
    if max_norm < np.inf or max_value < np.inf:
        norm = length(gradient)
        scale = max_norm / norm if norm > max_norm else 1.0
        if scale < 1.0:
            clipped = 1.0
        bounded = np.empty(gradient.shape[0], gradient.dtype)
        for j in range(gradient.shape[0]):
            bounded[j] = gradient[j] * scale
            if abs(bounded[j]) > max_value:
                bounded[j] = math.copysign(max_value, bounded[j])
                clipped = 1.0
        return bounded, clipped
    return gradient, clipped


def keep(path, i, w):
    """Note the point before step i."""
    for j in range(w.shape[0]):
        path[i, j] = w[j]


def only(gradient, j):
    """The gradient with all but its component `j` set to zero."""
    single = np.zeros(gradient.shape[0], gradient.dtype)
    single[j] = gradient[j]
    return single
