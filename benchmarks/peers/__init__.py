"""OpenStack TaskFlow as a contender: the same work on the same servers, in two layouts.

- ``best``: jobs on a Redis board, non-blocking conductors, flows in memory. The fastest that we found
  TaskFlow to be; a job whose conductor dies starts again from its first task.
- ``octavia``: what Octavia runs, the one big user of TaskFlow's boards: a logbook in SQL for each job,
  every change of a task's state saved, blocking conductors, claims kept alive by a listener. With more
  than one slot the conductors are non-blocking, which Octavia's are not.

What is made easier for TaskFlow than its users have it: the poster keeps its connections, the conductors
write no log of jobs, etcd is asked in transactions, and the board is looked at more often than by default.

SQL is MariaDB when ``mariadbd`` and ``mariadb-install-db`` are found (``apt install mariadb-server``), as
Octavia runs it; there is no package of it on PyPI. Otherwise it is a file of SQLite, which the table then says.

TaskFlow lives in an environment of its own, made on first use, and :mod:`benchmarks.peers.programs`
run in that one: nothing of it meets ours.
"""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestrator.sandbox.processes import Process, free_port

from ..ground import Ground

CONDUCTOR, POSTER, MARIADB = "taskflow-conductor", "taskflow-poster", "MariaDB"

_HERE = Path(__file__).resolve().parent
_ENVIRONMENT = _HERE / ".venv"
_REQUIREMENTS = _HERE / "requirements.txt"
_SBIN = ("/usr/sbin", "/usr/local/sbin")
"""Where servers are that are not on everybody's PATH."""


@dataclass(frozen=True)
class Layout:
    """What runs. *claims*: jobs a conductor claims at once, running or next; *wait*: seconds between two polls."""

    name: str
    conductors: int
    slots: int
    claims: int
    wait: float
    database: str = ""

    def __str__(self) -> str:
        kind = (
            "blocking conductors"
            if self.database and self.slots == 1
            else f"conductors × {self.slots} slots"
        )
        return f"{self.conductors} {kind}, " + (
            f"logbooks in {self.database}" if self.database else "flows in memory"
        )


def prepare() -> Path:
    """The Python of TaskFlow's environment, which is made when it is missing or its requirements changed."""
    python, stamp = _ENVIRONMENT / "bin" / "python", _ENVIRONMENT / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != _REQUIREMENTS.read_text():
        venv.create(_ENVIRONMENT, clear=True, with_pip=True)
        subprocess.run(
            [python, "-m", "pip", "install", "-qq", "--requirement", _REQUIREMENTS], check=True
        )
        shutil.copy(_REQUIREMENTS, stamp)
    return python


def versions(*names: str) -> dict[str, str]:
    """Versions of packages in TaskFlow's environment."""
    code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    done = subprocess.run(
        [prepare(), "-c", code, *names], capture_output=True, text=True, check=True
    )
    return dict(zip(names, done.stdout.split(), strict=True))


@contextmanager
def taskflow(
    ground: Ground,
    layout: Literal["best", "octavia"] = "best",
    conductors: int = 4,
    slots: int = 64,
    claims: int = 0,
    wait: float = 0.05,
    engine: Literal["parallel", "serial"] = "parallel",
) -> Iterator[Layout]:
    """TaskFlow on *ground*, until the block ends; ``ground.load(nodes(…))`` then measures it.

    :param claims: jobs that a conductor claims at once, 0: as many as it has slots. Each look at the board
        reads all of it, so few claims at a time are dear when much is waiting.
    :param wait: seconds until a conductor that found nothing, or is full, looks again.
    :param engine: of the layout ``octavia``: what runs a job's tasks; ``parallel`` is Octavia's default.
    """
    python = prepare()
    environment = {
        "PEER_ETCD": ground.etcd.endpoint,
        "PEER_REDIS": ground.redis.endpoint,
        "PEER_HEAT": ground.heat.url,
        "PEER_NAMESPACE": f"peer{len(tuple(ground.processes))}",  # a board of its own: nothing is left from the last one
    }
    folder = Path(tempfile.mkdtemp(prefix="peer-", dir=ground.folder))
    try:
        database = ""
        if layout == "octavia":
            environment["PEER_PERSISTENCE"], database = _database(ground, folder)
        command = [str(python), str(_HERE / "programs" / "poster.py")]
        _start(ground, POSTER, command, environment, "watching")
        command = [str(python), str(_HERE / "programs" / "conductor.py"), f"--slots={slots}"]
        command += [f"--claims={claims or slots}", f"--wait={wait}", f"--engine={engine}"]
        for _ in range(conductors):
            _start(ground, CONDUCTOR, command, environment, "conducting")
        yield Layout(layout, conductors, slots, claims or slots, wait, database)
    finally:
        ground.stop(POSTER, CONDUCTOR, MARIADB)
        shutil.rmtree(folder)  # an empty MariaDB is more than a hundred megabytes


def _start(
    ground: Ground, party: str, command: Sequence[str], environment: Mapping[str, str], ready: str
) -> Process:
    """Like :meth:`Ground.start`, for a program that is not our Python."""
    name = f"{party}-{len(tuple(ground.processes))}"
    process = ground.processes.start(name, command, env=dict(environment))
    ground.parties.setdefault(party, []).append(process)
    process.wait_until(lambda: ready in process.log_tail(50), timeout=60, what=ready)
    return process


def _database(ground: Ground, folder: Path) -> tuple[str, str]:
    """An empty database for the logbooks, with its files in *folder*: its URL for SQLAlchemy, and what it is."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *_SBIN])
    server, install = (
        shutil.which("mariadbd", path=path),
        shutil.which("mariadb-install-db", path=path),
    )
    if not server or not install:
        return f"sqlite:///{folder / 'taskflow.sqlite'}", "SQLite"
    user, port, data = getpass.getuser(), free_port(), folder / "data"
    made = [install, "--no-defaults", f"--datadir={data}", f"--user={user}"]
    subprocess.run(
        [*made, "--auth-root-authentication-method=normal", "--skip-test-db"],
        check=True,
        capture_output=True,
    )
    (folder / "init.sql").write_text("CREATE DATABASE taskflow CHARACTER SET utf8mb4;\n")
    command = [
        server,
        "--no-defaults",
        f"--datadir={data}",
        f"--user={user}",
        f"--port={port}",
        "--bind-address=127.0.0.1",
    ]
    command += [
        f"--socket={folder / 'socket'}",
        f"--pid-file={folder / 'pid'}",
        f"--init-file={folder / 'init.sql'}",
    ]
    _start(ground, MARIADB, command, {}, "ready for connections")
    said = subprocess.run([server, "--version"], check=True, capture_output=True, text=True).stdout
    version = said.partition("Ver ")[2].partition("-")[0]
    return f"mysql+pymysql://root@127.0.0.1:{port}/taskflow?charset=utf8mb4", f"MariaDB {version}"
