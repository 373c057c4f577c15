"""Reading a record: one kind of error for whatever cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ...errors import RecordUnreadable

T = TypeVar("T")

UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What reading a record raises when somebody else wrote it, or a newer release did."""


def read(key: str, value: bytes, parse: Callable[[bytes], T]) -> T:
    """The record at a key.

    :raises RecordUnreadable: naming the key.
    """
    try:
        return parse(value)
    except UNREADABLE as error:
        raise RecordUnreadable(
            key, f"{type(error).__name__}: {error}"
        ) from error
