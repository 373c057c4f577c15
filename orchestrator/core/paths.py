"""The form of a type's keys: a folder and the id, or a key template of the API server (CONTRACT
section 2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import InvalidInput
from .refs import Json

_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Variable:
    """A part of a path that a property of the resource fills."""

    name: str

    def __str__(self) -> str:
        return f"{{{{{self.name}}}}}"


@dataclass(frozen=True, slots=True)
class Pattern:
    """What the keys of a type look like, without the prefix, part by part.

    ``v1.0/devices/{{device_id}}/vms/{{id}}`` is ``("v1.0", "devices", Variable("device_id"), "vms",
    Variable("id"))``.
    """

    parts: tuple[str | Variable, ...]

    @classmethod
    def of_folder(cls, folder: str) -> Pattern:
        """Keys of the usual form: the id in a folder."""
        return cls((*folder.split("/"), Variable("id")))

    def __str__(self) -> str:
        return "/".join(map(str, self.parts))

    @property
    def needs_body(self) -> bool:
        """Whether the id alone does not tell the key."""
        return any(
            isinstance(part, Variable) and part.name != "id"
            for part in self.parts
        )

    @property
    def folder(self) -> str:
        """What all keys have in common up to the first variable, without a slash at the end."""
        fixed: list[str] = []
        for part in self.parts:
            if isinstance(part, Variable):
                break
            fixed.append(part)
        return "/".join(fixed)

    def match(self, path: str) -> Mapping[str, str] | None:
        """The variables of a key that has this form, None for another key."""
        found = path.split("/")
        if len(found) != len(self.parts):
            return None
        variables: dict[str, str] = {}
        for part, text in zip(self.parts, found, strict=True):
            if isinstance(part, Variable):
                if not text or variables.setdefault(part.name, text) != text:
                    return None
            elif part != text:
                return None
        return variables

    def fill(self, properties: Mapping[str, Json]) -> str | None:
        """The path of a resource, None when one of the properties cannot be part of a key."""
        filled: list[str] = []
        for part in self.parts:
            text = _filled(part, properties)
            if not text or "/" in text:
                return None
            filled.append(text)
        return "/".join(filled)

    def overlaps(self, other: Pattern) -> bool:
        """Whether a key could have both forms."""
        if len(self.parts) != len(other.parts):
            return False
        pairs = zip(self.parts, other.parts, strict=True)
        return all(
            isinstance(one, Variable) or isinstance(two, Variable) or one == two
            for one, two in pairs
        )


def parse_key_template(text: Json) -> Pattern:
    """A ``sync_key_template`` such as ``/v1.0/devices/{{device_id}}/vms/{{id}}``.

    :raises InvalidInput: saying what is wrong with it.
    """
    if not isinstance(text, str) or not text.strip("/"):
        raise InvalidInput(
            "expected a path such as /v1.0/devices/{{device_id}}/vms/{{id}}"
        )
    pattern = Pattern(tuple(_part(part) for part in text.strip("/").split("/")))
    names = [part.name for part in pattern.parts if isinstance(part, Variable)]
    if names.count("id") != 1:
        raise InvalidInput(
            f"{text!r} needs {{{{id}}}} exactly once, so that a key tells whose it is"
        )
    if not pattern.folder:
        raise InvalidInput(
            f"{text!r} begins with a variable, so its keys could lie anywhere in etcd"
        )
    return pattern


def _part(part: str) -> str | Variable:
    if variable := _VARIABLE.fullmatch(part):
        return Variable(variable[1])
    if not part or "{" in part or "}" in part:
        raise InvalidInput(
            f"part {part!r}: a part of the path is a fixed text or one variable,"
            " {{name}}"
        )
    return part


def _filled(part: str | Variable, properties: Mapping[str, Json]) -> str | None:
    if isinstance(part, str):
        return part
    return _text(properties.get(part.name))


def _text(value: Json) -> str | None:
    """A property inside a key: a text, or a whole number as JSON writes it."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


@dataclass(frozen=True, slots=True)
class Prefixes:
    """The five key prefixes of the contract, without a slash at the end."""

    config: str = "/config"
    state: str = "/state"
    monitoring: str = "/monitoring"
    jobs: str = "/jobs"
    worker: str = "/esi-worker"

    def taken(self) -> tuple[str, ...]:
        """Where no config can lie whose key template leaves out the config prefix."""
        return (
            self.config,
            self.state,
            self.monitoring,
            self.jobs,
            self.worker,
            "/gohan",
        )


class UnknownPlace(KeyError):
    """The key of a resource is made of more than its id, and nothing has told the rest yet."""
