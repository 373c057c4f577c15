"""What is deployed knows every setting there is, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import orchestrator
import pytest
import yaml
from orchestrator import settings
from orchestrator.settings import Settings, hidden
from orchestrator.settings.environment import ENV_FILE

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
SYSTEMD = DEPLOY / "systemd" / "orchestrator.env.example"
DOCKER = DEPLOY / "docker" / "orchestrator.env.example"
IN_COMPOSE = {"ORCHESTRATOR_ETCD_ENDPOINTS", "ORCHESTRATOR_BROKER_URL", "ORCHESTRATOR_HEALTH_PORT"}
"""What compose.yaml sets."""


def found(pattern: str) -> set[str]:
    """What a pattern finds in all files of ``deploy/``."""
    files = [path for path in DEPLOY.rglob("*") if path.is_file()]
    return {text for path in files for text in re.findall(pattern, path.read_text())}


def commented(example: Path) -> list[tuple[str, str]]:
    """The settings of an example, in its order, each with the default that it shows.

    Without those for an upstream Gohan, which are other values.
    """
    text, _, _ = example.read_text().partition("# Behind an upstream Gohan")
    return re.findall(r"^#(ORCHESTRATOR_[A-Z_]+)=(.*)$", text, re.MULTILINE)


def test_the_environment_example_names_every_setting_once() -> None:
    names = [name for name, _ in commented(SYSTEMD)]
    assert sorted(names) == sorted(f"ORCHESTRATOR_{name.upper()}" for name in Settings.model_fields)


def test_the_environment_example_shows_the_defaults() -> None:
    shown = {name: value for name, value in commented(SYSTEMD) if value}
    assert settings.read(shown).settings == Settings()


def test_the_example_for_containers_is_the_same_without_what_compose_sets() -> None:
    expected = [line for line in commented(SYSTEMD) if line[0] not in IN_COMPOSE]
    assert commented(DOCKER) == expected


def test_the_examples_for_openstack_are_the_same() -> None:
    systemd = DEPLOY / "systemd" / "openstack.env.example"
    docker = DEPLOY / "docker" / "openstack.env.example"
    assert systemd.read_text() == docker.read_text()


def test_nothing_sets_what_is_no_setting() -> None:
    known = {f"ORCHESTRATOR_{name.upper()}" for name in Settings.model_fields}
    known |= {f"ORCHESTRATOR_{name.upper()}_FILE" for name in Settings.model_fields if hidden(name)}
    known.add(ENV_FILE)
    assert found(r"\bORCHESTRATOR_[A-Z_]+\b(?=\s*[:=,}])") - known == set()


def test_every_yaml_file_can_be_read() -> None:
    for path in DEPLOY.rglob("*.yaml"):
        assert list(yaml.safe_load_all(path.read_text())), path


@pytest.mark.parametrize(
    "example",
    ["systemd/openstack.env.example", "docker/openstack.env.example", "k8s/base/openstack.env"],
)
def test_whoever_fills_in_credentials_is_warned_of_application_credentials(example: str) -> None:
    assert "# Warning: no application credential here" in (DEPLOY / example).read_text()


def test_the_image_has_the_version_of_the_project() -> None:
    assert found(r"\borchestrator:([0-9][\w.]*)") == {orchestrator.__version__}
