"""A BERT as teacher, a smaller one or a perceptron as student, all made here: nothing is fetched.

    python examples/hugging_face.py banking77 models recorded   # trains a teacher, records it
    goodteacher search banking77 --trajectories 'recorded/*' --student hf:models/small --out study
    goodteacher search banking77 --trajectories 'recorded/*' --student mlp:64 --out words
    goodteacher search banking77 --teacher hf:models/large --student hf:models/small --out trained

With pretrained weights in `models/large` the rest stays as it is.
"""

import argparse
import logging

import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

import goodteacher
from goodteacher.integrations.transformers import RecorderCallback


def make_tokenizer(texts, size=2000):
    """Train a WordPiece tokenizer."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=special)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return transformers.BertTokenizerFast(tokenizer_object=tokenizer, model_max_length=64)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("data", "models", "recorded"):
        parser.add_argument(name)
    parser.add_argument("--epochs", type=int, default=20)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    recorder = goodteacher.Recorder(f"{given.recorded}/bert", given.data, learning_rate=1e-3)
    texts, labels = recorder.training.examples(), recorder.training.labels.tolist()
    tokenizer = make_tokenizer(texts)
    for name, width, layers in (("large", 128, 2), ("small", 32, 1)):
        shape = {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": layers}
        config = transformers.BertConfig(**shape, num_attention_heads=4, vocab_size=len(tokenizer))
        config.save_pretrained(f"{given.models}/{name}")
        tokenizer.save_pretrained(f"{given.models}/{name}")
    config = transformers.BertConfig.from_pretrained(
        f"{given.models}/large", num_labels=recorder.num_classes
    )
    model = transformers.AutoModelForSequenceClassification.from_config(config)
    ids = tokenizer(texts, truncation=True)["input_ids"]
    rows = [{"input_ids": row, "label": label} for row, label in zip(ids, labels, strict=True)]
    settings = {"num_train_epochs": given.epochs, "learning_rate": 1e-3, "save_strategy": "no"}
    arguments = transformers.TrainingArguments(
        given.models, report_to="none", use_cpu=True, **settings
    )
    trainer = transformers.Trainer(model, arguments, train_dataset=rows, processing_class=tokenizer)
    trainer.add_callback(RecorderCallback(recorder))
    trainer.train()
