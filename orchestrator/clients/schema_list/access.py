"""Where a schema list is and how to get at it, as the settings say it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

KEYSTONE = "keystone"
AUTHENTICATIONS = ("token", KEYSTONE)
"""Ways to a token: it is given, or Keystone makes it of OpenStack credentials."""


@dataclass(frozen=True, slots=True)
class SchemaAccess:
    """How to read the list.

    *source* is a file, an address, or empty for the catalogue. The token is *token*, or lies in the
    file *token_file*, which is read again for every request. With *authentication* ``keystone``,
    Keystone makes it, by the credentials of the cloud *cloud* of clouds.yaml, or those of the
    environment. *ca* is a file with the CA certificate of the API server.
    """

    source: str = ""
    token: str = field(default="", repr=False)
    token_file: str = ""
    authentication: str = "token"
    cloud: str = ""
    ca: str = ""


def is_address(source: str) -> bool:
    """Whether the source is the address of an API server."""
    return source.startswith(("http://", "https://"))


def source_fault(source: str) -> str:
    """Why a source cannot be one; empty when it can."""
    if "://" in source:
        return _address_fault(source)
    if not source or Path(source).is_file():
        return ""
    if Path(source).is_dir():
        return f"{source} is a folder; name the file that holds the schema list"
    return (
        f"there is no file {source}; name a file, or the address of the API server's"
        " schema list"
    )


def _address_fault(source: str) -> str:
    scheme = source.partition("://")[0]
    if scheme not in ("http", "https"):
        return (
            f"{scheme}:// is no way to a schema list; expected a file, http:// or"
            " https://"
        )
    try:
        parts = urlsplit(source)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if usable:
        return ""
    return (
        "the address has no host, or no usable port; expected"
        " http://host:port/gohan/v0.1/schemas"
    )


def without_secrets(source: str) -> str:
    """An address as people may see it: without user, password and query."""
    if not is_address(source):
        return source
    parts = urlsplit(source)
    host = parts.netloc.rpartition("@")[2]
    return SplitResult(parts.scheme, host, parts.path, "", "").geturl()
