"""Certificate files that cannot be used are told before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from orchestrator import settings
from orchestrator.clients.etcd import EtcdAccess
from orchestrator.errors import SettingsError

NOT_PEM = "not a certificate"
EMPTY_PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Paths by what is wrong with them."""
    for name, content in (("text", NOT_PEM), ("empty", EMPTY_PEM)):
        (tmp_path / name).write_text(content)
    return {name: str(tmp_path / name) for name in ("missing", "text", "empty")}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [("missing", "cannot be read"), ("text", "not a PEM file"), ("empty", "no certificate")],
)
def test_a_ca_that_cannot_be_used_is_told_by_the_variables_name(
    files: dict[str, str], monkeypatch: pytest.MonkeyPatch, wrong: str, says: str
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_ETCD_CA", files[wrong])

    with pytest.raises(SettingsError, match=rf"ORCHESTRATOR_ETCD_CA: .*{says}"):
        settings.load()


def test_a_certificate_and_a_key_that_are_missing_are_both_told(
    files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_ETCD_CERT", files["missing"])
    monkeypatch.setenv("ORCHESTRATOR_ETCD_KEY", files["text"])

    with pytest.raises(
        SettingsError, match=r"(?s)ORCHESTRATOR_ETCD_CERT: .*ORCHESTRATOR_ETCD_KEY: "
    ):
        settings.load()


@pytest.mark.parametrize(("given", "needed"), [("certificate", "key"), ("key", "certificate")])
def test_a_certificate_needs_a_key_and_a_key_a_certificate(
    files: dict[str, str], given: str, needed: str
) -> None:
    access = EtcdAccess(**{given: files["empty"]})  # type: ignore[arg-type]

    assert [name for name, _ in access.file_faults()] == [needed]


def test_without_files_there_is_nothing_to_tell() -> None:
    assert list(EtcdAccess().file_faults()) == []
