"""Tutorial 3, third part: a deep and a recurrent network that explode to NaN, and learn once their gradient is clipped.

python examples/tutorial_3_explosion.py [OUT]
"""

import sys
from pathlib import Path

import numpy as np

from descender import minimize
from descender.costs.network.build import perceptron, recurrent
from descender.costs.network.network import Network
from descender.doctor.layers import exploding_gradient, vanishing_gradient
from descender.pictures.curves import describe_race, draw_curve
from descender.pictures.layers import describe_layers, describe_profile, draw_layers, draw_profile
from descender.pictures.style import save
from descender.record import Record

LOOK = 20


def deep(seed=0):
    """Six layers of 32 relus whose weights are one and a half times as large as is right for them."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(400, 8))
    layers = perceptron(8, [32] * 6, 1, "relu", initialisation="he", gain=1.5)
    return Network(layers, X, 3 * np.tanh(X[:, 0] - X[:, 1]), seed=seed)


def sequences(gain=1.3, seed=0, activation="identity"):
    """A recurrent network that is to tell the sum of 20 numbers; the norm of its recurrent matrix is `gain`."""
    X = np.random.default_rng(seed).normal(size=(400, 20, 1))
    layers = recurrent(1, 16, 1, activation, gain=gain)
    return Network(layers, X, X.sum(axis=(1, 2)) / np.sqrt(20), seed=seed)


def train(network, **options):
    """Mini-batches of 20 at rate 0.01; and what came back to the layers, looked at now and then."""
    told = {0: network.error_vectors(network.default_start())}

    def look(step):
        if step.number % LOOK == 0 or step.number < 5:
            told[step.number] = network.error_vectors(np.asarray(step))

    walk = minimize(network, None, "gd", learning_rate=0.01, batch_size=20, max_epochs=60, callback=look,
                    on_divergence="continue", **options)  # fmt: skip
    return walk, told


def batches(walk, steps=25):
    """The costs of the first batches."""
    seen = np.flatnonzero(np.isnan(walk.record["full_cost"]))[:steps]
    return Record({name: walk.record[name][seen] for name in ("step", "cost")})


def main(out="out", seed=0):
    """Run the tutorial and write its pictures into `out`."""
    out = Path(out)
    figures = {}
    for name, network in (("deep", deep(seed)), ("recurrent", sequences(seed=seed))):
        start = network.error_vectors(network.start(seed))
        first = network.value(network.start(seed))
        print(f"{name}: J = {first:,.1f} at the start; {network.y.var() / 2:.2f} is what a constant reaches")
        for row in start:
            norms = ", ".join(f"{which} {norm:.2f}" for which, norm in row.spectral.items())
            print(f"  {row.layer:<19} spectral norms: {norms}")
        exploded, seen = train(network, seed=seed)
        clipped, tamed = train(network, seed=seed, clip_norm=5)
        finding = exploding_gradient(exploded.record, list(seen.values()))
        print(f"  without clipping  J = {exploded.fun}\n  clip_norm=5       J = {clipped.fun:.2g}\n{finding}\n")
        figures[name] = {"network": network, "start": start, "exploded": exploded, "clipped": clipped, "seen": seen,
                         "tamed": tamed, "finding": finding}  # fmt: skip
    deep_one = figures["deep"]
    races = {"no clipping": batches(deep_one["exploded"]), "clip_norm=5": batches(deep_one["clipped"])}
    save(draw_curve(describe_race(races, "step", excess=False)), out / "3-explosion.png")
    save(draw_layers(describe_layers(deep_one["tamed"])), out / "3-layers.png")

    # The same recurrent network with matrices of other norms: the error of the last state on its way back to the first.
    through = {}
    for gain in (0.6, 1.0, 1.3):
        network = sequences(gain, seed)
        through[gain] = network.error_vectors(network.start(seed))
        sizes = through[gain][0].through_time
        print(f"norm {gain}: the error vector of the last state {sizes[-1]:.1e}, of the first {sizes[0]:.1e}")
        print(vanishing_gradient(through[gain]) or "  nothing has vanished")
    network = sequences(1.3, seed, "tanh")
    through["1.3, tanh"] = network.error_vectors(network.start(seed))
    save(draw_profile(describe_profile({f"norm {k}": v for k, v in through.items()}, "through_time")),
         out / "3-through-time.png")  # fmt: skip
    return figures | {"through": through}


if __name__ == "__main__":
    main(*sys.argv[1:])
