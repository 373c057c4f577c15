"""What ``ORCHESTRATOR_HISTORY_DATABASE`` names: a file of SQLite's, or a PostgreSQL server.

Needs no database library, so that settings can be checked without one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_POSTGRES = ("postgresql", "postgres", "postgresql+psycopg")
_SQLITE = "sqlite"
_EXPECTED = (
    "expected the path of a file, or postgresql://user:password@host/name"
)


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """Where the database is."""

    file: str = ""
    """The path of SQLite's file; empty: it is a PostgreSQL server."""
    url: str = field(default="", repr=False)
    """The server's URL as SQLAlchemy takes it; it may hold a password."""

    def __str__(self) -> str:
        """For people: without user and password."""
        if self.file:
            return self.file
        parts = urlsplit(self.url)
        port = f":{parts.port}" if parts.port else ""
        return f"PostgreSQL at {parts.hostname or 'this machine'}{port}{parts.path}"


def parse(text: str) -> DatabaseAddress:
    """The address that a text names.

    :raises ValueError: it names none. The text is not quoted, for it may hold a password.
    """
    match = _SCHEME.match(text)
    if match is None and "://" not in text:
        return DatabaseAddress(file=text)
    if match is None:
        raise ValueError(_EXPECTED)
    scheme, rest = match[1].lower(), text[match.end() :]
    if scheme == _SQLITE:
        if len(rest) < 2 or not rest.startswith("/"):
            raise ValueError(
                "expected sqlite:///PATH, with one more slash if the path is absolute"
            )
        return DatabaseAddress(file=rest[1:])
    if scheme not in _POSTGRES:
        raise ValueError(_EXPECTED)
    _check_server(f"postgresql://{rest}")
    return DatabaseAddress(url=f"postgresql+psycopg://{rest}")


def _check_server(url: str) -> None:
    try:
        parts = urlsplit(url)
        named = bool(parts.path.strip("/"))
        # Raises when it is no number.
        assert parts.port is None or parts.port
    except (ValueError, AssertionError):
        raise ValueError("the URL's host or port cannot be used") from None
    if not named:
        raise ValueError(
            "the database's name is missing: postgresql://user:password@host/name"
        )
