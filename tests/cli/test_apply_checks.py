"""``apply`` holds bodies to their types, tells all that is wrong, and writes nothing unless all is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Records, Run_

BAD = """\
type: port
id: web
body:
  tenant_id: t1
  netwrk_id: net-front
---
type: subnet
id: front
body: {tenant_id: t1, network_id: net-front, cidr: 192.0.2.0/24, ip_version: four}
"""
ONE = "type: port\nid: web\nbody:\n  tenant_id: t1\n  network_id: net-front\n  mac_address: 52:54:00:12:34:56\n"


def test_all_faults_of_all_bodies_are_told_and_nothing_is_written(
    run: Run_, written: Records, tmp_path: Path
) -> None:
    (tmp_path / "bad.yaml").write_text(BAD)
    (tmp_path / "good.yaml").write_text("type: network\nid: net-front\nbody: {tenant_id: t1}\n")

    result = run("apply", "-f", "good.yaml", "-f", "bad.yaml")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        "error: bad.yaml:3: port:web: body: network_id is missing",
        "  bad.yaml:5: port:web: body.netwrk_id: there is no property 'netwrk_id'; did you mean network_id?",
        "  bad.yaml:9: subnet:front: body.ip_version: should be a whole number, not a text",
        "  bad.yaml:9: subnet:front: body.ip_version: should be one of 4, 6",
    ]
    assert written.store.list(written.keys.config)[1] == []


def test_no_validate_writes_bodies_as_they_are(run: Run_, written: Records) -> None:
    result = run("apply", "--no-validate", "-f", "-", input=BAD)

    assert result.exit_code == 0
    assert len(written.store.list(written.keys.config)[1]) == 2


def test_what_is_referred_to_and_nowhere_is_a_hint(run: Run_, written: Records) -> None:
    result = run("apply", "-f", "-", input=ONE)

    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "standard input:5: port:web: body.network_id: network:net-front is neither in etcd nor in these files; "
        "what needs it waits until it is written"
    ]


@pytest.mark.parametrize("where", ["in etcd", "in the same files"])
def test_what_is_there_needs_no_hint(run: Run_, written: Records, where: str) -> None:
    network = "type: network\nid: net-front\nbody: {tenant_id: t1}\n"
    if where == "in etcd":
        run("apply", "-f", "-", input=network)
        network = ""

    result = run("apply", "-f", "-", input=f"{ONE}---\n{network}")

    assert (result.exit_code, result.stderr) == (0, "")


def test_a_mac_address_of_digits_is_stored_as_it_was_typed(run: Run_, written: Records) -> None:
    run("apply", "-f", "-", input=ONE)

    (stored,) = written.store.list(written.keys.config)[1]
    assert b'\\"mac_address\\": \\"52:54:00:12:34:56\\"' in stored.value


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        pytest.param(
            ["aply"],
            "error: No such command 'aply'. Did you mean 'apply'? (see `orchestrator --help`)\n",
            id="command",
        ),
        pytest.param(
            ["templates", "show"],
            "error: Missing argument 'name' (see `orchestrator templates show --help`)\n",
            id="argument",
        ),
        pytest.param(
            ["get", "a", "b", "c"],
            "error: Got unexpected extra argument(s) (c) (see `orchestrator get --help`)\n",
            id="too many arguments",
        ),
    ],
)
def test_a_command_line_that_is_not_understood_is_one_line_without_a_box(
    run: Run_, arguments: list[str], error: str
) -> None:
    result = run(*arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.lower() == error.lower()
