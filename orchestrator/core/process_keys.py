"""The keys of processes that say that they are alive."""

from __future__ import annotations

from abc import ABC, abstractmethod
from urllib.parse import quote


class ProcessKeys(ABC):
    """The part of :class:`~.keys.Keys` that is about processes."""

    __slots__ = ()

    @property
    @abstractmethod
    def own(self) -> str:
        """The folder of our own keys."""

    @property
    def workers(self) -> str:
        """Workers that are alive."""
        return self.own + "workers/"

    @property
    def bridges(self) -> str:
        """Bridges that are alive."""
        return self.own + "bridges/"

    def worker(self, name: str) -> str:
        """Where a worker of this name (as Celery has it) says that it is alive."""
        return self.workers + quote(name, safe="@.")

    def bridge(self, bridge_id: str) -> str:
        """Where a bridge says that it is alive."""
        return self.bridges + bridge_id
