"""Backpropagation of every loss through dropout, sparse rows, several outputs and time equals JAX's gradient."""

import numpy as np
import pytest
from scipy import sparse

from descender.costs.losses import LOSSES
from descender.costs.network.build import pad, perceptron, recurrent
from descender.costs.network.network import Network

N, D, LENGTHS = 9, 4, (1, 5, 3, 5, 2, 4, 5, 1, 3)
ROWS = np.array([7, 0, 4, 2, 5])
TARGETS = {"poisson": "counts", "softmax": "classes", "squared_error": "numbers", "huber": "numbers",
           "quantile": "numbers"}  # fmt: skip


def targets(loss):
    rng = np.random.default_rng(5)
    made = {
        "counts": rng.integers(0, 4, N),
        "classes": rng.permutation(np.arange(N) % 3),
        "numbers": rng.normal(size=N),
    }
    return made.get(TARGETS.get(loss, ""), rng.integers(0, 2, N)).astype(float)


def in_jax(loss):
    """The loss of each row, of outputs (n, K)."""
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    jnp = jax.numpy
    single = {
        "squared_error": lambda z, y: 0.5 * (z - y) ** 2,
        "huber": lambda z, y: jnp.where(jnp.abs(z - y) <= 1.0, 0.5 * (z - y) ** 2, jnp.abs(z - y) - 0.5),
        "quantile": lambda z, y: jnp.where(z < y, 0.5 * (y - z), 0.5 * (z - y)),
        "poisson": lambda z, y: jnp.exp(z) - y * z,  # but for what does not depend on z
        "log_loss": lambda z, y: jnp.logaddexp(0.0, z) - y * z,
        "hinge": lambda z, y: jnp.maximum(0.0, 1.0 - (2 * y - 1) * z),
        "squared_hinge": lambda z, y: jnp.maximum(0.0, 1.0 - (2 * y - 1) * z) ** 2,
        "sigmoid_squared_error": lambda z, y: 0.5 * (jax.nn.sigmoid(z) - y) ** 2,
    }
    if loss == "softmax":
        return lambda z, y: jax.scipy.special.logsumexp(z, axis=1) - z[jnp.arange(len(y)), y.astype(int)]
    return lambda z, y: single[loss](z[:, 0], y)


def check(network, forward, rows, loss, y):
    """The gradient from some rows, against JAX's of ``forward(views, rows)`` under the loss."""
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    w = network.start(seed=1) + 0.1 * np.random.default_rng(2).normal(size=network.n_parameters)
    gradient = network.gradient(w, rows)
    with jax.enable_x64(True):
        judged = in_jax(loss)
        expected = jax.grad(lambda flat: judged(forward(network.layout.views(flat), rows), y[rows]).mean())(
            jax.numpy.asarray(w)
        )
    np.testing.assert_allclose(gradient, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("loss", "thin"),
    [*((loss, False) for loss in LOSSES), ("squared_error", True), ("softmax", True)],
    ids=lambda value: value if isinstance(value, str) else "sparse" if value else "dense",
)
def test_through_dropout(loss, thin):
    jnp = pytest.importorskip("jax", reason="JAX is not installed").numpy
    X, y, classes = np.random.default_rng(0).normal(size=(N, D)), targets(loss), 3 if loss == "softmax" else 1
    X[np.abs(X) < 0.5] = 0.0
    layers = perceptron(D, [6, 5], classes, "tanh", dropout=0.4)
    network = Network(layers, sparse.csr_matrix(X) if thin else X, y, loss, seed=3)
    drawn = np.random.default_rng((3, 1))  # the first reading of a batch
    kept = [(drawn.random((len(ROWS), width), dtype=np.float32) >= 0.4) / 0.6 for width in (6, 5)]

    def forward(views, rows):
        a, dense = X[rows], [p for p in views if p]
        for p, mask in zip(dense[:-1], kept, strict=True):
            a = jnp.tanh(a @ p["weight"] + p["bias"]) * mask
        return a @ dense[-1]["weight"] + dense[-1]["bias"]

    check(network, forward, ROWS, loss, y)


def test_of_several_labels_a_sample():
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(N, D)), rng.integers(0, 2, (N, 3)).astype(float)
    network = Network(perceptron(D, [4], 3, "tanh"), X, Y, "log_loss")
    w = network.start(seed=1)

    def cost(flat):
        p, _, q = network.layout.views(flat)
        z = jax.numpy.tanh(X @ p["weight"] + p["bias"]) @ q["weight"] + q["bias"]
        return (jax.numpy.logaddexp(0.0, z) - Y * z).mean()

    with jax.enable_x64(True):
        expected = jax.grad(cost)(jax.numpy.asarray(w))
    np.testing.assert_allclose(network.gradient(w), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_through_time(loss):
    jnp = pytest.importorskip("jax", reason="JAX is not installed").numpy
    rng = np.random.default_rng(0)
    sequences, y = [rng.normal(size=(steps, 2)) for steps in LENGTHS], targets(loss)
    network = Network(recurrent(2, 4, 3 if loss == "softmax" else 1), pad(sequences), y, loss)

    def forward(views, rows):
        ends = []
        for k in rows:
            h = jnp.zeros(4)
            for x in sequences[k]:
                h = jnp.tanh(x @ views[0]["weight"] + h @ views[0]["recurrent"] + views[0]["bias"])
            ends.append(h @ views[1]["weight"] + views[1]["bias"])
        return jnp.stack(ends)

    check(network, forward, ROWS, loss, y)
