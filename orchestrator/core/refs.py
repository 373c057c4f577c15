"""The names everything else is keyed by."""

from __future__ import annotations

from typing import Any, NamedTuple, NewType, TypeAlias

JobId = NewType("JobId", str)
StackName = NewType("StackName", str)
RunId = NewType("RunId", str)
"""``<tenant>/<job id>``: names a job and, without reading it, where its run stands
(:func:`.keys.run_id`)."""

Json: TypeAlias = Any
"""A JSON value: None, bool, int, float, str, list or dict.
``Any``, since mypy has no useful recursion here."""


class Ref(NamedTuple):
    """One resource: its type (``port``) and its id. The name of its stack is made of both."""

    type: str
    id: str

    def __str__(self) -> str:
        return f"{self.type}:{self.id}"

    @property
    def stack_name(self) -> StackName:
        """The stack's name in Heat (CONTRACT section 6): deterministic, so a second create is
        recognised."""
        return StackName(f"{self.type}_{self.id}")

    def to_record(self) -> dict[str, str]:
        """The reference as job records carry it."""
        return {"resource_type": self.type, "resource_id": self.id}

    @classmethod
    def from_record(cls, record: dict[str, str]) -> Ref:
        return cls(record["resource_type"], record["resource_id"])
