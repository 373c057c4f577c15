"""The record of what a stack was built from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from sys import intern

from ..documents import digest_of
from ..mapping.evaluate import OutputOf
from ..policies import Follow
from ..refs import JobId, Json, Ref

_NOTHING_READ: Mapping[OutputOf, str] = {}
"""One for all: most stacks read no output of others."""


@dataclass(frozen=True, slots=True)
class Built:
    """What the last request that Heat took of a resource was made of: ``orchestrator/built/…``.

    It holds digests, never values. A record whose job is not the last one of its resource says
    nothing: an older release, or a refused request, came after it.
    """

    job: JobId
    """The job of the request."""
    template: str
    """The id of the template."""
    revision: str = ""
    """The template's revision; empty when it is not certain which one Heat was given."""
    parameters: str = ""
    """The digest of the parameters, the template's variables and the timeout."""
    reads: Mapping[OutputOf, str] = field(default_factory=dict)
    """The outputs of other stacks that the mappings read, each with the digest of its value."""
    follow: Follow | None = None
    """What the template says about outputs that change; None: nothing, so the setting counts."""
    since: float = field(default=0.0, compare=False)
    """When the request was made: seconds since the epoch by the worker's clock, for people. 0 in
    records of releases that kept no such time."""

    def changed(
        self, now: Callable[[Ref], Mapping[str, str]]
    ) -> Iterator[OutputOf]:
        """The outputs that were read and have another value now.

        :param now: the digests of a stack's outputs, by key. An output that is not there, or that
            Heat could not compute, does not count: nothing could be built from it.
        """
        for output, digest in self.reads.items():
            if now(output.ref).get(output.key, digest) != digest:
                yield output

    def to_json(self) -> str:
        record: dict[str, Json] = {
            "job": self.job,
            "template": self.template,
            "revision": self.revision,
            "parameters": self.parameters,
        }
        if self.reads:
            record["outputs"] = listed(self.reads)
        if self.follow is not None:
            record["follow"] = self.follow.value
        if self.since:
            record["since"] = self.since
        return json.dumps(record)

    @classmethod
    def from_json(cls, text: str | bytes) -> Built:
        record = json.loads(text)
        return cls(
            JobId(record["job"]),
            intern(record["template"]),
            intern(record.get("revision", "")),
            record.get("parameters", ""),
            from_list(record.get("outputs")),
            Follow(record["follow"]) if "follow" in record else None,
            record.get("since", 0.0),
        )


def listed(digests: Mapping[OutputOf, str]) -> list[list[str]]:
    """Outputs with their digests, as records have them: type, id, output, digest."""
    return [
        [output.ref.type, output.ref.id, output.key, digest]
        for output, digest in digests.items()
    ]


def from_list(outputs: Json) -> Mapping[OutputOf, str]:
    """The same from a record; nothing when it has none."""
    if not outputs:
        return _NOTHING_READ
    return {
        OutputOf(Ref(intern(kind), resource_id), key): digest
        for kind, resource_id, key, digest in outputs
    }


def digests_of(outputs: Iterable[Json]) -> dict[str, str]:
    """The digest of each output of a stack that has a value, by key.

    :param outputs: as Heat lists them. One that Heat could not compute has no value.
    """
    return dict(_digests(outputs))


def _digests(outputs: Iterable[Json]) -> Iterator[tuple[str, str]]:
    for output in outputs:
        if isinstance(output, dict) and not output.get("output_error"):
            yield (
                str(output.get("output_key")),
                digest_of(output.get("output_value")),
            )
