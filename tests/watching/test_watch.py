"""watch(module, optimizer): it hears what goes wrong and changes nothing."""

import copy
import gc
import io
import logging
import math
import weakref

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is an extra")
from torch import nn  # noqa: E402
from torch_loops import Loop, perceptron  # noqa: E402

import descender  # noqa: E402
from descender.errors import CapabilityError  # noqa: E402


def dropping():
    return nn.Sequential(nn.Linear(2, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Dropout(0.3), nn.Linear(24, 3))


def trained(watched, **choices):
    """The losses of a loop, its end, and the next random number; and the watch."""
    loop = Loop(0, model=choices.pop("model", dropping), steps=120, **choices)
    torch.manual_seed(1)
    watch = descender.watch(loop.module, loop.optimizer, tell=lambda finding: None) if watched else None
    losses = []
    while len(losses) < loop.steps:
        for batch in loop.batches:
            losses.append(loop.step(batch))
    if watch is not None:
        watch.close()
    return losses, loop.module.state_dict(), torch.rand(1), watch


def same(a, b):
    return all(torch.equal(x, y) or (x.isnan() == y.isnan()).all() for x, y in zip(a.values(), b.values(), strict=True))


@pytest.mark.parametrize("rate", [1e-2, 1e18])
def test_a_watched_training_is_the_same_to_the_bit(rate):
    plain, watched = (trained(w, optimizer=lambda p: torch.optim.SGD(p, rate)) for w in (False, True))
    assert [str(loss) for loss in plain[0]] == [str(loss) for loss in watched[0]]
    assert same(plain[1], watched[1])
    assert torch.equal(plain[2], watched[2])
    if rate > 1:
        assert math.isnan(watched[0][-1])
        assert watched[3].findings[0].severity == "critical"
        assert watched[3].fault.where["step"] < 20
    else:
        assert watched[3].findings == []


def test_it_detaches_cleanly():
    loop = Loop(0, model=dropping)
    before = copy.deepcopy(loop.optimizer.state_dict())
    with descender.watch(loop.module, loop.optimizer) as watch:
        loop.step(next(iter(loop)))
    for part in loop.module.modules():
        assert not part._forward_hooks
        assert not part._forward_pre_hooks
    assert not loop.optimizer._optimizer_step_pre_hooks
    assert not loop.optimizer._optimizer_step_post_hooks
    assert all(not p._backward_hooks for p in loop.module.parameters())
    assert set(before) == set(loop.optimizer.state_dict())
    kept = weakref.ref(loop.module)
    watch.close()  # once more is no error
    del loop, watch
    gc.collect()
    assert kept() is None


class Logarithm(nn.Module):
    def forward(self, x):
        return torch.log(x[:, :1] + 3.0) + x


def test_the_operation_row_and_value_of_a_nan_are_told_at_once(caplog):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 3), Logarithm(), nn.Linear(3, 1))
    nn.init.eye_(module[0].weight)
    nn.init.zeros_(module[0].bias)
    optimizer = torch.optim.SGD(module.parameters(), 1e-4)
    with caplog.at_level(logging.WARNING, "descender"), descender.watch(module, optimizer) as watch:
        for step in range(6):
            X = torch.randn(8, 3).clamp(-1, 1)
            if step == 4:
                X[5, 0] = -70.0
            optimizer.zero_grad()
            module(X).square().mean().backward()
            optimizer.step()
    found = watch.findings[0]
    assert found.code == "D901"
    assert found.where["step"] == 4
    assert found.where["row"] == 5
    assert found.where["layer"] == "1 (Logarithm)"
    assert "log in 1 (Logarithm), row 5 of the batch" in found.evidence
    assert "-67" in found.evidence or "-66.9" in found.evidence
    assert "D901" in caplog.text


class Norm(nn.Module):
    def forward(self, x):
        return x * (x[:, :1] - x[:, :1].detach()).square().sum(dim=1, keepdim=True).sqrt()


def test_a_nan_that_only_the_backward_pass_makes():
    module = nn.Sequential(nn.Linear(3, 3), Norm(), nn.Linear(3, 1))
    optimizer = torch.optim.SGD(module.parameters(), 1e-2)
    with descender.watch(module, optimizer, tell=lambda finding: None) as watch:
        module(torch.ones(4, 3)).sum().backward()
        optimizer.step()
    assert watch.findings[0].code == "D901"
    assert "derivative of" in watch.findings[0].evidence
    assert watch.findings[0].where["step"] == 0


def test_a_nan_of_the_loss_names_the_output():
    module, X = nn.Linear(2, 1), torch.tensor([[1.0, 2.0], [0.0, 0.0], [3.0, 1.0]])
    nn.init.zeros_(module.bias)
    nn.init.ones_(module.weight)
    optimizer = torch.optim.SGD(module.parameters(), 1e-2)
    with descender.watch(module, optimizer, tell=lambda finding: None) as watch:
        module(X).sqrt().sum().backward()
        optimizer.step()
    assert watch.findings[0].where == {"step": 0, "row": 1, "layer": "the loss"}


@pytest.mark.parametrize("by", ["position", "word"])
def test_what_an_optimizer_asks_of_a_closure_is_heard_and_the_same(by):
    """The root of the output is lost once the third step has made it negative: no update was at fault."""

    def trained(watched):
        torch.manual_seed(0)
        module, X = nn.Linear(2, 1), torch.randn(6, 2)
        optimizer = torch.optim.LBFGS(module.parameters(), lr=0.1, max_iter=3)
        shift, losses = [5.0], []

        def closure():
            optimizer.zero_grad()
            loss = (module(X) + shift[0]).sqrt().sum()
            loss.backward()
            return loss

        watch = descender.watch(module, optimizer, tell=lambda finding: None) if watched else None
        for step in range(5):
            shift[0] = -3.0 if step == 3 else 5.0
            losses.append(
                float((optimizer.step(closure) if by == "position" else optimizer.step(closure=closure)).detach())
            )
        return losses, watch

    (plain, _), (heard, watch) = trained(False), trained(True)
    assert np.array_equal(plain, heard, equal_nan=True)
    assert np.isfinite(plain[:3]).all()
    assert watch.findings[0].code == "D901"
    assert watch.findings[0].where["step"] == 3
    assert watch.update == 5


def test_a_loop_that_raises_is_told_and_not_swallowed():
    loop = Loop(0, raises=4)
    watch = descender.watch(loop.module, loop.optimizer)
    batch = next(iter(loop))
    with pytest.raises(RuntimeError, match="out of luck"), watch:
        any(loop.step(batch) < 0 for _ in range(10))
    assert [finding.cause for finding in watch.findings] == ["loop-raises"]
    assert watch.findings[0].where == {"step": 3}
    assert not loop.module._forward_hooks


FAULTS = {
    "gradients-not-reset": {"reset": False, "optimizer": lambda p: torch.optim.SGD(p, 1e-4)},
    "eval-mode": {"evaluating": True},
    "not-in-optimizer": {"trains": lambda module: module[1:].parameters(), "model": perceptron},
    "saturation": {"model": lambda: _scaled(perceptron(act=nn.Tanh), 200.0)},
    "dead-units": {"model": lambda: _shifted(perceptron())},
    "vanishing-gradient": {"model": lambda: perceptron(act=nn.Sigmoid, deep=10), "rate": 1e-4},
}  # fmt: skip


def _scaled(module, factor):
    with torch.no_grad():
        for p in module.parameters():
            p.mul_(factor)
    return module


def _shifted(module):
    with torch.no_grad():
        module[0].bias -= 50.0
    return module


@pytest.mark.parametrize("cause", FAULTS)
def test_what_a_watch_hears(cause):
    assert cause in [finding.cause for finding in trained(True, **FAULTS[cause])[3].findings]


def test_scaling_of_the_loss_is_no_fault():
    assert trained(True, scale=2.0**16)[3].findings == []


def test_a_sum_that_overflows_is_no_fault():
    module = nn.Linear(2, 1, dtype=torch.float64)
    optimizer = torch.optim.SGD(module.parameters(), 1e-320)
    with descender.watch(module, optimizer) as watch:
        module(torch.full((8, 2), 1e308, dtype=torch.float64) * torch.tensor([1.0, 0.0])).mul(1e-300).sum().backward()
        optimizer.step()
    assert watch.findings == []


def test_it_holds_no_more_after_many_steps():
    loop = Loop(0, steps=10)
    watch = descender.watch(loop.module, loop.optimizer)
    for _ in range(60):
        for batch in loop:
            loop.step(batch)
    assert watch.update > 200
    assert len(watch.looks) <= 64
    assert not watch._passes
    watch.close()


def test_confirm_runs_a_loop_again():
    loop = Loop(0, reset=False, steps=20)
    watch = descender.watch(loop.module, loop.optimizer)
    watch.close()
    trials = watch.confirm(lambda seed: Loop(seed, reset=False, optimizer=lambda p: torch.optim.SGD(p, 0.3)))
    assert trials[0].cause == "gradients-not-reset"
    assert trials[0].repaired


@pytest.mark.parametrize("given", [(nn.Linear(1, 1), None), (None, torch.optim.SGD([torch.zeros(1)], 1.0))])
def test_what_cannot_be_watched_is_refused(given):
    with pytest.raises(CapabilityError, match="expected a torch"):
        descender.watch(*given)


def test_a_copy_of_the_module_is_not_heard_and_can_be_saved():
    loop = Loop(0, model=dropping)
    with descender.watch(loop.module, loop.optimizer) as watch:
        loop.step(next(iter(loop)))
        average = copy.deepcopy(loop.module)  # as for an average of weights
        average(loop.X)
        loop.step(next(iter(loop)))
        file = io.BytesIO()
        torch.save(loop.module, file)
    assert watch.training == 2
    file.seek(0)
    saved = torch.load(file, weights_only=False)
    assert torch.equal(saved.eval()(loop.X), loop.module.eval()(loop.X))


def test_a_pass_without_a_loss_holds_no_graph_for_long():
    module = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    with descender.watch(module, optimizer):
        outputs = [weakref.ref(module(torch.randn(5, 3))) for _ in range(6)]
        gc.collect()
        assert [out() is not None for out in outputs] == [False] * 4 + [True] * 2
    gc.collect()
    assert all(out() is None for out in outputs)


def test_random_numbers_of_the_pass_that_failed_are_drawn_again():
    """A row is lost by what dropout left of it: the same must be left when it is done again."""

    class Quotient(nn.Module):
        def forward(self, x):
            return x / x.sum(1, keepdim=True)

    module = nn.Sequential(nn.Dropout(0.5), Quotient(), nn.Linear(3, 1))
    optimizer = torch.optim.SGD(module.parameters(), 0.0)
    torch.manual_seed(0)
    told = []
    with descender.watch(module, optimizer, tell=told.append):
        for _ in range(60):
            x = torch.rand(4, 3) + 0.5
            optimizer.zero_grad()
            out = module(x)
            out.sum().backward()
            bad = (~torch.isfinite(out)).flatten().nonzero().flatten().tolist()
            optimizer.step()
            if told:
                break
    assert bad
    assert told[0].code == "D901"
    assert (told[0].where["row"], told[0].where["layer"].split()[0]) == (bad[0], "1")


class Said(nn.Module):
    """Of rows (n, 3): what ``forward`` makes of the module and the rows."""

    def __init__(self, said):
        super().__init__()
        self.head, self.body, self.said = nn.Linear(3, 2), nn.Linear(3, 3), said

    def forward(self, x):
        return self.said(self, x)


def _masked(self, x):
    return self.head(x).masked_fill(torch.tensor([False, True]), -math.inf)


def _rooted_first(self, x):
    """A layer that is declared last and used first, and a derivative of a root at 0 after it."""
    h = self.body(x)
    return self.head((h - h.detach()).square().sum(1, keepdim=True).sqrt() + x)


def _packed(self, x):
    return {"z": self.head(x), "others": (self.body(x), (-self.body(x).exp()).sqrt())}


def _own_loss(self, x):
    return (self.head(x) - 20.0).log().mean()


def _trained_once(module, loss):
    optimizer = torch.optim.SGD(module.parameters(), 1e-2)
    with descender.watch(module, optimizer, tell=lambda finding: None) as watch:
        loss(module(torch.ones(4, 3))).backward()
        optimizer.step()
    return watch.fault


def test_whatever_a_module_answers_is_watched():
    """Scores that are masked are no fault; losses of dicts and of the module's own are traced to their operation."""
    told = _trained_once(Said(_masked), lambda z: nn.functional.cross_entropy(z, torch.zeros(4, dtype=torch.long)))
    assert told is None
    told = _trained_once(Said(_rooted_first), lambda z: z.sum())
    assert "the derivative of sqrt in forward() of Said" in told.evidence
    told = _trained_once(Said(_packed), lambda out: out["z"].sum() + out["others"][1].sum())
    assert "sqrt in forward() of Said, row 0" in told.evidence
    told = _trained_once(Said(_own_loss), lambda loss: loss)
    assert "log in forward() of Said, row 0" in told.evidence


def test_sparse_gradients_are_watched_and_left_as_they_are():
    module = nn.Embedding(10, 3, sparse=True)
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    with descender.watch(module, optimizer, tell=lambda finding: None) as watch:
        for value in (1.0, math.nan):
            optimizer.zero_grad()
            (module(torch.tensor([1, 1, 4])).sum() * value).backward()
            optimizer.step()
            assert module.weight.grad.is_sparse
            assert (watch.fault is None) == (value == 1.0)
    assert watch.fault.where == {"step": 1, "row": 0, "layer": "the loss"}
    assert set(watch.looks[0].gradients) == {"weight"}


@pytest.mark.parametrize(("width", "dtype"), [(8, torch.float32), (600, torch.float32), (8, torch.complex64)])
def test_a_gradient_of_any_width_and_kind_tells_when_it_is_lost(width, dtype):
    module = nn.Linear(3, width, dtype=dtype)
    optimizer = torch.optim.SGD(module.parameters(), 1e-3)
    with descender.watch(module, optimizer, tell=lambda finding: None) as watch:
        for step, value in enumerate((1.0, -1.0, 1.0, math.inf)):
            optimizer.zero_grad()
            scores = module(torch.ones(2, 3, dtype=dtype)).abs()
            (scores[:, -1].sum() * value).backward()
            assert watch.fault is None, step
            optimizer.step()
    assert watch.fault.where["step"] == 3
