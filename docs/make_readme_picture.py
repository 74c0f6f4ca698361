"""The picture at the head of the README: a walk down a curved valley, and a line finding its points.

    python docs/make_readme_picture.py
"""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from descender import minimize
from descender.costs.formula import Formula
from descender.data.examples import example
from descender.pictures.fits import describe_line_steps, draw_lines
from descender.pictures.style import look
from descender.pictures.surface import describe_contour, draw_surface

VALLEY = "(1-x)**2 + 100*(y-x**2)**2"
LINE = "mean((weight - (m*height + c))**2)"
PICTURE = Path(__file__).parent / "pictures" / "readme.png"


def main(path: Path = PICTURE) -> None:
    """Draw both and save them side by side."""
    with matplotlib.rc_context(look()):
        figure = Figure(figsize=(10.0, 4.1))
        left = figure.add_axes((0.0, 0.0, 0.5, 0.93), projection="3d")
        right = figure.add_axes((0.57, 0.13, 0.42, 0.74))

    walk = minimize(VALLEY, "x=-1.2, y=1")
    seen = describe_contour(Formula(VALLEY), walk.record, limits=((-1.6, 1.6), (-0.6, 2.0)), resolution=121)
    draw_surface(seen, left, view=(42.0, -112.0))
    left.set_title(f"Down a curved valley: {walk.nit} steps", y=0.98)

    people = example("heights").table()
    height, weight = ((people["height"].to_numpy() - 170) / 10), people["weight"].to_numpy()
    cost = Formula(LINE, data={"height": height, "weight": weight})
    descent = minimize(cost, "m=1, c=0", "gd", learning_rate=0.1)
    lines = describe_line_steps(170 + 10 * height, weight, _in_cm(descent), [0, 1, 3, 6, 12, descent.nit])
    draw_lines(lines, right)
    right.set(xlabel="height (cm)", ylabel="weight (kg)")
    right.set_title("A line finds its points, step by step")

    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=200, metadata={"Software": None})


def _in_cm(walk):
    """The points (slope, intercept) of the walk for heights in cm, where it saw decimetres above 170 cm."""
    m, c = walk.record.path.T
    return [(a / 10, b - 17 * a) for a, b in zip(m, c, strict=True)]


if __name__ == "__main__":
    main()
