"""A script of plain NumPy ends where a fit did, or holds its model and shows that it is the bottom."""

import json
import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse
from typer.testing import CliRunner

import descender
from descender.cli import app
from descender.costs.risk import Risk
from descender.errors import CapabilityError, OutputError
from descender.export import agrees, without_loading
from descender.export_fit import LONGEST, fit_script
from descender.methods.rules import RULES
from descender.verbs.minimize import minimize

random = np.random.default_rng(1)
X = random.normal(size=(120, 3))
NUMBER = X @ [1.0, -2.0, 0.5] + 0.3 * random.normal(size=120)
CLASS = (NUMBER + random.normal(size=120) > 0) * 1.0
KIND = np.digitize(NUMBER + random.normal(size=120), [-1.0, 1.0]) * 1.0
COUNT = random.poisson(np.exp(0.3 * NUMBER)) * 1.0
TARGETS = {
    "squared_error": NUMBER, "huber 0.7": NUMBER, "quantile 0.8": NUMBER, "poisson": COUNT, "log_loss": CLASS,
    "sigmoid_squared_error": CLASS, "hinge": CLASS, "squared_hinge": CLASS, "softmax": KIND,
}  # fmt: skip
KINKED = ("quantile 0.8", "hinge")
WEIGHTS = random.integers(0, 4, size=120) * 0.5
CASES = [(loss, {}) for loss in TARGETS] + [
    ("log_loss", {"sample_weight": WEIGHTS, "l2": 0.1}),
    ("log_loss", {"l1": 0.02, "l2": 0.01}),
    ("softmax", {"reduction": "sum", "l2": 0.5, "sample_weight": WEIGHTS}),
    ("huber 0.7", {"l1": 0.05, "reduction": "sum"}),
]


def printed(path):
    """What a script says, by name."""
    result = subprocess.run(
        [sys.executable, "-W", "error", str(path)], capture_output=True, text=True, timeout=200, check=False
    )
    assert result.returncode == 0, result.stderr
    return {name: json.loads(value) for name, value in (line.split(" = ") for line in result.stdout.splitlines())}


def point(said, names):
    return np.array([said[name] for name in names])


def run_here(script):
    """The names that a script leaves, run with its arrays in memory."""
    names = {"DATA": script.arrays, "print": lambda *_: None}
    exec(compile(without_loading(script.text), "<script>", "exec"), names)
    return names


@pytest.mark.parametrize("rows", [np.array, sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize(("loss", "options"), CASES)
def test_cost_and_gradient_are_those_of_the_risk(rows, loss, options):
    risk = Risk(rows(X), TARGETS[loss], loss, **options)
    w = random.normal(size=risk.n_parameters)
    walk = minimize(risk, w, "gd", learning_rate=1e-3, max_steps=5)
    script = fit_script(risk, walk, {"learning_rate": 1e-3})
    names = run_here(script)
    assert script.replays
    assert names["w"] == pytest.approx(walk.x, rel=1e-12)
    for some in (slice(None), np.array([3, 50, 7])):
        taken = risk.without_pull()  # the steps of the script see to l1, as those of the walk
        value, gradient = taken.value_and_gradient(w, None if isinstance(some, slice) else some)
        assert names["cost"](w, some) == pytest.approx(value, rel=1e-12)
        assert names["gradient"](w, some) == pytest.approx(gradient, rel=1e-10, abs=1e-13)


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_one_class_against_the_rest(loss):
    risk = Risk(X, KIND, loss, l2=0.1)
    w = random.normal(size=risk.n_parameters)
    walk = minimize(risk, w, "gd", learning_rate=1e-3, max_steps=5)
    names = run_here(fit_script(risk, walk, {"learning_rate": 1e-3}))
    value, gradient = risk.value_and_gradient(w)
    assert names["cost"](w) == pytest.approx(value, rel=1e-12)
    assert names["gradient"](w) == pytest.approx(gradient, rel=1e-10)


@pytest.mark.parametrize("method", [*RULES, "sgd", "minibatch", "coordinate"])
def test_every_textbook_method_is_replayed(method):
    risk = Risk(X, CLASS, "log_loss", l2=0.01)
    walk = minimize(risk, None, method, learning_rate=0.01, max_steps=40, seed=3)
    script = fit_script(risk, walk, {"learning_rate": 0.01})
    assert (script.replays, script.why) == (True, "")
    assert walk.nit > 5
    assert np.abs(walk.x).max() > 1e-7


@pytest.mark.parametrize("rate", ["auto", "backtracking", "inverse-time 0.1 0.1", "barzilai-borwein", "polyak 0"])
def test_rates_are_replayed(rate):
    risk = Risk(X, NUMBER)
    walk = minimize(risk, None, "gd", learning_rate=rate, max_steps=6)
    assert fit_script(risk, walk, {"learning_rate": rate}).replays


@pytest.mark.parametrize(
    "options",
    [
        {"preset": "sigmoid", "epochs": 30},
        {"method": "gd", "learning_rate": 0.1, "epochs": 40, "class_weight": "balanced"},
        {"method": "momentum", "learning_rate": 0.02, "beta": 0.5, "epochs": 40},
        {"method": "sgd", "learning_rate": 0.01, "epochs": 2, "clip_norm": 0.5},
        {"method": "minibatch", "batch_size": 30, "epochs": 4, "seed": 5},
        {"method": "adam", "epochs": 3, "l1": 0.001},
    ],
    ids=["preset", "gd", "momentum", "sgd", "minibatch", "adam"],
)
def test_the_script_of_a_fit_ends_at_its_weights(tmp_path, options):
    result = descender.fit("example:blobs", **options)
    files = result.export_python(tmp_path / "walk.py")
    assert [file.name for file in files] == ["walk.py", "walk.npz"]
    assert result.told[-1] == "the script replays the walk"
    assert result.as_json()["script"] == str(files[0])
    said = printed(files[0])
    assert point(said, result.risk.names) == pytest.approx(result.walk.x, rel=1e-9)
    assert result.risk.join(result.model.weights, result.model.intercept).tolist() == result.walk.x.tolist()
    assert said["J"] == pytest.approx(result.walk.fun, rel=1e-9)
    assert len(files[0].read_text().split("w = np.array(")[1].splitlines()) <= 35


@pytest.mark.parametrize(("loss", "options"), CASES)
def test_the_bottom_is_shown(loss, options):
    if loss == "sigmoid_squared_error" or (loss in KINKED and options):
        options = {"l2": 0.01}
    risk = Risk(X, TARGETS[loss], loss, **options)
    walk = minimize(risk, tol=1e-10)
    script = fit_script(risk, walk, {})
    assert not script.replays
    assert walk.method in script.why
    names = run_here(script)
    assert names["cost"](names["w"]) == pytest.approx(walk.fun, rel=1e-12)
    if loss in KINKED:
        assert min(map(names["cost"], names["around"])) > walk.fun
    else:
        g = names["g"] if risk.l1 else names["gradient"](names["w"])
        assert np.linalg.norm(g) < 1e-4 * risk.total_weight / risk.denominator
    assert names["predictions"] == pytest.approx(risk.loss.predict(risk.scores(walk.x, X)), rel=1e-12)


def test_many_weights_are_read_from_the_file(tmp_path):
    wide = np.random.default_rng(2).normal(size=(60, 30))
    table = {f"c{j}": wide[:, j] for j in range(30)} | {"y": wide[:, 0] - wide[:, 1]}
    for options in ({}, {"method": "gd", "learning_rate": 0.05, "epochs": 9, "start": wide[0, [*range(30), 0]]}):
        result = descender.fit(table, "y", holdout=0.0, **options)
        script, archive = result.export_python(tmp_path / "wide.py")
        said = printed(script)
        assert said["J"] == pytest.approx(result.walk.fun, rel=1e-9, abs=1e-13)
        assert [said[f"c{j}"] for j in range(20)] == pytest.approx(result.model.weights[:20], rel=1e-9)
        assert len(script.read_text().splitlines()) < 60
        with np.load(archive) as kept:
            assert ("start" in kept.files, "w" in kept.files) == (bool(options), not options)


def test_sparse_rows_are_read_again(tmp_path):
    risk = Risk(sparse.random_array((50, 4), density=0.3, rng=0), NUMBER[:50])
    walk = minimize(risk, None, "minibatch", learning_rate=0.1, max_epochs=3)
    result = descender.fit("example:heights", "weight")
    result.risk, result.walk, result.asked = risk, walk, {"learning_rate": 0.1}
    said = printed(result.export_python(tmp_path / "walk.py")[0])
    assert point(said, risk.names) == pytest.approx(walk.x, rel=1e-9)


def test_a_wrong_script_is_caught_and_the_model_is_held_instead():
    risk = Risk(X, CLASS, "log_loss", l2=0.01)
    walk = minimize(risk, None, "gd", learning_rate=0.1, max_steps=20)
    script = fit_script(risk, walk, {"learning_rate": 0.1})
    assert agrees(script.text, walk, script.arrays)
    assert not agrees(script.text.replace("0.01 *", "0.0101 *"), walk, script.arrays)
    wrong = fit_script(risk, walk, {"learning_rate": 0.2})
    assert (wrong.replays, "last digits" in wrong.why) == (False, True)
    assert run_here(wrong)["w"] == pytest.approx(walk.x, rel=1e-15)


def test_a_walk_that_hangs_on_its_last_digits_is_not_replayed():
    """Adam makes steps of equal length of what rounding leaves of a gradient of 0."""
    result = descender.fit("example:blobs", method="adam", epochs=3, class_weight="balanced")
    script = fit_script(result.risk, result.walk, result.asked)
    assert (script.replays, "last digits" in script.why) == (False, True)
    assert run_here(script)["w"] == pytest.approx(result.walk.x, rel=1e-15)


def test_too_many_steps_are_not_replayed():
    risk = Risk(X[:, :1], NUMBER)
    walk = minimize(risk, None, "sgd", learning_rate=1e-4, max_steps=LONGEST + 1)
    script = fit_script(risk, walk, {"learning_rate": 1e-4})
    assert (script.replays, "too many for a script" in script.why) == (False, True)


def test_files_of_others_are_not_replaced(tmp_path):
    result = descender.fit("example:heights", "weight")
    result.export_python(tmp_path / "a.py")
    result.export_python(tmp_path / "a.py")
    (tmp_path / "b.npz").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"b\.npz exists"):
        result.export_python(tmp_path / "b.py")
    assert (tmp_path / "b.npz").read_bytes() == b"mine"
    with pytest.raises(OutputError, match=r"saved as \.py"):
        result.export_python(tmp_path / "walk.npz")
    result.risk = None
    with pytest.raises(CapabilityError, match="not kept"):
        result.export_python(tmp_path / "c.py")


class TestCommand:
    @pytest.fixture(autouse=True)
    def own_folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        self.folder = tmp_path

    def run(self, *words):
        return CliRunner().invoke(app, list(words), catch_exceptions=False)

    def test_fit_writes_a_script(self):
        words = ["fit", "example:heights", "--no-files", "--export-python", "fit.py", "--json"]
        said = json.loads(self.run(*words, "--method", "gd", "-a", "0.1", "-e", "25").stdout)
        assert (said["script"], said["model"]) == ("fit.py", None)
        assert said["told"][-1] == "the script replays the walk"
        assert printed(self.folder / "fit.py")["J"] == pytest.approx(said["cost"], rel=1e-12)
        said = json.loads(self.run(*words).stdout)
        assert printed(self.folder / "fit.py")["J"] == pytest.approx(said["cost"], rel=1e-9)

    def test_it_is_told_what_was_written(self):
        result = self.run("fit", "example:heights", "--export-python", "fit.py")
        assert result.exit_code == 0
        assert "the script holds the model" in result.stdout
        assert "fit.py   fit.npz" in result.stdout

    @pytest.mark.parametrize("name", ["fit.py", "fit.npz"])
    @pytest.mark.parametrize(
        "words",
        [["fit", "example:heights"], ["minimize", "mean((weight - m*height)**2)", "--data", "example:heights"]],
        ids=["fit", "minimize"],
    )
    def test_nothing_of_others_is_replaced(self, words, name):
        (self.folder / name).write_text("mine")
        more = ["--start", "m=1"] if words[0] == "minimize" else []
        result = self.run(*words, *more, "--export-python", "fit.py")
        assert (result.exit_code, f"{name} exists" in result.stderr) == (2, True)
        assert [path.name for path in self.folder.iterdir()] == [name]

    @pytest.mark.parametrize("words", [["fit", "example:heights"], ["minimize", "x**2", "--start", "x=1"]])
    def test_a_script_is_a_py(self, words):
        result = self.run(*words, "--export-python", "fit.npz")
        assert (result.exit_code, "saved as .py" in result.stderr) == (2, True)
