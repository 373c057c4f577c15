"""What is installed carries all that its commands need.

Built once: a source archive of the checkout with one more type, a wheel of that archive, and an environment with that wheel.
Nothing is fetched: the dependencies are those of this environment.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest
from orchestrator.cli.types import files_of

ROOT = Path(__file__).parents[2]
ANOTHER = "another"
"""A type that is a folder in ``templates/`` and nothing else."""
PARTS = (
    *("orchestrator", "tasks", "templates", "constraints"),
    *(
        "setup.py",
        "setup.cfg",
        "pyproject.toml",
        "MANIFEST.in",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
    ),
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is installed, so that building leaves nothing in the checkout."""
    target = tmp_path_factory.mktemp("tree")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, target / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / part)
    for name, text in files_of(ANOTHER).items():
        file = target / "templates" / ANOTHER / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return target


def run(*command: str | Path, cwd: Path) -> str:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHONPATH", "ORCHESTRATOR_"))
    }
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(tree: Path, kind: str) -> Path:
    """A wheel or a source archive, by the project's own build backend."""
    call = f"from setuptools import build_meta; print(build_meta.build_{kind}('dist'))"
    return tree / "dist" / run(sys.executable, "-c", call, cwd=tree).splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, made of the source archive as a packager makes it."""
    with tarfile.open(build(tree, "sdist")) as archive:
        archive.extractall(folder := tmp_path_factory.mktemp("unpacked"), filter="data")
    (unpacked,) = folder.iterdir()
    return build(unpacked, "wheel")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel; dependencies come from this one. Its folder of programs."""
    environment = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=environment)
    python = environment / "bin" / "python"
    pip = (
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
    )
    run(*pip, wheel, cwd=environment)
    own = Path(
        run(
            python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=environment
        ).strip()
    )
    (own / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment / "bin"


def test_templates_check_passes_on_an_installed_copy(installed: Path, tmp_path: Path) -> None:
    found = json.loads(
        run(installed / "orchestrator", "templates", "check", "-o", "json", cwd=tmp_path)
    )

    own = {file.parent.name for file in (ROOT / "templates").glob("*/schema.yaml")}
    assert {entry["name"] for entry in found} == {*own, ANOTHER}
    assert [entry["problems"] for entry in found] == [[]] * len(found)
    assert all(entry["cases"] for entry in found if entry["template"])


def test_the_installed_catalogue_is_data_of_the_package(installed: Path, tmp_path: Path) -> None:
    program = "from orchestrator.clients import catalogue; print(catalogue.default_folder(), catalogue.__file__)"

    folder, module = map(Path, run(installed / "python", "-c", program, cwd=tmp_path).split())

    assert folder == module.parents[1] / "catalogue"
    assert installed.parent in folder.parents


def test_an_installed_catalogue_is_not_written_to(installed: Path, tmp_path: Path) -> None:
    command = [str(installed / "orchestrator"), "types", "new", "disk"]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHONPATH")
    }

    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "belongs to the installation; name a folder of your own with --folder" in done.stderr


def test_a_type_is_one_folder_a_new_one_is_installed_without_another_change(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    assert f"orchestrator/catalogue/{ANOTHER}/cases/plain.yaml" in names


def test_the_metadata_says_who_and_where(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith("METADATA"))
    metadata = archive.read(name).decode()

    for line in (
        "Author",
        "Project-URL: Documentation",
        "Project-URL: Source",
        "Project-URL: Changelog",
        "Project-URL: Issues",
    ):
        assert f"\n{line}" in metadata
