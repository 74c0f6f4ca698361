"""Records: thinned while they grow, saved and loaded without loss, never half written."""

import json
import os
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from descender.errors import OutputError, RecordError
from descender.record import COLUMNS, FORMAT, Record, Recorder, Stretch, _Thinned, rows_of, write_beside

FORMATS = pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])


def rows(first, count, full=None):
    """Steps from `first`, or one row with a full cost."""
    block = np.full((count, len(COLUMNS)), np.nan)
    block[:, 0] = np.arange(first, first + count)
    block[:, 1:4] = block[:, :1] * [0.5, 10, 2]
    block[:, 4] = 1.0 / (1 + block[:, 0])
    if full is not None:
        block[:, 9] = full
    return block


def walked(steps, limit, every=0, d=2, block=7, path_limit=10**6):
    """A recorder after many steps, with an epoch row after each `every` of them."""
    recorder, at, largest = Recorder(limit, path_limit), 0, 0
    while at < steps:
        count = min(block, steps - at)
        points = np.arange(at, at + count)[:, None] * np.ones(d)
        recorder.append(rows(at, count), points)
        at += count
        if every and at // every > (at - count) // every:
            recorder.append(rows(at, 1, full=at * 1.0), np.full((1, d), at))
        largest = max(largest, sum(len(r) for r in recorder.steps.rows))
    return recorder.record({"names": ["a", "b"][:d]}), largest


# --- the recorder --------------------------------------------------------------------------------------------------


def test_short_walks_are_kept_whole():
    record, _ = walked(50, 100)
    assert record["step"].tolist() == list(range(50))
    assert record.path.tolist() == [[k, k] for k in range(50)]
    assert record["step"].dtype == np.int64
    assert record["rows_seen"].dtype == np.int64
    assert list(record.columns) == list(COLUMNS)


@given(st.integers(1, 3000), st.integers(5, 100), st.integers(1, 50))
def test_long_walks_are_thinned_evenly(steps, limit, block):
    record, largest = walked(steps, limit, block=block)
    assert len(record) <= max(2 * limit, (2 * limit + block) / 2 + 1)
    assert largest <= 2 * limit + block
    strides = np.diff(record["step"])
    assert len(set(strides.tolist())) <= 1
    assert record["step"][0] == 0
    assert len(record) >= min(steps, limit) / 2
    assert (record.path[:, 0] == record["step"]).all()
    assert record["cost"].tolist() == (1.0 / (1 + record["step"])).tolist()


def test_epoch_rows_survive_the_thinning():
    record, _ = walked(5000, 100, every=100)
    epochs = ~np.isnan(record["full_cost"])
    assert epochs.sum() == 50
    assert (record["full_cost"][epochs] == record["step"][epochs]).all()
    assert (record.path[:, 0] == record["step"]).all()
    assert len(record) <= 200 + 50


def test_a_thinning_that_drops_epochs_is_seen(monkeypatch):
    monkeypatch.setattr(Recorder, "_keep", lambda self, series, rows, points: self.steps.append(rows, points))
    record, _ = walked(5000, 100, every=100)
    assert (~np.isnan(record["full_cost"])).sum() < 50


def test_many_epochs_do_not_make_the_recorder_slow(monkeypatch):
    """A walk of short epochs has more epoch rows than the limit: thinning may not run at each of them."""
    calls, honest = [], _Thinned._thin
    monkeypatch.setattr(_Thinned, "_thin", lambda self: calls.append(1) or honest(self))
    walked(3000, 20, every=1, block=1)
    assert len(calls) < 100


def test_a_path_that_would_be_too_long_is_left_out():
    record, _ = walked(50, 1000, d=2, path_limit=99)
    assert record.path is None
    record, _ = walked(50, 1000, d=2, path_limit=100)
    assert record.path.shape == (50, 2)
    recorder = Recorder()
    recorder.append(rows(0, 3), None)
    recorder.append(rows(3, 1), np.zeros((1, 2)))
    assert recorder.record({}).path is None
    assert len(recorder.record({})) == 4


def test_an_empty_recorder_makes_an_empty_record():
    record = Recorder().record({"names": []})
    assert len(record) == 0
    assert record["cost"].shape == (0,)
    assert record.path is None


def stretches(*counts, first=0, reads=10):
    """Blocks of so many steps, with what a walk knows of each, as one method logs them into the same array."""
    log, at, seen, asked = np.empty((max(counts), 6)), first, first * 10, 2 * first
    for count in counts:
        part, points = log[:count], np.full((count, 1), 0.0)
        part[:] = np.nan
        part[:, 0], part[:, 5], points[:, 0] = 1.0 / (1 + np.arange(at, at + count)), 2.0, np.arange(at, at + count)
        asked += 2 * count
        each = reads if np.ndim(reads) == 0 else np.resize(reads, count)
        yield Stretch(part, points, count, at, seen, 0.5 * at, 0.5 * (at + count), asked, 2 * count, each, None)
        at, seen = at + count, seen + int(np.sum(np.broadcast_to(each, count)))


@pytest.mark.parametrize("waiting", [0, 50, 1 << 14])
@given(st.lists(st.integers(1, 9), min_size=1, max_size=20))
def test_steps_become_the_same_rows_whenever_they_do(waiting, counts):
    recorder, steps = Recorder(), sum(counts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("descender.record.WAITING", waiting)
        for stretch in stretches(*counts):
            recorder.note(stretch)
    record = recorder.record({})
    assert record["step"].tolist() == list(range(steps)) == record.path[:, 0].tolist()
    assert record["seconds"] == pytest.approx(0.5 * np.arange(steps))
    assert record["rows_seen"].tolist() == list(range(0, 10 * steps, 10))
    assert record["evaluations"].tolist() == list(range(2, 2 * steps + 2, 2))
    assert record["cost"].tolist() == (1.0 / (1 + np.arange(steps))).tolist()


def test_steps_may_read_and_ask_unlike_one_another():
    first, second = stretches(3, 2, reads=np.array([1, 2]))
    first.log[:, 5] = [1, 2, 3]  # both have one log, which the second changed
    first = first._replace(log=first.log.copy(), evaluations=12, own=12)
    rows = rows_of([first, second._replace(kept=1, held=np.array([7.0]))])
    assert rows[:, 0].tolist() == [0, 1, 2, 3]
    assert rows[:, 2].tolist() == [0, 1, 3, 4]
    assert rows[:, 3].tolist() == [2, 6, 12, 7]  # each told evaluation was two; of the last block one step was cut off
    np.testing.assert_array_equal(rows[:, 10], [np.nan, np.nan, np.nan, 7.0])


def test_a_record_is_made_once_and_pickles_whole():
    made = []
    record = Record.later(lambda: made.append(1) or ({"step": np.arange(2)}, np.zeros((2, 1))), {"method": "gd"})
    assert not made
    assert record.facts == {"method": "gd"}
    again = pickle.loads(pickle.dumps(record))
    assert len(record) == len(again) == 2
    assert made == [1]
    assert (again.path == record.path).all()
    assert again.facts == record.facts
    with pytest.raises(AttributeError, match="a record has no colour"):
        _ = record.colour


# --- saving and loading --------------------------------------------------------------------------------------------


def example(n=20, d=2, names=("a", "b")):
    rng = np.random.default_rng(0)
    columns = {name: rng.normal(size=n) * 10.0 ** rng.integers(-300, 300, n) for name in COLUMNS}
    columns |= {k: np.arange(n) + 2**53 for k in ("step", "rows_seen", "evaluations")}
    columns["full_cost"][: n - 1] = np.nan
    columns["holdout_cost"][:] = np.nan
    columns["cost"][:4] = [np.inf, -np.inf, 0.1 + 0.2, 5e-324][:n]
    facts = {"method": "gd", "names": list(names), "nested": {"x": [1, 2.5, None, "ä ≤ π"]}, "seed": 0}
    return Record(columns, rng.normal(size=(n, d)) if d else None, facts)


def assert_same(a, b):
    assert list(a.columns) == list(b.columns)
    for name in a.columns:
        assert a[name].dtype == b[name].dtype
        assert np.array_equal(a[name], b[name], equal_nan=a[name].dtype.kind == "f")
    assert (a.path is None) == (b.path is None)
    if a.path is not None:
        assert a.path.shape == b.path.shape
        assert (a.path == b.path).all()
    assert a.facts == b.facts


@FORMATS
def test_round_trip_is_exact(tmp_path, suffix):
    record = example()
    path = record.save(tmp_path / f"walk{suffix}")
    assert_same(Record.load(path), record)
    again = Record.load(path).save(tmp_path / f"again{suffix}")
    assert_same(Record.load(again), record)


@FORMATS
@pytest.mark.parametrize("kind", ["no path", "names kept out", "one row", "no rows", "names repeated"])
def test_round_trip_of_unusual_records(tmp_path, suffix, kind):
    record = {
        "no path": lambda: example(d=0),
        "names kept out": lambda: example(d=3, names=()),
        "one row": lambda: example(1),
        "no rows": lambda: Recorder().record({"names": []}),
        "names repeated": lambda: example(names=("a", "a")),
    }[kind]()
    assert_same(Record.load(record.save(tmp_path / f"walk{suffix}")), record)


@FORMATS
def test_a_lost_digit_is_seen(tmp_path, suffix):
    record = example()
    loaded = Record.load(record.save(tmp_path / f"walk{suffix}"))
    loaded.columns["cost"] = np.nextafter(loaded["cost"], 0.0)
    record.columns.pop("holdout_cost"), loaded.columns.pop("holdout_cost", None)
    with pytest.raises(AssertionError):
        assert_same(loaded, record)


@FORMATS
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=64), min_size=1, max_size=20))
def test_round_trip_of_any_numbers(suffix, tmp_path_factory, numbers):
    record = Record({"step": np.arange(len(numbers)), "cost": np.array(numbers)}, facts={"seed": 1})
    path = tmp_path_factory.mktemp("r") / f"walk{suffix}"
    assert_same(Record.load(record.save(path)), record)


@FORMATS
def test_numpy_facts_are_kept_as_plain_data(tmp_path, suffix):
    record = Record({"step": np.arange(2)}, facts={"a": np.float64(0.1), "b": np.arange(3), "c": np.int64(7)})
    assert Record.load(record.save(tmp_path / f"r{suffix}")).facts == {"a": 0.1, "b": [0, 1, 2], "c": 7}


def test_json_lines_are_lines_of_json(tmp_path):
    path = example().save(tmp_path / "walk.jsonl")
    first, *rest = path.read_text(encoding="utf-8").splitlines()
    assert json.loads(first)["format"] == FORMAT
    assert len(rest) == 20
    assert json.loads(rest[5])["step"] == 2**53 + 5
    assert "w:a" in json.loads(rest[5])


def test_a_record_shows_itself():
    record = Record({"step": np.array([0, 1]), "cost": np.array([4.0, 1.0])}, facts={"names": ["a"]})
    assert repr(record) == "Record(2 rows: step, cost)"
    assert record.names == ("a",)
    with pytest.raises(KeyError):
        record["zzz"]


# --- damaged files -------------------------------------------------------------------------------------------------


@FORMATS
def test_no_file(tmp_path, suffix):
    with pytest.raises(RecordError, match="no record at"):
        Record.load(tmp_path / f"absent{suffix}")


@FORMATS
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.98])
def test_a_file_that_was_cut_is_damaged(tmp_path, suffix, kept):
    path = example().save(tmp_path / f"walk{suffix}")
    content = path.read_bytes()
    cut = content[: int(len(content) * kept)]
    path.write_bytes(cut.rstrip(b"\n}"))  # within a line
    with pytest.raises(RecordError, match="walk"):
        Record.load(path)


def test_lines_that_were_lost_are_missed(tmp_path):
    """A file cut between two lines is damaged, too."""
    path = example().save(tmp_path / "walk.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-3]))
    with pytest.raises(RecordError):
        Record.load(path)


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".jsonl", b""),
        (".jsonl", b"\n"),
        (".jsonl", b"not json\n"),
        (".jsonl", b"{}\n"),
        (".jsonl", b"[]\n"),
        (".jsonl", b'"text"\n'),
        (".jsonl", b"3\n"),
        (".jsonl", b'{"format": "descender record 99"}\n'),
        (".jsonl", b'{"format": "descender record 1"}\n[1, 2]\n'),
        (".jsonl", b'{"format": "descender record 1"}\n["step"]\n'),
        (".jsonl", b'{"format": "descender record 1"}\n{"step": 0}\n3\n'),
        (".jsonl", b'{"format": "descender record 1"}\n{"step": [1]}\n{"step": 2}\n'),
        (".jsonl", b"\xff\xfe\x00"),
        (".parquet", b""),
        (".parquet", b"PAR1"),
        (".parquet", b"PAR1" + b"\x00" * 50 + b"PAR1"),
        (".parquet", b"a,b\n1,2\n"),
    ],
)
def test_files_that_are_no_records(tmp_path, suffix, content):
    path = tmp_path / f"strange{suffix}"
    path.write_bytes(content)
    with pytest.raises(RecordError, match="strange"):
        Record.load(path)


def test_a_parquet_file_of_somebody_else(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    for metadata in (None, {"descender": "[]"}, {"descender": "{"}, {"descender": '{"format": "x"}'}):
        path = tmp_path / "theirs.parquet"
        pq.write_table(pa.table({"a": [1, 2]}).replace_schema_metadata(metadata), path)
        with pytest.raises(RecordError, match="theirs"):
            Record.load(path)


@FORMATS
def test_a_folder_is_no_record(tmp_path, suffix):
    folder = tmp_path / f"folder{suffix}"
    folder.mkdir()
    with pytest.raises(RecordError, match="folder"):
        Record.load(folder)


# --- writing -------------------------------------------------------------------------------------------------------


def test_write_beside_replaces_whole(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    write_beside(path, lambda file: file.write(b"old"))
    write_beside(path, lambda file: file.write("new ä".encode()))
    assert path.read_text(encoding="utf-8") == "new ä"
    assert os.listdir(path.parent) == ["file.txt"]
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("broken"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "file.txt"
    path.write_bytes(b"old")

    def write(file):
        file.write(b"half of the n")
        raise error

    expected = OutputError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected) as caught:
        write_beside(path, write)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file.txt"]
    if expected is OutputError:
        assert "No space left" in str(caught.value)
        assert "nothing was replaced" in str(caught.value)


def test_a_careless_writer_is_seen_to_lose_the_old_file(tmp_path):
    """What write_beside is for: opening the file itself empties it before anything is written."""
    path = tmp_path / "file.txt"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="broken"), path.open("wb"):
        raise ValueError("broken")
    assert path.read_bytes() != b"old"


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("a file, no folder")
    for place in (tmp_path / "file" / "r.jsonl", tmp_path):
        with pytest.raises(OutputError, match="cannot be written"):
            write_beside(place, lambda file: file.write(b"x"))
    assert os.listdir(tmp_path) == ["file"]


@FORMATS
def test_a_save_that_fails_leaves_the_old_record(tmp_path, suffix):
    path = example().save(tmp_path / f"walk{suffix}")
    broken = example()
    broken.facts["object"] = object()
    with pytest.raises(TypeError, match="does not belong in a record"):
        broken.save(path)
    assert Record.load(path).facts == example().facts
    uneven = example()
    uneven.columns["cost"] = np.zeros(3)
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it is, the old file must stand
        uneven.save(path)
    assert (Record.load(path)["cost"] == example()["cost"]).all()
    assert os.listdir(tmp_path) == [path.name]
