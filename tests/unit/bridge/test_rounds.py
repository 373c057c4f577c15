"""Looks at monitoring targets are spread evenly, and none is forgotten or repeated."""

from __future__ import annotations

from collections import Counter

import pytest
from orchestrator.bridge.rounds import Rounds
from orchestrator.core.refs import Ref

from tests.doubles import ManualClock

INTERVAL = 60.0
MANY = [Ref("node", f"n{i}") for i in range(3000)]


def due_at(
    rounds: Rounds, clock: ManualClock, refs: list[Ref], seconds: float
) -> list[tuple[float, Ref]]:
    """Who is due when, asked as the bridge asks."""
    found: list[tuple[float, Ref]] = []
    end = clock.now + seconds
    while clock.now + rounds.pause <= end:
        clock.now += rounds.pause
        found += [(clock.now, ref) for ref in rounds.due(lambda: refs)]
    clock.now = end
    return found + [(end, ref) for ref in rounds.due(lambda: refs)]


@pytest.mark.parametrize("start", [0.0, 17.3, 59.999])
@pytest.mark.parametrize("count", [1, 3, 3000])
def test_everybody_is_due_once_an_interval(count: int, start: float) -> None:
    clock = ManualClock(1_000_000_020.0 + start)
    rounds = Rounds(INTERVAL, 48, clock.clock)
    for _ in range(3):
        assert Counter(ref for _, ref in due_at(rounds, clock, MANY[:count], INTERVAL)) == Counter(
            MANY[:count]
        )


def test_the_turns_are_an_interval_apart() -> None:
    clock = ManualClock()
    rounds = Rounds(INTERVAL, 48, clock.clock)
    first, second = (
        {ref: at for at, ref in due_at(rounds, clock, MANY, INTERVAL)} for _ in range(2)
    )

    assert all(abs(second[ref] - first[ref] - INTERVAL) <= INTERVAL / 12 for ref in MANY)


def test_the_load_is_even() -> None:
    clock = ManualClock()
    rounds = Rounds(INTERVAL, 48, clock.clock)
    due_at(rounds, clock, MANY, INTERVAL)
    start = clock.now
    seconds = Counter(int(at - start) for at, _ in due_at(rounds, clock, MANY, INTERVAL - 0.1))

    assert max(seconds.values()) < 3 * len(MANY) / INTERVAL


def test_a_new_leader_goes_on_where_the_old_one_was() -> None:
    clock = ManualClock()
    old = Rounds(INTERVAL, 48, clock.clock)
    before = due_at(old, clock, MANY, 25.0)
    after = due_at(Rounds(INTERVAL, 48, clock.clock), clock, MANY, 35.0)

    assert Counter(ref for _, ref in before + after) == Counter(MANY)


def test_who_was_missed_while_the_bridge_was_busy_is_due_once() -> None:
    clock = ManualClock()
    rounds = Rounds(INTERVAL, 48, clock.clock)
    clock.now += 5 * INTERVAL

    assert Counter(rounds.due(lambda: MANY)) == Counter(MANY)


def test_a_probe_at_once_stands_for_one_that_is_due_soon() -> None:
    clock = ManualClock()
    rounds = Rounds(INTERVAL, 48, clock.clock)
    (at_first,) = [at for at, _ in due_at(rounds, clock, MANY[:1], INTERVAL)]
    clock.now = at_first + INTERVAL - 6
    rounds.due(lambda: MANY[:1])
    rounds.asked(MANY[0])

    assert due_at(rounds, clock, MANY[:1], 12) == []
    assert [ref for _, ref in due_at(rounds, clock, MANY[:1], INTERVAL)] == MANY[:1]


def test_somebody_new_is_due_in_the_next_round() -> None:
    clock = ManualClock()
    rounds = Rounds(INTERVAL, 48, clock.clock)
    due_at(rounds, clock, MANY[:10], INTERVAL)

    assert Counter(ref for _, ref in due_at(rounds, clock, MANY[:20], 2 * INTERVAL))[MANY[15]] in (
        1,
        2,
    )


def test_nobody_is_nobody() -> None:
    clock = ManualClock()

    assert due_at(Rounds(INTERVAL, 48, clock.clock), clock, [], INTERVAL) == []
