"""Gradients of functions written for JAX or PyTorch: exact, in float64, without a trace in the user's settings."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import rosen, rosen_der

from descender import minimize
from descender.costs.function import Function
from descender.errors import CostError, MissingDependencyError, OptionError

jax = pytest.importorskip("jax", reason="JAX is an extra")
torch = pytest.importorskip("torch", reason="PyTorch is an extra")
jnp = jax.numpy
BOTH = pytest.mark.parametrize("library", ["jax", "torch"])

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = X @ [1.0, -2.0, 0.5] + 0.3 + 0.01 * RNG.normal(size=60)


def rosen_any(w):
    """Rosenbrock's function with the operators that all libraries share."""
    return ((1 - w[:-1]) ** 2).sum() + (100 * (w[1:] - w[:-1] ** 2) ** 2).sum()


def squares(w, rows):
    """A mean of squared errors over rows, with NumPy's, JAX's and PyTorch's operators alike."""
    if isinstance(w, torch.Tensor):
        A, b = torch.from_numpy(X)[rows], torch.from_numpy(Y)[rows]
    else:
        A, b = (jnp.asarray(X)[rows], jnp.asarray(Y)[rows]) if isinstance(w, jax.Array) else (X[rows], Y[rows])
    return ((A @ w[:3] + w[3] - b) ** 2).mean()


def squares_gradient(w, rows):
    r = X[rows] @ w[:3] + w[3] - Y[rows]
    return 2 * np.append(X[rows].T @ r, r.sum()) / len(rows)


@BOTH
@settings(max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_agreement_with_the_analytic_gradient(library, seed):
    w = np.random.default_rng(seed).normal(size=6) * 2
    J = SHARED.setdefault(library, Function(rosen_any, 6, library))
    value, gradient = J.value_and_gradient(w)
    assert value == pytest.approx(rosen(w), rel=1e-12)
    assert J.value(w) == pytest.approx(rosen(w), rel=1e-12)
    assert gradient == pytest.approx(rosen_der(w), rel=1e-12, abs=1e-12 * np.abs(rosen_der(w)).max())
    assert gradient.dtype == np.float64
    assert type(value) is float


SHARED: dict = {}


@BOTH
def test_the_whole_walk_is_that_of_the_analytic_gradient(library):
    walk = minimize(rosen_any, [-1.2, 1.0], gradient=library)
    given_gradient = minimize(rosen, [-1.2, 1.0], gradient=rosen_der)
    assert walk.success
    assert walk.x == pytest.approx(given_gradient.x, rel=1e-9)
    assert walk.nit == given_gradient.nit


@BOTH
def test_rows_in_batches_are_those_of_the_analytic_gradient(library):
    J = Function(squares, 4, library, n_samples=60)
    w = np.array([0.3, 0.1, -0.2, 1.0])
    for rows in (None, np.array([3, 59]), np.arange(7), np.array([5])):
        wanted = squares_gradient(w, np.arange(60) if rows is None else rows)
        assert J.gradient(w, rows) == pytest.approx(wanted, rel=1e-12)
    options = {"method": "adam", "batch_size": 8, "learning_rate": 0.05, "max_epochs": 3, "seed": 4}
    walk = minimize(squares, np.zeros(4), gradient=library, n_samples=60, **options)
    analytic = minimize(squares, np.zeros(4), gradient=squares_gradient, n_samples=60, **options)
    assert walk.nit == analytic.nit == 24
    assert walk.record["rows_seen"][-1] == 180
    assert walk.x == pytest.approx(analytic.x, rel=1e-12)


def test_rows_by_difference_quotients():
    walk = minimize(squares, np.zeros(4), "sgd", n_samples=60, learning_rate=0.02, max_epochs=5)
    analytic = minimize(
        squares, np.zeros(4), "sgd", n_samples=60, gradient=squares_gradient, learning_rate=0.02, max_epochs=5
    )
    assert walk.x == pytest.approx(analytic.x, rel=1e-7)
    bottom = np.linalg.lstsq(np.column_stack([X, np.ones(60)]), Y, rcond=None)[0]
    assert minimize(squares, np.zeros(4), n_samples=60, gradient_tol=1e-8).x == pytest.approx(bottom, rel=1e-6)


def test_jax_keeps_its_setting_and_compiles_once_for_each_shape():
    assert not jax.config.jax_enable_x64
    traced = []

    def fun(w, rows):
        traced.append(rows.shape)
        assert w.dtype == jnp.float64
        return squares(w, rows)

    J = Function(fun, 4, "jax", n_samples=60)
    for k in range(20):
        J.value_and_gradient(np.full(4, float(k)), np.arange(8) + k)
    assert traced == [(8,)]
    J.gradient(np.zeros(4))
    J.gradient(np.zeros(4), np.arange(4))
    assert traced == [(8,), (60,), (4,)]
    assert not jax.config.jax_enable_x64
    assert jnp.asarray(1.5).dtype == jnp.float32


def test_jax_functions_that_cannot_be_traced_run_uncompiled():
    def fun(w):
        return (w[0] - 1) ** 2 + w[1] ** 2 if w[0] > 0 else jnp.exp(-w[0]) + w[1] ** 2

    J = Function(fun, 2, "jax")
    assert J.gradient(np.array([3.0, 1.0])) == pytest.approx([4.0, 2.0], rel=1e-14)
    assert J.gradient(np.array([-1.0, 1.0])) == pytest.approx([-np.e, 2.0], rel=1e-14)
    assert J.value(np.array([3.0, 1.0])) == 5.0


@BOTH
def test_args_are_handed_on(library):
    def fun(w, scale, word):
        assert word == "as it is"
        return scale * (w**2).sum()

    walk = minimize(fun, [1.0, 2.0], gradient=library, args=(3.0, "as it is"), max_steps=0)
    assert walk.fun == 15.0
    assert walk.jac.tolist() == [6.0, 12.0]


def test_a_module_of_pytorch_keeps_its_own_gradients():
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(2, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1)).double()
    before = [p.detach().clone() for p in module.parameters()]
    J = Function(lambda w: (module(w) ** 2).sum() + (w**2).sum(), 2, "torch")
    point = torch.tensor([0.3, -0.4], dtype=torch.float64, requires_grad=True)
    ((module(point) ** 2).sum() + (point**2).sum()).backward()
    for parameter in module.parameters():
        parameter.grad = None
    assert J.gradient(np.array([0.3, -0.4])) == pytest.approx(point.grad.numpy(), rel=1e-14)
    assert all(parameter.grad is None for parameter in module.parameters())
    assert all((old == new).all() for old, new in zip(before, module.parameters(), strict=True))


def test_the_parameters_of_a_module_are_learnt():
    torch.manual_seed(0)
    module = torch.nn.Linear(3, 1).double()
    A, b = torch.from_numpy(X), torch.from_numpy(Y)
    shapes = {name: p.shape for name, p in module.named_parameters()}

    def cost(w, rows):
        parts = torch.split(w, [s.numel() for s in shapes.values()])
        weights = {name: part.reshape(s) for (name, s), part in zip(shapes.items(), parts, strict=True)}
        return ((torch.func.functional_call(module, weights, A[rows])[:, 0] - b[rows]) ** 2).mean()

    start = torch.nn.utils.parameters_to_vector(module.parameters())
    walk = minimize(cost, start, gradient="torch", n_samples=60, gradient_tol=1e-10)
    bottom = np.linalg.lstsq(np.column_stack([X, np.ones(60)]), Y, rcond=None)[0]
    assert walk.success
    assert walk.x == pytest.approx(bottom, rel=1e-9)


WRONG = {
    "jax, NumPy inside": ("jax", lambda w: np.cos(np.asarray(w)).sum(), "TracerArrayConversionError"),
    "jax, a vector": ("jax", lambda w: w * 2, "shape .2,. .*expected one real number"),
    "jax, None": ("jax", lambda w: None, "returned None; expected one real number"),
    "jax, complex": ("jax", lambda w: (w * 1j).sum(), "expected one real number"),
    "torch, NumPy inside": ("torch", lambda w: float(w.detach().numpy().sum()), "expected a tensor of one real number"),
    "torch, a vector": ("torch", lambda w: w * 2, "expected a tensor of one real number"),
    "torch, None": ("torch", lambda w: None, "returned None"),
    "torch, detached": ("torch", lambda w: (w.detach() ** 2).sum(), "does not reach w"),
    "torch, another leaf": (
        "torch", lambda w: torch.tensor(w.tolist(), requires_grad=True).sum(), "does not reach w",
    ),
    "torch, raises": ("torch", lambda w: 1 / 0, "the function raised ZeroDivisionError"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_the_library_cannot_differentiate_is_said_with_its_place(name):
    library, fun, text = WRONG[name]
    with pytest.raises(CostError, match=r"(?s)evaluation 1, at w = \[-1.2,  1. \]: .*" + text):
        Function(fun, 2, library).gradient(np.array([-1.2, 1.0]))


def test_what_is_not_finite_is_the_walks_business_here_too():
    for library, log in (("jax", jnp.log), ("torch", torch.log)):
        value, gradient = Function(lambda w, log=log: log(w).sum(), 2, library).value_and_gradient(np.zeros(2))
        assert value == -np.inf
        assert gradient.tolist() == [np.inf, np.inf]


def test_another_library_is_unknown():
    with pytest.raises(OptionError, match="gradient='tensorflow': known: jax, torch"):
        minimize(rosen, [0.0, 0.0], gradient="tensorflow")
    with pytest.raises(OptionError, match="gradient='jaxx': did you mean jax"):
        minimize(rosen, [0.0, 0.0], gradient="jaxx")


@BOTH
def test_an_absent_library_is_named(library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingDependencyError, match=f"pip install {library}"):
        minimize(rosen_any, [0.0, 0.0], gradient=library)


def test_neither_is_imported_for_other_gradients():
    code = (
        "import sys; from descender import minimize; minimize(lambda w: (w**2).sum(), [1.0]); "
        "print('jax' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert done.stdout.split() == ["False", "False"], done.stderr
