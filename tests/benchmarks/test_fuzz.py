"""What the fuzzer found, each kind once; and that it finds what is planted."""

import json
import multiprocessing
import os
import random
import threading
import time
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from benchmarks import fuzz, fuzz_inputs, fuzz_models, fuzz_options
from goodteacher.data import doctor, load_dataset
from goodteacher.data.bounds import at_most
from goodteacher.data.csv_files import _delimiter
from goodteacher.data.table_bounds import check_parquet
from goodteacher.errors import ConfigError, DataError, ResponseError, StudyError
from goodteacher.networks.encoding import WordColumn
from goodteacher.public.recipes.importing import import_recipe
from goodteacher.responses import read_labels, read_response
from goodteacher.studies import place_of
from goodteacher.teachers.checkpoints import epochs_of, find_checkpoints, read_checkpoint


@pytest.fixture(scope="module")
def kinds():
    return fuzz_inputs.kinds()


@pytest.fixture(scope="module")
def kinds_of_networks(tmp_path_factory):
    return fuzz_models.kinds(tmp_path_factory.mktemp("networks"))


def test_every_kind_is_read_as_it_is_when_nothing_is_changed(kinds, kinds_of_networks, tmp_path):
    for number, (name, kind) in enumerate({**kinds, **kinds_of_networks}.items()):
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
        (lambda _: time.sleep(9), "hang: planted"),  # as who waits for a pipe
        (lambda _: _busy_for(9), "hang: planted"),
        (lambda _: _hidden(MemoryError()), "memory: planted"),
    ],
)
def test_what_is_planted_is_found_and_counted(end, counted, tmp_path, monkeypatch):
    kind = fuzz_inputs.Kind({"x": b"content"}, ("x",), end)
    monkeypatch.setattr(fuzz_options, "settings", lambda rng: end(None))
    monkeypatch.setattr(fuzz_options, "command", lambda folder, rng, kinds: end(None))
    monkeypatch.setattr(fuzz, "HANG", 0.1)
    monkeypatch.setattr(fuzz, "WAIT", 0.5)
    rings = [fuzz.signal.SIGALRM, fuzz.signal.SIGPROF]
    before = [fuzz.signal.signal(ring, fuzz._ring) for ring in rings]
    try:
        found = fuzz.tried(1, 0, {"planted": kind}, tmp_path / "x")
    finally:
        for ring, handler in zip(rings, before, strict=True):
            fuzz.signal.signal(ring, handler)
    kinds = "planted", "settings", "command"
    assert any(found.startswith(counted.replace("planted", name)) for name in kinds)
    fuzzing = fuzz.Fuzzing.__new__(fuzz.Fuzzing)
    fuzzing.account, fuzzing.kinds = fuzz.new_account(0), {"planted": kind}
    fuzzing._note(1, found, 0.0)
    assert sum(fuzzing.account[name] for name in ("tracebacks", "hangs", "over_memory")) == 1


def _busy_for(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def _hidden(error):
    """Call a lack of memory a damaged file, as readers do."""
    try:
        raise error
    except MemoryError as beyond:
        raise DataError("Is it damaged?") from beyond


def _planted(monkeypatch, ends, limit, workers=2):
    """Fuzz in processes; inputs end as `ends` says by their number, all others well."""
    monkeypatch.setattr(fuzz, "one", lambda number, *_: ends.get(number, int)())
    fuzzing = fuzz.Fuzzing(fuzz.new_account(5), workers, {"planted": None}, limit)
    fuzzing.run(until=time.time() + 60)
    return fuzzing.account


def test_every_input_is_tried_once_whatever_ends_a_worker(monkeypatch):
    monkeypatch.setattr(fuzz, "RENEWED", 7)
    account = _planted(
        monkeypatch, {3: lambda: os._exit(9), 4: lambda: os.kill(os.getpid(), 9)}, 50
    )
    assert account["inputs"] == sum(kind["inputs"] for kind in account["kinds"].values()) == 50
    ends = {name.rpartition(" ")[2]: seen for name, seen in account["found"].items()}
    assert ends == {"9": {"times": 1, "first": 3}, "-9": {"times": 1, "first": 4}}
    assert account["tracebacks"] == 2


def test_an_input_that_something_was_found_with_is_kept(monkeypatch, tmp_path):
    kind = fuzz_inputs.Kind({"x": b"content"}, ("x",), lambda folder: 1 / 0)
    monkeypatch.setattr(fuzz_options, "settings", lambda rng: None)
    monkeypatch.setattr(fuzz_options, "command", lambda *_: os._exit(9))
    out = tmp_path / "fuzz.json"
    account = fuzz.new_account(5)
    fuzz.Fuzzing(account, 1, {"planted": kind}, 12, out).run(until=time.time() + 60)
    tried = [fuzz.kind_of(number, 5, {"planted": kind})[0] for number in range(12)]
    kept = sorted(int(folder.name) for folder in (tmp_path / "fuzz.inputs").iterdir())
    assert {number for number, name in enumerate(tried) if name == "planted"} <= {*kept}
    assert json.loads(out.read_text())["inputs"] == 12


def test_an_account_goes_on_where_it_stopped(monkeypatch):
    monkeypatch.setattr(fuzz, "one", lambda number, *_: number if number < 20 else 1 / 0)
    account = {**fuzz.new_account(5), "inputs": 15}
    fuzz.Fuzzing(account, 1, {"planted": None}, 22).run(until=time.time() + 60)
    assert account["inputs"] == 22
    assert [seen["first"] for seen in account["found"].values()] <= [20, 21]
    assert account["tracebacks"] == 2


def _asks_for_memory(found):
    fuzz.limit_memory()
    threads = [threading.Thread(target=int) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.empty(2**27)
    try:
        np.empty(2**29)
    except MemoryError:
        found.put("refused")


def test_memory_beyond_the_limit_is_refused_and_threads_are_not():
    context = multiprocessing.get_context("fork")
    found = context.SimpleQueue()
    asking = context.Process(target=_asks_for_memory, args=(found,))
    asking.start()
    asking.join()
    assert asking.exitcode == 0
    assert not found.empty()


def test_commands_read_settings_and_data_and_train_nothing(tmp_path, monkeypatch, capsys):
    studies = {"study": fuzz_inputs.Kind({}, (), print)}
    given = ["search", "d.csv", "--teacher", "mlp:8", "--student", "mlp:4", "--out", "out"]
    monkeypatch.setattr(fuzz_options, "arguments", lambda rng: given)
    fuzz_options.command(tmp_path / "x", random.Random(0), {**fuzz_inputs.kinds(), **studies})
    assert "Nothing is trained here." in capsys.readouterr().err
    assert not (tmp_path / "x" / "out").exists()


def test_every_command_is_given_options(kinds):
    made = [fuzz_options.arguments(random.Random(number)) for number in range(200)]
    assert {each[0] for each in made} == {*fuzz_options.commands().commands}
    assert any("d.csv" in each for each in made)


def test_an_error_that_a_user_is_told_counts_as_nothing(tmp_path, monkeypatch):
    def refuse(_):
        raise DataError("no")

    kind = fuzz_inputs.Kind({"x": b"content"}, ("x",), refuse)
    planted = dict.fromkeys(["planted"], kind)
    monkeypatch.setattr(fuzz_options, "settings", refuse)
    monkeypatch.setattr(fuzz_options, "command", lambda folder, rng, kinds: refuse(rng))
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


def test_a_parquet_file_whose_declarations_would_end_the_process_is_refused(tmp_path):
    """pyarrow ends the process where such a declaration is asked for; only reading may raise."""
    path = tmp_path / "d.parquet"
    pq.write_table(pa.table({"a": ["x", "y"] * 8}), path)
    content = path.read_bytes()
    check_parquet(path)
    footer = int.from_bytes(content[-8:-4], "little")
    refused = 0
    for place in range(-8 - footer, -8):
        damaged = bytearray(content)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        try:
            check_parquet(path)
        except (pa.ArrowException, OSError, ValueError, DataError):
            refused += 1
    assert 0 < refused < footer


@pytest.mark.parametrize("content", [b"\x80\x02.", b"\x80\x02e.", b"\x80\x02X\xff", b"(lp0\n."])
def test_a_checkpoint_of_any_bytes_is_refused(tmp_path, content):
    path = tmp_path / "epoch-1.pt"
    torch.save({"weight": torch.eye(2)}, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, inner in members.items():
            archive.writestr(name, content if name.endswith("data.pkl") else inner)
    with pytest.raises(StudyError, match=r"epoch-1\.pt"):
        read_checkpoint(path)


def test_a_checkpoint_that_unpacks_to_more_than_fits_is_refused(tmp_path):
    path = tmp_path / "epoch-1.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(2**24))
    with at_most(0.01), pytest.raises(StudyError, match="GiB"):
        read_checkpoint(path)


@pytest.mark.parametrize("epoch", ["Infinity", "-Infinity", "NaN", "1e999"])
def test_an_epoch_that_is_no_number_is_unknown(tmp_path, epoch):
    save_file({"weight": torch.eye(2)}, tmp_path / "model.safetensors")
    (tmp_path / "trainer_state.json").write_text(f'{{"epoch": {epoch}}}')
    (found,) = find_checkpoints([str(tmp_path)])
    with pytest.raises(ConfigError, match="epoch"):
        epochs_of([found], [read_checkpoint(found.path)], None)


@pytest.mark.parametrize(
    "change", [{"width": 2**64 - 1}, {"width": 3}, {"places": (5, 0)}, {"places": (-7, 1)}]
)
def test_columns_of_words_that_nobody_names_are_refused(change):
    right = {"name": "colour", "width": 2, "unseen": -1, "missing": -1, "places": (1, 0)}
    assert WordColumn(**right).width == 2
    with pytest.raises(ValueError, match="'colour' become"):
        WordColumn(**{**right, **change})


@pytest.mark.parametrize("column", ["label", "split", "word"])
@pytest.mark.parametrize("read", [load_dataset, read_response])
def test_texts_of_parquet_that_are_no_utf8_are_refused(tmp_path, column, read):
    path = tmp_path / "d.parquet"
    rows = {"word": ["here", "there"] * 8, "label": ["aaaa", "bbbb"] * 8}
    table = pa.table({"x": np.arange(16.0), **rows, "split": ["train"] * 10 + ["test"] * 6})
    pq.write_table(table, path, compression="none", use_dictionary=False, write_statistics=False)
    damaged = {"label": b"aaaa", "split": b"train", "word": b"there"}[column]
    path.write_bytes(path.read_bytes().replace(damaged, b"\xff\xfe" + damaged[2:]))
    with pytest.raises((DataError, ResponseError), match=r"(?i)d\.parquet.*utf-?8"):
        read(path)


@pytest.mark.parametrize("shards", [[1, "a"], [["a"], "b"], "ab", None, [None, 1.5], ["n" * 300]])
def test_an_index_of_a_checkpoint_that_names_no_files_is_refused(tmp_path, shards):
    named = dict(enumerate(shards)) if isinstance(shards, list) else shards
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": named}))
    with pytest.raises(StudyError):
        [read_checkpoint(found.path) for found in find_checkpoints([str(tmp_path)])]
