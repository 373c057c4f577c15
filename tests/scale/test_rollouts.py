"""The decisions of a roll-out over two thousand stacks."""

from __future__ import annotations

from orchestrator.core.records import RolloutPhase

from tests.factories import network
from tests.unit.core.test_rollouts import play


def test_two_thousand_stacks_follow_in_waves_with_a_limit_of_jobs() -> None:
    played = play(bad=False, seed=1)

    assert played.rollout.phase is RolloutPhase.DONE
    assert played.most == 20
    assert set(played.touched.values()) == {1}
    assert len(played.touched) == 2000


def test_of_two_thousand_stacks_a_bad_revision_touches_only_the_canaries() -> None:
    played = play(bad=True, seed=2)

    assert played.rollout.phase is RolloutPhase.REVERTED
    assert {network(str(one)) for one in played.touched} == set(played.rollout.canaries)
