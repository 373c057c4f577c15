"""What comes in: a key and a value below ``/config`` become a typed value once, here (CONTRACT section 2)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from .keys import Keys
from .refs import Json, Ref

SIZE_LIMIT = 512 * 1024
"""Bytes of one config value. The body is stored again in the job record, next to its parameters, and
etcd takes requests of 1.5 MiB; Heat refuses templates over 512 KiB."""

_TENANT_LIMIT = 255
_DEPTH_LIMIT = 100
"""Deepest nesting of a body: records are written with a recursive encoder."""


class Body(Mapping[str, Json]):
    """A body that is kept as the text it came in, and read when somebody looks at it.

    The bridge keeps every body there is, and looks at few of them again: as text they take a third
    of the memory.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """:param text: JSON, known to be an object."""
        self._text = text

    @property
    def parsed(self) -> Mapping[str, Json]:
        """Shared by all who ask: not to be changed."""
        body: Mapping[str, Json] = _parsed(self._text)
        return body

    def __getitem__(self, name: str) -> Json:
        return self.parsed[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.parsed)

    def __len__(self) -> int:
        return len(self.parsed)

    def __repr__(self) -> str:
        return repr(self.parsed)


@lru_cache(maxsize=256)
def _parsed(text: str) -> Json:
    """One decision looks at the same body a dozen times."""
    return json.loads(text)


def parsed(body: Mapping[str, Json]) -> Mapping[str, Json]:
    """The body as plain JSON."""
    return body.parsed if isinstance(body, Body) else body


@dataclass(frozen=True, slots=True)
class Wanted:
    """One version of the wanted configuration of a resource.

    *incarnation* is the key's create revision: a recreated id is another incarnation, and starts at
    version 1 again. *revision* is the revision of the last write. *fault* is set when the version
    can be read but the rest cannot be used: the state then says so.
    """

    ref: Ref
    version: int
    body: Mapping[str, Json]
    marked_for_deletion: bool = False
    incarnation: int = 0
    revision: int = 0
    fault: str = ""

    @property
    def tenant(self) -> str:
        """The project in which the stack lives, ``""`` for that of the credentials."""
        tenant = self.body.get("tenant_id")
        return tenant if isinstance(tenant, str) else ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A value that says neither a type nor a version we know: nothing to write a state for."""

    key: str
    reason: str


Incoming: TypeAlias = Wanted | Rejected


def parse_config(keys: Keys, key: str, value: bytes, *, incarnation: int = 0, revision: int = 0) -> Incoming:
    """The wanted configuration that a key holds, or why it cannot be used. Never raises.

    :param value: ``{"body": …, "version": N, "marked_for_deletion": false}``, where the body is a
        JSON document inside a string or an object.
    """
    ref = keys.ref(keys.config, key)
    if ref is None:
        return Rejected(key, "no resource type of the schema list has this path; write below the type's prefix, or add the type")
    try:
        document = _loads(value)
    except (ValueError, RecursionError) as error:
        return Rejected(key, f"the value is not JSON: {error}")
    if not isinstance(document, dict):
        return Rejected(key, 'the value is not an object {"body": …, "version": N}')
    version = document.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        return Rejected(key, f"no version: expected a whole number from 1, got {_kind(version)}")
    marked = document.get("marked_for_deletion", False)
    raw = document.get("body")
    body, fault = _body(raw)
    if not isinstance(marked, bool):
        marked, fault = False, fault or f"marked_for_deletion should be true or false, not {_kind(marked)}"
    if len(value) > SIZE_LIMIT:
        fault = f"the value has {len(value)} bytes; the limit is {SIZE_LIMIT}"
    tenant = body.get("tenant_id")
    if not fault and isinstance(tenant, str) and (len(tenant) > _TENANT_LIMIT or not tenant.isprintable()):
        fault = f"tenant_id should be a printable text of at most {_TENANT_LIMIT} characters"
    if not fault and body.get("id", ref.id) != ref.id:
        fault = "the body's id is not the id in the key"
    kept = Body(raw) if isinstance(raw, str) and body else body
    return Wanted(ref, version, kept, marked, incarnation, revision, f"{key}: {fault}" if fault else "")


def _loads(value: bytes) -> Json:
    """As ``json.loads``, which spends as long on guessing the encoding as on the rest."""
    try:
        return json.loads(value.decode())
    except ValueError:
        return json.loads(value)


def _body(body: Json) -> tuple[Mapping[str, Json], str]:
    brackets = _DEPTH_LIMIT
    if isinstance(body, str):
        brackets = body.count("{") + body.count("[")
        try:
            body = _parsed(body)
        except (ValueError, RecursionError) as error:
            return {}, f"the body is not JSON: {error}"
    if not isinstance(body, dict):
        return {}, f"the body should be an object, not {_kind(body)}"
    if brackets >= _DEPTH_LIMIT and _deeper_than(body, _DEPTH_LIMIT):
        return {}, f"the body is nested deeper than {_DEPTH_LIMIT} levels"
    return body, ""


def _deeper_than(value: Json, limit: int) -> bool:
    if limit == 0:
        return True
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_deeper_than(item, limit - 1) for item in below if isinstance(item, (dict, list)))


def _kind(value: Json) -> str:
    """What a value is, without saying it."""
    return {type(None): "nothing", bool: "true or false", int: "a number", float: "a fraction", str: "a text", list: "a list"}.get(
        type(value), "an object"
    )
