"""What one of several processes does that train together; tests/integrations start it.

RANK=0 WORLD_SIZE=2 ... python -m tests.integrations.trained_together TRAINER FOLDER
"""

import json
import os
import sys
from pathlib import Path

import torch
from torch import nn

from goodteacher import Dataset, Recorder, Split
from goodteacher.studies import Store
from tests import made

WORDS = ("red", "green", "blue", "warm", "cold", "dark")
EPOCHS = (2, 3)  # of the first training, and of the one that goes on
TEXTS = "colours"


def numbers():
    return made.dataset(num_train=77, num_test=10, num_classes=3)


def texts():
    def split(count):
        chosen = [[WORDS[(n * k + k) % 6] for k in range(1, 4)] for n in range(count)]
        labels = [n % 2 for n in range(count)]
        return Split.from_texts([" ".join(words) for words in chosen], labels)

    return Dataset(TEXTS, split(63), split(20), ("even", "odd"))


def network():
    torch.manual_seed(0)
    # BatchNorm: in the wrong mode the answers of a batch would depend on who else is in it
    return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))


def bert():
    """A classifier of texts that are made of the words, and its tokenizer."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    known = {word: n for n, word in enumerate(("[PAD]", "[UNK]", *WORDS))}
    words = Tokenizer(models.WordLevel(known, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", model_max_length=8
    )
    config = transformers.BertConfig(
        vocab_size=len(known),
        intermediate_size=16,
        max_position_embeddings=16,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    torch.manual_seed(0)
    return transformers.BertForSequenceClassification(config), tokenizer


def lightning(folder, recorder):
    import pytorch_lightning

    from goodteacher.integrations.lightning import RecorderCallback

    class Module(pytorch_lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.network, self.seen = network(), []

        def forward(self, x):
            return self.network(x)

        def training_step(self, batch, _):
            self.seen += batch[2].tolist()
            return nn.functional.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), 0.03)

    part = recorder.training
    rows = torch.utils.data.TensorDataset(
        part.examples(), part.labels, torch.arange(len(part.labels))
    )
    module, state = Module(), folder / "state.ckpt"
    for epochs in EPOCHS:
        trainer = pytorch_lightning.Trainer(
            max_epochs=epochs,
            callbacks=[RecorderCallback(recorder)],
            accelerator="cpu",
            devices=2,
            strategy="ddp",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
        )
        loader = torch.utils.data.DataLoader(rows, batch_size=8, shuffle=True)
        trainer.fit(module, loader, ckpt_path=state if state.exists() else None)
        trainer.save_checkpoint(state)  # by all, as Lightning wants it
    return module, module.seen


def transformers(folder, recorder):
    import transformers

    from goodteacher.integrations.transformers import RecorderCallback

    (model, tokenizer), seen = bert(), []
    split = recorder.training.split
    rows = [
        {**tokenizer(text), "labels": label, "row": row}
        for row, (text, label) in enumerate(zip(split.texts, split.labels.tolist(), strict=True))
    ]
    padded = transformers.DataCollatorWithPadding(tokenizer)

    def collate(batch):
        seen.extend(row["row"] for row in batch)
        return padded([{k: v for k, v in row.items() if k != "row"} for row in batch])

    for epochs in EPOCHS:
        arguments = transformers.TrainingArguments(
            output_dir=str(folder / "hf"),
            num_train_epochs=epochs,
            per_device_train_batch_size=8,
            report_to=[],
            use_cpu=True,
            ddp_backend="gloo",
            save_strategy="epoch",
            logging_steps=1,
            disable_tqdm=True,
            remove_unused_columns=False,
        )
        trainer = transformers.Trainer(
            model,
            arguments,
            train_dataset=rows,
            data_collator=collate,
            processing_class=tokenizer,
            callbacks=[RecorderCallback(recorder)],
        )
        trainer.train(resume_from_checkpoint=epochs > EPOCHS[0])
    return model, seen


def main(trainer, folder):
    rank, wrote = int(os.environ["RANK"]), []
    kept = Store.writing
    Store.writing = lambda store, *parts: (wrote.append("/".join(parts)), kept(store, *parts))[1]
    data = texts() if trainer == "transformers" else numbers()
    recorder = Recorder(folder / "run", data, learning_rate=0.03)
    model, seen = {"lightning": lightning, "transformers": transformers}[trainer](folder, recorder)
    if rank == 0:
        torch.save(model.state_dict(), folder / "weights.pt")
    told = {
        "wrote": wrote,
        "seen": seen,
        "size": torch.distributed.get_world_size(),
        "records": [record.epoch for record in recorder.records],
    }
    (folder / f"{rank}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
    torch.distributed.barrier()
    sys.stdout.flush()
    # gloo's threads may abort a process that ends in the usual way after the other one has gone
    os._exit(0)
