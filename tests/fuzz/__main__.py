"""Random inputs for a time: ``make fuzz ARGS="templates --seconds 600"``.

Without a name all of them, one after the other, each for the time that is given. ``parsers`` comes
last, for it ends the process. A finding is an exception, with the seed of the input.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

from . import documents, mappings, patterns, templates
from .running import Fuzzer

FUZZERS: dict[str, Callable[[], Fuzzer[Any]]] = {
    "patterns": patterns.fuzzer,
    "mappings": mappings.fuzzer,
    "templates": templates.fuzzer,
    "documents": documents.fuzzer,
}
PARSERS = "parsers"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        choices=[*FUZZERS, PARSERS, []],
        metavar="name",
        help=", ".join([*FUZZERS, PARSERS]),
    )
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="for each of them (default: 60)"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="of the first input; the next ones count on from there"
    )
    arguments = parser.parse_args()
    names = arguments.names or [*FUZZERS, PARSERS]
    for name in FUZZERS:
        if name in names:
            print(json.dumps(FUZZERS[name]().fuzz(arguments.seed, arguments.seconds)), flush=True)
    if PARSERS in names:
        from . import parsers  # atheris has to be there only for this one

        parsers.fuzz(arguments.seconds)


if __name__ == "__main__":
    main()
