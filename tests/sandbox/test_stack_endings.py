"""What a state means once Heat was asked, on a real engine: docs/stack-states.md, the second table.

All cells of an engine are played at once. The orchestrator has asked for an update (or a deletion),
which Heat keeps in progress. While the orchestrator looks away, Heat ends it in some way, or
somebody else does something to the stack. Then the orchestrator looks again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest
from orchestrator.clients.heat import Heat
from orchestrator.core.records import Step
from orchestrator.core.refs import Ref
from orchestrator.errors import HeatRefused

from .playing import Cell, Engine, Play
from .states import PlayedStack

pytestmark = pytest.mark.integration

AFTERWARDS = ("CHECK", "SNAPSHOT", "SUSPEND", "RESUME")
"""Operations that somebody may begin once ours is over."""


@dataclass(frozen=True)
class EndingStory:
    """What happens on the stack, and what follows.

    *happens* leads from the operation in progress to what the orchestrator finds. *held*: Heat still
    has something in progress then. *error* is a part of what the version's failure says, "" when it
    does not fail. *asked* is what Heat was asked in all. *legacy*: the story as a Heat without
    convergence tells it, where that is another one.
    """

    happens: Callable[[PlayedStack], object]
    asked: tuple[str, ...] = ("update",)
    error: str = ""
    held: bool = False
    job: str = "modify"
    legacy: EndingStory | None = None


# What happens to an update ------------------------------------------------------------------------


def completes(subject: PlayedStack) -> None:
    subject.say()
    subject.until("UPDATE_COMPLETE")


def fails(subject: PlayedStack) -> None:
    subject.say("fail UPDATE")
    subject.until("UPDATE_FAILED")
    subject.say()


def goes_on(subject: PlayedStack) -> None:
    subject.until("UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")


def followed_by(action: str, status: str) -> Callable[[PlayedStack], None]:
    """The update is complete, then somebody begins something else."""

    def happens(subject: PlayedStack) -> None:
        completes(subject)
        subject.found()
        subject.bring(action, status)
        if status != "IN_PROGRESS":
            subject.say()

    return happens


def is_cancelled(subject: PlayedStack) -> None:
    subject.cancel()
    subject.say()  # Heat lets end what has begun
    subject.until("ROLLBACK_COMPLETE")


def overtaken(tags: str) -> Callable[[PlayedStack], None]:
    """Somebody else's update comes after ours, with tags of its own."""

    def happens(subject: PlayedStack) -> None:
        completes(subject)
        subject.tags = tags
        subject.update("theirs")
        subject.until("UPDATE_COMPLETE")

    return happens


def loses_its_engine(subject: PlayedStack) -> None:
    completes(subject)
    subject.set("UPDATE", "FAILED", "Engine went down during stack UPDATE")


# What happens to a deletion -----------------------------------------------------------------------


def is_gone(subject: PlayedStack) -> None:
    subject.say()
    subject.until("DELETE_COMPLETE")


def cannot_be_deleted(subject: PlayedStack) -> None:
    subject.say("fail DELETE")
    subject.until("DELETE_FAILED")
    subject.say()


def is_dropped(subject: PlayedStack) -> None:
    cannot_be_deleted(subject)
    subject.set("UPDATE", "COMPLETE")


BEHIND = "deleted behind the orchestrator's back"

STORIES: Mapping[str, EndingStory] = {
    "completes": EndingStory(completes),
    "fails": EndingStory(fails, error="Heat ended in UPDATE_FAILED: "),
    "goes on": EndingStory(goes_on, held=True),
    "is cancelled": EndingStory(
        is_cancelled,
        error="Heat ended in ROLLBACK_COMPLETE",
        # It gives the stack its former tags back: our request is not to be seen any more.
        legacy=EndingStory(is_cancelled, asked=("update", "update")),
    ),
    "loses its engine": EndingStory(loses_its_engine, asked=("update", "update")),
    "is overtaken by another job": EndingStory(
        overtaken("orchestrator-9-other"), asked=("update", "update")
    ),
    "is overtaken by a stranger": EndingStory(overtaken(""), asked=("update", "update")),
    "is followed by a restore": EndingStory(
        followed_by("RESTORE", "COMPLETE"), asked=("update", "update")
    ),
    "is followed by a deletion": EndingStory(followed_by("DELETE", "COMPLETE"), error=BEHIND),
    "is followed by half a deletion": EndingStory(followed_by("DELETE", "FAILED"), error=BEHIND),
    **{
        f"is followed by {action}_{status}": EndingStory(
            followed_by(action, status),
            error=f"Heat ended in {action}_FAILED" if status == "FAILED" else "",
            held=status == "IN_PROGRESS",
        )
        for action in AFTERWARDS
        for status in ("COMPLETE", "FAILED", "IN_PROGRESS")
    },
    "deletion: is done": EndingStory(is_gone, asked=("delete",), job="delete"),
    "deletion: goes on": EndingStory(goes_on, asked=("delete",), held=True, job="delete"),
    "deletion: fails": EndingStory(cannot_be_deleted, asked=("delete", "delete"), job="delete"),
    "deletion: is dropped": EndingStory(is_dropped, asked=("delete", "delete"), job="delete"),
}


# The play -----------------------------------------------------------------------------------------


@dataclass
class StoryCell(Cell):
    story: EndingStory = STORIES["completes"]
    name: str = ""
    reported: bool = False
    """Whether the version was reported while Heat still had something in progress."""


class Endings(Play[StoryCell]):
    """All stories on one engine, played."""

    def __init__(self, engine: Engine) -> None:
        cells = []
        for name, told in STORIES.items():
            story = told if engine.convergence else told.legacy or told
            ref = Ref("network", name.lower().replace(" ", "-").replace(":", ""))
            cells.append(StoryCell(ref, engine.subject(ref), story=story, name=name))
        super().__init__(cells)
        with self.system:
            for cell in self.cells:
                self.put(cell, 1)
            self.until(lambda cell: self.system.is_reported(cell.ref, 1))
            self.system.real.asked.clear()
            self._ask()
            self.each(lambda cell: cell.story.happens(cell.subject))
            self.until(lambda cell: cell.story.held or self._is_reported(cell))
            for cell in self.cells:
                cell.held, cell.reported = self.system.asked_for(cell.ref), self._is_reported(cell)
            self.each(lambda cell: cell.subject.say())
            self.until(self._is_reported)

    def cell(self, name: str) -> StoryCell:
        return next(cell for cell in self.cells if cell.name == name)

    def _is_reported(self, cell: StoryCell) -> bool:
        return self.system.is_reported(cell.ref, 2)

    def _ask(self) -> None:
        """Heat has taken the request of each, and keeps it in progress."""
        for cell in self.cells:
            cell.subject.found()
            cell.subject.say("hold UPDATE", "hold DELETE")
            self.put(cell, 2, marked=cell.story.job == "delete")

        def is_waiting(cell: StoryCell) -> bool:
            run = self.system.run_of(cell.ref)
            return run is not None and run.step is Step.IN_HEAT

        self.until(is_waiting)


@pytest.fixture(scope="module")
def endings(engine: Engine) -> Endings:
    return Endings(engine)


# The cells ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STORIES)
def test_an_operation_ends_as_the_table_says(endings: Endings, name: str) -> None:
    cell = endings.cell(name)
    state = endings.system.state(cell.ref)

    assert endings.system.asked_for(cell.ref) == cell.story.asked
    assert cell.story.error in state["error"]
    end = "FAILED" if cell.story.error else "COMPLETED"
    assert state["state"]["worker_state"] == f"{cell.story.job.upper()}_{end}"


@pytest.mark.parametrize("name", [name for name, story in STORIES.items() if story.held])
def test_what_heat_has_in_progress_is_not_reported_yet(endings: Endings, name: str) -> None:
    cell = endings.cell(name)
    assert not cell.reported
    assert cell.held == cell.story.asked


def test_heat_with_convergence_ends_what_we_cancel(engine: Engine) -> None:
    """Without convergence it ends an update only after the resource at which it is."""
    if not engine.convergence:
        pytest.skip("the operation ends when its resource does, a minute later")
    slow = """
heat_template_version: 2018-08-31
resources:
  one: {type: OS::Heat::TestResource, properties: {value: x, action_wait_secs: {create: 60}}}
"""
    heat, project = Heat(), engine.project
    assert project.create("slow", slow)[0] == 201
    stack = heat.show(project.name, "slow", outputs=False)
    assert stack is not None and stack.in_progress

    heat.cancel(project.name, stack)
    assert project.done("slow")["stack_status"] == "CREATE_FAILED"
    with pytest.raises(HeatRefused, match="not supported"):
        heat.cancel(project.name, stack)
    assert project.delete("slow")[0] == 204
