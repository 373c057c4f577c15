"""A short chaos run on real servers; ``make chaos`` makes longer ones."""

from __future__ import annotations

import pytest

from .report import table
from .run import Options, run

pytestmark = pytest.mark.integration


def test_a_short_run_breaks_no_rule() -> None:
    result = run(
        Options(
            seconds=25,
            seed=7,
            resources=80,
            tenants=3,
            rate=3,
            fault_every=3,
            verb_every=8,
        ),
        print,
    )
    assert not result.violations, table(result)
    assert sum(result.operations.values()) > 30
    assert sum(result.faults.values()) > 3
