"""How fast the benchmark's Heat is alone: what it can take is no limit for the contenders."""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import time
from typing import Any

from ..ground import Ground, ground
from ..report import BenchResult


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 2, 4])


def _client(port: int, prefix: str, count: int) -> None:
    """Creates and polls, over the cheapest client that Python has."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for i in range(count // 2):
        body = json.dumps(
            {
                "stack_name": f"{prefix}{i}",
                "template": "heat_template_version: 2018-08-31",
                "parameters": {},
            }
        )
        connection.request("POST", "/v1/t/stacks", body)
        made = json.loads(connection.getresponse().read())
        connection.request("GET", f"/v1/t/stacks/{prefix}{i}/{made['stack']['id']}")
        connection.getresponse().read()


def measure(running: Ground, requests: int, clients: int) -> dict[str, float]:
    """Requests a second, and what one costs Heat, in seconds of CPU."""
    asking = [
        multiprocessing.Process(
            target=_client, args=(running.heat.port, f"{clients}-{n}-", requests // clients)
        )
        for n in range(clients)
    ]
    before, started = running.spent()["Heat"], time.monotonic()
    for client in asking:
        client.start()
    for client in asking:
        client.join()
    seconds = time.monotonic() - started
    return {
        "clients": clients,
        "rate": requests / seconds,
        "cpu": (running.spent()["Heat"] - before) / requests,
    }


def run(options: argparse.Namespace) -> None:
    with ground() as running:
        found = [measure(running, options.requests, clients) for clients in options.clients]
    rows = [
        (f"{each['clients']}", f"{each['rate']:,.0f}", f"{each['cpu'] * 1e6:.0f} µs")
        for each in found
    ]

    def plot(axes: Any) -> None:
        axes.bar([str(each["clients"]) for each in found], [each["rate"] for each in found])
        axes.set_xlabel("clients, each a process that does nothing else")
        axes.set_ylabel("requests a second")

    columns = ("clients", "requests a second, creates and polls in turn", "CPU of Heat for one")
    BenchResult(
        "heat", "The benchmark's Heat alone", columns, rows, data={"runs": found}, plot=plot
    ).publish(save=options.save)
