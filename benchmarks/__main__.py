"""``python -m benchmarks NAME [options]``; ``--save`` keeps the result in ``benchmarks/results``.

``all`` runs one after the other, but for churn, which takes an hour.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys

from . import measuring

BENCHMARKS = (
    "heat",
    "throughput",
    "floor",
    "peers",
    "latency",
    "waiting",
    "shape",
    "existing",
    "restart",
    "planning",
    "night",
    "monitoring",
    "historian",
    "scaling",
    "neighbours",
    "hostile",
    "churn",
    "faults",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    chosen = parser.add_subparsers(dest="name", required=True)
    modules = {name: importlib.import_module(f".runs.{name}", __package__) for name in BENCHMARKS}
    for name, module in modules.items():
        described = chosen.add_parser(
            name, help=(module.__doc__ or "").splitlines()[0], description=module.__doc__
        )
        described.add_argument(
            "--save",
            action="store_true",
            help="write table, numbers and plot to benchmarks/results",
        )
        described.add_argument(
            "--seed", type=int, default=measuring.SEED, help="of every random choice"
        )
        module.arguments(described)
    everything = chosen.add_parser("all", help="one after the other, but for churn")
    everything.add_argument("--save", action="store_true", help="for each")
    options = parser.parse_args()
    if options.name == "all":
        names = [name for name in BENCHMARKS if name != "churn"]
        save = ["--save"] if options.save else []
        # Each in a process of its own, as it is when it is run alone.
        sys.exit(
            max(
                subprocess.run(
                    [sys.executable, "-m", "benchmarks", name, *save], check=False
                ).returncode
                for name in names
            )
        )
    measuring.SEED = options.seed
    modules[options.name].run(options)


if __name__ == "__main__":
    main()
