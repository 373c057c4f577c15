"""The historian's database for whoever may do without it: loaded when a setting names one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from ..clients.database import DatabaseAddress, parse
from ..errors import InvalidInput

if TYPE_CHECKING:
    from .database.archive import Archive


def address(setting: str) -> DatabaseAddress | None:
    """The database that the setting names; None when it is empty.

    :raises InvalidInput: its libraries are not installed.
    """
    if not setting:
        return None
    found = parse(setting)
    libraries = ["sqlalchemy"]
    if found.url:
        libraries.append("psycopg")
    for library in libraries:
        try:
            import_module(library)
        except ImportError:
            raise InvalidInput(
                f"ORCHESTRATOR_HISTORY_DATABASE needs {library}, which is not installed:"
                " pip install 'orchestrator[history]'"
            ) from None
    return found


def required(setting: str) -> DatabaseAddress:
    """The database that the setting names, for whoever cannot do without one.

    :raises InvalidInput: it names none, or its libraries are not installed.
    """
    found = address(setting)
    if found is None:
        raise InvalidInput(
            "ORCHESTRATOR_HISTORY_DATABASE is empty: name a file, such as"
            " /var/lib/orchestrator/history.db, or postgresql://user:password@host/name"
        )
    return found


@contextmanager
def archive(setting: str) -> Iterator[Archive | None]:
    """The database for reading; None when the setting is empty.

    :raises InvalidInput: it is of another release, or a library is not installed.
    :raises DatabaseUnavailable: it is not there, or does not answer.
    """
    found = address(setting)
    if found is None:
        yield None
        return
    from .database.archive import opened

    with opened(found) as database:
        yield database
