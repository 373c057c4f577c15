"""Configs that vanish in great numbers delete nothing before a person has confirmed it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
from orchestrator.bridge.identity import IdentityDiffers, IdentityGuard
from orchestrator.bridge.leader import campaign
from orchestrator.bridge.loading import load
from orchestrator.bridge.timing import Timing
from orchestrator.core.keys import Keys, Prefixes
from orchestrator.core.records import Brake, IdentityTrouble, RetryAsked
from orchestrator.core.refs import Ref
from orchestrator.core.removals import BrakeLimits
from orchestrator.core.transactions import Transaction

from tests import factories
from tests.factories import network, port

from .driver import System

LIMITS = BrakeLimits(at_once=3, share=0.05)
ANOTHER = network("n9")
NETS = [network(f"n{number}") for number in range(6)]


@pytest.fixture
def system() -> Iterator[System]:
    timing = Timing(poll_interval=0.02, monitoring_interval=3600.0, patience=0.2, brake=LIMITS)
    with System(timing=timing) as running:
        for ref in NETS:
            running.put(ref)
        running.until(lambda: all_reported(running, NETS))
        running.until(running.idle)
        yield running


def all_reported(system: System, refs: Iterable[Ref], version: int = 1) -> bool:
    states = [system.worker_state(ref) for ref in refs]
    return all(state is not None and state[1] == version for state in states)


def remove_at_once(system: System, refs: Iterable[Ref]) -> None:
    """``etcdctl del --prefix``: one transaction."""
    keys = tuple(system.keys.below(system.keys.config, ref) for ref in refs)
    assert system.store.commit(Transaction(deletes=keys))


def brake(system: System) -> Brake | None:
    found = system.store.get(system.keys.brake)
    return Brake.from_json(found.value) if found else None


def deletions(system: System) -> list[str]:
    return [name for method, name in system.asked() if method == "delete"]


def confirm(system: System, refs: Iterable[Ref], seen: int = 0) -> None:
    for ref in refs:
        asked = RetryAsked(confirm=seen or system.store.revision)
        system.store.put(system.keys.below(system.keys.retries, ref), asked.to_json())


def is_gone(system: System, refs: Iterable[Ref]) -> bool:
    return not any(system.store.get(system.keys.below(system.keys.stacks, ref)) for ref in refs)


def build_another(system: System) -> None:
    """Work that has nothing to do with it goes on: once it is done, the rest had its turn."""
    system.put(ANOTHER)
    system.until(lambda: all_reported(system, [ANOTHER]))


def test_as_many_as_are_allowed_go_by_themselves(system: System) -> None:
    remove_at_once(system, NETS[:3])
    system.until(lambda: is_gone(system, NETS[:3]))
    assert brake(system) is None


def test_more_are_held_and_the_rest_of_the_work_goes_on(system: System) -> None:
    remove_at_once(system, NETS[:4])
    build_another(system)

    assert deletions(system) == []
    held = brake(system)
    assert held is not None
    assert (held.removed, held.limit) == (4, 3)
    assert system.term.sizes()["deletions_held"] == 4


def test_one_after_the_other_they_are_held_once_there_are_too_many(system: System) -> None:
    for ref in NETS[:3]:
        system.remove(ref)
        system.until(lambda ref=ref: is_gone(system, [ref]))  # type: ignore[misc]
    system.remove(NETS[3])
    system.until(lambda: brake(system) is not None)
    build_another(system)
    assert len(deletions(system)) == 3


def test_what_is_marked_is_never_held(system: System) -> None:
    for ref in NETS:
        system.put(ref, 2, marked=True)
    system.until(lambda: all(system.worker_state(ref) == ("DELETE_COMPLETED", 2) for ref in NETS))
    remove_at_once(system, NETS)
    system.until(lambda: is_gone(system, NETS))
    assert brake(system) is None


def test_what_was_never_built_is_not_counted(system: System) -> None:
    waiting = [port(f"p{number}") for number in range(6)]
    for ref in waiting:
        system.put(ref, network_id="nobody")
    system.until(
        lambda: all(system.store.get(system.keys.below(system.keys.held, ref)) for ref in waiting)
    )
    remove_at_once(system, waiting)
    system.until(
        lambda: (
            not any(system.store.get(system.keys.below(system.keys.held, ref)) for ref in waiting)
        )
    )
    assert brake(system) is None


def test_what_is_confirmed_goes_and_the_brake_with_the_last(system: System) -> None:
    remove_at_once(system, NETS)
    system.until(lambda: brake(system) is not None)

    confirm(system, NETS[:2])
    system.until(lambda: is_gone(system, NETS[:2]))
    build_another(system)
    assert len(deletions(system)) == 2
    assert brake(system) is not None

    confirm(system, NETS[2:])
    system.until(lambda: is_gone(system, NETS) and brake(system) is None)
    system.until(lambda: not system.store.list(system.keys.retries)[1])


def test_a_removal_that_was_not_seen_is_not_confirmed(system: System) -> None:
    remove_at_once(system, NETS[:5])
    system.until(lambda: brake(system) is not None)
    seen = system.store.revision
    remove_at_once(system, NETS[5:])

    confirm(system, NETS, seen)
    system.until(lambda: is_gone(system, NETS[:5]))
    build_another(system)

    assert not is_gone(system, NETS[5:])
    assert len(deletions(system)) == 5


def test_configs_that_are_written_again_keep_their_stacks(system: System) -> None:
    for ref in NETS:
        system.put(ref, 7, name="changed")
    system.until(lambda: all_reported(system, NETS, 7))
    system.until(system.idle)
    remove_at_once(system, NETS)
    system.until(lambda: brake(system) is not None)

    for ref in NETS:
        system.put(ref, 1, name="as before")

    system.until(lambda: all(system.worker_state(ref) == ("MODIFY_COMPLETED", 1) for ref in NETS))
    system.until(lambda: brake(system) is None)
    assert deletions(system) == []


def test_configs_that_are_removed_and_written_again_in_one_go_keep_their_stacks(
    system: System,
) -> None:
    """A resync that empties the folder first, while nobody led."""
    system.stop()
    remove_at_once(system, NETS)
    for ref in NETS:
        system.put(ref)
    system.start()

    system.until(lambda: all(system.worker_state(ref) == ("MODIFY_COMPLETED", 1) for ref in NETS))
    system.until(lambda: brake(system) is None)
    assert deletions(system) == []


def test_one_that_is_removed_and_written_again_is_built_anew(system: System) -> None:
    system.stop()
    system.remove(NETS[0])
    system.put(NETS[0])
    system.start()
    system.until(lambda: deletions(system) == [NETS[0].stack_name])
    system.until(lambda: system.worker_state(NETS[0]) == ("CREATE_COMPLETED", 1))


def test_the_next_leader_holds_on(system: System) -> None:
    remove_at_once(system, NETS[:4])
    system.until(lambda: brake(system) is not None)
    confirm(system, NETS[:3])
    system.until(lambda: is_gone(system, NETS[:3]))
    system.stop()

    system.start()
    build_another(system)

    assert not is_gone(system, NETS[3:4]), "one alone would go by itself"
    assert brake(system) is not None


def test_a_leader_that_finds_everything_gone_holds_it(system: System) -> None:
    system.stop()
    remove_at_once(system, NETS)
    system.start()
    build_another(system)
    assert deletions(system) == []
    assert brake(system) is not None


def test_a_confirmation_outlives_the_leader_that_has_seen_it(system: System) -> None:
    remove_at_once(system, NETS)
    system.until(lambda: brake(system) is not None)
    system.stop()
    confirm(system, NETS)
    system.start()
    system.until(lambda: is_gone(system, NETS) and brake(system) is None)


def test_a_share_of_what_is_built_counts_when_it_is_more() -> None:
    assert BrakeLimits(20, 0.05).allowed(100) == 20
    assert BrakeLimits(20, 0.05).allowed(5000) == 250


# Another identity ---------------------------------------------------------------------------------


def admit(system: System, keys: Keys) -> None:
    """As a bridge with these keys begins, after the one before has ended."""
    leadership = campaign(system.store, keys, 10, threading.Event())
    assert leadership is not None
    try:
        loaded = load(system.store, keys, factories.templates())
        IdentityGuard(system.store, LIMITS).admit(leadership, keys, loaded.world, "types")
    finally:
        leadership.resign()


@pytest.fixture
def stopped(system: System) -> System:
    system.stop()
    admit(system, system.keys)
    return system


def wrong(system: System) -> Keys:
    return Keys(replace(system.keys.prefixes, config="/confg"), system.keys.schemas)


def trouble(system: System) -> IdentityTrouble | None:
    found = system.store.get(system.keys.identity_trouble)
    return IdentityTrouble.from_json(found.value) if found else None


def test_a_wrong_prefix_stops_the_bridge_with_a_sentence(stopped: System) -> None:
    with pytest.raises(
        IdentityDiffers,
        match=r"ORCHESTRATOR_CONFIG_PREFIX is /confg, and was /config.*6 of 6 built",
    ):
        admit(stopped, wrong(stopped))
    found = trouble(stopped)
    assert found is not None
    assert "orchestrator confirm identity" in found.reason
    stopped.start()


def test_the_right_prefix_goes_on_as_if_nothing_had_been(stopped: System) -> None:
    with pytest.raises(IdentityDiffers):
        admit(stopped, wrong(stopped))
    admit(stopped, stopped.keys)
    assert trouble(stopped) is None
    stopped.start()
    build_another(stopped)
    assert deletions(stopped) == []


def test_another_identity_is_led_for_once_it_is_confirmed(stopped: System) -> None:
    with pytest.raises(IdentityDiffers):
        admit(stopped, wrong(stopped))
    found = trouble(stopped)
    assert found is not None
    stopped.store.put(stopped.keys.identity_confirmed, found.found.to_json())

    admit(stopped, wrong(stopped))

    assert trouble(stopped) is None
    with pytest.raises(IdentityDiffers, match="was /confg"):
        stopped.store.delete(stopped.keys.below(stopped.keys.config, NETS[0]))
        remove_at_once(stopped, NETS[1:])
        admit(stopped, stopped.keys)
    stopped.start()


def test_another_prefix_that_loses_nothing_is_no_trouble(stopped: System) -> None:
    elsewhere = Keys(Prefixes(state="/elsewhere"), stopped.keys.schemas)
    admit(stopped, elsewhere)
    assert trouble(stopped) is None
    stopped.start()


def test_an_identity_that_nobody_can_read_stops_nobody(stopped: System) -> None:
    stopped.store.put(stopped.keys.identity, "not ours")
    admit(stopped, stopped.keys)
    found = stopped.store.get(stopped.keys.identity)
    assert found is not None
    assert b'"/config"' in found.value
    stopped.start()
