"""descender online: endless streams through a pipe, the model that is left, and what a wrong row is told."""

import contextlib
import gzip
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from descender import Online, minimize
from descender.cli import app
from descender.costs.risk import Risk
from descender.data.stream import LONGEST_LINE, Stream
from descender.errors import CapabilityError, ColumnError, DataError, ShapeError
from descender.model import Model

pytestmark = pytest.mark.usefixtures("own_folder")
DESCENDER = [sys.executable, "-u", "-m", "descender.cli", "online"]
WITH_PEAK = """
import atexit, resource, sys
atexit.register(lambda: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr))
from descender.cli import main
main()
"""


def rows(seed=0, kind="squared_error"):
    """Lines of CSV, for ever: two columns of very different scale, and a target."""
    rng = np.random.default_rng(seed)
    yield "big,small,y\n"
    while True:
        X = rng.normal([500.0, 0.0], [100.0, 0.01], size=(1000, 2))
        z = (X[:, 0] - 500) / 100 - 200 * X[:, 1] + 0.5
        y = z + 0.1 * rng.normal(size=1000) if kind == "squared_error" else 1 * (z + rng.logistic(size=1000) > 0)
        yield from (f"{a!r},{b!r},{t!r}\n" for a, b, t in np.column_stack([X, y]).tolist())


def table(count, **options):
    """The same lines as arrays."""
    lines = list(itertools.islice(rows(**options), count + 1))[1:]
    numbers = np.array([[float(cell) for cell in line.split(",")] for line in lines])
    return numbers[:, :2], numbers[:, 2]


def feed(lines, *words, command=DESCENDER, timeout=200):
    """Run the verb on lines that a generator hands out for as long as they are taken; how many were, too."""
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    given = [0]
    with subprocess.Popen([*command, "-", *map(str, words)], **options) as running:

        def write():
            with contextlib.suppress(OSError, ValueError):
                for line in lines:
                    running.stdin.write(line)
                    given[0] += 1

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        try:
            running.wait(timeout=timeout)
        finally:
            running.kill()
        out, err = running.stdout.read(), running.stderr.read()
        writer.join(timeout=10)
        with contextlib.suppress(BrokenPipeError):
            running.stdin.close()
    return running.returncode, out, err, given[0]


def run(*words, text=""):
    return CliRunner().invoke(app, ["online", *map(str, words)], input=text, catch_exceptions=False)


SETTINGS = {"automatic": [], "rate": ["-a", "1e-6"], "adam": ["--method", "adam", "-a", "0.01", "--set", "beta1=0.8"]}


class TestStream:
    def test_an_endless_producer_is_stopped_by_samples(self):
        status, out, err, given = feed(rows(), "--target", "y", "--samples", 5000, "--every", 2000)
        assert (status, err) == (0, "")
        assert [int(n.replace(",", "")) for n in re.findall(r"^learnt +([\d,]+)", out, re.MULTILINE)] == [
            2000,
            4000,
            5000,
        ]
        assert "stopped    5,000 samples: as many as asked" in out
        assert out.endswith("wrote      y.descender\n")
        assert given < 60_000  # what was written beyond the need stands in buffers

    @pytest.mark.parametrize("setting", SETTINGS)
    def test_it_is_the_learning_of_the_library(self, setting):
        if setting == "automatic":  # through a pipe, and on to compiled steps
            X, y = table(3000)
            status, out, err, _ = feed(rows(), "--target", "y", "--samples", 3000, "--json")
            assert (status, err) == (0, "")
        else:
            X, y = table(250)
            out = run(
                "-", "--target", "y", "--json", *SETTINGS[setting], text="".join(itertools.islice(rows(), 251))
            ).stdout
        found = json.loads(out)
        options = {
            "automatic": {},
            "rate": {"learning_rate": 1e-6},
            "adam": {"method": "adam", "learning_rate": 0.01, "beta1": 0.8},
        }
        learner = Online(**options[setting])
        list(learner.follow(zip(X, y, strict=True)))
        loaded = Model.load(found["model"])
        assert np.array_equal(loaded.weights, learner.w[:-1])
        assert loaded.intercept == learner.w[-1]
        predicted = loaded.predict({"small": X[:, 1], "big": X[:, 0]})
        np.testing.assert_allclose(predicted, learner.predict(X), rtol=1e-12, atol=1e-13)
        raw = [found["weights"]["big"], found["weights"]["small"]]
        np.testing.assert_allclose(X @ raw + found["intercept"], learner.predict(X), rtol=1e-9, atol=1e-9)

    def test_it_comes_near_the_fit_of_all_rows_at_once(self):
        X, y = table(20_000)
        _, out, _, _ = feed(rows(), "--target", "y", "--samples", 20_000, "--json")
        found = json.loads(out)
        Z = (X - X.mean(axis=0)) / X.std(axis=0)
        best = minimize(Risk(Z, y), tol=1e-9)
        z = X @ list(found["weights"].values()) + found["intercept"]
        assert best.fun <= np.mean(0.5 * (z - y) ** 2) < best.fun + 0.001 * y.var()
        assert found["mean_loss"] < 2 * best.fun
        # a planted fault: the weights of few samples are not near it
        _, out, _, _ = feed(rows(), "--target", "y", "--samples", 20, "--json", "--no-files")
        early = json.loads(out)
        z = X @ list(early["weights"].values()) + early["intercept"]
        assert np.mean(0.5 * (z - y) ** 2) > best.fun + 0.001 * y.var()

    @pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in KiB on Linux")
    def test_memory_is_bounded(self):
        header, *some = itertools.islice(rows(), 1001)
        peaks = []
        for samples in (5_000, 100_000):
            words = ["--target", "y", "--samples", samples, "--no-files"]
            endless = itertools.chain([header], itertools.repeat("".join(some)))
            status, _, err, _ = feed(endless, *words, command=[sys.executable, "-c", WITH_PEAK, "online"])
            assert status == 0, err
            peaks.append(int(err))
        kept = 95_000 * 3 * 24 / 1024  # the least, if every row were kept
        assert peaks[1] - peaks[0] < kept / 2

    def test_lines_are_told_as_rows_arrive(self):
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen([*DESCENDER, "-", "--target", "y", "--every", "10"], **options) as running:
            running.stdin.write("x,y\n" + "1,2\n" * 10)
            running.stdin.flush()
            assert running.stdout.readline() == "read       standard input: x; the target is y\n"
            assert running.stdout.readline().startswith("learnt     10 samples, mean loss ")  # the pipe is still open
            out, err = running.communicate(timeout=200)
        assert (running.returncode, err) == (0, "")
        assert "stopped    10 samples: the input ended" in out

    @pytest.mark.skipif(os.name == "nt", reason="signals")
    def test_an_interrupt_ends_the_stream_and_keeps_what_was_learnt(self):
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen([*DESCENDER, "-", "--target", "y", "--every", "10"], **options) as running:
            running.stdin.write("x,y\n" + "1,2\n" * 17)
            running.stdin.flush()
            running.stdout.readline()
            running.stdout.readline()
            time.sleep(2)
            running.send_signal(signal.SIGINT)
            out, err = running.stdout.read(), running.stderr.read()
            running.wait(timeout=200)
        assert (running.returncode, err) == (0, "")
        assert "stopped    17 samples: interrupted" in out
        learner = Online()
        learner.learn([[1.0]] * 17, [2.0] * 17)
        predicted = Model.load("y.descender").predict({"x": [1.0, 5.0]})
        np.testing.assert_allclose(predicted, learner.predict([[1.0], [5.0]]), rtol=1e-12)


class TestModel:
    @pytest.mark.usefixtures("uncompiled")
    @pytest.mark.parametrize("loss", ["log_loss", "sigmoid_squared_error"])
    @pytest.mark.parametrize("rate", [{}, {"learning_rate": 0.01}])
    def test_two_classes_are_predicted_as_by_the_learner(self, loss, rate, tmp_path):
        X, y = table(2000, kind="log_loss")
        X = (X - [500, 0]) / [100, 0.01] if rate else X
        learner = Online(loss, **rate)
        learner.learn(X, y)
        learner.model(["a", "b"], "late").save(tmp_path / "late.descender")
        loaded = Model.load(tmp_path / "late.descender")
        data = pa.table({"b": X[:, 1], "noise": X[:, 1], "a": X[:, 0]})
        assert np.array_equal(loaded.weights, learner.w[:-1])
        np.testing.assert_allclose(loaded.predict_proba(data)[:, 1], learner.predict(X), rtol=1e-12)
        assert np.array_equal(loaded.predict(data), learner.predict(X) > 0.5)
        assert (loaded.coding.task, loaded.coding.classes) == ("binary", (0, 1))

    def test_a_constant_column_does_no_harm(self):
        learner = Online()
        learner.learn([[1.0, 7.0], [2.0, 7.0], [3.0, 7.0]], [1.0, 2.0, 3.0])
        X = np.array([[1.5, 7.0], [9.0, 7.0]])
        predicted = learner.model(["a", "b"]).predict({"a": X[:, 0], "b": X[:, 1]})
        np.testing.assert_allclose(predicted, learner.predict(X), rtol=1e-12, atol=1e-13)

    def test_what_has_no_model(self):
        with pytest.raises(CapabilityError, match="nothing was learnt"):
            Online().model(["x"])
        learner = Online()
        learner.learn([[1.0, 2.0]], [1.0])
        for names, target, kind in [
            (["a"], "y", ShapeError),
            (["a", "a"], "y", ColumnError),
            (["a", "y"], "y", ColumnError),
        ]:
            with pytest.raises(kind):
                learner.model(names, target)


class TestFiles:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    @pytest.mark.parametrize("packed", [False, True])
    def test_a_file_is_a_stream(self, delimiter, packed):
        text = "\ufeff" + 'id,"a, b",y\r\n1,2,3\r\n\r\n2,3,4\r\n'.replace(",", delimiter).replace(
            f"a{delimiter} ", "a, "
        )
        path = Path("rows.csv.gz" if packed else "rows.csv")
        path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
        with Stream(path, "y", exclude=["id"]) as stream:
            assert stream.names == ("a, b",)
            assert list(stream) == [([2.0], 3.0), ([3.0], 4.0)]
        found = run(path, "--target", "y", "--exclude", "id", "--json")
        assert json.loads(found.stdout)["stopped"] == "the input ended"

    def test_name_and_folder(self):
        assert run("-", "--target", "y", "--out", "models", "--name", "line", text="x,y\n1,2\n2,4\n").exit_code == 0
        assert Path("models/line.descender").exists()
        assert run("-", "--target", "y", "--no-files", text="x,y\n1,2\n2,4\n").exit_code == 0
        assert not Path("y.descender").exists()

    def test_others_are_refused_before_anything_is_learnt(self):
        Path("y.descender").write_text("mine")
        found = run("-", "--target", "y", text="x,y\n1,2\n")
        assert (found.exit_code, found.stdout) == (2, "")
        assert "was not written by descender" in found.stderr
        assert run("-", "--target", "y", "--force", text="x,y\n1,2\n").exit_code == 0
        assert run("-", "--target", "y", text="x,y\n1,2\n").exit_code == 0


TARGET = ["--target", "y"]
WRONG = {
    "nothing": ("", TARGET, "standard input is empty: expected CSV, a header line"),
    "a header only": ("x,y\n", TARGET, "has a header line and no rows below it"),
    "a short row": ("a,b,y\n1,2,3\n1,2\n", TARGET, "row 2 has 2 cells; the header names 3 columns"),
    "a long row": ("x,y\n1,2,3\n", TARGET, "row 1 has 3 cells; the header names 2 columns"),
    "no target named": ("x,y\n1,2\n", [], "name the column to predict, one of x, y"),
    "another target": ("x,price\n1,2\n", ["--target", "prise"], "no column prise; did you mean price?"),
    "another column left out": ("x,y\n1,2\n", [*TARGET, "--exclude", "z"], "'z' is no column"),
    "no column left": ("x,y\n1,2\n", [*TARGET, "--exclude", "x"], "no column besides y"),
    "a name twice": ("x,x,y\n1,2,3\n", TARGET, 'column "x" 2 times'),
    "text": ("x,y\n1,2\nred,3\n", TARGET, 'row 2, column x is "red": expected a number'),
    "text as target": ("x,y\n1,2\n1,red\n", TARGET, 'row 2, column y is "red": expected a number'),
    "a missing cell": ("x,y\n1,2\n,3\n", TARGET, "row 2, column x has no value"),
    "not a number": ("x,y\n1,2\nnan,3\n", TARGET, "row 2, column x has no value"),
    "infinite": ("x,y\n1,2\n1,inf\n", TARGET, "row 2, column y is inf: expected a finite number"),
    "no class": ("x,y\n1,0\n1,2\n", [*TARGET, "--loss", "log_loss"], "row 2: the target y is 2: expected 0 or 1"),
    "no line ends": ("x" * (LONGEST_LINE + 9), TARGET, "line of more than 1,048,576 characters"),
    "an open quote": ('x,y\n"1,2\n' + "3,4\n" * 50_000, TARGET, "cannot be read as CSV: field larger"),
    "another loss": ("x,y\n1,2\n", [*TARGET, "--loss", "softmax"], "--loss softmax; known: squared_error"),
    "another method": ("x,y\n1,2\n", [*TARGET, "--method", "adm"], "--method adm; did you mean adam?"),
    "a method without a rate": ("x,y\n1,2\n", [*TARGET, "--method", "adam"], "--method adam needs a --learning-rate"),
    "a rate that needs all rows": ("x,y\n1,2\n", [*TARGET, "-a", "backtracking"], "needs exact costs"),
    "no samples": ("x,y\n1,2\n", [*TARGET, "--samples", "0"], "--samples 0: expected at least 1"),
    "every 0": ("x,y\n1,2\n", [*TARGET, "--every", "0"], "--every 0: expected at least 1"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_input_is_told_and_nothing_is_written(case):
    text, words, told = WRONG[case]
    found = run("-", *words, "--json", text=text)
    assert (found.exit_code, found.stdout) == (2, "")
    assert told in found.stderr
    assert "Traceback" not in found.stderr
    assert not list(Path().iterdir())


def test_a_rate_too_high_is_a_failure():
    found = run("-", *TARGET, "-a", "10", text="x,y\n" + "100,2\n-300,1\n" * 200)
    assert found.exit_code == 1
    assert "give a smaller --learning-rate" in found.stderr


def test_wrong_files():
    Path("rows.jsonl").write_text('{"x": 1, "y": 2}\n')
    Path("latin.csv").write_bytes("größe,y\n1,2\n".encode("latin-1"))
    for path, told in [
        ("absent.csv", "no such file"),
        ("rows.jsonl", "a stream is CSV"),
        ("latin.csv", "is not UTF-8 text"),
        (".", "is a folder"),
    ]:
        with pytest.raises(DataError, match=told):
            Stream(path, "y")


def test_the_examples_of_the_help_run():
    command = next(c for c in app.registered_commands if c.callback.__name__ == "online")
    first, second = re.findall(r"^ *(descender .*|awk .*\n.*)$", command.callback.__doc__, re.MULTILINE)
    assert run(*first.split()[2:]).exit_code == 0
    if os.name != "nt":
        script = second.replace("descender", f'"{sys.executable}" -m descender.cli')
        found = subprocess.run(script, shell=True, capture_output=True, text=True, timeout=200, check=True)
        patterns = (rf"^ *{name} +(\S+)$" for name in ("x", "intercept"))
        weight, intercept = (float(re.search(pattern, found.stdout, re.MULTILINE)[1]) for pattern in patterns)
        assert (weight, intercept) == pytest.approx((3, 1), abs=0.01)
    assert "descender online - --target y" in run("--help").stdout
