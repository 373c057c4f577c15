"""``python -m benchmarks waiting --stacks 200 --seconds 30``"""

from __future__ import annotations

import argparse

from . import throughput, waiting

BENCHMARKS = {"waiting": waiting, "throughput": throughput}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    chosen = parser.add_subparsers(dest="name", required=True)
    for name, module in BENCHMARKS.items():
        module.arguments(chosen.add_parser(name, help=(module.__doc__ or "").splitlines()[0]))
    options = parser.parse_args()
    BENCHMARKS[options.name].run(options)


if __name__ == "__main__":
    main()
