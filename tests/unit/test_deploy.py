"""What is deployed knows every setting there is, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from orchestrator.environment import ENV_FILE
from orchestrator.settings import Settings, hidden

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def test_the_environment_example_names_every_setting() -> None:
    text = (DEPLOY / "systemd" / "orchestrator.env.example").read_text()
    assert [name for name in Settings.model_fields if f"ORCHESTRATOR_{name.upper()}=" not in text] == []


def test_nothing_sets_what_is_no_setting() -> None:
    known = {f"ORCHESTRATOR_{name.upper()}" for name in Settings.model_fields}
    known |= {f"ORCHESTRATOR_{name.upper()}_FILE" for name in Settings.model_fields if hidden(name)}
    known.add(ENV_FILE)
    named = {
        name
        for path in DEPLOY.rglob("*")
        if path.is_file()
        for name in re.findall(r"\bORCHESTRATOR_[A-Z_]+\b(?=\s*[:=,}])", path.read_text())
    }
    assert named - known == set()


def test_every_yaml_file_can_be_read() -> None:
    for path in DEPLOY.rglob("*.yaml"):
        assert list(yaml.safe_load_all(path.read_text())), path
