"""How to reach etcd: endpoints, user and certificate files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from .. import certificates
from ..certificates import File

# gRPC writes each failed handshake to standard error by itself, in a format of its own. It reads
# this when it is imported, which this package does after this module. Its errors say the same.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")


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
        return certificates.faults(self.ca, self.certificate, self.key)
