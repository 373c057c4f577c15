"""What the value of a setting can be, and what its name does not say.

Groups of settings (:mod:`.servers`, :mod:`.work`, :mod:`.shared`) are made of these forms.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Mark(Enum):
    """What a field's name does not say."""

    SECRET = "secret"
    """It may hold a password: it is masked, and may lie in a file of its own."""
    FILE = "file"
    """The path of a file that has to be there.
    That it holds a key is no reason to hide the path."""
    FOLDER = "folder"
    """The same of a folder."""
    DOCUMENT = "document"
    """A JSON document: blanks and newlines around it mean nothing."""


LONGEST = 7 * 24 * 3600.0
"""Seconds of the longest interval or timeout, a week.
(Waiting for more than 24 days overflows in C.)"""

Seconds = Annotated[float, Field(gt=0, le=LONGEST, allow_inf_nan=False)]
Pause = Annotated[float, Field(ge=0, le=LONGEST, allow_inf_nan=False)]
Secret = Annotated[str, Mark.SECRET]
File = Annotated[str, Mark.FILE]
Folder = Annotated[str, Mark.FOLDER]


class Group(BaseModel):
    """Settings that belong together. Nobody makes one: :class:`.Settings` is made of all groups.

    Every variable is ``ORCHESTRATOR_`` and the field's name in capitals.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


def parts_of(value: str | Iterable[str]) -> Iterable[str]:
    """The parts of a list that may be written with commas."""
    if isinstance(value, str):
        return value.split(",")
    return value
