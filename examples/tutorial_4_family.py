"""Tutorial 4, second part: the family of methods on one cost over 1,000 samples.

python examples/tutorial_4_family.py [OUT]
"""

import sys
from pathlib import Path

import numpy as np

from descender import minimize
from descender.costs.formula import Formula
from descender.pictures.style import BLACK, BLUE, GREEN, GREY, ORANGE, VERMILLION, axes, save, styled

FAMILY = {
    "batch": {"method": "gd", "learning_rate": 0.3},
    "batch, adaptive rate": {"method": "gd", "learning_rate": "backtracking"},
    "one coordinate at a time": {"method": "coordinate", "learning_rate": 0.25},
    "mini-batches of 20": {"method": "gd", "learning_rate": 0.1, "batch_size": 20},
    "mini-batches of 10": {"method": "gd", "learning_rate": 0.1, "batch_size": 10},
    "stochastic": {"method": "gd", "learning_rate": 0.02, "batch_size": 1},
    "stochastic, falling rate": {"method": "gd", "learning_rate": "inverse-time 0.1 0.05", "batch_size": 1},
    "stochastic, averaging": {"method": "averaging", "learning_rate": 0.02, "batch_size": 1},
    "a rate per weight: Adam": {"method": "adam", "learning_rate": 0.05, "batch_size": 10},
}
DRAWN = {
    "batch": (BLACK, 2.2),
    "one coordinate at a time": (BLUE, 2.2),
    "mini-batches of 20": (VERMILLION, 1.2),
    "stochastic, averaging": (GREEN, 1.2),
    "stochastic": (ORANGE, 0.6),
}


def main(out="out"):
    """Run the tutorial and write its picture into `out`."""
    out = Path(out)
    rng = np.random.default_rng(4)
    x = rng.normal(1, 1, 1000)
    y = 3 * x - 1 + rng.normal(0, 1, 1000)
    cost = Formula("mean((y - (m*x + c))**2)", data={"x": x, "y": y})
    start = np.array([-3.0, 4.0])
    bottom = cost.value(np.polyfit(x, y, 1))

    # Each method may read every sample 20 times.  After how many samples is 99 % of the way down behind it?
    level = bottom + 0.01 * (cost.value(start) - bottom)
    walks, read = {}, {}
    print(f"{'':>24} {'updates':>8} {f'samples read until J < {level:.2f}':>30} {'J after 20 epochs':>18}")
    for name, way in FAMILY.items():
        walk = walks[name] = minimize(cost, start, **way, max_epochs=20)
        costs = np.mean((y - walk.record.path[:1000] @ np.stack([x, np.ones(1000)])) ** 2, axis=1)
        readings = np.append(0, walk.record["evaluations"][:-1])  # a rate that is searched for reads more than once
        rows = walk.record["rows_seen"] if "batch_size" in way else 1000 * readings
        read[name] = int(rows[np.flatnonzero(costs < level)[0]])
        print(f"{name:>24} {walk.nit:>8,} {read[name]:>30,} {walk.fun:>18.5f}")
    print(f"{'the bottom':>24} {bottom:>58.5f}")
    save(draw_paths(cost, walks), out / "4-family.png")

    # Steps are long far away and short near, without anyone shortening the rate: the gradient shrinks.
    record = walks["batch"].record
    distance = np.linalg.norm(record.path - np.polyfit(x, y, 1), axis=1)
    print("\n batch: step   distance to the bottom   length of the step")
    for k in range(0, 20, 4):
        print(f"{record['step'][k]:>12} {distance[k]:>24.4f} {record['step_norm'][k]:>20.4f}")
    return {"walks": walks, "read": read, "bottom": bottom, "data": (x, y), "distance": distance}


@styled
def draw_paths(cost, walks):
    """Five of the walks on the same contours."""
    m, c = np.meshgrid(np.linspace(-3.5, 4, 80), np.linspace(-2.5, 5, 80))
    heights = [cost.value([a, b]) for a, b in zip(m.ravel(), c.ravel(), strict=True)]
    ax = axes()
    ax.contour(m, c, np.reshape(heights, m.shape), 16, colors=GREY, linewidths=0.5)
    for name, (colour, width) in DRAWN.items():
        ax.plot(*walks[name].record.path[:400].T, color=colour, lw=width, label=name, zorder=3 + width)
    ax.set(xlabel="m", ylabel="c", xlim=(-3.5, 4), ylim=(-2.5, 5))
    ax.legend()
    return ax


if __name__ == "__main__":
    main(*sys.argv[1:])
