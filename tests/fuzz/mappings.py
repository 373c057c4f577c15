"""Random mappings on random bodies, made to take long and to make much; and broken ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from random import Random
from typing import TypeAlias

from orchestrator.core.planning import Hold, Refuse, Report, Start, decide
from orchestrator.core.refs import Json, Ref
from orchestrator.core.resources import Wanted, parse_config
from orchestrator.core.templates import BadTemplate, parse_template_value
from orchestrator.core.world import World

from tests.factories import keys, schemas

from . import patterns
from .running import Fuzzer

KEYS, SCHEMAS = keys(), schemas()
NODE = Ref("node", "n0")
Documents: TypeAlias = tuple[bytes, Mapping[str, bytes]]
"""A template's value, and the values of some resources."""

_NAMES = ("items", "more", "text", "other", "name", "pattern", "deep", "id", "nothing")
_SHORT: dict[str, tuple[Json, ...]] = {
    "resource": (
        "C",
        "Cx",
        "Ptext",
        "Pname",
        "Pitems",
        "Oplace:text",
        "Fnode+other:text",
        "Mnode:other:id",
        "Vauto_filled",
    ),
    "object": ("C", "Cx", "Ptext", "Pname", "Vauto_filled", {"field": ""}),
    "id": (
        "C",
        "Cx",
        "Vauto_filled",
        {"field": ""},
        {"field": "text", "path": [{"type": "node", "id": ""}]},
    ),
}
"""Mappings without a mapping in them, by what they are evaluated on: the resource, or a loop's
element."""
_BAD: tuple[Json, ...] = ("P", "Xq", "", 3, None, [])
_KEYS = (
    "constant",
    "field",
    "path",
    "output_key",
    "version",
    "if_mapping",
    "then_mapping",
    "for_field",
    "for_mapping",
)


def make(random: Random) -> Documents:
    """The documents of one input."""
    mappings = {
        f"x{n}": _mapping(random, random.randint(0, 6), "resource")
        for n in range(random.choice((1, 1, 2, 5, 40)))
    }
    template = _text(
        {
            "version": 1,
            "body": {"id": "node", "template_file": "x", "parameter_mappings": mappings},
        },
        random,
    )
    count = random.choice((1, 1, 1, 3, 3, 30))
    return template, {f"n{n}": _text(_config(random, n, count), random) for n in range(count)}


def run(documents: Documents) -> str:
    """What the bridge makes of them."""
    value, configs = documents
    template = parse_template_value("node", value)
    wanted: dict[Ref, Wanted] = {}
    for name, config in configs.items():
        parsed = parse_config(KEYS, f"/config/v2.0/nodes/{name}", config, incarnation=1, revision=1)
        if isinstance(parsed, Wanted):
            wanted[parsed.ref] = parsed
    decided = decide(
        World(SCHEMAS, wanted=wanted, templates={"node": template}), NODE, lambda: "00000"
    )
    if isinstance(template, BadTemplate):
        assert len(template.reason) < 2_000
    match decided:
        case Start(job):
            assert len(job.to_json()) < 16 * 1024**2
        case Refuse(failed=failed):
            assert len(failed.error) < 3_000
            return "over a bound" if "more than" in failed.error else "refused"
        case Hold() | Report():
            pass
    return type(decided).__name__.lower()


def fuzzer() -> Fuzzer[Documents]:
    return Fuzzer("mappings", make, run)


# Mappings -----------------------------------------------------------------------------------------


def _mapping(random: Random, depth: int, here: str) -> Json:
    if random.random() < 0.003:
        return random.choice((*_BAD, {random.choice(_KEYS): _mapping(random, depth - 2, here)}))
    if depth <= 0:
        return random.choice(_SHORT[here])
    return random.choice(_MAKERS)(random, depth, here)


def _loop(random: Random, depth: int, here: str) -> Json:
    name = random.choice(("items", "items", "more"))
    inside = "id" if name == "items" else "object"
    items: Json = name if here == "resource" else {"field": name, "path": [_hop(random, here)]}
    if here == "object":
        items, inside = {"constant": ["n0"] * random.choice((1, 9, 99))}, "id"
    return {"for_field": items, "for_mapping": _mapping(random, depth - 1, inside)}


def _if(random: Random, depth: int, here: str) -> Json:
    left, right = _mapping(random, depth - 1, here), _mapping(random, depth - 2, here)
    test = random.choice(("equal", "regexp"))
    if test == "regexp" and random.random() < 0.8:
        left, right = (
            random.choice((random.choice(_SHORT[here]), {"constant": "a" * 40})),
            _pattern(random, here),
        )
    return {
        "if_mapping": {test: [left, right]},
        "then_mapping": _mapping(random, depth - 1, here),
        "else_mapping": _mapping(random, depth - 2, here),
    }


def _pattern(random: Random, here: str) -> Json:
    if random.random() < 0.3:
        return {"field": "pattern", "path": [_hop(random, here)] if here == "id" else []}
    return {"constant": random.choice((*_HOSTILE, patterns.pattern(random, 4)))}


def _concatenation(random: Random, depth: int, here: str) -> Json:
    known = [short for short in _SHORT[here] if isinstance(short, str) and short[0] != "M"]
    parts = [random.choice(known) for _ in range(random.choice((2, 5, 50)))]
    return "A" + "&".join(parts * random.choice((1, 1, 1, 1, 3, 30)))


def _field(random: Random, depth: int, here: str) -> Json:
    path = [
        _hop(random, here),
        *(_hop(random, "resource") for _ in range(random.choice((0, 0, 1, 4)))),
    ]
    mapping: dict[str, Json] = {"path": path, "field": random.choice(_NAMES)}
    if random.random() < 0.2:
        mapping = {"path": path, "output_key": "id"}
    if random.random() < 0.3:
        mapping["ignore_missing"] = True
    return mapping


def _hop(random: Random, here: str) -> Json:
    if random.random() < 0.01:
        return random.choice(({"type": "gone", "id": "x"}, "other", ""))
    return {"type": "node", "id": "" if here == "id" else "other"}


def _constant(random: Random, depth: int, here: str) -> Json:
    return {"constant": _value(random, depth)}


_MAKERS: tuple[Callable[[Random, int, str], Json], ...] = (
    _loop,
    _loop,
    _loop,
    _if,
    _concatenation,
    _field,
    _constant,
)

_HOSTILE = ("(a+)+$", "(a|aa)*b", "(?:a?){4000000000}b", "(a*)*\\1b", ".*.*.*x", "(?=(a+)+$)(a+)+b")
_LENGTHS = (*range(20), 50, 200, 5000)
_TEXTS = ("", "a" * 40, "a" * 1000, "a" * 100_000, "é" * 40_000, None, 7)
_PATTERNS = (*_HOSTILE, ".", "(", "x{99999999999999999999}", "(?i)[\0-\uffff]", "a?" * 490, 3)
_DAMAGE = (b"", b"[" * 2000, b"NaN", b"1e999", b"\xff", b'"', b"{}", b"9" * 5000)


# Bodies -------------------------------------------------------------------------------------------


def _config(random: Random, number: int, count: int) -> Json:
    body: dict[str, Json] = {
        "id": f"n{number}",
        "tenant_id": "t1",
        "other": f"n{random.randint(0, count) if random.random() < 0.1 else random.randrange(count)}",
        "place": {"text": "here"},
        "items": [f"n{random.randrange(count)}" for _ in range(random.choice(_LENGTHS))],
        "more": [_element(random) for _ in range(random.choice(_LENGTHS))],
        "text": random.choice((*_TEXTS, patterns.subject(random, 50))),
        "pattern": random.choice((*_PATTERNS, patterns.pattern(random, 4))),
        "deep": _value(random, 8),
    }
    if random.random() < 0.05:
        body[random.choice(_NAMES)] = _value(random, 4)
    whole = body if random.random() < 0.5 else json.dumps(body)
    return {"version": 1, "body": whole, "marked_for_deletion": False}


def _element(random: Random) -> Json:
    return {
        "text": "a" * random.randint(0, 30),
        "pattern": random.choice(("a", "(a+)+$", "b*")),
        "name": None,
    }


def _value(random: Random, depth: int) -> Json:
    kind = random.random()
    if depth <= 0 or kind < 0.3:
        return random.choice(
            (None, True, 0, -1, 1.5, 10**40, "", "x" * random.choice((1, 100, 10_000)), "\ud800")
        )
    if kind < 0.65:
        return [_value(random, depth - 1) for _ in range(random.choice((0, 1, 4, 9)))]
    return {random.choice(_NAMES): _value(random, depth - 1) for _ in range(random.randint(0, 4))}


def _text(document: Json, random: Random) -> bytes:
    """JSON, sometimes damaged, sometimes with what JSON does not have."""
    text = bytearray(json.dumps(document).encode())
    if random.random() < 0.03:
        for _ in range(random.randint(1, 5)):
            place = random.randrange(len(text))
            text[place : place + random.randint(0, 3)] = random.choice(_DAMAGE)
    return bytes(text)
