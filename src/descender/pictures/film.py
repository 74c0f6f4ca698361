"""Films: a walk on its cost, frame by frame, as a GIF or as a page that plays.

``describe_film`` gives plain data: the ground that stays, and for each frame a caption and the marks that move.  A GIF
is drawn by Matplotlib, the ground once and the marks on copies of it, and written by Pillow; a page is Plotly's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.errors import CapabilityError, OptionError
from descender.pictures import page, slices, surface, tracks
from descender.pictures.kinds import cost_of
from descender.pictures.paths import thin, trail_of
from descender.pictures.plotly import Spec, escaped, figure, rounded, titled
from descender.pictures.style import BLACK, COLOURS, VERMILLION, YELLOW, axes, short, styled, words
from descender.record import write_beside

FRAMES = 60
"""Frames at most: every step of a short walk; of a long one ever fewer, as its steps become shorter."""
POINTS = 200
"""Points of a line in one frame, at most."""
MILLISECONDS, LAST = 120, 1500
"""How long a frame is shown, and how long the last one."""


@dataclass(frozen=True)
class Mark:
    """A line through points, or (``size`` above 0) points, in a colour."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    colour: str
    size: float = 0.0


@dataclass(frozen=True)
class Frame:
    """What moves, and the words to it."""

    caption: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Film:
    """The ground, a slice or a contour, and the frames, each with as many marks."""

    ground: slices.Slice | surface.Contour
    frames: tuple[Frame, ...]
    names: tuple[str, ...] = ()


def describe_film(walk: Any, kind: str | None = None, frames: int = FRAMES, **options: Any) -> Film:
    """The film of a walk on the cost of one weight (``slice``) or on contours (``path``), or of several by name.

    `walk` is a record or a walk, or a mapping of names to walks on one cost: then they move side by side, step by step.
    `options` are those of the picture of this kind.

    >>> from descender import minimize
    >>> film = describe_film(minimize("(x - 3)**2", "x=0", method="gd", learning_rate=0.25, max_steps=3))
    >>> [frame.caption for frame in film.frames][:2]
    ['step 0: x = 0, J = 9, slope −6', 'step 1: x = 1.5, J = 2.25, slope −3']
    """
    if frames < 2:
        raise OptionError(f"frames={frames}: a film has at least 2")
    if isinstance(walk, Mapping):
        return _race(walk, frames, options)
    cost = cost_of(walk)
    kind = kind or ("slice" if cost.n_parameters == 1 else "path")
    if kind not in ("slice", "path"):
        raise CapabilityError(f"there is no film of kind {kind!r}: slice and path move, the others are pictures")
    return (_slice if kind == "slice" else _path)(cost, getattr(walk, "record", walk), frames, options)


def chosen(steps: NDArray, frames: int) -> NDArray[np.int64]:
    """The steps that are shown: all of a few; of many the first ones, and then ever fewer."""
    known = np.unique(steps)
    if len(known) <= frames:
        return known
    places = np.unique(np.round(np.geomspace(1, len(known), frames) - 1).astype(np.intp))
    rest = np.setdiff1d(np.linspace(0, len(known) - 1, frames).astype(np.intp), places)
    fill = rest[np.linspace(0, len(rest) - 1, min(frames - len(places), len(rest))).astype(np.intp)]
    return known[np.unique(np.concatenate([places, fill]))]


def _slice(cost: Any, record: Any, frames: int, options: dict[str, Any]) -> Film:
    trail = trail_of(record, 1)
    whole = slices.describe_slice(cost, record, **options)
    low, high = whole.w[0], whole.w[-1]
    made = []
    for step in chosen(trail.steps, frames).tolist():
        k = int(np.flatnonzero(trail.steps == step)[-1])
        so_far = np.unique(np.linspace(0, k, 200).astype(np.intp))
        w = trail.points[so_far, 0]
        w = np.where((w >= low) & (w <= high), w, np.nan)
        at = trail.points[k, 0]
        with np.errstate(all="ignore"):
            value, slope = cost.value(np.array([at])), float(cost.gradient(np.array([at]))[0])
            heights = np.array([cost.value(np.array([v])) if np.isfinite(v) else np.nan for v in w])
            reach = slices.tangent_reach(slope, whole.w, whole.value, 0.2)
        ends = np.array([at - reach, at + reach]) if np.isfinite(slope) and low <= at <= high else np.full(2, np.nan)
        caption = f"step {step:,}: {whole.name} = {short(at)}, J = {short(value)}, slope {short(slope, 3)}"
        marks = (
            Mark(w, heights, BLACK, 4.0),
            Mark(ends, value + slope * (ends - at), VERMILLION),
            Mark(np.array([at]), np.array([value]), YELLOW, 9.0),
        )
        made.append(Frame(caption, marks))
    return Film(whole, tuple(made))


def _path(cost: Any, record: Any, frames: int, options: dict[str, Any]) -> Film:
    ground = surface.describe_contour(cost, record, **options)
    made = []
    for step in chosen(ground.path_step, frames).tolist():
        k = int(np.searchsorted(ground.path_step, step, side="right"))
        (x, y), value = ground.path[:k].T, ground.path_cost[k - 1]
        made.append(Frame(f"step {step:,}: J = {short(value, 5)}", _moving(x, y, VERMILLION)))
    return Film(ground, tuple(made))


def _moving(x: NDArray, y: NDArray, colour: str) -> tuple[Mark, ...]:
    kept = thin(np.nan_to_num(np.column_stack([x, y])), POINTS)
    x, y = x[kept], y[kept]
    return Mark(x, y, colour), Mark(x[-1:], y[-1:], colour, 8.0)


def _race(walks: Mapping[str, Any], frames: int, options: dict[str, Any]) -> Film:
    cost = cost_of(next(iter(walks.values()), None))
    data = tracks.describe_tracks(cost, walks, **options)
    made = []
    for step in chosen(np.concatenate([track.steps for track in data.tracks]), frames).tolist():
        marks: list[Mark] = []
        for j, track in enumerate(data.tracks):
            k = int(np.searchsorted(track.steps, step, side="right"))
            x, y = track.path[:k].T
            marks += _moving(x, y, COLOURS[j % 7])
        made.append(Frame(f"step {step:,}", tuple(marks)))
    return Film(data.ground, tuple(made), tuple(track.label for track in data.tracks))


@styled
def draw_film(data: Film) -> list[Any]:
    """The frames as Pillow images, in one palette."""
    from PIL import Image

    ax = axes(None, (6.6, 4.8))
    figure, moving = _stage(data, ax)
    canvas: Any = figure.canvas
    canvas.draw()
    empty = canvas.copy_from_bbox(figure.bbox)
    images = []
    for frame in data.frames:
        canvas.restore_region(empty)
        for artist, mark in zip(moving[1:], frame.marks, strict=True):
            artist.set_data(mark.x, mark.y)
            ax.draw_artist(artist)
        moving[0].set_text(words(frame.caption))
        figure.draw_artist(moving[0])
        images.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()))
    palette = images[-1].quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    return [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]


def _stage(data: Film, ax: Any) -> tuple[Any, list[Any]]:
    """The ground, and the artists that move: the caption and one for each mark."""
    if isinstance(data.ground, slices.Slice):
        slices.draw_ground(data.ground, ax)
    else:
        surface.draw_ground(data.ground, ax, "Greys_r" if data.names else "Blues_r")
    for name, mark in zip(data.names, data.frames[0].marks[::2], strict=False):
        ax.plot([], [], color=mark.colour, label=words(name))
    if data.names:
        ax.legend(loc="upper right")
    caption = ax.set_title(" ")
    caption.set_animated(True)
    artists: list[Any] = [caption]
    for mark in data.frames[0].marks:
        look = {"ls": "", "marker": "o", "ms": mark.size, "mec": BLACK, "mew": 0.6} if mark.size else {"lw": 1.8}
        artists += ax.plot([], [], color=mark.colour, animated=True, zorder=6, **look)
    return ax.get_figure(root=True), artists


def plotly_film(data: Film) -> Spec:
    """The film as a Plotly figure that shows the end, with ``frames``: a caption, and what moves of which traces."""
    first = [_trace(mark, name) for mark, name in zip(data.frames[-1].marks, _mark_names(data), strict=True)]
    if isinstance(data.ground, slices.Slice):
        spec = slices.plotly_slice(data.ground)
        still, x, y = spec["data"][:1], spec["layout"]["xaxis"], spec["layout"]["yaxis"]
    else:
        still = [surface.ground_trace(data.ground, "Greys" if data.names else "Blues")]
        x, y = (titled(n, range=[float(v[0]), float(v[-1])])
                for n, v in zip(data.ground.names, (data.ground.x, data.ground.y), strict=True))  # fmt: skip
    moved = list(range(len(still), len(still) + len(first)))
    frames = [
        {
            "caption": frame.caption,
            "traces": moved,
            "data": [{"x": rounded(mark.x, 6), "y": rounded(mark.y, 6)} for mark in frame.marks],
        }
        for frame in data.frames
    ]
    return figure([*still, *first], "", x, y, showlegend=bool(data.names), height=480) | {"frames": frames}


def _mark_names(data: Film) -> list[str]:
    """A name for the line of each walk; none for its point."""
    return [name for one in data.names for name in (one, "")] or [""] * len(data.frames[0].marks)


def _trace(mark: Mark, name: str) -> Spec:
    look: Spec = {"mode": "markers", "marker": {"color": mark.colour, "size": mark.size + 1}} if mark.size else {
        "mode": "lines", "line": {"color": mark.colour, "width": 2.5}}  # fmt: skip
    return {"type": "scatter", "name": escaped(name), "showlegend": bool(name), "hoverinfo": "skip"} | look | {
        "x": rounded(mark.x, 6), "y": rounded(mark.y, 6)}  # fmt: skip


def animate(walk: Any, path: str | os.PathLike, kind: str | None = None, **options: Any) -> Path:
    """Write the film of a walk to `path`: a GIF, or a page (.html) that plays and works offline.

    Raises :class:`OptionError` for another ending.
    """
    path = Path(path)
    writers: dict[str, Callable[[Film, Path], None]] = {".gif": _write_gif, ".html": _write_page}
    if path.suffix.lower() not in writers:
        raise OptionError(f"{path}: a film is saved as .gif or .html, by the end of its name")
    writers[path.suffix.lower()](describe_film(walk, kind, **options), path)
    return path


def _write_gif(film: Film, path: Path) -> None:
    from descender import __version__

    first, *others = draw_film(film)
    durations = [MILLISECONDS] * len(others) + [LAST]
    write_beside(
        path,
        lambda file: first.save(
            file, "GIF", save_all=True, append_images=others, duration=durations, loop=0, optimize=False,
            comment=f"descender {__version__}".encode(),
        ),
    )  # fmt: skip


def _write_page(film: Film, path: Path) -> None:
    page.write(path, "film.html", title="A walk, step by step", figures={"film": plotly_film(film)})
