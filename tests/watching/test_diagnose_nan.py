"""diagnose(make): the first number that is none, with its operation, row and value."""

import runpy
from pathlib import Path

import pytest

from docs_pages import check_shown

torch = pytest.importorskip("torch", reason="PyTorch is an extra")
from planted import CERTAIN, REGRESSION, Root, causes, within  # noqa: E402
from torch_loops import Closed, made, spiral  # noqa: E402

import descender  # noqa: E402

ROOT = Path(__file__).parents[2]


def test_the_nan_is_traced_to_its_row_and_value():
    found = descender.diagnose(made(model=Root))
    X, _ = spiral(seed=0)
    where = found[0].where
    assert found[0].code == "D901"
    assert "sqrt" in found[0].evidence
    assert where["step"] == 0
    assert X[where["row"], 1] > 1.5  # row of the data, not of the batch
    assert found.confirm()[0].repaired
    assert "instead of NaN" in str(found.confirm()[0])


def test_a_nan_within_a_closure_is_no_update_that_was_too_long():
    asked = {"optimizer": lambda parameters: torch.optim.LBFGS(parameters, max_iter=3), "batch": 120, "steps": 4}
    found = descender.diagnose(
        lambda seed: Closed(
            seed, **REGRESSION | asked | {"loss": lambda z, y: (torch.log(z[:, 0] - 0.5) - y).square().mean()}
        )
    )
    assert found[0].code == "D901"
    assert found[0].evidence.startswith("at step 0, log in the loss")
    assert found.confirm()[0].repaired


def test_a_nan_that_lower_rates_only_put_off_is_named_by_its_operation():
    def loss(z, y):
        return (torch.acos(z[:, 0]) - 1 - y).square().mean()

    found = descender.diagnose(made(**REGRESSION | {"loss": loss, "model": within}))
    assert found.base.broken > 0
    assert causes(found)[0] == "nan-operation", str(found)


def test_the_missing_entry_is_named():
    found = descender.diagnose(made(**CERTAIN["nan-input"]))
    assert found[0].where == {"row": 30, "column": 2, "of": "X"}
    assert found.confirm()[0].repaired


def test_the_example_names_the_row_and_repairs(capsys):
    findings = runpy.run_path(str(ROOT / "examples" / "doctor_nan.py"))["main"]()
    said = capsys.readouterr().out
    assert findings[0].where["row"] == 137
    check_shown((ROOT / "docs" / "doctor.md").read_text("utf-8").split("```text\n")[1].split("```")[0], said)
