"""``orchestrator config``: the effective settings, and where each of them comes from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rich.text import Text

from ..core.masking import MASK, is_secret
from ..core.refs import Json
from ..settings import Settings
from .output import FAINT, GOOD, Section

_PREFIX = "ORCHESTRATOR_"
_FILES = frozenset({"etcd_ca", "etcd_cert", "etcd_key", "tenant_credentials", "OS_CACERT", "OS_CERT", "OS_KEY"})
"""Paths of files: that one of them holds a key is no reason to hide where it lies."""
_USERINFO = re.compile(r"(\w+://[^:@/\s]*):([^\s;,]*)@")
_QUERY = re.compile(r"([?&;]([^=&;\s]+)=)([^&;\s]+)")


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable. *source* is ``environment``, ``.env`` or ``default``."""

    variable: str
    value: Json
    source: str
    description: str

    def to_json(self) -> dict[str, Json]:
        return {"variable": self.variable, "value": self.value, "source": self.source, "description": self.description}


def without_credentials(url: str) -> str:
    """A URL without the password in it, wherever it stands.

    >>> without_credentials("redis://user:pa/ss@host:6379/0")
    'redis://user:***@host:6379/0'
    """
    url = _USERINFO.sub(rf"\1:{MASK}@", url)
    return _QUERY.sub(lambda found: f"{found[1]}{MASK}" if is_secret(found[2]) else found[0], url)


def visible(name: str, value: Json) -> Json:
    """A setting's value as it may be shown."""
    if isinstance(value, tuple):
        return ",".join(value)
    if not isinstance(value, str) or not value or name in _FILES:
        return value
    return MASK if is_secret(name) else without_credentials(value)


def settings(effective: Settings, environ: Mapping[str, str]) -> list[Setting]:
    """Our own settings, in the order in which they are declared."""
    present = {name.upper() for name in environ}
    found = []
    for name, field in Settings.model_fields.items():
        variable = _PREFIX + name.upper()
        source = "environment" if variable in present else ".env" if name in effective.model_fields_set else "default"
        found.append(Setting(variable, visible(name, getattr(effective, name)), source, field.description or ""))
    return found


def openstack(environ: Mapping[str, str]) -> list[Setting]:
    """The credentials' variables that are set: the workers use them, keystoneauth reads them."""
    return [
        Setting(name, visible(name, value), "environment", "OpenStack credentials, read by the workers.")
        for name, value in sorted(environ.items())
        if name.startswith("OS_")
    ]


def render(own: list[Setting], cloud: list[Setting]) -> list[Section | Text]:
    """For people."""
    parts: list[Section | Text] = [Section("", ("variable", "value", "from", "what it is"), [_cells(setting) for setting in own])]
    if cloud:
        parts.append(Section("OpenStack", ("variable", "value"), [(setting.variable, _value(setting)) for setting in cloud]))
    else:
        parts.append(Text("No OS_* variable is set: a worker started here would have no OpenStack credentials."))
    return parts


def _cells(setting: Setting) -> tuple[str | Text, ...]:
    source = Text(setting.source, FAINT if setting.source == "default" else GOOD)
    return setting.variable, _value(setting), source, setting.description


def _value(setting: Setting) -> str:
    match setting.value:
        case bool():
            return "on" if setting.value else "off"
        case "" | None:
            return "–"
        case value:
            return str(value)
