"""Networks: backpropagation against automatic differentiation, and the laws of the layers."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from descender.costs.network.activations import ACTIVATIONS
from descender.costs.network.build import NORMALISATIONS, pad, perceptron, recurrent
from descender.costs.network.initialisations import INITIALISATIONS, read_initialisation
from descender.costs.network.layers import EPSILON, BatchNorm, Dense, Dropout, Mode, Residual
from descender.costs.network.network import Network, softmax_value_and_slope
from descender.costs.risk import Risk
from descender.errors import CapabilityError, DataError, InputError, OptionError, ShapeError

OUTPUTS = {"squared_error": 1, "log_loss": 1, "sigmoid_squared_error": 1, "softmax": 3}


def samples(loss, n=11, d=4, seed=0):
    rng = np.random.default_rng(seed)
    X, s = rng.normal(size=(n, d)), rng.uniform(0.0, 2.0, n)
    y = {"squared_error": rng.normal(size=n), "softmax": rng.integers(0, 3, n).astype(float)}
    return X, y.get(loss, rng.integers(0, 2, n).astype(float)), s


class InJax:
    """The same networks written for JAX: an independent forward pass, differentiated automatically."""

    def __init__(self):
        jax = pytest.importorskip("jax", reason="JAX is not installed")
        self.jax, self.np = jax, jax.numpy
        self.activations = {
            "identity": lambda z: z,
            "sigmoid": jax.nn.sigmoid,
            "tanh": jax.numpy.tanh,
            "relu": jax.nn.relu,
            "leaky_relu": jax.nn.leaky_relu,
            "gelu": lambda z: jax.nn.gelu(z, approximate=False),
            "selu": jax.nn.selu,
        }

    def normalise(self, a, p, kind):
        axis = 0 if kind == "batch" else -1
        mean, variance = a.mean(axis=axis, keepdims=True), a.var(axis=axis, keepdims=True)
        return (a - mean) / self.np.sqrt(variance + EPSILON) * p["scale"] + p["shift"]

    def perceptron(self, parameters, X, activation, kind, residual):
        """`parameters` holds (weights and biases, scale and shift or None) of each layer."""
        a = X
        for k, (dense, norm) in enumerate(parameters[:-1]):
            out = a @ dense["weight"] + dense["bias"]
            out = self.activations[activation](self.normalise(out, norm, kind) if kind else out)
            a = a + out if residual and k else out
        return a @ parameters[-1][0]["weight"] + parameters[-1][0]["bias"]

    def loss(self, name, z, y, s):
        jnp, jax = self.np, self.jax
        if name == "squared_error":
            values = 0.5 * (z[:, 0] - y) ** 2
        elif name == "log_loss":
            values = jnp.logaddexp(0.0, z[:, 0]) - y * z[:, 0]
        elif name == "sigmoid_squared_error":
            values = 0.5 * (jax.nn.sigmoid(z[:, 0]) - y) ** 2
        else:
            values = jax.scipy.special.logsumexp(z, axis=1) - z[jnp.arange(len(y)), y.astype(int)]
        return (s * values).sum() / s.sum()


def gather(network, w, kind, residual):
    """The flat vector as the reference's parameters: [(dense, norm or None), ...]."""
    out = []
    for layer, p in zip(network.layers, network.layout.views(w), strict=True):
        if isinstance(layer, Residual):
            out.append(
                ({"weight": p["0.weight"], "bias": p["0.bias"]}, {"scale": p.get("1.scale"), "shift": p.get("1.shift")})
            )
        elif isinstance(layer, Dense):
            out.append((p, {}))
        elif p:
            out[-1] = (out[-1][0], p)
    return [(dense, norm if kind else {}) for dense, norm in out]


EVERY_END = list(itertools.product(OUTPUTS, (False, True)))
"""Each loss, without and with residual layers."""


def every_layer():
    """Each activation and each normalisation with two ends, and tanh with all; other combinations take long."""
    for activation, kind in itertools.product(ACTIVATIONS, [None, *NORMALISATIONS]):
        plain = activation == "tanh" and kind is None
        yield pytest.param(activation, kind, EVERY_END, marks=[pytest.mark.slow] * (not plain))
        if not plain and (activation == "tanh" or kind is None):
            yield activation, kind, EVERY_END[::7]


@pytest.mark.parametrize(("activation", "kind", "ends"), list(every_layer()))
def test_backpropagation_equals_automatic_differentiation(activation, kind, ends):
    reference = InJax()
    jax, jnp = reference.jax, reference.np
    with jax.enable_x64(True):
        for loss, residual in ends:
            X, y, s = samples(loss)
            layers = perceptron(4, [5, 5], OUTPUTS[loss], activation, normalisation=kind, residual=residual)
            network = Network(layers, X, y, loss, l2=0.3, sample_weight=s)
            w = network.start(seed=3) + 0.1 * np.random.default_rng(4).normal(size=network.n_parameters)

            def cost(flat, loss=loss, X=X, y=y, s=s, residual=residual, network=network):
                parameters = gather(network, flat, kind, residual)
                penalty = 0.15 * sum((dense["weight"] ** 2).sum() for dense, _ in parameters)
                return (
                    reference.loss(loss, reference.perceptron(parameters, X, activation, kind, residual), y, s)
                    + penalty
                )

            expected, slope = jax.value_and_grad(cost)(jnp.asarray(w))
            value, gradient = network.value_and_gradient(w)
            np.testing.assert_allclose(value, expected, rtol=1e-12)
            np.testing.assert_allclose(gradient, slope, rtol=1e-10, atol=1e-10 * np.abs(slope).max())
            assert network.value(w) == pytest.approx(value, rel=1e-14)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_backpropagation_through_time_equals_automatic_differentiation(activation):
    reference = InJax()
    jax, jnp = reference.jax, reference.np
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(steps, 2)) for steps in (1, 5, 3, 5)]
    y = np.array([0.0, 2.0, 1.0, 1.0])
    network = Network(recurrent(2, 3, 3, activation), pad(sequences), y, "softmax")
    w = network.start(seed=1)

    def cost(flat):
        (first, last) = network.layout.views(flat)
        outputs = []
        for sequence in sequences:
            h = jnp.zeros(3)
            for x in sequence:
                h = reference.activations[activation](x @ first["weight"] + h @ first["recurrent"] + first["bias"])
            outputs.append(h @ last["weight"] + last["bias"])
        return reference.loss("softmax", jnp.stack(outputs), y, jnp.ones(4))

    with jax.enable_x64(True):
        expected, slope = jax.value_and_grad(cost)(jnp.asarray(w))
    value, gradient = network.value_and_gradient(w)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(gradient, slope, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slopes_are_derivatives_at_kinks_too_and_keep_float32(name):
    reference = InJax()
    z = np.array([-30.0, -3.0, -0.5, 0.0, 0.25, 2.0, 30.0])
    activation = ACTIVATIONS[name]
    with reference.jax.enable_x64(True):
        slope = reference.jax.vmap(reference.jax.grad(reference.activations[name]))(z)
    expected = np.array(slope)
    if name == "leaky_relu":
        expected[z == 0] = 0.01  # JAX takes the right slope here; PyTorch, as we, the left
    np.testing.assert_allclose(activation.slope(z, activation.value(z)), expected, atol=1e-12)
    single = z.astype(np.float32)
    assert activation.value(single).dtype == np.float32
    assert activation.slope(single, activation.value(single)).dtype == np.float32


@pytest.mark.parametrize("loss", OUTPUTS)
def test_no_hidden_layer_is_the_linear_model(loss):
    X, y, s = samples(loss)
    network = Network(perceptron(4, [], OUTPUTS[loss]), X, y, loss, l2=0.2, sample_weight=s)
    risk = Risk(X, y, loss, l2=0.2, sample_weight=s)
    w = network.start(seed=2)
    weights, bias = network.layout.views(w)[0].values()
    flat = np.concatenate([weights.T.ravel(), bias])
    assert network.value(w) == pytest.approx(risk.value(flat), rel=1e-13)
    g = network.layout.views(network.gradient(w))[0]
    np.testing.assert_allclose(np.concatenate([g["weight"].T.ravel(), g["bias"]]), risk.gradient(flat), atol=1e-14)


def test_sparse_rows_give_the_same_as_dense_ones():
    X, y, _ = samples("softmax")
    X[np.abs(X) < 0.8] = 0.0
    dense, thin = (Network(perceptron(4, [6], 3), part, y, "softmax") for part in (X, sparse.csr_matrix(X)))
    w = dense.start(seed=0)
    for rows in (None, np.array([3, 1, 7])):
        (a, g), (b, h) = dense.value_and_gradient(w, rows), thin.value_and_gradient(w, rows)
        assert a == pytest.approx(b, rel=1e-14)
        np.testing.assert_allclose(g, h, atol=1e-14)


def test_several_outputs_are_as_many_squared_errors():
    X, _, _ = samples("squared_error")
    Y = np.random.default_rng(9).normal(size=(11, 2))
    network = Network(perceptron(4, [3], 2, "tanh"), X, Y)
    w = network.start(seed=0)
    assert network.value(w) == pytest.approx(0.25 * np.mean(np.sum((network.scores(w, X) - Y) ** 2, axis=1)), rel=1e-13)
    e = 1e-6 * np.eye(len(w))
    differences = np.array([(network.value(w + step) - network.value(w - step)) / 2e-6 for step in e])
    np.testing.assert_allclose(network.gradient(w), differences, atol=1e-8)


@given(st.integers(1, 11), st.integers(0, 5))
def test_batches_of_an_epoch_average_to_the_whole(size, seed):
    X, y, s = samples("softmax")
    network = Network(perceptron(4, [5], 3), X, y, "softmax", l2=0.1, sample_weight=s)
    w = network.start(seed=seed)
    parts = np.split(np.random.default_rng(seed).permutation(11), range(size, 11, size))
    costs = [(len(rows) / 11, network.value_and_gradient(w, rows)) for rows in parts]
    value, gradient = network.value_and_gradient(w)
    assert sum(share * v for share, (v, _) in costs) == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(sum(share * g for share, (_, g) in costs), gradient, atol=1e-13)


def test_a_reading_in_blocks_is_a_reading_at_once():
    X, y, s = samples("softmax", n=200)
    network = Network(perceptron(4, [5], 3), X, y, "softmax", sample_weight=s)
    w = network.start(seed=0)
    whole = network.value_and_gradient(w)
    network.block = 64
    assert network.value(w) == pytest.approx(whole[0], rel=1e-14)
    np.testing.assert_allclose(network.value_and_gradient(w)[1], whole[1], atol=1e-15)


def test_dropout_keeps_the_mean_and_draws_anew_each_time_yet_repeatably():
    layer, a = Dropout(0.3), np.ones((400, 50))
    out, _ = layer.forward({}, a, Mode(np.random.default_rng(0)))
    assert abs(out.mean() - 1.0) < 0.02
    assert set(np.unique(out)) == {0.0, 1.0 / 0.7}
    assert layer.forward({}, a, Mode())[0] is a

    def network():
        X, y, _ = samples("softmax")
        return Network(perceptron(4, [50], 3, dropout=0.5), X, y, "softmax", seed=5)

    one, two, rows = network(), network(), np.arange(11)
    w = one.start(seed=0)
    first, second = one.value(w, rows), one.value(w, rows)
    assert first != second
    assert (first, second) == (two.value(w, rows), two.value(w, rows))
    assert one.value(w) == one.value(w)


def test_new_samples_are_normalised_as_the_last_reading_was():
    X, y, _ = samples("squared_error", n=50)
    network = Network(perceptron(4, [5], 1, "tanh", normalisation="batch"), X, y)
    w = network.start(seed=0)
    network.value(w)
    alone = np.array([network.scores(w, X[i : i + 1])[0] for i in range(50)])
    np.testing.assert_allclose(alone, network.forward(w, X)[0][:, 0], atol=1e-12)
    other = Network(perceptron(4, [5], 1, "tanh", normalisation="batch"), X[:3], y[:3])
    other.statistics = network.statistics
    np.testing.assert_array_equal(other.scores(w, X), network.scores(w, X))


def test_float32_is_kept_and_sums_are_double():
    X, y, s = samples("softmax")
    network = Network(perceptron(4, [5], 3, normalisation="layer"), X.astype(np.float32), y, "softmax", sample_weight=s)
    w = network.start(seed=0)
    value, gradient = network.value_and_gradient(w)
    assert w.dtype == gradient.dtype == network.scores(w, network.X).dtype == np.float32
    twin = Network(perceptron(4, [5], 3, normalisation="layer"), X, y, "softmax", sample_weight=s)
    assert value == pytest.approx(twin.value(w.astype(np.float64)), rel=1e-5)


def test_error_vectors_show_how_errors_grow_and_vanish_with_the_norms_of_the_weights():
    X, y, _ = samples("squared_error", n=60, d=20)
    told = {}
    for gain in (0.3, 1.0, 3.0):
        layers = perceptron(20, [20] * 8, 1, "identity", initialisation="orthogonal", gain=gain)
        network = Network(layers, X, y)
        told[gain] = [row for row in network.error_vectors(network.start(seed=0)) if row.layer.endswith("(dense)")][:-1]
    for gain, rows in told.items():
        ratios = np.array([a.error / b.error for a, b in itertools.pairwise(rows)])
        np.testing.assert_allclose(ratios, gain, rtol=1e-6)
        assert all(row.spectral["weight"] == pytest.approx(gain) for row in rows)


@pytest.mark.parametrize("activation", ["identity", "tanh"])
def test_the_errors_of_states_are_derivatives_by_what_is_added_to_a_state(activation):
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(6, 4, 2)), rng.normal(size=6)
    X[2, 3:] = np.nan
    network = Network(recurrent(2, 3, 1, activation, gain=1.2), X, y)
    w = network.start(seed=0)
    layer, p = network.layers[0], network.layout.views(w)

    def cost(t, shift):
        """J with `shift` added to the state after step t."""
        h = np.zeros((6, 3))
        for k in range(4):
            on = ~np.isnan(X[:, k, :1])
            z = np.where(on, X[:, k], 0) @ p[0]["weight"] + h @ p[0]["recurrent"] + p[0]["bias"]
            h = np.where(on, layer.activation.value(z), h) + (shift if k == t else 0)
        return np.mean((h @ p[1]["weight"] + p[1]["bias"] - y[:, None]) ** 2) / 2

    told = network.error_vectors(w)[0].through_time
    assert len(told) == 4
    for t in range(4):
        slopes = []
        for shift in 1e-5 * np.eye(18).reshape(18, 6, 3):
            slopes.append((cost(t, shift) - cost(t, -shift)) / 2e-5)
        assert told[t] == pytest.approx(np.sqrt(np.mean(np.square(slopes))), rel=1e-7)


def test_the_gradient_of_a_node_is_that_of_its_weights():
    X, y, _ = samples("squared_error")
    network = Network(perceptron(4, [5], 1, "tanh"), X, y)
    w = network.start(seed=0)
    for row, g in zip(network.error_vectors(w), network.dense(network.value_and_gradient(w)[1]), strict=True):
        nodes = np.sqrt(np.sum(g["weight"] ** 2, axis=0) + g["bias"] ** 2)
        assert row.node == pytest.approx(np.sqrt(np.mean(nodes**2)))
        assert row.through_time == ()


def test_error_vectors_of_an_exploded_network_are_told_without_warnings():
    X, y, _ = samples("squared_error")
    network = Network(perceptron(4, [5], 1), X, y)
    told = network.error_vectors(1e200 * network.start(seed=0))
    assert not np.isfinite(told[0].error)


def test_the_error_vector_of_the_output_starts_the_way_back():
    X, y, _ = samples("softmax")
    network = Network(perceptron(4, [5], 3), X, y, "softmax")
    w = network.start(seed=0)
    outputs, memory = network.forward(w, X)
    _, error = softmax_value_and_slope(outputs, y)
    gradient = np.zeros_like(w)
    errors = list(network.backward(w, memory, error / 11, gradient))
    assert [None if e is None else e.shape for e in errors] == [(11, 5), (11, 5), None]
    np.testing.assert_allclose(gradient, network.gradient(w), atol=1e-15)


@pytest.mark.parametrize("thin", [False, True])
def test_a_start_does_not_depend_on_the_scale_of_the_samples(thin):
    X, y, s = samples("softmax")
    moved = 50.0 + 1e-3 * X
    signals = []
    for rows in (X, moved):
        network = Network(
            perceptron(4, [6], 3), sparse.csr_matrix(rows) if thin else rows, y, "softmax", sample_weight=s
        )
        signals.append(network.forward(network.start(0), network.X)[0])
    np.testing.assert_allclose(signals[0], signals[1], atol=1e-8)
    asked = [perceptron(4, [6], 3, initialisation="he")] * 2
    starts = [Network(layers, part, y, "softmax").start(0) for layers, part in zip(asked, (X, moved), strict=True)]
    np.testing.assert_array_equal(*starts)
    constant = Network(perceptron(4, [6], 3), np.full_like(X, 3.0), y, "softmax")
    assert np.isfinite(constant.value_and_gradient(constant.start(0))[1]).all()


@pytest.mark.parametrize("name", INITIALISATIONS)
def test_initialisations_have_the_variance_of_their_papers(name):
    fan_in, fan_out = 300, 200
    W = INITIALISATIONS[name](fan_in, fan_out, np.random.default_rng(0))
    expected = {"glorot": 2 / 500, "he": 2 / 300, "lecun": 1 / 300, "orthogonal": 1 / 300}[name]
    assert W.shape == (fan_in, fan_out)
    assert W.var() == pytest.approx(expected, rel=0.02)
    if name == "orthogonal":
        np.testing.assert_allclose(np.linalg.svd(W, compute_uv=False), 1.0)


def test_the_fast_softmax_is_the_formula():
    rng = np.random.default_rng(0)
    for scale in (1.0, 100.0, 1e4):
        z, y = scale * rng.normal(size=(50, 4)), rng.integers(0, 4, 50).astype(float)
        from descender.costs.losses import Softmax

        value, slope = softmax_value_and_slope(z.copy(), y)
        np.testing.assert_allclose(value, Softmax.value(z.T, y), rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(slope, Softmax.slope(z.T, y).T, atol=1e-15)


def test_names_say_layer_parameter_and_index():
    network = Network(perceptron(2, [1], 1), np.zeros((3, 2)), np.zeros(3))
    last = ("layer0.bias[0]", "layer2.weight[0,0]", "layer2.bias[0]")
    assert tuple(network.names) == ("layer0.weight[0,0]", "layer0.weight[1,0]", *last)
    assert (network.names[-1], network.names[2:]) == ("layer2.bias[0]", last)
    with pytest.raises(IndexError):
        network.names[5]


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: perceptron(2, [0], 1), ShapeError, "outputs=0"),
        (lambda: perceptron(2, [3.5], 1), ShapeError, "outputs=3.5"),
        (lambda: perceptron(2, [3], 1, "rellu"), OptionError, "did you mean relu"),
        (lambda: perceptron(2, [3], 1, initialisation="normal x"), OptionError, "standard deviation"),
        (lambda: perceptron(2, [3], 1, normalisation="bach"), OptionError, "batch"),
        (lambda: perceptron(2, [3], 1, dropout=1.0), OptionError, "below 1"),
        (lambda: Network(perceptron(3, [2], 1), np.zeros((4, 2)), np.zeros(4)), ShapeError, "3 inputs follows 2"),
        (lambda: Network(perceptron(2, [2], 2), np.zeros((4, 2)), np.arange(4), "softmax"), ShapeError, "4 classes"),
        (lambda: Network(perceptron(2, [2], 2), np.zeros((4, 2)), np.zeros(4)), ShapeError, "one output"),
        (lambda: Network(perceptron(2, [2], 2), np.zeros((4, 2)), np.zeros((4, 3))), ShapeError, "each column"),
        (
            lambda: Network(perceptron(2, [2], 2), np.zeros((4, 2)), np.zeros((4, 2)), "softmax"),
            CapabilityError,
            "one class a sample",
        ),
        (lambda: Network(perceptron(2, [2], 1), np.zeros((4, 2)), np.full(4, 2.0), "log_loss"), InputError, "row 0"),
        (lambda: Network(perceptron(2, [2], 1), np.zeros((4, 2)), np.zeros(3)), ShapeError, "4 rows"),
        (lambda: Network(perceptron(2, [2], 1), np.full((4, 2), np.nan), np.zeros(4)), DataError, "row 0, column 0"),
        (lambda: Network([Residual([Dense(2, 3)])], np.zeros((4, 2)), np.zeros(4)), ShapeError, "one width"),
        (lambda: Network([BatchNorm(3)], np.zeros((4, 2)), np.zeros(4)), ShapeError, "batch norm of 3"),
        (lambda: Network(recurrent(1, 2, 1), np.zeros((4, 2, 3)), np.zeros(4)), ShapeError, "recurrent layer of 1"),
        (lambda: Network(recurrent(1, 2, 1), np.zeros((4, 0, 1)), np.zeros(4)), DataError, "none of them 0"),
        (lambda: pad([]), DataError, "no sequences"),
        (lambda: pad([[1.0], []]), DataError, "sequence 1"),
        (lambda: pad([[[1.0]], [[1.0, 2.0]]]), ShapeError, "2 inputs a step"),
        (lambda: pad([["a"]]), DataError, "numbers"),
        (
            lambda: Network(perceptron(2, [2], 1), np.zeros((4, 2)), np.zeros(4)).value(np.zeros(3)),
            ShapeError,
            "9 parameters",
        ),
    ],
)
def test_what_does_not_fit_is_said(make, error, says):
    with pytest.raises(error, match=says):
        make()


def test_gaps_within_a_sequence_are_refused():
    X = np.zeros((2, 3, 1))
    X[1, 1] = np.nan
    with pytest.raises(DataError, match="at its end"):
        Network(recurrent(1, 2, 1), X, np.zeros(2))
    X[1] = np.nan
    with pytest.raises(DataError, match="sample 1 has no steps"):
        Network(recurrent(1, 2, 1), X, np.zeros(2))


def test_a_standard_deviation_of_ones_own():
    drawn = read_initialisation("normal 2.5")(200, 200, np.random.default_rng(0))
    assert drawn.std() == pytest.approx(2.5, rel=0.02)
