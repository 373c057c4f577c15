"""What the servers were asked over a while, by their own counters."""

from __future__ import annotations

import re
import socket
import urllib.request
from collections import Counter

from .ground import Ground

_HANDLED = re.compile(r'grpc_server_handled_total\{.*grpc_code="OK".*grpc_method="(\w+)".*\} (\S+)')
_PLAIN = re.compile(
    r"(etcd_debugging_mvcc_range_total|etcd_mvcc_range_total|etcd_mvcc_put_total|etcd_mvcc_delete_total) (\S+)"
)


def etcd(ground: Ground) -> Counter[str]:
    """Calls by method, and what became of the keys."""
    with urllib.request.urlopen(f"{ground.etcd.url}/metrics") as answer:
        text = answer.read().decode()
    found: Counter[str] = Counter()
    for line in text.splitlines():
        if match := _HANDLED.match(line):
            found[match[1]] += int(float(match[2]))
        elif match := _PLAIN.match(line):
            kind = (
                match[1]
                .removeprefix("etcd_")
                .removeprefix("debugging_")
                .removeprefix("mvcc_")
                .removesuffix("_total")
            )
            found[f"{kind}s"] = int(float(match[2]))
    return found


def redis(ground: Ground) -> Counter[str]:
    """Calls by command."""
    with (
        socket.create_connection(("127.0.0.1", ground.redis.port), timeout=5) as connection,
        connection.makefile("rb") as reply,
    ):
        connection.sendall(b"INFO commandstats\r\n")
        text = reply.read(int(reply.readline()[1:])).decode()
    return Counter({m[1]: int(m[2]) for m in re.finditer(r"cmdstat_([^:]+):calls=(\d+)", text)})


def since(now: Counter[str], before: Counter[str]) -> dict[str, int]:
    """What is more, the most first."""
    return dict((now - before).most_common())


def told(calls: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in calls.items()) or "none"
