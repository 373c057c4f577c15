"""The Compose files: validated against the Compose specification, and what settings they give."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values
from orchestrator import settings

DOCKER = Path(__file__).resolve().parents[2] / "deploy" / "docker"
FILES = ("compose.yaml", "gohan.yaml")
OURS = ("bridge", "worker", "historian", "flower")


def check(*files: Path) -> subprocess.CompletedProcess[str]:
    """Validate against the schema that check-jsonschema carries, so that nothing is downloaded."""
    schema = ["--builtin-schema", "vendor.compose-spec"]
    command = [sys.executable, "-m", "check_jsonschema", *schema, *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def services(file: str = "compose.yaml") -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load((DOCKER / file).read_text())["services"])


def test_the_files_follow_the_compose_specification() -> None:
    done = check(*(DOCKER / file for file in FILES))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_key_that_compose_does_not_know_is_found(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    text = (DOCKER / "compose.yaml").read_text()
    wrong.write_text(text.replace("stop_grace_period:", "stop_grace_time:"))
    done = check(wrong)
    assert done.returncode == 1
    assert "stop_grace_time" in done.stdout


@pytest.mark.parametrize("name", OURS)
def test_every_service_accepts_its_settings(name: str) -> None:
    """With the examples in place of the files that they are copied to."""
    service = services()[name]
    environment: dict[str, str] = {}
    for file in service["env_file"]:
        values = dotenv_values(DOCKER / f"{file}.example")
        environment |= {key: value for key, value in values.items() if value is not None}
    loaded = settings.read(environment | service["environment"])
    assert loaded.settings.etcd_endpoints
    assert [key for key in environment if key.startswith("OS_")] == [] or name == "worker"
    assert ("OS_AUTH_URL" in environment) == (name == "worker")


def test_behind_a_gohan_every_service_accepts_its_settings(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("x")
    for name, service in services("gohan.yaml").items():
        environment = services()[name]["environment"] | service["environment"]
        if "secrets" in service:
            environment["ORCHESTRATOR_SCHEMAS_TOKEN_FILE"] = str(token)
        assert settings.read(environment).settings.state_as_string is True


def test_no_service_is_unhealthy_because_of_what_heals_by_itself() -> None:
    """/health is 503 while etcd is away, and a ping over the broker fails while Redis is away."""
    found = services()
    assert "/live" in found["bridge"]["healthcheck"]["test"][-1]
    assert found["worker"]["healthcheck"]["test"] == ["CMD", "python", "-m", "tasks.probe"]


def test_what_is_published_is_published_on_loopback_only() -> None:
    ports = [port for service in services().values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_history_lies_on_a_volume() -> None:
    historian = services()["historian"]
    file = Path(historian["environment"]["ORCHESTRATOR_HISTORY_DATABASE"])
    assert historian["volumes"] == [f"history:{file.parent}"]
    assert f"--owner 10001 {file.parent}" in (DOCKER / "Dockerfile").read_text()
