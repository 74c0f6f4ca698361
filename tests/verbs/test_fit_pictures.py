"""The pictures of a fit: which there are, what they show, and that fits without them load no Matplotlib."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from descender import fit
from descender.errors import OptionError
from descender.pictures.boundary import draw_boundary
from descender.verbs.fit_pictures import _boundary, _epochs, fit_pictures, weight_images

KINDS = {
    "two numbers, two classes": ({"data": "example:blobs"}, {"boundary"}),
    "by a textbook method": ({"data": "example:blobs", "method": "gd", "epochs": 3}, {"boundary", "loss"}),
    "batches": ({"data": "example:blobs", "method": "sgd", "learning_rate": 0.01, "epochs": 2}, {"boundary", "loss"}),
    "squared error on two classes": ({"data": "example:blobs", "loss": "squared_error"}, {"boundary"}),
    "four numbers": ({"data": "example:iris"}, set()),
    "one number": ({"data": "example:heights"}, {"line"}),
    "one number, step by step": ({"data": "example:heights", "method": "gd", "epochs": 9}, {"line", "loss"}),
    "images": ({"data": "example:digits", "tol": 0.1}, {"weights"}),
}


@pytest.mark.parametrize("case", KINDS)
def test_what_is_drawn(case, tmp_path):
    options, kinds = KINDS[case]
    result = fit(**options)
    assert set(result.pictures()) == kinds
    paths = result.save(tmp_path)
    assert set(paths) == {"model", "record", "report"} | kinds
    assert not [line for line in result.told if "no picture" in line]
    for kind in kinds:
        assert paths[kind] == tmp_path / f"{result.name}.{kind}.png"
        with Image.open(paths[kind]) as image:
            assert min(image.size) > 300
            assert np.ptp(np.asarray(image.convert("L"))) > 200
            assert image.info["Software"].startswith("descender")
    assert result.as_json()["pictures"] == {kind: str(paths[kind]) for kind in kinds}


def grid(n=400, seed=0):
    """Two columns of unlike scale, the sum of which decides."""
    rng = np.random.default_rng(seed)
    X = rng.normal([1000.0, 0.0], [100.0, 0.001], size=(n, 2))
    side = (X[:, 0] - 1000) / 100 + X[:, 1] / 0.001 > 0
    return {"big": X[:, 0], "small": X[:, 1], "late": np.where(side, "yes", "no")}


@pytest.mark.parametrize("holdout", [0.2, 0.0])
@pytest.mark.parametrize("loss", ["log_loss", "sigmoid_squared_error"])
def test_the_boundary_is_that_of_the_model_in_the_units_of_the_data(holdout, loss):
    data = grid()
    result = fit(data, "late", holdout=holdout, loss=loss)
    shown = result.points
    assert shown.shape == (len(result.holdout_y), 2)
    points = set(zip(data["big"].round(6), data["small"].round(9), strict=True))
    assert set(zip(shown[:, 0].round(6), shown[:, 1].round(9), strict=True)) <= points
    assert len(shown) == (400 if holdout == 0 else round(holdout * 400)) or holdout
    ax = draw_boundary(_boundary(result))
    assert ax.get_xlabel() == "big"
    assert ax.get_ylabel() == "small"
    share = result.metrics.get("holdout", result.metrics["train"])["accuracy"]
    assert ax.get_title(loc="left").startswith(f"{share:.1%} of the points")
    # the drawn line of probability 1/2 is where the model's score in raw units is 0
    line = next(c for c in ax.collections if getattr(c, "levels", None) is not None and list(c.levels) == [0.5])
    ends = line.get_paths()[0].vertices
    z = ends @ result.model.coefficients + float(result.model.raw_intercept)
    everywhere = shown @ result.model.coefficients + float(result.model.raw_intercept)
    assert np.abs(z).max() < 0.02 * np.ptp(everywhere)


def test_missing_values_are_no_point():
    data = grid()
    data["big"][::7] = np.nan
    assert "boundary" not in fit_pictures(fit(data, "late"))  # whether it is missing is a third feature


def test_epochs_are_readings_of_all_rows():
    result = fit("example:blobs", preset="sigmoid", epochs=30)
    curve = _epochs(result)
    assert (curve.x_label, curve.y_label) == ("epoch", "sum of squared errors")
    line = next(s for s in curve.series if s.kind == "full")
    assert line.x.tolist() == list(range(31))
    np.testing.assert_allclose(line.y[:30], 2 * result.walk.record["cost"][:30])
    batched = _epochs(fit("example:blobs", method="minibatch", learning_rate=0.01, epochs=4))
    full = next(s for s in batched.series if s.label == "cost of all rows")
    assert set(full.x.tolist()) - {0} == {1, 2, 3, 4}
    assert batched.y_label == "cost J"
    other = _epochs(fit("example:blobs", preset="sigmoid", loss="log_loss", epochs=3))
    assert other.y_label == "cost J"


def test_weights_stand_at_their_pixels():
    rng = np.random.default_rng(0)
    pixels = {f"pixel_{r}_{c}": rng.normal(size=200) for r in (1, 2) for c in (3, 4, 5)}
    pixels["pixel_1_4"] = np.zeros(200)  # constant, so that it is no feature
    lit = pixels["pixel_2_3"] + 0.1 * rng.normal(size=200)
    model = fit(pixels | {"lit": np.where(lit > 0, "on", "off")}, "lit").model
    images = weight_images(model)
    assert images.shape == (1, 2, 3)
    assert np.unravel_index(images[0].argmax(), (2, 3)) == (1, 0)
    assert images[0, 0, 1] == 0
    assert np.count_nonzero(images) == 5


def test_a_fit_without_pictures_loads_no_matplotlib(tmp_path):
    save = f"descender.fit('example:diabetes').save({str(tmp_path)!r})"
    code = f"import sys, descender; {save}; print('matplotlib' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=True)
    assert found.stdout == "False\n"


def test_the_line_is_that_of_the_model_in_the_units_of_the_data():
    result = fit("example:heights", method="gd", epochs=40, learning_rate=0.3)
    data = result.pictures()["line"].describe()
    assert data.slopes[-1] == pytest.approx(float(result.model.coefficients[0]))
    assert data.intercepts[-1] == pytest.approx(float(result.model.raw_intercept))
    assert (data.slopes[0], data.labels[0], data.ordered) == (0.0, "step 0", True)
    assert (data.x_name, data.y_name) == ("height", "weight")
    alone = fit("example:heights").pictures()["line"].describe()
    assert alone.labels == ("fitted",)
    rows = fit({"x": np.arange(9000.0), "y": 2.0 * np.arange(9000.0) + 1}, "y", holdout=0).pictures()["line"].describe()
    assert rows.notes == ("5,000 of 9,000 points drawn",)


def test_a_fit_draws_its_own_pictures_its_penalty_and_its_walk():
    result = fit("example:heights", method="gd", epochs=9, learning_rate=0.3)
    assert result.plot().get_xlabel() == "height"
    assert result.plot("gradient_norm").get_ylabel() == "gradient norm"
    assert result.plot("path", resolution=9).get_xlabel() == "height"
    chosen = fit("example:diabetes")
    assert len(chosen.plot("penalty")) == 2
    with pytest.raises(OptionError, match="no picture of a walk"):
        chosen.plot("boundary")
