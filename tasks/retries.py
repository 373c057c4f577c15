"""How long to wait after a temporary failure: policy as data, no sleeping and no Celery here."""

from __future__ import annotations

from typing import TypeAlias

from orchestrator.clock import CHANCE, Chance
from orchestrator.core.backoff import Backoff
from orchestrator.core.records import Cause
from orchestrator.core.stacks import SETTLING
from orchestrator.errors import (
    BuildFailed,
    CredentialsRejected,
    DeletionFailed,
    HeatFault,
    NotSeenYet,
    ProjectRefused,
    RecordUnreadable,
    RendererUnavailable,
    StackBusy,
    StoreUnavailable,
    TemporaryError,
)

Policies: TypeAlias = tuple[tuple[type[TemporaryError], Backoff], ...]

JITTER = 0.5
"""A thousand jobs that failed together do not come back together."""

POLICIES: Policies = (
    (NotSeenYet, Backoff(2 * SETTLING, 2 * SETTLING, jitter=JITTER)),
    (DeletionFailed, Backoff(1.0, 120.0, jitter=JITTER)),
    (BuildFailed, Backoff(10.0, 600.0, jitter=JITTER)),
    (StackBusy, Backoff(1.0, 15.0, jitter=JITTER)),
    (CredentialsRejected, Backoff(5.0, 120.0, jitter=JITTER)),
    (ProjectRefused, Backoff(5.0, 120.0, jitter=JITTER)),
    (StoreUnavailable, Backoff(0.5, 10.0, jitter=JITTER)),
    (TemporaryError, Backoff(1.0, 60.0, jitter=JITTER)),
)
"""The first class that fits decides.
There is no last attempt: nothing fails because Heat is away.
Only for :class:`BuildFailed` the template says how many there are."""


def delay(
    error: TemporaryError,
    attempt: int,
    policies: Policies = POLICIES,
    chance: Chance = CHANCE,
) -> float:
    """Seconds to wait after *error*, the *attempt*-th in a row."""
    backoff = next(
        backoff for kind, backoff in policies if isinstance(error, kind)
    )
    return round(backoff.interval(attempt, chance()), 3)


CAUSES: tuple[tuple[type[TemporaryError], Cause], ...] = (
    (BuildFailed, Cause.FAILED),
    (StackBusy, Cause.BUSY),
    (RecordUnreadable, Cause.BUSY),
    (RendererUnavailable, Cause.BUSY),
    (HeatFault, Cause.FAULT),
    (CredentialsRejected, Cause.CREDENTIALS),
    (ProjectRefused, Cause.PROJECT),
    (TemporaryError, Cause.UNAVAILABLE),
)
"""The first class that fits decides what kind of failure the bridge takes it for."""


def cause_of(error: TemporaryError) -> Cause:
    return next(cause for kind, cause in CAUSES if isinstance(error, kind))
