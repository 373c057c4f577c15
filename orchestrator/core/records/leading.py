"""Records of the leading bridge: that it leads, and which schema list is in force."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from ..schema_list import SchemaList
from .reading import UNREADABLE


@dataclass(frozen=True, slots=True)
class LeaderRecord:
    """Which process leads: ``orchestrator/leader``."""

    host: str = "unknown"
    """The name of its host."""
    pid: int = 0
    """Its process id; 0 when that is not known."""
    id: str = ""
    """A random text: no other process, and no later one, has the same."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> LeaderRecord:
        record = json.loads(text)
        return cls(
            str(record["host"]), int(record["pid"]), str(record.get("id", ""))
        )


@dataclass(frozen=True, slots=True)
class SchemasRecord:
    """Which schema list is in force: ``orchestrator/schemas``.

    It is small, for every worker reads it with every claim. The types lie in
    ``orchestrator/schemas/data``.
    """

    source: str
    """Where the list is from."""
    fetched: str
    """When it was read, in UTC (``2026-11-27T21:49:01Z``)."""
    types: int
    """How many types it has."""
    digest: str
    """A short name of its types: the same for the same types."""

    @classmethod
    def of(cls, listed: SchemaList) -> SchemasRecord:
        return cls(
            listed.source, listed.fetched, len(listed.entries), listed.digest
        )

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> SchemasRecord:
        record = json.loads(text)
        return cls(
            str(record["source"]),
            str(record["fetched"]),
            int(record["types"]),
            str(record["digest"]),
        )


def stored_schemas(record: bytes, data: bytes) -> SchemaList:
    """The list that the leader has stored.

    :raises ValueError: these records do not make one.
    """
    try:
        head = SchemasRecord.from_json(record)
    except UNREADABLE as error:
        raise ValueError(f"it cannot be read: {error!r}") from error
    listed = SchemaList.unpacked(head.source, head.fetched, data)
    if listed.digest != head.digest:
        raise ValueError("its digest is another one than that of its types")
    return listed


@dataclass(frozen=True, slots=True)
class SchemaTrouble:
    """Why a newer list is not in force: ``orchestrator/schemas/trouble``."""

    reason: str
    """What is wrong and what to do, for people."""
    source: str
    """Where the newer list is from."""
    since: str
    """When that was first seen, in UTC."""
    refused: bool = True
    """Whether there is a list, and it cannot be used; else the API server does not give any."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> SchemaTrouble:
        record = json.loads(text)
        return cls(
            str(record["reason"]),
            str(record["source"]),
            str(record["since"]),
            bool(record["refused"]),
        )
