"""A schema list as a value: from an API server, a file or the catalogue, and kept in etcd by the
leader.

Only what is read of it is kept (:func:`~.schemas.used_of`): titles, descriptions and policies may
change without any effect. Two lists with the same types have the same digest, in whatever order
their entries come.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b

from ..errors import InvalidInput
from .documents import canonical, parse_json
from .refs import Json
from .schemas import (
    Origin,
    ResourceType,
    Schemas,
    entries_of,
    parse_schemas,
    used_of,
)

LARGEST_STORED = 1024 * 1024
"""Characters of the compressed list in etcd, whose default limit for one request is 1.5 MiB. Five
hundred types of thirty properties take a twentieth of it (measured)."""
LARGEST = 32 * 1024 * 1024
"""Bytes of a list, as it is answered and as it is unpacked."""


@dataclass(frozen=True, slots=True)
class SchemaList:
    """The types of one list.

    *source* names where it is from, *fetched* says when it was read (``2026-11-27T21:49:01Z``),
    *entries* are what is used of its entries, in order of id.
    """

    source: str
    fetched: str
    entries: tuple[Json, ...] = field(repr=False)

    @classmethod
    def of(cls, document: Json, source: str, fetched: str) -> SchemaList:
        """The list that a document holds.

        :raises InvalidInput: it is no schema list, it names no type with resources, or two of its
            types cannot be told apart.
        """
        schemas = parse_schemas(document)
        if not any(kind.is_resource for kind in schemas):
            raise InvalidInput(
                "the schema list names no type of resources; is it the right list, and"
                " may its reader see the types?"
            )
        used = map(used_of, entries_of(document))
        return cls(
            source,
            fetched,
            tuple(sorted(used, key=lambda entry: str(entry["id"]))),
        )

    @property
    def digest(self) -> str:
        """A short name of the types: the same for the same types."""
        return blake2b(
            canonical(list(self.entries)).encode(), digest_size=12
        ).hexdigest()

    def schemas(self, revision: int = 0) -> Schemas:
        """The types.

        :param revision: that of the leader's record of this list; 0 when it is not stored.
        """
        origin = Origin(self.source, revision, self.fetched if revision else "")
        return parse_schemas(list(self.entries), origin, kept=True)

    # As it is stored ------------------------------------------------------------------------------

    def data(self) -> str:
        """The types, compressed.

        :raises InvalidInput: they are more than etcd takes.
        """
        plain = canonical(list(self.entries)).encode()
        packed = base64.b64encode(zlib.compress(plain, 9)).decode()
        if len(packed) > LARGEST_STORED:
            raise InvalidInput(
                f"the schema list is too large: {len(self.entries)} types take"
                f" {len(packed)} characters in etcd; the limit is {LARGEST_STORED}"
            )
        return packed

    @classmethod
    def unpacked(cls, source: str, fetched: str, data: bytes) -> SchemaList:
        """The list whose types were stored as *data*.

        :raises ValueError: it cannot be unpacked.
        """
        try:
            packed = base64.b64decode(data, validate=True)
            plain = zlib.decompressobj().decompress(packed, LARGEST)
            return cls(source, fetched, tuple(parse_json(plain)))
        except (
            zlib.error,
            binascii.Error,
            TypeError,
            RecursionError,
        ) as error:
            raise ValueError(f"it cannot be unpacked: {error!r}") from error


def not_at_home(
    old: Iterable[ResourceType], new: Schemas
) -> Iterator[ResourceType]:
    """The types of a list whose resources another list would not find where they are.

    It has no such type, or has it at another path, or holds it for no type of resources.
    """
    for kind in old:
        other = new.get(kind.id)
        if (
            other is None
            or _places(kind) != _places(other)
            or (kind.is_resource and not other.is_resource)
        ):
            yield kind


def _places(kind: ResourceType) -> tuple[object, ...]:
    return kind.path, kind.pattern, kind.outside_config
