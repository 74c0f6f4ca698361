"""Where a network of ours leaves the finite numbers is named: operation, layer, row, feature, and the value."""

import re

import numpy as np
import pytest
from scipy import sparse

import descender
from descender.costs.network.build import perceptron, recurrent
from descender.costs.network.layers import Mode
from descender.costs.network.network import Network
from descender.costs.network.trace import trace
from descender.errors import DivergedError, StartError

N, ROW, FEATURE = 400, 333, 2


def samples(dtype=np.float64):
    rng = np.random.default_rng(0)
    return rng.normal(size=(N, 4)).astype(dtype), rng.normal(size=N)


def network(X=None, y=None, activation="relu", loss="squared_error", hidden=(8,), **shape):
    X, y = samples() if X is None else (X, samples()[1] if y is None else y)
    return Network(perceptron(X.shape[1], hidden, 1, activation, **shape), X, y, loss)


def sgd(cost, rate=0.01, batch_size=16, **options):
    return descender.minimize(cost, method="sgd", batch_size=batch_size, learning_rate=rate, **options)


def lost(walk):
    return next(finding for finding in walk.findings if finding.code == "D901")


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize(("dtype", "hostile"), [(np.float64, 1e200), (np.float32, 1e30)])
def test_a_hostile_value_is_named_by_row_feature_and_step_and_no_rate_is_blamed(form, dtype, hostile):
    X = samples(dtype)[0]
    X[ROW, FEATURE] = hostile
    walk = sgd(network(form(X)), max_steps=50)
    finding = walk.findings[0]
    assert (finding.code, finding.severity, walk.status) == ("D901", "critical", "not_finite")
    assert "D101" not in [other.code for other in walk.findings]
    where = finding.where
    assert (where["row"], where["feature"], where["layer"]) == (ROW, FEATURE, "loss")
    assert where["step"] == walk.nit + 1
    assert f"feature 2 = {hostile:g}" in finding.evidence
    assert walk.record.facts["findings"][0]["where"] == where
    assert descender.diagnose(walk)[0].where == where


def test_a_walk_that_goes_on_or_raises_names_it_too():
    X = samples()[0]
    X[ROW, FEATURE] = 1e200
    stopped = sgd(network(X), max_steps=50)
    onwards = sgd(network(X), max_steps=50, on_divergence="continue")
    assert lost(onwards).where == lost(stopped).where
    assert lost(onwards).severity == "critical"
    with pytest.raises(DivergedError, match=f"row {ROW} is inf: output 0"):
        sgd(network(X), max_steps=50, on_divergence="raise")


def test_a_value_that_the_first_rows_hold_is_named_where_the_start_is_refused():
    X = samples()[0]
    X[3, 1] = 1e200
    with pytest.raises(StartError, match=r"row 3 is inf: output 0 = .*without feature 1 = 1e\+200 in that row"):
        sgd(network(X))


def test_names_of_rows_and_columns_are_those_that_were_given():
    X = samples()[0]
    X[ROW, FEATURE] = 1e200
    cost = network(X)
    cost.numbers, cost.columns = np.arange(N) + 1000, ["a", "b", "income", "d"]
    where = lost(sgd(cost, max_steps=50)).where
    assert (where["row"], where["column"]) == (1000 + ROW, "income")


def test_an_input_that_became_infinite_is_of_the_data():
    cost = network()
    cost.X[ROW, FEATURE] = np.inf
    finding = sgd(cost, max_steps=50).findings[0]
    assert finding.code == "D014"
    assert (finding.where["row"], finding.where["feature"]) == (ROW, FEATURE)


def test_a_rate_that_is_too_high_is_named_before_the_number_that_it_made():
    walk = sgd(network(), 1000.0)
    assert [finding.code for finding in walk.findings] == ["D101", "D901"]
    step = lost(walk).where["step"]
    assert step == walk.nit + 1
    assert "so it is at the start" not in lost(walk).evidence
    recovered = sgd(network(), 1000.0, on_divergence="recover", max_steps=250)
    assert [(f.code, f.severity) for f in recovered.findings] == [("D101", "info"), ("D901", "info")]
    assert lost(recovered).where == lost(walk).where


@pytest.mark.parametrize(("batch_size", "rate"), [(16, 0.01), ("full", 0.1)])
def test_a_healthy_walk_has_none(batch_size, rate):
    walk = sgd(network(), rate, batch_size, max_steps=60)
    assert walk.lost is None
    assert "D901" not in [finding.code for finding in walk.findings]


def test_a_layer_of_huge_weights_is_named():
    cost = network(hidden=(8, 8))
    w = cost.start(0)
    cost.layout.views(w)[2]["weight"][3, 5] = 1e200
    with pytest.raises(StartError, match=r"without layer2.weight, in which layer2.weight\[3,5\] = 1e\+200"):
        sgd(cost, start=w)
    cost.layout.views(w)[2]["weight"][3, 5] = 1e308
    cost.layout.views(w)[0]["bias"][3] = 1e10
    found = trace(cost, w)
    assert (found.layer, found.operation, found.row, found.node) == ("layer2 (dense)", "sum of products", 0, 5)
    assert "times weight[3,5] = 1e+308" in found.text
    short = network(samples(np.float32)[0])
    w = short.start(0).astype(np.float64)
    w[1] = 1e200
    assert trace(short, w).text == "layer0.weight[0,1] is 1e+200, which is more than float32 holds"


def test_an_exponential_of_the_loss_that_overflows_is_named_with_its_operand():
    X = samples(np.float32)[0]
    X[ROW] = 40.0  # e**88 is more than float32 holds
    y = np.random.default_rng(1).poisson(3.0, size=N).astype(float)
    cost = network(X, y, "identity", "poisson")
    w = cost.start(0)
    views = cost.layout.views(w)
    for k in (0, 2):
        views[k]["weight"][:], views[k]["bias"][:] = 0.3, 0.0
    walk = sgd(cost, 1e-6, start=w, max_steps=50)
    finding = walk.findings[0]
    assert finding.code == "D901"
    assert (finding.where["layer"], finding.where["operation"]) == ("loss", "poisson")
    assert finding.where["row"] == ROW
    given = float(re.search(r"output 0 = ([\d.e+]+), y = ", finding.evidence)[1])
    outputs = cost.forward(walk.lost and w, X[[ROW]], Mode())[0]
    assert given == pytest.approx(outputs[0, 0], rel=1e-2)
    assert finding.evidence.endswith("so it is at the start")


def test_a_constant_column_is_no_fault_of_batch_normalisation_until_its_mean_overflows():
    X = samples()[0]
    X[:, FEATURE] = 5.0
    cost = network(X, normalisation="batch")
    w = cost.start(0)
    p = cost.layout.views(w)
    p[0]["weight"][:, 4] = 0.0  # a node that never changes
    assert trace(cost, w) is None
    before = cost.statistics
    p[0]["bias"][4] = 1e308
    found = trace(cost, w)
    assert found.layer == f"layer1 ({cost.layers[1].name})" == "layer1 (batch norm)"
    assert (found.operation, found.node, found.given) == ("mean and variance", 4, 1e308)
    assert all((a[0] == b[0]).all() for a, b in zip(before, cost.statistics, strict=True))


def test_the_way_back_is_looked_at_where_the_way_forward_is_finite():
    X = samples()[0]
    cost = network(X, activation="identity")
    w = cost.start(0)
    p = cost.layout.views(w)
    p[2]["weight"][:] = 0.0
    p[2]["bias"][:] = 1e150
    p[2]["weight"][5, 0] = 1e200
    p[0]["weight"][:, 5], p[0]["bias"][5] = 0.0, 0.0
    found = trace(cost, w)
    assert found.layer == "layer2 (dense)"
    assert (found.operation, found.node, found.text.split(",")[0]) == ("error vector", 0, "on the way back")


def test_the_time_and_the_state_of_a_recurrent_layer_are_named():
    X = np.random.default_rng(0).normal(size=(60, 5, 2))
    X[3, 3:] = np.nan
    cost = Network(recurrent(2, 4, 1, activation="relu"), X, np.arange(60.0))
    w = cost.start(0)
    assert trace(cost, w) is None
    p = cost.layout.views(w)[0]
    p["recurrent"][:], p["bias"][:] = 1e120, 1.0
    found = trace(cost, w)
    assert (found.layer, found.row is not None) == ("layer0 (recurrent)", True)
    assert re.match(
        r"in layer0 \(recurrent\), time 3, row \d+, node 0 is inf: state \d = .* times recurrent", found.text
    )


def test_within_a_residual_connection_the_layer_is_named():
    cost = network(hidden=(8, 8), residual=True)
    k = next(k for k, layer in enumerate(cost.layers) if layer.name == "residual")
    w = cost.start(0)
    cost.layout.views(w)[k]["0.weight"][:] = 1e308
    cost.layout.views(w)[0]["bias"][:] = 100.0
    assert re.match(rf"layer{k} \(residual\)\.\d \(dense\)", trace(cost, w).layer)


def test_dropout_drops_again_what_it_dropped():
    X = samples()[0]
    X[ROW, FEATURE] = 1e200
    walk = sgd(network(X, dropout=0.5), max_steps=50)
    assert lost(walk).where["row"] == ROW


def target_told(finding):
    return float(re.search(r"y = (\S+?)(;|$)", finding.evidence)[1])


def test_an_estimator_and_a_fit_name_the_row_of_the_data_as_given():
    X, y = np.vstack([samples()[0]] * 3), np.arange(3.0 * N)
    how = {"solver": "sgd", "learning_rate_init": 1e3, "max_iter": 3, "early_stopping": True}
    model = descender.MLPRegressor((8,), **how).fit(X, y)
    assert [finding.code for finding in model.findings_][:2] == ["D101", "D901"]
    row = model.findings_[1].where["row"]
    assert target_told(model.findings_[1]) == pytest.approx((y[row] - model._y_center[0]) / model._y_scale[0], abs=1e-5)

    weight = np.where(np.arange(len(y)) % 3 == 0, 0.0, 1.0)  # rows of weight 0 are not there, but counted
    model = descender.MLPRegressor((8,), **how).fit(X, y, weight)
    row = model.findings_[1].where["row"]
    assert target_told(model.findings_[1]) == pytest.approx((y[row] - model._y_center[0]) / model._y_scale[0], abs=1e-5)

    table = {"a": X[:, 0], "b": X[:, 1], "y": y}
    fit = descender.fit(table, "y", model="mlp", hidden=(8,), method="sgd", learning_rate=1e6, epochs=3)
    finding = next(finding for finding in fit.findings if finding.code == "D901")
    row = f"loss of row {finding.where['row']} is inf"
    assert any(row in text for word, text, _ in fit.lines if word == "noticed")
    told = target_told(finding) * fit.model.scale + fit.model.centre
    assert told == pytest.approx(y[finding.where["row"] - 1], abs=0.01)  # rows of a table are numbered from 1


def networks():
    """Losses, shapes, forms and dtypes, each some times."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        dtype = (np.float64, np.float32)[seed % 2]
        X, y = rng.normal(size=(30, 3)).astype(dtype), np.arange(30.0)
        X = sparse.csr_matrix(X) if seed % 3 == 0 else X
        activation = ("identity", "sigmoid", "tanh", "relu", "leaky_relu", "gelu", "selu")[seed % 7]
        shape = {"normalisation": (None, "batch", "layer")[seed % 3], "residual": bool(seed % 2),
                 "dropout": 0.3 * (seed % 4 == 0)}  # fmt: skip
        kind = seed % 5
        if kind == 4:
            sequences = rng.normal(size=(30, 4, 3)).astype(dtype)
            sequences[2, 2:] = np.nan
            yield rng, Network(recurrent(3, 5, 1, activation=activation), sequences, y)
            continue
        outputs, target, loss = [(3, y % 3, "softmax"), (2, rng.normal(size=(30, 2)), "squared_error"),
                                 (1, y % 2, "log_loss"), (1, y, "poisson")][kind]  # fmt: skip
        layers = perceptron(3, [5, 5], outputs, activation, **shape)
        weight = rng.uniform(size=30) if kind == 1 else None
        yield rng, Network(layers, X, target, loss, l2=float(kind % 2), sample_weight=weight)


def test_something_is_found_where_j_or_its_gradient_is_not_finite_and_nothing_elsewhere():
    lost = 0
    for rng, cost in networks():
        start, big = cost.start(0), 1e200 if cost.dtype is np.float64 else 1e25
        for rows in (None, rng.permutation(30)[:7]):
            w = start.copy()
            w[rng.integers(0, len(w), size=3)] = big ** rng.uniform(0.3, 1.5, size=3)
            with np.errstate(all="ignore"):
                value, gradient = cost.value_and_gradient(w, rows)
            found = cost.trace(w, rows, start)
            assert (found is None) == bool(np.isfinite(value) and np.isfinite(gradient).all())
            assert found is None or not found.at_start
            assert found is None or rows is None or found.row is None or found.row in rows
            lost += found is not None
    assert 20 < lost < 80
