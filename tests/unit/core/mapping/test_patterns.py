"""Regular expressions: Python's dialect to the last detail, and an end in bounded time."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from orchestrator.core.mapping.bounds import MAPPING_STEPS, Budget, Exceeded
from orchestrator.core.mapping.patterns import (
    ENGINE_STEPS,
    PATTERN_LIMIT,
    PatternError,
    compile_pattern,
)


def budget() -> Budget:
    made = Budget()
    made.begin()
    return made


def matches(pattern: str, subject: str) -> bool:
    return compile_pattern(pattern).matches(subject, budget().take)


@pytest.mark.parametrize(
    ("subject", "expected"), [("x" * 40 + "aaa", True), ("a" * 40 + "b", False)]
)
def test_a_pattern_that_has_too_many_ways_is_found_all_the_same(
    subject: str, expected: bool
) -> None:
    compiled = compile_pattern("(a+)+$")
    assert compiled.worst_case(len(subject)) > ENGINE_STEPS
    assert compiled.is_found(subject, budget().take) is expected


@pytest.mark.parametrize(
    ("pattern", "subject"),
    [
        pytest.param("(a*)*\\1b", "aab", id="a reference back"),
        pytest.param("(a)?(?(1)b|c)", "ab", id="a condition"),
        pytest.param("(?P<x>a)(?P=x)", "aa", id="a reference by name"),
        pytest.param("a++b", "aab", id="possessive"),
        pytest.param("(?>a|ab)c", "abc", id="atomic"),
        pytest.param("(?x) a b # c", "ab", id="verbose"),
        pytest.param("\\N{DIGIT ONE}", "1", id="a named character"),
        pytest.param("x$", "x\n", id="a newline at the end"),
        pytest.param(
            "network:dhcp|network:empty", "network:dhcp:agent", id="from the start, not to the end"
        ),
    ],
)
def test_what_only_pythons_dialect_has_works(pattern: str, subject: str) -> None:
    assert matches(pattern, subject) is (re.match(pattern, subject) is not None)


BACKTRACKING: list[Any] = [
    pytest.param("(a+)+$", "a" * 40, True, id="a repetition of a repetition that matches"),
    pytest.param("(a+)+$", "a" * 40 + "!", False, id="a repetition of a repetition"),
    pytest.param("(a|aa)+$", "a" * 2000 + "!", False, id="alternatives that overlap"),
    pytest.param("(?:(?:a+)+)+b", "a" * 1000, False, id="three repetitions"),
    pytest.param("(.*?,){25}P", ",".join(["1234567890"] * 6), False, id="a number of fields"),
    pytest.param("(x+x+)+y", "x" * 1000, False, id="two in one"),
    pytest.param(
        "([a-z0-9-]+\\.)*example\\.com", "a." * 25 + "example.com", True, id="a name of a host"
    ),
    pytest.param("(?=(a+)+$)(a+)+b", "a" * 300, False, id="in a lookahead"),
    pytest.param("(?:a?){4000000000}b", "a" * 40, False, id="four thousand million turns"),
    pytest.param("((a?){1000000}){1000000}b", "a" * 40, False, id="a million times a million"),
    pytest.param(".*.*.*.*x", "a" * 1000, False, id="four repetitions"),
    pytest.param(".*x", "a" * 500_000, False, id="a very long text"),
]


@pytest.mark.parametrize(("pattern", "subject", "expected"), BACKTRACKING)
def test_a_pattern_that_has_too_many_ways_is_decided_all_the_same(
    pattern: str, subject: str, expected: bool
) -> None:
    before = time.process_time()

    assert matches(pattern, subject) is expected
    assert time.process_time() - before < 1.0


HOPELESS: list[Any] = [
    pytest.param("(a*)*\\1b", "a" * 100, "refers back to a group", id="a reference back"),
    pytest.param("(?:a*+a?)*b", "a" * 100, "is possessive", id="possessive"),
    pytest.param("(?:(?>a|aa)a?)*b", "a" * 100, "is possessive", id="atomic"),
    pytest.param(
        "(?:.?){1000}" * 80,
        "a" * 100_000,
        f"more than {MAPPING_STEPS} evaluation steps",
        id="too many steps",
    ),
]


@pytest.mark.parametrize(("pattern", "subject", "why"), HOPELESS)
def test_a_pattern_that_cannot_be_decided_in_time_says_so(
    pattern: str, subject: str, why: str
) -> None:
    before = time.process_time()

    with pytest.raises(Exceeded, match=why):
        matches(pattern, subject)
    assert time.process_time() - before < 1.0


UNUSABLE: list[Any] = [
    pytest.param(
        "(", "it is wrong at position 0", "missing ), unterminated subpattern", id="a syntax error"
    ),
    pytest.param("a\\q", "it is wrong at position 1", "bad escape", id="an escape"),
    pytest.param(
        "x{99999999999999999999}",
        "a number or a nesting in it is too large",
        "too large",
        id="a number",
    ),
    pytest.param(
        "(" * 490 + ")" * 490,
        "a number or a nesting in it is too large",
        "too large",
        id="a nesting",
    ),
    pytest.param(
        "a" * (PATTERN_LIMIT + 1),
        "it has 1001 characters, and the limit is 1000",
        "1001",
        id="a length",
    ),
    pytest.param(
        "(?i)" + "[\0-\uffff]" * 50, "its ranges of characters are too large", "ranges", id="ranges"
    ),
    pytest.param(
        "(?i:" + "[\0-\uffff]" * 50 + ")",
        "its ranges of characters are too large",
        "ranges",
        id="ranges in a group",
    ),
]


@pytest.mark.parametrize(("text", "why", "detail"), UNUSABLE)
def test_what_is_no_pattern_or_too_large_says_why_and_does_not_quote(
    text: str, why: str, detail: str
) -> None:
    before = time.process_time()

    with pytest.raises(PatternError, match=why) as caught:
        compile_pattern(text)
    assert detail in caught.value.detail
    assert time.process_time() - before < 1.0


def test_the_longest_patterns_compile_in_time() -> None:
    before = time.process_time()

    for text in ("a?" * 500, "(?:a|b)" * 140, "(a)" * 300, "(?i)" + "[\0-\uffff]" * 3):
        compile_pattern(text)
    assert time.process_time() - before < 1.0
