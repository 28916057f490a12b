"""Small models of transformers made on the spot, for tests: nothing is fetched."""

import json
from importlib.util import find_spec

import pytest

HAS_TRANSFORMERS = find_spec("transformers") is not None
"""Whether models of Hugging Face can be made here: goodteacher[hf]."""


def write_tokenizer(folder, texts, **settings):
    """Train a WordPiece tokenizer on texts and save it as users do."""
    transformers = pytest.importorskip("transformers", reason="needs goodteacher[hf]")
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=200, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    fast = transformers.BertTokenizerFast(tokenizer_object=tokenizer, **settings)
    fast.save_pretrained(folder)
    return fast


FEW_WEIGHTS = {
    "vocab_size": 200,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}
"""Settings with which a model that reads texts has a few thousand weights."""


def bert_configuration(**settings):
    """A BERT of a few thousand weights."""
    transformers = pytest.importorskip("transformers", reason="needs goodteacher[hf]")
    return transformers.BertConfig(**{**FEW_WEIGHTS, "max_position_embeddings": 32, **settings})


def write_model(folder, texts, *, weights=False, **settings):
    """Write a folder with a configuration and a tokenizer, and weights if they are wanted."""
    configuration = bert_configuration(**settings)
    write_tokenizer(folder, texts)
    configuration.save_pretrained(folder)
    if weights:
        import torch
        from transformers import BertForSequenceClassification

        with torch.random.fork_rng():
            torch.manual_seed(5)
            BertForSequenceClassification(configuration).save_pretrained(folder)
    return folder


def write_roberta(folder, texts, **settings):
    """Write a folder with a RoBERTa of a few thousand weights, and a tokenizer without a limit."""
    transformers = pytest.importorskip("transformers", reason="needs goodteacher[hf]")
    own = {"max_position_embeddings": 10, "pad_token_id": 0, "type_vocab_size": 2}
    write_tokenizer(folder, texts)
    transformers.RobertaConfig(**{**FEW_WEIGHTS, **own, **settings}).save_pretrained(folder)
    return folder


HAS_TIMM = find_spec("timm") is not None
"""Whether networks of timm can be made here: goodteacher[vision]."""

HAS_TORCHVISION = find_spec("torchvision") is not None
"""Whether networks of torchvision can be made here: goodteacher[vision]."""


def write_vit(folder, *, weights=False, processor=None, **settings):
    """Write a folder with a ViT of a few thousand weights and its processor of images.

    Args:
        folder: Where.
        weights: Whether weights are written too.
        processor: Settings of the processor; by default 16x16 pixels, bilinear.
        **settings: Of the configuration.
    """
    transformers = pytest.importorskip("transformers", reason="needs goodteacher[hf]")
    small = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "image_size": 16,
        "patch_size": 8,
    }
    configuration = transformers.ViTConfig(**{**small, **settings})
    write_processor(folder, "ViTImageProcessor", **(processor or {"size": (16, 16)}))
    configuration.save_pretrained(folder)
    if weights:
        _write_weights(transformers.ViTForImageClassification, configuration, folder)
    return folder


def write_processor(folder, kind, *, size, **settings):
    """Write the settings of a processor of images, as its save_pretrained does."""
    if isinstance(size, tuple):
        size = {"height": size[0], "width": size[1]}
    made = {
        "image_processor_type": kind,
        "do_resize": True,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "resample": 2,
        "size": size,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "preprocessor_config.json").write_text(json.dumps({**made, **settings}))


def write_wav2vec(folder, *, weights=False, extractor=None, **settings):
    """Write a folder with a Wav2Vec2 of a few thousand weights and its feature extractor."""
    transformers = pytest.importorskip("transformers", reason="needs goodteacher[hf]")
    small = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "conv_dim": (8, 8),
        "conv_stride": (5, 2),
        "conv_kernel": (10, 3),
        "num_conv_pos_embeddings": 4,
        "num_conv_pos_embedding_groups": 2,
        "classifier_proj_size": 8,
        "apply_spec_augment": False,
    }
    configuration = transformers.Wav2Vec2Config(**{**small, **settings})
    transformers.Wav2Vec2FeatureExtractor(**(extractor or {})).save_pretrained(folder)
    configuration.save_pretrained(folder)
    if weights:
        kind = transformers.Wav2Vec2ForSequenceClassification
        _write_weights(kind, configuration, folder)
    return folder


def _write_weights(kind, configuration, folder):
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(5)
        kind(configuration).save_pretrained(folder)
