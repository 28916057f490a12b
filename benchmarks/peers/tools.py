"""The tools: which session trains with each, and the environment it needs."""

from __future__ import annotations

from dataclasses import dataclass

OWN, PEERS = "own", "peers"
"""Environments: the one that runs the benchmark, and the one made for the other tools."""

PEERS_BASE = ("torch==2.14.1", "torchvision==0.29.1")
"""What the peers' environment holds before any of them; no tool may change it."""


@dataclass(frozen=True)
class Tool:
    """One tool of the comparison.

    Attributes:
        name: How `--tools` names it.
        title: How the table names it.
        session: `module:class`, run by the worker.
        environment: `OWN` or `PEERS`.
        requirement: What pip installs into the peers' environment, on top of its base.
        students: Students that it trains together.
        packages: Distributions whose versions the result records.
    """

    name: str
    title: str
    session: str
    environment: str
    requirement: str | None = None
    students: int = 1
    packages: tuple[str, ...] = ("torch",)


TOOLS = {
    tool.name: tool
    for tool in (
        Tool("plain", "plain PyTorch loop", "peers.plain:PlainSession", OWN),
        Tool("plain-peers", "plain loop, peers' PyTorch", "peers.plain:PlainSession", PEERS),
        Tool(
            "keras",
            "Keras `keras.distillation`",
            "peers.keras_peer:KerasSession",
            PEERS,
            requirement="keras==3.15.1",
            packages=("keras", "torch"),
        ),
        Tool(
            "torchdistill",
            "torchdistill `DistillationBox`",
            "peers.torchdistill_peer:TorchdistillSession",
            PEERS,
            requirement="torchdistill==1.1.5",
            packages=("torchdistill", "torch"),
        ),
        Tool(
            "timm",
            "timm `LogitDistillationTask`",
            "peers.timm_peer:TimmSession",
            PEERS,
            requirement="timm==1.0.31",
            packages=("timm", "torch"),
        ),
        Tool(
            "goodteacher-1",
            "goodteacher, 1 student",
            "peers.ours:GoodteacherSession",
            OWN,
            packages=("goodteacher", "torch"),
        ),
        Tool(
            "goodteacher-32",
            "goodteacher, 32 students",
            "peers.ours:GoodteacherSession",
            OWN,
            students=32,
            packages=("goodteacher", "torch"),
        ),
    )
}
"""Tools by name, in the order in which they take turns."""
