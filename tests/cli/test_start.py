"""With settings that cannot be used no process starts: it ends with sentences, not a traceback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from orchestrator.cli.commands import app
from orchestrator.cli.main import program_for
from orchestrator.tracing.opening import open_tracer
from typer.testing import CliRunner, Result

ROOT = Path(__file__).resolve().parents[2]

COMMANDS = {
    "bridge": [sys.executable, "-c", "from orchestrator.cli import main; main()", "bridge"],
    "worker": [sys.executable, "-m", "celery", "-A", "tasks", "worker"],
    "flower": [sys.executable, "-m", "celery", "-A", "tasks", "flower"],
}

CANNOT_BE_USED = [
    "reddis://127.0.0.1:6379/0",
    "redis://127.0.0.1:notaport/0",
    "redis://127.0.0.1:6379/notadb",
    "http://127.0.0.1:6379",
    "127.0.0.1:6379",
    "sentinel://127.0.0.1:26379/0",
    "",
]


def start(process: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Start a process, and wait until it has ended."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **variables}
    command = COMMANDS[process]
    return subprocess.run(
        command,
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ORCHESTRATOR_ENV_FILE", raising=False)
    return CliRunner()


def show(runner: CliRunner, *arguments: str, **variables: str) -> Result:
    return runner.invoke(app, [*arguments], env={**variables})


@pytest.mark.parametrize("url", CANNOT_BE_USED)
def test_config_refuses_a_broker_url_that_cannot_work(config: CliRunner, url: str) -> None:
    result = show(config, "config", ORCHESTRATOR_BROKER_URL=url)

    assert result.exit_code == 2
    assert result.stderr.startswith("error: ORCHESTRATOR_BROKER_URL: ")


@pytest.mark.parametrize("process", COMMANDS)
@pytest.mark.parametrize("url", [CANNOT_BE_USED[0], CANNOT_BE_USED[5]])
def test_no_process_starts_with_a_broker_url_that_cannot_work(process: str, url: str) -> None:
    result = start(process, ORCHESTRATOR_BROKER_URL=url)

    assert result.returncode == 2
    assert result.stderr.startswith("error: ORCHESTRATOR_BROKER_URL: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize("process", COMMANDS)
def test_all_faults_are_told_as_documents_when_the_log_is_one_of_documents(process: str) -> None:
    result = start(
        process,
        ORCHESTRATOR_LOG_FORMAT="json",
        ORCHESTRATOR_BROKR_URL="redis://:canary@host/0",
        ORCHESTRATOR_LEASE_TTL="soon",
    )

    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert result.returncode == 2
    assert [line["variable"] for line in lines] == [
        "ORCHESTRATOR_BROKR_URL",
        "ORCHESTRATOR_LEASE_TTL",
    ]
    assert {line["event"] for line in lines} == {"setting_refused"}
    assert "canary" not in result.stderr
    assert result.stdout == ""


def test_a_bridge_whose_health_port_is_taken_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = start("bridge", ORCHESTRATOR_HEALTH_PORT=str(port))

    assert result.returncode == 2
    assert result.stderr.splitlines()[-1] == (
        f"error: ORCHESTRATOR_HEALTH_PORT: cannot listen on 127.0.0.1, port {port}: Address already in use"
    )


def test_config_lists_every_fault_and_answers_2(config: CliRunner) -> None:
    result = show(config, "config", ORCHESTRATOR_LEASE_TTL="x", ORCHESTRATOR_BROKER_URL="x")

    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "error: 2 settings cannot be used:",
        "    ORCHESTRATOR_BROKER_URL: expected redis://, rediss://, sentinel:// or redis+socket://; "
        "for a Redis at HOST:PORT write redis://HOST:PORT/0",
        "    ORCHESTRATOR_LEASE_TTL: expected a whole number, not 'x'",
    ]


@pytest.mark.parametrize("password", ["abc;def", "abc,def", "a@b%c'd\"", "x" * 200])
def test_config_never_shows_the_password_of_the_broker(config: CliRunner, password: str) -> None:
    url = f"redis://:{password}@127.0.0.1:6379/0"

    result = show(config, "config", "-o", "json", ORCHESTRATOR_BROKER_URL=url)

    assert result.exit_code == 0, result.stderr
    assert password not in result.output
    (shown,) = (s for s in json.loads(result.stdout)["settings"] if "BROKER_URL" in s["variable"])
    assert shown["value"] == "redis://:***@127.0.0.1:6379/0"


def test_env_file_on_the_command_line_is_read_by_every_command(
    config: CliRunner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_ENV_FILE", "/nowhere")  # and so set back afterwards
    named = tmp_path / "my.env"
    named.write_text("ORCHESTRATOR_LEASE_TTL=20\n")

    result = show(config, "--env-file", str(named), "config", "-o", "json")

    found = {s["variable"]: s for s in json.loads(result.stdout)["settings"]}
    assert found["ORCHESTRATOR_LEASE_TTL"]["value"] == 20
    assert found["ORCHESTRATOR_LEASE_TTL"]["source"] == str(named)


def test_an_env_file_that_is_not_there_is_told(
    config: CliRunner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_ENV_FILE", "x")

    result = show(config, "--env-file", "/nowhere.env", "config")

    assert result.exit_code == 2
    assert result.stderr.startswith("error: ORCHESTRATOR_ENV_FILE: /nowhere.env cannot be read: ")


def test_a_worker_takes_settings_and_credentials_from_an_environment_file(tmp_path: Path) -> None:
    """Its program is Celery's: the file is named by a variable."""
    (tmp_path / "password").write_text("canary\n")
    named = tmp_path / "worker.env"
    named.write_text(
        f"ORCHESTRATOR_BROKER_URL=redis://file.example/7\nOS_PASSWORD_FILE={tmp_path}/password\n",
    )
    lines = [
        "import os, tasks.celery as t",
        "print(t.app.conf.broker_url, os.environ['OS_PASSWORD'], 'OS_PASSWORD_FILE' in os.environ)",
    ]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "ORCHESTRATOR_ENV_FILE": str(named),
    }

    result = subprocess.run(
        [sys.executable, "-c", "; ".join(lines)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert result.stdout == "redis://file.example:6379/7 canary False\n", result.stderr


# What a start costs --------------------------------------------------------------------------------


def test_a_process_imports_the_libraries_that_it_needs_and_not_those_of_others() -> None:
    """A new leader begins later by each of them."""
    program = (
        "import sys\n"
        "from orchestrator.cli.main import program_for\n"
        "program_for(['bridge'])\n"
        "import orchestrator.bridge.service\n"
        "print(*sys.modules)\n"
        "program_for(['status'])\n"
        "print(*sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    bridge, any_command = (set(line.split()) for line in done.stdout.splitlines())

    openstack = {"heatclient", "keystoneauth1", "openstack"}
    assert not bridge & {*openstack, "jsonschema", "requests", "orchestrator.cli.commands"}
    assert not any_command & openstack
    assert "orchestrator.cli.commands" in any_command


@pytest.mark.parametrize(
    "arguments", [["bridge", "--help"], ["bridge", "--nonsense"], ["bridge", "more"]]
)
def test_the_bridge_answers_the_same_in_the_program_that_has_no_other_command(
    arguments: list[str],
) -> None:
    alone = CliRunner().invoke(program_for(arguments), arguments)
    of_all = CliRunner().invoke(app, arguments)

    assert (alone.exit_code, alone.output) == (of_all.exit_code, of_all.output)
    assert "orchestrator bridge" in alone.output


def test_without_an_endpoint_the_tracer_is_not_imported() -> None:
    # redis-py imports some of OpenTelemetry by itself, where it is installed.
    program = (
        "import sys, orchestrator.bridge.service, tasks.app;"
        "ours = ('orchestrator.tracing.spans', 'opentelemetry.sdk.trace');"
        "print([name for name in sys.modules if name in ours])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert done.stdout == "[]\n", done.stderr
    assert open_tracer("", "orchestrator-bridge") is None
