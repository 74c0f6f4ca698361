"""The one look of all pictures, and saving them.

Colours are those of M. Okabe and K. Ito, told apart by colour-blind readers; lines also differ in dashes and markers,
so that they are told apart in grey.  No pyplot, no display, no state: a figure belongs to whoever asked for it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from descender.errors import OptionError
from descender.record import write_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLACK, BLUE, VERMILLION, GREEN, ORANGE = "#000000", "#0072B2", "#D55E00", "#009E73", "#E69F00"
PURPLE, SKY, YELLOW, GREY = "#CC79A7", "#56B4E9", "#F0E442", "#6F6F6F"
COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK)
DASHES: tuple[Any, ...] = ("-", "--", "-.", (0, (1, 1.2)), (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (3, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
FORMATS = ("png", "svg", "pdf")

LOOK = {
    "font.size": 10.5,
    "axes.titlesize": 11.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 10.5,
    "legend.fontsize": 9.5,
    "legend.frameon": True,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#444444",
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.0,
    "figure.dpi": 100,
    "svg.hashsalt": "descender",
    "axes.unicode_minus": True,
}
FAR_EASTERN = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Noto Sans JP", "Source Han Sans SC", "Source Han Sans",
    "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "PingFang SC", "Hiragino Sans", "Hiragino Sans GB", "Microsoft YaHei",
    "Yu Gothic", "Malgun Gothic", "SimHei", "IPAexGothic", "Droid Sans Fallback", "Arial Unicode MS",
)  # fmt: skip

P = ParamSpec("P")
R = TypeVar("R")


@cache
def families() -> list[str]:
    """The fonts to use in turn: the one that comes with Matplotlib, then an installed one with Chinese characters."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return ["DejaVu Sans", *[name for name in FAR_EASTERN if name in installed][:1]]


def look() -> Any:
    """The settings of Matplotlib for our pictures."""
    return LOOK | {"font.family": families()}


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """A drawing function in our look, whatever the caller's settings are."""

    @wraps(draw)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        import matplotlib

        with matplotlib.rc_context(look()):
            return draw(*args, **kwargs)

    return inner


def axes(ax: Any = None, size: tuple[float, float] = (6.4, 4.2), projection: str | None = None) -> Axes:
    """The given axes, or those of a new figure of `size` inches.  3-D pictures refuse flat axes."""
    if ax is not None:
        if projection and getattr(ax, "name", "") != projection:
            raise OptionError("ax: this picture needs 3-D axes, as of figure.add_subplot(projection='3d')")
        return ax
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure.add_subplot(projection=projection)


def grid(count: int) -> list[Axes]:
    """The axes of a new figure with so many panels, up to three side by side."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    wide = min(count, 3)
    high = -(-count // wide)
    figure = Figure(figsize=(4.2 * wide, 3.3 * high), layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(high, wide, squeeze=False).ravel())
    for ax in panels[count:]:
        ax.remove()
    return panels[:count]


def head(ax: Any, title: str, notes: tuple[str, ...] = ()) -> None:
    """A title, and below it in small grey what must be known about the picture."""
    lines = [line for note in notes for line in wrap(words(note), 78)]
    ax.set_title(words(title) or (" " if lines else ""), loc="left", pad=6 + 12 * len(lines))
    for axis in (ax.xaxis, ax.yaxis):
        _whole_ticks(axis)
    for k, line in enumerate(lines):
        up = 4 + 12 * (len(lines) - 1 - k)
        text = ax.annotate(
            line, (0, 1), xycoords="axes fraction", xytext=(0, up), textcoords="offset points",
            fontsize=8.5, color=GREY, ha="left", va="bottom", annotation_clip=False,
        )  # fmt: skip
        text.set_in_layout(False)  # or a long line would squeeze the axes


def _whole_ticks(axis: Any) -> None:
    """Very large or small numbers of an axis are written whole, as a power of ten apart would stand in the notes."""
    from matplotlib.ticker import ScalarFormatter

    low, high = axis.get_view_interval()
    most = max(abs(low), abs(high))
    if isinstance(axis.get_major_formatter(), ScalarFormatter) and not 1e-4 < most < 1e5 and most < 1e3 * (high - low):
        axis.set_major_formatter(lambda v, _: short(v, 3))


def words(text: object) -> str:
    r"""A name as it stands: a dollar is a dollar and no mathematics, and a leading underscore hides nothing.

    What cannot be printed is shown as such.

    >>> words("price_$"), words("a\0b")
    ('price_\\$', 'a\ufffdb')
    """
    plain = "".join(sign if sign.isprintable() else "\ufffd" for sign in str(text)).replace("$", r"\$")
    return " " + plain if plain.startswith("_") else plain


def short(value: float, digits: int = 4) -> str:
    """A number in a few digits, with a true minus sign.

    >>> short(-0.000123456), short(123456.7), short(1250.0), short(2e105)
    ('−0.0001235', '123,457', '1,250', '2e105')
    """
    text = f"{value:.{digits}g}"
    if 1e3 <= abs(value) < 1e6:
        decimals = max(digits - len(str(int(abs(value)))), 0)
        text = f"{value:,.{decimals}f}"
        text = text.rstrip("0").rstrip(".") if decimals else text
    return text.replace("-", "−").replace("e+", "e")


def counted(number: int, word: str) -> str:
    """A number with the word for what it counts, in the plural if it needs one.

    >>> counted(1, "step"), counted(1200, "row")
    ('1 step', '1,200 rows')
    """
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def in_order(k: int, n: int) -> dict[str, Any]:
    """The colour and dashes of line k of n that follow each other: from light to dark, the last one solid."""
    import matplotlib

    shade = matplotlib.colormaps["viridis_r"](0.12 + 0.8 * k / max(n - 1, 1))
    return {"color": shade, "ls": DASHES[1 + k % 6] if k < n - 1 else "-"}


def legend(ax: Any, beside: bool = False, **options: Any) -> None:
    """A legend where it hides least, or beside the axes; none for fewer than one entry."""
    handles, labels = ax.get_legend_handles_labels()
    if handles:
        where = (
            {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0} if beside else {"loc": "best"}
        )
        ax.legend(handles, labels, **(where | options))


def diagonal(ax: Any, low: float, high: float, label: str | None = None) -> None:
    """The line on which both sides are equal."""
    ax.plot([low, high], [low, high], color=GREY, lw=1.0, ls="--", zorder=1, label=label)


def colourbar(ax: Any, shaded: Any, label: str, **options: Any) -> Any:
    """A bar beside the axes that tells what the shades mean."""
    bar = ax.figure.colorbar(shaded, ax=ax, **({"pad": 0.02} | options))
    bar.set_label(words(label))
    bar.outline.set_visible(False)
    return bar


def save(picture: Figure | Axes | Any, path: str | os.PathLike) -> Path:
    """Write a figure, or that of some axes, as PNG, SVG or PDF by the suffix, with our name and no date in it.

    It is written beside first, and then renamed.

    Raises :class:`OptionError` for another suffix and :class:`OutputError` where the file cannot be written.
    """
    import matplotlib

    from descender import __version__

    path = Path(path)
    picture = picture[0] if isinstance(picture, list | tuple) and picture else picture  # panels of one figure
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise OptionError(f"{path}: a picture is saved as .png, .svg or .pdf, by the end of its name")
    figure: Any = picture if hasattr(picture, "savefig") else getattr(picture, "figure", None)
    if not hasattr(figure, "savefig"):
        raise OptionError(f"{type(picture).__name__} is no picture: give a figure or axes, as draw_... returns them")
    ours = f"descender {__version__}"
    tags: dict[str, dict[str, Any]] = {
        "png": {"Software": ours},
        "svg": {"Creator": ours, "Date": None},
        "pdf": {"Creator": ours, "CreationDate": None},
    }
    with matplotlib.rc_context(look()), warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        write_beside(path, lambda file: figure.savefig(file, format=kind, dpi=150, metadata=tags[kind]))
    _pass_on(raised)
    return path


def _pass_on(raised: list[warnings.WarningMessage]) -> None:
    """Repeat the warnings, those about characters that no font has as one."""
    missing = [w for w in raised if str(w.message).startswith("Glyph ") and "missing" in str(w.message)]
    for one in raised:
        if one not in missing:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    if missing:
        codes = dict.fromkeys(int(str(w.message).split()[1]) for w in missing)
        shown = "".join(map(chr, list(codes)[:12]))
        warnings.warn(f"no installed font has the characters {shown}; Noto Sans CJK has most", stacklevel=3)
