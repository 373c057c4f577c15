"""``orchestrator plan``, ``apply --plan`` and ``apply --dry-run``, as a person runs them."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from orchestrator.cli.planning import saved
from orchestrator.core.jobs import Action
from orchestrator.core.records import Duration, Durations, StackRecord
from orchestrator.core.refs import Ref

from .conftest import Records, Run_

NETWORK: dict[str, Any] = {
    "type": "network",
    "id": "front",
    "body": {"tenant_id": "t1", "name": "front"},
}
OTHER: dict[str, Any] = {
    "type": "network",
    "id": "other",
    "body": {"tenant_id": "t1", "name": "other"},
}
SUBNET: dict[str, Any] = {
    "type": "subnet",
    "id": "front",
    "body": {
        "tenant_id": "t1",
        "name": "front",
        "network_id": "front",
        "cidr": "192.0.2.0/24",
    },
}
PORT: dict[str, Any] = {
    "type": "port",
    "id": "web",
    "body": {"tenant_id": "t1", "name": "web", "network_id": "front"},
}


def text(*documents: Any) -> str:
    return json.dumps(documents)


def planned(run: Run_, *documents: Any, options: tuple[str, ...] = ()) -> Any:
    result = run("plan", "-f", "-", *options, "-o", "json", input=text(*documents))
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def revision(written: Records) -> int:
    """The revision of etcd: it rises with every write of anybody."""
    return written.store.list("/nobody-writes-here")[0]


def built(written: Records, kind: str, identity: str, **body: Any) -> Ref:
    """A resource that is built, as bridge and worker leave it."""
    ref = Ref(kind, identity)
    at = written.config(ref, name=identity, **body)
    full = {"id": identity, "tenant_id": "t1", "name": identity, **body}
    written.report(ref)
    outputs = [{"output_key": "id", "output_value": f"cloud-{identity}"}]
    stack = StackRecord.of(ref, "t1", "CREATE_COMPLETE", outputs)
    written.put(written.keys.stacks, ref, stack.to_json())
    written.handle(ref, 1, at, revision=at, body=full, built=True)
    return ref


@pytest.fixture
def front(written: Records) -> Ref:
    return built(written, "network", "front")


def test_a_plan_writes_nothing_and_needs_no_bridge(run: Run_, written: Records) -> None:
    before = revision(written)
    result = run("plan", "-f", "-", input=text(NETWORK, SUBNET, PORT))

    assert result.exit_code == 0, result.output
    assert revision(written) == before
    assert "create   network:front" in result.stdout
    assert "3 to create. 3 requests to Heat, in 2 waves." in result.stdout.replace("\n", " ")


def test_a_plan_says_how_long_it_will_take_by_what_was_measured(
    run: Run_, written: Records
) -> None:
    def told() -> str:
        result = run("plan", "-f", "-", input=text(NETWORK, SUBNET))
        return " ".join(result.stdout.split())

    assert "Estimate: unknown: no job of these was measured: network (create)," in told()

    took = {("network", Action.CREATE): Duration(70.0, 12)}
    written.store.put(written.keys.durations, Durations(took, 1.5).to_json())
    assert (
        "Estimate: at least about 1 min 10 s, by 12 measured jobs;"
        " no job was measured of subnet (create)." in told()
    )
    estimate = planned(run, NETWORK)["estimate"]
    assert estimate == {"seconds": 70.0, "jobs": 12, "together": 1.5, "unknown": []}


def test_a_plan_fits_80_columns(run: Run_, written: Records, front: Ref) -> None:
    long = {**PORT, "id": "a" * 120, "body": {**PORT["body"], "name": "n" * 300}}
    changed = {**NETWORK, "body": {**NETWORK["body"], "name": "x" * 200}}
    result = run("plan", "-f", "-", "--delete", "network", "gone", input=text(long, changed))

    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_the_document_has_the_form_that_is_documented_and_its_digest(
    run: Run_, written: Records, front: Ref
) -> None:
    told = planned(run, NETWORK, SUBNET)
    digest = told.pop("digest")
    plain = json.dumps(told, sort_keys=True, separators=(",", ":"))

    assert sha256(plain.encode()).hexdigest() == digest
    assert told["plan"] == 1 and told["summary"] == {"create": 1, "nothing": 1}
    first = told["changes"][0]
    assert (first["type"], first["id"], first["action"]) == ("subnet", "front", "create")
    assert first["version"] == {"from": None, "to": 1} and first["heat"] is None
    assert set(first) == {
        *("type", "id", "action", "because", "version", "body", "parameters", "hot"),
        *("then", "heat", "wave", "unknown"),
    }
    assert told["reads"][f"{written.keys.config}v2.0/networks/front"] > 0


def test_an_output_that_is_there_is_told_and_one_that_is_not_is_known_after(
    run: Run_, written: Records, front: Ref
) -> None:
    assert planned(run, PORT)["changes"][0]["parameters"]["network"] == {
        "from": None,
        "to": "cloud-front",
    }
    other = {**PORT, "body": {**PORT["body"], "network_id": "other"}}
    port = next(c for c in planned(run, other, OTHER)["changes"] if c["type"] == "port")
    assert port["parameters"]["network"] == {"from": None, "to": "known after network:other"}


def test_what_needs_an_output_that_a_built_stack_does_not_have_is_refused(
    run: Run_, written: Records, front: Ref
) -> None:
    written.report(front)
    change = planned(run, PORT)["changes"][0]

    assert change["action"] == "refused"
    assert change["because"].startswith("needs output 'id' of the stack of network:front")


def test_a_plan_of_what_is_there_has_nothing_to_do(run: Run_, written: Records, front: Ref) -> None:
    result = run("plan", "-f", "-", "--exit-code", input=text(NETWORK))

    assert result.exit_code == 0, result.output
    assert "without a request" in result.stdout


def test_exit_code_5_says_that_there_is_something_to_do(run: Run_, written: Records) -> None:
    assert run("plan", "-f", "-", "--exit-code", input=text(NETWORK)).exit_code == 5
    assert run("plan", "-f", "-", input=text(NETWORK)).exit_code == 0
    assert run("plan", "--exit-code").exit_code == 0


def test_a_deletion_stands_out(run: Run_, written: Records, front: Ref) -> None:
    built(written, "network", "other")
    result = run("plan", "--delete", "network", "front", "other")

    assert result.exit_code == 0, result.output
    assert "-   DELETE   network:front" in result.stdout
    assert "Deletes 2 stacks: network:front, network:other." in result.stdout


def test_a_type_or_a_resource_can_be_chosen(run: Run_, written: Records) -> None:
    everything = planned(run, NETWORK, OTHER, SUBNET)
    networks = planned(run, NETWORK, OTHER, SUBNET, options=("network",))
    one = planned(run, NETWORK, OTHER, SUBNET, options=("subnet", "front"))

    assert len(everything["changes"]) == 3
    assert [change["id"] for change in networks["changes"]] == ["front", "other"]
    assert [change["type"] for change in one["changes"]] == ["subnet"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "--delete", "network"),
        ("plan", "--delete", "nothing", "x"),
        ("plan", "--save", "x", "network"),
        ("plan", "--template", "nowhere"),
        ("plan", "--show", "nowhere"),
        ("apply", "--plan", "nowhere"),
        ("apply", "--plan", "nowhere", "--dry-run"),
    ],
)
def test_a_command_that_cannot_be_meant_answers_2(
    run: Run_, written: Records, arguments: tuple[str, ...]
) -> None:
    assert run(*arguments).exit_code == 2


def test_dry_run_shows_the_plan_of_the_files_and_writes_nothing(
    run: Run_, written: Records
) -> None:
    before = revision(written)
    dry = run("apply", "-f", "-", "--dry-run", input=text(NETWORK))

    assert dry.exit_code == 0, dry.output
    assert "create   network:front" in dry.stdout
    assert revision(written) == before


def test_a_template_of_a_folder_can_be_planned(run: Run_, written: Records) -> None:
    folder = Path(__file__).parents[2] / "templates" / "network"
    result = run("plan", "--template", str(folder), "-o", "json")

    assert result.exit_code == 0, result.output
    change = json.loads(result.stdout)["changes"][0]
    assert (change["type"], change["id"], change["action"]) == (
        "heat_template",
        "network",
        "nothing",
    )


# Carrying out --------------------------------------------------------------------------------------


def test_a_saved_plan_is_carried_out_as_apply_would(run: Run_, written: Records) -> None:
    assert run("plan", "-f", "-", "--save", "plan", input=text(NETWORK, PORT)).exit_code == 0
    result = run("apply", "--plan", "plan")

    assert result.exit_code == 0, result.output
    assert "created" in result.stdout
    saved = {ref: written.wanted(ref) for ref in (Ref("network", "front"), Ref("port", "web"))}
    assert saved[Ref("port", "web")] == {
        "body": {"id": "web", **PORT["body"]},
        "version": 1,
        "marked_for_deletion": False,
    }


def test_a_stale_plan_names_what_has_moved_writes_nothing_and_answers_6(
    run: Run_, written: Records, front: Ref
) -> None:
    run("plan", "-f", "-", "--save", "plan", input=text(SUBNET))
    written.config(front, 2, name="changed by somebody")
    before = revision(written)
    result = run("apply", "--plan", "plan")
    document = run("apply", "--plan", "plan", "-o", "json")

    assert result.exit_code == document.exit_code == 6
    assert f"{written.keys.config}v2.0/networks/front" in result.stderr
    assert revision(written) == before
    stale = json.loads(document.stdout)["stale"]
    assert [one["key"] for one in stale] == [f"{written.keys.config}v2.0/networks/front"]
    assert stale[0]["now"] > stale[0]["planned"]


def test_a_stale_plan_can_still_be_shown(run: Run_, written: Records, front: Ref) -> None:
    shown = run("plan", "-f", "-", "--save", "plan", input=text(SUBNET))
    written.config(front, 2, name="changed by somebody")

    assert run("plan", "--show", "plan").stdout == shown.stdout


def test_a_file_that_is_no_plan_is_refused(run: Run_, written: Records) -> None:
    Path("no-plan").write_text("{}")
    result = run("apply", "--plan", "no-plan")

    assert result.exit_code == 2 and "not a saved plan" in result.stderr


def test_of_50_edits_of_a_key_that_was_read_each_is_noticed(
    run: Run_, written: Records, front: Ref
) -> None:
    """The edits hit every kind of key that a plan relies on."""
    chance = random.Random(1)
    kinds: set[str] = set()
    for number in range(50):
        document = {**SUBNET, "id": f"s{number}"}
        run("plan", "-f", "-", "--save", "plan", input=text(document))
        reads = json.loads(Path("plan").read_text())["reads"]
        there = [key for key in reads if key != written.keys.schema_list]
        edited = chance.choice(there)
        kinds.add(edited.rpartition("/")[0])
        found = written.store.get(edited)
        written.store.put(edited, found.value.decode() if found else "{}")
        before = revision(written)

        result = run("apply", "--plan", "plan")
        assert result.exit_code == 6, result.output
        assert edited in result.stderr
        assert revision(written) == before
        if found is None:
            written.store.delete(edited)
    assert len(kinds) > 4


def test_50_unrelated_edits_make_no_plan_stale(run: Run_, written: Records, front: Ref) -> None:
    other = built(written, "network", "other")
    for number in range(50):
        document = {**SUBNET, "id": f"s{number}"}
        run("plan", "-f", "-", "--save", "plan", input=text(document))
        written.config(other, number + 2, name=f"edit {number}")

        assert run("apply", "--plan", "plan").exit_code == 0
        assert written.wanted(Ref("subnet", f"s{number}"))


def test_an_edit_in_the_middle_of_50_writes_comes_wholly_before_or_wholly_after(
    run: Run_, written: Records, front: Ref
) -> None:
    """Whoever edits at the very moment is never overlooked: the plan is refused, or was first."""
    key = written.keys.below(written.keys.config, front)
    chance, outcomes = random.Random(3), Counter[str]()
    for number in range(50):
        ref = Ref("subnet", f"race-{number}")
        run("plan", "-f", "-", "--save", "plan", input=text({**SUBNET, "id": ref.id}))
        plan = saved.read(Path("plan"))
        edited: list[int] = []
        begin = threading.Barrier(2)

        def edit(
            number: int = number,
            edited: list[int] = edited,
            begin: threading.Barrier = begin,
        ) -> None:
            begin.wait()
            for _ in range(chance.randrange(4)):
                written.store.get(key)
            edited.append(written.config(front, number + 2, name=f"edit {number}"))

        editor = threading.Thread(target=edit)
        editor.start()
        begin.wait()
        try:
            done = saved.carry_out(written.store, written.keys, plan)
            outcomes["written"] += 1
        except saved.Stale as stale:
            assert not stale.written
            done = []
            outcomes["refused"] += 1
        editor.join()
        there = written.store.get(written.keys.below(written.keys.config, ref))
        assert (there is not None) == bool(done)
        assert there is None or there.revision < edited[0]
    assert sum(outcomes.values()) == 50 and outcomes["refused"]
