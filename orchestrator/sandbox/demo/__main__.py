"""`python -m orchestrator.sandbox.demo`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .story import DELAY, run


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.sandbox.demo",
        description="See the whole orchestrator at work.",
    )
    parser.add_argument(
        "--once",
        action="store_true",
        help="check every record, tear everything down, exit with 0 if all is right",
    )
    parser.add_argument(
        "--logs",
        type=Path,
        metavar="FOLDER",
        help="folder for logs and data (default: a new temporary one)",
    )
    parser.add_argument(
        "--delay",
        type=float,
        default=DELAY,
        metavar="SECONDS",
        help="how long each simulated operation takes in Heat (default: %(default)s)",
    )
    options = parser.parse_args()
    return run(once=options.once, logs=options.logs, delay=options.delay)


if __name__ == "__main__":
    sys.exit(main())
