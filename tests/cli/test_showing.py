"""What is put on a screen: complete, readable, and without a secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from orchestrator.cli import settings_view, showing
from orchestrator.cli.output import Section, as_columns, duration
from orchestrator.core.records import Run, Step
from orchestrator.core.refs import Ref
from orchestrator.errors import InvalidInput
from orchestrator.settings import Settings, read
from orchestrator.views.reading import read_all
from orchestrator.views.resource import records, resource
from orchestrator.views.standings import Progress

from .conftest import Records

PORT = Ref("port", "p")


def test_every_record_of_a_resource_is_shown_with_its_key(memory: Records) -> None:
    incarnation = memory.config(PORT)
    memory.handle(PORT, 1, incarnation)
    job = memory.job(PORT, run=Run(Step.IN_HEAT))
    memory.put(memory.keys.job_states, PORT, "{}")
    memory.report(PORT)
    memory.put(memory.keys.monitoring, PORT, '{"vmi": "UP", "version": 1}')

    found = records(read_all(memory.store, memory.keys), PORT)

    assert [(record.name, record.key) for record in found] == [
        ("wanted", "/config/v2.0/ports/p"),
        ("handled", "/esi-worker/orchestrator/handled/v2.0/ports/p"),
        ("job", f"/jobs/all/{job}"),
        ("run", f"/esi-worker/orchestrator/runs/t1/{job}"),
        ("job state", "/esi-worker/job_state/v2.0/ports/p"),
        ("stack", "/esi-worker/heat_stacks/v2.0/ports/p"),
        ("state", "/state/v2.0/ports/p"),
        ("monitoring", "/monitoring/v2.0/ports/p"),
    ]
    assert found[0].value == {
        "body": {"id": "p", "tenant_id": "t1"},
        "version": 1,
        "marked_for_deletion": False,
    }


def test_the_run_of_another_resource_is_not_among_them(memory: Records) -> None:
    memory.config(PORT)
    memory.job(Ref("port", "p:1"), run=Run(Step.IN_HEAT))

    assert [record.name for record in records(read_all(memory.store, memory.keys), PORT)] == [
        "wanted"
    ]


def test_no_secret_is_shown_wherever_it_stands(memory: Records) -> None:
    memory.config(
        PORT, password="canary-1", vpn={"shared_key": "canary-2"}, note="canary-1 in a sentence"
    )
    outputs = [{"output_key": "admin_password", "output_value": "canary-3"}]
    memory.put(
        memory.keys.stacks, PORT, json.dumps({"stack_status": "CREATE_COMPLETE", "output": outputs})
    )
    state = {"worker_state": "CREATE_COMPLETED", "heat_outputs": json.dumps(outputs)}
    memory.put(
        memory.keys.state, PORT, json.dumps({"state": json.dumps(state), "version": 1, "error": ""})
    )

    found = read_all(memory.store, memory.keys)
    document = showing.one_as_document(resource(found, Progress(found), PORT), records(found, PORT))

    assert "canary" not in json.dumps(document)
    assert document["records"][0]["value"]["body"]["note"] == "*** in a sentence"
    assert document["phase"] == "complete"


def test_what_is_not_json_is_not_shown(memory: Records) -> None:
    memory.store.put("/config/v2.0/ports/p", "password: canary")

    (record,) = records(read_all(memory.store, memory.keys), PORT)

    assert record.value == "(16 bytes that are not JSON)"


def test_a_resource_of_which_nothing_is_known(memory: Records) -> None:
    with pytest.raises(InvalidInput, match="nothing is known of port:p: there is no /config/v2"):
        records(read_all(memory.store, memory.keys), PORT)


# Settings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://:canary@host/0", "redis://:***@host/0"),
        ("redis://user:ca/na@ry@host:6379/0", "redis://user:***@host:6379/0"),
        ("amqp://a:canary@one//;amqp://b:canary@two//", "amqp://a:***@one//;amqp://b:***@two//"),
        (
            "sentinel://host/0?password=canary&master_name=m",
            "sentinel://host/0?password=***&master_name=m",
        ),
    ],
)
def test_a_url_loses_its_password_and_nothing_else(url: str, safe: str) -> None:
    assert settings_view.without_credentials(url) == safe


def test_every_setting_is_shown_with_its_source_and_without_its_secret(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    named = tmp_path / "my.env"
    named.write_text("ORCHESTRATOR_LOG_FORMAT=json\n")
    environ = {
        "ORCHESTRATOR_ENV_FILE": str(named),
        "ORCHESTRATOR_ETCD_USER": "ann",
        "ORCHESTRATOR_ETCD_PASSWORD": "canary",
        "ORCHESTRATOR_BROKER_URL": "redis://:canary@host/0",
    }

    found = {setting.variable: setting for setting in settings_view.settings(read(environ))}

    assert len(found) == len(Settings.model_fields)
    assert all(setting.description for setting in found.values())
    assert (
        found["ORCHESTRATOR_ETCD_PASSWORD"].value,
        found["ORCHESTRATOR_ETCD_PASSWORD"].source,
    ) == ("***", "environment")
    assert found["ORCHESTRATOR_BROKER_URL"].value == "redis://:***@host:6379/0"
    assert (found["ORCHESTRATOR_LOG_FORMAT"].value, found["ORCHESTRATOR_LOG_FORMAT"].source) == (
        "json",
        str(named),
    )
    assert found["ORCHESTRATOR_LEASE_TTL"].source == "default"
    assert settings_view.visible(str(key), secret=False) == str(key), (
        "the path of a key is no secret"
    )


def test_the_credentials_of_openstack_are_listed_and_masked() -> None:
    environ = {
        "OS_PASSWORD": "canary",
        "OS_USERNAME": "ann",
        "OS_AUTH_URL": "http://a:canary@keystone",
        "PATH": "/bin",
    }

    found = [
        (setting.variable, setting.value)
        for setting in settings_view.openstack(read(environ).others)
    ]

    assert found == [
        ("OS_AUTH_URL", "http://a:***@keystone"),
        ("OS_PASSWORD", "***"),
        ("OS_USERNAME", "ann"),
    ]


# Columns -----------------------------------------------------------------------------------------------


def test_columns_for_a_pipe_have_one_line_for_each_row() -> None:
    section = Section(
        "Failed", ("cause", "error"), [("port:a", "one\n  two"), ("network:long", "")]
    )

    assert (
        as_columns(section)
        == "Failed\nCAUSE         ERROR\nport:a        one⏎ two\nnetwork:long  -"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.9, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (-1, "0 s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
