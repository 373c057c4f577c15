"""How fast the benchmark's Heat is alone: what it can take is no limit for the contenders."""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import time

from ..ground import ground
from ..report import Result


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=2)


def _client(port: int, prefix: str, count: int) -> None:
    """Creates and looks, over the cheapest client that Python has."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for i in range(count // 2):
        body = json.dumps({"stack_name": f"{prefix}{i}", "template": "heat_template_version: 2018-08-31", "parameters": {}})
        connection.request("POST", "/v1/t/stacks", body)
        made = json.loads(connection.getresponse().read())
        connection.request("GET", f"/v1/t/stacks/{prefix}{i}/{made['stack']['id']}")
        connection.getresponse().read()


def run(options: argparse.Namespace) -> None:
    with ground() as running:
        share = options.requests // options.clients
        clients = [
            multiprocessing.Process(target=_client, args=(running.heat.port, f"c{n}-", share)) for n in range(options.clients)
        ]
        before, started = running.spent()["Heat"], time.monotonic()
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        seconds = time.monotonic() - started
        cpu = running.spent()["Heat"] - before
    rate = options.requests / seconds
    rows = [
        ("requests a second, creates and looks in turn", f"{rate:,.0f}"),
        ("CPU of a request", f"{cpu / options.requests * 1e6:.0f} µs"),
    ]
    title = f"The benchmark's Heat alone: {options.clients} clients"
    data = {"requests_per_second": rate, "cpu_seconds_per_request": cpu / options.requests}
    Result("heat", title, ("measured", "value"), rows, data=data).publish(save=options.save)
