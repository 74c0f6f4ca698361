"""The picture at the head of the README: two methods on one curved valley, and a line finding its points.

python docs/make_readme_picture.py
"""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from descender import minimize
from descender.costs.formula import Formula
from descender.data.examples import example
from descender.pictures.style import BLACK, GREY, VERMILLION, YELLOW, look, save

VALLEY, START = "(1-x)**2 + 100*(y-x**2)**2", "x=-1.2, y=1"
LINE = "mean((weight - (m*height + c))**2)"
STEPS = (0, 1, 3, 6, 12)
PICTURE = Path(__file__).parent / "pictures" / "readme.png"


def height_of(cost):
    """What is drawn upwards: the logarithm, or the floor of the valley would look flat."""
    return np.log10(0.02 + np.asarray(cost))


def draw_valley(ax):
    """The cost as a surface with two walks on it."""
    cost = Formula(VALLEY)
    x, y = np.meshgrid(np.linspace(-1.75, 1.65, 221), np.linspace(-0.75, 2.3, 221))
    J = (1 - x) ** 2 + 100 * (y - x**2) ** 2
    ax.plot_surface(
        x, y, height_of(J), cmap="YlGnBu_r", rstride=3, cstride=3, lw=0.15, edgecolor="#ffffff55", alpha=0.92
    )
    walks = {
        "gradient descent": minimize(cost, START, "gd", learning_rate=0.001, max_steps=10_000),
        "the default, L-BFGS": minimize(cost, START),
    }
    looks = ({"color": BLACK, "lw": 4.0}, {"color": VERMILLION, "lw": 1.6, "marker": "o", "ms": 4.0})
    for (label, walk), look_of in zip(walks.items(), looks, strict=True):
        points = walk.record.path
        up = height_of([cost.value(w) for w in points]) + 0.08
        ax.plot(*points.T, up, label=f"{label}, {walk.nit:,} steps", zorder=10, **look_of)
    ax.plot([1], [1], [height_of(0.0) + 0.1], "*", ms=15, mfc=YELLOW, mec=BLACK, zorder=20)
    ax.set_axis_off()
    ax.view_init(52, -112)
    ax.set_box_aspect((1.25, 1.15, 0.62), zoom=1.0)


def draw_line(ax):
    """The data with the line after some steps; slope and intercept as for heights in cm."""
    table = example("heights").table()
    cm, kg = table["height"].to_numpy(), table["weight"].to_numpy()
    cost = Formula(LINE, data={"height": (cm - 170) / 10, "weight": kg})
    walk = minimize(cost, "m=1, c=0", "gd", learning_rate=0.1)
    ends = np.array([149.0, 194.0])
    chosen = (*STEPS, walk.nit)
    for k, step in enumerate(chosen):
        m, c = walk.record.path[step]
        shade = matplotlib.colormaps["YlOrBr"](0.36 + 0.44 * k / (len(chosen) - 1))
        shade = VERMILLION if step == walk.nit else shade
        ax.plot(ends, m * (ends - 170) / 10 + c, color=shade, lw=2.4 if step == walk.nit else 1.6)
        ax.annotate(
            "start" if step == 0 else f"step {step}", (ends[1], m * 2.4 + c), xytext=(5, 0),
            textcoords="offset points", va="center", color=shade, fontsize=10,
        )  # fmt: skip
    ax.plot(cm, kg, "o", color=BLACK, ms=4.5, mec="white", mew=0.6, zorder=5)
    ax.set(xlabel="height (cm)", ylabel="weight (kg)", xlim=(148, 194))


def main(path=PICTURE):
    """Draw both and save them side by side."""
    with matplotlib.rc_context(look()):
        figure = Figure(figsize=(10.5, 4.3), dpi=150)
        left = figure.add_axes((-0.03, -0.16, 0.58, 1.28), projection="3d", computed_zorder=False)
        right = figure.add_axes((0.58, 0.13, 0.345, 0.74))
        draw_valley(left)
        draw_line(right)
        entries = left.get_legend_handles_labels()
        figure.legend(*entries, loc="lower left", bbox_to_anchor=(0.02, 0.0), ncols=2, fontsize=9.5, handlelength=1.6)
        for at, words in ((0.03, "Two walks down one valley"), (0.545, "A line finds its points")):
            figure.text(at, 0.93, words, fontsize=13.5)
        figure.text(0.03, 0.875, VALLEY.replace("**", "^").replace("*", " "), fontsize=9.5, color=GREY)
        right.spines[["left", "bottom"]].set_color(GREY)
    save(figure, path)


if __name__ == "__main__":
    main()
