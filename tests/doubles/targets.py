"""Monitoring targets with fixed answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from orchestrator.core.refs import Json
from orchestrator.errors import (
    TargetUnavailable,
)


@dataclass(slots=True)
class FixedTargets:
    """Monitoring targets with fixed answers.

    *documents* by URL; an URL that is not there answers 404, one whose document is an exception
    raises it. *now* is the time at the collector; None: the real one.
    """

    documents: dict[str, Json | TargetUnavailable] = field(default_factory=dict)
    now: datetime | None = None
    asked: list[str] = field(default_factory=list)
    timeout: float = 5.0

    def get(self, url: str, at_most: float | None = None) -> tuple[Json, datetime] | None:
        self.asked.append(url)
        document = self.documents.get(url)
        if isinstance(document, TargetUnavailable):
            raise document
        return None if document is None else (document, self.now or datetime.now(UTC))
