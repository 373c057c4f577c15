"""Where a monitoring link leads, and whether a worker may go there.

A link is a stack's output, so a template or a tenant's property can choose it, and the worker that
follows it stands in a network of its own: the cloud's metadata service answers it, and so may
services that trust their neighbours.
What is checked is the address that is connected to, not the name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TypeAlias
from urllib.parse import SplitResult, quote, urlsplit

from ..errors import InvalidInput, TargetUnavailable

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

LONGEST_URL = 4096
"""Characters of a monitoring link."""
_PORTS = {"http": 80, "https": 443}
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"(?:0[xX][0-9a-fA-F]*|[0-9]+)")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\x9f\\\s]")

_REFUSED: tuple[tuple[str, str], ...] = (
    ("169.254.0.0/16", "link-local"),
    ("fe80::/10", "link-local"),
    ("fd00:ec2::254/128", "a metadata service"),
    ("100.100.100.200/32", "a metadata service"),
    ("192.0.0.192/32", "a metadata service"),
    ("168.63.129.16/32", "a metadata service"),
    ("0.0.0.0/8", "unspecified"),
    ("::/128", "unspecified"),
    ("224.0.0.0/4", "multicast"),
    ("ff00::/8", "multicast"),
    ("240.0.0.0/4", "reserved or broadcast"),
)
"""What no collector has. 169.254.169.254 and fd00:ec2::254 are the metadata services of OpenStack
and of most clouds; the others are those of Alibaba, Oracle and Azure."""
_REFUSED_NETWORKS: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), what) for network, what in _REFUSED
)
_TRANSLATED = ip_network("64:ff9b::/96")
"""IPv6 addresses that a NAT64 turns into the IPv4 address in their last four bytes (RFC 6052)."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a URL says.
    *path* is the path and the query as they are sent; *address* is set where the host is one."""

    scheme: str
    host: str
    port: int
    path: str
    address: Address | None = None


def parse_url(url: str) -> Place:
    """The place that a URL names.

    The text is taken apart once, here, and what comes of it is what is connected to: two
    programs that read a URL differently are how a check is passed by.

    :raises TargetUnavailable: saying why it is no address of a target.
    """
    if len(url) > LONGEST_URL:
        raise TargetUnavailable(
            f"the monitoring link has {len(url):,} characters; at most {LONGEST_URL:,}"
            " are allowed"
        )
    if _FORBIDDEN.search(url):
        raise TargetUnavailable(
            "the monitoring link contains a space, a backslash or a control character"
        )
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname or ""
    except ValueError as error:
        raise TargetUnavailable(
            "the monitoring link has an impossible host or port"
        ) from error
    if parts.scheme not in _PORTS:
        raise TargetUnavailable(
            "the monitoring link is not an http address: it should begin with http://"
            " or https://"
        )
    if "@" in parts.netloc:
        raise TargetUnavailable(
            "the monitoring link contains a user name or password, which is not"
            " supported"
        )
    if port == 0 or parts.netloc.endswith(":"):
        raise TargetUnavailable("the monitoring link has an impossible port")
    if not host:
        raise TargetUnavailable("the monitoring link names no host")
    address = _address(host)
    if "[" in parts.netloc and (address is None or "%" in host):
        raise TargetUnavailable(
            "the monitoring link's host stands in brackets and is no IPv6 address"
        )
    return Place(
        parts.scheme, host, port or _PORTS[parts.scheme], _path(parts), address
    )


def _path(parts: SplitResult) -> str:
    """The path and the query, with what is not ASCII encoded."""
    text = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return quote(
        text.encode(errors="surrogatepass"), safe="!#$%&'()*+,/:;=?@[]~"
    )


def _address(host: str) -> Address | None:
    """The address that a host is, None when it is a name.

    Other spellings of an address than the usual one, such as ``2852039166`` or ``0x7f.1``, are
    refused: a resolver takes them, a reader does not see where they lead.
    """
    try:
        return ip_address(host)
    except (AddressValueError, ValueError):
        pass
    labels = host.removesuffix(".").split(".")
    if _NUMBER.fullmatch(labels[-1]):
        raise TargetUnavailable(
            "the monitoring link's host is a number, but no address in its usual form,"
            " such as 192.0.2.1"
        )
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise TargetUnavailable(
            "the monitoring link's host is no name of ASCII letters, digits, dashes and"
            " dots, and no address"
        )
    return None


# What is allowed ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Listed:
    """Networks, and hosts by name; ``*.example.org`` is every host below it."""

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.networks or self.hosts)

    def has_host(self, host: str) -> bool:
        name = host.lower().removesuffix(".")
        above = name.split(".")
        return name in self.hosts or any(
            "*." + ".".join(above[n:]) in self.hosts
            for n in range(1, len(above))
        )

    def has(self, address: Address) -> bool:
        return any(address in network for network in self.networks)

    @classmethod
    def parse(cls, entries: Iterable[str]) -> _Listed:
        """:raises InvalidInput: naming the entry that is neither."""
        networks: list[Network] = []
        hosts: set[str] = set()
        for entry in filter(None, map(str.strip, entries)):
            try:
                networks.append(ip_network(entry))
            except ValueError as error:
                name = entry.removeprefix("*.").removesuffix(".")
                labels = name.split(".")
                if (
                    "/" in entry
                    or _NUMBER.fullmatch(labels[-1])
                    or not all(map(_LABEL.fullmatch, labels))
                ):
                    raise InvalidInput(
                        f"{entry!r} is no network such as 192.0.2.0/24, and no host:"
                        f" {error}"
                    ) from error
                hosts.add(entry.lower().removesuffix("."))
        return cls(tuple(networks), frozenset(hosts))


@dataclass(frozen=True, slots=True)
class Rules:
    """Which targets may be asked.

    *deny* always holds.
    What is in *allow* is allowed; where that is not empty, nothing else is.
    Without it, every address is allowed that is not link-local, a metadata service's, unspecified,
    multicast or reserved.
    """

    allow: _Listed = _Listed()
    deny: _Listed = _Listed()

    @classmethod
    def parse(
        cls, allow: Iterable[str] = (), deny: Iterable[str] = ()
    ) -> Rules:
        """:param allow: networks (``192.0.2.0/24``), addresses and hosts (``collector.example``,
            ``*.example.org``).

        :raises InvalidInput: naming the entry that is none of them.
        """
        return cls(_Listed.parse(allow), _Listed.parse(deny))

    def refusal(self, host: str, address: Address | None) -> str:
        """Why a host must not be asked at an address, empty when it may be.

        :param address: None when a proxy looks the name up: then the name alone decides.
        """
        if address is None:
            return self._refusal_of_name(host)
        reached = _reached(address)
        if self.deny.has_host(host) or any(map(self.deny.has, reached)):
            return f"{address} is refused by ORCHESTRATOR_MONITORING_DENY"
        if all(map(self.allow.has, reached)):
            return ""
        for network, what in _REFUSED_NETWORKS:
            if any(each in network for each in reached):
                return (
                    f"{address} is {what}, and ORCHESTRATOR_MONITORING_ALLOW does not"
                    " list it"
                )
        if self.allow and not self.allow.has_host(host):
            return f"{address} is not among what ORCHESTRATOR_MONITORING_ALLOW lists"
        return ""

    def _refusal_of_name(self, host: str) -> str:
        if self.deny.has_host(host):
            return "its host is refused by ORCHESTRATOR_MONITORING_DENY"
        if self.allow and not self.allow.has_host(host):
            return (
                "its host is not among what ORCHESTRATOR_MONITORING_ALLOW lists"
            )
        return ""


ANYWHERE = Rules()
"""What holds where nothing is set."""


def _reached(address: Address) -> tuple[Address, ...]:
    """The address, and the one inside it where an IPv6 address stands for an IPv4 one."""
    if isinstance(address, IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    inside = [address.sixtofour, *(address.teredo or ())]
    if address in _TRANSLATED or (int(address) >> 32 == 0 and int(address) > 1):
        inside.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return (address, *filter(None, inside))
