"""The ways in which a text is written into another one, undone: so that it is found there.

A text is looked at in several *views*: as it is, and with the escapes of JSON and Python, of URLs
and of HTML decoded, also one within the other.
Each view knows which place of the original every one of its characters stands for.
"""

from __future__ import annotations

import html
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

_MOST_VIEWS = 10
_DEEPEST = 3
"""Escapes within escapes: JSON in a JSON text in a URL."""
_SHORTEST_ENCODED = 6
"""Characters of a base64 text that stand for one secret and no other, to be worth a search."""
_SHORTEST_WRAPPED = 12
"""Characters of a text without white space that is found with white space in it: a shorter one
would be found across the words of a sentence."""

_BACKSLASH = re.compile(
    r"\\(?:u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|u(?P<u>[0-9a-fA-F]{4})"
    r"|U(?P<U>000[0-9a-fA-F]{5}|0010[0-9a-fA-F]{4})"
    r"|x(?P<x>[0-9a-fA-F]{2})"
    r"|(?P<letter>[abfnrtv0'\"\\/]))"
)
_LETTERS = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "0": "\0",
}
_PERCENT = re.compile(r"%[0-9a-fA-F]{2}|\+")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,8});")
_DOUBLED_QUOTE = re.compile(r"''|\"\"")
_WHITE = re.compile(r"[\s⏎]+")
_ENDING = re.compile(r"[\s.…'\"\])}]*\Z")
"""What stands after a text that was cut off."""
_ELLIPSIS = re.compile(r"…|\.\.\.")
_MOST_CUTS = 20
"""Ellipses from the beginning, and as many from the end of a text, before which a beginning is
looked for."""


@dataclass(frozen=True, slots=True)
class Spelled:
    """One view of a text.

    *starts* and *ends* are, for each character, where in the original that begins and ends for
    which it stands.
    In a *squeezed* view there is no white space.
    """

    text: str
    starts: Sequence[int]
    ends: Sequence[int]
    squeezed: bool = False
    cuts: Sequence[int] = field(init=False)
    """Where the text may have been cut off: at its end, and before each ellipsis."""

    def __post_init__(self) -> None:
        ellipses = [match.start() for match in _ELLIPSIS.finditer(self.text)]
        ending = _ENDING.search(self.text, max(len(self.text) - 16, 0))
        ends = [
            *ellipses[:_MOST_CUTS],
            *ellipses[-_MOST_CUTS:],
            ending.start() if ending else 0,
            len(self.text),
        ]
        object.__setattr__(self, "cuts", sorted(set(ends)))

    @classmethod
    def plain(cls, text: str) -> Spelled:
        return cls(text, range(len(text)), range(1, len(text) + 1))

    def find(self, form: str) -> Iterator[tuple[int, int]]:
        """Where in the original *form* stands: every (start, end), those that overlap included."""
        at = self.text.find(form)
        while at >= 0:
            yield self.starts[at], self.ends[at + len(form) - 1]
            at = self.text.find(form, at + 1)

    def find_beginning(
        self, form: str, shortest: int
    ) -> Iterator[tuple[int, int]]:
        """Where *form* begins and the text, or a part of it, was cut off before its end."""
        for end in self.cuts:
            at = self.text.find(form[:shortest], max(end - len(form), 0), end)
            while at >= 0:
                if form.startswith(self.text[at:end]):
                    yield self.starts[at], self.ends[end - 1]
                    break
                at = self.text.find(form[:shortest], at + 1, end)

    def decoded(
        self, pattern: re.Pattern[str], meaning: Callable[[re.Match[str]], str]
    ) -> Spelled | None:
        """The view in which each match is replaced by what it means; None when nothing matches."""
        pieces: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        position = 0
        for match in pattern.finditer(self.text):
            letters = meaning(match)
            pieces += [self.text[position : match.start()], letters]
            starts += self.starts[position : match.start()]
            ends += self.ends[position : match.start()]
            starts += [self.starts[match.start()]] * len(letters)
            ends += [self.ends[match.end() - 1]] * len(letters)
            position = match.end()
        if not pieces:
            return None
        pieces.append(self.text[position:])
        starts += self.starts[position:]
        ends += self.ends[position:]
        return Spelled("".join(pieces), starts, ends)


def _character(match: re.Match[str]) -> str:
    if match["high"]:
        pair = (
            0x10000
            + ((int(match["high"], 16) - 0xD800) << 10)
            + (int(match["low"], 16) - 0xDC00)
        )
        return chr(pair)
    if number := match["u"] or match["U"] or match["x"]:
        return chr(int(number, 16))
    return _LETTERS.get(match["letter"], match["letter"])


def _octet(match: re.Match[str]) -> str:
    if match[0] == "+":
        return " "
    return chr(int(match[0][1:], 16))


_DECODINGS: tuple[
    tuple[str, re.Pattern[str], Callable[[re.Match[str]], str]], ...
] = (
    ("\\", _BACKSLASH, _character),
    ("%", _PERCENT, _octet),
    ("+", _PERCENT, _octet),
    ("&", _ENTITY, lambda match: html.unescape(match[0])),
    ("''", _DOUBLED_QUOTE, lambda match: match[0][0]),
    ('""', _DOUBLED_QUOTE, lambda match: match[0][0]),
)
"""A text without the sign has nothing to decode."""


def views(text: str) -> list[Spelled]:
    """The text as it is, decoded in each way, those decoded again, and all that without white
    space."""
    found = {text: Spelled.plain(text)}
    newest = list(found.values())
    for _ in range(_DEEPEST):
        newest = [
            new
            for view in newest
            for new in _decodings(view)
            if new.text not in found
        ]
        for new in newest:
            if len(found) < _MOST_VIEWS:
                found.setdefault(new.text, new)
    return [*found.values(), *_squeezed(found.values())]


def _decodings(view: Spelled) -> Iterator[Spelled]:
    for sign, pattern, meaning in _DECODINGS:
        if (
            sign in view.text
            and (new := view.decoded(pattern, meaning)) is not None
        ):
            yield new


def _squeezed(found: Iterable[Spelled]) -> Iterator[Spelled]:
    for view in found:
        if (new := view.decoded(_WHITE, lambda match: "")) is not None:
            yield Spelled(new.text, new.starts, new.ends, squeezed=True)


def forms(wanted: str) -> Iterator[str]:
    """As what a text is to be looked for: as it is, as its UTF-8 bytes look when each is taken for
    a character, in base64 and in hexadecimal."""
    data = wanted.encode(errors="surrogatepass")
    yield wanted
    yield data.decode("latin-1")
    yield from _base64_parts(data)
    if len(data) >= _SHORTEST_ENCODED:
        yield data.hex()
        yield data.hex().upper()


def squeezed_forms(wanted: str) -> Iterator[str]:
    """The same for a squeezed view."""
    bare = _WHITE.sub("", wanted)
    if len(bare) >= _SHORTEST_WRAPPED or len(bare) < len(wanted):
        yield from forms(bare)


def _base64_parts(data: bytes) -> Iterator[str]:
    """What base64 makes of *data* wherever it stands in what is encoded: three ways, by its place
    in a group of three.

    The characters at both ends also depend on the bytes around, so they are left out, but for a
    text of its own.
    """
    whole = b64encode(data).decode()
    parts = [whole]
    for offset in range(3):
        length = offset + len(data)
        known = length // 3 * 4 + length % 3
        parts.append(
            b64encode(b"\0" * offset + data).decode()[(0, 2, 3)[offset] : known]
        )
    for part in parts:
        if len(part) >= _SHORTEST_ENCODED:
            yield part
            yield part.replace("+", "-").replace("/", "_")
