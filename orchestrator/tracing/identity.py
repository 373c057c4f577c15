"""The ids of a version's trace: derived, so that nobody has to be told them.

API server, bridge and workers know the key of the config, its create revision in etcd and its
version. They join one trace without anything in a message, and after any of them was killed.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from ..core.refs import Ref


@dataclass(frozen=True, slots=True)
class VersionTrace:
    """The ids of one version's trace.

    They are the first 16 bytes, and the next 8, of the SHA-256 of key, incarnation and version in
    decimal, joined by line ends. docs/howto/tracing.md has an example.
    """

    trace: int
    """128 bits."""
    root: int
    """64 bits: the id of the span that all others lie in."""
    ref: Ref
    version: int


def of_version(
    key: str, incarnation: int, version: int, ref: Ref
) -> VersionTrace:
    """
    :param key: of the config in etcd, such as ``/config/v2.0/networks/n1``.
    :param incarnation: the key's create revision.
    """
    digest = sha256(f"{key}\n{incarnation}\n{version}".encode()).digest()
    trace = int.from_bytes(digest[:16], "big")
    root = int.from_bytes(digest[16:24], "big")
    return VersionTrace(trace, root, ref, version)
