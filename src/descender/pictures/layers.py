"""What comes back to the layers of a network: sizes of error vectors and gradients, layer by layer and step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descender.costs.network.network import ErrorVector
from descender.errors import CapabilityError, OptionError, ShapeError, suggest
from descender.pictures.paths import trail_of
from descender.pictures.plotly import Spec, escaped, figure, plain, rounded, titled
from descender.pictures.style import COLOURS, DASHES, MARKERS, axes, colourbar, head, legend, short, styled, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZES = {
    "gradient": "gradient norm",
    "node": "gradient norm per node",
    "error": "error vector (rms)",
    "signal": "signal (rms)",
    "through_time": "error vector of the state (rms)",
}


@dataclass(frozen=True)
class LayerMap:
    """A size (layers, steps) of each layer at some steps, NaN where it was not finite or zero."""

    steps: NDArray[np.float64]
    layers: tuple[str, ...]
    sizes: NDArray[np.float64]
    label: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Profile:
    """A size along the layers, or along the states of a recurrent one, of several networks by name."""

    lines: tuple[tuple[str, NDArray[np.float64]], ...]
    x_label: str
    y_label: str


def describe_layers(told: Mapping[int, Sequence[ErrorVector]], what: str = "gradient") -> LayerMap:
    """What :meth:`~descender.costs.network.network.Network.error_vectors` told at some steps, as a table.

    `what` is gradient, node, error or signal.

    >>> vectors = [ErrorVector("layer0 (dense)", 1.0, 0.5, 2.0, 1.0, {}), ErrorVector("layer2 (dense)", 1, 1, 3, 1, {})]
    >>> describe_layers({0: vectors, 10: vectors}).sizes
    array([[2., 2.],
           [3., 3.]])
    """
    _known(what, tuple(SIZES)[:4])
    if not told or not all(told.values()):
        raise OptionError("no step was looked at: there is nothing to draw")
    names = {tuple(row.layer for row in vectors) for vectors in told.values()}
    if len(names) > 1:
        raise ShapeError("the steps tell of different layers; give those of one network")
    steps = np.array(sorted(told), dtype=np.float64)
    sizes = np.array([[getattr(row, what) for row in told[k]] for k in sorted(told)], dtype=np.float64).T
    return _map(steps, names.pop(), sizes, SIZES[what])


def describe_layer_steps(walk: Any, what: str = "gradient", network: Any = None, most: int | None = None) -> LayerMap:
    """The same along a training: the gradients that its record kept, or a reading at up to `most` (60) of its points.

    `walk` is a record, also a saved one, or a walk; `network` its cost, by default the walk's own.  Records keep the
    gradient norm of layers, of some rows, at up to 80 looks; other sizes need the network and the points.

    Raises :class:`CapabilityError` if the cost is no network.
    """
    kept = getattr(walk, "record", walk).facts.get("layers")
    if kept and what == "gradient" and network is None and most is None:
        return _kept(kept)
    network = getattr(walk, "cost", None) if network is None else network
    if not hasattr(network, "error_vectors"):
        raise CapabilityError("the cost of this walk is no network of several layers: there are no layers to draw")
    trail = trail_of(walk, network.n_parameters)
    looks = np.linspace(0, len(trail.points) - 1, min(most or 60, len(trail.points)))
    kept = np.unique(looks.astype(np.intp))
    return describe_layers({int(trail.steps[k]): network.error_vectors(trail.points[k]) for k in kept}, what)


def _kept(facts: Mapping[str, Any]) -> LayerMap:
    """What a record kept of the layers."""
    sizes = np.array(facts["gradient"], dtype=np.float64)
    note = f"of {facts['rows']:,} of the rows, spread over all"
    return _map(np.array(facts["steps"], dtype=np.float64), tuple(facts["names"]), sizes, SIZES["gradient"], (note,))


def _map(
    steps: NDArray[np.float64], names: tuple[str, ...], sizes: NDArray, label: str, notes: tuple[str, ...] = ()
) -> LayerMap:
    sizes = np.where(np.isfinite(sizes) & (sizes > 0), sizes, np.nan)
    if np.isnan(sizes).all():
        raise OptionError(f"no {label} is a positive finite number: there is nothing to draw")
    lost = steps[np.isnan(sizes).any(axis=0)]
    grey = (f"grey: zero or not finite, first at step {lost[0]:,.0f}",) if lost.size else ()
    return LayerMap(steps, names, sizes, label, (*notes, *grey))


@styled
def draw_layers(data: LayerMap, ax: Any = None) -> Axes:
    """Draw the table as a heat map on a logarithmic scale: the last layer, where errors come from, on top."""
    from matplotlib.colors import LogNorm

    ax = axes(ax, (6.4, 1.4 + 0.32 * len(data.layers)))
    gaps = np.diff(data.steps)
    width = float(gaps[-1]) if gaps.size else 1.0
    edges = np.append(data.steps, data.steps[-1] + width)
    known = data.sizes[~np.isnan(data.sizes)]
    scale = LogNorm(known.min(), max(known.max(), known.min() * 1.01))
    ax.set_facecolor("#BBBBBB")
    shown = ax.pcolormesh(edges, np.arange(len(data.layers) + 1), np.ma.masked_invalid(data.sizes), norm=scale,
                          cmap="viridis", rasterized=True)  # fmt: skip
    ax.set_yticks(np.arange(len(data.layers)) + 0.5, [words(name) for name in data.layers])
    ax.set_xlabel("step")
    colourbar(ax, shown, data.label)
    head(ax, "", data.notes)
    return ax


def plotly_layers(data: LayerMap) -> Spec:
    """The table as a heat map whose colours are logarithmic."""
    shade = np.log10(data.sizes)
    low, high = int(np.floor(np.nanmin(shade))), int(np.ceil(np.nanmax(shade)))
    ticks = list(range(low, high + 1, max((high - low) // 6, 1)))
    heat = {
        "type": "heatmap", "x": plain(data.steps), "y": [escaped(name) for name in data.layers], "z": rounded(shade),
        "customdata": rounded(data.sizes), "colorscale": "Viridis",
        "colorbar": {"tickvals": ticks, "ticktext": [short(10.0**k, 2) for k in ticks]},
        "hovertemplate": "step %{x:,}, %{y}: %{customdata:.3g}<extra></extra>",
    }  # fmt: skip
    height = 120 + 26 * len(data.layers)
    return figure([heat], data.label, titled("step"), {"type": "category"}, data.notes, height=height)


def describe_profile(networks: Mapping[str, Sequence[ErrorVector]], what: str = "error") -> Profile:
    """What came back to each layer of several networks; with ``"through_time"``, to each state of recurrent ones.

    Layers of normalisation and activation are left out: those with weights are counted, the first as 1.

    >>> vectors = [ErrorVector("layer0 (dense)", 1.0, 0.5, 2.0, 1.0, {"weight": 1.0})]
    >>> describe_profile({"one": vectors}).lines
    (('one', array([0.5])),)
    """
    _known(what, SIZES)
    if not networks:
        raise OptionError("networks={}: there is nothing to draw")
    lines = []
    for name, vectors in networks.items():
        if what == "through_time":
            values = next((row.through_time for row in vectors if row.through_time), ())
        else:
            values = tuple(getattr(row, what) for row in vectors if row.spectral)
        sizes = np.array(values, dtype=np.float64)
        if not (np.isfinite(sizes) & (sizes > 0)).any():
            raise OptionError(f"{name}: no {SIZES[what]} is a positive finite number; nothing to draw")
        lines.append((name, np.where(np.isfinite(sizes) & (sizes > 0), sizes, np.nan)))
    where = "step of the sequence" if what == "through_time" else "layer"
    return Profile(tuple(lines), f"{where} (errors come back from the right)", SIZES[what])


@styled
def draw_profile(data: Profile, ax: Any = None) -> Axes:
    """Draw the sizes on a logarithmic axis: what falls to the left vanishes on its way back, what rises explodes."""
    from matplotlib.ticker import MaxNLocator

    many = len(data.lines) > 4
    ax = axes(ax, (8.6, 4.2) if many else (6.4, 4.2))
    for k, (name, sizes) in enumerate(data.lines):
        ax.plot(np.arange(1, len(sizes) + 1), sizes, label=words(name), color=COLOURS[k % 7], ls=DASHES[k % 7],
                marker=MARKERS[k % 7])  # fmt: skip
    ax.set_yscale("log")
    ax.grid(True, axis="y")
    ax.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True))
    ax.set_xlabel(data.x_label)
    ax.set_ylabel(data.y_label)
    legend(ax, beside=many)
    return ax


def _known(what: str, known: Any) -> None:
    if what not in known:
        raise OptionError(f"what={what!r}; {suggest(str(what), known)}")
