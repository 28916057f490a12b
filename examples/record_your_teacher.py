"""A teacher of your own, trained by a plain PyTorch loop: which of its epochs should teach?

    python examples/record_your_teacher.py fashion_mnist recorded    # trains and records two runs
    goodteacher search fashion_mnist --trajectories 'recorded/*' --student mlp:32 --out study
    goodteacher verify study

What goodteacher needs are the four lines that name the recorder.
"""

import argparse
import logging
import time

import torch
from torch import nn

import goodteacher


def prepare(images):
    """Turn images as they are stored, uint8 [B, channels, height, width], into what we train on."""
    return images.flatten(1).float() / 255 - 0.5


def train(data, folder, *, learning_rate, epochs, width):
    recorder = goodteacher.Recorder(
        f"{folder}/lr-{learning_rate:g}", data, prepare=prepare, learning_rate=learning_rate
    )
    torch.manual_seed(0)
    images, labels = prepare(recorder.training.examples()), recorder.training.labels
    model = nn.Sequential(nn.Linear(images.shape[1], width), nn.ReLU())
    model.extend([nn.Linear(width, width), nn.ReLU(), nn.Linear(width, recorder.num_classes)])
    optimizer, seconds = torch.optim.Adam(model.parameters(), learning_rate), 0.0
    for epoch in range(1, epochs + 1):
        started = time.perf_counter()
        for rows in torch.randperm(len(images)).split(128):
            loss = nn.functional.cross_entropy(model(images[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds += time.perf_counter() - started
        recorder.record(model, epoch, seconds=seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("data", help="what goodteacher understands: digits, a folder, a file")
    parser.add_argument("folder", help="where the recorded runs go")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--width", type=int, default=512)
    given = vars(parser.parse_args())
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for rate in (0.0003, 0.003):
        train(**given, learning_rate=rate)
