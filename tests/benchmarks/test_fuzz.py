"""What the fuzzer found, each kind once; and that it finds what is planted."""

import random
import time

import numpy as np
import pytest

from benchmarks import fuzz, fuzz_inputs, fuzz_options
from goodteacher.data import doctor, load_dataset
from goodteacher.data.csv_files import _delimiter
from goodteacher.errors import ConfigError, DataError, ResponseError, StudyError
from goodteacher.public.recipes.importing import import_recipe
from goodteacher.responses import read_labels, read_response
from goodteacher.studies import place_of


@pytest.fixture(scope="module")
def kinds():
    return fuzz_inputs.kinds()


def test_every_kind_is_read_as_it_is_when_nothing_is_changed(kinds, tmp_path):
    for number, (name, kind) in enumerate(kinds.items()):
        folder = tmp_path / str(number)
        for file, content in kind.files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(content)
        if name.endswith(".yaml"):
            pytest.importorskip("yaml")
        kind.read(folder)


def test_an_input_is_made_of_seed_and_number_alone(kinds, tmp_path):
    made = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        fuzz_inputs.made(kinds["npz"], folder, random.Random("7:3"))
        made.append((folder / "d.npz").read_bytes())
    assert made[0] == made[1] != kinds["npz"].files["d.npz"]


@pytest.mark.parametrize(
    ("end", "counted"),
    [
        (lambda _: 1 / 0, "traceback: planted: ZeroDivisionError"),
        (lambda _: np.empty(2**45), "memory: planted"),
        (lambda _: time.sleep(9), "hang: planted"),
    ],
)
def test_what_is_planted_is_found_and_counted(end, counted, tmp_path, monkeypatch):
    kind = fuzz_inputs.Kind({"x": b"content"}, ("x",), end)
    monkeypatch.setattr(fuzz_options, "settings", lambda rng: end(None))
    monkeypatch.setattr(fuzz_options, "command", lambda folder, rng: end(None))
    monkeypatch.setattr(fuzz, "HANG", 0.1)
    before = fuzz.signal.signal(fuzz.signal.SIGALRM, fuzz._ring)
    try:
        found = fuzz.tried(1, 0, {"planted": kind}, tmp_path / "x")
    finally:
        fuzz.signal.signal(fuzz.signal.SIGALRM, before)
    kinds = "planted", "settings", "command"
    assert any(found.startswith(counted.replace("planted", name)) for name in kinds)
    account = fuzz.new_account(0)
    fuzzing = fuzz.Fuzzing.__new__(fuzz.Fuzzing)
    fuzzing.account = account
    fuzzing._note("planted", 1, found)
    assert sum(account[name] for name in ("tracebacks", "hangs", "over_memory")) == 1


def test_an_error_that_a_user_is_told_counts_as_nothing(tmp_path):
    def refuse(_):
        raise DataError("no")

    kind = fuzz_inputs.Kind({"x": b"content"}, ("x",), refuse)
    planted = dict.fromkeys(["planted"], kind)
    seen = [fuzz.tried(number, 3, planted, tmp_path / "x") for number in range(6)]
    assert seen == [None] * 6


# --- what was found, once for each kind ----------------------------------------------------------


def test_a_header_that_is_no_python_is_refused(tmp_path):
    np.save(tmp_path / "r.npy", np.zeros((4, 3)))
    content = (tmp_path / "r.npy").read_bytes()
    (tmp_path / "r.npy").write_bytes(content.replace(b"(4, 3)", b"(4, (("))
    with pytest.raises(ResponseError, match="cannot be read"):
        read_response(tmp_path / "r.npy")


@pytest.mark.parametrize("read", [read_response, read_labels, load_dataset])
def test_a_part_of_an_npz_that_is_no_array_is_refused(tmp_path, read):
    path = tmp_path / "r.npz"
    np.savez(path, x_train=np.zeros((4, 3)))
    with fuzz_inputs.zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.npy", b"no array")
        archive.writestr("logits.npy", b"no array")
    with pytest.raises((ResponseError, DataError), match="is not an array"):
        read(path)


def test_labels_that_are_no_utf8_are_refused(tmp_path):
    (tmp_path / "l.csv").write_bytes(b"id,label\n0,\xff\xfe\n1,b\n")
    with pytest.raises(DataError, match=r"l\.csv"):
        read_labels(tmp_path / "l.csv")


def test_a_name_of_a_column_that_is_no_utf8_is_refused(tmp_path):
    (tmp_path / "d.jsonl").write_bytes(b'{"a\xe1": 1, "label": "x"}\n')
    with pytest.raises(DataError, match="cannot be read as jsonl"):
        load_dataset(tmp_path / "d.jsonl")


def test_a_zero_byte_in_the_name_of_a_study_is_refused():
    with pytest.raises(StudyError, match="zero byte"):
        place_of("a\0b")


def test_an_absurd_temperature_of_another_tool_is_refused():
    with pytest.raises(ConfigError, match="temperature"):
        import_recipe("python train.py --distill kd --kd_T 9223372036854775807 -r 0.1 -a 0.9 -b 0")


def test_a_header_longer_than_a_field_of_csv_may_be_is_read(tmp_path):
    names = [f"f{number}" for number in range(30_000)]
    rows = "".join(",".join(["1.5", "2.5"] * 15_000) + f",{'ab'[n % 2]}\n" for n in range(2))
    (tmp_path / "d.csv").write_text(",".join([*names, "label"]) + "\n" + rows)
    content = (tmp_path / "d.csv").read_bytes()
    assert _delimiter(content) == ","
    assert _delimiter(content.replace(b",", b";")) == ";"


def test_the_doctor_sees_thousands_of_classes_in_seconds():
    numbers = np.random.default_rng(0).normal(size=(1500, 3)).astype("f")
    names = np.array([f"c{number}" for number in range(1500)])
    data = {"x_train": numbers, "y_train": names, "x_test": numbers + 1, "y_test": names}
    before = time.process_time()
    assert doctor(load_dataset(data)) is not None
    assert time.process_time() - before < 3  # a tree for each feature took 15 s
