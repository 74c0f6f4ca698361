"""The program that a textbook prints."""

import numpy as np


def descend(gradient, w, rate, steps):
    """Gradient descent as a textbook prints it: the points before each step, and the last one."""
    path = [np.array(w, dtype=float)]
    for _ in range(steps):
        path.append(path[-1] - rate * np.asarray(gradient(path[-1])))
    return np.array(path)
