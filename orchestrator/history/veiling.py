"""What may be shown of the changes of a resource.

A secret of one version may be quoted in a text that belongs to another one. So the secrets of all
versions are hidden in all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from ..core import confidential, masking
from ..core.documents import unfolded
from ..core.jobs import Job
from ..core.records import UNREADABLE, Handled
from ..core.refs import Json
from ..core.templates import TEMPLATE_TYPE, Template
from .changes import ChangeKind, HistoryChange
from .differences import Side

T = TypeVar("T")
Templates = Callable[[str], Iterable[Template]]
"""The templates of a name, as far as they are known: they say which parameters are secret."""


class Veiled:
    """Documents of one resource as they may be shown."""

    def __init__(
        self, changes: Iterable[HistoryChange], templates: Templates
    ) -> None:
        self._veil = masking.Veil(
            dict.fromkeys(_secrets(list(changes), templates))
        )

    def side(self, value: bytes) -> Side:
        """A value, and what may be shown of it."""
        real = unfolded(value)
        return Side(real, self.shown(real))

    def shown(self, document: Json) -> Json:
        """A copy that may be shown."""
        return self._veil.over_all(masking.masked(document))


def _secrets(
    changes: list[HistoryChange], templates: Templates
) -> Iterator[str]:
    if any(c.ref and c.ref.type == TEMPLATE_TYPE for c in changes):
        return
    known = {
        template.text: template
        for name in _template_names(changes)
        for template in templates(name)
    }
    candidates: list[Template | None] = [*known.values()] or [None]
    for change in changes:
        for template in candidates:
            yield from _of_change(change, template)


def _template_names(changes: Iterable[HistoryChange]) -> dict[str, None]:
    handled = (
        _parsed(change, Handled.from_json)
        for change in changes
        if change.kind is ChangeKind.HANDLED
    )
    return dict.fromkeys(found.template for found in handled if found)


def _of_change(
    change: HistoryChange, template: Template | None
) -> Iterator[str]:
    if change.value is None:
        return
    if change.kind is ChangeKind.JOB:
        if job := _parsed(change, Job.from_json):
            yield from _of_job(job, template)
    elif change.kind in (ChangeKind.CONFIG, ChangeKind.HANDLED):
        document = unfolded(change.value)
        body = document.get("body") if isinstance(document, dict) else None
        if isinstance(body, Mapping):
            yield from confidential.of_body(body, template)


def _of_job(job: Job, template: Template | None) -> Iterator[str]:
    if template is None:
        return confidential.by_name(job)
    return confidential.of_job(job, template)


def _parsed(change: HistoryChange, parse: Callable[[bytes], T]) -> T | None:
    try:
        return None if change.value is None else parse(change.value)
    except UNREADABLE:
        return None
