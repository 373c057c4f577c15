"""The rules about verbs and history can fail: a history without fault has no violation, and each with one fault has it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from .check import check
from .facts import Facts, ObservedEvent, Restore
from .history import WrittenHistory, differences, read
from .test_check import OWN, CheckedStory

AUDIT = f"{OWN}/audit/v1/nodes/a/20261128T074512Z-aaaaa"
RUN = f"{OWN}/runs/t/create:heat_worker:node:a:1:aaaaa"
WHO = {"verb": "cancel", "by": "chaos"}


def rules(story: CheckedStory) -> list[str]:
    return [violation.rule for violation in check(story.facts)]


def test_a_verb_has_one_outcome() -> None:
    story = CheckedStory().built("a")
    story.put(AUDIT, WHO)
    assert rules(story) == ["verb"]
    story.put(AUDIT, {**WHO, "outcome": "carried out"})
    assert rules(story) == []
    story.put(AUDIT, {**WHO, "outcome": "carried out"})
    assert rules(story) == ["verb"]


@pytest.mark.parametrize("restored", ['{"verb": "cancel"}', None])
def test_an_outcome_counts_anew_after_a_restore_of_its_record(restored: str | None) -> None:
    story = CheckedStory().built("a")
    story.put(AUDIT, {**WHO, "outcome": "carried out"})
    story.now += 1
    event = ObservedEvent(story.now, float(story.now), AUDIT, restored, 1, restored=True)
    story.facts.events.append(event)
    story.facts.restores.append(Restore(float(story.now), story.now, ("node:a",)))
    story.put(AUDIT, {**WHO, "outcome": "carried out"})
    assert rules(story) == []


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ({}, ["pause"]),
        ({"tenant_id": "t"}, ["pause"]),
        ({"type": "node"}, ["pause"]),
        ({"tenant_id": "t", "type": "link"}, []),
        ({"tenant_id": "u"}, []),
    ],
)
def test_no_job_is_taken_in_a_pause_that_covers_it(
    scope: dict[str, str], expected: list[str]
) -> None:
    story = CheckedStory()
    story.put(f"{OWN}/pause", {"pauses": [scope]})
    story.put(RUN, {"step": "claimed"})
    story.put(RUN, {"step": "waiting"})
    story.drop(RUN)
    assert rules(story) == expected


def test_a_job_that_was_taken_before_goes_on_in_a_pause_and_is_taken_again_after_it() -> None:
    story = CheckedStory()
    story.put(RUN, {"step": "claimed"})
    story.put(f"{OWN}/pause", {"pauses": [{}]})
    story.put(RUN, {"step": "claimed", "since": 7})
    story.put(RUN, {"step": "retry"})
    story.drop(f"{OWN}/pause")
    story.put(RUN, {"step": "claimed"})
    story.drop(RUN)
    assert rules(story) == []


def left(name: str = "a") -> CheckedStory:
    """A resource that was built, and then released."""
    story = CheckedStory().built(name)
    story.remove(name)
    story.drop(f"/state/v1/nodes/{name}")
    return story


def test_a_stack_that_was_left_in_heat_is_no_orphan() -> None:
    assert rules(left()) == ["orphan"]
    story = left()
    story.put(f"{OWN}/left/v1/nodes/a", {"verb": "release"})
    assert rules(story) == []


def test_a_resource_that_was_left_may_be_made_in_another_tenant() -> None:
    story = left()
    story.put(f"{OWN}/left/v1/nodes/a", {"verb": "release"})
    story.config("a", tenant="u", value="2.1")
    job = story.job("a", suffix="bbbbb", value="2.1")
    story.asked("a", suffix="bbbbb", tenant="u", value="2.1")
    story.state("a")
    story.drop(job)
    story.stands("a", tenant="u", value="2.1")
    assert rules(story) == []


def test_a_failure_that_says_that_it_was_cancelled_needs_somebody_who_asked_for_that() -> None:
    story = CheckedStory()
    story.config("a")
    job = story.job("a")
    if_asked: dict[str, Any] = {**WHO, "outcome": "carried out"}
    error = "cancelled by chaos (a test); write its next version"
    story.state("a", "CREATE_FAILED", error=error)
    story.drop(job)
    story.config("a", 2)
    job = story.job("a", 2, suffix="bbbbb")
    story.asked("a", version=2, suffix="bbbbb")
    story.state("a", version=2)
    story.drop(job)
    story.stands("a", 2)
    assert rules(story) == ["report"]
    audit = ObservedEvent(0, 0.5, AUDIT, str(if_asked).replace("'", '"'), 1)
    story.facts.events.insert(0, audit)
    assert rules(story) == []


def test_a_stack_of_somebody_else_is_adopted_and_the_version_may_fail_before() -> None:
    story = CheckedStory()
    story.asked("a", foreign=True, value="theirs")
    story.config("a")
    job = story.job("a")
    error = "there is a stack of that name, and nothing says that it was built from this resource"
    story.state("a", "CREATE_FAILED", error=error)
    story.drop(job)
    story.put(AUDIT, {"verb": "adopt", "outcome": "carried out"})
    job = story.job("a", suffix="bbbbb")
    story.asked("a", "update", suffix="bbbbb")
    story.state("a")
    story.drop(job)
    story.stands("a")
    assert rules(story) == []


def test_a_stack_of_somebody_else_that_nobody_has_adopted_is_no_orphan() -> None:
    story = CheckedStory()
    story.asked("a", foreign=True, value="theirs")
    story.stands("a", value="theirs")
    assert rules(story) == []


# The historian ------------------------------------------------------------------------------------

KEY = "/config/v1/nodes/a"
FACTS = Facts([ObservedEvent(n, float(n), KEY, f"v{n}", 1) for n in range(1, 5)])
ALL = [(KEY, n, f"v{n}") for n in range(1, 5)]


def written(*changes: tuple[str, int, str | None], gaps: Any = ()) -> WrittenHistory:
    return WrittenHistory(changes, frozenset(), gaps)


@pytest.mark.parametrize(
    ("history", "says"),
    [
        (written(*ALL), []),
        (written(*ALL, ALL[0]), ["is there 2 times at revision 1"]),
        (written(*ALL, (KEY, 9, "x")), ["has a change at revision 9 that etcd did not have"]),
        (written(*ALL[1:]), ["does not have its change at revision 1"]),
        (written(*ALL[2:], gaps=[(1, 2)]), []),
        (written(*ALL[:-1]), ["does not have its change at revision 4"]),
    ],
)
def test_the_historian_has_what_etcd_had(history: WrittenHistory, says: list[str]) -> None:
    assert [text for _, _, text in differences(FACTS, history)] == says


def test_what_a_restore_took_back_need_not_have_been_seen() -> None:
    facts = Facts(FACTS.events, restores=[Restore(5.0, 5, ())])
    assert list(differences(facts, written(*ALL[:-1]))) == []
    assert [fault for _, _, fault in differences(facts, written(*ALL[1:]))]


def test_the_rows_are_read_from_the_database(tmp_path: Path) -> None:
    file = tmp_path / "history.db"
    with sqlite3.connect(file) as made:
        made.execute("CREATE TABLE changes (generation, key, revision, value, listed)")
        made.execute("CREATE TABLE gaps (generation, first, last)")
        made.execute("INSERT INTO changes VALUES (0, '/config/x', 7, ?, 1)", (b"{}",))
        made.execute("INSERT INTO changes VALUES (0, '/config/x', 8, NULL, 0)")
        made.execute("INSERT INTO changes VALUES (1, '/config/x', 3, NULL, 0)")
        made.execute("INSERT INTO gaps VALUES (0, 2, 5)")
    made.close()
    assert read(file) == WrittenHistory(
        [("/config/x", 7, "{}"), ("/config/x", 8, None)], frozenset({("/config/x", 7)}), [(2, 5)]
    )
