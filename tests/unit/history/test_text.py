"""A history as people read it."""

from __future__ import annotations

import json

from orchestrator.cli import history_text
from orchestrator.cli.output import Section, as_columns
from orchestrator.core.refs import Json, Ref
from orchestrator.history import timeline
from orchestrator.history.changes import ChangeKind, HistoryChange
from orchestrator.history.timeline import Timeline
from orchestrator.history.veiling import Veiled
from rich.text import Text

NET = Ref("network", "n")
ERROR = "quota exceeded; correct the configuration"


def change(kind: ChangeKind, revision: int, document: Json) -> HistoryChange:
    value = json.dumps(document).encode()
    return HistoryChange(f"/{kind.value}", kind, NET, revision, revision, value, 1795866195.0)


def shown(*changes: HistoryChange) -> list[str]:
    """The lines without the head."""
    entries = timeline.entries(changes, Veiled(changes, lambda _: ()))
    [section] = history_text.history(Timeline(NET, tuple(entries)), diff=False)
    assert isinstance(section, Section)
    return as_columns(section).splitlines()[1:]


def test_an_error_is_told_once_where_several_records_have_it() -> None:
    failed: Json = {"version": 1, "error": ERROR, "root": NET.to_record()}
    state: Json = {"version": 1, "error": ERROR, "state": {"worker_state": "CREATE_FAILED"}}
    said = [
        line.split("  ")[-1].strip()
        for line in shown(
            change(ChangeKind.FAILED, 5, failed),
            change(ChangeKind.RUN, 6, {"step": "done", "reason": ERROR}),
            change(ChangeKind.STATE, 7, state),
            change(ChangeKind.STATE, 8, {**state, "error": "another"}),
        )
    ]

    assert said == [
        f"version 1 failed, cause network:n: {ERROR}",
        "the job failed: the same error",
        "reported CREATE_FAILED for version 1: the same error",
        "reported CREATE_FAILED for version 1: another",
    ]


def test_a_long_value_is_cut_and_the_line_says_where_all_of_it_is() -> None:
    body: Json = {"version": 1, "body": {"name": "a" * 5000}}
    wanted = change(ChangeKind.CONFIG, 5, body)
    entries = timeline.entries([wanted], Veiled([wanted], lambda _: ()))
    [_, line] = history_text.history(Timeline(NET, tuple(entries)), diff=True)

    assert isinstance(line, Text)
    assert line.plain.startswith('    + (all): {"version": 1')
    assert line.plain.endswith(" … (-o json has all)")
    assert len(line.plain) == 320


def test_a_time_is_shown_in_the_form_that_an_option_takes() -> None:
    [line] = shown(change(ChangeKind.CONFIG, 5, {"version": 1}))

    assert line.startswith("2026-11-28T11:43:15Z  5")
