"""One connection at a time, to the endpoint that answers best.

A connection that fails is *retired*: new calls go to the next endpoint at once, and the calls under
way on the old one end by their own deadlines. Its endpoint is avoided for :data:`AVOIDED_FOR`
seconds, so a frozen member does not cost every later call a deadline.

A new connection has to prove itself by a linearizable read before anybody uses it: its member
answers, reaches a majority, and has the history that this process knows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import grpc
from etcd3.etcdrpc import rpc_pb2 as rpc
from etcd3.etcdrpc import rpc_pb2_grpc as stubs

from ...clock import CLOCK, Clock
from ...core.backoff import Backoff
from ...errors import StoreForbidden, StoreUnavailable
from ..store import Compacted
from .access import EtcdAccess
from .failures import NotSent, TokenRejected, breaks_connection, understood
from .history import History

T = TypeVar("T")
Method = Literal["Range", "Put", "DeleteRange", "Txn"]

CONNECT_TIMEOUTS = Backoff(initial=1.0, maximum=5.0)
"""Seconds within which a new connection has to prove itself. They grow with each round in which no
endpoint did: etcd or the machine may be overloaded."""
LOGIN_TIMEOUT = 5.0
"""Seconds for a login: etcd hashes the password, which takes its time on a busy machine."""
AVOIDED_FOR = 30.0
"""Seconds for which an endpoint that failed is asked only when there is no other."""

CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.max_send_message_length", 8 * 1024 * 1024),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # Without this, grpcio finds a frozen server only after 70 s (measured with 1.85).
    ("grpc.http2.ping_timeout_ms", 5_000),
    # gRPC's default lets a reconnection wait for two minutes.
    ("grpc.max_reconnect_backoff_ms", 3_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    # One connection per channel object: a new channel after a failure must not share the broken
    # one.
    ("grpc.use_local_subchannel_pool", 1),
    # http_proxy and https_proxy of the environment are for Keystone and Heat, not for etcd.
    ("grpc.enable_http_proxy", 0),
]
_REQUIRE_LEADER = ("hasleader", "true")
"""Metadata by which a member that has lost its cluster refuses a call, and ends a watch."""
_ANY_KEY = b"\0"
"""A key that is asked for when no better one is known; that it is there does not matter."""
_ALIVE = (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT)
"""Answers of an etcd that is alive to a read that needs a user or a right."""


class Channel:
    """One connection to one endpoint. It closes once it is retired and nobody uses it."""

    def __init__(self, endpoint: str, channel: grpc.Channel) -> None:
        self.endpoint = endpoint
        self.metadata: list[tuple[str, str]] = [_REQUIRE_LEADER]
        self._channel = channel
        self._lock = threading.Lock()
        self._users = 0
        self._retired = False
        self.kv = stubs.KVStub(channel)
        self.leases = stubs.LeaseStub(channel)
        self.watches = stubs.WatchStub(channel)
        self.auth = stubs.AuthStub(channel)

    def enter(self) -> None:
        with self._lock:
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            over = self._retired and not self._users
        if over:
            self.close()

    def retire(self) -> None:
        """Close as soon as the calls under way have ended."""
        with self._lock:
            self._retired = True
            over = not self._users
        if over:
            self.close()

    def close(self) -> None:
        self._channel.close()


class Endpoints:
    """Which endpoint comes next: the one in use, else the next that has not failed lately."""

    def __init__(
        self, endpoints: tuple[str, ...], clock: Clock = CLOCK
    ) -> None:
        self._endpoints, self._clock = endpoints, clock
        self._avoided = dict.fromkeys(endpoints, 0.0)
        self._position = 0

    def __len__(self) -> int:
        return len(self._endpoints)

    def choose(self) -> str:
        now = self._clock.monotonic()
        count = len(self._endpoints)
        turned = [
            self._endpoints[(self._position + n) % count] for n in range(count)
        ]
        good = (
            endpoint for endpoint in turned if self._avoided[endpoint] <= now
        )
        chosen = next(good, None) or min(turned, key=self._avoided.__getitem__)
        self._position = self._endpoints.index(chosen)
        return chosen

    def failed(self, endpoint: str) -> None:
        self._avoided[endpoint] = self._clock.monotonic() + AVOIDED_FOR
        self._position = (self._endpoints.index(endpoint) + 1) % len(
            self._endpoints
        )


class Connections:
    """The connection in use. Connects at the first call, so that it can be made before a fork."""

    def __init__(self, access: EtcdAccess) -> None:
        self._access = access
        self._lock = threading.Lock()
        self._connecting = threading.Lock()
        self._endpoints = Endpoints(access.endpoints)
        self._channel: Channel | None = None
        self._failures = 0
        self.history = History()

    @property
    def endpoints(self) -> int:
        """How many there are."""
        return len(self._endpoints)

    def ask(self, method: Method, request: Any, seconds: float) -> Any:
        """One linearizable call.

        :param seconds: how long the answer may take.
        :raises NotSent: it was certainly not performed.
        :raises HistoryChanged: etcd was restored from a backup, or is another one.
        :raises StoreUnavailable: it may have been performed.
        """

        def send(channel: Channel) -> Any:
            return getattr(channel.kv, method)(
                request, timeout=seconds, metadata=channel.metadata
            )

        mark = self.history.mark()
        reply = self.call(send)
        self.history.check(reply.header, mark)
        return reply

    def call(self, send: Callable[[Channel], T]) -> T:
        """Do something with the connection in use; its errors are ours afterwards."""
        channel = self.current()
        channel.enter()
        try:
            return send(channel)
        except grpc.RpcError as error:
            raise self.failed(channel, error) from error
        except ValueError as error:
            # grpc's word for a channel that another thread has given up meanwhile.
            raise NotSent(f"etcd at {channel.endpoint}: {error}") from error
        finally:
            channel.leave()

    def failed(self, channel: Channel, error: grpc.RpcError) -> Exception:
        """gRPC's error in our words; retires the connection when it is at fault."""
        meaning = understood(channel.endpoint, error)
        if breaks_connection(error, meaning):
            self.retire(channel, avoid=not isinstance(meaning, TokenRejected))
        return meaning

    def verify(self, seconds: float) -> None:
        """Whether the connection in use still leads to the history that we know.

        For whoever asks nothing linearizable for a long time: between two calls, gRPC connects anew
        by itself.

        :raises HistoryChanged: etcd was restored from a backup, or is another one.
        :raises StoreUnavailable: the member reaches no majority.
        """
        channel = self.current()
        channel.enter()
        try:
            self._prove(channel, seconds)
        except NotSent:
            self.retire(channel, avoid=True)
            raise
        finally:
            channel.leave()

    # Which one is in use --------------------------------------------------------------------------

    def current(self) -> Channel:
        """The connection in use; a new one after a failure."""
        channel = self._channel
        if channel is not None:
            return channel
        with self._connecting:
            if self._channel is None:
                self._channel = self._connect()
            return self._channel

    def is_current(self, channel: Channel) -> bool:
        return self._channel is channel

    def retire(self, channel: Channel, *, avoid: bool) -> None:
        """Use another connection from now on.

        :param avoid: to another endpoint, if there is one.
        """
        with self._lock:
            if self._channel is channel:
                self._channel = None
                if avoid:
                    self._endpoints.failed(channel.endpoint)
        channel.retire()

    def close(self) -> None:
        with self._lock:
            channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    # Connecting -----------------------------------------------------------------------------------

    def _connect(self) -> Channel:
        endpoint = self._endpoints.choose()
        rounds = self._failures // len(self._endpoints)
        seconds = CONNECT_TIMEOUTS.interval(rounds + 1)
        channel = _open(endpoint, self._access)
        try:
            if self._access.user:
                self._log_in(channel, seconds)
            self._prove(channel, seconds)
        except BaseException as error:
            channel.close()
            if isinstance(error, NotSent):
                self._failures = min(self._failures + 1, 100)
                self._endpoints.failed(endpoint)
            raise
        self._failures = 0
        return channel

    def _log_in(self, channel: Channel, seconds: float) -> None:
        """Get a token.

        :raises StoreForbidden: the user or the password is wrong.
        """
        try:
            self._read(channel, _ANY_KEY, 0, seconds)
        except (
            grpc.RpcError
        ) as error:  # A member that is frozen is not worth the time of a login.
            if error.code() not in _ALIVE:
                raise _not_connected(channel, error) from error
        request = rpc.AuthenticateRequest(
            name=self._access.user, password=self._access.password
        )
        try:
            token = channel.auth.Authenticate(
                request, timeout=LOGIN_TIMEOUT
            ).token
        except grpc.RpcError as error:
            raise _not_connected(channel, error) from error
        channel.metadata.append(("token", token))

    def _prove(self, channel: Channel, seconds: float) -> None:
        """Read the witness of the history that we know.

        :raises NotSent: the member does not answer, or reaches no majority.
        :raises HistoryChanged: etcd was restored from a backup, or is another one.
        """
        mark, witness = self.history.mark(), self.history.witness
        key, revision = _ANY_KEY, 0
        if witness:
            key, revision = witness.key, witness.revision
        try:
            reply = self._read(channel, key, revision, seconds)
        except grpc.RpcError as error:
            if error.code() in _ALIVE:
                return  # We may not read it: another proof there is not.
            if "future revision" in (error.details() or ""):
                raise self.history.changed(
                    mark, f"etcd has not reached revision {revision} yet"
                ) from error
            if not isinstance(understood(channel.endpoint, error), Compacted):
                raise _not_connected(channel, error) from error
            self._prove_by_revision(channel, key, seconds)
            return
        self.history.check(reply.header, mark)
        if witness and [kv.mod_revision for kv in reply.kvs] != [revision]:
            raise self.history.changed(
                mark,
                f"etcd knows nothing of what was written at revision {revision}",
            )

    def _prove_by_revision(
        self, channel: Channel, key: bytes, seconds: float
    ) -> None:
        """The witness is compacted: etcd's revision has to do."""
        mark = self.history.mark()
        try:
            self.history.check(
                self._read(channel, key, 0, seconds).header, mark
            )
        except grpc.RpcError as error:
            raise _not_connected(channel, error) from error

    @staticmethod
    def _read(
        channel: Channel, key: bytes, revision: int, seconds: float
    ) -> Any:
        request = rpc.RangeRequest(key=key, revision=revision, keys_only=True)
        return channel.kv.Range(
            request, timeout=seconds, metadata=channel.metadata
        )


def _not_connected(channel: Channel, error: grpc.RpcError) -> StoreUnavailable:
    """Nothing that was asked for has been sent yet."""
    meaning = understood(channel.endpoint, error)
    if isinstance(meaning, StoreForbidden | NotSent):
        return meaning
    return NotSent(str(meaning))


def _open(endpoint: str, access: EtcdAccess) -> Channel:
    """
    :raises StoreUnavailable: a certificate file cannot be read (any more).
    """
    if not access.encrypted:
        return Channel(
            endpoint, grpc.insecure_channel(endpoint, options=CHANNEL_OPTIONS)
        )
    try:
        files = [
            _content(path)
            for path in (access.ca, access.key, access.certificate)
        ]
    except OSError as error:
        raise NotSent(
            f"etcd at {endpoint}: {error.filename} cannot be read: {error.strerror}"
        ) from error
    credentials = grpc.ssl_channel_credentials(*files)
    return Channel(
        endpoint,
        grpc.secure_channel(endpoint, credentials, options=CHANNEL_OPTIONS),
    )


def _content(path: str) -> bytes | None:
    if path:
        return Path(path).read_bytes()
    return None
