"""What ORCHESTRATOR_HISTORY_DATABASE may name."""

from __future__ import annotations

import pytest
from orchestrator import settings
from orchestrator.clients.database import DatabaseAddress, parse
from orchestrator.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "address", "shown"),
    [
        (
            "/var/lib/o/history.db",
            DatabaseAddress("/var/lib/o/history.db"),
            "/var/lib/o/history.db",
        ),
        ("history.db", DatabaseAddress("history.db"), "history.db"),
        ("sqlite:///history.db", DatabaseAddress("history.db"), "history.db"),
        ("sqlite:////srv/history.db", DatabaseAddress("/srv/history.db"), "/srv/history.db"),
        (
            "postgresql://me:canary@db:5433/history?sslmode=require",
            DatabaseAddress(url="postgresql+psycopg://me:canary@db:5433/history?sslmode=require"),
            "PostgreSQL at db:5433/history",
        ),
        (
            "postgres:///history",
            DatabaseAddress(url="postgresql+psycopg:///history"),
            "PostgreSQL at this machine/history",
        ),
    ],
    ids=["absolute path", "relative path", "sqlite", "sqlite, absolute", "server", "socket"],
)
def test_a_path_or_a_url_names_a_database(text: str, address: DatabaseAddress, shown: str) -> None:
    assert parse(text) == address
    assert str(parse(text)) == shown


@pytest.mark.parametrize(
    "text",
    [
        "mysql://me:canary@db/history",
        "postgresql://me:canary@db",
        "postgresql://me:canary@db:port/history",
        "sqlite://",
        "sqlite:canary://x",
    ],
)
def test_what_cannot_be_used_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(SettingsError, match="ORCHESTRATOR_HISTORY_DATABASE") as refused:
        settings.read({"ORCHESTRATOR_HISTORY_DATABASE": text, "ORCHESTRATOR_ENV_FILE": "/dev/null"})

    assert "canary" not in str(refused.value)


def test_the_address_shows_no_password() -> None:
    address = parse("postgresql://me:canary@db/history")
    assert "canary" not in f"{address} {address!r}"
