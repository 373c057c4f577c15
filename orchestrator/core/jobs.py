"""The job record: what ``/jobs/all/<job id>`` says (CONTRACT section 5)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .mapping.evaluate import Evaluated, ListOf, OutputOf
from .refs import JobId, Json, Ref, StackName

HANDLER = "heat_worker"


class Action(StrEnum):
    """What a job does with its stack."""

    CREATE = "create"
    """There is no stack record yet."""
    MODIFY = "modify"
    """There is one."""
    DELETE = "logical_delete"
    """The resource is marked for deletion, or its config is gone."""


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter: its value, and the references taken to get at it.

    *value* is JSON, an :class:`OutputOf` or a :class:`ListOf`.
    """

    name: str
    value: Any
    references: tuple[Ref, ...] = ()

    @classmethod
    def of(cls, name: str, evaluated: Evaluated) -> Param:
        return cls(name, evaluated.value, evaluated.references)

    def to_record(self) -> dict[str, Json]:
        kind, value = _typed(self.name, self.value)
        return {
            "param": self.name,
            "type": kind,
            "value": value,
            "resources": [ref.to_record() for ref in self.references],
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Json]) -> Param:
        return cls(
            record["param"],
            _untyped(record),
            tuple(map(Ref.from_record, record["resources"])),
        )

    def outputs(self) -> Iterator[OutputOf]:
        """The outputs of other stacks that the value needs."""
        match self.value:
            case OutputOf():
                yield self.value
            case ListOf(elements):
                yield from (
                    element
                    for element in elements
                    if isinstance(element, OutputOf)
                )


def _typed(name: str, value: Any) -> tuple[str, Json]:
    match value:
        case OutputOf(ref, key):
            return "output_key", {"output_key": key, **ref.to_record()}
        case ListOf(elements):
            inner = ((name, *_typed(name, element)) for element in elements)
            return "list", [
                {"param": n, "type": t, "value": v, "resources": []}
                for n, t, v in inner
            ]
        case _:
            return "value", value


def _untyped(record: Mapping[str, Json]) -> Any:
    value = record["value"]
    match record["type"]:
        case "output_key":
            return OutputOf(Ref.from_record(value), value["output_key"])
        case "list":
            return ListOf(tuple(_untyped(entry) for entry in value))
        case _:
            return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One operation on one stack."""

    id: JobId
    ref: Ref
    action: Action
    version: int
    params: tuple[Param, ...]
    dependency: tuple[JobId, ...]
    body: Mapping[str, Json]
    adopted: str = ""
    """The name of the stack, where it is not made of type and id: it was adopted."""

    @property
    def stack_name(self) -> StackName:
        """The name of the stack in Heat."""
        if self.adopted:
            return StackName(self.adopted)
        return self.ref.stack_name

    @property
    def tenant(self) -> str:
        """The project in which the stack lives, ``""`` for that of the credentials."""
        tenant = self.body.get("tenant_id")
        if isinstance(tenant, str):
            return tenant
        return ""

    def references(self) -> frozenset[Ref]:
        """Every resource that the parameters refer to."""
        return frozenset(
            ref for param in self.params for ref in param.references
        )

    def to_record(self) -> list[Json]:
        adopted: dict[str, Json] = {}
        if self.adopted:
            adopted["stack_name"] = self.adopted
        return [
            HANDLER,
            {
                "is_first": True,
                "is_last": True,
                "resource_id": self.ref.id,
                "handler": HANDLER,
                "job_name": f"{self.ref}:{self.version}",
                "dependency": list(self.dependency),
                "version": self.version,
                "params": [param.to_record() for param in self.params],
                "resource_type": self.ref.type,
                "action": self.action.value,
                "on_failure": "fail",
                "id": self.id,
                "resource_input": dict(self.body),
                **adopted,
            },
            0,
        ]

    @classmethod
    def from_record(cls, record: Sequence[Json]) -> Job:
        """:raises ValueError: when the value is not a job record."""
        try:
            _, job, _ = record
            return cls(
                id=JobId(job["id"]),
                ref=Ref(job["resource_type"], job["resource_id"]),
                action=Action(job["action"]),
                version=job["version"],
                params=tuple(map(Param.from_record, job["params"])),
                dependency=tuple(map(JobId, job["dependency"])),
                body=job["resource_input"],
                adopted=job.get("stack_name", ""),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not a job record: {error!r}") from error

    def to_json(self) -> str:
        return json.dumps(self.to_record())

    @classmethod
    def from_json(cls, text: str | bytes) -> Job:
        return cls.from_record(json.loads(text))


def job_id(action: Action, ref: Ref, version: int, suffix: str) -> JobId:
    """``<action>:heat_worker:<type>:<resource id>:<version>:<5 random of a-z0-9>``."""
    return JobId(
        f"{action.value}:{HANDLER}:{ref.type}:{ref.id}:{version}:{suffix}"
    )


def job_ref(job: JobId) -> Ref:
    """The resource of a job, from its id alone (a resource id may contain colons)."""
    _, _, kind, rest = job.split(":", 3)
    return Ref(kind, rest.rsplit(":", 2)[0])


def job_action(job: JobId) -> Action:
    """The action of a job, from its id alone."""
    return Action(job.partition(":")[0])


def with_earlier_references(
    params: Iterable[Param], earlier: Mapping[str, Sequence[Ref]]
) -> tuple[Param, ...]:
    """The parameters of a modify or delete: references of the previously handled config come
    first."""
    return tuple(
        Param(p.name, p.value, (*earlier.get(p.name, ()), *p.references))
        for p in params
    )
