r"""Layers: each takes activations forward, and an error vector back.

With a layer's output :math:`a' = f(a)` and the *error vector* :math:`\delta' = \partial J/\partial a'` of its output, a
layer gives the error vector of its input, :math:`\delta = (\partial a'/\partial a)^T \delta'`, and the gradient of its
own parameters.  That is backpropagation: the chain rule, one layer at a time, from the last to the first.

A layer has

``shapes``
    the shape of each of its parameters, by name; those in ``penalised`` bear the l2 penalty;
``draw(rng)``
    initial parameters;
``forward(p, a, mode)``
    its output for the samples in the rows of `a`, and what its way back needs;
``backward(p, memory, error, g)``
    from the error of its output that of its input; the gradient of each parameter is written into `g`.

D. Rumelhart, G. Hinton, R. Williams, *Learning representations by back-propagating errors*, Nature 1986.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender.costs.network.activations import ACTIVATIONS, Activation
from descender.costs.network.initialisations import read_initialisation
from descender.errors import OptionError, ShapeError, suggest

Parameters = dict[str, NDArray]


class Mode(NamedTuple):
    """Why a network is read: `rng` draws what a step of training leaves out; `frozen` uses what training has learnt."""

    rng: np.random.Generator | None = None
    frozen: bool = False


EPSILON = 1e-5
"""Added to a variance before its root is taken, as in both papers on normalisation."""


@lru_cache(maxsize=64)
def ones(n: int, dtype: Any) -> NDArray:
    """So many ones: a product with them is the fastest sum over rows."""
    made = np.ones(n, dtype=dtype)
    made.flags.writeable = False
    return made


class Layer:
    """What all layers share: no parameters, unless they say so."""

    name = "layer"
    shapes: dict[str, tuple[int, ...]] = {}
    penalised: ClassVar[tuple[str, ...]] = ()
    per_sample = True
    """Whether what becomes of a sample does not depend on the others in its batch."""

    def draw(self, rng: np.random.Generator) -> Parameters:
        """Initial parameters."""
        return {}

    def width(self, inputs: int) -> int:
        """The number of outputs, for so many inputs; a :class:`ShapeError` where they do not fit."""
        return inputs

    def forward(self, p: Parameters, a: Any, mode: Mode) -> tuple[Any, Any]:
        """The output, and what `backward` needs."""
        raise TypeError(f"{type(self).__name__} does not define forward")

    def backward(self, p: Parameters, memory: Any, error: Any, g: Parameters) -> Any:
        """The error of the input; gradients of the parameters go into `g`."""
        raise TypeError(f"{type(self).__name__} does not define backward")


class Dense(Layer):
    r"""Weighted sums :math:`z = a W + b`; W is (inputs, outputs).

    .. math::
        \delta = \delta' W^T, \qquad \frac{\partial J}{\partial W} = a^T \delta', \qquad
        \frac{\partial J}{\partial b} = \sum \delta'

    As the first layer of a network it takes sparse rows as well.  Biases are drawn from -`spread` to `spread`.
    `by_samples` says that a network may bring its start to the scale of the samples.
    """

    name = "dense"
    penalised = ("weight",)

    def __init__(
        self,
        inputs: int,
        outputs: int,
        initialisation: str = "glorot",
        gain: float = 1.0,
        spread: float = 0.0,
        first: bool = False,
        by_samples: bool = False,
    ):
        for side, count in (("inputs", inputs), ("outputs", outputs)):
            if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
                raise ShapeError(f"a layer with {side}={count!r}; expected a whole number of at least 1")
        self.sides = int(inputs), int(outputs)
        self.shapes = {"weight": self.sides, "bias": self.sides[1:]}
        self.initialisation, self.gain, self.spread = read_initialisation(initialisation), gain, spread
        self.first, self.by_samples = first, by_samples

    def draw(self, rng: np.random.Generator) -> Parameters:
        """Weights by the initialisation, then biases."""
        weight = self.gain * self.initialisation(*self.sides, rng)
        return {"weight": weight, "bias": rng.uniform(-self.spread, self.spread, self.sides[1:])}

    def width(self, inputs: int) -> int:
        """As many outputs as W has columns."""
        if inputs != self.sides[0]:
            raise ShapeError(f"a dense layer of {self.sides[0]} inputs follows {inputs} outputs")
        return self.sides[1]

    def forward(self, p: Parameters, a: Any, mode: Mode) -> tuple[Any, Any]:
        """Z = a W + b."""
        weight = p["weight"]
        if mode.frozen and weight.shape[1] == 1 and isinstance(a, np.ndarray):
            z = np.sum(a * weight[:, 0], axis=1, keepdims=True)  # BLAS adds up a single column by blocks of rows
        else:
            z = a @ weight
        z += p["bias"]
        return z, a

    def backward(self, p: Parameters, memory: Any, error: Any, g: Parameters) -> Any:
        """The error goes back through the weights that the signal came by."""
        a = memory
        if isinstance(a, np.ndarray):
            np.dot(a.T, error, out=g["weight"])
        else:
            g["weight"][...] = a.T @ error
        np.dot(ones(len(error), error.dtype), error, out=g["bias"])
        return None if self.first else np.dot(error, p["weight"].T)


class Activate(Layer):
    r""":math:`a' = f(z)` at each node, so :math:`\delta = \delta' f'(z)`."""

    name = "activation"

    def __init__(self, activation: str):
        if activation not in ACTIVATIONS:
            raise OptionError(f"activation={activation!r}; {suggest(str(activation), ACTIVATIONS)}")
        self.activation: Activation = ACTIVATIONS[activation]

    def forward(self, p: Parameters, a: Any, mode: Mode) -> tuple[Any, Any]:
        """The activation of each node."""
        out = self.activation.value(a)
        return out, (a, out)

    def backward(self, p: Parameters, memory: Any, error: Any, g: Parameters) -> Any:
        """The error times the slope at each node."""
        return error * self.activation.slope(*memory)


class Dropout(Layer):
    r"""While training each value is 0 with probability p, else divided by 1 - p; otherwise nothing happens.

    N. Srivastava and others, *Dropout: a simple way to prevent neural networks from overfitting*, JMLR 2014.
    """

    name = "dropout"

    def __init__(self, share: float):
        if not 0 <= share < 1:
            raise OptionError(f"dropout={share!r}: expected a share of at least 0 and below 1")
        self.share = float(share)

    def forward(self, p: Parameters, a: Any, mode: Mode) -> tuple[Any, Any]:
        """Some values are left out, and the others stand in for them."""
        if mode.rng is None or self.share == 0.0:
            return a, None
        kept = (mode.rng.random(a.shape, dtype=np.float32) >= self.share) * a.dtype.type(1.0 / (1.0 - self.share))
        return a * kept, kept

    def backward(self, p: Parameters, memory: Any, error: Any, g: Parameters) -> Any:
        """Only what went forward has an error."""
        return error if memory is None else error * memory


class _Normalise(Layer):
    """Subtract a mean, divide by a deviation, then scale and shift by parameters of the layer."""

    def __init__(self, width: int):
        self.shapes = {"scale": (width,), "shift": (width,)}

    def draw(self, rng: np.random.Generator) -> Parameters:
        """Nothing is changed at first."""
        return {"scale": np.ones(self.shapes["scale"]), "shift": np.zeros(self.shapes["shift"])}

    def width(self, inputs: int) -> int:
        """As many outputs as inputs."""
        if (inputs,) != self.shapes["scale"]:
            raise ShapeError(f"a {self.name} of {self.shapes['scale'][0]} follows {inputs} outputs")
        return inputs

    def _over(self, a: NDArray, axis: int) -> tuple[NDArray, NDArray]:
        mean = a.mean(axis=axis, keepdims=True)
        return mean, np.square(a - mean).mean(axis=axis, keepdims=True)

    def _back(self, p: Parameters, memory: Any, error: NDArray, g: Parameters, axis: int) -> NDArray:
        normal, inverse = memory
        over = tuple(range(error.ndim - 1))
        np.sum(error * normal, axis=over, out=g["scale"])
        np.sum(error, axis=over, out=g["shift"])
        error = error * p["scale"]
        mean, along = error.mean(axis=axis, keepdims=True), (error * normal).mean(axis=axis, keepdims=True)
        return inverse * (error - mean - normal * along)


class LayerNorm(_Normalise):
    r"""Each sample is brought to mean 0 and variance 1 over its nodes: :math:`a' = \gamma \hat a + \beta`.

    J. Ba, J. Kiros, G. Hinton, *Layer normalization*, 2016.
    """

    name = "layer norm"

    def forward(self, p: Parameters, a: Any, mode: Mode) -> tuple[Any, Any]:
        """Normalised over the nodes."""
        mean, variance = self._over(a, -1)
        inverse = 1.0 / np.sqrt(variance + EPSILON)
        normal = (a - mean) * inverse
        return normal * p["scale"] + p["shift"], (normal, inverse)

    def backward(self, p: Parameters, memory: Any, error: Any, g: Parameters) -> Any:
        """The error, less what a shift or a scaling of the whole sample would undo."""
        return self._back(p, memory, error, g, -1)


class BatchNorm(_Normalise):
    r"""Each node is brought to mean 0 and variance 1 over the samples of the batch: :math:`a' = \gamma \hat a + \beta`.

    A reading of all samples takes all of them as the batch; the mean and variance of the last batch are kept in
    ``statistics``, and new samples are normalised by them.

    S. Ioffe and C. Szegedy, *Batch normalization*, 2015, with the population's statistics instead of moving averages.
    """

    name = "batch norm"
    per_sample = False

    def __init__(self, width: int):
        super().__init__(width)
        self.statistics = (np.zeros(width), np.ones(width))

    def forward(self, p: Parameters, a: Any, mode: Mode) -> tuple[Any, Any]:
        """Normalised over the samples."""
        if mode.frozen:
            mean, variance = (part.astype(a.dtype) for part in self.statistics)
        else:
            mean, variance = self._over(a, 0)
            self.statistics = (mean[0].astype(np.float64), variance[0].astype(np.float64))
        inverse = 1.0 / np.sqrt(variance + EPSILON)
        normal = (a - mean) * inverse
        return normal * p["scale"] + p["shift"], (normal, inverse)

    def backward(self, p: Parameters, memory: Any, error: Any, g: Parameters) -> Any:
        """The error, less what a shift or a scaling of the whole batch would undo."""
        return self._back(p, memory, error, g, 0)


class Residual(Layer):
    r""":math:`a' = a + f(a)` around some layers: errors also pass by them, undiminished.

    K. He and others, *Deep residual learning for image recognition*, 2016.
    """

    name = "residual"

    def __init__(self, layers: Sequence[Layer]):
        self.layers = tuple(layers)
        self.shapes = {f"{k}.{name}": shape for k, part in enumerate(layers) for name, shape in part.shapes.items()}
        self.per_sample = all(part.per_sample for part in layers)

    @property
    def penalised(self) -> tuple[str, ...]:  # type: ignore[override]
        """Those of the layers within."""
        return tuple(f"{k}.{name}" for k, part in enumerate(self.layers) for name in part.penalised)

    def draw(self, rng: np.random.Generator) -> Parameters:
        """Those of the layers within."""
        return {f"{k}.{name}": v for k, part in enumerate(self.layers) for name, v in part.draw(rng).items()}

    def width(self, inputs: int) -> int:
        """As many outputs as inputs: they are added."""
        outputs = inputs
        for part in self.layers:
            outputs = part.width(outputs)
        if outputs != inputs:
            raise ShapeError(f"a residual connection adds {inputs} inputs to {outputs} outputs; give one width")
        return inputs

    def _within(self, p: Parameters, k: int) -> Parameters:
        return {name: p[f"{k}.{name}"] for name in self.layers[k].shapes}

    def forward(self, p: Parameters, a: Any, mode: Mode) -> tuple[Any, Any]:
        """The input and what the layers make of it."""
        out, memory = a, []
        for k, part in enumerate(self.layers):
            out, kept = part.forward(self._within(p, k), out, mode)
            memory.append(kept)
        return a + out, memory

    def backward(self, p: Parameters, memory: Any, error: Any, g: Parameters) -> Any:
        """Both ways back."""
        back = error
        for k in reversed(range(len(self.layers))):
            back = self.layers[k].backward(self._within(p, k), memory[k], back, self._within(g, k))
        return error + back


class Recurrent(Layer):
    r"""A plain recurrent layer, :math:`h_t = f(x_t W + h_{t-1} U + b)`, :math:`h_0 = 0`; the last h is its output.

    It takes sequences, (samples, steps, inputs).  One may be shorter than others: its steps of NaN, at the end, are
    not taken.  Backpropagation through time carries the error vector :math:`\delta_t` from the last step to the first,
    :math:`\delta_{t-1} = (\delta_t f'_t) U^T`: where the norm of U is above 1 it may grow with each step, below 1 it
    vanishes (R. Pascanu and others, *On the difficulty of training recurrent neural networks*, 2013).

    J. Elman, *Finding structure in time*, 1990.
    """

    name = "recurrent"
    penalised = ("weight", "recurrent")

    def __init__(self, inputs: int, outputs: int, activation: str = "tanh", initialisation: str = "glorot",
                 recurrent: str = "orthogonal", gain: float = 1.0):  # fmt: skip
        self.dense = Dense(inputs, outputs, initialisation)
        self.inputs, self.outputs, self.gain = int(inputs), int(outputs), gain
        self.shapes = {"weight": (self.inputs, self.outputs), "recurrent": (self.outputs, self.outputs),
                       "bias": (self.outputs,)}  # fmt: skip
        self.recurrent = read_initialisation(recurrent)
        self.activation: Activation = Activate(activation).activation

    def draw(self, rng: np.random.Generator) -> Parameters:
        """Weights by their initialisations; biases 0."""
        own = self.dense.draw(rng)
        return {"weight": own["weight"], "recurrent": self.gain * self.recurrent(self.outputs, self.outputs, rng),
                "bias": own["bias"]}  # fmt: skip

    def width(self, inputs: int) -> int:
        """As many outputs as h has."""
        if inputs != self.inputs:
            raise ShapeError(f"a recurrent layer of {self.inputs} inputs follows {inputs} outputs")
        return self.outputs

    def forward(self, p: Parameters, a: Any, mode: Mode) -> tuple[Any, Any]:
        """Step by step through time, up to the end of the longest sequence."""
        there = ~np.isnan(a[:, :, 0]).T  # steps first, so that each lies in one piece
        steps, n = int(there.any(axis=1).sum()), len(a)
        x = np.ascontiguousarray(a[:, :steps].transpose(1, 0, 2))
        on = there[:steps, :, None]
        everywhere = there[:steps].all(axis=1)
        if not everywhere.all():
            x[~there[:steps]] = 0.0
        z = (x.reshape(-1, self.inputs) @ p["weight"]).reshape(steps, n, self.outputs)
        z += p["bias"]
        states = np.zeros((steps + 1, n, self.outputs), dtype=a.dtype)
        for t in range(steps):
            z[t] += states[t] @ p["recurrent"]
            out = self.activation.value(z[t])
            states[t + 1] = out if everywhere[t] else np.where(on[t], out, states[t])
        return states[steps], (x, z, states, on, everywhere)

    def backward(self, p: Parameters, memory: Any, error: Any, g: Parameters) -> Any:
        """Step by step back through time; sequences are where a network begins, so no error goes further."""
        x, _, states, _, _ = memory
        inner = np.empty_like(states[1:])
        for t, (part, _) in zip(reversed(range(len(x))), self.through_time(p, memory, error), strict=True):
            inner[t] = part
        flat = inner.reshape(-1, self.outputs)
        np.dot(x.reshape(-1, self.inputs).T, flat, out=g["weight"])
        np.dot(states[:-1].reshape(-1, self.outputs).T, flat, out=g["recurrent"])
        np.sum(flat, axis=0, out=g["bias"])
        return None

    def through_time(self, p: Parameters, memory: Any, error: NDArray) -> Iterator[tuple[NDArray, NDArray]]:
        """For each step, last first: the error of its weighted sums, and the error of the state before it."""
        _, z, states, on, everywhere = memory
        back = p["recurrent"].T
        for t in reversed(range(len(z))):
            inner = error * self.activation.slope(z[t], states[t + 1])
            if everywhere[t]:
                error = inner @ back
            else:
                inner = np.where(on[t], inner, 0.0)
                error = np.where(on[t], inner @ back, error)
            yield inner, error
