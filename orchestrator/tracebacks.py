"""A traceback that quotes nothing: where a defect happened, without the values that it happened
with.

Words of an exception are told where they are known to hold names and types only.
Those of the others (``KeyError``, ``ValueError`` and what libraries raise) may quote a value, and
that may be a secret.
The source lines that a traceback shows are the program's own.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator

from .core.masking import Veil
from .core.texts import clean, cut
from .errors import (
    BrokerUnavailable,
    OrchestratorError,
    PermanentError,
    StoreRefused,
    StoreUnavailable,
    TargetUnavailable,
    TemporaryError,
)

_HARMLESS = (
    AssertionError,
    AttributeError,
    ImportError,
    MemoryError,
    NameError,
    NotImplementedError,
    RecursionError,
    TypeError,
)
_HARMLESS_OF = frozenset(
    {
        "socket",
        "ssl",
        "redis",
        "grpc",
        "kombu",
        "celery",
        "billiard",
        "queue",
        "tasks",
    }
)
"""Packages whose exceptions speak of connections and of names; our own workers name a class only.
"""
_QUOTING = (TemporaryError, PermanentError)
"""Our own errors that carry the words of others, who were sent values."""
_NOT_QUOTING = (
    StoreUnavailable,
    StoreRefused,
    BrokerUnavailable,
    TargetUnavailable,
)
_WITHHELD = "(words withheld: they may quote a value)"


def told(error: BaseException) -> str:
    """The traceback of an exception and of those that it was raised from, the first one first."""
    return "\n".join(line for each in _chain(error) for line in _lines(each))


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found:
        found.append(current)
        current = current.__cause__ or (
            None if current.__suppress_context__ else current.__context__
        )
    return found[::-1]


def _lines(error: BaseException) -> Iterator[str]:
    yield "Traceback (most recent call last):"
    for entry in traceback.format_tb(error.__traceback__):
        yield clean(entry.rstrip("\n"), keep="\n")
    yield f"{type(error).__name__}: {words(error)}"


def words(error: BaseException) -> str:
    """What an exception says, on one line, if that quotes nothing."""
    if not _may_be_told(error):
        return _WITHHELD
    return cut(clean(Veil().over(str(error))))


def _may_be_told(error: BaseException) -> bool:
    if isinstance(error, OrchestratorError):
        return isinstance(error, _NOT_QUOTING) or not isinstance(
            error, _QUOTING
        )
    package = type(error).__module__.partition(".")[0]
    # Libraries derive errors from OSError that quote whole addresses, with a token in them.
    return (
        isinstance(error, _HARMLESS)
        or package in _HARMLESS_OF
        or (package == "builtins" and isinstance(error, OSError))
    )
