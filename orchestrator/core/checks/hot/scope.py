"""What a function of a template is, and what the names around it can mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ...documents import members
from ...refs import Json
from ...source import JsonPath
from .parameters import Parameter
from .types import HeatTypes, ResourceKind, Version


@dataclass(frozen=True, slots=True)
class Call:
    """One function and its argument. *path* leads to the object that holds both."""

    path: JsonPath
    name: str
    argument: Json

    @property
    def inside(self) -> JsonPath:
        return (*self.path, self.name)


@dataclass(frozen=True, slots=True)
class Scope:
    """What the names of a template can mean.

    *sent* are the values of parameters as far as they are known. *kinds* are the resources by name;
    the type is None when nothing is known of it. *wildcards* are the placeholders of the ``repeat``
    around: a name that contains one is not checked.
    """

    heat: HeatTypes
    version: Version
    parameters: Mapping[str, Parameter]
    sent: Mapping[str, Json]
    kinds: Mapping[str, ResourceKind | None]
    conditions: frozenset[str]
    wildcards: frozenset[str] = field(default_factory=frozenset)

    def call(self, value: Json, path: JsonPath) -> Call | None:
        """The function that *value* is, if it is one."""
        if isinstance(value, dict) and len(value) == 1:
            ((name, argument),) = value.items()
            if (
                name in self.version.functions
                or name in self.version.conditions
            ):
                return Call(path, name, argument)
        return None

    def within(self, call: Call) -> Scope:
        """The scope inside a function's argument."""
        if call.name != "repeat":
            return self
        loops = members(members(call.argument).get("for_each"))
        return replace(
            self, wildcards=self.wildcards | frozenset(map(str, loops))
        )

    def is_open(self, name: str) -> bool:
        """Whether a name is made of something that is known only later."""
        return any(word in name for word in self.wildcards)
