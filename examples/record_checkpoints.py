"""Checkpoints that exist already: record what each says, and search over them.

    python examples/record_checkpoints.py digits runs recorded   # makes some with torch.save first
    goodteacher search digits --trajectories 'recorded/*' --student mlp:8 --out study

The first function stands for a trainer that knows nothing of goodteacher.
"""

import argparse
from pathlib import Path

import torch
from torch import nn

import goodteacher


def make_net(num_classes, input_shape):
    pixels = torch.Size(input_shape).numel()
    layers = [nn.Linear(pixels, 128), nn.ReLU(), nn.Linear(128, num_classes)]
    return nn.Sequential(nn.Flatten(), *layers)


def prepare(images):
    return images.float() / 255


def train(data, folder, rate):
    """Train on the ids that `goodteacher.split` wrote, and save each second epoch."""
    ids = goodteacher.split(data, out=f"{folder}/ids")
    train = goodteacher.load_dataset(data).train
    rows = torch.isin(train.ids, torch.tensor(ids.training))
    images, labels = prepare(train.inputs[rows]), train.labels[rows]
    torch.manual_seed(0)
    model = make_net(len(ids.class_names), images.shape[1:])
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9)
    for epoch in range(1, 9):
        for batch in torch.randperm(len(images)).split(64):
            loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if epoch % 2 == 0:
            path = Path(folder, f"lr-{rate:g}", f"epoch-{epoch}.pt")
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.save({"model_state_dict": model.state_dict(), "epoch": epoch}, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("data", "runs", "out"):
        parser.add_argument(name)
    given = parser.parse_args()
    for rate in (0.01, 0.1):
        train(given.data, given.runs, rate)
    files = f"{given.runs}/*/*.pt"
    goodteacher.record_checkpoints(
        given.data, model=make_net, prepare=prepare, checkpoints=files, out=given.out
    )
