"""Rendered templates are read as Heat reads them, not as documents are."""

from __future__ import annotations

import pytest
from orchestrator.core.source import SourceError, base_60, read_hot


def test_words_mean_what_they_mean_to_heat() -> None:
    (document,) = read_hot(
        "a: on\nb: 0644\nc: 1_000\nd: 2018-08-31\ne: 12:30:45\nf: ~\n80: x\ng: .5\n"
    )

    assert document.value == {
        "a": True,
        "b": 420,
        "c": 1000,
        "d": "2018-08-31",
        "e": 45045,
        "f": None,
        "80": "x",
        "g": 0.5,
    }


def test_numbers_in_base_60_are_found_with_their_lines() -> None:
    text = "mac: 52:54:00:12:34:56\nquoted: '52:54:00:12:34:56'\nother: fa:16:3e:00:00:10\nlist:\n- 12:30:45\n"

    assert base_60(text) == [1, 5]


@pytest.mark.parametrize("text", ["a: 1\nb: .inf", "a: 1\nb: !Ref x", "a: 1\na: 2"])
def test_what_cannot_be_stored_as_json_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(SourceError) as raised:
        read_hot(text)

    assert raised.value.line == 2
