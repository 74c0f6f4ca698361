"""Tutorial 3, fourth part: a gradient that vanishes layer by layer, what does not cure it, and what does.

python examples/tutorial_3_vanishing.py [OUT]
"""

import sys
from pathlib import Path

import numpy as np

from descender import minimize
from descender.costs.network.build import perceptron
from descender.costs.network.network import Network
from descender.doctor.layers import vanishing_gradient
from descender.pictures.layers import describe_profile, draw_profile
from descender.pictures.style import save

NETWORKS = {
    "sigmoid": {"activation": "sigmoid"},
    "sigmoid, clipped": {"activation": "sigmoid"},
    "relu, weights too small": {"activation": "relu", "initialisation": "normal 0.05"},
    "relu": {"activation": "relu"},
    "tanh": {"activation": "tanh"},
    "sigmoid, layer normalisation": {"activation": "sigmoid", "normalisation": "layer"},
    "sigmoid, batch normalisation": {"activation": "sigmoid", "normalisation": "batch"},
    "sigmoid, residual": {"activation": "sigmoid", "residual": True},
}
DRAWN = [name for name in NETWORKS if name not in ("sigmoid, clipped", "tanh")]


def main(out="out", seed=0):
    """Run the tutorial and write its picture into `out`."""
    out = Path(out)
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(400, 8))
    y = 3 * np.tanh(X[:, 0] - X[:, 1])

    # Eight hidden layers of 32 nodes.  A sigmoid's slope is at most 1/4: each layer passes back less than it was given.
    told, walks, findings = {}, {}, {}
    print(f"{'':<29} {'error, first layer : last':>26} {'J after 30 epochs':>19}   (a constant: {y.var() / 2:.2f})")
    for name, options in NETWORKS.items():
        network = Network(perceptron(8, [32] * 8, 1, **options), X, y, seed=seed)
        told[name] = network.error_vectors(network.start(seed))
        findings[name] = vanishing_gradient(told[name])
        walks[name] = minimize(network, None, "gd", learning_rate=0.02, batch_size=20, max_epochs=30, seed=seed,
                               clip_norm=5 if "clipped" in name else None)  # fmt: skip
        ratio = told[name][0].error / told[name][-1].error
        print(f"{name:<29} {ratio:>26.1e} {walks[name].fun:>19.4f}   {findings[name].code if findings[name] else ''}")

    print("\nthe sigmoids, layer by layer")
    for row in told["sigmoid"]:
        norm = ", ".join(f"{v:.2f}" for v in row.spectral.values())
        print(f"{row.layer:<18} spectral norm {norm:>5}   error {row.error:.1e}   gradient {row.gradient:.1e}")
    print(findings["sigmoid"])
    save(draw_profile(describe_profile({name: told[name] for name in DRAWN})), out / "3-vanishing.png")
    return {"told": told, "walks": walks, "findings": findings, "y": y}


if __name__ == "__main__":
    main(*sys.argv[1:])
