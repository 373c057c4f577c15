"""What is deployed knows every setting there is."""

from __future__ import annotations

from pathlib import Path

from orchestrator.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def test_the_environment_example_names_every_setting() -> None:
    text = (ROOT / "deploy" / "systemd" / "orchestrator.env.example").read_text()
    assert [name for name in Settings.model_fields if f"ORCHESTRATOR_{name.upper()}=" not in text] == []
