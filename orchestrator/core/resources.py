"""What comes in: a key and a value below ``/config`` become a typed value once, here (CONTRACT
section 2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple, TypeAlias

from .documents import DIGEST, digest_of, inside, parse_json
from .keys import Keys, is_text
from .refs import Json, Ref
from .schemas import ResourceType

SIZE_LIMIT = 512 * 1024
"""Bytes of one config value.
The body is stored again in the job record, next to its parameters, and etcd takes requests of 1.5
MiB; Heat refuses templates over 512 KiB."""

UNVERSIONED = 0
"""Version of a config whose body and revision say whether it is a change (CONTRACT section 2)."""

_LARGEST_VERSION = 2**63 - 1
_TENANT_LIMIT = 255
_DEPTH_LIMIT = 100
"""Deepest nesting of a body: records are written with a recursive encoder."""

_LARGE = 16 * 1024
"""Characters. A body that is longer is seldom."""


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
    def size(self) -> int:
        """Characters of the text."""
        return len(self._text)

    @property
    def parsed(self) -> Mapping[str, Json]:
        """Shared by all who ask: not to be changed."""
        read = _parsed
        if self.size > _LARGE:
            read = _parsed_large
        body: Mapping[str, Json] = read(self._text)
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
    return parse_json(text)


@lru_cache(maxsize=8)
def _parsed_large(text: str) -> Json:
    """The same of large bodies, of which few are kept: parsed they take ten times the memory."""
    return parse_json(text)


def parsed(body: Mapping[str, Json]) -> Mapping[str, Json]:
    """The body as plain JSON."""
    if isinstance(body, Body):
        return body.parsed
    return body


@dataclass(frozen=True, slots=True)
class Wanted:
    """One version of the wanted configuration of a resource.

    *incarnation* is the key's create revision: a recreated id is another incarnation, and starts at
    version 1 again.
    *revision* is the revision of the last write.
    *fault* is set when the version can be read but the rest cannot be used: the state then says so;
    *unusable* is then the digest of what was written.
    """

    ref: Ref
    version: int
    body: Mapping[str, Json]
    marked_for_deletion: bool = False
    incarnation: int = 0
    revision: int = 0
    fault: str = ""
    unusable: str = field(default="", compare=False)

    @property
    def tenant(self) -> str:
        """The project in which the stack lives, ``""`` when the body names none that could be
        one."""
        tenant = self.body.get("tenant_id")
        if not isinstance(tenant, str):
            return ""
        return tenant

    def digest(self) -> str:
        """What is wanted, as a short text: two writes of the same have the same."""
        return self.unusable or digest_of(
            [parsed(self.body), self.marked_for_deletion]
        )


def tenant_fault(body: Mapping[str, Json]) -> str:
    """Why no stack can be built in the project that a body names; empty when one can (CONTRACT
    section 2)."""
    tenant = body.get("tenant_id")
    if tenant is None or tenant == "":
        return (
            "tenant_id is missing: it names the OpenStack project in which the stack is"
            " built"
        )
    if not isinstance(tenant, str):
        return (
            "tenant_id should be a text, the id of an OpenStack project, not"
            f" {_kind(tenant)}"
        )
    if "/" in tenant or tenant in (".", ".."):
        return "tenant_id should be the id of an OpenStack project, not a path"
    if len(tenant) > _TENANT_LIMIT or not tenant.isprintable():
        return (
            f"tenant_id should be a printable text of at most {_TENANT_LIMIT}"
            " characters"
        )
    return ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A value that says neither a type nor a version we know: nothing to write a state for."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A value that is no config and no fault: of a type that is no resource, or of another
    program."""

    key: str


Incoming: TypeAlias = Wanted | Rejected | Ignored


def parse_config(
    keys: Keys,
    key: str,
    value: bytes,
    *,
    incarnation: int = 0,
    revision: int = 0,
) -> Incoming:
    """The wanted configuration that a key holds, or why it cannot be used. Never raises.

    :param value: ``{"body": …, "version": N, "marked_for_deletion": false}``, where the body is a
        JSON document inside a string or an object.
    """
    ref = keys.ref(keys.config, key)
    if ref is None:
        return _of_nobody(keys, key)
    kind = keys.schemas.get(ref.type)
    if kind is None:
        return _of_nobody(keys, key)
    if not kind.is_resource:
        return Ignored(key)
    if kind.key_template and (other := keys.below(keys.config, ref)) != key:
        return Rejected(
            key,
            f"the config of {ref} lies at {other} already; remove one of the two",
        )
    try:
        document = parse_json(value)
    except (ValueError, RecursionError) as error:
        return Rejected(key, f"the value is not JSON: {error}")
    if not isinstance(document, dict):
        return Rejected(
            key, 'the value is not an object {"body": …, "version": N}'
        )
    version = _version(kind, document.get("version"))
    if version is None:
        return Rejected(
            key,
            "no version: expected a whole number from 0, got"
            f" {_kind(document.get('version'))}",
        )
    written = _Written(ref, version, incarnation, revision)
    return _wanted(key, value, document, written)


class _Written(NamedTuple):
    """Which write of a config it is."""

    ref: Ref
    version: int
    incarnation: int
    revision: int


def _wanted(
    key: str, value: bytes, document: Mapping[str, Json], written: _Written
) -> Wanted:
    """The config that a document asks for; what cannot be used of it is its fault."""
    raw, marked = (
        document.get("body"),
        document.get("marked_for_deletion", False),
    )
    body, fault = _body(raw)
    if not isinstance(marked, bool):
        fault = (
            fault
            or f"marked_for_deletion should be true or false, not {_kind(marked)}"
        )
        marked = False
    if len(value) > SIZE_LIMIT:
        fault = f"the value has {len(value)} bytes; the limit is {SIZE_LIMIT}"
    fault = fault or _id_fault(body, written.ref)
    if isinstance(raw, str) and body:
        body = Body(raw)
    wanted = Wanted(
        written.ref,
        written.version,
        body,
        marked,
        written.incarnation,
        written.revision,
    )
    if not fault:
        return wanted
    digest = blake2b(value, digest_size=DIGEST).hexdigest()
    return replace(wanted, fault=f"{key}: {fault}", unusable=digest)


def _of_nobody(keys: Keys, key: str) -> Rejected | Ignored:
    """A key that belongs to no type."""
    if not key.startswith(keys.config):
        # Where key templates leave out the config prefix, other programs may write too.
        return Ignored(key)
    if not is_text(key):
        return Rejected(
            key,
            "the key is not UTF-8; remove it, and write a key of letters, digits and"
            " dashes",
        )
    path = key.removeprefix(keys.config)
    if (kind := keys.schemas.above(path)) and (
        resource_id := path[len(kind.path) + 1 :]
    ):
        return Rejected(
            key,
            f"the id {resource_id!r} of type {kind.id} contains a slash, which an id"
            " must not",
        )
    origin = keys.schemas.origin
    hidden = ""
    if origin.source.startswith("http"):
        hidden = ", and let the token's role read it"
    return Rejected(
        key,
        f"no resource type of {origin} has this path; write below the type's path, or"
        f" add the type to the list{hidden}",
    )


def _version(kind: ResourceType, version: Json) -> int | None:
    """The version of a config; 0 when it is unversioned, None when it is none."""
    if version is None and not kind.versioned:
        return UNVERSIONED
    if not isinstance(version, int) or isinstance(version, bool):
        return None
    if not UNVERSIONED <= version <= _LARGEST_VERSION:
        return None
    return version


def _id_fault(body: Mapping[str, Json], ref: Ref) -> str:
    """API servers may count ids: a number is the same id as its digits in the key."""
    own = body.get("id", ref.id)
    if own == ref.id:
        return ""
    number = isinstance(own, int) and not isinstance(own, bool)
    if number and str(own) == ref.id:
        return ""
    return "the body's id is not the id in the key"


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
    return any(
        _deeper_than(item, limit - 1)
        for item in inside(value)
        if isinstance(item, (dict, list))
    )


def _kind(value: Json) -> str:
    """What a value is, without saying it."""
    return {
        type(None): "nothing",
        bool: "true or false",
        int: "a number",
        float: "a fraction",
        str: "a text",
        list: "a list",
    }.get(type(value), "an object")
