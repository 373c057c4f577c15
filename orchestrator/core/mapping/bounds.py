"""How much the mappings of one resource may take and make.

Counted, not timed: the same mapping on the same configuration has the same outcome on every
machine, however busy that is, and under every leader.
"""

from __future__ import annotations

from ..refs import Json

MAPPING_STEPS = 25_000
"""Evaluation steps of one mapping: parts evaluated, hops taken, elements compared. A step takes
about a microsecond (measured), so a mapping ends within a tenth of a second. It is enough for a
loop over 5,000 elements whose mapping has five parts; the catalogue's mappings take three steps on
average."""
RESOURCE_STEPS = 50_000
"""Evaluation steps of all mappings of one resource together."""
SIZE_LIMIT = 1024 * 1024
"""Characters, as JSON has them, of all texts and values that the mappings of one resource make.
etcd takes requests of 1.5 MiB, and the job record holds the resource's body as well."""
REFERENCE_LIMIT = 10_000
"""References of one resource, each as often as it is taken. A reference takes about 60 bytes of the
job record."""

_CHARACTERS_PER_STEP = 512
"""Characters of a text that are compared in the time of a step (measured: more than that)."""
_SIZE_PER_STEP = 16
"""Characters of a list or an object, as JSON, that are compared in the time of a step (measured:
more)."""
_FRACTION = 24
"""Characters of the longest fraction, and more than those of any other word of JSON."""
_BITS_PER_DIGIT = 3
"""Of a whole number: log2(10), rounded down."""
_TOGETHER = ", together with the resource's other mappings"


class Exceeded(Exception):
    """A bound is reached. The text goes on from the name of a mapping: ``takes more than …``."""


class Budget:
    """What the mappings of one resource may still take. One object for all of them, changed as they
    go on."""

    __slots__ = ("floor", "references", "size", "steps")

    def __init__(self) -> None:
        self.steps = RESOURCE_STEPS
        self.floor = 0
        """So many steps the mapping that is evaluated has to leave to the others."""
        self.size = SIZE_LIMIT
        self.references = REFERENCE_LIMIT

    def begin(self) -> None:
        """The next mapping may take what is left, but no more than one mapping may take."""
        self.floor = max(self.steps - MAPPING_STEPS, 0)

    def take(self, steps: int) -> None:
        """:raises Exceeded: those are more than there are left."""
        self.steps -= steps
        if self.steps < self.floor:
            raise Exceeded(
                f"takes more than {MAPPING_STEPS} evaluation steps, or"
                f" {RESOURCE_STEPS}{_TOGETHER}"
            )

    def refer(self, references: int) -> None:
        """:raises Exceeded: those are more than there are left."""
        self.references -= references
        if self.references < 0:
            raise Exceeded(
                f"makes more than {REFERENCE_LIMIT} references{_TOGETHER}"
            )

    def make(self, characters: int) -> None:
        """:raises Exceeded: those are more than there are left."""
        self.size -= characters
        if self.size < 0:
            raise Exceeded(
                f"makes more than {SIZE_LIMIT} characters{_TOGETHER}"
            )

    def keep(self, value: Json) -> None:
        """Count a value that becomes a parameter, or a part of a text.

        A value may contain the same list many times over: what counts is its size when it is
        written out.

        :raises Exceeded: it is larger than what is left.
        """
        self.make(_size(value, self.size))

    def compare(self, value: Json) -> None:
        """Count a value that is read from one end to the other.

        :raises Exceeded: that takes longer than what is left.
        """
        if isinstance(value, str):
            self.take(len(value) // _CHARACTERS_PER_STEP)
        else:
            size = _size(value, self.steps * _SIZE_PER_STEP)
            self.take(size // _SIZE_PER_STEP)


def _size(value: Json, limit: int) -> int:
    """The characters that a value has as JSON. More than *limit* are not counted to the end."""
    if isinstance(value, str):
        return len(value)
    size, rest = 0, [value]
    while rest and size <= limit:
        item = rest.pop()
        if isinstance(item, str):
            size += len(item) + len('""')
        elif isinstance(item, dict):
            size += sum(map(len, item)) + len('"": , ') * len(item) + len("{}")
            rest.extend(item.values())
        elif isinstance(item, (list, tuple)):
            size += len(", ") * len(item) + len("[]")
            rest.extend(item)
        elif isinstance(item, int):
            size += len("false") + item.bit_length() // _BITS_PER_DIGIT
        else:
            size += _FRACTION
    return size
