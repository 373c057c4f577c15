"""gRPC's errors in our words: what kind of error it is, and what to do about it."""

from __future__ import annotations

import grpc

from ...errors import (
    OrchestratorError,
    StoreForbidden,
    StoreRefused,
    StoreUnavailable,
)
from ..store import Compacted

_BROKEN = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
)
"""Codes after which another connection, to another endpoint, is worth a try."""


class NotSent(StoreUnavailable):
    """The request certainly never reached etcd, or etcd refused to look at it: it may be
    repeated."""


class TokenRejected(NotSent):
    """The token of this connection has run out: a new connection gets a new one."""


class TooLarge(StoreUnavailable):
    """gRPC does not take a message of that size; a smaller page will do."""


_KNOWN: tuple[tuple[str, type[OrchestratorError], str], ...] = (
    ("auth token", TokenRejected, ""),
    ("revision of auth store", TokenRejected, ""),
    (
        "permission denied",
        StoreForbidden,
        (
            "grant the role of ORCHESTRATOR_ETCD_USER what"
            " docs/howto/run-in-production.md names"
        ),
    ),
    (
        "user name is empty",
        StoreForbidden,
        (
            "this etcd asks for a user: set ORCHESTRATOR_ETCD_USER and"
            " ORCHESTRATOR_ETCD_PASSWORD"
        ),
    ),
    (
        "authentication failed",
        StoreForbidden,
        "correct ORCHESTRATOR_ETCD_USER and ORCHESTRATOR_ETCD_PASSWORD",
    ),
    (
        "authentication is not enabled",
        StoreForbidden,
        (
            "this etcd has no users: unset ORCHESTRATOR_ETCD_USER, or run `etcdctl auth"
            " enable`"
        ),
    ),
    ("compacted", Compacted, ""),
    ("larger than max", TooLarge, ""),
    ("too large", StoreRefused, ""),
    ("too many operations", StoreRefused, ""),
    (
        "database space exceeded",
        StoreUnavailable,
        (
            "etcd is full: compact and defragment it, raise --quota-backend-bytes, then"
            " run `etcdctl alarm disarm`"
        ),
    ),
    (
        "corrupt cluster",
        StoreUnavailable,
        (
            "the members hold different data: see `etcdctl alarm list` and etcd's page"
            " on recovery"
        ),
    ),
    (
        "no leader",
        NotSent,
        "a majority of the members has to run and to reach each other",
    ),
    (
        "too many requests",
        NotSent,
        "etcd cannot keep up: look at its disk and its load",
    ),
    (
        "request timed out",
        StoreUnavailable,
        "look at etcd's disk, its load and its members",
    ),
    (
        "not supported for learner",
        NotSent,
        "name only voting members in ORCHESTRATOR_ETCD_ENDPOINTS",
    ),
    ("requested lease not found", StoreUnavailable, "the lease has ended"),
    ("failed to connect", NotSent, ""),
)
"""A part of etcd's or gRPC's text, what it means, and what to do. The first that fits counts."""


_TLS: tuple[tuple[str, str], ...] = (
    (
        "certificate_verify_failed",
        (
            "its certificate is not of the authority in ORCHESTRATOR_ETCD_CA; name the"
            " right one there"
        ),
    ),
    (
        "hostname verification",
        (
            "its certificate is for another host; name the endpoint in"
            " ORCHESTRATOR_ETCD_ENDPOINTS as the certificate does"
        ),
    ),
    (
        "_alert_",
        (
            "it refuses our certificate; set ORCHESTRATOR_ETCD_CERT and"
            " ORCHESTRATOR_ETCD_KEY to one of an authority that it trusts"
        ),
    ),
    (
        "handshake read failed",
        (
            "it does not answer to TLS; if it is to be reached without, unset"
            " ORCHESTRATOR_ETCD_CA"
        ),
    ),
    (
        "handshake failed",
        "the handshake failed; see ORCHESTRATOR_ETCD_CA, _CERT and _KEY",
    ),
)
"""A part of gRPC's text about an encrypted connection, and what to say instead."""

_CLOSED = "socket closed"
"""gRPC's word for an etcd that hangs up before it has answered anything."""
_IN_THE_CLEAR = (
    "TLS may be missing: it closes the connection; if it asks for TLS, set"
    " ORCHESTRATOR_ETCD_CA"
)


def tls_fault(details: str) -> str:
    """What is wrong with the encryption of a connection that was not made; empty if nothing is."""
    lowered = details.lower()
    if "failed to connect" not in lowered:
        return ""
    told = next((sentence for part, sentence in _TLS if part in lowered), "")
    if told:
        return f"TLS: {told}"
    if lowered.rstrip(" .").endswith(_CLOSED):
        return _IN_THE_CLEAR
    return ""


def understood(endpoint: str, error: grpc.RpcError) -> OrchestratorError:
    """gRPC's error as one of ours; the text names the endpoint and says what to do."""
    code, details = error.code(), error.details() or ""
    return from_text(endpoint, details or code.name, code)


def from_text(
    endpoint: str, details: str, code: grpc.StatusCode | None = None
) -> OrchestratorError:
    """The same from etcd's text alone, such as the reason for which it ended a watch."""
    place = f"etcd at {endpoint}"
    if fault := tls_fault(details):
        return NotSent(f"{place}: {fault}")
    lowered = details.lower()
    for part, kind, advice in _KNOWN:
        if part in lowered:
            return kind(_sentence(kind, place, details, advice))
    if code is grpc.StatusCode.PERMISSION_DENIED:
        return StoreForbidden(f"{place} refuses us: {details}")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return StoreUnavailable(f"{place}: no answer in time")
    if code is None or code in _BROKEN:
        return StoreUnavailable(f"{place}: {details}")
    return StoreUnavailable(f"{place}: {code.name}: {details}")


def _sentence(
    kind: type[OrchestratorError], place: str, details: str, advice: str
) -> str:
    if kind is StoreRefused:
        return f"etcd refuses the request: {details}"
    if kind is StoreForbidden:
        place += " refuses us"
    if advice:
        details += f"; {advice}"
    return f"{place}: {details}"


def breaks_connection(error: grpc.RpcError, meaning: OrchestratorError) -> bool:
    """Whether the connection is to be given up for another one."""
    if isinstance(meaning, TokenRejected):
        return True
    return error.code() in _BROKEN
