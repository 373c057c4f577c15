"""The tracer of a process, if traces are wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import SettingsError

if TYPE_CHECKING:
    from .spans import Tracer


def open_tracer(endpoint: str, service: str) -> Tracer | None:
    """None: no endpoint is set.

    :raises SettingsError: the libraries are not installed.
    """
    if not endpoint:
        return None
    try:
        from .spans import to_collector
    except ImportError as error:
        raise SettingsError(
            f"ORCHESTRATOR_TRACES_ENDPOINT: {error.name} is not installed;"
            " pip install 'orchestrator[traces]'"
        ) from error
    return to_collector(endpoint, service)
