"""What etcd and gRPC say, and what it means to us."""

from __future__ import annotations

import grpc
import pytest
from orchestrator.clients.etcd.failures import (
    NotSent,
    TokenRejected,
    TooLarge,
    breaks_connection,
    understood,
)
from orchestrator.clients.store import Compacted
from orchestrator.errors import PermanentError, StoreForbidden, StoreRefused, StoreUnavailable

Code = grpc.StatusCode


class FakeRpcError(grpc.RpcError):  # type: ignore[misc]  # gRPC has no types
    """An error as gRPC raises it."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details


AWAY = "failed to connect to all addresses; last error: UNKNOWN: ipv4:10.0.0.1:2379:"
"""How gRPC begins. What follows was taken down from gRPC 1.85 with a real etcd."""

MEANINGS = [
    pytest.param(
        Code.PERMISSION_DENIED,
        "etcdserver: permission denied",
        StoreForbidden,
        "grant the role",
        id="right",
    ),
    pytest.param(
        Code.INVALID_ARGUMENT,
        "etcdserver: authentication failed, invalid user ID or password",
        StoreForbidden,
        "ORCHESTRATOR_ETCD_PASSWORD",
        id="password",
    ),
    pytest.param(
        Code.INVALID_ARGUMENT,
        "etcdserver: user name is empty",
        StoreForbidden,
        "set ORCHESTRATOR_ETCD_USER",
        id="no user",
    ),
    pytest.param(
        Code.FAILED_PRECONDITION,
        "etcdserver: authentication is not enabled",
        StoreForbidden,
        "unset ORCHESTRATOR_ETCD_USER",
        id="user that etcd does not want",
    ),
    pytest.param(
        Code.RESOURCE_EXHAUSTED,
        "etcdserver: mvcc: database space exceeded",
        StoreUnavailable,
        "etcdctl alarm disarm",
        id="full",
    ),
    pytest.param(
        Code.DATA_LOSS, "etcdserver: corrupt cluster", StoreUnavailable, "alarm list", id="corrupt"
    ),
    pytest.param(
        Code.UNAVAILABLE, "etcdserver: request timed out", StoreUnavailable, "disk", id="slow"
    ),
    pytest.param(Code.UNAVAILABLE, "etcdserver: no leader", NotSent, "majority", id="no leader"),
    pytest.param(
        Code.RESOURCE_EXHAUSTED, "etcdserver: too many requests", NotSent, "load", id="overloaded"
    ),
    pytest.param(
        Code.NOT_FOUND,
        "etcdserver: requested lease not found",
        StoreUnavailable,
        "lease has ended",
        id="lease",
    ),
    pytest.param(
        Code.UNAVAILABLE,
        "failed to connect to all addresses; refused",
        NotSent,
        "refused",
        id="nobody listens",
    ),
    pytest.param(
        Code.UNAVAILABLE,
        f"{AWAY} Socket closed",
        NotSent,
        "TLS may be missing",
        id="TLS that we do not use",
    ),
    pytest.param(
        Code.UNAVAILABLE,
        f"{AWAY} Handshake read failed (Socket closed)",
        NotSent,
        "unset ORCHESTRATOR_ETCD_CA",
        id="no TLS",
    ),
    pytest.param(
        Code.UNAVAILABLE,
        f"{AWAY} Tls handshake failed: SSLV3_ALERT_BAD_CERTIFICATE",
        NotSent,
        "TLS: it refuses our certificate",
        id="certificate",
    ),
    pytest.param(
        Code.UNAVAILABLE,
        f"{AWAY} Tls handshake failed: CERTIFICATE_VERIFY_FAILED",
        NotSent,
        "TLS: its certificate is not of the authority",
        id="authority",
    ),
    pytest.param(
        Code.UNAVAILABLE,
        f"{AWAY} Hostname Verification Check failed.",
        NotSent,
        "TLS: its certificate is for another host",
        id="host",
    ),
    pytest.param(
        Code.DEADLINE_EXCEEDED,
        "Deadline Exceeded",
        StoreUnavailable,
        "no answer in time",
        id="deadline",
    ),
    pytest.param(
        Code.UNAUTHENTICATED,
        "etcdserver: invalid auth token",
        TokenRejected,
        "auth token",
        id="token",
    ),
    pytest.param(
        Code.INVALID_ARGUMENT,
        "etcdserver: revision of auth store is old",
        TokenRejected,
        "auth store",
        id="old token",
    ),
    pytest.param(
        Code.OUT_OF_RANGE,
        "mvcc: required revision has been compacted",
        Compacted,
        "compacted",
        id="compacted",
    ),
    pytest.param(
        Code.RESOURCE_EXHAUSTED,
        "CLIENT: Received message larger than max (257 vs. 64)",
        TooLarge,
        "larger",
        id="answer too large",
    ),
    pytest.param(
        Code.INVALID_ARGUMENT,
        "etcdserver: request is too large",
        StoreRefused,
        "too large",
        id="too large",
    ),
    pytest.param(
        Code.INVALID_ARGUMENT,
        "etcdserver: too many operations in txn request",
        StoreRefused,
        "too many operations",
        id="too many operations",
    ),
]


@pytest.mark.parametrize(("code", "details", "kind", "says"), MEANINGS)
def test_every_answer_has_a_kind_and_says_what_to_do(
    code: grpc.StatusCode, details: str, kind: type[Exception], says: str
) -> None:
    meaning = understood("10.0.0.1:2379", FakeRpcError(code, details))

    assert type(meaning) is kind
    assert says in str(meaning)
    assert ("10.0.0.1:2379" in str(meaning)) or kind is StoreRefused or kind is Compacted


@pytest.mark.parametrize(("code", "details", "kind", "says"), MEANINGS)
def test_only_what_is_wrong_with_the_request_itself_is_permanent(
    code: grpc.StatusCode, details: str, kind: type[Exception], says: str
) -> None:
    """What is permanent fails a resource. A full etcd, or a right that is missing, must not."""
    meaning = understood("10.0.0.1:2379", FakeRpcError(code, details))

    assert isinstance(meaning, PermanentError) == (
        "too large" in details or "too many operations" in details
    )


@pytest.mark.parametrize(
    ("code", "details", "expected"),
    [
        (Code.UNAVAILABLE, "Socket closed", True),
        (Code.DEADLINE_EXCEEDED, "Deadline Exceeded", True),
        (Code.UNAUTHENTICATED, "etcdserver: invalid auth token", True),
        (Code.PERMISSION_DENIED, "etcdserver: permission denied", False),
        (Code.RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded", False),
        (Code.OUT_OF_RANGE, "mvcc: required revision has been compacted", False),
    ],
)
def test_a_connection_is_given_up_only_when_another_may_do_better(
    code: grpc.StatusCode, details: str, expected: bool
) -> None:
    error = FakeRpcError(code, details)

    assert breaks_connection(error, understood("10.0.0.1:2379", error)) == expected
