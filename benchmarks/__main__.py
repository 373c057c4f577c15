"""``python -m benchmarks NAME [options]``; ``--save`` keeps the result in ``benchmarks/results``."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

BENCHMARKS = (
    "heat",
    "throughput",
    "floor",
    "peers",
    "latency",
    "waiting",
    "shape",
    "existing",
    "monitoring",
    "scaling",
    "churn",
    "faults",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    chosen = parser.add_subparsers(dest="name", required=True)
    there = [name for name in BENCHMARKS if (Path(__file__).parent / "runs" / f"{name}.py").exists()]
    modules = {name: importlib.import_module(f".runs.{name}", __package__) for name in there}
    for name, module in modules.items():
        described = chosen.add_parser(name, help=(module.__doc__ or "").splitlines()[0], description=module.__doc__)
        described.add_argument("--save", action="store_true", help="write table, numbers and plot to benchmarks/results")
        module.arguments(described)
    options = parser.parse_args()
    modules[options.name].run(options)


if __name__ == "__main__":
    main()
