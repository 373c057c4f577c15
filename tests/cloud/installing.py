"""What the cloud needs on this machine: Debian packages, and an environment of its own for Python.

Packages are installed only by root, and no service is started for them: the tests start MariaDB and
RabbitMQ themselves, on ports and folders of their own.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE / ".venv"
"""Where Keystone and Heat are installed: never in the environment of the project."""

PROGRAMS = {
    "mariadbd": "mariadb-server-core",
    "mariadb-install-db": "mariadb-server-core",
    "my_print_defaults": "mariadb-client-core",  # which the one before needs
    "epmd": "erlang-base",
    "rabbitmqctl": "rabbitmq-server",
}
"""A program that must be on PATH, and the Debian package that has it."""

_POLICY = Path("/usr/sbin/policy-rc.d")


class CannotInstall(Exception):
    """This machine lacks something, and this process may not install it."""


def install() -> Path:
    """Install what is missing; the Python interpreter of the cloud is returned.

    :raises CannotInstall: something is missing, and this process is not root on a Debian.
    """
    missing = {package for program, package in PROGRAMS.items() if _find(program) is None}
    if missing:
        _install_packages(sorted(missing))
    return _environment()


def _find(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def program(name: str) -> str:
    """The path of an installed program.

    :raises CannotInstall: it is not there.
    """
    found = _find(name)
    if found is None:
        raise CannotInstall(f"{name} is not there; install {PROGRAMS[name]}")
    return found


def _install_packages(packages: list[str]) -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        names = " ".join(packages)
        raise CannotInstall(f"not root, or not Debian: install {names} and run this again")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with _no_services():
        subprocess.run(["apt-get", "update", "--quiet"], check=True, env=environment)
        command = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends"]
        subprocess.run([*command, *packages], check=True, env=environment)


@contextmanager
def _no_services() -> Iterator[None]:
    """Within the block, Debian starts no service that it installs."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()


def _environment() -> Path:
    """The interpreter of an environment that has what ``requirements.txt`` says."""
    wanted = HERE / "requirements.txt"
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
    stamp, python = ENVIRONMENT / ".installed", ENVIRONMENT / "bin" / "python"
    if stamp.exists() and stamp.read_text() == digest:
        return python
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--requirement", str(wanted)], check=True)
    stamp.write_text(digest)
    return python
