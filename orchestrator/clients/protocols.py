"""The doors to the outside systems as the steps and the bridge use them.

The store's is :class:`~.store.Store`. Each has a real one in this package and a double in
``tests/doubles``; ``tests/contract`` holds both to the same behaviour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from ..core.drift import Inspection, SweepOrder
from ..core.refs import Json, RunId
from ..core.rendering import StackRequest
from ..core.stacks import Stack


class HeatDoor(Protocol):
    """OpenStack Heat, and Keystone before it."""

    def warm_up(self) -> None:
        """Read the credentials and import what a client needs. No request is made."""

    def only_while(
        self, check: Callable[[], None]
    ) -> AbstractContextManager[None]:
        """Within the block, *check* is called directly before each request of this thread leaves.
        When it raises, the request is not made."""

    def within(self, seconds: float) -> AbstractContextManager[None]:
        """All calls of this thread in the block end within *seconds*, however many there are."""

    def check(self) -> str:
        """Log in. Returns who we are and where Heat is, for people."""

    def prepare(self, tenant: str) -> object:
        """Have a token and an address for the tenant, so that the next call is one request."""

    def gone(self, tenant: str) -> bool | None:
        """Whether Keystone says that the project does not exist; None when it does not tell us."""

    def show(self, tenant: str, stack: str, *, outputs: bool) -> Stack | None:
        """A stack by ``name`` or ``name/id``; None when Heat does not know it."""

    def in_progress(self, tenant: str) -> Iterator[str]:
        """The ids of the tenant's stacks on which Heat is at work."""

    def listed(self, tenant: str) -> list[Stack]:
        """All stacks of the tenant, without outputs."""

    def exists(self, tenant: str, name: str) -> bool:
        """Whether Heat has a stack of this name."""

    def inspect(self, tenant: str, stack: Stack, depth: int) -> Inspection:
        """A stack in detail, as deep as a :class:`~..core.records.Depth` says.

        :raises StackMissing: it is gone.
        """

    def create(self, request: StackRequest, tag: str) -> str:
        """Ask for a new stack. Returns Heat's id of it."""

    def update(self, request: StackRequest, stack: Stack, tag: str) -> None:
        """Ask for a stack to become what *request* says."""

    def delete(self, tenant: str, stack: Stack) -> None:
        """Ask for a stack to go; it may be gone already."""

    def cancel(self, tenant: str, stack: Stack) -> None:
        """Ask Heat to end the create or update in progress, without rolling it back.

        :raises HeatRefused: there is none in progress, or Heat does not let us.
        """


class QueueDoor(Protocol):
    """The broker. Every method raises :class:`~orchestrator.errors.BrokerUnavailable`."""

    def start(self, runs: Sequence[RunId]) -> None:
        """Send jobs as a chain: submit, wait, record."""

    def record(self, runs: Sequence[RunId]) -> None:
        """Send the last step of jobs whose stacks are done."""

    def poll(self, tenant: str) -> None:
        """Send a poll of a tenant's stacks."""

    def monitor(self, refs: Sequence[str]) -> None:
        """Send a probe of the monitoring targets of resources, ``type:id`` each."""

    def sweep(self, order: SweepOrder) -> None:
        """Send a comparison of a tenant's stacks with our records."""

    def depth(self) -> int:
        """Messages that no worker has taken yet."""

    def periodic_depth(self) -> int:
        """Polls and probes that no worker has taken yet."""

    def lost_everything(self) -> bool:
        """Whether the broker has lost its data since the last call. The first call always returns
        True."""

    def close(self) -> None:
        """Close the connections."""


class TargetsDoor(Protocol):
    """Monitoring targets, over HTTP."""

    @property
    def timeout(self) -> float:
        """Seconds for one target, all in all."""

    def get(
        self, url: str, at_most: float | None = None
    ) -> tuple[Json, datetime] | None:
        """A target's document and the time at the collector; None when there is no such target.

        :param at_most: seconds, where there are fewer left than the timeout.
        :raises TargetUnavailable: it does not answer as a target does.
        """


class RendererDoor(Protocol):
    """Jinja2, within limits."""

    def start(self) -> None:
        """Be ready, so that the first template need not wait."""

    def render(
        self,
        template_id: str,
        text: str,
        variables: Mapping[str, Json],
        tenant: str,
    ) -> str:
        """The template's text with Jinja2 applied.

        :param tenant: for whom it is rendered.
        :raises TemplateError: it does not render, or reaches a limit.
        """

    def close(self) -> None:
        """End what was started."""
