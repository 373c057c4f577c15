"""Regular expressions match where Python's do, whatever the pattern."""

from __future__ import annotations

import re
from random import Random

import pytest
from orchestrator.core.mapping.bounds import Budget, Exceeded
from orchestrator.core.mapping.patterns import ENGINE_STEPS, PatternError, compile_pattern

from tests.fuzz import patterns
from tests.properties import TIMES

PAIRS = 2_000 * TIMES


def budget() -> Budget:
    made = Budget()
    made.begin()
    return made


def matches(pattern: str, subject: str) -> bool:
    return compile_pattern(pattern).matches(subject, budget().take)


def walks(pattern: str, subject: str) -> bool:
    """The same by following all ways, whatever the pattern."""
    return compile_pattern(pattern).walk(subject, budget().take)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_pattern_matches_where_pythons_does(seed: int) -> None:
    """Both ways to find out are compared with ``re.match``, on whatever the engine finishes."""
    random = Random(seed)
    compared = 0
    for _ in range(PAIRS):
        pattern, subject = patterns.pattern(random), patterns.subject(random)
        try:
            compiled = compile_pattern(pattern)
        except PatternError:
            with pytest.raises(re.error):
                re.compile(pattern)
            continue
        if compiled.worst_case(len(subject)) > ENGINE_STEPS:
            continue
        expected = re.match(pattern, subject) is not None
        assert (matches(pattern, subject), walks(pattern, subject)) == (expected, expected), (
            pattern,
            subject,
        )
        compared += 1
    assert compared > PAIRS // 2


@pytest.mark.parametrize("seed", [1, 2])
def test_any_pattern_is_found_where_python_finds_it(seed: int) -> None:
    random = Random(seed)
    found: list[bool] = []
    for _ in range(PAIRS // 3):
        pattern, subject = patterns.pattern(random), patterns.subject(random)
        try:
            compiled = compile_pattern(pattern)
            is_found = compiled.is_found(subject, budget().take)
        except (PatternError, Exceeded):
            continue
        if compiled.worst_case(len(subject)) <= ENGINE_STEPS:
            assert is_found is (re.search(pattern, subject) is not None), (pattern, subject)
            found.append(is_found)
    assert len(found) > PAIRS // 6
    assert 0 < sum(found) < len(found)
