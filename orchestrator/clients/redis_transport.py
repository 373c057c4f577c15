"""kombu's transport to Redis, put right where it ends a worker or misleads an operator.

The classes are kombu's own with a few methods replaced; :func:`install` makes kombu use them for
``redis://``, ``rediss://`` and ``sentinel://``. Each replacement names the fault; docs/celery.md
lists the tests that show them.

Also here: a message that cannot be used is dropped before Celery sees it (:class:`MessageInbox`).
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty
from typing import Any

from kombu import transport as aliases
from kombu.transport import redis as kombu_redis
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import loads
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from ..core.documents import parse_json
from ..core.refs import Json
from ..events import EventName, count

log = logging.getLogger(__name__)

LARGEST = 1024 * 1024
"""Bytes of the largest message that is read. Ours carry ids alone: eight runs, or 64 resources."""

CLUSTER = (
    "this Redis runs in cluster mode, which does not work as a Celery broker; "
    "name a single Redis, or one behind Sentinel, in ORCHESTRATOR_BROKER_URL"
)
"""celery#2852: BRPOP names several queues, which lie in different slots of a cluster."""


@dataclass(slots=True)
class MessageInbox:
    """Which messages the consumer of this process takes.

    *fault* answers why a message in one of *queues* cannot be used, empty when it can. In other
    queues lie answers to Celery's own commands, of any form.
    """

    queues: frozenset[str] = frozenset()
    fault: Callable[[Json], str] = lambda message: ""

    def open(self, queue: str, raw: bytes) -> tuple[Json, str]:
        """A message taken apart, and why it cannot be used; empty when it can."""
        if queue not in self.queues:
            return loads(bytes_to_str(raw)), ""
        if len(raw) > LARGEST:
            return None, f"it has {len(raw)} bytes, and {LARGEST} are allowed"
        try:
            message = parse_json(raw)
        except Exception as error:  # whatever a decoder makes of foreign bytes
            return None, f"it is not JSON ({type(error).__name__})"
        return message, self.fault(message)


inbox = MessageInbox()
"""Of this process. Who takes jobs sets it; whoever only sends receives nothing."""


class _Repaired:
    """What both channels, with and without Sentinel, do otherwise than kombu's."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._refuse_cluster()

    def _refuse_cluster(self) -> None:
        """Say what is wrong, where Redis says MOVED or CROSSSLOT at every command."""
        channel: Any = self
        try:
            mode = channel.client.info("cluster").get("cluster_enabled")
        except ResponseError:
            return  # An ACL user without INFO: not known.
        if mode:
            channel.close()
            raise RedisConnectionError(CLUSTER)

    def length(self, queue: str) -> int:
        """Messages in a queue. (``queue_declare(passive=True)`` asks for a key without its prefix,
        where ``global_keyprefix`` is set.)
        """
        channel: Any = self
        return int(channel._size(queue))

    def close(self) -> None:
        """Celery 5.7.0 closes a channel twice when Redis is away. kombu's first close fails while
        it reads what a pending BRPOP left behind, and the second restores messages through a
        transport that is gone: AttributeError, and the worker exits. Here a failing read stops no
        close.
        """
        channel: Any = self
        if channel._in_poll:
            with contextlib.suppress(
                Exception
            ):  # a dead connection: there is nothing to read
                channel._brpop_read()
            channel._in_poll = None
        super().close()  # type: ignore[misc]

    def _brpop_read(self, **options: Any) -> bool:
        """kombu's, but for a message that is no JSON or no message of Celery's: kombu raises
        through the event loop, and the worker exits. Here it is told and dropped. It is out of the
        queue.
        """
        channel: Any = self
        try:
            try:
                reply = channel.client.parse_response(
                    channel.client.connection, "BRPOP", **options
                )
            except channel.connection_errors:
                channel.client.connection.disconnect()  # so that the next round connects anew
                raise
            if not reply:
                raise Empty
            name, raw = reply
            queue = bytes_to_str(name).rsplit(channel.sep, 1)[0]
            channel._queue_cycle.rotate(queue)
            message, fault = inbox.open(queue, raw)
            if fault:
                tell_dropped(queue, fault, len(raw))
            else:
                channel.connection._deliver(message, queue)
            return True
        finally:
            channel._in_poll = None
            channel._flush_brpop_reauth()

    def _receive_one(self, client: Any) -> Any:
        """kombu's, but for a control message or an event that is malformed: kombu raises through
        the event loop, and worker or Flower exit. Here it is told and dropped.
        """
        try:
            return super()._receive_one(client)  # type: ignore[misc]
        except (Empty, RedisError, OSError):
            raise
        except (
            Exception
        ) as error:  # a KeyError too, which kombu takes for a lost connection
            tell_dropped(
                "control", f"it is not usable ({type(error).__name__})", 0
            )
            return False


def tell_dropped(queue: str, reason: str, size: int) -> None:
    """One line for a message that nobody can use. It quotes nothing of what the message says."""
    count(EventName.MESSAGE_DROPPED)
    fields = {
        "event": "message_dropped",
        "queue": queue,
        "reason": reason,
        "bytes": size,
    }
    log.error("Message dropped", extra=fields)


class Channel(_Repaired, kombu_redis.Channel):  # type: ignore[misc]
    """To one Redis."""


class SentinelChannel(_Repaired, kombu_redis.SentinelChannel):  # type: ignore[misc]
    """To the Redis that the Sentinels call the master."""

    def _sentinel_managed_pool(self, asynchronous: bool = False) -> Any:
        """redis-py 8.1 tries a Sentinel that is away eleven times: four seconds where it refuses,
        eleven time limits where it is frozen. The next Sentinel is there to be asked instead.
        """
        told = getattr(self, "sentinel_kwargs", None) or {}
        self.sentinel_kwargs = {"retry": Retry(NoBackoff(), 0), **told}
        return super()._sentinel_managed_pool(asynchronous)


class Transport(kombu_redis.Transport):  # type: ignore[misc]
    Channel = Channel


class SentinelTransport(kombu_redis.SentinelTransport):  # type: ignore[misc]
    Channel = SentinelChannel


def install() -> None:
    """Make kombu use these classes. Safe to call twice."""
    here = __name__
    ours = {
        "redis": f"{here}:Transport",
        "rediss": f"{here}:Transport",
        "sentinel": f"{here}:SentinelTransport",
    }
    aliases.TRANSPORT_ALIASES.update(ours)
    for name in ours:
        aliases._transport_cache.pop(name, None)
