"""The pinned dependencies of ``constraints/`` are those that setup.cfg asks for, for each Python that it names."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")
PYTHONS = re.findall(r"Python :: (3\.\d+)", SETUP["metadata"]["classifiers"])


def requirements() -> list[Requirement]:
    return [Requirement(line) for line in SETUP["options"]["install_requires"].split("\n") if line]


def pins(python: str) -> dict[str, tuple[str, list[str]]]:
    """The version and the hashes of each package."""
    text = (ROOT / "constraints" / f"python-{python}.txt").read_text()
    entries = re.findall(r"^([\w.-]+)==(\S+)((?: \\\n +--hash=sha256:[0-9a-f]{64})*)", text, re.M)
    return {
        canonicalize_name(name): (version, hashes.split("--hash=")[1:])
        for name, version, hashes in entries
    }


def test_the_newest_and_the_oldest_python_that_are_supported_have_constraints() -> None:
    assert PYTHONS[0] == "3.11"
    assert [path.name for path in sorted((ROOT / "constraints").glob("*.txt"))] == [
        f"python-{python}.txt" for python in PYTHONS
    ]


@pytest.mark.parametrize("python", PYTHONS)
def test_every_requirement_is_pinned_to_a_version_that_it_allows(python: str) -> None:
    pinned = pins(python)

    wrong = {
        str(requirement): pinned.get(canonicalize_name(requirement.name))
        for requirement in requirements()
        if requirement.marker is None or requirement.marker.evaluate({"python_version": python})
        if not requirement.specifier.contains(
            pinned.get(canonicalize_name(requirement.name), ("0", []))[0]
        )
    }

    assert wrong == {}


@pytest.mark.parametrize("python", PYTHONS)
def test_every_pin_has_hashes(python: str) -> None:
    assert [name for name, (_, hashes) in pins(python).items() if not hashes] == []
    assert len(pins(python)) > len(requirements())


@pytest.mark.parametrize("python", PYTHONS)
def test_constraints_name_no_address_and_no_path(python: str) -> None:
    lines = (ROOT / "constraints" / f"python-{python}.txt").read_text().splitlines()

    others = [
        line
        for line in lines
        if not re.fullmatch(r"#.*|[\w.-]+==[\w.!+]+ \\|    --hash=sha256:[0-9a-f]{64}( \\)?", line)
    ]

    assert others == []
    assert [line for line in lines if "://" in line or re.search(r"(^|\s)/", line)] == []
