"""When the next poll of a tenant's stacks may be sent, where polls do not go as usual.

What the workers tell of it stands in etcd (:class:`~orchestrator.core.records.Poll`), so all
processes together make one poll of a tenant at a time, and after a failure one in a pause.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...clock import Chance, Clock
from ...core.backoff import Backoff
from ...core.records import Poll

REFUSED = Backoff(initial=1.0, maximum=30.0, jitter=0.2)
"""Between polls that are refused. Each costs Keystone a token or two."""
UNAVAILABLE = Backoff(initial=1.0, maximum=5.0, jitter=0.2)
"""Between polls that Heat or Keystone does not answer: an outage ends by itself, and the ends of
stacks are to be found soon after it."""


@dataclass(frozen=True, slots=True)
class _Failed:
    """*until*: when the next poll may be sent, by the monotonic clock."""

    poll: Poll
    revision: int
    until: float


class Polls:
    """By tenant. A tenant whose polls go as usual is not in here."""

    def __init__(self, clock: Clock, chance: Chance) -> None:
        self._clock, self._chance = clock, chance
        self._under_way: set[str] = set()
        self._failed: dict[str, _Failed] = {}

    def goes_on(self, tenant: str) -> bool:
        """Whether a poll has taken long already: a second one would wait like it."""
        return tenant in self._under_way

    def is_refused(self, tenant: str) -> bool:
        """Whether the last poll failed, and a person has to act."""
        failed = self._failed.get(tenant)
        return failed is not None and failed.poll.refused

    @property
    def refused(self) -> int:
        """Of how many tenants that is so."""
        return sum(failed.poll.refused for failed in self._failed.values())

    @property
    def failing(self) -> dict[str, int]:
        """The tenants whose last poll failed, each with the revision of the record."""
        return {
            tenant: failed.revision for tenant, failed in self._failed.items()
        }

    def pause(self, tenant: str) -> float:
        """Seconds until the next poll may be sent."""
        failed = self._failed.get(tenant)
        if failed is None:
            return 0.0
        return max(failed.until - self._clock.monotonic(), 0.0)

    # What happens ---------------------------------------------------------------------------------

    def note_under_way(self, tenant: str) -> None:
        self._under_way.add(tenant)

    def note_failed(self, tenant: str, poll: Poll, revision: int) -> None:
        """A poll failed, once more."""
        self._under_way.discard(tenant)
        backoff = UNAVAILABLE
        if poll.refused:
            backoff = REFUSED
        pause = backoff.interval(max(poll.failures, 1), self._chance())
        until = self._clock.monotonic() + pause
        self._failed[tenant] = _Failed(poll, revision, until)

    def note_over(self, tenant: str) -> bool:
        """The record is gone. Whether that says that polls which failed are answered again.

        That of a poll that took long goes also with its worker: it says nothing.
        """
        took_long = tenant in self._under_way
        self._under_way.discard(tenant)
        return self._failed.pop(tenant, None) is not None and not took_long

    def note_answer(self, tenant: str) -> None:
        """A job of the tenant got through to Heat: the next poll need not wait."""
        failed = self._failed.get(tenant)
        if failed is not None:
            now = self._clock.monotonic()
            self._failed[tenant] = replace(failed, until=now)

    def forget(self, tenant: str) -> None:
        """Nothing is left to poll for."""
        self._failed.pop(tenant, None)
