"""When the stacks of a tenant are compared with Heat: once an interval, the tenants spread over it,
and when a person asks."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping

from ..clients.store import KeyValue, Store
from ..clock import Clock
from ..core import effects, records
from ..core.drift import MOST_RESOURCES, SweepOrder
from ..core.keys import Keys
from ..core.records import Sweep, SweepAsked
from ..core.refs import Ref
from ..core.world import World
from .dispatching import Dispatcher
from .leader import Leadership
from .timers import Timers

_STEPS = 20
"""In how many steps an interval is gone through: the tenants of one step are sent together."""
_SOONEST, _LATEST = 1.0, 30.0
"""Seconds of a step, at least and at most."""
_ASKED_AGAIN = 60.0
"""Seconds after which what a person asked for is sent again, while the request is there."""


class Sweeping:
    """Plans the sweeps of all tenants.

    By level: the record of a tenant's last sweep says when the next is due, whoever leads then.
    A tenant that was never swept waits for a whole interval.

    :param interval: seconds between two sweeps of a tenant; 0: none but those that a person wants.
    """

    def __init__(
        self,
        world: World,
        store: Store,
        keys: Keys,
        leadership: Leadership,
        *,
        dispatcher: Dispatcher,
        timers: Timers,
        interval: float,
        clock: Clock,
    ) -> None:
        self._world, self._store, self._keys = world, store, keys
        self._leadership = leadership
        self._dispatcher, self._timers = dispatcher, timers
        self._interval, self._clock = interval, clock
        self._due: dict[str, float] = {}
        """When each tenant is due, by the monotonic clock."""
        self._swept: set[str] = set()
        """The tenants that may have a record of a sweep."""
        self._asked: dict[str, SweepAsked] = {}
        """What persons ask for, by the name of the request."""

    def begin(self) -> None:
        """Sweep for as long as the term lasts."""
        self._timers.every(_ASKED_AGAIN, self._send_asked)
        if not self._interval:
            return
        _, swept = self._store.list(self._keys.sweeps)
        last = self._last(swept)
        self._swept.update(last)
        self._plan(last)
        step = min(max(self._interval / _STEPS, _SOONEST), _LATEST)
        self._timers.every(step, self._send_due)

    # In turn --------------------------------------------------------------------------------------

    def _last(self, swept: Iterable[KeyValue]) -> dict[str, float]:
        """When each tenant was last swept: seconds since the epoch by the worker's clock."""
        last: dict[str, float] = {}
        for kv in swept:
            try:
                sweep = Sweep.from_json(kv.value)
            except records.UNREADABLE:
                continue
            last[self._keys.sweep_tenant(kv.key)] = sweep.at
        return last

    def _plan(self, last: Mapping[str, float]) -> None:
        """Say when tenants are due of which that is not known yet; forget those without a stack."""
        now, wall = self._clock.monotonic(), self._clock.now()
        tenants = {
            stack.tenant for stack in self._world.stacks.values() if stack.live
        }
        for tenant in self._swept - tenants:
            key = self._keys.sweep(tenant)
            self._leadership.commit(effects.forget_sweep(key))
        self._swept &= tenants
        self._due = {
            tenant: self._due.get(tenant)
            or now + self._pause(tenant, wall, last.get(tenant))
            for tenant in tenants
        }

    def _pause(self, tenant: str, wall: float, last: float | None) -> float:
        """Seconds until a tenant is due: an interval after its last sweep; one that is overdue has
        its own place in the next interval."""
        place = zlib.crc32(tenant.encode()) / 2**32
        if last is None:
            return self._interval * (1.0 + place)
        left = self._interval - max(wall - last, 0.0)
        if left > 0.0:
            return left
        return self._interval * place

    def _send_due(self) -> None:
        now = self._clock.monotonic()
        due = {tenant for tenant, at in self._due.items() if at <= now}
        for order in self._orders(due):
            if not self._dispatcher.sweep(order):
                # The broker is away, or Heat does not answer for the tenant.
                continue
            self._due[order.tenant] = now + self._interval
        self._plan({})

    def _orders(
        self, tenants: set[str], asked: str = ""
    ) -> Iterable[SweepOrder]:
        """The messages for some tenants."""
        if not tenants:
            return
        refs: defaultdict[str, list[Ref]] = defaultdict(list)
        for ref, stack in self._world.stacks.items():
            if stack.tenant in tenants and stack.live:
                refs[stack.tenant].append(ref)
        for tenant in sorted(tenants):
            listed = refs[tenant]
            self._swept.add(tenant)
            for start in range(0, max(len(listed), 1), MOST_RESOURCES):
                part = tuple(listed[start : start + MOST_RESOURCES])
                yield SweepOrder(tenant, part, asked)

    # As asked -------------------------------------------------------------------------------------

    def note(self, key: str, value: bytes | None) -> None:
        """A person asks for a comparison now; None: it was made."""
        name = key.removeprefix(self._keys.sweeps_asked)
        if value is None:
            self._asked.pop(name, None)
            return
        try:
            self._asked[name] = SweepAsked.from_json(value)
        except records.UNREADABLE:
            return  # Of a newer release: nobody here could carry it out.
        self._send(name)

    def _send_asked(self) -> None:
        for name in list(self._asked):
            self._send(name)

    def _send(self, name: str) -> None:
        for order in self._orders({self._asked[name].tenant}, name):
            self._dispatcher.sweep(order)
