"""Weights become images."""

import numpy as np
import pytest
from drawn import saved

from descender.errors import DataError, ShapeError
from descender.pictures import weights


def test_weights_become_images_centred_at_zero(tmp_path):
    W = np.random.default_rng(6).normal(size=(10, 64))
    data = weights.describe_weights(W)
    assert data.images[3, 1, 2] == W[3, 10]
    assert data.limit == np.abs(W).max()
    assert data.titles == tuple("0123456789")
    ax = weights.draw_weights(data)
    assert {image.get_clim() for image in ax.images} == {(-data.limit, data.limit)}
    saved(ax, tmp_path)
    saved(weights.draw_weights(weights.describe_weights(np.zeros(6), ["zero"], (2, 3))), tmp_path)


def test_weights_that_fill_no_image_are_refused():
    with pytest.raises(ShapeError, match="give shape"):
        weights.describe_weights(np.ones(63))
    with pytest.raises(ShapeError, match="holds 6"):
        weights.describe_weights(np.ones(5), shape=(2, 3))
    with pytest.raises(ShapeError, match="1 titles for 2"):
        weights.describe_weights(np.ones((2, 4)), ["one"])
    with pytest.raises(DataError, match="diverged"):
        weights.describe_weights([np.nan] * 4)
