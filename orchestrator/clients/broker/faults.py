"""What does not go together in the access to a broker, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from .access import BrokerAccess
from .url import SENTINEL, TLS


def faults(access: BrokerAccess) -> Iterator[str]:
    """What does not go together. Each fault names the setting without ``ORCHESTRATOR_BROKER_``."""
    scheme = access.address.scheme
    if scheme == SENTINEL and not access.master:
        yield (
            "URL: sentinel:// needs the name of the master, in"
            " ORCHESTRATOR_BROKER_MASTER_NAME"
        )
    if scheme != SENTINEL:
        yield from _only_with_sentinel(access)
    if access.tls and scheme not in (SENTINEL, TLS):
        yield (
            "TLS: is for sentinel://; write rediss:// in ORCHESTRATOR_BROKER_URL for"
            " one Redis"
        )
    elif not access.uses_tls:
        yield from _only_with_tls(access)
    if access.sentinel_user and not access.sentinel_password:
        yield "SENTINEL_USER: a user without ORCHESTRATOR_BROKER_SENTINEL_PASSWORD"


def _only_with_sentinel(access: BrokerAccess) -> Iterator[str]:
    wrong = {
        "MASTER_NAME": access.master_name,
        "SENTINEL_USER": access.sentinel_user,
        "SENTINEL_PASSWORD": access.sentinel_password,
    }
    for name, value in wrong.items():
        if value:
            yield f"{name}: is only used with sentinel://"


def _only_with_tls(access: BrokerAccess) -> Iterator[str]:
    files = {"CA": access.ca, "CERT": access.certificate, "KEY": access.key}
    for name, path in files.items():
        if path:
            yield (
                f"{name}: is given, but the URL asks for no TLS: write rediss://, or"
                " set ORCHESTRATOR_BROKER_TLS=true with sentinel://"
            )
