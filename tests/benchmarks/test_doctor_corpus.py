"""Our half of the doctor's corpus: how it is split, a few of its programs, and what the runner makes of them."""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.doctor import __main__ as runner

PROGRAMS = {program.name: program for program in runner.programs("ours")}
FEW = [
    "ours: learning-rate-too-high: rosenbrock, rate 0.01",
    "ours: unbounded: squares forgotten",
    "ours: leaked-label: network, cancer",
    "ours: vanishing-gradient: recurrent, gain 0.3",
    "ours: cancer, gd",
    "ours: a column of 0, harmless",
]


def test_the_halves_are_whole_programs_of_every_fault_turn_by_turn():
    faulty = [program for program in PROGRAMS.values() if program.fault]
    healthy = [program for program in PROGRAMS.values() if not program.fault]
    assert len(faulty) >= 18
    assert len({program.fault for program in faulty}) >= 10
    assert len(healthy) >= 12
    by_fault = Counter((program.fault, program.split) for program in PROGRAMS.values())
    for fault in {program.fault for program in PROGRAMS.values()}:
        assert 0 <= by_fault[fault, "design"] - by_fault[fault, "held-out"] <= 1
    assert {program.half for program in PROGRAMS.values()} == {"ours"}


@pytest.mark.parametrize("name", FEW)
def test_the_cause_is_named_and_nothing_else_is_said_of_a_healthy_one(name):
    row = runner.measured(PROGRAMS[name], 0, "descender")
    assert "failed" not in row
    assert row["right"] is (True if PROGRAMS[name].fault else None)
    assert row["alarm"] is bool(PROGRAMS[name].fault)


def test_a_wrong_answer_counts_as_wrong_and_the_table_says_so():
    right = {"tool": "descender", "fault": "plateau", "right": True, "alarm": True, "causes": [["plateau"]]}
    wrong = right | {"fault": "separable", "right": False}
    healthy = right | {"fault": None, "right": None, "alarm": True}
    line = runner.table([right, wrong, healthy]).splitlines()[-1]
    assert "1/2 = 50%" in line
    assert "1/1 = 100%" in line
    assert runner.by_cause([right, wrong, healthy])["plateau"] == {"runs": 1, "first": 1, "wrong": 2, "others": 2}
    assert runner.wilson(56, 56)[0] == pytest.approx(0.9358, abs=1e-3)  # Brown, Cai and DasGupta's form


def test_a_run_is_kept_and_not_run_again(tmp_path, capsys, monkeypatch):
    out = tmp_path / "runs.jsonl"
    asked = ["--half", "ours", "--split", "design", "--programs", "words counted,tails with huber", "--out", str(out)]
    assert runner.main(asked) == 0
    first = out.read_text(encoding="utf-8")
    assert all(json.loads(line)["version"] for line in first.splitlines())
    monkeypatch.setattr(runner, "measured", lambda *a: pytest.fail("run again"))
    assert runner.main(asked) == 0
    assert out.read_text(encoding="utf-8") == first
    assert "| descender | 0 | - |" in capsys.readouterr().out


def test_what_other_tools_measured_stays_where_one_runs_anew():
    asked = argparse.Namespace(half="torch", split="held-out", seeds=2, healthy_seeds=0)
    run = {"tool": "descender", "fault": "plateau", "right": True, "alarm": True, "causes": [["plateau"]]}
    both = runner.merged({}, [run, run | {"tool": "other", "right": False}], asked)
    anew = runner.merged(both, [run, run], asked)
    assert anew["tools"]["other"] == both["tools"]["other"]
    assert "| descender | 2 | 2/2 = 100%" in anew["said"]
    assert "| other | 1 | 0/1 = 0%" in anew["said"]
    other = runner.merged(anew, [run | {"tool": "other"}], asked)
    assert other["causes"] == anew["causes"]
    assert "`python -m benchmarks.doctor --half torch --split held-out --seeds 2 --healthy-seeds 2`" in other["said"]
