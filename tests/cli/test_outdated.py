"""What has changed that a stack was built from is shown by every command that shows the stack."""

from __future__ import annotations

import json

import pytest
from orchestrator.core.refs import Ref
from orchestrator.views.overview import outdated_by_cause
from orchestrator.views.reading import read_one
from orchestrator.views.standings import Progress

from .conftest import Records, Run_
from .test_plan import built
from .test_progress import overview_of

NET, SUB, OTHER = Ref("network", "n"), Ref("subnet", "s"), Ref("subnet", "o")


@pytest.fixture
def outdated(memory: Records) -> Records:
    """A network, and two subnets on it; the first was built from another output and template."""
    for ref in (NET, SUB, OTHER):
        built(memory, *ref, network_id="n")
    memory.output(NET, "new")
    before = memory.revision("subnet", 1)
    now = memory.revision("subnet", 2)
    memory.built_from(SUB, NET, "old", before)
    memory.built_from(OTHER, NET, "new", now)
    return memory


def reason(found: Records, ref: Ref) -> str:
    return Progress(read_one(found.store, found.keys, ref)).of(ref).reason


def test_one_resource_says_what_has_changed(outdated: Records) -> None:
    assert reason(outdated, SUB) == "outdated (template, output id of network:n)"
    assert reason(outdated, OTHER) == ""


def test_the_picture_says_for_each_cause_who_is_outdated(outdated: Records) -> None:
    outdated.lead()
    found = overview_of(outdated)

    assert {
        cause: [one.ref for one in members] for cause, members in outdated_by_cause(found).items()
    } == {
        "template subnet": [SUB],
        "output id of network:n": [SUB],
    }
    assert found.well, "nothing needs a person"


def test_what_is_not_known_is_not_outdated(outdated: Records) -> None:
    """An older release built it, and left no record of its own."""
    outdated.store.delete(outdated.keys.below(outdated.keys.built, SUB))

    assert reason(outdated, SUB) == ""


def test_an_output_that_is_gone_or_of_a_failed_stack_is_not_what_there_is(
    outdated: Records,
) -> None:
    outdated.revision("subnet", 1)
    assert reason(outdated, SUB) == "outdated (output id of network:n)"
    outdated.report(NET)

    assert reason(outdated, SUB) == ""


def test_get_and_status_tell_it(run: Run_, written: Records) -> None:
    a = built(written, "network", "a")
    subnet = built(written, "subnet", "c", network_id="a", cidr="192.0.2.0/24")
    written.output(a, "new")
    written.built_from(subnet, a, "old")
    listed, one = run("get", "subnet"), run("get", "subnet", "c")
    told = json.loads(run("get", "subnet", "-o", "json").stdout)
    shown = run("status")

    assert "subnet:c  outdated" in listed.stdout
    assert "outdated (output id of network:a)" in one.stdout
    assert "output id of network:a" in shown.stdout
    [entry] = [entry for entry in told if entry["id"] == "c"]
    assert entry["outdated"]["outputs"] == [
        {"resource_type": "network", "resource_id": "a", "output_key": "id"}
    ]
