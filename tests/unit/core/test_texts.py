"""Text from outside is bounded, and every character of it can be seen."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from orchestrator.core.texts import LONGEST_REASON, clean, clean_json, clean_yaml, cut, is_odd

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)
"""Every character there is, surrogates included."""


# Cut -----------------------------------------------------------------------------------------------


def test_a_text_of_two_megabytes_is_cut_and_says_so() -> None:
    told = cut("x" * 2 * 1024 * 1024)

    assert len(told) == LONGEST_REASON
    assert told.endswith("xxx… (cut: 2,097,152 characters)")


def test_a_short_text_stays_as_it_is() -> None:
    assert cut("Heat refused the request") == "Heat refused the request"
    assert cut("x" * LONGEST_REASON) == "x" * LONGEST_REASON


def test_a_text_that_is_cut_again_keeps_the_length_that_it_had_first() -> None:
    once = cut("x" * 1_000_000, 9000)

    assert cut(once, 500).endswith("… (cut: 1,000,000 characters)")
    assert cut(f"not built: {once}", 500).endswith("… (cut: 1,000,000 characters)")


@given(ANY_TEXT, st.integers(64, 100))
def test_a_text_is_never_longer_than_it_may_be(text: str, most: int) -> None:
    told = cut(text * 4, most)

    assert len(told) <= most
    assert cut(told, most) == told


# Clean ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        pytest.param("two\nlines", "two⏎lines", id="a newline"),
        pytest.param("\r\t\0", "\\r\\t\\0", id="carriage return, tab, null"),
        pytest.param(
            "\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07", id="escape sequences"
        ),
        pytest.param("\x9b31m\x85\x7f", "\\x9b31m\\x85\\x7f", id="C1 controls and delete"),
        pytest.param("\u202eterces", "\\u202eterces", id="a bidirectional override"),
        pytest.param("a\u200bb\u2060\ufeff", "a\\u200bb\\u2060\\ufeff", id="zero width"),
        pytest.param("\u2028\u2029", "\\u2028\\u2029", id="line and paragraph separators"),
        pytest.param("\ud800", "\\ud800", id="a lone surrogate"),
        pytest.param("\U000e0041", "\\U000e0041", id="a tag character"),
        pytest.param("é 東京 ✔ no\u00a0break", "é 東京 ✔ no\u00a0break", id="what people write"),
        pytest.param("[red]bold[/red]", "[red]bold[/red]", id="markup is text"),
    ],
)
def test_every_odd_character_is_seen(text: str, seen: str) -> None:
    assert clean(text) == seen


def test_lines_may_be_kept() -> None:
    assert clean("one\ntwo\x1b", keep="\n") == "one\ntwo\\x1b"


@given(ANY_TEXT)
def test_a_clean_text_can_be_printed_and_has_one_line(text: str) -> None:
    told = clean(text)

    assert not any(map(is_odd, told))
    assert len(told.splitlines()) <= 1
    assert told.encode() or not text
    assert clean(told) == told


@given(ANY_TEXT)
def test_a_clean_json_document_says_the_same(text: str) -> None:
    document = clean_json(json.dumps({text: [text]}, ensure_ascii=False, indent=2))

    assert json.loads(document) == {text: [text]}
    assert not any(is_odd(letter) for letter in document if letter != "\n")


@given(ANY_TEXT)
def test_a_clean_yaml_document_says_the_same(text: str) -> None:
    quoted = "".join(f"\\U{ord(letter):08x}" if letter in '"\\\n' else letter for letter in text)
    document = clean_yaml(f'"{quoted}"')

    assert not any(map(is_odd, document))
    if not any("\ud800" <= letter <= "\udfff" for letter in text):
        assert yaml.safe_load(document) == text
