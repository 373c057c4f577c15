"""``orchestrator config``: the effective settings, and where each of them comes from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from rich.text import Text

from .. import settings as configuration
from ..core.masking import MASK, is_secret
from ..core.refs import Json
from ..settings import Loaded, Settings
from ..settings.environment import PREFIX, Found
from .output import FAINT, GOOD, Section

_FILES = frozenset({"OS_CACERT", "OS_CERT", "OS_KEY"})
"""Paths of files: that one of them holds a key is no reason to hide where it lies."""
_NEXT_URL = re.compile(r"([;,])(?=[A-Za-z][\w+.-]*://)")
_QUERY = re.compile(r"([?&]([^=&?]+)=)([^&]+)")
_OPTION_SECRETS = ("password", "secret", "token", "credential")


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """One variable. *source* is ``environment``, ``default``, or the path of a file."""

    variable: str
    value: Json
    source: str
    description: str

    def to_json(self) -> dict[str, Json]:
        return {
            "variable": self.variable,
            "value": self.value,
            "source": self.source,
            "description": self.description,
        }


def without_credentials(text: str) -> str:
    """A URL, or several, without the passwords in it, wherever they stand and whatever they consist
    of.

    >>> without_credentials("redis://user:pa/s@s;wo,rd@host:6379/0")
    'redis://user:***@host:6379/0'
    """
    return "".join(
        _one_without_credentials(part) for part in _NEXT_URL.split(text)
    )


def _one_without_credentials(url: str) -> str:
    scheme, found, rest = url.partition("://")
    if not found:
        return url
    # A password may hold anything, an @ included: it ends at the last one.
    userinfo, at, place = rest.rpartition("@")
    user, colon, _ = userinfo.partition(":")
    if colon:
        userinfo = f"{user}:{MASK}"
    place = _QUERY.sub(
        lambda found: f"{found[1]}{MASK}" if is_secret(found[2]) else found[0],
        place,
    )
    return f"{scheme}://{userinfo}{at}{place}"


def visible(value: Json, *, secret: bool) -> Json:
    """A setting's value as it may be shown.

    :param secret: whether all of it is a secret, and not only a part of a URL.
    """
    match value:
        case tuple():
            return ",".join(value)
        case dict():
            return json.dumps(_options_without_secrets(value)) if value else ""
        case str() if value and secret:
            return MASK
        case str():
            return without_credentials(value)
        case _:
            return value


def _options_without_secrets(options: Mapping[str, Json]) -> dict[str, Json]:
    """By names, at any depth. (``global_keyprefix`` holds no key.)"""
    found: dict[str, Json] = {}
    for name, value in options.items():
        if isinstance(value, dict):
            value = _options_without_secrets(value)
        elif any(word in str(name).lower() for word in _OPTION_SECRETS):
            value = MASK
        found[str(name)] = value
    return found


def settings(loaded: Loaded) -> list[ShownSetting]:
    """Our own settings, in the order in which they are declared."""
    found = []
    for name, field in Settings.model_fields.items():
        value = visible(
            getattr(loaded.settings, name), secret=_is_all_secret(name)
        )
        if name == "broker_url":
            value = loaded.settings.broker.address.masked
        source = loaded.sources.get(name, "default")
        found.append(
            ShownSetting(
                f"{PREFIX}{name.upper()}",
                value,
                source,
                field.description or "",
            )
        )
    return found


def _is_all_secret(name: str) -> bool:
    """A URL or options may hold a secret; a password is one."""
    return is_secret(name) and configuration.hidden(name)


def openstack(others: Mapping[str, Found]) -> list[ShownSetting]:
    """The credentials' variables that are set: the workers use them, keystoneauth reads them."""
    description = "OpenStack credentials, read by the workers."
    return [
        ShownSetting(
            name, _openstack_value(name, found.value), found.source, description
        )
        for name, found in sorted(others.items())
        if name.startswith("OS_")
    ]


def _openstack_value(name: str, value: str) -> Json:
    return visible(value, secret=is_secret(name) and name not in _FILES)


def render(
    own: list[ShownSetting], cloud: list[ShownSetting]
) -> list[Section | Text]:
    """For people."""
    parts: list[Section | Text] = [
        Section(
            "",
            ("variable", "value", "from", "what it is"),
            [_cells(setting) for setting in own],
        )
    ]
    if cloud:
        rows = [
            (setting.variable, _value(setting), setting.source)
            for setting in cloud
        ]
        parts.append(Section("OpenStack", ("variable", "value", "from"), rows))
    else:
        parts.append(
            Text(
                "No OS_* variable is set: a worker started here would have no OpenStack"
                " credentials."
            )
        )
    return parts


def _cells(setting: ShownSetting) -> tuple[str | Text, ...]:
    source = Text(setting.source, GOOD)
    if setting.source == "default":
        source = Text(setting.source, FAINT)
    return setting.variable, _value(setting), source, setting.description


def _value(setting: ShownSetting) -> str:
    match setting.value:
        case bool():
            return "on" if setting.value else "off"
        case "" | None:
            return "–"
        case value:
            return str(value)
