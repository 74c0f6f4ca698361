"""The layers of a network in a row: where their parameters lie, the way forward, and the way back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Vector
from descender.costs.network.layers import BatchNorm, Layer, Mode, Parameters, Residual
from descender.errors import ShapeError


class Layout:
    """Where the parameters of each layer lie in the flat vector."""

    def __init__(self, places: Sequence[dict[str, tuple[slice, tuple[int, ...]]]], size: int):
        self.places, self.size = tuple(places), size
        self.seen: list[tuple[Vector, list[Parameters]]] = []

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"seen": []}

    def views(self, w: Vector) -> list[Parameters]:
        """The parameters of each layer, as views of `w`; those of the last vectors that were asked for are at hand."""
        for known, made in self.seen:
            if known is w:
                return made
        self.seen[:] = [*self.seen[-1:], (w, self._views(w))]
        return self.seen[-1][1]

    def _views(self, w: Vector) -> list[Parameters]:
        return [{name: w[place].reshape(shape) for name, (place, shape) in layer.items()} for layer in self.places]


class Names(Sequence[str]):
    """The names of the numbers in a flat vector, each made when it is asked for: there may be millions."""

    def __init__(self, layout: Layout):
        self.layout = layout

    def __len__(self) -> int:
        return self.layout.size

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return tuple(self[k] for k in range(*index.indices(len(self))))
        position = range(len(self))[index]
        for k, layer in enumerate(self.layout.places):
            for name, (place, shape) in layer.items():
                if position < place.stop:
                    inner = np.unravel_index(position - place.start, shape)
                    return f"layer{k}.{name}[{','.join(map(str, inner))}]"
        raise IndexError(index)


def lay_out(layers: Sequence[Layer]) -> Layout:
    """One after the other."""
    places, at = [], 0
    for layer in layers:
        place = {}
        for name, shape in layer.shapes.items():
            size = int(np.prod(shape))
            place[name] = (slice(at, at + size), shape)
            at += size
        places.append(place)
    return Layout(places, at)


class Body:
    """Layers on one flat parameter vector, of which each has its part as views.

    >>> from descender.costs.network.build import perceptron
    >>> body = Body(perceptron(1, [2], 1, "tanh"))
    >>> body.layout.size, body.forward(np.zeros(7), np.ones((3, 1)))[0].tolist()
    (7, [[0.0], [0.0], [0.0]])
    """

    def __init__(self, layers: Sequence[Layer]):
        if not len(layers) or not all(isinstance(layer, Layer) for layer in layers):
            raise ShapeError(f"layers={layers!r}: expected layers in a row, at least one; perceptron() makes them")
        self.layers, self.layout = tuple(layers), lay_out(layers)

    def width(self, inputs: int) -> int:
        """The number of outputs for so many inputs; a :class:`ShapeError` where two layers do not fit."""
        for layer in self.layers:
            inputs = layer.width(inputs)
        return inputs

    dtype: Any = np.float64

    def start(self, seed: int = 0) -> Vector:
        """Initial parameters, in the dtype of the samples."""
        rng = np.random.default_rng(seed)
        w = np.empty(self.layout.size, dtype=self.dtype)
        for layer, views in zip(self.layers, self.layout.views(w), strict=True):
            for name, drawn in layer.draw(rng).items():
                views[name][...] = drawn
        return w

    def forward(self, w: Vector, X: Any, mode: Mode = Mode()) -> tuple[NDArray, list[Any]]:  # noqa: B008 - immutable
        """The outputs (n, outputs) for samples `X`, and what each layer keeps for its way back."""
        a, memory = X, []
        for layer, p in zip(self.layers, self.layout.views(w), strict=True):
            a, kept = layer.forward(p, a, mode)
            memory.append(kept)
        return a, memory

    def backward(self, w: Vector, memory: list[Any], error: NDArray, gradient: Vector) -> Iterator[NDArray | None]:
        """From the error of the outputs back to the first layer: the error vector of each layer's input, last first.

        What each layer's own parameters have of the gradient is written into `gradient`.
        """
        ways = zip(self.layers, self.layout.views(w), memory, self.layout.views(gradient), strict=True)
        for layer, p, kept, g in reversed(list(ways)):
            error = layer.backward(p, kept, error, g)
            yield error

    @property
    def all_layers(self) -> list[Layer]:
        """The layers, those within others among them."""
        return list(_all(self.layers))

    @property
    def statistics(self) -> list[tuple[NDArray, NDArray]]:
        """What batch normalisation has learnt: mean and variance of each of its layers."""
        return [layer.statistics for layer in self.all_layers if isinstance(layer, BatchNorm)]

    @statistics.setter
    def statistics(self, known: Sequence[tuple[NDArray, NDArray]]) -> None:
        for layer, pair in zip([p for p in self.all_layers if isinstance(p, BatchNorm)], known, strict=True):
            if any(part.shape != layer.shapes["scale"] for part in pair):
                raise ShapeError(f"statistics of shapes {[part.shape for part in pair]} for {layer.shapes['scale']}")
            layer.statistics = pair

    def dense(self, w: Vector) -> list[Parameters]:
        """Weights and biases of each layer of weighted sums, as views of `w`."""
        found = []
        for layer, p in zip(self.layers, self.layout.views(w), strict=True):
            prefixes = [f"{k}." for k in range(len(layer.layers))] if isinstance(layer, Residual) else [""]
            for prefix in prefixes:
                if f"{prefix}weight" in p and f"{prefix}recurrent" not in p:
                    found.append({"weight": p[f"{prefix}weight"], "bias": p[f"{prefix}bias"]})
        return found


def _all(layers: Sequence[Layer]) -> Iterator[Layer]:
    for layer in layers:
        yield layer
        if isinstance(layer, Residual):
            yield from _all(layer.layers)
