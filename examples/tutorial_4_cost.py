"""Tutorial 4: what a gradient is, measured; and what a cost over samples promises about samples not seen.

python examples/tutorial_4_cost.py [OUT]
"""

import sys
from pathlib import Path

import numpy as np

from descender import minimize
from descender.costs.differences import derivative, difference_quotients, finite_difference_gradient
from descender.costs.formula import Formula
from descender.costs.risk import Risk
from descender.pictures.curves import describe_curve, draw_curve
from descender.pictures.style import save


def main(out="out"):
    """Run the tutorial and write its picture into `out`."""
    out = Path(out)

    # The derivative of a function of one number is the limit of its difference quotients - which a computer cannot
    # follow to the end: below about h = 1e-8 the digits that are left are those of rounding.
    def plateau(x):
        return np.tanh(x) ** 2

    print(difference_quotients(plateau, 1.0, 10.0 ** -np.arange(0, 14, 2)))
    exact = Formula("tanh(x)**2").gradient([1.0])[0]
    scalar = derivative(plateau, 1.0)
    print(f"exact     {exact:.15f}")
    print(f"measured  {scalar.value:.15f}, wrong by at most {scalar.error:.0e}: truly {abs(scalar.value - exact):.0e}")

    # Of a vector: one coordinate at a time, the others held fixed.
    valley = Formula("(1-x)**2 + 100*(y-x**2)**2")
    w = np.array([-1.2, 1.0])
    vector = finite_difference_gradient(valley.value, w, careful=True)
    print(f"\n{'':>8} {'exact':>12} {'measured':>12} {'error at most':>14}")
    for name, g, value, error in zip(valley.names, valley.gradient(w), vector.value, vector.error, strict=True):
        print(f"{'dJ/d' + name:>8} {g:>12.6f} {value:>12.6f} {error:>14.0e}")
    downhill = np.array([1.0, 0.0])
    print(f"(1, 0) is a descent direction: its inner product with the gradient is {downhill @ vector.value:.1f} < 0")

    # A mean over 30 samples estimates the loss on all samples there could be.  Twelve waves can follow the noise of
    # 30: the training loss goes on falling when the loss on 500 held-out samples has long turned.
    rng = np.random.default_rng(6)
    t = rng.uniform(0, 3, 530)
    waves = np.cos(np.outer(t, np.arange(1, 13)))
    y = np.cos(t) + rng.normal(0, 0.5, 530)
    seen, unseen = Risk(waves[:30], y[:30]), Risk(waves[30:], y[30:])
    walk = minimize(seen, method="minibatch", batch_size=10, learning_rate=0.05, max_epochs=150, holdout=unseen.value)
    held, steps = walk.record["holdout_cost"], walk.record["step"]
    turn = int(np.nanargmin(held))
    print(f"\n{'':>13} {f'after {steps[turn]} steps':>16} {f'after {walk.nit}':>10}")
    print(f"training loss {walk.record['full_cost'][turn]:>16.4f} {walk.fun:>10.4f}")
    print(f"held-out loss {held[turn]:>16.4f} {held[-1]:>10.4f}")
    save(draw_curve(describe_curve(walk.record)), out / "4-holdout.png")
    return {"exact": exact, "scalar": scalar, "vector": vector, "walk": walk, "turn": turn, "unseen": unseen}


if __name__ == "__main__":
    main(*sys.argv[1:])
