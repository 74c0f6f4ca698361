"""The picture of a path of penalties: what it describes, and that what is drawn is what was described."""

import numpy as np
import pytest
from PIL import Image

from descender import fit
from descender.errors import ShapeError
from descender.pictures.penalty import DRAWN, describe_penalty, draw_penalty
from descender.pictures.style import save


@pytest.fixture(scope="module", params=[{"l1": "auto", "one_standard_error": True}, {"l2": "auto"}])
def fitted(request):
    return fit("example:diabetes", **request.param)


def test_the_description_is_the_path(fitted):
    path, names = fitted.path, fitted.model.features
    data = describe_penalty(path, names)
    np.testing.assert_allclose(data.high - data.scores, data.scores - data.low)
    np.testing.assert_allclose(data.high - data.scores, path.errors)
    sizes = np.abs(data.lines[:, path.chosen])
    assert (np.diff(sizes) <= 0).all()
    for name, line in zip(data.names, data.lines, strict=False):
        np.testing.assert_array_equal(line, path.coefficients[:, names.index(name)])
    assert path.how in data.notes[0]
    with pytest.raises(ShapeError, match="9 features for 10"):
        describe_penalty(path, names[1:])


def test_what_is_drawn_is_what_was_described(fitted, tmp_path):
    path = fitted.path
    above, below = path.plot(fitted.model.features)
    drawn = {line.get_label(): line for line in above.get_lines()}
    np.testing.assert_array_equal(drawn["held-out loss"].get_ydata(), path.scores)
    assert drawn["chosen"].get_xdata()[0] == path.strength
    assert ("lowest" in drawn) == (path.best != path.chosen)
    assert above.get_xscale() == "log"
    left, right = above.get_xlim()
    assert left > right  # from heavy to weak
    assert len(below.get_lines()) == 10 + 2
    where = save(above, tmp_path / "path.png")
    with Image.open(where) as image:
        assert np.ptp(np.asarray(image.convert("L"))) > 200


def test_of_many_coefficients_the_largest_are_drawn():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 90))
    data = {f"x{j}": X[:, j] for j in range(90)} | {"y": X[:, 7] + rng.normal(size=150)}
    found = fit(data, "y")
    described = describe_penalty(found.path, found.model.features)
    assert described.lines.shape[0] == DRAWN
    assert described.names[0] == "x7"
    assert "60 largest of 90" in described.notes[1]
    axes = draw_penalty(described)
    assert draw_penalty(described, axes) is axes
