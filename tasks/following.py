"""Monitoring targets: look at them, and keep the records below ``/monitoring`` true (CONTRACT section 8)."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

from orchestrator import faults
from orchestrator.clients.places import locate
from orchestrator.clients.store import KeyValue
from orchestrator.clients.targets import CONCURRENCY
from orchestrator.core import monitoring
from orchestrator.core.refs import Json, Ref
from orchestrator.core.transactions import Transaction, exists, unchanged
from orchestrator.errors import TargetUnavailable

from .context import WorkerContext

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Followed:
    """A resource with monitoring targets, as it stands in etcd."""

    ref: Ref
    links: tuple[str, ...]
    stack: KeyValue
    state: KeyValue
    old: KeyValue | None

    @property
    def reported(self) -> int:
        """The version of the state record: monitoring never runs ahead of it."""
        return int(json.loads(self.state.value)["version"])


def monitor(context: WorkerContext, refs: Sequence[str]) -> int:
    """Bring the monitoring records of resources up to date.

    :param refs: ``type:id`` each.
    :returns: how many records were written or removed.
    """
    followed = _load(context, [Ref(*ref.split(":", 1)) for ref in refs])
    statuses = list(_pool(os.getpid()).map(lambda resource: _ask(context, resource), followed))
    return sum(_write(context, resource, found) for resource, found in zip(followed, statuses, strict=True))


@lru_cache(maxsize=1)
def _pool(process: int) -> ThreadPoolExecutor:
    """The threads of this process that ask targets, kept from task to task: making sixteen costs as much as asking
    two targets. They do not survive a fork, so each process has its own; and chains have others, so that no job
    waits for targets that do not answer."""
    return ThreadPoolExecutor(CONCURRENCY, thread_name_prefix=f"targets-{process}")


def _load(context: WorkerContext, refs: Sequence[Ref]) -> list[Followed]:
    for now in context.types.as_of(*refs):
        keys = now.keys
        locate(context.store, keys, refs)
        folders = (keys.config, keys.stacks, keys.state, keys.monitoring)
        wanted = {ref: [keys.below(folder, ref) for folder in folders] for ref in refs}
        found = context.store.get_many([keys.schema_list, *(key for listed in wanted.values() for key in listed)])
        if now.is_of(found.get(keys.schema_list)):
            return _followed(wanted, found)
    return []


def _followed(wanted: Mapping[Ref, Sequence[str]], found: Mapping[str, KeyValue]) -> list[Followed]:
    """Those of which there are config, stack and state, and something to follow or to remove."""
    followed: list[Followed] = []
    for ref, listed in wanted.items():
        config, stack, state, old = map(found.get, listed)
        if config and stack and state:
            links = tuple(monitoring.links(json.loads(stack.value)["output"]))
            if links or old:
                followed.append(Followed(ref, links, stack, state, old))
    return followed


def _ask(context: WorkerContext, resource: Followed) -> list[monitoring.Status] | None:
    """What the resource's targets report; None when one of them cannot be asked now."""
    found: list[monitoring.Status] = []
    for link in resource.links:
        try:
            answer = context.targets.get(link)
        except TargetUnavailable as error:
            fields = {"event": "target_unavailable", "resource": str(resource.ref), "reason": str(error)}
            log.info("Target not available", extra=fields)
            return None
        if answer is not None and (status := monitoring.parse_target(*answer)):
            found.append(status)
    return found


def _write(context: WorkerContext, resource: Followed, statuses: list[monitoring.Status] | None) -> bool:
    """Write what changed, if the stack and the state are still those that were read."""
    if statuses is None:
        return False
    old = monitoring.from_stored(json.loads(resource.old.value)) if resource.old else None
    told = monitoring.record(statuses, resource.reported, old)
    if not _differs(resource, told, old):
        return False
    faults.reach("worker-before-monitoring")
    keys = context.keys
    key = keys.below(keys.monitoring, resource.ref)
    requires = (
        exists(keys.below(keys.config, resource.ref)),
        unchanged(resource.stack.key, resource.stack.revision),
        unchanged(resource.state.key, resource.state.revision),
        unchanged(key, resource.old.revision if resource.old else 0),
    )
    if told is None:
        return bool(context.store.commit(Transaction(requires, deletes=(key,))))
    document = monitoring.as_string(told) if context.state_as_string else told
    return bool(context.store.commit(Transaction(requires, puts={key: json.dumps(document)})))


def _differs(resource: Followed, told: Mapping[str, Json] | None, old: Mapping[str, Json] | None) -> bool:
    """Whether the record has to be written: it changed, or a new state was written after it."""
    if told is None:
        return old is not None
    return told != old or resource.old is None or resource.old.revision < resource.state.revision
