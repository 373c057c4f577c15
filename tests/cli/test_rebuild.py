"""``orchestrator rebuild``: what is chosen, and what is left for the bridge."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from orchestrator.core.records import RetryAsked
from orchestrator.core.refs import JobId, Ref

from .conftest import Records, Run_
from .test_plan import built, revision


def requests(written: Records) -> dict[Ref, JobId]:
    """What was asked of the bridge: by resource, the last job of its version."""
    listed = written.store.list(written.keys.retries)[1]
    found = {}
    for kv in listed:
        ref = written.keys.ref(written.keys.retries, kv.key)
        assert ref is not None
        found[ref] = RetryAsked.from_json(kv.value).rebuild
    return found


@pytest.fixture
def three(written: Records) -> list[Ref]:
    """Two networks, and a subnet on the first: all built."""
    refs = [built(written, "network", "a"), built(written, "network", "b")]
    return [*refs, built(written, "subnet", "c", network_id="a", cidr="192.0.2.0/24")]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(("network", "a"), ["network:a"], id="one"),
        pytest.param(("network:b",), ["network:b"], id="in one word"),
        pytest.param(("networks",), ["network:a", "network:b"], id="type"),
        pytest.param(("--template", "subnet"), ["subnet:c"], id="template"),
        pytest.param(("--tenant", "t1"), ["network:a", "network:b", "subnet:c"], id="tenant"),
        pytest.param(("--tenant", "t2"), [], id="other tenant"),
        pytest.param(("--all",), ["network:a", "network:b", "subnet:c"], id="all"),
        pytest.param(("network", "--template", "subnet"), [], id="both"),
    ],
)
def test_what_is_named_is_asked_of_the_bridge_and_nothing_else(
    run: Run_, written: Records, three: list[Ref], arguments: tuple[str, ...], expected: list[str]
) -> None:
    result = run("rebuild", *arguments)

    assert result.exit_code == 0, result.output
    assert sorted(map(str, requests(written))) == expected
    assert result.stdout.count("will be rebuilt") == len(expected)


def test_outdated_stacks_are_chosen_by_what_they_were_built_from(
    run: Run_, written: Records, three: list[Ref]
) -> None:
    a, _, subnet = three
    written.output(a, "x")
    written.built_from(subnet, a, "x", written.revision("subnet", 1))
    assert run("rebuild", "--outdated").exit_code == 0
    assert not requests(written)

    written.output(a, "y")
    result = run("rebuild", "--outdated")

    assert result.exit_code == 0, result.output
    assert list(requests(written)) == [subnet]


def test_the_request_names_the_last_job_so_that_it_is_met_once(
    run: Run_, written: Records, three: list[Ref]
) -> None:
    run("rebuild", "network", "a")

    assert requests(written) == {Ref("network", "a"): JobId("j")}


def test_what_cannot_be_built_again_is_refused_by_name_and_left_out_of_many(
    run: Run_, written: Records, three: list[Ref]
) -> None:
    written.config(three[0], 2, marked=True)
    result = run("rebuild", "network", "a")
    nowhere = run("rebuild", "network", "nowhere")
    nothing = run("rebuild")

    assert result.exit_code == nowhere.exit_code == nothing.exit_code == 2
    assert "network:a is marked for deletion" in result.stderr
    assert "network:nowhere is not in the configuration" in nowhere.stderr
    assert "nothing to rebuild" in nothing.stderr
    assert not requests(written)
    assert run("rebuild", "network").exit_code == 0
    assert list(requests(written)) == [Ref("network", "b")]


def test_a_dry_run_shows_what_would_be_asked_of_heat_and_asks_nothing(
    run: Run_, written: Records, three: list[Ref]
) -> None:
    before = revision(written)
    told = run("rebuild", "--all", "--dry-run", "-o", "json")
    shown = run("rebuild", "network", "a", "--dry-run")

    assert told.exit_code == 0, told.output
    plan = json.loads(told.stdout)
    assert plan["summary"] == {"rebuild": 3}
    assert {change["because"] for change in plan["changes"]} == {"asked"}
    assert "rebuild  network:a" in shown.stdout and "1 request to Heat" in shown.stdout
    assert revision(written) == before


def test_a_plan_of_a_template_shows_what_a_rebuild_of_its_stacks_would_change(
    run: Run_, written: Records, three: list[Ref], tmp_path: Path
) -> None:
    folder = tmp_path / "network"
    shutil.copytree(Path(__file__).parents[2] / "templates" / "network", folder)
    with (folder / "template.yaml.j2").open("a") as opened:
        opened.write("# changed\n")
    pushed = run("plan", "--template", str(folder), "-o", "json")
    plan = json.loads(pushed.stdout)

    outdated = [c for c in plan["changes"] if c["because"] == "template"]
    assert [(c["id"], c["action"]) for c in outdated] == [("a", "nothing"), ("b", "nothing")]
    assert "+# changed" in outdated[0]["hot"]
