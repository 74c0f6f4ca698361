"""The risk of some rows as loops: the text that the compiled stochastic methods are made of.

``score`` and ``spread`` are a row's inner product with weights and its multiple added to a gradient; they exist for a
dense matrix and for (indptr, indices, values) of a CSR matrix.  The two ``evaluate`` are the risk over either.
"""

import numpy as np


def value(p, z, y):
    """Stands for the loss's formula, which the assembled module defines; `p` has the parameters of the loss."""
    return 0.0 * z


slope = value_one = slope_one = value


def value_each(p, z, y):
    """The sum over classes of a loss of two classes, each against all others."""
    total = 0.0
    for k in range(z.shape[0]):
        total += value_one(p, z[k], 1.0 if y == k else 0.0)
    return total


def slope_each(p, z, y):
    """Its derivatives by the scores."""
    out = np.empty_like(z)
    for k in range(z.shape[0]):
        out[k] = slope_one(p, z[k], 1.0 if y == k else 0.0)
    return out


def score_dense(X, i, w, offset, d):
    """The inner product of row i and the d weights from `offset`: four sums at once, as one waits for its addition."""
    a, b, c, e = 0.0, 0.0, 0.0, 0.0
    whole = d - d % 4
    for j in range(0, whole, 4):
        a += X[i, j] * w[offset + j]
        b += X[i, j + 1] * w[offset + j + 1]
        c += X[i, j + 2] * w[offset + j + 2]
        e += X[i, j + 3] * w[offset + j + 3]
    for j in range(whole, d):
        a += X[i, j] * w[offset + j]
    return (a + b) + (c + e)


def spread_dense(X, i, factor, gradient, offset, d):
    """Add `factor` times row i to the d entries of the gradient from `offset`."""
    for j in range(d):
        gradient[offset + j] += factor * X[i, j]


def score_sparse(X, i, w, offset, d):
    """The inner product of row i and the d weights from `offset`."""
    indptr, indices, values = X
    total = 0.0
    for k in range(indptr[i], indptr[i + 1]):
        total += values[k] * w[offset + indices[k]]
    return total


def spread_sparse(X, i, factor, gradient, offset, d):
    """Add `factor` times row i to the d entries of the gradient from `offset`."""
    indptr, indices, values = X
    for k in range(indptr[i], indptr[i + 1]):
        gradient[offset + indices[k]] += factor * values[k]


def penalise(w, gradient, n_weights, l2, l1, pull):
    """Add the gradient of l2 |w|^2 / 2 + pull sum|w| over the weights; return the value with l1 in place of pull."""
    squares, even, sizes = 0.0, 0.0, 0.0
    for j in range(n_weights):
        gradient[j] += l2 * w[j]
    for j in range(0, n_weights - 1, 2):
        squares += w[j] * w[j]
        even += w[j + 1] * w[j + 1]
    if n_weights % 2 == 1:
        squares += w[n_weights - 1] * w[n_weights - 1]
    if l1 > 0.0:
        for j in range(n_weights):
            sizes += abs(w[j])
            gradient[j] += pull * np.sign(w[j])
    return 0.5 * l2 * (squares + even) + l1 * sizes


score, spread = score_dense, spread_dense


def evaluate_one(w, data, rows):
    """The risk of `rows` and its gradient, one score a row."""
    X, y, s, p, d, intercept, factor, l2, l1, pull = data
    gradient = np.zeros(w.shape[0])
    total = 0.0
    share = factor / rows.shape[0] if factor > 0 else 1.0
    part = 1.0 if factor > 0 else rows.shape[0] / y.shape[0]
    for i in rows:
        z = score(X, i, w, 0, d)
        if intercept:
            z += w[d]
        total += share * s[i] * value(p, z, y[i])
        r = share * s[i] * slope(p, z, y[i])
        spread(X, i, r, gradient, 0, d)
        if intercept:
            gradient[d] += r
    return total + penalise(w, gradient, d, part * l2, part * l1, part * pull), gradient


def evaluate_classes(w, data, rows):
    """The risk of `rows` and its gradient, a score for each class."""
    X, y, s, p, d, intercept, factor, l2, l1, pull = data
    classes = w.shape[0] // (d + 1) if intercept else w.shape[0] // d
    gradient = np.zeros(w.shape[0])
    z = np.zeros(classes)
    total = 0.0
    share = factor / rows.shape[0] if factor > 0 else 1.0
    part = 1.0 if factor > 0 else rows.shape[0] / y.shape[0]
    for i in rows:
        for k in range(classes):
            z[k] = score(X, i, w, k * d, d)
            if intercept:
                z[k] += w[classes * d + k]
        total += share * s[i] * value(p, z, y[i])
        r = slope(p, z, y[i])
        for k in range(classes):
            spread(X, i, share * s[i] * r[k], gradient, k * d, d)
            if intercept:
                gradient[classes * d + k] += share * s[i] * r[k]
    return total + penalise(w, gradient, classes * d, part * l2, part * l1, part * pull), gradient
