"""How long to wait after a temporary failure: policy as data, no sleeping and no Celery here."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TypeAlias

from orchestrator.core.records import Cause
from orchestrator.core.stacks import SETTLING
from orchestrator.errors import (
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


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Delays grow from *first* to *longest* seconds by *factor*, each times a random 0.5 to 1.5 so
    that a thousand jobs that failed together do not come back together."""

    first: float
    longest: float
    factor: float = 2.0

    def delay(self, attempt: int) -> float:
        """Seconds before attempt number *attempt* + 1."""
        grown = self.first * self.factor ** min(attempt - 1, 30)
        return round(min(grown, self.longest) * random.uniform(0.5, 1.5), 3)


Policies: TypeAlias = tuple[tuple[type[TemporaryError], RetryPolicy], ...]

POLICIES: Policies = (
    (NotSeenYet, RetryPolicy(first=2 * SETTLING, longest=2 * SETTLING)),
    (DeletionFailed, RetryPolicy(first=1.0, longest=120.0)),
    (StackBusy, RetryPolicy(first=1.0, longest=15.0)),
    (CredentialsRejected, RetryPolicy(first=5.0, longest=120.0)),
    (ProjectRefused, RetryPolicy(first=5.0, longest=120.0)),
    (StoreUnavailable, RetryPolicy(first=0.5, longest=10.0)),
    (TemporaryError, RetryPolicy(first=1.0, longest=60.0)),
)
"""The first class that fits decides. There is no last attempt: nothing fails because Heat is away."""


def delay(error: TemporaryError, attempt: int, policies: Policies = POLICIES) -> float:
    """Seconds to wait after *error*, the *attempt*-th in a row."""
    return next(policy.delay(attempt) for kind, policy in policies if isinstance(error, kind))


CAUSES: tuple[tuple[type[TemporaryError], Cause], ...] = (
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
