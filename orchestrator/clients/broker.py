"""Where the broker is: its URL taken apart and checked, and what kombu and redis-py are told of it.

Nothing here connects. :mod:`.queue` opens the door, :mod:`.redis_transport` is the transport.
"""

from __future__ import annotations

import difflib
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from ..core.masking import MASK
from ..core.refs import Json

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
        return self._url(MASK if self.password else "") + (
            f"?{query}" if query else ""
        )

    @property
    def place(self) -> str:
        """For people: without user and password."""
        if self.scheme == SOCKET:
            return self.path
        return ", ".join(
            f"{_bracketed(host)}:{port}" for host, port in self.hosts
        )

    def _url(self, password: str) -> str:
        userinfo = (
            f"{quote(self.user, safe='')}:{password}@"
            if self.user or password
            else ""
        )
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
    parts = _NEXT_SENTINEL.split(text) if scheme == SENTINEL else [text]
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
    end = next(
        (place for place, char in enumerate(rest) if char in "/?#"), len(rest)
    )
    network, rest = rest[:end], rest[end:]
    path, _, query = rest.partition("?")
    if "#" in rest or "@" in rest:
        raise ValueError(f"it cannot be taken apart; {_ESCAPES}")
    userinfo, at, place = network.rpartition("@")
    user, colon, password = userinfo.partition(":")
    if at and not colon:
        raise ValueError(
            "it names a user and no password; a password alone is written"
            " redis://:PASSWORD@HOST/0",
        )
    host, port = _place(place, _PORTS[scheme])
    database = _DATABASE.fullmatch(path)
    if database is None:
        raise ValueError(
            f"the database is a number, as in {scheme}://HOST:PORT/0"
        )
    return Address(
        scheme,
        ((host, port),),
        unquote(user),
        unquote(password),
        int(database[1] or 0),
        query=_query(
            query,
            _TLS_QUERY if scheme != SENTINEL else (*_TLS_QUERY, "master_name"),
        ),
    )


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
    user, password = users.pop() if users else ("", "")
    query = {
        name: value
        for address in found
        for name, value in address.query.items()
    }
    database = databases.pop() if databases else 0
    return Address(
        found[0].scheme, hosts, user, password, database, query=query
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def did_you_mean(name: str, known: tuple[str, ...] | Mapping[str, Any]) -> str:
    """``; did you mean …?``, or nothing when no name is close."""
    close = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {close[0]!r}?" if close else ""


# Transport options --------------------------------------------------------------------------------


def _number(value: Json) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and 0 <= value < 1e9
    )


def _whole(value: Json) -> bool:
    return (
        isinstance(value, int)
        and not isinstance(value, bool)
        and 0 <= value < 1e9
    )


def _truth(value: Json) -> bool:
    return isinstance(value, bool)


def _text(value: Json) -> bool:
    return isinstance(value, str)


def _mapping(value: Json) -> bool:
    return isinstance(value, dict)


_KINDS: Mapping[Callable[[Json], bool], str] = {
    _number: "a number",
    _whole: "a whole number",
    _truth: "true or false",
    _text: "a text",
    _mapping: "an object",
}

OPTIONS: Mapping[str, Callable[[Json], bool]] = {
    "client_name": _text,
    "fanout_patterns": _truth,
    "global_keyprefix": _text,
    "health_check_interval": _number,
    "interval_max": _number,
    "interval_start": _number,
    "interval_step": _number,
    "master_name": _text,
    "max_connections": _whole,
    "max_retries": _whole,
    "min_other_sentinels": _whole,
    "reauth_check_interval": _number,
    "retry_on_timeout": _truth,
    "sentinel_fanout_compat": _truth,
    "sentinel_kwargs": _mapping,
    "socket_connect_timeout": _number,
    "socket_keepalive": _truth,
    "socket_keepalive_options": _mapping,
    "socket_timeout": _number,
    "unacked_mutex_expire": _number,
    "unacked_restore_interval": _number,
    "unacked_restore_limit": _whole,
    "unacked_restore_throttle": _whole,
    "visibility_timeout": _number,
}
"""Transport options that may be set, and their form. Those that would change the format of what
lies in Redis (``sep``, ``priority_steps``, the names of keys) are not among them."""


def parse_options(document: Json) -> dict[str, Json]:
    """Transport options as kombu takes them.

    :raises ValueError: an option is not known, or has the wrong form.
    """
    if not isinstance(document, dict):
        raise ValueError('expected a JSON object, as in {"socket_timeout": 5}')  # noqa: TRY004
    for name, value in document.items():
        fits = OPTIONS.get(name)
        if fits is None:
            raise ValueError(
                f"unknown option {name!r}{did_you_mean(name, OPTIONS)}"
            )
        if not fits(value):
            raise ValueError(f"{name} is {_KINDS[fits]}")
    found = dict(document)
    if keepalive := found.get("socket_keepalive_options"):
        # The numbers of the operating system's options: keys of a JSON object are texts.
        found["socket_keepalive_options"] = {
            int(name): value for name, value in keepalive.items()
        }
    return found


# Access -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BrokerAccess:
    """How to reach the broker.

    *tls* is for Redis behind Sentinel; ``rediss://`` has it anyway. Certificate files are paths.
    *options* are transport options that go before all others.
    """

    url: str = "redis://127.0.0.1:6379/0"
    master_name: str = ""
    sentinel_user: str = ""
    sentinel_password: str = field(default="", repr=False)
    tls: bool = False
    tls_verify: bool = True
    ca: str = ""
    certificate: str = ""
    key: str = ""
    options: Mapping[str, Json] = field(default_factory=dict, repr=False)

    @property
    def address(self) -> Address:
        """:raises ValueError: the URL cannot be used."""
        return parse_url(self.url)

    @property
    def uses_tls(self) -> bool:
        address = self.address
        if address.scheme == TLS:
            return True
        asked = self.tls or any(
            name.startswith("ssl_") for name in address.query
        )
        return asked and address.scheme == SENTINEL

    @property
    def ssl_options(self) -> dict[str, Any] | None:
        """What redis-py is told of TLS, None without TLS.

        Certificates are verified unless told otherwise. kombu's own default for ``rediss://`` is
        not to verify them (kombu.connection.Connection._init_params).
        """
        if not self.uses_tls:
            return None
        query = self.address.query
        asked = (
            query.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")
        )
        verified = VERIFIED[asked] and self.tls_verify
        named = {
            "ssl_ca_certs": query.get("ssl_ca_certs") or self.ca,
            "ssl_certfile": query.get("ssl_certfile") or self.certificate,
            "ssl_keyfile": query.get("ssl_keyfile") or self.key,
        }
        return {
            "ssl_cert_reqs": ssl.CERT_REQUIRED if verified else ssl.CERT_NONE,
            "ssl_check_hostname": (
                query.get("ssl_check_hostname", "true").lower() != "false"
            ),
            **{name: path for name, path in named.items() if path},
        }

    def transport_options(self, **ours: Json) -> dict[str, Json]:
        """Ours, then those that belong to the URL, then those of the settings."""
        options = {**ours, **self._sentinel_options(ours), **self.options}
        own_sentinel = self.options.get("sentinel_kwargs")
        if own_sentinel is not None:
            options["sentinel_kwargs"] = {
                **self._sentinel_kwargs(ours),
                **own_sentinel,
            }
        return options

    def _sentinel_options(self, ours: Mapping[str, Json]) -> dict[str, Json]:
        if self.address.scheme != SENTINEL:
            return {}
        name = self.master_name or self.address.query.get("master_name", "")
        return {
            "master_name": name,
            "sentinel_kwargs": self._sentinel_kwargs(ours),
        }

    def _sentinel_kwargs(self, ours: Mapping[str, Json]) -> dict[str, Json]:
        """For the connections to the Sentinels themselves."""
        told = {**ours, **self.options}
        names = ("socket_timeout", "socket_connect_timeout")
        found: dict[str, Json] = {
            name: told[name] for name in names if name in told
        }
        if self.sentinel_password:
            found["password"] = self.sentinel_password
        if self.sentinel_user:
            found["username"] = self.sentinel_user
        if tls := self.ssl_options:
            found |= {"ssl": True, **tls}
        return found


def faults(access: BrokerAccess) -> Iterator[str]:
    """What does not go together. Each fault names the setting without ``ORCHESTRATOR_BROKER_``."""
    address = access.address
    in_options = access.options.get("master_name")
    named = access.master_name or address.query.get("master_name") or in_options
    if address.scheme == SENTINEL and not named:
        yield (
            "URL: sentinel:// needs the name of the master, in"
            " ORCHESTRATOR_BROKER_MASTER_NAME"
        )
    if address.scheme != SENTINEL:
        wrong = {
            "MASTER_NAME": access.master_name,
            "SENTINEL_USER": access.sentinel_user,
            "SENTINEL_PASSWORD": access.sentinel_password,
        }
        given = [name for name, value in wrong.items() if value]
        yield from (f"{name}: is only used with sentinel://" for name in given)
    if access.tls and address.scheme not in (SENTINEL, TLS):
        yield (
            "TLS: is for sentinel://; write rediss:// in ORCHESTRATOR_BROKER_URL for"
            " one Redis"
        )
    elif not access.uses_tls:
        files = {"CA": access.ca, "CERT": access.certificate, "KEY": access.key}
        told = "is given, but the URL asks for no TLS: write rediss://, or set "
        told += "ORCHESTRATOR_BROKER_TLS=true with sentinel://"
        yield from (f"{name}: {told}" for name, value in files.items() if value)
    if access.sentinel_user and not access.sentinel_password:
        yield "SENTINEL_USER: a user without ORCHESTRATOR_BROKER_SENTINEL_PASSWORD"
