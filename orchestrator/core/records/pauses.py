"""The record by which nothing new is sent to Heat, for everybody, or for some tenants or types."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from ..refs import Json


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing new is sent to Heat for some jobs.

    Without *tenant* and *kind* these are all jobs; with both, those that meet both.
    """

    since: str
    """Since when, in UTC."""
    by: str
    """Who asked for it."""
    tenant: str | None = None
    kind: str | None = None
    """The type of the resources."""
    until: str = ""
    """When the leading bridge ends it, in UTC; empty: when a person does."""
    why: str = ""
    verb: str = ""
    """The id of the record of the verb."""

    @property
    def scope(self) -> tuple[str | None, str | None]:
        """What the pause is for. There is one pause for each scope."""
        return (self.tenant, self.kind)

    @property
    def about(self) -> str:
        """The same for people: ``port --tenant t1``; ``--all`` for all jobs."""
        words = [self.kind] if self.kind else []
        if self.tenant is not None:
            words.append(f"--tenant {self.tenant}")
        return " ".join(words) or "--all"

    def covers(self, kind: str, tenant: str) -> bool:
        """Whether a job on a resource of a type in a tenant waits for it."""
        return self.tenant in (None, tenant) and self.kind in (None, kind)

    def is_over(self, now: float) -> bool:
        """Whether its time has come.

        :param now: seconds since the epoch.
        """
        if not self.until:
            return False
        return datetime.fromisoformat(self.until).timestamp() <= now

    def to_record(self) -> dict[str, Json]:
        fields: dict[str, Json] = {
            "since": self.since,
            "by": self.by,
            "tenant_id": self.tenant,
            "type": self.kind,
            "until": self.until or None,
            "why": self.why or None,
            "verb": self.verb or None,
        }
        return {
            name: value for name, value in fields.items() if value is not None
        }

    @classmethod
    def from_record(cls, record: Json) -> Pause:
        until = str(record.get("until") or "")
        if until:
            datetime.fromisoformat(until)
        return cls(
            str(record["since"]),
            str(record["by"]),
            record.get("tenant_id"),
            record.get("type"),
            until,
            str(record.get("why") or ""),
            str(record.get("verb") or ""),
        )


_UNREADABLE = "its record cannot be read; remove it with `orchestrator resume`"


@dataclass(frozen=True, slots=True)
class Pauses:
    """All pauses there are: ``orchestrator/pause``. Without any, there is no record."""

    all: tuple[Pause, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.all)

    def __iter__(self) -> Iterator[Pause]:
        return iter(self.all)

    def over(self, kind: str, tenant: str) -> Pause | None:
        """The pause for which a job on a resource of a type in a tenant waits; None: it may go."""
        found = (pause for pause in self.all if pause.covers(kind, tenant))
        return next(found, None)

    def adding(self, pause: Pause) -> Pauses:
        """With one more, which replaces another one of the same scope."""
        return Pauses((*self.without([pause.scope]), pause))

    def without(
        self, scopes: Iterable[tuple[str | None, str | None]]
    ) -> Pauses:
        """Without those of these scopes."""
        gone = set(scopes)
        return Pauses(tuple(p for p in self.all if p.scope not in gone))

    def to_json(self) -> str:
        return json.dumps({"pauses": [pause.to_record() for pause in self.all]})

    @classmethod
    def from_json(cls, text: str | bytes | None) -> Pauses:
        """Never raises: while the record cannot be read, everything is paused.

        :param text: None: there is no record.
        """
        if text is None:
            return NO_PAUSES
        try:
            listed = json.loads(text)["pauses"]
            return cls(tuple(map(Pause.from_record, listed)))
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls((Pause("", "nobody knows who", why=_UNREADABLE),))


NO_PAUSES = Pauses()
