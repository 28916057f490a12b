"""Flows on their way: what they need done, and which flow goes on once that is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from goodteacher.studies import Flow, Needs, Until


@dataclass(frozen=True)
class Begun:
    """Tasks that may run.

    Attributes:
        flow: Number of the flow that waits for them.
        needs: What it needs done.
    """

    flow: int
    needs: Needs


class Going:
    """Flows on their way.

    Args:
        flows: Each is run to its first need at once. They are closed when the block ends.

    Raises:
        RuntimeError: Flows wait for one another, so that none can go on.
    """

    def __init__(self, flows: Iterable[Flow[Any]]) -> None:
        self._flows = list(flows)
        self._at: dict[int, Needs | Until] = {}
        self.results: list[Any] = [None] * len(self._flows)
        """What flows have returned."""

    def __enter__(self) -> Going:
        for number in range(len(self._flows)):
            self._go_on(number)
        self._ask()
        return self

    def __exit__(self, *error: object) -> None:
        for flow in self._flows:
            flow.close()

    @property
    def begun(self) -> list[Begun]:
        """What flows wait for, in the order of the flows; none when all have ended."""
        return [
            Begun(flow, needs)
            for flow, needs in sorted(self._at.items(), key=lambda each: each[0])
            if isinstance(needs, Needs)
        ]

    def end(self, begun: Begun) -> None:
        """Let the flow go on whose tasks are done."""
        if self._at.get(begun.flow) is not begun.needs:
            raise ValueError(f"no flow waits for {begun.needs.stage} any longer")
        self._go_on(begun.flow)
        self._ask()

    def _ask(self) -> None:
        """Let every flow go on that waits for what has come about."""
        asking = True
        while asking:
            asking = False
            for number, place in list(self._at.items()):
                if isinstance(place, Until) and place.holds():
                    self._go_on(number)
                    asking = True
        if self._at and not self.begun:
            raise RuntimeError("flows wait for one another")

    def _go_on(self, number: int) -> None:
        try:
            self._at[number] = next(self._flows[number])
        except StopIteration as ended:
            self._at.pop(number, None)
            self.results[number] = ended.value
