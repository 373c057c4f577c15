"""Monitoring targets: ask them, and keep the records below ``/monitoring`` true (CONTRACT section
8).

Targets are other people's programs.
So one target has a deadline, a task has a deadline for all of its targets, a target that keeps us
waiting in vain is asked less often, and whatever goes wrong with one resource is told and leaves
the others alone.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass

from orchestrator import faults
from orchestrator.clients.places import locate
from orchestrator.clients.store import KeyValue, revision_of
from orchestrator.clients.targets import CONCURRENCY
from orchestrator.core import monitoring, records
from orchestrator.core.keys import Keys
from orchestrator.core.records import MonitoringRecord
from orchestrator.core.refs import Ref
from orchestrator.core.transactions import (
    Require,
    Transaction,
    exists,
    unchanged,
)
from orchestrator.errors import TargetUnavailable, TemporaryError
from orchestrator.events import EventName, count

from .context import WorkerContext
from .processes import PerProcess, threads

log = logging.getLogger(__name__)

ROUND_LIMIT = 15.0
"""Seconds for all targets of a task, or the timeout of one target if that is longer.
What was not asked by then is asked in the next round."""
ROUNDS_AT_ONCE = 4
"""Tasks of one process that ask targets at the same time: more of them would only wait for the same
threads."""

_pool = threads("targets", CONCURRENCY)
"""The threads of this process that ask targets.
Chains have others, so that no job waits for targets that do not answer."""
_rounds = PerProcess(lambda: threading.BoundedSemaphore(ROUNDS_AT_ONCE))


@dataclass(frozen=True, slots=True)
class Followed:
    """A resource with monitoring targets, as it stands in etcd."""

    ref: Ref
    links: tuple[str, ...]
    stack: KeyValue
    state: KeyValue
    old: KeyValue | None
    health: KeyValue | None

    @property
    def reported(self) -> int:
        """The version of the state record: monitoring never runs ahead of it."""
        return records.StateRecord.from_json(self.state.value).version


def monitor(context: WorkerContext, refs: Sequence[str]) -> int:
    """Bring the monitoring records of resources up to date.

    :param refs: ``type:id`` each.
    :returns: how many records were written or removed.
    """
    if not _rounds().acquire(blocking=False):
        count(EventName.MONITORING_SKIPPED)
        fields = {"event": "monitoring_skipped", "resources": len(refs)}
        log.warning(
            "Monitoring round skipped, earlier rounds are not finished",
            extra=fields,
        )
        return 0
    try:
        return _monitor(context, refs)
    finally:
        _rounds().release()


def _monitor(context: WorkerContext, refs: Sequence[str]) -> int:
    limit = max(ROUND_LIMIT, context.targets.timeout)
    end = context.clock.monotonic() + limit
    followed = _load(context, [Ref(*ref.split(":", 1)) for ref in refs])
    pool = _pool()
    asked = {
        pool.submit(_ask, context, resource, end): resource
        for resource in _in_order(context, followed)
    }
    # Each is written as it comes: one that is slow holds no other one up.
    return sum(
        _record(context, asked[answer], answer)
        for answer in as_completed(asked)
    )


def _in_order(
    context: WorkerContext, followed: Sequence[Followed]
) -> list[Followed]:
    """At random, so that whoever is last today is not last every time; those that lately failed
    behind the others."""

    def place(resource: Followed) -> tuple[bool, float]:
        failed = any(map(context.slow.knows, resource.links))
        return failed, context.chance()

    return sorted(followed, key=place)


def _load(context: WorkerContext, refs: Sequence[Ref]) -> list[Followed]:
    for now in context.types.as_of(*refs):
        keys = now.keys
        locate(context.store, keys, refs)
        folders = (
            keys.config,
            keys.stacks,
            keys.state,
            keys.monitoring,
            keys.health,
        )
        wanted = {
            ref: [keys.below(folder, ref) for folder in folders] for ref in refs
        }
        found = context.store.get_many(
            [
                keys.schema_list,
                *(key for listed in wanted.values() for key in listed),
            ]
        )
        if now.is_of(found.get(keys.schema_list)):
            return _followed(wanted, found)
    return []


def _followed(
    wanted: Mapping[Ref, Sequence[str]], found: Mapping[str, KeyValue]
) -> list[Followed]:
    """Those of which there are config, stack and state, and something to follow or to remove."""
    followed: list[Followed] = []
    for ref, listed in wanted.items():
        config, stack, state, old, health = map(found.get, listed)
        if config and stack and state:
            links = tuple(_links(ref, stack))
            if links or old:
                followed.append(Followed(ref, links, stack, state, old, health))
    return followed


def _links(ref: Ref, stack: KeyValue) -> Iterator[str]:
    try:
        links = monitoring.links(
            records.StackRecord.from_json(stack.value).outputs
        )
    except records.UNREADABLE:
        count(EventName.RECORD_UNREADABLE)
        log.warning(
            "Stack record cannot be read",
            extra={"event": "record_unreadable", "key": stack.key},
        )
        return
    if len(links) > monitoring.MOST_TARGETS:
        count(EventName.TOO_MANY_TARGETS)
        fields = {
            "event": "too_many_targets",
            "resource": str(ref),
            "targets": len(links),
            "asked": monitoring.MOST_TARGETS,
        }
        log.warning(
            "Too many monitoring targets, the last ones are not probed",
            extra=fields,
        )
    yield from links[: monitoring.MOST_TARGETS]


# Asking -------------------------------------------------------------------------------------------


def _ask(
    context: WorkerContext, resource: Followed, end: float
) -> list[monitoring.Status] | None:
    """What the resource's targets report; None when one of them cannot be asked now.

    :param end: when the time of the whole task is over, by the monotonic clock.
    """
    found: list[monitoring.Status] = []
    for link in resource.links:
        try:
            status = _ask_one(context, link, end)
        except TargetUnavailable as error:
            count(EventName.TARGET_UNAVAILABLE)
            fields = {
                "event": "target_unavailable",
                "resource": str(resource.ref),
                "reason": str(error),
            }
            log.info("Monitoring target unavailable", extra=fields)
            return None
        if status is not None:
            found.append(status)
    return found


def _ask_one(
    context: WorkerContext, link: str, end: float
) -> monitoring.Status | None:
    """What one target reports; None when it is gone, or reports nothing for etcd."""
    left = end - context.clock.monotonic()
    if left <= 0:
        raise TargetUnavailable(
            "no time was left for the target in this round, as others did not answer"
        )
    if not context.slow.may_be_asked(link):
        raise TargetUnavailable(
            "the target has not answered in time lately, and is asked less often"
        )
    begun = context.clock.monotonic()
    try:
        answer = context.targets.get(link, left)
    except TargetUnavailable:
        took = context.clock.monotonic() - begun
        if took >= context.targets.timeout / 2:
            context.slow.failed(link, took)
        raise
    context.slow.answered(link)
    if answer is not None:
        return monitoring.parse_target(*answer)
    return None


# Recording ----------------------------------------------------------------------------------------


def _record(
    context: WorkerContext,
    resource: Followed,
    answer: Future[list[monitoring.Status] | None],
) -> bool:
    """Write what a resource's targets report, if that changed anything.
    What is wrong with one resource is told, and is no other one's trouble."""
    try:
        return _write(context, resource, answer.result())
    except TemporaryError:
        raise
    except Exception as error:
        count(EventName.MONITORING_FAILED)
        fields = {"event": "monitoring_failed", "resource": str(resource.ref)}
        log.error(
            "Monitoring record not written because of a bug",
            extra=fields,
            exc_info=error,
        )
        return False


def _write(
    context: WorkerContext,
    resource: Followed,
    statuses: list[monitoring.Status] | None,
) -> bool:
    """Write what changed, if the stack and the state are still those that were read."""
    if statuses is None:
        return False
    old = _recorded(resource)
    told = monitoring.record(statuses, resource.reported, old)
    keys = context.keys
    written = _health(keys, resource, statuses)
    if _differs(resource, told, old):
        key = keys.below(keys.monitoring, resource.ref)
        written[key] = None
        if told is not None:
            written[key] = told.to_json(context.state_as_string)
    if not written:
        return False
    faults.reach("worker-before-monitoring")
    requires = _as_read(keys, resource)
    puts = {key: value for key, value in written.items() if value is not None}
    deletes = tuple(key for key in written if key not in puts)
    return bool(context.store.commit(Transaction(requires, puts, deletes)))


def _as_read(keys: Keys, resource: Followed) -> tuple[Require, ...]:
    """The config is there; the other records are as they were read."""
    return (
        exists(keys.below(keys.config, resource.ref)),
        unchanged(resource.stack.key, resource.stack.revision),
        unchanged(resource.state.key, resource.state.revision),
        unchanged(
            keys.below(keys.monitoring, resource.ref),
            revision_of(resource.old),
        ),
    )


def _health(
    keys: Keys, resource: Followed, statuses: Sequence[monitoring.Status]
) -> dict[str, str | None]:
    """Whether the targets are positive, if that is another answer than the last one: the key, with
    its value, or None to remove it."""
    key = keys.below(keys.health, resource.ref)
    if not statuses and resource.health is None:
        return {}
    if not statuses:
        return {key: None}
    positive = monitoring.is_positive(statuses, resource.reported)
    health = records.TargetHealth(positive, resource.state.revision).to_json()
    if resource.health and resource.health.value == health.encode():
        return {}
    return {key: health}


def _recorded(resource: Followed) -> MonitoringRecord | None:
    """The monitoring record as it is; None when there is none that can be read."""
    if resource.old is None:
        return None
    try:
        return MonitoringRecord.from_json(resource.old.value)
    except records.UNREADABLE:
        count(EventName.RECORD_UNREADABLE)
        fields = {"event": "record_unreadable", "key": resource.old.key}
        log.warning(
            "Monitoring record cannot be read, replacing it", extra=fields
        )
        return None


def _differs(
    resource: Followed,
    told: MonitoringRecord | None,
    old: MonitoringRecord | None,
) -> bool:
    """Whether the record has to be written: it changed, or a new state was written after it."""
    if told is None:
        return resource.old is not None
    return (
        told != old
        or resource.old is None
        or resource.old.revision < resource.state.revision
    )
