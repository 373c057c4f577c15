"""What a bridge tells about itself: one leased key, while it leads and while it stands by."""

from __future__ import annotations

from .. import __version__
from ..clients.presence import Presence
from ..clients.store import Store
from ..clock import CLOCK, Clock
from ..core.keys import Keys
from ..core.records import BridgeAlive, LeaderRecord
from .dispatching.delays import MOST
from .health import Health


def presence(
    store: Store,
    keys: Keys,
    who: str,
    health: Health,
    clock: Clock = CLOCK,
) -> Presence:
    """What keeps the key of this bridge.

    :param who: what it writes into the leader's key (:func:`.leader.identity`).
    """
    known = LeaderRecord.from_json(who)
    since = round(clock.now(), 3)

    def tell() -> str:
        delays = health.delays
        return BridgeAlive(
            known.id,
            known.host,
            known.pid,
            __version__,
            since,
            round(health.wait, 1),
            delays[:MOST],
            len(delays[MOST:]),
        ).to_json()

    return Presence(store, keys.bridge(known.id), tell, clock)
