"""Coverage-guided fuzzing of everything that parses what others write.

Needs atheris (``pip install atheris``). A finding is any exception but the documented one; atheris
prints it with the input and stops. At the end the number of inputs is printed.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from datetime import UTC, datetime

import atheris

with atheris.instrument_imports(include=["orchestrator.core"]):
    from orchestrator.core import monitoring
    from orchestrator.core.jobs import Job
    from orchestrator.core.keys import Keys, Prefixes
    from orchestrator.core.mapping import parse
    from orchestrator.core.resources import parse_config
    from orchestrator.core.schemas import ResourceType, Schemas, parse_schemas
    from orchestrator.core.templates import parse_template_value
    from orchestrator.errors import InvalidInput, MappingSyntaxError

KEYS = Keys(Prefixes(), Schemas([ResourceType("port", "v2.0/ports")]))
NOW = datetime.now(UTC)
counts = {"mapping": 0, "config": 0, "template": 0, "schemas": 0, "job": 0, "target": 0}


def one(data: bytes) -> None:
    """One input, to the parser that its first byte chooses."""
    name, rest = list(counts)[data[0] % len(counts)] if data else "mapping", data[1:]
    counts[name] += 1
    text = rest.decode(errors="surrogateescape")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = text
    match name:
        case "mapping":
            expect(MappingSyntaxError, lambda: parse(document))
        case "config":
            parse_config(KEYS, "/config/v2.0/ports/p1", rest)
        case "template":
            parse_template_value("t", rest)
        case "schemas":
            expect(InvalidInput, lambda: parse_schemas(document))
        case "job":
            expect(ValueError, lambda: Job.from_json(rest))
        case "target":
            monitoring.parse_target(document, NOW)


def expect(kind: type[Exception], call: object) -> None:
    with contextlib.suppress(kind):
        call()  # type: ignore[operator]


def fuzz(seconds: float) -> None:
    """Fuzz for a time, then end the process."""
    end = time.monotonic() + seconds

    def timed(data: bytes) -> None:
        if time.monotonic() > end:
            print(json.dumps({"fuzzer": "parsers", "inputs": sum(counts.values()), **counts}))
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)  # atheris has no other way to end well
        one(data)

    atheris.Setup([sys.argv[0], "-max_len=4096", "-timeout=20"], timed)
    atheris.Fuzz()
