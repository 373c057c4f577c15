"""The wanted configuration of an earlier moment, and of an earlier version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.documents import unfolded
from ..core.refs import Json, Ref
from ..errors import InvalidInput
from .changes import ChangeKind, HistoryChange
from .timeline import iso
from .veiling import Templates, Veiled

if TYPE_CHECKING:
    from .database.archive import Archive


@dataclass(frozen=True, slots=True)
class Config:
    """A config as it was wanted."""

    ref: Ref
    version: int
    marked: bool
    body: dict[str, Json]
    """With its secrets."""
    change: HistoryChange

    def to_json(self, veiled: Veiled) -> dict[str, Json]:
        """The config as it may be shown."""
        return {
            "type": self.ref.type,
            "id": self.ref.id,
            "version": self.version,
            "marked_for_deletion": self.marked,
            "revision": self.change.revision,
            "seen": iso(self.change.seen),
            "body": veiled.shown(self.body),
        }


@dataclass(frozen=True, slots=True)
class WantedThen:
    """The wanted configuration of a moment. *notes* say what may be missing, for people."""

    configs: tuple[Config, ...]
    documents: tuple[dict[str, Json], ...]
    """The same, as they may be shown."""
    notes: tuple[str, ...]


def config_of(change: HistoryChange) -> Config | None:
    """The config that a change has written; None: it removed it, or cannot be read."""
    if change.value is None or change.kind is not ChangeKind.CONFIG:
        return None
    document = unfolded(change.value)
    if change.ref is None or not isinstance(document, dict):
        return None
    version, body = document.get("version", 0), document.get("body")
    if type(version) is not int or not isinstance(body, dict):
        return None
    marked = document.get("marked_for_deletion") is True
    return Config(change.ref, version, marked, body, change)


def at(
    archive: Archive,
    moment: float,
    templates: Templates,
    *,
    kind: str | None = None,
    resource_id: str | None = None,
) -> WantedThen:
    """What was wanted at a moment, of all resources, of one type, or of one resource.

    :param moment: seconds since the epoch.
    :raises InvalidInput: the database does not go back that far.
    """
    _check_kept(archive, moment)
    there = archive.at(moment, (ChangeKind.CONFIG, ChangeKind.HANDLED))
    handled = {c.ref: c for c in there if c.kind is ChangeKind.HANDLED}
    configs = [
        config
        for config in filter(None, map(config_of, there))
        if kind in (None, config.ref.type)
        and resource_id in (None, config.ref.id)
    ]
    documents = [
        config.to_json(
            Veiled([config.change, *_of(handled.get(config.ref))], templates)
        )
        for config in configs
    ]
    return WantedThen(
        tuple(configs), tuple(documents), tuple(_notes(archive, moment))
    )


def _of(change: HistoryChange | None) -> list[HistoryChange]:
    return [] if change is None else [change]


def _check_kept(archive: Archive, moment: float) -> None:
    known, began = archive.known(), archive.began()
    if began is None:
        raise InvalidInput("the history database is empty: start a historian")
    begins = max(began, known.horizon or began)
    if moment < begins:
        raise InvalidInput(
            f"the history begins at {iso(begins)}, and {iso(moment)} is before that"
        )


def _notes(archive: Archive, moment: float) -> Iterator[str]:
    behind = archive.behind_at(moment)
    if behind is not None:
        yield (
            "The historian was not up to date at that moment: what it saw at"
            f" {iso(behind)} may have been there already."
        )


def version_of(changes: Iterable[HistoryChange], version: int) -> Config | None:
    """The newest config of a version; None when there is none, or it asks for the deletion."""
    found = [
        config
        for config in filter(None, map(config_of, changes))
        if config.version == version and not config.marked
    ]
    return found[-1] if found else None


def versions(changes: Iterable[HistoryChange]) -> list[int]:
    """The versions that can be gone back to."""
    found = filter(None, map(config_of, changes))
    return sorted({config.version for config in found if not config.marked})
