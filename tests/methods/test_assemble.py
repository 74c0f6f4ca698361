"""The compiled loop: one function without calls, small and the same for every run."""

import ast
import re

import numpy as np
import pytest

from descender.costs.formula import Formula
from descender.costs.risk import Risk
from descender.kernels import assemble
from descender.kernels.inline import needed, switched, tree_of, unrolled, written_out
from descender.methods import advance
from descender.methods.auto import textbook
from descender.methods.textbook import compiled_walk


def made(monkeypatch, cost, name="gd", rate=0.1, **options):
    """The text that would be compiled."""
    texts = []

    class SeenError(Exception):
        pass

    def load(text):
        texts.append(text)
        raise SeenError

    monkeypatch.setattr(assemble, "load", load)
    method = textbook(cost, name, rate, **options)
    none = np.empty((0, cost.n_parameters))
    with pytest.raises(SeenError):
        compiled_walk(cost.kernel(), method)(
            method.rate, method.options, type("Batches", (), dict.fromkeys(("order", "starts", "stops"))),
            method.position(np.zeros(cost.n_parameters)), none, 0, none, none, none,
        )  # fmt: skip
    return texts[0]


def test_it_is_one_function_and_has_no_array_of_two_weights(monkeypatch):
    text = made(monkeypatch, Formula("(1-x)**2 + 100*(y-x**2)**2"), "adam")
    assert text.count("def ") == 1
    assert "np.empty" not in text
    assert "shape[0]" in text  # of the log
    assert "w_1" in text
    assert not re.search(r"\bw\[", text)


@pytest.mark.parametrize("loss", ["log_loss", "softmax"])
def test_losses_are_written_out_and_many_weights_stay_an_array(monkeypatch, loss):
    X = np.random.default_rng(0).normal(size=(9, 3))
    text = made(monkeypatch, Risk(X, np.arange(9.0) % (2 if loss == "log_loss" else 3), loss), "sgd")
    assert text.count("def ") == 1
    assert "w[" in text
    names = {
        node.func.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call) and hasattr(node.func, "id")
    }
    assert names <= {"njit", "range", "abs", "max", "min", "float", "len"}


def test_what_is_off_leaves_no_trace(monkeypatch):
    cost = Formula("x**2 + y**2")
    plain, clipped = made(monkeypatch, cost), made(monkeypatch, cost, options=advance.Options(clip_norm=1.0))
    assert "clip" not in plain.replace("clipped = 0.0", "").replace("= clipped", "")
    assert "options_clip_norm" in clipped
    assert "while" not in plain
    assert "while" in made(monkeypatch, cost, rate="backtracking")


WALKS = {
    "gd": ("gd", 0.1),
    "momentum": ("momentum", 0.1),
    "averaging": ("averaging", 0.1),
    "step": ("gd", "step 0.1 5"),
    "warm-up step": ("gd", "warm-up 3 step 0.1 5"),
    "warm-up cosine": ("gd", "warm-up 3 cosine 0.1 5 0.5"),
    "backtracking": ("gd", "backtracking"),
    "adaptive": ("gd", "adaptive"),
}


def test_a_text_is_written_once_for_each_kind_of_walk(monkeypatch):
    """Two kinds never share one, though their numbers be the same; two walks of a kind do, whatever theirs are."""
    written = []
    entry_text = assemble.entry_text
    monkeypatch.setattr(assemble, "_TEXTS", {})
    monkeypatch.setattr(assemble, "entry_text", lambda *a: written.append(entry_text(*a)) or written[-1])
    costs = [Formula("x**2 + y**2"), Formula("x**2 + 2*y**2"), Formula("+".join(f"x{j}**2" for j in range(9)))]
    clips = advance.Options(clip_norm=1.0)
    for cost in costs:
        for options in (advance.Options(), clips):
            for name, (rule, rate) in WALKS.items():
                if options is clips and name == "adaptive":
                    continue
                before = len(written)
                text = made(monkeypatch, cost, rule, rate, options=options)
                assert len(written) == before + 1, name
                assert text.removesuffix(assemble.SIDE_BY_SIDE) == written[-1]
                assert made(monkeypatch, cost, rule, rate, options=options) == text
                assert len(written) == before + 1, name
    assert len(set(written)) == len(written)
    count = len(written)
    made(monkeypatch, costs[0], "momentum", 0.3, beta=0.5)
    made(monkeypatch, costs[0], "gd", "warm-up 7 step 0.2 9")
    assert len(written) == count


def run(body, **names):
    exec(compile(ast.fix_missing_locations(ast.Module(body, [])), "<test>", "exec"), names)
    return names


def test_a_function_that_is_written_out_computes_the_same():
    functions = {
        "add": tree_of("def add(to, of):\n    for j in range(len(to)):\n        to[j] += of[j]"),
        "twice": tree_of("def twice(x):\n    x = x * 2\n    return x"),
        "swap": tree_of("def swap(a, b):\n    return b, a"),
    }
    text = "x = 3\ny = twice(x) + twice(twice(x + 1))\nadd(v, u)\nx, z = swap(x, y)\nif twice(z) > 5:\n    y = twice(y)"
    body = written_out(ast.parse(text).body, functions)
    got = run(body, v=[1, 2], u=[10, 20])
    assert (got["x"], got["y"], got["z"], got["v"]) == (22, 44, 3, [11, 22])
    assert not any(isinstance(n, ast.Call) and n.func.id in functions for s in body for n in ast.walk(s))


def test_what_is_unrolled_computes_the_same():
    text = (
        "for j in range(v.shape[0]):\n    s = s + v[j] * u[j]\n    if j != k:\n        v[j] = v[v.shape[0] * 1 - 1 - j]"
    )
    got = run(unrolled(ast.parse(text).body, {"v": 3}), s=0, u=[1, 2, 3], k=1, v_0=4, v_1=5, v_2=6)
    assert got["s"] == 4 + 10 + 18
    assert (got["v_0"], got["v_1"], got["v_2"]) == (6, 5, 6)


def test_switches_and_what_nobody_reads():
    text = "if on or f():\n    a = 1\nelse:\n    b = 2\nc = a\nd = 5\nreturn_value[0] = a"
    lines = needed(switched(ast.parse(text).body, {"on": True}), set())
    assert ast.unparse(ast.Module(lines, [])) == "a = 1\nreturn_value[0] = a"
