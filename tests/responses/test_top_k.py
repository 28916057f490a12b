"""The k largest classes of a response: what is lost is what was planted, and nothing else moves."""

from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import load_file, save_file

from goodteacher import Recorder, read_response, score
from goodteacher.errors import ResponseError
from goodteacher.responses import Response, keep_top, stored, write_response
from goodteacher.teachers import RecordedRun


def planted(mass, share, num_classes=10, k=3, count=40):
    """Return log-probabilities: k classes share 1 - mass, two of the others share the mass."""
    generator = torch.Generator().manual_seed(0)
    rows = []
    for _ in range(count):
        order = torch.randperm(num_classes, generator=generator)
        p = torch.zeros(num_classes, dtype=torch.float64)
        p[order[:k]] = (1 - mass) * torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
        p[order[k]], p[order[k + 1]] = mass * share, mass * (1 - share)
        rows.append(p)
    return torch.stack(rows).log()


def random_logits(count=60, num_classes=20, scale=3.0):
    generator = torch.Generator().manual_seed(1)
    return scale * torch.randn(count, num_classes, generator=generator)


def at_one(response, labels):
    (found,) = (m for m in score(response, labels=labels).measurements if m.temperature == 1)
    return found


def divergence(logits, kept, temperature):
    p, s = ((z.double() / temperature).log_softmax(1) for z in (logits, kept))
    return float((p.exp() * (p - s)).sum(1).mean())


@pytest.mark.parametrize(("mass", "share"), [(0.08, 0.75), (0.02, 0.5)])
def test_what_is_lost_is_what_the_others_say_beyond_an_even_spread(mass, share):
    kept = keep_top(planted(mass, share), 3)
    entropy = -(share * math.log(share) + (1 - share) * math.log(1 - share))
    # Float16 moves the probabilities of the kept classes by up to a part in a thousand.
    assert kept.lost == pytest.approx(mass * (math.log(7) - entropy), abs=3e-6)
    assert kept.lost == kept.lost_at_one
    probs = kept.logits.softmax(1)
    top = planted(mass, share).topk(3).indices
    others = 1 - probs.gather(1, top).sum(1)
    assert torch.allclose(others, torch.full_like(others, mass), rtol=2e-3)


def test_a_tail_that_is_even_already_loses_nothing():
    logits = torch.full((5, 8), -3.0)
    logits[:, 2], logits[:, 5] = 4.0, 1.0
    assert keep_top(logits, 2).lost == pytest.approx(0.0, abs=1e-6)
    assert keep_top(random_logits(), 19).lost == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_others_have_at_the_students_temperature_what_they_had(temperature):
    logits = random_logits()
    kept = keep_top(logits, 4, temperature=temperature)
    top = logits.topk(4).indices

    def others(z, t):
        return 1 - (z.double() / t).softmax(1).gather(1, top).sum(1)

    corrected = others(kept.logits, temperature)
    torch.testing.assert_close(corrected, others(logits, temperature), rtol=3e-3, atol=1e-4)
    assert kept.lost == pytest.approx(divergence(logits, kept.logits, temperature), rel=1e-4)
    assert kept.lost_at_one == pytest.approx(divergence(logits, kept.logits, 1.0), rel=1e-4)


def test_a_spread_fitted_elsewhere_has_too_much_and_loses_more():
    logits = random_logits()
    at_one, at_four = (keep_top(logits, 4, temperature=t) for t in (1.0, 4.0))
    assert divergence(logits, at_one.logits, 4.0) > 1.05 * at_four.lost
    assert at_four.lost_at_one > 1.05 * at_one.lost


def test_zero_probabilities_stay_zero():
    logits = torch.full((12, 6), -torch.inf)
    logits[:, :2] = 0.0
    kept = keep_top(logits, 3)
    assert kept.lost == pytest.approx(0.0, abs=1e-9)
    assert bool((kept.logits[:, 3:] == -torch.inf).all())


def test_a_file_of_the_largest_reads_back_and_says_what_it_lost(tmp_path):
    logits, ids = random_logits(), torch.arange(60).flip(0)
    path = tmp_path / "teacher.safetensors"
    kept = write_response(path, Response(logits, ids), top_k=4, temperature=2.0)
    found = read_response(path)
    assert torch.equal(found.logits, kept.logits)
    assert torch.equal(found.ids, ids)
    assert "keeps the 4 most probable of 20 classes" in found.notes[0]
    assert f"{kept.lost:.6g} nats per example" in found.notes[0]
    assert load_file(path)["top_values"].dtype == torch.float16
    assert path.stat().st_size < 60 * (4 * 6 + 4 + 8) + 1000
    labels = logits.argmax(1).flip(0)
    again, truth = at_one(found, labels), at_one(Response(logits, ids), labels)
    assert again.accuracy == truth.accuracy == 1.0
    assert 0 < truth.nll - again.nll < 0.5  # fitted at T = 2, the others have too little at 1


def test_a_large_one_stays_in_its_file_and_says_the_same(tmp_path, monkeypatch):
    path = tmp_path / "teacher.safetensors"
    write_response(path, Response(random_logits(), torch.arange(60)), top_k=4)
    small = read_response(path)
    monkeypatch.setattr(stored, "MOST_IN_MEMORY", 100)
    large = read_response(path)
    assert not isinstance(large.logits, torch.Tensor)
    assert torch.equal(large.in_memory(), small.logits)
    labels = small.logits.argmax(1)
    assert score(large, labels=labels) == score(path, labels=labels)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"top_values": None}, "but not top_values"),
        ({"top_classes": torch.full((60, 4), 20, dtype=torch.int32)}, r"outside 0\.\.19"),
        ({"top_rest": torch.zeros(3)}, "do not fit"),
        ({"top_rest": torch.full((60,), torch.nan)}, "NaN or infinity"),
    ],
)
def test_damaged_files_of_the_largest_are_refused(tmp_path, change, words):
    path = tmp_path / "teacher.safetensors"
    write_response(path, Response(random_logits(), torch.arange(60)), top_k=4)
    arrays = {**load_file(path), **change}
    save_file(
        {name: array for name, array in arrays.items() if array is not None},
        path,
        metadata={"num_classes": "20"},
    )
    with pytest.raises(ResponseError, match=words):
        read_response(path)


def test_a_file_without_its_number_of_classes_is_refused(tmp_path):
    path = tmp_path / "teacher.safetensors"
    write_response(path, Response(random_logits(), torch.arange(60)), top_k=4)
    save_file(load_file(path), path)
    with pytest.raises(ResponseError, match="but not num_classes in its header"):
        read_response(path)


@pytest.mark.parametrize("k", [0, 20, 30])
def test_other_numbers_of_classes_are_refused(k):
    with pytest.raises(ResponseError, match=r"top_k must be in 1\.\.19"):
        keep_top(random_logits(), k)
    with pytest.raises(ResponseError, match="temperature must be positive"):
        keep_top(random_logits(), 4, temperature=0.0)


def test_a_recorded_run_of_the_largest_is_measured_as_it_is_stored(tmp_path):
    recorder = Recorder(tmp_path / "run", "digits", top_k=3)
    generator = torch.Generator().manual_seed(0)
    parts = {"transfer": recorder.transfer, "selection": recorder.selection}
    logits = {
        name: 3 * torch.nn.functional.one_hot(part.split.labels, 10)
        + torch.randn(len(part), 10, generator=generator)
        for name, part in parts.items()
    }
    record = recorder.record(logits=logits, epoch=1)
    assert recorder.record(logits=logits, epoch=1) == record  # the same numbers, once more
    run = RecordedRun.open(tmp_path / "run")
    said = run.response(1, "transfer", recorder.transfer.split)
    assert torch.equal(said, keep_top(logits["transfer"], 3).logits)
    assert len(said[0].unique()) == 4
    labels = recorder.transfer.split.labels
    measured = at_one(Response(said, torch.arange(len(said))), labels)
    of_run = {m.temperature: m for m in record.measurements if m.split == "transfer"}[1.0]
    assert measured.similarity == pytest.approx(of_run.similarity, rel=1e-6)
    whole = at_one(logits["transfer"], labels)
    assert measured.similarity < whole.similarity - 0.01
