"""A fitted model: what it predicts, and the one file that it is kept in."""

import contextlib
import dataclasses
import json
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from safetensors import safe_open
from safetensors.numpy import save

import descender.data.blocks
from descender import fit
from descender.data.source import open_source
from descender.errors import CapabilityError, ColumnError, DataError, OutputError, RecordError, ShapeError
from descender.model import Model

RNG = np.random.default_rng(0)
N = 400
TABLE = {
    "x": np.where(RNG.random(N) < 0.1, np.nan, RNG.normal(3, 2, N)),
    "colour": list(RNG.choice(["red", "green", "blue"], N)),
    "open": RNG.random(N) < 0.5,
    "day": np.datetime64("2020-01-01") + RNG.integers(0, 700, N),
}
TARGETS = {
    "binary": np.where(np.nan_to_num(TABLE["x"]) + RNG.normal(size=N) > 3, "yes", "no"),
    "multiclass": RNG.choice([10, 20, 30], N),
    "regression": np.nan_to_num(TABLE["x"]) * 2 + RNG.normal(size=N),
}
QUESTIONS = {"binary": "predict_proba", "multiclass": "predict_proba", "regression": "predict"}


@pytest.fixture(scope="module")
def models():
    """One model for each task."""
    return {task: fit(TABLE | {"y": y}, "y").model for task, y in TARGETS.items()}


@pytest.mark.parametrize("task", TARGETS)
def test_a_saved_model_predicts_the_same_bits(models, tmp_path, task):
    model = models[task]
    loaded = Model.load(model.save(tmp_path / "m.descender"))
    for question in ("decision_function", QUESTIONS[task], "predict"):
        before, after = getattr(model, question)(TABLE), getattr(loaded, question)(TABLE)
        assert np.array_equal(before, after)
        assert before.dtype == after.dtype
    assert loaded.encoder == model.encoder
    assert loaded.coding == model.coding
    assert loaded.certificate == model.certificate
    assert loaded.facts == model.facts
    assert np.array_equal(loaded.coefficients, model.coefficients)
    assert np.array_equal(loaded.raw_intercept, model.raw_intercept)
    again = loaded.save(tmp_path / "n.descender")
    assert again.read_bytes() == (tmp_path / "m.descender").read_bytes()
    # a planted fault: one weight changed in its last digit is seen
    loaded.weights[..., 0] = np.nextafter(loaded.weights[..., 0], 9)
    assert not np.array_equal(model.decision_function(TABLE), loaded.decision_function(TABLE))


def test_classes_keep_their_kind(models):
    assert set(models["binary"].predict(TABLE)) == {"yes", "no"}
    assert set(models["multiclass"].predict(TABLE).tolist()) <= {10, 20, 30}
    truth = fit(TABLE | {"y": TARGETS["binary"] == "yes"}, "y").model.predict(TABLE)
    assert truth.dtype == bool


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_probabilities_are_shares_and_the_largest_is_predicted(models, task):
    model = models[task]
    p = model.predict_proba(TABLE)
    assert p.shape == (N, len(model.coding.classes))
    assert ((p >= 0) & (p <= 1)).all()
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=0, atol=1e-15)
    assert np.array_equal(model.predict(TABLE), np.asarray(model.coding.classes)[p.argmax(axis=1)])


def test_probabilities_stay_finite_far_away(models):
    far = {"x": [1e9, -1e9], "colour": ["red", "red"], "open": [True, False], "day": TABLE["day"][:2]}
    for task in ("binary", "multiclass"):
        p = models[task].predict_proba(far)
        assert np.isfinite(p).all()
        np.testing.assert_allclose(p.sum(axis=1), 1.0)


def test_a_regression_has_no_probabilities(models):
    with pytest.raises(CapabilityError, match="a regression has no probabilities; use predict"):
        models["regression"].predict_proba(TABLE)


@pytest.mark.parametrize("task", TARGETS)
def test_columns_are_found_by_name(models, task):
    model = models[task]
    expected = model.predict(TABLE)
    turned = dict(reversed(TABLE.items())) | {"more": ["text"] * N, "y": TARGETS[task]}
    frame = pd.DataFrame(turned, index=range(N, 0, -1))
    for data in (turned, frame, pa.table(turned), pa.RecordBatch.from_pydict(turned)):
        assert np.array_equal(model.predict(data), expected)


def test_a_missing_column_is_named_with_the_nearest(models):
    lacking = {"xx" if name == "x" else "color" if name == "colour" else name: v for name, v in TABLE.items()}
    with pytest.raises(ColumnError, match=r"lack 2 columns.*x, colour .*did you mean color\?"):
        models["binary"].predict(lacking)


def test_cells_of_another_kind_are_refused_with_their_row(models):
    for name, cells, text in [
        ("x", ["1.5", "two", "3"], 'column x, row 2 is "two": expected a number, as in training'),
        ("x", [1.0, 2.0, np.inf], "column x, row 3 is infinite"),
        ("open", [0.0, 0.5, 1.0], "column open, row 2 is 0.5: expected true or false"),
        ("day", ["2020-01-01", "soon", "2020-01-02"], 'column day, row 2 is "soon": expected dates'),
    ]:
        with pytest.raises(DataError, match=text):
            models["binary"].predict({k: v[:3] for k, v in TABLE.items()} | {name: cells})


def test_the_row_of_a_wrong_cell_is_right_in_later_blocks(models, monkeypatch):
    monkeypatch.setattr(descender.data.blocks, "ROWS", 7)
    x = TABLE["x"].copy()
    x[123] = np.inf
    with pytest.raises(DataError, match="column x, row 124 is infinite"):
        models["binary"].predict(TABLE | {"x": x})


def test_new_categories_and_missing_cells_have_a_prediction(models):
    odd = {"x": [np.nan, 1.0], "colour": ["mauve", None], "open": [None, True], "day": [None, "2031-05-05"]}
    for task, model in models.items():
        z = model.decision_function(odd)
        assert np.isfinite(z).all()
        assert len(z) == 2
        assert len(model.predict(odd)) == 2
        assert task != "regression" or model.predict(odd).dtype == float


@pytest.mark.parametrize("task", TARGETS)
def test_a_row_is_predicted_alone_as_among_others(models, task):
    model = models[task]
    whole = model.decision_function(TABLE)
    for i in (0, 17, N - 1):
        one = model.decision_function({name: values[i : i + 1] for name, values in TABLE.items()})
        assert one.shape == (1, *whole.shape[1:])
        assert np.array_equal(one[0], whole[i])


@pytest.mark.parametrize("task", TARGETS)
@pytest.mark.parametrize("rows", [1, 7, 64, N, N + 1])
def test_blocks_make_no_difference(models, monkeypatch, task, rows):
    model = models[task]
    whole, labels = model.decision_function(TABLE), model.predict(TABLE)
    monkeypatch.setattr(descender.data.blocks, "ROWS", rows)
    assert np.array_equal(model.decision_function(TABLE), whole)
    assert len(labels) == N
    assert np.array_equal(model.predict(TABLE), labels)


def test_the_grid_of_blocks_depends_on_the_row_alone(models, monkeypatch):
    monkeypatch.setattr(descender.data.blocks, "ROWS", 64)
    chunked = pa.concat_tables([pa.table(TABLE).slice(0, 33), pa.table(TABLE).slice(33)])
    assert np.array_equal(
        models["binary"].decision_function(chunked), models["binary"].decision_function(pa.table(TABLE))
    )


def test_a_file_is_predicted_like_the_table(models, tmp_path):
    path = tmp_path / "t.csv"
    pd.DataFrame(TABLE).to_csv(path, index=False)
    assert np.array_equal(models["multiclass"].predict(path), models["multiclass"].predict(TABLE))


@pytest.mark.parametrize("task", TARGETS)
def test_a_table_without_rows_has_no_predictions(models, task):
    for data in (pa.table(TABLE).slice(0, 0), {name: [] for name in TABLE}, pd.DataFrame(TABLE)[:0]):
        assert models[task].predict(data).shape == (0,)
        assert models[task].decision_function(data).shape == ((0, 3) if task == "multiclass" else (0,))


def test_what_fit_takes_predict_takes():
    X, y = [[1.0, 0.0], [2.0, 1.0], [3.0, 0.0]], [1.0, 2.0, 3.0]
    model = fit(X, y).model
    assert np.array_equal(model.predict(X), model.predict(np.array(X)))
    with pytest.raises(ShapeError, match="lists of different lengths"):
        model.predict([[1.0, 2.0], [3.0]])


# --- the file


@pytest.fixture
def saved(models, tmp_path):
    """A saved model: its path, its facts, its arrays."""
    path = models["binary"].save(tmp_path / "m.descender")
    with safe_open(path, framework="numpy") as file:
        facts = json.loads(file.metadata()["descender"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return path, facts, arrays


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(RecordError, match=r"no model at .*nothing\.descender"):
        Model.load(tmp_path / "nothing.descender")
    with pytest.raises(RecordError, match="cannot be read as a model"):
        Model.load(tmp_path)


def test_a_cut_file_is_refused_wherever_it_is_cut(saved):
    path, *_ = saved
    whole = path.read_bytes()
    for end in [0, 1, 7, 8, 9, *range(10, len(whole), 41), len(whole) - 8, len(whole) - 1]:
        path.write_bytes(whole[:end])
        with pytest.raises(RecordError, match=r"m\.descender cannot be read as a model"):
            Model.load(path)
    path.write_bytes(whole + b"more")
    with pytest.raises(RecordError):
        Model.load(path)
    path.write_bytes(whole)
    assert Model.load(path)


def test_a_changed_byte_is_refused_wherever_it_stands(saved):
    path, *_ = saved
    whole, same = path.read_bytes(), 0
    for at in range(0, len(whole), 11):
        for bit in (1, 128):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
            with contextlib.suppress(RecordError):
                again = Model.load(path).save(path.with_name("again.descender"))
                assert again.read_bytes() == whole  # a blank, or a last digit below what a float64 holds
                same += 1
    assert same < 0.05 * len(whole) / 11


@pytest.mark.parametrize(
    "content", [b"a,b\n1,2\n", b"PAR1" + bytes(60), b"\x80\x05K\x01.", b"{}" * 50, b"\xff" * 200, bytes(200)]
)
def test_files_of_others_are_refused(tmp_path, content):
    path = tmp_path / "m.descender"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=r"m\.descender"):
        Model.load(path)


def test_a_safetensors_file_that_is_not_ours_is_refused(tmp_path):
    path = tmp_path / "m.descender"
    for facts in (None, {}, {"descender": "{}"}, {"descender": '{"format": "descender model 99"}'}):
        path.write_bytes(save({"weights": np.zeros(2)}, metadata=facts))
        text = (
            'that this version reads: it is "descender model 99"'
            if "99" in str(facts)
            else "is not a model of descender"
        )
        with pytest.raises(RecordError, match=text):
            Model.load(path)


def altered(saved, **changes):
    path, facts, arrays = saved
    facts = facts | {key: value for key, value in changes.items() if key not in arrays}
    arrays = arrays | {key: value for key, value in changes.items() if key in arrays}
    path.write_bytes(save(arrays, metadata={"descender": json.dumps(facts)}))
    return path


FEATURES = 26
ALTERED = {
    "too few weights": {"weights": np.zeros(2)},
    "encoding gone": {"encoder": None},
    "encoding foreign": {"encoder": {"columns": [{"kind": "picture"}], "dropped": [], "told": []}},
    "target foreign": {"target": {"name": "y"}},
    "certificate foreign": {"certificate": {"sure": True}},
}
SLIPS = {
    "no intercept": {"intercept": np.zeros(0)},
    "two intercepts": {"intercept": np.zeros(2)},
    "weights of no dimension": {"weights": np.zeros(())},
    "weights of three dimensions": {"weights": np.zeros((1, 1, FEATURES))},
    "weights that are no numbers": {"weights": np.full(FEATURES, np.nan)},
    "unknown loss": {"loss": "regret"},
    "another loss": {"loss": "softmax"},
    "one class": {"target": {"name": "y", "task": "binary", "classes": ["a"]}},
    "unknown task": {"target": {"name": "y", "task": "guess", "classes": ["a", "b"]}},
}


@pytest.mark.parametrize("case", ALTERED | SLIPS)
def test_an_altered_file_is_refused(saved, case):
    assert saved[2]["weights"].shape == (FEATURES,)
    path = altered(saved, **(ALTERED | SLIPS)[case])
    with pytest.raises(RecordError, match=r"damaged|weights for|not a model"):
        Model.load(path)
    assert Model.load(altered(saved)).coding.classes == ("no", "yes")


def test_numbers_are_known_by_their_sum(saved):
    path = altered(saved, weights=np.nextafter(saved[2]["weights"], 9))
    with pytest.raises(RecordError, match="it is not what was saved"):
        Model.load(path)


MISFITS = {
    "too few weights": ({"weights": np.zeros(2)}, r"weights of shape \(2,\)"),
    "weights of three dimensions": ({"weights": np.zeros((1, 1, FEATURES))}, "weights of shape"),
    "two intercepts": ({"intercept": np.zeros(2)}, "damaged"),
    "weights that are no numbers": ({"weights": np.full(FEATURES, np.nan)}, "numbers that are not finite"),
    "another loss": ({"loss": "softmax"}, "the loss softmax for a binary target"),
    "options of NumPy": ({"facts": {"seed": np.int64(3)}}, None),
}


@pytest.mark.parametrize("case", MISFITS)
def test_parts_that_do_not_fit_are_refused_though_saved_as_they_are(models, tmp_path, case):
    changes, text = MISFITS[case]
    path = dataclasses.replace(models["binary"], **changes).save(tmp_path / "m.descender")
    if text is None:
        assert Model.load(path).facts == changes["facts"]
        return
    with pytest.raises(RecordError, match=text):
        Model.load(path)


@pytest.mark.parametrize("text", ["[1]", "null", '"x"', "[" * 100_000])
def test_metadata_that_is_no_object_is_refused(tmp_path, text):
    path = tmp_path / "m.descender"
    path.write_bytes(save({"weights": np.zeros(2)}, metadata={"descender": text}))
    with pytest.raises(RecordError):
        Model.load(path)


def test_loading_runs_no_code(saved, monkeypatch):
    path, _, arrays = saved
    assert path.read_bytes()[8:9] == b"{"  # safetensors: a length, then JSON
    assert {type(value) for value in arrays.values()} == {np.ndarray}

    def refuse(*_, **__):
        raise AssertionError("a model file was unpickled")

    import pickle

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    heard = []
    hook = lambda event, args: heard.append(event) if event in ("exec", "compile", "pickle.find_class") else None  # noqa: E731
    Model.load(path)  # whatever loads lazily, is loaded now
    sys.addaudithook(lambda event, args: hook(event, args) if listening else None)
    listening = True
    Model.load(path)
    listening = False
    assert heard == []
    listening = True
    exec("1")  # a planted fault: the hook hears code that runs
    listening = False
    assert heard


def test_a_model_that_cannot_be_written_leaves_the_old_one(models, tmp_path):
    path = models["binary"].save(tmp_path / "m.descender")
    before = path.read_bytes()
    with pytest.raises(OutputError, match="cannot be written"):
        models["binary"].save(path / "below" / "m.descender")
    models["regression"].save(path)
    assert path.read_bytes() != before
    assert [p.name for p in tmp_path.iterdir()] == ["m.descender"]


def test_examples_are_data_too(models):
    model = fit("example:iris").model
    rows = open_source("example:iris").table
    assert np.mean(model.predict("example:iris") == np.array(rows["species"].to_pylist())) > 0.95
