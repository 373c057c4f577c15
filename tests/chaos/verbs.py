"""What operators asked for, out of etcd's history, and the rules about it. Like ``check``, it shares no code with the
orchestrator.

* Each record of a verb gets one outcome, once. After a restore of etcd it may get it once more.
* While a pause is on record, no worker takes a job that it covers.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator

from .facts import ObservedEvent
from .ledger import AUDIT, LEFT, OWN, Ledger

PAUSE, RUNS = f"{OWN}pause", f"{OWN}runs/"
_DEPENDS = re.compile(r"depends on ([^ ,]+)(?: \(through [^)]*\))?, which failed: $")
"""What a failure names that was passed on."""
Fault = tuple[str, str, str]
"""The rule, what it is about, and what is wrong."""


def double_outcomes(ledger: Ledger) -> Iterator[Fault]:
    """Records of verbs without an outcome, or with more than one. An outcome that is told again by a restore counts
    anew."""
    written: defaultdict[str, list[str]] = defaultdict(list)
    for event in ledger.facts.events:
        if not event.key.startswith(AUDIT):
            continue
        if event.restored:
            written[event.key].clear()
        if event.value is None:
            continue
        written[event.key].append(str(json.loads(event.value).get("outcome", "")))
    for key, listed in written.items():
        told = [outcome for outcome in listed if outcome]
        if not told and key in ledger.final:
            yield "verb", key, "has no outcome"
        elif len(told) > 1:
            yield "verb", key, f"has several outcomes: {told}"


def taken_in_a_pause(ledger: Ledger) -> Iterator[Fault]:
    """Jobs that a worker took while they were paused."""
    pauses: list[dict[str, str]] = []
    steps: dict[str, str] = {}
    for event in ledger.facts.events:
        if event.key == PAUSE:
            pauses = json.loads(event.value)["pauses"] if event.value else []
        elif event.key.startswith(RUNS):
            before = steps.get(event.key, "")
            steps[event.key] = step = _step(event)
            taken = step == "claimed" != before and not event.restored
            if taken and any(_covers(pause, event.key) for pause in pauses):
                text = f"was taken at {event.at:.3f} (revision {event.revision}) in a pause"
                yield "pause", event.key.removeprefix(RUNS), text


def _step(event: ObservedEvent) -> str:
    return str(json.loads(event.value).get("step", "")) if event.value else ""


def _covers(pause: dict[str, str], key: str) -> bool:
    tenant, _, job = key.removeprefix(RUNS).partition("/")
    kind = job.split(":")[2]
    return pause.get("tenant_id") in (None, tenant) and pause.get("type") in (None, kind)


def left_between(ledger: Ledger, ref: str, after: float, before: float) -> bool:
    """Whether a person left the resource's stack in Heat meanwhile."""
    return any(
        event.key.startswith(LEFT) and after <= event.at <= before
        for event in ledger.kept.get(ref, ())
    )


def is_cancelled(ledger: Ledger, ref: str, error: str, at: float) -> bool:
    """Whether a failure says that a person has cancelled it, or what it depends on, and a person had asked for that."""
    before, told, _ = error.partition("cancelled by chaos (a test)")
    if not told:
        return False
    if before:
        named = _DEPENDS.search(before)
        ref = named[1] if named else ""
    return any(
        event.key.startswith(AUDIT)
        and event.at <= at
        and event.value is not None
        and json.loads(event.value)["verb"] == "cancel"
        for event in ledger.kept.get(ref, ())
    )
