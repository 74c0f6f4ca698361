"""diagnose(make): targets, outputs, and the loss between them."""

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is an extra")
from planted import REGRESSION, causes, changed  # noqa: E402
from torch import nn  # noqa: E402
from torch_loops import made, perceptron, spiral  # noqa: E402

import descender  # noqa: E402
from descender.doctor.loops import not_learning  # noqa: E402
from descender.doctor.loops.learnable import learnable  # noqa: E402
from descender.doctor.loops.targets import label_noise  # noqa: E402


@pytest.mark.slow
def test_labels_of_which_half_are_wrong():
    def noisy(X, y):
        rng = np.random.default_rng(0)
        rows = np.flatnonzero(rng.random(len(y)) < 0.5)
        y[rows] = y[rng.permutation(rows)]
        return X, y

    def apart(seed):
        rng = np.random.default_rng(seed)
        k = rng.integers(0, 3, 400)
        X = rng.normal(size=(400, 2)) + 6 * np.stack([np.cos(2.1 * k), np.sin(2.1 * k)], axis=1)
        return torch.tensor(X, dtype=torch.float32), torch.tensor(k)

    found = descender.diagnose(made(data=changed(noisy, apart), steps=100))
    assert causes(found) == ["label-noise"], str(found)
    assert causes(descender.diagnose(made(data=lambda seed: apart(seed), steps=100))) == []


def over_the_batch(z, y):
    return nn.functional.nll_loss(torch.log_softmax(z, dim=0), y)


@pytest.mark.parametrize(("loss", "cause"), [(nn.NLLLoss(), "output-mismatch"), (over_the_batch, "mixed-rows")])
def test_a_loss_of_other_scores_than_it_takes(loss, cause):
    found = descender.diagnose(made(loss=loss, steps=20))
    assert causes(found)[0] == cause, str(found)


def test_a_sigmoid_twice_whatever_shape_the_loss_asks_for():
    two = changed(lambda X, y: (X, (y > 0).long()), spiral)

    def loss(z, y):
        return nn.functional.binary_cross_entropy_with_logits(z[:, 0], y.float())

    made_so = {"data": two, "loss": loss, "steps": 20}
    assert "softmax-twice" in causes(
        descender.diagnose(made(model=lambda: perceptron(2, 1, last=(nn.Sigmoid(),)), **made_so))
    )


def test_targets_in_a_column_are_brought_to_the_shape_of_the_answers():
    column = {"data": changed(lambda X, y: (X, y[:, None])), "model": lambda: perceptron(4, 1, last=(nn.Flatten(0),))}
    found = descender.diagnose(made(**column, loss=lambda z, y: ((z - y) ** 2).mean(), steps=100))
    assert causes(found)[0] == "broadcasting"
    assert found[0].remedy == "loss_fn(outputs, y.squeeze(-1))"
    assert found.confirm()[0].repaired


def test_large_targets_are_no_broadcasting():
    def large(X, y):
        return X, 400 * y + 20_000

    class Scaled(nn.Sequential):
        def forward(self, x):
            return 400 * super().forward(x) + 20_000

    found = descender.diagnose(made(**REGRESSION | {"data": changed(large), "model": lambda: Scaled(perceptron(4, 1))}))
    assert causes(found) == []


@pytest.mark.slow
def test_d302_a_crooked_border_in_many_columns_is_no_noise():
    """There half of the rows are border: those far from it tell. Where a plane is the best model, its margin does."""
    rng = np.random.default_rng(77)
    W, X, V = rng.normal(size=(8, 3)), rng.normal(size=(320, 8)), rng.normal(size=(8, 3))
    y = (X @ W + 0.7 * np.sin(2 * X) @ V).argmax(axis=1)
    wrong = rng.random(320) < 0.4
    noisy = np.where(wrong, rng.integers(0, 3, 320), y)
    base = SimpleNamespace(best_validation=np.nan)
    told = [SimpleNamespace(targets="classes", base=base, learnable=learnable(X, of, True)) for of in (y, noisy)]
    assert label_noise(told[0]) is None
    found = label_noise(told[1])
    assert found.cause == "label-noise"
    assert np.mean(noisy[found.where["rows"]] != y[found.where["rows"]]) >= 0.6


def test_a_module_that_cannot_learn_sixteen_rows_is_called_small():
    def tiny():
        module = nn.Sequential(nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 3))
        nn.init.constant_(module[0].weight, 0.02)
        return module

    found = descender.diagnose(made(model=tiny, optimizer=lambda p: torch.optim.SGD(p, 1e-3), steps=25))
    small = not_learning(found.case)
    assert "too small" in small.evidence
    assert "more units" in small.remedies[0].code
    found.case.facts["left of sixteen"] = 0.1
    assert "too small" not in not_learning(found.case).evidence
