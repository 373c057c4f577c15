"""``orchestrator schemas``, and what other commands say about the list in force."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from orchestrator.core import effects
from orchestrator.core.records import SchemaTrouble
from orchestrator.core.refs import Ref
from orchestrator.core.schema_list import SchemaList
from orchestrator.views.following import follow

from tests.gohan.types import entry

from .conftest import Records, Run_

ENTRIES = [
    entry("disk", template_path="Cdisk"),
    entry("note", sync_plain=True),
    entry("bad", template_path="Xwhat"),
]


def lead_with(
    written: Records, entries: Sequence[Any] = ENTRIES, source: str = "http://gohan/schemas"
) -> None:
    """A leader stores a list."""
    listed = SchemaList.of(list(entries), source, "2026-11-27T21:49:01Z")
    written.store.commit(effects.store_schemas(written.keys, listed))


def test_the_types_in_force_are_shown_with_their_keys_and_what_becomes_of_them(
    run: Run_, written: Records
) -> None:
    lead_with(written)
    result = run("schemas", "show")

    assert result.exit_code == 0
    assert "3 types of the schema list of http://gohan/schemas (revision" in result.stdout
    rows = {line.split()[0]: line for line in result.stdout.splitlines() if line}
    assert "/v2.0/disks/{{id}}" in rows["disk"] and "a stack" in rows["disk"]
    assert "no resource" in rows["note"]
    assert "template_path of type bad" in rows["bad"]


def test_without_a_leader_it_is_this_machines_own_list(run: Run_, written: Records) -> None:
    result = run("schemas", "show", "-o", "json")
    document = json.loads(result.stdout)

    assert result.exit_code == 0
    assert document["list"] is None
    assert "network" in [kind["type"] for kind in document["types"]]


def test_a_type_that_the_bridge_does_not_know_is_told_with_the_list_that_it_has(
    run: Run_, written: Records
) -> None:
    lead_with(written)

    for command in (["wait", "disc"], ["get", "disc"], ["delete", "disc", "d1"]):
        result = run(*command)

        assert result.exit_code == 2
        assert (
            "unknown type 'disc' in the schema list of http://gohan/schemas (revision "
            in result.stderr
        )
        assert "by which the bridge works; did you mean disk?" in result.stderr


def test_commands_use_the_leaders_list_and_say_where_this_machines_differs(
    run: Run_, written: Records
) -> None:
    lead_with(written)
    written.lead()
    key = f"{written.keys.config}v2.0/disks/d1"
    written.store.put(key, json.dumps({"body": {"id": "d1", "tenant_id": "t1"}, "version": 1}))

    found = run("status", "-o", "json")

    document = json.loads(found.stdout)
    assert (document["rejected"], document["resources"]["pending"]) == ([], 1)
    assert document["schemas"]["source"] == "http://gohan/schemas"
    assert "differs from the leader's (http://gohan/schemas)" in found.stderr
    assert run("get", "network").exit_code == 2


def test_the_same_types_from_another_place_are_no_difference(
    run: Run_, written: Records, tmp_path: Path
) -> None:
    lead_with(written, source="/elsewhere/schemas.json")
    (tmp_path / "schemas.json").write_text(json.dumps({"schemas": [*reversed(ENTRIES)]}))

    assert (
        "differs" not in run("status", ORCHESTRATOR_SCHEMAS=str(tmp_path / "schemas.json")).stderr
    )


def test_a_key_of_no_type_names_the_list_and_what_to_do(run: Run_, written: Records) -> None:
    lead_with(written)
    key = f"{written.keys.config}v2.0/unheards/u1"
    written.store.put(key, "{}")
    result = run("status", "-o", "json")

    (rejected,) = json.loads(result.stdout)["rejected"]
    assert rejected["key"] == key
    assert rejected["reason"].startswith(
        "no resource type of the schema list of http://gohan/schemas (revision "
    )
    assert rejected["reason"].endswith("add the type to the list, and let the token's role read it")
    assert result.exit_code == 1


@pytest.mark.parametrize(("refused", "code"), [(True, 1), (False, 0)])
def test_a_list_that_is_not_taken_in_is_told(
    run: Run_, written: Records, refused: bool, code: int
) -> None:
    lead_with(written)
    written.lead()
    trouble = SchemaTrouble(
        "it lacks type disk", "http://gohan/schemas", "2026-11-27T22:00:00Z", refused
    )
    written.store.commit(effects.tell_trouble(written.keys, trouble))
    result = run("status")

    assert result.exit_code == code
    assert (
        "since 2026-11-27T22:00:00Z: it lacks type disk. The list of 2026-11-27T21:49:01Z stays in force."
        in result.stdout
    )
    assert "it lacks type disk" in run("schemas", "show").stdout


def test_a_picture_that_is_kept_up_to_date_follows_a_new_list(memory: Records) -> None:
    """As with --watch: everything is read anew by it."""
    with follow(memory.store, memory.keys) as follower:
        memory.store.put("/config/v2.0/disks/d1", json.dumps({"body": {"id": "d1"}, "version": 1}))
        while not follower.snapshot.rejected:
            follower.next(5)
        lead_with(memory)
        while not follower.snapshot.wanted:
            assert follower.next(5)

    assert list(follower.snapshot.wanted) == [Ref("disk", "d1")]
    assert not follower.snapshot.rejected


def test_nobody_who_leads_reads_no_list(run: Run_, written: Records) -> None:
    result = run("schemas", "reload")
    assert (result.exit_code, result.stderr) == (
        1,
        "error: no bridge leads; `orchestrator bridge` reads the list when it begins\n",
    )


def test_a_leader_that_does_not_answer_in_time_is_told(run: Run_, written: Records) -> None:
    written.lead()
    result = run("schemas", "reload", "--timeout", "0.3")
    assert result.exit_code == 3
    assert written.store.get(written.keys.schema_reload) is not None


# Settings ------------------------------------------------------------------------------------------

BAD: list[Any] = [
    ({"SCHEMAS": "/"}, "ORCHESTRATOR_SCHEMAS: ", "is a folder"),
    ({"SCHEMAS": "/no/where.json"}, "ORCHESTRATOR_SCHEMAS: ", "there is no file /no/where.json"),
    (
        {"SCHEMAS": "ftp://gohan/schemas"},
        "ORCHESTRATOR_SCHEMAS: ",
        "ftp:// is no way to a schema list",
    ),
    ({"SCHEMAS": "http://:80/x"}, "ORCHESTRATOR_SCHEMAS: ", "no host"),
    ({"SCHEMAS": "http://gohan:http/x"}, "ORCHESTRATOR_SCHEMAS: ", "no usable port"),
    ({"SCHEMAS_AUTH": "kerberos"}, "ORCHESTRATOR_SCHEMAS_AUTH: ", "expected token or keystone"),
    ({"SCHEMAS_CA": "/no/ca.pem"}, "ORCHESTRATOR_SCHEMAS_CA: ", "/no/ca.pem cannot be read: "),
    (
        {"SCHEMAS_TOKEN_FILE": "/no/token"},
        "ORCHESTRATOR_SCHEMAS_TOKEN_FILE: ",
        "/no/token cannot be read: ",
    ),
    ({"SCHEMAS_INTERVAL": "0"}, "ORCHESTRATOR_SCHEMAS_INTERVAL: ", "expected more than 0"),
    (
        {"SCHEMAS_OS_CLOUD": "x"},
        "ORCHESTRATOR_SCHEMAS_OS_CLOUD: ",
        "needs ORCHESTRATOR_SCHEMAS_AUTH=keystone",
    ),
    (
        {"SCHEMAS_AUTH": "keystone", "SCHEMAS_TOKEN": "s3cret"},
        "ORCHESTRATOR_SCHEMAS_AUTH: ",
        "Keystone makes the token",
    ),
    (
        {"SCHEMAS_TOKEN": "s3cret", "SCHEMAS_TOKEN_FILE": __file__},
        "ORCHESTRATOR_SCHEMAS_TOKEN_FILE: ",
        "is set too",
    ),
]


@pytest.mark.parametrize(("variables", "variable", "reason"), BAD)
def test_a_setting_of_the_list_that_cannot_be_used_is_told_by_name(
    run: Run_, variables: dict[str, str], variable: str, reason: str
) -> None:
    result = run("status", **{f"ORCHESTRATOR_{name}": value for name, value in variables.items()})

    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {variable}")
    assert reason in result.stderr
    assert "s3cret" not in result.stderr


def test_the_token_is_not_shown(run: Run_) -> None:
    result = run("config", ORCHESTRATOR_SCHEMAS_TOKEN="s3cret")
    assert result.exit_code == 0
    assert "s3cret" not in result.stdout
