"""The vector operations of :mod:`descender.methods.advance` as loops, for the compiled text.

Plain loops over scalars on purpose: Numba takes seconds to compile its first array expression or array assignment.  The
assembler puts their lines in place of the calls, so each returns at its end or not at all.
"""

import math


def square(v):
    """The square of the Euclidean norm."""
    total = 0.0
    for j in range(v.shape[0]):
        total += v[j] * v[j]
    return total


def length(v):
    """The Euclidean norm, without overflow."""
    total = square(v)
    norm = math.sqrt(total)
    if not 1e-280 < total < 1e280:
        largest = 0.0
        for j in range(v.shape[0]):
            largest = max(largest, abs(v[j]))
        scale = largest if 0.0 < largest < math.inf else 1.0
        total = 0.0
        for j in range(v.shape[0]):
            total += (v[j] / scale) ** 2
        norm = scale * math.sqrt(total)
    return norm


def free_length(gradient, w, lower, upper):
    """The norm of the projected gradient, w - P(w - g): what points out of the bounds does not count."""
    largest = 0.0
    for j in range(w.shape[0]):
        largest = max(largest, abs(min(max(gradient[j], w[j] - upper[j]), w[j] - lower[j])))
    scale = largest if 0.0 < largest < math.inf else 1.0
    total = 0.0
    for j in range(w.shape[0]):
        total += (min(max(gradient[j], w[j] - upper[j]), w[j] - lower[j]) / scale) ** 2
    return scale * math.sqrt(total)


def square_between(a, b):
    """The square of the norm of a - b."""
    total = 0.0
    for j in range(a.shape[0]):
        total += (a[j] - b[j]) * (a[j] - b[j])
    return total


def distance(a, b):
    """The norm of a - b."""
    total = square_between(a, b)
    norm = math.sqrt(total)
    if not 1e-280 < total < 1e280:
        largest = 0.0
        for j in range(a.shape[0]):
            largest = max(largest, abs(a[j] - b[j]))
        scale = largest if 0.0 < largest < math.inf else 1.0
        total = 0.0
        for j in range(a.shape[0]):
            total += ((a[j] - b[j]) / scale) ** 2
        norm = scale * math.sqrt(total)
    return norm


def along(gradient, new, w):
    """The inner product of the gradient and new - w."""
    total = 0.0
    for j in range(w.shape[0]):
        total += gradient[j] * (new[j] - w[j])
    return total


def copy(to, of):
    """`to` takes the numbers of `of`."""
    for j in range(to.shape[0]):
        to[j] = of[j]


def forget(state):
    """What a rule remembers is as at the start of a walk."""
    for j in range(state.shape[0]):
        state[j] = 0.0


def clip(gradient, max_norm, max_value):
    """Scale the gradient down to `max_norm`, bound each component by `max_value`; 1.0 if that changed it, else 0.0."""
    clipped = 0.0
    low = max_norm * max_norm * (1.0 - 1e-15)
    if low < 1e-280 or not square(gradient) < low:  # most need no root
        norm = length(gradient)
        if norm > max_norm:
            clipped = 1.0
            for j in range(gradient.shape[0]):
                gradient[j] = gradient[j] / norm * max_norm
    if max_value < math.inf:
        for j in range(gradient.shape[0]):
            if abs(gradient[j]) > max_value:
                gradient[j] = math.copysign(max_value, gradient[j])
                clipped = 1.0
    return clipped


def only(gradient, j):
    """Set all but component `j` of the gradient to zero."""
    for k in range(gradient.shape[0]):
        if k != j:
            gradient[k] = 0.0


def project(w, lower, upper):
    """Bring `w` back within its bounds."""
    for j in range(w.shape[0]):
        w[j] = min(max(w[j], lower[j]), upper[j])


def shrink(w, rate, thresholds):
    """Bring each component nearer to 0 by the rate times its threshold, and to 0 where it is within that."""
    for j in range(w.shape[0]):
        w[j] -= min(max(w[j], -(rate * thresholds[j])), rate * thresholds[j])


def shrunk_length(gradient, w, rate, thresholds):
    """The norm of w - S(w - g), where S shrinks by `rate` times the thresholds: at 1 that of the proximal gradient."""
    largest = 0.0
    for j in range(w.shape[0]):
        reach = rate * thresholds[j]
        largest = max(largest, abs(gradient[j] + min(max(w[j] - gradient[j], -reach), reach)))
    scale = largest if 0.0 < largest < math.inf else 1.0
    total = 0.0
    for j in range(w.shape[0]):
        reach = rate * thresholds[j]
        total += ((gradient[j] + min(max(w[j] - gradient[j], -reach), reach)) / scale) ** 2
    return scale * math.sqrt(total)


def penalty_rise(new, w, thresholds):
    """By how much the l1 penalty rises from w to new."""
    total = 0.0
    for j in range(w.shape[0]):
        total += thresholds[j] * (abs(new[j]) - abs(w[j]))
    return total


def keep(path, i, w):
    """Note the point before step i."""
    for j in range(w.shape[0]):
        path[i, j] = w[j]


def least(tol):
    """Above it a square is that of a norm above `tol`, and lost nothing."""
    tol = max(tol, 0.0)
    return max(tol * tol * (1.0 + 1e-15), 1e-280)
