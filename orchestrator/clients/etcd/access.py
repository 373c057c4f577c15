"""How to reach etcd: endpoints, user and certificate files."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

File = Literal["ca", "certificate", "key"]


@dataclass(frozen=True, slots=True)
class EtcdAccess:
    """How to reach etcd. *endpoints* are ``host:port``; certificate files are paths."""

    endpoints: tuple[str, ...] = ("127.0.0.1:2379",)
    user: str = ""
    password: str = field(default="", repr=False)
    ca: str = ""
    certificate: str = ""
    key: str = ""

    @property
    def encrypted(self) -> bool:
        """Whether etcd is asked over TLS."""
        return bool(self.ca or self.certificate)

    def file_faults(self) -> Iterator[tuple[File, str]]:
        """The certificate files that cannot be used, each with the reason."""
        if self.ca and (fault := _unreadable(self.ca) or _no_authority(self.ca)):
            yield "ca", fault
        if self.certificate and not self.key:
            yield "key", "is needed with a certificate"
        if self.key and not self.certificate:
            yield "certificate", "is needed with a key"
        if not (self.certificate and self.key):
            return
        faults: dict[File, str] = {name: fault for name, path in self._own_files() if (fault := _unreadable(path))}
        yield from faults.items()
        if not faults and (fault := _no_pair(self.certificate, self.key)):
            yield "certificate", fault

    def _own_files(self) -> Iterator[tuple[File, str]]:
        yield "certificate", self.certificate
        yield "key", self.key


def _unreadable(path: str) -> str:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return "" if b"-----BEGIN" in content else f"{path} is not a PEM file"


def _no_authority(path: str) -> str:
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError as error:
        return f"{path} holds no certificate that can be used: {error.reason or error}"
    return ""


def _no_pair(certificate: str, key: str) -> str:
    """Why a certificate and a key do not belong together. A key with a password is not read."""

    def no_password() -> str:
        raise ValueError("the key has a password; gRPC reads only keys without one")

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, no_password)
    except ssl.SSLError as error:
        return f"{certificate} and {key} cannot be used together: {error.reason or error}"
    except ValueError as error:
        return f"{key} cannot be used: {error}"
    return ""
