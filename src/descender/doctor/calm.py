"""A start of a network from which errors neither grow from layer to layer nor from step to step."""

from __future__ import annotations

import numpy as np

from descender.costs.cost import Vector
from descender.costs.network.network import Network


def calm(network: Network, w: Vector) -> Vector:
    """The start, with each matrix brought to a spectral norm that keeps errors from growing; directions stay.

    Of the matrix of a recurrent layer, through which errors pass again at each step, that is 1; of the others
    sqrt(2 / fan in) (sqrt(fan in) + sqrt(fan out)), what a draw by He has [1]_.  What is below stays as it is.

    .. [1] K. He et al. (2015). Delving deep into rectifiers. ICCV.

    >>> from descender.costs.network.build import recurrent
    >>> network = Network(recurrent(1, 4, 1, "relu", gain=3.0), np.ones((2, 5, 1)), [0.0, 1.0])
    >>> start = network.start(0)
    >>> starts = [network.layout.views(w)[0] for w in (start, calm(network, start))]
    >>> [round(float(np.linalg.norm(views["recurrent"], 2)), 6) for views in starts]
    [3.0, 1.0]
    """
    calmer = np.array(w, copy=True)
    for views in network.layout.views(calmer):
        for name, matrix in views.items():
            if matrix.ndim != 2 or not np.isfinite(matrix).all():
                continue
            rows, columns = matrix.shape
            most = 1.0 if name == "recurrent" else np.sqrt(2.0 / rows) * (np.sqrt(rows) + np.sqrt(columns))
            size = float(np.linalg.norm(matrix, 2))
            if size > most:
                matrix *= most / size
    return calmer
