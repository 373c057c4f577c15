"""How long to wait after a temporary failure."""

from __future__ import annotations

import pytest
from orchestrator.core.backoff import Backoff
from orchestrator.errors import (
    BrokerUnavailable,
    CredentialsRejected,
    HeatUnavailable,
    StackBusy,
    StoreUnavailable,
    TargetUnavailable,
    TemporaryError,
)
from tasks.retries import JITTER, POLICIES, delay

POLICY = ((TemporaryError, Backoff(1.0, 10.0, jitter=JITTER)),)


@pytest.mark.parametrize(
    ("attempt", "middle"),
    [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 10.0), (6, 10.0), (1000, 10.0)],
    ids=lambda value: f"{value:g}",
)
def test_delays_grow_up_to_the_longest_within_half_and_one_and_a_half(
    attempt: int, middle: float
) -> None:
    drawn = [delay(TemporaryError("x"), attempt, POLICY) for _ in range(200)]

    assert middle * 0.5 <= min(drawn) <= max(drawn) <= middle * 1.5
    assert (
        len(set(drawn)) > 50
    )  # jittered, so that those who failed together do not come back together


@pytest.mark.parametrize(
    "error",
    [
        StackBusy,
        CredentialsRejected,
        StoreUnavailable,
        HeatUnavailable,
        BrokerUnavailable,
        TargetUnavailable,
        TemporaryError,
    ],
)
def test_every_temporary_error_has_a_policy(error: type[TemporaryError]) -> None:
    assert 0 < delay(error("x"), 1) <= 10
    assert 0 < delay(error("x"), 10_000) <= 180


def test_a_busy_stack_is_asked_again_sooner_than_refused_credentials() -> None:
    assert max(delay(StackBusy("x"), 1) for _ in range(50)) < min(
        delay(CredentialsRejected("x"), 1) for _ in range(50)
    )


def test_the_last_policy_fits_all() -> None:
    assert POLICIES[-1][0] is TemporaryError
