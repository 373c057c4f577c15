"""One name, one class: whoever reads a name need not ask which of several is meant."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

CLASS = re.compile(r"^class (\w+)", re.MULTILINE)

ELSEWHERE = {
    "Answer",
    "Bench",
    "Channel",
    "Clock",
    "Connections",
    "Keystone",
    "Loaded",
    "Mark",
    "Pattern",
    "Process",
    "Scope",
    "Shape",
    "Stack",
    "System",
    "Version",
    "Work",
}
"""Names that two packages still share, which do not import each other's. No new ones."""


def test_a_class_has_its_name_for_itself() -> None:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for root in ("orchestrator", "tasks", "tests", "benchmarks"):
        for path in (ROOT / root).rglob("*.py"):
            for name in CLASS.findall(path.read_text(encoding="utf-8")):
                found[name].append(str(path.relative_to(ROOT)))
    assert len(found) > 500

    shared = {name: places for name, places in found.items() if len(places) > 1}
    assert {name: shared[name] for name in shared.keys() - ELSEWHERE} == {}
