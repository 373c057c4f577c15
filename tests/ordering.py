"""In which order the files of tests begin: those that take long first.

Each process of ``make test`` takes one file after the other (``--dist loadfile``).
A long file that begins last keeps one process busy while the others have nothing left to do.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent

LONGEST = (
    "faults/test_surroundings.py",
    "faults/test_redis_sentinel.py",
    "faults/test_etcd_cluster.py",
    "faults/test_redis_away.py",
    "faults/test_clocks.py",
    "history/test_historian.py",
    "faults/test_credentials.py",
    "sandbox/test_stack_states.py",
    "chaos/test_chaos_short.py",
    "integration/test_plans.py",
    "integration/test_neighbours.py",
    "integration/test_faults.py",
    "acceptance/test_demo.py",
    "faults/test_bounds.py",
    "integration/test_stories.py",
    "integration/test_heats_faults.py",
    "integration/test_gohan.py",
    "integration/test_names.py",
    "faults/test_redis_access.py",
    "faults/test_brake.py",
)
"""Files that take more than 40 s, the longest first, as ``pytest --durations=0`` tells."""

SERVERS = ("faults", "integration", "sandbox", "history", "contract")
"""Folders whose tests wait for servers. Their files come next."""

_PLACES = {FOLDER / name: place for place, name in enumerate(LONGEST)}


def place(path: Path) -> int:
    """The smaller, the earlier a file begins; files of the same place keep their order."""
    if path in _PLACES:
        return _PLACES[path]
    inside = path.is_relative_to(FOLDER) and path.relative_to(FOLDER).parts[0] in SERVERS
    return len(LONGEST) if inside else len(LONGEST) + 1
