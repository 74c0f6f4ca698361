"""Variance-reduced gradients of some rows as loops: the text that SAG, SAGA and SVRG are compiled from.

``evaluate_slopes`` is for costs of one score a row, or one for each class: what is remembered of a row are its slopes.
``evaluate_gradients`` and ``evaluate_anchor`` stand around the text of any cost over rows and remember gradients.  What
is remembered stands in arrays that the text changes in place.
"""

import math
from typing import Any

import numpy as np

score: Any = None
"""It and the next six stand for what the assembled module defines: a row's inner product, the loss, the cost."""
spread = value = slope = penalise = sample = evaluate_inner = score


def sample_one(w, X, y, p, i, d, intercept, slopes):
    """The loss of row i; its slope goes into `slopes`."""
    z = score(X, i, w, 0, d)
    if intercept:
        z += w[d]
    slopes[0] = slope(p, z, y[i])
    return value(p, z, y[i])


def sample_classes(w, X, y, p, i, d, intercept, slopes):
    """The loss of row i; its slope by each score goes into `slopes`."""
    classes = slopes.shape[0]
    z = np.empty(classes)
    for k in range(classes):
        z[k] = score(X, i, w, k * d, d)
        if intercept:
            z[k] += w[classes * d + k]
    r = slope(p, z, y[i])
    for k in range(classes):
        slopes[k] = r[k]
    return value(p, z, y[i])


def add_row(X, i, factor, gradient, k, d, classes, intercept):
    """Add `factor` times row i, and its 1 for the intercept, to the gradient of class k."""
    spread(X, i, factor, gradient, k * d, d)
    if intercept:
        gradient[classes * d + k] += factor


def evaluate_slopes(w, data, rows):
    """The risk of `rows`, and a gradient whose noise is reduced by the slopes that are remembered."""
    X, y, sigma, p, d, intercept, l2, l1, pull, biased, every, table, average, change, slopes, counts = data
    n, classes = table.shape
    if every > 0 and counts[0] % every == 0:
        for j in range(average.shape[0]):
            average[j] = 0.0
        for i in range(n):
            sample(w, X, y, p, i, d, intercept, slopes)
            for k in range(classes):
                table[i, k] = slopes[k]
                add_row(X, i, sigma[i] * slopes[k], average, k, d, classes, intercept)
    counts[0] += 1
    for j in range(change.shape[0]):
        change[j] = 0.0
    total = 0.0
    for i in rows:
        total += sigma[i] * sample(w, X, y, p, i, d, intercept, slopes)
        new = math.isnan(table[i, 0])
        if new:
            counts[1] += 1
        for k in range(classes):
            old = 0.0 if new else table[i, k]
            add_row(X, i, sigma[i] * (slopes[k] - old), change, k, d, classes, intercept)
            if every == 0:
                table[i, k] = slopes[k]
    share = n / rows.shape[0]
    gradient = np.empty(w.shape[0])
    if biased:
        for j in range(w.shape[0]):
            average[j] += change[j]
            gradient[j] = average[j] * (n / counts[1])
    else:
        keep = 1.0 if every == 0 else 0.0
        for j in range(w.shape[0]):
            gradient[j] = average[j] + share * change[j]
            average[j] += keep * change[j]
    return share * total + penalise(w, gradient, classes * d, l2, l1, pull), gradient


def evaluate_gradients(w, data, rows):
    """The cost of `rows`, and a gradient whose noise is reduced by the gradients of rows that are remembered."""
    inner, biased, table, average, change, counts = data
    n = table.shape[0]
    counts[0] += 1
    for j in range(change.shape[0]):
        change[j] = 0.0
    total = 0.0
    for m in range(rows.shape[0]):
        i = rows[m]
        value, fresh = evaluate_inner(w, inner, rows[m : m + 1])
        total += value
        new = math.isnan(table[i, 0])
        if new:
            counts[1] += 1
        for j in range(w.shape[0]):
            change[j] += (fresh[j] - (0.0 if new else table[i, j])) / n
            table[i, j] = fresh[j]
    gradient = np.empty(w.shape[0])
    for j in range(w.shape[0]):
        if biased:
            gradient[j] = (average[j] + change[j]) * (n / counts[1])
        else:
            gradient[j] = average[j] + change[j] * (n / rows.shape[0])
        average[j] += change[j]
    return total / rows.shape[0], gradient


def evaluate_anchor(w, data, rows):
    """The cost of `rows`, and their gradient less that at the anchor, plus the gradient of all rows there."""
    inner, every, anchor, average, everything, counts = data
    if counts[0] % every == 0:
        _, whole = evaluate_inner(w, inner, everything)
        for j in range(w.shape[0]):
            anchor[j] = w[j]
            average[j] = whole[j]
    counts[0] += 1
    value, gradient = evaluate_inner(w, inner, rows)
    _, old = evaluate_inner(anchor, inner, rows)
    for j in range(w.shape[0]):
        gradient[j] += average[j] - old[j]
    return value, gradient
