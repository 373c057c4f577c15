"""What is asked of Heat to find drift: only GETs, and never its action ``check``, which would have
the next update replace what fails it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TypeVar
from urllib.parse import quote

from ...core.stacks import Stack
from . import answers
from .answer import Answer

T = TypeVar("T")


class Inspecting(ABC):
    """Questions about the stacks of a tenant, for whoever can ask Heat."""

    _deadline: float

    @abstractmethod
    def within(self, seconds: float) -> AbstractContextManager[None]:
        """All calls of this thread in the block end within *seconds*."""

    @abstractmethod
    def _pages(self, tenant: str, query: dict[str, str]) -> Iterator[Stack]:
        """All stacks of a list, page by page."""

    @abstractmethod
    def _get(self, tenant: str, path: str, judge: Callable[[Answer], T]) -> T:
        """What *judge* makes of the answer to a GET."""

    def listed(self, tenant: str) -> list[Stack]:
        """All stacks of the tenant, without outputs: one request for a thousand.

        Hidden stacks are listed too: those with tags that the operator of Heat names.
        """
        with self.within(self._deadline):
            return list(self._pages(tenant, {"show_hidden": "True"}))

    def exists(self, tenant: str, name: str) -> bool:
        """Whether Heat has a stack of this name. One that is not in a list may be there all the
        same: it may have come while the pages were read."""
        place = f"/stacks/{quote(name, safe='')}"
        with self.within(self._deadline):
            found = self._get(
                tenant, place, lambda answer: answers.located(answer, name)
            )
        return found is not None
