"""Regular expressions in Python's own dialect that end in bounded time.

The contract says Python's ``re.match``. That engine tries one way through a pattern after the
other, cannot be interrupted, and ``(a+)+$`` has 2^40 ways through forty characters. So:

1. The steps that the engine takes at the worst follow from the pattern and the length of the text
   (:meth:`Pattern.worst_case`). Nearly every pattern takes few. Then the engine is used.
2. For the others, all ways are followed at the same time (:class:`_Walk`): a part of the pattern
   leads from a set of places in the text to a set of places. Every step is counted. Whether the
   pattern matches comes out the same. Only references back to a group and possessive parts cannot
   be decided so, for they need one certain way: such a pattern is refused on such a text.

Both work on the tree that Python's own parser makes, so the dialect is Python's in every detail.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from re import _compiler, _constants, _parser  # type: ignore[attr-defined]  # there are no stubs
from typing import Any, TypeAlias

from .bounds import Exceeded

# Python warns of "[[a]" on standard error: for the writer of a template that is nowhere.
warnings.filterwarnings(
    "ignore", "Possible (nested set|set \\w+) at position", FutureWarning
)

PATTERN_LIMIT = 1_000
"""Characters of a pattern. Compiling takes about 5 µs for each (measured)."""
ENGINE_STEPS = 2_500_000
"""Steps that Python's engine may take for one match: 60 ms at the most (measured: 25 ns a step, and
mostly far fewer steps than the worst case). ``.*x`` on the longest text that a body can hold counts
2.1 million."""
STEPS_PER_CHARACTER = 5
"""Steps that compiling costs for each character of a pattern that is not in the mapping itself."""

_ENGINE_STEPS_PER_STEP = 128
"""Steps of Python's engine, at its worst, that are counted as one of ours: about 3 µs (measured),
mostly less."""
_PLACES_PER_STEP = 4
"""Places that are followed in the time of a step (measured)."""
_RANGE_LIMIT = 200_000
"""Characters in all ranges of a pattern that ignores case. Compiling looks at each (60 ns,
measured)."""
_RANGE_PER_CHARACTER = 80
"""Characters of a range in the time of a character of the pattern (measured)."""
_LONGEST_RANGE = 65_536
"""Compiling looks at no more characters of a longer range."""
_CAP = ENGINE_STEPS + 1
"""Larger numbers of steps or ways are all the same."""

Charge: TypeAlias = Callable[[int], None]
"""Counts steps. Raises :class:`Exceeded` when none are left."""
Tree: TypeAlias = Any
"""A parsed pattern: Python's ``SubPattern``, a sequence of pairs of operation and argument."""


class PatternError(ValueError):
    """A pattern cannot be used. The text says why and does not quote the pattern.

    :param detail: why, in words that may quote a part of the pattern.
    """

    def __init__(self, why: str, detail: str = "") -> None:
        super().__init__(why)
        self.detail = detail or why


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """A pattern that can be used. *ranges* is how many characters compiling looked at, beside its
    own."""

    text: str
    compiled: re.Pattern[str]
    tree: Tree
    ranges: int
    _worst_cases: dict[int, int] = field(default_factory=dict)

    @property
    def weight(self) -> int:
        """How long compiling takes, in characters of a simple pattern."""
        return len(self.text) + self.ranges // _RANGE_PER_CHARACTER

    def matches(self, subject: str, charge: Charge) -> bool:
        """Whether the pattern matches at the start of *subject*, as ``re.match`` does.

        :raises Exceeded: finding out takes too many steps.
        """
        steps = self.worst_case(len(subject))
        if steps <= ENGINE_STEPS:
            charge(steps // _ENGINE_STEPS_PER_STEP)
            return self.compiled.match(subject) is not None
        return self.walk(subject, charge)

    def is_found(self, subject: str, charge: Charge) -> bool:
        """Whether the pattern matches anywhere in *subject*, as ``re.search`` does.

        :raises Exceeded: finding out takes too many steps.
        """
        places = len(subject) + 1
        steps = places * self.worst_case(len(subject))
        if steps <= ENGINE_STEPS:
            charge(steps // _ENGINE_STEPS_PER_STEP)
            return self.compiled.search(subject) is not None
        walk = _Walk(subject, charge)
        return bool(
            walk.sequence(self.tree, set(range(places)), self.compiled.flags)
        )

    def walk(self, subject: str, charge: Charge) -> bool:
        """The same by following all ways at the same time.

        :raises Exceeded: that takes too many steps, or the pattern needs one certain way.
        """
        return bool(
            _Walk(subject, charge).sequence(self.tree, {0}, self.compiled.flags)
        )

    def worst_case(self, length: int) -> int:
        """Steps that Python's engine takes on a text of so many characters, at the most.

        More than :data:`ENGINE_STEPS` says that there may be any number.
        """
        rounded = 1 << length.bit_length()
        found = self._worst_cases.get(rounded)
        if found is None:
            steps, ways = _sequence_cost(self.tree, rounded)
            found = self._worst_cases[rounded] = min(steps + ways, _CAP)
        return found


@lru_cache(maxsize=256)
def compile_pattern(text: str) -> Pattern:
    """The pattern that *text* is.

    :raises PatternError: it is none, or it is too large.
    """
    if len(text) > PATTERN_LIMIT:
        raise PatternError(
            f"it has {len(text)} characters, and the limit is {PATTERN_LIMIT}"
        )
    try:
        tree = _parser.parse(text)
        ranges = _ranges(tree, tree.state.flags)
        if ranges > _RANGE_LIMIT:
            raise PatternError(
                "its ranges of characters are too large for a pattern that ignores case"
            )
        return Pattern(text, re.compile(text), tree, ranges)
    except re.error as error:
        raise PatternError(
            f"it is wrong at position {error.pos}", str(error)
        ) from error
    except (OverflowError, RecursionError, MemoryError) as error:
        raise PatternError(
            "a number or a nesting in it is too large"
        ) from error


# The tree -----------------------------------------------------------------------------------------

_ONE_CHARACTER = (
    _constants.LITERAL,
    _constants.NOT_LITERAL,
    _constants.ANY,
    _constants.IN,
)
_REPEATS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT)
_CHARACTERS = re.ASCII | re.LOCALE | re.UNICODE
_LOOKS = (_constants.ASSERT, _constants.ASSERT_NOT)


def _flags(argument: Any, flags: int) -> int:
    """The flags inside a group ``(?i-m:…)``. ASCII, locale and Unicode replace each other."""
    _, added, removed, _ = argument
    if added & _CHARACTERS:
        flags &= ~_CHARACTERS
    return int((flags | added) & ~removed)


def _ranges(tree: Tree, flags: int) -> int:
    """Characters in all ranges of a tree, as far as they ignore case."""
    found = 0
    for operation, argument in tree:
        if operation is _constants.IN:
            if flags & re.IGNORECASE:
                found += _width(argument)
        elif operation is _constants.SUBPATTERN:
            found += _ranges(argument[-1], _flags(argument, flags))
        else:
            found += sum(
                _ranges(inner, flags) for inner in _inner(operation, argument)
            )
    return found


def _width(members: Any) -> int:
    ranges = [
        argument
        for operation, argument in members
        if operation is _constants.RANGE
    ]
    return sum(min(last - first + 1, _LONGEST_RANGE) for first, last in ranges)


def _inner(operation: Any, argument: Any) -> list[Tree]:
    """The trees inside a part that is neither a set of characters nor a group."""
    if operation is _constants.BRANCH:
        return list(argument[1])
    if operation is _constants.GROUPREF_EXISTS:
        return [tree for tree in argument[1:] if tree is not None]
    if operation is _constants.ATOMIC_GROUP:
        return [argument]
    if operation in (*_REPEATS, *_LOOKS, _constants.POSSESSIVE_REPEAT):
        return [argument[-1]]
    return []


# The worst case of Python's engine ----------------------------------------------------------------

_Cost: TypeAlias = tuple[int, int]
"""The steps of a part by itself, and the number of ways that lead out of it. What comes after the
part is tried on each way: where that takes *n* steps, both together take ``steps + ways * n``."""


def _sequence_cost(tree: Tree, length: int) -> _Cost:
    steps, ways = 0, 1
    for operation, argument in reversed(list(tree)):
        own, out = _cost(operation, argument, length)
        steps, ways = own + out * steps, out * ways
        steps, ways = min(steps, _CAP), min(ways, _CAP)
    return steps, ways


def _cost(operation: Any, argument: Any, length: int) -> _Cost:
    if operation in _REPEATS or operation is _constants.POSSESSIVE_REPEAT:
        cost = _repeat_cost(argument, length)
        if operation in _REPEATS:
            return cost
        return _once(cost)
    if operation is _constants.SUBPATTERN:
        return _more(_sequence_cost(argument[-1], length))
    costs = [
        _sequence_cost(tree, length) for tree in _inner(operation, argument)
    ]
    if operation in (_constants.BRANCH, _constants.GROUPREF_EXISTS):
        return 1 + sum(steps for steps, _ in costs), sum(
            ways for _, ways in costs
        )
    if operation in _LOOKS or operation is _constants.ATOMIC_GROUP:
        return _once(costs[0])
    if operation is _constants.GROUPREF:
        return length + 1, 1
    return 1, 1


def _more(cost: _Cost) -> _Cost:
    """One step more."""
    return cost[0] + 1, cost[1]


def _once(cost: _Cost) -> _Cost:
    """A part into which the engine does not go back: only its first way counts for what comes after
    it."""
    return cost[0] + cost[1] + 1, 1


def _repeat_cost(argument: Any, length: int) -> _Cost:
    """A repetition: after each turn from the *least* on, the engine may go on to what comes after
    it."""
    least, most, tree = argument
    own, out = _sequence_cost(tree, length)
    shortest = int(tree.getwidth()[0])
    turns = min(int(most), length // max(shortest, 1) + 1)
    if shortest == 0:
        turns = max(turns, int(least))
    free = max(turns - int(least), 0)
    if out <= 1:
        return min(turns * (own + 1) + 1, _CAP), min(free + 1, _CAP)
    steps, ways = 0, 1
    for turn in range(turns, 0, -1):
        steps, ways = own + 1 + out * steps, out * ways
        if turn > int(least):
            ways += 1
        if steps >= _CAP or ways >= _CAP:
            return _CAP, _CAP
    return steps, ways


# All ways at the same time ------------------------------------------------------------------------


class _Walk:
    """From a set of places in a text to all places to which a part of a pattern leads.

    Which of them Python's engine would come to first makes no difference to whether there is one.
    """

    def __init__(self, subject: str, charge: Charge) -> None:
        self._subject = subject
        self._charge = charge
        self._tests: dict[tuple[int, int], re.Pattern[str]] = {}
        """What tells whether a character, or the place itself, fits: by the part's ``id()`` and the
        flags."""

    def sequence(self, tree: Tree, places: set[int], flags: int) -> set[int]:
        """The places at the end of *tree*.

        :param flags: those of Python's ``re`` that hold here.
        """
        for part in tree:
            if not places:
                break
            self._charge(1 + len(places) // _PLACES_PER_STEP)
            places = self._part(part, places, flags)
        return places

    def _part(
        self, part: tuple[Any, Any], places: set[int], flags: int
    ) -> set[int]:
        operation, argument = part
        if operation in _ONE_CHARACTER:
            test = self._test(part, flags)
            return {
                place + 1
                for place in places
                if test.match(self._subject, place)
            }
        if operation is _constants.AT:
            test = self._test(part, flags)
            return {
                place for place in places if test.match(self._subject, place)
            }
        if operation is _constants.SUBPATTERN:
            return self.sequence(argument[-1], places, _flags(argument, flags))
        if operation is _constants.BRANCH:
            return set().union(
                *(self.sequence(tree, places, flags) for tree in argument[1])
            )
        if operation in _REPEATS:
            return self._repeat(argument, places, flags)
        if operation in _LOOKS:
            wanted = operation is _constants.ASSERT
            return {
                place
                for place in places
                if self._look(argument, place, flags) is wanted
            }
        if operation is _constants.FAILURE:
            return set()
        raise Exceeded(
            "has a pattern that refers back to a group, or is possessive, and may take"
            " very long on this text"
        )

    def _repeat(self, argument: Any, places: set[int], flags: int) -> set[int]:
        least, most, tree = argument
        for _ in range(int(least)):
            after = self.sequence(tree, places, flags)
            if after == places:
                break  # Another turn leads nowhere else.
            places = after
        found, fresh = set(places), places
        for _ in range(int(most) - int(least)):
            fresh = self.sequence(tree, fresh, flags) - found
            if not fresh:
                break
            found |= fresh
        return found

    def _look(self, argument: Any, place: int, flags: int) -> bool:
        """Whether a lookahead, or a lookbehind by the width of its pattern, finds it."""
        direction, tree = argument
        if direction > 0:
            return bool(self.sequence(tree, {place}, flags))
        start = place - int(tree.getwidth()[0])
        return start >= 0 and place in self.sequence(tree, {start}, flags)

    def _test(self, part: tuple[Any, Any], flags: int) -> re.Pattern[str]:
        """A pattern of nothing but this part: Python's engine says what it fits."""
        key = (id(part), flags)
        test = self._tests.get(key)
        if test is None:
            state = _parser.State()
            state.flags = flags
            test = _compiler.compile(_parser.SubPattern(state, [part]), flags)
            self._tests[key] = test
        return test
