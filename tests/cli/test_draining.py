"""``orchestrator drain`` while the workers have work, and what is recorded of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from orchestrator.cli.exits import Exit
from orchestrator.cli.verbs import draining

from .conftest import Records, Run_

NODE = "worker-1@node-7"


@dataclass
class BusyBroker:
    """One worker that has so many messages each time it is asked."""

    left: Iterator[int]
    ended: list[str] = field(default_factory=list)

    def nodes(self, timeout: float) -> list[str]:
        return [NODE]

    def stop_consuming(self, nodes: Sequence[str], timeout: float) -> list[str]:
        return []

    def carried_out(self, nodes: Sequence[str], timeout: float) -> dict[str, int]:
        return dict.fromkeys(nodes, next(self.left))

    def end(self, nodes: Sequence[str]) -> None:
        self.ended += nodes

    def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize(
    ("left", "code", "outcome", "ended"),
    [
        ([2, 1, 0], Exit.OK, "carried out", [NODE]),
        ([1], Exit.TIMEOUT, f"not done: {NODE} still at work", []),
    ],
    ids=["jobs run", "Heat does not answer"],
)
def test_a_worker_ends_once_it_has_nothing_to_do_and_that_is_recorded_once(
    run: Run_,
    written: Records,
    monkeypatch: pytest.MonkeyPatch,
    left: list[int],
    code: Exit,
    outcome: str,
    ended: list[str],
) -> None:
    broker = BusyBroker(iter(left))
    monkeypatch.setattr(draining, "_broker", lambda settings: broker)
    timeout = "0" if code is Exit.TIMEOUT else "60"
    told = run("drain", "node-7", "--as", "alice", "--why", "kernel", "--timeout", timeout)

    assert told.exit_code == code, told.output
    assert broker.ended == ended
    [verb] = json.loads(run("history", "--verbs", "-o", "json").stdout)
    assert (verb["verb"], verb["by"], verb["why"], verb["outcome"]) == (
        "drain",
        "alice",
        "kernel",
        outcome,
    )
