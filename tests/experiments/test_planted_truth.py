"""What is planted is what it is said to be, and the verdict of a pool is that of `verify`."""

import json
from dataclasses import replace

import pytest
import torch

import planted_truth as experiment
from goodteacher import verify
from goodteacher.config import Training
from goodteacher.data import Split
from goodteacher.maths.similarity import similarity_information
from goodteacher.maths.targets import logits_of
from planted_responses import KINDS, WRONG, Case, Rest, draw_of, targets_of
from tests.made import arrays

CASE = Case(
    teacher="mlp:8",
    taught=1,
    epochs=1,
    student="mlp:4",
    training=Training(epochs=9, batch_size=32, learning_rate=0.01),
    temperature=2.0,
    transfer=120,
    selection=60,
    block=60,
    blocks=2,
    shares=(0.2, 0.6),
)
SEEDS = 6


@pytest.fixture(scope="module")
def rest():
    """Examples numbered on from 50, and a teacher that knows their classes and neighbours."""
    made = arrays(num_train=400)
    labels = torch.from_numpy(made["y_train"])
    ids = torch.arange(50, 50 + len(labels))
    split = Split.from_arrays(torch.from_numpy(made["x_train"]), labels, ids)
    near = torch.tensor([4.0, 2.0, -2.0, 1.0])
    noise = torch.randn(len(labels), 4, generator=torch.Generator().manual_seed(0))
    logits = near[(torch.arange(4) - labels[:, None]) % 4] + 0.5 * noise
    return Rest(split, logits, tuple("abcd"))


@pytest.fixture(scope="module")
def drawn(rest, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "SEEDS", SEEDS)
        patch.setattr(experiment, "SIZES", (3,))
        patch.setattr(experiment, "SHARES", (3,))
        patch.setattr(experiment, "EARLY", 3)
        patch.setattr(experiment, "SMOOTHINGS", (0.1, 0.3))
        folder = tmp_path_factory.mktemp("planted") / "draw"
        yield folder, experiment.run_draw(CASE, rest, 1, folder)


def targets(rest):
    return targets_of(CASE, rest.logits, rest.split.labels, 3)


def test_all_planted_responses_have_the_teachers_confidence(rest):
    softened = (rest.logits / CASE.temperature).softmax(1)
    rows = torch.arange(len(softened))
    for kind, target in targets(rest).items():
        assert torch.allclose(target.sum(1), torch.ones(len(target)), atol=1e-5), kind
        own = target[rows, rest.split.labels]
        assert torch.allclose(own, softened[rows, rest.split.labels], atol=1e-5), kind


def test_similarity_is_gone_kept_in_part_or_wrong(rest):
    labels = rest.split.labels
    found = {
        k: similarity_information(logits_of(t.float()), labels) for k, t in targets(rest).items()
    }
    total = {kind: each.total for kind, each in found.items()}
    assert total["confidence"] == pytest.approx(0, abs=1e-4)
    assert 0 < total["less"] < total["more"] < total["whole"]
    assert 0 < total["faintly_permuted"] < total["less"]
    assert 0 < total["faint_other_map"] < total["less"]
    for kind in ("permuted", "other_map"):
        assert total[kind] == pytest.approx(total["whole"], rel=1e-3)
    whole = targets(rest)["whole"]
    for kind in ("permuted", "other_map"):
        moved = targets(rest)[kind]
        assert torch.allclose(moved.sort(1).values, whole.sort(1).values, atol=1e-5)
        assert (moved - whole).abs().max() > 0.1


def test_a_map_is_one_for_each_class_and_an_order_one_for_each_example(rest):
    """Which class each class has its mass from, of the examples of class 0."""
    whole, of_class = targets(rest)["whole"], rest.split.labels == 0

    def sources(kind):
        moved = targets(rest)[kind][of_class]
        off = (moved[:, :, None] - whole[of_class][:, None, :]).abs()
        return {tuple(row) for row in off.argmin(2).tolist()}

    assert len(sources("other_map")) == 1
    assert sources("other_map") != {(0, 1, 2, 3)}
    assert len(sources("permuted")) > 3


def test_another_draw_plants_anew(rest):
    other = targets_of(CASE, rest.logits, rest.split.labels, 4)
    assert not torch.allclose(other["permuted"], targets(rest)["permuted"])
    assert torch.equal(other["whole"], targets(rest)["whole"])


def test_parts_of_a_draw_do_not_overlap_and_have_their_own_responses(rest):
    data = draw_of(CASE, rest, 1)
    ids = [set(split.ids.tolist()) for split in (data.train, data.validation, data.test)]
    assert [len(each) for each in ids] == [120, 60, 120]
    assert len(set.union(*ids)) == 300
    logits = rest.logits_of(data.train)
    place = int(data.train.ids[7]) - 50
    assert torch.equal(logits[7], rest.logits[place])
    assert set(draw_of(CASE, rest, 2).train.ids.tolist()) != ids[0]


def test_a_draw_has_a_verdict_of_each_kind_and_group(drawn):
    _, found = drawn
    assert len(found["verdicts"]) == len(KINDS) * SEEDS // 3
    assert len(found["early"]) == len(KINDS)
    assert {row["kind"] for row in found["verdicts"]} == set(KINDS)
    assert set(found["unfinished"]) == {"1", "3"}
    json.dumps(found)


@pytest.mark.parametrize("kind", ["other_map", "whole"])
def test_the_verdict_is_that_of_verify(drawn, rest, tmp_path, kind):
    """Of the planted response, brought as a user's own: the same students, the same rule."""
    folder, found = drawn
    data = draw_of(CASE, rest, 1)
    block = data.test.subset(torch.arange(CASE.block))
    target = targets_of(CASE, rest.logits_of(data.train), data.train.labels, 1)[kind]
    verdict = verify(
        replace(data, test=block),
        responses={
            "logits": logits_of(target.float(), temperature=CASE.temperature).numpy(),
            "ids": data.train.ids.numpy(),
        },
        student=CASE.student,
        out=tmp_path,
        temperature=CASE.temperature,
        student_epochs=CASE.training.epochs,
        student_batch_size=CASE.training.batch_size,
        student_learning_rate=CASE.training.learning_rate,
        smoothings=(0.1, 0.3),
        seeds=3,
        precision="float32",
        device="cpu",
    )
    (ours,) = [r for r in found["verdicts"] if (r["kind"], r["group"]) == (kind, 0)]
    assert ours["verdict"] == verdict.verdict
    search = experiment.resumed(folder / "study", data)
    pool = experiment.pool_of(search, CASE, CASE.training, 3)
    for rung in verdict.ladder:
        if rung.rung == 3:
            continue  # of this response, and ours is of the whole
        name = kind if rung.rung == 4 else rung.name
        right = pool.right[name][:, CASE.block_of(0)].mean()
        assert right == pytest.approx(rung.test_accuracy, abs=0.015), rung.name


def pool(right, count=4, unfinished=()):
    """Students of which a planted share is right, on 1,000 examples in two blocks."""
    torch.manual_seed(0)
    names = list(experiment.planted_arms(CASE))
    shares = {name: right.get(name, 0.5) for name in names}
    drawn = torch.rand(1, 1000)  # the same examples are easy for all
    made = {
        name: (drawn + 0.02 * torch.rand(count, 1000) < share).numpy()
        for name, share in shares.items()
    }
    selection = {name: each.mean(1) for name, each in made.items()}
    return experiment.Pool(made, selection, unfinished)


WIDE = replace(CASE, block=500)


def test_the_rule_sees_what_is_planted():
    where = slice(0, 4), slice(0, 500)
    found = pool({"whole": 0.8, "confidence": 0.5})
    assert experiment.verdict_of(found, WIDE, "whole", *where)["verdict"] == "knowledge"
    assert experiment.verdict_of(found, WIDE, "confidence", *where)["verdict"] != "knowledge"


def test_unfinished_students_are_refused_where_they_are_compared():
    where = slice(0, 4), slice(0, 500)
    lacking = pool({"whole": 0.8}, unfinished=("whole",))
    found = experiment.verdict_of(lacking, WIDE, "whole", *where)
    assert found == {"verdict": "undertrained", "rule": "knowledge"}
    assert experiment.verdict_of(lacking, WIDE, "permuted", *where)["verdict"] != "undertrained"
    shared = pool({"whole": 0.8}, unfinished=("one_hot",))
    assert experiment.verdict_of(shared, WIDE, "permuted", *where)["verdict"] == "undertrained"


def test_the_truth_uses_nothing_that_the_verdict_has_used():
    found = pool({"whole": 0.8})
    where = slice(0, 2), slice(0, 500)
    before = experiment.truth_of(found, WIDE, "whole", *where)
    assert before["gain"] == pytest.approx(0.3, abs=0.06)
    for each in found.right.values():
        each[:2] = False
        each[:, :500] = False
    assert experiment.truth_of(found, WIDE, "whole", *where) == before


def test_the_gain_is_over_the_best_regularizer():
    found = pool({"whole": 0.8, "label_smoothing_0.1": 0.75})
    truth = experiment.truth_of(found, WIDE, "whole", slice(0, 2), slice(0, 500))
    assert truth["knowledge"] == pytest.approx(0.3, abs=0.06)
    assert truth["gain"] == pytest.approx(0.05, abs=0.03)


def test_short_trainings_are_compared_with_three_times_the_epochs():
    pools = {1: pool({"whole": 0.9}), 3: pool({"whole": 0.8}), 9: pool({"whole": 0.5})}
    rows = list(experiment.judged_early(pools, WIDE, "whole"))
    assert [row["share"] for row in rows] == [3, 9]
    assert rows[0]["patience"] == pytest.approx(0.1, abs=0.05)
    assert rows[1]["patience"] == pytest.approx(0.3, abs=0.05)


def test_a_finished_draw_is_not_run_again(tmp_path, monkeypatch):
    (tmp_path / "banking77-1.json").write_text("{}")
    monkeypatch.setattr(experiment, "taught", lambda *_: pytest.fail("run again"))
    experiment.run("banking77", 1, tmp_path)


def test_what_is_collected_is_read_back(tmp_path):
    (tmp_path / "banking77-2.json").write_text(json.dumps({"draw": 2}))
    found = experiment.collected(tmp_path)
    assert found == {"fashion_mnist": [], "banking77": [{"draw": 2}]}
    assert json.loads(experiment.as_text(found)) == found


def test_what_is_planted_has_the_names_that_are_counted():
    found = set(targets_of(CASE, torch.randn(8, 4), torch.arange(8) % 4, 0))
    assert found == set(KINDS)
    assert found - set(WRONG) == {"less", "more", "whole"}
