"""Small models of transformers made on the spot, for tests: nothing is fetched."""

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


def bert_configuration(**settings):
    """A BERT of a few thousand weights."""
    transformers = pytest.importorskip("transformers", reason="needs goodteacher[hf]")
    small = {
        "vocab_size": 200,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "max_position_embeddings": 32,
    }
    return transformers.BertConfig(**{**small, **settings})


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
