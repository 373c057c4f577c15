"""Records of processes that are alive: each hangs on a lease of its process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum

from ..refs import Json
from ..texts import cut


@dataclass(frozen=True, slots=True)
class WorkerAlive:
    """A worker, which is a group of processes: ``orchestrator/workers/<name>``.

    Times are seconds since the epoch by the worker's clock, for people.
    """

    name: str
    """Celery's name of it: ``worker@host``."""
    host: str
    """The machine."""
    pid: int
    """The process that the others of the group belong to."""
    slots: int
    """Tasks that it carries out at the same time."""
    version: str
    """The release that it runs."""
    since: float
    """When it started."""
    claimed: float = 0.0
    """When it claimed a job last, to about ten seconds; 0: not yet."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> WorkerAlive:
        return cls(**_known(cls, json.loads(text)))


class DelayKind(StrEnum):
    """Why jobs of a tenant that are ready are not sent."""

    CIRCUIT = "circuit"
    """The circuit of the tenant is open: Heat or Keystone does not answer, or refuses."""
    LIMIT = "limit"
    """As many of its jobs are under way to Heat as may be (``ORCHESTRATOR_TENANT_REQUESTS``)."""


@dataclass(frozen=True, slots=True)
class TenantDelay:
    """A tenant whose jobs wait though they are ready. Times are seconds since the epoch."""

    tenant: str
    kind: str
    """A :class:`DelayKind`."""
    since: float
    """Since when."""
    waiting: int
    """How many jobs wait."""
    under_way: int = 0
    """How many are under way to Heat."""
    next_try: float = 0.0
    """When the next attempt may be made while the circuit is open."""
    reason: str = ""
    """Why the last attempt failed."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", cut(self.reason))


@dataclass(frozen=True, slots=True)
class BridgeAlive:
    """A bridge, which leads or stands by: ``orchestrator/bridges/<id>``.

    Times are seconds since the epoch by the bridge's clock, for people.
    """

    id: str
    """As in the leader's record, by which one can see which bridge leads."""
    host: str
    """The machine."""
    pid: int
    """The process."""
    version: str
    """The release that it runs."""
    since: float
    """When it started."""
    wait: float = 0.0
    """Seconds for which messages wait for a worker, as the leader sees it."""
    delays: tuple[TenantDelay, ...] = ()
    """The tenants whose jobs wait though they are ready: the fifty with most jobs."""
    more_delays: int = 0
    """How many such tenants there are besides."""

    def to_json(self) -> str:
        record = asdict(self)
        record["delays"] = [asdict(delay) for delay in self.delays]
        return json.dumps(record)

    @classmethod
    def from_json(cls, text: str | bytes) -> BridgeAlive:
        record = _known(cls, json.loads(text))
        delays = tuple(
            TenantDelay(**_known(TenantDelay, delay))
            for delay in record.pop("delays", ())
        )
        return cls(**record, delays=delays)


def _known(kind: type, record: Mapping[str, Json]) -> dict[str, Json]:
    """A newer release may write more: what this one does not know, it leaves alone."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in record.items() if name in names}
