"""Random regular expressions in Python's dialect, and texts for them: whether both engines agree
with ``re``."""

from __future__ import annotations

import re
from random import Random
from typing import TypeAlias

from orchestrator.core.mapping.bounds import Budget, Exceeded
from orchestrator.core.mapping.patterns import ENGINE_STEPS, PatternError, compile_pattern

from .running import Fuzzer

Pair: TypeAlias = tuple[str, str]
"""A pattern and a text."""

_ALPHABET = "ab1_ \nAé\u0130\u017f\u0663"
"""Some letters that ignoring case, and ASCII beside Unicode, treat differently."""
_LITERALS = (
    "a",
    "b",
    "A",
    "1",
    " ",
    "_",
    "é",
    "\u0130",
    "\u017f",
    ".",
    r"\d",
    r"\w",
    r"\s",
    r"\D",
    r"\W",
    r"\S",
)
_SETS = ("[ab]", "[^a]", "[a-z]", r"[\d_]", "[A-Z]", r"[^\w]", "[]a]", "[a-]")
_PLACES = ("^", "$", r"\A", r"\Z", r"\b", r"\B")
_GROUPS = (
    "(?:%s)",
    "(?:%s)",
    "(%s)",
    "(?=%s)",
    "(?!%s)",
    "(?i:%s)",
    "(?s:%s)",
    "(?m:%s)",
    "(?-i:%s)",
    "(?a:%s)",
)
_BEHIND = ("(?<=%s)", "(?<!%s)")
_WIDTHS = ("a", "ab", "[ab]", "a|b", r"\b", "^", "..")
_REPEATS = ("*", "+", "?", "{0,2}", "{2}", "{1,3}", "{2,}", "{,2}")
_FLAGS = ("", "", "", "(?i)", "(?m)", "(?s)", "(?a)")


def pattern(random: Random, depth: int = 3) -> str:
    """A pattern, nearly always one that compiles."""
    return random.choice(_FLAGS) + _alternatives(random, depth)


def subject(random: Random, longest: int = 10) -> str:
    """A text that such patterns may match."""
    return "".join(random.choice(_ALPHABET) for _ in range(random.randint(0, longest)))


def _alternatives(random: Random, depth: int) -> str:
    return "|".join(_sequence(random, depth) for _ in range(random.choice((1, 1, 1, 2, 3))))


def _sequence(random: Random, depth: int) -> str:
    return "".join(_repeated(random, depth) for _ in range(random.randint(0, 3)))


def _repeated(random: Random, depth: int) -> str:
    part = _part(random, depth)
    if random.random() < 0.45:
        part += random.choice(_REPEATS) + random.choice(("", "", "?"))
    return part


def _part(random: Random, depth: int) -> str:
    kind = random.random()
    if depth <= 0 or kind < 0.4:
        return random.choice(_LITERALS)
    if kind < 0.5:
        return random.choice(_SETS)
    if kind < 0.57:
        return random.choice(_PLACES)
    if kind < 0.64:
        return random.choice(_BEHIND) % random.choice(_WIDTHS)
    return random.choice(_GROUPS) % _alternatives(random, depth - 1)


# The fuzzer ---------------------------------------------------------------------------------------


def make(random: Random) -> Pair:
    """A pattern and a text of one input."""
    return pattern(random, random.randint(1, 4)), subject(random, random.choice((10, 10, 60, 3000)))


def run(pair: Pair) -> str:
    """Compare with what Python says, where Python comes to an end."""
    text, words = pair
    try:
        compiled = compile_pattern(text)
    except PatternError as error:
        assert _is_refused(text) or "too large" in str(error), text
        return "refused"
    budget = Budget()
    budget.begin()
    try:
        found = compiled.matches(words, budget.take)
        walked = compiled.walk(words, budget.take)
    except Exceeded:
        return "over a bound"
    assert found == walked, pair
    if compiled.worst_case(len(words)) > ENGINE_STEPS:
        return "decided by following all ways"
    assert found == (re.match(text, words) is not None), pair
    return "compared"


def _is_refused(text: str) -> bool:
    try:
        re.compile(text)
    except (re.error, OverflowError):
        return True
    return False


def fuzzer() -> Fuzzer[Pair]:
    return Fuzzer("patterns", make, run)
