"""A value that knows in which line of its file each of its parts stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from ...errors import InvalidInput
from ..refs import Json

JsonPath: TypeAlias = tuple[str | int, ...]
"""From the top of a document down: names of properties and places in lists."""

DEPTH_LIMIT = 100
"""Deepest nesting of a document: records are written with a recursive encoder."""

VALUE_LIMIT = 200_000
"""Most values of one document: more than any body within the limit of size has."""


class SourceError(InvalidInput):
    """A document cannot be read.

    :param line: from 1; 0 when it is not known.
    :param why: what is wrong, never the text itself, which may hold a secret.
    """

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}" if line else why)
        self.line = line
        self.why = why


@dataclass(frozen=True, slots=True)
class Located:
    """One document of a file.

    *value* is plain JSON. *line* is where the document begins, from 1.
    """

    value: Json
    line: int
    find: Callable[[JsonPath], int] = field(repr=False, compare=False)

    def line_of(self, path: JsonPath) -> int:
        """The line of a part; of what stands nearest above it when the part is not there."""
        return self.find(path) or self.line


def show_path(path: JsonPath) -> str:
    """A path as people write it: ``body.fixed_ips[0].subnet_id``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif text:
            text += f".{step}"
        else:
            text = step
    return text
