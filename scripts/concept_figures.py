"""The two figures of docs/concepts.md, from scikit-learn's digits and a teacher trained here.

    pip install 'goodteacher[bench]'
    python scripts/concept_figures.py              # writes docs/figures/concept_*.svg

Both show one image: the one of the training digits whose response after the second of the epochs
below is right and has the highest effective number of classes of those that the teacher is surest
about at the end. It is a telling example, chosen to be one.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

import goodteacher

FOLDER = Path(__file__).parent.parent / "docs/figures"
EPOCHS = (1, 4, 8, 32)
RUNGS = {
    "one_hot": "0  hard labels",
    "mean_smoothing": "1  mean smoothing",
    "confidence_smoothing": "2  confidence smoothing",
    "class_similarity": "3  class similarity",
    "full_response": "4  full response",
}
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "goodteacher", "font.size": 9}


def responses(images: Tensor, labels: Tensor, epochs: tuple[int, ...]) -> dict[int, Tensor]:
    """Train a teacher and return its logits [N, C] on the images, after each of some epochs."""
    torch.manual_seed(0)
    inputs = images.flatten(1).float() / 255
    teacher = nn.Sequential(nn.Linear(inputs.shape[1], 256), nn.ReLU(), nn.Linear(256, 10))
    optimizer = torch.optim.Adam(teacher.parameters(), 0.003)
    found = {}
    for epoch in range(1, max(epochs) + 1):
        for batch in torch.randperm(len(inputs)).split(64):
            loss = nn.functional.cross_entropy(teacher(inputs[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if epoch in epochs:
            found[epoch] = teacher(inputs).detach()
    return found


def telling(said: dict[int, Tensor], labels: Tensor) -> int:
    """Return the position of the example to show; see above for the rule."""
    early, late = (said[epoch].softmax(-1) for epoch in (sorted(said)[1], max(said)))
    entropy = -(early * early.clamp_min(1e-12).log()).sum(-1)
    sure = late.gather(1, labels[:, None])[:, 0]
    shown = (early.argmax(-1) == labels) & (sure >= sure.median())
    return int(torch.where(shown, entropy, torch.full_like(entropy, -1.0)).argmax())


def draw_bars(axes: Axes, probabilities: Tensor, label: int, title: str) -> None:
    """Draw the probability of each class; the label's bar is hatched, the others are solid."""
    heights = (100 * probabilities).tolist()
    bars = axes.bar(range(10), heights, color="0.25", width=0.8)
    bars[label].set(facecolor="white", edgecolor="0.25", hatch="////", linewidth=1)
    axes.set(ylim=(0, 112), xticks=range(10), yticks=(0, 50, 100), xlim=(-0.6, 9.6))
    axes.set_title(title, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    for place, height in enumerate(heights):
        if height >= 0.5:
            axes.text(place, height + 3, f"{height:.0f}", ha="center", fontsize=7)


def draw_image(axes: Axes, image: Tensor, label: int) -> None:
    """Draw the digit, dark on light."""
    axes.pcolormesh(image.squeeze(0).flip(0).numpy(), cmap="gray_r", edgecolors="0.9", lw=0.3)
    axes.set(xticks=(), yticks=(), aspect="equal")
    axes.set_title(f"its label: {label}", fontsize=9)


def drawn(image: Tensor, label: int, charts: dict[str, Tensor], note: str, columns: int) -> Figure:
    """Draw the image and, after it, one chart of probabilities for each title."""
    rows = -(-(len(charts) + 1) // columns)
    size = (8.5, 2.0 * rows + 0.2)
    figure, grid = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    first, *others = grid.flat
    draw_image(first, image, label)
    for axes, (title, probabilities) in zip(others, charts.items(), strict=True):
        draw_bars(axes, probabilities, label, title)
    others[0].set_ylabel("probability, %")
    figure.supxlabel(note, fontsize=9)
    return figure


def write(folder: Path, epochs: tuple[int, ...] = EPOCHS) -> None:
    """Train the teacher, and write both figures into a folder."""
    train = goodteacher.load_dataset("digits").train
    said = responses(train.inputs, train.labels, epochs)
    shown = telling(said, train.labels)
    image, label = train.inputs[shown], int(train.labels[shown])
    after = {
        f"after {epoch} epoch{'s' * (epoch > 1)}": logits[shown].softmax(-1)
        for epoch, logits in said.items()
    }
    early = sorted(said)[1]
    targets = goodteacher.ladder_targets(said[early], train.labels)
    rungs = {title: targets[name][shown] for name, title in RUNGS.items()}
    note = f"class; hatched: the label (teacher after {early} epochs)"
    figures = {
        "concept_similarity": (after, "class; hatched: the label", 5),
        "concept_ladder": (rungs, note, 3),
    }
    with plt.rc_context(STYLE):
        for name, (charts, told, columns) in figures.items():
            figure = drawn(image, label, charts, told, columns)
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None}, facecolor="white")
            plt.close(figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=FOLDER)
    write(parser.parse_args().out)
