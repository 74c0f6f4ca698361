"""Pictures are saved whole, in one look, with names as they stand."""

import warnings

import numpy as np
import pytest
from drawn import saved

from descender.errors import OptionError, OutputError
from descender.pictures import boundary, style, weights


def test_pictures_are_saved_by_the_end_of_their_name(tmp_path):
    ax = weights.draw_weights(weights.describe_weights(np.arange(4.0)))
    assert saved(ax, tmp_path, "a.png").read_bytes().startswith(b"\x89PNG")
    assert saved(ax.figure, tmp_path, "a.pdf").read_bytes().startswith(b"%PDF")
    assert saved(ax, tmp_path, "a.svg").read_bytes().startswith(b"<?xml")
    once, twice = (saved(ax, tmp_path, name).read_bytes() for name in ("b.svg", "c.svg"))
    assert once == twice
    with pytest.raises(OptionError, match=r"\.png, \.svg or \.pdf"):
        style.save(ax, tmp_path / "a.gif")
    with pytest.raises(OptionError, match="no picture"):
        style.save("ax", tmp_path / "a.png")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        style.save(ax, tmp_path / "file" / "a.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pdf", "a.png", "a.svg", "b.svg", "c.svg", "file"]


def test_drawing_leaves_the_settings_of_the_user_alone():
    import matplotlib

    before = dict(matplotlib.rcParams)
    weights.draw_weights(weights.describe_weights(np.arange(4.0)))
    assert dict(matplotlib.rcParams) == before


def test_names_are_taken_literally_and_missing_characters_are_told_once(tmp_path, monkeypatch):
    monkeypatch.setattr(style, "families", lambda: ["DejaVu Sans"])
    ax = boundary.draw_scatter(boundary.describe_scatter([[0, 1], [1, 0]], ["_a", "$b$"], names=["price_$", "身高"]))
    assert [t.get_text().strip() for t in ax.get_legend().get_texts()] == [r"\$b\$ (1)", "_a (1)"]
    with pytest.warns(UserWarning, match="no installed font") as told:
        saved(ax, tmp_path)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ax.set_ylabel("height")
        saved(ax, tmp_path)
