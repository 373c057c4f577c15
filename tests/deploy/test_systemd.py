"""The units: by systemd's own check where it is installed, and what settings they give."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from dotenv import dotenv_values
from orchestrator import settings
from orchestrator.bridge import systemd
from orchestrator.errors import SettingsError

SYSTEMD = Path(__file__).resolve().parents[2] / "deploy" / "systemd"
UNITS = (
    "orchestrator-bridge",
    "orchestrator-worker@",
    "orchestrator-historian",
    "orchestrator-flower",
)
SECRETS = {"broker-url": "redis://:canary@redis:6379/0", "os-password": "canary"}
"""What lies in /etc/orchestrator/secrets."""
_SPAN = {"s": 1.0, "": 1.0, "min": 60.0}


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit and, if they are installed, its drop-ins."""

    lines: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, name: str, *, drop_ins: bool = False) -> Unit:
        files = [SYSTEMD / f"{name}.service"]
        if drop_ins:
            files += (SYSTEMD / "orchestrator-.service.d").glob("*.conf")
            files += (SYSTEMD / f"{name}.service.d").glob("*.conf")
        text = "\n".join(file.read_text() for file in files)
        found = re.findall(r"^([A-Z]\w*)=(.*)$", text, re.MULTILINE)
        return cls(tuple(found))

    def all(self, directive: str) -> list[str]:
        return [value for name, value in self.lines if name == directive]

    def one(self, directive: str) -> str:
        """
        :raises AssertionError: it is not there, or there more than once.
        """
        found = self.all(directive)
        assert len(found) == 1, (directive, found)
        return found[0]

    def seconds(self, directive: str) -> float:
        matched = re.fullmatch(r"(\d+)(s|min|)", self.one(directive))
        assert matched, directive
        return int(matched[1]) * _SPAN[matched[2]]


def enter(unit: Unit, folder: Path) -> dict[str, str]:
    """The environment that systemd gives a unit's process; its credentials are in *folder* (``%d``).

    The examples stand for the files of /etc/orchestrator, without lines that drop-ins replace.
    """
    environment: dict[str, str] = {}
    for file in unit.all("EnvironmentFile"):
        values = dotenv_values(SYSTEMD / f"{Path(file).name}.example")
        environment |= {name: value for name, value in values.items() if value is not None}
    for credential in unit.all("LoadCredential"):
        name, _, path = credential.partition(":")
        assert path == f"/etc/orchestrator/secrets/{name}"
        (folder / name).write_text(f"{SECRETS[name]}\n")
    for assignment in unit.all("Environment"):
        name, _, value = assignment.partition("=")
        environment[name] = value.replace("%d", str(folder))
        if name.endswith("_FILE"):
            environment.pop(name.removesuffix("_FILE"), None)
    return environment


@pytest.mark.parametrize("name", UNITS)
def test_every_unit_accepts_its_settings(name: str, tmp_path: Path) -> None:
    environment = enter(Unit.read(name), tmp_path)
    settings.read(environment)
    assert ("OS_AUTH_URL" in environment) == (name == "orchestrator-worker@")


@pytest.mark.parametrize("name", UNITS)
def test_the_drop_ins_hand_secrets_over_as_files(name: str, tmp_path: Path) -> None:
    environment = enter(Unit.read(name, drop_ins=True), tmp_path)
    loaded = settings.read(environment)
    assert loaded.settings.broker_url == SECRETS["broker-url"]
    assert "canary" not in str(environment)
    assert ("OS_PASSWORD_FILE" in environment) == (name == "orchestrator-worker@")


def test_a_secret_that_is_missing_is_told_by_name(tmp_path: Path) -> None:
    environment = enter(Unit.read("orchestrator-bridge", drop_ins=True), tmp_path)
    (tmp_path / "broker-url").unlink()
    with pytest.raises(SettingsError, match="ORCHESTRATOR_BROKER_URL_FILE"):
        settings.read(environment)


def test_the_drop_ins_of_a_unit_have_names_of_their_own() -> None:
    """Of two with one name systemd reads only the more specific."""
    names = [path.name for path in SYSTEMD.glob("*.d/*.conf")]
    assert len(names) == len(set(names))


def test_the_bridge_is_watched_by_systemd() -> None:
    unit = Unit.read("orchestrator-bridge")
    assert unit.one("Type") == "notify"
    watchdog = unit.seconds("WatchdogSec")
    assert watchdog >= 10 * systemd.Supervision("/socket", watchdog).pause


@pytest.mark.parametrize("name", UNITS)
def test_every_unit_is_started_again_for_ever(name: str) -> None:
    unit = Unit.read(name)
    assert unit.one("Restart") == "always"
    assert unit.one("StartLimitIntervalSec") == "0"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_units_and_their_drop_ins(tmp_path: Path) -> None:
    done = verify(tmp_path)
    about_ours = [line for line in done.stderr.splitlines() if "orchestrator-" in line]
    assert (done.returncode, about_ours) == (0, [])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize(
    "file", ["orchestrator-bridge.service", "orchestrator-.service.d/secrets.conf"]
)
def test_a_directive_that_systemd_does_not_know_is_found(tmp_path: Path, file: str) -> None:
    done = verify(tmp_path, spoilt=file)
    assert "NoSuchThing" in done.stderr


def verify(folder: Path, spoilt: str = "") -> subprocess.CompletedProcess[str]:
    """Check copies whose programs exist.

    :param spoilt: a file that gets a directive of no meaning.
    """
    units = Path(shutil.copytree(SYSTEMD, folder / "units"))
    for name in ("orchestrator", "celery"):
        (folder / name).symlink_to("/bin/true")
    for path in [*units.rglob("*.service"), *units.rglob("*.conf")]:
        text = path.read_text().replace("/opt/orchestrator/bin/", f"{folder}/")
        if path == units / spoilt:
            text = text.replace("[Service]\n", "[Service]\nNoSuchThing=1\n")
        path.write_text(text)
    names = ["orchestrator-bridge", "orchestrator-worker@1", "orchestrator-historian"]
    names.append("orchestrator-flower")
    (units / "orchestrator-worker@1.service").symlink_to("orchestrator-worker@.service")
    files = [str(units / f"{name}.service") for name in names]
    command = ["systemd-analyze", "verify", "--man=no", *files]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_history_lies_in_the_folder_that_the_historian_may_write_to(tmp_path: Path) -> None:
    unit = Unit.read("orchestrator-historian")
    file = Path(settings.read(enter(unit, tmp_path)).settings.history_database)
    assert file.parent == Path("/var/lib") / unit.one("StateDirectory")
    assert (unit.one("StateDirectoryMode"), unit.one("UMask")) == ("0700", "0077")
