import copy
import json

import pytest
import torch

from goodteacher.data import Dataset, Split, prepare
from goodteacher.errors import ModelError, PackageError
from goodteacher.networks import (
    Preparations,
    build_model,
    canonical_spec,
    identity_of,
    split_spec,
)
from goodteacher.networks.examination import examine
from goodteacher.training import StackingWarning, stack_networks
from tests.tiny_models import bert_configuration, write_model, write_roberta, write_tokenizer

pytest.importorskip("transformers", reason="needs goodteacher[hf]")

TEXTS = [f"my {thing} is {how} today" for thing in ("card", "money") for how in ("lost", "late")]
HEAD = ("classifier.weight", "classifier.bias")


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def data(training=TEXTS * 5, test=TEXTS * 2):
    parts = [
        Split.from_texts(texts, [n % 2 for n in range(len(texts))], ids)
        for texts, ids in (
            (training, range(len(training))),
            (test, range(1000, 1000 + len(test))),
            (TEXTS, range(2000, 2000 + len(TEXTS))),
        )
    ]
    return prepare(Dataset("made", parts[0], parts[1], ("a", "b"), parts[2]))


def network(folder, seed=0, **given):
    return Preparations(data(**given)).network(f"hf:{folder}", seed=seed)


def test_a_specification_may_have_any_path():
    for spec in ("hf:my models/bert base", "hf:runs@home/a:b@tokens:64", "hf:a@b", "hf:owner/name"):
        assert canonical_spec(spec) == spec
    assert canonical_spec("hf:models/bert/@tokens:064") == "hf:models/bert@tokens:64"
    assert split_spec("hf:runs@home/bert") == ("hf:runs@home/bert", "")
    with pytest.raises(ModelError, match="must be @tokens or @tokens:LENGTH"):
        canonical_spec("hf:models/bert@tokens:many")
    with pytest.raises(ModelError, match="malformed"):
        canonical_spec("hf:")


def test_a_path_with_odd_signs_is_read(tmp_path):
    folder = tmp_path / "a b@c:d"
    write_model(folder, TEXTS)
    made = network(f"{folder}@tokens:6")
    assert made(["my card"]).shape == (1, 2)
    assert made.preparation(["my card"])["input_ids"].shape == (1, 6)


def test_the_whole_is_drawn_from_the_seed_without_weights(tmp_path):
    write_model(tmp_path, TEXTS)
    one, same, other = (network(tmp_path, seed).module.state_dict() for seed in (0, 0, 1))
    embedding = "bert.embeddings.word_embeddings.weight"
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one[embedding], other[embedding])


def test_the_head_alone_is_drawn_from_the_seed_with_weights(tmp_path):
    write_model(tmp_path, TEXTS, weights=True)
    one, other = (network(tmp_path, seed).module.state_dict() for seed in (0, 1))
    changed = {name for name in one if not torch.equal(one[name], other[name])}
    assert changed == {"classifier.weight"}  # biases begin at zero
    stored = network_of(tmp_path).state_dict()
    assert all(torch.equal(one[name], stored[name]) for name in stored if name not in HEAD)


def network_of(folder):
    from transformers import BertForSequenceClassification

    return BertForSequenceClassification.from_pretrained(folder)


def test_a_head_of_other_classes_does_not_matter(tmp_path):
    write_model(tmp_path, TEXTS, weights=True, num_labels=7)
    assert network(tmp_path)(["my card"]).shape == (1, 2)


def test_seeds_that_share_weights_are_told(tmp_path):
    write_model(tmp_path, TEXTS, weights=True)
    networks, spec = Preparations(data()), f"hf:{tmp_path}"
    prepared = networks.of(spec).output(networks.data.spec)
    notes = examine(
        lambda seed: networks.network(spec, seed=seed).module,
        name=spec,
        num_classes=2,
        spec=prepared,
    )
    assert "of its weights from the same values for every seed" in "".join(notes)


def test_other_weights_are_another_identity(tmp_path):
    write_model(tmp_path, TEXTS, weights=True)
    before = identity_of(network(tmp_path).module)
    assert identity_of(network(tmp_path).module).difference(before) is None
    changed = network_of(tmp_path)
    with torch.no_grad():
        changed.bert.pooler.dense.weight.mul_(1.5)
    changed.save_pretrained(tmp_path)
    found = identity_of(network(tmp_path).module).difference(before)
    assert found == "its initial weights have changed"


def test_tokens_are_those_of_the_tokenizer(tmp_path):
    write_model(tmp_path, TEXTS)
    tokenizer = write_tokenizer(tmp_path, TEXTS)
    step = network(tmp_path).preparation
    length = max(len(ids) for ids in tokenizer(TEXTS)["input_ids"])
    texts = ["My card", "", "\ud800 odd", *TEXTS]
    clean = [text.encode("utf-8", "replace").decode() for text in texts]
    expected = tokenizer(
        clean, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
    )
    found = step(texts)
    assert found.keys() == expected.keys() == {"input_ids", "attention_mask", "token_type_ids"}
    assert all(torch.equal(found[name], expected[name]) for name in found)


def test_kept_tokens_are_compact_and_come_out_as_they_are_prepared(tmp_path):
    write_model(tmp_path, TEXTS)
    networks, spec = Preparations(data()), f"hf:{tmp_path}"
    split = networks.data.selection
    read, _ = networks.of(spec).read(split.texts)
    assert read.nbytes == 3 * read.spec.shapes["input_ids"][0] * len(split)  # a byte each
    rows = torch.arange(len(split))
    kept, anew = networks.examples(spec, split).inputs(rows), networks.of(spec)(split.texts)
    assert all(torch.equal(kept[name], anew[name]) for name in anew)
    assert {part.dtype for part in kept.values()} == {torch.int64}


def test_two_models_have_their_own_tokenizers_and_others_their_terms(tmp_path):
    write_model(tmp_path / "one", TEXTS)
    write_model(tmp_path / "two", ["aa bb cc"])
    networks = Preparations(data())
    one, two = (networks.of(f"hf:{tmp_path}/{name}") for name in ("one", "two"))
    assert not torch.equal(
        one(["my card"])["input_ids"][:, :4], two(["my card"])["input_ids"][:, :4]
    )
    assert networks.of("mlp:4")(["my card"]).is_floating_point()


def test_the_share_of_cut_texts_is_told(tmp_path):
    write_model(tmp_path, TEXTS)
    networks = Preparations(data())
    texts = ["my card is lost " * 4, *TEXTS, "late"] * 2
    split = Split.from_texts(texts, [0] * 12)
    notes = [*networks.notes(f"hf:{tmp_path}", {"test": split})]
    assert notes == [
        f"'hf:{tmp_path}' reads 7 tokens of a text: 2 of 12 test texts (16.7%) are longer and lose "
        "their end."
    ]


def test_the_longest_text_is_cut_at_the_limit_of_the_model(tmp_path):
    write_model(tmp_path, TEXTS, max_position_embeddings=5)
    assert network(tmp_path).preparation(["my card"])["input_ids"].shape == (1, 5)
    with pytest.raises(ModelError, match=r"the model takes at most 5. Use @tokens:5"):
        network(f"{tmp_path}@tokens:6")


@pytest.mark.parametrize(("padding", "limit"), [(0, 9), (1, 8), (4, 5)])
def test_positions_that_a_roberta_keeps_for_padding_are_no_room_for_tokens(
    tmp_path, padding, limit
):
    write_roberta(tmp_path, TEXTS, pad_token_id=padding)
    longest = "my card is lost " * 9
    made = network(f"{tmp_path}@tokens:{limit}")
    assert made.module(made.preparation([longest])).shape == (1, 2)
    with pytest.raises(ModelError, match=rf"the model takes at most {limit}. Use @tokens"):
        network(f"{tmp_path}@tokens:{limit + 1}")


def test_why_students_of_transformers_are_not_stacked_is_said_plainly(tmp_path):
    write_model(tmp_path, TEXTS)
    made = network(tmp_path)
    with pytest.warns(StackingWarning, match="a decorator wraps its forward") as told:
        stack_networks([made.module] * 2, example_input=made.preparation(TEXTS[:2]))
    assert "varnames" not in str(told[0].message)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ModelError, match="was not found: there is no folder"):
        network(tmp_path / "nowhere")


def test_a_model_that_cannot_be_fetched_is_refused():
    with pytest.raises(
        ModelError, match=r"'hf:nobody/nothing' has no .*that this machine can reach"
    ):
        network("nobody/nothing")


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    bert_configuration().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"has no tokenizer: none of tokenizer\.json"):
        network(tmp_path)


def test_a_tokenizer_without_padding_is_refused(tmp_path):
    write_model(tmp_path, TEXTS)
    file = tmp_path / "tokenizer_config.json"
    settings = json.loads(file.read_text())
    file.write_text(
        json.dumps({**settings, "pad_token": None, "tokenizer_class": "PreTrainedTokenizerFast"})
    )
    with pytest.raises(ModelError, match="has no padding token"):
        network(tmp_path)


def test_a_model_of_images_is_refused(tmp_path):
    from transformers import ViTConfig

    write_tokenizer(tmp_path, TEXTS)
    ViTConfig().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="does not classify texts"):
        network(tmp_path)


def test_weights_of_another_model_are_refused(tmp_path):
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    other = DistilBertForSequenceClassification(
        DistilBertConfig(vocab_size=200, dim=16, n_layers=1, n_heads=2, hidden_dim=24)
    )
    other.save_pretrained(tmp_path)
    write_model(tmp_path, TEXTS)  # writes the configuration of a BERT over it
    with pytest.raises(ModelError, match="are those of another model"):
        network(tmp_path)


def test_weights_of_another_size_are_refused(tmp_path):
    write_model(tmp_path, TEXTS, weights=True)
    bert_configuration(intermediate_size=30).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"are not those of its config.json: bert\.encoder"):
        network(tmp_path)


def test_cut_weights_are_refused(tmp_path):
    write_model(tmp_path, TEXTS, weights=True)
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(ModelError, match="has weights that cannot be read"):
        network(tmp_path)


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(tmp_path):
    write_model(tmp_path, TEXTS, vocab_size=9)
    with pytest.raises(ModelError, match="knows the tokens 0 to 8, but examples have tokens up to"):
        network(tmp_path)


def test_examples_of_no_known_kind_are_refused():
    with pytest.raises(ModelError, match="classifies texts, images or waveforms, but the examples"):
        build_model("hf:some/model", num_classes=2, inputs=(8, 8), seed=0)


def test_images_for_a_model_of_texts_are_refused(tmp_path):
    write_model(tmp_path, TEXTS)
    with pytest.raises(ModelError, match="does not classify images"):
        build_model(f"hf:{tmp_path}", num_classes=2, inputs=(3, 8, 8), seed=0)


def test_tokens_of_a_network_without_a_tokenizer_are_refused():
    with pytest.raises(ModelError, match="has no tokenizer that an @ could choose"):
        Preparations(data()).of("mlp:4@tokens:8")


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(PackageError, match=r"pip install 'goodteacher\[hf\]'"):
        network(tmp_path)


def test_a_network_and_its_copy_say_the_same(tmp_path):
    write_model(tmp_path, TEXTS)
    made = network(tmp_path).eval()
    assert torch.equal(copy.deepcopy(made)(TEXTS), made(TEXTS))
