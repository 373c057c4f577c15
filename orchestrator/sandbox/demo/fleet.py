"""A demo: its members, what was applied to them, and whether all is as it should be."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from orchestrator.core.refs import Ref
from orchestrator.errors import OrchestratorError

from . import checking, documents
from .members import Members, Started
from .rows import OVER, DemoRow


class NotSettled(OrchestratorError):
    """Something is still under way after the time that was given; the message says what."""


class Demo(Members):
    """A running demo; leaving the `with` block ends all of it.

    :param folder: for the logs and the servers' data.
    :param delay: how long each simulated operation takes in Heat, in seconds.
    :param flower: whether to start the dashboard.
    :param environment: more variables for the bridge, the worker and the dashboard.
    :param started: called with each member when it is ready, from several threads.
    """

    def __init__(
        self,
        folder: Path,
        delay: float = 1.0,
        flower: bool = True,
        environment: Mapping[str, str] | None = None,
        started: Callable[[Started], None] = lambda member: None,
    ) -> None:
        super().__init__(folder, delay, flower, environment, started)
        self.wanted: dict[Ref, tuple[int, documents.DemoDocument]] = {}
        """What was applied so far, by resource: its version and its document."""

    # Working with it ------------------------------------------------------------------------------

    def apply(self, group: Sequence[documents.DemoDocument]) -> None:
        """Write these documents' configs, as the API server does."""
        documents.apply(self.store, self.keys, group)
        for document in group:
            before, _ = self.wanted.get(document.ref, (0, document))
            self.wanted[document.ref] = (before + 1, document)

    def builds(self, ref: Ref) -> bool:
        """Whether a resource becomes a stack."""
        return checking.builds(self.keys, ref)

    def under_way(self) -> list[str]:
        """What of the applied documents is not at its end yet, a sentence each."""
        rows = {row.ref: row for row in self.follower.rows()}
        open_ones = [
            f"{ref} version {version}: {missing}"
            for ref, (version, _) in self.wanted.items()
            if (missing := self._missing(rows.get(ref), ref, version))
        ]
        return open_ones or [
            f"{job}: to be cleared up"
            for job in self.follower.unfinished_jobs()
        ]

    def _missing(self, row: DemoRow | None, ref: Ref, version: int) -> str:
        """What keeps a version from being at its end; empty when it is."""
        if row is None:
            return "not seen"
        if row.version != version or row.stage not in OVER:
            return str(row.stage)
        if not checking.monitored(self.follower, ref, version):
            return "no monitoring record yet"
        return ""

    def settle(
        self, timeout: float = 180.0, watch_processes: bool = False
    ) -> None:
        """Return once every applied document is at its end, well or badly.

        :param watch_processes: an end of the bridge or of the worker is an error at once.
        :raises NotSettled: saying what is still under way.
        """
        deadline = time.monotonic() + timeout
        while open_ones := self.under_way():
            if time.monotonic() > deadline:
                raise NotSettled(
                    f"after {timeout:g} s still under way: "
                    + "; ".join(open_ones)
                )
            if watch_processes:
                self.look_after()
            self.follower.wait(0.5)

    def look_after(self) -> None:
        """:raises ProcessError: a member of the demo has ended, with the last lines of its log."""
        for process in self.processes:
            if not process.alive:
                process.wait_until(lambda: False, 0, "told to end")

    def problems(self) -> list[str]:
        """Every record that is not as it should be, and everything left over: empty when all is
        right."""
        return checking.problems(self.store, self.keys, self.heat, self.wanted)
