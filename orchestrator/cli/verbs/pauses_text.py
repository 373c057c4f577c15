"""What ``status`` says of pauses."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from ...views.overview import Overview
from ..output import BAD, FAINT, count


def paused(found: Overview) -> Iterator[Text]:
    """For whom nothing new is sent to Heat, and until when."""
    for pause in found.pauses:
        parts = [f", by {pause.by} since {pause.since}"]
        if pause.until:
            parts.append(f", until {pause.until}")
        if pause.why:
            parts.append(f" ({pause.why})")
        ends = f". `orchestrator resume {pause.about}` ends it."
        yield Text.assemble((f"Paused: {pause.about}", BAD), *parts, ends)
    if found.pauses:
        yield Text(f"{count(found.paused, 'job')} waiting for that.", FAINT)
