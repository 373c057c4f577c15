"""No secret leaves by accident."""

from __future__ import annotations

import pytest

from orchestrator.core.masking import is_secret, masked, secrets, without
from orchestrator.core.refs import Json


@pytest.mark.parametrize(
    "name", ["password", "adminPassword", "ADMIN_PASSWORD", "client_secret", "auth_token", "credentials", "key", "private_key"]
)
def test_a_secret_is_known_by_its_name(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["name", "output_key", "key_name", "ssh_key_name", "id", "version"])
def test_other_names_are_shown(name: str) -> None:
    assert not is_secret(name)


DOCUMENT: Json = {
    "name": "x",
    "password": "hunter2",
    "empty": {"password": "", "token": None},
    "nested": [{"api_key": {"a": "deep1", "b": ["deep2", 12345, True]}}, "plain"],
}


def test_secrets_are_masked_at_any_depth_and_nothing_else_is() -> None:
    assert masked(DOCUMENT) == {
        "name": "x",
        "password": "***",
        "empty": {"password": "", "token": None},
        "nested": [{"api_key": "***"}, "plain"],
    }
    assert DOCUMENT["password"] == "hunter2"


def test_every_secret_text_and_number_is_found() -> None:
    assert sorted(secrets(DOCUMENT)) == ["", "12345", "deep1", "deep2", "hunter2"]


PAIRS: list[Json] = [
    {"output_key": "admin_password", "output_value": "hunter2"},
    {"param": "password", "value": "hunter2", "resources": []},
]


@pytest.mark.parametrize("record", PAIRS, ids=["stack output", "job parameter"])
def test_a_name_beside_its_value_counts_too(record: dict[str, Json]) -> None:
    assert "hunter2" not in str(masked(record))
    assert "hunter2" in list(secrets(record))


@pytest.mark.parametrize(
    ("text", "hidden", "told"),
    [
        pytest.param("bad value hunter2.", ["hunter2"], "bad value ***.", id="anywhere"),
        pytest.param("hunter22", ["hunter2", "hunter22"], "***", id="the longer one first"),
        pytest.param("port 1", ["1"], "port 1", id="too short to search for"),
        pytest.param("a.b axb", ["a.b "], "***axb", id="not as a pattern"),
        pytest.param("text", [], "text", id="nothing to hide"),
    ],
)
def test_a_text_is_told_without_the_secrets(text: str, hidden: list[str], told: str) -> None:
    assert without(text, hidden) == told
