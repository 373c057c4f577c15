"""Certificate files, as etcd's client and Redis' take them: whether they can be used."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

File = Literal["ca", "certificate", "key"]


def faults(ca: str, certificate: str, key: str) -> Iterator[tuple[File, str]]:
    """The files that cannot be used, each with the reason. An empty path is none."""
    if ca and (fault := _unreadable(ca) or _no_authority(ca)):
        yield "ca", fault
    if certificate and not key:
        yield "key", "is needed with a certificate"
    if key and not certificate:
        yield "certificate", "is needed with a key"
    if not (certificate and key):
        return
    pair: tuple[tuple[File, str], ...] = (
        ("certificate", certificate),
        ("key", key),
    )
    found = {name: fault for name, path in pair if (fault := _unreadable(path))}
    yield from found.items()
    if not found and (fault := _no_pair(certificate, key)):
        yield "certificate", fault


def _unreadable(path: str) -> str:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    if b"-----BEGIN" in content:
        return ""
    return f"{path} is not a PEM file"


def _no_authority(path: str) -> str:
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError as error:
        return f"{path} holds no certificate that can be used: {error.reason or error}"
    return ""


def _no_pair(certificate: str, key: str) -> str:
    """Why a certificate and a key do not belong together. A key with a password is not read."""

    def no_password() -> str:
        raise ValueError(
            "the key has a password; only keys without one are read"
        )

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(
            certificate, key, no_password
        )
    except ssl.SSLError as error:
        return f"{certificate} and {key} cannot be used together: {error.reason or error}"
    except ValueError as error:
        return f"{key} cannot be used: {error}"
    return ""
