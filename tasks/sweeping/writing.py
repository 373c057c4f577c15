"""What a sweep found goes to etcd: only what has changed, and only if no operation of ours came
between."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from orchestrator.core import effects
from orchestrator.core.drift import StackComparison, next_record
from orchestrator.core.effects import DriftBasis
from orchestrator.core.records import Drift, Sweep
from orchestrator.core.refs import Ref
from orchestrator.core.stacks import Stack
from orchestrator.events import EventName, count

from ..context import WorkerContext
from .reading import SweepGround

log = logging.getLogger(__name__)


def write(
    context: WorkerContext,
    ground: SweepGround,
    found: Mapping[Ref, StackComparison],
) -> int:
    """Store what was found of each resource; how many of them differ."""
    now = round(context.clock.now(), 3)
    number = 0
    for ref, one in found.items():
        earlier, revision = ground.drifts.get(ref, (None, 0))
        record = next_record(one, earlier, now)
        number += record is not None and not record.gone
        if record != earlier:
            change = _Change(
                ref, earlier, record, _basis(ground, ref, revision)
            )
            _store(context, ground, change)
    return number


def forget(
    context: WorkerContext,
    ground: SweepGround,
    found: Mapping[Ref, StackComparison],
) -> None:
    """Take the records away of unknown stacks that are not there any more or have become ours, and
    of stacks that we have deleted."""
    for ref, (earlier, revision) in ground.drifts.items():
        one = ground.resources.get(ref)
        kept = one is not None and (one.known.busy or one.known.record.live)
        if ref in found or kept:
            continue
        basis = _basis(ground, ref, revision)
        _store(context, ground, _Change(ref, earlier, None, basis))


@dataclass(frozen=True, slots=True)
class _Change:
    """The record of one resource, before and after."""

    ref: Ref
    before: Drift | None
    after: Drift | None
    basis: DriftBasis


def _basis(ground: SweepGround, ref: Ref, revision: int) -> DriftBasis:
    one = ground.resources.get(ref)
    if one is None:
        return DriftBasis(revision, 0, 0)
    return replace(one.basis, drift=revision)


def _store(
    context: WorkerContext, ground: SweepGround, change: _Change
) -> None:
    transaction = effects.note_drift(
        ground.keys, change.ref, change.after, change.basis
    )
    if context.store.commit(transaction):
        _tell(change)


def _tell(change: _Change) -> None:
    before, after = change.before, change.after
    shown = before is not None and before.shown
    if after is not None and after.shown:
        count(EventName.DRIFT_FOUND)
        fields = {
            "event": "drift_found",
            "resource": str(change.ref),
            "tenant": after.tenant,
            "kinds": [kind.value for kind in after.kinds],
            "reason": after.reason,
        }
        log.warning("Stack differs from what was built", extra=fields)
    elif shown:
        count(EventName.DRIFT_GONE)
        fields = {"event": "drift_gone", "resource": str(change.ref)}
        log.info("Stack is as it was built again", extra=fields)


def end(context: WorkerContext, ground: SweepGround, sweep: Sweep) -> None:
    """The sweep is over, and so is what a person asked for."""
    store, keys = context.store, ground.keys
    key = keys.sweep(ground.order.tenant)
    store.commit(effects.end_sweep(key, sweep, ground.before_revision))
    if ground.asked_revision:
        asked = keys.sweeps_asked + ground.order.asked
        store.commit(effects.end_asked_sweep(asked, ground.asked_revision))


def newest(stacks: Mapping[str, Stack], before: str) -> str:
    """The latest time of an update that Heat has shown."""
    return max((stack.updated for stack in stacks.values()), default=before)
