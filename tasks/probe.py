"""Would a restart help this worker? For liveness probes: ``python -m tasks.probe [NODE]``.

The worker is asked over the broker, as ``celery inspect ping`` does. That alone must not decide on
a restart: while the broker is away no worker answers, and a restart would not help. So the broker
is asked first. Exit codes:

* 0: the worker answers, or the broker does not, so that nobody can tell;
* 1: the broker answers and the worker does not;
* 2: the settings cannot be used.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence

from orchestrator import settings
from orchestrator.clients.queue import Queue
from orchestrator.errors import BrokerUnavailable, SettingsError

PATIENCE = 10.0
"""Seconds within which a worker answers."""


def main(arguments: Sequence[str]) -> int:
    """Ask, print what was found, and give the exit code.

    :param arguments: the worker's name; ``worker@`` and the name of this host if there is none.
    """
    node = next(iter(arguments), f"worker@{socket.gethostname()}")
    try:
        broker = Queue(settings.load().broker)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        broker.depth()
        well = broker.answers(node, PATIENCE)
    except BrokerUnavailable as error:
        print(f"nobody can tell whether {node} is well: {error}")
        return 0
    finally:
        broker.close()
    if well:
        print(f"{node} answers")
        return 0
    print(f"{node} has not answered for {PATIENCE:g} s")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
