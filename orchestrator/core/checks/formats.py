"""The formats of JSON schemas that can be checked: those of the standard, and those of Gohan.

A format that is not known here is no reason to refuse a value.
"""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from urllib.parse import urlsplit

from jsonschema import FormatChecker

from .schema_words import is_pattern

_MAC = re.compile(
    r"([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}|([0-9a-fA-F]{2}-){5}[0-9a-fA-F]{2}"
)
_HYPHENATED = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PLAIN_UUID = re.compile(r"[0-9a-fA-F]{32}")
_LABEL = re.compile(r"(?!-)[a-zA-Z0-9_-]{1,63}(?<!-)")
_MAIL = re.compile(r"[^@\s]+@[^@\s]+")


def _works(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return check


def _network(text: str) -> object:
    if "/" not in text:
        raise ValueError
    return ipaddress.ip_network(text, strict=False)


def _time(text: str) -> object:
    return datetime.fromisoformat(
        text.replace("Z", "+00:00").replace("z", "+00:00")
    )


def _date_time(text: str) -> object:
    if not re.match(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d", text):
        raise ValueError
    return _time(text)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme) and not any(letter.isspace() for letter in text)


def _is_host(text: str) -> bool:
    return len(text) <= 255 and all(
        _LABEL.fullmatch(label) for label in text.removesuffix(".").split(".")
    )


def _or_empty(check: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda text: text == "" or check(text)


_uuid, _hyphenated = (
    _works(uuid.UUID),
    lambda text: _HYPHENATED.fullmatch(text) is not None,
)
_plain = lambda text: _PLAIN_UUID.fullmatch(text) is not None  # noqa: E731
_cidr, _ipv4, _ipv6 = (
    _works(_network),
    _works(ipaddress.IPv4Address),
    _works(ipaddress.IPv6Address),
)

FORMATS: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "ipv4": (_ipv4, "an IPv4 address"),
    "ipv6": (_ipv6, "an IPv6 address"),
    "ip": (_works(ipaddress.ip_address), "an IP address"),
    "ipv4-or-empty": (_or_empty(_ipv4), "an IPv4 address, or empty"),
    "ipv6-or-empty": (_or_empty(_ipv6), "an IPv6 address, or empty"),
    "cidr": (_cidr, "a range of addresses such as 192.0.2.0/24"),
    "cidr-or-ipv4": (
        lambda text: _cidr(text) or _ipv4(text),
        "an IPv4 address, or a range of them",
    ),
    "mac": (
        lambda text: _MAC.fullmatch(text) is not None,
        "a MAC address such as 52:54:00:12:34:56",
    ),
    "uuid": (_uuid, "a UUID"),
    "hyph-uuid": (_hyphenated, "a UUID with hyphens"),
    "non-hyph-uuid": (_plain, "a UUID without hyphens"),
    "hyph-uuid-or-empty": (
        _or_empty(_hyphenated),
        "a UUID with hyphens, or empty",
    ),
    "non-hyph-uuid-or-empty": (
        _or_empty(_plain),
        "a UUID without hyphens, or empty",
    ),
    "uuid-or-empty": (_or_empty(_uuid), "a UUID, or empty"),
    "uri": (_is_url, "a URL"),
    "url": (_is_url, "a URL"),
    "hostname": (_is_host, "a host's name"),
    "email": (
        lambda text: _MAIL.fullmatch(text) is not None,
        "an e-mail address",
    ),
    "date-time": (_works(_date_time), "a time such as 2026-01-31T12:00:00Z"),
    "date": (
        _works(lambda text: datetime.strptime(text, "%Y-%m-%d")),
        "a date such as 2026-01-31",
    ),
    "regex": (is_pattern, "a regular expression"),
    "non-empty-string": (lambda text: text != "", "a text that is not empty"),
}
"""Each format: whether a text has it, and what to call it."""


def checker() -> FormatChecker:
    """The same for the library."""
    made = FormatChecker(formats=())
    for name, (check, _) in FORMATS.items():
        made.checks(name)(
            lambda value, check=check: (
                not isinstance(value, str) or check(value)
            )
        )
    return made
