"""How a row reads: sign, colour and words."""

from __future__ import annotations

from rich.text import Text

from orchestrator.core.jobs import Action
from orchestrator.core.texts import clean

from .rows import DemoRow, DemoStage

LOOK = {
    DemoStage.WANTED: ("·", "dim"),
    DemoStage.HELD: ("‖", "magenta"),
    DemoStage.WAITS: ("‖", "dim"),
    DemoStage.READY: ("»", "cyan"),
    DemoStage.ASKS: ("»", "cyan"),
    DemoStage.RETRIES: ("↻", "yellow"),
    DemoStage.BUILDS: ("●", "bright_blue"),
    DemoStage.RECORDS: ("✎", "cyan"),
    DemoStage.READ: ("✔", "green"),
    DemoStage.COMPLETE: ("✔", "green"),
    DemoStage.FAILED: ("✘", "bold red"),
    DemoStage.GONE: ("✔", "dim"),
}
"""Sign and colour of each stage."""
DOES = {
    Action.CREATE: "creates",
    Action.MODIFY: "updates",
    Action.DELETE: "deletes",
}
DONE = {
    Action.CREATE: "created",
    Action.MODIFY: "updated",
    Action.DELETE: "deleted",
}


def words(row: DemoRow) -> str:
    """How far it has come."""
    if row.stage is DemoStage.BUILDS and row.action:
        return f"Heat {DOES[row.action]}"
    if row.stage is DemoStage.COMPLETE and row.action is Action.MODIFY:
        return f"updated, version {row.version}"
    if row.stage is DemoStage.COMPLETE and row.action:
        return DONE[row.action]
    if row.stage is DemoStage.READ:
        return "nothing to build"
    return str(row.stage)


def because(row: DemoRow) -> Text:
    """Why it failed or is tried again, or whom it waits for."""
    if row.stage is DemoStage.FAILED:
        return Text(clean(row.detail), "red")
    if row.stage is DemoStage.RETRIES:
        return Text(clean(row.detail), "yellow")
    return Text(", ".join(ref.id for ref in row.waits_for), "dim")
