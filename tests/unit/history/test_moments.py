"""Moments as a command line names them."""

from __future__ import annotations

from datetime import datetime

import pytest
from orchestrator.errors import InvalidInput
from orchestrator.history.moments import moment

NOW = 1_795_449_345.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("2h30m", 9000), ("1d", 86400), ("1w", 604800)],
)
def test_a_span_counts_back_from_now(text: str, seconds: float) -> None:
    assert moment(text, NOW, "--since") == NOW - seconds


def test_a_time_with_an_offset_is_that_time() -> None:
    assert moment("2026-11-28T05:00:00+01:00", NOW, "--at") == moment(
        "2026-11-28T04:00:00Z", NOW, "--at"
    )


def test_a_time_without_an_offset_is_local() -> None:
    expected = datetime(2026, 11, 28, 4, 57).astimezone().timestamp()
    assert moment("2026-11-28 04:57", NOW, "--at") == expected


@pytest.mark.parametrize("text", ["", "yesterday", "1", "1x", "-1d", "2026-13-01", "1d ago"])
def test_what_names_no_moment_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"--at .*such as 1d or 2h30m"):
        moment(text, NOW, "--at")
