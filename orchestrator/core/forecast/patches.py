"""The difference of two JSON values, as RFC 6902 (JSON Patch) writes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..refs import Json

Path: TypeAlias = tuple[str, ...]
"""The names and positions that lead to a value."""


@dataclass(frozen=True, slots=True)
class PatchOperation:
    """One operation of a patch. *value* counts unless *op* is ``remove``."""

    op: str
    path: Path
    value: Json = None
    before: Json = None
    """The value that was there. It is for people; RFC 6902 has no place for it."""

    @property
    def pointer(self) -> str:
        """The path as RFC 6901 (JSON Pointer) writes it; empty for the whole value."""
        return "".join(
            "/" + name.replace("~", "~0").replace("/", "~1")
            for name in self.path
        )

    def to_json(self) -> dict[str, Json]:
        """``{"op": "replace", "path": "/cidr", "value": "192.0.2.0/24"}``."""
        told = {"op": self.op, "path": self.pointer}
        if self.op == "remove":
            return told
        return {**told, "value": self.value}

    @classmethod
    def from_json(cls, told: Mapping[str, Json]) -> PatchOperation:
        """An operation as :meth:`to_json` told it: without the value that was there."""
        path = tuple(
            name.replace("~1", "/").replace("~0", "~")
            for name in told["path"].split("/")[1:]
        )
        return cls(told["op"], path, told.get("value"))


def diff(
    before: Mapping[str, Json] | None, after: Mapping[str, Json] | None
) -> tuple[PatchOperation, ...]:
    """The patch that makes *after* of *before*. None: there is no such document."""
    if before is None and after is None:
        return ()
    if before is None:
        return (PatchOperation("add", (), dict(after or {})),)
    if after is None:
        return (PatchOperation("remove", (), before=dict(before)),)
    return tuple(_between((), before, after))


def _between(path: Path, before: Json, after: Json) -> Iterator[PatchOperation]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _between_objects(path, before, after)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _between_lists(path, before, after)
    elif not _equal(before, after):
        yield PatchOperation("replace", path, after, before)


def _between_objects(
    path: Path, before: Mapping[str, Json], after: Mapping[str, Json]
) -> Iterator[PatchOperation]:
    for name, value in before.items():
        if name not in after:
            yield PatchOperation("remove", (*path, name), before=value)
    for name, value in after.items():
        if name in before:
            yield from _between((*path, name), before[name], value)
        else:
            yield PatchOperation("add", (*path, name), value)


def _between_lists(
    path: Path, before: Sequence[Json], after: Sequence[Json]
) -> Iterator[PatchOperation]:
    """Elements that are equal at both ends stay. Those between are told one by one."""
    start, end = _common_ends(before, after)
    old = before[start : len(before) - end]
    new = after[start : len(after) - end]
    both = min(len(old), len(new))
    for place in range(both):
        here = (*path, str(start + place))
        yield from _between(here, old[place], new[place])
    # From the last to the first, so that no position moves before it is told.
    for place in reversed(range(both, len(old))):
        here = (*path, str(start + place))
        yield PatchOperation("remove", here, before=old[place])
    for place in range(both, len(new)):
        yield PatchOperation("add", (*path, str(start + place)), new[place])


def _common_ends(
    before: Sequence[Json], after: Sequence[Json]
) -> tuple[int, int]:
    """How many elements are equal at the beginning, and of the rest at the end."""
    shorter = min(len(before), len(after))
    start = 0
    while start < shorter and _equal(before[start], after[start]):
        start += 1
    end = 0
    while end < shorter - start and _equal(before[-1 - end], after[-1 - end]):
        end += 1
    return start, end


def _equal(before: Json, after: Json) -> bool:
    """Whether two JSON values are the same. To Python, ``1`` and ``true`` are."""
    return not any(_differences(before, after))


def _differences(before: Json, after: Json) -> Iterator[bool]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield before.keys() != after.keys()
        for name in before.keys() & after.keys():
            yield not _equal(before[name], after[name])
    elif isinstance(before, list) and isinstance(after, list):
        yield len(before) != len(after)
        for old, new in zip(before, after, strict=False):
            yield not _equal(old, new)
    else:
        yield type(before) is not type(after) or before != after
