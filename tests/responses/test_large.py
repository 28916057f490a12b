"""Responses that stay in their files: the numbers of those in memory, and little memory."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from goodteacher import distill, read_response, score, similarity_information
from goodteacher.data import load_dataset
from goodteacher.errors import ResponseError
from goodteacher.maths import _sums, calibration, rows
from goodteacher.maths.class_order import find_class_order
from goodteacher.maths.rows import LazyRows, concatenated
from goodteacher.responses import _arrays, save_arrays, stored, write_response
from goodteacher.students import running
from goodteacher.studies import RESPONSE_FILE

N, C = 300, 12
LABELS = torch.randint(C, (N,), generator=torch.Generator().manual_seed(0))


def logits(dtype=torch.float16):
    noise = torch.randn(N, C, generator=torch.Generator().manual_seed(1))
    return (noise + 2 * torch.nn.functional.one_hot(LABELS, C)).to(dtype)


@pytest.fixture
def small_memory(monkeypatch):
    """Make every response a large one."""
    monkeypatch.setattr(stored, "MOST_IN_MEMORY", 10)
    monkeypatch.setattr(_arrays, "_MAPPED_FROM", 10)


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(rows, "AT_ONCE", 7 * C)


def numbers(measurement):
    return measurement.model_dump(exclude={"split"})


def written(folder, values, kind):
    path = folder / f"teacher.{kind}"
    if kind == "npy":
        np.save(path, values.numpy())
    else:
        save_file({"logits": values}, path)
    return path


@pytest.mark.parametrize("kind", ["npy", "safetensors"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_a_file_is_scored_as_its_numbers_in_memory(tmp_path, monkeypatch, kind, dtype):
    path = written(tmp_path, logits(dtype), kind)
    expected = score(path, labels=LABELS)
    monkeypatch.setattr(stored, "MOST_IN_MEMORY", 10)
    monkeypatch.setattr(_arrays, "_MAPPED_FROM", 10)
    response = read_response(path)
    assert isinstance(response.logits, LazyRows)
    assert response.logits.dtype == (dtype if dtype != torch.float64 else torch.float32)
    assert torch.equal(response.in_memory(), logits(dtype).float())
    assert score(path, labels=LABELS) == expected


def test_probabilities_in_a_large_file_are_those_in_memory(tmp_path, monkeypatch):
    np.save(tmp_path / "p.npy", logits(torch.float32).softmax(1).half().numpy())
    small = read_response(tmp_path / "p.npy", probabilities=True)
    monkeypatch.setattr(stored, "MOST_IN_MEMORY", 10)
    large = read_response(tmp_path / "p.npy", probabilities=True)
    assert isinstance(large.logits, LazyRows)
    assert torch.equal(large.in_memory(), small.in_memory())
    assert large.notes == small.notes


def test_truncated_probabilities_are_spread_where_rows_are_read(tmp_path, monkeypatch):
    p = logits(torch.float32).softmax(1)
    p = torch.where(p >= p.topk(3).values[:, -1:], p, 0.0)
    np.save(tmp_path / "p.npy", p.numpy())
    small = read_response(tmp_path / "p.npy", probabilities=True)
    monkeypatch.setattr(stored, "MOST_IN_MEMORY", 10)
    large = read_response(tmp_path / "p.npy", probabilities=True)
    assert "contains the 3 largest" in large.notes[0]
    assert torch.equal(large.in_memory(), small.in_memory())
    assert isinstance(large.logits, LazyRows)


@pytest.mark.parametrize(("value", "count"), [(np.inf, 1), (np.nan, 1)])
def test_float16_that_overflowed_is_refused(tmp_path, small_memory, small_chunks, value, count):
    wrong = logits()
    wrong[250, 3] = value
    path = written(tmp_path, wrong, "npy")
    with pytest.raises(ResponseError, match=rf"{count} of {N} rows .*half precision"):
        read_response(path)


def test_an_impossible_class_of_a_large_file_is_probability_zero(tmp_path, small_memory):
    sparse = logits().index_fill(1, torch.tensor([5]), -torch.inf)
    path = written(tmp_path, sparse, "npy")
    assert bool((read_response(path).logits[:4][:, 5] == -torch.inf).all())


@pytest.mark.parametrize("kind", ["npy", "safetensors"])
def test_a_large_file_that_was_cut_is_refused(tmp_path, small_memory, kind):
    path = written(tmp_path, logits(), kind)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ResponseError, match="cannot be read as"):
        read_response(path)


def test_rows_are_taken_by_id_from_the_file(tmp_path, small_memory):
    moved = torch.randperm(N, generator=torch.Generator().manual_seed(2))
    save_file({"logits": logits()[moved], "ids": moved}, tmp_path / "r.safetensors")
    response = read_response(tmp_path / "r.safetensors")
    wanted = torch.tensor([7, 250, 3])
    taken = response.aligned_to(wanted)
    assert isinstance(taken, LazyRows)
    assert torch.equal(taken.whole(), logits()[wanted].float())
    some = torch.arange(0, N, 2)
    found = score(response, labels=torch.where(torch.isin(torch.arange(N), some), LABELS, -1))
    assert found.num_examples == len(some)
    expected = score(logits()[some].float(), labels=LABELS[some])
    for one, other in zip(found.measurements, expected.measurements, strict=True):
        assert numbers(one) == pytest.approx(numbers(other), rel=1e-8)


def test_half_precision_stays_half_where_it_is_written_again(tmp_path, small_memory):
    path = written(tmp_path, logits(), "npy")
    response = read_response(path)
    write_response(tmp_path / "again.safetensors", response)
    again = read_response(tmp_path / "again.safetensors")
    assert again.logits.dtype == torch.float16
    assert torch.equal(again.in_memory(), response.in_memory())
    size = (tmp_path / "again.safetensors").stat().st_size
    assert 2 * N * C < size < 2 * N * C + 500


def test_arrays_are_written_as_safetensors_writes_them(tmp_path):
    arrays = {"a": torch.randn(3, 5).half(), "ids": torch.arange(3), "b": torch.randn(2)}
    save_arrays(tmp_path / "ours", arrays, {"note": "x"})
    with safe_open(tmp_path / "ours", "pt") as file:
        assert file.metadata() == {"note": "x"}
        assert {name: file.get_tensor(name).tolist() for name in file.keys()} == {  # noqa: SIM118
            name: array.tolist() for name, array in arrays.items()
        }


def test_responses_one_after_another(tmp_path, small_memory):
    lazy = read_response(written(tmp_path, logits(), "npy")).logits
    joined = concatenated([logits().float()[:20], lazy, lazy.selected(torch.tensor([4, 2]))])
    expected = torch.cat([logits()[:20], logits(), logits()[torch.tensor([4, 2])]]).float()
    assert torch.equal(joined.whole(), expected)
    order = torch.randperm(len(expected), generator=torch.Generator().manual_seed(3))[:50]
    assert torch.equal(joined[order], expected[order])


# --- measured in pieces --------------------------------------------------------------------------


def test_pieces_measure_what_the_whole_does(monkeypatch):
    labels = torch.where(torch.arange(N) % 5 == 0, -1, LABELS)
    whole = similarity_information(logits(), labels, temperature=2.0)
    expected = score(logits().float(), labels=LABELS)
    monkeypatch.setattr(rows, "AT_ONCE", 7 * C)
    monkeypatch.setattr(_sums, "CELLS", 5 * C)  # classes are summed five at a time
    found = similarity_information(logits(), labels, temperature=2.0)
    torch.testing.assert_close(found.matrix, whole.matrix, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(found.per_example, whole.per_example, rtol=1e-14, atol=0)
    assert found.class_part == pytest.approx(whole.class_part, rel=1e-12)
    again = score(logits().float(), labels=LABELS)
    for one, other in zip(again.measurements, expected.measurements, strict=True):
        assert numbers(one) == pytest.approx(numbers(other), rel=1e-8)


def test_masses_of_any_size_are_added_up_in_pieces(monkeypatch):
    gaps = torch.tensor([900.0, 5.0, 2000.0, 100.0], dtype=torch.float64)
    some = torch.tensor([0.0, -1.0, -2.0, -3.0], dtype=torch.float64).repeat(4, 1)
    some[:, 0] = gaps
    whole = similarity_information(some, torch.zeros(4, dtype=torch.long))
    monkeypatch.setattr(rows, "AT_ONCE", 4)
    found = similarity_information(some, torch.zeros(4, dtype=torch.long))
    torch.testing.assert_close(found.matrix, whole.matrix, rtol=1e-12, atol=0)
    assert found.matrix[0].sum() == pytest.approx(1.0)


@pytest.mark.parametrize("scale", [0.2, 3.0])
def test_the_best_temperature_of_many_is_that_of_all(monkeypatch, small_chunks, scale):
    values = scale * logits(torch.float64)
    values[4, (LABELS[4] + 1) % C] = 30.0
    values[9, LABELS[9]] = -torch.inf  # costs the same at every temperature
    exact = calibration.best_temperature(values, LABELS)
    monkeypatch.setattr(calibration, "_WHOLE", 10)
    monkeypatch.setattr(calibration, "_SAMPLE", 20 * C)
    found = calibration.best_temperature(values, LABELS)
    assert found.value == pytest.approx(exact.value, rel=1e-6)
    monkeypatch.setattr(calibration, "_PASSES", 0)  # where Newton's method does not end
    assert calibration.best_temperature(values, LABELS).value == pytest.approx(
        exact.value, rel=1e-6
    )


def test_limits_are_told_of_large_responses_too(monkeypatch):
    monkeypatch.setattr(calibration, "_WHOLE", 10)
    perfect = torch.nn.functional.one_hot(LABELS, C).float()
    assert calibration.best_temperature(perfect, LABELS).limit == "zero"
    assert calibration.best_temperature(-perfect, LABELS).limit == "infinity"


# --- very many classes ---------------------------------------------------------------------------


def test_two_examples_of_very_many_classes_need_no_matrix():
    wide = torch.randn(2, 40_000, generator=torch.Generator().manual_seed(0))
    found = score(wide, labels=torch.tensor([5, 77]))
    assert all(m.similarity == pytest.approx(m.class_part) for m in found.measurements)
    information = similarity_information(wide, torch.tensor([5, 77]))
    with pytest.raises(ResponseError, match=r"more than 1 GiB \(from 11,586 classes on\)"):
        _ = information.matrix


def test_classes_that_nobody_names_do_not_count_in_an_order():
    labels = torch.tensor([3, 900_000, 70]).repeat(20)
    order = find_class_order(torch.tensor([900_000, 70, 3]).repeat(20), labels, 1_000_000)
    assert order is not None
    assert order.moved == (3, 70, 900_000)
    assert [order.column_of[c] for c in order.moved] == [900_000, 3, 70]


# --- students ------------------------------------------------------------------------------------


def test_students_of_a_response_in_its_file_are_those_of_one_in_memory(tmp_path, monkeypatch):
    labels = load_dataset("digits").train.labels
    noise = torch.randn(len(labels), 10, generator=torch.Generator().manual_seed(0))
    path = written(tmp_path, (3 * torch.nn.functional.one_hot(labels, 10) + noise).half(), "npy")
    settings = {"student": "mlp:8", "student_epochs": 2, "student_learning_rate": 0.01}
    small = distill("digits", responses=path, out=tmp_path / "small", **settings)
    monkeypatch.setattr(stored, "MOST_IN_MEMORY", 10)
    monkeypatch.setattr(_arrays, "_MAPPED_FROM", 10)
    held = []
    monkeypatch.setattr(running, "target_memory", lambda *_, **__: held.append(0) or 0.0)
    large = distill("digits", responses=path, out=tmp_path / "large", **settings)
    assert held
    assert large.model_dump(exclude={"folder"}) == small.model_dump(exclude={"folder"})
    weights = [load_file(tmp_path / n / "student/model.safetensors") for n in ("small", "large")]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    # In its own folder, too, the response is kept as precise as it was, and no more.
    with safe_open(tmp_path / "large" / RESPONSE_FILE, "pt") as file:
        assert file.get_slice("logits").get_dtype() == "F16"


# --- memory --------------------------------------------------------------------------------------

_MEASURED = """
import json, sys, threading
from pathlib import Path
import torch
from goodteacher import score
from goodteacher.maths import calibration, rows
from goodteacher.responses import stored, values

def own():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))

score(torch.randn(30, 3), labels=torch.arange(30) % 3)  # loads what is loaded when it is needed
stored.MOST_IN_MEMORY, calibration._WHOLE, rows.AT_ONCE = 2**20, 2**20, 2**16
calibration._SAMPLE = values._EXAMINED = 2**17
before, peak, ended = own(), 0.0, threading.Event()
def watch():
    global peak
    while not ended.wait(0.005):
        peak = max(peak, own() - before)
watcher = threading.Thread(target=watch)
watcher.start()
found = score(sys.argv[1], labels=sys.argv[2], temperatures=(1.0,))
ended.set()
watcher.join()
print(json.dumps({"peak": peak, "examples": found.num_examples}))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_a_large_file_is_scored_within_a_part_of_its_size(tmp_path):
    count, classes = 10_000, 500
    file = np.lib.format.open_memmap(
        tmp_path / "r.npy", mode="w+", dtype=np.float16, shape=(count, classes)
    )
    block = np.random.default_rng(0).standard_normal((2000, classes), dtype=np.float32)
    for first in range(0, count, 2000):
        file[first : first + 2000] = np.roll(block, first // 2000, axis=1)
    file.flush()
    np.save(tmp_path / "l.npy", np.arange(count) % classes)
    command = [sys.executable, "-c", _MEASURED, tmp_path / "r.npy", tmp_path / "l.npy"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(ended.stdout)
    assert found["examples"] == count
    # All numbers take 40 MB in float64, and measuring them at once made ten copies.
    assert found["peak"] < 30
