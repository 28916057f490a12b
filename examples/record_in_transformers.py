"""A text classifier in the Trainer of Hugging Face, recorded by a callback; nothing is fetched.

    python examples/record_in_transformers.py banking77 recorded
    goodteacher search banking77 --trajectories 'recorded/*' --student mlp:32@tfidf:1024 --out study

The student never sees a token: teacher and student share nothing but the ids of the examples.
"""

import argparse
import logging

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
)

import goodteacher
from goodteacher.integrations.transformers import RecorderCallback


def tokenizer_of(texts):
    pieces = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    pieces.normalizer = normalizers.BertNormalizer()
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    wanted = trainers.WordPieceTrainer(vocab_size=3000, special_tokens=["[PAD]", "[UNK]"])
    pieces.train_from_iterator(texts, wanted)
    return PreTrainedTokenizerFast(
        tokenizer_object=pieces, pad_token="[PAD]", unk_token="[UNK]", model_max_length=64
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("data", "folder"):
        parser.add_argument(name)
    parser.add_argument("--epochs", type=int, default=12)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    recorder = goodteacher.Recorder(f"{given.folder}/bert", given.data, learning_rate=1e-3)
    texts, labels = recorder.training.examples(), recorder.training.labels.tolist()
    tokenizer = tokenizer_of(texts)
    pairs = zip(texts, labels, strict=True)
    rows = [{**tokenizer(x, truncation=True), "labels": y} for x, y in pairs]
    torch.manual_seed(0)
    sizes = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(vocab_size=3000, num_labels=recorder.num_classes, **sizes)
    arguments = TrainingArguments(
        f"{given.folder}-trainer", num_train_epochs=given.epochs, learning_rate=1e-3,
        per_device_train_batch_size=32, save_strategy="no", report_to=[], disable_tqdm=True,
    )  # fmt: skip
    trainer = Trainer(
        BertForSequenceClassification(config), arguments, train_dataset=rows,
        processing_class=tokenizer, callbacks=[RecorderCallback(recorder)],
    )  # fmt: skip
    trainer.train()
