"""The commands from end to end, on a real etcd: what is printed, what is in etcd, and the exit code."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from orchestrator import __version__
from orchestrator.clients import catalogue
from orchestrator.core.jobs import Action
from orchestrator.core.refs import Ref

from .conftest import Records, Run_

pytestmark = pytest.mark.integration

NET, SUB = Ref("network", "n"), Ref("subnet", "s")
SERVICE = """\
type: network
id: n
body: {tenant_id: t1, name: front}
---
type: subnet
id: s
body: {tenant_id: t1, network_id: n, cidr: 192.0.2.0/24}
"""


def soon(act: Callable[[], object], when: Callable[[], object]) -> threading.Thread:
    """Act in another thread once *when* holds, as bridge and workers do."""

    def watch() -> None:
        end = time.monotonic() + 10
        while not when() and time.monotonic() < end:
            time.sleep(0.02)
        act()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


# Wanted configuration ------------------------------------------------------------------------------


def test_documents_from_standard_input_are_created_updated_or_left_alone(
    run: Run_, written: Records
) -> None:
    first = run("apply", "-f", "-", input=SERVICE)
    second = run("apply", "-f", "-", input=SERVICE.replace("front", "back"))

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert (
        first.stdout
        == "RESULT   RESOURCE   VERSION\ncreated  network:n  v1\ncreated  subnet:s   v1\n"
    )
    assert (
        second.stdout
        == "RESULT     RESOURCE   VERSION\nupdated    network:n  v2\nunchanged  subnet:s   v1\n"
    )
    assert written.wanted(NET) == {
        "body": {"id": "n", "tenant_id": "t1", "name": "back"},
        "version": 2,
        "marked_for_deletion": False,
    }


def test_one_bad_document_keeps_all_from_being_written(
    run: Run_, written: Records, tmp_path: Path
) -> None:
    (tmp_path / "service.yaml").write_text(SERVICE + "---\ntype: prot\nid: p\nbody: {}\n")

    result = run("apply", "-f", "service.yaml")

    assert (result.exit_code, result.stdout) == (2, "")
    assert (
        result.stderr
        == "error: service.yaml:9: unknown type 'prot'; did you mean port or router?\n"
    )
    assert written.store.list(written.keys.config)[1] == []


def test_apply_can_wait_for_what_comes_of_it(run: Run_, written: Records) -> None:
    written.lead()
    acting = soon(
        lambda: (written.report(NET), written.report(SUB, error="no such range")),
        lambda: written.wanted(SUB),
    )

    result = run("apply", "-f", "-", "--wait", "--timeout", "20", input=SERVICE)
    acting.join()

    assert result.exit_code == 1
    assert result.stdout.splitlines()[3:] == [
        "RESOURCE  IS      BECAUSE",
        "subnet:s  failed  no such range",
        "1 resource failed or held back, 1 complete, after 0 s.",
    ]


def test_what_was_written_is_told_to_scripts(run: Run_, written: Records) -> None:
    result = run("apply", "-f", "-", "-o", "json", input=SERVICE)

    assert json.loads(result.stdout) == [
        {
            "type": "network",
            "id": "n",
            "result": "created",
            "version": 1,
            "key": f"{written.keys.config}v2.0/networks/n",
        },
        {
            "type": "subnet",
            "id": "s",
            "result": "created",
            "version": 1,
            "key": f"{written.keys.config}v2.0/subnets/s",
        },
    ]


def test_delete_marks_and_says_who_removes_the_config(run: Run_, written: Records) -> None:
    run("apply", "-f", "-", input=SERVICE)

    result = run("delete", "network:n")

    assert result.exit_code == 0
    assert (
        result.stdout
        == "RESULT               RESOURCE   VERSION\nmarked for deletion  network:n  v2\n"
    )
    assert "Where there is none: orchestrator delete network n --wait" in result.stderr
    assert written.wanted(NET)["marked_for_deletion"] is True


def test_delete_with_wait_removes_the_config_once_the_deletion_is_reported(
    run: Run_, written: Records
) -> None:
    written.lead()
    run("apply", "-f", "-", input=SERVICE)
    for ref in (NET, SUB):
        written.report(ref)
    acting = soon(
        lambda: [written.report(ref, 2, Action.DELETE) for ref in (SUB, NET)],
        lambda: written.wanted(NET)["marked_for_deletion"],
    )

    result = run("delete", "-f", "-", "--wait", "--timeout", "20", "-o", "json", input=SERVICE)
    acting.join()

    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    # The last in the file goes first, for it needs the others.
    assert [(entry["type"], entry["result"]) for entry in answer["written"]] == [
        ("subnet", "removed"),
        ("network", "removed"),
    ]
    assert answer["wait"]["result"] == "complete"
    assert (written.wanted(NET), written.wanted(SUB)) == (None, None)


def test_delete_that_is_not_done_in_time_leaves_the_config(run: Run_, written: Records) -> None:
    written.lead()
    run("apply", "-f", "-", input=SERVICE)
    written.report(NET)

    result = run("delete", "network", "n", "--wait", "--timeout", "0.2")

    assert result.exit_code == 3
    assert written.wanted(NET) is not None


def test_delete_now_removes_the_config_without_a_mark(run: Run_, written: Records) -> None:
    run("apply", "-f", "-", input=SERVICE)

    assert (
        run("delete", "network", "n", "--now").stdout
        == "RESULT   RESOURCE   VERSION\nremoved  network:n  -\n"
    )
    assert written.wanted(NET) is None
    assert (
        run("delete", "network", "n").stdout
        == "RESULT     RESOURCE   VERSION\nnot there  network:n  -\n"
    )


# Looking -------------------------------------------------------------------------------------------


def test_wanted_recorded_and_reported_are_side_by_side(run: Run_, written: Records) -> None:
    run("apply", "-f", "-", input=SERVICE)
    written.report(NET)
    written.put(written.keys.monitoring, NET, '{"link": "UP", "version": 1}')

    assert run("get").stdout.splitlines() == [
        "RESOURCE   IS        AGE  WANTED  RECORDED         REPORTED             MONITORING",
        "network:n  complete  -    v1      CREATE_COMPLETE  CREATE_COMPLETED v1  link UP",
        "subnet:s   pending   -    v1      -                -                    -",
    ]
    assert json.loads(run("get", "networks", "-o", "json").stdout) == [
        {
            "type": "network",
            "id": "n",
            "tenant_id": "t1",
            "phase": "complete",
            "reason": "",
            "since": None,
            "gives_up": None,
            "outdated": None,
            "wanted": {"version": 1, "marked_for_deletion": False},
            "recorded": {"stack_status": "CREATE_COMPLETE", "outputs": 0, "tenant_id": "t1"},
            "reported": {"worker_state": "CREATE_COMPLETED", "version": 1, "error": ""},
            "monitoring": {"link": "UP", "version": 1},
            "drift": None,
        }
    ]


def test_a_list_is_chosen_and_printed_as_asked(run: Run_, written: Records) -> None:
    written.config(NET)
    written.report(NET, error="quota exceeded")
    written.config(SUB, tenant_id="t2")

    assert run("get", "-o", "name").stdout == "network:n\nsubnet:s\n"
    assert run("get", "--failed", "-o", "name").stdout == "network:n\n"
    assert run("get", "--tenant", "t2", "-o", "name").stdout == "subnet:s\n"
    assert run("get", "--held").stdout == "Nothing is there.\n"
    assert "quota exceeded" in run("get", "network", "-o", "wide").stdout
    assert run("get", "network:n", "--failed").exit_code == 2
    assert run("get", "--watch", "-o", "json").exit_code == 2


def test_one_resource_is_shown_with_its_keys(run: Run_, written: Records) -> None:
    revision = written.config(NET, password="canary")

    result = run("get", "network:n")

    assert result.exit_code == 0
    assert result.stdout == (
        "network:n  pending\n"
        "the bridge has not looked at it yet\n"
        "\n"
        f"wanted  {written.keys.config}v2.0/networks/n  revision {revision}\n"
        "  body:\n"
        "    id: n\n"
        "    tenant_id: t1\n"
        "    password: '***'\n"
        "  version: 1\n"
        "  marked_for_deletion: false\n"
    )
    assert run("get", "network", "x").stderr == (
        f"error: nothing is known of network:x: there is no {written.keys.config}v2.0/networks/x\n"
    )


def test_status_of_an_empty_system(run: Run_, written: Records) -> None:
    written.lead()

    result = run("status")

    assert result.exit_code == 0
    assert (
        result.stdout.splitlines()[1]
        == "Nothing is wanted yet; `orchestrator apply -f FILE` writes what should be."
    )


def test_status_tells_everything_that_is_not_as_it_should_be(run: Run_, written: Records) -> None:
    written.lead()
    written.config(NET)
    written.report(NET, error="quota exceeded")
    written.config(SUB)
    written.report(SUB, error="not built", root=NET)
    written.config(Ref("port", "p"))
    written.hold(Ref("port", "p"), Ref("network", "nowhere"))
    written.config(Ref("router", "r"))
    written.job(Ref("router", "r"))
    revision = written.store.put(f"{written.keys.config}v2.0/ports/bad", "{")

    result = run("status")

    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[:4] == [
        "No worker is alive, and jobs wait for one: 1.",
        "Not well: 2 failed (1 cause), 1 held, 1 rejected.",
        f"The bridge on here (pid 7) leads.  revision {revision}",
        "4 resources: 1 running, 1 held, 2 failed; 1 key rejected",
    ]
    assert "t1      1       -    -      router:r" in lines
    assert (
        "network:nowhere  1       -    -      port:p     refers to network:nowhere, which is not in the configuration (yet)"
        in lines
    )
    assert (
        "network:n  t1      -    -      1        quota exceeded  correct it, or: orchestrator retry network n"
        in lines
    )
    rejected = f"{written.keys.config}v2.0/ports/bad  the value is not JSON"
    assert any(line.startswith(rejected) for line in lines)


def test_a_screen_is_needed_to_watch(run: Run_) -> None:
    result = run("status", "--watch")

    assert result.exit_code == 2
    assert result.stderr.startswith("error: --watch draws on a terminal")


# Waiting -------------------------------------------------------------------------------------------


def test_wait_ends_when_all_is_reported(run: Run_, written: Records) -> None:
    written.lead()
    run("apply", "-f", "-", input=SERVICE)
    acting = soon(lambda: (written.report(NET), written.report(SUB)), lambda: True)

    result = run("wait", "--timeout", "20")
    acting.join()

    assert result.exit_code == 0
    assert re.fullmatch(r"2 resources complete after \d+ s\.\n", result.stdout)


def test_wait_says_what_is_left_when_time_is_over_and_that_nobody_leads(
    run: Run_, written: Records
) -> None:
    run("apply", "-f", "-", input=SERVICE)
    written.report(SUB)

    result = run("wait", "--timeout", "0.1")

    assert result.exit_code == 3
    assert result.stdout.splitlines() == [
        "RESOURCE   IS       BECAUSE",
        "network:n  pending  the bridge has not looked at it yet",
        "Time is over after 0 s: 1 resource still in progress.",
    ]
    assert "No bridge leads" in result.stderr


def test_wait_for_what_is_not_there(run: Run_, written: Records) -> None:
    assert run("wait", "network", "x").exit_code == 2
    assert run("wait", "network").stdout == "Nothing is left to wait for.\n"


# Templates -----------------------------------------------------------------------------------------


def test_templates_are_pushed_once(run: Run_, written: Records) -> None:
    assert (
        run("templates", "push", "router").stdout
        == "RESULT   TEMPLATE  VERSION\ncreated  router    1\n"
    )
    assert (
        run("templates", "push", "router").stdout
        == "RESULT     TEMPLATE  VERSION\nunchanged  router    1\n"
    )

    wanted = written.wanted(Ref("heat_template", "router"))

    assert (wanted["version"], wanted["body"]["id"], wanted["body"]["handler"]) == (
        1,
        "router",
        "heat_worker",
    )
    assert list(wanted["body"]["parameter_mappings"]) == ["heat_timeout", "name", "admin_state_up"]
    assert run("delete", "heat_template", "router").exit_code == 0
    assert written.wanted(Ref("heat_template", "router")) is None


def test_a_template_that_does_not_pass_the_check_is_not_pushed(
    run: Run_, written: Records, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(catalogue.default_folder(), tmp_path / "mine"))
    file = folder / "network" / "template.yaml.j2"
    file.write_text(file.read_text().replace("OS::Neutron::Net", "OS::Neutron::Nett"))

    result = run("templates", "push", "network", "router", "--folder", str(folder))

    assert result.exit_code == 2
    assert re.search(
        "mine/network/template.yaml.j2:[0-9]+: .* Heat has no type 'OS::Neutron::Nett'",
        result.stderr,
    )
    assert written.wanted(Ref("heat_template", "router")) is None
    assert run("templates", "push", "router", "--folder", str(folder)).exit_code == 0
    assert (
        run("templates", "push", "network", "--folder", str(folder), "--no-validate").exit_code == 0
    )


def test_templates_are_checked_listed_and_shown_without_any_server(run: Run_) -> None:
    nowhere = {"ORCHESTRATOR_ETCD_ENDPOINTS": "127.0.0.1:1"}

    checked = run("templates", "check", "router", "port", **nowhere)

    assert checked.exit_code == 0
    assert checked.stdout.splitlines()[-1].endswith("cases: all is well")
    assert "router" in run("templates", "list", **nowhere).stdout
    assert "heat_template_version" in run("templates", "show", "router", **nowhere).stdout
    shown = run("templates", "show", "router", "--case", "plain", "-o", "json", **nowhere)
    assert json.loads(shown.stdout)["stack_name"].startswith("router_")
    assert run("templates", "check", "rooter", **nowhere).exit_code == 2


# Trouble -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["status"], ["wait"], ["templates", "push"]])
def test_an_etcd_that_does_not_answer_is_one_clear_line(run: Run_, command: list[str]) -> None:
    started = time.monotonic()

    result = run(*command, ORCHESTRATOR_ETCD_ENDPOINTS="127.0.0.1:1")

    assert result.exit_code == 4
    assert result.stderr == (
        "error: etcd at 127.0.0.1:1 does not answer: connection refused; is it running? ORCHESTRATOR_ETCD_ENDPOINTS=127.0.0.1:1\n"
    )
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "arguments", [["--help"], ["apply", "--help"], ["apply", "--foo"], ["aply"]]
)
def test_there_is_no_box_in_a_pipe(arguments: list[str]) -> None:
    program = [sys.executable, "-c", "from orchestrator.cli import main; main()", *arguments]

    done = subprocess.run(program, capture_output=True, text=True, check=False)

    told = done.stdout + done.stderr
    assert ("Usage: orchestrator" in told) or told.startswith("error: No such ")
    assert not re.search("[\u2500-\u257f]", told)


def test_an_etcd_that_is_frozen_costs_no_more_than_the_timeout_allows(run: Run_) -> None:
    with socket.create_server(
        ("127.0.0.1", 0)
    ) as silent:  # Takes connections, and answers nothing.
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        took: list[float] = []
        for option in (["--timeout", "1"], []):
            started = time.monotonic()
            result = run("wait", *option, ORCHESTRATOR_ETCD_ENDPOINTS=address)
            took.append(time.monotonic() - started)
            assert result.exit_code == 4
            assert result.stderr.startswith(f"error: etcd at {address} does not answer: ")
    assert took[0] < took[1]


def test_wait_says_that_keys_are_rejected(run: Run_, written: Records) -> None:
    written.lead()
    written.store.put(f"{written.keys.config}v9/foos/x", '{"body": {}, "version": 1}')

    result = run("wait")

    assert result.exit_code == 0
    assert (
        "The bridge rejects 1 key, such as one of an unknown type: see `orchestrator status`."
        in result.stderr
    )


@pytest.mark.parametrize(
    ("variables", "error"),
    [
        ({"ORCHESTRATOR_LEASE_TTL": "soon"}, "error: ORCHESTRATOR_LEASE_TTL: "),
        (
            {"ORCHESTRATOR_TEMPLATES": "/nowhere"},
            "error: ORCHESTRATOR_TEMPLATES: /nowhere: there is no such folder",
        ),
        (
            {"ORCHESTRATOR_SCHEMAS": "/nowhere.json"},
            "error: ORCHESTRATOR_SCHEMAS: there is no file /nowhere.json",
        ),
    ],
)
@pytest.mark.parametrize("command", ["status", "bridge"])
def test_a_setting_that_cannot_be_used_is_one_clear_line(
    run: Run_, command: str, variables: dict[str, str], error: str
) -> None:
    if command == "bridge":  # it takes the process's signals: not in this one
        result = subprocess.run(
            [sys.executable, "-c", "from orchestrator.cli import main; main()", command],
            capture_output=True,
            text=True,
            env=variables,
            cwd=Path(__file__).resolve().parents[2],
            timeout=60,
        )
        code, stderr = result.returncode, result.stderr
    else:
        outcome = run(command, **variables)
        code, stderr = outcome.exit_code, outcome.stderr

    assert code == 2
    assert stderr.startswith(error)
    assert "Traceback" not in stderr


def test_the_version(run: Run_) -> None:
    for command in ("version", "--version"):
        assert run(command).stdout == f"{__version__}\n"


def test_every_help_tells_the_exit_codes(run: Run_) -> None:
    for command in (
        [],
        ["apply"],
        ["delete"],
        ["get"],
        ["status"],
        ["wait"],
        ["bridge"],
        ["templates", "check"],
    ):
        assert "Exit codes: 0 all is well" in run(*command, "--help").stdout
