"""What an operator does at night, verb by verb: what is there before, what is asked for, what has to come of it.

A story says nothing of what else happens meanwhile: other jobs, a Heat that is away, a leader that dies.
``test_verbs_at_night`` tells each story in all of these situations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from orchestrator.bridge.timing import Timing
from orchestrator.cli.verbs import pausing, requesting
from orchestrator.cli.verbs.authors import AskedVerb, verb
from orchestrator.core import effects
from orchestrator.core.records import (
    AuditRecord,
    Drift,
    Handled,
    LeavingMode,
    Pause,
    RetryAsked,
    Step,
    SweepAsked,
)
from orchestrator.core.refs import Ref
from orchestrator.core.removals import BrakeLimits
from orchestrator.core.stacks import Stack
from orchestrator.core.transactions import Transaction, merged

from tests.factories import TENANT, network

from .driver import System, complete

N1 = network("n1")
CREATED, AGAIN = ("CREATE_COMPLETED", 1), ("MODIFY_COMPLETED", 1)
BUILT = CREATED
NETS = [network(f"n{number}") for number in range(1, 6)]
"""More than may be deleted at once (:data:`TIMING`)."""
TIMING = Timing(
    poll_interval=0.02,
    monitoring_interval=3600.0,
    patience=0.2,
    brake=BrakeLimits(at_once=3, share=0.01),
)
NETWORKS = Pause("2026-11-28T01:45:12Z", "alice", kind="network")
ADOPT = RetryAsked(adopt="legacy", status="CREATE_COMPLETE")
CARRIED_OUT = "carried out"


@dataclass(frozen=True)
class VerbAsked:
    """A verb that was asked for, about a resource or about none."""

    verb: AskedVerb
    refs: tuple[Ref | None, ...] = (N1,)


Before = Callable[[System], None]
Ask = Callable[[System], VerbAsked]
Done = Callable[[System], bool]


@dataclass(frozen=True)
class Story:
    """One verb."""

    name: str
    before: Before
    ask: Ask
    done: Done
    requests: tuple[tuple[str, str], ...] = ()
    """What Heat is asked about the networks of the story from then on, in this order."""
    outcome: str = CARRIED_OUT
    """What the record of the verb says."""
    refused: bool = False
    """Whether Keystone refuses the project, so that nothing else can be built in it."""
    also: tuple[str, ...] = ()
    """Further records of verbs, by the end of their keys."""


# Before -------------------------------------------------------------------------------------------


def built(system: System) -> None:
    system.put(N1)
    system.until(lambda: system.reported(n1=BUILT) and system.idle())


def failed(system: System) -> None:
    system.outcome = lambda stack: {"status": "FAILED"}
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_FAILED", 1)) and system.idle())
    system.outcome = complete


def in_heat(system: System) -> None:
    """Heat works on it, and is not about to end."""
    system.outcome = held_back
    system.put(N1)
    system.until(lambda: any(run.step is Step.IN_HEAT for run in system.runs().values()))


def held_back(stack: Stack) -> dict[str, object] | None:
    """Heat ends everything but what it does for the networks of a story."""
    if stack.name == N1.stack_name:
        return None
    return dict(complete(stack) or {})


def waiting(system: System) -> None:
    """Its job is there, and is not sent."""
    write_pause(system, verb("pause", "alice", None), NETWORKS)
    system.put(N1)
    system.until(lambda: system.term.sizes()["paused"] == 1)


def behind_another(system: System) -> None:
    """Heat works on its creation, and its deletion waits for that."""
    in_heat(system)
    system.put(N1, 2, marked=True)
    system.lead_until(lambda: len(system.term.world.graph.on(N1)) == 2)
    system.outcome = complete


def adoptable(system: System) -> None:
    """Somebody else's stack is there, and the network waits."""
    system.heat.put(TENANT, Stack("id-legacy", "legacy", "CREATE_COMPLETE", "made by hand"))
    waiting(system)


def altered(system: System) -> None:
    """Somebody has updated its stack, and a sweep has found that."""
    built(system)
    stack = system.heat.stacks(TENANT)[N1.stack_name]
    system.heat.put(TENANT, replace(stack, tags=()))
    asked = system.keys.sweeps_asked + "aaaaa"
    system.store.put(asked, SweepAsked(TENANT).to_json())
    system.until(lambda: system.store.get(asked) is None, "the sweep")
    assert drift(system) is not None


def braked(system: System) -> None:
    """All configs have vanished at once."""
    for ref in NETS:
        system.put(ref)
    system.until(lambda: all(system.worker_state(ref) == BUILT for ref in NETS) and system.idle())
    configs = tuple(system.keys.below(system.keys.config, ref) for ref in NETS)
    assert system.store.commit(Transaction(deletes=configs))
    system.until(lambda: system.store.get(system.keys.brake) is not None)


def orphaned(system: System) -> None:
    """It is to be deleted, and Keystone refuses its project."""
    built(system)
    system.heat.refuse_project(TENANT)
    system.put(N1, 2, marked=True)
    system.until(lambda: any(run.step is Step.RETRY for run in system.runs().values()))


def orphaned_and_removed(system: System) -> None:
    orphaned(system)
    system.remove(N1)
    system.until(lambda: N1 not in system.term.world.wanted)


def drift(system: System) -> tuple[Drift, int] | None:
    found = system.store.get(system.keys.below(system.keys.drift, N1))
    return (Drift.from_json(found.value), found.revision) if found else None


# VerbAsked for ----------------------------------------------------------------------------------------


def asks(name: str, request: RetryAsked) -> Ask:
    """A request to the leader about the network."""
    return lambda system: _request(system, name, request)


def _request(system: System, name: str, request: RetryAsked, *refs: Ref) -> VerbAsked:
    asked = verb(name, "alice", "CHG-4711", clock=system.clock.clock)
    about = refs or (N1,)
    requesting.ask(system.store, system.keys, asked, dict.fromkeys(about, request))
    return VerbAsked(asked, about)


def rebuild(system: System) -> VerbAsked:
    found = system.store.get(system.keys.below(system.keys.handled, N1))
    assert found is not None
    request = RetryAsked(rebuild=Handled.from_json(found.value).job)
    return _request(system, "rebuild", request)


def leave(how: LeavingMode) -> Ask:
    def ask(system: System) -> VerbAsked:
        found = system.store.get(system.keys.below(system.keys.config, N1))
        assert found is not None
        return _request(system, how.value, RetryAsked(leave=how, config=found.revision))

    return ask


def cancel(system: System) -> VerbAsked:
    job = system.term.world.graph.on(N1)[-1]
    return _request(system, "cancel", RetryAsked(cancel=job.id))


def confirm_deletions(system: System) -> VerbAsked:
    request = RetryAsked(confirm=system.store.revision)
    return _request(system, "confirm deletions", request, *NETS)


def accept(system: System) -> VerbAsked:
    """As the command writes it: the record of the verb in the same transaction."""
    there = drift(system)
    assert there is not None
    asked = verb("drift accept", "alice", None, clock=system.clock.clock)
    accepted = effects.accept_drift(system.keys.below(system.keys.drift, N1), *there)
    record = Transaction(puts=asked.done(system.keys, N1))
    assert system.store.commit(merged([accepted, record]))
    return VerbAsked(asked)


def write_pause(system: System, asked: AskedVerb, wanted: Pause) -> None:
    pausing.write(system.store, system.keys, asked, lambda pauses: pauses.adding(wanted))


def pause(system: System) -> VerbAsked:
    """For some seconds; a version is written right after it."""
    asked = verb("pause", "alice", "CHG-4711", clock=system.clock.clock)
    end = datetime.fromtimestamp(system.clock.clock.now() + 8.0, UTC)
    until = end.strftime("%Y-%m-%dT%H:%M:%SZ")
    write_pause(system, asked, replace(NETWORKS, until=until, verb="v1"))
    system.put(N1, 2)
    return VerbAsked(asked, (None,))


def resume(system: System) -> VerbAsked:
    asked = verb("resume", "alice", None, clock=system.clock.clock)
    scopes = [NETWORKS.scope]
    pausing.write(system.store, system.keys, asked, lambda pauses: pauses.without(scopes))
    return VerbAsked(asked, (None,))


# Done ---------------------------------------------------------------------------------------------


def reported(state: tuple[str, int]) -> Done:
    return lambda system: system.worker_state(N1) == state


def is_left(system: System) -> bool:
    """No key tells of it but the tombstone and the record of the verb, and its stack is there."""
    kept = (system.keys.audits, system.keys.left)
    keys = [kv.key for kv in system.store.list("/")[1] if kv.key.endswith("/n1")]
    tombstones = [key for key in keys if key.startswith(system.keys.left)]
    there = N1.stack_name in system.heat.stacks(TENANT)
    return there and len(tombstones) == 1 and all(key.startswith(kept) for key in keys)


def is_forgotten(system: System) -> bool:
    keys = [kv.key for kv in system.store.list("/")[1] if kv.key.endswith("/n1")]
    return not keys and system.idle()


def are_deleted(system: System) -> bool:
    there = system.heat.stacks(TENANT).keys()
    return (
        not there & {ref.stack_name for ref in NETS} and not system.store.list(system.keys.brake)[1]
    )


def is_accepted(system: System) -> bool:
    there = drift(system)
    return there is not None and there[0].accepted


def is_adopted(system: System) -> bool:
    """Its stack is recorded, and the job that updates it waits until the pause is over."""
    return system.store.get(system.keys.below(system.keys.stacks, N1)) is not None


def is_resumed_by_itself(system: System) -> bool:
    return system.store.get(system.keys.pauses) is None and system.worker_state(N1) == (
        "MODIFY_COMPLETED",
        2,
    )


STORIES = [
    Story(
        "retry", failed, asks("retry", RetryAsked()), reported(AGAIN), (("update", "network_n1"),)
    ),
    Story("rebuild", built, rebuild, reported(AGAIN), (("update", "network_n1"),)),
    Story("adopt", adoptable, asks("adopt", ADOPT), is_adopted),
    Story("release", built, leave(LeavingMode.RELEASE), is_left),
    Story("forget", in_heat, leave(LeavingMode.FORGET), is_left),
    Story("cancel what waits", waiting, cancel, reported(("CREATE_FAILED", 1))),
    Story("cancel behind another job", behind_another, cancel, reported(("DELETE_FAILED", 2))),
    Story(
        "cancel what Heat works on",
        in_heat,
        cancel,
        reported(("CREATE_FAILED", 1)),
        (("cancel", "network_n1"),),
        "carried out: Heat is asked to end the operation",
    ),
    Story(
        "confirm deletions",
        braked,
        confirm_deletions,
        are_deleted,
        tuple(("delete", ref.stack_name) for ref in NETS),
    ),
    Story(
        "confirm project",
        orphaned,
        asks("confirm project", RetryAsked(gone=TENANT)),
        reported(("DELETE_COMPLETED", 2)),
        refused=True,
    ),
    Story(
        "confirm project of what is removed",
        orphaned_and_removed,
        asks("confirm project", RetryAsked(gone=TENANT)),
        is_forgotten,
        refused=True,
    ),
    Story("drift accept", altered, accept, is_accepted),
    Story("drift correct", altered, rebuild, reported(AGAIN), (("update", "network_n1"),)),
    Story(
        "pause",
        built,
        pause,
        is_resumed_by_itself,
        (("update", "network_n1"),),
        also=("v1-ended",),
    ),
    Story("resume", waiting, resume, reported(CREATED), (("create", "network_n1"),)),
]


def outcomes(system: System, asked: VerbAsked) -> list[list[str]]:
    """Every outcome that was ever written, of each record of the verb."""
    return [audited(system, ref, asked.verb.id) for ref in asked.refs]


def audited(system: System, ref: Ref | None, name: str) -> list[str]:
    key = system.keys.audit(ref, name)
    written = [e.value for e in system.store.history if e.key == key and e.value is not None]
    told = (AuditRecord.from_json(value).outcome for value in written)
    return [outcome for outcome in told if outcome]
