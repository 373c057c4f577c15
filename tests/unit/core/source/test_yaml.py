"""YAML is read as JSON has it: what was typed is what is stored."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from orchestrator.core.source import SourceError, nodes, read_yaml


def value(text: str) -> Any:
    (document,) = read_yaml(text)
    return document.value


@pytest.mark.parametrize(
    "word",
    [
        *("0001", "0644", "0o17", "0x1F", "0b11", "1_000", "+1", ".5", "1.", "-", "1e", "1e3x"),
        *("12:30:45", "52:54:00:12:34:56", "190:20:30.15", "2024-01-01", "2024-01-01T12:00:00Z"),
        *(
            "on",
            "off",
            "On",
            "yes",
            "no",
            "Yes",
            "NO",
            "y",
            "n",
            "nan",
            "inf",
            "infinity",
            "NaNa",
            "nULL",
            "tRUE",
            "<<",
            "=",
        ),
    ],
)
def test_a_word_that_json_does_not_have_stays_the_text_that_was_typed(word: str) -> None:
    assert value(f"a: {word}" if word not in ("<<", "=", "-") else f"a: '{word}'") == {"a": word}


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        *[(word, None) for word in ("", "~", "null", "Null", "NULL")],
        *[(word, True) for word in ("true", "True", "TRUE")],
        *[(word, False) for word in ("false", "False", "FALSE")],
        *[
            ("0", 0),
            ("-0", 0),
            ("12", 12),
            ("-7", -7),
            ("0.5", 0.5),
            ("-0.5", -0.5),
            ("1e3", 1000.0),
            ("1.5E-2", 0.015),
        ],
        ("41135085296123456789012345", 41135085296123456789012345),
    ],
)
def test_what_json_has_is_what_it_is_in_json(word: str, meaning: Any) -> None:
    found = value(f"a: {word}")["a"]

    assert (found, type(found)) == (meaning, type(meaning))


@given(st.text(alphabet="0123456789:._-+eExobTrueFalsNonyY/ ", min_size=1, max_size=12))
def test_a_plain_word_is_json_or_itself(word: str) -> None:
    text = f"[{json.dumps('x')}, {word}]"
    try:
        (document,) = read_yaml(text)
    except SourceError:
        return
    if not isinstance(document.value, list) or len(document.value) != 2:
        return
    found, stripped = document.value[1], word.strip()
    if isinstance(found, str):
        assert found == stripped.partition(" #")[0].strip()
    elif isinstance(found, (int, float)) and not isinstance(found, bool):
        assert json.loads(stripped) == found


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("a: 1\nb: .inf", 2, "JSON has no such number"),
        ("a: 1\nb: -.INF", 2, "JSON has no such number"),
        ("- NaN", 1, "JSON has no such number"),
        ("- 1\n- -Infinity", 2, "JSON has no such number"),
        ("a: 12e4567", 1, "out of range"),
        ("a: " + "9" * 5000, 1, "out of range"),
        ("a: 1\nb: 2\na: 3", 3, "key 'a' is there twice"),
        ("a: {b: 1,\n b: 2}", 2, "key 'b' is there twice"),
        ("a: 1\n7: 2", 2, "the key '7' should be a text"),
        ("a: 1\ntrue: 2", 2, "the key 'true' should be a text"),
        ("? [a]\n: 1", 1, "a key should be a text, not a list"),
        ("a: 1\nb: !!binary aGk=", 2, "the tag 'tag:yaml.org,2002:binary' is not taken"),
        ("a: !!int '1'", 1, "is not taken"),
        ("a: !Ref x", 1, "the tag '!Ref' is not taken"),
        ("a: &x [*x]", 1, "nested deeper"),
        ("a: *x", 1, "undefined alias"),
        ("a: [1\nb: 2", 2, ""),
        ("a: 1\n\tb: 2", 2, ""),
        ("<<: 5", 1, "'<<' takes an object"),
    ],
)
def test_what_json_does_not_have_is_refused_with_its_line(text: str, line: int, why: str) -> None:
    with pytest.raises(SourceError) as raised:
        read_yaml(text)

    assert raised.value.line == line
    assert why in raised.value.why


def test_quotes_make_a_text_of_every_word() -> None:
    assert value("""{a: "12", b: 'true', c: "NaN", d: !!str yes}""") == {
        "a": "12",
        "b": "true",
        "c": "NaN",
        "d": "yes",
    }


def test_anchors_and_merges_are_copied() -> None:
    assert value("base: &b {x: 1, y: 2}\none: {<<: *b, y: 3}\ntwo: {<<: [{x: 0}, *b]}") == {
        "base": {"x": 1, "y": 2},
        "one": {"x": 1, "y": 3},
        "two": {"x": 0, "y": 2},
    }


def test_aliases_of_many_documents_share_one_bound() -> None:
    hundred = (
        "a: &a [x, x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
    )
    document = hundred + "c: [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\n"

    with pytest.raises(SourceError, match="aliases make more than 200000 values"):
        read_yaml("---\n".join([document] * 300))


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "a: " + "[" * 200 + "]" * 200, "- " * 50_000 + "x", "{a: " * 5000]
)
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(SourceError):
        read_yaml(text)


def test_every_part_knows_its_line() -> None:
    (first, second) = read_yaml("a:\n  b: [1,\n    2]\n  c: {d: 1}\n---\n- x: 1\n  y: 2\n")

    lines = {
        path: first.line_of(path) for path in (("a",), ("a", "b"), ("a", "b", 1), ("a", "c", "d"))
    }
    assert lines == {("a",): 1, ("a", "b"): 2, ("a", "b", 1): 3, ("a", "c", "d"): 4}
    assert (second.line, second.line_of((0, "y"))) == (6, 7)
    assert first.line_of(("a", "nothing", "below")) == 1


def test_what_a_merge_brings_in_has_the_line_where_it_is_written() -> None:
    (document,) = read_yaml("base: &b\n  x: 1\none:\n  <<: *b\n  y: 2\n")

    assert document.line_of(("one", "x")) == 2


def test_without_libyaml_the_same_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: [0644, 12, {b: ~}]\n---\nc: &x {d: 1}\ne: *x\n"
    expected = [document.value for document in read_yaml(text)]
    monkeypatch.setattr(nodes, "_PARSER", None)
    nodes._composer.cache_clear()

    try:
        assert [document.value for document in read_yaml(text)] == expected
    finally:
        nodes._composer.cache_clear()


LIKE_NUMBERS = re.compile(r"-?(0|[1-9][0-9]*)[eE][-+]?[0-9]+|NaN|[-+]?Infinity")
TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x85"), max_size=8
).filter(lambda text: not LIKE_NUMBERS.fullmatch(text))
"""U+0085 is left out: PyYAML writes it so that YAML folds it to a space.
So are texts like ``1e5`` and ``NaN``: PyYAML leaves them without quotes, and they are numbers in
JSON, or are refused because they look like ones."""


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | TEXTS,
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=8,
    )
)
def test_what_another_program_writes_as_yaml_is_read_as_it_was(document: Any) -> None:
    """Its texts are quoted where an older YAML would take them for something else."""
    text = yaml.safe_dump([document], allow_unicode=True)

    assert value(text) == [document]
