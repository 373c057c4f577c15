"""The URL of a broker, taken apart and checked."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from ...core.masking import MASK

TCP, TLS, SENTINEL, SOCKET = "redis", "rediss", "sentinel", "redis+socket"
_PORTS = {TCP: 6379, TLS: 6379, SENTINEL: 26379}
_FORMS = "redis://, rediss://, sentinel:// or redis+socket://"
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9.])?")
_NEXT_SENTINEL = re.compile(r";(?=sentinel://)")
_DATABASE = re.compile(r"/{0,2}([0-9]*)")

VERIFIED = {"required": True, "optional": True, "none": False}
"""Values of ``ssl_cert_reqs``, and whether the server's certificate is verified with them."""
FILES_IN_URL = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
"""Parameters of a URL that are paths."""
_TLS_QUERY = ("ssl_cert_reqs", *FILES_IN_URL, "ssl_check_hostname")
_ESCAPES = (
    "in user and password write % as %25, @ as %40, / as %2F, ? as %3F, # as %23, :"
    " as %3A"
)


@dataclass(frozen=True, slots=True)
class Address:
    """A broker URL, taken apart.

    *hosts* are names or addresses with their ports: one, or several Sentinels. *path* is that of a
    Unix socket, empty for all others. *query* is what stood behind the question mark.
    """

    scheme: str
    hosts: tuple[tuple[str, int], ...] = ()
    user: str = ""
    password: str = field(default="", repr=False)
    database: int = 0
    path: str = ""
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def kombu_url(self) -> str:
        """The same for kombu, whatever the password consists of.

        Of several Sentinels each gets user, password and database: kombu uses those of the one
        that it happens to be at.
        """
        return self._url(quote(self.password, safe=""))

    @property
    def masked(self) -> str:
        """For people: without the password."""
        query = "&".join(
            f"{name}={value}" for name, value in self.query.items()
        )
        password = self.password and MASK
        if query:
            return f"{self._url(password)}?{query}"
        return self._url(password)

    @property
    def place(self) -> str:
        """For people: without user and password."""
        if self.scheme == SOCKET:
            return self.path
        return ", ".join(
            f"{_bracketed(host)}:{port}" for host, port in self.hosts
        )

    def _url(self, password: str) -> str:
        userinfo = ""
        if self.user or password:
            userinfo = f"{quote(self.user, safe='')}:{password}@"
        if self.scheme == SOCKET:
            return (
                f"{SOCKET}://{userinfo}{self.path}?virtual_host={self.database}"
            )
        places = (f"{_bracketed(host)}:{port}" for host, port in self.hosts)
        return ";".join(
            f"{self.scheme}://{userinfo}{place}/{self.database}"
            for place in places
        )


def parse_url(text: str) -> Address:
    """Take a broker URL apart.

    :raises ValueError: it cannot be used; the message quotes neither user nor password.
    """
    scheme, found, rest = text.partition("://")
    if not found or scheme not in (*_PORTS, SOCKET):
        raise ValueError(f"expected {_FORMS}{_other_scheme(scheme, found)}")
    if scheme == SOCKET:
        return _socket(rest)
    parts = [text]
    if scheme == SENTINEL:
        parts = _NEXT_SENTINEL.split(text)
    return _together([_one(scheme, part.partition("://")[2]) for part in parts])


def _other_scheme(scheme: str, found: str) -> str:
    if not found:
        return "; for a Redis at HOST:PORT write redis://HOST:PORT/0"
    close = difflib.get_close_matches(scheme, (*_PORTS, SOCKET), 1)
    if close:
        return f"; did you mean {close[0]}://?"
    return "; other brokers than Redis are not supported"


def _one(scheme: str, rest: str) -> Address:
    """What follows ``scheme://``, of one server."""
    network, rest = _split(rest)
    path, _, query = rest.partition("?")
    if "#" in rest or "@" in rest:
        raise ValueError(f"it cannot be taken apart; {_ESCAPES}")
    user, password, place = _userinfo(network)
    host, port = _place(place, _PORTS[scheme])
    database = _DATABASE.fullmatch(path)
    if database is None:
        raise ValueError(
            f"the database is a number, as in {scheme}://HOST:PORT/0"
        )
    allowed: tuple[str, ...] = _TLS_QUERY
    if scheme == SENTINEL:
        allowed = (*_TLS_QUERY, "master_name")
    return Address(
        scheme,
        ((host, port),),
        user,
        password,
        int(database[1] or 0),
        query=_query(query, allowed),
    )


def _split(rest: str) -> tuple[str, str]:
    """Before and from the first of ``/``, ``?`` and ``#``."""
    for place, char in enumerate(rest):
        if char in "/?#":
            return rest[:place], rest[place:]
    return rest, ""


def _userinfo(network: str) -> tuple[str, str, str]:
    """User, password and the rest of ``user:password@rest``."""
    userinfo, at, rest = network.rpartition("@")
    user, colon, password = userinfo.partition(":")
    if at and not colon:
        raise ValueError(
            "it names a user and no password; a password alone is written"
            " redis://:PASSWORD@HOST/0",
        )
    return unquote(user), unquote(password), rest


def _place(text: str, default_port: int) -> tuple[str, int]:
    """``host:port``, ``host`` or the same with an IPv6 address in brackets."""
    bracket = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::(.*))?", text)
    host, _, port = text.partition(":")
    if bracket:
        host, port = bracket[1], bracket[2] or ""
    elif re.fullmatch(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f.]*:[0-9]+", text):
        raise ValueError(
            "an IPv6 address stands in brackets, as in redis://[::1]:6379/0"
        )
    elif not host:
        raise ValueError("it names no host")
    elif not _HOST.fullmatch(host) or ":" in port:
        raise ValueError(
            "expected one HOST:PORT; several are written"
            " sentinel://A:26379;sentinel://B:26379/0",
        )
    if not port:
        return host, default_port
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise ValueError("the port is a number from 1 to 65535")
    return host, int(port)


def _query(text: str, allowed: tuple[str, ...]) -> dict[str, str]:
    found = dict(parse_qsl(text, keep_blank_values=True))
    for name in found:
        if name not in allowed:
            raise ValueError(
                f"unknown parameter {name!r}{did_you_mean(name, allowed)}; "
                "other options go into ORCHESTRATOR_BROKER_TRANSPORT_OPTIONS"
            )
    verified = (
        found.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")
    )
    if verified not in VERIFIED:
        raise ValueError("ssl_cert_reqs is required, optional or none")
    return found


def _socket(rest: str) -> Address:
    """``user:password@/path?virtual_host=0``."""
    userinfo, _, place = rest.rpartition("@")
    user, _, password = userinfo.partition(":")
    path, _, query = place.partition("?")
    if not path.startswith("/") or path == "/":
        raise ValueError(
            "expected a path, as in redis+socket:///run/redis/redis.sock"
        )
    found = _query(query, ("virtual_host",))
    database = found.get("virtual_host", "0")
    if not re.fullmatch("[0-9]+", database):
        raise ValueError("virtual_host is the number of the database")
    return Address(
        SOCKET,
        (),
        unquote(user),
        unquote(password),
        int(database),
        unquote(path),
    )


def _together(found: list[Address]) -> Address:
    """Several Sentinels as one address: what only one of them says counts for all."""
    hosts = tuple(address.hosts[0] for address in found)
    if len(set(hosts)) < len(hosts):
        raise ValueError("it names a Sentinel twice")
    users = {(address.user, address.password) for address in found} - {("", "")}
    databases = {address.database for address in found} - {0}
    if len(users) > 1 or len(databases) > 1:
        raise ValueError(
            "all Sentinels of a URL have one user, one password and one database"
        )
    user, password = next(iter(users), ("", ""))
    query = {
        name: value
        for address in found
        for name, value in address.query.items()
    }
    database = next(iter(databases), 0)
    scheme = found[0].scheme
    return Address(scheme, hosts, user, password, database, query=query)


def _bracketed(host: str) -> str:
    if ":" in host:
        return f"[{host}]"
    return host


def did_you_mean(name: str, known: tuple[str, ...] | Mapping[str, Any]) -> str:
    """``; did you mean …?``, or nothing when no name is close."""
    close = difflib.get_close_matches(name, known, 1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return ""
