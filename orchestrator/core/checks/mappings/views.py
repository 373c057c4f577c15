"""What a mapping sees, and what it may refer to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...documents import members
from ...refs import Json
from ...schemas import ResourceType, Schemas
from ..bodies import ALWAYS


def type_names(schema: Json) -> list[str] | None:
    """The JSON types that a schema allows, None when it does not say."""
    types = members(schema).get("type")
    if isinstance(types, str):
        return [types]
    if isinstance(types, list):
        return types
    return None


@dataclass(frozen=True, slots=True)
class Around:
    """What a mapping may refer to.

    *outputs* gives the outputs of a type's stacks, None when they are not known; *templates* are
    the ids of the templates that there are.
    """

    schemas: Schemas
    outputs: Callable[[str], frozenset[str] | None]
    templates: frozenset[str]


@dataclass(frozen=True, slots=True)
class View:
    """What a mapping sees: the properties of a resource, of an element of a list, or of the end of
    a path.

    *schema* is the JSON schema, None when nothing is known of it. *where* names it in a sentence.
    """

    schema: Json
    where: str
    whole: bool = False

    @classmethod
    def of_type(cls, kind: ResourceType) -> View:
        """What a mapping on a whole resource sees."""
        return cls(kind.json_schema, kind.id, whole=True)

    def names(self) -> list[str] | None:
        """The properties, None when any name will do."""
        schema = members(self.schema)
        listed = members(schema.get("properties"))
        if not listed or schema.get("additionalProperties"):
            return None
        found = list(listed)
        if self.whole:
            found += [name for name in ALWAYS if name not in listed]
        return found

    def schema_of(self, name: str) -> Json:
        """The schema of a property, None when nothing is known of it."""
        return members(members(self.schema).get("properties")).get(name)

    def types_of(self, name: str) -> list[str] | None:
        """The JSON types of a property, None when the schema does not say.

        :param name: empty: of the element itself.
        """
        return type_names(self.at(name))

    def at(self, name: str) -> Json:
        """The schema of a property; with no name, that of the element itself."""
        if name == "":
            return self.schema
        return self.schema_of(name)
