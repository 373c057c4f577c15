"""What follows in a roll-out, by its record and how the resources stand."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from orchestrator.core.jobs import Action
from orchestrator.core.records import Built, Failed, Handled, Rollout, RolloutPhase, TargetHealth
from orchestrator.core.refs import JobId
from orchestrator.core.rollouts import (
    Decided,
    KnownMembers,
    Member,
    MemberStanding,
    decide,
    place_of,
    standing_of,
    waves_of,
)

from tests.factories import network


def rollout(**fields: Any) -> Rollout:
    known = {
        "id": "r1",
        "template": "network",
        "before": "old",
        "revision": "new",
        "by": "alice@host",
        "since": "2026-11-28T08:50:12Z",
        **fields,
    }
    return Rollout(**known)


CANARY = rollout(canary=2, phase=RolloutPhase.CANARY, promoted=False)


def members(*standings: MemberStanding, **fields: Any) -> list[Member]:
    return [
        Member(network(f"n{number}"), f"{number:04x}", standing, **fields)
        for number, standing in enumerate(standings)
    ]


TO_DO, UNDER_WAY, COMPLETE = MemberStanding.TO_DO, MemberStanding.UNDER_WAY, MemberStanding.COMPLETE
FAILED, BUSY, ASIDE = MemberStanding.FAILED, MemberStanding.BUSY, MemberStanding.ASIDE


def test_a_record_is_read_as_it_was_written() -> None:
    written = replace(CANARY, canaries=(network("a"),), min_healthy=1.5, moved="then").into(
        RolloutPhase.STOPPED, "because"
    )
    read = Rollout.from_json(written.to_json())

    assert (read, read.moved) == (written, "then")
    assert read.stage is RolloutPhase.CANARY
    health = TargetHealth(True, 7)
    assert TargetHealth.from_json(health.to_json()) == health


# How a resource stands ---------------------------------------------------------------------------

JOB = JobId("create:heat_worker:network:n1:1:aaaaa")


def known(mark: str = "", revision: str = "old", **fields: Any) -> KnownMembers:
    handled = Handled(1, 1, JOB, "network", "t1", rollout=mark)
    built = Built(JOB, "network", revision)
    given = {"failed": None, "live": True, "busy": False, **fields}
    return KnownMembers(handled, built, **given)


FAILURE = Failed(1, Action.MODIFY, "no", network())


@pytest.mark.parametrize(
    ("found", "standing"),
    [
        pytest.param(known(), TO_DO, id="built from the revision before"),
        pytest.param(known(revision="new"), COMPLETE, id="has it already"),
        pytest.param(known("r1", "new"), COMPLETE, id="its own job"),
        pytest.param(known("r1", "new", busy=True), UNDER_WAY, id="its own job is under way"),
        pytest.param(known(busy=True), BUSY, id="another job"),
        pytest.param(known(asked=True), UNDER_WAY, id="asked for"),
        pytest.param(known("r1", failed=FAILURE), FAILED, id="its own job failed"),
        pytest.param(known("r0", failed=FAILURE), ASIDE, id="failed in an earlier roll-out"),
        pytest.param(known(live=False), ASIDE, id="never built"),
        pytest.param(known("r1", ""), TO_DO, id="nobody knows from which revision"),
    ],
)
def test_only_its_own_job_of_the_revision_counts(
    found: KnownMembers, standing: MemberStanding
) -> None:
    assert standing_of(CANARY, found)[0] is standing


def test_the_end_of_a_job_counts_once_the_record_of_what_it_built_is_seen() -> None:
    found = known("r1", "new")
    assert found.built is not None
    early = replace(found, built=replace(found.built, job=JobId("another")))

    assert standing_of(CANARY, early)[0] is UNDER_WAY


@pytest.mark.parametrize(
    ("found", "standing"),
    [
        pytest.param(known("r1", "new"), TO_DO, id="has the new one"),
        pytest.param(known("r1", "old", failed=FAILURE), TO_DO, id="failed by it"),
        pytest.param(known("", "new"), TO_DO, id="has it by another job"),
        pytest.param(known("r1/back", "old", busy=True), UNDER_WAY, id="goes back"),
        pytest.param(known("r1/back", "old"), COMPLETE, id="is back"),
        pytest.param(known("r1/back", "new", failed=FAILURE), FAILED, id="cannot go back"),
        pytest.param(known(), ASIDE, id="never had it"),
    ],
)
def test_what_has_the_new_revision_goes_back_once(
    found: KnownMembers, standing: MemberStanding
) -> None:
    assert standing_of(CANARY.into(RolloutPhase.REVERTING), found)[0] is standing


# What follows ------------------------------------------------------------------------------------


def test_canaries_are_written_down_before_any_is_begun() -> None:
    decided = decide(CANARY, members(BUSY, TO_DO, TO_DO, TO_DO), "old")

    assert decided.start == ()
    assert decided.record is not None
    assert decided.record.canaries == (network("n1"), network("n2"))


@pytest.mark.parametrize(
    "phase", [RolloutPhase.STOPPED, RolloutPhase.ABORTED, RolloutPhase.DONE, RolloutPhase.REVERTED]
)
def test_nothing_is_begun_when_it_is_stopped_or_over(phase: RolloutPhase) -> None:
    assert decide(CANARY.into(phase), members(TO_DO, FAILED), "old") == Decided()


def test_nothing_is_begun_while_it_is_paused() -> None:
    paused = replace(CANARY, paused=True)
    assert decide(paused, members(TO_DO, FAILED), "another") == Decided()


@pytest.mark.parametrize(
    ("auto_revert", "promoted", "phase"),
    [
        pytest.param(False, False, RolloutPhase.STOPPED, id="a person decides"),
        pytest.param(True, False, RolloutPhase.REVERTING, id="by itself"),
        pytest.param(True, True, RolloutPhase.STOPPED, id="after the promotion"),
    ],
)
def test_one_failure_more_than_is_tolerated_stops_it(
    auto_revert: bool, promoted: bool, phase: RolloutPhase
) -> None:
    known = rollout(fail_after=1, auto_revert=auto_revert, promoted=promoted, wave=1, border="~")
    if not promoted:
        known = replace(known, phase=RolloutPhase.CANARY, canaries=(network("n0"), network("n1")))
    in_force = known.expected
    tolerated = decide(known, members(FAILED, TO_DO), in_force)
    assert tolerated.start == (network("n1"),)

    stopped = decide(known, members(FAILED, FAILED, why="Heat says no"), in_force).record
    assert stopped is not None
    assert stopped.phase is phase
    assert "2 failed, 1 tolerated: network:n0: Heat says no" in stopped.reason


def test_a_failure_of_others_than_canaries_counts_only_after_the_promotion() -> None:
    known = replace(CANARY, canaries=(network("n0"),))
    assert decide(known, members(TO_DO, FAILED), "old").start == (network("n0"),)


def test_a_target_that_is_not_positive_for_long_enough_holds_the_wave() -> None:
    known = rollout(waves=(50, 100), wave=1, border="0000", min_healthy=60.0)
    assert decide(known, members(COMPLETE, TO_DO, healthy=59.0), "new") == Decided()
    assert decide(known, members(COMPLETE, TO_DO, healthy=60.0), "new").record is not None


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        pytest.param(2000, [200, 800, 1000], id="2000"),
        pytest.param(12, [2, 4, 6], id="12"),
        pytest.param(1, [1, 0, 0], id="one"),
        pytest.param(0, [0, 0, 0], id="none"),
    ],
)
def test_waves_are_as_large_as_their_shares(number: int, expected: list[int]) -> None:
    known = rollout(waves=(10, 50, 100))
    found = waves_of(known, members(*[TO_DO] * number))

    assert [wave.resources for wave in found] == expected


def test_the_order_is_as_if_drawn_by_lot_and_the_same_each_time() -> None:
    refs = [network(f"n{number}") for number in range(1000)]
    order = sorted(refs, key=lambda ref: place_of("r1", ref))

    assert order == sorted(refs, key=lambda ref: place_of("r1", ref))
    assert order != sorted(refs, key=lambda ref: place_of("r2", ref))
    assert 30 < sum(ref in refs[:500] for ref in order[:100]) < 70


# Two thousand stacks -----------------------------------------------------------------------------


@dataclass
class Played:
    """Stacks whose jobs end at random, and resources that come and go meanwhile."""

    rollout: Rollout
    standings: dict[int, MemberStanding]
    chance: random.Random
    bad: bool = False
    most: int = 0
    places: list[str] = field(default_factory=list)
    touched: Counter[int] = field(default_factory=Counter)

    def members(self) -> list[Member]:
        for one in range(len(self.places), len(self.standings)):
            self.places.append(place_of("r1", network(str(one))))
        return [
            Member(network(str(one)), self.places[one], standing)
            for one, standing in self.standings.items()
        ]

    def begun_before(self, border: str) -> Sequence[Member]:
        return [member for member in self.members() if member.place <= border]

    def step(self) -> None:
        decided = decide(self.rollout, self.members(), self.rollout.expected)
        assert not (decided.start and decided.record)
        if decided.record is not None:
            self.moved(decided.record)
        for ref in decided.start:
            self.standings[int(ref.id)] = UNDER_WAY
            self.touched[int(ref.id)] += 1
        self.most = max(self.most, list(self.standings.values()).count(UNDER_WAY))
        self.jobs_end()

    def moved(self, record: Rollout) -> None:
        if record.wave != self.rollout.wave:
            ended = (COMPLETE, FAILED, ASIDE)
            assert all(m.standing in ended for m in self.begun_before(self.rollout.border))
        if record.phase is RolloutPhase.WAITING:
            record = replace(record.into(RolloutPhase.WAVES), promoted=True)
        if record.phase is RolloutPhase.REVERTING:
            self.standings = {
                one: TO_DO if one in self.touched else ASIDE for one in self.standings
            }
            self.bad = False
        self.rollout = record

    def jobs_end(self) -> None:
        for one, standing in list(self.standings.items()):
            if standing is UNDER_WAY and self.chance.random() < 0.5:
                self.standings[one] = FAILED if self.bad else COMPLETE
        if self.chance.random() < 0.2:
            self.standings[len(self.standings)] = COMPLETE if self.rollout.promoted else ASIDE


def play(*, bad: bool, seed: int) -> Played:
    begun = rollout(
        canary=3,
        phase=RolloutPhase.CANARY,
        promoted=False,
        waves=(10, 50, 100),
        max_parallel=20,
        fail_after=1,
        auto_revert=True,
    )
    standings = dict.fromkeys(range(2000), TO_DO)
    played = Played(begun, standings, random.Random(seed), bad)
    for _ in range(1000):
        if played.rollout.over:
            return played
        played.step()
    raise AssertionError(played.rollout)
