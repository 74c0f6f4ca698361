"""Where a network leaves the finite numbers: the first operation that does, and the numbers that made it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender.costs.cost import Rows, Vector
from descender.costs.losses import Softmax
from descender.costs.network.layers import BatchNorm, Dense, Layer, LayerNorm, Mode, Parameters, Recurrent, Residual

if TYPE_CHECKING:
    from descender.costs.network.network import Network


HOSTILE = 1e6
"""Times the median size of its column at which a value that is lost where others are not is no victim of the walk."""


class Trace(NamedTuple):
    """The first number that is not finite, in the order of computation.

    ``layer`` is "input", a layer such as "layer2 (dense)", "loss" or "penalty"; ``operation`` what was computed,
    ``value`` what came of it, ``given`` what it was given, ``node`` which of the layer's outputs it is, and ``text``
    tells it in words.  ``row`` and ``feature`` are those of the data, ``column`` what the feature is called,
    ``parameter`` the number of w that is to blame, where one is.  ``at_start`` says that the same rows are not finite
    at the start, either; ``alone`` that they would all be finite without the value in ``feature``.
    """

    layer: str
    operation: str
    value: float
    text: str
    row: int | None = None
    feature: int | None = None
    node: int | None = None
    given: float | None = None
    column: str | None = None
    parameter: str | None = None
    at_start: bool = False
    alone: bool = False


@np.errstate(all="ignore")
def trace(network: Network, w: Vector, rows: Rows | None = None, start: Vector | None = None) -> Trace | None:
    """What is not finite first when J and its gradient are computed at `w`; None where all is.

    Looked at in turn: the parameters; of each batch the inputs, the layers forward, the loss, the layers back; then the
    penalty.  The pieces are those of the network itself; nothing that it has learnt is changed.  Of some `rows` dropout
    drops what it dropped at the last reading.  With `start` it is asked, too, whether these rows are not finite there
    already.

    >>> from descender.costs.network.build import perceptron
    >>> from descender.costs.network.network import Network
    >>> network = Network(perceptron(2, [3], 1, "tanh"), [[0.0, 1.0], [1.0, 1e200], [1.0, 0.0]], [0.0, 1.0, 2.0])
    >>> trace(network, np.full(13, 1e150)).text
    'in layer0 (dense), row 1, node 0 is inf: feature 1 = 1e+200 times weight[1,0] = 1e+150'
    """
    learnt, short = network.statistics, w.astype(network.X.dtype, copy=False)
    try:
        found = _parameters(network, w, short)
        for batch in _batches(network, rows) if found is None else ():
            way = _Pass(network, short, batch, rows is not None)
            found = way.first()
            if found is not None:
                found = way.hostile(found) if start is not None else way.heavy(way.hostile(found))
                break
        found = found or _penalty(network, short)
        if found is None or start is None:
            return found
        begin = start.astype(network.X.dtype, copy=False)
        ways = (_Pass(network, begin, batch, rows is not None).first() for batch in _batches(network, rows))
        return found._replace(at_start=any(way is not None for way in ways))
    finally:
        network.statistics = learnt


def _batches(network: Network, rows: Rows | None) -> Iterator[NDArray]:
    if rows is not None:
        yield rows
        return
    for i in range(0, network.n_samples, network.block):
        yield np.arange(i, min(i + network.block, network.n_samples))


def _parameters(network: Network, w: Vector, short: Vector) -> Trace | None:
    at = _first(short)
    if at is None:
        return None
    name, value = network.names[at[0]], float(w[at[0]])
    layer = int(name.partition(".")[0].removeprefix("layer"))
    why = "before anything is computed" if not np.isfinite(value) else f"which is more than {short.dtype} holds"
    text = f"{name} is {value:.6g}, {why}"
    return Trace(f"layer{layer} ({network.layers[layer].name})", "parameter", value, text, parameter=name)


def _penalty(network: Network, w: Vector) -> Trace | None:
    value = network._penalise(w) if network.l2 else 0.0
    if np.isfinite(value):
        return None
    places = network.penalised
    j = max((place.start + int(np.abs(w[place]).argmax()) for place in places), key=lambda j: abs(w[j]))
    text = f"the l2 penalty is {value:g}: the square of {network.names[j]} = {w[j]:.6g}"
    return Trace("penalty", "square", value, text, given=float(w[j]), parameter=network.names[j])


class _Pass:
    """One batch on its way through the network and back."""

    def __init__(self, network: Network, w: Vector, rows: NDArray, some: bool):
        self.network, self.w, self.rows, self.some = network, w, rows, some
        self.X, self.y = network.X[rows], network.y[rows]
        self.s = None if network.sample_weight is None else network.sample_weight[rows]
        self.at = 0  # the row of the batch at which something was found

    def first(self) -> Trace | None:
        """The first number that is not finite."""
        network = self.network
        mode = Mode(np.random.default_rng((network.seed, network.readings))) if self.some and network.draws else Mode()
        a, memory, found = self.X, [], self._input()
        for k, (layer, p) in enumerate(zip(network.layers, network.layout.views(self.w), strict=True)):
            if found is not None:
                return found
            before = copy.deepcopy(mode) if isinstance(layer, Residual) else mode  # what dropout within it draws
            out, kept = layer.forward(p, a, mode)
            found = self._forward(f"layer{k}", layer, p, a, out, kept, before)
            memory.append(kept)
            a = out
        return found or self._loss(a, memory, network._share(self.rows if self.some else None))

    def hostile(self, found: Trace) -> Trace:
        """Where one value of the row is far from all others of its column, and all is finite without it: that value."""
        if found.row is None or found.layer == "input":
            return found
        one = self.X[[self.at]] if isinstance(self.X, np.ndarray) else self.X[[self.at]].toarray()
        sizes = np.nan_to_num(np.abs(one[0]))
        place = np.unravel_index(int(sizes.argmax()), sizes.shape)
        j = int(place[-1])
        column = self.network.X[..., [j]]
        column = column.data if not isinstance(column, np.ndarray) else column[np.isfinite(column) & (column != 0)]
        if not sizes[place] > HOSTILE * np.median(np.abs(column.astype(np.float64))):
            return found
        twin = copy.copy(self)
        twin.X = self.X.copy() if isinstance(self.X, np.ndarray) else self.X.tolil()
        twin.X[(self.at, *place)] = 0.0
        twin.X = twin.X if isinstance(self.X, np.ndarray) else twin.X.tocsr()
        if twin.first() is not None:
            return found
        called, value = self._column(j), one[0][place]
        text = f"{found.text}; without {called or f'feature {j}'} = {value:.6g} in that row all would be finite"
        return found._replace(text=text, feature=j, column=called, alone=True)

    def heavy(self, found: Trace) -> Trace:
        """Where one array of parameters is far larger than all others, and all is finite without it: its largest."""
        sizes = np.abs(self.w)
        j = int(sizes.argmax())
        if found.alone or not sizes[j] > HOSTILE * np.median(sizes[sizes > 0]):
            return found
        twin, name = copy.copy(self), self.network.names[j]
        twin.w = self.w.copy()
        for layer in self.network.layout.places:
            for place, _ in layer.values():
                if place.start <= j < place.stop:
                    twin.w[place] = 0.0
        if twin.first() is not None:
            return found
        text = f"{found.text}; without {name.partition('[')[0]}, in which {name} = {self.w[j]:.6g}, all would be finite"
        return found._replace(text=text, parameter=name)

    def _input(self) -> Trace | None:
        X = self.X
        if X.ndim == 3:
            X = np.where(np.isnan(X).all(axis=2, keepdims=True), 0.0, X)  # steps after the end of a sequence
        at = _first(X)
        if at is None:
            return None
        value, column = float(X[at]), self._column(at[-1])
        text = f"the input, row {self._row(at[0])}, {column or f'feature {at[-1]}'} is {value:g}"
        return Trace("input", "input", value, text, self._row(at[0]), at[-1], None, value, column)

    def _forward(self, name: str, layer: Layer, p: Parameters, a: Any, out: Any, kept: Any, mode: Mode) -> Trace | None:
        """What of a layer's output is not finite, with what made it."""
        at = _first(out)
        if at is None:
            return None
        called = f"{name} ({layer.name})"
        if isinstance(layer, Residual):
            return self._within(called, layer, p, a, out, mode)
        if isinstance(layer, Recurrent):
            return self._recurrent(called, layer, p, kept)
        if isinstance(layer, Dense):
            parts = _row_of(a, at[0]), p["weight"][:, at[1]]
            return self._products(called, name == "layer0", at[0], at[1], out[at], [(*parts, "weight", "feature")])
        if isinstance(layer, BatchNorm | LayerNorm):
            return self._norm(called, layer, a, at, out[at])
        operation = getattr(getattr(layer, "activation", None), "name", layer.name)
        return self._told(called, operation, at, out[at], f"{operation}({a[at]:.6g})", float(a[at]))

    def _within(self, called: str, layer: Residual, p: Parameters, a: Any, out: Any, mode: Mode) -> Trace | None:
        inner = a
        for k, part in enumerate(layer.layers):
            own, before = layer._within(p, k), inner
            inner, kept = part.forward(own, inner, mode)
            found = self._forward(f"{called}.{k}", part, own, before, inner, kept, mode)
            if found is not None:
                return found
        at = _first(out)
        assert at is not None
        return self._told(called, "sum", at, out[at], f"{a[at]:.6g} + {inner[at]:.6g}", float(a[at]))

    def _recurrent(self, called: str, layer: Recurrent, p: Parameters, kept: Any) -> Trace | None:
        x, z, states, _, _ = kept
        for t in range(len(x)):
            if (at := _first(z[t])) is not None:
                r, node = at
                parts = [(x[t, r], p["weight"][:, node], "weight", "feature"),
                         (states[t, r], p["recurrent"][:, node], "recurrent", "state")]  # fmt: skip
                return self._products(f"{called}, time {t}", True, r, node, z[t][at], parts, layer=called)
            if (at := _first(states[t + 1])) is not None:
                operation, given = layer.activation.name, float(z[t][at])
                made = f"{operation}({given:.6g}) at time {t}"
                return self._told(called, operation, at, states[t + 1][at], made, given)
        return None

    def _products(
        self, place: str, first: bool, r: int, node: int, value: float,
        parts: list[tuple[NDArray, NDArray, str, str]], layer: str = "",
    ) -> Trace:  # fmt: skip
        """A sum of products: that with the largest."""
        sizes = [np.abs(a.astype(np.float64)) * np.abs(p.astype(np.float64)) for a, p, _, _ in parts]
        which = max(range(len(parts)), key=lambda k: sizes[k].max())
        a, p, weight, word = parts[which]
        i = int(sizes[which].argmax())
        column = self._column(i) if first and word == "feature" else None
        made = f"{column or f'{word} {i}'} = {a[i]:.6g} times {weight}[{i},{node}] = {p[i]:.6g}"
        text = f"in {place}, row {self._row(r)}, node {node} is {value:g}: {made}"
        given = float(a[i])
        own = i if first and word == "feature" else None
        return Trace(layer or place, "sum of products", float(value), text, self._row(r), own, node, given, column)

    def _norm(self, called: str, layer: Layer, a: NDArray, at: tuple[int, ...], value: float) -> Trace:
        over = a[:, at[1]] if isinstance(layer, BatchNorm) else a[at[0]]
        worst = int(np.abs(over).argmax())
        r, node = (worst, at[1]) if isinstance(layer, BatchNorm) else (at[0], worst)
        among = "batch" if isinstance(layer, BatchNorm) else "row"
        mean, given = over.mean(), float(over[worst])
        made = (
            f"of the {among} the mean is {mean:g}, the variance {np.square(over - mean).mean():g}; one is {given:.6g}"
        )
        return self._told(called, "mean and variance", (r, node), value, made, given)

    def _loss(self, outputs: NDArray, memory: list[Any], share: float) -> Trace | None:
        network = self.network
        values, error = network._judge(outputs, self.y)
        weighed = values if self.s is None else self.s * values
        name = network.loss.name
        for numbers, what in ((weighed, f"the {name} loss"), (error, f"the derivative of the {name} loss")):
            at = _first(numbers)
            if at is not None:
                j = at[1] if len(at) > 1 else int(np.abs(outputs[at[0]]).argmax())
                given, target = float(outputs[at[0], j]), self.y[at[0]]
                target = target if np.ndim(target) == 0 or network.loss is Softmax else target[j]
                made = f"output {j} = {given:.6g}, y = {target:.6g}"
                text = f"{what} of row {self._row(at[0])} is {numbers[at]:g}: {made}"
                return Trace("loss", name, float(numbers[at]), text, self._row(at[0]), None, j, given)
        total = float(np.sum(weighed, dtype=np.float64)) * share
        if not np.isfinite(total):
            r = int(np.abs(weighed).argmax())
            text = f"the sum of the losses is {total:g}: that of row {self._row(r)} is {weighed[r]:.6g}"
            return Trace("loss", "sum", total, text, self._row(r), given=float(weighed[r]))
        error = error * np.asarray(share if self.s is None else (share * self.s)[:, None], dtype=error.dtype)
        return self._backward(memory, error)

    def _backward(self, memory: list[Any], error: NDArray) -> Trace | None:
        """The first layer from the output whose gradient, or the error vector of whose input, is not finite."""
        network, gradient = self.network, np.zeros_like(self.w)
        views, ways = network.layout.views(gradient), network.backward(self.w, memory, error, gradient)
        for k in reversed(range(len(network.layers))):
            coming: NDArray = error
            called = f"layer{k} ({network.layers[k].name})"
            back = next(ways)
            for name, g in views[k].items():
                if (at := _first(g)) is not None:
                    return self._gradient(called, name, memory[k], coming, at, float(g[at]))
            if back is None:
                break
            if (at := _first(back)) is not None:
                j = int(np.abs(coming[at[0]]).argmax())
                text = f"on the way back, the error of input {at[1]} of {called}, row {self._row(at[0])}, is "
                made = f"{back[at]:g}: the error of node {j} is {coming[at[0], j]:.6g}"
                given = float(coming[at[0], j])
                return Trace(called, "error vector", float(back[at]), text + made, self._row(at[0]), None, j, given)
            error = back
        return None

    def _gradient(self, called: str, name: str, kept: Any, coming: NDArray, at: tuple[int, ...], value: float) -> Trace:
        j = at[-1] if coming.shape[-1] > at[-1] else 0
        sizes, made = np.abs(coming[:, j]).astype(np.float64), ""
        if name == "weight" and hasattr(kept, "shape"):
            column = kept[:, [at[0]]]
            column = column.toarray()[:, 0] if hasattr(column, "toarray") else column[:, 0]
            sizes = sizes * np.abs(column.astype(np.float64))
            made = f"feature {at[0]} = {column[int(sizes.argmax())]:.6g} times "
        r = int(sizes.argmax())
        entry = f"{name}[{','.join(map(str, at))}]"
        text = f"on the way back, the gradient of {called} by {entry} is {value:g}: of row {self._row(r)}, {made}"
        text += f"the error {coming[r, j]:.6g} of node {j}"
        feature = at[0] if made and called.startswith("layer0 ") else None
        column_name = None if feature is None else self._column(feature)
        return Trace(called, "gradient", value, text, self._row(r), feature, j, float(coming[r, j]), column_name)

    def _told(self, called: str, operation: str, at: tuple[int, ...], value: float, made: str, given: float) -> Trace:
        text = f"in {called}, row {self._row(at[0])}, node {at[1]} is {value:g}: {made}"
        return Trace(called, operation, float(value), text, self._row(at[0]), None, at[1], given)

    def _row(self, r: int) -> int:
        self.at, number = r, int(self.rows[r])
        return number if self.network.numbers is None else int(self.network.numbers[number])

    def _column(self, j: int) -> str | None:
        return None if self.network.columns is None else str(self.network.columns[j])


def _row_of(a: Any, r: int) -> NDArray:
    return a[r] if isinstance(a, np.ndarray) else a[[r]].toarray()[0]


def _first(a: Any) -> tuple[int, ...] | None:
    """The index of the first entry that is not finite."""
    if not isinstance(a, np.ndarray):
        sound = np.isfinite(a.data)
        if sound.all():
            return None
        k = int(np.argmin(sound))
        return int(np.searchsorted(a.indptr, k, side="right")) - 1, int(a.indices[k])
    sound = np.isfinite(a)
    return None if sound.all() else tuple(map(int, np.unravel_index(int(np.argmin(sound)), a.shape)))
