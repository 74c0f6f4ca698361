"""Tutorial 3, second part: a forward pass, the error vectors carried back, and descent, in numbers.

python examples/tutorial_3_backpropagation.py [OUT]
"""

import sys
from pathlib import Path

import numpy as np

from descender import minimize
from descender.costs.differences import finite_difference_gradient
from descender.costs.network.build import perceptron
from descender.costs.network.layers import Activate, Dense
from descender.costs.network.network import Network
from descender.pictures.curves import describe_race, draw_curve
from descender.pictures.style import save

WEIGHTS = [
    {"weight": [[0.15, 0.25], [0.20, 0.30]], "bias": [0.35, 0.35]},  # column j: into node j
    {"weight": [[0.40, 0.50], [0.45, 0.55]], "bias": [0.60, 0.60]},
]


def main(out="out"):
    """Run the tutorial and write its picture into `out`."""
    out = Path(out)

    # Two inputs, two hidden nodes, two outputs, all with the sigmoid; one sample.  The cost is the mean of e^2/2.
    layers = [Dense(2, 2), Activate("sigmoid"), Dense(2, 2), Activate("sigmoid")]
    network = Network(layers, [[0.05, 0.10]], [[0.01, 0.99]])
    w = network.start()
    for views, given in zip(network.dense(w), WEIGHTS, strict=True):
        for name in given:
            views[name][...] = given[name]
    output, memory = network.forward(w, network.X)
    (_, hidden), (_, final) = memory[1], memory[3]
    print(f"forward    hidden nodes {hidden[0]}, outputs {final[0]}, J = {network.value(w):.9f}")

    # What comes back is the derivative by each layer's input: through the slope of the sigmoid, then the weights.
    gradient = np.empty_like(w)
    names = ("weighted sums of the outputs", "hidden nodes", "weighted sums of the hidden nodes", "inputs")
    errors = [(output - network.y) / 2, *network.backward(w, memory, (output - network.y) / 2, gradient)]
    for name, error in zip(("outputs", *names), errors, strict=True):
        print(f"back       error of the {name:<34} {error[0]}")
    quotients = finite_difference_gradient(network.value, w)
    apart = np.abs(gradient - quotients.value).max()
    print(f"gradient   of {len(w)} weights; from difference quotients it is at most {apart:.0e} apart")

    # weight <- weight - rate x derivative.  Rate 1 on the mean of two errors is rate 1/2 on their sum.
    moved = minimize(network, w, "gd", learning_rate=1.0, max_steps=1)
    learnt = minimize(network, w, "gd", learning_rate=1.0, max_steps=10_000)
    print(f"descent    weights of the outputs after a step {network.dense(moved.x)[1]['weight'].ravel()}")
    print(
        f"           after {learnt.nit:,} steps J = {learnt.fun:.2e}, outputs {network.scores(learnt.x, network.X)[0]}"
    )

    # Many samples: a step may read all of them (batch), one (stochastic) or ten (mini-batch).
    rng = np.random.default_rng(3)
    X = rng.uniform(-2, 2, (200, 2))
    wave = Network(perceptron(2, [16], 1, "tanh"), X, np.tanh(X[:, 0] + X[:, 1]))
    ways = {"batch": ("full", 0.2), "mini-batch of 10": (10, 0.1), "stochastic": (1, 0.02)}
    walks = {
        name: minimize(wave, wave.start(), "gd", batch_size=size, learning_rate=a, max_epochs=60)
        for name, (size, a) in ways.items()
    }
    print("\n60 readings of 200 samples of tanh(x1 + x2)")
    for name, walk in walks.items():
        print(f"{name:>17}: {walk.nit:>6,} updates, J = {walk.fun:.1e}")
    done = minimize(wave, wave.start(), "gd", learning_rate=0.2, gradient_tol=2e-3, max_steps=50_000)
    print(f"{'batch':>17}: {done.nit:>6,} updates until the gradient's norm is below 0.002, J = {done.fun:.1e}")
    save(draw_curve(describe_race({k: v.record for k, v in walks.items()}, "rows_seen", excess=False)),
         out / "3-backpropagation.png")  # fmt: skip
    return {"network": network, "w": w, "hidden": hidden, "outputs": final, "errors": errors, "gradient": gradient,
            "quotients": quotients, "moved": moved, "learnt": learnt, "wave": wave, "walks": walks,
            "done": done}  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
