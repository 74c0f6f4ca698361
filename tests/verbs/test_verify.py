"""verify: a saved model is judged from its weights and the data alone; other data and pickles are told."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import descender
from descender.cli import app
from descender.errors import CapabilityError, DescenderError, RecordError
from descender.model import Model
from descender.verbs.verify import verify


def run(*words):
    return CliRunner().invoke(app, [*map(str, words)], catch_exceptions=False)


def saved(folder, data, target=None, **options):
    result = descender.fit(data, target, **options)
    return result, result.model.save(folder / "m.descender")


@pytest.mark.parametrize(
    ("data", "target", "options"),
    [
        ("example:iris", "species", {}),
        ("example:breast_cancer", None, {"l2": 0.01, "seed": 3, "holdout": 0.5}),
        ("example:breast_cancer", None, {"l1": 0.01, "class_weight": "balanced"}),
        ("example:breast_cancer", None, {"loss": "squared_hinge", "class_weight": {"malignant": 3.0}}),
        ("example:heights", "weight", {"loss": "huber", "holdout": 0.0}),
        ("example:heights", "tall = height > 170", {"l2": 0.1}),
    ],
)
def test_a_fit_is_verified_from_its_file(data, target, options, tmp_path):
    result, path = saved(tmp_path, data, target, **options)
    found = verify(path, data)
    assert found.ok
    assert found.same_data
    assert found.told == []
    assert found.verdict.rigorous
    assert found.verdict.value == pytest.approx(result.certificate.value, rel=1e-12)
    assert found.stored["value"] == result.certificate.value


def test_a_model_that_stopped_early_is_found_out(tmp_path):
    _, path = saved(tmp_path, "example:breast_cancer", method="gd", learning_rate=0.1, epochs=20)
    found = verify(path, "example:breast_cancer")
    assert not found.ok
    assert found.same_data
    assert found.verdict.excess > 0.01
    assert "stopped" in str(found.verdict)


def test_altered_weights_are_found_out(tmp_path):
    result, path = saved(tmp_path, "example:iris", "species")
    result.model.weights = result.model.weights * 1.1
    found = verify(result.model.save(path), "example:iris")
    assert not found.ok
    assert not found.same_data
    assert any("its cost here is" in line for line in found.told)


def test_other_rows_and_other_columns_are_told(tmp_path):
    pd = pytest.importorskip("pandas", reason="data frames are pandas'")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.standard_normal(200), "b": rng.standard_normal(200)})
    frame["y"] = 2 * frame.a - frame.b + 0.1 * rng.standard_normal(200)
    _, path = saved(tmp_path, frame, "y")
    assert verify(path, frame[["y", "b", "a"]]).same_data
    fewer = verify(path, frame[:150])
    assert not fewer.same_data
    assert "training rows, where the fit had" in fewer.told[0]
    assert "so these are not the data" in fewer.told[-1]
    moved = frame.assign(y=frame.y + (frame.index == 3))
    assert not verify(path, moved).same_data
    with pytest.raises(DescenderError, match="b"):
        verify(path, frame[["a", "y"]])


def test_pickles_and_what_is_no_model_are_refused(tmp_path):
    with pytest.raises(CapabilityError, match=r"loading one runs the code .* descender\.certify"):
        verify(tmp_path / "model.pkl", "example:iris")
    with pytest.raises(RecordError, match="no model"):
        verify(tmp_path / "model.descender", "example:iris")
    learner = descender.Online()
    learner.learn([[1.0], [2.0]], [1.0, 2.0])
    path = learner.model(["x"]).save(tmp_path / "stream.descender")
    with pytest.raises(CapabilityError, match="does not say how it was fitted"):
        verify(path, "example:iris")
    assert Model.load(path).facts["online"]


def test_the_command_prints_the_verdict_and_its_status(tmp_path):
    _, path = saved(tmp_path, "example:iris", "species")
    done = run("verify", path, "example:iris")
    assert done.exit_code == 0
    assert "your model is at the minimum of its own objective, certified within" in done.output
    assert "file says" in done.output
    said = json.loads(run("verify", path, "example:iris", "--json").output)
    assert said["ok"]
    assert said["same_data"]
    assert said["stored"]["rigorous"]
    _, rough = saved(tmp_path, "example:breast_cancer", method="gd", learning_rate=0.1, epochs=20)
    assert run("verify", rough, "example:breast_cancer").exit_code == 1
    assert run("verify", rough).exit_code == 2
    assert run("verify", tmp_path / "x.pkl", "example:iris").exit_code == 2
