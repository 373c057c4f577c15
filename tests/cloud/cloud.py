"""A cloud of Keystone and Heat: everything started, with a user for the orchestrator.

Started once for all tests. It takes two minutes the first time (packages and an environment are
installed), and 40 s later.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.sandbox.processes import Processes
from orchestrator.sandbox.servers import PACKAGE_ROOT, SandboxServer

from . import configuration, servers
from .identity import CloudIdentity
from .installing import install

ADMIN_PASSWORD = "admin-password"
HEAT_PASSWORD = "heat-password"
USER = "orchestrator"
PASSWORD = "first-password"
ROLE = "member"
PLUGINS = PACKAGE_ROOT / "orchestrator" / "sandbox" / "heat_plugins"


@dataclass
class RealCloud:
    """A running cloud."""

    processes: Processes
    python: Path
    database: servers.Database
    messages: servers.Messages
    keystone: servers.Api
    identity: CloudIdentity
    heat: servers.Api
    heat_settings: Path
    user: str
    """The id of the orchestrator's user."""
    engines: dict[str, SandboxServer] = field(default_factory=dict)
    password: str = PASSWORD
    projects: dict[str, str] = field(default_factory=dict)
    """Ids by name."""

    def start_engine(self, name: str) -> SandboxServer:
        """Start an engine, or start it again after it was killed."""
        if name in self.engines:
            self.engines[name].restart()
        else:
            settings = self.heat_settings
            self.engines[name] = servers.engine(self.processes, name, self.python, settings)
        return self.engines[name]

    def project(self, name: str, *, role: bool = True) -> str:
        """A new project; its id.

        :param role: give the orchestrator's user its role in it.
        """
        made = self.projects[name] = self.identity.project(name)
        if role:
            self.identity.give(ROLE, self.user, project=made)
        return made

    def environment(self) -> dict[str, str]:
        """The ``OS_*`` variables of the orchestrator."""
        return {
            "OS_AUTH_URL": self.identity.url,
            "OS_USERNAME": USER,
            "OS_PASSWORD": self.password,
            "OS_USER_DOMAIN_ID": "default",
            "OS_REGION_NAME": configuration.REGION,
            "OS_IDENTITY_API_VERSION": "3",
        }


@contextmanager
def running(folder: Path, *, expiration: int = 3600) -> Iterator[RealCloud]:
    """Install what is missing, and start the cloud.

    :param expiration: seconds for which a token is valid.
    :raises CannotInstall: see :func:`installing.install`.
    """
    python = install()
    with Processes(folder) as processes:
        cloud = _start(processes, python, expiration)
        cloud.start_engine("engine-1")
        cloud.start_engine("engine-2")
        yield cloud


def _start(processes: Processes, python: Path, expiration: int) -> RealCloud:
    database = servers.database(processes, ("keystone", "heat"))
    messages = servers.messages(processes)
    folder = processes.folder / "keystone"
    settings = configuration.write_keystone(
        folder, database=database.url("keystone"), expiration=expiration
    )
    _prepare_keystone(python, settings)
    keystone = servers.api(
        processes, "keystone", python, settings, {"OS_KEYSTONE_CONFIG_DIR": str(folder)}
    )
    identity = CloudIdentity(f"{keystone.url}/v3", ADMIN_PASSWORD)
    user = _prepare_identity(identity)
    heat_settings = configuration.write_heat(
        processes.folder / "heat",
        database=database.url("heat"),
        messages=messages.url,
        keystone=identity.url,
        plugins=PLUGINS,
        password=HEAT_PASSWORD,
    )
    _run(python.with_name("heat-manage"), "--config-file", heat_settings, "db_sync")
    heat = servers.api(processes, "heat", python, heat_settings, None)
    address = f"{heat.url}/v1/%(tenant_id)s"
    urls = {"public": address, "internal": address}
    identity.service("orchestration", "heat", urls, configuration.REGION)
    return RealCloud(
        processes, python, database, messages, keystone, identity, heat, heat_settings, user
    )


def _prepare_keystone(python: Path, settings: Path) -> None:
    manage = (python.with_name("keystone-manage"), "--config-file", settings)
    _run(*manage, "db_sync")
    for what in ("fernet_setup", "receipt_setup", "credential_setup"):
        _run(*manage, what, "--keystone-user", "root", "--keystone-group", "root")
    region = ("--bootstrap-region-id", configuration.REGION)
    _run(*manage, "bootstrap", "--bootstrap-password", ADMIN_PASSWORD, *region)


def _prepare_identity(identity: CloudIdentity) -> str:
    """The users and projects that Heat needs, and the orchestrator's user, whose id is returned."""
    identity.login()
    urls = {"public": identity.url, "internal": identity.url, "admin": identity.url}
    identity.service("identity", "keystone", urls, configuration.REGION)
    service = identity.project("service")
    heat = identity.user("heat", HEAT_PASSWORD)
    identity.give("admin", heat, project=service)
    domain = identity.domain("heat")
    keeper = identity.user("heat-domain", HEAT_PASSWORD, domain)
    identity.give("admin", keeper, domain=domain)
    identity.role("heat_stack_user")
    return identity.user(USER, PASSWORD)


def _run(*command: object) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
