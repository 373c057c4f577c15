"""Tables on terminals of 80 and of 140 columns."""

from __future__ import annotations

import io
import re

import pytest
from orchestrator.cli.layout import FittedTable, Section
from rich.console import Console

ERROR = "Heat refused the request (400): Property error: resources.subnet.properties.cidr: "
TO_DO = "correct it"


def lines(section: Section, width: int) -> list[str]:
    """What a terminal shows, without spaces at the ends of lines."""
    target = io.StringIO()
    Console(file=target, width=width, color_system=None, force_terminal=True).print(
        FittedTable(section)
    )
    return [line.rstrip() for line in target.getvalue().splitlines()]


def failed(error: str) -> Section:
    columns = ("cause", "tenant", "age", "error", "what to do")
    row = ("subnet:front", "t1", "5 s", error, TO_DO)
    return Section("Failed", columns, [row], wide=frozenset({"error", "what to do"}))


def test_sentences_stand_beside_a_row_where_a_few_lines_are_enough() -> None:
    title, head, _, row, *_ = lines(failed("it is broken"), 140)

    assert title == "Failed"
    assert re.split(r" {2,}", head) == ["cause", "tenant", "age", "error", "what to do"]
    assert re.split(r" {2,}", row) == ["subnet:front", "t1", "5 s", "it is broken", TO_DO]


@pytest.mark.parametrize("width", [80, 140])
def test_a_long_sentence_stands_below_its_row_with_the_name_of_its_column(width: int) -> None:
    title, head, row, first, *others = lines(failed(ERROR * (width // 25)), width)

    assert (title, head.split()) == ("Failed", ["cause", "tenant", "age"])
    assert row.split() == ["subnet:front", "t1", "5", "s"]
    assert first.startswith("    error: Heat refused the request (400)")
    assert others[-1] == f"    what to do: {TO_DO}"
    assert max(map(len, (first, *others))) <= width


def test_a_title_is_not_broken_where_its_table_is_narrow() -> None:
    section = Section("Types that refer to it", ("type",), [("port",)])

    assert lines(section, 80)[0] == "Types that refer to it"


def test_the_columns_for_which_there_is_no_room_are_named() -> None:
    columns = ("resource", "reported", "recorded")
    row = ("network:n1", "CREATE_COMPLETED v1" * 3, "CREATE_COMPLETE")
    section = Section("", columns, [row], spare=("recorded", "reported"))

    assert lines(section, 80)[-1] == "Columns that need a wider terminal: recorded"
    assert lines(section, 60)[-1] == "Columns that need a wider terminal: reported, recorded"
    assert "wider" not in lines(section, 140)[-1]
