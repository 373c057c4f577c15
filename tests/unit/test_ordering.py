"""The tests that take long begin first."""

from __future__ import annotations

from tests.ordering import FOLDER, LONGEST, place


def test_the_files_that_begin_first_are_there() -> None:
    assert [name for name in LONGEST if not (FOLDER / name).is_file()] == []


def test_long_files_begin_before_those_with_servers_and_these_before_the_others() -> None:
    names = (LONGEST[0], LONGEST[-1], "faults/test_points.py", "unit/core/test_keys.py")
    places = [place(FOLDER / name) for name in names]

    assert places == sorted(set(places))
