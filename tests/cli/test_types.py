"""``types new`` makes a folder that passes the check, and touches nothing that is there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from orchestrator.clients import catalogue

from .conftest import Records, Run_


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the project's catalogue."""
    return Path(shutil.copytree(catalogue.default_folder(), tmp_path / "mine"))


@pytest.mark.parametrize("name", ["disk", "vpn_gateway", "policy", "switch", "a1"])
def test_a_new_type_passes_the_check(run: Run_, folder: Path, name: str) -> None:
    made = run("types", "new", name, "--folder", str(folder))
    checked = run("templates", "check", "--folder", str(folder), "-o", "json")

    assert made.exit_code == 0, made.output
    assert checked.exit_code == 0
    (entry,) = (entry for entry in json.loads(checked.stdout) if entry["name"] == name)
    assert (entry["template"], entry["cases"], entry["problems"], entry["hints"]) == (
        True,
        ["plain"],
        [],
        [],
    )


def test_what_was_made_and_what_comes_next_is_told(run: Run_, folder: Path) -> None:
    result = run("types", "new", "disk", "--folder", str(folder))

    assert result.stdout.splitlines() == [
        "created mine/disk/schema.yaml",
        "created mine/disk/mapping.yaml",
        "created mine/disk/template.yaml.j2",
        "created mine/disk/cases/plain.yaml",
        f"Next: edit them, then `orchestrator templates check disk --folder {folder}`.",
    ]


def test_a_new_type_alone_is_a_catalogue(run: Run_, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    assert run("types", "new", "disk", "--folder", "empty").exit_code == 0
    assert run("templates", "check", "empty/disk").exit_code == 0


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("port", "is there already"),
        ("Disk", "the name 'Disk' cannot be used"),
        ("../disk", "cannot be used"),
        ("disk-1", "cannot be used"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused_and_nothing_is_written(
    run: Run_, folder: Path, name: str, error: str
) -> None:
    before = sorted(folder.rglob("*"))

    result = run("types", "new", name, "--folder", str(folder))

    assert result.exit_code == 2
    assert error in result.stderr
    assert sorted(folder.rglob("*")) == before


def test_templates_check_takes_folders(run: Run_, folder: Path) -> None:
    (folder / "port" / "mapping.yaml").write_text("parameter_mappings: {name: Pnmae}\n")

    one = run("templates", "check", str(folder / "port"))
    other = run("templates", "check", str(folder / "network"))

    assert (one.exit_code, other.exit_code) == (1, 0)
    assert (
        "mine/port/mapping.yaml:1: parameter_mappings.name: port has no property 'nmae'; did you mean name?"
        in one.stdout
    )
    assert run("templates", "check", "./nowhere").exit_code == 2


def test_templates_of_etcd_are_checked_with_the_catalogues_cases(
    run: Run_, written: Records
) -> None:
    assert run("templates", "push", "network", "subnet").exit_code == 0
    key = f"{written.keys.config}v2.0/heat_templates/network"
    good = run("templates", "check", "--etcd")
    kv = written.store.get(key)
    assert kv is not None
    written.store.put(key, kv.value.decode().replace("mtu:", "mut:"))

    bad = run("templates", "check", "--etcd")

    assert good.exit_code == 0, good.output
    assert [line.split()[0] for line in good.stdout.splitlines()] == [
        "TEMPLATE",
        "network",
        "subnet",
        "2",
    ]
    assert bad.exit_code == 1
    assert "heat_templates/network/template_file:" in bad.stdout
    assert run("templates", "check", "--etcd", "port").exit_code == 2
