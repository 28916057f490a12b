"""How large a network is: parameters, and multiplications with additions for one example."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from goodteacher.delivery.classifier import StudentCard
from goodteacher.delivery.graph import Graph
from goodteacher.networks import Network, parameter_count
from goodteacher.records import Size


def size_of(network: Network, card: StudentCard) -> Size:
    """Measure a student, or its teacher.

    Args:
        network: The network, on the CPU.
        card: What it is.
    """
    graph = Graph(network, card)
    one = [part[:1] for part in graph.example()]
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        graph(*one)
    return Size(
        parameters=parameter_count(network.module),
        multiply_adds=int(counter.get_total_flops()) // 2,
    )
