"""The ways into Redis: TLS, certificates, users, a Unix socket; and those that are refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from orchestrator.clients.broker import BrokerAccess
from orchestrator.clients.queue import Queue
from orchestrator.core.refs import RunId
from orchestrator.errors import BrokerUnavailable, SettingsError
from orchestrator.sandbox import servers
from orchestrator.sandbox.processes import Processes, free_port
from redis import Redis

from tests.certificates import certificate as issue
from tests.faults.brokers import TlsProxy, flower
from tests.integration.system import NODE_SCHEMAS, NODE_TEMPLATE, System, system
from tests.scripted.heat import ScriptedHeat

JOB = (RunId("t1/create:heat_worker:network:n1:1:aaaaa"),)
ODD = "p;w/d,@ %?#:[ü]&=+"
"""A password of all that means something in a URL."""


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with Processes(tmp_path / "servers") as group:
        yield group


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """A folder with a CA, and certificates of a server and of a client that it signed."""
    key = issue(tmp_path, "ca", None)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
    issue(tmp_path, "server", (name, key))
    issue(tmp_path, "client", (name, key))
    issue(tmp_path, "stranger", None)
    return tmp_path


@pytest.fixture
def secured(processes: Processes, authority: Path) -> Iterator[TlsProxy]:
    server = servers.redis(processes)
    with TlsProxy(server.port, authority / "server.pem", authority / "server.key") as proxy:
        yield proxy


def use(access: BrokerAccess) -> int:
    """Send a message. How many there are then."""
    queue = Queue(access)
    try:
        queue.start(JOB)
        return queue.depth()
    finally:
        queue.close()


# TLS ---------------------------------------------------------------------------------------------------


def test_a_certificate_of_our_ca_is_taken(secured: TlsProxy, authority: Path) -> None:
    url = f"rediss://127.0.0.1:{secured.port}/0"

    assert use(BrokerAccess(url, ca=str(authority / "ca.pem"))) == 1
    assert secured.handshakes > 0


@pytest.mark.parametrize(
    "access",
    [
        pytest.param(lambda url, folder: BrokerAccess(url), id="nothing said of a CA"),
        pytest.param(
            lambda url, folder: BrokerAccess(url, ca=str(folder / "stranger.pem")),
            id="another CA",
        ),
        pytest.param(
            lambda url, folder: BrokerAccess(
                url.replace("127.0.0.1", "localhost"),
                ca=str(folder / "ca.pem"),
            ),
            id="another name",
        ),
    ],
)
def test_a_certificate_that_cannot_be_verified_is_refused_by_default(
    secured: TlsProxy,
    authority: Path,
    access: Callable[[str, Path], BrokerAccess],
) -> None:
    """kombu's own default for rediss:// is to verify nothing."""
    with pytest.raises(BrokerUnavailable, match=r"(?i)certificate verify failed"):
        use(access(f"rediss://127.0.0.1:{secured.port}/0", authority))


def test_verification_is_off_only_when_told(secured: TlsProxy) -> None:
    url = f"rediss://127.0.0.1:{secured.port}"

    assert use(BrokerAccess(f"{url}/0?ssl_cert_reqs=none")) == 1
    assert use(BrokerAccess(f"{url}/1", tls_verify=False)) == 1


def test_a_server_that_asks_for_a_certificate_gets_ours(
    processes: Processes,
    authority: Path,
) -> None:
    server = servers.redis(processes)
    ca = str(authority / "ca.pem")
    certificate, key = str(authority / "client.pem"), str(authority / "client.key")
    pair = (authority / "server.pem", authority / "server.key")
    with TlsProxy(server.port, *pair, client_ca=authority / "ca.pem") as proxy:
        url = f"rediss://127.0.0.1:{proxy.port}"
        assert use(BrokerAccess(f"{url}/0", ca=ca, certificate=certificate, key=key)) == 1
        with pytest.raises(BrokerUnavailable):
            use(BrokerAccess(f"{url}/1", ca=ca))


def test_jobs_run_with_tls_and_flower_shows_them(
    tmp_path: Path,
    secured: TlsProxy,
    authority: Path,
) -> None:
    settings = {
        "ORCHESTRATOR_BROKER_URL": f"rediss://127.0.0.1:{secured.port}/0",
        "ORCHESTRATOR_BROKER_CA": str(authority / "ca.pem"),
    }
    runs(tmp_path / "system", settings)


# Users -------------------------------------------------------------------------------------------------

ACL = "user orchestrator on >{} {} &* +@all -@admin -@dangerous +info"
"""As docs/howto/run-in-production.md has it."""
PREFIX = {"ORCHESTRATOR_BROKER_TRANSPORT_OPTIONS": '{"global_keyprefix": "orchestrator:"}'}


@pytest.mark.parametrize(
    ("keys", "more"),
    [
        pytest.param("~*", {}, id="any key"),
        pytest.param("~orchestrator:*", PREFIX, id="a prefix"),
    ],
)
def test_a_user_with_an_odd_password_and_few_rights_can_do_all(
    tmp_path: Path,
    processes: Processes,
    keys: str,
    more: dict[str, str],
) -> None:
    users = tmp_path / "users.acl"
    odd = ODD.replace(" ", "")  # an ACL file has no way to write a blank
    users.write_text(ACL.format(odd, keys) + "\nuser default off\n")
    server = servers.redis(processes, options=["--aclfile", str(users)])
    secret = tmp_path / "broker-url"
    url = f"redis://orchestrator:{quote(odd, safe='')}@127.0.0.1:{server.port}/2"
    secret.write_text(url + "\n")

    logs = runs(tmp_path / "system", {"ORCHESTRATOR_BROKER_URL_FILE": str(secret), **more})

    assert odd not in logs
    assert quote(odd, safe="") not in logs


def test_a_user_without_info_is_taken_for_one_of_no_cluster(
    tmp_path: Path, processes: Processes
) -> None:
    users = tmp_path / "users.acl"
    users.write_text("user ann on >secret ~* &* +@all -info\nuser default off\n")
    server = servers.redis(processes, options=["--aclfile", str(users)])

    assert use(BrokerAccess(f"redis://ann:secret@127.0.0.1:{server.port}/0")) == 1


@pytest.mark.parametrize(
    "password",
    ["abc;def", "abc,def", ODD, "a%zz", "%41", "***", "sentinel:", "a b", "'\"`$()"],
)
def test_a_password_may_consist_of_anything(processes: Processes, password: str) -> None:
    server = servers.redis(processes, options=["--requirepass", password])
    address = f"127.0.0.1:{server.port}/0"

    assert use(BrokerAccess(f"redis://:{quote(password, safe='')}@{address}")) == 1
    with Redis(port=server.port, password=password) as client:
        client.flushall()
    if not set(password) & set("/?#%"):
        assert use(BrokerAccess(f"redis://:{password}@{address}")) == 1


def test_a_wrong_password_is_told_by_redis_own_words(processes: Processes) -> None:
    server = servers.redis(processes, options=["--requirepass", "right"])

    with pytest.raises(BrokerUnavailable, match=r"WRONGPASS|invalid username-password") as refused:
        use(BrokerAccess(f"redis://:canary@127.0.0.1:{server.port}/0"))

    assert "canary" not in str(refused.value)


# Other places ------------------------------------------------------------------------------------------


def test_a_unix_socket_and_an_ipv6_address_lead_to_redis(
    tmp_path: Path,
    processes: Processes,
) -> None:
    path = tmp_path / "redis.sock"
    options = ["--unixsocket", str(path), "--bind", "127.0.0.1", "::1"]
    server = servers.redis(processes, options=options)

    assert use(BrokerAccess(f"redis+socket://{path}?virtual_host=1")) == 1
    assert use(BrokerAccess(f"redis://[::1]:{server.port}/1")) == 2


def test_two_orchestrators_share_a_database_by_a_prefix(processes: Processes) -> None:
    server = servers.redis(processes)
    one = BrokerAccess(server.url, options={"global_keyprefix": "one:"})
    two = BrokerAccess(server.url, options={"global_keyprefix": "two:"})

    assert (use(one), use(one), use(two)) == (1, 2, 1)
    queues = [Queue(one), Queue(two)]
    assert [queue.lost_everything() for queue in queues] == [True, True]
    assert [queue.lost_everything() for queue in queues] == [False, False]


# What cannot work --------------------------------------------------------------------------------------


def port_for_cluster() -> int:
    """A node of a cluster talks to others on the port 10,000 higher."""
    return next(port for port in iter(free_port, None) if port < 55_000)


def test_a_redis_cluster_is_refused_with_a_sentence(processes: Processes, tmp_path: Path) -> None:
    options = ["--cluster-enabled", "yes", "--cluster-config-file", str(tmp_path / "nodes.conf")]
    server = servers.redis(processes, port=port_for_cluster(), options=options)
    environment = {
        "ORCHESTRATOR_BROKER_URL": server.url,
        "ORCHESTRATOR_ETCD_ENDPOINTS": f"127.0.0.1:{free_port()}",
    }
    bridge = ["-c", "from orchestrator.cli import main; main()", "bridge"]
    worker = ["-m", "celery", "-A", "tasks", "worker", "--concurrency=1"]

    with pytest.raises(SettingsError, match=r"ORCHESTRATOR_BROKER_URL.*cluster"):
        Queue(BrokerAccess(server.url)).refuse_cluster()
    for name, command in (("bridge", bridge), ("worker", worker)):
        process = processes.start(name, [sys.executable, *command], env=environment)
        assert process.wait(60) == 2, process.log_tail()
        told = "error: ORCHESTRATOR_BROKER_URL: this Redis runs in cluster mode"
        assert told in process.log_tail()


def test_a_broker_that_turns_out_to_be_a_cluster_is_told_at_every_try(processes: Processes) -> None:
    """It was away when the process began."""
    port = port_for_cluster()
    queue = Queue(BrokerAccess(f"redis://127.0.0.1:{port}/0"))
    queue.refuse_cluster()
    servers.redis(processes, port=port, options=["--cluster-enabled", "yes"])

    for _ in range(2):
        with pytest.raises(BrokerUnavailable, match="cluster mode"):
            queue.start(JOB)


# All of it ---------------------------------------------------------------------------------------------


def runs(folder: Path, settings: dict[str, str]) -> str:
    """Bridge, worker and Flower with these settings build a node. All that they logged."""
    with (
        ScriptedHeat() as heat,
        system(folder, heat.environment(), schemas=NODE_SCHEMAS, bridges=0, workers=0) as nodes,
    ):
        if "ORCHESTRATOR_BROKER_URL_FILE" in settings:
            del nodes.environment["ORCHESTRATOR_BROKER_URL"]
        nodes.environment |= settings
        nodes.put("heat_template", "node", **NODE_TEMPLATE)
        nodes.bridge()
        nodes.worker()
        dashboard = flower(nodes)
        nodes.await_state(nodes.put("node", "one"), "CREATE_COMPLETED")
        dashboard.await_events(nodes)
        assert "orchestrator.jobs" in dashboard.get("/broker")
        assert "pong" in _ping(nodes)
        everyone = (*nodes.bridges, *nodes.workers, dashboard.process)
        return "".join(process.log.read_text() for process in everyone)


def _ping(nodes: System) -> str:
    command = [sys.executable, "-m", "celery", "-A", "tasks", "inspect", "ping", "--timeout", "5"]
    environment = {**os.environ, **nodes.environment}
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    return answer.stdout + answer.stderr
