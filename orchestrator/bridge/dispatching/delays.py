"""The tenants whose jobs wait though they are ready: told to people, nothing is decided by it."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter

from ...clock import Clock
from ...core.records import DelayKind, TenantDelay
from .packing import Capacity
from .tenants import Tenant, Tenants

MOST = 50
"""Tenants that are told; of the others, only their number is."""


class TenantDelays:
    """Tells which tenants are delayed, and since when. To be asked every few seconds."""

    def __init__(
        self, tenants: Tenants, capacity: Capacity, clock: Clock
    ) -> None:
        self._tenants, self._capacity, self._clock = tenants, capacity, clock
        self._since: dict[tuple[str, DelayKind], float] = {}
        """When each delay was seen first, in seconds since the epoch."""

    def tell(self) -> tuple[TenantDelay, ...]:
        """All of them, those with most jobs first."""
        now = self._clock.now()
        found = {
            (tenant.name, kind): tenant for tenant, kind in self._delayed()
        }
        self._since = {key: self._since.get(key, now) for key in found}
        told = [
            self._delay(tenant, kind) for (_, kind), tenant in found.items()
        ]
        return tuple(sorted(told, key=attrgetter("waiting"), reverse=True))

    def _delayed(self) -> Iterator[tuple[Tenant, DelayKind]]:
        for tenant in self._tenants.known.values():
            if tenant.circuit.open:
                yield tenant, DelayKind.CIRCUIT
            elif tenant.ready and self._capacity.is_full(tenant):
                yield tenant, DelayKind.LIMIT

    def _delay(self, tenant: Tenant, kind: DelayKind) -> TenantDelay:
        clock, circuit = self._clock, tenant.circuit
        since, next_try = self._since[tenant.name, kind], 0.0
        if kind is DelayKind.CIRCUIT:
            seconds = max(circuit.resumes - clock.monotonic(), 0.0)
            next_try = round(clock.now() + seconds, 1)
            since = clock.now() - (clock.monotonic() - circuit.opened)
        return TenantDelay(
            tenant.name,
            kind.value,
            round(since, 1),
            len(tenant.ready) + len(tenant.asleep),
            len(tenant.in_flight),
            next_try,
            circuit.reason if kind is DelayKind.CIRCUIT else "",
        )
