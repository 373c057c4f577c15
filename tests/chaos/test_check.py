"""The checker can fail: a history without fault has no violation, and each with one fault has that violation."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from .check import check, latencies, repeated_deletes
from .facts import Facts, ObservedEvent, ObservedStanding, Operation, Restore

OWN = "/esi-worker/orchestrator"


class CheckedStory:
    """Writes a history: each call is one revision and one second later."""

    def __init__(self) -> None:
        self.facts = Facts()
        self.now = 0
        self._created: dict[str, int] = {}
        self.put(f"{OWN}/leader", {})

    def put(self, key: str, value: Any) -> None:
        self.now += 1
        created = self._created.setdefault(key, self.now)
        self.facts.events.append(
            ObservedEvent(self.now, float(self.now), key, json.dumps(value), created)
        )

    def drop(self, key: str) -> None:
        self.now += 1
        self._created.pop(key, None)
        self.facts.events.append(ObservedEvent(self.now, float(self.now), key, None, 0))

    def config(
        self,
        name: str,
        version: int = 1,
        parent: str = "",
        marked: bool = False,
        value: str = "",
        tenant: str = "t",
    ) -> None:
        body = {
            "id": name,
            "tenant_id": tenant,
            "value": value or f"1.{version}",
            "parent_id": parent or None,
        }
        self.put(
            f"/config/v1/nodes/{name}",
            {"body": json.dumps(body), "version": version, "marked_for_deletion": marked},
        )

    def remove(self, name: str) -> None:
        self.drop(f"/config/v1/nodes/{name}")

    def job(
        self,
        name: str,
        version: int = 1,
        action: str = "create",
        suffix: str = "aaaaa",
        value: str = "",
    ) -> str:
        key = f"/jobs/all/{action}:heat_worker:node:{name}:{version}:{suffix}"
        self.put(key, ["heat_worker", {"resource_input": {"value": value or f"1.{version}"}}, 0])
        return key

    def state(
        self,
        name: str,
        state: str = "CREATE_COMPLETED",
        version: int = 1,
        error: str = "",
        value: str = "",
    ) -> None:
        outputs = json.dumps([{"output_key": "value", "output_value": value}] if value else [])
        told = {"worker_state": state, "heat_outputs": outputs}
        self.put(f"/state/v1/nodes/{name}", {"state": told, "version": version, "error": error})

    def asked(
        self,
        name: str,
        method: str = "create",
        version: int = 1,
        suffix: str = "aaaaa",
        took: float = 0.5,
        outcome: str = "COMPLETE",
        value: str = "",
        tenant: str = "t",
        foreign: bool = False,
        inputs: str = "",
    ) -> None:
        self.now += 1
        tag = "" if foreign else f"orchestrator-{version}-{suffix}"
        reason = "scripted failure 7" if outcome == "FAILED" else ""
        at, ends = float(self.now), self.now + took
        stack = (
            f"node_{name}",
            tag,
            at,
            ends,
            outcome,
            reason,
            f"id of {name} in {tenant}",
            value or f"1.{version}",
        )
        self.facts.operations.append(Operation(method, tenant, *stack, foreign, inputs))

    def stands(
        self,
        name: str,
        version: int = 1,
        status: str = "CREATE_COMPLETE",
        tenant: str = "t",
        value: str = "",
        **levels: str,
    ) -> None:
        parameters = {"value": value or f"1.{version}", **levels}
        self.facts.stacks.append(ObservedStanding(tenant, f"node_{name}", status, parameters))

    # Whole chapters -----------------------------------------------------------------------------------

    def built(self, name: str, parent: str = "", suffix: str = "aaaaa") -> CheckedStory:
        """Created, reported, and standing at the end."""
        self.config(name, parent=parent)
        job = self.job(name, suffix=suffix)
        self.asked(name, suffix=suffix)
        self.state(name)
        self.drop(job)
        self.stands(name)
        return self

    def updated(self, name: str, version: int = 2, parent: str = "") -> CheckedStory:
        self.config(name, version, parent)
        job = self.job(name, version, "modify", "bbbbb")
        self.asked(name, "update", version, "bbbbb")
        self.state(name, "MODIFY_COMPLETED", version)
        self.drop(job)
        self.facts.stacks = [s for s in self.facts.stacks if s.name != f"node_{name}"]
        self.stands(name, version, "UPDATE_COMPLETE")
        return self

    def deleted(self, name: str, version: int = 2, parent: str = "") -> CheckedStory:
        self.config(name, version, parent, marked=True)
        job = self.job(name, version, "logical_delete", "ccccc")
        self.asked(name, "delete", 1)
        self.state(name, "DELETE_COMPLETED", version)
        self.drop(job)
        self.remove(name)
        self.drop(f"/state/v1/nodes/{name}")
        self.facts.stacks = [s for s in self.facts.stacks if s.name != f"node_{name}"]
        return self

    def restored(self, *names: str) -> CheckedStory:
        """etcd goes back to a time before the states of these nodes were written: their jobs are there again."""
        self.now += 1
        for name in names:
            event = next(
                e
                for e in self.facts.events
                if e.key.startswith("/jobs/all/") and f":{name}:" in e.key
            )
            self._bring_back(event.key, event.value, event.created)
            self._bring_back(f"/state/v1/nodes/{name}", None, 0)
            self._created.pop(f"/state/v1/nodes/{name}", None)
        touched = tuple(f"node:{name}" for name in names)
        self.facts.restores.append(Restore(float(self.now), self.now, touched))
        return self

    def _bring_back(self, key: str, value: str | None, created: int) -> None:
        self.facts.events.append(
            ObservedEvent(self.now, float(self.now), key, value, created, restored=True)
        )

    def rules(self) -> set[str]:
        return {violation.rule for violation in check(self.facts)}


def good() -> CheckedStory:
    """A bit of everything, without a fault."""
    story = (
        CheckedStory()
        .built("p")
        .built("c", "p")
        .updated("p")
        .updated("c", parent="p")
        .built("x")
        .deleted("x")
    )
    story.config("p", 2)  # a resync
    story.deleted("c", 3, "p")
    return story.deleted("p", 3).built("q")


def test_a_history_without_fault() -> None:
    assert good().rules() == set()


def test_a_history_is_the_same_after_saving(tmp_path: Path) -> None:
    facts = good().facts
    facts.save(tmp_path)
    assert Facts.load(tmp_path) == facts


# (a) (d) (g) ---------------------------------------------------------------------------------------


def test_the_newest_version_is_not_reported() -> None:
    story = good()
    story.config("q", 2)
    assert story.rules() == {"final state"}


def test_the_state_is_of_the_incarnation_before() -> None:
    story = good()
    story.remove("q")
    story.config("q", 1)
    assert story.rules() == {"final state"}


def test_the_stack_has_the_parameters_of_an_older_version() -> None:
    story = good().updated("q")
    story.facts.stacks[-1].parameters["value"] = "1.1"
    assert story.rules() == {"final state"}


def test_the_stack_is_missing() -> None:
    story = good()
    story.facts.stacks.clear()
    assert story.rules() == {"final state"}


def test_the_stack_is_in_another_state_than_reported() -> None:
    story = good()
    story.facts.stacks[-1] = replace(story.facts.stacks[-1], status="CREATE_FAILED")
    assert story.rules() == {"final state"}


def test_a_marked_config_is_left() -> None:
    story = good()
    story.config("q", 2, marked=True)
    assert story.rules() == {"final state"}


def failing(error: str, outcome: str = "FAILED") -> CheckedStory:
    story = CheckedStory()
    story.config("f")
    job = story.job("f")
    story.asked("f", outcome=outcome)
    story.state("f", "CREATE_FAILED", error=error)
    story.drop(job)
    story.stands("f", status=f"CREATE_{outcome}")
    return story


def test_a_failure_by_the_script_is_no_violation() -> None:
    assert failing("Heat ended in CREATE_FAILED: scripted failure 7").rules() == set()


def test_a_failure_without_heats_reason() -> None:
    assert failing("it did not work").rules() == {"final state", "report"}


def test_a_failure_that_heat_does_not_know_of() -> None:
    assert failing("Heat ended in CREATE_FAILED: scripted failure 7", "COMPLETE").rules() == {
        "final state",
        "report",
    }


def test_a_failure_because_of_a_parent_lasts_as_long_as_the_parents() -> None:
    story = failing("Heat ended in CREATE_FAILED: scripted failure 7")
    story.config("child", parent="f")
    story.state("child", "CREATE_FAILED", error="depends on node:f, which failed")
    assert story.rules() == set()
    assert story.updated("f").rules() == {"final state"}


def test_a_stack_without_config() -> None:
    story = good()
    story.stands("p", 2)
    assert story.rules() == {"orphan"}


def test_a_stack_in_another_tenant() -> None:
    story = good()
    story.stands("q", tenant="elsewhere")
    assert story.rules() == {"orphan"}


@pytest.mark.parametrize(
    "key",
    [
        "/jobs/all/create:heat_worker:node:q:1:zzzzz",
        f"{OWN}/runs/t/create:heat_worker:node:q:1:zzzzz",
        f"{OWN}/held/v1/nodes/q",
        "/esi-worker/job_state/v1/nodes/q",
        "/esi-worker/heat_stacks/v1/nodes/p",
        "/monitoring/v1/nodes/p",
        f"{OWN}/failed/v1/nodes/p",
    ],
)
def test_a_key_is_left(key: str) -> None:
    story = good()
    story.put(key, {})
    assert story.rules() == {"leftover"}


# (b) -----------------------------------------------------------------------------------------------


def test_one_job_asks_twice() -> None:
    story = good()
    story.asked("q", "update")
    assert story.rules() == {"once"}


def test_two_jobs_ask_for_one_version() -> None:
    story = good()
    job = story.job("q", 1, "modify", "bbbbb")
    story.asked("q", "update", 1, "bbbbb")
    story.drop(job)
    assert story.rules() == {"once"}


def test_a_second_job_after_a_failure_is_a_repair() -> None:
    story = failing("Heat ended in CREATE_FAILED: scripted failure 7")
    job = story.job("f", 1, "modify", "bbbbb")
    story.asked("f", "update", 1, "bbbbb")
    story.drop(job)
    assert "once" not in story.rules()


def test_the_same_version_of_another_incarnation_is_another() -> None:
    assert good().deleted("q").built("q", suffix="bbbbb").rules() == set()


def test_a_request_of_no_job() -> None:
    story = good()
    story.asked("q", "update", 1, "zzzzz")
    assert story.rules() == {"once"}


def test_an_older_version_after_a_newer_one() -> None:
    story = CheckedStory()
    story.config("o", 1)
    old = story.job("o")
    story.drop(old)
    story.config("o", 2)
    story.job("o", 2, suffix="bbbbb")
    story.asked("o", "create", 2, "bbbbb")
    story.asked("o", "update", 1)
    assert "older after newer" in story.rules()


def test_repeated_deletions_are_counted() -> None:
    story = good()
    assert repeated_deletes(story.facts) == 0
    story.asked("p", "delete", 2)
    assert repeated_deletes(story.facts) == 1
    assert story.rules() == set()


# (c) -----------------------------------------------------------------------------------------------


def child_while(parent: Callable[[CheckedStory], None]) -> set[str]:
    story = CheckedStory()
    story.config("p")
    story.config("c", parent="p")
    job = story.job("p")
    parent(story)
    story.job("c")
    story.asked("c")
    story.state("c")
    story.drop(job)
    return story.rules()


def test_a_child_before_its_parent_has_a_stack() -> None:
    assert "child before parent" in child_while(lambda story: None)


def test_a_child_while_its_parent_is_in_progress() -> None:
    assert "child before parent" in child_while(lambda story: story.asked("p", took=10))


def test_a_child_on_a_parent_that_failed() -> None:
    assert "child before parent" in child_while(lambda story: story.asked("p", outcome="FAILED"))


def test_a_child_after_its_parent() -> None:
    assert "child before parent" not in child_while(lambda story: story.asked("p"))


def test_a_child_built_on_an_older_version_of_its_parent() -> None:
    story = CheckedStory().built("p")
    story.config("p", 2)
    story.config("c", parent="p")
    story.job("c")
    story.asked("c")
    assert "child before parent" in story.rules()


def test_a_child_is_changed_while_its_parents_replacement_waits_for_it() -> None:
    story = CheckedStory().built("p").built("c", "p")
    story.remove("p")
    story.config("p")
    assert "child before parent" not in story.updated("c", parent="p").rules()


def test_a_parent_is_deleted_before_its_child() -> None:
    story = CheckedStory().built("p").built("c", "p")
    story.config("c", 2, "p", marked=True)
    story.now += 10
    story.deleted("p")
    assert "parent before child" in story.rules()


def test_a_parent_is_deleted_while_its_child_is_being_deleted() -> None:
    story = CheckedStory().built("p").built("c", "p")
    story.config("c", 2, "p", marked=True)
    story.job("c", 2, "logical_delete", "ccccc")
    story.now += 10
    story.asked("c", "delete", took=100)
    story.deleted("p")
    assert "parent before child" in story.rules()


def test_a_parent_is_deleted_though_its_child_wants_it() -> None:
    assert (
        "parent before child" not in CheckedStory().built("p").built("c", "p").deleted("p").rules()
    )


def test_a_parent_is_deleted_while_its_child_is_about_to_leave() -> None:
    story = CheckedStory().built("p").built("q").built("c", "p")
    story.config("c", 2, "q")
    story.now += 10
    story.deleted("p")
    assert "parent before child" in story.rules()


def test_a_parent_is_deleted_though_its_child_cannot_leave() -> None:
    """What the child's newest version refers to is not there: that may last for ever."""
    story = CheckedStory().built("p").built("c", "p")
    story.config("c", 2, "nowhere")
    story.now += 10
    story.deleted("p")
    assert "parent before child" not in story.rules()


def test_a_parent_is_changed_while_its_child_is_built() -> None:
    story = CheckedStory().built("p")
    story.config("c", parent="p")
    story.job("c")
    story.asked("c", took=100)
    story.state("c")
    story.updated("p")
    assert "parent under child" in story.rules()


# (e) (f) -------------------------------------------------------------------------------------------


def test_a_report_twice() -> None:
    story = good()
    story.state("q")
    assert story.rules() == {"report"}


def test_a_report_above_the_config() -> None:
    story = good()
    story.state("q", version=2)
    assert "report" in story.rules()


def test_a_report_of_an_older_version() -> None:
    story = good().updated("q")
    story.state("q", version=1)
    assert "report" in story.rules()


def test_a_report_without_a_config() -> None:
    story = good()
    story.state("p", "DELETE_COMPLETED", 3)
    story.drop("/state/v1/nodes/p")
    assert story.rules() == {"report"}


def test_a_report_before_heat_was_done() -> None:
    story = CheckedStory()
    story.config("q")
    job = story.job("q")
    story.state("q")
    story.asked("q")
    story.drop(job)
    story.stands("q")
    assert story.rules() == {"report"}


def test_a_deletion_reported_while_the_stack_is_there() -> None:
    story = good()
    story.config("q", 2, marked=True)
    story.state("q", "DELETE_COMPLETED", 2)
    assert "report" in story.rules()


def test_a_failure_without_a_reason() -> None:
    assert "report" in failing("").rules()


def test_a_failure_without_a_cause() -> None:
    story = good().built("c", "q", "ddddd")
    story.config("c", 2, "q")
    story.state("c", "MODIFY_FAILED", 2, "needs an output of node:q, which has none")
    assert "report" in story.rules()


def test_a_failure_whose_cause_is_about_to_be_deleted() -> None:
    story = failing("Heat ended in CREATE_FAILED: scripted failure 7")
    story.config("c", 1, "f")
    story.asked("f", "delete", took=100)
    story.state("c", "CREATE_FAILED", 1, "needs an output of node:f, which has none")
    assert "report" not in story.rules()


def following(inputs: str, read: str) -> CheckedStory:
    """The level of a parent changes from l0 to l1, and its child is updated at the same version.

    :param inputs: what the update of the child is made of.
    :param read: what the child stands on at the end.
    """
    story = CheckedStory().built("p")
    story.config("c", parent="p")
    job = story.job("c")
    story.asked("c", inputs="l0")
    story.state("c")
    story.drop(job)
    story.updated("p")
    job = story.job("c", 1, "modify", "ddddd")
    story.asked("c", "update", suffix="ddddd", inputs=inputs)
    story.state("c", "MODIFY_COMPLETED")
    story.drop(job)
    story.facts.stacks.clear()
    story.stands("p", 2, level="l1")
    story.stands("c", parent_level=read)
    return story


def test_a_stack_is_updated_and_reported_again_when_an_output_has_changed() -> None:
    assert following("l1", "l1").rules() == set()


def test_a_stack_is_updated_again_with_the_same_outputs() -> None:
    assert following("l0", "l1").rules() == {"once", "report"}


def test_a_stack_was_not_built_from_the_last_outputs() -> None:
    assert following("l1", "l0").rules() == {"old output"}


def test_a_repaired_version_is_reported_again() -> None:
    story = failing("Heat ended in CREATE_FAILED: scripted failure 7")
    story.config("c", parent="f")
    story.state("c", "CREATE_FAILED", error="depends on node:f, which failed")
    story.updated("f")
    job = story.job("c", suffix="ddddd")
    story.asked("c", suffix="ddddd")
    story.state("c")
    story.drop(job)
    story.stands("c")
    assert story.rules() == set()


def test_a_job_is_made_when_nobody_leads() -> None:
    story = good()
    story.drop(f"{OWN}/leader")
    story.drop(story.job("q", 2, "modify"))
    assert story.rules() == {"no leader"}


def test_latencies_leave_out_what_was_held_back() -> None:
    story = CheckedStory().built("p")
    assert latencies(story.facts) == [3.0]
    story.config("h")
    story.put(f"{OWN}/held/v1/nodes/h", {})
    story.drop(f"{OWN}/held/v1/nodes/h")
    job = story.job("h")
    story.asked("h")
    story.state("h")
    story.drop(job)
    assert latencies(story.facts) == [3.0]


# Contents ----------------------------------------------------------------------------------------


def rewritten(name: str, version: int, value: str, *, reported: str = "") -> CheckedStory:
    """Built as version 1, and written once more with *version* and another body, which is built too."""
    story = good()
    story.config(name)
    job = story.job(name)
    story.asked(name)
    story.state(name, value="1.1")
    story.drop(job)
    story.config(name, version, value=value)
    job = story.job(name, version, "modify", "bbbbb", value)
    story.asked(name, "update", version, "bbbbb", value=value)
    story.state(name, "MODIFY_COMPLETED", version, value=reported or value)
    story.drop(job)
    story.stands(name, status="UPDATE_COMPLETE", value=value)
    return story


@pytest.mark.parametrize("version", [0, 1], ids=["unversioned", "one version with two bodies"])
def test_a_body_is_a_change_whatever_its_version(version: int) -> None:
    assert rewritten("u", version, "1.2").rules() == set()


@pytest.mark.parametrize("version", [0, 1], ids=["unversioned", "one version with two bodies"])
def test_a_body_is_reported_once(version: int) -> None:
    story = rewritten("u", version, "1.2")
    story.state("u", "MODIFY_COMPLETED", version, value="1.2")

    assert story.rules() == {"report"}


def test_an_older_body_is_reported_after_a_newer_one() -> None:
    story = rewritten("u", 0, "1.2")
    story.state("u", "MODIFY_COMPLETED", 1, value="1.1")

    assert "report" in story.rules()


def test_the_newest_body_of_an_unversioned_resource_is_not_built() -> None:
    story = rewritten("u", 0, "1.2")
    story.config("u", 0, value="1.3")

    assert story.rules() == {"final state"}


def test_a_report_tells_a_body_that_its_config_never_had() -> None:
    assert "report" in rewritten("u", 0, "1.2", reported="somebody else's").rules()


def test_a_body_is_asked_for_twice() -> None:
    story = rewritten("u", 0, "1.2")
    story.asked("u", "update", 0, "bbbbb", value="1.2")

    assert story.rules() == {"once"}


def test_heat_is_asked_for_another_body_than_the_jobs() -> None:
    story = good()
    story.config("u")
    job = story.job("u")
    story.asked("u", value="1.7")
    story.state("u")
    story.drop(job)
    story.stands("u")

    assert story.rules() == {"content"}


def test_a_deletion_that_failed_is_asked_for_again_with_the_next_version() -> None:
    story = good()
    story.config("q", 2, marked=True)
    job = story.job("q", 2, "logical_delete", "ccccc")
    story.asked("q", "delete", outcome="FAILED")
    story.state("q", "DELETE_FAILED", 2, "Heat says: scripted failure 7")
    story.drop(job)

    assert story.deleted("q", 3).rules() == set()


# Moves -------------------------------------------------------------------------------------------


def moved(*, first_deleted: bool) -> CheckedStory:
    story = good().built("m")
    story.config("m", 2, tenant="t2")
    if first_deleted:
        story.asked("m", "delete")
    job = story.job("m", 2, suffix="bbbbb")
    story.asked("m", version=2, suffix="bbbbb", tenant="t2")
    story.state("m", version=2)
    story.drop(job)
    if first_deleted:
        story.facts.stacks = [stack for stack in story.facts.stacks if stack.name != "node_m"]
    story.stands("m", 2, tenant="t2")
    return story


def test_a_move() -> None:
    assert moved(first_deleted=True).rules() == set()


def test_a_move_that_leaves_the_old_stack() -> None:
    assert moved(first_deleted=False).rules() == {"two homes", "orphan"}


def test_a_move_to_another_tenant_than_wanted() -> None:
    story = good().built("m")
    story.config("m", 2, tenant="t2")
    story.asked("m", "delete")
    job = story.job("m", 2, suffix="bbbbb")
    story.asked("m", version=2, suffix="bbbbb", tenant="t3")
    story.state("m", version=2)
    story.drop(job)

    assert "content" in story.rules()


# Somebody else -----------------------------------------------------------------------------------


def meddled(
    method: str, *, again: bool = True, reported: str = "CREATE_COMPLETED", error: str = ""
) -> CheckedStory:
    """Somebody else is at work on a stack while it is built; it is asked for again, or not."""
    story = good()
    story.config("s")
    job = story.job("s")
    story.asked("s", took=1.0, outcome="OVERTAKEN")
    story.asked("s", method, foreign=True, value="theirs")
    if again:
        story.asked("s", "update")
    story.state("s", reported, error=error)
    story.drop(job)
    if method != "delete" or again:
        story.stands("s", status="UPDATE_COMPLETE" if again else "CREATE_COMPLETE")
    return story


def test_what_somebody_else_changed_is_asked_for_again() -> None:
    assert meddled("update").rules() == set()


def test_what_nobody_else_changed_is_not_asked_for_again() -> None:
    assert meddled("check").rules() == {"once"}


def test_somebody_elses_change_is_reported_as_success() -> None:
    assert meddled("update", again=False).rules() == {"report"}


BEHIND = "the stack was deleted behind the orchestrator's back"


def failed(story: CheckedStory) -> bool:
    """Whether a failure is found without a cause. (That it lasts is another matter.)"""
    return "report" in story.rules()


def test_a_failure_because_of_somebody_else_says_so() -> None:
    assert not failed(meddled("delete", again=False, reported="CREATE_FAILED", error=BEHIND))
    assert failed(meddled("delete", again=False, reported="CREATE_FAILED", error="no idea"))
    assert failed(meddled("update", again=False, reported="CREATE_FAILED", error=BEHIND))
    assert not failed(
        meddled("suspend", again=False, reported="CREATE_FAILED", error="it is in SUSPEND_COMPLETE")
    )
    assert failed(
        meddled("check", again=False, reported="CREATE_FAILED", error="it is in SUSPEND_COMPLETE")
    )


def test_a_failure_because_of_somebody_else_does_not_last() -> None:
    """After the faults, what somebody else has touched is written once more: it is as it should be in the end."""
    assert (
        "final state"
        in meddled("delete", again=False, reported="CREATE_FAILED", error=BEHIND).rules()
    )


def test_a_parent_that_somebody_else_deleted_does_not_hold_up_its_child() -> None:
    """Nobody but Heat knows of it."""
    story = good().built("p2")
    story.asked("p2", "delete", foreign=True)
    story.facts.stacks = [stack for stack in story.facts.stacks if stack.name != "node_p2"]
    story.built("c2", "p2")

    assert story.rules() == {"final state"}


# Restores ------------------------------------------------------------------------------------------


def again(story: CheckedStory, name: str) -> CheckedStory:
    """The job that the backup brought back is done once more."""
    story.asked(name)
    story.state(name)
    story.drop(f"/jobs/all/create:heat_worker:node:{name}:1:aaaaa")
    return story


def test_what_a_restore_took_back_may_be_done_and_reported_again() -> None:
    assert again(good().built("lost").restored("lost"), "lost").rules() == set()


def test_what_a_restore_took_back_has_to_be_done_again() -> None:
    assert good().built("lost").restored("lost").rules() == {"final state", "leftover"}


def deleted_while_it_is_there(*, asked_after: bool) -> CheckedStory:
    """A deletion from the backup is reported; a stack was asked for before the restore, or after it."""
    story = again(good().built("lost").restored("lost"), "lost")
    if asked_after:
        story.asked("lost", "update", 1)
    else:
        story.facts.operations.pop()  # what again() has asked for
    story.config("lost", 2, marked=True)
    story.state("lost", "DELETE_COMPLETED", 2)
    return story


def test_a_deletion_of_the_backup_knows_nothing_of_what_was_built_since() -> None:
    told = "is reported DELETE_COMPLETED while the stack was there"
    known, unknown = (
        [v for v in check(deleted_while_it_is_there(asked_after=after).facts) if told in v.text]
        for after in (True, False)
    )
    assert len(known) == 1
    assert unknown == []


@pytest.mark.parametrize("restored", [True, False])
def test_a_stack_without_tags_is_nobodys_only_when_a_restore_took_its_job_back(
    restored: bool,
) -> None:
    story = good().built("lost")
    story.asked("lost", "update", foreign=True, value="theirs")
    if restored:
        story.restored("lost")
    story.config("lost", 2)
    why = "Heat has a stack already, and nothing says that it was built from this resource"
    story.state("lost", "CREATE_FAILED", 2, why)
    blamed = [v for v in check(story.facts) if why in v.text]

    assert bool(blamed) is not restored


NOBODYS = (
    "Heat has a stack node_lost already, and nothing says that it was built from this resource"
)
MAY_BE_OURS = "Heat has a stack node_lost without our tags, and a request of ours may have made it"


def _lost_answer(*, accepted: bool = False) -> CheckedStory:
    """Heat took a create; nobody could write that down; somebody else's update removed the tags."""
    story = good()
    story.config("lost")
    job = story.job("lost")
    story.asked("lost")
    if accepted:
        run = f"/esi-worker/orchestrator/runs/t/{job.rpartition('/')[2]}"
        story.put(run, {"step": "waiting", "stack": "id"})
        story.drop(run)
    story.asked("lost", "update", foreign=True, value="theirs")
    story.state("lost", "CREATE_FAILED", 1, NOBODYS)
    story.drop(job)
    return story


@pytest.mark.parametrize("accepted", [True, False])
def test_a_stack_without_tags_is_nobodys_when_no_record_says_that_heat_took_it(
    accepted: bool,
) -> None:
    story = _lost_answer(accepted=accepted)
    blamed = [v for v in check(story.facts) if NOBODYS in v.text]

    assert bool(blamed) is accepted


@pytest.mark.parametrize("told", [True, False])
def test_a_stack_that_may_be_ours_stays_only_where_that_is_told(told: bool) -> None:
    story = _lost_answer()
    story.stands("lost", value="theirs")
    story.remove("lost")
    story.drop("/state/v1/nodes/lost")
    if told:
        story.put("/esi-worker/orchestrator/failed/v1/nodes/lost", {"error": MAY_BE_OURS})

    assert story.rules() == (set() if told else {"orphan"})


@pytest.mark.parametrize("ours", [True, False])
def test_a_stack_of_somebody_else_in_another_tenant_is_no_second_home(ours: bool) -> None:
    story = good()
    story.asked("lost", foreign=True, tenant="u")
    if ours:
        story.asked("lost", "update", tenant="u")
    found = [v for v in check(story.built("lost").facts) if v.rule == "two homes"]

    assert bool(found) is ours


def test_once_after_a_restore_is_once() -> None:
    story = good().built("lost").restored("lost")
    story.asked("lost")

    assert again(story, "lost").rules() == {"once"}


def test_a_report_after_a_restore_is_reported_once() -> None:
    story = again(good().built("lost").restored("lost"), "lost")
    story.state("lost")

    assert story.rules() == {"report"}


def test_a_restore_excuses_nothing_of_what_it_did_not_touch() -> None:
    story = again(good().built("lost").built("kept").restored("lost"), "lost")
    story.asked("kept")
    story.asked("kept")

    assert story.rules() == {"once"}


def test_a_stack_that_was_made_since_the_backup_and_is_wanted_by_nobody_is_let_pass() -> None:
    story = again(good().built("lost").restored("lost"), "lost")
    story.stands("gone")
    assert story.rules() == {"orphan"}
    story.facts.restores[0] = replace(story.facts.restores[0], touched=("node:lost", "node:gone"))

    assert story.rules() == set()
