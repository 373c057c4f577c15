"""What is asked of Heat to find drift: only GETs, and never its action ``check``, which would have
the next update replace what fails it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar
from urllib.parse import quote

from ...core.drift import Inspection
from ...core.records import Depth
from ...core.refs import Json
from ...core.stacks import Stack
from . import answers, details
from .answer import Answer
from .asked import identity

T = TypeVar("T")

PAGE = 1000
"""Stacks per page of a list: Heat's own default limit (max_stacks_list)."""


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

    def inspect(self, tenant: str, stack: Stack, depth: int) -> Inspection:
        """A stack in detail: two requests, three with the resources inside it.

        The parameters and the outputs come with one answer; outputs make Heat read every resource.

        :param depth: a :class:`Depth`, at least :attr:`Depth.REQUEST`.
        :raises StackMissing: it is gone.
        """
        place = f"/stacks/{identity(stack.name, stack.id)}"
        outputs = depth >= Depth.OUTPUTS
        query = f"?resolve_outputs={outputs}"
        with self.within(self._deadline):
            template = self._get(
                tenant,
                f"{place}/template",
                lambda answer: details.template(answer, stack),
            )
            parameters, shown = self._get(
                tenant,
                place + query,
                lambda answer: details.values(answer, stack, outputs=outputs),
            )
            resources = self._resources(tenant, place, stack, depth)
        requests = 2 + (resources is not None)
        return Inspection(template, parameters, resources, shown, requests)

    def _resources(
        self, tenant: str, place: str, stack: Stack, depth: int
    ) -> Sequence[Mapping[str, Json]] | None:
        """The resources inside a stack, with live attributes; None where they are not needed."""
        if depth < Depth.PROPERTIES:
            return None
        return self._get(
            tenant,
            f"{place}/resources?with_detail=True",
            lambda answer: details.resources(answer, stack),
        )
