"""``python -m tests.chaos``; see ``--help``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from . import check
from .facts import Facts
from .faults import PROFILES
from .report import table
from .run import Options, run


def main() -> int:
    """0 when no rule was broken, else 1."""
    given = _arguments()
    if given.recheck:
        violations = check.check(Facts.load(given.recheck))
        for violation in violations:
            print(violation, *violation.evidence, sep="\n      ")
        print(f"violations: {len(violations)}")
        return 1 if violations else 0
    names = (
        "seconds",
        "seed",
        "bridges",
        "workers",
        "resources",
        "tenants",
        "rate",
        "fault_every",
        "verb_every",
        "quiet_within",
        "profile",
        "keep",
    )
    result = run(
        Options(**{name: getattr(given, name) for name in names}),
        lambda text: print(text, file=sys.stderr, flush=True),
    )
    print(table(result))
    if given.json:
        given.json.write_text(json.dumps(result.document(), indent=2) + "\n")
    return 1 if result.violations else 0


def _arguments() -> argparse.Namespace:
    default = Options()
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description="Faults at random, then an independent check."
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=default.seconds,
        help="how long operations and faults go on",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=default.seed,
        help="chooses operations, faults and what Heat does",
    )
    parser.add_argument("--bridges", type=int, default=default.bridges)
    parser.add_argument("--workers", type=int, default=default.workers)
    parser.add_argument(
        "--resources", type=int, default=default.resources, help="how many ids there are"
    )
    parser.add_argument("--tenants", type=int, default=default.tenants)
    parser.add_argument(
        "--rate",
        type=float,
        default=default.rate,
        metavar="OPS_PER_S",
        help="steps of the generator a second",
    )
    parser.add_argument(
        "--fault-every",
        type=float,
        default=default.fault_every,
        metavar="SECONDS",
        help="on average",
    )
    parser.add_argument(
        "--verb-every",
        type=float,
        default=default.verb_every,
        metavar="SECONDS",
        help="of an operator, on average; 0: nobody asks for anything",
    )
    parser.add_argument(
        "--quiet-within",
        type=float,
        default=default.quiet_within,
        metavar="SECONDS",
        help="after the faults",
    )
    parser.add_argument(
        "--profile",
        choices=PROFILES,
        default=default.profile,
        help="etcd: a member of etcd is lost and the leading bridge is killed, again and again, and each takeover is timed",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there")
    parser.add_argument(
        "--keep", action="store_true", help="keep logs and history though nothing was wrong"
    )
    parser.add_argument(
        "--recheck",
        type=Path,
        metavar="FOLDER",
        help="check the history of an earlier run again, and stop",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
