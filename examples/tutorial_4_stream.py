"""Tutorial 4, fourth part: samples that never end, learnt one by one in constant memory.

python examples/tutorial_4_stream.py [OUT]
"""

import itertools
import sys
import tracemalloc
from pathlib import Path

import numpy as np

from descender import Online
from descender.pictures.style import BLUE, GREY, axes, save, styled

TRUE = np.array([3.0, -0.02, -1.0])  # weights of a column of size 1, one of size 100, and the constant


def endless(seed=0, noise=0.3):
    """Pairs (x, y), for ever."""
    rng = np.random.default_rng(seed)
    while True:
        x = rng.normal(0, [1.0, 100.0])
        yield x, TRUE @ [*x, 1.0] + rng.normal(0, noise)


def main(out="out", samples=10_000):
    """Run the tutorial and write its picture into `out`."""
    out = Path(out)
    seen, memory, model = [], [], Online("squared_error")
    next(model.follow(endless(seed=1), every=1000))  # whatever is loaded or compiled on first use
    model = Online("squared_error")
    tracemalloc.start()
    for look in itertools.islice(model.follow(endless(), every=1000), samples // 1000):
        seen.append((look.samples, look.loss))
        memory.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()

    # Before a sample is learnt it is predicted, so the loss is one of samples not seen.
    print(f"{'samples':>8} {'loss of the last 1,000':>24} {'memory held':>14}")
    for k in sorted({0, 1, 4, len(seen) - 1}):
        print(f"{seen[k][0]:>8,} {seen[k][1]:>24.4f} {memory[k] / 1024:>10.0f} KiB")
    raw = np.append(model.w[:-1] / model.scale, model.w[-1] - model.w[:-1] @ (model.mean / model.scale))
    print(f"weights {raw.round(4)}, true ones {TRUE}")
    save(draw_losses(seen), out / "4-stream.png")
    return {"seen": seen, "memory": memory, "weights": raw}


@styled
def draw_losses(seen):
    """The loss of each thousand samples, beside that of the noise, which nobody can learn."""
    ax = axes()
    samples, losses = np.array(seen).T
    ax.plot(samples, losses, "o-", ms=3, color=BLUE, label="mean loss of 1,000 samples, before each was learnt")
    ax.axhline(0.5 * 0.3**2, color=GREY, ls="--", label="the noise")
    ax.set(xlabel="samples", ylabel="loss", ylim=(0, 1.05 * losses.max()))
    ax.legend()
    return ax


if __name__ == "__main__":
    main(*sys.argv[1:])
