"""What the orchestrator asks of a stack in each state, on a real engine: docs/stack-states.md.

The first two tables, cell by cell, on Heat with and without convergence. All cells of an engine are played
at once, each on a stack of its own. Somebody brings the stack into its state, through Heat's API;
then the orchestrator has to create, change or delete the resource. What Heat has in progress stays
so until the orchestrator has met it.

What is compared is what Heat itself says: the operations that it has begun, by its events, and
whether the things of the stack are still the same.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest
from orchestrator.core.records import Step
from orchestrator.core.refs import Ref

from .playing import Cell, Engine, Play
from .states import ACTIONS, STATUSES

pytestmark = pytest.mark.integration

BY_API = [f"{action}_{status}" for action, status in itertools.product(ACTIONS, STATUSES)]
BY_DATABASE = ["INIT_COMPLETE"]
"""States that Heat leaves within milliseconds: the tests write them into its database."""
STATES = [*BY_API, *BY_DATABASE]
JOBS = ("create", "modify", "delete")

FAILED = [f"{action}_FAILED" for action in ACTIONS]
POLICIES = ("replace", "hold")
"""Beside ``repair``, which all other cells have."""

UNFINISHED = ("CREATE_FAILED", "CREATE_IN_PROGRESS", "ADOPT_FAILED", "ADOPT_IN_PROGRESS")
"""States in which the stack has things that were never finished: they may be built anew."""


# What has to be asked -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Expected:
    """*asked*: what Heat is asked in the end; *held*: before its operation in progress ends."""

    asked: tuple[str, ...]
    held: tuple[str, ...] = ()
    fails: bool = False


UPDATED = Expected(("update",))
LEFT = Expected((), fails=True)
CREATED = Expected(("create",))
REPLACED = Expected(("delete", "create"))
DELETED = Expected(("delete",), held=("delete",))
GONE = Expected(())


def expected_change(state: str, *, recorded: bool) -> Expected:
    """Of a modify, or of a create, when our records tell of no stack.

    Heat takes the tags away when it restores a stack: without a record, nothing says whose it is.
    """
    action = state.split("_")[0]
    if action == "DELETE":
        return REPLACED if state == "DELETE_FAILED" else CREATED
    if action == "RESTORE" and not recorded:
        return LEFT
    if action == "SUSPEND" or state in ("CHECK_FAILED", "RESUME_FAILED"):
        return LEFT
    return UPDATED


def expected_after_failure(state: str, policy: str) -> Expected:
    """Of a modify, by what the template says about failed stacks."""
    if policy == "hold" or state in ("SUSPEND_FAILED", "RESUME_FAILED"):
        return LEFT
    if state == "SNAPSHOT_FAILED":
        return UPDATED
    return REPLACED


def expected_deletion(state: str) -> Expected:
    return GONE if state in ("DELETE_COMPLETE", "DELETE_IN_PROGRESS") else DELETED


# The play -----------------------------------------------------------------------------------------


@dataclass
class StateCell(Cell):
    """One cell of the table; *job* is ``create``, ``modify`` or ``delete``."""

    state: str = ""
    job: str = ""
    thing: tuple[str, str] = ("", "")
    """The id of the stack's thing and its state, before the orchestrator came."""
    before: list[str] = field(default_factory=list)
    """Operations that Heat had begun until then."""

    @property
    def version(self) -> int:
        """The version that is wanted when the stack is in its state."""
        return 1 if self.job == "create" else 2

    @property
    def is_held(self) -> bool:
        return self.state.endswith("_IN_PROGRESS") or self.state in BY_DATABASE

    def bring(self) -> None:
        """Bring the stack into the state."""
        self.subject.found()
        self.subject.until("CREATE_COMPLETE")
        action, _, status = self.state.partition("_")
        self.subject.bring(action, status)
        if self.state != "DELETE_COMPLETE":
            self.thing = self.subject.thing()
        self.before = self.subject.begun()
        if not self.is_held:
            self.subject.say()  # what fails once does not fail for ever

    def release(self) -> None:
        """What is in progress may end."""
        self.subject.say()
        if self.state in BY_DATABASE and self.job != "delete":
            self.subject.set("CREATE", "COMPLETE")


class Table(Play[StateCell]):
    """All cells on one engine, played."""

    def __init__(self, engine: Engine) -> None:
        columns = [(state, job, "") for state, job in itertools.product(STATES, JOBS)]
        columns += [(state, "modify", p) for state, p in itertools.product(FAILED, POLICIES)]
        cells = []
        for state, job, policy in columns:
            ref = Ref("network", f"{state}-{job}{policy}".lower())
            cell = StateCell(ref, engine.subject(ref), policy=policy, state=state, job=job)
            cells.append(cell)
        super().__init__(cells)
        with self.system:
            self._build()
            self.each(lambda cell: cell.bring())
            self._meet()
            self.each(lambda cell: cell.release())
            self.until(lambda cell: self.system.is_reported(cell.ref, cell.version))

    def cell(self, state: str, job: str, policy: str = "") -> StateCell:
        wanted = (state, job, policy)
        return next(c for c in self.cells if (c.state, c.job, c.policy) == wanted)

    def _build(self) -> None:
        """Stacks that the orchestrator has built, and stacks of which its records tell nothing."""
        ours = [cell for cell in self.cells if cell.job != "create"]
        for cell in ours:
            self.put(cell, 1)
        self.each(lambda cell: cell.subject.create(), [c for c in self.cells if c not in ours])
        self.until(lambda cell: cell.job == "create" or self.system.is_reported(cell.ref, 1))
        self.system.real.asked.clear()

    def _meet(self) -> None:
        """The orchestrator wants something of each stack; what is in progress stays so."""
        for cell in self.cells:
            self.put(cell, cell.version, marked=cell.job == "delete")

        def met(cell: StateCell) -> bool:
            run = self.system.run_of(cell.ref) if cell.is_held else None
            at_rest = run is not None and run.step in (Step.RETRY, Step.IN_HEAT)
            return at_rest or self.system.is_reported(cell.ref, cell.version)

        self.until(met)
        for cell in self.cells:
            cell.held = self.system.asked_for(cell.ref)


@pytest.fixture(scope="module")
def table(engine: Engine) -> Table:
    return Table(engine)


# The cells ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("job", ["create", "modify"])
@pytest.mark.parametrize("state", STATES)
def test_a_change_asks_what_the_table_says(table: Table, state: str, job: str) -> None:
    cell = table.cell(state, job)
    expected = expected_change(state, recorded=job == "modify")

    assert not cell.is_held or cell.held == expected.held
    assert table.system.asked_for(cell.ref) == expected.asked
    end = "FAILED" if expected.fails else "COMPLETED"
    assert table.system.ended_as(cell.ref) == f"{job.upper()}_{end}"
    if expected in (UPDATED, LEFT):
        assert cell.subject.begun() == [*cell.before, *map(str.upper, expected.asked)]


@pytest.mark.parametrize("job", ["create", "modify"])
@pytest.mark.parametrize("state", [s for s in STATES if not s.startswith("DELETE")])
def test_a_change_destroys_nothing(table: Table, state: str, job: str) -> None:
    cell = table.cell(state, job)
    thing, thing_state = cell.subject.thing()

    if state not in UNFINISHED:
        assert thing == cell.thing[0]
    if table.system.asked_for(cell.ref) == () and not cell.is_held:
        assert thing_state == cell.thing[1]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("state", FAILED)
def test_a_change_of_a_failed_stack_asks_what_its_template_says(
    table: Table, state: str, policy: str
) -> None:
    cell = table.cell(state, "modify", policy)
    expected = expected_after_failure(state, policy)

    assert table.system.asked_for(cell.ref) == expected.asked
    end = "FAILED" if expected.fails else "COMPLETED"
    assert table.system.ended_as(cell.ref) == f"MODIFY_{end}"
    if expected == REPLACED:
        assert cell.subject.thing_now() != cell.thing[0]
    else:
        assert cell.subject.begun() == [*cell.before, *map(str.upper, expected.asked)]


@pytest.mark.parametrize("state", STATES)
def test_a_deletion_asks_what_the_table_says(table: Table, state: str) -> None:
    cell = table.cell(state, "delete")
    expected = expected_deletion(state)

    assert not cell.is_held or cell.held == expected.held
    assert table.system.asked_for(cell.ref) == expected.asked
    assert table.system.ended_as(cell.ref) == "DELETE_COMPLETED"
    assert cell.subject.until("DELETE_COMPLETE")


@pytest.mark.parametrize("state", ["SUSPEND_COMPLETE", "SUSPEND_FAILED", "RESUME_FAILED"])
def test_a_change_of_what_sleeps_says_how_to_wake_it(table: Table, state: str) -> None:
    cell = table.cell(state, "modify")
    error = table.system.state(cell.ref)["error"]
    assert f"the stack is in {state}: resume it in Heat (openstack stack resume" in error
    assert error.endswith(f"then: orchestrator retry network {cell.ref.id}")
